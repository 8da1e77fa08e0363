//! The lines that a period's nets are sums of, pure.
//!
//! Whatever moves money is written here twice, once for each side, so that all lines add up to zero
//! whatever was agreed on. A merchant's net is the sum of its lines, and so is the operator's.

use std::collections::BTreeMap;

use super::{
    agreed::Agreed,
    calculation::{Adjustment, Basis, Carried},
    netting::Party,
};
use crate::{
    kernel::{
        AmountError,
        ids::MerchantId,
        money::{Rate, split},
    },
    ledger::{Flow, FlowKind},
    merchants::agreements::{AgreementTerms, Model, Price, WHOLE},
};

/// What a line is for. Money is above zero where the party of the line is owed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineKind {
    /// Points of the partner that the merchant took.
    Redeemed,
    /// Points of the partner that the merchant had taken and gave back.
    GivenBack,
    /// Its own points that the merchant took, less those that it gave back.
    OwnShop,
    /// The merchant's points that the partner took.
    Charged,
    /// The merchant's points that the partner had taken and gave back.
    Credited,
    /// What the merchant paid into the pool for points that it gave, less those it took back.
    Funded,
    /// What became of the worth of points that lapsed in the pool: the party's part.
    Breakage,
    /// The operator's part of what the merchant received; with a partner, of the partner's points.
    Fee,
    /// The operator's fee on points that the merchant gave.
    IssueFee,
    /// The operator's fee for the period.
    FixedFee,
    /// What the operator bears of the cost of the partner's points.
    Contribution,
    /// What the operator keeps of what the partner paid into the pool.
    Margin,
    /// What went into the pool, less what it paid.
    Pool,
    /// The alliance fund's part of what lapsed.
    Fund,
    /// What an earlier period left to be put right.
    Adjustment,
    /// What of [`LineKind::Funded`] was paid for in advance.
    Prepaid,
    /// What the partner owes, or the party owes the partner, since a default left it unpaid.
    Carried,
}

impl LineKind {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Redeemed,
        Self::GivenBack,
        Self::OwnShop,
        Self::Charged,
        Self::Credited,
        Self::Funded,
        Self::Breakage,
        Self::Fee,
        Self::IssueFee,
        Self::FixedFee,
        Self::Contribution,
        Self::Margin,
        Self::Pool,
        Self::Fund,
        Self::Adjustment,
        Self::Prepaid,
        Self::Carried,
    ];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redeemed => "redeemed",
            Self::GivenBack => "given_back",
            Self::OwnShop => "own_shop",
            Self::Charged => "charged",
            Self::Credited => "credited",
            Self::Funded => "funded",
            Self::Breakage => "breakage",
            Self::Fee => "fee",
            Self::IssueFee => "issue_fee",
            Self::FixedFee => "fixed_fee",
            Self::Contribution => "contribution",
            Self::Margin => "margin",
            Self::Pool => "pool",
            Self::Fund => "fund",
            Self::Adjustment => "adjustment",
            Self::Prepaid => "prepaid",
            Self::Carried => "carried",
        }
    }

    /// The opposite of [`LineKind::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One line: points whole, money in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Whose line; no merchant is the operator.
    pub party: Party,
    /// What for.
    pub kind: LineKind,
    /// With whom, where it is about one other merchant.
    pub partner: Option<MerchantId>,
    /// How many points, below zero where they went back.
    pub points: i64,
    /// What they settle at, or what a fee is taken of.
    pub value: i64,
    /// What the party is owed for it; below zero, what it owes.
    pub amount: i64,
}

/// Who bears the worth of points that somebody took, in minor units that add up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shares {
    /// The merchant that had issued them.
    pub(super) issuer: i64,
    /// The operator.
    pub(super) operator: i64,
    /// The pool.
    pub(super) pool: i64,
    /// The merchant that took them.
    pub(super) redeemer: i64,
}

impl Shares {
    /// By the terms under which the points were earned.
    ///
    /// # Errors
    /// [`AmountError`] for a worth below zero.
    pub(super) fn of(terms: Option<&AgreementTerms>, value: i64) -> Result<Self, AmountError> {
        if terms.is_some_and(|terms| terms.model == Model::Pool) {
            return Ok(Self {
                issuer: 0,
                operator: 0,
                pool: value,
                redeemer: 0,
            });
        }
        let cost = terms.and_then(|terms| terms.cost).unwrap_or_default();
        let parts = split(value, &[cost.issuer, cost.operator, cost.redeemer])?;
        let [issuer, operator, redeemer] = parts.as_slice() else {
            return Err(AmountError::Overflow);
        };
        Ok(Self {
            issuer: *issuer,
            operator: *operator,
            pool: 0,
            redeemer: *redeemer,
        })
    }
}

