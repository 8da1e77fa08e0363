//! What is a member's own, on pages: the name, the devices, the data, and the way out.

use crate::support::{
    browser::Browser,
    front::{SHANGHAI, Sheet, TEA},
    people::People,
    sms::Telephones,
};
use serde_json::json;

const SHEET: Sheet = Sheet {
    names: r#"{ en = "Starlight", "zh-CN" = "星光商场", "zh-TW" = "星光商場" }"#,
    languages: r#"["en", "zh-CN", "zh-TW"]"#,
    shops: TEA,
    ..SHANGHAI
};

const NOON: &str = "2026-06-15T04:00:00Z";
const COOKIE: &str = "__Host-rotunda-member";

async fn comes<'a>(mall: &'a People, phones: &Telephones, language: &'static str) -> Browser<'a> {
    mall.pass(61);
    let browser = Browser::new(mall, language);
    let page = browser.get("/my").await;
    let phone = [("phone", "138 0013 8000")];
    let page = browser.submit(&page, "/my/sign-in", &phone).await;
    let token = browser.cookies.borrow()[COOKIE].clone();
    let code = phones.code(&mall.server, &mall.front.tenant, &token).await;
    browser
        .submit(&page, "/my/sign-in/code", &[("code", &code)])
        .await;
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_changes_the_name_ends_a_device_takes_the_data_and_goes() {
    let phones = Telephones::open().await;
    let hook = phones.hook();
    let mall = People::open_with(&SHEET, NOON, |config| config.sms = Some(hook)).await;
    let (server, front) = (&mall.server, &mall.front);
    let ada = comes(&mall, &phones, "en").await;
    let other = comes(&mall, &phones, "zh-CN").await;

    let page = ada.get("/my/profile").await;
    assert!(page.body.contains("<h1>Profile</h1>"), "{}", page.body);
    assert!(page.body.contains("+8613800138000"), "{}", page.body);
    let long = "x".repeat(121);
    let bad = ada.submit(&page, "/my/profile", &[("name", &long)]).await;
    assert_eq!(bad.status, 409);
    assert!(bad.body.contains("This name is too long"), "{}", bad.body);
    let named = [("name", "Ada <b>")];
    let page = ada.submit(&page, "/my/profile", &named).await;
    assert!(
        page.body.contains("value=\"Ada &lt;b&gt;\""),
        "{}",
        page.body
    );
    assert!(page.body.contains("Kept."));
    assert!(ada.get("/my").await.body.contains("Hello, Ada &lt;b&gt;"));

    // The other device's session is ended, this one's goes on.
    assert_eq!(page.body.matches("Last used").count(), 2, "{}", page.body);
    let page = ada
        .submit(&page, "/my/profile/devices", &[("session", "others")])
        .await;
    assert_eq!(page.body.matches("Last used").count(), 1, "{}", page.body);
    mall.pass(1);
    assert!(other.get("/my").await.body.contains("登录或加入"));
    let foreign = [("session", "mse_00000000000000000000000000")];
    let unknown = ada.submit(&page, "/my/profile", &[("name", "Ada")]).await;
    let unknown = ada.submit(&unknown, "/my/profile", &foreign).await;
    assert_eq!(unknown.status, 200);

    let member = json!({"phone": "+8613800138000"});
    let found = server
        .post(front.till(), "/v1/members/search", &member)
        .await;
    let bought = json!({"store_id": front.store(server, "tea-1").await, "receipt_number": "1",
        "member_id": found["member_id"],
        "lines": [{"category": "tea", "quantity": 1, "amount": 1_234_00}]});
    server.post(front.till(), "/v1/purchases", &bought).await;
    for (path, media, shown) in [
        ("/my/copy", "application/json", "rotunda member copy 1"),
        (
            "/my/copy/history",
            "text/csv; charset=utf-8",
            ",Purchase,1234,1234,Tea,1,",
        ),
    ] {
        let file = ada.ask(&poem::http::Method::GET, path, &[], None).await;
        assert_eq!(file.headers["content-type"], media);
        assert!(
            file.headers["content-disposition"]
                .to_str()
                .unwrap()
                .starts_with("attachment; ")
        );
        assert!(file.body.contains(shown), "{}", file.body);
        let nobody = Browser::new(&mall, "en")
            .ask(&poem::http::Method::GET, path, &[], None)
            .await;
        assert_eq!(nobody.status, 303);
    }

    let page = ada.get("/my/leave").await;
    assert!(
        page.body.contains("My 1,234 points may lapse unused."),
        "{}",
        page.body
    );
    for (fields, said) in [
        (&[("points", "on")][..], "Tick that you are sure"),
        (&[("sure", "on")], "There are points left"),
        (&[], "Tick that you are sure"),
    ] {
        let refused = ada.submit(&page, "/my/leave", fields).await;
        assert_eq!(refused.status, 409);
        assert!(refused.body.contains(said), "{}", refused.body);
    }
    let both = [("points", "on"), ("sure", "on")];
    let gone = ada.submit(&page, "/my/leave", &both).await;
    assert!(
        gone.body.contains("<h1>Your data is erased</h1>"),
        "{}",
        gone.body
    );
    assert!(!ada.cookies.borrow().contains_key(COOKIE));
    assert!(
        ada.get("/my/profile")
            .await
            .body
            .contains("Sign in or join")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_ones_own_is_in_three_languages() {
    let phones = Telephones::open().await;
    let hook = phones.hook();
    let mall = People::open_with(&SHEET, NOON, |config| config.sms = Some(hook)).await;
    for (language, profile, leave) in [
        ("en", "Profile", "Leave and be forgotten"),
        ("zh-CN", "个人资料", "注销并删除数据"),
        ("zh-TW", "個人資料", "註銷並刪除資料"),
    ] {
        let ada = comes(&mall, &phones, language).await;
        for (path, title) in [("/my/profile", profile), ("/my/leave", leave)] {
            let page = ada.get(path).await;
            assert!(
                page.body.contains(&format!("<h1>{title}</h1>")),
                "{}",
                page.body
            );
            for missing in [">my-", ">web-", "own-sheet"] {
                assert!(
                    !page.body.contains(missing),
                    "a word is missing: {}",
                    page.body
                );
            }
        }
    }
}
