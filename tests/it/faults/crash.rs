//! The database is killed under load, and comes back; the server is never started again.

use std::{sync::Arc, time::Instant};

use reqwest::{Method, StatusCode};

use super::{
    acts::{Crowd, Progress, come_back, members, patient},
    figure,
    real::Place,
    until,
};

/// How often in every run of the tests.
const KILLS: u32 = 3;

/// How much must have been acknowledged before each kill, and after the last.
const BETWEEN: u64 = 150;

#[tokio::test(flavor = "multi_thread")]
async fn cra_1_what_was_acknowledged_outlives_the_database_being_killed_under_load() {
    let mut place = Place::open().await;
    let till = patient(&place.till);
    let (people, begun) = members(&till, 16, 1000).await;
    let mut crowd = Crowd::gather(&till, &people, 16);
    let progress = Arc::clone(&crowd.progress);
    let mut enough = 0;
    for kill in 0..figure("ROTUNDA_TEST_KILLS", KILLS) {
        enough = Progress::count(&progress.acknowledged).max(enough) + BETWEEN;
        let at_work = |progress: &Progress| Progress::count(&progress.acknowledged) >= enough;
        crowd.until("there is load", at_work).await;
        place.postgres.kill();

        // Everybody is told to come back, and nobody is left waiting.
        let before = Progress::count(&progress.put_off);
        let since = Instant::now();
        let name = format!("down-{kill}");
        let body = till.purchase(&people[0], &name, 100);
        let refused = till.send(Method::POST, "/v1/purchases", Some(&name), Some(&body));
        come_back(&refused.await.unwrap());
        let told = since.elapsed();
        // The server's connections die one by one, and the one that is asked may be the last.
        let unready = until("the server is not ready", async || {
            let ready = till.send(Method::GET, "/readyz", None, None).await.unwrap();
            let away = ready.status != StatusCode::OK;
            if away {
                come_back(&ready);
            }
            away
        });
        unready.await;
        let alive = till
            .send(Method::GET, "/healthz", None, None)
            .await
            .unwrap();
        assert_eq!(alive.status, StatusCode::OK);
        let all_know = |progress: &Progress| Progress::count(&progress.put_off) >= before + 16;
        crowd.until("all are put off", all_know).await;

        place.postgres.start().await;
        let ready = until("the server is ready again", async || {
            let ready = till.send(Method::GET, "/readyz", None, None).await;
            ready.unwrap().status == StatusCode::OK
        });
        let well = ready.await;
        eprintln!("cra-1: kill {kill}: told after {told:?}, ready {well:?} after the start");
        enough = Progress::count(&progress.acknowledged);
    }
    enough += BETWEEN;
    let at_work = |progress: &Progress| Progress::count(&progress.acknowledged) >= enough;
    crowd.until("there is load again", at_work).await;
    let record = crowd.stop(begun).await;
    eprintln!("cra-1: {progress:?}, {} told again", record.replayed);
    place.server.assert_runs();
    record.is_what_happened(&place).await;
}
