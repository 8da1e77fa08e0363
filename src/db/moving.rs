//! A mall goes from one database target to another, by export and import.
//!
//! | step | what it does | what a kill behind it leaves |
//! | --- | --- | --- |
//! | announce | the registry says `moving`: tills answer 503, jobs wait | a mall that waits |
//! | close | the mall's role loses its schema at the source, transactions under way end | the same |
//! | copy | the schema is made by our migrations at the destination and filled in one transaction | the same, and a copy that is marked as one |
//! | compare | rows and a digest of each table, on both sides | the same |
//! | switch | the registry names the destination, in one commit | a mall that works, and old tables |
//! | clear | the old schema and role are dropped | nothing |
//!
//! Whoever runs the move again goes on: before the switch the copy is thrown away and made anew,
//! behind it only the clearing is left. Until the switch [`Db::cancel_move`] takes everything back.
//! Nothing is dropped but a schema that carries our mark: `arriving` where the registry does not
//! point to it, `leaving` where it has ceased to.
//!
//! No server has to be told. One that believes the old place is refused there from the closing on:
//! `usage` of the schema is one right, so its search path finds nothing, and the check with which
//! each transaction opens fails; then it asks the registry. A transaction that was open before either
//! holds a lock on what it wrote, and its end is waited for, or finds no table when it gets there.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use thiserror::Error;

use super::{
    Db, copy,
    error::Error,
    locator::Target,
    migrate::migrate_schema,
    tenants::{Schema, Status},
};
use crate::{
    authz::{action::ManageTenants, grant::Grant},
    kernel::{ids::TenantId, text::Slug},
};

/// What a schema says of itself that is on its way out.
pub(super) const LEAVING: &str = "rotunda: leaving";

/// What a schema says of itself that is not yet the mall.
pub(super) const ARRIVING: &str = "rotunda: arriving";

/// What a connection needs that works for as long as it takes, and writes a value as others read it.
pub(super) const PATIENT: &str = "\
    set local lock_timeout = 0; set local statement_timeout = 0; \
    set local idle_in_transaction_session_timeout = 0; \
    set local timezone = 'UTC'; set local datestyle = 'ISO, MDY'; \
    set local bytea_output = 'hex'; set local intervalstyle = 'postgres'";

/// Why a mall does not move.
#[derive(Debug, Error)]
pub enum MoveError {
    /// No mall of that short name.
    #[error("there is no mall {}", .0.as_str())]
    UnknownTenant(Slug),
    /// It is not open yet, or not any more.
    #[error(
        "{} is neither open nor suspended: `rotunda tenant list` shows what becomes of it",
        .0.as_str()
    )]
    Opening(Slug),
    /// It is there.
    #[error("{} lives on {target} already", .slug.as_str())]
    AlreadyThere {
        /// The mall.
        slug: Slug,
        /// The target.
        target: String,
    },
    /// It does not move.
    #[error("{} is not being moved", .0.as_str())]
    NotMoving(Slug),
    /// It moves to somewhere else.
    #[error("{} is being moved to {target}: finish that move or cancel it", .slug.as_str())]
    Underway {
        /// The mall.
        slug: Slug,
        /// Where it moves to.
        target: String,
    },
    /// Another process works on it.
    #[error("another process is moving {}", .0.as_str())]
    Busy(Slug),
    /// It has moved already; the old tables alone are left.
    #[error("{} lives on {target} already: move it there again to clear the old place", .slug.as_str())]
    Switched {
        /// The mall.
        slug: Slug,
        /// Where it lives now.
        target: String,
    },
    /// A schema of the mall's name stands where none should be, and no move made it.
    #[error(
        "there is a schema {schema} on {target} that no move has made: look at it, and drop it"
    )]
    Foreign {
        /// The schema.
        schema: String,
        /// Where.
        target: String,
    },
    /// The copy is not what it is a copy of; the mall waits, and nothing is lost.
    #[error("the copy of {0} differs from the original: move again, or cancel the move")]
    Differs(String),
    /// The database.
    #[error(transparent)]
    Db(#[from] Error),
}

impl From<sqlx::Error> for MoveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

