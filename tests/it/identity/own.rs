//! What is known of a member is theirs: a copy of it, and the end of it (trust.md, section 6, PRIV-4).

use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{
    NOON,
    front::{SHANGHAI, Sheet, TEA},
    outside::{Answer, tables},
    people::People,
    sms::Telephones,
};

const SHEET: Sheet = Sheet {
    names: r#"{ en = "Starlight", "zh-CN" = "星光商场" }"#,
    languages: r#"["en", "zh-CN"]"#,
    shops: TEA,
    goods: &[("cup", r#"{ en = "Cup" }"#, "voucher", 10, 9, &["tea"])],
    ..SHANGHAI
};

const ADA: &str = "+8613800138000";
const NAME: &str = "=Ada, \"the first\"";

/// A mall whose members have telephones.
struct Mall {
    people: People,
    phones: Telephones,
}

/// Somebody who came in.
struct Member {
    id: String,
    token: String,
}

impl Mall {
    async fn open() -> Self {
        let phones = Telephones::open().await;
        let hook = phones.hook();
        let people = People::open_with(&SHEET, NOON, |config| config.sms = Some(hook)).await;
        Self { people, phones }
    }

    async fn comes(&self, phone: &str, name: &str) -> Member {
        let (server, people) = (&self.people.server, &self.people);
        people.pass(61);
        let from = people.elsewhere();
        let asks = json!({"phone": phone});
        let asked = server
            .ask_from(&from, people.stranger(), "/v1/sign-in-codes", &asks)
            .await
            .json();
        let token = asked["token"].as_str().unwrap();
        let code = self.phones.code(server, &people.front.tenant, token).await;
        let shown = json!({"token": token, "code": code, "name": name});
        let entered = server
            .ask_from(&from, people.stranger(), "/v1/member-sessions", &shown)
            .await;
        assert_eq!(entered.status, 201, "{}", entered.body);
        let entered = entered.json();
        Member {
            id: text(&entered["member"]["member_id"]),
            token: text(&entered["token"]),
        }
    }

    /// A purchase at the till, in cents.
    async fn buys(&self, member: &Member, receipt: &str, amount: i64) -> Value {
        let (server, front) = (&self.people.server, &self.people.front);
        let bought = json!({"store_id": front.store(server, "tea-1").await,
            "receipt_number": receipt, "member_id": member.id,
            "lines": [{"category": "tea", "quantity": 1, "amount": amount}]});
        server.post(front.till(), "/v1/purchases", &bought).await
    }

    async fn asks(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string());
        let caller = self.people.at(token);
        let server = &self.people.server;
        server.ask(caller, &method, path, body.as_deref()).await
    }

    async fn gets(&self, token: &str, path: &str) -> Answer {
        self.asks(token, Method::GET, path, None).await
    }

    async fn erases(&self, token: &str, member: &Member, points_given_up: bool) -> Answer {
        let path = format!("/v1/members/{}/erasure", member.id);
        let body = json!({"points_given_up": points_given_up});
        self.asks(token, Method::POST, &path, Some(body)).await
    }

    async fn acts(&self, act: &str) -> Vec<Value> {
        let path = format!("/v1/audit?act={act}");
        let owner = self.people.front.owner();
        let listed = self.people.server.get(owner, &path).await;
        listed["data"].as_array().unwrap().clone()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_takes_everything_along_and_nobody_elses() {
    let mall = Mall::open().await;
    let (server, front) = (&mall.people.server, &mall.people.front);
    let ada = mall.comes(ADA, NAME).await;
    let bob = mall.comes("+8613900139000", "Bob").await;
    for number in 0..3 {
        mall.buys(&ada, &format!("A-{number}"), 1_000_00).await;
    }
    mall.buys(&ada, "-nothing", 50).await;
    mall.buys(&bob, "B-1", 7_00).await;
    let good = front.find(server, "/v1/goods", "cup", "good_id").await;
    let wanted = json!({"good_id": good, "member_id": ada.id});
    server.post(front.till(), "/v1/redemptions", &wanted).await;

    let path = format!("/v1/members/{}/copy", ada.id);
    let copy = mall.gets(&ada.token, &path).await;
    assert_eq!(copy.status, 200, "{}", copy.body);
    assert_eq!(copy.headers["cache-control"], "private, no-store");
    let named = copy.headers["content-disposition"].to_str().unwrap();
    assert!(named.contains(&format!("{}.json", ada.id)), "{named}");
    let copy = copy.json();
    assert_eq!(copy["format"], "rotunda member copy 1");
    assert!(text(&copy["copied_at"]).ends_with(".000000Z"), "{copy}");
    assert_eq!(copy["member"]["name"], NAME);
    assert_eq!(copy["member"]["phone"], ADA);
    assert_eq!(
        copy["points"],
        json!({"available": 2990, "held": 10, "owed": 0})
    );
    let history = copy["history"].as_array().unwrap();
    let home = server
        .get(front.owner(), &format!("/v1/members/{}/history", ada.id))
        .await;
    assert_eq!(history.len(), home["data"].as_array().unwrap().len());
    assert_eq!(history[0]["number"], 1);
    assert_eq!(history[0]["receipt"]["receipt_number"], "A-0");
    assert_eq!(history[0]["receipt"]["total"], 1_000_00);
    assert_eq!(history[0]["receipt"]["lines"][0]["category"], "tea");
    assert_eq!(history[0]["store"]["en"], "Tea");
    let last = history.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["good"]["en"]),
        (&json!("reserve"), &json!("Cup"))
    );
    let nil = copy["receipts_without_points"].as_array().unwrap();
    assert_eq!(nil.len(), 1);
    assert_eq!(nil[0]["receipt"]["receipt_number"], "-nothing");
    let left = copy["grants"].as_array().unwrap().iter();
    assert_eq!(
        left.map(|one| one["remaining"].as_i64().unwrap())
            .sum::<i64>(),
        2990
    );
    assert_eq!(copy["sessions"].as_array().unwrap().len(), 1);
    assert!(!copy.to_string().contains("B-1") && !copy.to_string().contains(&bob.id));

    let sheet = mall
        .gets(&ada.token, &format!("{path}/history?language=en"))
        .await;
    assert_eq!(sheet.headers["content-type"], "text/csv; charset=utf-8");
    let lines: Vec<&str> = sheet.body.trim_end().split("\r\n").collect();
    assert_eq!(lines.len(), 1 + history.len());
    assert!(lines[0].ends_with("Number,When,What,Points,Points after it,Where,Receipt,Good"));
    assert!(lines[1].starts_with("1,2026-") && lines[1].ends_with(",Purchase,1000,1000,Tea,A-0,"));
    let chinese = mall
        .gets(&ada.token, &format!("{path}/history?language=zh-CN"))
        .await;
    assert!(chinese.body.contains("消费"), "{}", chinese.body);

    // It is a permission of its own, and reaches as far as its holder does.
    let owner = mall.people.master().await;
    let support = server.key(&front.tenant, "operator.support", None).await;
    let tea = front
        .find(server, "/v1/merchants", "tea", "merchant_id")
        .await;
    let tea = server
        .key(&front.tenant, "merchant.owner", Some(tea.parse().unwrap()))
        .await;
    for of in [path.clone(), format!("{path}/history")] {
        for (token, status) in [
            (&bob.token, 404),
            (&support, 403),
            (&tea, 403),
            (&owner, 200),
        ] {
            assert_eq!(mall.gets(token, &of).await.status, status, "{of}");
        }
    }
    let copied = mall.acts("member.copied").await;
    assert_eq!(copied.len(), 5, "{copied:?}");
    assert!(copied.iter().all(|one| one["object"] == ada.id.as_str()));
    let by_ada = copied.iter().filter(|one| one["actor"] == ada.id.as_str());
    assert_eq!(by_ada.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_many_slices_is_whole() {
    let mall = Mall::open().await;
    let (server, front) = (&mall.people.server, &mall.people.front);
    let ada = mall.comes(ADA, "Ada").await;
    let store = front.store(server, "tea-1").await;
    for slice in 0..12 {
        let items: Vec<Value> = (0..100)
            .map(|number| {
                let amount = if number % 2 == 0 { 1_00 } else { 1 };
                let bought = json!({"store_id": store, "member_id": ada.id,
                    "receipt_number": format!("{slice}-{number}"),
                    "lines": [{"category": "tea", "quantity": 1, "amount": amount}]});
                json!({"idempotency_key": format!("{slice}-{number}"), "purchase": bought})
            })
            .collect();
        server
            .post(front.till(), "/v1/batch", &json!({"items": items}))
            .await;
    }
    let copy = mall
        .gets(&ada.token, &format!("/v1/members/{}/copy", ada.id))
        .await
        .json();
    let history = copy["history"].as_array().unwrap();
    assert_eq!(history.len(), 600);
    assert!(
        (1..)
            .zip(history)
            .all(|(number, line)| line["number"] == number)
    );
    let nil = copy["receipts_without_points"].as_array().unwrap();
    assert_eq!(nil.len(), 600);
    assert_eq!(copy["grants"].as_array().unwrap().len(), 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_leaves_the_books_and_no_trace() {
    let mall = Mall::open().await;
    let (server, front) = (&mall.people.server, &mall.people.front);
    let ada = mall.comes(ADA, NAME).await;
    let bob = mall.comes("+8613900139000", "Bob").await;
    let bought = mall.buys(&ada, "A-1", 1_000_00).await;
    mall.buys(&bob, "B-1", 1_000_00).await;
    // A code that was asked for holds the number too.
    mall.people.pass(61);
    let from = mall.people.elsewhere();
    let asks = json!({"phone": ADA});
    let path = "/v1/sign-in-codes";
    server
        .ask_from(&from, mall.people.stranger(), path, &asks)
        .await;

    let refused = mall.erases(&ada.token, &ada, false).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (409, "points-left")
    );
    assert!(refused.body.contains("1000 points"), "{}", refused.body);
    assert_eq!(mall.erases(&bob.token, &ada, true).await.status, 404);
    assert_eq!(mall.gets(&ada.token, "/v1/membership").await.status, 200);

    let erased = mall.erases(&ada.token, &ada, true).await;
    assert_eq!(erased.status, 200, "{}", erased.body);
    mall.people.pass(1);
    assert_eq!(mall.gets(&ada.token, "/v1/membership").await.status, 401);
    assert_eq!(mall.gets(&bob.token, "/v1/membership").await.status, 200);
    let owner = mall.people.master().await;
    let again = mall.erases(&owner, &ada, false).await;
    assert_eq!((again.status, again.json()), (200, erased.json()));
    for gone in ["", "/copy", "/copy/history"] {
        let answer = mall
            .gets(&owner, &format!("/v1/members/{}{gone}", ada.id))
            .await;
        assert_eq!(answer.code(), "unknown-member", "{gone}");
    }
    let erasures = mall.acts("member.erased").await;
    assert_eq!(erasures.len(), 1, "what was done already is not done again");
    assert_eq!(erasures[0]["before"], json!({"points": 1000}));
    for (table, rows) in tables(&front.tenant).await {
        for trace in ["13800138000", "the first", &ada.token] {
            assert!(!rows.contains(trace), "{trace} is in {table}: {rows}");
        }
        let bobs = ["member", "sign_in_code"].contains(&table.as_str());
        assert_eq!(rows.contains("13900139000"), bobs, "{table}");
    }

    // The books go on: the receipt is refunded, and they prove true.
    let back = json!({"reference": "R-1", "amount": 400_00});
    let path = format!("/v1/purchases/{}/refunds", text(&bought["purchase_id"]));
    server.post(front.till(), &path, &back).await;
    let history = format!("/v1/members/{}/history", ada.id);
    let history = server.get(front.owner(), &history).await;
    assert_eq!(history["data"].as_array().unwrap().len(), 2);
    let proof = server.get(front.owner(), "/v1/books/proof").await;
    assert_eq!(proof["holds"], true, "{proof}");

    // The number is free: whoever has it now begins anew.
    let anew = mall.comes(ADA, "Eve").await;
    assert_ne!(anew.id, ada.id);
    let home = format!("/v1/members/{}/balance", anew.id);
    assert_eq!(server.get(front.owner(), &home).await["available"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_is_answered_again_and_remembered_without_the_person() {
    let mall = Mall::open().await;
    let (server, front) = (&mall.people.server, &mall.people.front);
    let new = json!({"phone": ADA, "card_number": "card-77", "name": NAME}).to_string();
    let enrols = || {
        let path = "/v1/members";
        server.ask_under("once", front.till(), &Method::POST, path, Some(&new))
    };
    let (first, second) = (enrols().await, enrols().await);
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.body, second.body);
    assert_eq!(second.headers["idempotent-replayed"], "true");
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let kept = tables(&front.tenant).await["idempotency_key"].clone();
    for trace in ["13800138000", "card-77", "the first"] {
        assert!(!kept.contains(trace), "{kept}");
    }
    let ada = Member {
        id: text(&first.json()["member_id"]),
        token: String::new(),
    };
    let owner = mall.people.master().await;
    assert_eq!(mall.erases(&owner, &ada, false).await.status, 200);
    assert_eq!(enrols().await.code(), "unknown-member");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_say_themselves_what_they_are_called() {
    let mall = Mall::open().await;
    let ada = mall.comes(ADA, "Ada").await;
    let says = |name: Value| mall.asks(&ada.token, Method::PUT, "/v1/membership", Some(name));
    let said = says(json!({"name": "Ada B."})).await;
    assert_eq!(said.json()["member"]["name"], "Ada B.", "{}", said.body);
    for wrong in [
        json!({"name": ""}),
        json!({"name": "a\nb"}),
        json!({"phone": "1"}),
    ] {
        assert_eq!(says(wrong).await.status, 400);
    }
    let said = says(json!({})).await.json();
    assert!(said["member"].get("name").is_none(), "{said}");
    let owner = mall.people.master().await;
    let body = json!({"name": "Eve"});
    let refused = mall
        .asks(&owner, Method::PUT, "/v1/membership", Some(body))
        .await;
    assert_eq!(refused.status, 403);
}
