//! What is known of one request from its first line on.

use std::sync::Arc;

use poem::Request;

use super::{contract::Route, problem::Occurrence};
use crate::{app::App, kernel::ids::encode};

/// One request: its id, where it goes, and the application that answers it.
#[derive(Debug)]
pub struct Visit {
    /// The application.
    pub app: App,
    /// What the answer's header `X-Request-Id` and the log call it.
    pub request_id: String,
    /// The method.
    pub method: String,
    /// The path as it was asked for.
    pub path: String,
    /// The operation, where it is one of the API's.
    pub route: Option<Arc<Route>>,
}

impl Visit {
    /// Of a request that just came in.
    pub fn new(app: &App, request: &Request, route: Option<Arc<Route>>) -> Self {
        let random = u128::from_be_bytes(app.entropy.bytes());
        Self {
            app: app.clone(),
            request_id: format!("req_{}", encode(random)),
            method: request.method().to_string(),
            path: request.original_uri().path().to_owned(),
            route,
        }
    }

    /// The visit that the porch put on a request.
    pub fn of(request: &Request) -> Option<Arc<Self>> {
        request.extensions().get::<Arc<Self>>().cloned()
    }

    /// For the body of a problem.
    pub fn occurrence(&self) -> Occurrence<'_> {
        Occurrence {
            base_url: self.app.config.base_url.as_deref().unwrap_or_default(),
            instance: Some(&self.path),
            request_id: Some(&self.request_id),
        }
    }

    /// The name of the operation for logs and figures: never a path that a stranger chose.
    pub fn route_name(&self) -> &str {
        self.route
            .as_ref()
            .map_or("other", |route| route.template.as_str())
    }
}