/// How far a move has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The registry says so; what is under way is waited for.
    Announced,
    /// Nobody writes to the mall any more.
    Closed,
    /// One table is filled.
    Copied {
        /// Which.
        table: String,
        /// Its rows.
        rows: u64,
        /// How many tables are done, this one among them, and how many there are.
        of: (usize, usize),
    },
    /// Both sides are the same.
    Compared,
    /// The mall lives at the destination.
    Switched,
    /// The old place is empty.
    Cleared,
}

/// A move that has begun.
struct Transit {
    id: TenantId,
    from: Arc<Target>,
    to: Arc<Target>,
    status_before: String,
    switched: bool,
}

impl Transit {
    fn schema(&self) -> String {
        Schema::of(self.id).to_string()
    }
}

impl Db {
    /// Moves a mall to the target of that name, or goes on with a move that was interrupted. `tell`
    /// hears of each step.
    ///
    /// # Errors
    /// [`MoveError`]. Where it broke off, the mall waits in the state `moving` until the move is run
    /// again or cancelled.
    pub async fn move_tenant(
        &self,
        _grant: &Grant<ManageTenants>,
        slug: &Slug,
        to: &str,
        mut tell: impl AsyncFnMut(Step),
    ) -> Result<(), MoveError> {
        self.locator.named(to)?;
        self.announce(slug, to).await?;
        let mut admin = self.admin_connection().await?;
        let mut lease = lease(&mut admin, slug).await?;
        let mut transit = self.take_up(&mut lease, slug).await?;
        if let Some(other) = transit.as_ref().filter(|transit| transit.to.name != to) {
            return Err(MoveError::Underway {
                slug: slug.clone(),
                target: other.to.name.clone(),
            });
        }
        if let Some(moving) = transit.as_ref().filter(|transit| !transit.switched) {
            tell(Step::Announced).await;
            self.close_source(moving).await?;
            tell(Step::Closed).await;
            self.copy(moving, &mut tell).await?;
            tell(Step::Compared).await;
            switch(&mut lease, moving).await?;
            // With the commit the lease ends: whoever comes next finds the switch made.
            lease.commit().await?;
            self.locator.learn(moving.id, Some(to));
            tell(Step::Switched).await;
            lease = self::lease(&mut admin, slug).await?;
            transit = self.take_up(&mut lease, slug).await?;
        }
        if let Some(transit) = transit {
            clear(&transit).await?;
            end(&mut lease, &transit).await?;
            lease.commit().await?;
            tell(Step::Cleared).await;
        }
        Ok(())
    }

    /// Takes a move back that has not come to the switch: the mall opens again where it was. Whether
    /// the copy could be taken away too; what is left of it, the next move there throws away.
    ///
    /// # Errors
    /// [`MoveError::NotMoving`], [`MoveError::Switched`], [`MoveError::Busy`].
    pub async fn cancel_move(
        &self,
        _grant: &Grant<ManageTenants>,
        slug: &Slug,
    ) -> Result<bool, MoveError> {
        let mut admin = self.admin_connection().await?;
        let mut lease = lease(&mut admin, slug).await?;
        let Some(transit) = self.take_up(&mut lease, slug).await? else {
            return Err(MoveError::NotMoving(slug.clone()));
        };
        if transit.switched {
            return Err(MoveError::Switched {
                slug: slug.clone(),
                target: transit.to.name.clone(),
            });
        }
        let schema = transit.schema();
        let tidied = match discard(&transit.to, &schema, ARRIVING).await {
            Ok(()) => true,
            Err(MoveError::Db(error)) => {
                tracing::warn!(%error, "The copy was not taken away: {error}");
                false
            }
            Err(error) => return Err(error),
        };
        self.migrate_at(&transit.from, transit.id).await?;
        let open = format!(
            "grant usage on schema {schema} to {schema}; comment on schema {schema} is null"
        );
        let mut source = transit.from.admin_connection("pg_catalog").await?;
        sqlx::raw_sql(AssertSqlSafe(open))
            .execute(&mut source)
            .await?;
        sqlx::query(
            "with revised as (update platform.registry set revision = revision + 1) \
             update platform.tenant set status = $2 where tenant_id = $1",
        )
        .bind(transit.id)
        .bind(&transit.status_before)
        .execute(&mut *lease)
        .await?;
        end(&mut lease, &transit).await?;
        lease.commit().await?;
        Ok(tidied)
    }

