//! `rotunda serve`.

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::{Exit, Failure, Output};
use crate::{api, app::App, http::listen};

/// Migrates, listens, and answers until SIGTERM or SIGINT; a second signal ends at once.
pub(super) async fn run(app: &App, output: Output) -> Result<(), Failure> {
    let address = app.config.listen;
    let listener = listen::bind(address).map_err(|error| {
        let message = format!("{address} cannot be listened on: {error}");
        Failure::new(Exit::Failed, message)
    })?;
    let address = listener.local_addr().map_err(Failure::other)?;
    app.db.migrate_all().await?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::other)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::other)?;
    output.say(&format!(
        "Rotunda listens on http://{address} (API: /docs). Ctrl-C stops it."
    ));
    info!(address = %address, "Listening on {address}");
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
    };
    listen::serve(app, listener, api::endpoint(app), stop).await;
    info!("Stopped");
    Ok(())
}
