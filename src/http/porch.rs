//! The porch: every request comes in and every answer goes out here, whatever happened between.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures_util::FutureExt;
use poem::{
    Endpoint, Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
};
use tracing::{Instrument, debug, error, field::Empty, info, info_span};

use super::{
    codes,
    contract::Contract,
    limits,
    problem::{Problem, chain},
    visit::Visit,
};
use crate::app::App;

/// What pages may load where they do not say otherwise: nothing.
const STRICT: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'";

/// How many headers an answer has, so that they are laid out once.
const HEADERS: usize = 12;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An endpoint with everything around it: request id, body limits, problems, headers, log line
/// and figures.
#[derive(Debug)]
pub struct Porch<E> {
    app: App,
    contract: Arc<Contract>,
    inner: E,
}

impl<E: Endpoint<Output = Response>> Porch<E> {
    /// Around `inner`, whose API promises `contract`.
    pub fn new(app: App, contract: Contract, inner: E) -> Self {
        Self {
            app,
            contract: Arc::new(contract),
            inner,
        }
    }

    /// The answer of the endpoint within, whose errors and panics are problems.
    async fn inner_answer(
        &self,
        visit: &Arc<Visit>,
        mut request: Request,
    ) -> Result<Response, Problem> {
        let largest = limits::largest_at(&visit.path, self.app.config.files.largest);
        limits::guard(&mut request, largest, limits::SLOWEST_BODY)?;
        request.set_data(Arc::clone(visit));
        let answer = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        match answer.await {
            Ok(answer) => {
                answer.map_err(|error| Problem::from_poem(&error, visit.route.as_deref()))
            }
            // The panic's own hook wrote the place to the log.
            Err(_) => Err(Problem::of(&codes::INTERNAL_ERROR)),
        }
    }

    /// The answer, or the problem, to one request.
    async fn answer(&self, visit: &Arc<Visit>, request: Request) -> Response {
        let problem = match self.inner_answer(visit, request).await {
            Ok(response) => return response,
            Err(problem) => problem,
        };
        if problem.status().is_server_error() {
            let code = problem.kind().code;
            error!(
                code,
                "Could not answer request {}: {}",
                visit.request_id,
                chain(&problem)
            );
        }
        let mut response = problem.response(visit.occurrence());
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            let allow = self.contract.allow(&visit.path);
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for Porch<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let begun = Instant::now();
        let route = self.contract.find(request.method(), request.uri().path());
        let visit = Arc::new(Visit::new(&self.app, &request, route.cloned()));
        let metrics = &self.app.metrics;
        metrics.http_in_flight.inc();
        let span = info_span!(
            "request",
            request.id = %visit.request_id,
            tenant.id = Empty,
            actor = Empty,
        );
        let mut response = self.answer(&visit, request).instrument(span.clone()).await;
        metrics.http_in_flight.dec();
        finish_headers(response.headers_mut(), &visit);
        let took = begun.elapsed();
        let (status, route) = (response.status(), visit.route_name());
        let method = known_method(&visit.method);
        metrics
            .http_requests
            .with_label_values(&[method, route, status.as_str()])
            .inc();
        metrics
            .http_duration
            .with_label_values(&[route])
            .observe(took.as_secs_f64());
        span.in_scope(|| {
            let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            let status = status.as_u16();
            if visit.route.is_some() {
                info!(duration_ms, status, "Answered {status} to {method} {route}");
            } else {
                debug!(duration_ms, status, "Answered {status} to {method} {route}");
            }
        });
        Ok(response)
    }
}

/// A method as a label: a stranger may send any word.
fn known_method(method: &str) -> &'static str {
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

/// The headers that every answer has; an endpoint's own policy stays.
fn finish_headers(headers: &mut HeaderMap, visit: &Visit) {
    headers.reserve(HEADERS);
    if let Ok(id) = HeaderValue::try_from(visit.request_id.as_str()) {
        headers.insert(&REQUEST_ID, id);
    }
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, STRICT),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
