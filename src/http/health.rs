//! What machines ask a server about itself, and the page of each problem's code.

use poem::{Request, Response, Route, endpoint::make, get};
use serde_json::json;

use super::{
    codes::{self, Kind},
    problem::Problem,
};
use crate::app::App;

/// What Prometheus' text format is called.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `/healthz`, `/readyz`, `/version`, `/metrics` and `/problems/:code`, added to `route`.
pub fn routes(app: &App, route: Route) -> Route {
    let (asked, measured) = (app.clone(), app.clone());
    let ready = make(move |_| {
        let app = asked.clone();
        async move { Ok::<_, poem::Error>(ready(&app).await?) }
    });
    let metrics = make(move |_| {
        let app = measured.clone();
        async move { Ok::<_, poem::Error>(metrics(&app)?) }
    });
    route
        .at(
            "/healthz",
            get(make(|_| async { json(&json!({"status": "alive"})) })),
        )
        .at("/readyz", get(ready))
        .at("/version", get(make(|_| async { version() })))
        .at("/metrics", get(metrics))
        .at(
            "/problems/:code",
            get(make(|request| async move { page(&request) })),
        )
}

async fn ready(app: &App) -> Result<Response, Problem> {
    match app.ready().await {
        Ok(()) => Ok(json(&json!({"status": "ready"}))),
        Err(why) => Err(Problem::new(&codes::NOT_READY, why).retry_after(1)),
    }
}

fn version() -> Response {
    json(&json!({"name": "rotunda", "version": VERSION}))
}

fn metrics(app: &App) -> Result<Response, Problem> {
    let text = app
        .metrics
        .text()
        .map_err(|error| Problem::of(&codes::INTERNAL_ERROR).because(error))?;
    Ok(Response::builder().content_type(METRICS).body(text))
}

/// What a code means, for people who follow a problem's `type`.
fn page(request: &Request) -> Result<Response, poem::Error> {
    let code = request.raw_path_param("code").unwrap_or_default();
    let kind = Kind::find(code).ok_or_else(|| Problem::of(&codes::NOT_FOUND))?;
    let again = if kind.retryable() {
        "The same request may succeed later."
    } else {
        "The same request will be refused again."
    };
    let text = format!(
        "{title}\n\ncode    {code}\nstatus  {status}\n\n{help}\n\n{again}\n",
        title = kind.title,
        status = kind.status,
        help = kind.help,
    );
    Ok(Response::builder()
        .content_type("text/plain; charset=utf-8")
        .header("cache-control", "public, max-age=3600")
        .body(text))
}

fn json(value: &serde_json::Value) -> Response {
    Response::builder()
        .content_type("application/json")
        .body(value.to_string())
}
