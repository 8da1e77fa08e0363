//! What a key means: one act of one caller in one mall, alone or among many.

use std::{collections::BTreeMap, sync::Arc};

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    acts::{Progress, Wanted, insist, members, patient},
    real::Place,
};
use crate::support::till::Till;

/// How many send the same lists at the same time.
const SENDERS: u64 = 16;

/// How many acts each list has, every one of them twice.
const ACTS: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn idm_2_a_key_means_one_act_of_one_caller_in_one_mall() {
    let place = Place::open().await;
    let till = &place.till;
    let (people, _) = members(till, 1, 100).await;
    let (member, key) = (&people[0], Some("k"));
    let buy = async |till: &Till, body| {
        till.send(Method::POST, "/v1/purchases", key, Some(&body))
            .await
            .unwrap()
    };

    let body = till.purchase(member, "r-1", 1000);
    let first = buy(till, body.clone()).await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    let again = buy(till, body.clone()).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.headers["idempotent-replayed"], "true");

    let other_body = buy(till, till.purchase(member, "r-2", 1000)).await;
    let spend = till.spend(member, "r-3", 1);
    let other_route = till
        .send(Method::POST, "/v1/spends", key, Some(&spend))
        .await
        .unwrap();
    for refused in [other_body, other_route] {
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{refused:?}"
        );
        assert_eq!(refused.text("code"), "idempotency-key-reused");
    }

    let other_key = place.till_as("machine.erp").await;
    let theirs = buy(&other_key, till.purchase(member, "r-2", 1000)).await;
    assert_eq!(theirs.status, StatusCode::CREATED, "{theirs:?}");
    let other_mall = place.other_mall().await;
    let stranger = other_mall.member("c-0", 0).await;
    let elsewhere = buy(&other_mall, other_mall.purchase(&stranger, "r-1", 700)).await;
    assert_eq!(elsewhere.status, StatusCode::CREATED, "{elsewhere:?}");
    assert!(!elsewhere.headers.contains_key("idempotent-replayed"));

    assert_eq!(till.available(member).await, 120);
    assert_eq!(other_mall.available(&stranger).await, 7);
    place.prove();
}

/// Every act of a list twice, in an order of this sender's own.
fn list(till: &Till, people: &[String], sender: u64) -> Vec<Value> {
    let mut items = Vec::new();
    for act in 0..ACTS {
        let (key, member) = (format!("bulk-{act}"), &people[act % people.len()]);
        let item = if act % 3 == 2 {
            json!({ "idempotency_key": key, "spend": till.spend(member, &key, 1) })
        } else {
            json!({ "idempotency_key": key, "purchase": till.purchase(member, &key, 300) })
        };
        items.extend([item.clone(), item]);
    }
    items.shuffle(&mut StdRng::seed_from_u64(sender));
    items
}

#[tokio::test(flavor = "multi_thread")]
async fn idm_3_the_same_key_twice_in_a_list_that_many_send_is_one_act() {
    let place = Place::open().await;
    let till = patient(&place.till);
    let (people, _) = members(&till, 4, 100).await;
    let progress = Arc::<Progress>::default();
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (till, progress) = (till.clone(), Arc::clone(&progress));
        let wanted = Wanted {
            path: "/v1/batch".to_owned(),
            key: format!("list-{sender}"),
            body: json!({ "items": list(&till, &people, sender) }),
            member: String::new(),
        };
        senders.spawn(async move {
            // What was put off is asked for again, with what was done: the keys know.
            for _ in 0..100 {
                let answer = insist(&till, &wanted, &progress).await;
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
                let told = answer.body["data"].as_array().unwrap().clone();
                let again = |item: &Value| {
                    let code = item["answer"]["code"].as_str();
                    item["status"] == 503 || code == Some("idempotency-in-progress")
                };
                if !told.iter().any(again) {
                    return told;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            panic!("put off for ever");
        });
    }
    let (mut answers, mut fresh) = (BTreeMap::<String, Value>::new(), 0);
    for item in senders.join_all().await.into_iter().flatten() {
        assert_eq!(item["status"], 201, "{item}");
        fresh += usize::from(item["replayed"] == json!(false));
        let key = item["idempotency_key"].as_str().unwrap().to_owned();
        let answer = answers.entry(key).or_insert_with(|| item["answer"].clone());
        assert_eq!(*answer, item["answer"], "one key, one answer");
    }
    assert!(
        fresh <= ACTS,
        "{fresh} of {ACTS} were told that they were first"
    );
    let written: (i64, i64) = sqlx::query_as(
        "select (select count(*) from purchase where receipt_number like 'bulk-%'),
                (select count(*) from spend where receipt_number like 'bulk-%')",
    )
    .fetch_one(&mut place.tenant().await)
    .await
    .unwrap();
    assert_eq!(written, (20, 10), "each of {ACTS} once");
    let mut left = 0;
    for member in people.iter() {
        left += place.till.available(member).await;
    }
    assert_eq!(left, 400 + 20 * 3 - 10);
    eprintln!(
        "idm-3: {ACTS} acts in {SENDERS} lists, each twice; {} put off",
        Progress::count(&progress.put_off)
    );
    place.prove();
}
