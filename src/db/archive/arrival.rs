//! An archive becomes a mall: a new one, whatever became of the one that it was taken of.
//!
//! | step | what it does | what a kill behind it leaves |
//! | --- | --- | --- |
//! | arrive | the registry has a mall that is `arriving`: no host means it | the short name, for the next import of that name |
//! | fill | the schema is made by the archive's migrations, marked, and filled in one transaction | the same, and a schema that is marked |
//! | (the caller) | compares, migrates on, ends what must not live twice, proves the books | the same |
//! | open | the registry says `active`, and which hosts mean it, in one commit | a mall |
//!
//! Whoever imports under that name again begins anew: what is there is thrown away first.

use std::{path::Path, sync::Arc};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{ArchiveError, Manifest, Piece, Progress, Sealed, unpack::reading};
use crate::{
    authz::{action::ManageTenants, grant::Grant},
    db::{
        Db, copy,
        error::Error,
        locator::Target,
        migrate::{migrate_schema, migrate_schema_to, newest_of_a_mall},
        moving::{ARRIVING, PATIENT, discard},
        tenants::{Registration, Schema, Status, names_to_json},
    },
    kernel::ids::TenantId,
};

/// A mall that is not one yet, and the lock on its row of the registry.
#[derive(Debug)]
pub struct Arrival {
    /// Its id.
    pub id: TenantId,
    home: Arc<Target>,
    lease: PgConnection,
}

impl Db {
    /// Takes a place in the registry for a mall that comes from an archive, or takes up that of an
    /// import which was killed.
    ///
    /// # Errors
    /// [`ArchiveError::Taken`], [`ArchiveError::Busy`]; [`Error::UnknownTarget`].
    pub async fn arrive(
        &self,
        _grant: &Grant<ManageTenants>,
        wanted: &Registration,
        target: &str,
    ) -> Result<Arrival, ArchiveError> {
        let home = Arc::clone(self.locator.named(target)?);
        let slug = wanted.slug.as_str();
        let mut lease = self.admin_connection().await?;
        let id = match locked(&mut lease, slug).await? {
            None => TenantId::new(self.clock.now(), &self.entropy),
            Some((id, status, before)) if status == Status::Arriving.as_str() => {
                let schema = Schema::of(id).to_string();
                discard(self.locator.named(&before)?, &schema, ARRIVING).await?;
                id
            }
            Some(_) => return Err(ArchiveError::Taken(slug.to_owned())),
        };
        let languages: Vec<&str> = wanted.languages.iter().map(|lang| lang.tag()).collect();
        let written = sqlx::query(
            "with revised as (update platform.registry set revision = revision + 1) \
             insert into platform.tenant (tenant_id, slug, names, status, time_zone, currency, \
                 calling_code, languages, created_at, changed_at, target) \
             values ($1, $2, $3, 'arriving', $4, $5, $6, $7, $8, $8, $9) \
             on conflict (tenant_id) do update \
             set names = excluded.names, time_zone = excluded.time_zone, \
                 currency = excluded.currency, calling_code = excluded.calling_code, \
                 languages = excluded.languages, changed_at = excluded.changed_at, \
                 target = excluded.target",
        )
        .bind(id)
        .bind(slug)
        .bind(names_to_json(&wanted.names))
        .bind(wanted.zone.to_string())
        .bind(wanted.currency.code())
        .bind(&wanted.calling_code)
        .bind(serde_json::json!(languages))
        .bind(self.clock.now())
        .bind(target)
        .execute(&mut lease)
        .await;
        match written.map_err(Error::from) {
            Err(error) if error.is_constraint("tenant_slug_key") => {
                return Err(ArchiveError::Busy(slug.to_owned()));
            }
            other => other?,
        };
        // Others have to see the row; then it is locked again.
        told(&mut lease, "commit").await?;
        match locked(&mut lease, slug).await? {
            Some((found, status, _)) if found == id && status == Status::Arriving.as_str() => {}
            _ => return Err(ArchiveError::Busy(slug.to_owned())),
        }
        self.locator.learn(id, Some(target));
        Ok(Arrival { id, home, lease })
    }
}

