//! Answers of operations: typed in the description, and able to be given again word for word.

use std::marker::PhantomData;

use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{ToJSON, Type},
};

use super::problem;

/// Says that an answer was remembered and not made anew.
pub const REPLAYED: &str = "Idempotent-Replayed";

/// An answer with status `STATUS` and a `T` in JSON.
#[derive(Debug)]
pub struct Reply<const STATUS: u16, T> {
    response: Response,
    content: PhantomData<fn() -> T>,
}

impl<const STATUS: u16, T: ToJSON> Reply<STATUS, T> {
    /// A new answer.
    pub fn new(content: &T) -> Self {
        Self::raw(STATUS, content.to_json_string())
    }

    /// An answer whose JSON was written before.
    pub(super) fn raw(status: u16, body: String) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let media = if status.is_success() {
            "application/json"
        } else {
            problem::CONTENT_TYPE
        };
        Self {
            response: Response::builder()
                .status(status)
                .content_type(media)
                .body(body),
            content: PhantomData,
        }
    }

    /// An answer that was given before, under the same idempotency key.
    pub(super) fn replayed(status: u16, body: String) -> Self {
        let mut reply = Self::raw(status, body);
        reply.response = reply.response.with_header(REPLAYED, "true").into_response();
        reply
    }
}

impl<const STATUS: u16, T: Send> IntoResponse for Reply<STATUS, T> {
    fn into_response(self) -> Response {
        self.response
    }
}

impl<const STATUS: u16, T: Type> ApiResponse for Reply<STATUS, T> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: if STATUS == 201 {
                    "Done."
                } else {
                    "The answer."
                },
                status: Some(STATUS),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: "application/json",
                    schema: T::schema_ref(),
                }],
                headers: Vec::new(),
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}
