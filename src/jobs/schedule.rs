//! What the house does by itself, and when: by each mall's own days, by the App's clock.
//!
//! Nothing here remembers what was done; the dedup key does. Two schedulers, or one that was
//! started again, ask for the same job and get one. After a stop of any length one run is enough:
//! expiry takes everything that is due by now, and so do lapses and confirmations.

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    sync::Arc,
    time::Duration,
};

use chrono::{DurationRound, NaiveDate, TimeDelta};
use serde::{Deserialize, Serialize};
use tokio::time::MissedTickBehavior;
use tracing::warn;

use crate::{
    audit::SealEntries,
    authz::{action::RelayJobs, actor::Principal, policy::Policy},
    db::{
        Db,
        error::Error,
        tenants::{Status, Tenant},
    },
    earning::PointsDue,
    kernel::{ids::TenantId, time::Instant},
    queue::{Bell, Job, enqueue},
    redemption::RedemptionsDue,
    settlement::due::{CreditDue, SettlementsDue},
};

/// How often the clock is read.
const TICK: Duration = Duration::from_secs(5);

/// Malls that one question to the registry names.
const PAGE: i64 = 100;

/// Take rows out of the outbox that were handed over long ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TidyOutbox {
    /// The day that has begun in the mall's zone.
    pub day: NaiveDate,
}

impl Job for TidyOutbox {
    const NAME: &'static str = "outbox.tidy";

    fn dedup(&self) -> String {
        self.day.to_string()
    }
}

/// Take files out of the store that nobody has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TidyFiles {
    /// The day that has begun in the mall's zone.
    pub day: NaiveDate,
}

impl Job for TidyFiles {
    const NAME: &'static str = "files.tidy";

    fn dedup(&self) -> String {
        self.day.to_string()
    }
}

/// What is due in a mall at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Due {
    day: NaiveDate,
    minute: Instant,
}

impl Due {
    fn of(mall: &Tenant, now: Instant) -> Self {
        Self {
            day: mall.zone.day(now),
            // Fails only beyond the year 2262.
            minute: now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now),
        }
    }
}

/// Enqueues what is due. What it remembers only saves questions to the database.
#[derive(Debug)]
pub struct Schedule {
    db: Db,
    policy: Arc<Policy>,
    bell: Bell,
    asked: HashMap<TenantId, Due>,
}

impl Schedule {
    /// A schedule that has not asked for anything yet.
    pub fn new(db: Db, policy: Arc<Policy>, bell: Bell) -> Self {
        Self {
            db,
            policy,
            bell,
            asked: HashMap::new(),
        }
    }

    /// Enqueues what is due now in every active mall. A mall where that fails is logged, and asked
    /// again at the next tick; the others go on.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the malls cannot be listed.
    pub async fn tick(&mut self) -> Result<(), Error> {
        let now = self.db.clock().now();
        let mut away: BTreeSet<String> = BTreeSet::new();
        let mut after = String::new();
        loop {
            let page = self.db.tenants(&after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.slug.as_str().to_owned();
            for mall in page.iter().filter(|mall| mall.status == Status::Active) {
                let (id, due) = (mall.id, Due::of(mall, now));
                if self.asked.get(&id) == Some(&due) || away.contains(&mall.target) {
                    continue;
                }
                match self.ask(id, due).await {
                    Ok(()) => {
                        self.asked.insert(id, due);
                        self.bell.ring(id);
                    }
                    Err(error) => {
                        // The malls of other targets do not wait for each of this one.
                        if matches!(error, Error::Unavailable(_)) {
                            away.insert(mall.target.clone());
                        }
                        warn!(
                            tenant.id = %id, error = %error,
                            "Could not schedule what is due in {id}: {error}"
                        );
                    }
                }
            }
        }
    }

    async fn ask(&self, tenant: TenantId, due: Due) -> Result<(), Error> {
        let Ok(grant) = self.policy.allow::<RelayJobs>(&Principal::system(tenant)) else {
            warn!(tenant.id = %tenant, "The policy does not let the house enqueue jobs");
            return Ok(());
        };
        let mut tx = self.db.write(&grant).await?;
        let Due { day, minute } = due;
        let new_day = self.asked.get(&tenant).is_none_or(|last| last.day != day);
        if new_day {
            enqueue(&mut tx, &PointsDue { day }).await?;
            enqueue(&mut tx, &SettlementsDue { day }).await?;
            enqueue(&mut tx, &CreditDue { day }).await?;
            enqueue(&mut tx, &TidyOutbox { day }).await?;
            enqueue(&mut tx, &TidyFiles { day }).await?;
        }
        enqueue(&mut tx, &RedemptionsDue { minute }).await?;
        let all = new_day;
        enqueue(&mut tx, &SealEntries { minute, all }).await?;
        tx.commit().await
    }
}

/// Ticks until `stop`.
pub async fn run(db: Db, policy: Arc<Policy>, bell: Bell, stop: impl Future<Output = ()>) {
    let mut schedule = Schedule::new(db, policy, bell);
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return,
            _ = tick.tick() => if let Err(error) = schedule.tick().await {
                warn!(error = %error, "Could not list the malls to schedule for: {error}");
            },
        }
    }
}
