//! The worked examples of settlement.md, to the fen.

use std::collections::BTreeMap;

use chrono::Days;
use rotunda::settlement::netting::Payment;
use serde_json::json;

use crate::support::settling::{Mall, at};

fn nets<const N: usize>(nets: [(&str, i64); N]) -> BTreeMap<String, i64> {
    nets.map(|(code, net)| (code.to_owned(), net)).into()
}

#[tokio::test]
async fn example_a_the_issuers_pay_the_shop_that_took_the_points() {
    let mut mall = Mall::open("2026-07-02T00:00:00Z").await;
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let ada = mall.member("1").await;
    let end = Some("2027-01-01T00:00:00Z");
    mall.earns_until(ada, a, 600, "2026-06-01T04:00:00Z", end)
        .await;
    mall.earns(ada, b, 400, "2026-06-02T04:00:00Z").await;
    mall.spends(ada, c, 700, "2026-06-03T04:00:00Z").await;

    let plain = nets([("a", -600), ("b", -100), ("c", 700), ("operator", 0)]);
    assert_eq!(mall.nets("2026-06").await, plain);
    mall.terms.fee_basis_points = 200;
    let with_fee = nets([("a", -600), ("b", -100), ("c", 686), ("operator", 14)]);
    assert_eq!(mall.nets("2026-06").await, with_fee);
    let c = mall.figures("2026-06").await["c"];
    assert_eq!((c.redeemed, c.receives, c.fee), (700, 700, 14));

    let preview = mall.preview("2026-06").await;
    let json = rotunda::cli::settle::document(mall.tenant.currency, &preview).unwrap();
    assert_eq!(json["sum"], 0);
    let first = &json["merchants"][0];
    let keys = ["merchant", "issued", "redeemed", "pays", "receives", "net"];
    let values = keys.map(|key| first[key].clone());
    assert_eq!(
        values,
        [
            json!("a"),
            json!(600),
            json!(0),
            json!(600),
            json!(0),
            json!(-600)
        ]
    );
    mall.closes("2026-06").await;
    mall.every_face_agrees().await;
}

#[tokio::test]
async fn example_e_five_debts_come_down_to_one_payer_and_two_payments() {
    let mall = Mall::open("2026-07-02T00:00:00Z").await;
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    for (number, (from, to, points)) in [
        (a, b, 12_000),
        (b, a, 7_550),
        (b, c, 4_000),
        (c, a, 6_025),
        (a, c, 1_000),
    ]
    .into_iter()
    .enumerate()
    {
        let who = mall.member(&number.to_string()).await;
        mall.earns(who, from, points, "2026-06-01T04:00:00Z").await;
        mall.spends(who, to, points, "2026-06-03T04:00:00Z").await;
    }
    let expected = nets([("a", 575), ("b", 450), ("c", -1025), ("operator", 0)]);
    assert_eq!(mall.nets("2026-06").await, expected);
    let payment = |to, amount| Payment {
        from: Some(c.merchant),
        to: Some(to),
        amount,
    };
    let payments = mall.preview("2026-06").await.calculation.payments;
    assert_eq!(
        payments,
        [payment(a.merchant, 575), payment(b.merchant, 450)]
    );
    mall.closes("2026-06").await;
    mall.every_face_agrees().await;
}

#[tokio::test]
async fn example_f_a_return_after_the_close_reverses_in_the_next_month_fee_included() {
    let mut mall = Mall::open("2026-07-02T00:00:00Z").await;
    mall.terms.fee_basis_points = 200;
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let (ada, bob) = (mall.member("1").await, mall.member("2").await);
    let end = "2027-01-01T00:00:00Z";
    let mut lots = Vec::new();
    let mut spent = Vec::new();
    for who in [ada, bob] {
        let first = mall
            .earns_until(who, a, 600, "2026-06-01T04:00:00Z", Some(end))
            .await;
        let second = mall.earns(who, b, 400, "2026-06-02T04:00:00Z").await;
        lots.push((first.lot, second.lot));
        spent.push(mall.spends(who, c, 700, "2026-06-03T04:00:00Z").await);
    }
    let june = nets([("a", -1200), ("b", -200), ("c", 1372), ("operator", 28)]);
    assert_eq!(mall.nets("2026-06").await, june);
    assert!(mall.closes("2026-06").await.fresh);

    mall.clock.set(at("2026-08-02T00:00:00Z"));
    mall.gives_back(ada, c, spent[0], 700, "2026-07-05T04:00:00Z")
        .await;
    let july = nets([("a", 600), ("b", 100), ("c", -686), ("operator", -14)]);
    assert_eq!(mall.nets("2026-07").await, july);
    assert_eq!(mall.lot(ada, lots[0].0).await, Some((600, Some(at(end)))));
    assert_eq!(mall.lot(ada, lots[0].1).await, Some((400, None)));

    // Half of it: what was used last comes back first.
    mall.gives_back(bob, c, spent[1], 350, "2026-07-06T04:00:00Z")
        .await;
    let both = nets([("a", 850), ("b", 200), ("c", -1029), ("operator", -21)]);
    assert_eq!(mall.nets("2026-07").await, both);
    assert_eq!(mall.lot(bob, lots[1].0).await, Some((250, Some(at(end)))));
    assert_eq!(mall.nets("2026-06").await, june);
    assert!(mall.closes("2026-07").await.fresh);
    assert_eq!(mall.broken().await, [""; 0]);
    mall.every_face_agrees().await;
}

