//! The only owner of connections. SQL needs a [`tx::Tx`] or a [`tx::ReadTx`], and those need a
//! [`Grant`](crate::authz::grant::Grant).
//!
//! Two logins. The *admin* login owns every schema and makes roles and tables; it opens a
//! connection for one act (a migration, a new mall) and closes it. The *app* login `rotunda_app`
//! serves every request; it owns nothing, inherits nothing and sees no mall's table until a
//! transaction has put on that mall's role. Its password is derived from the admin URL, so that
//! whoever has that URL needs no second secret.
//!
//! One transaction is one mall (scale.md, R1): the registry in schema `platform` is read outside
//! of them, and nothing writes both in one transaction. So a mall may live on another server than
//! the registry: the [`locator`] knows which, and [`moving`] takes a mall from one to another.

pub mod archive;
pub mod codec;
mod copy;
pub mod embedded;
pub mod ending;
pub mod error;
pub mod examine;
pub mod locator;
pub mod migrate;
pub mod moving;
pub mod replay;
mod seats;
pub(crate) mod slot;
pub mod tenants;
pub mod trial;
pub mod tx;

use std::{sync::Arc, time::Duration};

use hmac::{Hmac, Mac};
use secrecy::SecretString;
use sha2::Sha256;
use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions};

use crate::kernel::{ids::Entropy, page::hex, time::Clock};
pub use error::Error;
use locator::{Locator, PATIENCE, Targets};

/// Connections that the queue has for itself: one listens, the others fetch, finish and relay.
const JOB_CONNECTIONS: u32 = 4;

/// Connections on which the registry is asked what a host means, and whether that has changed.
const REGISTRY_CONNECTIONS: u32 = 2;

/// The database, for everybody who holds a grant. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    locator: Arc<Locator>,
    /// The few connections on which the registry is asked what a host means: whoever asks is at a
    /// till, and waits behind no reader.
    registry: PgPool,
    jobs: PgPool,
    trials: trial::UnderWay,
    clock: Clock,
    entropy: Entropy,
}

impl Db {
    /// Prepares connections to the database of `admin_url` (nothing is opened yet), at most
    /// `connections` of them at a time for requests.
    ///
    /// # Errors
    /// [`Error::Other`] for a URL that cannot be read.
    pub fn new(
        admin_url: &SecretString,
        connections: u32,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, Error> {
        Self::on(admin_url, &Targets::new(), connections, clock, entropy)
    }

    /// As [`Db::new`], with further targets that hold malls, each with as many connections.
    ///
    /// # Errors
    /// [`Error::Other`] for a URL that cannot be read.
    pub fn on(
        admin_url: &SecretString,
        targets: &Targets,
        connections: u32,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, Error> {
        let locator = Locator::new(admin_url, targets, connections)?;
        let jobs = PgPoolOptions::new()
            .max_connections(JOB_CONNECTIONS)
            .acquire_timeout(Duration::from_secs(10))
            .connect_lazy_with(locator.main().login().application_name("rotunda-jobs"));
        let registry = PgPoolOptions::new()
            .max_connections(REGISTRY_CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(locator.main().login().application_name("rotunda-registry"));
        Ok(Self {
            locator: Arc::new(locator),
            registry,
            jobs,
            trials: trial::UnderWay::default(),
            clock,
            entropy,
        })
    }

    /// The same database at another time and with other randomness: how the demo mall's history is
    /// made, whose transactions are dated when they happened.
    #[must_use]
    pub fn at(&self, clock: Clock, entropy: Entropy) -> Self {
        Self {
            clock,
            entropy,
            ..self.clone()
        }
    }

    /// Whether the main database answers; and no more than that. Malls on another target may be
    /// out of reach all the same, and only they.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn ping(&self) -> Result<(), Error> {
        sqlx::query("select 1")
            .execute(self.locator.main().requests())
            .await?;
        Ok(())
    }

    /// Ends every connection after the work under way.
    pub async fn close(&self) {
        self.jobs.close().await;
        self.registry.close().await;
        self.locator.close().await;
    }

    /// The few connections for schema `jobs`, without any mall's role; only `queue` calls this.
    /// They are apart so that neither requests nor jobs wait for each other's connections.
    pub(crate) fn jobs(&self) -> &PgPool {
        &self.jobs
    }

    /// The clock by which transactions are dated.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A secret of this installation for one purpose, derived like the app login's password.
    ///
    /// # Errors
    /// [`Error::Corrupt`]: cannot happen with a URL that was read once.
    pub fn secret_for(&self, purpose: &[u8]) -> Result<String, Error> {
        derive(&self.locator.main().app_password, purpose)
    }

    /// One connection as the owner to the registry's database.
    async fn admin_connection(&self) -> Result<PgConnection, Error> {
        self.locator.main().admin_connection("pg_catalog").await
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Db")
    }
}

/// The owner's name and password in a URL: what all databases of one server share, so that all of
/// them derive the same password for the app login, which they share too.
fn login_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(url, |(login, _)| login)
}

/// 64 hexadecimal digits that only whoever knows `secret` can derive.
fn derive(secret: &str, purpose: &[u8]) -> Result<String, Error> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map_err(|_| Error::Corrupt("database URL"))?;
    mac.update(purpose);
    Ok(hex(&mac.finalize().into_bytes()))
}
