//! Points: whole, never below zero, checked.

use super::AmountError;

/// The largest amount that any JSON reader keeps exact: 2^53 − 1.
pub const LARGEST: i64 = (1 << 53) - 1;

/// A number of points, from 0 to [`LARGEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Points(i64);

impl Points {
    /// No points.
    pub const ZERO: Self = Self(0);

    /// Checks the range.
    ///
    /// # Errors
    /// [`AmountError::Negative`] and [`AmountError::Overflow`].
    pub const fn new(points: i64) -> Result<Self, AmountError> {
        match points {
            ..0 => Err(AmountError::Negative),
            0..=LARGEST => Ok(Self(points)),
            _ => Err(AmountError::Overflow),
        }
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether there are none.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum.
    ///
    /// # Errors
    /// [`AmountError::Overflow`].
    pub fn plus(self, other: Self) -> Result<Self, AmountError> {
        self.0
            .checked_add(other.0)
            .ok_or(AmountError::Overflow)
            .and_then(Self::new)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`AmountError::Negative`] where `other` is more.
    pub fn minus(self, other: Self) -> Result<Self, AmountError> {
        self.0
            .checked_sub(other.0)
            .ok_or(AmountError::Overflow)
            .and_then(Self::new)
    }
}
