//! A house to test in: a database of its own with one mall.

use std::{env, str::FromStr, sync::Arc};

use chrono::{TimeZone, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    authz::{
        action::{ManageTenants, RelayJobs},
        actor::Principal,
        grant::Grant,
        policy::Policy,
    },
    db::{
        Db,
        tenants::{Registration, Tenant},
    },
    kernel::{
        ids::Entropy,
        money::Currency,
        text::Names,
        time::{Clock, Instant},
    },
    queue::{
        Job, enqueue,
        worker::{self, Backlog, Handlers, Settings},
    },
};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Greet {
    pub(super) number: u32,
}

impl Job for Greet {
    const NAME: &'static str = "test.greet";

    fn dedup(&self) -> String {
        self.number.to_string()
    }
}

/// A database of its own with one mall in Berlin, at half past ten in the evening.
pub(super) struct House {
    pub(super) db: Db,
    pub(super) policy: Arc<Policy>,
    pub(super) mall: Tenant,
    pub(super) server: PgConnectOptions,
    pub(super) database: String,
}

pub(super) fn evening() -> Instant {
    Utc.with_ymd_and_hms(2026, 3, 28, 21, 30, 0).unwrap()
}

impl House {
    pub(super) async fn open(test: &str) -> Self {
        let url = env::var("DATABASE_URL").expect("start the tests with tests/run");
        let server = PgConnectOptions::from_str(&url).unwrap();
        let database = format!("test_queue_{test}_{}", std::process::id());
        let mut admin = server.connect().await.unwrap();
        for sql in ["drop database if exists", "create database"] {
            execute(&mut admin, &format!("{sql} {database}")).await;
        }
        let at = server.clone().database(&database).to_url_lossy();
        let db = Db::new(
            &SecretString::from(at.to_string()),
            8,
            Clock::fixed(evening()),
            Entropy::System,
        )
        .unwrap();
        db.prepare().await.unwrap();
        let policy = Arc::new(Policy::embedded().await.unwrap());
        Self {
            mall: register(&db, &policy, "galaxy").await,
            db,
            policy,
            server,
            database,
        }
    }

    pub(super) fn grant(&self) -> Grant<RelayJobs> {
        let system = Principal::system(self.mall.id);
        self.policy.allow(&system).unwrap()
    }

    pub(super) async fn greet(&self, numbers: impl IntoIterator<Item = u32>) {
        let mut tx = self.db.write(&self.grant()).await.unwrap();
        for number in numbers {
            enqueue(&mut tx, &Greet { number }).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    pub(super) async fn outbox(&self) -> i64 {
        let mut tx = self.db.read(&self.grant()).await.unwrap();
        sqlx::query_scalar("select count(*) from outbox")
            .fetch_one(tx.conn())
            .await
            .unwrap()
    }

    pub(super) async fn forget_the_relay(&self) {
        let mut tx = self.db.write(&self.grant()).await.unwrap();
        sqlx::query("update outbox set relayed_at = null")
            .execute(tx.conn())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    pub(super) async fn backlog(&self) -> Backlog {
        worker::backlog(&self.db).await.unwrap()
    }

    pub(super) fn work(&self, handlers: Handlers, settings: Settings) -> Worker {
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move {
            let _ = stopped.await;
        };
        let task = tokio::spawn(worker::run(self.db.clone(), handlers, settings, stopped));
        Worker { stop, task }
    }

    pub(super) async fn close(self) {
        self.db.close().await;
        let mut admin = self.server.connect().await.unwrap();
        execute(
            &mut admin,
            &format!("drop database {} with (force)", self.database),
        )
        .await;
    }
}

pub(super) struct Worker {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Worker {
    pub(super) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

pub(super) async fn execute(admin: &mut PgConnection, sql: &str) {
    sqlx::query(AssertSqlSafe(sql.to_owned()))
        .execute(admin)
        .await
        .unwrap();
}

pub(super) async fn register(db: &Db, policy: &Policy, slug: &str) -> Tenant {
    let grant: Grant<ManageTenants> = policy.allow(&Principal::platform(None)).unwrap();
    let wanted = Registration {
        slug: slug.parse().unwrap(),
        names: Names::new([("en", slug)]).unwrap(),
        zone: "Europe/Berlin".parse().unwrap(),
        currency: Currency::from_code("EUR").unwrap(),
        calling_code: "49".to_owned(),
        languages: vec!["en".parse().unwrap()],
        hosts: vec![format!("{slug}.localhost")],
    };
    db.register(&grant, &wanted).await.unwrap()
}
