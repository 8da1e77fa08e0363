//! The worked examples of how an alliance settles, to the fen; 100 points are ¥1.00.

use std::collections::BTreeMap;

use rotunda::{
    authz::actor::Actor,
    kernel::{
        ids::{Entropy, JournalId, LotId, MemberId, MerchantId, StoreId},
        money::Rate,
        time::{Instant, Period, Zone},
    },
    ledger::{
        Drawn,
        account::Account,
        books::{Books, Clawed, NewLot, Wallet},
        lots::Draw,
        transfer::{Event, Kind},
    },
};
use uuid::Uuid;

use crate::support::books::instant;

const JUNE: &str = "2026-06-10T04:00:00Z";
const JULY: &str = "2026-07-05T04:00:00Z";
const EXPIRES: &str = "2026-12-31T16:00:00Z";
const GRACE: &str = "2027-02-01T16:00:00Z";

/// One member, shops a, b and c, and what became of them.
struct Story {
    books: Books,
    ada: MemberId,
    now: Instant,
    made: u128,
}

impl Story {
    /// Books of Shanghai whose months before `open_from` are closed.
    fn begin(now: &str, open_from: &str) -> Self {
        let zone: Zone = "Asia/Shanghai".parse().unwrap();
        let open_from: Period = open_from.parse().unwrap();
        let now = instant(now);
        let mut books = Books::new(zone, open_from, now, Entropy::seeded(7));
        let ada = MemberId::from_uuid(Uuid::from_u128(1));
        books.add_wallet(ada, Wallet::default());
        Self {
            books,
            ada,
            now,
            made: 100,
        }
    }

    fn event(&mut self, kind: Kind, shop: char) -> Event {
        self.made += 1;
        Event {
            kind,
            actor: Actor::System,
            member: self.ada,
            place: Some((merchant(shop), StoreId::from_uuid(Uuid::from_u128(9)))),
            source: Uuid::from_u128(self.made),
            occurred_at: self.now,
            reverses: None,
        }
    }

    fn earns(&mut self, shop: char, points: i64, expires: Option<&str>) -> LotId {
        let event = self.event(Kind::Purchase, shop);
        let rate = Rate::ONE;
        let new = NewLot {
            points,
            rate,
            expires_at: expires.map(instant),
            only_at: None,
        };
        self.books.issue(&event, new).unwrap().0
    }

    fn spends(&mut self, shop: char, points: i64) -> JournalId {
        let event = self.event(Kind::Spend, shop);
        self.books.spend(&event, points).unwrap().journal
    }

    fn drawn(&self, spend: JournalId) -> Vec<Drawn> {
        let moved = self
            .books
            .transfers()
            .iter()
            .filter(|moved| moved.cause == spend);
        let draws = moved.map(|moved| Draw {
            lot: moved.lot,
            issuer: self.books.lot(moved.lot).unwrap().merchant,
            only_at: None,
            earned_at: moved.earned_at,
            points: moved.points,
            value: moved.value,
        });
        draws
            .map(|draw| Drawn {
                draw,
                returned: 0,
                value_returned: 0,
            })
            .collect()
    }

    fn gets_back(&mut self, shop: char, spend: JournalId, drawn: &mut [Drawn], points: i64) -> i64 {
        let mut event = self.event(Kind::SpendReturn, shop);
        event.reverses = Some(spend);
        self.books
            .give_back(&event, drawn, points, instant(GRACE))
            .unwrap()
            .1
    }

    fn balance(&self) -> i64 {
        let wallet = self.books.wallet(self.ada).unwrap();
        wallet.available - wallet.debt
    }

    /// What a shop has to get from the others (+) or to pay (−) for a month, in fen.
    fn positions(&self, month: &str) -> BTreeMap<char, i64> {
        let month: Period = month.parse().unwrap();
        let mut sums = BTreeMap::from([('a', 0), ('b', 0), ('c', 0)]);
        for moved in self
            .books
            .transfers()
            .iter()
            .filter(|moved| moved.posted_in == month)
        {
            let issuer = self.books.lot(moved.lot).unwrap().merchant;
            let (by, value) = match (moved.from, moved.to) {
                (_, Account::Accepted { by, .. } | Account::Deficit(_, by)) => (by, moved.value),
                (Account::Accepted { by, .. }, _) => (by, -moved.value),
                _ => continue,
            };
            *sums.get_mut(&letter(by)).unwrap() += value;
            *sums.get_mut(&letter(issuer)).unwrap() -= value;
        }
        assert_eq!(sums.values().sum::<i64>(), 0);
        sums
    }
}

fn merchant(letter: char) -> MerchantId {
    MerchantId::from_uuid(Uuid::from_u128(letter as u128))
}

