//! How a command ends.

use std::{fmt, process::ExitCode};

use crate::{
    app::{MallError, OpenError, joining::JoinError},
    authz::policy::Denied,
    config::ConfigError,
    db,
    http::problem::chain,
    identity::{IdentityError, staff::StaffError},
    merchants::onboarding::OnboardingError,
    telemetry::TelemetryError,
};

/// The exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It was done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// It was asked for wrongly.
    Usage = 2,
    /// What it is about does not exist.
    NotFound = 3,
    /// The rules do not allow it.
    Refused = 4,
    /// The database cannot be reached.
    Unavailable = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotFound => 3,
            Exit::Refused => 4,
            Exit::Unavailable => 5,
        })
    }
}

/// Why a command did not do what it was asked: a status and a sentence.
#[derive(Debug)]
pub struct Failure {
    /// The exit status.
    pub exit: Exit,
    message: String,
}

impl Failure {
    /// With a sentence of its own.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    /// An error that has no status of its own.
    pub fn other(error: impl std::error::Error + 'static) -> Self {
        Self::new(Exit::Failed, chain(&error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Usage, error.to_string())
    }
}

impl From<TelemetryError> for Failure {
    fn from(error: TelemetryError) -> Self {
        Self::new(Exit::Usage, error.to_string())
    }
}

impl From<db::error::Error> for Failure {
    fn from(error: db::error::Error) -> Self {
        let exit = match &error {
            db::error::Error::Unavailable(_)
            | db::error::Error::Retry(_)
            | db::error::Error::Moving
            | db::error::Error::Stale => Exit::Unavailable,
            _ => Exit::Failed,
        };
        Self::new(exit, chain(&error))
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Db(error) => error.into(),
            OpenError::Mail(error) => Self::new(Exit::Usage, error.to_string()),
            OpenError::Cluster(error) => Self::new(Exit::Unavailable, chain(&error)),
            other => Self::other(other),
        }
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        Self::new(Exit::Refused, denied.to_string())
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        let exit = match &error {
            IdentityError::UnknownKey | IdentityError::NoSuchKey | IdentityError::OutOfReach => {
                Exit::NotFound
            }
            IdentityError::UnsuitableRole
            | IdentityError::MerchantMissing
            | IdentityError::MerchantUnasked
            | IdentityError::CannotNarrow
            | IdentityError::BeyondOwn(_) => Exit::Refused,
            IdentityError::Policy(_) => Exit::Failed,
            IdentityError::Db(_) => {
                let IdentityError::Db(error) = error else {
                    return Self::other(error);
                };
                return error.into();
            }
        };
        Self::new(exit, error.to_string())
    }
}

impl From<StaffError> for Failure {
    fn from(error: StaffError) -> Self {
        let exit = match error {
            StaffError::Db(error) => return error.into(),
            StaffError::NotFound => Exit::NotFound,
            _ => Exit::Refused,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<OnboardingError> for Failure {
    fn from(error: OnboardingError) -> Self {
        let exit = match error {
            OnboardingError::Db(error) => return error.into(),
            OnboardingError::NotFound | OnboardingError::NoSuchFile => Exit::NotFound,
            _ => Exit::Refused,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Onboarding(error) => error.into(),
            JoinError::Staff(error) => error.into(),
            JoinError::Denied(error) => error.into(),
            JoinError::Person(error) => Self::new(Exit::Refused, error.to_string()),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<db::error::Error>() {
            Ok(error) => error.into(),
            Err(error) => Self::new(Exit::Failed, format!("{error:#}")),
        }
    }
}

impl From<MallError> for Failure {
    fn from(error: MallError) -> Self {
        match error {
            MallError::Db(error) => error.into(),
            MallError::Unknown(_) => Self::new(Exit::NotFound, error.to_string()),
            MallError::Denied(_) => Self::new(Exit::Refused, error.to_string()),
            MallError::Programme(_) => Self::new(Exit::Failed, error.to_string()),
        }
    }
}
