//! The pages of whoever applies and of whoever decides, as a browser without scripts meets them.

use serde_json::json;

use super::{ACCOUNT, IDENTITY, LICENCE, PNG};
use crate::support::{
    browser::{Browser, check, seal},
    outside::{Answer, Caller},
    people::{PASSWORD, People},
};

/// What stands in a hidden field of the form that goes to `action`.
fn hidden(page: &Answer, action: &str, name: &str) -> String {
    let (_, form) = page
        .body
        .split_once(&format!("action=\"{action}\""))
        .unwrap();
    let (_, rest) = form
        .split_once(&format!("name=\"{name}\" value=\""))
        .unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Sends a file as a browser does, and what comes of it.
async fn sends(
    mall: &People,
    page: &Answer,
    one: &Browser<'_>,
    kind: &str,
    bytes: &[u8],
) -> Answer {
    let (token, seal) = (
        hidden(page, "/apply/files", "token"),
        seal(page, "/apply/files"),
    );
    let mut body = Vec::new();
    for (name, value) in [("seal", seal.as_str()), ("token", &token), ("kind", kind)] {
        let part =
            format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(part.as_bytes());
    }
    let head = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../a.html\"\r\n\
                Content-Type: text/html\r\n\r\n";
    body.extend(head.as_bytes());
    body.extend(bytes);
    body.extend(b"\r\n--edge--\r\n");
    let kept = one.cookies.borrow().clone();
    let kept: Vec<String> = kept
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let (kept, origin) = (kept.join("; "), format!("https://{}", mall.front.host()));
    let more = [("cookie", kept.as_str()), ("origin", &origin)];
    let caller = Caller {
        key: None,
        ..mall.stranger()
    };
    let media = "multipart/form-data; boundary=edge";
    let answer = mall
        .server
        .send(caller, "/apply/files", media, &more, &body)
        .await;
    if answer.status == 303 {
        return one.get(answer.headers["location"].to_str().unwrap()).await;
    }
    check(&answer);
    answer
}

fn worded(page: &Answer) {
    assert!(
        !page.body.contains("apply-"),
        "a word is missing: {}",
        page.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_applies_and_is_approved_without_any_script() {
    let mall = People::open().await;
    let lin = Browser::new(&mall, "en");
    let page = lin.get("/apply").await;
    worded(&page);
    let digest = hidden(&page, "/apply", "digest");
    let begin = [
        ("email", "lin@lantern.example"),
        ("digest", digest.as_str()),
        ("accept", "yes"),
    ];
    let unread = lin.submit(&page, "/apply", &begin[..2]).await;
    assert_eq!(unread.status, 403, "the conditions are to be accepted");
    let own = lin.submit(&page, "/apply", &begin).await;
    worded(&own);
    let token = hidden(&own, "/apply/application", "token");
    let all = [
        ("token", token.as_str()),
        ("company", "Lantern <b>Tea</b>"),
        ("country", "CN"),
        ("licence", LICENCE),
        ("representative", "Lin Deng"),
        ("identity", IDENTITY),
        ("contact-0-name", "Lin Deng"),
        ("contact-0-email", "lin@lantern.example"),
        ("categories", "tea\r\ncups"),
        ("goods", "Tea"),
        ("stores", "Lantern B1"),
        ("alliance", "both"),
        ("holder", "Lantern"),
        ("bank", "First"),
        ("account", ACCOUNT),
        ("language", "en"),
        ("do", "submit"),
    ];
    let early = lin.submit(&own, "/apply/application", &all).await;
    assert_eq!(early.status, 409);
    worded(&early);
    assert!(
        early.body.contains("Picture of the licence: missing"),
        "{}",
        early.body
    );
    assert!(
        early.body.contains("Lantern &lt;b&gt;Tea&lt;/b&gt;"),
        "what was said is kept, as text"
    );
    assert!(!early.body.contains(IDENTITY) && early.body.contains("************1234"));
    let refused = sends(&mall, &early, &lin, "licence", b"<script>alert(1)</script>").await;
    assert_eq!(refused.status, 409);
    let mut page = refused;
    for kind in ["licence", "identity"] {
        page = sends(&mall, &page, &lin, kind, PNG).await;
        assert_eq!(page.status, 200, "{}", page.body);
    }
    assert!(page.body.contains(">a.png<"), "{}", page.body);
    let sent = lin.submit(&page, "/apply/application", &all).await;
    assert_eq!(sent.status, 200);
    assert!(sent.body.contains("Sent in"), "{}", sent.body);

    // Who decides finds it at once: sign in, the queue, the application, approve.
    mall.active("ada@mall.example", &["operator.merchant-manager"], None)
        .await;
    let ada = Browser::new(&mall, "en");
    let page = ada.get("/console/applications").await;
    assert!(page.body.contains("<h1>Sign in</h1>"), "nobody yet");
    let signed = [("email", "ada@mall.example"), ("password", PASSWORD)];
    ada.submit(&page, "/sign-in", &signed).await;
    let page = ada.get("/console").await;
    assert!(
        page.body.contains("href=\"/console/applications\""),
        "{}",
        page.body
    );
    let queue = ada.get("/console/applications").await;
    worded(&queue);
    let (_, rest) = queue
        .body
        .split_once("/console/applications/application?id=")
        .unwrap();
    let id = rest.split('"').next().unwrap().to_owned();
    let one = ada
        .get(&format!("/console/applications/application?id={id}"))
        .await;
    worded(&one);
    assert!(one.body.contains("Lantern &lt;b&gt;Tea"));
    let at = "/console/applications/application";
    let empty = ada.submit(&one, at, &[("id", &id), ("do", "reject")]).await;
    assert_eq!(empty.status, 409);
    let asked = [
        ("id", id.as_str()),
        ("do", "ask"),
        ("ask-goods", "Which tea?"),
    ];
    let page = ada.submit(&one, at, &asked).await;
    assert!(page.body.contains("More asked"), "{}", page.body);
    let own = lin.get(&format!("/apply/application?token={token}")).await;
    assert!(own.body.contains("Which tea?"));
    lin.submit(&own, "/apply/application", &all).await;
    let one = ada
        .get(&format!("/console/applications/application?id={id}"))
        .await;
    let approved = ada
        .submit(
            &one,
            at,
            &[("id", &id), ("do", "approve"), ("code", "lantern")],
        )
        .await;
    worded(&approved);
    assert!(
        approved.body.contains("/invitation?token="),
        "{}",
        approved.body
    );
    let own = lin.get(&format!("/apply/application?token={token}")).await;
    let digest = hidden(&own, "/apply/application", "digest");
    let accepts = [
        ("token", token.as_str()),
        ("digest", &digest),
        ("do", "accept"),
    ];
    let live = lin.submit(&own, "/apply/application", &accepts).await;
    assert!(live.body.contains("state live"), "{}", live.body);
    worded(&live);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_gets_a_page_that_says_so_and_who_may_only_read_has_no_buttons() {
    let mall = People::open().await;
    let (token, id) = mall.applied("lin@lantern.example", LICENCE).await;
    let at = format!("/console/applications/application?id={id}");
    for (email, role, status, says) in [
        (
            "sue@mall.example",
            "operator.support",
            403,
            "Read applications of companies, with their files",
        ),
        (
            "aud@mall.example",
            "operator.auditor",
            200,
            "You may read applications",
        ),
    ] {
        mall.active(email, &[role], None).await;
        let one = Browser::new(&mall, "en");
        let page = one.get("/sign-in").await;
        one.submit(
            &page,
            "/sign-in",
            &[("email", email), ("password", PASSWORD)],
        )
        .await;
        let page = one.get(&at).await;
        assert_eq!(page.status, status, "{role}: {}", page.body);
        assert!(page.body.contains(says), "{role}: {}", page.body);
        assert!(!page.body.contains("value=\"approve\""));
        assert!(!page.body.contains(IDENTITY) && !page.body.contains(ACCOUNT));
    }
    // A link that was copied incompletely, and a form that is not ours.
    let stranger = Browser::new(&mall, "zh-TW");
    let cut = &token[..token.len() - 1];
    let page = stranger
        .get(&format!("/apply/application?token={cut}"))
        .await;
    assert_eq!(page.status, 409);
    let method = poem::http::Method::POST;
    let body = format!("token={token}&do=withdraw");
    let forged = stranger
        .ask(&method, "/apply/application", &[], Some(&body))
        .await;
    assert_eq!(forged.status, 403);
    let own = mall.server.get(mall.at(&token), "/v1/application").await;
    assert_eq!(own["application"]["state"], "submitted");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_anew_reads_the_conditions_as_they_are_now_and_accepts_those() {
    let mall = People::open().await;
    let manager = mall
        .server
        .key(&mall.front.tenant, "operator.merchant-manager", None)
        .await;
    let token = mall.applicant("lin@lantern.example").await;
    let lin = Browser::new(&mall, "en");
    let (at, path) = (
        "/apply/application",
        format!("/apply/application?token={token}"),
    );
    let own = lin.get(&path).await;
    assert!(!own.body.contains("value=\"renew\""));
    let withdraw = [("token", token.as_str()), ("do", "withdraw")];
    let stale = lin.submit(&own, at, &withdraw).await;
    let old = hidden(&stale, at, "digest");
    let texts = json!({"texts": [{"language": "en", "text": "Be kind & quiet."}]});
    let current = "/v1/merchant-texts/current?kind=conditions";
    let published = mall.puts(&manager, current, &texts).await;
    assert_eq!(published.status, 200, "{}", published.body);
    let renew = |digest: String| {
        [
            ("token", token.clone()),
            ("do", "renew".to_owned()),
            ("digest", digest),
        ]
    };
    let fields = renew(old.clone());
    let fields = fields
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let page = lin.submit(&stale, at, &fields).await;
    assert_eq!(
        page.status, 409,
        "who has not read them has not accepted them"
    );
    assert!(
        page.body.contains("文本已更新，請重新閱讀"),
        "in the applicant's language: {}",
        page.body
    );
    assert!(page.body.contains("Be kind &amp; quiet."), "{}", page.body);
    let new = hidden(&page, at, "digest");
    assert_ne!(new, old);
    let fields = renew(new.clone());
    let fields = fields
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let draft = lin.submit(&page, at, &fields).await;
    assert_eq!(draft.status, 200);
    assert!(draft.body.contains("state draft"), "{}", draft.body);
    let own = mall.server.get(mall.at(&token), "/v1/application").await;
    assert_eq!(
        (&own["conditions"]["version"], &own["conditions"]["digest"]),
        (&json!(1), &json!(new))
    );
}
