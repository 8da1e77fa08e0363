//! Points live until the end of a day in the mall's own zone, whether or not anybody looks.

use chrono::{NaiveDate, TimeDelta};
use rotunda::{
    authz::action::{ExpirePoints, RecordPurchase, SpendPoints},
    authz::actor::Actor,
    earning::{self, Item, Setting, line::Line, rules::Expiry},
    kernel::{
        ids::{JournalId, MemberId, PurchaseId},
        page::Slice,
        time::{Instant, Zone},
    },
    ledger::{
        self, Drawn, LedgerError,
        books::{Books, Wanted},
        transfer::{Event, Kind},
    },
};

use crate::support::books::{Mall, Shop, instant, setting};

/// A mall with one rule, a tea shop, and Ada.
struct Scene {
    mall: Mall,
    setting: Setting,
    tea: Shop,
    ada: MemberId,
}

impl Scene {
    async fn open(zone: &str, policy: &str, months: Option<u32>) -> Self {
        let mall = Mall::open_in(zone).await;
        let setting = setting(&mall, policy, months);
        let tea = mall.shop("tea").await;
        let ada = mall.member("ada").await;
        Self {
            mall,
            setting,
            tea,
            ada,
        }
    }

    fn at(&self, at: Instant) {
        self.mall.house.clock.set(at);
    }

