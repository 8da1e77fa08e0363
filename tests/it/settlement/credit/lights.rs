//! Whether a merchant is covered for what it owes and could come to owe.

use rotunda::{
    merchants::credit::{CreditError, Light, Moved, OnRed, Withheld},
    settlement::paying::Method,
};

use super::blocks::pool;
use crate::support::settling::{Mall, at};

#[tokio::test]
async fn a_light_goes_by_open_points_and_debts_against_deposit_and_limit() {
    let mall = Mall::open("2026-07-02T00:00:00Z").await;
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let ada = mall.member("1").await;
    // Earned first, so spent first.
    mall.earns(ada, b, 1_000_000, "2026-06-01T03:00:00Z").await;
    let seen = mall.limits(a, Some(100_00)).await.unwrap();
    assert_eq!(
        (seen.light, seen.open_worth, seen.owed),
        (Light::Green, 0, 0)
    );
    mall.earns(ada, a, 8_000, "2026-06-01T04:00:00Z").await;
    assert_eq!(mall.looks().await, 1);
    let seen = mall.credit_of(a).await.credit;
    assert_eq!((seen.light, seen.open_worth), (Light::Amber, 80_00));
    mall.clock.set(at("2026-07-03T00:00:00Z"));
    assert_eq!(mall.looks().await, 0);
    assert_eq!(
        mall.credit_of(a).await.credit.light_since,
        at("2026-07-02T00:00:00Z")
    );
    mall.earns(ada, a, 2_001, "2026-06-01T05:00:00Z").await;
    assert_eq!(mall.looks().await, 1);
    let seen = mall.credit_of(a).await.credit;
    assert_eq!(
        (seen.light, seen.light_since),
        (Light::Red, at("2026-07-03T00:00:00Z"))
    );
    assert_eq!(
        seen.light_why,
        "it owes 0.00, its open points are worth 100.01, and 100.00 CNY cover both"
    );
    // An alert takes nothing from anybody.
    assert_eq!(mall.till(a).await.withheld, None);

    // Points that are spent are owed instead, before the month is settled and after, until they are
    // paid; at home they are gone.
    mall.spends(ada, b, 1_000_000, "2026-06-03T03:00:00Z").await;
    mall.spends(ada, c, 3_000, "2026-06-03T04:00:00Z").await;
    mall.spends(ada, a, 1, "2026-06-03T05:00:00Z").await;
    mall.looks().await;
    let figures =
        |credit: rotunda::merchants::credit::Credit| (credit.light, credit.open_worth, credit.owed);
    let owing = (Light::Amber, 70_00, 30_00);
    assert_eq!(figures(mall.credit_of(a).await.credit), owing);
    let june = mall.closes("2026-06").await.settlement;
    mall.looks().await;
    assert_eq!(figures(mall.credit_of(a).await.credit), owing);
    mall.records(june.id, 0, Method::Rent, "R-1").await.unwrap();
    mall.looks().await;
    let paid = (Light::Green, 70_00, 0);
    assert_eq!(figures(mall.credit_of(a).await.credit), paid);
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn example_g_points_that_fill_a_debt_are_owed_by_who_gave_them() {
    let mall = Mall::open("2026-06-20T00:00:00Z").await;
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let ada = mall.member("1").await;
    let sold = mall.earns(ada, a, 600, "2026-06-01T03:00:00Z").await;
    mall.spends(ada, c, 600, "2026-06-02T03:00:00Z").await;
    mall.refunds(ada, a, sold, 600, "2026-06-03T03:00:00Z")
        .await;
    mall.earns(ada, b, 1_000, "2026-06-04T03:00:00Z").await;
    // A hundred of her own points fill nothing that others are owed.
    let own = mall.earns(ada, b, 100, "2026-06-05T03:00:00Z").await;
    mall.spends(ada, b, 500, "2026-06-06T03:00:00Z").await;
    mall.refunds(ada, b, own, 100, "2026-06-07T03:00:00Z").await;
    mall.earns(ada, b, 100, "2026-06-08T03:00:00Z").await;
    for shop in [a, b] {
        mall.limits(shop, Some(10_00)).await.unwrap();
    }
    mall.looks().await;
    let [of_a, of_b] = [a, b].map(|shop| mall.credit_of(shop));
    let (of_a, of_b) = (of_a.await.credit, of_b.await.credit);
    assert_eq!((of_a.open_worth, of_a.owed), (0, 6_00));
    assert_eq!((of_b.open_worth, of_b.owed), (0, 6_00));
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn where_the_mall_says_so_a_red_light_stops_earning_and_nothing_else() {
    let mut mall = Mall::open("2026-07-02T00:00:00Z").await;
    mall.terms.credit.on_red = OnRed::StopEarning;
    let [a, c] = mall.shops(["a", "c"]).await;
    let programme = mall.programme("postpaid");
    let ada = mall.member("1").await;
    mall.earns(ada, a, 5_000, "2026-07-01T04:00:00Z").await;
    let seen = mall.limits(a, Some(40_00)).await.unwrap();
    assert_eq!(
        (seen.light, seen.withheld.unwrap().0),
        (Light::Red, Withheld::Limit)
    );
    let now = "2026-07-02T00:00:00Z";
    let bought = mall
        .buys(&programme, ada, a, ("1", 100), now)
        .await
        .unwrap();
    assert_eq!((bought.points, bought.withheld), (0, Some(Withheld::Limit)));
    // A spend is never broken.
    assert!(mall.till(a).await.spends && mall.till(a).await.active());
    mall.spends(ada, c, 10, now).await;
    mall.spends(ada, a, 10, now).await;

    // A deposit helps at once.
    mall.moves(a, Moved::Paid(30_00), "D-1").await.unwrap();
    let seen = mall.credit_of(a).await.credit;
    assert_eq!((seen.light, seen.withheld), (Light::Green, None));
    let bought = mall
        .buys(&programme, ada, a, ("2", 100), now)
        .await
        .unwrap();
    assert_eq!((bought.points, bought.withheld), (100, None));
    // Taking it back does not, and without a limit nobody looks.
    mall.moves(a, Moved::Returned(30_00), "R-1").await.unwrap();
    assert_eq!(mall.credit_of(a).await.credit.light, Light::Red);
    let seen = mall.limits(a, None).await.unwrap();
    assert_eq!((seen.light, seen.withheld), (Light::Green, None));
    let before = mall.rows().await;
    let negative = mall.limits(a, Some(-1)).await;
    assert!(matches!(negative, Err(CreditError::NotPositive)));
    assert_eq!(mall.rows().await, before);
    assert_eq!(mall.broken().await, [""; 0]);
}

#[tokio::test]
async fn points_that_were_paid_for_when_they_were_given_are_no_debt() {
    let mall = Mall::open("2026-05-20T00:00:00Z").await;
    let [a] = mall.shops(["a"]).await;
    mall.agrees(a, "2026-06", pool(1200)).await;
    mall.clock.set(at("2026-07-02T00:00:00Z"));
    let ada = mall.member("1").await;
    mall.earns(ada, a, 300, "2026-05-21T04:00:00Z").await;
    mall.earns(ada, a, 5_000, "2026-06-01T04:00:00Z").await;
    let seen = mall.limits(a, Some(10_00)).await.unwrap();
    assert_eq!((seen.light, seen.open_worth), (Light::Green, 3_00));
}
