//! A private PostgreSQL cluster, so that the program runs on a machine where nobody has set one up.
//!
//! The cluster lives in a data folder and belongs to every process that uses the folder: the first
//! one creates and starts it, the last one stops it. What the folder holds:
//!
//! | name | what |
//! | --- | --- |
//! | `data-15` .. `data-18` | the cluster, named for its major version, because no other major can read it |
//! | `credentials` | the superuser's password, for the owner's eyes alone |
//! | `port` | the loopback port of the last start |
//! | `postgres.log` | what the server says |
//! | `start.lock` | held alone while the server is being started or stopped |
//! | `users.lock` | held together by all who use the server |
//! | `postgres/18/bin` .. | programs that `deploy/start` unpacked, where the machine has none |
//!
//! The server never runs as root (a root process starts it as `postgres`, else `nobody`), listens
//! on 127.0.0.1 only, asks everybody for a password, and never gives up durability for speed.
//! The locks are the kernel's, so they end with their process, however it ends.

mod account;
mod error;
mod find;
mod run;
mod server;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

pub use error::EmbeddedError;
pub use find::{Binaries, find_binaries};
pub use run::run_with_database;

use error::io;
use server::Server;

/// How long one process waits for another that is starting or stopping the server; longer than a
/// recovery after a crash takes.
const PATIENCE: Duration = Duration::from_mins(11);

/// A private PostgreSQL cluster in a data folder, shared by every process that uses the folder,
/// stopped by the last one.
#[must_use = "the cluster stops when its last share is dropped"]
pub struct Cluster {
    server: Server,
    users: Option<File>,
    port: u16,
    password: String,
}

impl Cluster {
    /// Finds PostgreSQL, creates the cluster where it is new, starts it where it is down, and
    /// holds it for this process.
    ///
    /// # Errors
    /// [`EmbeddedError`], each a sentence that says what to do.
    pub async fn share(data_dir: &Path) -> Result<Cluster, EmbeddedError> {
        let data_dir = data_dir.to_path_buf();
        tokio::task::spawn_blocking(move || Cluster::share_now(&data_dir))
            .await
            .map_err(|_| EmbeddedError::Interrupted)?
    }

    fn share_now(data_dir: &Path) -> Result<Cluster, EmbeddedError> {
        let data_dir = server::open_folder(data_dir)?;
        let start = alone(&data_dir.join("start.lock"))?;
        let users = lock_file(&data_dir.join("users.lock"))?;
        let server = Server::prepare(data_dir)?;
        users.lock_shared().map_err(io("lock", server.folder()))?;
        let password = server.password()?;
        let port = server.start()?;
        drop(start);
        Ok(Cluster {
            server,
            users: Some(users),
            port,
            password,
        })
    }

    /// The address for the superuser `rotunda_admin` and the database `rotunda`; it holds the
    /// password, so it is not for logs.
    pub fn admin_url(&self) -> String {
        let (user, database) = (server::ADMIN, server::DATABASE);
        let (password, port) = (&self.password, self.port);
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// Where the server writes what it has to say.
    pub fn log_file(&self) -> &Path {
        self.server.log_file()
    }

    /// Gives the share back, and stops the server where nobody else holds one.
    ///
    /// # Errors
    /// [`EmbeddedError`] where the server did not stop; the share is gone all the same.
    pub async fn release(mut self) -> Result<(), EmbeddedError> {
        tokio::task::spawn_blocking(move || self.release_now())
            .await
            .map_err(|_| EmbeddedError::Interrupted)?
    }

    fn release_now(&mut self) -> Result<(), EmbeddedError> {
        let Some(users) = self.users.take() else {
            return Ok(());
        };
        let start = alone(&self.server.folder().join("start.lock"))?;
        // Unlocked by name, not by closing: a child between fork and exec may hold a copy.
        users.unlock().map_err(io("unlock", self.server.folder()))?;
        let last = match users.try_lock() {
            Ok(()) => self.server.stop(),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(error)) => Err(io("lock", self.server.folder())(error)),
        };
        drop(start);
        last
    }
}

impl fmt::Debug for Cluster {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, port, .. } = self;
        f.debug_struct("Cluster")
            .field("server", server)
            .field("port", port)
            .finish_non_exhaustive()
    }
}

impl Drop for Cluster {
    /// Blocks while the server stops, so that a `?` never leaves one running.
    fn drop(&mut self) {
        // There is nobody to tell here; `release` is the way that tells.
        let _ = self.release_now();
    }
}

/// The data folder where no other is named: `/var/lib/rotunda` for root, else
/// `$XDG_DATA_HOME/rotunda` or `~/.local/share/rotunda`.
pub fn default_data_dir() -> PathBuf {
    if account::is_root() {
        return PathBuf::from("/var/lib/rotunda");
    }
    let named = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|at| at.is_absolute());
    let usual = || std::env::home_dir().map(|home| home.join(".local/share"));
    named
        .or_else(usual)
        .map_or_else(|| PathBuf::from(".rotunda"), |at| at.join("rotunda"))
}

/// Takes a lock that only one process holds at a time, waiting for [`PATIENCE`].
fn alone(path: &Path) -> Result<File, EmbeddedError> {
    let file = lock_file(path)?;
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(io("lock", path)(error)),
            Err(TryLockError::WouldBlock) if since.elapsed() > PATIENCE => {
                return Err(EmbeddedError::Busy {
                    lock: path.to_path_buf(),
                });
            }
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn lock_file(path: &Path) -> Result<File, EmbeddedError> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    options.open(path).map_err(io("open", path))
}

/// Reads a small text file; `None` where it does not exist.
fn read_if_there(path: &Path) -> Result<Option<String>, EmbeddedError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", path)(error)),
    }
}
