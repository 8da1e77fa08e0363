//! The only way to SQL. A transaction belongs to one mall, one actor and one instant, and needs a
//! [`Grant`]; its first message sets role and path and fails unless both took.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, PgPool, Postgres, Transaction};

use super::{Db, error::Error, locator::Target, seats::Seat, slot::Conn, tenants::Schema};
use crate::{
    authz::{
        action::Action,
        actor::{Actor, Whence},
        grant::Grant,
    },
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

/// What PostgreSQL says of a text that is no number.
const NOT_A_NUMBER: &str = "22P02";

/// What an opening message says to be refused with [`NOT_A_NUMBER`] where the mall's revision is
/// another one.
fn still(revision: i64) -> String {
    format!(
        "select case revision when {revision} then 0 else ('revision ' || revision)::int end \
         from setting; "
    )
}

/// A transaction that only reads; PostgreSQL refuses anything else in it.
#[derive(Debug)]
pub struct ReadTx {
    inner: Held,
    /// What tells its statements from other malls' on the same connection, where they are kept.
    slot: Option<Arc<str>>,
    tenant: TenantId,
    actor: Actor,
    whence: Arc<Whence>,
    right: (&'static str, &'static str),
    now: Instant,
    entropy: Entropy,
}

/// The connection that a transaction holds.
#[derive(Debug)]
enum Held {
    Pooled(Transaction<'static, Postgres>),
    Seated(Seat),
    Own(Box<PgConnection>),
}

/// Which connections a transaction is opened on.
#[derive(Debug, Clone, Copy)]
pub(super) enum On {
    Requests,
    /// One of its own, which ends with it: who copies a table and stops in the middle leaves it in a
    /// state that nobody else must find it in.
    Own,
    /// A lane's, of that number.
    Seat {
        number: usize,
        stuck: bool,
    },
}

/// A transaction that may write. Reading functions take a [`ReadTx`], which this one is too.
#[derive(Debug)]
#[must_use = "a Tx that is not committed rolls back"]
pub struct Tx(ReadTx);

impl ReadTx {
    /// The connection; only `store.rs` files, `ledger`, `queue` and `reports` call this.
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        let slot = self.slot.clone();
        Conn::new(self.connection(), slot)
    }

    /// The connection itself, for what copies whole tables.
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        match &mut self.inner {
            Held::Pooled(transaction) => transaction,
            Held::Seated(seat) => seat,
            Held::Own(connection) => connection,
        }
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

    /// From where they act.
    pub fn whence(&self) -> &Whence {
        &self.whence
    }

    /// By which right, as object and act: that of the grant by which it was opened.
    pub fn right(&self) -> (&'static str, &'static str) {
        self.right
    }

    /// The revision of what requests are admitted and served by: programme, keys, merchants and
    /// stores. Read before them, it says how long they hold.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn revision(&mut self) -> Result<i64, Error> {
        let revision = sqlx::query_scalar!("select revision from setting");
        Ok(revision.fetch_one(self.conn()).await?)
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
    /// Says that what requests are admitted and served by is changed: every server looks again.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn revise(&mut self) -> Result<(), Error> {
        let revised = sqlx::query!("update setting set revision = revision + 1");
        revised.execute(self.conn()).await?;
        Ok(())
    }

    /// Makes everything in it durable, or nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`] also where the answer was lost after the commit: ask again under the
    /// same idempotency key.
    pub async fn commit(self) -> Result<(), Error> {
        match self.0.inner {
            Held::Pooled(transaction) => Ok(transaction.commit().await?),
            Held::Seated(seat) => seat.commit().await,
            Held::Own(mut connection) => {
                let done = sqlx::raw_sql("commit").execute(&mut *connection);
                Ok(Box::pin(done).await.map(|_| ())?)
            }
        }
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
        self.open(grant, On::Requests, "begin read only").await
    }

    /// Opens a transaction that writes.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Moving`]; [`Error::NoTenant`] for a grant on the registry.
    pub async fn write<A: Action>(&self, grant: &Grant<A>) -> Result<Tx, Error> {
        Ok(Tx(self.open(grant, On::Requests, "begin").await?))
    }

    /// Opens a transaction that writes for many at once, on a connection that only lanes use: for
    /// those of hot use cases, whose items carry their own grants. Who asks with the same number
    /// comes to the same connection, which knows what was done on it. Nothing is opened where the
    /// mall's [revision](ReadTx::revision) is not the one that the caller goes by, if it does.
    ///
    /// # Errors
    /// As [`Db::write`]; [`Error::Stale`].
    pub async fn lane<A: Action>(
        &self,
        grant: &Grant<A>,
        number: usize,
        revision: Option<i64>,
    ) -> Result<Tx, Error> {
        let tenant = grant.tenant().ok_or(Error::NoTenant)?;
        loop {
            let stuck = self.locator.is_stuck(tenant);
            let begin = if stuck { STUCK } else { LANE };
            let begin = revision.map_or_else(
                || begin.to_owned(),
                |revision| format!("{}{begin}", still(revision)),
            );
            let tx = self.open(grant, On::Seat { number, stuck }, &begin).await?;
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

    pub(super) async fn open<A: Action>(
        &self,
        grant: &Grant<A>,
        on: On,
        begin: &str,
    ) -> Result<ReadTx, Error> {
        self.open_of(grant, on, "", begin).await
    }

    /// As [`Db::open`]; what kind of transaction it is, where it is another than usual, has to be said
    /// before anything is asked in it.
    pub(super) async fn open_of<A: Action>(
        &self,
        grant: &Grant<A>,
        on: On,
        kind: &str,
        begin: &str,
    ) -> Result<ReadTx, Error> {
        let tenant = grant.tenant().ok_or(Error::NoTenant)?;
        let schema = Schema::of(tenant).to_string();
        // One message, and so one transaction from its first word on: if role or path did not take,
        // the division fails and nothing was opened. The path does not take where the mall has been
        // closed because it moves. `begin` stands last, because a failure behind it would leave the
        // connection in a transaction that nobody ends.
        let opening = format!(
            "{kind}set local role {schema}; set local search_path to {schema}, ext, pg_temp; \
             select 1 / coalesce(current_schema() = '{schema}' \
                 and current_user = '{schema}', false)::int; {begin}"
        );
        let home = self.home_of(tenant).await?;
        let inner = match begin_on(&home, on, &opening).await {
            Ok(inner) => inner,
            Err(error @ (Error::Unavailable(_) | Error::Stale)) => return Err(error),
            Err(error) => {
                let now_at = self.look_up(tenant).await?;
                match (error, on) {
                    (Error::Barred(_), On::Requests) => {
                        forget_roles(now_at.requests(), tenant).await?;
                    }
                    (Error::Barred(_), On::Own | On::Seat { .. }) => {}
                    (error, _) if Arc::ptr_eq(&home, &now_at) => return Err(error),
                    _ => {}
                }
                begin_on(&now_at, on, &opening).await?
            }
        };
        Ok(ReadTx {
            inner,
            slot: matches!(on, On::Seat { .. }).then(|| schema.into()),
            tenant,
            actor: grant.actor(),
            whence: Arc::clone(grant.whence()),
            right: (A::OBJECT, A::ACT),
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

/// Begins a transaction on a connection that lives. Connections that waited are not asked first
/// whether they do: that would be a message more for each unit of work, and nothing was done on one
/// that does not.
async fn begin_on(target: &Target, on: On, opening: &str) -> Result<Held, Error> {
    let pool = match on {
        On::Requests => target.requests(),
        On::Own => {
            // Rare, and larger than all the others: no other transaction carries it.
            return Box::pin(begin_own(target, opening)).await;
        }
        On::Seat { number, stuck } => {
            let seat = target.lanes(stuck).begin(number, opening).await;
            return seat.map(Held::Seated).map_err(|error| {
                if error.is_state(NOT_A_NUMBER) {
                    Error::Stale
                } else {
                    error
                }
            });
        }
    };
    for _ in 0..pool.options().get_max_connections() {
        match pool.begin_with(AssertSqlSafe(opening.to_owned())).await {
            Err(error) if is_dead(&error) => {}
            other => return Ok(Held::Pooled(other?)),
        }
    }
    let begun = pool.begin_with(AssertSqlSafe(opening.to_owned())).await?;
    Ok(Held::Pooled(begun))
}

/// Begins a transaction on a connection that ends with it.
async fn begin_own(target: &Target, opening: &str) -> Result<Held, Error> {
    let mut connection = target.login().connect().await?;
    let opening = AssertSqlSafe(opening.to_owned());
    sqlx::raw_sql(opening).execute(&mut connection).await?;
    Ok(Held::Own(Box::new(connection)))
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
