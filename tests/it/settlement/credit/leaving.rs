//! Merchants that leave in order (example H).

use rotunda::{
    merchants::credit::{CreditError, Moved, Standing, Withheld, leaving::Ended},
    settlement::paying::Method,
};

use crate::support::settling::{Mall, at};

#[tokio::test]
async fn example_h_points_are_good_to_the_end_and_the_deposit_goes_back_when_nothing_needs_it() {
    let mall = Mall::open("2026-07-02T00:00:00Z").await;
    let [a, c] = mall.shops(["a", "c"]).await;
    let programme = mall.programme("postpaid");
    let ada = mall.member("1").await;
    mall.moves(a, Moved::Paid(60_00), "D-1").await.unwrap();
    mall.earns(ada, a, 5_000, "2026-07-01T04:00:00Z").await;
    let stands = mall.winds_down(a, "2026-09-30").await.unwrap();
    assert_eq!(stands.standing, Standing::WindingDown);
    // September ends in Shanghai when it is 16:00 in UTC.
    assert_eq!(stands.exit_at, Some(at("2026-09-30T16:00:00Z")));

    // It gives no points from now on, and takes them still; what happened before earns.
    let now = mall
        .buys(&programme, ada, a, ("1", 100), "2026-07-02T00:00:00Z")
        .await;
    let now = now.unwrap();
    assert_eq!((now.points, now.withheld), (0, Some(Withheld::WindingDown)));
    assert!(mall.till(a).await.spends);
    let late = mall
        .buys(&programme, ada, a, ("2", 100), "2026-07-01T23:59:59Z")
        .await;
    assert_eq!(late.unwrap().points, 100);
    mall.spends(ada, a, 100, "2026-07-02T00:00:00Z").await;
    let paid = mall.spends(ada, c, 3_000, "2026-07-20T04:00:00Z").await;

    // Deposit -30.00, redeemers +30.00.
    mall.clock.set(at("2026-08-02T00:00:00Z"));
    let july = mall.closes("2026-07").await.settlement;
    mall.records(july.id, 0, Method::Deposit, "from the deposit")
        .await
        .unwrap();
    assert_eq!(mall.deposit_of(a).await, 30_00);
    assert_eq!(mall.holds("deposit", Some(a)).await, 30_00);
    assert_eq!(mall.holds("payable", Some(a)).await, 0);
    assert_eq!(mall.holds("receivable", Some(c)).await, 30_00);
    // 2,000 points are open: 20.00 have to stay.
    let before = mall.rows().await;
    let early = mall.moves(a, Moved::Returned(10_01), "R-1").await;
    assert!(
        matches!(early, Err(CreditError::Needed { needed: 20_00 })),
        "{early:?}"
    );
    assert_eq!(mall.rows().await, before);
    mall.clock.set(at("2026-09-30T15:59:59Z"));
    assert_eq!(mall.ends().await, Ended::default());
    assert_eq!(mall.balance(ada).await, (2_000, 0));

    // 2,000 end, and the merchant with them.
    mall.clock.set(at("2026-09-30T16:00:00Z"));
    let ended = Ended {
        merchants: 1,
        members: 1,
        points: 2_000,
    };
    assert_eq!(mall.ends().await, ended);
    assert_eq!(mall.ends().await, Ended::default());
    assert_eq!(mall.balance(ada).await, (0, 0));
    assert_eq!(mall.credit_of(a).await.credit.standing, Standing::Exited);
    let none = mall
        .buys(&programme, ada, a, ("3", 100), "2026-07-01T00:00:00Z")
        .await;
    assert_eq!(none.unwrap().withheld, Some(Withheld::Exited));

    // 30.00 go back.
    mall.clock.set(at("2026-10-20T00:00:00Z"));
    for period in ["2026-08", "2026-09"] {
        let nets = mall.nets(period).await;
        assert!(nets.values().all(|net| *net == 0));
        mall.closes(period).await;
    }
    assert_eq!(mall.figures("2026-10").await["a"].expired, 2_000);
    mall.moves(a, Moved::Returned(30_00), "R-1").await.unwrap();
    assert_eq!(mall.deposit_of(a).await, 0);
    assert_eq!(mall.holds("outside", Some(a)).await, -30_00);
    assert_eq!(mall.broken().await, [""; 0]);

    // What comes back to a member of its points ends too.
    mall.gives_back(ada, c, paid, 100, "2026-10-21T00:00:00Z")
        .await;
    assert_eq!(mall.balance(ada).await, (100, 0));
    let ended = Ended {
        merchants: 0,
        members: 1,
        points: 100,
    };
    assert_eq!(mall.ends().await, ended);
    assert_eq!(mall.broken().await, [""; 0]);
    mall.every_face_agrees().await;
}

#[tokio::test]
async fn a_merchant_leaves_once_and_on_a_day_to_come() {
    let mall = Mall::open("2026-07-02T00:00:00Z").await;
    let [a] = mall.shops(["a"]).await;
    let before = mall.rows().await;
    for day in ["2026-07-01", "2026-07-02"] {
        let early = mall.winds_down(a, day).await;
        let Err(CreditError::InThePast(first)) = early else {
            panic!("{early:?}");
        };
        assert_eq!(first.to_string(), "2026-07-03");
        assert_eq!(mall.rows().await, before);
    }
    mall.winds_down(a, "2026-07-03").await.unwrap();
    let before = mall.rows().await;
    let twice = mall.winds_down(a, "2026-08-01").await;
    assert!(matches!(twice, Err(CreditError::NoStep(_))));
    assert_eq!(mall.rows().await, before);
}
