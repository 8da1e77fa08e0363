//! Roles of a mall's own: what they open, what they can never hold, and who can do what.

use std::time::Instant;

use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{
    outside::Answer,
    people::{People, Person, text},
};

/// A role as a request makes it.
pub(super) fn role(code: &str, scope: &str, rights: &[(&str, &str)]) -> Value {
    let rights: Vec<Value> = rights
        .iter()
        .map(|(object, action)| json!({"object": object, "action": action}))
        .collect();
    json!({"code": code, "name": format!("The {code}"), "scope": scope, "rights": rights})
}

pub(super) async fn make(
    mall: &People,
    by: &str,
    code: &str,
    scope: &str,
    rights: &[(&str, &str)],
) -> Answer {
    mall.does(by, "/v1/roles", &role(code, scope, rights)).await
}

async fn put(mall: &People, by: &str, id: &str, revision: u32, rights: &[(&str, &str)]) -> Answer {
    let mut body = role("x", "mall", rights);
    let wanted = body.as_object_mut().unwrap();
    wanted.remove("code");
    wanted.remove("scope");
    wanted.insert("revision".to_owned(), json!(revision));
    let (path, body) = (format!("/v1/roles/{id}"), body.to_string());
    let caller = mall.at(by);
    mall.server
        .ask(caller, &Method::PUT, &path, Some(&body))
        .await
}

