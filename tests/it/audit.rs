//! The audit: what is written down, what is not, and that nobody changes it unseen.

mod chain;

use chrono::TimeDelta;
use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{
    browser::Browser,
    outside::tables,
    people::{PASSWORD, People, Person, code, text},
    sealing::seal,
};

/// The entries of an act, the newest first, as the owner reads them.
async fn entries(mall: &People, owner: &str, act: &str) -> Vec<Value> {
    let path = format!("/v1/audit?act={act}");
    let page = mall.server.get(mall.at(owner), &path).await;
    page["data"].as_array().unwrap().clone()
}

/// The newest of them.
async fn newest(mall: &People, owner: &str, act: &str) -> Value {
    let found = entries(mall, owner, act).await.into_iter().next();
    found.unwrap_or_else(|| panic!("nothing of {act}"))
}

async fn owner(mall: &People) -> Person {
    mall.whole("ada@mall.example", &["operator.owner"], None)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_says_who_by_which_right_what_was_before_and_after_and_from_where() {
    let mall = People::open().await;
    let ada = owner(&mall).await;
    let tea = mall.merchant("tea").await;
    let stop = format!("/v1/merchants/{tea}/suspension");
    let stopped = mall
        .server
        .ask_from("203.0.113.9", mall.at(&ada.token), &stop, &json!({}))
        .await;
    // It takes no body, and says so; without one it is done.
    assert_ne!(stopped.status, 500, "{}", stopped.body);
    let done = mall.does(&ada.token, &stop, &Value::Null).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let entry = newest(&mall, &ada.token, "merchant.suspended").await;
    assert_eq!(entry["actor"], json!(ada.id));
    assert_eq!(entry["object"], json!(tea));
    assert_eq!(entry["right"], "merchant suspend");
    assert_eq!(entry["before"], json!({"state": "active"}));
    assert_eq!(entry["after"], json!({"state": "suspended"}));
    assert_eq!(entry["door"], "api");
    // Said again, it changes nothing and is not written down again.
    mall.does(&ada.token, &stop, &Value::Null).await;
    assert_eq!(
        entries(&mall, &ada.token, "merchant.suspended").await.len(),
        1
    );
    let request = text(&entry["request"]);
    assert!(request.starts_with("req_"), "{request}");
    // From where, as a proxy says it, and by what.
    let key = json!({"label": "till 3", "role": "merchant.cashier", "merchant_id": tea});
    let from = mall.elsewhere();
    let signed = mall.sign_in_from(&from, "ada@mall.example", PASSWORD).await;
    assert_eq!(signed.status, 201, "{}", signed.body);
    let entry = newest(&mall, &ada.token, "session.opened").await;
    assert_eq!(entry["address"], json!(from));
    assert_eq!(entry["actor"], json!(ada.id));
    assert!(text(&entry["agent"]).contains("Firefox/140"), "{entry}");
    let made = mall.does(&ada.token, "/v1/keys", &key).await.json();
    let entry = newest(&mall, &ada.token, "key.made").await;
    assert_eq!(entry["object"], made["key_id"]);
    let wanted = json!({"label": "till 3", "role": "merchant.cashier", "merchant": tea});
    assert_eq!(entry["after"], wanted);
    // The vendor's own act came by the command line's right.
    let by_vendor = entries(&mall, &ada.token, "staff.invited").await;
    assert_eq!(by_vendor[0]["actor"], "platform");
    assert_eq!(by_vendor[0]["door"], "command");
    assert_eq!(by_vendor[0]["after"]["email"], "a***@mall.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roles_change_shows_what_somebody_had_and_has() {
    let mall = People::open().await;
    let ada = owner(&mall).await;
    let invited = mall
        .invited("bo@mall.example", &["operator.support"], None)
        .await;
    mall.pass(1);
    let bo = mall.comes(&invited).await;
    mall.pass(1);
    let path = format!("/v1/staff/{}/roles", bo.id);
    let body = json!({"roles": ["operator.marketing"]}).to_string();
    let changed = mall
        .server
        .ask(mall.at(&ada.token), &Method::PUT, &path, Some(&body))
        .await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let entry = newest(&mall, &ada.token, "staff.roles-changed").await;
    assert_eq!(entry["before"], json!({"roles": ["operator.support"]}));
    assert_eq!(entry["after"], json!({"roles": ["operator.marketing"]}));
    let of_bo = format!("/v1/audit?object={}", bo.id);
    let of_bo = mall.server.get(mall.at(&ada.token), &of_bo).await;
    let acts: Vec<&str> = of_bo["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["act"].as_str().unwrap())
        .collect();
    assert_eq!(
        acts,
        ["staff.roles-changed", "password.chosen", "staff.invited"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_tries_passwords_and_codes_is_written_down_until_they_are_locked_out() {
    let mall = People::open().await;
    let ada = owner(&mall).await;
    for _ in 0..12 {
        let refused = mall.sign_in("ada@mall.example", "not this one").await;
        assert!(matches!(refused.status, 401 | 429), "{}", refused.body);
    }
    let failed = entries(&mall, &ada.token, "session.failed").await;
    assert_eq!(failed.len(), 10, "what is locked is not tried any more");
    assert_eq!(failed[0]["object"], json!(ada.id));
    assert_eq!(failed[0]["actor"], "anonymous");
    assert_eq!(entries(&mall, &ada.token, "session.locked").await.len(), 1);
    mall.pass(1);
    mall.sign_in("nobody@mall.example", "not this one").await;
    let unknown = newest(&mall, &ada.token, "session.failed").await;
    assert_eq!(unknown["object"], Value::Null);
    assert_eq!(unknown["after"], json!({"email": "n***@mall.example"}));
    // Codes likewise.
    mall.pass(20 * 60);
    let half = mall.sign_in("ada@mall.example", PASSWORD).await.json();
    let half = text(&half["token"]);
    assert_eq!(mall.show(&half, "000000").await.status, 409);
    assert_eq!(
        newest(&mall, &ada.token, "factor.failed").await["object"],
        json!(ada.id)
    );
    let shown = mall.show(&half, &ada.recovery_codes[0]).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    newest(&mall, &ada.token, "recovery-code.used").await;
    let half = mall.sign_in("ada@mall.example", PASSWORD).await.json();
    let now = code(&ada.secret, mall.clock.now());
    let shown = mall.show(&text(&half["token"]), &now).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    newest(&mall, &ada.token, "factor.shown").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_whole_address_is_ever_in_it() {
    let mall = People::open().await;
    let mut secrets = vec![
        PASSWORD.to_owned(),
        "ada@mall".to_owned(),
        "bo@tea".to_owned(),
    ];
    let ada = owner(&mall).await;
    secrets.extend(ada.recovery_codes.iter().cloned());
    secrets.extend([ada.token.clone(), ada.secret.clone()]);
    let tea = mall.merchant("tea").await;
    let invited = mall
        .invited("bo@tea.example", &["merchant.cashier"], Some(&tea))
        .await;
    secrets.push(invited.clone());
    let wrong = "canary of a wrong password";
    mall.sign_in("ada@mall.example", wrong).await;
    secrets.push(wrong.to_owned());
    let key = json!({"label": "till", "role": "merchant.cashier", "merchant_id": tea});
    let made = mall.does(&ada.token, "/v1/keys", &key).await.json();
    secrets.push(text(&made["secret"]));
    let changed = json!({"current": PASSWORD, "new": "canary of the next password"});
    let renewed = mall.does(&ada.token, "/v1/me/password", &changed).await;
    assert_eq!(renewed.status, 200, "{}", renewed.body);
    let token = text(&renewed.json()["token"]);
    secrets.extend(["canary of the next".to_owned(), token.clone()]);
    let contact = json!({"email": "canary@tea.example", "language": "en"}).to_string();
    let path = format!("/v1/merchants/{tea}/contact");
    let put = mall
        .server
        .ask(mall.at(&token), &Method::PUT, &path, Some(&contact))
        .await;
    assert_eq!(put.status, 200, "{}", put.body);
    secrets.push("canary@tea".to_owned());
    let ask = json!({"email": "ada@mall.example"});
    let asked = mall
        .server
        .ask_from(
            &mall.elsewhere(),
            mall.stranger(),
            "/v1/password-resets",
            &ask,
        )
        .await;
    assert!(asked.status < 300, "{} {}", asked.status, asked.body);
    let member = json!({"phone": "13800000271", "name": "Canary Person"});
    let enrolled = mall
        .does(&mall.master().await, "/v1/members", &member)
        .await;
    assert_eq!(enrolled.status, 201, "{}", enrolled.body);
    secrets.extend(["13800000271".to_owned(), "Canary Person".to_owned()]);
    let written = tables(&mall.front.tenant)
        .await
        .remove("audit_entry")
        .unwrap();
    for act in [
        "session.failed",
        "key.made",
        "password.changed",
        "password.chosen",
        "factor.added",
        "contact.set",
        "link.asked",
        "member.enrolled",
        "staff.invited",
    ] {
        assert!(written.contains(act), "{act} is not in it");
    }
    for secret in secrets {
        assert!(!written.contains(&secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_or_rolled_back_leaves_no_entry() {
    use rotunda::{
        authz::{action::SuspendMerchant, actor::Principal},
        merchants,
    };
    let mall = People::open().await;
    let ada = owner(&mall).await;
    let tea = mall.merchant("tea").await;
    let app = &mall.server.app;
    let vendor = Principal {
        role: rotunda::authz::actor::Role::new("operator.owner"),
        ..Principal::platform(Some(mall.front.tenant.id))
    };
    let grant = app.policy.allow::<SuspendMerchant>(&vendor).unwrap();
    let mut tx = app.db.write(&grant).await.unwrap();
    let stopped = merchants::suspend(&mut tx, &grant, tea.parse().unwrap()).await;
    stopped.unwrap();
    drop(tx);
    let unknown = "/v1/merchants/mer_00000000000000000000000000/suspension";
    let refused = mall.does(&ada.token, unknown, &Value::Null).await;
    assert_eq!(refused.status, 404);
    assert!(
        entries(&mall, &ada.token, "merchant.suspended")
            .await
            .is_empty()
    );
    assert!(seal(app, mall.front.tenant.id).await > 3);
    let again = seal(app, mall.front.tenant.id).await;
    assert_eq!(again, 0, "sealed once");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_paged_and_an_export_goes_on_where_it_ended() {
    let mall = People::open().await;
    let ada = owner(&mall).await;
    let began = mall.clock.now();
    mall.pass(600);
    for number in 0..5 {
        let name = format!("shop-{number}");
        let new = json!({"code": name, "names": {"en": name}, "trade": "tea", "alliance": "both"});
        let made = mall.does(&ada.token, "/v1/merchants", &new).await;
        assert_eq!(made.status, 201, "{}", made.body);
        mall.pass(1);
    }
    let at = |seconds: i64| (began + TimeDelta::seconds(seconds)).to_rfc3339();
    let escaped = |moment: String| moment.replace('+', "%2B");
    let path = format!(
        "/v1/audit?act=merchant.made&actor={}&from={}&until={}&limit=2",
        ada.id,
        escaped(at(601)),
        escaped(at(604)),
    );
    let first = mall.server.get(mall.at(&ada.token), &path).await;
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    let next = format!("{path}&cursor={}", text(&first["next_cursor"]));
    let second = mall.server.get(mall.at(&ada.token), &next).await;
    assert_eq!(second["has_more"], json!(false));
    let codes: Vec<&str> = [&first, &second]
        .into_iter()
        .flat_map(|page| page["data"].as_array().unwrap())
        .map(|one| one["after"]["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["shop-3", "shop-2", "shop-1"]);
    // A cursor of one filter is none of another.
    let other = format!("/v1/audit?cursor={}", text(&first["next_cursor"]));
    let refused = mall.asks(&ada.token, &other).await;
    assert_eq!(refused.1, "invalid-cursor");

    let tenant = mall.front.tenant.id;
    let sealed = seal(&mall.server.app, tenant).await;
    let export = |after: usize| {
        let path = format!("/v1/audit/export?after={after}");
        let (mall, token) = (&mall, &ada.token);
        async move {
            let answer = mall
                .server
                .ask(mall.at(token), &Method::GET, &path, None)
                .await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let lines = answer.body.lines();
            lines
                .map(|line| serde_json::from_str(line).unwrap())
                .collect::<Vec<Value>>()
        }
    };
    let lines = export(0).await;
    let numbers: Vec<usize> = lines
        .iter()
        .map(|line| line["number"].as_u64().unwrap() as usize)
        .collect();
    assert_eq!(numbers, (1..=sealed).collect::<Vec<_>>());
    for pair in lines.windows(2) {
        assert_eq!(pair[0]["hash"], pair[1]["previous"]);
    }
    let taken = newest(&mall, &ada.token, "audit.exported").await;
    assert_eq!(taken["after"], json!({"from": 1, "line": sealed}));
    assert!(export(sealed).await.is_empty(), "nothing new is sealed yet");
    seal(&mall.server.app, tenant).await;
    let rest = export(sealed).await;
    assert_eq!(rest[0]["act"], "audit.exported");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_each_entry_whole_and_proves_the_chain() {
    let mall = People::open().await;
    let ada = owner(&mall).await;
    let tea = mall.merchant("tea").await;
    let stop = format!("/v1/merchants/{tea}/suspension");
    mall.does(&ada.token, &stop, &Value::Null).await;
    let browser = Browser::of(&mall, &ada);
    let page = browser.get("/console/audit?act=merchant.suspended").await;
    assert_eq!(page.status, 200, "{}", page.body);
    for words in [
        "Stopped a merchant",
        &tea,
        "suspended",
        "active",
        "Somebody",
    ] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    let none = browser.get("/console/audit?from=2099-01-01").await;
    assert!(none.body.contains("Nothing was written down that fits."));
    seal(&mall.server.app, mall.front.tenant.id).await;
    let proof = browser.get("/console/audit/proof").await;
    assert!(proof.body.contains("The chain holds"), "{}", proof.body);
    let bad = browser.get("/console/audit/proof?head=x").await;
    assert!(bad.body.contains("This is not the head of a chain."));
    let other = format!("/console/audit/proof?head=1:{}", "a".repeat(64));
    let other = browser.get(&other).await;
    assert!(
        other.body.contains("the chain was made anew"),
        "{}",
        other.body
    );
    // What a page does is written down as a page's.
    let account = browser.get("/account").await;
    let fields = [("language", "en"), ("theme", "dark")];
    let changed = browser.submit(&account, "/account", &fields).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let entry = newest(&mall, &ada.token, "account.changed").await;
    assert_eq!(entry["door"], "page");
    assert_eq!(entry["before"], json!({"theme": "system"}));
    assert_eq!(entry["after"], json!({"theme": "dark"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn merchants_people_and_marketing_do_not_read_it() {
    let mall = People::open().await;
    let tea = mall.merchant("tea").await;
    let bo = mall
        .whole("bo@tea.example", &["merchant.owner"], Some(&tea))
        .await;
    let cy = mall
        .active("cy@mall.example", &["operator.marketing"], None)
        .await;
    for token in [&bo.token, &cy.token] {
        for path in ["/v1/audit", "/v1/audit/verification", "/v1/audit/export"] {
            let refused = mall.asks(token, path).await;
            assert_eq!(refused, (403, "not-allowed".to_owned()), "{path}");
        }
    }
}
