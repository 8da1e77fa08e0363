//! What a merchant or a store does in the alliance. Pure.

use std::str::FromStr;

use thiserror::Error;

/// Whether points are given, taken, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alliance {
    /// Gives points and takes none.
    Earn,
    /// Takes points and gives none.
    Spend,
    /// Gives and takes.
    Both,
}

/// A word that is no role in the alliance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a role in the alliance: expected earn, spend or both")]
pub struct AllianceError;

impl Alliance {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Earn, Self::Spend, Self::Both];

    /// From its two halves; none where neither holds.
    pub const fn of(earns: bool, spends: bool) -> Option<Self> {
        match (earns, spends) {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::Earn),
            (false, true) => Some(Self::Spend),
            (false, false) => None,
        }
    }

    /// The word: "earn", "spend" or "both".
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Earn => "earn",
            Self::Spend => "spend",
            Self::Both => "both",
        }
    }

    /// Whether points are given.
    pub const fn earns(self) -> bool {
        matches!(self, Self::Earn | Self::Both)
    }

    /// Whether points are taken.
    pub const fn spends(self) -> bool {
        matches!(self, Self::Spend | Self::Both)
    }

    /// Whether this is no more than `wider`.
    pub const fn within(self, wider: Self) -> bool {
        (wider.earns() || !self.earns()) && (wider.spends() || !self.spends())
    }
}

impl FromStr for Alliance {
    type Err = AllianceError;

    fn from_str(text: &str) -> Result<Self, AllianceError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(AllianceError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_its_two_halves_and_its_word() {
        for role in Alliance::ALL {
            assert_eq!(Alliance::of(role.earns(), role.spends()), Some(role));
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!(Alliance::of(false, false), None);
        for word in ["", "Earn", "earn ", "all"] {
            assert_eq!(word.parse::<Alliance>(), Err(AllianceError), "{word}");
        }
    }

    #[test]
    fn both_is_wider_than_either_and_neither_holds_the_other() {
        assert!(Alliance::Earn.within(Alliance::Both) && Alliance::Spend.within(Alliance::Both));
        assert!(!Alliance::Both.within(Alliance::Earn) && !Alliance::Both.within(Alliance::Spend));
        assert!(!Alliance::Earn.within(Alliance::Spend) && Alliance::Earn.within(Alliance::Earn));
    }
}
