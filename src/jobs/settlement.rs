//! What merchants do not answer in time is confirmed by itself; the lines of large periods are listed.

use tracing::info;

use super::Tools;
use crate::{
    authz::action::{CloseSettlement, ConfirmSettlement},
    kernel::{ids::TenantId, time::PeriodError},
    queue::worker::Outcome,
    settlement::{
        SettlementError, confirming,
        due::SettlementsDue,
        listed::{self, ListLines},
    },
};

/// Confirms every settlement whose merchants have had their time by now, a transaction each.
pub(super) async fn confirm(
    tools: Tools,
    tenant: TenantId,
    _: SettlementsDue,
) -> Result<(), Outcome> {
    let grant = tools.grant::<ConfirmSettlement>(tenant)?;
    let currency = tools.mall(tenant).await?.tenant.currency;
    loop {
        let mut tx = tools.db.write(&grant).await?;
        let confirmed = confirming::confirm_due(&mut tx, &grant, currency).await;
        let Some(settlement) = confirmed.map_err(outcome)? else {
            return Ok(());
        };
        tx.commit().await?;
        info!(
            tenant.id = %tenant, settlement.id = %settlement.id,
            "Confirmed {} of {tenant}, whose merchants have had their time", settlement.period
        );
    }
}

/// Writes down the lines of a period whose figures are written.
pub(super) async fn list(tools: Tools, tenant: TenantId, job: ListLines) -> Result<(), Outcome> {
    let grant = tools.grant::<CloseSettlement>(tenant)?;
    let period = job.period.parse();
    let period = period.map_err(|error: PeriodError| Outcome::Fail(error.to_string()))?;
    listed::go_on(&tools.db, &grant, period, |listing| {
        info!(
            tenant.id = %tenant, %period,
            "Listed {} of {} lines of {period} of {tenant}", listing.done, listing.all
        );
    })
    .await?;
    Ok(())
}

fn outcome(error: SettlementError) -> Outcome {
    match error {
        SettlementError::Db(error) => error.into(),
        other => Outcome::Fail(other.to_string()),
    }
}
