//! LED-6: at the edges of what the books can hold there is an error, never a wrong number.

use rotunda::{
    authz::actor::Actor,
    kernel::{
        AmountError,
        ids::{Entropy, JournalId, LotId, MemberId, MerchantId, StoreId},
        money::{Money, Rate, ratio_floor, split},
        points::{LARGEST, Points},
        time::{Period, Zone},
    },
    ledger::{
        Drawn, LedgerError,
        books::{Books, NewLot, Wallet},
        lots::{Draw, Lot, value_of_return},
        transfer::{Event, Kind},
    },
};
use uuid::Uuid;

use crate::support::books::{NOON, cny, instant};

const EDGES: [i64; 18] = [
    i64::MIN,
    i64::MIN + 1,
    -LARGEST - 2,
    -LARGEST - 1,
    -LARGEST,
    -LARGEST + 1,
    -2,
    -1,
    0,
    1,
    2,
    LARGEST - 1,
    LARGEST,
    LARGEST + 1,
    LARGEST + 2,
    i64::MAX / 2,
    i64::MAX - 1,
    i64::MAX,
];

fn pairs() -> impl Iterator<Item = (i64, i64)> {
    EDGES
        .into_iter()
        .flat_map(|one| EDGES.map(|two| (one, two)))
}

fn triples() -> impl Iterator<Item = (i64, i64, i64)> {
    pairs().flat_map(|(one, two)| EDGES.map(|three| (one, two, three)))
}

/// The truth where it fits; none where there has to be an error.
fn fits(truth: i128, from: i64, to: i64) -> Option<i64> {
    i64::try_from(truth)
        .ok()
        .filter(|truth| (from..=to).contains(truth))
}

#[test]
fn led_6_points_and_money_are_exact_or_refused() {
    for (one, two) in pairs() {
        let (wide_one, wide_two) = (i128::from(one), i128::from(two));
        assert_eq!(Points::new(one).is_ok(), (0..=LARGEST).contains(&one));
        if let (Ok(first), Ok(second)) = (Points::new(one), Points::new(two)) {
            let sum = first.plus(second).ok().map(Points::get);
            assert_eq!(sum, fits(wide_one + wide_two, 0, LARGEST));
            let rest = first.minus(second).ok().map(Points::get);
            assert_eq!(rest, fits(wide_one - wide_two, 0, LARGEST));
        }
        assert_eq!(
            Money::new(one, cny()).is_ok(),
            (-LARGEST..=LARGEST).contains(&one)
        );
        assert_eq!(
            Money::price(one, cny()).is_ok(),
            (0..=LARGEST).contains(&one)
        );
        if let (Ok(first), Ok(second)) = (Money::new(one, cny()), Money::new(two, cny())) {
            let sum = first.plus(second).ok().map(Money::minor);
            assert_eq!(sum, fits(wide_one + wide_two, -LARGEST, LARGEST));
            let rest = first.minus(second).ok().map(Money::minor);
            assert_eq!(rest, fits(wide_one - wide_two, -LARGEST, LARGEST));
        }
    }
}

#[test]
fn led_6_ratios_and_splits_are_exact_or_refused() {
    for (amount, num, den) in triples() {
        let truth =
            (den > 0).then(|| (i128::from(amount) * i128::from(num)).div_euclid(i128::from(den)));
        if den >= 0 {
            let fitting = truth.and_then(|truth| fits(truth, i64::MIN, i64::MAX));
            assert_eq!(
                ratio_floor(amount, num, den).ok(),
                fitting,
                "{amount} × {num} / {den}"
            );
        }
        assert_eq!(Rate::new(num, den).is_ok(), num >= 0 && den > 0);
        if let (Ok(rate), Some(floor)) = (Rate::new(num, den), truth) {
            assert_eq!(
                rate.times_floor(amount).ok(),
                fits(floor, i64::MIN, i64::MAX)
            );
            let rest = i128::from(amount) * i128::from(num) - floor * i128::from(den);
            let up = rest * 2 > i128::from(den) || (rest * 2 == i128::from(den) && floor & 1 == 1);
            let even = fits(floor + i128::from(up), i64::MIN, i64::MAX);
            assert_eq!(rate.times_half_even(amount).ok(), even);
        }
        match split(amount, &[num, den]) {
            Ok(parts) if num == 0 && den == 0 => assert_eq!(parts, [0, 0]),
            Ok(parts) => assert_eq!(parts[0].checked_add(parts[1]), Some(amount)),
            Err(error) => {
                assert_eq!(error, AmountError::Negative);
                assert!(amount < 0 || num < 0 || den < 0);
            }
        }
    }
}

#[test]
fn led_6_a_lot_gives_no_more_than_it_has() {
    let sizes = [1, 2, LARGEST - 1, LARGEST];
    let sizes = sizes
        .into_iter()
        .flat_map(|points| [0, 1, LARGEST].map(|worth| (points, worth)));
    for (points, worth) in sizes {
        for asked in EDGES {
            let mut one = lot(points, worth);
            let taken = one.take(asked);
            assert_eq!(
                taken.is_ok(),
                (0..=points).contains(&asked),
                "{asked} of {points}"
            );
            if let Ok(draw) = taken {
                let value = i128::from(worth) * i128::from(asked) / i128::from(points);
                assert_eq!(i128::from(draw.value), value);
                assert_eq!(one.remaining, points - asked);
                for (back, value) in pairs().filter(|(back, value)| *back >= 0 && *value >= 0) {
                    let put = one.clone().put_back(back, value).is_ok();
                    assert_eq!(put, back <= asked && value <= draw.value);
                }
            }
        }
        for (returned, more) in pairs() {
            let draw = Draw {
                lot: lot(1, 1).id,
                issuer: lot(1, 1).merchant,
                only_at: None,
                earned_at: lot(1, 1).earned_at,
                points,
                value: worth,
            };
            let truth = i128::from(worth) * (i128::from(returned) + i128::from(more));
            let truth = truth.div_euclid(i128::from(points)).max(0);
            if let Ok(value) = value_of_return(&draw, returned, 0, more) {
                assert_eq!(i128::from(value), truth);
            } else {
                let sum = returned.checked_add(more);
                assert!(sum.is_none_or(|_| fits(truth, 0, i64::MAX).is_none()) || truth == 0);
            }
        }
    }
}

