//! The second factor: who needs one, that a code works once, and what replaces a telephone.

use futures_util::future::join_all;
use rotunda::kernel::{ids::Entropy, time::Clock};
use serde_json::{Value, json};

use super::coming::gone;
use crate::support::{
    NOON,
    front::{Front, PLAIN},
    instant,
    outside::Server,
    people::{PASSWORD, People, code, text},
};

#[tokio::test(flavor = "multi_thread")]
async fn owners_and_finance_do_nothing_before_their_second_factor() {
    let mall = People::open().await;
    let tea = mall.merchant("tea").await;
    for (email, role, merchant) in [
        ("a@mall.example", "operator.owner", None),
        ("b@mall.example", "operator.finance", None),
        ("c@tea.example", "merchant.owner", Some(tea.as_str())),
        ("d@tea.example", "merchant.finance", Some(tea.as_str())),
    ] {
        let mut person = mall.active(email, &[role], merchant).await;
        let me = mall.server.get(mall.at(&person.token), "/v1/me").await;
        assert_eq!(me["needs"], "enrolment", "{role}");
        let needed = (403, "second-factor-needed".to_owned());
        assert_eq!(
            mall.asks(&person.token, "/v1/stores").await,
            needed,
            "{role}"
        );
        let others = mall
            .does(&person.token, "/v1/me/sessions/revocation", &Value::Null)
            .await;
        assert_eq!(others.code(), "second-factor-needed");
        let before = person.token.clone();
        mall.enrol(&mut person).await;
        assert_ne!(before, person.token);
        gone(&mall, &before).await;
        assert_eq!(
            mall.asks(&person.token, "/v1/stores").await.0,
            200,
            "{role}"
        );
        // The next sign-in begins without it again.
        let next = mall.sign_in(email, PASSWORD).await.json();
        assert_eq!(next["needs"], "code");
        let next = text(&next["token"]);
        assert_eq!(mall.asks(&next, "/v1/stores").await, needed, "{role}");
        let begun = mall.does(&next, "/v1/me/second-factor", &Value::Null).await;
        assert_eq!(
            begun.code(),
            "second-factor-set-up",
            "a password alone replaces nothing"
        );
        let removed = mall
            .does(&next, "/v1/me/second-factor/removal", &Value::Null)
            .await;
        assert_eq!(removed.code(), "second-factor-needed");
        let shown = mall
            .show(&next, &code(&person.secret, mall.clock.now()))
            .await;
        assert_eq!(shown.status, 200, "{}", shown.body);
        gone(&mall, &next).await;
        let whole = text(&shown.json()["token"]);
        assert_eq!(mall.asks(&whole, "/v1/stores").await.0, 200, "{role}");
        mall.pass(30);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_needs_none_may_have_one_and_then_needs_it() {
    let mall = People::open().await;
    let mut ada = mall
        .active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let other = text(&mall.sign_in("ada@mall.example", PASSWORD).await.json()["token"]);
    assert_eq!(mall.asks(&other, "/v1/stores").await.0, 200);
    mall.enrol(&mut ada).await;
    let mut answer = (200, String::new());
    for _ in 0..100 {
        answer = mall.asks(&other, "/v1/stores").await;
        if answer.0 != 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(answer, (403, "second-factor-needed".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once_also_for_many_at_the_same_moment() {
    let mall = People::open().await;
    let ada = mall
        .whole("ada@mall.example", &["operator.owner"], None)
        .await;
    let mut tokens = Vec::new();
    for _ in 0..6 {
        let answer = mall.sign_in("ada@mall.example", PASSWORD).await.json();
        tokens.push(text(&answer["token"]));
    }
    let now = code(&ada.secret, mall.clock.now());
    let shown = join_all(tokens.iter().map(|token| mall.show(token, &now))).await;
    let taken = shown.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(taken, 1);
    let rest = tokens
        .iter()
        .zip(&shown)
        .find(|(_, answer)| answer.status != 200);
    let (token, refused) = rest.unwrap();
    assert_eq!(refused.code(), "wrong-code");
    assert_eq!(mall.show(token, &now).await.code(), "wrong-code");
    mall.pass(30);
    let next = code(&ada.secret, mall.clock.now());
    assert_eq!(mall.show(token, &next).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_code_opens_once_and_new_ones_replace_the_old() {
    let mall = People::open().await;
    let ada = mall
        .whole("ada@mall.example", &["operator.owner"], None)
        .await;
    assert_eq!(ada.recovery_codes.len(), 10);
    let fresh =
        || async { text(&mall.sign_in("ada@mall.example", PASSWORD).await.json()["token"]) };
    let typed = ada.recovery_codes[0].to_uppercase();
    let opened = mall.show(&fresh().await, &typed).await;
    assert_eq!(opened.status, 200, "{}", opened.body);
    assert_eq!(mall.show(&fresh().await, &typed).await.code(), "wrong-code");
    let whole = text(&opened.json()["token"]);
    let made = mall
        .does(&whole, "/v1/me/second-factor/recovery-codes", &Value::Null)
        .await;
    let made = made.json();
    let made = made["recovery_codes"].as_array().unwrap();
    assert_eq!(
        mall.show(&fresh().await, &ada.recovery_codes[1])
            .await
            .code(),
        "wrong-code"
    );
    assert_eq!(mall.show(&fresh().await, &text(&made[1])).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_telephone_is_replaced_by_who_showed_a_recovery_code() {
    let mall = People::open().await;
    let mut ada = mall
        .whole("ada@mall.example", &["operator.owner"], None)
        .await;
    let before = ada.token.clone();
    let token = text(&mall.sign_in("ada@mall.example", PASSWORD).await.json()["token"]);
    let shown = mall.show(&token, &ada.recovery_codes[0]).await.json();
    let shown = text(&shown["token"]);
    let path = "/v1/me/second-factor/removal";
    let removed = mall.does(&shown, path, &Value::Null).await.json();
    assert_eq!(removed["needs"], "enrolment");
    ada.token = text(&removed["token"]);
    gone(&mall, &before).await;
    let needed = (403, "second-factor-needed".to_owned());
    assert_eq!(mall.asks(&ada.token, "/v1/stores").await, needed);
    let (secret, codes) = (ada.secret.clone(), ada.recovery_codes.clone());
    mall.enrol(&mut ada).await;
    assert_ne!(secret, ada.secret);
    assert_eq!(mall.asks(&ada.token, "/v1/stores").await.0, 200);
    let token = text(&mall.sign_in("ada@mall.example", PASSWORD).await.json()["token"]);
    assert_eq!(
        mall.show(&token, &codes[1]).await.code(),
        "wrong-code",
        "the old ones"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_key_says_that_it_keeps_no_second_factor() {
    let clock = Clock::fixed(instant(NOON));
    let mut config = Server::config(
        &crate::support::url(),
        rotunda::db::locator::Targets::new(),
        4,
    );
    config.secrets_key = None;
    let server = Server::open_with(config, clock.clone(), Entropy::System).await;
    let front = Front::open(&server, &PLAIN, None).await;
    let new = json!({"email": "a@mall.example", "name": "A", "roles": ["operator.auditor"]});
    let told = server
        .post(front.owner(), "/v1/staff/invitations", &new)
        .await;
    let link = text(&told["link"]);
    let (address, token) = link.split_once("?token=").unwrap();
    assert_eq!(address, format!("http://{}:0/invitation", front.host()));
    let stranger = crate::support::outside::Caller {
        host: front.host(),
        key: None,
    };
    let body = json!({"token": token, "password": PASSWORD});
    let opened = server
        .post(stranger, "/v1/staff/invitations/acceptance", &body)
        .await;
    let token = text(&opened["token"]);
    let begun = server.ask(
        front.with(&token),
        &poem::http::Method::POST,
        "/v1/me/second-factor",
        None,
    );
    assert_eq!(begun.await.code(), "second-factor-off");
}