/// Waits until somebody is answered so; as long as it takes a server to hear of it.
async fn until(mall: &People, who: &Person, path: &str, status: u16) {
    for _ in 0..100 {
        if mall.asks(&who.token, path).await.0 == status {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{path} is never {status}");
}

async fn owner(mall: &People) -> Person {
    mall.whole("owner@mall.example", &["operator.owner"], None)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_the_malls_own_opens_what_it_says_on_every_server_until_it_ends() {
    let mut mall = People::open().await;
    let owner = owner(&mall).await;
    let rights = [("store", "read"), ("key", "read")];
    let made = make(&mall, &owner.token, "desk", "mall", &rights).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = text(&made.json()["role_id"]);
    let ada = mall.active("ada@mall.example", &["own.desk"], None).await;
    let key = json!({"label": "desk", "role": "own.desk"});
    let key = mall.server.post(mall.at(&owner.token), "/v1/keys", &key);
    let key = text(&key.await["secret"]);
    for token in [&ada.token, &key] {
        assert_eq!(mall.asks(token, "/v1/stores").await.0, 200);
        assert_eq!(mall.asks(token, "/v1/keys").await.0, 200);
        assert_eq!(mall.asks(token, "/v1/merchants").await.0, 403);
    }
    let other = People::server(&mall.clock).await;
    let first = std::mem::replace(&mut mall.server, other);
    assert_eq!(mall.asks(&ada.token, "/v1/keys").await.0, 200);
    let rights = [("store", "read"), ("merchant", "read")];
    let changed = put(&mall, &owner.token, &id, 1, &rights).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let late = put(&mall, &owner.token, &id, 1, &rights).await;
    assert_eq!(late.code(), "role-overtaken");
    let begun = Instant::now();
    until(&mall, &ada, "/v1/keys", 403).await;
    let second = std::mem::replace(&mut mall.server, first);
    until(&mall, &ada, "/v1/keys", 403).await;
    println!(
        "AUT-4: a changed role held on two servers after {:?}",
        begun.elapsed()
    );
    assert_eq!(mall.asks(&key, "/v1/keys").await.0, 403);
    assert_eq!(mall.asks(&ada.token, "/v1/merchants").await.0, 200);
    let path = format!("/v1/roles/{id}/ending");
    let ended = mall.does(&owner.token, &path, &Value::Null).await;
    assert_eq!(ended.status, 200, "{}", ended.body);
    let begun = Instant::now();
    until(&mall, &ada, "/v1/stores", 403).await;
    mall.server = second;
    until(&mall, &ada, "/v1/stores", 403).await;
    println!(
        "AUT-4: an ended role held on two servers after {:?}",
        begun.elapsed()
    );
    assert_eq!(mall.asks(&key, "/v1/stores").await.0, 403);
    assert_eq!(mall.asks(&ada.token, "/v1/me").await.0, 200);
    // A code is never used again, or whoever had the role would have it back.
    let again = make(&mall, &owner.token, "desk", "mall", &rights).await;
    assert_eq!(again.code(), "role-code-taken");
    let given = mall
        .invite(&owner.token, "bo@mall.example", &["own.desk"], None)
        .await;
    assert_eq!(given.code(), "unsuitable-role");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_holds_what_a_reviewed_role_of_the_same_people_does_and_nothing_else() {
    let mall = People::open().await;
    let owner = owner(&mall).await;
    for (scope, right) in [
        ("mall", ("key", "present")),
        ("mall", ("account", "use")),
        ("mall", ("points", "expire")),
        ("mall", ("tenant", "manage")),
        ("mall", ("tenant", "staff")),
        ("mall", ("merchant", "staff")),
        ("mall", ("statement", "confirm")),
        ("mall", ("purchase", "record")),
        ("merchant", ("key", "create")),
        ("merchant", ("settlement", "close")),
        ("merchant", ("role", "manage")),
        ("mall", ("purchase", "steal")),
        ("mall", ("*", "*")),
    ] {
        let made = make(
            &mall,
            &owner.token,
            "bad",
            scope,
            &[("store", "read"), right],
        )
        .await;
        let said = (made.status, made.code());
        assert_eq!(
            said,
            (409, "unsuitable-right".to_owned()),
            "{scope} {right:?}"
        );
    }
    // The owner confirms no statement, but gives merchants their people.
    let rights = [("statement", "confirm"), ("statement", "read")];
    let made = make(&mall, &owner.token, "books", "merchant", &rights).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(
        made.json()["needs_second_factor"],
        true,
        "as the finance role"
    );
    let tea = mall.merchant("tea").await;
    let bo = mall
        .active("bo@tea.example", &["own.books"], Some(&tea))
        .await;
    assert_eq!(
        mall.asks(&bo.token, "/v1/settlements").await.1,
        "second-factor-needed"
    );
    let wrong = mall
        .invite(&owner.token, "x@mall.example", &["own.books"], None)
        .await;
    assert_eq!(wrong.code(), "merchant-missing");
    let made = make(&mall, &owner.token, "halls", "mall", &[("store", "read")]).await;
    assert_eq!(made.json()["needs_second_factor"], false);
    let wrong = mall
        .invite(&owner.token, "x@mall.example", &["own.halls"], Some(&tea))
        .await;
    assert_eq!(wrong.code(), "merchant-unasked");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_or_takes_a_right_that_they_lack() {
    let mall = People::open().await;
    let owner = owner(&mall).await;
    let rights = [
        ("role", "manage"),
        ("staff", "invite"),
        ("staff", "manage"),
        ("key", "create"),
        ("store", "read"),
    ];
    let made = make(&mall, &owner.token, "helper", "mall", &rights).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let money = [("store", "read"), ("payment", "record")];
    let big = make(&mall, &owner.token, "big", "mall", &money).await;
    let big = text(&big.json()["role_id"]);
    let till = make(
        &mall,
        &owner.token,
        "till",
        "merchant",
        &[("points", "spend")],
    )
    .await;
    let till = text(&till.json()["role_id"]);
    let ada = mall.whole("ada@mall.example", &["own.helper"], None).await;
    let refused = make(&mall, &ada.token, "mine", "mall", &money).await;
    assert_eq!(refused.code(), "right-beyond-own");
    let refused = put(&mall, &ada.token, &big, 1, &[("store", "read")]).await;
    assert_eq!(refused.code(), "right-beyond-own", "taking is giving");
    for (id, why) in [(&big, "of the mall"), (&till, "of merchants")] {
        let path = format!("/v1/roles/{id}/ending");
        let refused = mall.does(&ada.token, &path, &Value::Null).await;
        assert_eq!(refused.code(), "right-beyond-own", "{why}");
    }
    let refused = make(
        &mall,
        &ada.token,
        "mine",
        "merchant",
        &[("points", "spend")],
    )
    .await;
    assert_eq!(
        refused.code(),
        "right-beyond-own",
        "they staff no merchants"
    );
    let small = make(&mall, &ada.token, "small", "mall", &[("store", "read")]).await;
    assert_eq!(small.status, 201, "{}", small.body);
    for (role, code) in [
        ("own.big", "beyond-own"),
        ("operator.auditor", "beyond-own"),
        ("own.small", "-"),
    ] {
        let email = format!("{role}@mall.example");
        let given = mall.invite(&ada.token, &email, &[role], None).await;
        assert_eq!(given.code(), code, "{role}: {}", given.body);
    }
    for role in ["own.big", "operator.owner", "machine.erp"] {
        let key = json!({"label": "x", "role": role});
        let refused = mall.does(&ada.token, "/v1/keys", &key).await;
        assert_eq!(refused.code(), "beyond-own", "a key of {role}");
    }
    let key = json!({"label": "x", "role": "own.small"});
    assert_eq!(mall.does(&ada.token, "/v1/keys", &key).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_what_is_missing_and_who_gives_it_by_role() {
    let mall = People::open().await;
    let tea = mall.merchant("tea").await;
    let owner = owner(&mall).await;
    let rights = [("store", "read"), ("staff", "read")];
    make(&mall, &owner.token, "lookout", "mall", &rights).await;
    let eyes = mall
        .active("eyes@mall.example", &["operator.support"], None)
        .await;
    let cash = mall
        .active("cash@tea.example", &["merchant.cashier"], Some(&tea))
        .await;
    let asked = |token| {
        mall.server
            .ask(mall.at(token), &Method::GET, "/v1/staff", None)
    };
    let refused = asked(&eyes.token).await;
    let missing = &refused.json()["permission"];
    assert_eq!(
        *missing,
        json!({
            "object": "staff", "action": "read",
            "held_by": ["operator.auditor", "operator.finance", "operator.owner", "own.lookout"],
            "given_by": ["operator.owner"],
        })
    );
    assert!(
        refused.body.contains("See who works here"),
        "{}",
        refused.body
    );
    assert!(
        !refused.body.contains("owner@mall.example"),
        "{}",
        refused.body
    );
    assert!(
        !refused.body.contains("Somebody"),
        "no names: {}",
        refused.body
    );
    let refused = asked(&cash.token).await;
    assert_eq!(
        refused.json()["permission"]["given_by"],
        json!(["merchant.owner", "operator.owner"])
    );
    let path = "/v1/messages";
    let refused = mall
        .server
        .ask(mall.at(&cash.token), &Method::GET, path, None);
    let refused = refused.await.json();
    assert_eq!(
        refused["permission"]["held_by"],
        json!([]),
        "no merchant's role"
    );
}

/// Names of those who can do something, as somebody is told.
async fn who_can(mall: &People, token: &str, right: &str) -> Vec<String> {
    let mut path = format!("/v1/permissions/{right}?limit=1");
    let mut names = Vec::new();
    loop {
        let page = mall.server.get(mall.at(token), &path).await;
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= 1);
        names.extend(data.iter().map(|one| {
            let id = one.get("staff_id").or(one.get("key_id")).unwrap();
            text(id)
        }));
        match page["next_cursor"].as_str() {
            Some(next) => path = format!("/v1/permissions/{right}?limit=1&cursor={next}"),
            None => return names,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_can_do_this_tells_everybody_who_can_now_once() {
    let mall = People::open().await;
    let (tea, cake) = (mall.merchant("tea").await, mall.merchant("cake").await);
    let owner = owner(&mall).await;
    let rights = [("purchase", "refund"), ("store", "read")];
    make(&mall, &owner.token, "returns", "merchant", &rights).await;
    let ada = mall
        .active("ada@tea.example", &["own.returns"], Some(&tea))
        .await;
    let bo = mall
        .active(
            "bo@cake.example",
            &["merchant.cashier", "own.returns"],
            Some(&cake),
        )
        .await;
    mall.invited("waits@tea.example", &["own.returns"], Some(&tea))
        .await;
    let gone = mall
        .active("gone@tea.example", &["own.returns"], Some(&tea))
        .await;
    let end = format!("/v1/staff/{}/ending", gone.id);
    assert_eq!(
        mall.does(&owner.token, &end, &Value::Null).await.status,
        200
    );
    let boss = mall
        .whole("boss@tea.example", &["merchant.owner"], Some(&tea))
        .await;
    let key = json!({"label": "returns", "role": "own.returns", "merchant_id": tea});
    let key = mall
        .server
        .post(mall.at(&owner.token), "/v1/keys", &key)
        .await;
    let key = text(&key["key_id"]);
    let all = who_can(&mall, &owner.token, "purchase/refund").await;
    // The clock stands still, so that their ids are in no order.
    let sorted = |ids: &[String]| {
        let mut ids = ids.to_vec();
        ids.sort();
        ids
    };
    let people = [&boss, &bo, &ada].map(|one| one.id.clone());
    assert_eq!(sorted(&all[..3]), sorted(&people), "people first");
    assert!(all[3..].contains(&key) && all[3..].iter().all(|id| id.starts_with("key_")));
    let mut once = all.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), all.len());
    let theirs = who_can(&mall, &boss.token, "purchase/refund").await;
    let own = [boss.id.clone(), ada.id.clone(), key];
    assert_eq!(sorted(&theirs), sorted(&own));
    assert_eq!(
        mall.asks(&ada.token, "/v1/permissions/purchase/refund")
            .await
            .0,
        403
    );
    assert_eq!(
        mall.asks(&owner.token, "/v1/permissions/purchase/steal")
            .await
            .1,
        "unknown-permission"
    );
    let path = "/v1/permissions?limit=100";
    assert_eq!(
        mall.asks(&ada.token, path).await.0,
        403,
        "reading roles is not in it"
    );
    let listed = mall.server.get(mall.at(&boss.token), path).await;
    let refund = listed["data"].as_array().unwrap().iter();
    let mut refund = refund.filter(|one| one["object"] == "purchase" && one["action"] == "refund");
    let refund = refund.next().unwrap();
    assert_eq!(refund["sentence"]["zh-CN"], "退款并收回积分");
    let roles = refund["roles"].as_array().unwrap();
    assert!(roles.contains(&json!("own.returns")) && roles.contains(&json!("merchant.cashier")));
}
