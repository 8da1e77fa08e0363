//! Against a real server: `DATABASE_URL` is the URL of a database whose login may make
//! databases and roles: `tests/run` gives them one.

mod house;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant as Stopwatch},
};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sqlx::ConnectOptions;
use tokio::sync::oneshot;

use super::{
    Bell, Job, enqueue,
    relay::{self, relay},
    worker::{self, Backlog, Handlers, Outcome, Settings},
};
use crate::{
    authz::{action::RelayJobs, actor::Principal, grant::Grant},
    db::{Db, error::Error},
    jobs::{self, Tools, schedule::Schedule},
    kernel::{ids::Entropy, time::Clock},
};
use house::{Greet, House, evening, execute, register};

/// Short times, so that a test does not wait.
fn quick() -> Settings {
    Settings {
        poll: Duration::from_millis(100),
        patience: Duration::from_millis(900),
        grace: Duration::from_secs(2),
        ..Settings::default()
    }
}

/// Counts the greetings.
fn counting(count: &Arc<AtomicU32>) -> Handlers {
    let count = Arc::clone(count);
    Handlers::default().on(move |_, _: Greet| {
        count.fetch_add(1, Ordering::SeqCst);
        async { Outcome::Done }
    })
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let since = Stopwatch::now();
    while !done().await {
        assert!(since.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_is_rolled_back_was_never_wished() {
    let house = House::open("rollback").await;
    let mut tx = house.db.write(&house.grant()).await.unwrap();
    enqueue(&mut tx, &Greet { number: 1 }).await.unwrap();
    drop(tx);
    assert_eq!(house.outbox().await, 0);
    assert_eq!(relay(&house.db, &house.grant()).await.unwrap(), 0);
    assert_eq!(house.backlog().await, Backlog::default());
    house.close().await;
}

#[tokio::test]
async fn five_wishes_for_the_same_are_one_run() {
    let house = House::open("dedup").await;
    let count = Arc::default();
    let worker = house.work(counting(&count), quick());
    for _ in 0..5 {
        house.greet([7, 7]).await;
        relay(&house.db, &house.grant()).await.unwrap();
    }
    assert_eq!(house.outbox().await, 1);
    until("the run", async || count.load(Ordering::SeqCst) > 0).await;
    worker.stop().await;
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert_eq!(house.backlog().await, Backlog::default());
    house.close().await;
}

#[tokio::test]
async fn a_row_that_is_handed_over_twice_is_one_job() {
    let house = House::open("again").await;
    house.greet(0..3).await;
    assert_eq!(relay(&house.db, &house.grant()).await.unwrap(), 3);
    // As if the process had died after adding the jobs and before marking the rows.
    house.forget_the_relay().await;
    assert_eq!(relay(&house.db, &house.grant()).await.unwrap(), 3);
    assert_eq!(house.backlog().await.fresh, 3);
    house.close().await;
}

#[tokio::test]
async fn a_failing_job_is_tried_again_and_kept_visible() {
    let house = House::open("failing").await;
    let first: Arc<AtomicU32> = Arc::default();
    let seen = Arc::clone(&first);
    let handlers = Handlers::default().on(move |_, greet: Greet| {
        let tries = seen.fetch_add(u32::from(greet.number == 1), Ordering::SeqCst);
        async move {
            match greet.number {
                1 if tries == 0 => Outcome::Retry("the printer is busy".to_owned()),
                2 => Outcome::Fail("there is no printer".to_owned()),
                3 => panic!("the printer is on fire"),
                _ => Outcome::Done,
            }
        }
    });
    let worker = house.work(handlers, quick());
    house.greet(1..=3).await;
    relay(&house.db, &house.grant()).await.unwrap();
    until("the failures", async || {
        let backlog = house.backlog().await;
        backlog.retrying == 2 && backlog.dead == 1
    })
    .await;
    let dead = worker::dead_letters(&house.db, &house.grant(), 10)
        .await
        .unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(
        (dead[0].name.as_str(), dead[0].dedup.as_str()),
        (Greet::NAME, "2")
    );
    assert!(
        dead[0].why.contains("there is no printer"),
        "{}",
        dead[0].why
    );
    until("the second try", async || first.load(Ordering::SeqCst) == 2).await;
    until("its end", async || house.backlog().await.retrying == 1).await;
    worker.stop().await;
    // Handed over once more, what is there stays as it is; only what is done comes again.
    house.forget_the_relay().await;
    assert_eq!(relay(&house.db, &house.grant()).await.unwrap(), 3);
    let expected = Backlog {
        fresh: 1,
        retrying: 1,
        dead: 1,
    };
    assert_eq!(house.backlog().await, expected);
    house.close().await;
}

#[tokio::test]
async fn five_hundred_jobs_drain_quickly() {
    let house = House::open("many").await;
    let count = Arc::default();
    house.greet(0..500).await;
    let started = Stopwatch::now();
    assert_eq!(relay(&house.db, &house.grant()).await.unwrap(), 500);
    let relayed = started.elapsed();
    let worker = house.work(counting(&count), Settings::default());
    until("all", async || house.backlog().await == Backlog::default()).await;
    let drained = started.elapsed().saturating_sub(relayed);
    assert_eq!(count.load(Ordering::SeqCst), 500);
    let ringing = Stopwatch::now();
    house.greet([1000]).await;
    relay(&house.db, &house.grant()).await.unwrap();
    until("one more", async || count.load(Ordering::SeqCst) == 501).await;
    eprintln!(
        "500 relayed {relayed:?}, started and drained {drained:?}, one {:?}",
        ringing.elapsed()
    );
    assert!(drained < Duration::from_secs(10), "{drained:?}");
    worker.stop().await;
    house.close().await;
}

#[tokio::test]
async fn a_job_whose_worker_died_runs_again() {
    let house = House::open("killed").await;
    let runs: Arc<AtomicU32> = Arc::default();
    let seen = Arc::clone(&runs);
    let handlers = Handlers::default().on(move |_, _: Greet| {
        let before = seen.fetch_add(1, Ordering::SeqCst);
        async move {
            if before == 0 {
                std::future::pending::<()>().await;
            }
            Outcome::Done
        }
    });
    house.greet([1]).await;
    relay(&house.db, &house.grant()).await.unwrap();
    // A runtime of its own dies with every task of the worker, as a process does.
    let doomed = tokio::runtime::Runtime::new().unwrap();
    let url = house
        .server
        .clone()
        .database(&house.database)
        .to_url_lossy();
    let first = handlers.clone();
    doomed.spawn(async move {
        let url = SecretString::from(url.to_string());
        let db = Db::new(&url, 4, Clock::System, Entropy::System).unwrap();
        worker::run(db, first, quick(), std::future::pending()).await;
    });
    until("the first run", async || runs.load(Ordering::SeqCst) == 1).await;
    doomed.shutdown_background();
    let since = Stopwatch::now();
    let worker = house.work(handlers, quick());
    until("the second run", async || runs.load(Ordering::SeqCst) == 2).await;
    until("its end", async || {
        house.backlog().await == Backlog::default()
    })
    .await;
    eprintln!(
        "taken over after {:?} (patience {:?})",
        since.elapsed(),
        quick().patience
    );
    worker.stop().await;
    house.close().await;
}

#[tokio::test]
async fn a_stop_lets_the_job_under_way_end() {
    let house = House::open("stop").await;
    let (begun, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (begins, ends) = (begun.clone(), ended.clone());
    let handlers = Handlers::default().on(move |_, _: Greet| {
        begins.fetch_add(1, Ordering::SeqCst);
        let ends = ends.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            ends.fetch_add(1, Ordering::SeqCst);
            Outcome::Done
        }
    });
    house.greet(0..50).await;
    relay(&house.db, &house.grant()).await.unwrap();
    let worker = house.work(handlers, quick());
    until("a beginning", async || begun.load(Ordering::SeqCst) > 0).await;
    let since = Stopwatch::now();
    worker.stop().await;
    assert!(
        since.elapsed() < Duration::from_secs(2),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(begun.load(Ordering::SeqCst), ended.load(Ordering::SeqCst));
    let left = house.backlog().await.fresh;
    assert_eq!(
        left,
        50 - i64::from(ended.load(Ordering::SeqCst)),
        "none lost, none locked"
    );
    house.close().await;
}

#[tokio::test]
async fn two_schedulers_and_two_relays_are_one_run_a_night() {
    let house = House::open("schedule").await;
    let second = register(&house.db, &house.policy, "nebula").await;
    let bell = Bell::default();
    let schedule = || Schedule::new(house.db.clone(), house.policy.clone(), bell.clone());
    let (mut left, mut right) = (schedule(), schedule());
    let names = async || -> Vec<(String, String)> {
        let mut tx = house.db.read(&house.grant()).await.unwrap();
        sqlx::query_as("select name, dedup_key from outbox order by name, dedup_key")
            .fetch_all(tx.conn())
            .await
            .unwrap()
    };
    for minutes in [0, 0, 89, 90, 91] {
        house
            .db
            .clock()
            .set(evening() + chrono::TimeDelta::minutes(minutes));
        let (one, other) = tokio::join!(left.tick(), right.tick());
        one.and(other).unwrap();
    }
    // 21:30 UTC is 22:30 in Berlin; 90 minutes later the 29th begins.
    let wished = names().await;
    let expiries: Vec<&str> = wished
        .iter()
        .filter(|(name, _)| name == "points.expire")
        .map(|(_, key)| key.as_str())
        .collect();
    assert_eq!(expiries, ["2026-03-28", "2026-03-29"]);
    // Five a day, and two a minute.
    assert_eq!(wished.len(), 5 * 2 + 2 * 4);
    let mut lapses = wished
        .iter()
        .filter(|(name, _)| name == "redemptions.lapse");
    assert_eq!(lapses.next_back().unwrap().1, "2026-03-28T23:01Z");
    // Down for three days: one run for the day that is.
    house.db.clock().set(evening() + chrono::TimeDelta::days(3));
    schedule().tick().await.unwrap();
    assert_eq!(names().await.len(), 18 + 7);
    // The second mall has its own; both relays together hand each over once.
    let other: Grant<RelayJobs> = house.policy.allow(&Principal::system(second.id)).unwrap();
    let own = house.grant();
    let (one, two, three) = tokio::join!(
        relay(&house.db, &own),
        relay(&house.db, &own),
        relay(&house.db, &other)
    );
    assert_eq!((one.unwrap() + two.unwrap(), three.unwrap()), (25, 25));
    assert_eq!(house.backlog().await.fresh, 50);
    house.close().await;
}

#[tokio::test]
async fn old_rows_are_taken_away_once_they_were_handed_over() {
    let house = House::open("tidy").await;
    house.greet(0..2).await;
    relay(&house.db, &house.grant()).await.unwrap();
    house.greet([2]).await;
    let tools = Tools {
        db: house.db.clone(),
        policy: house.policy.clone(),
        bell: Bell::default(),
        mailer: crate::gateway::mail::Mailer::Off,
        sms: crate::gateway::sms::Sms::Off,
        stripe: crate::gateway::stripe::Stripe::default(),
        files: crate::gateway::files::Files::Folder(std::env::temp_dir()),
        base_url: None,
    };
    let tidy = async || {
        let day = serde_json::json!({"day": "2026-05-03"});
        let handlers = jobs::handlers(&tools);
        handlers.run(house.mall.id, "outbox.tidy", day).await
    };
    house.db.clock().set(evening() + super::KEPT);
    assert_eq!(tidy().await, Outcome::Done);
    assert_eq!(house.outbox().await, 3);
    let later = evening() + super::KEPT + chrono::TimeDelta::seconds(1);
    house.db.clock().set(later);
    assert_eq!(tidy().await, Outcome::Done);
    assert_eq!(house.outbox().await, 1, "what waits is kept");
    house.close().await;
}

#[tokio::test]
async fn a_worker_whose_connections_are_cut_goes_on() {
    let house = House::open("cut").await;
    let count = Arc::default();
    let worker = house.work(counting(&count), quick());
    for round in 1..=3 {
        house.greet([round]).await;
        relay(&house.db, &house.grant()).await.unwrap();
        until("a run", async || count.load(Ordering::SeqCst) == round).await;
        let mut admin = house.server.connect().await.unwrap();
        let cut = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = '{}' and application_name = 'rotunda-jobs'",
            house.database
        );
        execute(&mut admin, &cut).await;
    }
    until("quiet", async || {
        worker::backlog(&house.db).await.ok() == Some(Backlog::default())
    })
    .await;
    worker.stop().await;
    house.close().await;
}

#[tokio::test]
async fn the_bell_starts_a_job_at_once() {
    let house = House::open("bell").await;
    let count = Arc::default();
    let began = Stopwatch::now();
    let worker = house.work(counting(&count), Settings::default());
    let bell = Bell::default();
    let (db, policy, rung) = (house.db.clone(), house.policy.clone(), bell.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let relaying = tokio::spawn(async move {
        let stopped = async move {
            let _ = stopped.await;
        };
        relay::run(db, policy, rung, stopped).await;
    });
    // Past the first sweep and the worker's start.
    house.greet([1]).await;
    bell.ring(house.mall.id);
    until("the first", async || count.load(Ordering::SeqCst) == 1).await;
    eprintln!("from start to first run {:?}", began.elapsed());
    let since = Stopwatch::now();
    house.greet([2]).await;
    bell.ring(house.mall.id);
    until("the second", async || count.load(Ordering::SeqCst) == 2).await;
    eprintln!("from enqueue to run {:?}", since.elapsed());
    assert!(since.elapsed() < Duration::from_millis(800));
    stop.send(()).unwrap();
    relaying.await.unwrap();
    worker.stop().await;
    house.close().await;
}

#[tokio::test]
async fn what_nobody_rang_for_is_found_page_by_page_in_turn() {
    let house = House::open("sweep").await;
    let (db, policy) = (&house.db, &house.policy);
    let mut malls = vec![house.mall.clone()];
    for slug in ["opera", "plaza"] {
        malls.push(register(db, policy, slug).await);
    }
    let grants: Vec<Grant<RelayJobs>> = malls
        .iter()
        .map(|mall| policy.allow(&Principal::system(mall.id)).unwrap())
        .collect();
    let mut sweep = relay::Sweep::new(db.clone(), Arc::clone(policy));
    // A page is two malls here: the third's turn is the second, then the first ones are on again.
    for (number, waiting) in [(1, vec![2]), (2, vec![0, 1]), (3, vec![2])] {
        for grant in &grants {
            let mut tx = db.write(grant).await.unwrap();
            enqueue(&mut tx, &Greet { number }).await.unwrap();
            tx.commit().await.unwrap();
        }
        sweep.next().await;
        for (place, grant) in grants.iter().enumerate() {
            let mut tx = db.read(grant).await.unwrap();
            let waits: bool =
                sqlx::query_scalar("select exists (select from outbox where relayed_at is null)")
                    .fetch_one(tx.conn())
                    .await
                    .unwrap();
            assert_eq!(waits, waiting.contains(&place), "{number}: {place}");
        }
    }
    house.close().await;
}

#[tokio::test]
async fn the_queue_is_complete_at_the_version_we_name_and_closed_to_malls() {
    let house = House::open("rights").await;
    assert!(house.db.platform_is_current().await.unwrap());
    house.db.prepare().await.unwrap();
    let newest: i32 = sqlx::query_scalar("select max(id) from jobs.migrations")
        .fetch_one(house.db.jobs())
        .await
        .unwrap();
    assert_eq!(newest, 22, "db::migrate::JOBS_READY names another version");
    for forbidden in [
        "create table jobs.mine (x int)",
        "drop table jobs._private_jobs",
        "truncate jobs._private_jobs",
        "insert into jobs.migrations (id) values (99)",
    ] {
        let refused = sqlx::query(forbidden).execute(house.db.jobs()).await;
        assert!(refused.is_err(), "{forbidden}");
    }
    for reached in [
        "select count(*) from jobs.jobs",
        "select jobs.add_job('test.greet')",
    ] {
        let mut tx = house.db.write(&house.grant()).await.unwrap();
        let refused = sqlx::query(reached).execute(tx.conn()).await.unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("permission denied for schema jobs"),
            "{refused}"
        );
    }
    house.close().await;
}

#[tokio::test]
async fn a_key_that_the_worker_could_not_take_is_refused_at_once() {
    #[derive(Serialize, Deserialize)]
    struct Long(usize);
    impl Job for Long {
        const NAME: &'static str = "test.long";
        fn dedup(&self) -> String {
            "x".repeat(self.0)
        }
    }
    let house = House::open("long").await;
    let mut tx = house.db.write(&house.grant()).await.unwrap();
    for length in [0, 129] {
        let refused = enqueue(&mut tx, &Long(length)).await;
        assert!(matches!(refused, Err(Error::Corrupt(_))), "{length}");
    }
    enqueue(&mut tx, &Long(128)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(relay(&house.db, &house.grant()).await.unwrap(), 1);
    house.close().await;
}