#[tokio::test]
async fn example_f_a_lot_that_lapsed_meanwhile_lives_thirty_days_more() {
    let mall = Mall::open("2026-09-02T00:00:00Z").await;
    let [a, c] = mall.shops(["a", "c"]).await;
    let ada = mall.member("1").await;
    let end = Some("2026-07-01T00:00:00Z");
    let earned = mall
        .earns_until(ada, a, 600, "2026-06-01T04:00:00Z", end)
        .await;
    let spent = mall.spends(ada, c, 600, "2026-06-03T04:00:00Z").await;
    mall.gives_back(ada, c, spent, 600, "2026-08-20T04:00:00Z")
        .await;
    let grace = at("2026-08-20T04:00:00Z") + Days::new(30);
    assert_eq!(mall.lot(ada, earned.lot).await, Some((600, Some(grace))));
}

#[tokio::test]
async fn example_g_a_debt_is_filled_and_the_points_provenance_moves_with_it() {
    let mall = Mall::open("2026-07-02T00:00:00Z").await;
    let [a, b, c] = mall.shops(["a", "b", "c"]).await;
    let ada = mall.member("1").await;
    let sale = mall.earns(ada, a, 600, "2026-06-01T04:00:00Z").await;
    mall.spends(ada, c, 600, "2026-06-02T04:00:00Z").await;
    mall.refunds(ada, a, sale, 600, "2026-06-03T04:00:00Z")
        .await;
    assert_eq!(mall.balance(ada).await, (0, 600));
    let owing = nets([("a", -600), ("c", 600), ("operator", 0)]);
    assert_eq!(mall.nets("2026-06").await, owing);

    mall.earns(ada, b, 1000, "2026-06-04T04:00:00Z").await;
    assert_eq!(mall.balance(ada).await, (400, 0));
    let filled = nets([("a", 0), ("b", -600), ("c", 600), ("operator", 0)]);
    assert_eq!(mall.nets("2026-06").await, filled);
    let a = mall.figures("2026-06").await["a"];
    assert_eq!(
        (a.issued, a.taken_back, a.pays, a.receives),
        (600, 600, 600, 600)
    );
    mall.closes("2026-06").await;
    assert_eq!(mall.broken().await, [""; 0]);
    mall.every_face_agrees().await;
}

#[tokio::test]
async fn example_o_points_at_home_are_shown_apart_and_move_no_money() {
    let mut mall = Mall::open("2026-07-02T00:00:00Z").await;
    mall.terms.fee_basis_points = 10_000;
    let [a] = mall.shops(["a"]).await;
    let ada = mall.member("1").await;
    mall.earns(ada, a, 100, "2026-06-01T04:00:00Z").await;
    let spent = mall.spends(ada, a, 100, "2026-06-02T04:00:00Z").await;
    let position = mall.figures("2026-06").await["a"];
    assert_eq!(
        (position.redeemed, position.own_points, position.own_value),
        (100, 100, 100)
    );
    assert_eq!(
        (position.pays, position.receives, position.fee, position.net),
        (0, 0, 0, 0)
    );
    assert_eq!(mall.preview("2026-06").await.calculation.payments, []);
    mall.gives_back(ada, a, spent, 40, "2026-06-03T04:00:00Z")
        .await;
    let position = mall.figures("2026-06").await["a"];
    assert_eq!(
        (position.redeemed, position.given_back, position.own_points),
        (100, 40, 60)
    );
    mall.closes("2026-06").await;
    mall.every_face_agrees().await;
}

#[tokio::test]
async fn example_p_a_late_bundle_is_posted_in_the_next_month_and_june_stays_as_it_was() {
    let mall = Mall::open("2026-07-02T00:00:00Z").await;
    let [a, c] = mall.shops(["a", "c"]).await;
    let ada = mall.member("1").await;
    mall.earns(ada, a, 500, "2026-06-10T04:00:00Z").await;
    mall.spends(ada, c, 200, "2026-06-11T04:00:00Z").await;
    let closed = mall.closes("2026-06").await;
    let june = mall.figures("2026-06").await;

    mall.clock.set(at("2026-07-03T02:00:00Z"));
    mall.spends(ada, c, 300, "2026-06-30T04:00:00Z").await;
    assert_eq!(mall.figures("2026-06").await, june);
    let july = mall.figures("2026-07").await;
    assert_eq!((july["a"].pays, july["c"].receives), (300, 300));
    let mut tx = mall.reading().await;
    let slice = rotunda::kernel::page::Slice {
        limit: 1,
        after: None,
    };
    let line = rotunda::ledger::history(&mut tx, ada, &slice)
        .await
        .unwrap()
        .unwrap()
        .items
        .remove(0);
    assert!(line.late);
    assert_eq!(line.occurred_at, at("2026-06-30T04:00:00Z"));
    let again = mall.closes("2026-06").await;
    assert_eq!((again.fresh, again.settlement), (false, closed.settlement));
    mall.every_face_agrees().await;
}
