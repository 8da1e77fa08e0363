//! What others say by themselves: at the mall's own host, without a key, signed.

use poem::{Request, Response, Route, endpoint::make, http::StatusCode, post};
use serde_json::json;
use tracing::{Span, info};

use crate::{
    app::App,
    authz::{action::FollowStripe, actor::Principal},
    gateway::stripe::event::EventError,
    http::{codes, problem::Problem, tenant},
    settlement::stripe::hear,
};

/// The largest body of a message; Stripe's are a few kilobytes.
const LARGEST: usize = 64 << 10;

/// In which header Stripe signs.
const SIGNATURE: &str = "stripe-signature";

/// `/webhooks/stripe`, added to `route`.
pub(super) fn routes(app: &App, route: Route) -> Route {
    let app = app.clone();
    let stripe = make(move |request: Request| {
        let app = app.clone();
        async move { Ok::<_, poem::Error>(stripe(&app, request).await?) }
    });
    route.at("/webhooks/stripe", post(stripe))
}

/// Takes a message of Stripe's: held against the secret of the mall that the host means, written down
/// once with what follows from it. Whatever it is about, Stripe need not say it again.
async fn stripe(app: &App, mut request: Request) -> Result<Response, Problem> {
    let tenant = tenant::of(app, &request).await?;
    Span::current().record("tenant.id", tracing::field::display(tenant.id));
    let account = app.stripe.of(&tenant.slug);
    let account = account.ok_or_else(|| Problem::of(&codes::STRIPE_OFF))?;
    let body = request.take_body().into_bytes_limit(LARGEST).await;
    let body = body.map_err(|error| {
        let problem = Problem::from(&error);
        if *problem.kind() == codes::BODY_TOO_LARGE {
            let detail = "A message has at most 64 KiB.";
            return Problem::new(&codes::BODY_TOO_LARGE, detail);
        }
        problem
    })?;
    let signature = request.headers().get(SIGNATURE);
    let signature = signature.and_then(|value| value.to_str().ok());
    let signature = signature.ok_or(EventError::Unsigned)?;
    let event = account.hear(signature, &body, app.clock.now())?;
    let house = Principal::system(tenant.id);
    let grant = app.policy.allow::<FollowStripe>(&house);
    let grant = grant.map_err(|denied| Problem::of(&codes::INTERNAL_ERROR).because(denied))?;
    let mut tx = app.db.write(&grant).await?;
    let heard = hear(&mut tx, &grant, &event).await?;
    tx.commit().await?;
    app.bell.ring(tenant.id);
    let (id, kind, outcome) = (&event.id, &event.kind, heard.as_str());
    info!(event.id = %id, outcome, "Heard {id}, {kind}: {outcome}");
    let said = json!({ "object": "event", "outcome": outcome });
    Ok(Response::builder()
        .status(StatusCode::OK)
        .content_type("application/json")
        .body(said.to_string()))
}
