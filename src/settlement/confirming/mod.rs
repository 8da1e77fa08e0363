//! From figures that are written to payments that are fixed: a second person issues them, every
//! merchant confirms its own or lets the time pass.
//!
//! Everything here begins with the lock on the settlement's row, so that of many who confirm at once
//! one is the last, and payments are fixed once.

pub(super) mod store;

use std::collections::HashSet;

use uuid::Uuid;

use super::{
    Settlement, SettlementError, Statement, audited, paying,
    period::{self, Act, Approval, StatementState},
    statement_within, store as settlements, whole_mall,
};
use crate::{
    audit::{self, Done, Field},
    authz::{
        action::{ConfirmSettlement, ConfirmStatement, IssueSettlement},
        grant::Grant,
    },
    db::tx::Tx,
    kernel::{
        ids::{MerchantId, SettlementId, StatementId},
        money::Currency,
        time::{Period, Zone},
    },
    merchants, notify,
};

/// Lets the merchants of a settlement see their statements. From now on they have
/// [`Course::confirm_days`](super::Course::confirm_days) to answer; where that is none, everything is confirmed at once.
///
/// # Errors
/// [`SettlementError::NotFound`]; [`SettlementError::OutOfTurn`];
/// [`SettlementError::NeedsSecondPerson`] for whoever wrote the figures, where the programme asks
/// for two.
pub async fn issue(
    tx: &mut Tx,
    grant: &Grant<IssueSettlement>,
    id: SettlementId,
    zone: Zone,
    currency: Currency,
) -> Result<Settlement, SettlementError> {
    whole_mall(grant.reach())?;
    let found = settlements::lock_id(tx, id).await?;
    let settlement = found.ok_or(SettlementError::NotFound)?;
    issue_it(tx, settlement, zone, currency).await
}

/// The same for whoever knows the period.
///
/// # Errors
/// As [`issue`], but for `NotFound`: a period without a settlement is open.
pub async fn issue_period(
    tx: &mut Tx,
    grant: &Grant<IssueSettlement>,
    period: Period,
    zone: Zone,
    currency: Currency,
) -> Result<Settlement, SettlementError> {
    whole_mall(grant.reach())?;
    let found = super::lock(tx, period).await?;
    period::step(found.as_ref().map(|found| found.state), Act::Issue)?;
    let settlement = found.ok_or(SettlementError::NotFound)?;
    issue_it(tx, settlement, zone, currency).await
}

async fn issue_it(
    tx: &mut Tx,
    mut settlement: Settlement,
    zone: Zone,
    currency: Currency,
) -> Result<Settlement, SettlementError> {
    period::step(Some(settlement.state), Act::Issue)?;
    if settlement.course.approval == Approval::Two && settlement.actor == tx.actor().to_string() {
        return Err(SettlementError::NeedsSecondPerson);
    }
    put_out(tx, &mut settlement, zone, currency).await?;
    Ok(settlement)
}

/// Issues a settlement that somebody may issue.
pub(super) async fn put_out(
    tx: &mut Tx,
    settlement: &mut Settlement,
    zone: Zone,
    currency: Currency,
) -> Result<(), SettlementError> {
    let now = tx.now();
    settlement.state = period::step(Some(settlement.state), Act::Issue)?;
    settlement.issued_at = Some(now);
    settlement.issued_by = Some(tx.actor().to_string());
    settlement.confirm_by = Some(settlement.course.confirm_by(now, zone));
    settlements::update(tx, settlement).await?;
    audited::step(tx, audit::Act::SettlementIssued, settlement).await?;
    let issued = store::issue_statements(tx, settlement.id).await?;
    tell(tx, &issued).await?;
    if settlement.course.confirm_days == 0 {
        confirm_rest(tx, settlement, currency).await
    } else {
        confirm_if_last(tx, settlement, currency).await
    }
}

/// Queues a message to each merchant that gets mail, in the same transaction.
async fn tell(tx: &mut Tx, issued: &[(MerchantId, Uuid)]) -> Result<(), SettlementError> {
    let ids: Vec<MerchantId> = issued.iter().map(|(merchant, _)| *merchant).collect();
    let known = merchants::contacts::with_contact(tx, &ids).await?;
    let known: HashSet<MerchantId> = known.into_iter().collect();
    let about: Vec<(MerchantId, Uuid)> = issued
        .iter()
        .filter(|(merchant, _)| known.contains(merchant))
        .copied()
        .collect();
    Ok(notify::queue(tx, notify::Kind::StatementIssued, &about).await?)
}

