//! People and keys who are narrowed to stores of their merchant.

use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{
    outside::Answer,
    people::{People, text},
};

/// A merchant with two stores, and what was bought in each.
struct Shop {
    mall: People,
    tea: String,
    here: String,
    there: String,
    elsewhere: String,
    member: String,
    /// A till of the whole mall.
    till: String,
}

impl Shop {
    async fn open() -> Self {
        let mall = People::open().await;
        let tea = mall.merchant("tea").await;
        let (server, front) = (&mall.server, &mall.front);
        let here = front.store(server, "tea-1").await;
        let elsewhere = front.store(server, "cake-1").await;
        let master = mall.master().await;
        let second = json!({"merchant_id": tea, "code": "tea-2", "names": {"en": "Tea 2"}});
        let second = server.post(mall.at(&master), "/v1/stores", &second).await;
        let there = text(&second["store_id"]);
        let member = front.member(server, &json!({"card_number": "ada"})).await;
        let till = server.key(&front.tenant, "machine.erp", None).await;
        Self {
            mall,
            tea,
            here,
            there,
            elsewhere,
            member,
            till,
        }
    }

    fn sale(&self, store: &str, receipt: &str) -> Value {
        json!({"store_id": store, "receipt_number": receipt, "member_id": self.member,
               "lines": [{"category": "tea", "quantity": 1, "amount": 100_00}]})
    }

    async fn sells(&self, by: &str, store: &str, receipt: &str) -> Answer {
        let sale = self.sale(store, receipt);
        self.mall.does(by, "/v1/purchases", &sale).await
    }

    /// A cashier's key of one store.
    async fn key(&self, role: &str, stores: &[&str]) -> Answer {
        let owner = self.mall.master().await;
        let key = json!({"label": "till", "role": role, "merchant_id": self.tea,
                         "store_ids": stores});
        self.mall.does(&owner, "/v1/keys", &key).await
    }
}

