//! The queue's own housekeeping.

use super::{Tools, schedule::TidyOutbox};
use crate::{
    authz::action::RelayJobs,
    kernel::ids::TenantId,
    queue::{self, worker::Outcome},
};

/// Takes away what was handed over long ago, a transaction at a time.
pub(super) async fn tidy(tools: Tools, tenant: TenantId, _: TidyOutbox) -> Result<(), Outcome> {
    let grant = tools.grant::<RelayJobs>(tenant)?;
    loop {
        let mut tx = tools.db.write(&grant).await?;
        let more = queue::tidy(&mut tx, &grant).await?;
        tx.commit().await?;
        if !more {
            return Ok(());
        }
    }
}
