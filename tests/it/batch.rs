//! Many receipts in one call: each answered for itself, in order, and as the operation for it alone
//! would answer.

use poem::http::Method;
use rotunda::{
    authz::{
        action::{PostBatch, RecordPurchase, RefundPurchase},
        actor::{Principal, Role},
        policy::Policy,
    },
    db::tenants::{Schema, Tenant},
    kernel::{
        ids::{Entropy, TenantId},
        time::Clock,
    },
};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::{
    NOON,
    books::owner,
    instant,
    outside::{Answer, Caller, Server, tables},
};

const MANIFEST: &str = include_str!("matrix/mall.toml");

/// A mall with one till for all its stores.
struct Desk {
    server: Server,
    tenant: Tenant,
    till: String,
    own: String,
    other: String,
    ada: String,
}

impl Desk {
    async fn open() -> Self {
        let clock = Clock::fixed(instant(NOON));
        let server = Server::open(8, clock, Entropy::System).await;
        let tenant = server.mall(MANIFEST).await;
        let till = server.key(&tenant, "machine.erp", None).await;
        let caller = Caller {
            host: &tenant.hosts[0],
            key: Some(&till),
        };
        let stores = server.get(caller, "/v1/stores").await;
        let store = |code: &str| {
            let mut all = stores["data"].as_array().unwrap().iter();
            let found = all.find(|one| one["code"] == code).unwrap();
            found["store_id"].as_str().unwrap().to_owned()
        };
        let (own, other) = (store("own-shop-1"), store("other-shop-1"));
        let ada = server
            .post(caller, "/v1/members", &json!({"card_number": "ada"}))
            .await;
        let ada = ada["member_id"].as_str().unwrap().to_owned();
        Self {
            server,
            tenant,
            till,
            own,
            other,
            ada,
        }
    }

    async fn ask(&self, key: &str, items: &Value) -> Answer {
        let caller = Caller {
            host: &self.tenant.hosts[0],
            key: Some(key),
        };
        let body = json!({ "items": items }).to_string();
        self.server
            .ask(caller, &Method::POST, "/v1/batch", Some(&body))
            .await
    }

    /// What became of each item: status, replayed, answer.
    async fn post(&self, items: &Value) -> Vec<(i64, bool, Value)> {
        let answer = self.ask(&self.till, items).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let data = answer.json()["data"].as_array().unwrap().clone();
        for (item, sent) in data.iter().zip(items.as_array().unwrap()) {
            assert_eq!(item["idempotency_key"], sent["idempotency_key"]);
        }
        let told = data.into_iter();
        told.map(|item| {
            let (status, replayed) = (&item["status"], &item["replayed"]);
            (
                status.as_i64().unwrap(),
                replayed.as_bool().unwrap(),
                item["answer"].clone(),
            )
        })
        .collect()
    }

    fn purchase(&self, key: &str, number: &str, dollars: i64) -> Value {
        json!({"idempotency_key": key, "purchase": {"store_id": self.own, "receipt_number": number,
            "member_id": self.ada, "lines": [{"category": "x", "quantity": 1,
            "amount": dollars * 100}]}})
    }

    fn spend(&self, key: &str, number: &str, points: i64) -> Value {
        json!({"idempotency_key": key, "spend": {"store_id": self.own, "receipt_number": number,
            "member_id": self.ada, "total": 100_000, "points": points}})
    }

    async fn available(&self) -> i64 {
        let caller = Caller {
            host: &self.tenant.hosts[0],
            key: Some(&self.till),
        };
        let path = format!("/v1/members/{}/balance", self.ada);
        let balance = self.server.get(caller, &path).await;
        balance["available"].as_i64().unwrap()
    }
}

fn codes(told: &[(i64, bool, Value)]) -> Vec<(i64, &str)> {
    told.iter()
        .map(|(status, _, answer)| (*status, answer["code"].as_str().unwrap_or("-")))
        .collect()
}

