//! A private cluster in a data folder.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why there is no private cluster.
#[derive(Debug, Error)]
#[error("this build has no private cluster: set DATABASE_URL")]
pub struct EmbeddedError;

/// A private PostgreSQL cluster, shared by every process that uses its folder.
#[derive(Debug)]
pub struct Cluster {}

impl Cluster {
    /// Starts or joins the cluster of a folder.
    ///
    /// # Errors
    /// [`EmbeddedError`].
    #[expect(clippy::unused_async, reason = "the real one waits for the server")]
    pub async fn share(_data_dir: &Path) -> Result<Self, EmbeddedError> {
        Err(EmbeddedError)
    }

    /// The owner's login.
    pub fn admin_url(&self) -> String {
        String::new()
    }

    /// Gives the share back.
    ///
    /// # Errors
    /// [`EmbeddedError`].
    #[expect(clippy::unused_async, reason = "the real one waits for the server")]
    pub async fn release(self) -> Result<(), EmbeddedError> {
        Ok(())
    }
}

/// The data folder where no other is named.
pub fn default_data_dir() -> PathBuf {
    std::env::home_dir().map_or_else(
        || PathBuf::from(".rotunda"),
        |home| home.join(".local/share/rotunda"),
    )
}
