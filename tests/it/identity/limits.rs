//! Who tries too often, and that nobody learns who is here. Nothing here looks at a clock: what is
//! compared is the work that was done.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::people::{PASSWORD, People, text};

const WRONG: &str = "something else entirely";

/// Fifteen minutes, in seconds.
const WINDOW: i64 = 15 * 60;

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_account_is_answered_as_a_known_one_after_the_same_work() {
    let mall = People::open().await;
    mall.active("ada@mall.example", &["operator.auditor"], None)
        .await;
    mall.invited("bo@mall.example", &["operator.auditor"], None)
        .await;
    let ended = mall
        .active("cy@mall.example", &["operator.auditor"], None)
        .await;
    let master = mall.master().await;
    let path = format!("/v1/staff/{}/ending", ended.id);
    assert_eq!(mall.does(&master, &path, &json!(null)).await.status, 200);
    let mut said = Vec::new();
    for email in [
        "ada@mall.example",
        "bo@mall.example",
        "cy@mall.example",
        "no@mall.example",
    ] {
        let before = mall.server.app.hashing.computed();
        let answer = mall.sign_in(email, WRONG).await;
        let work = mall.server.app.hashing.computed() - before;
        assert_eq!((answer.status, work), (401, 1), "{email}");
        said.push(answer.said());
    }
    assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_failures_shut_an_account_known_or_not_until_the_window_is_over() {
    let mall = People::open().await;
    mall.active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let mut answers = Vec::new();
    for email in ["ada@mall.example", "no@mall.example"] {
        for _ in 0..10 {
            assert_eq!(mall.sign_in(email, WRONG).await.code(), "wrong-credentials");
        }
        let before = mall.server.app.hashing.computed();
        let shut = mall.sign_in(email, PASSWORD).await;
        assert_eq!((shut.status, shut.code().as_str()), (429, "too-many-tries"));
        assert_eq!(shut.headers["retry-after"], WINDOW.to_string().as_str());
        assert_eq!(
            mall.server.app.hashing.computed(),
            before,
            "nothing is tried"
        );
        answers.push(shut.said());
    }
    assert_eq!(answers[0], answers[1]);
    mall.pass(WINDOW - 1);
    assert_eq!(mall.sign_in("ada@mall.example", PASSWORD).await.status, 429);
    // Who went on trying did not put the end off.
    mall.pass(1);
    assert_eq!(mall.sign_in("ada@mall.example", PASSWORD).await.status, 201);
    // And who came in begins anew.
    for _ in 0..10 {
        assert_eq!(mall.sign_in("ada@mall.example", WRONG).await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_failures_shut_an_address_and_no_other() {
    let mall = People::open().await;
    mall.active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let near = mall.elsewhere();
    for number in 0..9 {
        let email = format!("no-{number}@mall.example");
        assert_eq!(mall.sign_in_from(&near, &email, WRONG).await.status, 401);
    }
    // One who comes in takes back no more than the own try.
    assert_eq!(
        mall.sign_in_from(&near, "ada@mall.example", PASSWORD)
            .await
            .status,
        201
    );
    assert_eq!(
        mall.sign_in_from(&near, "no-9@mall.example", WRONG)
            .await
            .status,
        401
    );
    let shut = mall.sign_in_from(&near, "ada@mall.example", PASSWORD).await;
    assert_eq!(shut.code(), "too-many-tries");
    assert_eq!(
        mall.sign_in("ada@mall.example", PASSWORD).await.status,
        201,
        "from elsewhere"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_who_try_at_once_try_ten_times() {
    let mall = People::open().await;
    mall.active("ada@mall.example", &["operator.auditor"], None)
        .await;
    let before = mall.server.app.hashing.computed();
    let tries = (0..20).map(|_| mall.sign_in("ada@mall.example", WRONG));
    let answers = join_all(tries).await;
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    assert_eq!(
        (refused, mall.server.app.hashing.computed() - before),
        (10, 10)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_shut_out_by_others_comes_in_by_a_link() {
    let mall = People::open().await;
    let ada = mall
        .active("ada@mall.example", &["operator.auditor"], None)
        .await;
    for _ in 0..11 {
        mall.sign_in("ada@mall.example", WRONG).await;
    }
    assert_eq!(mall.sign_in("ada@mall.example", PASSWORD).await.status, 429);
    let token = super::letters::link_of(&mall, &ada.id, "reset").await;
    let body = json!({"token": token, "password": "snow on the tea house"});
    let path = "/v1/password-resets/completion";
    let opened = mall
        .server
        .ask_from(&mall.elsewhere(), mall.stranger(), path, &body)
        .await;
    assert_eq!(opened.status, 201, "{}", opened.body);
    assert_eq!(
        mall.asks(&text(&opened.json()["token"]), "/v1/me").await.0,
        200
    );
    let again = mall
        .sign_in("ada@mall.example", "snow on the tea house")
        .await;
    assert_eq!(again.status, 201, "and the account is open again");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_wrong_codes_shut_the_second_factor() {
    let mall = People::open().await;
    let ada = mall
        .whole("ada@mall.example", &["operator.owner"], None)
        .await;
    let token = text(&mall.sign_in("ada@mall.example", PASSWORD).await.json()["token"]);
    for _ in 0..10 {
        assert_eq!(mall.show(&token, "not-a-code").await.code(), "wrong-code");
    }
    let right = crate::support::people::code(&ada.secret, mall.clock.now());
    assert_eq!(mall.show(&token, &right).await.code(), "too-many-tries");
}
