//! A JSON body: read within its limits, held against the API's description, then parsed.

use std::{collections::BTreeMap, marker::PhantomData};

use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, Registry},
    types::ParseFromJSON,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    codes,
    problem::{Fault, Problem},
    visit::Visit,
};

/// A body that is what the operation takes.
#[derive(Debug)]
pub struct Body<T> {
    /// The value.
    pub value: T,
    /// SHA-256 of the body in canonical form: members by name, no spaces. Two bodies that say the
    /// same have the same digest.
    pub digest: [u8; 32],
}

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType {
                content_type: "application/json",
                schema: T::schema_ref(),
            }],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        if !request.content_type().is_some_and(is_json) {
            return Err(Problem::of(&codes::UNSUPPORTED_MEDIA_TYPE).into());
        }
        let bytes = body.take()?.into_vec().await?;
        let value = read(&bytes)?;
        if let Some(route) = Visit::of(request).and_then(|visit| visit.route.clone()) {
            let faults = route.check_body(&value);
            if !faults.is_empty() {
                return Err(refused(faults).into());
            }
        }
        let digest = digest(&value);
        match T::parse_from_json(Some(value)) {
            Ok(value) => Ok(Self { value, digest }),
            Err(_) => Err(Problem::of(&codes::INVALID_BODY).into()),
        }
    }
}

/// A body `{"items": […]}` whose items are each answered for itself: what is wrong with one of them
/// is no reason to refuse the others. `T` describes the body.
#[derive(Debug)]
pub struct Items<T> {
    /// Each item as it was sent, or why it is not what the operation takes.
    pub items: Vec<(Value, Result<(), Problem>)>,
    described: PhantomData<fn() -> T>,
}

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for Items<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Body::<T>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Body::<T>::request_meta()
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        if !request.content_type().is_some_and(is_json) {
            return Err(Problem::of(&codes::UNSUPPORTED_MEDIA_TYPE).into());
        }
        let bytes = body.take()?.into_vec().await?;
        let mut value = read(&bytes)?;
        let known = Visit::of(request).and_then(|visit| visit.route.clone());
        let faults = known.map_or_else(Vec::new, |route| route.check_body(&value));
        let (single, whole): (Vec<Fault>, Vec<Fault>) = faults
            .into_iter()
            .partition(|fault| item_of(fault).is_some());
        if !whole.is_empty() {
            return Err(refused(whole).into());
        }
        let Some(Value::Array(items)) = value.get_mut("items").map(Value::take) else {
            return Err(Problem::of(&codes::INVALID_BODY).into());
        };
        let mut wrong: BTreeMap<usize, Vec<Fault>> = BTreeMap::new();
        for fault in single {
            if let Some(place) = item_of(&fault) {
                wrong.entry(place).or_default().push(fault);
            }
        }
        let with_faults = |(place, item)| {
            let faults = wrong.remove(&place);
            (item, faults.map_or(Ok(()), |faults| Err(refused(faults))))
        };
        Ok(Self {
            items: items.into_iter().enumerate().map(with_faults).collect(),
            described: PhantomData,
        })
    }
}

/// In which item of the list `items` a fault is; none where it is about the body as a whole.
fn item_of(fault: &Fault) -> Option<usize> {
    let place = fault.pointer.strip_prefix("/items/")?;
    place.split('/').next()?.parse().ok()
}

fn is_json(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let media = media.to_ascii_lowercase();
    let suffixed = media.starts_with("application/") && media.ends_with("+json");
    media == "application/json" || suffixed
}

/// Reads JSON; the message says where reading stopped, never what stood there.
fn read(bytes: &[u8]) -> Result<Value, Problem> {
    if bytes.is_empty() {
        let detail = "The body is empty; send one JSON value.";
        return Err(Problem::new(&codes::INVALID_JSON, detail));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let detail = format!("The body stops being JSON at line {line}, column {column}.");
        Problem::new(&codes::INVALID_JSON, detail)
    })
}

fn refused(faults: Vec<Fault>) -> Problem {
    let detail = match faults.as_slice() {
        [
            Fault {
                pointer, detail, ..
            },
        ] if pointer.is_empty() => format!("The body as a whole: {detail}"),
        [
            Fault {
                pointer, detail, ..
            },
        ] => format!("{pointer}: {detail}"),
        several => format!("{} places are not as they should be.", several.len()),
    };
    Problem::new(&codes::INVALID_BODY, detail).faults(faults)
}

/// `serde_json` keeps members by name, so that writing a value again is its canonical form.
pub fn digest(value: &Value) -> [u8; 32] {
    Sha256::digest(value.to_string().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_spaces_do_not_change_a_digest_and_content_does() {
        let of = |text: &str| digest(&read(text.as_bytes()).unwrap());
        assert_eq!(of("{\"a\":1,\"b\":[2]}"), of("{ \"b\": [2],\n \"a\": 1 }"));
        assert_ne!(of("{\"a\":1}"), of("{\"a\":2}"));
    }

    #[test]
    fn what_is_not_json_is_placed_and_not_quoted() {
        let said = read(b"{\"card\": 12345 oops}").unwrap_err().to_string();
        assert!(said.contains("line 1, column"), "{said}");
        assert!(!said.contains("oops"), "{said}");
        assert!(is_json("application/JSON; charset=utf-8"));
        assert!(!is_json("text/json"));
    }
}