fn letter(id: MerchantId) -> char {
    char::from_u32(id.uuid().as_u128() as u32).unwrap()
}

fn fen(a: i64, b: i64, c: i64) -> BTreeMap<char, i64> {
    BTreeMap::from([('a', a), ('b', b), ('c', c)])
}

#[test]
fn a_the_issuers_pay_the_shop_that_took_their_points() {
    let mut story = Story::begin(JUNE, "2026-06");
    story.earns('b', 400, None);
    story.earns('a', 600, Some(EXPIRES));
    story.spends('c', 700);
    assert_eq!(story.positions("2026-06"), fen(-6_00, -1_00, 7_00));
    assert_eq!(story.balance(), 300);
}

#[test]
fn f_goods_returned_in_july_move_the_money_back_in_july() {
    let mut story = Story::begin(JUNE, "2026-06");
    let a = story.earns('a', 600, Some(EXPIRES));
    let b = story.earns('b', 400, None);
    let spend = story.spends('c', 700);
    story.now = instant(JULY);
    let mut drawn = story.drawn(spend);
    assert_eq!(story.gets_back('c', spend, &mut drawn, 700), 700);
    assert_eq!(story.positions("2026-06"), fen(-6_00, -1_00, 7_00));
    assert_eq!(story.positions("2026-07"), fen(6_00, 1_00, -7_00));
    let left = |lot| {
        story
            .books
            .lot(lot)
            .map(|lot| (lot.remaining, lot.expires_at))
            .unwrap()
    };
    assert_eq!(left(a), (600, Some(instant(EXPIRES))));
    assert_eq!(left(b), (400, None));
    assert_eq!(
        story.gets_back('c', spend, &mut drawn, 1),
        0,
        "no more than was spent"
    );
}

#[test]
fn f_half_of_it_comes_back_in_reverse_order_of_use() {
    let mut story = Story::begin(JUNE, "2026-06");
    let a = story.earns('a', 600, Some(EXPIRES));
    let b = story.earns('b', 400, None);
    let spend = story.spends('c', 700);
    story.now = instant(JULY);
    let mut drawn = story.drawn(spend);
    assert_eq!(story.gets_back('c', spend, &mut drawn, 350), 350);
    assert_eq!(story.positions("2026-07"), fen(2_50, 1_00, -3_50));
    let left = |lot| story.books.lot(lot).unwrap().remaining;
    assert_eq!((left(a), left(b)), (250, 400));
}

#[test]
fn f_a_lot_that_lapsed_meanwhile_lives_on_until_the_grace_ends() {
    let mut story = Story::begin(JUNE, "2026-06");
    let a = story.earns('a', 600, Some(EXPIRES));
    let spend = story.spends('c', 600);
    story.now = instant("2027-01-02T04:00:00Z");
    let mut drawn = story.drawn(spend);
    assert_eq!(story.gets_back('c', spend, &mut drawn, 600), 600);
    assert_eq!(story.books.lot(a).unwrap().expires_at, Some(instant(GRACE)));
    let ada = story.ada;
    assert_eq!(story.books.spendable(ada, story.now, None), 600);
    assert_eq!(
        story
            .books
            .lapse(ada, instant(GRACE), Actor::System)
            .unwrap(),
        600
    );
}

#[test]
fn g_points_spent_before_the_sale_was_undone_are_filled_from_the_next_ones() {
    let mut story = Story::begin(JUNE, "2026-06");
    let sale = story.earns('a', 600, Some(EXPIRES));
    story.spends('c', 600);
    assert_eq!(story.positions("2026-06"), fen(-6_00, 0, 6_00));
    let undone = story.event(Kind::Refund, 'a');
    let (_, clawed) = story.books.claw(&undone, sale, 600).unwrap();
    assert_eq!(
        clawed,
        Clawed {
            taken: 0,
            owed: 600,
            lapsed: 0
        }
    );
    assert_eq!(story.balance(), -600);
    story.earns('b', 1_000, None);
    assert_eq!(story.balance(), 400);
    assert_eq!(story.positions("2026-06"), fen(0, -6_00, 6_00));
}

#[test]
fn p_what_a_till_reports_after_the_cut_off_is_settled_in_the_next_month() {
    let mut story = Story::begin(JULY, "2026-07");
    story.now = instant("2026-06-30T15:59:59.999999Z");
    story.earns('a', 100, None);
    story.now = instant("2026-06-30T16:00:00Z");
    story.spends('c', 100);
    let months: Vec<(String, bool)> = story
        .books
        .entries()
        .iter()
        .map(|entry| (entry.posted_in.to_string(), entry.late))
        .collect();
    let july = || "2026-07".to_owned();
    assert_eq!(months, [(july(), true), (july(), false)]);
}
