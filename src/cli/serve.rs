//! `rotunda serve`.

use std::net::SocketAddr;

use poem::{Endpoint, Response, Route};
use tokio::net::TcpListener;
use tracing::{info, warn};

use super::{Exit, Failure, Output, Stop};
use crate::{
    api,
    app::App,
    http::listen,
    jobs::{self, Tools},
    queue::worker::Settings,
    web,
};

/// Migrates, listens, and answers until SIGTERM or SIGINT; a second signal does not wait for what
/// is under way. Refuses a database that may lose what it has confirmed, unless `dev`.
pub(super) async fn run(app: &App, dev: bool, output: Output, stop: &Stop) -> Result<(), Failure> {
    let (listener, address) = bind(app)?;
    durable(app, dev).await?;
    app.db.migrate_all().await?;
    output.say(&format!(
        "Rotunda listens on http://{address} (API: /docs). Ctrl-C stops it."
    ));
    info!(address = %address, "Listening on {address}");
    Box::pin(answer(app, listener, stop)).await;
    info!("Stopped");
    Ok(())
}

/// The socket of the settings.
pub(super) fn bind(app: &App) -> Result<(TcpListener, SocketAddr), Failure> {
    let address = app.config.listen;
    let listener = listen::bind(address).map_err(|error| {
        let message = format!("{address} cannot be listened on: {error}; --listen names another");
        Failure::new(Exit::Failed, message)
    })?;
    let address = listener.local_addr().map_err(Failure::other)?;
    Ok((listener, address))
}

/// That a confirmed commit stays.
pub(super) async fn durable(app: &App, dev: bool) -> Result<(), Failure> {
    let off = app.db.not_durable().await?.join(", ");
    if off.is_empty() {
        return Ok(());
    }
    if dev {
        warn!("{off}: off, so the database may lose what it has confirmed");
        return Ok(());
    }
    let message = format!(
        "the database has {off} switched off and may lose what it has confirmed: switch it on \
         (alter system set ... = on; select pg_reload_conf()), or say --dev"
    );
    Err(Failure::new(Exit::Refused, message))
}

/// Everything that a server answers.
pub(super) fn endpoint(app: &App) -> impl Endpoint<Output = Response> + use<> {
    api::endpoint(app, web::routes(app, Route::new()))
}

/// Answers requests and does jobs until the first signal.
pub(super) async fn answer(app: &App, listener: TcpListener, stop: &Stop) {
    let tools = Tools {
        db: app.db.clone(),
        policy: app.policy.clone(),
        bell: app.bell.clone(),
        mailer: app.mailer.clone(),
        sms: app.sms.clone(),
        stripe: app.stripe.clone(),
        files: app.files.clone(),
        base_url: app.config.base_url.clone(),
    };
    let handlers = jobs::handlers(&tools);
    tokio::join!(
        listen::serve(app, listener, endpoint(app), stop.asked(1)),
        jobs::run(tools, handlers, Settings::default(), stop.asked(1)),
    );
}
