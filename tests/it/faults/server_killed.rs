//! The server is killed under load, alone or with the database, and another one takes its place.

use std::{sync::Arc, time::Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::{Method, StatusCode};
use rotunda::kernel::ids::{Entropy, MemberId};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{
    acts::{Crowd, Progress, members, patient},
    figure,
    real::Place,
    until,
};

/// How often in every run of the tests.
const KILLS: u32 = 3;

/// How much must have been acknowledged before each kill, and after the last.
const BETWEEN: u64 = 100;

/// Members whose points lapse around each kill.
const LAPSING: usize = 5;

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Server,
    Database,
    Both,
}

#[tokio::test(flavor = "multi_thread")]
async fn cra_2_what_was_acknowledged_outlives_the_server_being_killed_under_load() {
    let kills = figure("ROTUNDA_TEST_KILLS", KILLS);
    survive("cra-2", kills, |_| Victim::Server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cra_3_and_both_of_them_at_random() {
    let kills = figure("ROTUNDA_TEST_BOTH", KILLS);
    let victims = [Victim::Both, Victim::Server, Victim::Database];
    survive("cra-3", kills, |dice| victims[dice.random_range(0..3)]).await;
}

/// Kills so often under load; nothing that was acknowledged is lost, nothing is there that nobody
/// was told, and what the house does by itself is done once.
async fn survive(name: &str, kills: u32, victim: impl Fn(&mut StdRng) -> Victim) {
    let mut place = Place::open().await;
    let till = patient(&place.till);
    let (people, begun) = members(&till, 16, 1000).await;
    let mut house = Lapses::prepare(&place, kills).await;
    let mut crowd = Crowd::gather(&till, &people, 16);
    let progress = Arc::clone(&crowd.progress);
    let mut dice = StdRng::seed_from_u64(3);
    for kill in 0..kills {
        let enough = Progress::count(&progress.acknowledged) + BETWEEN;
        house.are_due(kill).await;
        let at_work = |progress: &Progress| Progress::count(&progress.acknowledged) >= enough;
        crowd.until("there is load", at_work).await;
        let victim = victim(&mut dice);
        if victim != Victim::Database {
            place.server.kill();
        }
        if victim != Victim::Server {
            place.postgres.kill();
            place.postgres.start().await;
            house.sql = place.tenant().await;
        }
        let since = Instant::now();
        if victim != Victim::Database {
            place.serve_there_again();
        }
        let ready = async || {
            let ready = till.send(Method::GET, "/readyz", None, None).await;
            ready.is_ok_and(|answer| answer.status == StatusCode::OK)
        };
        until("a server is ready", ready).await;
        eprintln!(
            "{name}: kill {kill}: {victim:?}, ready after {:?}",
            since.elapsed()
        );
    }
    let enough = Progress::count(&progress.acknowledged) + BETWEEN;
    let at_work = |progress: &Progress| Progress::count(&progress.acknowledged) >= enough;
    crowd.until("there is load again", at_work).await;
    let record = crowd.stop(begun).await;
    eprintln!("{name}: {progress:?}, {} told again", record.replayed);
    house.are_done_once(kills).await;
    record.is_what_happened(&place).await;
}

/// What the house does by itself meanwhile: points lapse.
struct Lapses {
    sql: PgConnection,
    /// Whose points, by kill.
    whose: Vec<Vec<Uuid>>,
}

impl Lapses {
    async fn prepare(place: &Place, kills: u32) -> Self {
        let mut whose = Vec::new();
        for kill in 0..kills {
            let mut some = Vec::new();
            for number in 0..LAPSING {
                let member = place.till.member(&format!("l-{kill}-{number}"), 10).await;
                some.push(member.parse::<MemberId>().unwrap().uuid());
            }
            whose.push(some);
        }
        let sql = place.tenant().await;
        Self { sql, whose }
    }

    /// From now on the points of some lapse, and a job waits for whoever does it.
    async fn are_due(&mut self, kill: u32) {
        let mut tx = self.sql.begin().await.unwrap();
        let lapse = "update lot set expires_at = earned_at where member_id = any($1)";
        let lapse = sqlx::query(lapse).bind(&self.whose[kill as usize]);
        lapse.execute(&mut *tx).await.unwrap();
        write_job(&mut tx, &format!("kill-{kill}")).await;
        tx.commit().await.unwrap();
    }

    /// Waits until they have lapsed, and counts how often.
    async fn are_done_once(&mut self, kills: u32) {
        // Should the last job's worker have died over it, another job need not wait for its heir.
        write_job(&mut self.sql, "last").await;
        let everybody: Vec<Uuid> = self.whose.concat();
        let since = Instant::now();
        loop {
            let left = "select count(*) from lot where member_id = any($1) and remaining > 0";
            let left = sqlx::query_scalar::<_, i64>(left).bind(&everybody);
            if left.fetch_one(&mut self.sql).await.unwrap() == 0 {
                break;
            }
            assert!(
                since.elapsed().as_secs() < 60,
                "points that are due do not lapse"
            );
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let lapses = "select count(*), coalesce(sum(points), 0)::bigint from journal
                      where kind = 'expire' and member_id = any($1)";
        let lapses = sqlx::query_as(lapses).bind(&everybody);
        let lapses: (i64, i64) = lapses.fetch_one(&mut self.sql).await.unwrap();
        let expected = i64::from(kills) * LAPSING as i64;
        assert_eq!(lapses, (expected, -10 * expected), "each lapses once");
    }
}

/// What the schedule writes into a mall's outbox once a day.
async fn write_job(sql: &mut PgConnection, dedup: &str) {
    sqlx::query(
        "insert into outbox (job_id, name, payload, dedup_key, created_at)
         values ($1, 'points.expire', '{\"day\": \"2026-01-01\"}', $2, now())",
    )
    .bind(Uuid::from_bytes(Entropy::System.bytes()))
    .bind(dedup)
    .execute(sql)
    .await
    .unwrap();
}
