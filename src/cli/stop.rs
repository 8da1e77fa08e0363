//! SIGINT and SIGTERM: listened to before anything is started that has to be stopped again.

use std::io;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{Exit, Failure};

/// After so many signals the process ends at once, whatever it leaves behind.
const PATIENCE: u32 = 4;

/// How often this process was asked to stop. The first signal ends what is under way in order, the
/// second does not wait for it.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<u32>);

impl Stop {
    /// Listens from now on; until then a signal ends the process.
    ///
    /// # Errors
    /// The system's.
    pub fn listen() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (send, asked) = watch::channel(0_u32);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                send.send_modify(|times| *times = times.saturating_add(1));
                if *send.borrow() >= PATIENCE {
                    std::process::exit(1);
                }
            }
        });
        Ok(Self(asked))
    }

    /// Ends when the process has been asked to stop so many times.
    pub fn asked(&self, times: u32) -> impl Future<Output = ()> + Send + 'static {
        let mut asked = self.0.clone();
        async move {
            if asked.wait_for(|so_far| *so_far >= times).await.is_err() {
                // Nobody listens any more: the runtime is going down.
                std::future::pending::<()>().await;
            }
        }
    }

    /// How a command ends that was interrupted.
    pub fn failure() -> Failure {
        Failure::new(Exit::Failed, "stopped before it was done")
    }
}
