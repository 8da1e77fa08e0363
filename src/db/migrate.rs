//! Migrations: the registry first, then every mall, each schema with its own list of what it has.

use std::{sync::LazyLock, time::Duration};

use futures_util::{StreamExt, stream};
use graphile_worker::WorkerUtils;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection,
    migrate::{MigrateError, Migration, Migrator},
    postgres::PgPoolOptions,
};

use super::{Db, error::Error, locator::Target, tenants::Schema};
use crate::kernel::ids::TenantId;

static PLATFORM: Migrator = sqlx::migrate!("migrations/platform");

/// Without the lock that the migrator takes: it is one for the whole database, so that malls would
/// wait for each other. Each has one of its own, its row in the registry.
static TENANT: LazyLock<Migrator> = LazyLock::new(|| {
    let mut tenant = sqlx::migrate!("migrations/tenant");
    tenant.set_locking(false);
    tenant
});

/// Files that malls were opened with in another form, which made the same tables more slowly: the
/// version, and the former text's SHA-384.
const REWRITTEN: [(i64, [u8; 48]); 1] = [(
    1,
    [
        0x9c, 0x41, 0x16, 0x63, 0xfe, 0xd6, 0x6b, 0x24, 0xcf, 0xb2, 0x2b, 0xdf, 0x4b, 0xcf, 0x49,
        0x92, 0xa3, 0x60, 0xf2, 0xcb, 0x01, 0xab, 0xfc, 0x40, 0xcb, 0x41, 0x68, 0x23, 0x32, 0x96,
        0x8f, 0x2e, 0x7c, 0x9f, 0x2c, 0x30, 0xeb, 0x93, 0x66, 0xd7, 0x51, 0x60, 0xe1, 0x4f, 0x8e,
        0x1c, 0x12, 0xc7,
    ],
)];

/// The schema in which `graphile_worker` keeps its tables.
pub(crate) const JOBS: &str = "jobs";

/// What a schema `jobs` says of itself when its tables and our grants on them are complete; 22 is
/// the newest migration of the version of `graphile_worker` that `Cargo.toml` pins.
const JOBS_READY: &str = "graphile_worker 22 for rotunda_app";

/// The login may read and write the queue's rows and owns none of its tables. Each of them has row
/// level security without a policy, which refuses everybody but the owner; hence the policies.
const JOBS_GRANTS: &str = "\
    grant usage on schema jobs to rotunda_app; \
    grant select on all tables in schema jobs to rotunda_app; \
    do $$ \
    declare private regclass; \
    begin \
      for private in \
        select oid from pg_class \
        where relnamespace = 'jobs'::regnamespace and relkind = 'r' \
          and starts_with(relname, '_private_') \
      loop \
        execute format('grant insert, update, delete on %s to rotunda_app', private); \
        execute format('drop policy if exists rotunda_app on %s', private); \
        execute format('create policy rotunda_app on %s to rotunda_app \
                        using (true) with check (true)', private); \
      end loop; \
    end $$; ";

/// How many malls are migrated at the same time.
const AT_ONCE: usize = 4;

/// How often a set-up that another process is doing too is tried again.
const TRIES: u32 = 20;

/// What migrating found and did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Migrated {
    /// Malls that were behind and are on the newest version now.
    pub tenants: usize,
}

/// One mall of many, as it came out.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The mall's short name.
    pub slug: &'a str,
    /// How many are done, this one among them, and how many there are.
    pub of: (usize, usize),
    /// How it came out.
    pub outcome: &'a Result<(), Error>,
}

impl Db {
    /// Makes login role, registry and queue where they are missing; cheap where they are there.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Other`] where the admin login may not create roles.
    pub async fn prepare(&self) -> Result<(), Error> {
        if self.platform_is_current().await.unwrap_or(false) {
            return Ok(());
        }
        until_done(async || self.set_up().await).await
    }

    /// Makes login role and shared schema on a target that malls live on; cheap where they are
    /// there. Every target is prepared when it first gets a mall.
    ///
    /// # Errors
    /// As [`Db::prepare`].
    pub(super) async fn prepare_target(&self, target: &Target) -> Result<(), Error> {
        if sqlx::query("select 1")
            .execute(target.requests())
            .await
            .is_ok()
        {
            let mut admin = target.admin_connection("pg_catalog").await?;
            let there: bool = sqlx::query_scalar("select to_regnamespace('ext') is not null")
                .fetch_one(&mut admin)
                .await?;
            if there {
                return Ok(());
            }
        }
        until_done(async || {
            let mut admin = target.admin_connection("pg_catalog").await?;
            set_up_target(target, &mut admin).await
        })
        .await
    }

    /// Registry and every mall to the newest version, several malls at a time. A mall that is there
    /// already costs nothing, so that a run which was interrupted goes on where it stopped.
    ///
    /// # Errors
    /// As [`Db::prepare`]. A mall that fails does not hold up the others; the first failure is
    /// what the run ends with.
    pub async fn migrate_all(&self) -> Result<Migrated, Error> {
        self.migrate_each(|_| {}).await
    }

