//! What points take off a receipt, and how long a reserved good waits. Pure; `programme.rs` reads
//! the terms.
#![deny(clippy::arithmetic_side_effects)]

use std::{fmt, str::FromStr};

use chrono::TimeDelta;
use thiserror::Error;

use super::SpendError;
use crate::kernel::{
    AmountError,
    money::{Currency, Money, Rate, ratio_floor},
    points::LARGEST,
    time::Instant,
};

/// How points pay: by a ratio, or in blocks from a threshold on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// So many points take so much off, up to a share of the total.
    Ratio,
    /// From so much spent, a block of points takes a fixed amount off.
    Threshold,
}

/// A word that is no form of spending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a form of spending: expected ratio or threshold")]
pub struct FormError;

impl Form {
    /// The word: "ratio" or "threshold".
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Threshold => "threshold",
        }
    }
}

impl FromStr for Form {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        [Self::Ratio, Self::Threshold]
            .into_iter()
            .find(|form| form.as_str() == text)
            .ok_or(FormError)
    }
}

/// How many points a till asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// These, or none.
    Exactly(i64),
    /// These, as far as the balance and the limits reach; nothing is an answer too.
    UpTo(i64),
}

impl Wanted {
    /// The number.
    pub const fn points(self) -> i64 {
        match self {
            Self::Exactly(points) | Self::UpTo(points) => points,
        }
    }
}

/// A mall's terms of spending points and of exchanging them for goods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    pub(super) currency: Currency,
    pub(super) ratio: Option<Ratio>,
    pub(super) threshold: Option<Threshold>,
    pub(super) reserve_minutes: i64,
}

/// `points` take `worth` off, and pay at most `most_share` of a total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ratio {
    pub(super) points: i64,
    pub(super) worth: i64,
    pub(super) most_share: Rate,
    pub(super) least_points: i64,
}

/// From `from` spent, `points` take `off` off, once or per each full `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Threshold {
    pub(super) from: i64,
    pub(super) points: i64,
    pub(super) off: i64,
    pub(super) each: bool,
}

/// Why a quote is what it is; each reads as a line beneath it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explanation {
    /// The ratio that applies.
    Ratio {
        /// So many points
        points: i64,
        /// take so much off.
        worth: Money,
    },
    /// The share of the total that points may pay set the limit.
    Share {
        /// What points pay at most.
        most: Money,
        /// Of which total.
        total: Money,
    },
    /// The member's balance set the limit.
    Balance {
        /// What the member can spend.
        points: i64,
    },
    /// Fewer points than that are not taken.
    Least {
        /// The fewest that may be spent at once.
        points: i64,
    },
    /// The threshold that applies.
    Threshold {
        /// So many points
        points: i64,
        /// take so much off
        off: Money,
        /// from this total on.
        from: Money,
        /// Whether once per each full `from`.
        each: bool,
    },
    /// The total is below the threshold.
    Below {
        /// From here on points pay.
        from: Money,
    },
}

impl fmt::Display for Explanation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio { points, worth } => write!(formatter, "{points} points take {worth} off"),
            Self::Share { most, total } => {
                write!(formatter, "points pay at most {most} of {total}")
            }
            Self::Balance { points } => write!(formatter, "the member has {points} points"),
            Self::Least { points } => {
                write!(formatter, "fewer than {points} points are not taken")
            }
            Self::Threshold {
                points,
                off,
                from,
                each: false,
            } => write!(
                formatter,
                "from {from} spent, {points} points take {off} off"
            ),
            Self::Threshold {
                points,
                off,
                from,
                each: true,
            } => write!(
                formatter,
                "{points} points take {off} off for each full {from} spent"
            ),
            Self::Below { from } => write!(formatter, "points pay from {from} spent"),
        }
    }
}

/// What points would take off a receipt; amounts in minor units of the mall's currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// How the points would pay.
    pub form: Form,
    /// How many points would be taken.
    pub points: i64,
    /// What they would take off.
    pub pays: i64,
    /// What would be left to pay in money.
    pub to_pay: i64,
    /// The most points that this total admits, whatever the member has.
    pub most_points: i64,
    /// Why, line by line.
    pub explanation: Vec<Explanation>,
}

/// Points that are to be taken, and what they take off, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) points: i64,
    pub(super) pays: i64,
}

impl Taken {
    const NOTHING: Self = Self { points: 0, pays: 0 };
}

impl Terms {
    /// Which form applies: the one that was asked for, else the ratio, else the threshold.
    ///
    /// # Errors
    /// [`SpendError::FormNotOffered`].
    pub fn form(&self, asked: Option<Form>) -> Result<Form, SpendError> {
        let offered = match (asked, self.ratio, self.threshold) {
            (None | Some(Form::Ratio), Some(_), _) => Some(Form::Ratio),
            (None, None, Some(_)) | (Some(Form::Threshold), _, Some(_)) => Some(Form::Threshold),
            _ => None,
        };
        offered.ok_or(SpendError::FormNotOffered)
    }

