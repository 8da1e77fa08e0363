//! Agreements as an office, a merchant and a till meet them.

use rotunda::kernel::{ids::Entropy, time::Clock};
use serde_json::json;

use crate::support::{
    front::{Front, PLAIN, Sheet},
    instant,
    outside::Server,
};

const SHOPS: Sheet = Sheet {
    shops: &[
        ("tea", r#"{ en = "Tea" }"#, r#"{ en = "Tea" }"#),
        ("book", r#"{ en = "Book" }"#, r#"{ en = "Book" }"#),
    ],
    ..PLAIN
};

/// A till that sold before takes the price that was agreed on meanwhile, from its first moment on,
/// and points that were earned before keep theirs.
#[tokio::test]
async fn a_till_takes_the_agreed_price_from_its_first_moment_on() {
    let clock = Clock::fixed(instant("2026-05-20T12:00:00Z"));
    let server = Server::open(8, clock.clone(), Entropy::System).await;
    let mall = Front::open(&server, &SHOPS, None).await;
    let (tea, book) = (
        mall.store(&server, "tea-1").await,
        mall.store(&server, "book-1").await,
    );
    let merchant = mall
        .find(&server, "/v1/merchants", "tea", "merchant_id")
        .await;
    let ada = mall.member(&server, &json!({"card_number": "1"})).await;
    let buy = |receipt: &'static str| {
        json!({
            "store_id": tea, "receipt_number": receipt, "member_id": ada,
            "lines": [{"category": "tea", "quantity": 1, "amount": 100_00}],
        })
    };
    let earned = server.post(mall.till(), "/v1/purchases", &buy("may")).await;
    assert_eq!(earned["points"], 100);

    let path = format!("/v1/merchants/{merchant}/agreements");
    let terms = json!({
        "from": "2026-06",
        "terms": {"model": "bilateral", "price": {"points": 1, "worth": 10}},
    });
    let proposed = server.post(mall.owner(), &path, &terms).await;
    assert_eq!(proposed["standing"], "proposed");
    let owner = server
        .key(
            &mall.tenant,
            "merchant.owner",
            Some(merchant.parse().unwrap()),
        )
        .await;
    let id = proposed["agreement_id"].as_str().unwrap();
    let path = format!("/v1/agreements/{id}/acceptance");
    let word = json!({"digest": proposed["digest"]});
    let accepted = server.post(mall.with(&owner), &path, &word).await;
    assert_eq!(accepted["standing"], "accepted");

    clock.set(instant("2026-05-31T23:59:59.999999Z"));
    server
        .post(mall.till(), "/v1/purchases", &buy("last"))
        .await;
    clock.set(instant("2026-06-01T00:00:00Z"));
    server
        .post(mall.till(), "/v1/purchases", &buy("first"))
        .await;
    // All three, from the earliest on: 1.00 and 1.00 and 10.00.
    let spend = json!({
        "store_id": book, "receipt_number": "s", "member_id": ada, "total": 1000_00, "points": 300,
    });
    server.post(mall.till(), "/v1/spends", &spend).await;
    let june = "/v1/settlements/preview?period=2026-06";
    let preview = server.get(mall.owner(), june).await;
    let tea = preview["merchants"].as_array().unwrap().iter();
    let tea = tea.clone().find(|one| one["code"] == "tea").unwrap();
    assert_eq!(tea["figures"]["pays"], 1200);
}
