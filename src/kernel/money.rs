//! Money in minor units, rates as ratios, and splits that always add up.

use std::fmt;

use super::{AmountError, points::LARGEST};

/// A currency of ISO 4217.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The currency of a three-letter code.
    ///
    /// # Errors
    /// [`AmountError::UnknownCurrency`].
    pub fn from_code(code: &str) -> Result<Self, AmountError> {
        iso_currency::Currency::from_code(code)
            .map(Self)
            .ok_or(AmountError::UnknownCurrency)
    }

    /// The three letters.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimal places the currency has: CNY 2, JPY 0.
    pub fn places(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }

    /// Minor units in one whole unit: CNY 100, JPY 1.
    pub fn unit(self) -> i64 {
        10_i64.checked_pow(self.places()).unwrap_or(1)
    }
}

/// An amount of one currency in minor units; a settlement's net may be below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// Checks the range, ± 2^53 − 1 minor units.
    ///
    /// # Errors
    /// [`AmountError::Overflow`].
    pub fn new(minor: i64, currency: Currency) -> Result<Self, AmountError> {
        if minor.checked_abs().is_some_and(|size| size <= LARGEST) {
            Ok(Self { minor, currency })
        } else {
            Err(AmountError::Overflow)
        }
    }

    /// As [`Money::new`], and not below zero: a price, a receipt.
    ///
    /// # Errors
    /// [`AmountError::Negative`], [`AmountError::Overflow`].
    pub fn price(minor: i64, currency: Currency) -> Result<Self, AmountError> {
        if minor < 0 {
            Err(AmountError::Negative)
        } else {
            Self::new(minor, currency)
        }
    }

    /// Reads "12.50": digits, at most one point, at most the currency's places, no sign.
    ///
    /// # Errors
    /// [`AmountError::Malformed`], [`AmountError::Overflow`].
    pub fn parse(text: &str, currency: Currency) -> Result<Self, AmountError> {
        Self::price(parse_decimal(text, currency.places())?, currency)
    }

    /// No money.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// Minor units.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The sum.
    ///
    /// # Errors
    /// [`AmountError::Currency`], [`AmountError::Overflow`].
    pub fn plus(self, other: Self) -> Result<Self, AmountError> {
        if self.currency != other.currency {
            return Err(AmountError::Currency);
        }
        let minor = self
            .minor
            .checked_add(other.minor)
            .ok_or(AmountError::Overflow)?;
        Self::new(minor, self.currency)
    }

    /// The difference, possibly below zero.
    ///
    /// # Errors
    /// [`AmountError::Currency`], [`AmountError::Overflow`].
    pub fn minus(self, other: Self) -> Result<Self, AmountError> {
        self.plus(Self {
            minor: other.minor.checked_neg().ok_or(AmountError::Overflow)?,
            ..other
        })
    }
}

impl fmt::Display for Money {
    /// "12.50", without the currency.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&decimal(self.minor, self.currency.places()))
    }
}

/// Minor units as a decimal: `decimal(-5, 2)` is "-0.05".
pub fn decimal(minor: i64, places: u32) -> String {
    let unit = 10_u64.checked_pow(places).unwrap_or(1).max(1);
    let size = minor.unsigned_abs();
    let sign = if minor < 0 { "-" } else { "" };
    let (whole, part) = (
        size.checked_div(unit).unwrap_or(0),
        size.checked_rem(unit).unwrap_or(0),
    );
    if places == 0 {
        format!("{sign}{whole}")
    } else {
        format!(
            "{sign}{whole}.{part:0width$}",
            width = usize::try_from(places).unwrap_or(0)
        )
    }
}

/// The opposite of [`decimal`] for amounts without a sign.
///
/// # Errors
/// [`AmountError::Malformed`], [`AmountError::Overflow`].
pub fn parse_decimal(text: &str, places: u32) -> Result<i64, AmountError> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let places = usize::try_from(places).unwrap_or(0);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let dangling = text.ends_with('.');
    if whole.is_empty() || dangling || part.len() > places || !digits(whole) || !digits(part) {
        return Err(AmountError::Malformed);
    }
    let padded = format!("{whole}{part:0<places$}");
    padded.parse().map_err(|_| AmountError::Overflow)
}

/// An exact ratio `num / den`, both whole, `den` above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    num: i64,
    den: i64,
}

impl Rate {
    /// One to one.
    pub const ONE: Self = Self { num: 1, den: 1 };

    /// Checks that neither part is below zero and that `den` is above it.
    ///
    /// # Errors
    /// [`AmountError::Negative`].
    pub const fn new(num: i64, den: i64) -> Result<Self, AmountError> {
        if num < 0 || den <= 0 {
            Err(AmountError::Negative)
        } else {
            Ok(Self { num, den })
        }
    }

