//! What the database says of itself, for `doctor` and for the start of a server.

use sqlx::PgConnection;

use super::{
    Db,
    error::Error,
    locator::Target,
    migrate,
    tenants::{Schema, Status, Tenant},
};
use crate::kernel::time::Instant;

/// The settings without which a confirmed commit may be lost, each "on" in a server that people
/// trust with money. (`synchronous_commit` has stronger values than "on".)
const DURABILITY: [&str; 3] = ["fsync", "full_page_writes", "synchronous_commit"];

/// The login that serves requests, and what it may do that it should not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent answers of one row"
)]
pub struct AppLogin {
    /// Whether it is a superuser.
    pub superuser: bool,
    /// Whether it has the rights of its roles without putting them on.
    pub inherits: bool,
    /// Whether it passes row level security by, or makes roles or databases.
    pub privileged: bool,
    /// Whether it may create things in schema `public`.
    pub creates_in_public: bool,
    /// How many tables and schemas it owns.
    pub owns: i64,
}

/// What one server says of itself.
#[derive(Debug, Clone)]
pub struct Server {
    /// The version as a number: 150014 is 15.14.
    pub version: i32,
    /// Of [`DURABILITY`], those that are off.
    pub not_durable: Vec<String>,
    /// The login; none before the first migration.
    pub login: Option<AppLogin>,
    /// The database's clock.
    pub now: Instant,
}

/// What the databases say of themselves.
#[derive(Debug)]
pub struct Examination {
    /// The server that holds the registry.
    pub main: Server,
    /// The other targets by name; an error where one does not answer.
    pub others: Vec<(String, Result<Server, Error>)>,
    /// The registry and the queue are on this program's version.
    pub platform_is_current: bool,
    /// Malls that are not.
    pub behind: Vec<String>,
    /// All malls.
    pub malls: usize,
}

impl Db {
    /// Asks every target about itself, as its owner.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the main one does not answer.
    pub async fn examine(&self) -> Result<Examination, Error> {
        let main = examine(self.locator.main()).await?;
        let mut others = Vec::new();
        for target in self.locator.others() {
            others.push((target.name.clone(), examine(target).await));
        }
        let platform_is_current = self.platform_is_current().await.unwrap_or(false);
        let (malls, behind) = if platform_is_current {
            self.malls_behind().await?
        } else {
            (0, Vec::new())
        };
        Ok(Examination {
            main,
            others,
            platform_is_current,
            behind,
            malls,
        })
    }

    /// The settings that let a confirmed commit be lost: of fsync, `full_page_writes` and
    /// `synchronous_commit` those that are off, with the target's name where it is not the main one.
    /// A further target that does not answer says nothing: its malls take nothing either.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the main target does not answer.
    pub async fn not_durable(&self) -> Result<Vec<String>, Error> {
        let mut off = not_durable(&mut self.admin_connection().await?).await?;
        for target in self.locator.others() {
            match examine(target).await {
                Ok(found) => {
                    let named = |setting| format!("{setting} of {}", target.name);
                    off.extend(found.not_durable.into_iter().map(named));
                }
                Err(error) => tracing::warn!(
                    %error,
                    "The database target {} does not answer: {error}", target.name
                ),
            }
        }
        Ok(off)
    }

    /// As [`Db::not_durable`], of one target.
    ///
    /// # Errors
    /// [`Error::UnknownTarget`]; [`Error::Unavailable`].
    pub async fn not_durable_at(&self, target: &str) -> Result<Vec<String>, Error> {
        let target = self.locator.named(target)?;
        not_durable(&mut target.admin_connection("pg_catalog").await?).await
    }

    /// How many malls there are, and the short names of those whose tables are not the newest.
    async fn malls_behind(&self) -> Result<(usize, Vec<String>), Error> {
        let (mut malls, mut behind) = (0_usize, Vec::new());
        let mut after = String::new();
        loop {
            let page: Vec<Tenant> = self.tenants(&after, 100).await?;
            let Some(last) = page.last() else {
                return Ok((malls, behind));
            };
            after = last.slug.as_str().to_owned();
            let there = |mall: &&Tenant| {
                !matches!(
                    mall.status,
                    Status::Arriving | Status::Leaving | Status::Gone
                )
            };
            for mall in page.iter().filter(there) {
                malls = malls.saturating_add(1);
                if self.version_of(mall).await.ok().flatten() != Some(migrate::newest_of_a_mall()) {
                    behind.push(mall.slug.as_str().to_owned());
                }
            }
        }
    }

    /// The newest migration that a mall's own tables have.
    async fn version_of(&self, mall: &Tenant) -> Result<Option<i64>, Error> {
        let home = self.locator.named(&mall.target)?;
        let schema = Schema::of(mall.id).to_string();
        let newest = sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
            .fetch_one(&mut home.admin_connection(&schema).await?)
            .await?;
        Ok(newest)
    }
}

async fn examine(target: &Target) -> Result<Server, Error> {
    let mut admin = target.admin_connection("pg_catalog").await?;
    let version: i32 = sqlx::query_scalar("select current_setting('server_version_num')::int")
        .fetch_one(&mut admin)
        .await?;
    let login: Option<AppLogin> = sqlx::query_as(
        "select rolsuper as superuser, rolinherit as inherits, \
                (rolbypassrls or rolcreaterole or rolcreatedb) as privileged, \
                has_schema_privilege(oid, 'public', 'create') as creates_in_public, \
                (select count(*) from pg_class where relowner = pg_roles.oid) \
                + (select count(*) from pg_namespace where nspowner = pg_roles.oid) as owns \
         from pg_roles where rolname = 'rotunda_app'",
    )
    .fetch_optional(&mut admin)
    .await?;
    // The database's own clock is what is asked for here, not the time of a unit of work.
    let now: Instant = sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(&mut admin)
        .await?;
    Ok(Server {
        version,
        not_durable: not_durable(&mut admin).await?,
        login,
        now,
    })
}

async fn not_durable(admin: &mut PgConnection) -> Result<Vec<String>, Error> {
    let off: Vec<String> = sqlx::query_scalar(
        "select name from unnest($1::text[]) as name \
         where current_setting(name) = 'off' order by name",
    )
    .bind(&DURABILITY[..])
    .fetch_all(admin)
    .await?;
    Ok(off)
}
