//! The closed sets of words about people.

use std::str::FromStr;

use thiserror::Error;

/// How pages look to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// As the device says.
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A word that is none of a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not one of the words that it may be")]
pub struct WordError;

impl FromStr for Theme {
    type Err = WordError;
    fn from_str(text: &str) -> Result<Self, WordError> {
        let found = Self::ALL.into_iter().find(|theme| theme.as_str() == text);
        found.ok_or(WordError)
    }
}

/// How far somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Asked to come; opens nothing.
    Invited,
    /// May sign in.
    Active,
    /// Opens nothing any more.
    Ended,
}

impl State {
    const ALL: [Self; 3] = [Self::Invited, Self::Active, Self::Ended];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Ended => "ended",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}
