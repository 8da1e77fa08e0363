//! From each room's errors to the table: one `impl` a room, one arm a refusal.

use super::{codes, problem::Problem};
use crate::identity::IdentityError;

impl From<IdentityError> for Problem {
    fn from(error: IdentityError) -> Self {
        let kind = match &error {
            IdentityError::UnknownKey => &codes::UNKNOWN_KEY,
            IdentityError::NoSuchKey => &codes::NO_SUCH_KEY,
            IdentityError::UnsuitableRole => &codes::UNSUITABLE_ROLE,
            IdentityError::MerchantMissing => &codes::MERCHANT_MISSING,
            IdentityError::MerchantUnasked => &codes::MERCHANT_UNASKED,
            IdentityError::OutOfReach => &codes::UNKNOWN_MERCHANT,
            IdentityError::Db(error) => return Self::from(error),
        };
        Self::new(kind, sentence(&error))
    }
}

/// A room's message as a sentence: a capital first, a full stop last.
fn sentence(error: &dyn std::error::Error) -> String {
    let said = error.to_string();
    let mut letters = said.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), letters.as_str())
    })
}