    /// As [`Db::migrate_all`]; `tell` hears of each mall that was behind.
    ///
    /// # Errors
    /// As [`Db::migrate_all`].
    pub async fn migrate_each(&self, mut tell: impl FnMut(Turn<'_>)) -> Result<Migrated, Error> {
        self.prepare().await?;
        let mut admin = self.admin_connection().await?;
        // A mall on the move is brought up to date before it is copied.
        let behind: Vec<(TenantId, String)> = sqlx::query_as(
            "select tenant_id, slug from platform.tenant \
             where status in ('active', 'suspended') and schema_version <> $1 order by slug",
        )
        .bind(newest_of_a_mall())
        .fetch_all(&mut admin)
        .await?;
        let all = behind.len();
        let mut outcomes = stream::iter(&behind)
            .map(async |(tenant, slug)| (slug, self.migrate_tenant(*tenant).await))
            .buffer_unordered(AT_ONCE);
        let (mut done, mut first) = (0_usize, Ok(()));
        while let Some((slug, outcome)) = outcomes.next().await {
            done = done.saturating_add(1);
            tell(Turn {
                slug,
                of: (done, all),
                outcome: &outcome,
            });
            first = first.and(outcome);
        }
        first.map(|()| Migrated { tenants: all })
    }

    /// One mall to the newest version.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Moving`], [`Error::Other`].
    pub async fn migrate_tenant(&self, tenant: TenantId) -> Result<(), Error> {
        let home = self.look_up(tenant).await?;
        self.migrate_at(&home, tenant).await
    }

    /// One mall's tables on that target to the newest version, which the registry then knows. The
    /// mall's row is locked meanwhile, so that two who migrate it do so one after the other.
    pub(super) async fn migrate_at(&self, home: &Target, tenant: TenantId) -> Result<(), Error> {
        let mut admin = self.admin_connection().await?;
        let mut lock = admin
            .begin_with("begin; set local idle_in_transaction_session_timeout = 0")
            .await?;
        sqlx::query(
            "select from platform.tenant where tenant_id = $1 \
             order by tenant_id for no key update",
        )
        .bind(tenant)
        .execute(&mut *lock)
        .await?;
        if let Err(error) = migrate_schema(home, tenant).await {
            tracing::error!(%tenant, %error, "a mall's tables were not brought up to date");
            return Err(error);
        }
        sqlx::query("update platform.tenant set schema_version = $2 where tenant_id = $1")
            .bind(tenant)
            .bind(newest_of_a_mall())
            .execute(&mut *lock)
            .await?;
        Ok(lock.commit().await?)
    }

    /// Whether registry, queue and every mall's tables are those of this program.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn is_current(&self) -> Result<bool, Error> {
        if !self.platform_is_current().await? {
            return Ok(false);
        }
        let mut admin = self.admin_connection().await?;
        let behind: bool = sqlx::query_scalar(
            "select exists (select from platform.tenant \
                            where status in ('active', 'suspended') \
                              and schema_version <> $1)",
        )
        .bind(newest_of_a_mall())
        .fetch_one(&mut admin)
        .await?;
        Ok(!behind)
    }

    /// Whether login role, registry and queue are there, on this program's version.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn platform_is_current(&self) -> Result<bool, Error> {
        let mut admin = self.admin_connection().await?;
        let newest = PLATFORM
            .iter()
            .map(|migration| migration.version)
            .max()
            .unwrap_or(0);
        let there: Option<i64> =
            sqlx::query_scalar("select max(version) from platform._sqlx_migrations where success")
                .fetch_one(&mut admin)
                .await?;
        let role: bool = sqlx::query_scalar(
            "select exists (select from pg_catalog.pg_roles where rolname = 'rotunda_app')",
        )
        .fetch_one(&mut admin)
        .await?;
        let jobs: Option<String> =
            sqlx::query_scalar("select obj_description(to_regnamespace($1)::oid, 'pg_namespace')")
                .bind(JOBS)
                .fetch_one(&mut admin)
                .await?;
        Ok(role && there == Some(newest) && jobs.as_deref() == Some(JOBS_READY))
    }

    async fn set_up(&self) -> Result<(), Error> {
        let main = self.locator.main();
        let mut admin = self.admin_connection().await?;
        set_up_target(main, &mut admin).await?;
        sqlx::raw_sql("create schema if not exists platform")
            .execute(&mut admin)
            .await?;
        run(&PLATFORM, &mut main.admin_connection("platform").await?).await?;
        self.set_up_jobs().await
    }

    /// Brings the queue's tables to the version that the worker expects, as their owner: a worker
    /// that finds them complete only reads, so the login needs no right to create anything.
    async fn set_up_jobs(&self) -> Result<(), Error> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .connect_with(
                self.locator
                    .main()
                    .admin()
                    .clone()
                    .options([("search_path", "pg_catalog")]),
            )
            .await?;
        WorkerUtils::new(&pool, JOBS)
            .migrate()
            .await
            .map_err(|error| Error::Other(sqlx::Error::Configuration(Box::new(error))))?;
        sqlx::raw_sql(AssertSqlSafe(format!(
            "{JOBS_GRANTS} comment on schema {JOBS} is '{JOBS_READY}'"
        )))
        .execute(&pool)
        .await?;
        pool.close().await;
        Ok(())
    }
}

