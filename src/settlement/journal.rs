//! What an issuer books for its points, period by period, pure: from what moved to balanced entries.
//!
//! All of an issuer's points are one pool. What its sales of a period deferred ([`allocate`]) goes
//! into the pool; what is used, lapses or is taken back releases it ([`recognise`]). Everything is
//! counted from the first day anew, period after period, so that the same movements always give the
//! same entries, and what an estimate got wrong is put right in the period that shows it.
//!
//! The estimate is each period's own: of the points whose life was over by its end, the part that had
//! been used. Where none were, every point is expected to be used and nothing is taken for granted.
//!
//! Source: settlement.md, section 4.

use std::collections::BTreeMap;

use super::revenue::{Ratio, allocate, by_others, less, recognise, share};
use crate::kernel::{
    AmountError,
    money::{Currency, decimal},
    sheet::{BYTE_ORDER_MARK, cell},
    text::Code,
    time::Period,
};

/// What happened to one issuer's points in a period. Points are whole, money is in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moves {
    /// What the sales that earned them came to, less what points paid of it.
    pub sales: i64,
    /// Points given to members.
    pub issued: i64,
    /// What those settle at.
    pub issued_worth: i64,
    /// Points taken back unused, because a sale was returned.
    pub taken_back: i64,
    /// Points that the issuer took itself, less those it gave back.
    pub used_here: i64,
    /// Points that others took, less those they gave back.
    pub used_elsewhere: i64,
    /// What the issuer owes for those; below zero where they gave back more.
    pub payable: i64,
    /// Points that lapsed.
    pub expired: i64,
    /// Points whose life ended in this period, and those of them that lapsed.
    pub over: (i64, i64),
}

/// Where an amount is booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// Revenue of the sales that earned points.
    SalesRevenue,
    /// What is owed to members in points: a contract liability.
    DeferredIncome,
    /// Revenue of points that the issuer took itself.
    PointsRevenue,
    /// What is owed to the merchants that took points.
    OtherPayables,
    /// What the issuer keeps of points that others took.
    CommissionIncome,
    /// What points that others took cost beyond what was deferred for them.
    RedemptionCost,
    /// Points that nobody is expected to use, and what estimates got wrong before.
    ContractBreakage,
}

impl Account {
    /// As the sheet writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SalesRevenue => "sales_revenue",
            Self::DeferredIncome => "deferred_income",
            Self::PointsRevenue => "points_revenue",
            Self::OtherPayables => "other_payables",
            Self::CommissionIncome => "commission_income",
            Self::RedemptionCost => "redemption_cost",
            Self::ContractBreakage => "contract_breakage",
        }
    }
}

/// Amounts that are booked together and add up to zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Why.
    pub note: &'static str,
    /// Minor units by account: above zero a debit, below zero a credit, never zero.
    pub lines: Vec<(Account, i64)>,
}

/// An issuer's pool of points, counted from the first day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Pool {
    deferred: i64,
    recognised: i64,
    issued: i64,
    used: i64,
    open: i64,
    over: i64,
    lapsed: i64,
}

/// What a period did to a pool, in minor units.
#[derive(Debug, Clone, Copy)]
struct Step {
    deferred: i64,
    reversed: i64,
    here: i64,
    elsewhere: i64,
    payable: i64,
    breakage: i64,
}

impl Pool {
    fn expected(&self) -> Result<Ratio, AmountError> {
        if self.over == 0 {
            return Ok(Ratio::ONE);
        }
        Ratio::new(less(self.over, self.lapsed)?, self.over)
    }

    fn step(&mut self, it: &Moves) -> Result<Step, AmountError> {
        self.over = plus(self.over, it.over.0)?;
        self.lapsed = plus(self.lapsed, it.over.1)?;
        let expected = self.expected()?;
        let deferred = allocate(it.sales, it.issued_worth, expected)?.points;
        self.deferred = plus(self.deferred, deferred)?;
        self.issued = plus(self.issued, it.issued)?;
        self.open = plus(self.open, it.issued)?;
        // Unused points of a sale that was returned take their part of what is still deferred.
        let left = less(self.deferred, self.recognised)?;
        let reversed = share(left, it.taken_back, self.open)?.clamp(0, left.max(0));
        self.deferred = less(self.deferred, reversed)?;
        self.issued = less(self.issued, it.taken_back)?;
        let used = plus(it.used_here, it.used_elsewhere)?;
        self.used = plus(self.used, used)?;
        for gone in [it.taken_back, used, it.expired] {
            self.open = less(self.open, gone)?;
        }
        // A till may tell late of an earlier time: points are used or taken back then in a period before
        // the one that gave them. Nothing is open in it, and nothing deferred that could be released.
        let (so_far, open) = (self.used.max(0), self.open.max(0));
        let total = expected.expected(so_far, open)?;
        let released = recognise(self.deferred, so_far, total, self.recognised)?;
        self.recognised = plus(self.recognised, released)?;
        // Points that were used stand for what was deferred for as many of all; what is released
        // beyond that is for those that nobody is expected to use.
        let by_use = share(self.deferred, used, self.issued)?;
        let elsewhere = share(self.deferred, it.used_elsewhere, self.issued)?;
        Ok(Step {
            deferred,
            reversed,
            here: less(by_use, elsewhere)?,
            elsewhere,
            payable: it.payable,
            breakage: less(released, by_use)?,
        })
    }
}

