//! Every refusal leaves the house as `application/problem+json` (RFC 9457), with a stable code,
//! what to do next, and nothing of our source.

use std::{error::Error as StdError, fmt, sync::Arc};

use poem::{
    Response,
    error::{MethodNotAllowedError, NotFoundError, ReadBodyError, ResponseError},
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    error::{ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError},
    registry::{MetaResponses, Registry},
};
use serde::Serialize;

use super::{
    codes::{self, Kind},
    contract::Route,
    limits::BodyFault,
};
use crate::db;

/// The media type of every refusal.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// One place in a body that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where, as a JSON pointer (RFC 6901); empty for the whole body.
    pub pointer: String,
    /// What is wrong, by a stable name.
    pub code: &'static str,
    /// What is wrong, in words.
    pub detail: String,
}

/// What somebody lacks, and who could help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Permission {
    /// What was to be acted on.
    pub object: &'static str,
    /// What was to be done.
    pub action: &'static str,
    /// Roles that may.
    pub held_by: Vec<String>,
    /// Roles that give such a role.
    pub given_by: Vec<String>,
}

/// A refusal.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: &'static Kind,
    detail: Box<str>,
    param: Option<String>,
    faults: Vec<Fault>,
    permission: Option<Box<Permission>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The members of a problem in the order in which they are written.
#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<&'a Permission>,
    retryable: bool,
}

/// Where and when a problem happened, for its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Occurrence<'a> {
    /// How the outside reaches this server; empty for addresses relative to it.
    pub base_url: &'a str,
    /// The request's path.
    pub instance: Option<&'a str>,
    /// The request's id.
    pub request_id: Option<&'a str>,
}

impl Problem {
    /// A refusal of that kind, explained by the kind's own advice.
    pub fn of(kind: &'static Kind) -> Self {
        Self::new(kind, kind.help)
    }

    /// A refusal of that kind; `detail` is a sentence about this occurrence.
    pub fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into().into_boxed_str(),
            param: None,
            faults: Vec::new(),
            permission: None,
            headers: Vec::new(),
            source: None,
        }
    }

    /// Names the parameter that is wrong.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>) -> Self {
        self.param = Some(name.into());
        self
    }

    /// Names the places in the body that are wrong.
    #[must_use]
    pub fn faults(mut self, faults: Vec<Fault>) -> Self {
        self.faults = faults;
        self
    }

    /// Names the permission that is missing.
    #[must_use]
    pub fn permission(mut self, missing: Permission) -> Self {
        self.permission = Some(Box::new(missing));
        self
    }

    /// The permission that is missing, where it is named.
    pub fn lacks(&self) -> Option<&Permission> {
        self.permission.as_deref()
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Keeps what caused it for the log; it never leaves the house.
    #[must_use]
    pub fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Whether the same may go better if it is tried again at once. Not where it waited in vain for
    /// what somebody holds: it would wait as long again, and the client with it.
    pub(super) fn is_worth_another_try(&self) -> bool {
        let source = self.source.as_deref();
        let unforeseen = source.and_then(|source| source.downcast_ref::<Unforeseen>());
        unforeseen.is_some_and(|unforeseen| unforeseen.passes_at_once)
    }

    /// The row of the table.
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.kind.status
    }

    /// Whether the answer would be the same again: a refusal by the books, not by the moment.
    pub fn is_final(&self) -> bool {
        self.status().is_client_error() && !self.kind.retryable()
    }

    /// The body.
    pub fn body(&self, occurrence: Occurrence<'_>) -> String {
        let kind = self.kind;
        let body = Body {
            r#type: format!("{}/problems/{}", occurrence.base_url, kind.code),
            title: kind.title,
            status: kind.status.as_u16(),
            detail: &self.detail,
            instance: occurrence.instance,
            code: kind.code,
            param: self.param.as_deref(),
            request_id: occurrence.request_id,
            errors: &self.faults,
            permission: self.permission.as_deref(),
            retryable: kind.retryable(),
        };
        serde_json::to_string(&body).unwrap_or_default()
    }

    /// The whole answer.
    pub fn response(&self, occurrence: Occurrence<'_>) -> Response {
        let mut response = Response::builder()
            .status(self.status())
            .content_type(CONTENT_TYPE)
            .body(self.body(occurrence));
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }

    /// Any error that poem or poem-openapi made, as ours; `route` is the operation, where one was
    /// found.
    pub fn from_poem(error: &poem::Error, route: Option<&Route>) -> Self {
        if let Some(problem) = error.downcast_ref::<Self>() {
            return problem.clone();
        }
        if error.is::<NotFoundError>() {
            return Self::of(&codes::NOT_FOUND);
        }
        if error.is::<MethodNotAllowedError>() {
            return Self::of(&codes::METHOD_NOT_ALLOWED);
        }
        if let Some(error) = error.downcast_ref::<ParseParamError>() {
            return invalid_parameter(error.name, route);
        }
        if let Some(error) = error.downcast_ref::<ParsePathError>() {
            let place = error.name.strip_prefix("param");
            let place = place.and_then(|place| place.parse::<usize>().ok());
            let name = place.and_then(|place| route?.path_parameter(place));
            return invalid_parameter(name.unwrap_or("path"), route);
        }
        if error.is::<ContentTypeError>() {
            return Self::of(&codes::UNSUPPORTED_MEDIA_TYPE);
        }
        if error.is::<ParseRequestPayloadError>() {
            return Self::of(&codes::INVALID_BODY);
        }
        if let Some(error) = error.downcast_ref::<ReadBodyError>() {
            return Self::from(error);
        }
        match error.status() {
            StatusCode::NOT_FOUND => Self::of(&codes::NOT_FOUND),
            StatusCode::METHOD_NOT_ALLOWED => Self::of(&codes::METHOD_NOT_ALLOWED),
            StatusCode::PAYLOAD_TOO_LARGE => Self::of(&codes::BODY_TOO_LARGE),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::of(&codes::UNSUPPORTED_MEDIA_TYPE),
            StatusCode::UNAUTHORIZED => Self::of(&codes::MISSING_KEY),
            status if status.is_client_error() => Self::of(&codes::INVALID_PARAMETER),
            _ => Self::of(&codes::INTERNAL_ERROR).because(Said(error.to_string())),
        }
    }
}

