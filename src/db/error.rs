//! What can go wrong between us and PostgreSQL, sorted by what the caller can do.

use sqlx::error::DatabaseError;
use thiserror::Error;

/// An error of the database.
#[derive(Debug, Error)]
pub enum Error {
    /// It cannot be reached, is starting, is out of connections or room, or does not know how a
    /// commit ended: the same request may be sent again later, under the same idempotency key.
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
    /// What the caller remembers of the mall's settings was changed since.
    #[error("the mall's settings were changed meanwhile")]
    Stale,
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
            Self::Unavailable(_) | Self::Retry(_) | Self::Barred(_) | Self::Moving | Self::Stale
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

    /// Whether PostgreSQL refused with this SQLSTATE.
    pub(super) fn is_state(&self, wanted: &str) -> bool {
        let Self::Other(source) = self else {
            return false;
        };
        let state = source.as_database_error().and_then(DatabaseError::code);
        state.as_deref() == Some(wanted)
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
                match state.as_str() {
                    "40001" | "40P01" | "55P03" | "0A000" => Self::Retry(error),
                    "42501" | "42P01" => Self::Barred(error),
                    state if ["08", "53", "57"].contains(&state.get(..2).unwrap_or_default()) => {
                        Self::Unavailable(error)
                    }
                    // Citus does not say how a commit ended on one of its nodes: who asks again
                    // under the same key hears it.
                    "XX000" if said.message().contains("could not commit transaction") => {
                        Self::Unavailable(error)
                    }
                    state if state.starts_with("23") => match constraint(said.as_ref()) {
                        Some(name) => Self::Constraint {
                            name,
                            source: error,
                        },
                        // Somebody else wrote it first, whatever it is: run again, the
                        // transaction looks before it writes, and finds it there.
                        None if state == "23505" => Self::Retry(error),
                        None => Self::Other(error),
                    },
                    _ => Self::Other(error),
                }
            }
            _ => Self::Other(error),
        }
    }
}

/// The constraint that refused. Through Citus the field that says it may be empty (scale.md, R10);
/// then it is what the message names: `… constraint "purchase_store_receipt_key_102008"`.
fn constraint(said: &dyn DatabaseError) -> Option<String> {
    let named = said.constraint().or_else(|| {
        let (_, rest) = said.message().split_once(" constraint \"")?;
        rest.split_once('"').map(|(name, _)| name)
    });
    named.map(portable)
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

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, error::Error as StdError, fmt};

    use sqlx::error::ErrorKind;

    use super::*;

    /// What a server says that may leave things out.
    #[derive(Debug, Clone, Copy)]
    struct Said {
        state: &'static str,
        message: &'static str,
        constraint: Option<&'static str>,
    }

    impl fmt::Display for Said {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.message)
        }
    }

    impl StdError for Said {}

    impl DatabaseError for Said {
        fn message(&self) -> &str {
            self.message
        }
        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.state.into())
        }
        fn constraint(&self) -> Option<&str> {
            self.constraint
        }
        fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
            self
        }
        fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
            self
        }
        fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
            self
        }
        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    fn error(state: &'static str, message: &'static str, field: Option<&'static str>) -> Error {
        Error::from(sqlx::Error::Database(Box::new(Said {
            state,
            message,
            constraint: field,
        })))
    }

    #[test]
    fn a_constraint_is_known_by_its_field_or_by_the_message_and_without_a_shard() {
        let unique = "duplicate key value violates unique constraint \"member_card_key\"";
        let shard = "duplicate key value violates unique constraint \"member_card_key_102008\"";
        let check = "new row for relation \"wallet_102009\" violates check constraint \
                     \"wallet_available_check\"";
        for (state, message, field, name) in [
            ("23505", unique, Some("member_card_key"), "member_card_key"),
            ("23505", unique, None, "member_card_key"),
            (
                "23505",
                shard,
                Some("member_card_key_102008"),
                "member_card_key",
            ),
            ("23505", shard, None, "member_card_key"),
            ("23514", check, None, "wallet_available_check"),
        ] {
            let found = error(state, message, field);
            assert!(found.is_constraint(name), "{message}: {found:?}");
        }
    }

    #[test]
    fn without_any_name_the_state_decides() {
        let lost = error("23505", "a row with this key exists", None);
        assert!(matches!(lost, Error::Retry(_)), "{lost:?}");
        for (state, message) in [
            (
                "23502",
                "null value in column \"a\" violates not-null constraint",
            ),
            ("23514", "a check refuses this"),
            ("XX000", "cache lookup failed"),
        ] {
            let found = error(state, message, None);
            assert!(matches!(found, Error::Other(_)), "{found:?}");
        }
    }

    #[test]
    fn what_may_go_better_later_is_told_from_what_never_will() {
        for state in ["40001", "40P01", "55P03", "0A000"] {
            assert!(matches!(error(state, "", None), Error::Retry(_)), "{state}");
        }
        for state in ["08006", "53100", "53300", "57014", "57P01", "57P03"] {
            let found = error(state, "", None);
            assert!(matches!(found, Error::Unavailable(_)), "{found:?}");
        }
        let commit = "could not commit transaction on node 10.0.0.2:5432";
        let found = error("XX000", commit, None);
        assert!(matches!(found, Error::Unavailable(_)), "{found:?}");
        assert!(matches!(error("22P02", "", None), Error::Other(_)));
    }
}
