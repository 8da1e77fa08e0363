//! A mall is deleted: schema, role, jobs and hosts. Its row of the registry stays, so that nobody ever
//! gets its id or short name, and with it the proof of what it was.
//!
//! What is to be deleted is written down first; whoever comes again goes on from there. Nothing brings
//! a mall back but its archive.

use std::sync::Arc;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use thiserror::Error;

use super::{
    Db,
    error::Error,
    migrate::JOBS,
    moving::{LEAVING, MoveError, discard},
    tenants::{Schema, Status},
};
use crate::{
    authz::{action::ManageTenants, grant::Grant},
    kernel::{ids::TenantId, text::Slug, time::Instant},
};

/// Why a mall is not deleted.
#[derive(Debug, Error)]
pub enum EndError {
    /// No mall of that short name.
    #[error("there is no mall {}", .0.as_str())]
    Unknown(Slug),
    /// It is open.
    #[error("{} is not suspended: `rotunda tenant suspend {}` first", .0.as_str(), .0.as_str())]
    NotSuspended(Slug),
    /// It is gone already.
    #[error("{} was deleted already", .0.as_str())]
    Gone(Slug),
    /// Another process works on it.
    #[error("another process works on {}", .0.as_str())]
    Busy(Slug),
    /// Its schema is not what it should be.
    #[error(transparent)]
    Move(#[from] MoveError),
    /// The database.
    #[error(transparent)]
    Db(#[from] Error),
}

impl From<sqlx::Error> for EndError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

/// A deletion that was written down.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// Whose.
    pub id: TenantId,
    /// When it was.
    pub begun_at: Instant,
    /// Who asked for it.
    pub begun_by: String,
    /// What the mall was.
    pub proof: Value,
    /// When nothing was left of it.
    pub ended_at: Option<Instant>,
}

impl Db {
    /// The deletion of the mall of that short name, as far as it has come; none where nobody asked.
    ///
    /// # Errors
    /// [`EndError::Db`].
    pub async fn ending(
        &self,
        _grant: &Grant<ManageTenants>,
        slug: &Slug,
    ) -> Result<Option<Ending>, EndError> {
        let found: Option<(TenantId, Instant, String, Value, Option<Instant>)> = sqlx::query_as(
            "select tenant_id, begun_at, begun_by, proof, ended_at from platform.tenant_end \
             join platform.tenant using (tenant_id) where slug = $1",
        )
        .bind(slug.as_str())
        .fetch_optional(&mut self.admin_connection().await?)
        .await?;
        Ok(
            found.map(|(id, begun_at, begun_by, proof, ended_at)| Ending {
                id,
                begun_at,
                begun_by,
                proof,
                ended_at,
            }),
        )
    }

    /// Writes down that a suspended mall is to be deleted, with the proof of what it was. From then on
    /// only [`Db::end_tenant`] is left.
    ///
    /// # Errors
    /// [`EndError::Unknown`], [`EndError::NotSuspended`], [`EndError::Gone`], [`EndError::Busy`].
    pub async fn begin_end(
        &self,
        _grant: &Grant<ManageTenants>,
        slug: &Slug,
        by: &str,
        proof: &Value,
    ) -> Result<(), EndError> {
        let mut admin = self.admin_connection().await?;
        let mut lease = lease(&mut admin, slug).await?;
        match lease.status.as_str() {
            "suspended" => {}
            "gone" => return Err(EndError::Gone(slug.clone())),
            _ => return Err(EndError::NotSuspended(slug.clone())),
        }
        sqlx::query(
            "insert into platform.tenant_end (tenant_id, begun_at, begun_by, proof) \
             values ($1, $2, $3, $4)",
        )
        .bind(lease.id)
        .bind(self.clock.now())
        .bind(by)
        .bind(proof)
        .execute(&mut *lease.tx)
        .await?;
        become_(&mut lease, Status::Leaving).await?;
        Ok(lease.tx.commit().await?)
    }

    /// Deletes what was written down to be deleted; safe to repeat.
    ///
    /// # Errors
    /// [`EndError::Unknown`], [`EndError::NotSuspended`] where nothing was written down,
    /// [`EndError::Busy`].
    pub async fn end_tenant(
        &self,
        grant: &Grant<ManageTenants>,
        slug: &Slug,
    ) -> Result<Ending, EndError> {
        let mut admin = self.admin_connection().await?;
        let mut lease = lease(&mut admin, slug).await?;
        let unwritten = || EndError::NotSuspended(slug.clone());
        if lease.status == Status::Leaving.as_str() {
            let home = Arc::clone(self.locator.named(&lease.target)?);
            let schema = Schema::of(lease.id).to_string();
            let mut there = home.admin_connection("pg_catalog").await?;
            sqlx::raw_sql(AssertSqlSafe(format!(
                "do $$ begin comment on schema {schema} is '{LEAVING}'; \
                   exception when invalid_schema_name then null; end $$"
            )))
            .execute(&mut there)
            .await?;
            discard(&home, &schema, LEAVING).await?;
            sqlx::query(AssertSqlSafe(format!(
                "select {JOBS}.remove_job(key) from {JOBS}.jobs where key like $1"
            )))
            .bind(format!("{}/%", lease.id))
            .execute(&mut *lease.tx)
            .await?;
            sqlx::query("delete from platform.host where tenant_id = $1")
                .bind(lease.id)
                .execute(&mut *lease.tx)
                .await?;
            sqlx::query("update platform.tenant_end set ended_at = $2 where tenant_id = $1")
                .bind(lease.id)
                .bind(self.clock.now())
                .execute(&mut *lease.tx)
                .await?;
            become_(&mut lease, Status::Gone).await?;
            self.locator.learn(lease.id, None);
        } else if lease.status != Status::Gone.as_str() {
            return Err(unwritten());
        }
        lease.tx.commit().await?;
        self.ending(grant, slug).await?.ok_or_else(unwritten)
    }
}

/// A mall's row of the registry, locked.
struct Lease<'a> {
    tx: sqlx::Transaction<'a, sqlx::Postgres>,
    id: TenantId,
    status: String,
    target: String,
}

async fn lease<'a>(admin: &'a mut PgConnection, slug: &Slug) -> Result<Lease<'a>, EndError> {
    let begin = "begin; set local lock_timeout = '5s'; \
                 set local idle_in_transaction_session_timeout = 0";
    let mut tx = admin.begin_with(begin).await?;
    let found: Result<Option<(TenantId, String, String)>, _> = sqlx::query_as(
        "select tenant_id, status, target from platform.tenant \
         where slug = $1 order by tenant_id for update",
    )
    .bind(slug.as_str())
    .fetch_optional(&mut *tx)
    .await;
    match found.map_err(Error::from) {
        Ok(Some((id, status, target))) => Ok(Lease {
            tx,
            id,
            status,
            target,
        }),
        Ok(None) => Err(EndError::Unknown(slug.clone())),
        Err(error) if error.is_timeout() => Err(EndError::Busy(slug.clone())),
        Err(error) => Err(error.into()),
    }
}

async fn become_(lease: &mut Lease<'_>, status: Status) -> Result<(), EndError> {
    sqlx::query(
        "with revised as (update platform.registry set revision = revision + 1) \
         update platform.tenant set status = $2 where tenant_id = $1",
    )
    .bind(lease.id)
    .bind(status.as_str())
    .execute(&mut *lease.tx)
    .await?;
    Ok(())
}
