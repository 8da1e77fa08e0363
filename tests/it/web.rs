//! Pages, as a browser without scripts meets them.

mod console;
mod member;
mod own;
mod places;
mod statements;

use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{
    browser::{Browser, check, encoded, seal},
    outside::tables,
    people::{PASSWORD, People, code, text},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_comes_by_invitation_sets_up_a_second_factor_goes_and_comes_again() {
    let mall = People::open().await;
    let token = mall
        .invited("ada@mall.example", &["operator.owner"], None)
        .await;
    let ada = Browser::new(&mall, "en");
    assert!(
        ada.get("/account").await.body.contains("<h1>Sign in</h1>"),
        "nobody yet"
    );
    let page = ada.get(&format!("/invitation?token={token}")).await;
    assert!(page.body.contains("ada@mall.example"));
    let guessable = [("token", token.as_str()), ("password", "1234567890")];
    let weak = ada.submit(&page, "/invitation", &guessable).await;
    assert_eq!(weak.status, 409);
    assert!(weak.body.contains("role=\"alert\""));
    let page = ada
        .submit(
            &weak,
            "/invitation",
            &[("token", &token), ("password", PASSWORD)],
        )
        .await;
    assert!(
        page.body.contains("Set up your second factor"),
        "{}",
        page.body
    );
    let page = ada.submit(&page, "/second-factor/begin", &[]).await;
    assert!(page.body.contains("<svg"), "a square");
    let (_, rest) = page.body.split_once("<p><code>").unwrap();
    let secret = rest.split('<').next().unwrap().to_owned();
    let wrong = ada
        .submit(&page, "/second-factor", &[("code", "123456")])
        .await;
    assert_eq!(wrong.status, 409);
    assert!(wrong.body.contains(&secret), "the same square stays");
    let before = ada.cookies.borrow()["__Host-rotunda"].clone();
    let now = code(&secret, mall.clock.now());
    let page = ada
        .submit(&wrong, "/second-factor", &[("code", &now)])
        .await;
    assert_ne!(
        ada.cookies.borrow()["__Host-rotunda"],
        before,
        "another token"
    );
    assert_eq!(page.body.matches("<li><code>").count(), 10);
    let page = ada.get("/account").await;
    assert!(page.body.contains("Mall owner") && page.body.contains("ada@mall.example"));
    let token = ada.cookies.borrow()["__Host-rotunda"].clone();
    let out = ada.submit(&page, "/sign-out", &[]).await;
    assert!(out.body.contains("<h1>Sign in</h1>"));
    assert!(!ada.cookies.borrow().contains_key("__Host-rotunda"));
    super::identity::gone_from(&mall, &token).await;

    let wrong = ada
        .submit(
            &out,
            "/sign-in",
            &[("email", "ada@mall.example"), ("password", "x")],
        )
        .await;
    assert_eq!(wrong.status, 401);
    assert!(
        wrong.body.contains("value=\"ada@mall.example\""),
        "not asked for twice"
    );
    mall.pass(30);
    let fields = [("email", "ada@mall.example"), ("password", PASSWORD)];
    let page = ada.submit(&wrong, "/sign-in", &fields).await;
    assert!(
        page.body.contains("autocomplete=\"one-time-code\""),
        "{}",
        page.body
    );
    assert!(
        ada.get("/account").await.body.contains("one-time-code"),
        "not before the code"
    );
    let now = code(&secret, mall.clock.now());
    let page = ada.submit(&page, "/sign-in/code", &[("code", &now)]).await;
    assert!(page.body.contains("Mall owner"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_not_ours_does_nothing() {
    let mall = People::open().await;
    mall.active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let (ada, eve) = (Browser::new(&mall, "en"), Browser::new(&mall, "en"));
    let fields = [("email", "ada@mall.example"), ("password", PASSWORD)];
    let page = ada.get("/sign-in").await;
    let early = seal(&page, "/sign-in");
    let page = ada.submit(&page, "/sign-in", &fields).await;
    assert!(page.body.contains("Auditor"), "{}", page.body);
    let foreign = seal(&eve.get("/sign-in").await, "/sign-in");
    let own = seal(&page, "/sign-out");
    let before = tables(&mall.front.tenant).await;
    let host = mall.front.host();
    let ours = format!("https://{host}");
    let near = format!("https://evil.{host}");
    let cases: [(&str, &[(&str, &str)]); 8] = [
        ("", &[]),
        ("zz", &[]),
        (&foreign, &[("origin", &ours)]),
        // From before the sign-in: another token, another seal.
        (&early, &[("origin", &ours)]),
        (&own, &[("origin", "https://evil.example")]),
        (&own, &[("origin", &near)]),
        (&own, &[("origin", "null")]),
        (&own, &[("sec-fetch-site", "cross-site")]),
    ];
    let forms: [(&str, &[(&str, &str)]); 14] = [
        ("/sign-in", &fields),
        ("/sign-in/code", &[("code", "123456")]),
        ("/sign-out", &[]),
        ("/password", &[("email", "ada@mall.example")]),
        ("/password/reset", &[("token", "x"), ("password", PASSWORD)]),
        ("/invitation", &[("token", "x"), ("password", PASSWORD)]),
        ("/second-factor", &[("code", "123456")]),
        ("/second-factor/begin", &[]),
        ("/account", &[("language", "en"), ("theme", "dark")]),
        ("/account/sessions", &[("session", "others")]),
        ("/console/settlements/x/issue", &[]),
        ("/console/statements/x/confirm", &[]),
        ("/console/statements/x/lines", &[("reason", "x")]),
        ("/console/disputes", &[("dispute", "x")]),
    ];
    for (action, fields) in forms {
        for (seal, headers) in cases {
            let mut all = vec![("seal", seal)];
            all.extend(fields);
            let refused = ada
                .ask(&Method::POST, action, headers, Some(&encoded(&all)))
                .await;
            assert_eq!(refused.status, 403, "{action} {headers:?}");
            check(&refused);
        }
    }
    assert_eq!(tables(&mall.front.tenant).await, before);
    for action in ["/sign-out", "/second-factor/begin"] {
        let read = ada.ask(&Method::GET, action, &[], None).await;
        assert_eq!(read.status, 405, "{action}");
    }
    let page = ada
        .submit(
            &page,
            "/account",
            &[("language", "zh-TW"), ("theme", "dark")],
        )
        .await;
    assert!(
        page.body
            .contains("<html lang=\"zh-TW\" data-theme=\"dark\""),
        "{}",
        page.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_speak_the_browsers_language_and_then_the_persons() {
    let mall = People::open().await;
    mall.active("ada@mall.example", &["operator.auditor"], None)
        .await;
    for (wish, tag, title) in [
        ("zh-CN,en;q=0.5", "zh-CN", "<h1>登录</h1>"),
        ("zh-TW", "zh-TW", "<h1>登入</h1>"),
        ("fr", "en", "<h1>Sign in</h1>"),
    ] {
        let browser = Browser::new(&mall, wish);
        for path in [
            "/sign-in",
            "/password",
            "/invitation?token=x",
            "/password/reset",
        ] {
            let page = browser.get(path).await;
            assert!(
                page.body.contains(&format!("<html lang=\"{tag}\"")),
                "{path}: {}",
                page.body
            );
        }
        let page = browser.get("/sign-in").await;
        assert!(page.body.contains(title), "{}", page.body);
        let fields = [("email", "ada@mall.example"), ("password", PASSWORD)];
        let page = browser.submit(&page, "/sign-in", &fields).await;
        assert!(
            page.body.contains("<html lang=\"en\""),
            "the person's own: {}",
            page.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_call_themselves_is_text_on_a_page() {
    let mall = People::open().await;
    let ada = mall
        .active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let browser = Browser::new(&mall, "en");
    browser
        .cookies
        .borrow_mut()
        .insert("__Host-rotunda".to_owned(), ada.token.clone());
    for name in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "{{7*7}}'\"&amp;",
    ] {
        let me = json!({"name": name, "language": "en", "theme": "system"}).to_string();
        let put = mall
            .server
            .ask(mall.at(&ada.token), &Method::PUT, "/v1/me", Some(&me))
            .await;
        assert_eq!(put.status, 200, "{}", put.body);
        for path in ["/account", "/account/sessions"] {
            let page = browser.get(path).await;
            assert!(
                !page.body.contains("<script") && !page.body.contains("<img"),
                "{}",
                page.body
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_ended_on_their_page_and_the_style_is_for_ever() {
    let mall = People::open().await;
    let ada = mall
        .active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let other = text(&mall.sign_in("ada@mall.example", PASSWORD).await.json()["token"]);
    let browser = Browser::new(&mall, "en");
    browser
        .cookies
        .borrow_mut()
        .insert("__Host-rotunda".to_owned(), ada.token.clone());
    let page = browser.get("/account/sessions").await;
    assert_eq!(
        page.body.matches("name=\"session\"").count(),
        2,
        "the other one, and all"
    );
    let page = browser
        .submit(&page, "/account/sessions", &[("session", "others")])
        .await;
    assert_eq!(
        page.body.matches("name=\"session\"").count(),
        1,
        "{}",
        page.body
    );
    super::identity::gone_from(&mall, &other).await;
    let (_, rest) = page
        .body
        .split_once("<link rel=\"stylesheet\" href=\"")
        .unwrap();
    let style = rest.split('"').next().unwrap();
    let style = browser.ask(&Method::GET, style, &[], None).await;
    assert_eq!(style.status, 200);
    assert!(
        style.headers["cache-control"]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    assert!(style.body.contains("prefers-color-scheme: dark"));
    assert_eq!(
        mall.does(&ada.token, "/v1/me/sign-out", &Value::Null)
            .await
            .status,
        200
    );
}
