//! What nobody asks for happens by itself: the clock moves on, and that is all.

use std::time::{Duration, Instant as Stopwatch};

use chrono::TimeDelta;
use rotunda::{
    app::{App, Mall},
    authz::{
        action::{
            EnrolMember, ReadGoods, ReadRedemptions, RecordPurchase, ReserveGood, VerifyBooks,
        },
        actor::{Actor, Principal, Reach, Role},
        grant::Grant,
    },
    earning::{self, Item, line::Line},
    jobs::{self, Tools},
    kernel::{
        ids::RedemptionId,
        page::Slice,
        time::{Clock, Instant},
    },
    members::{self, Enrolment},
    merchants,
    queue::worker::Settings,
    redemption::{self, Redemption, State},
    reports::totals::{Totals, totals},
};
use tokio::sync::oneshot;

use crate::support::{
    OwnDatabase, app_on, code,
    front::{SHANGHAI, Sheet, TEA, open_mall},
    instant, name,
};

const SHEET: Sheet = Sheet {
    expiry: "policy = \"fixed\"\nmonths = 1",
    more: "[exchange]\nreserve_minutes = 60",
    shops: TEA,
    goods: &[("cup", r#"{ en = "A cup" }"#, "pickup", 60, 5, &["tea"])],
    ..SHANGHAI
};

/// A database with one mall of its own: the schedule looks after every mall that it finds.
struct Dusk {
    app: App,
    mall: Mall,
    clock: Clock,
    database: OwnDatabase,
}

impl Dusk {
    async fn open(now: &str) -> Self {
        let database = OwnDatabase::create().await;
        let clock = Clock::fixed(instant(now));
        let app = app_on(&database.url, clock.clone()).await;
        let tenant = open_mall(&app, &SHEET.to_string(), None).await;
        let mall = app.mall_of(tenant.slug.as_str()).await.unwrap();
        Self {
            app,
            mall,
            clock,
            database,
        }
    }

    fn grant<A: rotunda::authz::action::Action>(&self, role: &str) -> Grant<A> {
        let principal = Principal {
            actor: Actor::System,
            tenant: Some(self.mall.tenant.id),
            role: Role::new(role),
            also: Vec::new(),
            scope: Reach::Mall,
            stores: rotunda::authz::actor::Stores::All,
            own: std::sync::Arc::default(),
            whence: std::sync::Arc::default(),
        };
        self.app.policy.allow(&principal).unwrap()
    }

    /// Ada buys for 100.00 and reserves a cup for 60 of her 100 points.
    async fn ada_reserves_a_cup(&self, at: Instant) -> RedemptionId {
        let record = self.grant::<RecordPurchase>("machine.erp");
        let mut tx = self.app.db.write(&record).await.unwrap();
        let ada = Enrolment {
            card_number: Some("ada-1".parse().unwrap()),
            name: Some(name("Ada")),
            ..Enrolment::default()
        };
        let enrol = self.grant::<EnrolMember>("machine.app");
        let ada = members::enrol(&mut tx, &enrol, ada).await.unwrap().id;
        let stores = merchants::stores_by_code(&mut tx, &[code("tea-1")])
            .await
            .unwrap();
        let item = Item {
            grant: record.clone(),
            store: stores[&code("tea-1")].store,
            receipt_number: "T-1".parse().unwrap(),
            member: Some(ada),
            lines: vec![Line {
                category: "tea".parse().unwrap(),
                quantity: 1,
                amount: 100_00,
            }],
            occurred_at: at,
        };
        let answers = earning::record(
            &mut tx,
            &self.mall.earning,
            &[item],
            earning::Believed::default(),
        )
        .await
        .unwrap();
        assert_eq!(answers[0].as_ref().unwrap().points, 100);
        let slice = Slice {
            limit: 1,
            after: None,
        };
        let read = self.grant::<ReadGoods>("machine.app");
        let goods = redemption::list_goods(&mut tx, &read, None, &slice)
            .await
            .unwrap();
        let (reserve, setting) = (
            self.grant::<ReserveGood>("machine.app"),
            &self.mall.redemption,
        );
        let good = goods.items[0].id;
        let made = redemption::reserve(&mut tx, &reserve, setting, good, ada)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        made.id
    }

    async fn redemption(&self, id: RedemptionId) -> Redemption {
        let grant = self.grant::<ReadRedemptions>("machine.app");
        let mut tx = self.app.db.read(&grant).await.unwrap();
        redemption::redemption(&mut tx, &grant, id).await.unwrap()
    }

    async fn totals(&self) -> Totals {
        let grant = self.grant::<VerifyBooks>("operator.auditor");
        let mut tx = self.app.db.read(&grant).await.unwrap();
        totals(&mut tx, &grant).await.unwrap()
    }

    async fn close(self) {
        self.app.close().await.unwrap();
        self.database.remove().await;
    }
}

/// Waits until something is so.
async fn soon(what: &str, so: impl AsyncFn() -> bool) {
    let since = Stopwatch::now();
    while !so().await {
        assert!(since.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_reservation_lapses_after_its_hour_and_points_expire_after_local_midnight() {
    // Noon in Shanghai.
    let noon = instant("2026-03-02T04:00:00Z");
    let dusk = Dusk::open("2026-03-02T04:00:00Z").await;
    let cup = dusk.ada_reserves_a_cup(noon).await;
    let tools = Tools {
        db: dusk.app.db.clone(),
        policy: dusk.app.policy.clone(),
        bell: dusk.app.bell.clone(),
        mailer: rotunda::gateway::mail::Mailer::Off,
        sms: rotunda::gateway::sms::Sms::Off,
        stripe: rotunda::gateway::stripe::Stripe::default(),
        files: rotunda::gateway::files::Files::Folder(std::env::temp_dir()),
        base_url: None,
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        let _ = stopped.await;
    };
    let handlers = jobs::handlers(&tools);
    let work = tokio::spawn(jobs::run(tools, handlers, Settings::default(), stopped));

    dusk.clock.set(noon + TimeDelta::minutes(61));
    let lapsed = async || dusk.redemption(cup).await.state == State::Lapsed;
    soon("the reservation lapses", lapsed).await;
    let totals = dusk.totals().await;
    assert_eq!(
        (totals.held, totals.outstanding, totals.expired),
        (0, 100, 0)
    );

    // A month later: 2 April is the last day, and it ends at 16:00 in UTC.
    let midnight = instant("2026-04-02T16:00:00Z");
    dusk.clock.set(midnight - TimeDelta::seconds(90));
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(dusk.totals().await.expired, 0, "not before midnight");
    dusk.clock.set(midnight + TimeDelta::seconds(1));
    soon("the points expire", async || {
        dusk.totals().await.expired == 100
    })
    .await;
    assert_eq!(dusk.totals().await.outstanding, 0);

    stop.send(()).unwrap();
    work.await.unwrap();
    dusk.close().await;
}

#[tokio::test]
async fn a_worker_without_work_leaves_the_database_alone() {
    let dusk = Dusk::open("2026-03-02T04:00:00Z").await;
    let tools = Tools {
        db: dusk.app.db.clone(),
        policy: dusk.app.policy.clone(),
        bell: dusk.app.bell.clone(),
        mailer: rotunda::gateway::mail::Mailer::Off,
        sms: rotunda::gateway::sms::Sms::Off,
        stripe: rotunda::gateway::stripe::Stripe::default(),
        files: rotunda::gateway::files::Files::Folder(std::env::temp_dir()),
        base_url: None,
    };
    let before = dusk.database.transactions().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        let _ = stopped.await;
    };
    let handlers = jobs::handlers(&tools);
    let work = tokio::spawn(jobs::run(tools, handlers, Settings::default(), stopped));
    tokio::time::sleep(Duration::from_secs(5)).await;
    stop.send(()).unwrap();
    work.await.unwrap();
    dusk.app.close().await.unwrap();
    let made = dusk.database.transactions().await - before;
    assert!(made < 300, "{made} transactions in five idle seconds");
    dusk.database.remove().await;
}
