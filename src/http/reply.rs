//! Answers of operations: typed in the description, and able to be given again word for word.

use std::marker::PhantomData;

use poem::{
    IntoResponse, Response,
    http::{StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::{ToJSON, Type},
};

use super::problem;

/// Says that an answer was remembered and not made anew.
pub const REPLAYED: &str = "Idempotent-Replayed";

/// What a file of somebody's figures says to caches.
const PRIVATE: &str = "private, no-store";

/// An answer as it goes out and as the table of idempotency keys holds it.
#[derive(Debug)]
pub struct Written {
    status: u16,
    body: String,
    again: bool,
}

impl Written {
    /// An answer that was made just now.
    pub(super) const fn new(status: u16, body: String) -> Self {
        let again = false;
        Self {
            status,
            body,
            again,
        }
    }

    /// Its status.
    pub(super) const fn status(&self) -> u16 {
        self.status
    }

    /// Its body.
    pub(super) fn body(&self) -> &str {
        &self.body
    }

    /// Its status, its body, and whether it was given before.
    pub fn into_parts(self) -> (u16, String, bool) {
        (self.status, self.body, self.again)
    }

    /// Whether it was given before.
    pub(super) const fn is_again(&self) -> bool {
        self.again
    }

    /// An answer that was given before, under the same idempotency key.
    pub(super) const fn again(status: u16, body: String) -> Self {
        let again = true;
        Self {
            status,
            body,
            again,
        }
    }
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let media = if status.is_success() {
            "application/json"
        } else {
            problem::CONTENT_TYPE
        };
        let mut response = Response::builder().status(status).content_type(media);
        if self.again {
            response = response.header(REPLAYED, "true");
        }
        response.body(self.body)
    }
}

/// An answer with status `STATUS` and a `T` in JSON.
#[derive(Debug)]
pub struct Reply<const STATUS: u16, T> {
    written: Written,
    content: PhantomData<fn() -> T>,
}

impl<const STATUS: u16, T: ToJSON> Reply<STATUS, T> {
    /// A new answer.
    pub fn new(content: &T) -> Self {
        Written::new(STATUS, content.to_json_string()).into()
    }

    /// An answer that was given before, made anew.
    pub fn again(content: &T) -> Self {
        Written::again(STATUS, content.to_json_string()).into()
    }
}

impl<const STATUS: u16, T> From<Written> for Reply<STATUS, T> {
    fn from(written: Written) -> Self {
        Self {
            written,
            content: PhantomData,
        }
    }
}

impl<const STATUS: u16, T: Send> IntoResponse for Reply<STATUS, T> {
    fn into_response(self) -> Response {
        self.written.into_response()
    }
}

impl<const STATUS: u16, T: Type> ApiResponse for Reply<STATUS, T> {
    fn meta() -> MetaResponses {
        let description = if STATUS == 201 {
            "Done."
        } else {
            "The answer."
        };
        MetaResponses {
            responses: vec![json(STATUS, description, T::schema_ref())],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// An answer to something that is recorded once for ever: 201, or 200 with the same body where it
/// had been recorded before.
#[derive(Debug)]
pub struct Recorded<T> {
    written: Written,
    content: PhantomData<fn() -> T>,
}

impl<T> From<Written> for Recorded<T> {
    fn from(written: Written) -> Self {
        Self {
            written,
            content: PhantomData,
        }
    }
}

impl<T: Send> IntoResponse for Recorded<T> {
    fn into_response(self) -> Response {
        self.written.into_response()
    }
}

impl<T: Type> ApiResponse for Recorded<T> {
    fn meta() -> MetaResponses {
        let before = "It had been recorded before; this is the first answer again.";
        MetaResponses {
            responses: vec![
                json(200, before, T::schema_ref()),
                json(201, "Recorded.", T::schema_ref()),
            ],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

fn json(status: u16, description: &'static str, schema: MetaSchemaRef) -> MetaResponse {
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content: vec![MetaMediaType {
            content_type: "application/json",
            schema,
        }],
        headers: Vec::new(),
    }
}

/// A sheet of comma-separated values, as a file to keep.
#[derive(Debug)]
pub struct Sheet {
    /// The file's name, which may hold any letter.
    pub name: String,
    /// The lines.
    pub text: String,
}

impl IntoResponse for Sheet {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type("text/csv; charset=utf-8")
            .header(header::CONTENT_DISPOSITION, attachment(&self.name))
            .header(header::CACHE_CONTROL, PRIVATE)
            .body(self.text)
    }
}

impl ApiResponse for Sheet {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The sheet, with a name in `Content-Disposition`.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: "text/csv; charset=utf-8",
                    schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
                }],
                headers: Vec::new(),
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}

/// Objects of JSON, one a line, as a file to keep.
#[derive(Debug)]
pub struct Lines {
    /// The file's name.
    pub name: String,
    /// The lines.
    pub text: String,
}

impl IntoResponse for Lines {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type(LINES)
            .header(header::CONTENT_DISPOSITION, attachment(&self.name))
            .header(header::CACHE_CONTROL, PRIVATE)
            .body(self.text)
    }
}

impl ApiResponse for Lines {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The lines, with a name in `Content-Disposition`.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: LINES,
                    schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
                }],
                headers: Vec::new(),
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}

