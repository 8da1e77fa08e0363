//! Points that are paid for in advance, as tills use them up (example I).

use std::sync::Arc;

use rotunda::{
    earning::EarnError,
    kernel::ids::MerchantId,
    merchants::{
        agreements::{AgreementTerms, Breakage, Model, Price},
        credit::{CreditError, Moved, Withheld},
    },
    settlement::LineKind,
};
use tokio::task::JoinSet;

use crate::support::settling::{Mall, Shop, at};

/// The pool at so many fen for 1,000 points; what lapses is the operator's.
pub fn pool(worth: i64) -> AgreementTerms {
    AgreementTerms {
        model: Model::Pool,
        issue_price: Some(Price {
            points: 1000,
            worth,
        }),
        breakage: Some(Breakage {
            operator: 10_000,
            issuer: 0,
            fund: 0,
        }),
        ..AgreementTerms::default()
    }
}

impl Mall {
    /// A shop and the operator agree on the pool at 1.2 fen a point.
    pub async fn agrees_on_the_pool(&self, shop: Shop, from: &str) {
        self.agrees(shop, from, pool(1200)).await;
    }
}

/// A mall in July, in which A has agreed on the pool at 1.2 fen a point since June.
pub async fn july() -> (Mall, [Shop; 3]) {
    let mall = Mall::open("2026-05-20T00:00:00Z").await;
    let shops @ [a, ..] = mall.shops(["a", "b", "c"]).await;
    mall.agrees(a, "2026-06", pool(1200)).await;
    mall.clock.set(at("2026-07-02T00:00:00Z"));
    (mall, shops)
}

const NOON: &str = "2026-06-03T04:00:00Z";

/// The amounts of the lines of a month, of one party; no merchant is the operator.
async fn lines(mall: &Mall, period: &str, whose: Option<MerchantId>) -> Vec<(LineKind, i64, i64)> {
    let lines = mall.preview(period).await.calculation.lines.into_iter();
    lines
        .filter(|line| line.party == whose)
        .map(|line| (line.kind, line.points, line.amount))
        .collect()
}

#[tokio::test]
async fn example_i_a_block_is_used_up_by_giving_points_and_never_by_taking_them() {
    let (mall, [a, _, c]) = july().await;
    let programme = mall.programme("postpaid");
    let ada = mall.member("1").await;
    let block = mall.moves(a, Moved::Block(10_000), "B-1").await.unwrap();
    assert_eq!((block.amount, block.points), (120_00, Some(10_000)));
    assert_eq!(mall.holds("prepaid", Some(a)).await, 120_00);
    assert_eq!(mall.holds("outside", Some(a)).await, -120_00);

    let bought = mall
        .buys(&programme, ada, a, ("1", 600), NOON)
        .await
        .unwrap();
    assert_eq!((bought.points, bought.withheld), (600, None));
    assert_eq!(mall.left_of(a).await, 9_400);
    // The same receipt again changes nothing.
    let again = mall
        .buys(&programme, ada, a, ("1", 600), NOON)
        .await
        .unwrap();
    assert!(again.replayed);
    assert_eq!(mall.left_of(a).await, 9_400);
    mall.spends(ada, c, 500, "2026-06-04T04:00:00Z").await;
    assert_eq!(mall.left_of(a).await, 9_400);

    // What was given is paid for already: 7.20 of the block, and nothing is owed.
    let own = lines(&mall, "2026-06", Some(a.merchant)).await;
    assert!(own.contains(&(LineKind::Funded, 600, -7_20)));
    assert!(own.contains(&(LineKind::Prepaid, 600, 7_20)));
    let operators = lines(&mall, "2026-06", None).await;
    assert!(operators.contains(&(LineKind::Prepaid, 600, -7_20)));
    let nets = mall.nets("2026-06").await;
    assert_eq!([nets["a"], nets["c"], nets["operator"]], [0, 5_00, -5_00]);
    mall.closes("2026-06").await;
    assert_eq!(mall.holds("prepaid", Some(a)).await, 112_80);
    assert_eq!(mall.broken().await, [""; 0]);

    // A part of the purchase goes back: into the same block.
    let when = "2026-07-01T04:00:00Z";
    let back = mall
        .takes_back(&programme, bought.purchase, ("1", 60), when)
        .await;
    assert_eq!((back.points_taken, mall.left_of(a).await), (60, 9_460));
    // What was spent is owed by the member, and was paid for: it stays out of the block.
    let back = mall
        .takes_back(&programme, bought.purchase, ("2", 540), when)
        .await;
    assert_eq!((back.points_taken, back.points_owed), (40, 500));
    assert_eq!(mall.left_of(a).await, 9_500);
    mall.clock.set(at("2026-08-02T00:00:00Z"));
    assert_eq!(mall.nets("2026-07").await["a"], 0);
    mall.closes("2026-07").await;
    assert_eq!(mall.holds("prepaid", Some(a)).await, 114_00);
    assert_eq!(mall.broken().await, [""; 0]);
    mall.every_face_agrees().await;
}