    /// Writes down that the mall moves, unless that is written already.
    async fn announce(&self, slug: &Slug, to: &str) -> Result<(), MoveError> {
        let mut admin = self.admin_connection().await?;
        let mut tx = admin.begin().await?;
        let found: Option<(TenantId, String, String)> = sqlx::query_as(
            "select tenant_id, status, target from platform.tenant \
             where slug = $1 order by tenant_id for update",
        )
        .bind(slug.as_str())
        .fetch_optional(&mut *tx)
        .await?;
        let (id, status, target) = found.ok_or_else(|| MoveError::UnknownTenant(slug.clone()))?;
        let begun: bool = sqlx::query_scalar(
            "select exists (select from platform.tenant_move where tenant_id = $1)",
        )
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
        if begun {
            return Ok(());
        }
        if ![Status::Active, Status::Suspended]
            .map(Status::as_str)
            .contains(&status.as_str())
        {
            return Err(MoveError::Opening(slug.clone()));
        }
        if target == to {
            return Err(MoveError::AlreadyThere {
                slug: slug.clone(),
                target,
            });
        }
        sqlx::query(
            "insert into platform.tenant_move \
                 (tenant_id, source, destination, status_before, started_at) \
             values ($1, $2, $3, $4, $5)",
        )
        .bind(id)
        .bind(target)
        .bind(to)
        .bind(status)
        .bind(self.clock.now())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "with revised as (update platform.registry set revision = revision + 1) \
             update platform.tenant set status = 'moving' where tenant_id = $1",
        )
        .bind(id)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// What is written of the mall's move, under the lease; nothing where there is none.
    async fn take_up(
        &self,
        lease: &mut PgConnection,
        slug: &Slug,
    ) -> Result<Option<Transit>, MoveError> {
        // A statement of its own behind the one that waited for the lock: that one saw what was
        // there before it waited.
        let found: Option<(TenantId, String, String, String, String)> = sqlx::query_as(
            "select tenant_id, source, destination, status_before, target \
             from platform.tenant_move join platform.tenant using (tenant_id) where slug = $1",
        )
        .bind(slug.as_str())
        .fetch_optional(lease)
        .await?;
        let Some((id, from, to, status_before, target)) = found else {
            return Ok(None);
        };
        Ok(Some(Transit {
            id,
            from: Arc::clone(self.locator.named(&from)?),
            to: Arc::clone(self.locator.named(&to)?),
            status_before,
            switched: target == to,
        }))
    }

    /// Takes the mall's schema from its role, and waits until nobody writes to it any more.
    async fn close_source(&self, transit: &Transit) -> Result<(), MoveError> {
        self.migrate_at(&transit.from, transit.id).await?;
        let schema = transit.schema();
        let mut source = transit.from.admin_connection("pg_catalog").await?;
        let close = format!(
            "comment on schema {schema} is '{LEAVING}'; \
             revoke usage on schema {schema} from {schema}"
        );
        sqlx::raw_sql(AssertSqlSafe(close))
            .execute(&mut source)
            .await?;
        // Each lock waits for those who wrote to the table before the closing. One at a time and
        // given up at once: a set of locks could wait in a circle with a transaction under way.
        for table in copy::tables(&mut source, &schema).await? {
            let mut tx = source.begin().await?;
            sqlx::raw_sql(AssertSqlSafe(format!(
                "{PATIENT}; lock table {schema}.{table} in share mode",
                table = table.name,
            )))
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Makes the schema at the destination, fills it and holds both sides against each other.
    async fn copy(
        &self,
        transit: &Transit,
        tell: &mut impl AsyncFnMut(Step),
    ) -> Result<(), MoveError> {
        let (to, schema) = (&transit.to, transit.schema());
        discard(to, &schema, ARRIVING).await?;
        let mut destination = to.admin_connection("pg_catalog").await?;
        let mark = format!("comment on schema {schema} is '{ARRIVING}'");
        self.make_schema(to, &mut destination, transit.id, &mark)
            .await?;
        migrate_schema(to, transit.id).await?;

        let mut source = transit.from.admin_connection("pg_catalog").await?;
        let snapshot = "begin isolation level repeatable read read only";
        let mut source = source
            .begin_with(AssertSqlSafe(format!("{snapshot}; {PATIENT}")))
            .await?;
        let tables = copy::tables(&mut source, &schema).await?;
        let made = copy::tables(&mut destination, &schema).await?;
        if let Some(name) = copy::first_difference(&tables, &made) {
            return Err(MoveError::Differs(name));
        }
        let mut filling = destination
            .begin_with(AssertSqlSafe(format!("begin; {PATIENT}")))
            .await?;
        copy::empty(&mut filling, &schema, &tables).await?;
        for (number, table) in (1..).zip(&tables) {
            let rows = copy::one(&mut source, &mut filling, &schema, table).await?;
            tell(Step::Copied {
                table: table.name.clone(),
                rows,
                of: (number, tables.len()),
            })
            .await;
        }
        filling.commit().await?;
        copy::analyze(&mut destination, &schema).await?;

        let mut filled = destination
            .begin_with(AssertSqlSafe(format!("begin read only; {PATIENT}")))
            .await?;
        for table in &tables {
            let original = copy::digest(&mut source, &schema, table).await?;
            if original != copy::digest(&mut filled, &schema, table).await? {
                return Err(MoveError::Differs(table.name.clone()));
            }
        }
        Ok(())
    }
}

/// The lock on a mall's move, for as long as the transaction lasts.
async fn lease<'a>(
    admin: &'a mut PgConnection,
    slug: &Slug,
) -> Result<sqlx::Transaction<'a, sqlx::Postgres>, MoveError> {
    // Long enough for a process that was killed to be noticed.
    let mut tx = admin
        .begin_with(
            "begin; set local lock_timeout = '5s'; \
             set local idle_in_transaction_session_timeout = 0",
        )
        .await?;
    let locked = sqlx::query(
        "select from platform.tenant_move \
         where tenant_id = (select tenant_id from platform.tenant where slug = $1) \
         order by tenant_id for update",
    )
    .bind(slug.as_str())
    .execute(&mut *tx)
    .await;
    match locked.map_err(Error::from) {
        Ok(_) => Ok(tx),
        Err(error) if error.is_timeout() => Err(MoveError::Busy(slug.clone())),
        Err(error) => Err(error.into()),
    }
}

