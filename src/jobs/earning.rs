//! Points lapse by themselves.

use tracing::info;

use super::Tools;
use crate::{
    authz::action::ExpirePoints,
    earning::{self, PointsDue},
    kernel::ids::TenantId,
    queue::worker::Outcome,
};

/// Members that one transaction serves: none holds its locks for long.
const SLICE: i64 = 100;

/// Lets every point lapse whose time has come by now.
pub(super) async fn expire(tools: Tools, tenant: TenantId, _: PointsDue) -> Result<(), Outcome> {
    let grant = tools.grant::<ExpirePoints>(tenant)?;
    let zone = tools.mall(tenant).await?.tenant.zone;
    let (mut members, mut points) = (0_usize, 0_i64);
    loop {
        let mut tx = tools.db.write(&grant).await?;
        let (found, lapsed) = earning::expire(&mut tx, &grant, zone, SLICE).await?;
        tx.commit().await?;
        if found == 0 {
            break;
        }
        members = members.saturating_add(found);
        points = points.saturating_add(lapsed);
    }
    info!(
        tenant.id = %tenant, members, points,
        "Let {points} points of {members} members lapse in {tenant}"
    );
    Ok(())
}