/// The media type of objects of JSON, one a line.
const LINES: &str = "application/x-ndjson";

/// What kind of file an answer is.
pub trait Media: Send + 'static {
    /// The media type.
    const TYPE: &'static str;
}

/// A document for people.
#[derive(Debug)]
pub enum Pdf {}

/// A workbook.
#[derive(Debug)]
pub enum Xlsx {}

/// Comma-separated values.
#[derive(Debug)]
pub enum Csv {}

/// An object of JSON.
#[derive(Debug)]
pub enum Json {}

impl Media for Json {
    const TYPE: &'static str = "application/json";
}

impl Media for Pdf {
    const TYPE: &'static str = "application/pdf";
}

impl Media for Xlsx {
    const TYPE: &'static str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
}

impl Media for Csv {
    const TYPE: &'static str = "text/csv; charset=utf-8";
}

/// A file to keep, of kind `M`, which nobody on the way keeps.
#[derive(Debug)]
pub struct Download<M> {
    name: String,
    bytes: Vec<u8>,
    media: PhantomData<fn() -> M>,
}

impl<M> Download<M> {
    /// A file of that name, which may hold any letter.
    pub fn new(name: String, bytes: Vec<u8>) -> Self {
        Self {
            name,
            bytes,
            media: PhantomData,
        }
    }
}

impl<M: Media> IntoResponse for Download<M> {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type(M::TYPE)
            .header(header::CONTENT_DISPOSITION, attachment(&self.name))
            .header(header::CACHE_CONTROL, PRIVATE)
            .body(self.bytes)
    }
}

impl<M: Media> ApiResponse for Download<M> {
    fn meta() -> MetaResponses {
        let schema = match M::TYPE {
            Csv::TYPE => MetaSchema::new("string"),
            Json::TYPE => MetaSchema::new("object"),
            _ => MetaSchema::new_with_format("string", "binary"),
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The file, with a name in `Content-Disposition`.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: M::TYPE,
                    schema: MetaSchemaRef::Inline(Box::new(schema)),
                }],
                headers: Vec::new(),
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}

/// A file that somebody sent, as it came: never shown in place, never run, never guessed at.
#[derive(Debug)]
pub struct Foreign {
    /// What its sender called it.
    pub name: String,
    /// What it is, by its content.
    pub media: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl IntoResponse for Foreign {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type(self.media)
            .header(header::CONTENT_DISPOSITION, attachment(&self.name))
            .header(header::CACHE_CONTROL, PRIVATE)
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header(
                header::CONTENT_SECURITY_POLICY,
                "sandbox; default-src 'none'",
            )
            .body(self.bytes)
    }
}

impl ApiResponse for Foreign {
    fn meta() -> MetaResponses {
        let content = ["application/pdf", "image/png", "image/jpeg", "image/webp"];
        let schema = || {
            let format = "binary";
            MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", format)))
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The file, with a name in `Content-Disposition`.",
                status: Some(200),
                status_range: None,
                content: content
                    .map(|content_type| MetaMediaType {
                        content_type,
                        schema: schema(),
                    })
                    .into(),
                headers: Vec::new(),
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}

/// A file's name twice (RFC 6266): in plain ASCII for old readers, and whole as RFC 5987 writes it.
fn attachment(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|letter| if is_plain(letter) { letter } else { '_' })
        .collect();
    let whole = percent_encoded(name);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}")
}

/// A text as an address may hold it: every byte that is no letter, digit, `-`, `.` or `_` as `%XX`.
pub fn percent_encoded(text: &str) -> String {
    text.bytes().map(encoded).collect()
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_')
}

fn encoded(byte: u8) -> String {
    let letter = char::from(byte);
    if is_plain(letter) {
        letter.to_string()
    } else {
        format!("%{byte:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_reaches_old_and_new_readers_and_cannot_leave_its_header() {
        assert_eq!(
            attachment("报表 \"1\"\r\n.csv"),
            "attachment; filename=\"____1___.csv\"; \
             filename*=UTF-8''%E6%8A%A5%E8%A1%A8%20%221%22%0D%0A.csv"
        );
    }
}
