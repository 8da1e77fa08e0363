//! The periods of the history, closed by the house and issued by the mall's finance.

use anyhow::Context;

use super::keys::Rights;
use crate::{
    app::Mall,
    db::Db,
    kernel::time::{Instant, Period},
    settlement::{self, Settlement, State, confirming, listed},
};

/// Closes a period and issues it, as far as neither was done before; when what merchants have not
/// answered is confirmed.
///
/// # Errors
/// The database's errors; a period that is not over.
pub(super) async fn close_and_issue(
    db: &Db,
    mall: &Mall,
    rights: &Rights,
    period: Period,
) -> anyhow::Result<Instant> {
    let (terms, tenant) = (&mall.settlement, &mall.tenant);
    let (zone, currency) = (tenant.zone, tenant.currency);
    let closed = settlement::close_period(db, &rights.close, period, terms, zone, currency)
        .await
        .with_context(|| format!("{period} cannot be closed"))?;
    listed::go_on(db, &rights.close, period, |_| {}).await?;
    let mut settlement: Settlement = closed.settlement;
    if settlement.state == State::Proofed {
        let mut tx = db.write(&rights.issue).await?;
        let (grant, id) = (&rights.issue, settlement.id);
        settlement = confirming::issue(&mut tx, grant, id, zone, currency).await?;
        tx.commit().await?;
    }
    let confirm_by = settlement.confirm_by;
    confirm_by.with_context(|| format!("{period} was closed and not issued"))
}

/// Confirms what merchants have not answered by the database's clock.
///
/// # Errors
/// The database's errors.
pub(super) async fn confirm_due(db: &Db, mall: &Mall, rights: &Rights) -> anyhow::Result<()> {
    let (grant, currency) = (&rights.confirm, mall.tenant.currency);
    loop {
        let mut tx = db.write(grant).await?;
        if confirming::confirm_due(&mut tx, grant, currency)
            .await?
            .is_none()
        {
            return Ok(());
        }
        tx.commit().await?;
    }
}