/// The registry names the destination, and the mall is what it was before it moved.
async fn switch(lease: &mut PgConnection, transit: &Transit) -> Result<(), MoveError> {
    sqlx::query(
        "with revised as (update platform.registry set revision = revision + 1) \
         update platform.tenant set target = $2, status = $3 where tenant_id = $1",
    )
    .bind(transit.id)
    .bind(&transit.to.name)
    .bind(&transit.status_before)
    .execute(lease)
    .await?;
    Ok(())
}

/// Takes the mark off the new schema, and the old one away with its role.
async fn clear(transit: &Transit) -> Result<(), MoveError> {
    let schema = transit.schema();
    let mut destination = transit.to.admin_connection("pg_catalog").await?;
    let unmark = format!("comment on schema {schema} is null");
    sqlx::raw_sql(AssertSqlSafe(unmark))
        .execute(&mut destination)
        .await?;
    discard(&transit.from, &schema, LEAVING).await
}

/// Drops a schema and its role, where it is there and carries that mark.
pub(super) async fn discard(target: &Target, schema: &str, mark: &str) -> Result<(), MoveError> {
    let mut admin = target.admin_connection("pg_catalog").await?;
    let found: Option<Option<String>> = sqlx::query_scalar(
        "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = $1",
    )
    .bind(schema)
    .fetch_optional(&mut admin)
    .await?;
    match found {
        Some(Some(found)) if found == mark => {
            let drop_schema = format!("drop schema {schema} cascade");
            sqlx::raw_sql(AssertSqlSafe(drop_schema))
                .execute(&mut admin)
                .await?;
        }
        Some(_) => {
            return Err(MoveError::Foreign {
                schema: schema.to_owned(),
                target: target.name.clone(),
            });
        }
        None => {}
    }
    // Where two targets are databases of one server they share the role.
    sqlx::raw_sql(AssertSqlSafe(format!(
        "do $$ begin drop role if exists {schema}; \
           exception when dependent_objects_still_exist then null; end $$"
    )))
    .execute(&mut admin)
    .await?;
    Ok(())
}

/// Nothing is left to be done.
async fn end(lease: &mut PgConnection, transit: &Transit) -> Result<(), MoveError> {
    sqlx::query("delete from platform.tenant_move where tenant_id = $1")
        .bind(transit.id)
        .execute(lease)
        .await?;
    Ok(())
}
