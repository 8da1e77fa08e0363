//! Who is an owner changes by two people, where there is another one.

use serde_json::{Value, json};

use crate::support::people::{People, Person, text};

async fn propose(
    mall: &People,
    by: &str,
    whom: &Person,
    roles: Option<&[&str]>,
) -> (String, Value) {
    let mut body = json!({"staff_id": whom.id});
    if let Some(roles) = roles {
        body["roles"] = json!(roles);
    }
    let answer = mall.does(by, "/v1/role-changes", &body).await;
    (answer.code(), answer.json())
}

async fn decide(mall: &People, by: &str, change: &Value, how: &str) -> (u16, String) {
    let id = text(&change["role_change_id"]);
    let path = format!("/v1/role-changes/{id}/{how}");
    let answer = mall.does(by, &path, &Value::Null).await;
    (answer.status, answer.code())
}

async fn roles(mall: &People, of: &Person) -> Value {
    let path = format!("/v1/staff/{}", of.id);
    let master = mall.master().await;
    mall.server.get(mall.at(&master), &path).await["roles"].clone()
}

const OWNER: &[&str] = &["operator.owner"];

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_made_and_unmade_by_two() {
    let mall = People::open().await;
    let ada = mall.whole("ada@mall.example", OWNER, None).await;
    let bo = mall.whole("bo@mall.example", OWNER, None).await;
    let eve = mall
        .whole("eve@mall.example", &["operator.finance"], None)
        .await;
    let second = (409, "needs-second-owner".to_owned());
    let invited = mall.invite(&ada.token, "x@mall.example", OWNER, None).await;
    assert_eq!((invited.status, invited.code()), second);
    let end = format!("/v1/staff/{}/ending", bo.id);
    let ended = mall.does(&ada.token, &end, &Value::Null).await;
    assert_eq!((ended.status, ended.code()), second);

    let (code, change) = propose(&mall, &ada.token, &eve, Some(OWNER)).await;
    assert_eq!(code, "-", "{change}");
    assert_eq!(text(&change["proposed_by"]), ada.id);
    assert_eq!(
        roles(&mall, &eve).await,
        json!(["operator.finance"]),
        "not yet"
    );
    let (again, _) = propose(&mall, &bo.token, &eve, None).await;
    assert_eq!(again, "role-change-already-open");
    assert_eq!(
        decide(&mall, &ada.token, &change, "confirmation").await,
        second
    );
    let master = mall.master().await;
    assert_eq!(
        decide(&mall, &master, &change, "confirmation").await,
        second,
        "a key"
    );
    assert_eq!(
        decide(&mall, &eve.token, &change, "confirmation").await.0,
        403
    );
    assert_eq!(
        decide(&mall, &bo.token, &change, "confirmation").await.0,
        200
    );
    assert_eq!(roles(&mall, &eve).await, json!(["operator.owner"]));
    let over = (409, "role-change-not-open".to_owned());
    assert_eq!(
        decide(&mall, &bo.token, &change, "confirmation").await,
        over
    );

    mall.pass(1);
    // An end takes two as well; what was refused is not done.
    let (_, change) = propose(&mall, &bo.token, &eve, None).await;
    assert_eq!(change["roles"], json!([]));
    assert_eq!(decide(&mall, &ada.token, &change, "rejection").await.0, 200);
    assert_eq!(
        decide(&mall, &ada.token, &change, "confirmation").await,
        over
    );
    mall.pass(1);
    let (_, change) = propose(&mall, &bo.token, &eve, None).await;
    assert_eq!(
        decide(&mall, &ada.token, &change, "confirmation").await.0,
        200
    );
    super::coming::gone(&mall, &eve.token).await;
    let listed = mall
        .server
        .get(mall.at(&ada.token), "/v1/role-changes")
        .await;
    let told: Vec<&str> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["state"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["confirmed", "rejected", "confirmed"]);
    assert_eq!(listed["data"][0]["decided_by"], json!(ada.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_proposed_is_over_after_a_week_and_when_something_else_came_first() {
    let mall = People::open().await;
    let ada = mall.whole("ada@mall.example", OWNER, None).await;
    let bo = mall.whole("bo@mall.example", OWNER, None).await;
    let eve = mall
        .active("eve@mall.example", &["operator.support"], None)
        .await;
    let (_, change) = propose(&mall, &ada.token, &eve, Some(OWNER)).await;
    let path = format!("/v1/staff/{}/roles", eve.id);
    let other = json!({"roles": ["operator.auditor"]}).to_string();
    let put = mall
        .server
        .ask(
            mall.at(&bo.token),
            &poem::http::Method::PUT,
            &path,
            Some(&other),
        )
        .await;
    assert_eq!(put.status, 200, "no owner is made: {}", put.body);
    assert_eq!(
        decide(&mall, &bo.token, &change, "confirmation").await.1,
        "role-change-overtaken"
    );
    assert_eq!(decide(&mall, &ada.token, &change, "rejection").await.0, 200);
    mall.pass(1);
    let (_, change) = propose(&mall, &ada.token, &eve, Some(OWNER)).await;
    mall.pass(7 * 24 * 3600);
    let opened = mall.sign_in("bo@mall.example", crate::support::people::PASSWORD);
    let opened = text(&opened.await.json()["token"]);
    let code = crate::support::people::code(&bo.secret, mall.clock.now());
    let bo = text(&mall.show(&opened, &code).await.json()["token"]);
    assert_eq!(
        decide(&mall, &bo, &change, "confirmation").await.1,
        "role-change-not-open"
    );
    let listed = mall.server.get(mall.at(&bo), "/v1/role-changes").await;
    assert_eq!(listed["data"][0]["state"], "expired");
    let (code, _) = propose(&mall, &bo, &eve, Some(OWNER)).await;
    assert_eq!(code, "-", "anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchants_second_owner_is_confirmed_by_the_first_or_by_the_mall() {
    let mall = People::open().await;
    let (tea, cake) = (mall.merchant("tea").await, mall.merchant("cake").await);
    let ada = mall.whole("ada@mall.example", OWNER, None).await;
    let first = mall.invite(
        &ada.token,
        "boss@tea.example",
        &["merchant.owner"],
        Some(&tea),
    );
    assert_eq!(first.await.status, 201, "the first");
    let boss = mall
        .whole("real@tea.example", &["merchant.owner"], Some(&tea))
        .await;
    let other = mall
        .whole("boss@cake.example", &["merchant.owner"], Some(&cake))
        .await;
    let eve = mall
        .active("eve@tea.example", &["merchant.cashier"], Some(&tea))
        .await;
    let invited = mall
        .invite(&ada.token, "x@tea.example", &["merchant.owner"], Some(&tea))
        .await;
    assert_eq!(invited.code(), "needs-second-owner");
    let (code, change) = propose(&mall, &ada.token, &eve, Some(&["merchant.owner"])).await;
    assert_eq!(code, "-", "{change}");
    assert_eq!(
        decide(&mall, &other.token, &change, "confirmation").await,
        (404, "unknown-role-change".to_owned()),
        "another merchant's"
    );
    assert_eq!(
        decide(&mall, &boss.token, &change, "confirmation").await.0,
        200
    );
    assert_eq!(roles(&mall, &eve).await, json!(["merchant.owner"]));
    // Alone a merchant's only owner makes a second one.
    let alone = mall.invite(
        &other.token,
        "x@cake.example",
        &["merchant.owner"],
        Some(&cake),
    );
    assert_eq!(alone.await.status, 201);
}
