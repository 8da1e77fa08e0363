//! Where a mall's data is: one server today, the node that holds its schema tomorrow.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{PgPool, postgres::PgConnectOptions, postgres::PgPoolOptions};

use crate::kernel::ids::TenantId;

/// How long a request waits for a connection before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many lanes post at the same time. More gain nothing: each posts for many at once.
const LANES: u32 = 4;

/// How many lanes try at the same time of malls whose books somebody holds.
const STUCK_LANES: u32 = 2;

/// How PostgreSQL plans for lanes. Their statements look up sets by index. Planned anew for each set
/// they would cost more than they do; and a plan that was made while a table was small must not
/// scan it when it is large.
const PLANNING: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// Pools per database target; any target gives correct results, the right one is fast.
#[derive(Debug, Clone)]
pub(super) struct Locator {
    only: PgPool,
    lanes: PgPool,
    siding: PgPool,
    stuck: Arc<Mutex<HashSet<TenantId>>>,
}

impl Locator {
    /// One target for every mall.
    pub(super) fn single(login: PgConnectOptions, connections: u32) -> Self {
        let pool = |connections: u32| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(PATIENCE)
                .test_before_acquire(false)
                .idle_timeout(Duration::from_mins(10))
        };
        let lane = login.clone().options(PLANNING);
        Self {
            only: pool(connections).connect_lazy_with(login),
            lanes: pool(LANES).connect_lazy_with(lane.clone()),
            siding: pool(STUCK_LANES).connect_lazy_with(lane),
            stuck: Arc::default(),
        }
    }

    /// The connections of the target that holds this mall that only lanes use, so that tills never
    /// wait behind readers; those of a mall that is stuck are others, so that no other mall's tills
    /// wait behind it.
    pub(super) fn lanes_of(&self, _tenant: TenantId, stuck: bool) -> &PgPool {
        if stuck { &self.siding } else { &self.lanes }
    }

    /// Whether somebody held this mall's books for too long when a lane wanted them last.
    pub(super) fn is_stuck(&self, tenant: TenantId) -> bool {
        let stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        stuck.contains(&tenant)
    }

    /// Says whether it is; whether it was.
    pub(super) fn set_stuck(&self, tenant: TenantId, is: bool) -> bool {
        let mut stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        if is {
            !stuck.insert(tenant)
        } else {
            stuck.remove(&tenant)
        }
    }

    /// The pool of the target that holds this mall.
    pub(super) fn of(&self, _tenant: TenantId) -> &PgPool {
        &self.only
    }

    /// The pool for the registry, which every target can read.
    pub(super) fn registry(&self) -> &PgPool {
        &self.only
    }

    pub(super) async fn close(&self) {
        self.lanes.close().await;
        self.siding.close().await;
        self.only.close().await;
    }
}
