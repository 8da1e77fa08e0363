//! The only way to SQL. A transaction belongs to one mall, one actor and one instant, and needs a
//! [`Grant`]; its first message sets role and path and fails unless both took.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};

use super::{Db, error::Error, locator::Target, tenants::Schema};
use crate::{
    authz::{action::Action, actor::Actor, grant::Grant},
    kernel::{
        ids::{Entropy, Id, TenantId},
        time::Instant,
    },
};

/// How a lane's transaction begins: it waits for a lock for a shorter time than a lane waits for a
/// connection, so that whoever waits behind it for one still gets it.
const LANE: &str = "begin; set local lock_timeout = '1s'";

/// The same in a mall that is stuck: a look whether it still is.
const STUCK: &str = "begin; set local lock_timeout = '200ms'";

/// A transaction that only reads; PostgreSQL refuses anything else in it.
#[derive(Debug)]
pub struct ReadTx {
    inner: Transaction<'static, Postgres>,
    tenant: TenantId,
    actor: Actor,
    now: Instant,
    entropy: Entropy,
}

/// A transaction that may write. Reading functions take a [`ReadTx`], which this one is too.
#[derive(Debug)]
#[must_use = "a Tx that is not committed rolls back"]
pub struct Tx(ReadTx);

impl ReadTx {
    /// The connection; only `store.rs` files, `ledger`, `queue` and `reports` call this.
    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    /// The one instant of this unit of work.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The mall.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Who acts.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// A new id that sorts by this transaction's instant.
    pub fn new_id<K>(&self) -> Id<K> {
        Id::new(self.now, &self.entropy)
    }

    /// Where this transaction's randomness comes from.
    pub fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}

impl Tx {
    /// Makes everything in it durable, or nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`] also where the answer was lost after the commit: ask again under the
    /// same idempotency key.
    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.0.inner.commit().await?)
    }
}

impl Deref for Tx {
    type Target = ReadTx;
    fn deref(&self) -> &ReadTx {
        &self.0
    }
}
impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut ReadTx {
        &mut self.0
    }
}

impl Db {
    /// Opens a transaction that only reads.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Moving`]; [`Error::NoTenant`] for a grant on the registry.
    pub async fn read<A: Action>(&self, grant: &Grant<A>) -> Result<ReadTx, Error> {
        self.open(grant, Target::requests, "begin read only").await
    }

    /// Opens a transaction that writes.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Moving`]; [`Error::NoTenant`] for a grant on the registry.
    pub async fn write<A: Action>(&self, grant: &Grant<A>) -> Result<Tx, Error> {
        Ok(Tx(self.open(grant, Target::requests, "begin").await?))
    }

    /// Opens a transaction that writes for many at once, on a connection that nobody else uses:
    /// for the lanes of hot use cases, whose items carry their own grants.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn lane<A: Action>(&self, grant: &Grant<A>) -> Result<Tx, Error> {
        let tenant = grant.tenant().ok_or(Error::NoTenant)?;
        loop {
            let stuck = self.locator.is_stuck(tenant);
            let begin = if stuck { STUCK } else { LANE };
            let tx = self
                .open(grant, |target| target.lanes(stuck), begin)
                .await?;
            // Another lane of the mall may have got stuck while this one waited for a connection.
            if stuck || !self.locator.is_stuck(tenant) {
                return Ok(Tx(tx));
            }
        }
    }

    /// Says whether a lane of this mall waited in vain for what somebody else held: until one gets
    /// on, its lanes have few connections and little patience, and other malls all the rest.
    /// Answers what was said before.
    pub fn lane_is_stuck(&self, tenant: TenantId, stuck: bool) -> bool {
        self.locator.set_stuck(tenant, stuck)
    }

    async fn open<A: Action>(
        &self,
        grant: &Grant<A>,
        pool: impl Fn(&Target) -> &PgPool,
        begin: &str,
    ) -> Result<ReadTx, Error> {
        let tenant = grant.tenant().ok_or(Error::NoTenant)?;
        let schema = Schema::of(tenant);
        // One message, and so one transaction from its first word on: if role or path did not take,
        // the division fails and nothing was opened. The path does not take where the mall has been
        // closed because it moves. `begin` stands last, because a failure behind it would leave the
        // connection in a transaction that nobody ends.
        let opening = format!(
            "set local role {schema}; set local search_path to {schema}, ext, pg_temp; \
             select 1 / coalesce(current_schema() = '{schema}' \
                 and current_user = '{schema}', false)::int; {begin}"
        );
        let home = self.home_of(tenant).await?;
        let inner = match begin_on(pool(&home), &opening).await {
            Ok(inner) => inner,
            Err(error @ Error::Unavailable(_)) => return Err(error),
            Err(error) => {
                let now_at = self.look_up(tenant).await?;
                match error {
                    Error::Barred(_) => forget_roles(pool(&now_at), tenant).await?,
                    error if Arc::ptr_eq(&home, &now_at) => return Err(error),
                    _ => {}
                }
                begin_on(pool(&now_at), &opening).await?
            }
        };
        Ok(ReadTx {
            inner,
            tenant,
            actor: grant.actor(),
            now: self.clock.now(),
            entropy: self.entropy.clone(),
        })
    }

    /// The target that holds a mall, as the registry said last.
    async fn home_of(&self, tenant: TenantId) -> Result<Arc<Target>, Error> {
        match self.locator.believed(tenant) {
            Some(home) => Ok(home),
            None => self.look_up(tenant).await,
        }
    }
}

/// Begins a transaction on whatever connection of the pool lives. Connections that waited are not
/// asked first whether they do: that would be a message more for each unit of work, and nothing was
/// done on one that does not.
async fn begin_on(pool: &PgPool, opening: &str) -> Result<Transaction<'static, Postgres>, Error> {
    for _ in 0..pool.options().get_max_connections() {
        match pool.begin_with(AssertSqlSafe(opening.to_owned())).await {
            Err(error) if is_dead(&error) => {}
            other => return Ok(other?),
        }
    }
    Ok(pool.begin_with(AssertSqlSafe(opening.to_owned())).await?)
}

/// Closes the connections of a pool that do not know of a mall's role, until one does. PostgreSQL
/// remembers for each connection whose roles its login may put on; where a mall is made in the very
/// moment in which it looks that up, what it remembers lacks the new one, and stays so.
async fn forget_roles(pool: &PgPool, tenant: TenantId) -> Result<(), Error> {
    let role = Schema::of(tenant);
    for _ in 0..=pool.options().get_max_connections() {
        let mut connection = pool.acquire().await?;
        // No transaction but this message's own: nothing of it stays.
        let probe = AssertSqlSafe(format!("set local role {role}; select 1"));
        match sqlx::raw_sql(probe).execute(&mut *connection).await {
            Ok(_) => return Ok(()),
            Err(error) => match Error::from(error) {
                Error::Barred(_) => connection.close().await?,
                other => return Err(other),
            },
        }
    }
    Ok(())
}

/// Whether the connection had ended before it was used.
fn is_dead(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(refusal) => {
            // The server's last words: it is shut down, or it ended this session.
            matches!(refusal.code().as_deref(), Some("57P01" | "57P02" | "57P05"))
        }
        _ => false,
    }
}
