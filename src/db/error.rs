//! What can go wrong between us and PostgreSQL, sorted by what the caller can do.

use sqlx::error::DatabaseError;
use thiserror::Error;

/// An error of the database.
#[derive(Debug, Error)]
pub enum Error {
    /// It cannot be reached, is starting, or is out of connections: the same request may be sent
    /// again later, under the same idempotency key.
    #[error("the database cannot be reached")]
    Unavailable(#[source] sqlx::Error),
    /// Somebody else was faster, or waited too long: the transaction may run again at once.
    #[error("the database asks to try again")]
    Retry(#[source] sqlx::Error),
    /// A named constraint said no.
    #[error("the constraint {name} refuses this")]
    Constraint {
        /// The constraint's name.
        name: String,
        /// What PostgreSQL said.
        #[source]
        source: sqlx::Error,
    },
    /// What the statement names is not there for this login. In a mall's transaction that means that
    /// the mall was closed in the middle of it, because it moves: the next transaction finds it
    /// where it is.
    #[error("the database shows nothing of this")]
    Barred(#[source] sqlx::Error),
    /// The mall is on its way from one database to another: the same request may be sent again
    /// later, under the same idempotency key.
    #[error("the mall is being moved to another database")]
    Moving,
    /// The registry puts a mall on a database target that the settings do not name.
    #[error("the settings name no database target {0}")]
    UnknownTarget(String),
    /// A grant for the registry where one for a mall was needed, or the other way round.
    #[error("this grant names no mall")]
    NoTenant,
    /// A row that our own constructors refuse.
    #[error("the stored {0} cannot be read")]
    Corrupt(&'static str),
    /// Something that should not happen.
    #[error("the database refuses this")]
    Other(#[source] sqlx::Error),
}

impl Error {
    /// Whether it may go better without anything being changed about it.
    pub fn passes(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Retry(_) | Self::Barred(_) | Self::Moving
        )
    }

    /// Whether a lock or a statement took longer than this login waits: tried again at once, it
    /// would take as long again.
    pub fn is_timeout(&self) -> bool {
        let (Self::Unavailable(source) | Self::Retry(source)) = self else {
            return false;
        };
        let state = source.as_database_error().and_then(DatabaseError::code);
        matches!(state.as_deref(), Some("55P03" | "57014"))
    }

    /// Whether this constraint refused.
    pub fn is_constraint(&self, wanted: &str) -> bool {
        matches!(self, Self::Constraint { name, .. } if name == wanted)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(error),
            sqlx::Error::Database(said) => {
                let state = said.code().unwrap_or_default().into_owned();
                let constraint = said.constraint().map(portable);
                match (state.as_str(), constraint) {
                    ("40001" | "40P01" | "55P03" | "0A000", _) => Self::Retry(error),
                    ("42501" | "42P01", _) => Self::Barred(error),
                    ("57014", _) => Self::Unavailable(error),
                    (state, _)
                        if ["08", "53", "57"]
                            .iter()
                            .any(|class| state.starts_with(class)) =>
                    {
                        Self::Unavailable(error)
                    }
                    (state, Some(name)) if state.starts_with("23") => Self::Constraint {
                        name,
                        source: error,
                    },
                    _ => Self::Other(error),
                }
            }
            _ => Self::Other(error),
        }
    }
}

/// A constraint's name without the shard number that Citus appends (scale.md, R10).
fn portable(name: &str) -> String {
    match name.rsplit_once('_') {
        Some((head, tail)) if tail.len() >= 5 && tail.bytes().all(|byte| byte.is_ascii_digit()) => {
            head.to_owned()
        }
        _ => name.to_owned(),
    }
}