/// The row of a short name, locked until the next commit.
async fn locked(
    lease: &mut PgConnection,
    slug: &str,
) -> Result<Option<(TenantId, String, String)>, ArchiveError> {
    // Long enough for a process that was killed to be noticed.
    let begin = "begin; set local lock_timeout = '5s'; \
                 set local idle_in_transaction_session_timeout = 0";
    told(lease, begin).await?;
    let found = sqlx::query_as(
        "select tenant_id, status, target from platform.tenant \
         where slug = $1 order by tenant_id for update",
    )
    .bind(slug)
    .fetch_optional(lease)
    .await;
    match found.map_err(Error::from) {
        Err(error) if error.is_timeout() => Err(ArchiveError::Busy(slug.to_owned())),
        other => Ok(other?),
    }
}

async fn told(connection: &mut PgConnection, what: &str) -> Result<(), ArchiveError> {
    sqlx::raw_sql(AssertSqlSafe(what.to_owned()))
        .execute(connection)
        .await?;
    Ok(())
}

impl Arrival {
    fn schema(&self) -> String {
        Schema::of(self.id).to_string()
    }

    /// Makes the tables that the archive is of and fills them, but for those of `leaving_out`, in one
    /// transaction that is committed when the archive was read to its end and is whole. `keep` gets
    /// the files.
    ///
    /// # Errors
    /// Every [`ArchiveError`] but of short names and hosts.
    pub async fn fill<E: From<ArchiveError>>(
        &self,
        db: &Db,
        (path, manifest): (&Path, &Manifest),
        leaving_out: &[&str],
        keep: impl AsyncFnMut(String, Vec<u8>) -> Result<(), E>,
        tell: impl FnMut(Progress),
    ) -> Result<Sealed, E> {
        let made = self.make(db, manifest).await;
        let (mut admin, tables) = made?;
        let begin = AssertSqlSafe(format!("begin; {PATIENT}"));
        let mut filling = admin.begin_with(begin).await.map_err(ArchiveError::from)?;
        let (mut pieces, reader) = reading(path.to_owned());
        let plan = Plan {
            schema: self.schema(),
            tables: &tables,
            leaving_out,
        };
        let filled = plan.pour(&mut filling, &mut pieces, keep, tell).await;
        // What does not fit is told by what is wrong with the archive, if anything is.
        while filled.is_err() && pieces.recv().await.is_some() {}
        drop(pieces);
        let read = reader
            .await
            .unwrap_or(Err(super::PackError::BrokenOff.into()));
        let sealed = read?;
        filled?;
        filling.commit().await.map_err(ArchiveError::from)?;
        let known = copy::analyze(&mut admin, &self.schema()).await;
        known.map_err(ArchiveError::from)?;
        Ok(sealed)
    }

    /// The empty tables, as the archive's migrations make them.
    async fn make(
        &self,
        db: &Db,
        manifest: &Manifest,
    ) -> Result<(PgConnection, Vec<copy::Table>), ArchiveError> {
        let schema = self.schema();
        discard(&self.home, &schema, ARRIVING).await?;
        let mut admin = self.home.admin_connection("pg_catalog").await?;
        let mark = format!("comment on schema {schema} is '{ARRIVING}'");
        db.make_schema(&self.home, &mut admin, self.id, &mark)
            .await?;
        migrate_schema_to(&self.home, self.id, &manifest.migrations).await?;
        let tables = copy::tables(&mut admin, &schema).await?;
        Ok((admin, tables))
    }

    /// Brings the tables to this program's version.
    ///
    /// # Errors
    /// [`ArchiveError::Db`].
    pub async fn catch_up(&self) -> Result<(), ArchiveError> {
        Ok(migrate_schema(&self.home, self.id).await?)
    }