#[test]
fn led_6_the_books_refuse_what_they_cannot_hold_and_stay_as_they_were() {
    for (points, filled) in pairs().filter(|(_, filled)| (0..=LARGEST).contains(filled)) {
        let mut books = books(filled);
        for num in [1, i64::MAX] {
            let before = format!("{books:?}");
            let rate = Rate::new(num, 1).unwrap();
            let new = NewLot {
                points,
                rate,
                expires_at: None,
                only_at: None,
            };
            let fits_wallet = points > 0 && points <= LARGEST - filled;
            let fits_worth = i128::from(points) * i128::from(num) <= i128::from(i64::MAX);
            let issued = books.issue(&event(points as u128), new);
            assert_eq!(
                issued.is_ok(),
                fits_wallet && fits_worth,
                "{points} on top of {filled}"
            );
            assert!(issued.is_ok() || format!("{books:?}") == before);
            if issued.is_ok() {
                break;
            }
        }
    }
    for asked in EDGES {
        for hold in [false, true] {
            let mut books = books(2);
            let before = format!("{books:?}");
            let done = if hold {
                books.hold(&event(1), asked, None)
            } else {
                books.spend(&event(1), asked)
            };
            assert_eq!(done.is_ok(), (1..=2).contains(&asked));
            assert_eq!(done.is_ok(), format!("{books:?}") != before);
        }
    }
}

#[test]
fn led_6_nothing_and_less_than_nothing_is_neither_taken_nor_given_back() {
    for asked in EDGES.into_iter().filter(|asked| *asked <= 0) {
        let mut books = books(100);
        let id = lot(1, 1).id;
        let drawn = Draw {
            lot: id,
            issuer: lot(1, 1).merchant,
            only_at: None,
            earned_at: lot(1, 1).earned_at,
            points: 10,
            value: 10,
        };
        let mut drawn = [Drawn {
            draw: drawn,
            returned: 0,
            value_returned: 0,
        }];
        let before = format!("{books:?}");
        let refused = Err(LedgerError::Amount(AmountError::Negative));
        assert_eq!(books.claw(&event(1), id, asked).map(|_| ()), refused);
        let back = books.give_back(&event(1), &mut drawn, asked, instant(NOON));
        assert_eq!(back.map(|_| ()), refused);
        let strange = LotId::from_uuid(Uuid::from_u128(99));
        let strange = books.claw(&event(1), strange, 1).map(|_| ());
        assert_eq!(strange, Err(LedgerError::Missing("lot")));
        assert_eq!(format!("{books:?}"), before);
    }
}

#[test]
fn led_6_a_release_build_checks_overflow() {
    let manifest: toml::Table = include_str!("../../../Cargo.toml").parse().unwrap();
    assert_eq!(
        manifest["profile"]["release"]["overflow-checks"].as_bool(),
        Some(true)
    );
    for room in [
        include_str!("../../../src/kernel/mod.rs"),
        include_str!("../../../src/ledger/mod.rs"),
    ] {
        assert!(room.contains("#![deny(clippy::arithmetic_side_effects)]"));
    }
}

fn member() -> MemberId {
    MemberId::from_uuid(Uuid::from_u128(2))
}

fn lot(points: i64, worth: i64) -> Lot {
    Lot {
        id: LotId::from_uuid(Uuid::from_u128(1)),
        member: member(),
        merchant: MerchantId::from_uuid(Uuid::from_u128(3)),
        store: StoreId::from_uuid(Uuid::from_u128(4)),
        cause: JournalId::from_uuid(Uuid::from_u128(5)),
        points,
        remaining: points,
        expired: 0,
        clawed: 0,
        owed: 0,
        worth,
        worth_left: worth,
        earned_at: instant("2026-01-01T00:00:00Z"),
        expires_at: None,
        only_at: None,
    }
}

/// Books of one member with one lot of that many points.
fn books(points: i64) -> Books {
    let open_from: Period = "0001-01".parse().unwrap();
    let mut books = Books::new(Zone::UTC, open_from, instant(NOON), Entropy::seeded(1));
    books.add_wallet(
        member(),
        Wallet {
            available: points,
            ..Wallet::default()
        },
    );
    if points > 0 {
        books.add_lot(lot(points, points));
    }
    books
}

fn event(source: u128) -> Event {
    let merchant = MerchantId::from_uuid(Uuid::from_u128(3));
    Event {
        kind: Kind::Refund,
        actor: Actor::System,
        member: member(),
        place: Some((merchant, StoreId::from_uuid(Uuid::from_u128(4)))),
        source: Uuid::from_u128(source | (1 << 100)),
        occurred_at: instant(NOON),
        reverses: None,
    }
}
