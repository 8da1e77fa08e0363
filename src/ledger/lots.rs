//! Lots, pure: in which order they are used, and what a part of one is worth.

use std::cmp::Ordering;

use crate::kernel::{
    AmountError,
    ids::{JournalId, LotId, MemberId, MerchantId, StoreId},
    money::ratio_floor,
    time::Instant,
};

/// Points of one grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lot {
    /// Its id.
    pub id: LotId,
    /// Whose points.
    pub member: MemberId,
    /// Who issued them, and
    pub merchant: MerchantId,
    /// in which store.
    pub store: StoreId,
    /// The event that granted them.
    pub cause: JournalId,
    /// How many were granted.
    pub points: i64,
    /// How many are left to spend.
    pub remaining: i64,
    /// How many lapsed.
    pub expired: i64,
    /// How many were taken back from what was left.
    pub clawed: i64,
    /// How many were taken back after they had been used, so that the member owed them.
    pub owed: i64,
    /// What the whole lot settles at, in minor units, fixed when it was granted.
    pub worth: i64,
    /// The part of `worth` that belongs to `remaining`.
    pub worth_left: i64,
    /// When they were earned.
    pub earned_at: Instant,
    /// The first moment at which they can no longer be spent; none: never.
    pub expires_at: Option<Instant>,
    /// The only merchant that takes them; none: whoever takes points.
    pub only_at: Option<MerchantId>,
}

/// Points of one lot that one event took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// From which lot.
    pub lot: LotId,
    /// Who had issued them.
    pub issuer: MerchantId,
    /// The only merchant that takes them; none: whoever takes points.
    pub only_at: Option<MerchantId>,
    /// When they were earned.
    pub earned_at: Instant,
    /// How many.
    pub points: i64,
    /// What they settle at, in minor units.
    pub value: i64,
}

impl Lot {
    /// Whether its points can be spent at that moment.
    pub fn is_open(&self, at: Instant) -> bool {
        self.remaining > 0 && self.expires_at.is_none_or(|end| end > at)
    }

    /// Whether `taker` takes its points; where nobody knows yet who will, those that all take.
    pub fn is_for(&self, taker: Option<MerchantId>) -> bool {
        self.only_at.is_none() || self.only_at == taker
    }

    /// Whether it has points left that lapsed by that moment.
    pub fn is_due(&self, at: Instant) -> bool {
        self.remaining > 0 && self.expires_at.is_some_and(|end| end <= at)
    }

    /// Spend order: soonest expiry first, then oldest first, then by id; never lapsing last.
    pub fn before(&self, other: &Self) -> Ordering {
        let end = |lot: &Self| {
            (
                lot.expires_at.is_none(),
                lot.expires_at,
                lot.earned_at,
                lot.id,
            )
        };
        end(self).cmp(&end(other))
    }

    /// Takes `points` of what is left. Their value goes by the cumulative share of the lot's
    /// worth, rounded down: all parts of a lot add up to its worth (settlement.md, example N:
    /// 7 points worth 8 used 3, 2, 2 are 3, 2, 3).
    ///
    /// # Errors
    /// [`AmountError::Negative`] where less is left.
    pub fn take(&mut self, points: i64) -> Result<Draw, AmountError> {
        let left = sub(self.remaining, points)?;
        if left < 0 || points < 0 {
            return Err(AmountError::Negative);
        }
        let used = sub(self.points, left)?;
        let used_worth = ratio_floor(self.worth, used, self.points)?;
        let gone = sub(self.worth, self.worth_left)?;
        let value = sub(used_worth, gone)?.max(0);
        self.remaining = left;
        self.worth_left = sub(self.worth_left, value)?;
        Ok(Draw {
            lot: self.id,
            issuer: self.merchant,
            only_at: self.only_at,
            earned_at: self.earned_at,
            points,
            value,
        })
    }

    /// Puts back what an earlier [`Lot::take`] took, at its recorded value.
    ///
    /// # Errors
    /// [`AmountError::Overflow`] where more would be left than was granted.
    pub fn put_back(&mut self, points: i64, value: i64) -> Result<(), AmountError> {
        let remaining = add(self.remaining, points)?;
        let worth_left = add(self.worth_left, value)?;
        if remaining > self.points || worth_left > self.worth {
            return Err(AmountError::Overflow);
        }
        self.remaining = remaining;
        self.worth_left = worth_left;
        Ok(())
    }
}

/// The part of a draw that `points` more given back amount to, after `returned` of `value_returned`
/// were: recorded money, never computed anew from a rate; the last part takes what is left.
///
/// # Errors
/// [`AmountError::Overflow`].
pub fn value_of_return(
    draw: &Draw,
    returned: i64,
    value_returned: i64,
    points: i64,
) -> Result<i64, AmountError> {
    let share = ratio_floor(draw.value, add(returned, points)?, draw.points)?;
    Ok(sub(share, value_returned)?.max(0))
}

pub(super) fn add(one: i64, two: i64) -> Result<i64, AmountError> {
    one.checked_add(two).ok_or(AmountError::Overflow)
}

pub(super) fn sub(one: i64, two: i64) -> Result<i64, AmountError> {
    one.checked_sub(two).ok_or(AmountError::Overflow)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn lot(points: i64, worth: i64) -> Lot {
        Lot {
            id: LotId::from_uuid(Uuid::nil()),
            member: MemberId::from_uuid(Uuid::nil()),
            merchant: MerchantId::from_uuid(Uuid::nil()),
            store: StoreId::from_uuid(Uuid::nil()),
            cause: JournalId::from_uuid(Uuid::nil()),
            points,
            remaining: points,
            expired: 0,
            clawed: 0,
            owed: 0,
            worth,
            worth_left: worth,
            earned_at: Instant::default(),
            expires_at: None,
            only_at: None,
        }
    }

    #[test]
    fn example_n_a_lots_parts_add_up_to_its_worth() {
        let mut lot = lot(7, 8);
        let values = [3, 2, 2].map(|points| lot.take(points).unwrap().value);
        assert_eq!(values, [3, 2, 3]);
        assert_eq!((lot.remaining, lot.worth_left), (0, 0));
        assert_eq!(lot.take(1), Err(AmountError::Negative));
    }

    #[test]
    fn parts_add_up_whatever_is_put_back_in_between() {
        let mut lot = lot(7, 8);
        let first = lot.take(3).unwrap();
        let second = lot.take(2).unwrap();
        lot.put_back(second.points, second.value).unwrap();
        let third = lot.take(4).unwrap();
        assert_eq!(first.value + third.value, 8);
        assert_eq!(lot.put_back(8, 0), Err(AmountError::Overflow));
    }

    #[test]
    fn a_draws_returns_add_up_to_its_recorded_value() {
        let draw = Draw {
            lot: LotId::from_uuid(Uuid::nil()),
            issuer: MerchantId::from_uuid(Uuid::nil()),
            only_at: None,
            earned_at: Instant::default(),
            points: 3,
            value: 8,
        };
        let one = value_of_return(&draw, 0, 0, 1).unwrap();
        let two = value_of_return(&draw, 1, one, 1).unwrap();
        let three = value_of_return(&draw, 2, one + two, 1).unwrap();
        assert_eq!([one, two, three], [2, 3, 3]);
    }
}
