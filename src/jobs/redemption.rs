//! Reservations lapse by themselves.

use tracing::{debug, info};

use super::Tools;
use crate::{
    authz::action::LapseRedemptions,
    kernel::ids::TenantId,
    queue::worker::Outcome,
    redemption::{self, RedemptionError, RedemptionsDue},
};

/// Reservations that one transaction gives back.
const SLICE: i64 = 200;

/// Gives back every reservation whose time is over by now.
pub(super) async fn lapse(
    tools: Tools,
    tenant: TenantId,
    _: RedemptionsDue,
) -> Result<(), Outcome> {
    let grant = tools.grant::<LapseRedemptions>(tenant)?;
    let mall = tools.mall(tenant).await?;
    let mut reservations = 0_usize;
    loop {
        let mut tx = tools.db.write(&grant).await?;
        let (zone, grace) = (mall.tenant.zone, mall.grace(tx.now()));
        let lapsed = redemption::lapse_due(&mut tx, &grant, zone, grace, SLICE)
            .await
            .map_err(outcome)?;
        tx.commit().await?;
        if lapsed == 0 {
            break;
        }
        reservations = reservations.saturating_add(lapsed);
    }
    if reservations == 0 {
        // Every minute of every mall: only what happened is worth a line.
        debug!(tenant.id = %tenant, "No reservation lapsed in {tenant}");
    } else {
        info!(
            tenant.id = %tenant, reservations,
            "Let {reservations} reservations lapse in {tenant}"
        );
    }
    Ok(())
}

fn outcome(error: RedemptionError) -> Outcome {
    match error {
        RedemptionError::Db(error) => error.into(),
        other => Outcome::Fail(other.to_string()),
    }
}
