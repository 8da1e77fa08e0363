//! What merchants do not answer in time is confirmed by itself.

use tracing::info;

use super::Tools;
use crate::{
    authz::action::ConfirmSettlement,
    kernel::ids::TenantId,
    queue::worker::Outcome,
    settlement::{SettlementError, confirming, due::SettlementsDue},
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
            "Confirmed {} of {tenant}, whose merchants have had their time", settlement.month
        );
    }
}

fn outcome(error: SettlementError) -> Outcome {
    match error {
        SettlementError::Db(error) => error.into(),
        other => Outcome::Fail(other.to_string()),
    }
}
