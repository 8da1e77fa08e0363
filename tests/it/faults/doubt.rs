//! The negative control of all that is done once: whoever keeps no key does it twice, and this is
//! seen.

use std::collections::BTreeMap;

use reqwest::{Error, Method, StatusCode};
use tokio::task::JoinSet;

use super::{acts::patient, real::Place};
use crate::support::till::{Answer, Till};

/// How many acts of a hundred in doubt must have been done twice by those who keep no key.
const DOUBLED: usize = 90;

/// How many acts must have been in doubt to tell.
const ENOUGH: usize = 50;

/// Each of these members buys so many times, at a till that makes a new key and a new receipt for
/// every try. `leaves_doubt` says of what came back whether it leaves in doubt what was done.
pub async fn is_seen_where_no_key_is_kept(
    place: &Place,
    till: &Till,
    people: &[String],
    acts: usize,
    leaves_doubt: fn(&Result<Answer, Error>) -> bool,
) {
    let mut clients = JoinSet::new();
    for (number, member) in people.iter().cloned().enumerate() {
        let till = patient(till);
        clients.spawn(async move {
            let mut in_doubt = Vec::new();
            for act in 0..acts {
                let name = format!("salt-{number}-{act}");
                for attempt in 0.. {
                    let salted = format!("{name}.{attempt}");
                    let body = till.purchase(&member, &salted, 100);
                    let sent = till.send(Method::POST, "/v1/purchases", Some(&salted), Some(&body));
                    let answer = sent.await;
                    if leaves_doubt(&answer) {
                        in_doubt.push(name.clone());
                    } else if answer.unwrap().status == StatusCode::CREATED {
                        break;
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
    let all = in_doubt.len();
    eprintln!("without a kept key {double} of {all} in doubt are done twice");
    assert!(all >= ENOUGH, "too few to tell: {all}");
    assert!(double * 100 > all * DOUBLED, "{double} of {all}");
}