#[tokio::test]
async fn a_block_is_low_from_a_fifth_on() {
    let (mall, [a, ..]) = july().await;
    let programme = mall.programme("postpaid");
    let ada = mall.member("1").await;
    mall.moves(a, Moved::Block(10_000), "B-1").await.unwrap();
    mall.buys(&programme, ada, a, ("1", 7_999), NOON)
        .await
        .unwrap();
    let low = |overview: rotunda::merchants::credit::Overview| overview.prepaid.unwrap().low;
    assert!(!low(mall.credit_of(a).await));
    mall.buys(&programme, ada, a, ("2", 1), NOON).await.unwrap();
    let seen = mall.credit_of(a).await;
    assert_eq!(seen.prepaid.unwrap().left, 2_000);
    assert!(low(seen));
}

#[tokio::test]
async fn where_a_block_is_half_enough_the_programme_decides() {
    for (when_empty, given, left) in [
        ("postpaid", Some((100, None)), 0),
        ("stop_earning", Some((0, Some(Withheld::Prepaid))), 50),
        ("reject", None, 50),
    ] {
        let (mall, [a, ..]) = july().await;
        let programme = mall.programme(when_empty);
        let ada = mall.member("1").await;
        mall.moves(a, Moved::Block(500), "B-1").await.unwrap();
        mall.buys(&programme, ada, a, ("1", 450), NOON)
            .await
            .unwrap();
        let before = mall.rows().await;
        let done = mall.buys(&programme, ada, a, ("2", 100), NOON).await;
        if let Some(given) = given {
            let receipt = done.unwrap();
            assert_eq!((receipt.points, receipt.withheld), given, "{when_empty}");
            // The receipt keeps its reason.
            let again = mall.buys(&programme, ada, a, ("2", 100), NOON).await;
            assert_eq!(again.unwrap().withheld, given.1);
        } else {
            let (left, wanted) = (50, 100);
            assert_eq!(done, Err(EarnError::NotPrepaid { left, wanted }));
            assert_eq!(mall.rows().await, before);
        }
        assert_eq!(mall.left_of(a).await, left, "{when_empty}");
        // What was not paid for in advance is owed with the month.
        let owed = if when_empty == "postpaid" { -60 } else { 0 };
        assert_eq!(mall.nets("2026-06").await["a"], owed, "{when_empty}");
        mall.closes("2026-06").await;
        assert_eq!(mall.broken().await, [""; 0], "{when_empty}");
    }
}

