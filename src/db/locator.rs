//! Where a mall's data is: the database targets, and which of them holds a mall.
//!
//! A target is one database on one server. The one called [`MAIN`] holds the registry, the queue and
//! every mall that was not put elsewhere; the settings name the others. What the registry said last
//! of a mall is believed until the target refuses a transaction of it: before a mall moves, the
//! place that it leaves takes no transaction of it any more (see `moving`), so whoever believes the
//! old place is refused there, asks again, and never writes to it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    str::FromStr,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{derive, error::Error, login_of, seats::Seats, slot::KEPT};
use crate::kernel::{ids::TenantId, text::Slug};

/// What the registry calls the target that holds it.
pub const MAIN: &str = "main";

/// How long a request waits for a connection before it is told to come back.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How many slices are posted at the same time. More gain nothing, as each is many requests; fewer
/// would let one mall that is getting stuck, with three lanes of two slices, take them all.
const LANES: usize = 8;

/// How many lanes try at the same time of malls whose books somebody holds.
const STUCK_LANES: usize = 2;

/// How PostgreSQL plans for lanes. Their statements look up sets by index. Planned anew for each set
/// they would cost more than they do; and a plan that was made while a table was small must not
/// scan it when it is large.
const PLANNING: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// The targets beside the main one: their names, and the owner logins' URLs.
pub type Targets = BTreeMap<Slug, SecretString>;

/// One database on one server, and the connections to it, which are opened when they are needed.
#[derive(Debug)]
pub(super) struct Target {
    /// What the registry calls it.
    pub(super) name: String,
    /// The app login's password there.
    pub(super) app_password: String,
    admin: PgConnectOptions,
    connections: u32,
    pools: OnceLock<Pools>,
}

#[derive(Debug)]
struct Pools {
    requests: PgPool,
    lanes: Seats,
    siding: Seats,
}

impl Target {
    fn new(name: &str, url: &SecretString, connections: u32) -> Result<Self, Error> {
        let url = url.expose_secret();
        let admin = PgConnectOptions::from_str(url)
            .map_err(Error::Other)?
            .application_name("rotunda-admin")
            .disable_statement_logging();
        Ok(Self {
            name: name.to_owned(),
            app_password: derive(login_of(url), b"rotunda_app")?,
            admin,
            connections,
            pools: OnceLock::new(),
        })
    }

    /// How the owner comes in.
    pub(super) fn admin(&self) -> &PgConnectOptions {
        &self.admin
    }

    /// How requests come in.
    pub(super) fn login(&self) -> PgConnectOptions {
        self.admin
            .clone()
            .username("rotunda_app")
            .password(&self.app_password)
            .application_name("rotunda")
    }

    /// One connection as the owner, with that search path.
    pub(super) async fn admin_connection(&self, path: &str) -> Result<PgConnection, Error> {
        let options = self.admin.clone().options([("search_path", path)]);
        Ok(options.connect().await?)
    }

    /// The connections for requests.
    pub(super) fn requests(&self) -> &PgPool {
        &self.pools().requests
    }

    /// The connections that only lanes use, so that tills never wait behind readers; those of malls
    /// that are stuck are others, so that no other mall's tills wait behind theirs.
    pub(super) fn lanes(&self, stuck: bool) -> &Seats {
        let pools = self.pools();
        if stuck { &pools.siding } else { &pools.lanes }
    }

    fn pools(&self) -> &Pools {
        self.pools.get_or_init(|| {
            let requests = PgPoolOptions::new()
                .max_connections(self.connections)
                .acquire_timeout(PATIENCE)
                .test_before_acquire(false)
                .idle_timeout(Duration::from_mins(10))
                .connect_lazy_with(self.login());
            let lane = self.login().options(PLANNING);
            let lane = lane.statement_cache_capacity(KEPT);
            Pools {
                requests,
                lanes: Seats::new(LANES, lane.clone()),
                siding: Seats::new(STUCK_LANES, lane),
            }
        })
    }

    async fn close(&self) {
        if let Some(pools) = self.pools.get() {
            pools.lanes.close().await;
            pools.siding.close().await;
            pools.requests.close().await;
        }
    }
}

/// The targets, and what is believed of each mall's place.
#[derive(Debug)]
pub(super) struct Locator {
    main: Arc<Target>,
    others: BTreeMap<String, Arc<Target>>,
    homes: RwLock<HashMap<TenantId, Arc<Target>>>,
    stuck: Mutex<HashSet<TenantId>>,
}

impl Locator {
    /// The main target and the others, with at most that many connections for requests to each.
    pub(super) fn new(
        main: &SecretString,
        others: &Targets,
        connections: u32,
    ) -> Result<Self, Error> {
        let mut named = BTreeMap::new();
        for (name, url) in others {
            let target = Target::new(name.as_str(), url, connections)?;
            named.insert(target.name.clone(), Arc::new(target));
        }
        Ok(Self {
            main: Arc::new(Target::new(MAIN, main, connections)?),
            others: named,
            homes: RwLock::default(),
            stuck: Mutex::default(),
        })
    }

    /// The target that holds the registry.
    pub(super) fn main(&self) -> &Arc<Target> {
        &self.main
    }

    /// The targets beside the main one.
    pub(super) fn others(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.others.values()
    }

    /// The target of a name.
    pub(super) fn named(&self, name: &str) -> Result<&Arc<Target>, Error> {
        if name == MAIN {
            return Ok(&self.main);
        }
        let found = self.others.get(name);
        found.ok_or_else(|| Error::UnknownTarget(name.to_owned()))
    }

    /// Where a mall was when anybody asked last.
    pub(super) fn believed(&self, tenant: TenantId) -> Option<Arc<Target>> {
        let homes = self.homes.read().unwrap_or_else(PoisonError::into_inner);
        homes.get(&tenant).map(Arc::clone)
    }

    /// What the registry says of a mall's place; nowhere while it moves, or where the settings do
    /// not name its target.
    pub(super) fn learn(&self, tenant: TenantId, name: Option<&str>) {
        let target = name.and_then(|name| self.named(name).ok());
        if let (Some(target), Some(known)) = (target, self.believed(tenant))
            && Arc::ptr_eq(target, &known)
        {
            return;
        }
        let mut homes = self.homes.write().unwrap_or_else(PoisonError::into_inner);
        match target {
            Some(target) => drop(homes.insert(tenant, Arc::clone(target))),
            None => drop(homes.remove(&tenant)),
        }
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

    pub(super) async fn close(&self) {
        for target in self.others.values() {
            target.close().await;
        }
        self.main.close().await;
    }
}
