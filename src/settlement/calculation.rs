//! A period's figures, pure: from what moved between merchants to what each pays and receives.
//!
//! Nothing here asks when or who: the same flows in any order give the same figures, and their
//! sum over merchants and operator is zero.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    agreed::Agreed,
    lines::{self, Line, LineKind, narrow},
    netting::{self, NettingError, Party, Payment},
};
use crate::{
    kernel::{AmountError, ids::MerchantId, money::Rate, time::Period},
    ledger::{Flow, FlowKind},
    merchants::{agreements::WHOLE, credit::Advance},
};

/// The form of the figures that are calculated today; earlier periods keep theirs.
pub const FORM: i32 = 2;

/// The form of periods that knew no agreements.
const FIRST_FORM: i32 = 1;

/// What a period was for one merchant. Points are whole, money is in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Points it gave to members.
    pub issued: i64,
    /// Points that came back to it, because a purchase was refunded.
    pub taken_back: i64,
    /// Points it took from members, its own among them.
    pub redeemed: i64,
    /// Points that it had taken and gave back, because a purchase was refunded.
    pub given_back: i64,
    /// Its points that lapsed unspent.
    pub expired: i64,
    /// Its own points that it took, less those it gave back.
    pub own_points: i64,
    /// What of their worth moved no money.
    pub own_value: i64,
    /// What it pays for its points that others took, less what they gave back; below zero where
    /// they gave back more.
    pub pays: i64,
    /// What it receives for points that it took, less what it gave back.
    pub receives: i64,
    /// What it pays into the pool for points that it gave, less what of that it paid in advance.
    pub funded: i64,
    /// The operator's fees; below zero where more is returned.
    pub fee: i64,
    /// Its part of what lapsed in the pool.
    pub breakage: i64,
    /// What earlier periods left to be put right, and what defaults left unpaid; above zero is owed to
    /// it.
    pub adjusted: i64,
    /// `receives - pays - funded - fee + breakage + adjusted`: above zero is owed to it.
    pub net: i64,
    /// The tax that its amounts include, in ten-thousandths of the amount without it.
    pub tax_basis_points: i64,
    /// The tax in `receives`.
    pub tax_received: i64,
    /// The tax in `fee`.
    pub tax_fee: i64,
}

/// Money that an earlier period left to be put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adjustment {
    /// With whom; the other side is the operator.
    pub merchant: MerchantId,
    /// Minor units; above zero is owed to the merchant.
    pub amount: i64,
}

/// What a default left unpaid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// Who owes it.
    pub from: MerchantId,
    /// To whom; no merchant is the operator.
    pub to: Party,
    /// Minor units, above zero.
    pub amount: i64,
}

/// What a period is calculated by, besides what moved.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'a> {
    /// The operator's part where no agreement says another, in ten-thousandths.
    pub fee_basis_points: i64,
    /// What was agreed with whom.
    pub agreed: &'a Agreed,
    /// What earlier periods left to be put right.
    pub adjustments: &'a [Adjustment],
    /// What was given of points that were paid for in advance.
    pub prepaid: &'a [Advance],
    /// What defaults left unpaid.
    pub claims: &'a [Carried],
}

/// A period's figures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calculation {
    /// Every merchant with any movement.
    pub merchants: BTreeMap<MerchantId, Position>,
    /// What the nets are sums of.
    pub lines: Vec<Line>,
    /// What the operator gets, pool and fund included.
    pub operator_net: i64,
    /// What parties pay each other so that every net becomes zero.
    pub payments: Vec<Payment>,
}

/// Counts of points while they grow.
#[derive(Debug, Default)]
struct Counts {
    issued: i128,
    taken_back: i128,
    redeemed: i128,
    given_back: i128,
    expired: i128,
}

