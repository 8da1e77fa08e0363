//! Two servers of PostgreSQL, and malls on both.

use std::path::PathBuf;

use rotunda::{
    authz::{action::ManageTenants, actor::Principal, grant::Grant},
    cli::tenant::apply,
    db::{
        embedded::Cluster,
        locator::Targets,
        tenants::{Schema, Tenant},
    },
    kernel::{ids::Entropy, time::Clock},
    tenancy::{self, Manifest},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::support::{
    OwnDatabase,
    books::owner_at,
    fresh_slug,
    outside::{Caller, Server},
};

pub const MANIFEST: &str = r#"
slug = "SLUG"
names = { en = "SLUG" }
languages = ["en"]
time_zone = "UTC"
currency = "USD"
calling_code = "1"
hosts = ["SLUG.localhost"]
[earning]
[[earning.rules]]
code = "base"
points = 1
per = "1.00"
[expiry]
policy = "never"
[spending]
points = 100
worth = "1.00"
[settlement]
model = "bilateral"
points = 100
worth = "1.00"
[[merchants]]
code = "tea"
names = { en = "Tea" }
trade = "tea"
alliance = "both"
[[merchants.stores]]
code = "tea-1"
names = { en = "Tea" }
[[merchants]]
code = "cinema"
names = { en = "Cinema" }
trade = "cinema"
alliance = "both"
[[merchants.stores]]
code = "cinema-1"
names = { en = "Cinema" }
[[goods]]
code = "cup"
names = { en = "A cup, \"blue\" \\N" }
points = 1
stock = 5
kind = "pickup"
offered_by = ["tea"]
"#;

/// The registry's database, and a second server with a database called north.
pub struct Places {
    pub main: OwnDatabase,
    pub north: String,
    cluster: Cluster,
    folder: PathBuf,
}

impl Places {
    pub async fn open() -> Self {
        let folder = std::env::temp_dir().join(format!("rotunda-north-{}", fresh_slug()));
        let cluster = Cluster::share(&folder).await.unwrap();
        Self {
            main: OwnDatabase::create().await,
            north: cluster.admin_url(),
            cluster,
            folder,
        }
    }

    /// A server that knows both.
    pub async fn server(&self, clock: &Clock) -> Server {
        let north = SecretString::from(self.north.clone());
        let targets = Targets::from([("north".parse().unwrap(), north)]);
        Server::open_on(&self.main.url, targets, 10, clock.clone(), Entropy::System).await
    }

    pub fn url(&self, target: &str) -> &str {
        match target {
            "north" => &self.north,
            _ => &self.main.url,
        }
    }

    /// The owner on a target.
    pub async fn owner(&self, target: &str) -> PgConnection {
        owner_at(self.url(target), "pg_catalog").await
    }

    /// Whether a target holds the mall's schema, and its role.
    pub async fn holds(&self, target: &str, mall: &Tenant) -> (bool, bool) {
        sqlx::query_as(
            "select exists (select from pg_namespace where nspname = $1), \
                    exists (select from pg_roles where rolname = $1)",
        )
        .bind(Schema::of(mall.id).to_string())
        .fetch_one(&mut self.owner(target).await)
        .await
        .unwrap()
    }

    /// What the registry says of a mall: target, status, and whether a move is written down.
    pub async fn registered(&self, mall: &Tenant) -> (String, String, bool) {
        sqlx::query_as(
            "select target, status, exists (select from platform.tenant_move moving \
                                            where moving.tenant_id = tenant.tenant_id) \
             from platform.tenant where slug = $1",
        )
        .bind(mall.slug.as_str())
        .fetch_one(&mut self.owner("main").await)
        .await
        .unwrap()
    }

    /// How many rows there are in something of a mall's, on a target.
    pub async fn count(&self, target: &str, mall: &Tenant, from: &str) -> i64 {
        let sql = format!("select count(*) from {}.{from}", Schema::of(mall.id));
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut self.owner(target).await)
            .await
            .unwrap()
    }

    pub async fn close(self, servers: Vec<Server>) {
        for server in servers {
            server.app.close().await.unwrap();
        }
        self.main.remove().await;
        self.cluster.release().await.unwrap();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// What the vendor may do with the registry.
pub fn vendor(server: &Server) -> Grant<ManageTenants> {
    let vendor = Principal::platform(None);
    server.app.policy.allow(&vendor).unwrap()
}

/// A mall as its tills meet it.
pub struct Shopping {
    pub tenant: Tenant,
    pub owner: String,
    pub till: String,
    pub host: String,
    pub store: String,
    pub cinema: String,
    pub member: String,
}

impl Shopping {
    /// A new mall on a target, with a member.
    pub async fn open(server: &Server, target: &str) -> Self {
        let slug = fresh_slug();
        let path = std::env::temp_dir().join(format!("{slug}.toml"));
        std::fs::write(&path, MANIFEST.replace("SLUG", &slug)).unwrap();
        let manifest = Manifest::read(&path).unwrap();
        let wanted = &manifest.registration;
        tenancy::open_on(&server.app.db, &vendor(server), wanted, Some(target))
            .await
            .unwrap();
        let tenant = apply(&server.app, &path).await.unwrap().tenant;
        std::fs::remove_file(&path).unwrap();
        let owner = server.key(&tenant, "operator.owner", None).await;
        let till = server.key(&tenant, "machine.erp", None).await;
        let host = tenant.hosts[0].clone();
        let caller = Caller {
            host: &host,
            key: Some(&owner),
        };
        let stores = server.get(caller, "/v1/stores").await;
        let store = |code: &str| {
            let stores = stores["data"].as_array().unwrap();
            let found = stores.iter().find(|store| store["code"] == code).unwrap();
            found["store_id"].as_str().unwrap().to_owned()
        };
        let (tea, cinema) = (store("tea-1"), store("cinema-1"));
        let caller = Caller {
            host: &host,
            key: Some(&till),
        };
        let new = json!({"card_number": "card-1", "name": "\\N \\c 牛奶"});
        let member = server.post(caller, "/v1/members", &new).await;
        Self {
            member: member["member_id"].as_str().unwrap().to_owned(),
            tenant,
            owner,
            till,
            host,
            store: tea,
            cinema,
        }
    }

    pub fn till(&self) -> Caller<'_> {
        Caller {
            host: &self.host,
            key: Some(&self.till),
        }
    }

    pub fn owner(&self) -> Caller<'_> {
        Caller {
            host: &self.host,
            key: Some(&self.owner),
        }
    }

    /// A purchase for 100.00 as a till sends it.
    pub fn purchase(&self, receipt: &str) -> Value {
        json!({
            "store_id": self.store, "receipt_number": receipt, "member_id": self.member,
            "lines": [{"category": "tea", "quantity": 1, "amount": 100_00}],
        })
    }

    /// 100 points pay at the cinema.
    pub fn spend(&self, receipt: &str) -> Value {
        json!({
            "store_id": self.cinema, "receipt_number": receipt, "member_id": self.member,
            "total": 30_00, "points": 100,
        })
    }

    /// That everything adds up.
    pub async fn proves(&self, server: &Server) {
        let proof = server.get(self.owner(), "/v1/books/proof").await;
        assert_eq!(proof["holds"], true, "{proof}");
    }
}