fn refund(key: &str, purchase: &Value, reference: &str) -> Value {
    json!({"idempotency_key": key, "refund": {"purchase_id": purchase, "reference": reference}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mixed_batch_is_done_in_order_and_again_changes_nothing() {
    let desk = Desk::open().await;
    let first = desk.post(&json!([desk.purchase("p0", "0", 5)])).await;
    assert_eq!(first[0].0, 201);
    let items = json!([
        desk.purchase("p1", "1", 10),
        // Possible only after the purchase before it.
        desk.spend("s1", "2", 12),
        desk.spend("s2", "3", 12),
        refund("r1", &first[0].2["purchase_id"], "R"),
        desk.purchase("p2", "4", 20),
        // The same receipt under another key: recorded before.
        desk.purchase("p3", "1", 10),
    ]);
    let told = desk.post(&items).await;
    let expected = [
        (201, "-"),
        (201, "-"),
        (409, "not-enough-points"),
        (201, "-"),
        (201, "-"),
        (200, "-"),
    ];
    assert_eq!(codes(&told), expected, "{told:?}");
    assert_eq!(told[0].2["points"], 10);
    assert_eq!(told[1].2["balance"], 3);
    assert_eq!(told[3].2["points_taken"], 3);
    assert_eq!(told[3].2["points_owed"], 2);
    assert_eq!(told[5].2, told[0].2);
    assert!(told.iter().all(|(_, replayed, _)| !replayed));
    assert_eq!(desk.available().await, 18);

    let before = tables(&desk.tenant).await;
    let again = desk.post(&items).await;
    for (one, other) in told.iter().zip(&again) {
        assert_eq!((one.0, true, &one.2), (other.0, other.1, &other.2));
    }
    assert_eq!(tables(&desk.tenant).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_one_act_in_a_batch_and_alone() {
    let desk = Desk::open().await;
    let caller = Caller {
        host: &desk.tenant.hosts[0],
        key: Some(&desk.till),
    };
    let alone = async |key: &str, path: &str, body: &Value| {
        let body = body.to_string();
        let answer = desk
            .server
            .ask_under(key, caller, &Method::POST, path, Some(&body))
            .await;
        (i64::from(answer.status), answer.json())
    };
    let bought = desk.purchase("k1", "1", 30);
    let paid = desk.spend("k2", "2", 5);
    let first = alone("k1", "/v1/purchases", &bought["purchase"]).await;
    let second = alone("k2", "/v1/spends", &paid["spend"]).await;
    let path = format!(
        "/v1/purchases/{}/refunds",
        first.1["purchase_id"].as_str().unwrap()
    );
    let third = alone("k3", &path, &json!({"reference": "R"})).await;
    let items = json!([bought, paid, refund("k3", &first.1["purchase_id"], "R")]);
    let told = desk.post(&items).await;
    let told: Vec<_> = told
        .into_iter()
        .map(|(status, replayed, answer)| {
            assert!(replayed);
            (status, answer)
        })
        .collect();
    assert_eq!(told, [first, second, third]);

    // Twice in one batch: the same is the same, something else is refused.
    let items = json!([
        desk.purchase("k4", "4", 1),
        desk.purchase("k4", "4", 1),
        desk.purchase("k4", "5", 1),
        desk.spend("k4", "6", 1),
    ]);
    let told = desk.post(&items).await;
    let reused = (422, "idempotency-key-reused");
    assert_eq!(codes(&told), [(201, "-"), (201, "-"), reused, reused]);
    assert_eq!((told[1].1, &told[1].2), (true, &told[0].2));
    // And what a batch did is answered alone.
    let again = alone(
        "k4",
        "/v1/purchases",
        &desk.purchase("", "4", 1)["purchase"],
    )
    .await;
    assert_eq!(again, (201, told[0].2.clone()));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_item_is_refused_alone() {
    let desk = Desk::open().await;
    // What the database itself refuses, whatever the house thinks of it.
    let schema = Schema::of(desk.tenant.id).to_string();
    let poison = "alter table purchase add constraint poison check (receipt_number <> '13')";
    sqlx::raw_sql(AssertSqlSafe(poison))
        .execute(&mut owner(&schema).await)
        .await
        .unwrap();
    let mut nobody = desk.purchase("n", "2", 1);
    nobody["purchase"]["member_id"] = json!(format!("mem_{}", "0".repeat(26)));
    let mut negative = desk.purchase("-", "3", 1);
    negative["purchase"]["lines"][0]["amount"] = json!(-1);
    let mut both = desk.purchase("b", "4", 1);
    both["spend"] = desk.spend("b", "4", 1)["spend"].clone();
    let mut keyless = desk.purchase("", "5", 1);
    keyless.as_object_mut().unwrap().remove("idempotency_key");
    let mut unknown = desk.purchase("u", "6", 1);
    unknown["purchase"]["points"] = json!(1_000_000);
    let items = json!([
        desk.purchase("1", "1", 1),
        nobody,
        negative,
        desk.purchase("13", "13", 1),
        both,
        {"idempotency_key": "e"},
        keyless,
        "item",
        unknown,
        desk.purchase("7", "7", 1),
        desk.spend("8", "8", 2),
    ]);
    let told = desk.post(&items).await;
    let bad = (400, "invalid-body");
    let expected = [
        (201, "-"),
        (404, "unknown-member"),
        bad,
        (500, "internal-error"),
        bad,
        bad,
        bad,
        bad,
        bad,
        (201, "-"),
        (201, "-"),
    ];
    assert_eq!(codes(&told), expected, "{told:?}");
    let pointer = &told[2].2["errors"][0]["pointer"];
    assert_eq!(pointer, "/items/2/purchase/lines/0/amount");
    assert_eq!(
        told[8].2["errors"][0]["pointer"],
        "/items/8/purchase/points"
    );
    assert_eq!(desk.available().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_done_only_by_whoever_may_do_it_alone() {
    let desk = Desk::open().await;
    let items = json!([desk.purchase("1", "1", 1)]);
    // Who may send no batch, and who is no one here.
    for role in ["machine.app", "operator.owner"] {
        let key = desk.server.key(&desk.tenant, role, None).await;
        let answer = desk.ask(&key, &items).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "not-allowed")
        );
    }
    let far = desk.server.mall(MANIFEST).await;
    let stranger = desk.server.key(&far, "machine.erp", None).await;
    let answer = desk.ask(&stranger, &items).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (401, "unknown-key")
    );

    // Another mall's store and purchase are nothing here, and another merchant's nothing to a till
    // of one merchant.
    let abroad = Caller {
        host: &far.hosts[0],
        key: Some(&stranger),
    };
    let theirs = desk.server.get(abroad, "/v1/stores").await;
    let mut foreign = desk.purchase("2", "2", 1);
    foreign["purchase"]["store_id"] = theirs["data"][0]["store_id"].clone();
    let told = desk.post(&json!([foreign])).await;
    assert_eq!(codes(&told), [(404, "unknown-store")]);

    let caller = Caller {
        host: &desk.tenant.hosts[0],
        key: Some(&desk.till),
    };
    let own = format!("/v1/stores/{}", desk.own);
    let own = desk.server.get(caller, &own).await;
    let merchant = own["merchant_id"].as_str().unwrap().parse().unwrap();
    let cashier = desk
        .server
        .key(&desk.tenant, "merchant.cashier", Some(merchant))
        .await;
    let mut elsewhere = desk.purchase("3", "3", 1);
    elsewhere["purchase"]["store_id"] = json!(desk.other);
    let items = json!([desk.purchase("4", "4", 1), elsewhere]);
    let answer = desk.ask(&cashier, &items).await.json();
    let statuses = [&answer["data"][0]["status"], &answer["data"][1]["status"]];
    assert_eq!(statuses, [&json!(201), &json!(404)]);
}

#[tokio::test]
async fn the_right_to_a_batch_is_no_right_to_what_is_in_it() {
    // A policy in which the mall's tills send batches and refund nothing.
    let roles = include_str!("../../policies/roles.csv")
        .replace("p, r:machine.erp, purchase, refund, mall\n", "");
    let inherits = include_str!("../../policies/inherits.csv");
    let policy = Policy::parse(&roles, inherits).await.unwrap();
    let mut till = Principal::system(TenantId::from_uuid(uuid::Uuid::nil()));
    till.role = Role::new("machine.erp");
    let batch = policy.allow::<PostBatch>(&till).unwrap();
    assert!(policy.also::<PostBatch, RecordPurchase>(&batch).is_ok());
    assert!(policy.also::<PostBatch, RefundPurchase>(&batch).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_as_a_whole_is_refused_for_what_it_is() {
    let desk = Desk::open().await;
    let items: Vec<Value> = (0..101)
        .map(|number| desk.purchase(&number.to_string(), &number.to_string(), 1))
        .collect();
    let before = tables(&desk.tenant).await;
    for (items, pointer) in [
        (json!(items), "/items"),
        (json!([]), "/items"),
        (json!(1), "/items"),
    ] {
        let answer = desk.ask(&desk.till, &items).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid-body")
        );
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer);
    }
    let caller = Caller {
        host: &desk.tenant.hosts[0],
        key: Some(&desk.till),
    };
    for (body, code) in [
        ("{\"items\": [", "invalid-json"),
        ("", "invalid-json"),
        ("[]", "invalid-body"),
        ("{}", "invalid-body"),
        (
            "{\"items\": [{\"idempotency_key\": \"1\"}], \"more\": 1}",
            "invalid-body",
        ),
    ] {
        let answer = desk
            .server
            .ask(caller, &Method::POST, "/v1/batch", Some(body))
            .await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{body}"
        );
    }
    assert_eq!(tables(&desk.tenant).await, before);

    // As many as may be, in more than one transaction.
    let told = desk.post(&json!(items[..100])).await;
    assert!(told.iter().all(|(status, ..)| *status == 201));
    assert_eq!(desk.available().await, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_an_item_that_has_to_wait_waits_too() {
    let desk = Desk::open().await;
    let first = desk.post(&json!([desk.purchase("0", "0", 5)])).await;
    assert_eq!(first[0].0, 201);
    // Somebody holds what purchases are written to: this one has to be tried again, and the spend
    // that it pays for must not be refused for good meanwhile.
    let schema = Schema::of(desk.tenant.id).to_string();
    let mut holder = owner(&schema).await;
    let hold = "begin; lock table purchase in exclusive mode";
    sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
    let items = json!([desk.purchase("1", "1", 10), desk.spend("2", "2", 12)]);
    let told = desk.post(&items).await;
    assert_eq!(codes(&told), [(503, "try-again"), (503, "try-again")]);
    sqlx::raw_sql("rollback")
        .execute(&mut holder)
        .await
        .unwrap();
    let told = desk.post(&items).await;
    assert_eq!(codes(&told), [(201, "-"), (201, "-")]);
    assert_eq!(desk.available().await, 3);
}
