//! The code that fetches a good once. Pure.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::kernel::ids::Entropy;

/// Digits and capitals without 0, O, 1, I and L, which are read for one another.
const SIGNS: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";

/// How many of them: 31^7 codes, 27 thousand million.
const LENGTH: usize = 7;

/// A one-time code, shown as `K7M-2QXA`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClaimCode(String);

/// Text that is no such code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a code: expected seven letters and digits, such as K7M-2QXA")]
pub struct CodeError;

impl ClaimCode {
    /// A new code; whether it is free shows when it is written.
    pub(super) fn new(entropy: &Entropy) -> Self {
        let sign = |_| {
            let place = usize::try_from(entropy.below(31)).unwrap_or(0);
            SIGNS.get(place).map_or('2', |sign| char::from(*sign))
        };
        Self((0..LENGTH).map(sign).collect())
    }

    /// The seven signs, without the dash, as the table holds them.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClaimCode {
    type Err = CodeError;

    /// Reads a code as people type it: in either case, with dashes and spaces anywhere.
    fn from_str(text: &str) -> Result<Self, CodeError> {
        let kept: String = text
            .chars()
            .filter(|sign| !matches!(sign, '-' | ' '))
            .map(|sign| sign.to_ascii_uppercase())
            .take(LENGTH.saturating_add(1))
            .collect();
        let known = kept.bytes().all(|sign| SIGNS.contains(&sign));
        if kept.len() == LENGTH && known {
            Ok(Self(kept))
        } else {
            Err(CodeError)
        }
    }
}

impl fmt::Display for ClaimCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, tail) = self.0.split_at_checked(3).unwrap_or((&self.0, ""));
        write!(formatter, "{head}-{tail}")
    }
}

impl fmt::Debug for ClaimCode {
    /// Whoever has the code gets the good, so that no log line may show it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClaimCode(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed_and_never_logged() {
        let entropy = Entropy::seeded(7);
        let code = ClaimCode::new(&entropy);
        assert_ne!(code, ClaimCode::new(&entropy));
        let shown = code.to_string();
        assert_eq!(shown.len(), 8);
        for typed in [shown.clone(), shown.to_lowercase(), shown.replace('-', " ")] {
            assert_eq!(typed.parse(), Ok(code.clone()), "{typed}");
        }
        assert_eq!(format!("{code:?}"), "ClaimCode(***)");
    }

    #[test]
    fn what_cannot_be_a_code_is_refused() {
        for text in [
            "",
            "K7M-2QX",
            "K7M-2QXAB",
            "K0M-2QXA",
            "KOM-2QXA",
            "字字字字字字字",
        ] {
            assert_eq!(text.parse::<ClaimCode>(), Err(CodeError), "{text}");
        }
    }
}