/// The same bytes as for what never was.
fn is_unknown(answer: &Answer, nothing: &Answer) {
    assert_eq!(answer.status, 404, "{}", answer.body);
    assert_eq!(answer.said(), nothing.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_till_of_one_store_knows_nothing_of_the_other() {
    let shop = Shop::open().await;
    let mall = &shop.mall;
    let key = shop.key("merchant.cashier", &[&shop.here]).await;
    assert_eq!(key.json()["store_ids"], json!([shop.here]), "{}", key.body);
    let key = text(&key.json()["secret"]);
    let nowhere = "sto_00000000000000000000000000";
    assert_eq!(shop.sells(&key, &shop.here, "1").await.status, 201);
    let nothing = shop.sells(&key, nowhere, "2").await;
    is_unknown(&shop.sells(&key, &shop.there, "2").await, &nothing);
    is_unknown(&shop.sells(&key, &shop.elsewhere, "2").await, &nothing);
    let preview = |store: &str| {
        let sale = shop.sale(store, "3");
        let key = &key;
        async move { mall.does(key, "/v1/purchases/preview", &sale).await }
    };
    is_unknown(&preview(&shop.there).await, &preview(nowhere).await);

    // What the other store sold is neither read nor refunded.
    let theirs = shop.sells(&shop.till, &shop.there, "4").await.json();
    let theirs = text(&theirs["purchase_id"]);
    let never = "pur_00000000000000000000000000";
    let read = |id: &str| {
        let (path, key) = (format!("/v1/purchases/{id}"), &key);
        async move {
            mall.server
                .ask(mall.at(key), &Method::GET, &path, None)
                .await
        }
    };
    is_unknown(&read(&theirs).await, &read(never).await);
    let refund = |id: &str| {
        let (path, key) = (format!("/v1/purchases/{id}/refunds"), &key);
        async move {
            mall.does(key, &path, &json!({"reference": "r", "amount": 1}))
                .await
        }
    };
    is_unknown(&refund(&theirs).await, &refund(never).await);

    // Points are spent and goods handed over here alone.
    let spend = |store: &str| {
        let body = json!({"store_id": store, "receipt_number": "5", "member_id": shop.member,
                          "total": 100_00, "points": 1});
        let key = &key;
        async move { mall.does(key, "/v1/spends", &body).await }
    };
    is_unknown(&spend(&shop.there).await, &spend(nowhere).await);
    assert_eq!(spend(&shop.here).await.status, 201);
    let good = json!({"code": "cup", "names": {"en": "Cup"}, "kind": "voucher", "points": 1,
                      "stock": 10, "offered_by": [shop.tea]});
    let owner = mall.master().await;
    let good = mall.server.post(mall.at(&owner), "/v1/goods", &good).await;
    let reserve = json!({"good_id": good["good_id"], "member_id": shop.member});
    let wait = mall
        .server
        .post(mall.at(&shop.till), "/v1/redemptions", &reserve);
    let wait = wait.await;
    let claim = format!("/v1/redemptions/{}/claim", text(&wait["code"]));
    let claims = |by: &str, store: &str| {
        let (body, by, claim) = (json!({"store_id": store}), by.to_owned(), claim.clone());
        async move { mall.does(&by, &claim, &body).await }
    };
    is_unknown(
        &claims(&key, &shop.there).await,
        &claims(&key, nowhere).await,
    );
    let seen = format!("/v1/redemptions/{}", text(&wait["redemption_id"]));
    assert_eq!(mall.asks(&key, &seen).await.0, 200, "nobody has it yet");
    assert_eq!(claims(&shop.till, &shop.there).await.status, 200);
    assert_eq!(mall.asks(&key, &seen).await.1, "unknown-redemption");

    // A batch answers item by item.
    let items: Vec<Value> = [(&shop.here, "6"), (&shop.there, "7")]
        .map(|(store, receipt)| {
            json!({"idempotency_key": receipt, "purchase": shop.sale(store, receipt)})
        })
        .into();
    let items = json!({"items": items});
    let batch = mall.server.post(mall.at(&key), "/v1/batch", &items).await;
    let answers = batch["data"].as_array().unwrap();
    assert_eq!(
        [&answers[0]["status"], &answers[1]["status"]],
        [&json!(201), &json!(404)],
        "{batch}"
    );

    // A member's history names what happened here.
    let path = format!("/v1/members/{}/history", shop.member);
    let lines = mall.server.get(mall.at(&key), &path).await;
    let stores: Vec<&str> = lines["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|line| line["store_id"].as_str())
        .collect();
    assert!(
        !stores.is_empty() && stores.iter().all(|store| *store == shop.here),
        "{lines}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_narrowed_to_stores_has_nothing_that_knows_of_none() {
    let shop = Shop::open().await;
    let mall = &shop.mall;
    let rights = [
        ("statement", "read"),
        ("store", "read"),
        ("purchase", "record"),
    ];
    let owner = mall.master().await;
    let made = super::own_roles::make(mall, &owner, "both", "merchant", &rights).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let key = shop.key("own.both", &[&shop.here]).await;
    let key = text(&key.json()["secret"]);
    assert_eq!(mall.asks(&key, "/v1/stores").await.0, 200);
    assert_eq!(shop.sells(&key, &shop.here, "1").await.status, 201);
    let path = "/v1/statements/stm_00000000000000000000000000";
    assert_eq!(
        mall.asks(&key, path).await.0,
        403,
        "it has the role, for the store"
    );
    let can = mall
        .server
        .get(mall.at(&owner), "/v1/permissions/statement/read");
    assert!(
        !can.await.to_string().contains("\"till\""),
        "nor is it said to have it"
    );
    let can = mall
        .server
        .get(mall.at(&owner), "/v1/permissions/purchase/record");
    let can = can.await;
    let holders = can["data"].as_array().unwrap();
    let narrowed = holders.iter().find(|one| one["name"] == "till").unwrap();
    assert_eq!(narrowed["store_ids"], json!([shop.here]));
    for (role, stores, code) in [
        (
            "merchant.cashier",
            vec![shop.elsewhere.as_str()],
            "unknown-store",
        ),
        (
            "merchant.cashier",
            vec![shop.here.as_str(), shop.elsewhere.as_str()],
            "unknown-store",
        ),
    ] {
        assert_eq!(shop.key(role, &stores).await.code(), code);
    }
    let mall_key = json!({"label": "x", "role": "machine.erp", "store_ids": [shop.here]});
    let refused = mall.does(&owner, "/v1/keys", &mall_key).await;
    assert_eq!(refused.code(), "cannot-narrow");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cashier_changes_stores_and_gives_no_more_than_theirs() {
    let shop = Shop::open().await;
    let mall = &shop.mall;
    let boss = mall
        .whole("boss@tea.example", &["merchant.owner"], Some(&shop.tea))
        .await;
    let ada = mall
        .active("ada@tea.example", &["merchant.cashier"], Some(&shop.tea))
        .await;
    let narrow = |who: &str, roles: &[&str], stores: Option<&[&str]>| {
        let mut body = json!({"roles": roles});
        if let Some(stores) = stores {
            body["store_ids"] = json!(stores);
        }
        let (path, body) = (format!("/v1/staff/{who}/roles"), body.to_string());
        let token = boss.token.clone();
        async move {
            let caller = mall.at(&token);
            mall.server
                .ask(caller, &Method::PUT, &path, Some(&body))
                .await
        }
    };
    assert_eq!(shop.sells(&ada.token, &shop.there, "1").await.status, 201);
    let cashier = ["merchant.cashier"];
    let set = narrow(&ada.id, &cashier, Some(&[&shop.here])).await;
    assert_eq!(set.json()["store_ids"], json!([shop.here]), "{}", set.body);
    let mut status = 0;
    for number in 0..100 {
        status = shop
            .sells(&ada.token, &shop.there, &format!("n-{number}"))
            .await
            .status;
        if status == 404 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(status, 404, "the till's lane looks again too");
    assert_eq!(shop.sells(&ada.token, &shop.here, "2").await.status, 201);
    let far = narrow(&ada.id, &cashier, Some(&[&shop.elsewhere])).await;
    assert_eq!(far.code(), "unknown-store");
    let own = narrow(&boss.id, &["merchant.owner"], Some(&[&shop.here])).await;
    assert_eq!(own.code(), "cannot-narrow");
    let wide = narrow(&ada.id, &cashier, None).await;
    assert_eq!(wide.json()["store_ids"], Value::Null);
}
