//! The console, as people use it.

use serde_json::json;

use super::Browser;
use crate::support::people::People;

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_makes_a_role_gives_it_and_sees_who_can() {
    let mall = People::open().await;
    let owner = mall
        .whole("owner@mall.example", &["operator.owner"], None)
        .await;
    let ada = mall
        .active("ada@mall.example", &["operator.support"], None)
        .await;
    let desk = Browser::of(&mall, &owner);
    let page = desk.get("/console/people").await;
    assert!(page.body.contains("<h1>People</h1>"), "{}", page.body);
    let page = desk.get("/console/roles").await;
    assert!(
        page.body.contains("no roles of its own yet"),
        "{}",
        page.body
    );
    assert!(page.body.contains(">Mall owner</a>") && !page.body.contains(">operator.owner<"));
    let page = desk.get("/console/roles/new?scope=mall").await;
    let bad = [("scope", "mall"), ("name", "Goods desk"), ("code", "goods")];
    let page = desk.submit(&page, "/console/roles/new", &bad).await;
    assert_eq!(page.status, 409);
    assert!(page.body.contains("role=\"alert\""), "{}", page.body);
    assert!(
        page.body.contains("value=\"Goods desk\""),
        "what was written stays"
    );
    let good = [
        ("scope", "mall"),
        ("name", "Goods <desk>"),
        ("code", "goods"),
        ("right.good.read", "on"),
        ("right.good.create", "on"),
    ];
    let page = desk.submit(&page, "/console/roles/new", &good).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(
        page.body.contains("<h1>Goods &lt;desk&gt;</h1>"),
        "{}",
        page.body
    );
    assert!(page.body.contains("Nobody has this role"), "{}", page.body);
    assert!(
        page.body
            .contains("name=\"right.good.create\" value=\"on\" checked")
    );

    let path = format!("/console/people/{}", ada.id);
    let page = desk.get(&path).await;
    assert!(
        page.body.contains("Customer service"),
        "by name: {}",
        page.body
    );
    let roles = [("role.own.goods", "on"), ("how", "now")];
    let page = desk.submit(&page, &format!("{path}/roles"), &roles).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let page = desk.get("/console/permissions/good/create").await;
    assert!(page.body.contains("Somebody") && page.body.contains("Goods &lt;desk&gt;"));
    let hers = Browser::of(&mall, &ada);
    for _ in 0..100 {
        if mall.asks(&ada.token, "/v1/goods").await.0 == 200
            && mall.asks(&ada.token, "/v1/stores").await.0 == 403
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let page = hers.get("/account").await;
    assert!(page.body.contains("Goods &lt;desk&gt;"), "{}", page.body);
    let page = hers.get("/console/people").await;
    assert_eq!(page.status, 403);
    for words in ["See who works here", "Mall owner", "Auditor"] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    assert!(!page.body.contains("owner@mall.example"), "no names");
    assert!(
        !page.body.contains("href=\"/console/people\""),
        "nor in the menu"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_owner_confirms_on_the_page_of_changes() {
    let mall = People::open().await;
    let ada = mall
        .whole("ada@mall.example", &["operator.owner"], None)
        .await;
    let bo = mall
        .whole("bo@mall.example", &["operator.owner"], None)
        .await;
    let eve = mall
        .active("eve@mall.example", &["operator.support"], None)
        .await;
    let first = Browser::of(&mall, &ada);
    let path = format!("/console/people/{}", eve.id);
    let page = first.get(&path).await;
    let roles = [("role.operator.owner", "on"), ("how", "now")];
    let page = first.submit(&page, &format!("{path}/roles"), &roles).await;
    assert_eq!(page.status, 409);
    assert!(
        page.body.contains("Another owner has to confirm"),
        "{}",
        page.body
    );
    let roles = [("role.operator.owner", "on"), ("how", "propose")];
    let page = first.submit(&page, &format!("{path}/roles"), &roles).await;
    assert!(
        page.body.contains("<h1>Changes of roles</h1>"),
        "{}",
        page.body
    );
    assert!(
        page.body.contains("another owner has to confirm it"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("value=\"confirm\""));
    let second = Browser::of(&mall, &bo);
    let page = second.get("/console/changes").await;
    let (_, action) = page.body.split_once("action=\"/console/changes/").unwrap();
    let action = format!("/console/changes/{}", action.split('"').next().unwrap());
    let page = second
        .submit(&page, &action, &[("decision", "confirm")])
        .await;
    assert!(page.body.contains("Confirmed"), "{}", page.body);
    let path = format!("/v1/staff/{}", eve.id);
    let roles = mall.server.get(mall.at(&ada.token), &path).await;
    assert_eq!(roles["roles"], json!(["operator.owner"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_invited_and_ended_on_their_pages() {
    let mall = People::open().await;
    let tea = mall.merchant("tea").await;
    let boss = mall
        .whole("boss@tea.example", &["merchant.owner"], Some(&tea))
        .await;
    let desk = Browser::of(&mall, &boss);
    let page = desk.get("/console/people/invite").await;
    assert!(
        !page.body.contains("operator"),
        "a merchant's roles alone: {}",
        page.body
    );
    let far = [
        ("name", "Ada"),
        ("email", "ada@tea.example"),
        ("language", "zh-CN"),
        ("role.merchant.cashier", "on"),
        ("stores", "cake-1"),
    ];
    let page = desk.submit(&page, "/console/people/invite", &far).await;
    assert_eq!(page.status, 404);
    assert!(page.body.contains("no such store") && page.body.contains("value=\"Ada\""));
    let near: Vec<(&str, &str)> = far[..4]
        .iter()
        .copied()
        .chain([("stores", "tea-1")])
        .collect();
    let page = desk.submit(&page, "/console/people/invite", &near).await;
    assert!(page.body.contains("/invitation?token="), "{}", page.body);
    let listed = mall
        .server
        .get(mall.at(&boss.token), "/v1/staff?state=invited");
    let listed = listed.await;
    let ada = listed["data"][0]["staff_id"].as_str().unwrap().to_owned();
    assert_eq!(listed["data"][0]["store_ids"].as_array().unwrap().len(), 1);
    let path = format!("/console/people/{ada}");
    let page = desk.get(&path).await;
    assert!(page.body.contains("value=\"tea-1\""), "{}", page.body);
    let page = desk
        .submit(&page, &format!("{path}/end"), &[("how", "now")])
        .await;
    assert!(page.body.contains("Ended") && !page.body.contains("action=\"/console/people/"));
}
