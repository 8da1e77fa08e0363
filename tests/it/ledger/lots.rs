//! LED-4 and LED-5: in which order lots are used, and what a part of anything is worth.

use std::cmp::Ordering;

use chrono::TimeDelta;
use proptest::{
    prelude::*,
    test_runner::{Config, FileFailurePersistence},
};
use rotunda::{
    authz::actor::Actor,
    kernel::{
        ids::{Entropy, JournalId, LotId, MemberId, MerchantId, StoreId},
        money::split,
        points::LARGEST,
        time::{Period, Zone},
    },
    ledger::{
        Drawn,
        books::{Books, Wallet},
        lots::{Draw, Lot, value_of_return},
        transfer::{Event, Kind},
    },
};
use uuid::Uuid;

use crate::support::books::{NOON, instant};

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/it/proptest-regressions/lots.txt",
        ))),
        ..Config::default()
    }
}

fn member() -> MemberId {
    MemberId::from_uuid(Uuid::from_u128(1))
}

/// A lot of `points` worth `worth`, earned and lapsing so many days from noon on.
fn lot(id: u128, points: i64, worth: i64, earned: i64, expires: Option<i64>) -> Lot {
    let day = |days| instant(NOON) + TimeDelta::days(days);
    Lot {
        id: LotId::from_uuid(Uuid::from_u128(id)),
        member: member(),
        merchant: MerchantId::from_uuid(Uuid::from_u128(2)),
        store: StoreId::from_uuid(Uuid::from_u128(3)),
        cause: JournalId::from_uuid(Uuid::from_u128(4)),
        points,
        remaining: points,
        expired: 0,
        clawed: 0,
        owed: 0,
        worth,
        worth_left: worth,
        earned_at: day(earned),
        expires_at: expires.map(day),
        only_at: None,
    }
}

/// Lots with many ties, and the same lots in another order.
fn two_orders() -> impl Strategy<Value = (Vec<Lot>, Vec<Lot>)> {
    let one = (1_i64..30, 0_i64..50, -3_i64..0, prop::option::of(1_i64..4));
    prop::collection::vec(one, 1..8)
        .prop_map(|list| {
            let lots = list.into_iter().enumerate();
            lots.map(|(id, (points, worth, earned, expires))| {
                // Ids in no order.
                lot((id as u128 * 7) % 11, points, worth, earned, expires)
            })
            .collect::<Vec<Lot>>()
        })
        .prop_flat_map(|lots| (Just(lots.clone()), Just(lots).prop_shuffle()))
}

fn books(lots: &[Lot]) -> Books {
    let zone: Zone = "Asia/Shanghai".parse().unwrap();
    let open_from: Period = "0001-01".parse().unwrap();
    let mut books = Books::new(zone, open_from, instant(NOON), Entropy::seeded(1));
    let available = lots.iter().map(|lot| lot.remaining).sum();
    books.add_wallet(
        member(),
        Wallet {
            available,
            ..Wallet::default()
        },
    );
    for lot in lots {
        books.add_lot(lot.clone());
    }
    books
}

fn event(kind: Kind, days: i64) -> Event {
    let place = (
        MerchantId::from_uuid(Uuid::from_u128(5)),
        StoreId::from_uuid(Uuid::from_u128(6)),
    );
    Event {
        kind,
        actor: Actor::System,
        member: member(),
        place: Some(place),
        source: Uuid::from_u128(7),
        occurred_at: instant(NOON) + TimeDelta::days(days),
        reverses: None,
    }
}

fn spend(books: &mut Books, points: i64) -> Vec<Drawn> {
    let cause = books.spend(&event(Kind::Spend, 0), points).unwrap().journal;
    let moved = books
        .transfers()
        .iter()
        .filter(|moved| moved.cause == cause);
    let draw = |lot: LotId, points, value| Draw {
        lot,
        issuer: books.lot(lot).unwrap().merchant,
        only_at: None,
        earned_at: books.lot(lot).unwrap().earned_at,
        points,
        value,
    };
    let draws = moved.map(|moved| draw(moved.lot, moved.points, moved.value));
    draws
        .map(|draw| Drawn {
            draw,
            returned: 0,
            value_returned: 0,
        })
        .collect()
}