/// The parameter `name` cannot be read; says what it may be, from the API's own description.
fn invalid_parameter(name: &str, route: Option<&Route>) -> Problem {
    let expected = route.and_then(|route| route.expected(name));
    let expected = expected.unwrap_or_else(|| "what the API's description says".to_owned());
    Problem::new(
        &codes::INVALID_PARAMETER,
        format!("{name} must be {expected}."),
    )
    .param(name)
}

/// An error that no arm of [`Problem::from_poem`] knows; its text is for the log.
#[derive(Debug)]
struct Said(String);

impl fmt::Display for Said {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
impl StdError for Said {}

/// An error of the database; its text is for the log.
#[derive(Debug)]
struct Unforeseen {
    what: String,
    passes_at_once: bool,
}

impl fmt::Display for Unforeseen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.what)
    }
}
impl StdError for Unforeseen {}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind.code, self.detail)
    }
}

impl StdError for Problem {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.kind.status
    }

    fn as_response(&self) -> Response {
        self.response(Occurrence::default())
    }
}

/// Operations answer `Result<_, Problem>`; which refusals they document is `api/document.rs`'s.
impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: Vec::new(),
        }
    }
    fn register(_registry: &mut Registry) {}
}

impl From<&ReadBodyError> for Problem {
    fn from(error: &ReadBodyError) -> Self {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(current) = cause {
            if let Some(fault) = current.downcast_ref::<BodyFault>() {
                return Self::of(match fault {
                    BodyFault::TooLarge => &codes::BODY_TOO_LARGE,
                    BodyFault::TooSlow => &codes::REQUEST_TIMEOUT,
                });
            }
            // An io::Error's own source skips the error that it wraps.
            cause = match current.downcast_ref::<std::io::Error>() {
                Some(io) => io.get_ref().map(|inner| {
                    let inner: &(dyn StdError + 'static) = inner;
                    inner
                }),
                None => current.source(),
            };
        }
        match error {
            ReadBodyError::PayloadTooLarge => Self::of(&codes::BODY_TOO_LARGE),
            ReadBodyError::Utf8(_) => Self::of(&codes::INVALID_JSON),
            ReadBodyError::Io(_) => Self::of(&codes::UNREADABLE_BODY),
            ReadBodyError::BodyHasBeenTaken => Self::of(&codes::INTERNAL_ERROR),
        }
    }
}

impl From<&db::error::Error> for Problem {
    fn from(error: &db::error::Error) -> Self {
        use db::error::Error as Db;
        let problem = match error {
            Db::Unavailable(_) | Db::UnknownTarget(_) => {
                Self::of(&codes::DATABASE_UNAVAILABLE).retry_after(1)
            }
            Db::Retry(_) | Db::Barred(_) | Db::Stale => Self::of(&codes::TRY_AGAIN).retry_after(1),
            Db::Moving => return Self::of(&codes::MALL_MOVING).retry_after(2),
            Db::Constraint { .. } | Db::NoTenant | Db::Corrupt(_) | Db::Other(_) => {
                Self::of(&codes::INTERNAL_ERROR)
            }
        };
        problem.because(Unforeseen {
            what: chain(error),
            passes_at_once: matches!(error, Db::Retry(_) | Db::Barred(_)) && !error.is_timeout(),
        })
    }
}

impl From<db::error::Error> for Problem {
    fn from(error: db::error::Error) -> Self {
        Self::from(&error)
    }
}

/// An error and what caused it, on one line, for the log.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let said = current.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = current.source();
    }
    text
}
