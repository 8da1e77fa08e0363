//! The registry: which malls there are, which host means which, and how a new one comes to be.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use sqlx::AssertSqlSafe;

use super::{
    Db,
    error::Error,
    locator::{MAIN, Target},
};
use crate::{
    authz::{action::ManageTenants, grant::Grant},
    kernel::{
        ids::{TenantId, encode},
        money::Currency,
        text::{Language, Names, Slug},
        time::Zone,
    },
};

/// The name of a mall's schema and role: `t_` and its id's 26 digits, never anything typed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema(TenantId);

impl Schema {
    /// The schema of a mall.
    pub const fn of(tenant: TenantId) -> Self {
        Self(tenant)
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "t_{}", encode(self.0.uuid().as_u128()))
    }
}

/// Whether a mall takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Its schema is being made; `tenant apply` goes on where it stopped.
    Opening,
    /// It takes requests.
    Active,
    /// It answers 503 until it is resumed.
    Suspended,
    /// It answers 503 while its data goes from one database to another.
    Moving,
    /// Its data is being brought in from an archive.
    Arriving,
    /// It is being deleted.
    Leaving,
    /// It was deleted: its id and short name are nobody else's.
    Gone,
}

impl Status {
    /// As the registry and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Moving => "moving",
            Self::Arriving => "arriving",
            Self::Leaving => "leaving",
            Self::Gone => "gone",
        }
    }

    const ALL: [Self; 7] = [
        Self::Opening,
        Self::Active,
        Self::Suspended,
        Self::Moving,
        Self::Arriving,
        Self::Leaving,
        Self::Gone,
    ];

    fn parse(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(Error::Corrupt("tenant status"))
    }
}

/// What the registry knows of a mall.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its short name.
    pub slug: Slug,
    /// Its names.
    pub names: Names,
    /// Whether it takes requests.
    pub status: Status,
    /// In which zone its days and months begin.
    pub zone: Zone,
    /// The one currency of its books.
    pub currency: Currency,
    /// The country code of telephone numbers written without one, digits only.
    pub calling_code: String,
    /// The languages it speaks, its default first.
    pub languages: Vec<Language>,
    /// The Host headers that mean it.
    pub hosts: Vec<String>,
    /// The database target that holds its schema.
    pub target: String,
    /// Another number whenever any of this is otherwise; means something in this process only.
    pub version: u64,
}

impl Tenant {
    /// The language that it speaks where nobody asks for another.
    pub fn language(&self) -> Language {
        let [first, ..] = Language::ALL;
        self.languages.first().copied().unwrap_or(first)
    }
}

/// What a manifest says about the registry's columns.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The short name, by which the mall is found.
    pub slug: Slug,
    /// Its names.
    pub names: Names,
    /// In which zone its days and months begin.
    pub zone: Zone,
    /// The one currency of its books; cannot be changed later.
    pub currency: Currency,
    /// Digits only.
    pub calling_code: String,
    /// At least one.
    pub languages: Vec<Language>,
    /// Host headers, lower case, without port.
    pub hosts: Vec<String>,
}

#[derive(Hash, sqlx::FromRow)]
struct Row {
    tenant_id: TenantId,
    slug: String,
    names: serde_json::Value,
    status: String,
    time_zone: String,
    currency: String,
    calling_code: String,
    languages: serde_json::Value,
    hosts: Vec<String>,
    target: String,
}

const SELECT: &str = "\
    select tenant_id, slug, names, status, time_zone, currency, calling_code, languages, target, \
           array(select host from platform.host where host.tenant_id = tenant.tenant_id \
                 order by host) as hosts \
    from platform.tenant ";

