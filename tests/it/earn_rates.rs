//! Merchants that choose how many points they give, over HTTP (features.md, B8).

use poem::http::Method;
use rotunda::kernel::{
    ids::{Entropy, MerchantId},
    time::Clock,
};
use serde_json::{Value, json};

use crate::support::{
    front::{Front, PLAIN, Sheet, open_mall_called},
    instant,
    outside::{Answer, Server, tables},
};

const SHEET: Sheet = Sheet {
    rule: ", own = { least = 1, most = 5 }",
    shops: &[
        ("tea", r#"{ en = "Tea" }"#, r#"{ en = "Tea" }"#),
        ("cake", r#"{ en = "Cake" }"#, r#"{ en = "Cake" }"#),
    ],
    ..PLAIN
};

/// A mall in which tea and cake may choose, at noon of 15 June.
struct June {
    server: Server,
    mall: Front,
    clock: Clock,
    ada: String,
    tea: String,
    tea_owner: String,
}

impl June {
    async fn open() -> Self {
        let clock = Clock::fixed(instant("2026-06-15T12:00:00Z"));
        let server = Server::open(4, clock.clone(), Entropy::System).await;
        let mall = Front::open(&server, &SHEET, None).await;
        let ada = mall.member(&server, &json!({"card_number": "1"})).await;
        let tea = mall
            .find(&server, "/v1/merchants", "tea", "merchant_id")
            .await;
        let merchant: MerchantId = tea.parse().unwrap();
        let tea_owner = server
            .key(&mall.tenant, "merchant.owner", Some(merchant))
            .await;
        Self {
            server,
            mall,
            clock,
            ada,
            tea,
            tea_owner,
        }
    }

    /// What 10.00 earn at a shop, and what the merchant gives by the rule instead of its points.
    async fn earns(&self, shop: &str, receipt: &str, at: Option<&str>) -> (i64, Value) {
        let store = self.mall.store(&self.server, shop).await;
        let mut bought = json!({"store_id": store, "receipt_number": receipt,
            "member_id": self.ada, "lines": [{"category": "tea", "quantity": 1, "amount": 10_00}]});
        if let Some(at) = at {
            bought["occurred_at"] = at.into();
        }
        let till = self.mall.till();
        let made = self.server.post(till, "/v1/purchases", &bought).await;
        let own = made["rules"][0]["own"].clone();
        (made["points"].as_i64().unwrap(), own)
    }

    async fn asks(&self, key: &str, method: Method, body: Option<&Value>) -> Answer {
        let path = format!("/v1/merchants/{}/earn-rates", self.tea);
        let body = body.map(Value::to_string);
        self.server
            .ask(self.mall.with(key), &method, &path, body.as_deref())
            .await
    }

    /// Tea's owner chooses.
    async fn chooses(&self, body: Value) -> Answer {
        self.asks(&self.tea_owner, Method::PUT, Some(&body)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_chooses_within_the_operators_range_and_its_next_receipt_earns_by_it() {
    let june = June::open().await;
    assert_eq!(june.earns("tea-1", "1", None).await, (10, Value::Null));
    june.clock.set(instant("2026-06-15T13:00:00Z"));
    let chosen = june.chooses(json!({"rule": "base", "points": 3})).await;
    let said = chosen.json();
    assert_eq!((chosen.status, &said["points"]), (200, &json!(3)), "{said}");
    assert_eq!(said["since"], "2026-06-15T13:00:00.000000Z");
    assert_eq!(june.earns("tea-1", "2", None).await, (30, json!(3)));
    assert_eq!(june.earns("cake-1", "3", None).await, (10, Value::Null));
    // What was sold before earns as it was offered then.
    let before = Some("2026-06-15T12:30:00Z");
    assert_eq!(june.earns("tea-1", "4", before).await, (10, Value::Null));

    let list = june.asks(&june.tea_owner, Method::GET, None).await.json();
    assert_eq!(
        list["data"],
        json!([{"rule": "base", "per": 1_00, "currency": "USD", "points": 3, "rule_points": 1,
            "least": 1, "most": 5, "since": "2026-06-15T13:00:00.000000Z",
            "settles_points": 100, "settles_worth": 1_00}])
    );
    // The same again is no other choice, and none at all is the rule's own again.
    let rows = tables(&june.mall.tenant).await["earn_rate"].clone();
    june.chooses(json!({"rule": "base", "points": 3})).await;
    assert_eq!(tables(&june.mall.tenant).await["earn_rate"], rows);
    let back = june.chooses(json!({"rule": "base"})).await.json();
    assert_eq!((&back["points"], &back["since"]), (&json!(1), &Value::Null));
    assert_eq!(june.earns("tea-1", "5", None).await, (10, Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_range_unknown_or_anothers_is_refused_and_changes_nothing() {
    let june = June::open().await;
    let before = tables(&june.mall.tenant).await["earn_rate"].clone();
    for points in [0, 6, 9_007_199_254_740_991_i64] {
        let refused = june
            .chooses(json!({"rule": "base", "points": points}))
            .await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (409, "earn-rate-out-of-range")
        );
        assert_eq!(
            refused.json()["detail"],
            "By this rule merchants give 1 to 5 points."
        );
    }
    let unknown = june.chooses(json!({"rule": "bonus", "points": 2})).await;
    assert_eq!(
        (unknown.status, unknown.code().as_str()),
        (404, "unknown-earn-rate")
    );
    let negative = june.chooses(json!({"rule": "base", "points": -1})).await;
    assert_eq!(negative.status, 400);
    let cake = june
        .mall
        .find(&june.server, "/v1/merchants", "cake", "merchant_id")
        .await;
    let cake: MerchantId = cake.parse().unwrap();
    let wanted = json!({"rule": "base", "points": 2});
    for (role, merchant, status) in [
        ("merchant.owner", Some(cake), 404),
        ("merchant.manager", Some(cake), 403),
        ("operator.finance", None, 403),
    ] {
        let key = june.server.key(&june.mall.tenant, role, merchant).await;
        let refused = june.asks(&key, Method::PUT, Some(&wanted)).await;
        assert_eq!(refused.status, status, "{role}");
    }
    assert_eq!(tables(&june.mall.tenant).await["earn_rate"], before);
    let operator = june
        .server
        .key(&june.mall.tenant, "operator.merchant-manager", None)
        .await;
    let chosen = june.asks(&operator, Method::PUT, Some(&wanted)).await;
    assert_eq!(chosen.json()["points"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_becomes_narrower_or_goes_away_holds_for_what_was_chosen_before() {
    let june = June::open().await;
    june.chooses(json!({"rule": "base", "points": 5})).await;
    assert_eq!(june.earns("tea-1", "1", None).await, (50, json!(5)));
    for (hour, rule, earned) in [
        (13, ", own = { least = 1, most = 2 }", (20, json!(2))),
        (14, "", (10, Value::Null)),
    ] {
        june.clock
            .set(instant(&format!("2026-06-15T{hour}:00:00Z")));
        let sheet = Sheet { rule, ..SHEET };
        let slug = june.mall.tenant.slug.as_str();
        open_mall_called(&june.server.app, slug, &sheet.to_string(), None).await;
        assert_eq!(june.earns("tea-1", &hour.to_string(), None).await, earned);
        let list = june.asks(&june.tea_owner, Method::GET, None).await.json();
        assert_eq!(
            list["data"].as_array().unwrap().len(),
            usize::from(hour == 13)
        );
    }
}