impl Step {
    fn entries(&self) -> Result<Vec<Entry>, AmountError> {
        let agency = by_others(self.elsewhere, self.payable)?;
        let kept = if agency.commission < 0 {
            Account::RedemptionCost
        } else {
            Account::CommissionIncome
        };
        let all = [
            (
                "points earned by sales",
                vec![
                    (Account::SalesRevenue, self.deferred),
                    (Account::DeferredIncome, minus(self.deferred)?),
                ],
            ),
            (
                "points taken back with returned sales",
                vec![
                    (Account::DeferredIncome, self.reversed),
                    (Account::SalesRevenue, minus(self.reversed)?),
                ],
            ),
            (
                "points used in own stores",
                vec![
                    (Account::DeferredIncome, self.here),
                    (Account::PointsRevenue, minus(self.here)?),
                ],
            ),
            (
                "points used at other merchants",
                vec![
                    (Account::DeferredIncome, self.elsewhere),
                    (Account::OtherPayables, minus(agency.payable)?),
                    (kept, minus(agency.commission)?),
                ],
            ),
            (
                "breakage and changes of its estimate",
                vec![
                    (Account::DeferredIncome, self.breakage),
                    (Account::ContractBreakage, minus(self.breakage)?),
                ],
            ),
        ];
        let entries = all.into_iter().map(|(note, mut lines)| {
            lines.retain(|(_, amount)| *amount != 0);
            Entry { note, lines }
        });
        Ok(entries.filter(|entry| !entry.lines.is_empty()).collect())
    }
}

/// What an issuer books in `period`, from everything that moved since its first day; later periods
/// are not looked at. The debits of each entry are its credits.
///
/// # Errors
/// [`AmountError`] for movements that no books can hold: less than nothing sold or issued in a period.
pub fn entries(moves: &BTreeMap<Period, Moves>, period: Period) -> Result<Vec<Entry>, AmountError> {
    let mut pool = Pool::default();
    for (_, before) in moves.range(..period) {
        pool.step(before)?;
    }
    let it = moves.get(&period).copied().unwrap_or_default();
    pool.step(&it)?.entries()
}

const HEAD: &str = "date,merchant,entry,account,debit,credit,currency,note";

/// Entries of a period as CSV (RFC 4180), one line an account, dated on the period's last day; money
/// as decimals of the currency, entries numbered from 1 on through the sheet.
pub fn csv<'a>(
    period: Period,
    currency: Currency,
    books: impl IntoIterator<Item = (&'a Code, &'a [Entry])>,
) -> String {
    let mut sheet = format!("{BYTE_ORDER_MARK}{HEAD}\r\n");
    let (date, places) = (period.last_day(), currency.places());
    let mut number: usize = 0;
    for (code, entries) in books {
        for entry in entries {
            number = number.saturating_add(1);
            for (account, amount) in &entry.lines {
                let (debit, credit) = if *amount > 0 {
                    (decimal(*amount, places), String::new())
                } else {
                    (String::new(), decimal(amount.saturating_neg(), places))
                };
                let cells = [
                    date.to_string(),
                    cell(code.as_str()),
                    number.to_string(),
                    account.as_str().to_owned(),
                    debit,
                    credit,
                    currency.code().to_owned(),
                    entry.note.to_owned(),
                ];
                sheet.push_str(&cells.join(","));
                sheet.push_str("\r\n");
            }
        }
    }
    sheet
}

fn plus(one: i64, two: i64) -> Result<i64, AmountError> {
    one.checked_add(two).ok_or(AmountError::Overflow)
}

