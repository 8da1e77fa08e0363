//! From a mall's outbox to the worker: at least once, and again is harmless.

use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};

use tokio::time::MissedTickBehavior;
use tracing::{debug, warn};
use uuid::Uuid;

use super::{Bell, worker::key};
use crate::{
    authz::{action::RelayJobs, actor::Principal, grant::Grant, policy::Policy},
    db::{Db, error::Error, tenants::Status},
    kernel::ids::TenantId,
};

/// Rows that one transaction hands over.
const BATCH: i64 = 256;

/// Malls that one question to the registry names, and that one sweep looks at.
const PAGE: i64 = if cfg!(test) { 2 } else { 100 };

/// How often a page of outboxes is looked into, whether or not somebody rang for them.
pub const SWEEP: Duration = Duration::from_secs(5);

/// Rows of one batch, column by column.
#[derive(Default)]
struct Batch {
    ids: Vec<Uuid>,
    names: Vec<String>,
    payloads: Vec<serde_json::Value>,
    keys: Vec<String>,
}

/// Hands over everything that waits in one mall's outbox; how many rows that was.
///
/// The rows are locked in the mall's transaction while another connection adds the jobs and commits
/// them, then they are marked. So two relays never hand over the same row side by side; they skip
/// each other's. What a crash in between repeats, the job's key swallows.
///
/// # Errors
/// [`Error::Unavailable`]; nothing is lost, the rows wait.
pub async fn relay(db: &Db, grant: &Grant<RelayJobs>) -> Result<u64, Error> {
    let mut handed = 0;
    loop {
        let rows = hand_over(db, grant).await?;
        handed += rows;
        if rows < BATCH.unsigned_abs() {
            return Ok(handed);
        }
    }
}

async fn hand_over(db: &Db, grant: &Grant<RelayJobs>) -> Result<u64, Error> {
    let mut tx = db.write(grant).await?;
    let (tenant, now) = (tx.tenant(), tx.now());
    // outbox_waiting_idx
    let rows = sqlx::query!(
        "select job_id, name, payload, dedup_key
         from outbox
         where relayed_at is null
         order by created_at, job_id
         limit $1
         for update skip locked",
        BATCH,
    )
    .fetch_all(tx.conn())
    .await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let mut batch = Batch::default();
    for row in rows {
        batch.ids.push(row.job_id);
        batch.keys.push(key(tenant, &row.name, &row.dedup_key));
        batch.payloads.push(row.payload);
        batch.names.push(row.name);
    }
    add(db, tenant, &batch).await?;
    let marked = sqlx::query!(
        "update outbox set relayed_at = $2 where job_id = any ($1)",
        &batch.ids,
        now,
    )
    .execute(tx.conn())
    .await?;
    tx.commit().await?;
    Ok(marked.rows_affected())
}

/// Adds the jobs in one statement. A job whose key is there already stays as it is, also while it
/// runs and after it was given up: that is `unsafe_dedupe`, unsafe only for jobs that change. The
/// order is one for all malls: a name that nobody used before is a row that relays wait for.
async fn add(db: &Db, tenant: TenantId, batch: &Batch) -> Result<(), Error> {
    sqlx::query(
        "select count((jobs.add_job(
             waiting.name,
             payload => json_build_object('tenant', $4::text, 'job', waiting.payload),
             job_key => waiting.key,
             job_key_mode => 'unsafe_dedupe')).id)
         from (
             select name, payload, key
             from unnest($1::text[], $2::jsonb[], $3::text[]) as batch (name, payload, key)
             order by name, key) as waiting",
    )
    .bind(&batch.names)
    .bind(&batch.payloads)
    .bind(&batch.keys)
    .bind(tenant.to_string())
    .execute(db.jobs())
    .await?;
    Ok(())
}

/// Relays for every active mall until `stop`: at once where `bell` rings; and at each [`SWEEP`] for
/// the next page of malls, whether or not anybody rang, at the start for all of them.
///
/// A mall that cannot be relayed is logged and tried again at the next sweep; the others go on.
pub async fn run(db: Db, policy: Arc<Policy>, bell: Bell, stop: impl Future<Output = ()>) {
    let mut tick = tokio::time::interval(SWEEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sweep = Sweep::new(db, policy);
    tokio::pin!(stop);
    tokio::select! {
        () = &mut stop => return,
        () = sweep.all() => tick.reset(),
    }
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return,
            rung = bell.answer() => for tenant in rung {
                let _ = sweep.relay(tenant).await;
            },
            _ = tick.tick() => sweep.next().await,
        }
    }
}

/// Looks into one outbox after the other. Each look is a transaction as the mall's own role on some
/// connection, which pays for every mall that it meets: so no more than a page of malls at a time,
/// however many there are. Whoever writes rings; what is found here is what a crash left behind.
pub(super) struct Sweep {
    db: Db,
    policy: Arc<Policy>,
    /// The last mall of the page before.
    after: String,
    /// What failed, and has its next turn at once.
    failed: BTreeSet<TenantId>,
}

impl Sweep {
    pub(super) fn new(db: Db, policy: Arc<Policy>) -> Self {
        Self {
            db,
            policy,
            after: String::new(),
            failed: BTreeSet::new(),
        }
    }

    /// Every mall, from the first to the last.
    async fn all(&mut self) {
        self.after.clear();
        while self.page().await {}
    }

    /// What failed before, and the next page of malls, behind the last the first again.
    pub(super) async fn next(&mut self) {
        for tenant in std::mem::take(&mut self.failed) {
            if let Err(Error::Unavailable(_)) = self.relay(tenant).await {
                break;
            }
        }
        if !self.page().await {
            self.page().await;
        }
    }

    /// One page; whether there was one. Behind the last page comes the first. A target that does not
    /// answer is left alone for the rest of the page: the malls on the others do not wait for each
    /// of its own.
    async fn page(&mut self) -> bool {
        let page = match self.db.tenants(&self.after, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                warn!(error = %error, "Could not list the malls to relay for: {error}");
                return false;
            }
        };
        self.after.clear();
        let Some(last) = page.last() else {
            return false;
        };
        self.after.push_str(last.slug.as_str());
        let mut away: BTreeSet<String> = BTreeSet::new();
        for mall in page.iter().filter(|mall| mall.status == Status::Active) {
            if away.contains(&mall.target) {
                continue;
            }
            if let Err(Error::Unavailable(_)) = self.relay(mall.id).await {
                away.insert(mall.target.clone());
            }
        }
        true
    }

    /// One mall; what went wrong is logged, and tried again at the next sweep.
    async fn relay(&mut self, tenant: TenantId) -> Result<(), Error> {
        let outcome = relay_one(&self.db, &self.policy, tenant).await;
        if outcome.is_err() {
            self.failed.insert(tenant);
        } else {
            self.failed.remove(&tenant);
        }
        outcome
    }
}

async fn relay_one(db: &Db, policy: &Policy, tenant: TenantId) -> Result<(), Error> {
    let Ok(grant) = policy.allow::<RelayJobs>(&Principal::system(tenant)) else {
        warn!(tenant.id = %tenant, "The policy does not let the house relay jobs");
        return Ok(());
    };
    match relay(db, &grant).await {
        Ok(_) => Ok(()),
        Err(Error::Moving) => {
            debug!(tenant.id = %tenant, "The jobs of {tenant} wait until it has moved");
            Ok(())
        }
        Err(error) => {
            warn!(
                tenant.id = %tenant, error = %error,
                "Could not relay the jobs of {tenant}: {error}"
            );
            Err(error)
        }
    }
}
