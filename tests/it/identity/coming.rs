//! Sessions: how they begin, what they open, and how they end.

use poem::http::Method;
use serde_json::{Value, json};

use crate::support::{
    outside::tables,
    people::{PASSWORD, People, text},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_opens_what_a_key_of_the_same_role_opens_and_its_person_is_written_down() {
    let mall = People::open().await;
    let ada = mall
        .active(
            "ada@mall.example",
            &["operator.auditor", "operator.merchant-manager"],
            None,
        )
        .await;
    assert_eq!(
        mall.asks(&ada.token, "/v1/keys").await.0,
        200,
        "the auditor's"
    );
    let new = json!({"code": "new", "names": {"en": "New"}, "trade": "tea", "alliance": "both"});
    let made = mall.does(&ada.token, "/v1/merchants", &new).await;
    assert_eq!(made.status, 201, "the merchant manager's: {}", made.body);
    assert_eq!(mall.asks(&ada.token, "/v1/messages").await.0, 200);
    let key = json!({"label": "x", "role": "machine.erp"});
    let refused = mall.does(&ada.token, "/v1/keys", &key).await;
    assert_eq!(refused.code(), "not-allowed");
    let tea = mall.merchant("tea").await;
    let path = format!("/v1/merchants/{tea}/contact");
    let contact = json!({"email": "tea@tea.example", "language": "en"}).to_string();
    let put = mall
        .server
        .ask(mall.at(&ada.token), &Method::PUT, &path, Some(&contact))
        .await;
    assert_eq!(put.status, 200, "{}", put.body);
    let written = tables(&mall.front.tenant).await;
    assert!(
        written["merchant_contact"].contains(&ada.id),
        "{}",
        written["merchant_contact"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchants_people_reach_their_own_merchant_alone() {
    let mall = People::open().await;
    let (tea, cake) = (mall.merchant("tea").await, mall.merchant("cake").await);
    let bo = mall
        .active("bo@tea.example", &["merchant.cashier"], Some(&tea))
        .await;
    assert_eq!(
        mall.asks(&bo.token, &format!("/v1/merchants/{tea}"))
            .await
            .0,
        200
    );
    let other = mall.asks(&bo.token, &format!("/v1/merchants/{cake}")).await;
    assert_eq!(other, (404, "unknown-merchant".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_malls_session_and_half_a_token_open_nothing() {
    let (here, there) = (People::open().await, People::open().await);
    let ada = there
        .active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let unknown = (401, "unknown-key".to_owned());
    assert_eq!(here.asks(&ada.token, "/v1/me").await, unknown);
    let cut = &ada.token[..ada.token.len() - 1];
    assert_eq!(there.asks(cut, "/v1/me").await, unknown);
    assert_eq!(there.asks(&ada.token, "/v1/me").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sign_in_has_a_token_of_its_own_and_signing_out_ends_that_one() {
    let mall = People::open().await;
    let ada = mall
        .active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let second = mall.sign_in("ada@mall.example", PASSWORD).await;
    assert_eq!(
        (second.status, &second.json()["needs"]),
        (201, &json!("nothing"))
    );
    let second = text(&second.json()["token"]);
    assert_ne!(second, ada.token);
    assert_eq!(mall.asks(&second, "/v1/me").await.0, 200);
    assert_eq!(
        mall.does(&second, "/v1/me/sign-out", &Value::Null)
            .await
            .status,
        200
    );
    gone(&mall, &second).await;
    assert_eq!(mall.asks(&ada.token, "/v1/me").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended_one_by_one_and_all_others() {
    let mall = People::open().await;
    let ada = mall
        .active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let answer = mall.sign_in("ada@mall.example", PASSWORD).await.json();
        tokens.push((
            text(&answer["token"]),
            text(&answer["session"]["session_id"]),
        ));
    }
    let listed = mall
        .server
        .get(mall.at(&ada.token), "/v1/me/sessions?limit=3")
        .await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 3);
    assert_eq!(listed["has_more"], true);
    let origin = text(&listed["data"][0]["origin"]);
    assert!(origin.starts_with("Firefox, Linux, 198.51."), "{origin}");
    let (token, id) = &tokens[0];
    let path = format!("/v1/me/sessions/{id}/revocation");
    assert_eq!(mall.does(&ada.token, &path, &Value::Null).await.status, 200);
    gone(&mall, token).await;
    let bo = mall
        .active("bo@mall.example", &["operator.auditor"], None)
        .await;
    let path = format!("/v1/me/sessions/{}/revocation", tokens[1].1);
    let foreign = mall.does(&bo.token, &path, &Value::Null).await;
    assert_eq!(foreign.code(), "unknown-session", "another person's");
    let ended = mall
        .does(&ada.token, "/v1/me/sessions/revocation", &Value::Null)
        .await;
    assert_eq!(ended.json()["ended"], json!(2));
    for (token, _) in &tokens {
        gone(&mall, token).await;
    }
    assert_eq!(
        mall.asks(&ada.token, "/v1/me").await.0,
        200,
        "one's own stays"
    );
    assert_eq!(
        mall.asks(&bo.token, "/v1/me").await.0,
        200,
        "another person's stays"
    );
}

/// Asks until a token opens nothing any more: every server sees that within a second.
pub async fn gone(mall: &People, token: &str) {
    for _ in 0..100 {
        match mall.asks(token, "/v1/me").await {
            (200, _) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            other => return assert_eq!(other, (401, "unknown-key".to_owned())),
        }
    }
    panic!("it opens still");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_after_half_an_hour_without_use_and_after_twelve_hours_with_it() {
    let mall = People::open().await;
    let ada = mall
        .active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let idle = text(&mall.sign_in("ada@mall.example", PASSWORD).await.json()["token"]);
    // Used every twenty minutes, for nearly twelve hours.
    for _ in 0..35 {
        mall.pass(20 * 60);
        assert_eq!(mall.asks(&ada.token, "/v1/me").await.0, 200);
    }
    let unknown = (401, "unknown-key".to_owned());
    assert_eq!(
        mall.asks(&idle, "/v1/me").await,
        unknown,
        "half an hour without use"
    );
    mall.pass(19 * 60);
    assert_eq!(mall.asks(&ada.token, "/v1/me").await.0, 200);
    mall.pass(61);
    assert_eq!(
        mall.asks(&ada.token, "/v1/me").await,
        unknown,
        "twelve hours"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_password_ends_the_other_sessions_and_gives_this_one_another_token() {
    let mall = People::open().await;
    let ada = mall
        .active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let other = text(&mall.sign_in("ada@mall.example", PASSWORD).await.json()["token"]);
    let wrong = json!({"current": "something else entirely", "new": "snow on the tea house"});
    let refused = mall.does(&ada.token, "/v1/me/password", &wrong).await;
    assert_eq!(refused.code(), "wrong-password");
    let weak = json!({"current": PASSWORD, "new": "1234567890"});
    let refused = mall.does(&ada.token, "/v1/me/password", &weak).await;
    assert_eq!(refused.code(), "bad-password");
    let right = json!({"current": PASSWORD, "new": "snow on the tea house"});
    let changed = mall.does(&ada.token, "/v1/me/password", &right).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let renewed = text(&changed.json()["token"]);
    gone(&mall, &other).await;
    gone(&mall, &ada.token).await;
    assert_eq!(mall.asks(&renewed, "/v1/me").await.0, 200);
    assert_eq!(
        mall.sign_in("ada@mall.example", PASSWORD).await.code(),
        "wrong-credentials"
    );
    assert_eq!(
        mall.sign_in("ada@mall.example", "snow on the tea house")
            .await
            .status,
        201
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_person_is_set_by_the_person() {
    let mall = People::open().await;
    let ada = mall
        .active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let mut wanted =
        json!({"name": "艾達", "language": "zh-TW", "time_zone": "Asia/Taipei", "theme": "dark"});
    let put = |body: Value| {
        let mall = &mall;
        let token = ada.token.clone();
        async move {
            let body = body.to_string();
            mall.server
                .ask(mall.at(&token), &Method::PUT, "/v1/me", Some(&body))
                .await
        }
    };
    assert_eq!(put(wanted.clone()).await.status, 200);
    let me = mall.server.get(mall.at(&ada.token), "/v1/me").await;
    for name in ["name", "language", "time_zone", "theme"] {
        assert_eq!(me["person"][name], wanted[name]);
    }
    wanted["time_zone"] = json!("Middle/Earth");
    assert_eq!(put(wanted).await.code(), "unknown-time-zone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_opens_an_account_is_in_no_table_as_it_is() {
    let mall = People::open().await;
    let ada = mall
        .whole("ada@mall.example", &["operator.owner"], None)
        .await;
    let bare = ada.recovery_codes[0].replace('-', "");
    let secret = totp_rs::Secret::try_from_base32(&ada.secret).unwrap();
    let hex = rotunda::kernel::page::hex(secret.as_bytes());
    for (table, rows) in tables(&mall.front.tenant).await {
        for hidden in [
            PASSWORD,
            &ada.token,
            &ada.secret,
            &bare,
            &ada.recovery_codes[0],
            &hex,
        ] {
            assert!(!rows.contains(hidden), "{table}");
        }
    }
}