fn minus(amount: i64) -> Result<i64, AmountError> {
    amount.checked_neg().ok_or(AmountError::Overflow)
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn period(text: &str) -> Period {
        text.parse().unwrap()
    }

    #[test]
    fn an_issuers_first_periods_in_its_books() {
        // June: 100,000.00 of sales earn 10,000 points worth 1.00 each; nothing is known yet of how
        // many lapse. July: 3,000 used here, 1,500 elsewhere.
        let mut moves = BTreeMap::new();
        let june = Moves {
            sales: 10_000_000,
            issued: 10_000,
            issued_worth: 1_000_000,
            ..Moves::default()
        };
        moves.insert(period("2026-06"), june);
        let july = Moves {
            used_here: 3_000,
            used_elsewhere: 1500,
            payable: 130_000,
            ..Moves::default()
        };
        moves.insert(period("2026-07"), july);
        let first = entries(&moves, period("2026-06")).unwrap();
        assert_eq!(
            first[0].lines,
            [
                (Account::SalesRevenue, 909_091),
                (Account::DeferredIncome, -909_091)
            ]
        );
        let second = entries(&moves, period("2026-07")).unwrap();
        assert_eq!(
            second
                .iter()
                .map(|entry| &entry.lines[..])
                .collect::<Vec<_>>(),
            [
                &[
                    (Account::DeferredIncome, 272_727),
                    (Account::PointsRevenue, -272_727)
                ][..],
                &[
                    (Account::DeferredIncome, 136_364),
                    (Account::OtherPayables, -130_000),
                    (Account::CommissionIncome, -6_364)
                ][..],
            ]
        );
        assert_eq!(entries(&moves, period("2026-08")), Ok(Vec::new()));
    }

    #[test]
    fn what_is_told_of_a_time_before_the_sale_waits_for_the_sale() {
        let sale = Moves {
            sales: 100_000,
            issued: 100,
            issued_worth: 10_000,
            ..Moves::default()
        };
        let back = Moves {
            taken_back: 40,
            ..Moves::default()
        };
        let used = Moves {
            used_here: 60,
            ..Moves::default()
        };
        let given_back = Moves {
            used_here: -60,
            ..Moves::default()
        };
        let (june, july, august) = (period("2026-06"), period("2026-07"), period("2026-08"));
        for early in [back, used, given_back] {
            let mut moves = BTreeMap::from([(june, early), (july, sale)]);
            if early == given_back {
                moves.insert(
                    august,
                    Moves {
                        used_here: 120,
                        ..used
                    },
                );
            }
            assert_eq!(entries(&moves, june).unwrap(), [], "{early:?}");
            // All the rest is used in the end: nothing stays deferred.
            let rest = Moves {
                used_here: 100 - early.taken_back - early.used_here.abs(),
                ..Moves::default()
            };
            moves.insert(period("2026-09"), rest);
            let mut deferred = 0;
            for month in [june, july, august, period("2026-09")] {
                for entry in entries(&moves, month).unwrap() {
                    assert_eq!(entry.lines.iter().map(|(_, amount)| amount).sum::<i64>(), 0);
                    let lines = entry.lines.iter();
                    deferred += lines
                        .filter(|(account, _)| *account == Account::DeferredIncome)
                        .map(|(_, amount)| amount)
                        .sum::<i64>();
                }
            }
            assert_eq!(deferred, 0, "{early:?}");
        }
    }

    #[test]
    fn the_sheet_guards_names_and_says_each_amount_once() {
        let entry = Entry {
            note: "points used in own stores",
            lines: vec![
                (Account::DeferredIncome, 150),
                (Account::PointsRevenue, -150),
            ],
        };
        let (code, entries) = ("-tea".parse().unwrap(), [entry]);
        let currency = Currency::from_code("CNY").unwrap();
        assert_eq!(
            csv(period("2028-02"), currency, [(&code, &entries[..])]),
            format!(
                "{BYTE_ORDER_MARK}{HEAD}\r\n\
                 2028-02-29,'-tea,1,deferred_income,1.50,,CNY,points used in own stores\r\n\
                 2028-02-29,'-tea,1,points_revenue,,1.50,CNY,points used in own stores\r\n"
            )
        );
    }

    /// Periods in which no more goes out than came in.
    fn story() -> impl Strategy<Value = BTreeMap<Period, Moves>> {
        let part = || 0..=100_u8;
        let period = (0..50_000_i64, 1..5000_i64, part(), part(), part(), part());
        prop::collection::vec(period, 1..24).prop_map(|periods| {
            let (mut open, mut all) = (0, BTreeMap::new());
            let mut when: Period = "2026-01".parse().unwrap();
            for (sales, issued, here, elsewhere, back, gone) in periods {
                open += issued;
                let mut take = |part: u8| {
                    let taken = open * i64::from(part) / 250;
                    open -= taken;
                    taken
                };
                let (here, elsewhere) = (take(here), take(elsewhere));
                let (taken_back, expired) = (take(back), take(gone));
                let it = Moves {
                    sales,
                    issued,
                    issued_worth: issued,
                    taken_back,
                    used_here: here,
                    used_elsewhere: elsewhere,
                    payable: elsewhere,
                    expired,
                    over: (expired + here, expired),
                };
                all.insert(when, it);
                when = when.next();
            }
            // At last nothing is left.
            let rest = Moves {
                expired: open,
                ..Moves::default()
            };
            all.insert(when, rest);
            all
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_entry_balances_and_deferred_income_ends_with_the_points(moves in story()) {
            let mut left = 0;
            for period in moves.keys() {
                for entry in entries(&moves, *period).unwrap() {
                    prop_assert_eq!(entry.lines.iter().map(|line| line.1).sum::<i64>(), 0);
                    prop_assert!(entry.lines.iter().all(|line| line.1 != 0));
                    let deferred = |line: &&(Account, i64)| line.0 == Account::DeferredIncome;
                    left -= entry.lines.iter().filter(deferred).map(|line| line.1).sum::<i64>();
                }
                prop_assert!(left >= 0, "{left}");
            }
            prop_assert_eq!(left, 0);
        }
    }
}
