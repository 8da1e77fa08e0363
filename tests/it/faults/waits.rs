//! A database that is slow, or whose tables somebody holds (trust.md, CRA-9 and CRA-10).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use super::{
    acts::{come_back, members, patient},
    percentile,
    real::Place,
};
use crate::support::till::Till;

/// Who asks at once, for how long, and how long the database takes for each.
const CLIENTS: usize = 200;
const SECONDS: u64 = 6;

/// The server's figures: two seconds for a connection, three for a lock, and what a busy machine
/// adds to them.
const FOR_A_CONNECTION: Duration = Duration::from_secs(2);
const FOR_A_LOCK: Duration = Duration::from_secs(3);
const BUSY: Duration = Duration::from_millis(1500);

/// How long each answer took to the same request, until it is told to stop.
async fn ask_on(till: Till, path: &str, stop: &AtomicBool) -> Vec<(StatusCode, Duration)> {
    let mut told = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let since = Instant::now();
        let answer = till.send(Method::GET, path, None, None).await.unwrap();
        if answer.status != StatusCode::OK {
            come_back(&answer);
        }
        told.push((answer.status, since.elapsed()));
    }
    told
}

/// Sells until it is told to stop; how often it worked, of how many tries. The lanes have
/// connections of their own; what is read first on a till's way to them has not, and is believed
/// for less than a second, so that a till may be put off too.
async fn sell_on(till: Till, member: String, stop: Arc<AtomicBool>) -> (u32, u32) {
    let (mut sold, mut tried) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        tried += 1;
        let name = format!("well-{tried}");
        let body = till.purchase(&member, &name, 100);
        let sent = till.send(Method::POST, "/v1/purchases", Some(&name), Some(&body));
        let answer = sent.await.unwrap();
        if answer.status == StatusCode::CREATED {
            sold += 1;
        } else {
            come_back(&answer);
        }
    }
    (sold, tried)
}

#[tokio::test(flavor = "multi_thread")]
async fn cra_9_two_hundred_at_ten_slow_connections_are_told_to_come_back_and_health_is_well() {
    let place = Place::open().await;
    let till = patient(&place.till);
    let (people, _) = members(&till, 1, 100).await;
    let slow = "alter table good enable row level security;
                create policy slow on good using (pg_sleep(2) is not null)";
    let mut owner = place.tenant_owner().await;
    sqlx::raw_sql(slow).execute(&mut owner).await.unwrap();
    let stop = Arc::<AtomicBool>::default();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (till, stop) = (till.clone(), Arc::clone(&stop));
        clients.spawn(async move { ask_on(till, "/v1/goods", &stop).await });
    }
    let sales = tokio::spawn(sell_on(till.clone(), people[0].clone(), Arc::clone(&stop)));
    let (mut health, since) = (Vec::new(), Instant::now());
    while since.elapsed() < Duration::from_secs(SECONDS) {
        let asked = Instant::now();
        let alive = till
            .send(Method::GET, "/healthz", None, None)
            .await
            .unwrap();
        assert_eq!(alive.status, StatusCode::OK);
        health.push(asked.elapsed());
        sleep(Duration::from_millis(10)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let ending = Instant::now();
    let told: Vec<_> = clients.join_all().await.into_iter().flatten().collect();
    let ended = ending.elapsed();
    let (sold, tried) = sales.await.unwrap();
    let of = |wanted: StatusCode| {
        let some = told.iter().filter(|(status, _)| *status == wanted);
        some.map(|(_, took)| *took).collect::<Vec<_>>()
    };
    let (mut served, mut refused) = (of(StatusCode::OK), of(StatusCode::SERVICE_UNAVAILABLE));
    let (longest, slowest) = (percentile(&mut refused, 100), percentile(&mut served, 100));
    let well = percentile(&mut health, 99);
    eprintln!(
        "cra-9: {} served within {slowest:?}, {} put off within {longest:?} (half {:?}), {sold} of \
         {tried} sold meanwhile, health p99 {well:?} of {}, all gone {ended:?} after the end",
        served.len(),
        refused.len(),
        percentile(&mut refused, 50),
        health.len(),
    );
    assert!(
        served.len() >= 10 && refused.len() >= CLIENTS,
        "it is too much for ten connections"
    );
    assert!(longest < FOR_A_CONNECTION + BUSY, "{longest:?}");
    assert!(slowest < 2 * FOR_A_CONNECTION + BUSY, "{slowest:?}");
    assert!(well < Duration::from_millis(100) + BUSY / 3, "{well:?}");
    sqlx::raw_sql("alter table good disable row level security")
        .execute(&mut owner)
        .await
        .unwrap();
    let since = Instant::now();
    let well = till
        .send(Method::GET, "/v1/goods", None, None)
        .await
        .unwrap();
    assert_eq!(
        well.status,
        StatusCode::OK,
        "nothing is left of it: {well:?}"
    );
    assert!(since.elapsed() < BUSY, "{:?}", since.elapsed());
    place.prove();
}

#[tokio::test(flavor = "multi_thread")]
async fn cra_10_who_needs_what_somebody_holds_is_told_to_come_back_and_nobody_hangs() {
    let place = Place::open().await;
    let till = patient(&place.till);
    let (people, _) = members(&till, 2, 100).await;
    let other = patient(&place.other_mall().await);
    let stranger = other.member("c-0", 0).await;
    let redemption = json!({ "good_id": till.good, "member_id": people[0] });
    let balance = format!("/v1/members/{}/balance", people[1]);
    // By table: who needs it, and who does not.
    for (table, method, path, body) in [
        ("good", Method::GET, "/v1/goods", None),
        ("good", Method::POST, "/v1/redemptions", Some(redemption)),
        ("wallet", Method::GET, balance.as_str(), None),
        (
            "wallet",
            Method::POST,
            "/v1/purchases",
            Some(till.purchase(&people[0], "held", 700)),
        ),
        (
            "lot",
            Method::POST,
            "/v1/spends",
            Some(till.spend(&people[1], "held", 7)),
        ),
        (
            "member",
            Method::POST,
            "/v1/members",
            Some(json!({ "card_number": "held" })),
        ),
    ] {
        let mut holder = place.tenant_owner().await;
        let lock = format!("begin; lock table {table} in access exclusive mode");
        let lock = sqlx::raw_sql(sqlx::AssertSqlSafe(lock));
        lock.execute(&mut holder).await.unwrap();
        let key = format!("{table}-{path}");
        let since = Instant::now();
        let answer = till
            .send(method.clone(), path, Some(&key), body.as_ref())
            .await
            .unwrap();
        let took = since.elapsed();
        come_back(&answer);
        assert!(took < FOR_A_LOCK + BUSY, "{method} {path}: {took:?}");
        let name = format!("well-{table}-{method}");
        let sale = other.purchase(&stranger, &name, 100);
        let sold = other
            .send(Method::POST, "/v1/purchases", Some(&name), Some(&sale))
            .await;
        assert_eq!(
            sold.unwrap().status,
            StatusCode::CREATED,
            "another mall does not notice"
        );
        sqlx::raw_sql("commit").execute(&mut holder).await.unwrap();
        let answer = till
            .send(method.clone(), path, Some(&key), body.as_ref())
            .await
            .unwrap();
        assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
        eprintln!("cra-10: {table} held: {method} {path} is told after {took:?}");
    }
    assert_eq!(till.available(&people[0]).await, 100 - 3 + 7);
    assert_eq!(till.available(&people[1]).await, 100 - 7);
    place.prove();
}
