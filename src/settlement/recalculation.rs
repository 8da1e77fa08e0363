//! A closed period calculated anew: it comes to the bytes that were sealed, however long ago.
//!
//! Everything that the figures are made of stays as it was: the ledger only grows, and what it grows
//! by belongs to later periods; agreements, advances and adjustments of a period end with its cut-off.
//! So anybody can have the figures calculated again and hold their digest against the one that was
//! written then. Where they differ, somebody changed the books.

use std::collections::BTreeSet;

use super::{
    SettlementError, Statement, agreed, calculate, digest,
    period::{self, Act, OutOfTurn},
    store, whole_mall,
};
use crate::{
    authz::{action::PreviewSettlement, grant::Grant},
    db::{self, tx::ReadTx},
    kernel::{
        ids::{MerchantId, SettlementId},
        page::MOST,
        text::Code,
        time::{Period, Zone},
    },
    ledger,
};

/// What a closed period comes to today, beside what was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalculation {
    /// The settlement.
    pub settlement: SettlementId,
    /// Of which period.
    pub period: Period,
    /// The digest that was written when it was closed, as 64 hexadecimal digits.
    pub sealed: String,
    /// That of the figures as they come out now.
    pub recalculated: String,
    /// The merchants whose statement says other figures, in the order of their codes; none where only
    /// lines or the seal itself were changed.
    pub differing: Vec<Code>,
}

impl Recalculation {
    /// Whether it comes to the same bytes.
    pub fn is_same(&self) -> bool {
        self.sealed == self.recalculated && self.differing.is_empty()
    }
}

/// Calculates a closed period anew from the ledger and changes nothing; in time it costs what closing
/// did.
///
/// # Errors
/// [`SettlementError::NotFound`] for whoever does not reach the whole mall, [`SettlementError::OutOfTurn`]
/// while no figures are written.
pub async fn recalculate(
    tx: &mut ReadTx,
    grant: &Grant<PreviewSettlement>,
    id: SettlementId,
    zone: Zone,
) -> Result<Recalculation, SettlementError> {
    whole_mall(grant.reach())?;
    let found = store::by_id(tx, id).await?;
    let settlement = found.ok_or(SettlementError::NotFound)?;
    period::step(Some(settlement.state), Act::Recalculate)?;
    let sealed = settlement.digest.ok_or(db::Error::Corrupt("digest"))?;
    store::take_time(tx).await?;
    let (period, fee) = (settlement.period, settlement.fee_basis_points);
    let agreed = agreed(tx, period, zone).await?;
    let flows = ledger::flows(tx, period, agreed.eras()).await?;
    let (calculation, codes) = calculate(tx, period, fee, &agreed, &flows.sums).await?;
    let mut differing = BTreeSet::new();
    let mut unwritten = calculation.positions_of(settlement.form);
    for written in statements(tx, id).await? {
        let fresh = unwritten.remove(&written.merchant).unwrap_or_default();
        if fresh.figures_of(settlement.form) != written.position.figures_of(settlement.form) {
            differing.insert(written.code);
        }
    }
    for merchant in unwritten.into_keys() {
        differing.extend(codes.get(&merchant).cloned());
    }
    Ok(Recalculation {
        settlement: id,
        period,
        sealed,
        recalculated: digest(&calculation.canonical(period, fee, settlement.form)),
        differing: differing.into_iter().collect(),
    })
}

/// [`recalculate`] by the period.
///
/// # Errors
/// As it; [`SettlementError::OtherUnit`].
pub async fn recalculate_period(
    tx: &mut ReadTx,
    grant: &Grant<PreviewSettlement>,
    period: Period,
    zone: Zone,
) -> Result<Recalculation, SettlementError> {
    whole_mall(grant.reach())?;
    let open = OutOfTurn {
        act: Act::Recalculate,
        state: None,
    };
    let known = super::of_period(tx, period).await?.ok_or(open)?;
    recalculate(tx, grant, known.id, zone).await
}

/// Every statement of a settlement as it was written.
async fn statements(tx: &mut ReadTx, id: SettlementId) -> Result<Vec<Statement>, SettlementError> {
    let mut all: Vec<Statement> = Vec::new();
    let mut after = MerchantId::from_uuid(uuid::Uuid::nil());
    loop {
        let page = store::statements(tx, id, None, after, MOST).await?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        after = last.merchant;
        all.extend(page);
    }
}