/// Names as a jsonb column holds them: tag to text.
pub fn names_to_json(names: &Names) -> serde_json::Value {
    names
        .iter()
        .map(|(tag, name)| (tag.to_owned(), name.into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The opposite of [`names_to_json`].
///
/// # Errors
/// [`Error::Corrupt`].
pub fn names_from_json(json: &serde_json::Value) -> Result<Names, Error> {
    let map = json.as_object().ok_or(Error::Corrupt("names"))?;
    let pairs = map
        .iter()
        .filter_map(|(tag, name)| Some((tag.as_str(), name.as_str()?)));
    Names::new(pairs).map_err(|_| Error::Corrupt("names"))
}

impl TryFrom<Row> for Tenant {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let mut version = DefaultHasher::new();
        row.hash(&mut version);
        let version = version.finish();
        let languages = row
            .languages
            .as_array()
            .ok_or(Error::Corrupt("tenant languages"))?;
        let languages: Option<Vec<Language>> = languages
            .iter()
            .map(|tag| tag.as_str()?.parse().ok())
            .collect();
        Ok(Self {
            id: row.tenant_id,
            slug: row
                .slug
                .parse()
                .map_err(|_| Error::Corrupt("tenant slug"))?,
            names: names_from_json(&row.names)?,
            status: Status::parse(&row.status)?,
            zone: row
                .time_zone
                .parse()
                .map_err(|_| Error::Corrupt("tenant time zone"))?,
            currency: Currency::from_code(&row.currency)
                .map_err(|_| Error::Corrupt("tenant currency"))?,
            calling_code: row.calling_code,
            languages: languages.ok_or(Error::Corrupt("tenant languages"))?,
            hosts: row.hosts,
            target: row.target,
            version,
        })
    }
}

impl Db {
    /// The registry's revision: what it said of any mall holds for as long as this is the same.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn registry_revision(&self) -> Result<i64, Error> {
        let revision = sqlx::query_scalar("select revision from platform.registry")
            .fetch_one(&self.registry)
            .await?;
        Ok(revision)
    }

    /// The mall that a Host header means, without port and in lower case.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn tenant_of_host(&self, host: &str) -> Result<Option<Tenant>, Error> {
        let sql = format!(
            "{SELECT} where tenant_id = (select tenant_id from platform.host where host = $1)"
        );
        let found: Option<Row> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(host)
            .fetch_optional(&self.registry)
            .await?;
        found.map(|row| self.read_row(row)).transpose()
    }

    /// The mall of a short name.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn tenant_of_slug(&self, slug: &str) -> Result<Option<Tenant>, Error> {
        self.one_tenant(format!("{SELECT} where slug = $1"), slug)
            .await
    }

    /// The mall of an id, for the house's own work.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn tenant_of_id(&self, id: TenantId) -> Result<Option<Tenant>, Error> {
        let sql = format!("{SELECT} where tenant_id = $1::uuid");
        self.one_tenant(sql, &id.uuid().to_string()).await
    }

    async fn one_tenant(&self, sql: String, key: &str) -> Result<Option<Tenant>, Error> {
        let found: Option<Row> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(key)
            .fetch_optional(self.locator.main().requests())
            .await?;
        found.map(|row| self.read_row(row)).transpose()
    }

    /// A row of the registry, which says by the way where the mall is.
    fn read_row(&self, row: Row) -> Result<Tenant, Error> {
        let tenant = Tenant::try_from(row)?;
        let home = (tenant.status != Status::Moving).then_some(tenant.target.as_str());
        self.locator.learn(tenant.id, home);
        Ok(tenant)
    }

    /// Asks the registry which target holds a mall.
    pub(super) async fn look_up(&self, id: TenantId) -> Result<Arc<Target>, Error> {
        let found: Option<(String, String)> =
            sqlx::query_as("select target, status from platform.tenant where tenant_id = $1")
                .bind(id)
                .fetch_optional(self.locator.main().requests())
                .await?;
        let (name, status) = found.ok_or(Error::NoTenant)?;
        if status == Status::Moving.as_str() {
            self.locator.learn(id, None);
            return Err(Error::Moving);
        }
        if status == Status::Gone.as_str() {
            self.locator.learn(id, None);
            return Err(Error::NoTenant);
        }
        let target = self.locator.named(&name)?;
        self.locator.learn(id, Some(&name));
        Ok(Arc::clone(target))
    }

    /// Malls by short name, after one short name, for pages and for the house's own rounds.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn tenants(&self, after: &str, limit: i64) -> Result<Vec<Tenant>, Error> {
        let sql = format!("{SELECT} where slug > $1 order by slug limit $2");
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(after)
            .bind(limit)
            .fetch_all(self.locator.main().requests())
            .await?;
        rows.into_iter().map(|row| self.read_row(row)).collect()
    }

    /// Brings a mall into being or up to what its manifest says; safe to repeat, and goes on where
    /// an earlier try stopped. A new mall gets its schema, its role and every migration, on the main
    /// target.
    ///
    /// # Errors
    /// [`Error::Constraint`] `host_pkey` where a host means another mall already;
    /// [`Error::Unavailable`].
    pub async fn register(
        &self,
        grant: &Grant<ManageTenants>,
        wanted: &Registration,
    ) -> Result<Tenant, Error> {
        self.register_on(grant, wanted, MAIN).await
    }

    /// As [`Db::register`]; a new mall comes to be on the target of that name. A mall that is there
    /// stays where it is.
    ///
    /// # Errors
    /// As [`Db::register`]; [`Error::UnknownTarget`].
    pub async fn register_on(
        &self,
        _grant: &Grant<ManageTenants>,
        wanted: &Registration,
        target: &str,
    ) -> Result<Tenant, Error> {
        self.locator.named(target)?;
        let mut admin = self.admin_connection().await?;
        let now = self.clock.now();
        let languages: Vec<&str> = wanted.languages.iter().map(|lang| lang.tag()).collect();
        let mut tx = sqlx::Connection::begin(&mut admin).await?;
        let (id, status, home): (TenantId, String, String) = sqlx::query_as(
            "with revised as (update platform.registry set revision = revision + 1) \
             insert into platform.tenant (tenant_id, slug, names, status, time_zone, currency, \
                 calling_code, languages, created_at, changed_at, target) \
             values ($1, $2, $3, 'opening', $4, $5, $6, $7, $8, $8, $9) \
             on conflict (slug) do update \
             set names = excluded.names, time_zone = excluded.time_zone, \
                 calling_code = excluded.calling_code, languages = excluded.languages, \
                 changed_at = excluded.changed_at \
             returning tenant_id, status, target",
        )
        .bind(TenantId::new(now, &self.entropy))
        .bind(wanted.slug.as_str())
        .bind(names_to_json(&wanted.names))
        .bind(wanted.zone.to_string())
        .bind(wanted.currency.code())
        .bind(&wanted.calling_code)
        .bind(serde_json::json!(languages))
        .bind(now)
        .bind(target)
        .fetch_one(&mut *tx)
        .await?;
        sqlx::query("delete from platform.host where tenant_id = $1 and host <> all ($2)")
            .bind(id)
            .bind(&wanted.hosts)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "insert into platform.host (host, tenant_id) select unnest($2::text[]), $1 \
             except select host, tenant_id from platform.host",
        )
        .bind(id)
        .bind(&wanted.hosts)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if status == Status::Opening.as_str() {
            let home = self.locator.named(&home)?;
            self.provision(home, id).await?;
            sqlx::query(
                "with revised as (update platform.registry set revision = revision + 1) \
                 update platform.tenant set status = 'active' where tenant_id = $1",
            )
            .bind(id)
            .execute(&mut admin)
            .await?;
        }
        self.tenant_of_slug(wanted.slug.as_str())
            .await?
            .ok_or(Error::Corrupt("tenant"))
    }

    /// Suspends or resumes a mall; whether there is such a mall, open or suspended.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn set_status(
        &self,
        _grant: &Grant<ManageTenants>,
        slug: &Slug,
        status: Status,
    ) -> Result<bool, Error> {
        let mut admin = self.admin_connection().await?;
        let changed = sqlx::query(
            "with revised as (update platform.registry set revision = revision + 1) \
             update platform.tenant set status = $2, changed_at = $3 \
             where slug = $1 and status in ('active', 'suspended')",
        )
        .bind(slug.as_str())
        .bind(status.as_str())
        .bind(self.clock.now())
        .execute(&mut admin)
        .await?;
        Ok(changed.rows_affected() > 0)
    }

    /// Role, schema and tables of a new mall.
    async fn provision(&self, home: &Target, id: TenantId) -> Result<(), Error> {
        let mut admin = home.admin_connection("pg_catalog").await?;
        self.make_schema(home, &mut admin, id, "").await?;
        self.migrate_tenant(id).await
    }

    /// The role and the empty schema of a mall, and `also` in the same transaction.
    pub(super) async fn make_schema(
        &self,
        home: &Target,
        admin: &mut sqlx::PgConnection,
        id: TenantId,
        also: &str,
    ) -> Result<(), Error> {
        self.prepare_target(home).await?;
        let schema = Schema::of(id);
        let mut tx = sqlx::Connection::begin(admin).await?;
        sqlx::raw_sql(AssertSqlSafe(format!(
            "do $$ begin create role {schema} nologin; \
               exception when duplicate_object then null; end $$; \
             grant {schema} to rotunda_app; \
             create schema if not exists {schema}; {also}"
        )))
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }
}
