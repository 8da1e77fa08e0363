//! Points that people add and take by hand, over HTTP (features.md, E12).

use poem::http::Method;
use rotunda::{
    authz::{action::VerifyBooks, actor::Principal},
    kernel::{ids::Entropy, time::Clock},
    reports::proof::prove,
};
use serde_json::{Value, json};

use crate::support::{
    front::{Front, PLAIN, Sheet},
    instant,
    outside::{Answer, Server, tables},
};

const SHEET: Sheet = Sheet {
    earning: "adjust_alone = 50",
    expiry: "policy = \"rolling_month\"\nmonths = 12",
    settling: "approval = \"one\"\nconfirm_days = 0",
    shops: &[
        ("tea", r#"{ en = "Tea" }"#, r#"{ en = "Tea" }"#),
        ("cake", r#"{ en = "Cake" }"#, r#"{ en = "Cake" }"#),
    ],
    ..PLAIN
};

/// A mall with a supporter, two of finance, and a member with 100 points of tea.
struct June {
    server: Server,
    mall: Front,
    clock: Clock,
    ada: String,
    support: String,
    finance: [String; 2],
}

impl June {
    async fn open() -> Self {
        let clock = Clock::fixed(instant("2026-06-15T12:00:00Z"));
        let server = Server::open(4, clock.clone(), Entropy::System).await;
        let mall = Front::open(&server, &SHEET, None).await;
        let ada = mall.member(&server, &json!({"card_number": "1"})).await;
        let key = async |role| server.key(&mall.tenant, role, None).await;
        let support = key("operator.support").await;
        let finance = [key("operator.finance").await, key("operator.finance").await];
        let store = mall.store(&server, "tea-1").await;
        let bought = json!({"store_id": store, "receipt_number": "1", "member_id": ada,
            "lines": [{"category": "tea", "quantity": 1, "amount": 100_00}]});
        server.post(mall.till(), "/v1/purchases", &bought).await;
        Self {
            server,
            mall,
            clock,
            ada,
            support,
            finance,
        }
    }

    async fn asks(&self, key: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string);
        let caller = self.mall.with(key);
        self.server
            .ask(caller, &method, path, body.as_deref())
            .await
    }

    async fn proposes(&self, key: &str, shop: &str, points: i64) -> Answer {
        let store = self.mall.store(&self.server, &format!("{shop}-1")).await;
        let way = if points > 0 { "add" } else { "take" };
        let body = json!({"member_id": self.ada, "store_id": store, "way": way,
            "points": points.abs(), "reason": "complaint", "note": "Cold tea",
            "evidence": "C-17"});
        self.asks(key, Method::POST, "/v1/adjustments", Some(&body))
            .await
    }

    async fn decides(&self, key: &str, made: &Answer, outcome: &str) -> Answer {
        let id = made.json()["adjustment_id"].as_str().unwrap().to_owned();
        let body = json!({"outcome": outcome, "note": "Heard"});
        let path = format!("/v1/adjustments/{id}/decide");
        self.asks(key, Method::POST, &path, Some(&body)).await
    }

    async fn balance(&self) -> Value {
        let path = format!("/v1/members/{}/balance", self.ada);
        self.server.get(self.mall.till(), &path).await
    }

    async fn holds(&self) {
        let who = Principal::platform(Some(self.mall.tenant.id));
        let grant = self.server.app.policy.allow::<VerifyBooks>(&who).unwrap();
        let mut tx = self.server.app.db.read(&grant).await.unwrap();
        for check in prove(&mut tx, &grant).await.unwrap() {
            assert!(check.holds, "{check:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn little_is_done_at_once_and_much_by_two() {
    let june = June::open().await;
    let little = june.proposes(&june.support, "cake", 50).await;
    let said = little.json();
    assert_eq!(
        (little.status, &said["state"]),
        (201, &json!("posted")),
        "{said}"
    );
    assert_eq!(
        (&said["points"], &said["evidence"]),
        (&json!(50), &json!("C-17"))
    );
    let balance = june.balance().await;
    assert_eq!(balance["available"], 150);
    // A grant like any other: of the shop that bears it, with an end.
    let lots = balance["lots"].as_array().unwrap();
    let given = lots.iter().find(|lot| lot["points"] == 50).unwrap();
    assert_eq!(given["merchant_id"], said["merchant_id"]);
    assert_eq!(given["expires_at"], "2027-06-01T00:00:00.000000Z");

    let much = june.proposes(&june.finance[0], "cake", 51).await;
    assert_eq!(
        (much.status, &much.json()["state"]),
        (201, &json!("proposed"))
    );
    assert_eq!(june.balance().await["available"], 150);
    let waiting = "/v1/adjustments?state=proposed";
    let list = june.asks(&june.support, Method::GET, waiting, None).await;
    assert_eq!(list.json()["data"], json!([much.json()]));
    let own = june.decides(&june.finance[0], &much, "approved").await;
    assert_eq!(
        (own.status, own.code().as_str()),
        (409, "needs-second-person")
    );
    let done = june.decides(&june.finance[1], &much, "approved").await;
    let said = done.json();
    assert_eq!(
        (done.status, &said["state"]),
        (200, &json!("posted")),
        "{said}"
    );
    assert_eq!(said["decision_note"], "Heard");
    assert_eq!(june.balance().await["available"], 201);
    let again = june.decides(&june.finance[1], &much, "rejected").await;
    assert_eq!(again.code(), "adjustment-already-decided");

    let path = format!("/v1/members/{}/history", june.ada);
    let history = june.server.get(june.mall.till(), &path).await;
    let newest = &history["data"][0];
    assert_eq!(
        (&newest["kind"], &newest["points"]),
        (&json!("adjust"), &json!(51))
    );
    assert_eq!(newest["source_id"], said["adjustment_id"]);
    let no = june.proposes(&june.finance[0], "tea", 1_000).await;
    let no = june.decides(&june.finance[1], &no, "rejected").await;
    assert_eq!(
        (&no.json()["state"], no.json().get("journal_id")),
        (&json!("rejected"), None)
    );
    assert_eq!(june.balance().await["available"], 201);
    june.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_lapses_in_spend_order_and_never_more_than_there_is() {
    let june = June::open().await;
    june.clock.set(instant("2026-06-15T13:00:00Z"));
    june.proposes(&june.support, "cake", 30).await;
    let taken = june.proposes(&june.support, "tea", -40).await;
    assert_eq!(taken.json()["state"], "posted", "{}", taken.body);
    let balance = june.balance().await;
    assert_eq!(
        (&balance["available"], &balance["owed"]),
        (&json!(90), &json!(0))
    );
    assert_eq!(balance["lots"][0]["remaining"], 60, "the oldest first");
    let before = tables(&june.mall.tenant).await;
    for (points, code) in [
        (-91, "not-enough-points"),
        (-9_007_199_254_740_991, "not-enough-points"),
    ] {
        let proposed = june.proposes(&june.finance[0], "tea", points).await;
        assert_eq!(proposed.status, 201);
        let refused = june.decides(&june.finance[1], &proposed, "approved").await;
        assert_eq!((refused.status, refused.code().as_str()), (409, code));
    }
    let after = tables(&june.mall.tenant).await;
    for table in ["lot", "wallet", "journal", "transfer"] {
        assert_eq!(before[table], after[table], "{table}");
    }
    // Nobody owes for points that were taken by hand, and a refund takes what is left.
    june.clock.set(instant("2026-07-02T12:00:00Z"));
    let close = json!({"period": "2026-06"});
    let closed = june
        .server
        .post(june.mall.owner(), "/v1/settlements", &close)
        .await;
    let path = format!(
        "/v1/settlements/{}/statements",
        closed["settlement_id"].as_str().unwrap()
    );
    let all = june.server.get(june.mall.owner(), &path).await;
    let tea = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["code"] == "tea")
        .unwrap();
    assert_eq!(
        (&tea["figures"]["expired"], &tea["figures"]["net"]),
        (&json!(40), &json!(0))
    );
    june.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_decides_at_once_decides_once_and_what_cannot_be_is_refused() {
    let june = June::open().await;
    let much = june.proposes(&june.finance[0], "tea", 500).await;
    let tries = (0..8).map(|_| june.decides(&june.finance[1], &much, "approved"));
    let said: Vec<u16> = futures_util::future::join_all(tries)
        .await
        .iter()
        .map(|one| one.status)
        .collect();
    assert_eq!(
        said.iter().filter(|status| **status == 200).count(),
        1,
        "{said:?}"
    );
    assert_eq!(june.balance().await["available"], 600);

    let support = june.decides(&june.support, &much, "approved").await;
    assert_eq!(support.status, 403, "support proposes and does not decide");
    let cake = june.mall.store(&june.server, "cake-1").await;
    let path = format!("/v1/stores/{cake}/suspension");
    june.server
        .post(june.mall.owner(), &path, &Value::Null)
        .await;
    for points in [10, 100] {
        let none = june.proposes(&june.finance[0], "cake", points).await;
        assert_eq!(
            (none.status, none.code().as_str()),
            (409, "store-gives-no-points")
        );
    }
    let body = |field: &str, value: Value| {
        let mut body = json!({"member_id": june.ada, "store_id": cake, "way": "add", "points": 1,
            "reason": "goodwill", "note": "x"});
        body[field] = value;
        body
    };
    for (field, value, status) in [
        ("points", json!(0), 400),
        ("points", json!(-1), 400),
        ("reason", json!("because"), 400),
        ("note", json!(" "), 400),
        ("note", json!("a\u{0}b"), 400),
        ("member_id", json!("mem_00000000000000000000000000"), 404),
        ("store_id", json!("sto_00000000000000000000000000"), 404),
    ] {
        let body = body(field, value.clone());
        let refused = june
            .asks(&june.support, Method::POST, "/v1/adjustments", Some(&body))
            .await;
        assert_eq!(refused.status, status, "{field} {value}: {}", refused.body);
    }
    june.holds().await;
}
