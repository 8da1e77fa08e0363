//! Points that one merchant alone takes, over HTTP (features.md, E18).

use rotunda::{
    authz::{action::VerifyBooks, actor::Principal},
    kernel::{
        ids::{Entropy, MerchantId},
        time::Clock,
    },
    reports::proof::prove,
};
use serde_json::{Value, json};

use crate::support::{
    front::{Front, PLAIN, Sheet},
    outside::Server,
};

/// What tea gives is for tea alone; cake's points pay anywhere.
const SHEET: Sheet = Sheet {
    earning: r#"only_here = ["tea"]"#,
    shops: &[
        ("tea", r#"{ en = "Tea" }"#, r#"{ en = "Tea" }"#),
        ("cake", r#"{ en = "Cake" }"#, r#"{ en = "Cake" }"#),
    ],
    goods: &[
        ("cup", r#"{ en = "Cup" }"#, "pickup", 250, 10, &["tea"]),
        (
            "plate",
            r#"{ en = "Plate" }"#,
            "pickup",
            250,
            10,
            &["tea", "cake"],
        ),
    ],
    ..PLAIN
};

/// A member with 300 points from tea and 100 from cake.
struct Afternoon {
    server: Server,
    mall: Front,
    ada: String,
}

impl Afternoon {
    async fn begin() -> Self {
        let server = Server::open(4, Clock::System, Entropy::System).await;
        let mall = Front::open(&server, &SHEET, None).await;
        let ada = mall.member(&server, &json!({"card_number": "1"})).await;
        let afternoon = Self { server, mall, ada };
        afternoon.buys("tea", 300_00).await;
        afternoon.buys("cake", 100_00).await;
        afternoon
    }

    async fn buys(&self, shop: &str, amount: i64) -> Value {
        let store = self.mall.store(&self.server, &format!("{shop}-1")).await;
        let bought = json!({"store_id": store, "receipt_number": format!("B-{amount}"),
            "member_id": self.ada, "lines": [{"category": "tea", "quantity": 1, "amount": amount}]});
        self.server
            .post(self.mall.till(), "/v1/purchases", &bought)
            .await
    }

    async fn merchant(&self, shop: &str) -> String {
        self.mall
            .find(&self.server, "/v1/merchants", shop, "merchant_id")
            .await
    }

    /// The most points that a till of that shop would take for a large receipt.
    async fn takes(&self, shop: &str) -> i64 {
        let store = self.mall.store(&self.server, &format!("{shop}-1")).await;
        let asked = json!({"store_id": store, "member_id": self.ada, "total": 1000_00});
        let said = self
            .server
            .post(self.mall.till(), "/v1/spends/preview", &asked)
            .await;
        said["points"].as_i64().unwrap()
    }

    /// Pays with so many points; what is said.
    async fn pays(&self, shop: &str, receipt: &str, points: i64) -> (u16, Value) {
        let store = self.mall.store(&self.server, &format!("{shop}-1")).await;
        let body = json!({"store_id": store, "receipt_number": receipt, "member_id": self.ada,
            "total": 1000_00, "points": points});
        let said = self
            .server
            .ask(
                self.mall.till(),
                &poem::http::Method::POST,
                "/v1/spends",
                Some(&body.to_string()),
            )
            .await;
        (said.status, said.json())
    }

    async fn reserves(&self, good: &str) -> (u16, String) {
        let good = self
            .mall
            .find(&self.server, "/v1/goods", good, "good_id")
            .await;
        let body = json!({"good_id": good, "member_id": self.ada});
        let said = self
            .server
            .ask(
                self.mall.till(),
                &poem::http::Method::POST,
                "/v1/redemptions",
                Some(&body.to_string()),
            )
            .await;
        let code = said.json()["code"].as_str().unwrap_or_default().to_owned();
        (said.status, code)
    }

    /// That the mall's books hold.
    async fn holds(&self) {
        let who = Principal::platform(Some(self.mall.tenant.id));
        let grant = self.server.app.policy.allow::<VerifyBooks>(&who).unwrap();
        let mut tx = self.server.app.db.read(&grant).await.unwrap();
        for check in prove(&mut tx, &grant).await.unwrap() {
            assert!(check.holds, "{check:?}");
        }
    }

    async fn reads(&self, key: Option<&str>, what: &str) -> Value {
        let path = format!("/v1/members/{}/{what}", self.ada);
        let caller = key.map_or(self.mall.till(), |key| self.mall.with(key));
        self.server.get(caller, &path).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_merchant_keeps_for_itself_pays_there_and_nowhere_else() {
    let it = Afternoon::begin().await;
    assert_eq!((it.takes("tea").await, it.takes("cake").await), (400, 100));
    let (status, refused) = it.pays("cake", "1", 101).await;
    assert_eq!(
        (status, &refused["code"]),
        (409, &json!("not-enough-points")),
        "{refused}"
    );
    // The soonest to lapse goes first, and of those the oldest: tea's own, at tea.
    let (status, paid) = it.pays("tea", "2", 350).await;
    assert_eq!((status, &paid["balance"]), (201, &json!(50)), "{paid}");
    assert_eq!((it.takes("tea").await, it.takes("cake").await), (50, 50));
    let balance = it.reads(None, "balance").await;
    assert_eq!(
        (&balance["available"], &balance["earmarked"]),
        (&json!(50), &json!([]))
    );
    it.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_sees_what_is_for_one_merchant_and_a_merchant_sees_what_it_takes() {
    let it = Afternoon::begin().await;
    let (tea, cake) = (it.merchant("tea").await, it.merchant("cake").await);
    let balance = it.reads(None, "balance").await;
    assert_eq!(balance["available"], 400);
    assert_eq!(
        balance["earmarked"],
        json!([{"merchant_id": tea, "points": 300}])
    );
    assert_eq!(balance["lots"][0]["only_at"], json!(tea));
    let home = it.reads(None, "home").await;
    assert_eq!(home["available"], 400);
    assert_eq!(
        home["earmarked"],
        json!([{"merchant_id": tea, "merchant_names": {"en": "Tea"}, "points": 300}])
    );
    for (shop, available, earmarked, lots) in [(&tea, 400, 1, 2), (&cake, 100, 0, 1)] {
        let own: MerchantId = shop.parse().unwrap();
        let key = it
            .server
            .key(&it.mall.tenant, "merchant.cashier", Some(own))
            .await;
        let balance = it.reads(Some(&key), "balance").await;
        assert_eq!(balance["available"], available);
        assert_eq!(balance["earmarked"].as_array().unwrap().len(), earmarked);
        assert_eq!(balance["lots"].as_array().unwrap().len(), lots);
        let home = it.reads(Some(&key), "home").await;
        assert_eq!(home["available"], available);
        assert_eq!(home["earmarked"].as_array().unwrap().len(), earmarked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_takes_them_where_that_merchant_alone_hands_it_over() {
    let it = Afternoon::begin().await;
    assert_eq!(
        it.reserves("plate").await,
        (409, "not-enough-points".to_owned())
    );
    assert_eq!(it.reserves("cup").await.0, 201);
    let balance = it.reads(None, "balance").await;
    assert_eq!(
        (&balance["available"], &balance["held"]),
        (&json!(150), &json!(250))
    );
    it.holds().await;
}
