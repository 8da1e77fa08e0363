//! Answers that get lost after the commit: the one fault that shows whether an act is done once.
//! Killing processes does not (trust.md, section 1, fact 1).

use std::{collections::BTreeMap, sync::Arc};

use reqwest::{Method, StatusCode};
use tokio::task::JoinSet;

use super::{
    acts::{Crowd, Progress, members, patient},
    proxy::Proxy,
    real::Place,
};
use crate::support::till::Till;

/// Answers of a hundred that are swallowed; more than trust.md's three, so that a slow build gets
/// to [`AMBIGUOUS`] within a minute.
const SWALLOWED: u32 = 30;

/// How many acts must have been left in doubt.
const AMBIGUOUS: u64 = 400;

/// How many acts in doubt must have been done twice by those who do not keep their key.
const DOUBLED: usize = 90;

#[tokio::test(flavor = "multi_thread")]
async fn idm_4_of_acts_whose_answer_got_lost_none_is_done_twice_and_none_is_lost() {
    let place = Place::open().await;
    let (people, begun) = members(&place.till, 16, 1000).await;
    let proxy = Proxy::before(place.server.address, SWALLOWED).await;
    let far = Till {
        server: proxy.address.to_string(),
        ..place.till.clone()
    };
    let mut crowd = Crowd::gather(&far, &people, 16);
    let in_doubt = |progress: &Progress| Progress::count(&progress.ambiguous) >= AMBIGUOUS;
    crowd.until("enough answers are lost", in_doubt).await;
    let progress = Arc::clone(&crowd.progress);
    let record = crowd.stop(begun).await;
    let ambiguous = Progress::count(&progress.ambiguous);
    eprintln!(
        "idm-4: {} acknowledged, {ambiguous} in doubt, {} told again",
        Progress::count(&progress.acknowledged),
        record.replayed
    );
    assert_eq!(
        ambiguous,
        proxy.swallowed(),
        "every loss is seen by its client"
    );
    record.is_what_happened(&place).await;
    harness_sees_what_is_done_twice(&place, &far, &people).await;
}

/// The negative control: whoever makes a new key and a new receipt for every try buys twice, and
/// this is seen.
async fn harness_sees_what_is_done_twice(place: &Place, far: &Till, people: &[String]) {
    let mut clients = JoinSet::new();
    for (number, member) in people.iter().cloned().enumerate() {
        let far = patient(far);
        clients.spawn(async move {
            let mut in_doubt = Vec::new();
            for act in 0..30 {
                let name = format!("salt-{number}-{act}");
                for attempt in 0.. {
                    let salted = format!("{name}.{attempt}");
                    let body = far.purchase(&member, &salted, 100);
                    let sent = far.send(Method::POST, "/v1/purchases", Some(&salted), Some(&body));
                    match sent.await {
                        Ok(answer) if answer.status == StatusCode::CREATED => break,
                        Ok(answer) => assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE),
                        Err(_) => in_doubt.push(name.clone()),
                    }
                }
            }
            in_doubt
        });
    }
    let mut in_doubt: Vec<String> = clients.join_all().await.into_iter().flatten().collect();
    in_doubt.dedup();
    let times: Vec<(String, i64)> = sqlx::query_as(
        "select split_part(receipt_number, '.', 1), count(*) from purchase
         where receipt_number like 'salt-%' group by 1",
    )
    .fetch_all(&mut place.tenant().await)
    .await
    .unwrap();
    let times: BTreeMap<String, i64> = times.into_iter().collect();
    let double = in_doubt.iter().filter(|name| times[*name] > 1).count();
    eprintln!(
        "idm-4: without a kept key {double} of {} in doubt are done twice",
        in_doubt.len()
    );
    assert!(in_doubt.len() >= 50, "too few to tell: {}", in_doubt.len());
    assert!(
        double * 100 > in_doubt.len() * DOUBLED,
        "{double} of {}",
        in_doubt.len()
    );
}

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