    /// The moment at which what is reserved at `from` lapses.
    pub fn lapses_at(&self, from: Instant) -> Instant {
        TimeDelta::try_minutes(self.reserve_minutes)
            .and_then(|wait| from.checked_add_signed(wait))
            .unwrap_or(from)
    }

    /// The fewest points that take `money` (minor units) off by the ratio, whatever the limits;
    /// where no number takes just that, the fewest of those that take the most below it.
    ///
    /// # Errors
    /// [`SpendError::FormNotOffered`] without a ratio, [`SpendError::Amount`].
    pub fn points_for(&self, money: i64) -> Result<i64, SpendError> {
        let ratio = self.ratio.ok_or(SpendError::FormNotOffered)?;
        Ok(ratio.points_for(check(money)?)?)
    }

    /// What points would take off a receipt of `total` (minor units) for a member who can spend
    /// `balance` points, with no more than `wanted`. No more points are taken than what they take
    /// off needs.
    ///
    /// # Errors
    /// [`SpendError::FormNotOffered`]; [`SpendError::Amount`] for a total or a number of points
    /// below zero or beyond the books.
    ///
    /// Source: vectors.md, V11, V12, V14.
    pub fn quote(
        &self,
        form: Option<Form>,
        total: i64,
        balance: i64,
        wanted: Option<i64>,
    ) -> Result<Quote, SpendError> {
        let (total, balance) = (check(total)?, check(balance)?);
        let wanted = wanted.map_or(Ok(LARGEST), check)?;
        let form = self.form(form)?;
        let (most_points, taken, explanation) = match (form, self.ratio, self.threshold) {
            (Form::Ratio, Some(ratio), _) => ratio.quote(self.currency, total, balance, wanted)?,
            (Form::Threshold, _, Some(threshold)) => {
                threshold.quote(self.currency, total, balance, wanted)?
            }
            _ => return Err(SpendError::FormNotOffered),
        };
        let to_pay = total
            .checked_sub(taken.pays)
            .ok_or(AmountError::Overflow)?
            .max(0);
        Ok(Quote {
            form,
            points: taken.points,
            pays: taken.pays,
            to_pay,
            most_points,
            explanation,
        })
    }

    /// What is taken at the till from a member who can spend `available` points.
    ///
    /// # Errors
    /// Every refusal that lies in the terms and in the balance.
    pub(super) fn take(
        &self,
        form: Option<Form>,
        total: i64,
        available: i64,
        wanted: Wanted,
    ) -> Result<Taken, SpendError> {
        let points = check(wanted.points())?;
        if let Wanted::UpTo(points) = wanted {
            let quote = self.quote(form, total, available, Some(points))?;
            return Ok(Taken {
                points: quote.points,
                pays: quote.pays,
            });
        }
        let total = check(total)?;
        let taken = match (self.form(form)?, self.ratio, self.threshold) {
            (Form::Ratio, Some(ratio), _) => ratio.exactly(total, points)?,
            (Form::Threshold, _, Some(threshold)) => {
                threshold.exactly(self.currency, total, points)?
            }
            _ => return Err(SpendError::FormNotOffered),
        };
        enough(available, points)?;
        Ok(taken)
    }

    /// What is taken where the limits of the total are waived: for receipts of the past, whose
    /// totals nobody knows any more.
    ///
    /// # Errors
    /// [`SpendError::FormNotOffered`] without a ratio, [`SpendError::NotEnoughPoints`],
    /// [`SpendError::Amount`].
    pub(super) fn take_without_limits(
        &self,
        available: i64,
        wanted: Wanted,
    ) -> Result<Taken, SpendError> {
        let ratio = self.ratio.ok_or(SpendError::FormNotOffered)?;
        let asked = check(wanted.points())?;
        let points = match wanted {
            Wanted::UpTo(_) => asked.min(available),
            Wanted::Exactly(_) => {
                if asked == 0 {
                    return Err(SpendError::TooFewPoints { least: 1 });
                }
                enough(available, asked)?;
                asked
            }
        };
        Ok(Taken {
            points,
            pays: ratio.money(points)?,
        })
    }
}

fn enough(available: i64, wanted: i64) -> Result<(), SpendError> {
    if wanted > available {
        Err(SpendError::NotEnoughPoints { available, wanted })
    } else {
        Ok(())
    }
}

/// The amount, where the books can hold it.
fn check(amount: i64) -> Result<i64, AmountError> {
    match amount {
        ..0 => Err(AmountError::Negative),
        0..=LARGEST => Ok(amount),
        _ => Err(AmountError::Overflow),
    }
}