    /// The mall is there: in that status, and of `hosts` those mean it that mean no other; all of
    /// them, where that is `strict`.
    ///
    /// # Errors
    /// [`ArchiveError::HostTaken`].
    pub async fn open(
        mut self,
        hosts: &[String],
        strict: bool,
        status: Status,
    ) -> Result<(), ArchiveError> {
        let schema = self.schema();
        for host in hosts {
            let new = sqlx::query(
                "insert into platform.host (host, tenant_id) values ($1, $2) \
                 on conflict (host) do nothing",
            );
            let new = new
                .bind(host)
                .bind(self.id)
                .execute(&mut self.lease)
                .await?;
            if strict && new.rows_affected() == 0 {
                return Err(ArchiveError::HostTaken(host.clone()));
            }
        }
        sqlx::query(
            "with revised as (update platform.registry set revision = revision + 1) \
             update platform.tenant set status = $2, schema_version = $3 where tenant_id = $1",
        )
        .bind(self.id)
        .bind(status.as_str())
        .bind(newest_of_a_mall())
        .execute(&mut self.lease)
        .await?;
        told(&mut self.lease, "commit").await?;
        let mut admin = self.home.admin_connection("pg_catalog").await?;
        told(&mut admin, &format!("comment on schema {schema} is null")).await
    }

    /// Takes everything back: no mall came of it.
    ///
    /// # Errors
    /// [`ArchiveError::Db`]; the next import of that name does it then.
    pub async fn abandon(mut self) -> Result<(), ArchiveError> {
        discard(&self.home, &self.schema(), ARRIVING).await?;
        let gone = "with revised as (update platform.registry set revision = revision + 1) \
                    delete from platform.tenant where tenant_id = $1 and status = 'arriving'";
        sqlx::query(gone)
            .bind(self.id)
            .execute(&mut self.lease)
            .await?;
        told(&mut self.lease, "commit").await
    }
}

/// What is to be filled.
struct Plan<'a> {
    schema: String,
    tables: &'a [copy::Table],
    leaving_out: &'a [&'a str],
}

impl Plan<'_> {
    async fn pour<E: From<ArchiveError>>(
        &self,
        filling: &mut PgConnection,
        pieces: &mut tokio::sync::mpsc::Receiver<Piece>,
        mut keep: impl AsyncFnMut(String, Vec<u8>) -> Result<(), E>,
        mut tell: impl FnMut(Progress),
    ) -> Result<(), E> {
        let emptied = copy::empty(&mut *filling, &self.schema, self.tables).await;
        emptied.map_err(ArchiveError::from)?;
        let mut now: Option<Progress> = None;
        while let Some(piece) = pieces.recv().await {
            let (table, header, body) = match piece {
                Piece::File { id, bytes } => {
                    keep(id, bytes).await?;
                    continue;
                }
                Piece::Rows {
                    table,
                    header,
                    body,
                } => (table, header, body),
            };
            let found = self.tables.iter().position(|known| known.name == table);
            let found = found.and_then(|at| Some((at, self.tables.get(at)?)));
            let differs = || ArchiveError::Differs(format!("the table {table}"));
            let (at, known) = found.ok_or_else(differs)?;
            if known.is_migrations() || self.leaving_out.contains(&table.as_str()) {
                continue;
            }
            if known.header() != header {
                return Err(differs().into());
            }
            let rows = poured(&mut *filling, &known.filling(&self.schema), &body).await?;
            match &mut now {
                Some(now) if now.table == table => now.rows = now.rows.saturating_add(rows),
                done => {
                    let of = (at.saturating_add(1), self.tables.len());
                    if let Some(done) = done.replace(Progress { table, rows, of }) {
                        tell(done);
                    }
                }
            }
        }
        if let Some(last) = now {
            tell(last);
        }
        Ok(())
    }
}

async fn poured(filling: &mut PgConnection, into: &str, body: &[u8]) -> Result<u64, ArchiveError> {
    if body.is_empty() {
        return Ok(0);
    }
    let mut sink = filling.copy_in_raw(into).await?;
    sink.send(body).await?;
    Ok(sink.finish().await?)
}