type Key = (Party, LineKind, Option<MerchantId>);

type FlowKey = (FlowKind, MerchantId, MerchantId, Option<usize>);

/// Wide sums, so that no order of the flows can overflow on the way.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    points: i128,
    value: i128,
    amount: i128,
}

/// What fees are taken of: by merchant, by the issuer that has a rule of its own, and by part.
type FeeBases = BTreeMap<(MerchantId, Option<MerchantId>, i64), i128>;

/// Lines while they grow.
struct Tally<'a> {
    basis: &'a Basis<'a>,
    lines: BTreeMap<Key, Sum>,
    fee_bases: FeeBases,
    /// Points given less taken back by issuer and era, and what they settle at.
    given: BTreeMap<(MerchantId, Option<usize>), Sum>,
    /// Of those what was paid for in advance.
    prepaid: BTreeMap<(MerchantId, Option<usize>), Sum>,
}

/// Every line of a period that says anything, in the order of parties, kinds and partners.
///
/// # Errors
/// [`AmountError::Overflow`] for a sum that the books cannot hold.
pub(super) fn lines(flows: &[Flow], basis: &Basis<'_>) -> Result<Vec<Line>, AmountError> {
    let mut tally = Tally {
        basis,
        lines: BTreeMap::new(),
        fee_bases: FeeBases::new(),
        given: BTreeMap::new(),
        prepaid: prepaid(basis)?,
    };
    for ((kind, by, from, era), sum) in summed(flows)? {
        let flow = Flow {
            kind,
            by,
            from,
            era,
            points: narrow(sum.points)?,
            value: narrow(sum.value)?,
        };
        tally.flow(&flow)?;
    }
    tally.pool_in()?;
    tally.fees()?;
    tally.issue_fees()?;
    tally.fixed_fees()?;
    for Adjustment { merchant, amount } in basis.adjustments {
        let owed = Sum {
            amount: i128::from(*amount),
            ..Sum::default()
        };
        tally.both(*merchant, LineKind::Adjustment, None, owed)?;
    }
    for claim in basis.claims {
        tally.carry(claim)?;
    }
    tally.finish()
}

/// What was paid for in advance, by issuer and era.
fn prepaid(basis: &Basis<'_>) -> Result<BTreeMap<(MerchantId, Option<usize>), Sum>, AmountError> {
    let mut sums: BTreeMap<_, Sum> = BTreeMap::new();
    for one in basis.prepaid {
        let era = basis.agreed.era_of(one.merchant, one.since);
        sums.entry((one.merchant, era)).or_default().add(Sum {
            points: i128::from(one.points),
            value: 0,
            amount: i128::from(one.amount),
        })?;
    }
    Ok(sums)
}

/// What moved by kind, parties and era: shares are taken of sums, so that it does not matter in how
/// many pieces something moved.
fn summed(flows: &[Flow]) -> Result<BTreeMap<FlowKey, Sum>, AmountError> {
    let mut sums: BTreeMap<FlowKey, Sum> = BTreeMap::new();
    for flow in flows {
        let key = (flow.kind, flow.by, flow.from, flow.era);
        sums.entry(key).or_default().add(Sum {
            points: i128::from(flow.points),
            value: i128::from(flow.value),
            amount: 0,
        })?;
    }
    Ok(sums)
}