/// The figures of a period.
///
/// # Errors
/// [`NettingError::Amount`] for a sum that the books cannot hold.
///
/// Source: settlement.md, models M1, M2, M5 and M6 and the examples A to D, F, G, J, K and O.
pub fn calculate(flows: &[Flow], basis: &Basis<'_>) -> Result<Calculation, NettingError> {
    let lines = lines::lines(flows, basis)?;
    let mut merchants = BTreeMap::new();
    for (merchant, counts) in counts(flows)? {
        merchants.insert(merchant, counts.position()?);
    }
    let mut operator_net: i64 = 0;
    for line in &lines {
        match line.party {
            Some(merchant) => merchants.entry(merchant).or_default().count(line)?,
            None => grow(&mut operator_net, line.amount)?,
        }
    }
    for (merchant, position) in &mut merchants {
        if let Some(tax) = basis.agreed.of(*merchant).and_then(|terms| terms.tax) {
            position.tax(tax.basis_points)?;
        }
    }
    let mut calculation = Calculation {
        merchants,
        lines,
        operator_net,
        payments: Vec::new(),
    };
    calculation.payments = netting::payments(&calculation.nets())?;
    Ok(calculation)
}

fn counts(flows: &[Flow]) -> Result<BTreeMap<MerchantId, Counts>, AmountError> {
    let mut all: BTreeMap<MerchantId, Counts> = BTreeMap::new();
    for flow in flows {
        let by = all.entry(flow.by).or_default();
        let count = match flow.kind {
            FlowKind::Issued => &mut by.issued,
            FlowKind::TakenBack | FlowKind::Owed => &mut by.taken_back,
            FlowKind::Accepted => &mut by.redeemed,
            FlowKind::GivenBack => &mut by.given_back,
            FlowKind::Expired => &mut by.expired,
        };
        *count = count
            .checked_add(i128::from(flow.points))
            .ok_or(AmountError::Overflow)?;
    }
    Ok(all)
}

impl Counts {
    fn position(&self) -> Result<Position, AmountError> {
        Ok(Position {
            issued: narrow(self.issued)?,
            taken_back: narrow(self.taken_back)?,
            redeemed: narrow(self.redeemed)?,
            given_back: narrow(self.given_back)?,
            expired: narrow(self.expired)?,
            ..Position::default()
        })
    }
}

impl Position {
    /// Takes a line into the figure that it belongs to, and into the net.
    fn count(&mut self, line: &Line) -> Result<(), AmountError> {
        let owes = line.amount.checked_neg().ok_or(AmountError::Overflow)?;
        let (figure, amount) = match line.kind {
            LineKind::Redeemed | LineKind::GivenBack => (&mut self.receives, line.amount),
            LineKind::OwnShop => {
                grow(&mut self.own_points, line.points)?;
                let rest = line.value.checked_add(owes).ok_or(AmountError::Overflow)?;
                grow(&mut self.own_value, rest)?;
                (&mut self.receives, line.amount)
            }
            LineKind::Charged | LineKind::Credited => (&mut self.pays, owes),
            LineKind::Funded | LineKind::Prepaid => (&mut self.funded, owes),
            LineKind::Fee | LineKind::IssueFee | LineKind::FixedFee => (&mut self.fee, owes),
            LineKind::Breakage => (&mut self.breakage, line.amount),
            LineKind::Adjustment | LineKind::Carried => (&mut self.adjusted, line.amount),
            // Lines of the operator alone.
            LineKind::Contribution | LineKind::Margin | LineKind::Pool | LineKind::Fund => {
                return Err(AmountError::Malformed);
            }
        };
        grow(figure, amount)?;
        grow(&mut self.net, line.amount)
    }

    /// The tax in what it receives and in the fee: once for the period, so that no line is rounded; a
    /// half goes to the even neighbour. (settlement.md, example J.)
    fn tax(&mut self, basis_points: i64) -> Result<(), AmountError> {
        let with = WHOLE
            .checked_add(basis_points)
            .ok_or(AmountError::Overflow)?;
        let rate = Rate::new(basis_points, with)?;
        self.tax_basis_points = basis_points;
        self.tax_received = rate.times_half_even(self.receives)?;
        self.tax_fee = rate.times_half_even(self.fee)?;
        Ok(())
    }
}