    /// Somebody buys for ¥100.00 and has 100 points more; the moment at which they end.
    async fn buys(&self, member: MemberId, at: Instant) -> Option<Instant> {
        self.at(at);
        let grant = self.mall.till::<RecordPurchase>();
        let mut tx = self.mall.db().write(&grant).await.unwrap();
        let item = Item {
            grant,
            store: self.tea.store,
            receipt_number: tx.new_id::<()>().uuid().to_string().parse().unwrap(),
            member: Some(member),
            lines: vec![Line {
                category: "tea".parse().unwrap(),
                quantity: 1,
                amount: 100_00,
            }],
            occurred_at: at,
        };
        let answers = earning::record(
            &mut tx,
            &self.setting,
            &[item],
            earning::Believed::default(),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        self.end_of(answers[0].as_ref().unwrap().purchase).await
    }

    async fn end_of(&self, purchase: PurchaseId) -> Option<Instant> {
        sqlx::query_scalar("select expires_at from lot where lot_id = $1")
            .bind(purchase.uuid())
            .fetch_one(&mut self.mall.owner().await)
            .await
            .unwrap()
    }

    /// What Ada sees that she has at that moment.
    async fn has(&self, at: Instant) -> i64 {
        self.at(at);
        let mut tx = self
            .mall
            .db()
            .read(&self.mall.till::<RecordPurchase>())
            .await
            .unwrap();
        ledger::balance(&mut tx, self.ada, None)
            .await
            .unwrap()
            .unwrap()
            .available
    }

    fn event(&self, kind: Kind, at: Instant) -> Event {
        Event {
            kind,
            actor: Actor::System,
            member: self.ada,
            place: Some((self.tea.merchant, self.tea.store)),
            source: self.ada.uuid(),
            occurred_at: at,
            reverses: None,
        }
    }

    async fn spends(&self, at: Instant, points: i64) -> Result<JournalId, LedgerError> {
        self.at(at);
        let mut tx = self
            .mall
            .db()
            .write(&self.mall.till::<SpendPoints>())
            .await
            .unwrap();
        let wanted = Wanted {
            members: vec![self.ada],
            spenders: vec![self.ada],
            due_by: at,
            ..Wanted::default()
        };
        let mut books = ledger::open_books(&mut tx, self.mall.tenant.zone, &wanted)
            .await
            .unwrap();
        let posted = books.spend(&self.event(Kind::Spend, at), points)?;
        books.post(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        Ok(posted.journal)
    }

    /// All that a spend took comes back.
    async fn gets_back(&self, at: Instant, spend: JournalId) {
        self.at(at);
        let mut tx = self
            .mall
            .db()
            .write(&self.mall.till::<SpendPoints>())
            .await
            .unwrap();
        let drawn = ledger::drawn(&mut tx, &[spend]).await.unwrap();
        let mut drawn: Vec<Drawn> = drawn.into_iter().map(|(_, past)| past).collect();
        let wanted = Wanted {
            members: vec![self.ada],
            lots: drawn.iter().map(|past| past.draw.lot).collect(),
            due_by: at,
            ..Wanted::default()
        };
        let zone = self.mall.tenant.zone;
        let mut books: Books = ledger::open_books(&mut tx, zone, &wanted).await.unwrap();
        let event = Event {
            reverses: Some(spend),
            ..self.event(Kind::SpendReturn, at)
        };
        let grace = self.setting.at(at).unwrap().programme.grace(at, zone);
        books
            .give_back(&event, &mut drawn, i64::MAX, grace)
            .unwrap();
        books.post(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// One run of the nightly round: how many members, how many points.
    async fn expire(&self, at: Instant, limit: i64) -> (usize, i64) {
        self.at(at);
        let grant = self.mall.system::<ExpirePoints>();
        let mut tx = self.mall.db().write(&grant).await.unwrap();
        let zone = self.mall.tenant.zone;
        let done = earning::expire(&mut tx, &grant, zone, limit).await.unwrap();
        tx.commit().await.unwrap();
        done
    }

    /// Ada's history, the newest line first: kind, points, balance.
    async fn history(&self) -> Vec<(String, i64, i64)> {
        let mut tx = self
            .mall
            .db()
            .read(&self.mall.till::<RecordPurchase>())
            .await
            .unwrap();
        let slice = Slice {
            limit: 100,
            after: None,
        };
        let page = ledger::history(&mut tx, self.ada, &slice).await.unwrap();
        page.unwrap()
            .items
            .into_iter()
            .map(|line| (line.kind, line.points, line.balance_after))
            .collect()
    }
}

/// The smallest step of time that is stored.
fn just_before(at: Instant) -> Instant {
    at - TimeDelta::microseconds(1)
}

fn line(kind: &str, points: i64, balance: i64) -> (String, i64, i64) {
    (kind.to_owned(), points, balance)
}

#[tokio::test]
async fn v16_points_of_a_leap_day_live_through_the_last_of_february() {
    let scene = Scene::open("Asia/Shanghai", "fixed", Some(12)).await;
    let end = scene
        .buys(scene.ada, instant("2024-02-29T12:34:56Z"))
        .await
        .unwrap();
    assert_eq!(end, instant("2025-02-28T16:00:00Z"), "midnight in Shanghai");
    assert_eq!(scene.has(just_before(end)).await, 100);
    assert_eq!(scene.has(end).await, 0);
}

#[tokio::test]
async fn v16_all_points_of_a_month_end_together_with_the_month_of_earning_counted() {
    let scene = Scene::open("Asia/Shanghai", "rolling_month", Some(12)).await;
    let end = instant("2026-02-28T16:00:00Z");
    for earned in [
        "2025-02-28T16:00:00Z",
        "2025-03-15T04:00:00Z",
        "2025-03-31T15:59:59.999999Z",
    ] {
        assert_eq!(
            scene.buys(scene.ada, instant(earned)).await,
            Some(end),
            "{earned}"
        );
    }
    let april = scene.buys(scene.ada, instant("2025-03-31T16:00:00Z")).await;
    assert_eq!(april, Some(instant("2026-03-31T16:00:00Z")));
    assert_eq!(scene.has(just_before(end)).await, 400);
    assert_eq!(scene.has(end).await, 100);
}

#[tokio::test]
async fn v16_points_that_never_lapse_are_there_after_a_century() {
    let scene = Scene::open("Asia/Shanghai", "never", None).await;
    assert_eq!(
        scene.buys(scene.ada, instant("2025-03-15T04:00:00Z")).await,
        None
    );
    let later = instant("2125-03-15T04:00:00Z");
    assert_eq!(scene.expire(later, 100).await, (0, 0));
    assert_eq!(scene.has(later).await, 100);
}

#[tokio::test]
async fn lapsed_points_cannot_be_spent_though_the_run_has_not_come() {
    let scene = Scene::open("Asia/Shanghai", "fixed", Some(1)).await;
    let end = scene
        .buys(scene.ada, instant("2025-03-15T04:00:00Z"))
        .await
        .unwrap();
    let refused = scene.spends(end, 1).await;
    assert_eq!(
        refused,
        Err(LedgerError::NotEnoughPoints {
            available: 0,
            wanted: 1
        })
    );
    let before = just_before(end);
    assert!(
        scene.spends(before, 40).await.is_ok(),
        "the moment before they can"
    );
    assert_eq!(scene.expire(end, 100).await, (1, 60));
    let lines = [
        line("expire", -60, 0),
        line("spend", -40, 60),
        line("purchase", 100, 100),
    ];
    assert_eq!(scene.history().await, lines);
}

#[tokio::test]
async fn the_run_may_come_twice_and_take_one_member_at_a_time() {
    let scene = Scene::open("Asia/Shanghai", "fixed", Some(1)).await;
    let earned = instant("2025-03-15T04:00:00Z");
    let (bob, cleo) = (
        scene.mall.member("bob").await,
        scene.mall.member("cleo").await,
    );
    let mut end = earned;
    for member in [scene.ada, scene.ada, bob, cleo] {
        end = scene.buys(member, earned).await.unwrap();
    }
    assert_eq!(scene.expire(just_before(end), 100).await, (0, 0));
    // Two runs at once: whoever comes second finds nothing left to do.
    let (one, two) = tokio::join!(scene.expire(end, 100), scene.expire(end, 100));
    assert_eq!(one.1 + two.1, 400);
    assert_eq!(scene.expire(end, 100).await, (0, 0));
    assert_eq!(scene.history().await[0], line("expire", -200, 0));
    for member in [scene.ada, bob, cleo] {
        end = scene.buys(member, end).await.unwrap();
    }
    let mut points = 0;
    for _ in 0..3 {
        let (members, lapsed) = scene.expire(end, 1).await;
        assert_eq!(members, 1);
        points += lapsed;
    }
    assert_eq!((points, scene.expire(end, 1).await), (300, (0, 0)));
}

#[test]
fn a_day_ends_at_midnight_on_the_malls_own_wall() {
    // Zone, day of earning, months, first moment after.
    let cases = [
        ("Asia/Shanghai", "2025-01-31", 1, "2025-02-28T16:00:00Z"),
        // The night before the clocks go forward, the day itself, and the night after.
        ("America/New_York", "2025-03-07", 12, "2026-03-08T05:00:00Z"),
        ("America/New_York", "2025-03-08", 12, "2026-03-09T04:00:00Z"),
        // The same where they go back.
        ("America/New_York", "2025-10-31", 12, "2026-11-01T04:00:00Z"),
        ("America/New_York", "2025-11-01", 12, "2026-11-02T05:00:00Z"),
        ("Pacific/Apia", "2025-01-31", 1, "2025-02-28T11:00:00Z"),
        // 2011-12-30 never was in Apia: the 29th ended where the 31st began.
        ("Pacific/Apia", "2010-12-29", 12, "2011-12-30T10:00:00Z"),
        ("Pacific/Apia", "2010-12-30", 12, "2011-12-30T10:00:00Z"),
        ("Pacific/Apia", "2010-12-31", 12, "2011-12-31T10:00:00Z"),
    ];
    for (zone, day, months, expected) in cases {
        let zone: Zone = zone.parse().unwrap();
        let day: NaiveDate = day.parse().unwrap();
        let begin = zone.start_of(day);
        let last = just_before(zone.start_of(day.succ_opt().unwrap()));
        for earned in [begin, last] {
            let end = Expiry::Fixed(months).end(earned, zone);
            assert_eq!(end, Some(instant(expected)), "{zone} {day}");
        }
    }
}

#[tokio::test]
async fn midnight_is_another_moment_in_new_york_and_in_apia() {
    let cases = [
        (
            "America/New_York",
            "2025-03-09T03:30:00Z",
            "2026-03-09T04:00:00Z",
        ),
        (
            "Pacific/Apia",
            "2025-03-08T10:30:00Z",
            "2026-03-08T11:00:00Z",
        ),
    ];
    for (zone, earned, ends) in cases {
        let scene = Scene::open(zone, "fixed", Some(12)).await;
        let end = scene.buys(scene.ada, instant(earned)).await.unwrap();
        assert_eq!(end, instant(ends), "{zone}");
        assert_eq!(scene.has(just_before(end)).await, 100);
        assert_eq!(scene.has(end).await, 0);
        assert_eq!(scene.expire(end, 100).await, (1, 100));
    }
}

#[tokio::test]
async fn points_that_come_back_to_a_lapsed_lot_live_thirty_days_more() {
    let scene = Scene::open("Asia/Shanghai", "fixed", Some(1)).await;
    let end = scene
        .buys(scene.ada, instant("2025-03-15T04:00:00Z"))
        .await
        .unwrap();
    let spend = scene.spends(just_before(end), 100).await.unwrap();
    scene
        .gets_back(instant("2025-05-01T04:00:00Z"), spend)
        .await;
    let grace = instant("2025-05-31T16:00:00Z");
    assert_eq!(scene.has(just_before(grace)).await, 100);
    assert_eq!(scene.has(grace).await, 0);
    assert_eq!(scene.expire(grace, 100).await, (1, 100));
    assert_eq!(scene.history().await[0], line("expire", -100, 0));
}

#[tokio::test]
async fn points_that_come_back_in_time_keep_their_last_day() {
    let scene = Scene::open("Asia/Shanghai", "fixed", Some(1)).await;
    let end = scene
        .buys(scene.ada, instant("2025-03-15T04:00:00Z"))
        .await
        .unwrap();
    let spend = scene
        .spends(instant("2025-03-20T04:00:00Z"), 100)
        .await
        .unwrap();
    scene.gets_back(just_before(end), spend).await;
    assert_eq!(scene.has(just_before(end)).await, 100);
    assert_eq!(scene.has(end).await, 0);
}
