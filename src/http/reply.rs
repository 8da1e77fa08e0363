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
    status: u16,
    body: String,
    replayed: bool,
    content: PhantomData<fn() -> T>,
}

impl<const STATUS: u16, T: ToJSON> Reply<STATUS, T> {
    /// A new answer.
    pub fn new(content: &T) -> Self {
        Self::raw(STATUS, content.to_json_string())
    }

    /// An answer whose JSON was written before.
    pub(super) fn raw(status: u16, body: String) -> Self {
        Self {
            status,
            body,
            replayed: false,
            content: PhantomData,
        }
    }

    /// An answer that was given before, under the same idempotency key.
    pub(super) fn replayed(status: u16, body: String) -> Self {
        Self {
            replayed: true,
            ..Self::raw(status, body)
        }
    }
}

impl<const STATUS: u16, T: Send> IntoResponse for Reply<STATUS, T> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let media = if status.is_success() {
            "application/json"
        } else {
            problem::CONTENT_TYPE
        };
        let mut response = Response::builder().status(status).content_type(media);
        if self.replayed {
            response = response.header(REPLAYED, "true");
        }
        response.body(self.body)
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
