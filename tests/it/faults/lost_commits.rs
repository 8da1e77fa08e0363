//! Commits whose outcome the server does not know: the connection to PostgreSQL breaks between the
//! commit and its answer (trust.md, IDM-5).

use std::{collections::BTreeMap, sync::Arc};

use reqwest::{Method, StatusCode};
use tokio::task::JoinSet;

use super::{
    acts::{Crowd, Progress, come_back, members, patient},
    real::Place,
    wire::Wire,
};
use crate::support::till::Till;

/// Of a hundred commits: those that PostgreSQL never hears of, and those whose answer is lost.
const BREAKS: (u32, u32) = (10, 20);

/// How many commits must have been left in doubt.
const AMBIGUOUS: u64 = 400;

/// How many acts of a hundred in doubt must have been done twice by those who keep no key.
const DOUBLED: usize = 90;

#[tokio::test(flavor = "multi_thread")]
async fn idm_5_of_acts_whose_commit_is_in_doubt_none_is_done_twice_and_none_is_lost() {
    let mut place = Place::open().await;
    let wire = Wire::to(&place.postgres.url).await;
    place.serve_through(&wire.url);
    let (people, begun) = members(&place.till, 16, 1000).await;
    wire.breaks(BREAKS.0, BREAKS.1);
    let mut crowd = Crowd::gather(&place.till, &people, 16);
    let in_doubt = |_: &Progress| wire.broke().0 + wire.broke().1 >= AMBIGUOUS;
    crowd.until("enough commits are in doubt", in_doubt).await;
    let progress = Arc::clone(&crowd.progress);
    let record = crowd.stop(begun).await;
    wire.breaks(0, 0);
    let (undone, done) = wire.broke();
    eprintln!(
        "idm-5: {} acknowledged, {} told again, {} put off; of the commits in doubt {undone} were \
         not done and {done} were",
        Progress::count(&progress.acknowledged),
        record.replayed,
        Progress::count(&progress.put_off),
    );
    assert_eq!(
        Progress::count(&progress.ambiguous),
        0,
        "the server answers everybody"
    );
    assert!(record.replayed > 0, "some are told what the keys tell");
    place.server.assert_runs();
    record.is_what_happened(&place).await;
    harness_sees_what_is_done_twice(&place, &wire, &people).await;
}

/// The negative control: whoever makes a new key and a new receipt when told to come back buys
/// twice, and this is seen.
async fn harness_sees_what_is_done_twice(place: &Place, wire: &Wire, people: &[String]) {
    wire.breaks(0, 90);
    let mut clients = JoinSet::new();
    for (number, member) in people.iter().cloned().enumerate() {
        let till: Till = patient(&place.till);
        clients.spawn(async move {
            let mut in_doubt = Vec::new();
            for act in 0..10 {
                let name = format!("salt-{number}-{act}");
                for attempt in 0.. {
                    let salted = format!("{name}.{attempt}");
                    let body = till.purchase(&member, &salted, 100);
                    let sent = till.send(Method::POST, "/v1/purchases", Some(&salted), Some(&body));
                    let answer = sent.await.unwrap();
                    if answer.status == StatusCode::CREATED {
                        break;
                    }
                    come_back(&answer);
                    in_doubt.push(name.clone());
                }
            }
            in_doubt
        });
    }
    let mut in_doubt: Vec<String> = clients.join_all().await.into_iter().flatten().collect();
    wire.breaks(0, 0);
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
        "idm-5: without a kept key {double} of {} in doubt are done twice",
        in_doubt.len()
    );
    assert!(in_doubt.len() >= 50, "too few to tell: {}", in_doubt.len());
    assert!(
        double * 100 > in_doubt.len() * DOUBLED,
        "{double} of {}",
        in_doubt.len()
    );
}