    /// Reads "1.5", up to six places.
    ///
    /// # Errors
    /// [`AmountError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        Self::new(parse_decimal(text, 6)?, 1_000_000)
    }

    /// The numerator.
    pub const fn num(self) -> i64 {
        self.num
    }

    /// The denominator.
    pub const fn den(self) -> i64 {
        self.den
    }

    /// `amount × num / den`, rounded down.
    ///
    /// # Errors
    /// [`AmountError::Overflow`].
    pub fn times_floor(self, amount: i64) -> Result<i64, AmountError> {
        ratio_floor(amount, self.num, self.den)
    }

    /// `amount × num / den`, rounded to the nearest, a half to the even neighbour.
    ///
    /// # Errors
    /// [`AmountError::Overflow`].
    pub fn times_half_even(self, amount: i64) -> Result<i64, AmountError> {
        let (product, den) = (wide(amount, self.num)?, i128::from(self.den));
        let floor = product
            .checked_div_euclid(den)
            .ok_or(AmountError::Overflow)?;
        let rest = product
            .checked_rem_euclid(den)
            .ok_or(AmountError::Overflow)?;
        let twice = rest.checked_mul(2).ok_or(AmountError::Overflow)?;
        let up = twice > den || (twice == den && floor & 1 == 1);
        let rounded = floor
            .checked_add(i128::from(up))
            .ok_or(AmountError::Overflow)?;
        narrow(rounded)
    }
}

/// `amount × num / den`, rounded down (towards minus infinity), without overflow in between.
///
/// # Errors
/// [`AmountError::Overflow`], also for a `den` of zero.
pub fn ratio_floor(amount: i64, num: i64, den: i64) -> Result<i64, AmountError> {
    let quotient = wide(amount, num)?.checked_div_euclid(i128::from(den));
    narrow(quotient.ok_or(AmountError::Overflow)?)
}

/// Splits `total` by `weights` so that the parts add up: each part is rounded down, and what is
/// left goes, a unit each, to the largest remainders (the earlier part first where two are equal).
/// All parts are zero where every weight is zero.
///
/// # Errors
/// [`AmountError::Negative`] for a total or weight below zero, [`AmountError::Overflow`].
///
/// Source: settlement.md, example N.
pub fn split(total: i64, weights: &[i64]) -> Result<Vec<i64>, AmountError> {
    if total < 0 || weights.iter().any(|weight| *weight < 0) {
        return Err(AmountError::Negative);
    }
    let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if sum == 0 {
        return Ok(vec![0; weights.len()]);
    }
    let mut parts = Vec::with_capacity(weights.len());
    let mut order = Vec::with_capacity(weights.len());
    let mut left = total;
    for (index, weight) in weights.iter().enumerate() {
        let product = wide(total, *weight)?;
        let part = narrow(product.checked_div(sum).ok_or(AmountError::Overflow)?)?;
        left = left.checked_sub(part).ok_or(AmountError::Overflow)?;
        order.push((
            product.checked_rem(sum).ok_or(AmountError::Overflow)?,
            index,
        ));
        parts.push(part);
    }
    order.sort_by(|one, two| two.0.cmp(&one.0).then(one.1.cmp(&two.1)));
    let lucky = usize::try_from(left).map_err(|_| AmountError::Overflow)?;
    for (_, index) in order.into_iter().take(lucky) {
        if let Some(part) = parts.get_mut(index) {
            *part = part.checked_add(1).ok_or(AmountError::Overflow)?;
        }
    }
    Ok(parts)
}

fn wide(one: i64, two: i64) -> Result<i128, AmountError> {
    i128::from(one)
        .checked_mul(i128::from(two))
        .ok_or(AmountError::Overflow)
}

fn narrow(wide: i128) -> Result<i64, AmountError> {
    i64::try_from(wide).map_err(|_| AmountError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_travel_both_ways_and_bad_ones_are_refused() {
        for (text, minor) in [("0", 0), ("12.5", 1250), ("12.50", 1250), ("0.05", 5)] {
            assert_eq!(parse_decimal(text, 2), Ok(minor));
        }
        for text in [
            "", ".5", "1.", "1.234", "-1", "+1", "1e3", " 1", "1,0", "１",
        ] {
            assert_eq!(
                parse_decimal(text, 2),
                Err(AmountError::Malformed),
                "{text}"
            );
        }
        assert_eq!(
            parse_decimal("99999999999999999999", 2),
            Err(AmountError::Overflow)
        );
        assert_eq!(decimal(-5, 2), "-0.05");
        assert_eq!(decimal(1250, 2), "12.50");
        assert_eq!(decimal(7, 0), "7");
    }

    #[test]
    fn example_n_splits_by_the_largest_remainder() {
        assert_eq!(split(999, &[333, 333, 334]), Ok(vec![333, 333, 333]));
        assert_eq!(split(1000, &[1, 1, 1]), Ok(vec![334, 333, 333]));
        assert_eq!(split(1, &[1, 1]), Ok(vec![1, 0]));
    }

    #[test]
    fn a_half_goes_to_the_even_neighbour_on_both_sides_of_zero() {
        let half = Rate::new(1, 2).unwrap();
        let rounded = [1, 3, 5, -1, -3].map(|amount| half.times_half_even(amount).unwrap());
        assert_eq!(rounded, [0, 2, 2, 0, -2]);
    }
}
