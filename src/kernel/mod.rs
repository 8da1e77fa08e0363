//! Ground floor: values that are always valid once they exist.
//!
//! Nothing here knows a database, a door or another room. Time and randomness are values that
//! come in ([`time::Clock`], [`ids::Entropy`]), so that a test, an import and a till run the same
//! code.
#![deny(clippy::arithmetic_side_effects)]

pub mod ids;
pub mod key_text;
pub mod money;
pub mod page;
pub mod points;
pub mod sheet;
pub mod text;
pub mod time;
pub mod vault;

use thiserror::Error;

/// Why a number cannot be an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Below zero where only zero and more makes sense.
    #[error("the amount is below zero")]
    Negative,
    /// Beyond what the books can hold (2^53 − 1, so that JSON numbers stay exact).
    #[error("the amount is larger than the books can hold")]
    Overflow,
    /// Two currencies in one sum.
    #[error("the amounts are in different currencies")]
    Currency,
    /// Not a currency code of ISO 4217.
    #[error("not a currency code of ISO 4217")]
    UnknownCurrency,
    /// A decimal that does not fit the currency's places.
    #[error("not an amount with at most the currency's decimal places")]
    Malformed,
}
