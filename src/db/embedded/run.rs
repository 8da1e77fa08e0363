//! One command beside the private cluster, as `rotunda database run -- …` gives it.

use std::ffi::OsString;
use std::path::Path;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Cluster;
use super::error::{EmbeddedError, io};

/// How long a command may take to end by itself when the terminal sent Ctrl-C to it as well.
const OWN_WAY: Duration = Duration::from_secs(2);
/// How long it may take when it was asked to end.
const GRACE: Duration = Duration::from_secs(10);

/// Runs a command with `DATABASE_URL` set to the cluster's superuser while the cluster is shared.
///
/// Ctrl-C (or an interrupt or a termination of this process) ends the command first, then the
/// share is given back, so that the last one to leave stops the server.
///
/// # Errors
/// [`EmbeddedError::Command`] where there is no such command; else what [`Cluster`] says.
pub async fn run_with_database(
    data_dir: &Path,
    argv: Vec<OsString>,
) -> Result<ExitStatus, EmbeddedError> {
    let mut interrupt = listen(SignalKind::interrupt(), data_dir)?;
    let mut terminate = listen(SignalKind::terminate(), data_dir)?;
    let cluster = share(data_dir, &mut interrupt, &mut terminate).await?;
    let ended = match spawn(argv, &cluster) {
        Ok(child) => wait(child, &mut interrupt, &mut terminate, data_dir).await,
        Err(error) => Err(error),
    };
    cluster.release().await?;
    ended
}

/// Shares the cluster; a signal meanwhile ends that in good order.
async fn share(
    data_dir: &Path,
    interrupt: &mut Signal,
    terminate: &mut Signal,
) -> Result<Cluster, EmbeddedError> {
    let mut sharing = pin!(Cluster::share(data_dir));
    tokio::select! {
        shared = &mut sharing => return shared,
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    if let Ok(cluster) = sharing.await {
        cluster.release().await?;
    }
    Err(EmbeddedError::Interrupted)
}

fn listen(kind: SignalKind, data_dir: &Path) -> Result<Signal, EmbeddedError> {
    signal(kind).map_err(io("listen to signals for", data_dir))
}

fn spawn(argv: Vec<OsString>, cluster: &Cluster) -> Result<Child, EmbeddedError> {
    let mut argv = argv.into_iter();
    let name = argv.next().unwrap_or_default();
    let mut command = Command::new(&name);
    command
        .args(argv)
        .env("DATABASE_URL", cluster.admin_url())
        .kill_on_drop(true);
    let command_name = name.to_string_lossy().into_owned();
    command.spawn().map_err(|source| EmbeddedError::Command {
        command: command_name,
        source,
    })
}

async fn wait(
    mut child: Child,
    interrupt: &mut Signal,
    terminate: &mut Signal,
    data_dir: &Path,
) -> Result<ExitStatus, EmbeddedError> {
    let failed = || io("wait for a command beside", data_dir);
    let patience = tokio::select! {
        ended = child.wait() => return ended.map_err(failed()),
        _ = interrupt.recv() => OWN_WAY,
        // A termination reached only us.
        _ = terminate.recv() => Duration::ZERO,
    };
    if let Ok(ended) = tokio::time::timeout(patience, child.wait()).await {
        return ended.map_err(failed());
    }
    if let Some(pid) = child.id() {
        let asked = Command::new("kill")
            .args(["-TERM", &pid.to_string()])
            .status()
            .await;
        asked.map_err(io("end a command beside", data_dir))?;
    }
    if let Ok(ended) = tokio::time::timeout(GRACE, child.wait()).await {
        return ended.map_err(failed());
    }
    child.start_kill().map_err(failed())?;
    child.wait().await.map_err(failed())
}
