//! Who invites, changes and ends whom.

use futures_util::future::join_all;
use poem::http::Method;
use serde_json::{Value, json};

use super::coming::gone;
use crate::support::{
    outside::Answer,
    people::{PASSWORD, People, Person, text},
};

async fn set_roles(mall: &People, by: &str, whom: &Person, roles: &[&str]) -> (u16, String) {
    let body = json!({"roles": roles}).to_string();
    let path = format!("/v1/staff/{}/roles", whom.id);
    let answer = mall
        .server
        .ask(mall.at(by), &Method::PUT, &path, Some(&body))
        .await;
    (answer.status, answer.code())
}

async fn end(mall: &People, by: &str, whom: &Person) -> (u16, String) {
    let path = format!("/v1/staff/{}/ending", whom.id);
    let answer = mall.does(by, &path, &Value::Null).await;
    (answer.status, answer.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_a_role_in_which_they_could_not_act() {
    let mall = People::open().await;
    let (tea, cake) = (mall.merchant("tea").await, mall.merchant("cake").await);
    let owner = mall
        .whole("owner@mall.example", &["operator.owner"], None)
        .await;
    let shop = mall
        .whole("shop@tea.example", &["merchant.owner"], Some(&tea))
        .await;
    let cases: [(&Person, &str, Option<&str>, u16, &str); 9] = [
        (&owner, "operator.finance", None, 201, "-"),
        (&owner, "operator.owner", None, 201, "-"),
        // The mall gives merchants their people, though it does not act for them.
        (&owner, "merchant.owner", Some(&cake), 201, "-"),
        (&owner, "machine.erp", None, 409, "unsuitable-role"),
        (&owner, "system", None, 409, "unsuitable-role"),
        (&shop, "merchant.cashier", Some(&tea), 201, "-"),
        (&shop, "merchant.owner", Some(&tea), 201, "-"),
        (
            &shop,
            "merchant.cashier",
            Some(&cake),
            404,
            "unknown-merchant",
        ),
        (&shop, "operator.auditor", None, 409, "beyond-own"),
    ];
    for (number, (by, role, merchant, status, code)) in cases.into_iter().enumerate() {
        let email = format!("new-{number}@mall.example");
        let answer = mall.invite(&by.token, &email, &[role], merchant).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{role} {merchant:?}"
        );
    }
    let mixed = mall.invite(
        &owner.token,
        "x@mall.example",
        &["operator.auditor", "merchant.cashier"],
        Some(&tea),
    );
    assert_eq!(mixed.await.code(), "mixed-roles");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_could_not_give_one_cannot_take_either() {
    let mall = People::open().await;
    // By a key: the vendor's words are not the mall's, and its auditor manages nobody.
    let tea = mall.merchant("tea").await;
    let shop = mall
        .whole("shop@tea.example", &["merchant.owner"], Some(&tea))
        .await;
    let owner = mall
        .whole("owner@mall.example", &["operator.owner"], None)
        .await;
    let auditor = mall
        .active("eyes@mall.example", &["operator.auditor"], None)
        .await;
    assert_eq!(
        end(&mall, &shop.token, &owner).await,
        (404, "unknown-person".to_owned())
    );
    assert_eq!(
        end(&mall, &auditor.token, &shop).await,
        (403, "not-allowed".to_owned())
    );
    let roles = set_roles(&mall, &shop.token, &shop, &["operator.owner"]).await;
    assert_eq!(roles.0, 409, "{roles:?}");
    let listed = mall.server.get(mall.at(&shop.token), "/v1/staff").await;
    let listed = listed["data"].as_array().unwrap();
    assert_eq!((listed.len(), text(&listed[0]["staff_id"])), (1, shop.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_role_holds_for_sessions_that_are_open() {
    let mall = People::open().await;
    let owner = mall
        .whole("owner@mall.example", &["operator.owner"], None)
        .await;
    let ada = mall
        .active("ada@mall.example", &["operator.auditor"], None)
        .await;
    assert_eq!(mall.asks(&ada.token, "/v1/keys").await.0, 200);
    assert_eq!(
        set_roles(&mall, &owner.token, &ada, &["operator.support"])
            .await
            .0,
        200
    );
    for _ in 0..100 {
        if mall.asks(&ada.token, "/v1/keys").await.0 == 403 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(
        mall.asks(&ada.token, "/v1/keys").await,
        (403, "not-allowed".to_owned())
    );
    assert_eq!(mall.asks(&ada.token, "/v1/stores").await.0, 200);
    // A role that asks for a second factor takes the session back until there is one.
    assert_eq!(
        set_roles(&mall, &owner.token, &ada, &["operator.finance"])
            .await
            .0,
        200
    );
    for _ in 0..100 {
        if mall.asks(&ada.token, "/v1/stores").await.0 == 403 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let needed = (403, "second-factor-needed".to_owned());
    assert_eq!(mall.asks(&ada.token, "/v1/stores").await, needed);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_ended_is_out_on_every_server() {
    let mut mall = People::open().await;
    let ada = mall
        .active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let master = mall.master().await;
    assert_eq!(mall.asks(&ada.token, "/v1/me").await.0, 200);
    let other = People::server(&mall.clock).await;
    let first = std::mem::replace(&mut mall.server, other);
    assert_eq!(
        mall.asks(&ada.token, "/v1/me").await.0,
        200,
        "at the other one"
    );
    assert_eq!(end(&mall, &master, &ada).await.0, 200);
    gone(&mall, &ada.token).await;
    mall.server = first;
    gone(&mall, &ada.token).await;
    assert_eq!(
        mall.sign_in("ada@mall.example", PASSWORD).await.code(),
        "wrong-credentials"
    );
    assert_eq!(
        end(&mall, &master, &ada).await.0,
        200,
        "again changes nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mall_keeps_an_owner_also_where_two_end_each_other() {
    let mall = People::open().await;
    let ada = mall
        .whole("ada@mall.example", &["operator.owner"], None)
        .await;
    mall.invited("waiting@mall.example", &["operator.owner"], None)
        .await;
    let last = (409, "last-owner".to_owned());
    assert_eq!(
        end(&mall, &ada.token, &ada).await,
        last,
        "an invited one does not count"
    );
    assert_eq!(
        set_roles(&mall, &ada.token, &ada, &["operator.auditor"]).await,
        last
    );
    let bo = mall
        .whole("bo@mall.example", &["operator.owner"], None)
        .await;
    // Each confirms that the other one is ended, as both had proposed to the vendor's key.
    let master = mall.master().await;
    let mut open = Vec::new();
    for (second, gone) in [(&ada, &bo), (&bo, &ada)] {
        let change = json!({"staff_id": gone.id});
        let change = mall.does(&master, "/v1/role-changes", &change).await;
        let id = text(&change.json()["role_change_id"]);
        open.push((second, format!("/v1/role-changes/{id}/confirmation")));
    }
    let both = open
        .iter()
        .map(|(second, path)| mall.does(&second.token, path, &Value::Null));
    let answers = join_all(both).await;
    let ended = answers.iter().filter(|answer| answer.status == 200).count();
    let said: Vec<_> = answers.iter().map(Answer::code).collect();
    assert_eq!(ended, 1, "{said:?}");
    let people = mall
        .server
        .get(mall.at(&mall.master().await), "/v1/staff?state=active")
        .await;
    assert_eq!(people["data"].as_array().unwrap().len(), 1);
}
