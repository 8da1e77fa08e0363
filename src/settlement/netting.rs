//! Netting, pure: from what each party is owed to the fewest payments that we know how to find.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use thiserror::Error;

use crate::kernel::{AmountError, ids::MerchantId};

/// Somebody who pays or receives in a settlement; no merchant is the operator.
pub type Party = Option<MerchantId>;

/// What one party pays another, in minor units, above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// Who pays.
    pub from: Party,
    /// Who receives.
    pub to: Party,
    /// How much.
    pub amount: i64,
}

/// Nets that cannot be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NettingError {
    /// An amount that the books cannot hold.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// Somebody would receive what nobody pays, or the other way round: by so many minor units.
    #[error("the nets of the period add up to {0} and not to zero")]
    Lopsided(i128),
}

/// The payments that bring every net to zero: above zero is owed to the party, below zero is owed
/// by it. Who owes only pays, who is owed only receives, each exactly its net. Each payment ends at
/// least one party's part and the last ends two, so there are fewer payments than parties.
///
/// The largest payer pays the largest receiver, and so on; where two are equal, the operator comes
/// first and then the merchant with the smaller id: the same nets give the same payments.
///
/// # Errors
/// [`NettingError`].
///
/// Source: settlement.md, example E.
pub fn payments(nets: &BTreeMap<Party, i64>) -> Result<Vec<Payment>, NettingError> {
    let sum: i128 = nets.values().map(|net| i128::from(*net)).sum();
    if sum != 0 {
        return Err(NettingError::Lopsided(sum));
    }
    let mut payers = BTreeSet::new();
    let mut receivers = BTreeSet::new();
    for (party, net) in nets {
        let size = net.checked_abs().ok_or(AmountError::Overflow)?;
        match net {
            ..0 => payers.insert((Reverse(size), *party)),
            0 => false,
            1.. => receivers.insert((Reverse(size), *party)),
        };
    }
    let mut payments = Vec::new();
    while let (Some((Reverse(owes), from)), Some((Reverse(owed), to))) =
        (payers.pop_first(), receivers.pop_first())
    {
        let amount = owes.min(owed);
        payments.push(Payment { from, to, amount });
        let rest = |whole: i64| whole.checked_sub(amount).ok_or(AmountError::Overflow);
        if owes > amount {
            payers.insert((Reverse(rest(owes)?), from));
        }
        if owed > amount {
            receivers.insert((Reverse(rest(owed)?), to));
        }
    }
    Ok(payments)
}
