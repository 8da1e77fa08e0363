//! Malls on two servers of PostgreSQL, and one that moves from one to the other.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::NaiveDate;
use poem::http::Method;
use rotunda::{
    authz::{
        action::{EnrolMember, RelayJobs},
        actor::Principal,
    },
    db::{
        error::Error,
        moving::{MoveError, Step},
        tenants::{Schema, Status},
    },
    jobs::schedule::TidyOutbox,
    kernel::time::Clock,
    queue,
    tenancy::{self, TenancyError},
};
use sqlx::AssertSqlSafe;
use tokio::task::JoinHandle;

use super::places::{Places, Shopping, vendor};
use crate::support::{NOON, instant, outside::Server, outside::tables_at};

/// Tills that write during the move.
const TILLS: usize = 8;

/// What a till was told, by idempotency key: the path, what it sent, and the answer's body.
type Told = BTreeMap<String, (&'static str, String, String)>;

/// What the tills share.
struct Counter {
    servers: Vec<Server>,
    /// One that no request reaches, so that nothing tells it of the move.
    deaf: Server,
    mall: Shopping,
    stop: AtomicBool,
    moving: AtomicUsize,
    done: AtomicUsize,
}

impl Counter {
    /// One till: the next receipt when the last one is acknowledged, and the same one again under
    /// the same key, now here and now there, until it is.
    async fn sells(&self, till: usize) -> Told {
        let mut told = Told::new();
        let mut sent = 0;
        while !self.stop.load(Ordering::SeqCst) {
            let receipt = format!("{till}-{}", told.len());
            let (path, body) = if told.len() % 5 == 4 {
                ("/v1/spends", self.mall.spend(&receipt))
            } else {
                ("/v1/purchases", self.mall.purchase(&receipt))
            };
            let body = body.to_string();
            loop {
                sent += 1;
                let server = &self.servers[(till + sent) % self.servers.len()];
                let asked =
                    server.ask_under(&receipt, self.mall.till(), &Method::POST, path, Some(&body));
                let answer = asked.await;
                match (answer.status, answer.code().as_str()) {
                    (200 | 201, _) => {
                        told.insert(receipt, (path, body, answer.body));
                        self.done.fetch_add(1, Ordering::SeqCst);
                        break;
                    }
                    (503, code) => {
                        assert!(answer.headers.contains_key("retry-after"), "{code}");
                        let moving = usize::from(code == "mall-moving");
                        self.moving.fetch_add(moving, Ordering::SeqCst);
                        assert!(
                            ["mall-moving", "try-again", "database-unavailable"].contains(&code),
                            "{code}"
                        );
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    (status, _) => panic!("{status}: {}", answer.body),
                }
            }
        }
        told
    }
}

/// Somebody behind the door, who believes what the registry said once for as long as it works: how
/// many of his transactions were committed.
async fn clerk(counter: &Counter) -> i64 {
    let app = &counter.deaf.app;
    let system = Principal::system(counter.mall.tenant.id);
    let grant = app.policy.allow::<RelayJobs>(&system).unwrap();
    let (mut written, mut day) = (0, "2000-01-01".parse::<NaiveDate>().unwrap());
    while !counter.stop.load(Ordering::SeqCst) {
        day = day.succ_opt().unwrap();
        let done = async {
            let mut tx = app.db.write(&grant).await?;
            queue::enqueue(&mut tx, &TidyOutbox { day }).await?;
            tx.commit().await
        };
        match done.await {
            Ok(()) => written += 1,
            Err(error) => assert!(error.passes(), "{error:?}"),
        }
    }
    written
}

/// What the API shows of a closed month.
async fn closed_month(server: &Server, mall: &Shopping) -> Vec<String> {
    let list = server.get(mall.owner(), "/v1/settlements").await;
    let id = list["data"][0]["settlement_id"].as_str().unwrap();
    let path = format!("/v1/settlements/{id}/statements");
    let statements = server.get(mall.owner(), &path).await;
    let mut shown = vec![format!("/v1/settlements/{id}"), format!("{path}.csv")];
    for statement in statements["data"].as_array().unwrap() {
        let id = statement["statement_id"].as_str().unwrap();
        shown.push(format!("/v1/statements/{id}"));
        shown.push(format!("/v1/statements/{id}/lines"));
    }
    let mut bytes = vec![statements.to_string()];
    for path in shown {
        let answer = server.ask(mall.owner(), &Method::GET, &path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        bytes.push(answer.body);
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mall_moves_to_another_server_while_its_tills_write_and_nothing_is_lost() {
    let places = Places::open().await;
    let clock = Clock::fixed(instant(NOON));
    let (one, two) = (places.server(&clock).await, places.server(&clock).await);
    let mover = places.server(&clock).await;
    let mall = Shopping::open(&one, "main").await;
    let other = Shopping::open(&one, "north").await;

    // March is over and closed.
    for receipt in ["march-1", "march-2", "march-3"] {
        let body = mall.purchase(receipt);
        one.post(mall.till(), "/v1/purchases", &body).await;
    }
    one.post(mall.till(), "/v1/spends", &mall.spend("march-4"))
        .await;
    clock.set(instant("2026-04-05T04:00:00Z"));
    let period = serde_json::json!({"period": "2026-03"});
    one.post(mall.owner(), "/v1/settlements", &period).await;
    let march = closed_month(&one, &mall).await;

    let counter = Arc::new(Counter {
        servers: vec![one, two],
        deaf: places.server(&clock).await,
        mall,
        stop: AtomicBool::new(false),
        moving: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
    });
    let tills: Vec<_> = (0..TILLS)
        .map(|till| {
            let counter = Arc::clone(&counter);
            tokio::spawn(async move { counter.sells(till).await })
        })
        .collect();
    let clerk = {
        let counter = Arc::clone(&counter);
        tokio::spawn(async move { clerk(&counter).await })
    };
    let sold = async |more: usize| {
        let enough = counter.done.load(Ordering::SeqCst) + more;
        while counter.done.load(Ordering::SeqCst) < enough {
            assert!(
                !tills.iter().any(JoinHandle::is_finished),
                "a till broke down"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    sold(100).await;
    let (begun, mut steps) = (Instant::now(), Vec::new());
    let (tenant, grant) = (&counter.mall.tenant, vendor(&mover));
    let tell = async |step: Step| {
        if step == Step::Closed {
            // Another mall's tills notice nothing.
            let body = other.purchase("meanwhile");
            counter.servers[0]
                .post(other.till(), "/v1/purchases", &body)
                .await;
            let status = mover
                .app
                .db
                .tenant_of_id(tenant.id)
                .await
                .unwrap()
                .unwrap()
                .status;
            assert_eq!(status, Status::Moving);
            let told = tenancy::suspend(&mover.app.db, &grant, &tenant.slug).await;
            assert!(matches!(told, Err(TenancyError::Moving(_))));
        }
        if step == Step::Compared {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        steps.push((begun.elapsed(), step));
    };
    mover
        .app
        .db
        .move_tenant(&grant, &tenant.slug, "north", tell)
        .await
        .unwrap();
    sold(100).await;
    counter.stop.store(true, Ordering::SeqCst);
    let written = clerk.await.unwrap();
    let mut told = Told::new();
    for till in tills {
        told.extend(till.await.unwrap());
    }
    let put_off = counter.moving.load(Ordering::SeqCst);
    let down = steps
        .iter()
        .find(|(_, step)| *step == Step::Switched)
        .unwrap()
        .0;
    println!(
        "moved in {:?}, switched after {down:?}, {put_off} answers 503",
        begun.elapsed()
    );
    assert!(put_off > 0, "the tills noticed nothing");

    // Everything acknowledged is there once, and answers under its key as it did.
    let mall = &counter.mall;
    let spends = told
        .values()
        .filter(|(path, ..)| *path == "/v1/spends")
        .count() as i64;
    let purchases = told.len() as i64 - spends;
    assert_eq!(
        places.count("north", tenant, "purchase").await,
        purchases + 3
    );
    assert_eq!(places.count("north", tenant, "spend").await, spends + 1);
    assert_eq!(places.count("north", tenant, "outbox").await, written);
    assert_eq!(places.holds("main", tenant).await, (false, false));
    assert_eq!(
        places.registered(tenant).await,
        ("north".to_owned(), "active".to_owned(), false)
    );
    for (number, (key, (path, body, answer))) in told.iter().enumerate() {
        let server = &counter.servers[number % 2];
        let again = server
            .ask_under(key, mall.till(), &Method::POST, path, Some(body))
            .await;
        assert_eq!((again.status, &again.body), (201, answer), "{key}");
        assert!(again.headers.contains_key("idempotent-replayed"));
    }
    let server = &counter.servers[0];
    mall.proves(server).await;
    other.proves(server).await;
    assert_eq!(closed_month(server, mall).await, march);

    let counter = Arc::into_inner(counter).unwrap();
    let mut servers = counter.servers;
    servers.extend([mover, counter.deaf]);
    places.close(servers).await;
}

/// Moves a mall until the first step of that kind, at which the mover is killed.
async fn killed_at(mover: &Server, mall: &Shopping, to: &str, fatal: fn(&Step) -> bool) {
    let reached = tokio::sync::Notify::new();
    let tell = async |step: Step| {
        if fatal(&step) {
            reached.notify_one();
            pending::<()>().await;
        }
    };
    let (grant, slug) = (vendor(mover), &mall.tenant.slug);
    tokio::select! {
        ended = mover.app.db.move_tenant(&grant, slug, to, tell) => panic!("{ended:?}"),
        () = reached.notified() => {}
    }
}

#[tokio::test]
async fn a_move_that_is_killed_at_any_step_goes_on_or_is_taken_back() {
    let places = Places::open().await;
    let clock = Clock::fixed(instant(NOON));
    let (server, mover) = (places.server(&clock).await, places.server(&clock).await);
    let mall = Shopping::open(&server, "main").await;
    let (tenant, grant) = (&mall.tenant, vendor(&mover));
    for receipt in ["1", "2"] {
        server
            .post(mall.till(), "/v1/purchases", &mall.purchase(receipt))
            .await;
    }
    let content = async |target: &str| {
        let mut tables = tables_at(places.url(target), tenant).await;
        tables.remove("_sqlx_migrations").unwrap();
        tables
    };
    let go_on = async |to: &str| {
        mover
            .app
            .db
            .move_tenant(&grant, &tenant.slug, to, async |_| {})
            .await
    };
    let fatal: [fn(&Step) -> bool; 6] = [
        |step| *step == Step::Announced,
        |step| *step == Step::Closed,
        |step| matches!(step, Step::Copied { of: (5, _), .. }),
        |step| matches!(step, Step::Copied { of: (one, all), .. } if one == all),
        |step| *step == Step::Compared,
        |step| *step == Step::Switched,
    ];
    let (mut from, mut to) = ("main", "north");
    let mut receipts = 2;
    for (number, fatal) in fatal.into_iter().enumerate() {
        let before = content(from).await;
        killed_at(&mover, &mall, to, fatal).await;
        let (target, status, begun) = places.registered(tenant).await;
        assert!(begun);
        // Where somebody comes who believes the old place, nothing is written.
        let stale = server
            .ask(mall.till(), &Method::POST, "/v1/purchases", Some("{}"))
            .await;
        if number < 5 {
            assert_eq!((target.as_str(), status.as_str()), (from, "moving"));
            assert!([400, 503].contains(&stale.status), "{}", stale.body);
            // Another move cannot begin, and this one can be taken back.
            let elsewhere = go_on(from).await;
            assert!(
                matches!(elsewhere, Err(MoveError::Underway { .. })),
                "{elsewhere:?}"
            );
            if number % 2 == 0 {
                assert!(
                    mover
                        .app
                        .db
                        .cancel_move(&grant, &tenant.slug)
                        .await
                        .unwrap()
                );
                assert_eq!(places.holds(to, tenant).await, (false, false), "{number}");
                tokio::time::sleep(Duration::from_secs(1)).await;
                let body = mall.purchase(&format!("taken-back-{number}"));
                server.post(mall.till(), "/v1/purchases", &body).await;
                receipts += 1;
                killed_at(&mover, &mall, to, fatal).await;
            }
        } else {
            assert_eq!((target.as_str(), status.as_str()), (to, "active"));
            let late = mover.app.db.cancel_move(&grant, &tenant.slug).await;
            assert!(matches!(late, Err(MoveError::Switched { .. })));
            assert_eq!(content(to).await, before);
        }
        let before = if number % 2 == 0 {
            content(from).await
        } else {
            before
        };
        go_on(to).await.unwrap();
        assert_eq!(content(to).await, before, "{number}");
        assert_eq!(places.holds(from, tenant).await, (false, false), "{number}");
        assert_eq!(
            places.registered(tenant).await,
            (to.to_owned(), "active".to_owned(), false)
        );
        assert!(matches!(
            go_on(to).await,
            Err(MoveError::AlreadyThere { .. })
        ));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let body = mall.purchase(&format!("after-{number}"));
        server.post(mall.till(), "/v1/purchases", &body).await;
        receipts += 1;
        assert_eq!(places.count(to, tenant, "purchase").await, receipts);
        mall.proves(&server).await;
        (from, to) = (to, from);
    }
    let nothing = mover.app.db.cancel_move(&grant, &tenant.slug).await;
    assert!(matches!(nothing, Err(MoveError::NotMoving(_))));
    places.close(vec![server, mover]).await;
}

#[tokio::test]
async fn whoever_believes_the_old_place_writes_nothing_there_and_asks_again() {
    let places = Places::open().await;
    let clock = Clock::fixed(instant(NOON));
    let (server, mover) = (places.server(&clock).await, places.server(&clock).await);
    let mall = Shopping::open(&server, "main").await;
    let (db, tenant) = (&server.app.db, &mall.tenant);
    let system = Principal::system(tenant.id);
    let relay = server.app.policy.allow::<RelayJobs>(&system).unwrap();
    let day = TidyOutbox {
        day: "2026-03-02".parse().unwrap(),
    };

    // Open before the move, and it writes only when the mall is closed.
    let mut open = db.write(&relay).await.unwrap();
    killed_at(&mover, &mall, "north", |step| *step == Step::Closed).await;
    let refused = queue::enqueue(&mut open, &day).await.unwrap_err();
    assert!(matches!(refused, Error::Barred(_)), "{refused:?}");
    drop(open);
    let refused = db.write(&relay).await.unwrap_err();
    assert!(matches!(refused, Error::Moving), "{refused:?}");

    let (grant, slug) = (vendor(&mover), &tenant.slug);
    mover
        .app
        .db
        .move_tenant(&grant, slug, "north", async |_| {})
        .await
        .unwrap();
    // Nobody told this server; what it enqueues is in the new place, and from there in the queue.
    let mut tx = db.write(&relay).await.unwrap();
    queue::enqueue(&mut tx, &day).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        places
            .count("north", tenant, "outbox where relayed_at is null")
            .await,
        1
    );
    assert_eq!(queue::relay::relay(db, &relay).await.unwrap(), 1);
    let jobs: i64 = sqlx::query_scalar("select count(*) from jobs.jobs where key like $1")
        .bind(format!("{}/%", tenant.id))
        .fetch_one(&mut places.owner("main").await)
        .await
        .unwrap();
    assert_eq!(jobs, 1);

    // One that wrote before the move is waited for.
    let mut writing = db.write(&relay).await.unwrap();
    let day = TidyOutbox {
        day: "2026-03-03".parse().unwrap(),
    };
    queue::enqueue(&mut writing, &day).await.unwrap();
    let ended = AtomicBool::new(false);
    let moved = mover
        .app
        .db
        .move_tenant(&grant, slug, "main", async |step| {
            assert!(
                step == Step::Announced || ended.load(Ordering::SeqCst),
                "{step:?}"
            );
        });
    let commits = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        ended.store(true, Ordering::SeqCst);
        writing.commit().await
    };
    let (moved, committed) = tokio::join!(moved, commits);
    moved.unwrap();
    committed.unwrap();
    assert_eq!(
        places
            .count("main", tenant, "outbox where relayed_at is null")
            .await,
        1
    );
    // Nothing has failed for this server since, so it still believes the place before.
    drop(db.write(&relay).await.unwrap());
    places.close(vec![server, mover]).await;
}

#[tokio::test]
async fn the_walls_between_malls_stand_on_the_second_server_too() {
    let places = Places::open().await;
    let clock = Clock::fixed(instant(NOON));
    let server = places.server(&clock).await;
    let mut malls = Vec::new();
    for target in ["main", "main", "north", "north"] {
        malls.push(Shopping::open(&server, target).await);
    }
    let (db, grant) = (&server.app.db, vendor(&server));
    db.move_tenant(&grant, &malls[1].tenant.slug, "north", async |_| {})
        .await
        .unwrap();
    for (mall, home) in malls.iter().zip(["main", "north", "north", "north"]) {
        let away = if home == "main" { "north" } else { "main" };
        assert_eq!(places.holds(home, &mall.tenant).await, (true, true));
        assert_eq!(places.holds(away, &mall.tenant).await, (false, false));
        server
            .post(mall.till(), "/v1/purchases", &mall.purchase("1"))
            .await;
        mall.proves(&server).await;
        let found = db
            .tenant_of_slug(mall.tenant.slug.as_str())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.target, home);
    }
    assert!(db.is_current().await.unwrap());
    let found = db.examine().await.unwrap();
    assert_eq!(
        (found.malls, found.behind.len(), found.others.len()),
        (4, 0, 1)
    );
    let login = found.others[0].1.as_ref().unwrap().login.unwrap();
    assert_eq!(Some(login), found.main.login);
    assert!(!login.inherits && !login.superuser && !login.privileged && login.owns == 0);

    // The one that moved and one that was made there: neither sees the other, nobody the registry.
    let schemas: Vec<String> = malls
        .iter()
        .map(|mall| Schema::of(mall.tenant.id).to_string())
        .collect();
    for (own, foreign) in [(1, 2), (2, 1), (3, 1)] {
        let vendor = Principal::platform(Some(malls[own].tenant.id));
        let grant = server.app.policy.allow::<EnrolMember>(&vendor).unwrap();
        drop(db.write(&grant).await.unwrap());
        let mut admin = places.owner("north").await;
        for sql in [
            format!("select from {}.member", schemas[foreign]),
            format!("update {}.wallet set available = 1", schemas[foreign]),
            format!("update {}.journal set points = 1", schemas[own]),
            format!("delete from {}.transfer", schemas[own]),
            format!("create table {}.mine (x int)", schemas[own]),
        ] {
            let worn = format!("set role {}; {sql}", schemas[own]);
            let refused = sqlx::raw_sql(AssertSqlSafe(worn)).execute(&mut admin).await;
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("permission denied"), "{sql}: {refused}");
            sqlx::raw_sql("reset role")
                .execute(&mut admin)
                .await
                .unwrap();
        }
    }
    let registry: bool = sqlx::query_scalar("select to_regnamespace('platform') is null")
        .fetch_one(&mut places.owner("north").await)
        .await
        .unwrap();
    assert!(registry, "the registry is in one place");
    places.close(vec![server]).await;
}
