//! What points are to the accounts of whoever issued them, pure: the arithmetic of CAS 14 and
//! IFRS 15.
//!
//! A sale that earns points is two promises: the goods, and the points. Its price is shared out
//! between them by what each would cost alone ([`allocate`]); the points' share is deferred income
//! and becomes revenue as points are used, in the proportion of those used to all that are expected
//! to be ([`recognise`]). Points that another merchant takes are its revenue: the issuer owes it
//! money and keeps the difference as an agent does ([`by_others`]).
//!
//! Whole minor units and exact ratios; where a result is no whole number it goes to the nearest one,
//! a half to the even neighbour, and what is shared out always adds up.
//!
//! Source: settlement.md, section 4.

use crate::kernel::AmountError;

/// An exact ratio that is not below zero, in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    num: i128,
    den: i128,
}

impl Ratio {
    /// One to one: every point is expected to be used.
    pub const ONE: Self = Self { num: 1, den: 1 };

    /// `num / den`, `num` from zero on and `den` above it.
    ///
    /// # Errors
    /// [`AmountError::Negative`].
    pub fn new(num: i64, den: i64) -> Result<Self, AmountError> {
        Self::wide(num.into(), den.into())
    }

    fn wide(num: i128, den: i128) -> Result<Self, AmountError> {
        if num < 0 || den <= 0 {
            return Err(AmountError::Negative);
        }
        let common = common_divisor(num, den);
        let shortened = |part: i128| part.checked_div(common).ok_or(AmountError::Overflow);
        Ok(Self {
            num: shortened(num)?,
            den: shortened(den)?,
        })
    }

    /// How many points are expected to be used in all: those that were, and of those still open
    /// this part.
    ///
    /// # Errors
    /// [`AmountError::Negative`], [`AmountError::Overflow`].
    pub fn expected(self, used: i64, open: i64) -> Result<Self, AmountError> {
        let used = product(used.into(), self.den)?;
        let open = product(open.into(), self.num)?;
        Self::wide(
            used.checked_add(open).ok_or(AmountError::Overflow)?,
            self.den,
        )
    }
}

/// A sale's price, shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// For the goods: revenue at once.
    pub goods: i64,
    /// For the points: deferred income.
    pub points: i64,
}

/// A sale's price shared out by relative stand-alone prices: the goods' is `sales`, the points' is
/// what they are `worth`, all in minor units, times the part that is expected to be used. The points'
/// share goes to the nearest minor unit, the goods have the rest.
///
/// # Errors
/// [`AmountError::Negative`] below zero, [`AmountError::Overflow`].
///
/// Source: CAS 14, article 35; IFRS 15.B40 and 74.
pub fn allocate(sales: i64, worth: i64, expected: Ratio) -> Result<Allocation, AmountError> {
    if sales < 0 || worth < 0 {
        return Err(AmountError::Negative);
    }
    let alone = product(worth.into(), expected.num)?;
    let goods = product(sales.into(), expected.den)?;
    let both = goods.checked_add(alone).ok_or(AmountError::Overflow)?;
    let points = if both == 0 {
        0
    } else {
        nearest(product(sales.into(), alone)?, both)?
    };
    Ok(Allocation {
        goods: less(sales, points)?,
        points,
    })
}

/// The older method of what is left over: the points are deferred at all that they are worth, and
/// the goods have the rest.
///
/// # Errors
/// [`AmountError::Negative`] where the points are worth more than the sale.
pub fn residual(sales: i64, worth: i64) -> Result<Allocation, AmountError> {
    let goods = less(sales, worth)?;
    if goods < 0 || worth < 0 {
        return Err(AmountError::Negative);
    }
    Ok(Allocation {
        goods,
        points: worth,
    })
}

/// What becomes revenue now of `deferred` minor units, `so_far` of which did before: up to the part
/// that `used` points, counted from the first day, are of all that are expected to be used. Below
/// zero where points came back or the estimate rose. Where no more are expected, all of the rest.
///
/// # Errors
/// [`AmountError::Negative`] below zero, [`AmountError::Overflow`].
///
/// Source: CAS 14, article 39; IFRS 15.B46.
pub fn recognise(
    deferred: i64,
    used: i64,
    expected: Ratio,
    so_far: i64,
) -> Result<i64, AmountError> {
    if deferred < 0 || used < 0 {
        return Err(AmountError::Negative);
    }
    let due = if expected.num == 0 {
        deferred
    } else {
        let part = product(product(deferred.into(), used.into())?, expected.den)?;
        nearest(part, expected.num)?.min(deferred)
    };
    less(due, so_far)
}

/// Deferred income of points that another merchant took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agency {
    /// What the issuer owes to whoever took them.
    pub payable: i64,
    /// What the issuer keeps, as an agent; below zero where it pays more than it had deferred.
    pub commission: i64,
}

/// Splits `deferred` minor units of points that others took, for which `payable` is owed to them.
///
/// # Errors
/// [`AmountError::Overflow`].
///
/// Source: CAS 14, article 34; IFRS 15.B36.
pub fn by_others(deferred: i64, payable: i64) -> Result<Agency, AmountError> {
    Ok(Agency {
        payable,
        commission: less(deferred, payable)?,
    })
}

/// `amount × part / whole`, to the nearest, a half to the even neighbour; nothing of no whole.
///
/// # Errors
/// [`AmountError::Overflow`].
pub(super) fn share(amount: i64, part: i64, whole: i64) -> Result<i64, AmountError> {
    if whole <= 0 {
        return Ok(0);
    }
    nearest(product(amount.into(), part.into())?, whole.into())
}

pub(super) fn less(one: i64, two: i64) -> Result<i64, AmountError> {
    one.checked_sub(two).ok_or(AmountError::Overflow)
}

fn product(one: i128, two: i128) -> Result<i128, AmountError> {
    one.checked_mul(two).ok_or(AmountError::Overflow)
}

/// `num / den` with `den` above zero, to the nearest, a half to the even neighbour.
fn nearest(num: i128, den: i128) -> Result<i64, AmountError> {
    let floor = num.checked_div_euclid(den).ok_or(AmountError::Overflow)?;
    let rest = num.checked_rem_euclid(den).ok_or(AmountError::Overflow)?;
    let other = den.checked_sub(rest).ok_or(AmountError::Overflow)?;
    let up = rest > other || (rest == other && floor & 1 == 1);
    let rounded = floor.checked_add(i128::from(up));
    i64::try_from(rounded.ok_or(AmountError::Overflow)?).map_err(|_| AmountError::Overflow)
}

fn common_divisor(one: i128, two: i128) -> i128 {
    let (mut one, mut two) = (one, two);
    while let Some(rest) = one.checked_rem(two) {
        (one, two) = (two, rest);
    }
    one.max(1)
}

#[cfg(test)]
mod tests;