/// Tries until it is done: another process may create the same role or schema in this moment.
async fn until_done(set_up: impl AsyncFn() -> Result<(), Error>) -> Result<(), Error> {
    let mut tried = 0;
    loop {
        match set_up().await {
            Ok(()) => return Ok(()),
            Err(error) if tried >= TRIES => return Err(error),
            Err(_) => tried += 1,
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What every target needs before a mall can live there.
async fn set_up_target(target: &Target, admin: &mut PgConnection) -> Result<(), Error> {
    if sqlx::query("select 1")
        .execute(target.requests())
        .await
        .is_err()
    {
        set_up_login(target, admin).await?;
    }
    sqlx::raw_sql(
        "revoke create on schema public from public; \
         create schema if not exists ext;",
    )
    .execute(admin)
    .await?;
    Ok(())
}

/// Makes the app login or puts it right; not where it works, because all databases of a server
/// share it and two cannot change it at once.
async fn set_up_login(target: &Target, admin: &mut PgConnection) -> Result<(), Error> {
    // The password is made of hexadecimal digits only, so it needs no quoting.
    sqlx::raw_sql(AssertSqlSafe(format!(
        "do $$ begin create role rotunda_app login noinherit; \
           exception when duplicate_object then null; end $$; \
         alter role rotunda_app login noinherit nosuperuser nocreatedb nocreaterole \
           nobypassrls password '{password}'; \
         alter role rotunda_app set search_path = ''; \
         alter role rotunda_app set timezone = 'UTC'; \
         alter role rotunda_app set lock_timeout = '3s'; \
         alter role rotunda_app set statement_timeout = '30s'; \
         alter role rotunda_app set idle_in_transaction_session_timeout = '30s';",
        password = target.app_password,
    )))
    .execute(admin)
    .await?;
    Ok(())
}

/// One mall's tables on that target to the newest version; nobody else may do so at the same time.
pub(super) async fn migrate_schema(home: &Target, tenant: TenantId) -> Result<(), Error> {
    let schema = Schema::of(tenant).to_string();
    let mut admin = home.admin_connection(&schema).await?;
    match TENANT.run_direct(None, &mut admin, false).await {
        Err(MigrateError::VersionMismatch(version)) => {
            know_rewritten(&mut admin, version).await?;
            run(&TENANT, &mut admin).await
        }
        other => other.map_err(failed),
    }
}

/// The first of these migrations of a mall that this program does not know.
pub fn first_unknown(versions: &[i64]) -> Option<i64> {
    let known = |version: &&i64| TENANT.iter().any(|file| file.version == **version);
    versions.iter().find(|version| !known(version)).copied()
}

/// One mall's empty schema on that target to the tables that these migrations made, and no others.
pub(super) async fn migrate_schema_to(
    home: &Target,
    tenant: TenantId,
    versions: &[i64],
) -> Result<(), Error> {
    let then: Vec<Migration> = TENANT
        .iter()
        .filter(|file| versions.contains(&file.version))
        .cloned()
        .collect();
    let mut then = Migrator::with_migrations(then);
    then.set_locking(false);
    let schema = Schema::of(tenant).to_string();
    run(&then, &mut home.admin_connection(&schema).await?).await
}

/// A file that a mall has in the form that it had before it was rewritten is the same file.
async fn know_rewritten(admin: &mut PgConnection, version: i64) -> Result<(), Error> {
    let former = REWRITTEN.iter().find(|(of, _)| *of == version);
    let now = TENANT.iter().find(|file| file.version == version);
    if let (Some((_, former)), Some(now)) = (former, now) {
        sqlx::query(
            "update _sqlx_migrations set checksum = $3 where version = $1 and checksum = $2",
        )
        .bind(version)
        .bind(&former[..])
        .bind(&*now.checksum)
        .execute(admin)
        .await?;
    }
    Ok(())
}

/// The version that a mall's tables are on after a migration.
pub(super) fn newest_of_a_mall() -> i64 {
    TENANT
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// Runs what is missing.
async fn run(migrator: &Migrator, admin: &mut PgConnection) -> Result<(), Error> {
    let outcome = migrator.run_direct(None, admin, false).await;
    outcome.map_err(failed)
}

fn failed(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => Error::Other(sqlx::Error::Migrate(Box::new(other))),
    }
}
