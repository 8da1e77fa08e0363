//! Two servers of PostgreSQL, and malls on both.

use std::{ops::Deref, path::PathBuf};

use rotunda::{
    authz::{action::ManageTenants, actor::Principal, grant::Grant},
    db::{
        embedded::Cluster,
        locator::Targets,
        tenants::{Schema, Tenant},
    },
    kernel::{ids::Entropy, time::Clock},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::support::{
    OwnDatabase,
    books::owner_at,
    fresh_slug,
    front::{Front, PLAIN, Sheet},
    outside::Server,
};

/// Two merchants, and a good whose name has what COPY writes otherwise.
pub const SHEET: Sheet = Sheet {
    shops: &[
        ("tea", r#"{ en = "Tea" }"#, r#"{ en = "Tea" }"#),
        ("cinema", r#"{ en = "Cinema" }"#, r#"{ en = "Cinema" }"#),
    ],
    goods: &[(
        "cup",
        r#"{ en = "A cup, \"blue\" \\N" }"#,
        "pickup",
        1,
        5,
        &["tea"],
    )],
    ..PLAIN
};

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
    front: Front,
    pub store: String,
    pub cinema: String,
    pub member: String,
}

impl Deref for Shopping {
    type Target = Front;
    fn deref(&self) -> &Front {
        &self.front
    }
}

impl Shopping {
    /// A new mall on a target, with a member.
    pub async fn open(server: &Server, target: &str) -> Self {
        let front = Front::open(server, &SHEET, Some(target)).await;
        let new = json!({"card_number": "card-1", "name": "\\N \\c 牛奶"});
        Self {
            store: front.store(server, "tea-1").await,
            cinema: front.store(server, "cinema-1").await,
            member: front.member(server, &new).await,
            front,
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
