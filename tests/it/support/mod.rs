//! A fresh mall for each test, and the people who act in it.

pub mod books;
pub mod browser;
pub mod crediting;
pub mod day;
pub mod front;
pub mod listening;
pub mod outside;
pub mod people;
pub mod periods;
pub mod sealing;
pub mod settling;
pub mod sms;
pub mod smtp;
pub mod stripe;
pub mod till;

use std::str::FromStr;

use rotunda::{
    app::App,
    authz::{
        action::{Action, ManageTenants},
        actor::{Actor, Principal, Reach, Role},
        grant::Grant,
    },
    config::{Config, Given},
    db::tenants::{Registration, Schema, Tenant},
    kernel::{
        ids::Entropy,
        money::Currency,
        page::hex,
        text::{Code, Language, Name, Names},
        time::{Clock, Instant, Zone},
    },
};
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};

/// When the tests' malls open.
pub const NOON: &str = "2026-03-02T04:00:00Z";

/// One mall of its own, open and empty.
pub struct Mall {
    pub app: App,
    pub tenant: Tenant,
    url: String,
}

/// The superuser's URL of the tests' server.
pub fn url() -> String {
    std::env::var("DATABASE_URL").expect("DATABASE_URL is missing: start the tests with tests/run")
}

/// A database of a test's own on the tests' server: for what looks after every mall that it finds.
pub struct OwnDatabase {
    /// Its superuser's URL.
    pub url: String,
    name: String,
}

impl OwnDatabase {
    pub async fn create() -> Self {
        let name = fresh_slug();
        let own = PgConnectOptions::from_str(&url()).unwrap().database(&name);
        let created = Self {
            url: own.to_url_lossy().to_string(),
            name,
        };
        created.tell("create database", "").await;
        created
    }

    /// How many transactions there were so far, as far as the server has counted.
    pub async fn transactions(&self) -> i64 {
        let mut admin = sqlx::PgConnection::connect(&url()).await.unwrap();
        let count = "select xact_commit + xact_rollback from pg_stat_database where datname = $1";
        let count = sqlx::query_scalar(count).bind(&self.name);
        count.fetch_one(&mut admin).await.unwrap()
    }

    pub async fn remove(self) {
        self.tell("drop database", "with (force)").await;
    }

    async fn tell(&self, what: &str, how: &str) {
        let mut admin = sqlx::PgConnection::connect(&url()).await.unwrap();
        let sql = format!("{what} {} {how}", self.name);
        let told = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
        told.execute(&mut admin).await.unwrap();
    }
}

/// The house without a mall; its clock stands at [`NOON`].
pub async fn app() -> App {
    app_on(&url(), Clock::fixed(instant(NOON))).await
}

/// The house on a database of that URL.
pub async fn app_on(url: &str, clock: Clock) -> App {
    let env = |name: &str| (name == "DATABASE_URL").then(|| url.to_owned());
    let config = Config::load(Given::default(), None, env).unwrap();
    let app = App::open_with(config, clock, Entropy::System)
        .await
        .unwrap();
    app.db.prepare().await.unwrap();
    app
}

/// What a manifest would say about a mall of that short name.
pub fn registration(slug: &str) -> Registration {
    Registration {
        slug: slug.parse().unwrap(),
        names: names("A mall"),
        zone: "Asia/Shanghai".parse::<Zone>().unwrap(),
        currency: Currency::from_code("CNY").unwrap(),
        calling_code: "86".to_owned(),
        languages: vec![Language::ZhCn, Language::En],
        hosts: vec![format!("{slug}.localhost")],
    }
}

/// A short name that nobody had before.
pub fn fresh_slug() -> String {
    format!("m{}", hex(&Entropy::System.bytes::<8>()))
}

impl Mall {
    /// A new mall.
    pub async fn open() -> Self {
        let app = app().await;
        let grant: Grant<ManageTenants> = app.policy.allow(&Principal::platform(None)).unwrap();
        let wanted = registration(&fresh_slug());
        let tenant = app.db.register(&grant, &wanted).await.unwrap();
        let url = url();
        Self { app, tenant, url }
    }

    /// What `role` within `scope` may do here.
    pub fn grant<A: Action>(&self, role: &str, scope: Reach) -> Grant<A> {
        let principal = Principal {
            actor: Actor::System,
            tenant: Some(self.tenant.id),
            role: Role::new(role),
            also: Vec::new(),
            scope,
            stores: rotunda::authz::actor::Stores::All,
            own: std::sync::Arc::default(),
            whence: std::sync::Arc::default(),
        };
        self.app.policy.allow(&principal).unwrap()
    }

    /// What the mall's merchant manager may do.
    pub fn manager<A: Action>(&self) -> Grant<A> {
        self.grant("operator.merchant-manager", Reach::Mall)
    }

    /// What the vendor at the command line may do.
    pub fn vendor<A: Action>(&self) -> Grant<A> {
        self.grant("platform.admin", Reach::Mall)
    }

    /// One number out of this mall's tables, read as the owner: `count("wallet")`.
    pub async fn count(&self, from: &str) -> i64 {
        let mut admin = sqlx::PgConnection::connect(&self.url).await.unwrap();
        let sql = format!("select count(*) from {}.{from}", Schema::of(self.tenant.id));
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&mut admin)
            .await
            .unwrap()
    }
}

pub fn instant(text: &str) -> Instant {
    text.parse().unwrap()
}

pub fn code(text: &str) -> Code {
    text.parse().unwrap()
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn names(text: &str) -> Names {
    Names::only(Language::En, name(text))
}
