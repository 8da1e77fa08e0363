//! Everybody at once wants the points of one member.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::{Method, StatusCode};
use tokio::task::JoinSet;

use super::{
    acts::{Progress, Wanted, insist, patient},
    percentile,
    real::Place,
};
use crate::support::till::Till;

/// Who spends, and what there is, in so many lots.
const CLIENTS: u64 = 64;
const POINTS: i64 = 10_000;
const LOTS: i64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn con_1_sixty_four_who_spend_from_one_member_never_overdraw_and_leave_nothing() {
    let place = Place::open().await;
    let till = patient(&place.till);
    let member = Arc::new(till.member("hot", 0).await);
    for lot in 0..LOTS {
        let name = format!("first-{lot}");
        let body = till.purchase(&member, &name, POINTS / LOTS * 100);
        let made = till
            .ask(Method::POST, "/v1/purchases", Some(&name), Some(&body))
            .await;
        assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
    }
    assert_eq!(till.available(&member).await, POINTS);

    let since = Instant::now();
    let progress = Arc::<Progress>::default();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (member, progress) = (Arc::clone(&member), Arc::clone(&progress));
        clients.spawn(spend_all(till.clone(), member, client, progress));
    }
    let (mut taken, mut refused, mut times) = (0, 0, Vec::new());
    for (points, refusals, took) in clients.join_all().await {
        taken += points;
        refused += refusals;
        times.extend(took);
    }
    let (spends, seconds) = (times.len() as u32, since.elapsed().as_secs_f64());
    let (half, most) = (percentile(&mut times, 50), percentile(&mut times, 99));
    eprintln!(
        "con-1: {spends} spends in {seconds:.1} s, {:.0}/s, median {half:?}, p99 {most:?}, \
         {refused} refused, {} put off",
        f64::from(spends) / seconds,
        Progress::count(&progress.put_off),
    );
    assert_eq!(Progress::count(&progress.ambiguous), 0);
    assert_eq!(till.available(&member).await, POINTS - taken);
    assert_eq!(taken, POINTS, "they spent until nothing was left");
    let written: (i64, i64) = sqlx::query_as("select count(*), sum(points)::bigint from spend")
        .fetch_one(&mut place.tenant().await)
        .await
        .unwrap();
    assert_eq!(written, (i64::from(spends), taken));
    place.prove();
}

/// Spends 1 to 5 points at a time until there is not one left; answers the points, how often it
/// was refused, and how long each spend took. A server that is too busy for all of them may put
/// somebody off, who then asks for the same again; it may do nothing else with them.
async fn spend_all(
    till: Till,
    member: Arc<String>,
    client: u64,
    progress: Arc<Progress>,
) -> (i64, u32, Vec<Duration>) {
    let mut dice = StdRng::seed_from_u64(client);
    let (mut taken, mut refused, mut times) = (0, 0, Vec::new());
    for act in 0.. {
        // Who was refused tries one point, so that the last ones are found.
        let points = if refused == 0 {
            dice.random_range(1..=5)
        } else {
            1
        };
        let name = format!("h-{client}-{act}");
        let wanted = Wanted {
            path: "/v1/spends".to_owned(),
            body: till.spend(&member, &name, points),
            key: name,
            member: member.to_string(),
        };
        let since = Instant::now();
        let answer = insist(&till, &wanted, &progress).await;
        match answer.status {
            StatusCode::CREATED => {
                times.push(since.elapsed());
                taken += points;
            }
            StatusCode::CONFLICT if answer.text("code") == "not-enough-points" => {
                refused += 1;
                if points == 1 {
                    break;
                }
            }
            _ => panic!("{answer:?}"),
        }
    }
    (taken, refused, times)
}
