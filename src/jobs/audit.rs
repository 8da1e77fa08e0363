//! Seals what people did.

use tracing::info;

use super::Tools;
use crate::{
    audit::{self, SealEntries, Sealed},
    authz::action::RelayJobs,
    kernel::ids::TenantId,
    queue::worker::Outcome,
};

/// Seals what is new, a slice at a time, each in a transaction of its own.
pub(super) async fn seal(tools: Tools, tenant: TenantId, job: SealEntries) -> Result<(), Outcome> {
    let grant = tools.grant::<RelayJobs>(tenant)?;
    let mut entries: usize = 0;
    loop {
        let mut tx = tools.db.write(&grant).await?;
        let (more, count) = match audit::seal(&mut tx, &grant, job.all).await? {
            Sealed::More(count) => (true, count),
            Sealed::All(count) => (false, count),
            // Somebody else is at it.
            Sealed::Overtaken => return Ok(()),
        };
        tx.commit().await?;
        entries = entries.saturating_add(count);
        if !more {
            break;
        }
    }
    if entries > 0 {
        info!(tenant.id = %tenant, entries, "Sealed {entries} entries of the audit of {tenant}");
    }
    Ok(())
}
