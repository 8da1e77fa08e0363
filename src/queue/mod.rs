//! Work that happens after the commit.
//!
//! A use case says what is to happen later by [`enqueue`]: a row in the mall's own `outbox`, in the
//! transaction of the work itself. Either both are durable or neither, and the row's unique
//! (name, dedup key) makes a second wish for the same thing a no-op, for as long as the row is
//! kept ([`KEPT`]).
//!
//! From there on everything is at least once, and nothing more is promised. [`relay`] hands the
//! waiting rows of one mall to `graphile_worker`, which keeps its tables in schema `jobs`; a mall
//! and that schema are never written in one transaction (scale.md, R1 and R2), so a crash between
//! the two commits hands a row over again. The job's key (mall, name, dedup key) swallows that as
//! long as the first copy has not finished. [`worker`] runs jobs, tries failed ones again, ever
//! more slowly, and keeps those that were given up where [`worker::dead_letters`] shows them. A
//! worker that dies in the middle of a job leaves it to another. Therefore **a handler must be safe
//! to run twice**: it decides by what the mall's tables say in its own transaction, never by having
//! been called.
//!
//! The committing process rings the [`Bell`], so that a job starts within milliseconds; a sweep
//! behind it finds what nobody rang for: at the start in every mall, then in a hundred malls each
//! five seconds.
//!
//! Who may what: the login `rotunda_app` has rows and functions of schema `jobs` by grant
//! (`db::migrate`), owns nothing there, and takes its role of a mall off before it goes there; a
//! mall's role sees no part of it.

pub mod relay;
#[cfg(test)]
mod tests;
pub mod worker;

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::TimeDelta;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Notify;

use crate::{
    authz::{action::RelayJobs, grant::Grant},
    db::{error::Error, tx::Tx},
    kernel::ids::{Id, TenantId},
};

/// The longest name and the longest dedup key, in bytes: together with the mall's id they are a
/// job's key, of which `graphile_worker` takes 512.
const LONGEST: usize = 128;

/// How long a row of the outbox is kept after its job was handed over, and so how long a second
/// wish for the same is a no-op.
pub const KEPT: TimeDelta = TimeDelta::days(35);

/// Rows that [`tidy`] takes away at a time.
const TIDIED: i64 = 1000;

/// Rows of the outbox have ids for their order alone; nobody outside ever sees one.
enum Waiting {}

/// The table that is not filled from an archive: what waits in it is done by the mall of which that
/// was taken, or was done already.
pub const LEFT_BEHIND: [&str; 1] = ["outbox"];

/// Something to be done after the commit. The payload holds ids and dates only: no names, no
/// amounts that may have changed meanwhile, nothing that must not be in a log.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What it is called, for ever: "points.expire". At most 128 bytes.
    const NAME: &'static str;

    /// What makes two wishes the same one within a mall: "2026-03-29". At most 128 bytes.
    fn dedup(&self) -> String;
}

/// Writes down that `job` is to be done once this transaction has committed. A job of that name and
/// dedup key that is known already, done or not, makes this a no-op.
///
/// # Errors
/// [`Error::Corrupt`] for a name or dedup key that is empty or too long; [`Error::Unavailable`].
pub async fn enqueue<J: Job>(tx: &mut Tx, job: &J) -> Result<(), Error> {
    let dedup = job.dedup();
    for part in [J::NAME, &dedup] {
        if part.is_empty() || part.len() > LONGEST {
            return Err(Error::Corrupt("job key"));
        }
    }
    let payload = serde_json::to_value(job).map_err(|_| Error::Corrupt("job payload"))?;
    let (id, now) = (tx.new_id::<Waiting>().uuid(), tx.now());
    sqlx::query!(
        "insert into outbox (job_id, name, payload, dedup_key, created_at)
         values ($1, $2, $3, $4, $5)
         on conflict (name, dedup_key) do nothing",
        id,
        J::NAME,
        payload,
        dedup,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// As [`enqueue`], for many of one kind in one statement.
///
/// # Errors
/// As [`enqueue`].
pub async fn enqueue_all<J: Job>(tx: &mut Tx, jobs: &[J]) -> Result<(), Error> {
    let (mut ids, mut payloads, mut dedups) = (Vec::new(), Vec::new(), Vec::new());
    for job in jobs {
        let dedup = job.dedup();
        if dedup.is_empty() || dedup.len() > LONGEST || J::NAME.len() > LONGEST {
            return Err(Error::Corrupt("job key"));
        }
        ids.push(tx.new_id::<Waiting>().uuid());
        payloads.push(serde_json::to_value(job).map_err(|_| Error::Corrupt("job payload"))?);
        dedups.push(dedup);
    }
    let now = tx.now();
    sqlx::query!(
        "insert into outbox (job_id, name, payload, dedup_key, created_at)
         select job_id, $1, payload, dedup_key, $2
         from unnest($3::uuid[], $4::jsonb[], $5::text[]) as new (job_id, payload, dedup_key)
         on conflict (name, dedup_key) do nothing",
        J::NAME,
        now,
        &ids,
        &payloads,
        &dedups,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes rows out of the outbox that were handed over long ago; whether there may be more.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn tidy(tx: &mut Tx, _grant: &Grant<RelayJobs>) -> Result<bool, Error> {
    let before = tx.now().checked_sub_signed(KEPT).unwrap_or_default();
    // Ids sort by time: outbox_pkey finds the old rows without an index on the date.
    let oldest_kept = Id::<Waiting>::new(before, tx.entropy()).uuid();
    let gone = sqlx::query!(
        "delete from outbox
         where job_id = any (array(
             select job_id
             from outbox
             where job_id < $1 and relayed_at < $2
             order by job_id
             limit $3))",
        oldest_kept,
        before,
        TIDIED,
    )
    .execute(tx.conn())
    .await?;
    Ok(gone.rows_affected() >= TIDIED.unsigned_abs())
}

/// How the process that committed wakes the relay. Cheap to clone; ringing never waits.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<BellState>);

#[derive(Debug, Default)]
struct BellState {
    rung_for: Mutex<BTreeSet<TenantId>>,
    wake: Notify,
}

impl Bell {
    /// Says that this mall's outbox has something in it. To be called after the commit: before it
    /// the relay would find nothing.
    pub fn ring(&self, tenant: TenantId) {
        self.lock().insert(tenant);
        self.0.wake.notify_one();
    }

    /// Waits until somebody rings; every mall that was rung for since the last time.
    async fn answer(&self) -> BTreeSet<TenantId> {
        loop {
            let rung = mem::take(&mut *self.lock());
            if !rung.is_empty() {
                return rung;
            }
            self.0.wake.notified().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<TenantId>> {
        self.0
            .rung_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
