//! What tills and offices meet behind the door: answers that stay the same for ever, and things of
//! others that look like nothing.

use std::{net::SocketAddr, path::Path};

use poem::{Endpoint, Response, test::TestClient};
use rotunda::{
    app::App,
    authz::{
        action::CreateKey,
        actor::{Principal, Role},
    },
    cli,
    cli::tenant::apply,
    config::{Config, LogFormat},
    db::tenants::Tenant,
    identity::{self, NewKey},
    kernel::ids::MerchantId,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::support::{fresh_slug, url};

/// One mall behind its API, with the keys of its office and of its tills.
struct Desk<E> {
    app: App,
    tenant: Tenant,
    client: TestClient<E>,
    owner: String,
    till: String,
}

/// An answer: its status, whether it was remembered, its body.
type Answer = (u16, bool, Value);

async fn open() -> Desk<impl Endpoint<Output = Response>> {
    let app = App::open(Config {
        data_dir: std::env::temp_dir(),
        database_url: Some(SecretString::from(url())),
        targets: rotunda::db::locator::Targets::new(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        base_url: None,
        mail: None,
        sms: None,
        codes_a_day: 5_000,
        secrets_key: None,
        files: rotunda::config::Files {
            dir: std::env::temp_dir(),
            largest: 1 << 20,
            bucket: None,
        },
        behind_proxy: false,
        dev: false,
        stripe: std::collections::BTreeMap::new(),
        stripe_url: None,
        log: LogFormat::Text,
        connections: 8,
        drain_seconds: 0,
    })
    .await
    .unwrap();
    app.db.prepare().await.unwrap();
    let slug = fresh_slug();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/mall.toml");
    let manifest = std::fs::read_to_string(sample)
        .unwrap()
        .replace("slug = \"contract\"", &format!("slug = \"{slug}\""))
        .replace("127.0.0.1", &format!("{slug}.localhost"));
    let path = std::env::temp_dir().join(format!("{slug}.toml"));
    std::fs::write(&path, manifest).unwrap();
    let tenant = apply(&app, &path).await.unwrap().tenant;
    std::fs::remove_file(&path).unwrap();
    let client = TestClient::new(cli::endpoint(&app));
    let mut desk = Desk {
        app,
        tenant,
        client,
        owner: String::new(),
        till: String::new(),
    };
    desk.owner = desk.key("operator.owner", None).await;
    desk.till = desk.key("machine.erp", None).await;
    desk
}

impl<E: Endpoint> Desk<E> {
    async fn key(&self, role: &str, merchant: Option<MerchantId>) -> String {
        let vendor = Principal::platform(Some(self.tenant.id));
        let grant = self.app.policy.allow::<CreateKey>(&vendor).unwrap();
        let label = role.parse().unwrap();
        let new = NewKey::new(
            &self.app.policy,
            &rotunda::authz::own::OwnRoles::default(),
            label,
            Role::new(role),
            merchant,
            rotunda::authz::actor::Stores::All,
        )
        .unwrap();
        let mut tx = self.app.db.write(&grant).await.unwrap();
        let (_, secret) = identity::create(&mut tx, &self.app.policy, &grant, new)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        secret.expose_secret().to_owned()
    }

    async fn post(&self, key: &str, act: &str, path: &str, body: &Value) -> Answer {
        let request = self.client.post(path).body_json(body);
        let request = request
            .header("host", &self.tenant.hosts[0])
            .header("authorization", format!("Bearer {key}"))
            .header("idempotency-key", act);
        answer(request.send().await.0).await
    }

    async fn get(&self, key: &str, path: &str) -> Answer {
        let request = self.client.get(path).header("host", &self.tenant.hosts[0]);
        let request = request.header("authorization", format!("Bearer {key}"));
        answer(request.send().await.0).await
    }

    /// The id of what has that code in a list.
    async fn id(&self, list: &str, code: &str, name: &str) -> String {
        let (_, _, body) = self.get(&self.owner, list).await;
        let all = body["data"].as_array().unwrap();
        let found = all.iter().find(|one| one["code"] == code).unwrap();
        found[name].as_str().unwrap().to_owned()
    }

    async fn store(&self, code: &str) -> String {
        self.id("/v1/stores", code, "store_id").await
    }

    async fn merchant(&self, code: &str) -> String {
        self.id("/v1/merchants", code, "merchant_id").await
    }

    async fn member(&self, card: &str) -> String {
        let body = json!({"card_number": card});
        let (status, _, body) = self.post(&self.till, card, "/v1/members", &body).await;
        assert_eq!(status, 201, "{body}");
        body["member_id"].as_str().unwrap().to_owned()
    }

    async fn balance(&self, member: &str) -> i64 {
        let path = format!("/v1/members/{member}/balance");
        let (_, _, body) = self.get(&self.till, &path).await;
        body["available"].as_i64().unwrap()
    }
}

async fn answer(response: Response) -> Answer {
    let status = response.status().as_u16();
    let again = response.headers().contains_key("idempotent-replayed");
    let bytes = response.into_body().into_bytes().await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap();
    (status, again, body)
}

fn purchase(store: &str, number: &str, member: &str, amount: i64) -> Value {
    json!({
        "store_id": store,
        "receipt_number": number,
        "member_id": member,
        "lines": [{"category": "tea", "quantity": 1, "amount": amount}],
    })
}

/// What a problem says, without what differs from request to request.
fn said(mut problem: Value) -> String {
    let members = problem.as_object_mut().unwrap();
    for name in ["request_id", "instance"] {
        assert!(members.contains_key(name));
        members.insert(name.to_owned(), Value::Null);
    }
    problem.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_gets_its_first_answer_for_ever() {
    let desk = open().await;
    let (tea, ada) = (desk.store("tea-1f").await, desk.member("ada").await);
    let body = purchase(&tea, "1", &ada, 300_00);
    let path = "/v1/purchases";

    let first = desk.post(&desk.till, "a", path, &body).await;
    assert_eq!((first.0, first.1), (201, false), "{}", first.2);
    assert_eq!(first.2["points"], 300);
    assert_eq!(first.2["balance"], 300);
    let same_act = desk.post(&desk.till, "a", path, &body).await;
    assert_eq!(same_act, (201, true, first.2.clone()));
    let other = purchase(&tea, "2", &ada, 50_00);
    assert_eq!(desk.post(&desk.till, "b", path, &other).await.0, 201);
    let same_receipt = desk.post(&desk.till, "c", path, &body).await;
    assert_eq!(same_receipt, (200, false, first.2));
    let changed = purchase(&tea, "1", &ada, 1);
    let (status, _, body) = desk.post(&desk.till, "d", path, &changed).await;
    assert_eq!((status, &body["code"]), (409, &json!("receipt-taken")));
    let (status, _, body) = desk.post(&desk.till, "a", path, &changed).await;
    assert_eq!(
        (status, &body["code"]),
        (422, &json!("idempotency-key-reused"))
    );

    let cinema = desk.store("cinema-4f").await;
    let spend = |number: &str, points: i64| {
        json!({"store_id": cinema, "receipt_number": number, "member_id": ada,
               "total": 100_00, "points": points})
    };
    let path = "/v1/spends";
    let first = desk.post(&desk.till, "e", path, &spend("1", 100)).await;
    assert_eq!((first.0, &first.2["balance"]), (201, &json!(250)));
    assert_eq!(
        desk.post(&desk.till, "f", path, &spend("2", 200)).await.0,
        201
    );
    let again = desk.post(&desk.till, "g", path, &spend("1", 100)).await;
    assert_eq!(again, (200, false, first.2));
    assert_eq!(desk.balance(&ada).await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_tills_record_one_receipt_at_once_and_it_earns_once() {
    let desk = open().await;
    let (tea, ada) = (desk.store("tea-1f").await, desk.member("ada").await);
    let body = purchase(&tea, "1", &ada, 10_00);
    let acts: Vec<String> = (0..12).map(|till| format!("till-{till}")).collect();
    let sent = acts
        .iter()
        .map(|act| desk.post(&desk.till, act, "/v1/purchases", &body));
    let answers = futures_util::future::join_all(sent).await;
    let made = answers.iter().filter(|answer| answer.0 == 201).count();
    let known = answers.iter().filter(|answer| answer.0 == 200).count();
    assert_eq!((made, known), (1, 11), "{answers:?}");
    assert!(answers.iter().all(|answer| answer.2 == answers[0].2));
    assert_eq!(desk.balance(&ada).await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_what_a_purchase_earns_and_writes_nothing() {
    let desk = open().await;
    let (tea, ada) = (desk.store("tea-1f").await, desk.member("ada").await);
    let mut body = purchase(&tea, "1", &ada, 12_50);
    let path = "/v1/purchases/preview";
    let (status, _, preview) = desk.post(&desk.till, "a", path, &body).await;
    assert_eq!((status, &preview["points"]), (200, &json!(12)));
    assert_eq!(
        preview["explanation"],
        json!(["The rule base gives 12 points for 12.50 CNY."])
    );
    assert_eq!(desk.balance(&ada).await, 0);
    // The same receipt is still new, and a member may be named by card.
    body["member_id"].take();
    body.as_object_mut().unwrap().remove("member_id");
    body["card_number"] = json!("ada");
    let (status, _, made) = desk.post(&desk.till, "b", "/v1/purchases", &body).await;
    assert_eq!((status, &made["member_id"]), (201, &json!(ada)));
    body["card_number"] = json!("nobody");
    let (status, _, none) = desk.post(&desk.till, "c", path, &body).await;
    assert_eq!((status, &none["code"]), (404, &json!("unknown-member")));
    body["member_id"] = json!(ada);
    let (status, _, both) = desk.post(&desk.till, "d", path, &body).await;
    assert_eq!((status, &both["code"]), (409, &json!("member-not-one")));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_merchants_things_look_like_nothing() {
    let desk = open().await;
    let (cinema, ada) = (desk.store("cinema-4f").await, desk.member("ada").await);
    let body = purchase(&cinema, "1", &ada, 10_00);
    let (_, _, made) = desk.post(&desk.till, "a", "/v1/purchases", &body).await;
    let theirs = made["purchase_id"].as_str().unwrap();
    let tea: MerchantId = desk.merchant("tea").await.parse().unwrap();
    let key = desk.key("merchant.owner", Some(tea)).await;
    let nothing = "00000000000000000000000000";
    let merchant = desk.merchant("cinema").await;
    for (there, nowhere) in [
        (
            format!("/v1/purchases/{theirs}"),
            format!("/v1/purchases/pur_{nothing}"),
        ),
        (
            format!("/v1/stores/{cinema}"),
            format!("/v1/stores/sto_{nothing}"),
        ),
        (
            format!("/v1/merchants/{merchant}"),
            format!("/v1/merchants/mer_{nothing}"),
        ),
    ] {
        let (one, other) = (desk.get(&key, &there).await, desk.get(&key, &nowhere).await);
        assert_eq!((one.0, other.0), (404, 404));
        assert_eq!(said(one.2), said(other.2));
    }
    let refund = json!({"reference": "1"});
    let path = |id: &str| format!("/v1/purchases/{id}/refunds");
    let one = desk.post(&key, "a", &path(theirs), &refund).await;
    let other = path(&format!("pur_{nothing}"));
    let other = desk.post(&key, "b", &other, &refund).await;
    assert_eq!((one.0, said(one.2)), (other.0, said(other.2)));
    let body = purchase(&cinema, "9", &ada, 1);
    let one = desk.post(&key, "c", "/v1/purchases", &body).await;
    let body = purchase(&format!("sto_{nothing}"), "9", &ada, 1);
    let other = desk.post(&key, "d", "/v1/purchases", &body).await;
    assert_eq!((one.0, said(one.2)), (other.0, said(other.2)));

    // Where else she buys is no other merchant's business.
    let history = desk
        .get(&key, &format!("/v1/members/{ada}/history"))
        .await
        .2;
    let line = &history["data"][0];
    assert_eq!(line["points"], 10);
    assert!(line.get("merchant_id").is_none() && line.get("source_id").is_none());
    let balance = desk
        .get(&key, &format!("/v1/members/{ada}/balance"))
        .await
        .2;
    assert!(balance["lots"][0].get("merchant_id").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_merchant_still_refunds() {
    let desk = open().await;
    let (tea, ada) = (desk.store("tea-1f").await, desk.member("ada").await);
    let body = purchase(&tea, "1", &ada, 100_00);
    let (_, _, made) = desk.post(&desk.till, "a", "/v1/purchases", &body).await;
    let id = made["purchase_id"].as_str().unwrap();
    let merchant = desk.merchant("tea").await;
    let path = format!("/v1/merchants/{merchant}/suspension");
    let (status, _, rests) = desk.post(&desk.owner, "x", &path, &json!(null)).await;
    assert_eq!((status, &rests["status"]), (200, &json!("suspended")));
    let body = purchase(&tea, "2", &ada, 1_00);
    let (status, _, refused) = desk.post(&desk.till, "b", "/v1/purchases", &body).await;
    assert_eq!((status, &refused["code"]), (409, &json!("suspended")));

    let path = format!("/v1/purchases/{id}/refunds");
    let part = json!({"reference": "r1", "amount": 40_00});
    let first = desk.post(&desk.till, "c", &path, &part).await;
    assert_eq!((first.0, &first.2["points_taken"]), (201, &json!(40)));
    let again = desk.post(&desk.till, "d", &path, &part).await;
    assert_eq!(again, (200, false, first.2));
    let rest = json!({"reference": "r2"});
    let (status, _, last) = desk.post(&desk.till, "e", &path, &rest).await;
    assert_eq!((status, &last["amount"]), (201, &json!(60_00)));
    assert_eq!(desk.balance(&ada).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_is_reserved_claimed_once_and_a_month_is_closed_once() {
    let desk = open().await;
    let (tea, ada) = (desk.store("tea-1f").await, desk.member("ada").await);
    let mut body = purchase(&tea, "1", &ada, 1_000_00);
    body["occurred_at"] = json!("2017-06-15T04:00:00Z");
    assert_eq!(
        desk.post(&desk.till, "a", "/v1/purchases", &body).await.0,
        201
    );
    let body = purchase(&tea, "2", &ada, 1_000_00);
    assert_eq!(
        desk.post(&desk.till, "b", "/v1/purchases", &body).await.0,
        201
    );
    let good = desk.id("/v1/goods", "ticket", "good_id").await;
    let wanted = json!({"good_id": good, "member_id": ada});
    let (status, _, made) = desk.post(&desk.till, "c", "/v1/redemptions", &wanted).await;
    assert_eq!((status, &made["state"]), (201, &json!("reserved")));
    let path = format!("/v1/redemptions/{}/claim", made["code"].as_str().unwrap());
    let at = json!({"store_id": desk.store("cinema-4f").await});
    let (status, _, claimed) = desk.post(&desk.till, "d", &path, &at).await;
    assert_eq!((status, &claimed["state"]), (200, &json!("claimed")));
    let (status, _, refused) = desk.post(&desk.till, "e", &path, &at).await;
    assert_eq!(
        (status, &refused["code"]),
        (409, &json!("code-already-used"))
    );

    let june = json!({"period": "2017-06"});
    let path = "/v1/settlements";
    let (status, _, closed) = desk.post(&desk.owner, "f", path, &june).await;
    assert_eq!((status, &closed["state"]), (201, &json!("issued")));
    let (status, again, _) = desk.post(&desk.owner, "f", path, &june).await;
    assert_eq!((status, again), (201, true));
    let (status, _, refused) = desk.post(&desk.owner, "g", path, &june).await;
    assert_eq!(
        (status, &refused["code"]),
        (409, &json!("period-already-closed"))
    );
    let soon = json!({"period": "9998-01"});
    let (status, _, refused) = desk.post(&desk.owner, "h", path, &soon).await;
    assert_eq!((status, &refused["code"]), (409, &json!("period-not-over")));
    // A key that was used for another month cuts off none.
    let july = json!({"period": "2017-07"});
    assert_eq!(desk.post(&desk.owner, "f", path, &july).await.0, 422);
    let (_, _, list) = desk.get(&desk.owner, path).await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    let id = closed["settlement_id"].as_str().unwrap();
    let (_, _, statements) = desk
        .get(&desk.owner, &format!("{path}/{id}/statements"))
        .await;
    assert_eq!(statements["data"][0]["figures"]["issued"], 1000);
    let statement = statements["data"][0]["statement_id"].as_str().unwrap();
    let (_, _, lines) = desk
        .get(&desk.owner, &format!("/v1/statements/{statement}/lines"))
        .await;
    assert_eq!(lines["data"][0]["receipt_number"], "1");
    let (status, _, proof) = desk.get(&desk.owner, "/v1/books/proof").await;
    assert_eq!((status, &proof["holds"]), (200, &json!(true)), "{proof}");
}