#[tokio::test]
async fn what_goes_back_was_first_what_had_come_out_of_no_block() {
    let (mall, [a, ..]) = july().await;
    let programme = mall.programme("postpaid");
    let ada = mall.member("1").await;
    mall.moves(a, Moved::Block(500), "B-1").await.unwrap();
    let bought = mall
        .buys(&programme, ada, a, ("1", 800), NOON)
        .await
        .unwrap();
    assert_eq!(mall.left_of(a).await, 0);
    for (reference, fen, left) in [("1", 200, 0), ("2", 200, 100), ("3", 400, 500)] {
        mall.takes_back(&programme, bought.purchase, (reference, fen), NOON)
            .await;
        assert_eq!(mall.left_of(a).await, left);
    }
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn thirty_two_tills_at_the_end_of_a_block_give_no_point_more_than_it_has() {
    let (mall, [a, b, _]) = july().await;
    let programme = Arc::new(mall.programme("stop_earning"));
    // 32 tills want 100 points each of 1,550, and each buys of B too.
    mall.moves(a, Moved::Block(1_550), "B-1").await.unwrap();
    let mut members = Vec::new();
    for number in 0..32 {
        members.push(mall.member(&number.to_string()).await);
    }
    let mall = Arc::new(mall);
    let mut tills = JoinSet::new();
    for (number, who) in members.into_iter().enumerate() {
        let (mall, programme) = (Arc::clone(&mall), Arc::clone(&programme));
        tills.spawn(async move {
            let receipt = number.to_string();
            let given = mall.buys(&programme, who, a, (&receipt, 100), NOON).await;
            mall.buys(&programme, who, b, (&receipt, 100), NOON)
                .await
                .unwrap();
            given.unwrap().points
        });
    }
    let given: Vec<i64> = tills.join_all().await;
    assert_eq!(given.iter().sum::<i64>(), 1_500);
    assert_eq!(given.iter().filter(|points| **points == 0).count(), 17);
    assert_eq!(mall.left_of(a).await, 50);
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn a_block_keeps_its_price_when_the_agreement_changes() {
    let (mall, [a, ..]) = july().await;
    let programme = mall.programme("postpaid");
    let ada = mall.member("1").await;
    mall.moves(a, Moved::Block(500), "B-1").await.unwrap();
    mall.agrees(a, "2026-08", pool(1500)).await;
    mall.clock.set(at("2026-08-10T00:00:00Z"));
    // In July 100 of the block; in August 400 of it and 200 of the next one, which costs more, and
    // 300 that nobody paid for.
    mall.buys(&programme, ada, a, ("1", 100), "2026-07-03T04:00:00Z")
        .await
        .unwrap();
    let next = mall.moves(a, Moved::Block(200), "B-2").await.unwrap();
    assert_eq!(next.amount, 3_00);
    mall.buys(&programme, ada, a, ("2", 900), "2026-08-03T04:00:00Z")
        .await
        .unwrap();
    let july = lines(&mall, "2026-07", Some(a.merchant)).await;
    assert!(july.contains(&(LineKind::Prepaid, 100, 1_20)), "{july:?}");
    let august = lines(&mall, "2026-08", Some(a.merchant)).await;
    assert!(august.contains(&(LineKind::Prepaid, 600, 4_80 + 3_00)));
    assert!(august.contains(&(LineKind::Funded, 900, -(4_80 + 3_00 + 4_50))));
    mall.clock.set(at("2026-09-02T00:00:00Z"));
    for period in ["2026-06", "2026-07", "2026-08"] {
        mall.closes(period).await;
    }
    assert_eq!(mall.holds("prepaid", Some(a)).await, 0);
    assert_eq!(mall.broken().await, [""; 0]);
}

type Is = fn(&CreditError) -> bool;

#[tokio::test]
async fn what_cannot_be_recorded_changes_nothing_and_says_why() {
    let (mall, [a, b, _]) = july().await;
    mall.agrees(b, "2026-08", pool(1200)).await;
    mall.moves(a, Moved::Paid(60_00), "D-1").await.unwrap();
    mall.moves(a, Moved::Block(10_000), "B-1").await.unwrap();
    let before = mall.rows().await;
    // Said again in the same words it is the same.
    mall.moves(a, Moved::Paid(60_00), "D-1").await.unwrap();
    mall.moves(a, Moved::Block(10_000), "B-1").await.unwrap();
    assert_eq!(mall.rows().await, before);
    let cases: [(Shop, Moved, &str, Is); 9] = [
        // B's agreement has the pool from August on.
        (b, Moved::Block(1_000), "B-1", |error| {
            matches!(error, CreditError::NoPool)
        }),
        // 1.2 fen a point: 7 points are 8.4 fen.
        (a, Moved::Block(7), "B-2", |error| {
            matches!(
                error,
                CreditError::NotWhole {
                    points: 7,
                    step: 1000
                }
            )
        }),
        (a, Moved::Block(-5), "B-2", |error| {
            matches!(error, CreditError::NotPositive)
        }),
        (a, Moved::Block(i64::MAX), "B-2", |error| {
            matches!(error, CreditError::NotPositive)
        }),
        (a, Moved::Paid(0), "D-2", |error| {
            matches!(error, CreditError::NotPositive)
        }),
        (a, Moved::Paid(i64::MAX), "D-2", |error| {
            matches!(error, CreditError::NotPositive)
        }),
        (a, Moved::Paid(60_01), "D-1", |error| {
            matches!(error, CreditError::ReferenceTaken)
        }),
        (a, Moved::Returned(60_01), "R-1", |error| {
            matches!(
                error,
                CreditError::TooMuch {
                    deposit: 60_00,
                    wanted: 60_01
                }
            )
        }),
        (b, Moved::Returned(1), "R-1", |error| {
            matches!(error, CreditError::TooMuch { deposit: 0, .. })
        }),
    ];
    for (shop, moved, reference, is) in cases {
        let refused = mall.moves(shop, moved, reference).await.unwrap_err();
        assert!(is(&refused), "{moved:?}: {refused:?}");
        assert!(refused.to_string().len() > 20);
        assert_eq!(mall.rows().await, before, "{moved:?}");
    }
    mall.moves(a, Moved::Returned(60_00), "R-1").await.unwrap();
    assert_eq!(mall.deposit_of(a).await, 0);
    assert_eq!(mall.broken().await, [""; 0]);
}