impl<'a> Tally<'a> {
    fn agreed(&self) -> &'a Agreed {
        self.basis.agreed
    }

    fn flow(&mut self, flow: &Flow) -> Result<(), AmountError> {
        let terms = self.agreed().earned_in(flow.era);
        match flow.kind {
            FlowKind::Issued => self.give(flow, 1),
            FlowKind::TakenBack => self.give(flow, -1),
            // What the member has used and owes went to whoever took it: it was paid for, and is
            // paid back when she fills the debt.
            FlowKind::Owed => Ok(()),
            FlowKind::Accepted => self.take(flow, terms, 1),
            FlowKind::GivenBack => self.take(flow, terms, -1),
            FlowKind::Expired => self.lapse(flow, terms),
        }
    }

    fn give(&mut self, flow: &Flow, sign: i128) -> Result<(), AmountError> {
        let sum = self.given.entry((flow.by, flow.era)).or_default();
        let points = times(flow.points, sign)?;
        let value = times(flow.value, sign)?;
        sum.add(Sum {
            points,
            value,
            amount: 0,
        })
    }

    /// Points that `flow.by` took, or with the other sign gave back.
    fn take(
        &mut self,
        flow: &Flow,
        terms: Option<&AgreementTerms>,
        sign: i128,
    ) -> Result<(), AmountError> {
        let (by, from, value) = (flow.by, flow.from, flow.value);
        let shares = Shares::of(terms, value)?;
        let received = if by == from && shares.pool == 0 {
            shares.operator
        } else {
            less(value, shares.redeemer)?
        };
        let line = |amount: i64| -> Result<Sum, AmountError> {
            Ok(Sum {
                points: times(flow.points, sign)?,
                value: times(value, sign)?,
                amount: times(amount, sign)?,
            })
        };
        if terms.is_some_and(|terms| terms.model == Model::Pool) {
            let paid = line(negative(shares.pool)?)?;
            self.add((None, LineKind::Pool, None), paid)?;
        } else if shares.operator != 0 {
            let borne = line(negative(shares.operator)?)?;
            self.add((None, LineKind::Contribution, Some(from)), borne)?;
        }
        if by == from {
            return self.add((Some(by), LineKind::OwnShop, None), line(received)?);
        }
        let (takes, gives) = if sign > 0 {
            (LineKind::Redeemed, LineKind::Charged)
        } else {
            (LineKind::GivenBack, LineKind::Credited)
        };
        self.add((Some(by), takes, Some(from)), line(received)?)?;
        let owes = negative(shares.issuer)?;
        self.add((Some(from), gives, Some(by)), line(owes)?)?;
        let rule = self.agreed().of(by).and_then(|terms| terms.fee_on(from));
        let (part, own) = rule.unwrap_or((self.basis.fee_basis_points, false));
        let base = self
            .fee_bases
            .entry((by, own.then_some(from), part))
            .or_default();
        grow(base, times(received, sign)?)
    }

    /// Points that lapsed: without the pool nobody had paid for them yet.
    fn lapse(&mut self, flow: &Flow, terms: Option<&AgreementTerms>) -> Result<(), AmountError> {
        let Some(breakage) = terms.and_then(|terms| terms.breakage) else {
            return Ok(());
        };
        let weights = [breakage.operator, breakage.issuer, breakage.fund];
        let parts = split(flow.value, &weights)?;
        let [operator, issuer, fund] = parts.as_slice() else {
            return Err(AmountError::Overflow);
        };
        let (points, value) = (i128::from(flow.points), i128::from(flow.value));
        let mut put = |key: Key, amount: i64| {
            let amount = i128::from(amount);
            self.add(
                key,
                Sum {
                    points,
                    value,
                    amount,
                },
            )
        };
        put((None, LineKind::Pool, None), negative(flow.value)?)?;
        put((None, LineKind::Breakage, Some(flow.from)), *operator)?;
        put((Some(flow.from), LineKind::Breakage, None), *issuer)?;
        put((None, LineKind::Fund, None), *fund)
    }

    /// What was given under the pool is paid for at once; a half of a minor unit for a merchant's
    /// period goes to the even neighbour. What came out of blocks has their price, and is paid already.
    fn pool_in(&mut self) -> Result<(), AmountError> {
        for ((merchant, era), sum) in self.given.clone() {
            let terms = self.agreed().earned_in(era);
            let price = terms.filter(|terms| terms.model == Model::Pool);
            let Some(price) = price.and_then(|terms| terms.issue_price) else {
                continue;
            };
            let before = self.prepaid.get(&(merchant, era)).copied();
            let before = before.unwrap_or_default();
            let later = sum.points.checked_sub(before.points);
            let later = narrow(later.ok_or(AmountError::Overflow)?)?;
            let paid = i128::from(rate(price)?.times_half_even(later)?);
            let paid = paid.checked_add(before.amount);
            let paid = paid.ok_or(AmountError::Overflow)?;
            self.both(merchant, LineKind::Prepaid, None, before)?;
            let amounts = [
                ((Some(merchant), LineKind::Funded, None), negated(paid)?),
                ((None, LineKind::Pool, None), sum.value),
                (
                    (None, LineKind::Margin, Some(merchant)),
                    paid.checked_sub(sum.value).ok_or(AmountError::Overflow)?,
                ),
            ];
            for (key, amount) in amounts {
                self.add(key, Sum { amount, ..sum })?;
            }
        }
        Ok(())
    }

    /// Once a merchant and part, on what it received over the whole period; a half of a minor unit
    /// goes to the even neighbour.
    fn fees(&mut self) -> Result<(), AmountError> {
        for ((merchant, issuer, part), base) in std::mem::take(&mut self.fee_bases) {
            let fee = Rate::new(part, WHOLE)?.times_half_even(narrow(base)?)?;
            let owes = Sum {
                points: 0,
                value: base,
                amount: i128::from(negative(fee)?),
            };
            if part != 0 {
                self.both(merchant, LineKind::Fee, issuer, owes)?;
            }
        }
        Ok(())
    }

    fn issue_fees(&mut self) -> Result<(), AmountError> {
        let mut by_issuer: BTreeMap<MerchantId, Sum> = BTreeMap::new();
        for ((merchant, _), sum) in &self.given {
            by_issuer.entry(*merchant).or_default().add(*sum)?;
        }
        for (merchant, sum) in by_issuer {
            let terms = self.agreed().of(merchant);
            if let Some(price) = terms.and_then(|terms| terms.fees.issue) {
                let fee = rate(price)?.times_half_even(narrow(sum.points)?)?;
                let amount = i128::from(negative(fee)?);
                self.both(merchant, LineKind::IssueFee, None, Sum { amount, ..sum })?;
            }
        }
        Ok(())
    }

    fn fixed_fees(&mut self) -> Result<(), AmountError> {
        for (merchant, terms) in self.agreed().in_force() {
            if let Some(fixed) = terms.fees.fixed {
                let owes = Sum {
                    amount: i128::from(negative(fixed)?),
                    ..Sum::default()
                };
                self.both(merchant, LineKind::FixedFee, None, owes)?;
            }
        }
        Ok(())
    }

    /// What one party still owes another since a default.
    fn carry(&mut self, claim: &Carried) -> Result<(), AmountError> {
        let owed = Sum {
            amount: i128::from(claim.amount),
            ..Sum::default()
        };
        let (from, to) = (Some(claim.from), claim.to);
        self.add((to, LineKind::Carried, from), owed)?;
        let debt = Sum {
            amount: negated(owed.amount)?,
            ..owed
        };
        self.add((from, LineKind::Carried, to), debt)
    }

    /// A line of a merchant, and the same with the other sign for the operator.
    fn both(
        &mut self,
        merchant: MerchantId,
        kind: LineKind,
        partner: Option<MerchantId>,
        sum: Sum,
    ) -> Result<(), AmountError> {
        self.add((Some(merchant), kind, partner), sum)?;
        let amount = negated(sum.amount)?;
        self.add((None, kind, Some(merchant)), Sum { amount, ..sum })
    }

    fn add(&mut self, key: Key, by: Sum) -> Result<(), AmountError> {
        self.lines.entry(key).or_default().add(by)
    }

    fn finish(self) -> Result<Vec<Line>, AmountError> {
        let each = self.lines.into_iter();
        let said = each.filter(|(_, sum)| (sum.points, sum.value, sum.amount) != (0, 0, 0));
        said.map(|((party, kind, partner), sum)| {
            Ok(Line {
                party,
                kind,
                partner,
                points: narrow(sum.points)?,
                value: narrow(sum.value)?,
                amount: narrow(sum.amount)?,
            })
        })
        .collect()
    }
}

