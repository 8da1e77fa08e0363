//! Deposits, blocks and defaults, broken on purpose.

use rotunda::{
    merchants::credit::{Moved, OnDefault},
    settlement::paying::Method,
};

use super::{Damage, damage, finds, save};
use crate::support::settling::{Mall, at};

/// What the proof asks about credit.
pub const CHECKS: [&str; 10] = [
    "block-entered",
    "default-carried",
    "default-covered",
    "deposit-drawn",
    "deposit-kept",
    "guarantee-booked",
    "prepaid-booked",
    "prepaid-counted",
    "prepaid-given",
    "prepaid-posted",
];

/// A mall in which A used a part of a block, B paid from its deposit, and D and E did not pay; what D
/// owes is settled with July.
async fn credited() -> Mall {
    let mall = Mall::open("2026-05-20T00:00:00Z").await;
    let [prepaying, secured, creditor, debtor, guaranteed] =
        mall.shops(["a", "b", "c", "d", "e"]).await;
    mall.agrees_on_the_pool(prepaying, "2026-06").await;
    mall.clock.set(at("2026-07-02T00:00:00Z"));
    let programme = mall.programme("postpaid");
    mall.moves(prepaying, Moved::Block(10_000), "B-1")
        .await
        .unwrap();
    mall.moves(secured, Moved::Paid(60_00), "D-1")
        .await
        .unwrap();
    mall.moves(debtor, Moved::Paid(20_00), "D-1").await.unwrap();
    let noon = "2026-06-03T04:00:00Z";
    let ada = mall.member("1").await;
    let bought = mall
        .buys(&programme, ada, prepaying, ("1", 600), noon)
        .await;
    let bought = bought.unwrap().purchase;
    mall.takes_back(&programme, bought, ("1", 60), noon).await;
    for (number, shop, points) in [
        ("2", secured, 1_000),
        ("3", debtor, 3_000),
        ("4", guaranteed, 500),
    ] {
        let who = mall.member(number).await;
        mall.earns(who, shop, points, "2026-06-01T04:00:00Z").await;
        mall.spends(who, creditor, points, noon).await;
    }
    let june = mall.closes("2026-06").await.settlement.id;
    assert_eq!(mall.payments(june, None).await[1].payment.amount, 10_00);
    mall.records(june, 1, Method::Deposit, "B pays")
        .await
        .unwrap();
    for (shop, how) in [
        (debtor, OnDefault::ProRata),
        (guaranteed, OnDefault::Guarantee),
    ] {
        mall.accuses(1, shop).await.unwrap();
        mall.declares(2, shop, how).await.unwrap();
    }
    mall.clock.set(at("2026-08-02T00:00:00Z"));
    mall.closes("2026-07").await;
    mall
}

#[tokio::test]
async fn each_kind_of_damage_to_credit_is_found_by_its_own_check() {
    let mall = credited().await;
    for check in mall.proof().await {
        assert!(check.holds, "{check:?}");
        let asked = check.counted > 0 || !CHECKS.contains(&check.name);
        assert!(asked, "{} looked at nothing", check.name);
    }
    save(&mall).await;
    finds(&mall, all(), CHECKS.into()).await;
}

fn all() -> [Damage; 13] {
    [
        damage(
            "update credit set deposit = deposit + 1 where deposit > 0",
            &["deposit-kept"],
        ),
        damage(
            "update credit_entry set amount = amount + 1 where kind = 'deposit_paid'",
            &["deposit-kept"],
        ),
        damage(
            "update credit_entry set amount = amount + 1 where kind = 'deposit_drawn'",
            &["deposit-kept", "deposit-drawn"],
        ),
        damage(
            "delete from credit_entry where kind = 'deposit_drawn'",
            &["deposit-kept", "deposit-drawn"],
        ),
        damage("update prepaid set used = used + 1", &["prepaid-counted"]),
        damage(
            "update prepaid_use set points = points + 100 where points > 0",
            &["prepaid-counted", "prepaid-given"],
        ),
        damage(
            "update prepaid_use set posted_in = date '2026-08-01'",
            &["prepaid-posted"],
        ),
        damage(
            "update prepaid set amount = amount + 1",
            &["prepaid-booked", "block-entered"],
        ),
        damage(
            "delete from credit_entry where kind = 'block_bought'",
            &["block-entered"],
        ),
        damage(
            "update payment_cover set carried = carried + 1 where carried > 0",
            &["default-covered", "default-carried"],
        ),
        damage(
            "update payment_cover set carried_to = date '2026-06-01'",
            &["default-carried"],
        ),
        damage(
            "update payment_cover set guarantee = guarantee + 1 where guarantee > 0",
            &["default-covered", "guarantee-booked"],
        ),
        damage(
            "update payment set state = 'paid' where state = 'covered'",
            &["default-covered"],
        ),
    ]
}
