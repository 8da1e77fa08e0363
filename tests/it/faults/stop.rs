//! A server is asked to stop under load (trust.md, CRA-4).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use tokio::{net::TcpStream, time::sleep};

use super::{
    acts::{Crowd, Progress, members, patient},
    real::Place,
    until,
};

/// Seconds for which the server goes on answering after the signal, for a balancer to notice; long
/// enough for one on a busy machine.
const DRAIN: u64 = 6;

/// How much must have been acknowledged before the signal.
const LOAD: u64 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn cra_4_a_stop_under_load_fails_nobody_and_says_first_that_it_comes() {
    let mut place = Place::open().await;
    place.serve_draining(&DRAIN.to_string());
    let till = patient(&place.till);
    let (people, begun) = members(&till, 16, 1000).await;
    let mut crowd = Crowd::gather(&till, &people, 16);
    let progress = Arc::clone(&crowd.progress);
    let at_work = |progress: &Progress| Progress::count(&progress.acknowledged) >= LOAD;
    crowd.until("there is load", at_work).await;

    let since = Instant::now();
    place.server.terminate();
    let not_ready = async || {
        let ready = till.send(Method::GET, "/readyz", None, None).await;
        ready.unwrap().status == StatusCode::SERVICE_UNAVAILABLE
    };
    let noticed = until("it says that it stops", not_ready).await;
    let then = Progress::count(&progress.acknowledged);
    let goes_on = |progress: &Progress| Progress::count(&progress.acknowledged) >= then + 16;
    crowd.until("work goes on meanwhile", goes_on).await;
    // The balancer sends nothing more, and one request is slow.
    let record = crowd.stop(begun).await;
    let drained = Duration::from_secs(DRAIN);
    sleep(drained.saturating_sub(since.elapsed() + Duration::from_secs(1))).await;
    let mut holder = place.tenant_owner().await;
    let lock = "begin; lock table good in access exclusive mode";
    sqlx::raw_sql(lock).execute(&mut holder).await.unwrap();
    let slow = tokio::spawn({
        let till = till.clone();
        async move { till.send(Method::GET, "/v1/goods", None, None).await }
    });
    let address = place.server.address;
    let closed = async || TcpStream::connect(address).await.is_err();
    let stops = until("nobody listens", closed).await;
    assert!(
        since.elapsed() + Duration::from_millis(100) > drained,
        "it waits for the balancer"
    );
    sleep(Duration::from_millis(100)).await;
    assert!(!slow.is_finished(), "the slow one is under way: {slow:?}");
    sqlx::raw_sql("commit").execute(&mut holder).await.unwrap();
    let answer = slow
        .await
        .unwrap()
        .expect("an answer after the end of listening");
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert!(place.server.ends().await, "it ends content");
    let took = since.elapsed();
    eprintln!("cra-4: noticed after {noticed:?}, deaf after {stops:?} more, gone after {took:?}");
    assert!(took < Duration::from_secs(25), "{took:?}");
    assert_eq!(Progress::count(&progress.ambiguous), 0, "{progress:?}");
    assert_eq!(Progress::count(&progress.unheard), 0, "{progress:?}");
    assert_eq!(Progress::count(&progress.put_off), 0, "{progress:?}");
    place.serve_again();
    record.is_what_happened(&place).await;
}