impl Sum {
    fn add(&mut self, other: Self) -> Result<(), AmountError> {
        grow(&mut self.points, other.points)?;
        grow(&mut self.value, other.value)?;
        grow(&mut self.amount, other.amount)
    }
}

fn rate(price: Price) -> Result<Rate, AmountError> {
    Rate::new(price.worth, price.points)
}

fn times(amount: i64, sign: i128) -> Result<i128, AmountError> {
    i128::from(amount)
        .checked_mul(sign)
        .ok_or(AmountError::Overflow)
}

fn less(amount: i64, part: i64) -> Result<i64, AmountError> {
    amount.checked_sub(part).ok_or(AmountError::Overflow)
}

fn negative(amount: i64) -> Result<i64, AmountError> {
    amount.checked_neg().ok_or(AmountError::Overflow)
}

fn negated(amount: i128) -> Result<i128, AmountError> {
    amount.checked_neg().ok_or(AmountError::Overflow)
}

fn grow(sum: &mut i128, by: i128) -> Result<(), AmountError> {
    *sum = sum.checked_add(by).ok_or(AmountError::Overflow)?;
    Ok(())
}

pub(super) fn narrow(sum: i128) -> Result<i64, AmountError> {
    i64::try_from(sum).map_err(|_| AmountError::Overflow)
}