/// `amount × num / den`, rounded up, for amounts from zero on.
fn ratio_ceil(amount: i64, num: i64, den: i64) -> Result<i64, AmountError> {
    let below = amount.checked_neg().ok_or(AmountError::Overflow)?;
    ratio_floor(below, num, den)?
        .checked_neg()
        .ok_or(AmountError::Overflow)
}

type Quoted = (i64, Taken, Vec<Explanation>);

impl Ratio {
    /// What that many points take off, rounded down.
    fn money(&self, points: i64) -> Result<i64, AmountError> {
        ratio_floor(points, self.worth, self.points)
    }

    /// The fewest points that take off as much as is possible up to `money`.
    fn points_for(&self, money: i64) -> Result<i64, AmountError> {
        // Most points: the largest n with n × worth / points < money + 1.
        let above = money.checked_add(1).ok_or(AmountError::Overflow)?;
        let most = ratio_ceil(above, self.points, self.worth)?
            .checked_sub(1)
            .ok_or(AmountError::Overflow)?;
        ratio_ceil(self.money(most)?, self.points, self.worth)
    }

    /// The fewest points that may be spent at once: those that take at least one minor unit off.
    fn least(&self) -> Result<i64, AmountError> {
        Ok(ratio_ceil(1, self.points, self.worth)?.max(self.least_points))
    }

    fn quote(
        &self,
        currency: Currency,
        total: i64,
        balance: i64,
        wanted: i64,
    ) -> Result<Quoted, SpendError> {
        let share = self.most_share.times_floor(total)?;
        let (most, least) = (self.points_for(share)?, self.least()?);
        let money = |minor| Money::price(minor, currency);
        let mut why = vec![Explanation::Ratio {
            points: self.points,
            worth: money(self.worth)?,
        }];
        let allowed = most.min(balance).min(wanted);
        if allowed < wanted {
            why.push(if most <= balance {
                Explanation::Share {
                    most: money(share)?,
                    total: money(total)?,
                }
            } else {
                Explanation::Balance { points: balance }
            });
        }
        if allowed < least {
            why.push(Explanation::Least { points: least });
            return Ok((most, Taken::NOTHING, why));
        }
        let pays = self.money(allowed)?;
        // Points that take nothing more off stay with the member, except below the least.
        let points = self.points_for(pays)?.max(least);
        Ok((most, Taken { points, pays }, why))
    }

    fn exactly(&self, total: i64, points: i64) -> Result<Taken, SpendError> {
        let least = self.least()?;
        if points < least {
            return Err(SpendError::TooFewPoints { least });
        }
        let most = self.points_for(self.most_share.times_floor(total)?)?;
        if points > most {
            return Err(SpendError::OverTheLimit { most });
        }
        let pays = self.money(points)?;
        Ok(Taken { points, pays })
    }
}

impl Threshold {
    /// How many blocks a total admits.
    fn blocks(&self, total: i64) -> i64 {
        let full = total.checked_div(self.from).unwrap_or(0);
        if self.each { full } else { full.min(1) }
    }

    fn taken(&self, blocks: i64) -> Result<Taken, AmountError> {
        let times = |size: i64| size.checked_mul(blocks).ok_or(AmountError::Overflow);
        Ok(Taken {
            points: times(self.points)?,
            pays: times(self.off)?,
        })
    }

    fn quote(
        &self,
        currency: Currency,
        total: i64,
        balance: i64,
        wanted: i64,
    ) -> Result<Quoted, SpendError> {
        let money = |minor| Money::price(minor, currency);
        let most = self.blocks(total);
        let mut why = vec![Explanation::Threshold {
            points: self.points,
            off: money(self.off)?,
            from: money(self.from)?,
            each: self.each,
        }];
        if most == 0 {
            why.push(Explanation::Below {
                from: money(self.from)?,
            });
        }
        let affordable = balance.checked_div(self.points).unwrap_or(0);
        let asked = wanted.checked_div(self.points).unwrap_or(0);
        let blocks = most.min(affordable).min(asked);
        if blocks < most.min(asked) {
            why.push(Explanation::Balance { points: balance });
        }
        let most_points = self.taken(most)?.points;
        Ok((most_points, self.taken(blocks)?, why))
    }

    fn exactly(&self, currency: Currency, total: i64, points: i64) -> Result<Taken, SpendError> {
        let most = self.blocks(total);
        if most == 0 {
            let from = Money::price(self.from, currency)?;
            return Err(SpendError::BelowThreshold { from });
        }
        let blocks = points.checked_div(self.points).unwrap_or(0);
        let taken = self.taken(blocks)?;
        if blocks == 0 || taken.points != points {
            return Err(SpendError::NotInBlocks { block: self.points });
        }
        if blocks > most {
            let most = self.taken(most)?.points;
            return Err(SpendError::OverTheLimit { most });
        }
        Ok(taken)
    }
}
