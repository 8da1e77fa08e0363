//! The till's day over real sockets: many at once, the same thing twice, answers that get lost.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, StatusCode};
use rotunda::api;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use crate::support::day::Day;

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_who_spend_all_the_points_at_once_one_wins() {
    let day = Day::begin().await;
    let member = day.member("c-1", 100).await;
    let mut tills = JoinSet::new();
    for till in 0..20 {
        let (day, member) = (Arc::clone(&day), member.clone());
        tills.spawn(async move {
            let (key, body) = (
                format!("s-{till}"),
                day.spend(&member, &format!("s-{till}"), 100),
            );
            day.ask(Method::POST, "/v1/spends", Some(&key), Some(&body))
                .await
        });
    }
    let answers = tills.join_all().await;
    let won = answers
        .iter()
        .filter(|(status, _)| *status == StatusCode::CREATED)
        .count();
    let refused = answers.iter().filter(|(status, body)| {
        *status == StatusCode::CONFLICT && body["code"] == "not-enough-points"
    });
    assert_eq!((won, refused.count()), (1, 19), "{answers:?}");
    assert_eq!(day.available(&member).await, 0);
    day.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn con_1_a_hot_spender_never_overdraws() {
    let day = Day::begin().await;
    let member = day.member("c-1", 300).await;
    let mut tills = JoinSet::new();
    for till in 0..32_i64 {
        let (day, member) = (Arc::clone(&day), member.clone());
        tills.spawn(async move {
            let mut taken = 0;
            for round in 0..8 {
                let points = 1 + (till * 7 + round * 3) % 5;
                let name = format!("h-{till}-{round}");
                let body = day.spend(&member, &name, points);
                match day
                    .ask(Method::POST, "/v1/spends", Some(&name), Some(&body))
                    .await
                {
                    (StatusCode::CREATED, _) => taken += points,
                    (StatusCode::CONFLICT, body) => assert_eq!(body["code"], "not-enough-points"),
                    (StatusCode::SERVICE_UNAVAILABLE, _) => {}
                    (status, body) => panic!("{status} {body}"),
                }
            }
            taken
        });
    }
    let taken: i64 = tills.join_all().await.into_iter().sum();
    assert_eq!(day.available(&member).await, 300 - taken);
    day.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idm_1_and_2_a_key_acts_once_and_only_for_what_it_was_given() {
    let day = Day::begin().await;
    let member = day.member("c-1", 0).await;
    let body = day.purchase(&member, "r-1", 1000);
    let mut tills = JoinSet::new();
    for _ in 0..50 {
        let (day, body) = (Arc::clone(&day), body.clone());
        tills.spawn(async move {
            day.ask(Method::POST, "/v1/purchases", Some("k"), Some(&body))
                .await
        });
    }
    for (status, _) in tills.join_all().await {
        let known = [StatusCode::CREATED, StatusCode::OK, StatusCode::CONFLICT];
        assert!(
            known.contains(&status) || status == StatusCode::SERVICE_UNAVAILABLE,
            "{status}"
        );
    }
    assert_eq!(day.available(&member).await, 10);

    let other = day.purchase(&member, "r-2", 1000);
    let reused = day
        .ask(Method::POST, "/v1/purchases", Some("k"), Some(&other))
        .await;
    assert_eq!(reused.0, StatusCode::UNPROCESSABLE_ENTITY, "{}", reused.1);
    let spend = day.spend(&member, "r-3", 1);
    let elsewhere = day
        .ask(Method::POST, "/v1/spends", Some("k"), Some(&spend))
        .await;
    assert_eq!(
        elsewhere.0,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        elsewhere.1
    );
    let theirs = day
        .other_till
        .ask(Method::POST, "/v1/purchases", Some("k"), Some(&other))
        .await;
    assert_eq!(
        theirs.0,
        StatusCode::CREATED,
        "another key's value is its own"
    );

    let again = day
        .ask(Method::POST, "/v1/purchases", Some("new"), Some(&body))
        .await;
    assert_eq!(
        again.0,
        StatusCode::OK,
        "a receipt is known without its key for ever"
    );
    let changed = day.purchase(&member, "r-1", 2000);
    let taken = day
        .ask(Method::POST, "/v1/purchases", Some("newer"), Some(&changed))
        .await;
    assert_eq!(
        (taken.0, &taken.1["code"]),
        (StatusCode::CONFLICT, &json!("receipt-taken"))
    );
    day.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_got_lost_is_asked_for_again_and_nothing_happens_twice() {
    let day = Day::begin().await;
    let member = day.member("c-1", 0).await;
    let mut tills = JoinSet::new();
    for till in 0..40 {
        let (day, member) = (Arc::clone(&day), member.clone());
        tills.spawn(async move {
            let name = format!("lost-{till}");
            let body = day.purchase(&member, &name, 100);
            for _ in 0..=till % 3 {
                // Sent whole, and nobody there for the answer.
                let text = body.to_string();
                let head = format!(
                    "POST /v1/purchases HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
                     Content-Type: application/json\r\nIdempotency-Key: {name}\r\n\
                     Content-Length: {}\r\n\r\n{text}",
                    day.host,
                    day.key,
                    text.len()
                );
                let mut socket = TcpStream::connect(day.address).await.unwrap();
                socket.write_all(head.as_bytes()).await.unwrap();
                // Half of them leave at once; for the others the act is done and its answer under
                // way, and nobody reads it.
                if till % 2 == 0 {
                    socket.readable().await.unwrap();
                }
                drop(socket);
            }
            for _ in 0..200 {
                let asked = day
                    .ask(Method::POST, "/v1/purchases", Some(&name), Some(&body))
                    .await;
                match asked.0 {
                    StatusCode::CREATED | StatusCode::OK => return,
                    StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    status => panic!("{status} {}", asked.1),
                }
            }
            panic!("{name} is never told what became of it");
        });
    }
    tills.join_all().await;
    assert_eq!(day.available(&member).await, 40);
    day.prove().await;
}

/// What nobody needs a key for.
const PUBLIC: [&str; 9] = [
    "/v1/applications",
    "/v1/applications/links",
    "/v1/member-sessions",
    "/v1/merchant-texts",
    "/v1/password-resets",
    "/v1/password-resets/completion",
    "/v1/sessions",
    "/v1/sign-in-codes",
    "/v1/staff/invitations/acceptance",
];

#[tokio::test(flavor = "multi_thread")]
async fn aut_2_every_other_method_is_405_and_nobody_gets_in_without_a_key() {
    let day = Day::begin().await;
    let document: Value = serde_json::from_str(&api::document()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let address = format!(
            "http://{}{}",
            day.address,
            path.replace('{', "x").replace('}', "")
        );
        let known = item.as_object().unwrap();
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
        ] {
            let request = day
                .client
                .request(method.clone(), &address)
                .header("Host", &day.host);
            let answer = request.send().await.unwrap();
            if let Some(operation) = known.get(&method.as_str().to_ascii_lowercase()) {
                // Who comes in has no key yet, and is asked for what there is instead.
                let wanted = if operation["security"].is_array() {
                    StatusCode::UNAUTHORIZED
                } else {
                    assert!(PUBLIC.contains(&path.as_str()), "{method} {path}");
                    match method {
                        Method::GET => StatusCode::BAD_REQUEST,
                        _ => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    }
                };
                assert_eq!(answer.status(), wanted, "{method} {path}");
            } else {
                assert_eq!(
                    answer.status(),
                    StatusCode::METHOD_NOT_ALLOWED,
                    "{method} {path}"
                );
                assert!(answer.headers().contains_key("Allow"), "{method} {path}");
            }
        }
    }
}
