//! A mall with three merchants and people who have points.

use std::{collections::HashMap, future::Future, time::Duration};

use rotunda::{
    authz::{
        action::{ApplyManifest, EnrolMember, RecordPurchase, SpendPoints, SuspendStore},
        actor::{Actor, Reach},
    },
    db::{Error, tenants::Schema},
    kernel::{
        ids::{MemberId, StoreId},
        money::{Currency, Rate},
        text::CardNumber,
        time::Instant,
    },
    ledger::{
        self,
        books::{NewLot, Wanted},
        transfer::{Event, Kind},
    },
    members,
    merchants::{self, Alliance, Listing, TillStore},
    redemption::{self, Setting, SpendError, SpendItem, SpendReceipt, Terms},
};
use serde_json::{Value, json};

use crate::support::{Mall, code, instant, name, names};

/// 100 points take 1.00 off, at most half of a total; a good waits for an hour.
pub fn programme() -> Value {
    json!({
        "spending": { "points": 100, "worth": "1.00" },
        "exchange": { "reserve_minutes": 60 },
    })
}

pub fn terms(programme: &Value) -> Terms {
    Terms::parse(programme, Currency::from_code("CNY").unwrap()).unwrap()
}

/// Tea and cake give and take points; toys only gives them.
pub struct Bazaar {
    pub mall: Mall,
    pub setting: Setting,
    pub tea: TillStore,
    pub cake: TillStore,
    pub toys: TillStore,
}

fn listing(merchant: &str, alliance: Alliance) -> Listing {
    Listing {
        code: code(merchant),
        names: names(merchant),
        trade: name("shop"),
        alliance,
        stores: vec![merchants::StoreListing {
            code: code(&format!("{merchant}-1")),
            names: names(merchant),
            alliance: None,
        }],
    }
}

impl Bazaar {
    pub async fn open() -> Self {
        let mall = Mall::open().await;
        let grant = mall.vendor::<ApplyManifest>();
        let mut tx = mall.app.db.write(&grant).await.unwrap();
        let listings = [
            listing("tea", Alliance::Both),
            listing("cake", Alliance::Both),
            listing("toys", Alliance::Earn),
        ];
        merchants::upsert(&mut tx, &grant, &listings).await.unwrap();
        let codes = ["tea-1", "cake-1", "toys-1"].map(code);
        let stores = merchants::stores_by_code(&mut tx, &codes).await.unwrap();
        tx.commit().await.unwrap();
        let [tea, cake, toys] = codes.map(|code| stores[&code].clone());
        let setting = Setting {
            zone: mall.tenant.zone,
            terms: terms(&programme()),
        };
        Self {
            mall,
            setting,
            tea,
            cake,
            toys,
        }
    }

    /// A member with these points from tea, that never lapse.
    pub async fn member(&self, points: i64) -> MemberId {
        let member = self.members(1, points).await[0];
        assert_eq!(self.balance(member).await, points);
        member
    }

    /// So many members with so many points each.
    pub async fn members(&self, count: usize, points: i64) -> Vec<MemberId> {
        let grant = self.mall.vendor::<EnrolMember>();
        let mut tx = self.mall.app.db.write(&grant).await.unwrap();
        let start = self.mall.count("member").await;
        let cards: Vec<CardNumber> = (0..count)
            .map(|place| format!("C-{start}-{place}").parse().unwrap())
            .collect();
        let found: HashMap<CardNumber, MemberId> =
            members::enrol_cards(&mut tx, &grant, &cards).await.unwrap();
        tx.commit().await.unwrap();
        let members: Vec<MemberId> = cards.iter().map(|card| found[card]).collect();
        if points > 0 {
            self.issue(&members, points, None).await;
        }
        members
    }