impl Calculation {
    /// What each party is owed; no merchant is the operator.
    pub fn nets(&self) -> BTreeMap<Party, i64> {
        let merchants = self.merchants.iter();
        merchants
            .map(|(merchant, position)| (Some(*merchant), position.net))
            .chain([(None, self.operator_net)])
            .collect()
    }

    /// The sum of all nets: zero.
    ///
    /// # Errors
    /// [`AmountError::Overflow`].
    pub fn sum(&self) -> Result<i64, AmountError> {
        let nets = self.nets();
        nets.values()
            .try_fold(0_i64, |sum, net| sum.checked_add(*net))
            .ok_or(AmountError::Overflow)
    }

    /// What the operator's net is made of: fees, contributions, margin, pool, fund, adjustments.
    ///
    /// # Errors
    /// [`AmountError::Overflow`].
    pub fn operator(&self) -> Result<BTreeMap<LineKind, i64>, AmountError> {
        let mut sums = BTreeMap::new();
        for line in self.lines.iter().filter(|line| line.party.is_none()) {
            grow(sums.entry(line.kind).or_default(), line.amount)?;
        }
        Ok(sums)
    }

    /// Whoever has a statement by that form: by the first one nobody of whom points only lapsed.
    pub(super) fn positions_of(&self, form: i32) -> BTreeMap<MerchantId, Position> {
        let moves = |it: &Position| it.figures_of(FIRST_FORM).iter().any(|figure| *figure != 0);
        let all = self.merchants.iter();
        let said = all.filter(|(_, it)| form != FIRST_FORM || moves(it));
        said.map(|(merchant, it)| (*merchant, *it)).collect()
    }

    /// What the period's seal is made of: a line for the period and its fee, one for each merchant in
    /// the order of the ids, then one for each of [`Calculation::lines`], in decimal figures with
    /// commas in between; the first form had fewer figures and no lines. `books verify` writes the same
    /// bytes from the tables.
    pub fn canonical(&self, period: Period, fee_basis_points: i64, form: i32) -> String {
        let mut text = format!("{period},{fee_basis_points}\n");
        for (merchant, it) in self.positions_of(form) {
            let figures = it.figures_of(form);
            let figures: Vec<String> = figures.iter().map(i64::to_string).collect();
            let _ = writeln!(text, "{},{}", merchant.uuid(), figures.join(","));
        }
        if form == FIRST_FORM {
            return text;
        }
        let id = |merchant: Option<MerchantId>| {
            merchant.map_or_else(String::new, |merchant| merchant.uuid().to_string())
        };
        for line in &self.lines {
            let _ = writeln!(
                text,
                "{},{},{},{},{},{}",
                id(line.party),
                line.kind.as_str(),
                id(line.partner),
                line.points,
                line.value,
                line.amount,
            );
        }
        text
    }
}

impl Position {
    /// Every figure that a form has, in the order of its seal.
    pub(super) fn figures_of(&self, form: i32) -> Vec<i64> {
        if form != FIRST_FORM {
            return self.figures().to_vec();
        }
        vec![
            self.issued,
            self.taken_back,
            self.redeemed,
            self.given_back,
            self.own_points,
            self.own_value,
            self.pays,
            self.receives,
            self.fee,
            self.net,
        ]
    }

    /// Every figure, in the order of the seal.
    const fn figures(&self) -> [i64; 17] {
        [
            self.issued,
            self.taken_back,
            self.redeemed,
            self.given_back,
            self.expired,
            self.own_points,
            self.own_value,
            self.pays,
            self.receives,
            self.funded,
            self.fee,
            self.breakage,
            self.adjusted,
            self.net,
            self.tax_basis_points,
            self.tax_received,
            self.tax_fee,
        ]
    }
}

fn grow(sum: &mut i64, by: i64) -> Result<(), AmountError> {
    *sum = sum.checked_add(by).ok_or(AmountError::Overflow)?;
    Ok(())
}
