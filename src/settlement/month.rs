//! A month's figures, pure: from what moved between merchants to what each pays and receives.
//!
//! Nothing here asks when or who: the same flows in any order give the same figures, and their
//! sum over merchants and operator is zero.

use std::{collections::BTreeMap, fmt::Write};

use super::netting::{self, NettingError, Party, Payment};
use crate::{
    kernel::{AmountError, ids::MerchantId, money::Rate, time::Month},
    ledger::{Flow, FlowKind},
};

/// What a fee of one is in basis points.
const WHOLE: i64 = 10_000;

/// What a month was for one merchant. Points are whole, money is in minor units.
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
    /// Its own points that it took, less those it gave back: no money moves for them.
    pub own_points: i64,
    /// What those would settle at.
    pub own_value: i64,
    /// What it pays for its points that others took, less what they gave back; below zero where
    /// they gave back more.
    pub pays: i64,
    /// What it receives for others' points that it took, less what it gave back.
    pub receives: i64,
    /// The operator's part of `receives`; below zero where a fee is returned.
    pub fee: i64,
    /// `receives - pays - fee`: above zero is owed to it.
    pub net: i64,
}

/// A month's figures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calculation {
    /// Every merchant with any movement.
    pub merchants: BTreeMap<MerchantId, Position>,
    /// What the operator gets: the sum of the fees.
    pub operator_net: i64,
    /// What parties pay each other so that every net becomes zero.
    pub payments: Vec<Payment>,
}

/// Sums while they grow: wide, so that no order of the flows can overflow on the way.
#[derive(Debug, Default)]
struct Sums {
    issued: i128,
    taken_back: i128,
    redeemed: i128,
    given_back: i128,
    own_points: i128,
    own_value: i128,
    pays: i128,
    receives: i128,
}

/// The figures of a month. The fee is taken once a merchant, on what it receives over the whole
/// month, a half of a minor unit going to the even neighbour.
///
/// # Errors
/// [`NettingError::Amount`] for a sum that the books cannot hold.
///
/// Source: settlement.md, model M1 and the examples A, F and O.
pub fn calculate(flows: &[Flow], fee_basis_points: i64) -> Result<Calculation, NettingError> {
    let fee = Rate::new(fee_basis_points, WHOLE)?;
    let mut sums: BTreeMap<MerchantId, Sums> = BTreeMap::new();
    for flow in flows {
        count(&mut sums, flow)?;
    }
    let mut merchants = BTreeMap::new();
    let mut operator_net: i64 = 0;
    for (merchant, sum) in sums {
        let position = sum.position(fee)?;
        operator_net = operator_net
            .checked_add(position.fee)
            .ok_or(AmountError::Overflow)?;
        merchants.insert(merchant, position);
    }
    let mut calculation = Calculation {
        merchants,
        operator_net,
        payments: Vec::new(),
    };
    calculation.payments = netting::payments(&calculation.nets())?;
    Ok(calculation)
}

fn count(sums: &mut BTreeMap<MerchantId, Sums>, flow: &Flow) -> Result<(), AmountError> {
    let (points, value) = (i128::from(flow.points), i128::from(flow.value));
    let by = sums.entry(flow.by).or_default();
    let gross = match flow.kind {
        FlowKind::Issued => &mut by.issued,
        FlowKind::TakenBack => &mut by.taken_back,
        FlowKind::Accepted => &mut by.redeemed,
        FlowKind::GivenBack => &mut by.given_back,
    };
    grow(gross, points)?;
    let sign = match flow.kind {
        FlowKind::Issued | FlowKind::TakenBack => return Ok(()),
        FlowKind::Accepted => 1,
        FlowKind::GivenBack => -1,
    };
    let signed = |amount: i128| amount.checked_mul(sign).ok_or(AmountError::Overflow);
    if flow.by == flow.from {
        grow(&mut by.own_points, signed(points)?)?;
        return grow(&mut by.own_value, signed(value)?);
    }
    grow(&mut by.receives, signed(value)?)?;
    grow(&mut sums.entry(flow.from).or_default().pays, signed(value)?)
}

fn grow(sum: &mut i128, by: i128) -> Result<(), AmountError> {
    *sum = sum.checked_add(by).ok_or(AmountError::Overflow)?;
    Ok(())
}

impl Sums {
    fn position(&self, fee: Rate) -> Result<Position, AmountError> {
        let narrow = |sum: i128| i64::try_from(sum).map_err(|_| AmountError::Overflow);
        let (pays, receives) = (narrow(self.pays)?, narrow(self.receives)?);
        let fee = fee.times_half_even(receives)?;
        let net = receives
            .checked_sub(pays)
            .and_then(|net| net.checked_sub(fee))
            .ok_or(AmountError::Overflow)?;
        Ok(Position {
            issued: narrow(self.issued)?,
            taken_back: narrow(self.taken_back)?,
            redeemed: narrow(self.redeemed)?,
            given_back: narrow(self.given_back)?,
            own_points: narrow(self.own_points)?,
            own_value: narrow(self.own_value)?,
            pays,
            receives,
            fee,
            net,
        })
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

    /// What the month's seal is made of: a line for the month and its fee, then one for each
    /// merchant in the order of the ids, in decimal figures with commas in between. `books verify`
    /// writes the same bytes from the tables.
    pub fn canonical(&self, month: Month, fee_basis_points: i64) -> String {
        let mut text = format!("{month},{fee_basis_points}\n");
        for (merchant, it) in &self.merchants {
            let _ = writeln!(
                text,
                "{},{},{},{},{},{},{},{},{},{},{}",
                merchant.uuid(),
                it.issued,
                it.taken_back,
                it.redeemed,
                it.given_back,
                it.own_points,
                it.own_value,
                it.pays,
                it.receives,
                it.fee,
                it.net,
            );
        }
        text
    }
}
