//! From the rows of a query to a merchant's figures, pure.

use std::collections::HashMap;

use super::{Amount, Breakage, LiabilityError, RollForward, Split};
use crate::kernel::{AmountError, ids::MerchantId, text::Code};

/// Sums of one kind, before the period, in it, and after it.
pub(super) struct Sum {
    pub(super) merchant: MerchantId,
    pub(super) kind: String,
    /// Whether the issuer took the points itself.
    pub(super) here: bool,
    pub(super) points_before: i64,
    pub(super) worth_before: i64,
    pub(super) points: i64,
    pub(super) worth: i64,
    pub(super) points_after: i64,
    pub(super) worth_after: i64,
}

/// Rows by the merchant that they are about.
pub(super) fn by_merchant<T>(
    rows: Vec<T>,
    merchant: impl Fn(&T) -> MerchantId,
) -> HashMap<MerchantId, Vec<T>> {
    let mut parts: HashMap<MerchantId, Vec<T>> = HashMap::new();
    for row in rows {
        parts.entry(merchant(&row)).or_default().push(row);
    }
    parts
}

/// Which way a sum changes what is outstanding. What became owed had been used before, so that its
/// part of what was returned took nothing away.
fn direction(kind: &str) -> i64 {
    match kind {
        "issued" | "given-back" | "became-owed" => 1,
        "redeemed" | "repaid" | "expired" | "returned" => -1,
        _ => 0,
    }
}

/// A merchant's period from its sums, checked against what the lots say.
pub(super) fn roll_forward(
    merchant: MerchantId,
    code: Code,
    sums: &[Sum],
) -> Result<RollForward, LiabilityError> {
    let mut it = RollForward {
        merchant,
        code,
        opening: Amount::default(),
        issued: Amount::default(),
        given_back: Split::default(),
        redeemed: Split::default(),
        repaid: Split::default(),
        expired: Amount::default(),
        taken_back: Amount::default(),
        closing: Amount::default(),
        became_owed: Amount::default(),
        used_to_date: Split::default(),
        breakage: Breakage::default(),
    };
    // What all transfers leave outstanding, and what lots and reservations hold.
    let (mut moved, mut held) = (Amount::default(), Amount::default());
    for sum in sums {
        let amount = |points, worth| Amount { points, worth };
        let before = amount(sum.points_before, sum.worth_before);
        let within = amount(sum.points, sum.worth);
        let after = amount(sum.points_after, sum.worth_after);
        match sum.kind.as_str() {
            "left" | "held" => held.add(within)?,
            "ended" => it.breakage.over = within.points,
            "ended-expired" => it.breakage.expired = within.points,
            kind => {
                let sign = direction(kind);
                it.opening.add(before.times(sign)?)?;
                it.count(kind, sum.here, within)?;
                let sign_of_use = match kind {
                    "redeemed" | "repaid" => 1,
                    "given-back" => -1,
                    _ => 0,
                };
                let used = it.used_to_date.part(sum.here);
                used.add(before.times(sign_of_use)?)?;
                used.add(within.times(sign_of_use)?)?;
                it.closing.add(before.times(sign)?)?;
                it.closing.add(within.times(sign)?)?;
                moved.add(after.times(sign)?)?;
            }
        }
    }
    moved.add(it.closing)?;
    if moved == held {
        Ok(it)
    } else {
        let code = it.code;
        Err(LiabilityError::Broken { code, moved, held })
    }
}

impl RollForward {
    /// Counts a sum of the period itself.
    fn count(&mut self, kind: &str, here: bool, amount: Amount) -> Result<(), AmountError> {
        match kind {
            "issued" => self.issued.add(amount),
            "given-back" => self.given_back.part(here).add(amount),
            "redeemed" => self.redeemed.part(here).add(amount),
            "repaid" => self.repaid.part(here).add(amount),
            "expired" => self.expired.add(amount),
            "returned" => self.taken_back.add(amount),
            "became-owed" => {
                self.taken_back.add(amount.times(-1)?)?;
                self.became_owed.add(amount)
            }
            _ => Ok(()),
        }
    }
}

impl Split {
    fn part(&mut self, here: bool) -> &mut Amount {
        if here {
            &mut self.here
        } else {
            &mut self.elsewhere
        }
    }
}

impl Amount {
    /// Counts another in.
    pub(super) fn add(&mut self, other: Self) -> Result<(), AmountError> {
        let sum = |one: i64, two| one.checked_add(two).ok_or(AmountError::Overflow);
        self.points = sum(self.points, other.points)?;
        self.worth = sum(self.worth, other.worth)?;
        Ok(())
    }

    fn times(self, sign: i64) -> Result<Self, AmountError> {
        let signed = |amount: i64| amount.checked_mul(sign).ok_or(AmountError::Overflow);
        Ok(Self {
            points: signed(self.points)?,
            worth: signed(self.worth)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn sum(kind: &str, here: bool, points: [i64; 3]) -> Sum {
        Sum {
            merchant: MerchantId::from_uuid(Uuid::from_u128(1)),
            kind: kind.to_owned(),
            here,
            points_before: points[0],
            worth_before: points[0] * 2,
            points: points[1],
            worth: points[1] * 2,
            points_after: points[2],
            worth_after: points[2] * 2,
        }
    }

    fn period() -> Vec<Sum> {
        vec![
            sum("issued", false, [100, 50, 0]),
            sum("redeemed", true, [10, 0, 0]),
            sum("redeemed", false, [0, 20, 0]),
            sum("given-back", false, [0, 5, 0]),
            sum("repaid", false, [0, 3, 0]),
            sum("became-owed", false, [0, 7, 0]),
            sum("returned", true, [0, 11, 0]),
            sum("expired", true, [0, 8, 30]),
            sum("ended", false, [0, 60, 0]),
            sum("ended-expired", false, [0, 38, 0]),
            sum("left", false, [0, 78, 0]),
            sum("held", false, [0, 2, 0]),
        ]
    }

    fn rolled(sums: &[Sum]) -> Result<RollForward, LiabilityError> {
        let merchant = MerchantId::from_uuid(Uuid::from_u128(1));
        roll_forward(merchant, "tea".parse().unwrap(), sums)
    }

    #[test]
    fn a_periods_columns_lead_from_its_opening_to_its_closing() {
        let it = rolled(&period()).unwrap();
        let points = |amount: Amount| {
            assert_eq!(amount.worth, amount.points * 2);
            amount.points
        };
        assert_eq!(
            [it.opening, it.issued, it.closing].map(points),
            [90, 50, 110]
        );
        assert_eq!(
            [it.expired, it.taken_back, it.became_owed].map(points),
            [8, 4, 7]
        );
        assert_eq!(points(it.redeemed.elsewhere), 20);
        assert_eq!(points(it.redeemed.here), 0);
        assert_eq!(points(it.used_to_date.here), 10);
        assert_eq!(points(it.used_to_date.elsewhere), 18);
        assert_eq!((it.breakage.expired, it.breakage.over), (38, 60));
    }

    #[test]
    fn lots_that_tell_another_story_are_refused_by_name() {
        for (place, points) in [(10, 79), (11, 1), (7, 9), (3, 6)] {
            let mut sums = period();
            sums[place].points = points;
            let refused = rolled(&sums);
            assert!(
                matches!(&refused, Err(LiabilityError::Broken { code, .. }) if code.as_str() == "tea"),
                "{refused:?}"
            );
        }
        assert_eq!(rolled(&[]).unwrap().closing, Amount::default());
    }
}
