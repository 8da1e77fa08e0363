//! Members' pages: coming in by a code, and one's points.

use std::collections::BTreeMap;

use poem::http::Method;
use rotunda::config::Config;
use serde_json::json;

use crate::support::{
    browser::{Browser, check, encoded, seal},
    front::{SHANGHAI, Sheet, TEA},
    outside::Answer,
    people::{PASSWORD, People},
    sms::{Telephones, tell},
};

const SHEET: Sheet = Sheet {
    names: r#"{ en = "Starlight", "zh-CN" = "星光商场", "zh-TW" = "星光商場" }"#,
    languages: r#"["en", "zh-CN", "zh-TW"]"#,
    expiry: "policy = \"rolling_month\"\nmonths = 12",
    shops: TEA,
    ..SHANGHAI
};

const NOON: &str = "2026-06-15T04:00:00Z";

const COOKIE: &str = "__Host-rotunda-member";

async fn mall(phones: &Telephones) -> People {
    People::open_with(&SHEET, NOON, |config| config.sms = Some(phones.hook())).await
}

/// What opens together with the code that is on its way.
fn waiting(browser: &Browser<'_>) -> String {
    browser.cookies.borrow()[COOKIE].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_joins_earns_sees_why_and_goes() {
    let phones = Telephones::open().await;
    let mall = mall(&phones).await;
    let (server, front) = (&mall.server, &mall.front);
    let ada = Browser::new(&mall, "en");
    let page = ada.get("/my").await;
    assert!(
        page.body.contains("<h1>Sign in or join</h1>"),
        "{}",
        page.body
    );
    for wrong in ["", "12", "ada@mall.example", "<b>1380013</b>"] {
        let refused = ada.submit(&page, "/my/sign-in", &[("phone", wrong)]).await;
        assert_eq!(refused.status, 409, "{wrong}");
        assert!(
            refused.body.contains("not a telephone number"),
            "{}",
            refused.body
        );
        assert!(!refused.body.contains("<b>"));
    }
    let phone = [("phone", "138 0013 8000")];
    let page = ada.submit(&page, "/my/sign-in", &phone).await;
    assert!(
        page.body.contains("<h1>Check your messages</h1>"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("This machine sends no messages"));
    let soon = ada.get("/my/sign-in").await;
    let soon = ada.submit(&soon, "/my/sign-in", &phone).await;
    assert_eq!(soon.status, 429);
    assert!(soon.body.contains("Digits were sent a moment ago"));
    let code = phones.code(server, &front.tenant, &waiting(&ada)).await;
    let other = if code == "000000" { "111111" } else { "000000" };
    let wrong = ada
        .submit(&page, "/my/sign-in/code", &[("code", other)])
        .await;
    assert_eq!(wrong.status, 409);
    let before = waiting(&ada);
    let home = ada
        .submit(&wrong, "/my/sign-in/code", &[("code", &code)])
        .await;
    assert_ne!(waiting(&ada), before, "a session, and no code any more");
    assert!(home.body.contains("<strong>0</strong>"), "{}", home.body);
    assert!(home.body.contains("Nothing yet"), "{}", home.body);

    let member = json!({"phone": "+8613800138000"});
    let found = server.post(front.till(), "/v1/members/search", &member);
    let bought = json!({"store_id": front.store(server, "tea-1").await, "receipt_number": "1",
        "member_id": found.await["member_id"],
        "lines": [{"category": "tea", "quantity": 1, "amount": 1_234_00}]});
    server.post(front.till(), "/v1/purchases", &bought).await;
    let home = ada.get("/my").await;
    for shown in [
        "<strong>1,234</strong>",
        "1,234 lapse on 2027-06-01",
        "Purchase",
        "+1,234",
        "where\">Tea</span>",
        "1,234 after it",
    ] {
        assert!(home.body.contains(shown), "{shown}: {}", home.body);
    }
    for (language, shown) in [("zh-CN", "消费"), ("zh-TW", "我的點數")] {
        let same = Browser::new(&mall, language);
        same.cookies
            .borrow_mut()
            .insert(COOKIE.to_owned(), waiting(&ada));
        let home = same.get("/my").await;
        assert!(home.body.contains(shown), "{}", home.body);
        assert!(
            !home.body.contains("my-"),
            "a word is missing: {}",
            home.body
        );
    }
    // Whoever is a member is nobody who works here.
    let page = ada.get("/account").await;
    assert!(page.body.contains("<h1>Sign in</h1>"), "{}", page.body);
    let forged = Browser::new(&mall, "en");
    forged
        .cookies
        .borrow_mut()
        .insert("__Host-rotunda".to_owned(), waiting(&ada));
    let answer = forged.ask(&Method::GET, "/account", &[], None).await;
    assert_eq!(answer.status, 403, "{}", answer.body);

    let token = waiting(&ada);
    let out = ada.submit(&home, "/my/sign-out", &[]).await;
    assert!(out.body.contains("Sign in or join"), "{}", out.body);
    assert!(!ada.cookies.borrow().contains_key(COOKIE));
    mall.pass(1);
    assert_eq!(mall.asks(&token, "/v1/membership").await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_not_ours_brings_nobody_in_and_nobody_out() {
    let phones = Telephones::open().await;
    let mall = mall(&phones).await;
    mall.active("eve@mall.example", &["operator.auditor"], None)
        .await;
    let (ada, eve) = (Browser::new(&mall, "en"), Browser::new(&mall, "en"));
    let page = ada.get("/my/sign-in").await;
    let fields = [("phone", "13800138000")];
    let page = ada.submit(&page, "/my/sign-in", &fields).await;
    let code = phones
        .code(&mall.server, &mall.front.tenant, &waiting(&ada))
        .await;
    let foreign = seal(&eve.get("/my/sign-in").await, "/my/sign-in");
    let forms = [
        ("/my/sign-in", ("phone", "13900139000")),
        ("/my/sign-in/code", ("code", code.as_str())),
        ("/my/sign-out", ("x", "")),
    ];
    let own = seal(&page, "/my/sign-in/code");
    let evil = [("origin", "https://evil.example")];
    for (action, field) in forms {
        for (seal, headers) in [("", &[][..]), ("zz", &[]), (&foreign, &[]), (&own, &evil)] {
            let all = encoded(&[("seal", seal), field]);
            let refused = ada.ask(&Method::POST, action, headers, Some(&all)).await;
            assert_eq!(refused.status, 403, "{action} {seal}");
            check(&refused);
        }
    }
    // In one browser somebody can work here and be a member.
    let home = ada
        .submit(&page, "/my/sign-in/code", &[("code", &code)])
        .await;
    assert!(home.body.contains("Your points"), "{}", home.body);
    let page = ada.get("/sign-in").await;
    let fields = [("email", "eve@mall.example"), ("password", PASSWORD)];
    let account = ada.submit(&page, "/sign-in", &fields).await;
    assert!(account.body.contains("Auditor"), "{}", account.body);
    assert!(ada.get("/my").await.body.contains("Your points"));
    ada.submit(&account, "/sign-out", &[]).await;
    assert!(ada.get("/my").await.body.contains("Your points"));
}

/// A page as somebody at this very machine meets it, with their cookies.
async fn here(
    mall: &People,
    cookies: &mut BTreeMap<String, String>,
    path: &str,
    form: Option<&[(&str, &str)]>,
) -> Answer {
    let kept: Vec<String> = cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let kept = kept.join("; ");
    let host = mall.front.host();
    let origin = format!("http://{host}");
    let headers = [
        ("host", host),
        ("origin", &origin),
        ("cookie", &kept),
        ("accept-language", "zh-CN"),
    ];
    let body = form.map(encoded);
    let answer = mall.server.browse_here(path, &headers, body.as_deref());
    let answer = answer.await;
    for cookie in answer.headers.get_all("set-cookie") {
        let (pair, _) = cookie.to_str().unwrap().split_once("; ").unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        cookies.insert(name.to_owned(), value.to_owned());
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn on_ones_own_machine_the_page_shows_the_code_and_to_nobody_else() {
    let change = |config: &mut Config| {
        config.dev = true;
        config.behind_proxy = false;
    };
    let mall = People::open_with(&SHEET, NOON, change).await;
    let mut cookies = BTreeMap::new();
    let page = here(&mall, &mut cookies, "/my/sign-in", None).await;
    let asked = seal(&page, "/my/sign-in");
    let fields = [("seal", asked.as_str()), ("phone", "13800138000")];
    let sent = here(&mall, &mut cookies, "/my/sign-in", Some(&fields)).await;
    assert_eq!(sent.headers["location"], "/my/sign-in/code");
    let token = cookies["rotunda-dev-member"].clone();
    tell(&mall.server, &mall.front.tenant, &token).await;
    let page = here(&mall, &mut cookies, "/my/sign-in/code", None).await;
    let (_, text) = page.body.split_once("role=\"status\">").unwrap();
    let text = text.split('<').next().unwrap();
    assert!(text.contains("星光商场"), "{text}");
    let (_, code) = text.split_once("验证码 ").unwrap();
    let asked = seal(&page, "/my/sign-in/code");
    let fields = [("seal", asked.as_str()), ("code", &code[..6])];
    let sent = here(&mall, &mut cookies, "/my/sign-in/code", Some(&fields)).await;
    assert_eq!(sent.headers["location"], "/my");
    let home = here(&mall, &mut cookies, "/my", None).await;
    assert!(home.body.contains("我的积分"), "{}", home.body);

    // From anywhere else the same server shows nothing.
    let eve = Browser::new(&mall, "zh-CN");
    let page = eve.get("/my/sign-in").await;
    let fields = [("phone", "13900139000")];
    eve.submit(&page, "/my/sign-in", &fields).await;
    tell(&mall.server, &mall.front.tenant, &waiting(&eve)).await;
    let page = eve.get("/my/sign-in/code").await;
    assert!(page.body.contains("请查看短信"), "{}", page.body);
    assert!(!page.body.contains("role=\"status\""), "{}", page.body);
}