/// A merchant agrees to its statement. With the last one of a settlement the payments are fixed.
///
/// # Errors
/// [`SettlementError::NotFound`], also for another merchant's;
/// [`SettlementError::StatementConfirmed`]; [`SettlementError::OutOfTurn`].
pub async fn confirm(
    tx: &mut Tx,
    grant: &Grant<ConfirmStatement>,
    id: StatementId,
    currency: Currency,
) -> Result<Statement, SettlementError> {
    let seen = statement_within(tx, grant.reach(), id).await?;
    let seen = seen.ok_or(SettlementError::NotFound)?;
    let found = settlements::lock_id(tx, seen.settlement).await?;
    let mut settlement = found.ok_or(SettlementError::NotFound)?;
    // As it is now that nobody else is at it.
    let found = settlements::statement(tx, id).await?;
    let mut statement = found.ok_or(SettlementError::NotFound)?;
    if statement.state.is_confirmed() {
        return Err(SettlementError::StatementConfirmed);
    }
    period::step(Some(settlement.state), Act::ConfirmStatement)?;
    statement.state = StatementState::Confirmed;
    statement.confirmed_at = Some(tx.now());
    store::confirm_statement(tx, id).await?;
    let done = Done::to(audit::Act::StatementConfirmed, id);
    let done = done.is(Field::Merchant, audit::id(statement.merchant));
    audit::record(tx, done.is(Field::Period, settlement.period.to_string())).await?;
    confirm_if_last(tx, &mut settlement, currency).await?;
    Ok(statement)
}

/// Confirms the oldest settlement whose merchants have had their time, whatever they have not
/// answered; none where there is none. Done again it confirms the next.
///
/// # Errors
/// [`SettlementError::Db`].
pub async fn confirm_due(
    tx: &mut Tx,
    grant: &Grant<ConfirmSettlement>,
    currency: Currency,
) -> Result<Option<Settlement>, SettlementError> {
    whole_mall(grant.reach())?;
    let now = tx.now();
    let Some(mut settlement) = settlements::lock_due(tx, now).await? else {
        return Ok(None);
    };
    confirm_rest(tx, &mut settlement, currency).await?;
    Ok(Some(settlement))
}

/// Confirms a period whose merchants have had their time, without waiting for the house to do it.
///
/// # Errors
/// [`SettlementError::OutOfTurn`]; [`SettlementError::NotDue`] while they have some left.
pub async fn confirm_period(
    tx: &mut Tx,
    grant: &Grant<ConfirmSettlement>,
    period: Period,
    currency: Currency,
) -> Result<Settlement, SettlementError> {
    whole_mall(grant.reach())?;
    let found = super::lock(tx, period).await?;
    period::step(found.as_ref().map(|found| found.state), Act::Confirm)?;
    let mut settlement = found.ok_or(SettlementError::NotFound)?;
    match settlement.confirm_by {
        Some(confirm_by) if tx.now() < confirm_by => Err(SettlementError::NotDue { confirm_by }),
        _ => {
            confirm_rest(tx, &mut settlement, currency).await?;
            Ok(settlement)
        }
    }
}

/// Takes silence for agreement.
async fn confirm_rest(
    tx: &mut Tx,
    settlement: &mut Settlement,
    currency: Currency,
) -> Result<(), SettlementError> {
    store::confirm_statements(tx, settlement.id).await?;
    audited::step(tx, audit::Act::SettlementConfirmed, settlement).await?;
    paying::fix(tx, settlement, currency).await
}

/// Fixes the payments where nobody's answer is missing.
async fn confirm_if_last(
    tx: &mut Tx,
    settlement: &mut Settlement,
    currency: Currency,
) -> Result<(), SettlementError> {
    if store::is_any_unconfirmed(tx, settlement.id).await? {
        return Ok(());
    }
    paying::fix(tx, settlement, currency).await
}