proptest! {
    #![proptest_config(config(10_000))]

    #[test]
    fn led_4_spend_order_is_total_and_a_refund_restores_the_same_lots(
        (lots, shuffled) in two_orders(), share in 1_i64..=100, late in any::<bool>(),
    ) {
        for one in &lots {
            for two in &lots {
                prop_assert_eq!(one.before(two), two.before(one).reverse());
                prop_assert_eq!(one.before(two) == Ordering::Equal, one.id == two.id);
                for three in &lots {
                    let falls = one.before(two).is_lt() && two.before(three).is_lt();
                    prop_assert!(!falls || one.before(three).is_lt());
                }
            }
        }
        let all: i64 = lots.iter().map(|lot| lot.points).sum();
        let points = (all * share / 100).max(1);
        let (mut one, mut two) = (books(&lots), books(&shuffled));
        let (mut drawn, same) = (spend(&mut one, points), spend(&mut two, points));
        let used = |drawn: &[Drawn]| drawn.iter().map(|past| past.draw).collect::<Vec<Draw>>();
        prop_assert_eq!(used(&drawn), used(&same));
        let soonest: Vec<_> = drawn
            .iter()
            .map(|past| one.lot(past.draw.lot).unwrap())
            .map(|lot| (lot.expires_at.is_none(), lot.expires_at, lot.earned_at, lot.id))
            .collect();
        prop_assert!(soonest.is_sorted(), "soonest expiry, then oldest, then by id");
        let back = event(Kind::SpendReturn, if late { 10 } else { 0 });
        let grace = instant(NOON) + TimeDelta::days(40);
        one.give_back(&back, &mut drawn, points, grace).unwrap();
        for before in &lots {
            let lapsed = late && before.expires_at.is_some() && drawn.iter().any(|past| past.draw.lot == before.id);
            let expires_at = if lapsed { Some(grace) } else { before.expires_at };
            prop_assert_eq!(one.lot(before.id).unwrap(), &Lot { expires_at, ..before.clone() });
        }
    }
}

/// Numbers of every size up to the largest.
fn any_size(largest: i64) -> impl Strategy<Value = i64> {
    (0_u32..64, any::<i64>())
        .prop_map(move |(bits, raw)| (raw & i64::MAX).checked_shr(bits).unwrap_or(0).min(largest))
}

proptest! {
    #![proptest_config(config(100_000))]

    #[test]
    fn led_5_the_parts_of_a_split_are_the_whole_and_less_than_one_unit_off(
        total in any_size(i64::MAX), weights in prop::collection::vec(any_size(i64::MAX), 1..9),
    ) {
        let parts = split(total, &weights).unwrap();
        let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
        let whole: i128 = parts.iter().map(|part| i128::from(*part)).sum();
        prop_assert_eq!(whole, if sum == 0 { 0 } else { i128::from(total) });
        let mut kept = Vec::new();
        for (part, weight) in parts.iter().zip(&weights).filter(|_| sum > 0) {
            let exact = i128::from(total) * i128::from(*weight);
            let off = i128::from(*part) - exact / sum;
            prop_assert!(off == 0 || (off == 1 && exact % sum > 0), "off by less than one unit");
            kept.push((off, exact % sum));
        }
        let smallest_up = kept.iter().filter(|(off, _)| *off == 1).map(|(_, rest)| *rest).min();
        let largest_down = kept.iter().filter(|(off, _)| *off == 0).map(|(_, rest)| *rest).max();
        prop_assert!(smallest_up.is_none_or(|up| largest_down.is_none_or(|down| up >= down)));
    }

    #[test]
    fn led_5_the_parts_of_a_lot_and_of_a_return_are_its_worth(
        points in any_size(LARGEST), worth in any_size(LARGEST),
        cuts in prop::collection::vec(any_size(LARGEST), 0..6),
    ) {
        let points = points.max(1);
        let mut lot = lot(1, points, worth, 0, None);
        let draw = Draw {
            lot: lot.id, issuer: lot.merchant, only_at: None, earned_at: lot.earned_at, points, value: worth,
        };
        let (mut returned, mut value_returned) = (0, 0);
        for cut in cuts.iter().copied().chain([LARGEST]) {
            let part = cut.min(lot.remaining);
            let taken = lot.take(part).unwrap().value;
            let back = value_of_return(&draw, returned, value_returned, part).unwrap();
            prop_assert_eq!(taken, back, "a return is cut as a lot is");
            let exact = i128::from(worth) * i128::from(part) / i128::from(points);
            prop_assert!((0..=1).contains(&(i128::from(taken) - exact)));
            returned += part;
            value_returned += back;
        }
        prop_assert_eq!((lot.remaining, lot.worth_left), (0, 0));
        prop_assert_eq!((returned, value_returned), (points, worth));
    }
}