    /// Tea gives each of these members so many points, worth a minor unit each.
    pub async fn issue(&self, members: &[MemberId], points: i64, expires_at: Option<Instant>) {
        let grant = self.mall.vendor::<RecordPurchase>();
        let mut tx = self.mall.app.db.write(&grant).await.unwrap();
        let now = tx.now();
        let wanted = Wanted {
            members: members.to_vec(),
            due_by: now,
            ..Wanted::default()
        };
        let zone = self.setting.zone;
        let mut books = ledger::open_books(&mut tx, zone, &wanted).await.unwrap();
        for member in members {
            let event = Event {
                kind: Kind::Purchase,
                actor: Actor::System,
                member: *member,
                place: Some((self.tea.merchant, self.tea.store)),
                source: tx.new_id::<()>().uuid(),
                occurred_at: now,
                reverses: None,
            };
            let lot = NewLot {
                points,
                rate: Rate::new(1, 1).unwrap(),
                expires_at,
                only_at: None,
            };
            books.issue(&event, lot).unwrap();
        }
        books.post(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// What the member can spend now.
    pub async fn balance(&self, member: MemberId) -> i64 {
        self.wallet(member).await.available
    }

    pub async fn wallet(&self, member: MemberId) -> ledger::Balance {
        let grant = self.mall.vendor::<EnrolMember>();
        let mut tx = self.mall.app.db.read(&grant).await.unwrap();
        ledger::balance(&mut tx, member, None)
            .await
            .unwrap()
            .unwrap()
    }

    pub fn at(&self, moment: &str) {
        self.mall.app.clock.set(instant(moment));
    }

    pub fn now(&self) -> Instant {
        self.mall.app.clock.now()
    }

    /// A receipt of 100.00 at `store` that so many points are to pay part of.
    pub fn item(
        &self,
        store: StoreId,
        receipt: &str,
        member: MemberId,
        points: redemption::Wanted,
    ) -> SpendItem {
        SpendItem {
            grant: self.mall.grant::<SpendPoints>("machine.erp", Reach::Mall),
            store,
            receipt_number: receipt.parse().unwrap(),
            member,
            total: 10_000,
            points,
            form: None,
            limits: redemption::Limits::Kept,
            occurred_at: self.now(),
        }
    }

    /// Spends in one transaction, again where the database asks for it.
    pub async fn spend(&self, items: &[SpendItem]) -> Vec<Result<SpendReceipt, SpendError>> {
        again(async || {
            let mut tx = self.mall.app.db.write(&items[0].grant).await?;
            let answers = redemption::spend(&mut tx, &self.setting, items, None).await?;
            tx.commit().await?;
            Ok(answers)
        })
        .await
    }

    pub async fn suspend(&self, store: StoreId) {
        let grant = self.mall.manager::<SuspendStore>();
        let mut tx = self.mall.app.db.write(&grant).await.unwrap();
        merchants::suspend_store(&mut tx, &grant, store)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// Every wallet is what its lots, its reservations and its history say.
    pub async fn assert_books(&self) {
        let mall = Schema::of(self.mall.tenant.id);
        let wrong = format!(
            "wallet where available <> (select coalesce(sum(remaining), 0) from {mall}.lot
                 where lot.member_id = wallet.member_id)
             or held <> (select coalesce(sum(points), 0) from {mall}.redemption
                 where redemption.member_id = wallet.member_id and state = 'reserved')
             or available - debt <> (select coalesce(sum(points), 0) from {mall}.journal
                 where journal.member_id = wallet.member_id)"
        );
        assert_eq!(self.mall.count(&wrong).await, 0);
    }
}

/// Does it again while the database is too busy or asks for it: what a door does.
pub async fn again<T>(mut act: impl AsyncFnMut() -> Result<T, Error>) -> T {
    for _ in 0..100 {
        match act().await {
            Ok(done) => return done,
            Err(Error::Retry(_) | Error::Unavailable(_)) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the database was busy for too long");
}

/// Runs all of them at once on one thread, as many connections as there are.
pub async fn together<T>(acts: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures_util::future::join_all(acts).await
}
