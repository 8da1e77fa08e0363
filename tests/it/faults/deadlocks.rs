//! Everybody wants the rows of several members at once, in every order (trust.md, CON-6).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use reqwest::StatusCode;
use rotunda::kernel::ids::Entropy;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::{task::JoinSet, time::sleep};
use uuid::Uuid;

use super::{
    acts::{Progress, Wanted, insist, members, patient},
    figure,
    real::Place,
};
use crate::support::till::Till;

const CLIENTS: u64 = 16;
const PEOPLE: usize = 6;

/// At least how many seconds it goes on.
const SECONDS: u32 = 12;

/// What PostgreSQL writes into its log.
const FOUND: &str = "deadlock detected";

#[tokio::test(flavor = "multi_thread")]
async fn con_6_who_wants_several_members_in_any_order_never_waits_in_a_circle() {
    let seconds = u64::from(figure("ROTUNDA_TEST_SECONDS", SECONDS));
    let place = Place::open().await;
    // A circle is looked for at once, before anybody loses patience and so hides it.
    let mut admin = place.admin().await;
    for sql in [
        "alter system set deadlock_timeout = '10ms'",
        "select pg_reload_conf()",
    ] {
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
    }
    let till = patient(&place.till);
    let (people, _) = members(&till, PEOPLE, 2000).await;
    let (progress, stop) = (Arc::<Progress>::default(), Arc::<AtomicBool>::default());
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let one = Greedy {
            till: till.clone(),
            people: Arc::clone(&people),
            progress: Arc::clone(&progress),
            stop: Arc::clone(&stop),
            dice: StdRng::seed_from_u64(client),
        };
        clients.spawn(one.acts(client));
    }
    let since = Instant::now();
    let mut tenant = place.tenant().await;
    for round in 0.. {
        if since.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
        assert!(clients.try_join_next().is_none(), "one stopped");
        let_lapse(&mut tenant, round).await;
        sleep(Duration::from_millis(500)).await;
    }
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
    eprintln!(
        "con-6: {} acknowledged in {:?}, {} put off",
        Progress::count(&progress.acknowledged),
        since.elapsed(),
        Progress::count(&progress.put_off),
    );
    let lapses: i64 = sqlx::query_scalar("select count(*) from journal where kind = 'expire'")
        .fetch_one(&mut tenant)
        .await
        .unwrap();
    assert!(lapses > 0, "points lapsed meanwhile");
    assert_eq!(place.postgres.has_said(FOUND), 0, "circles");
    assert_eq!(Progress::count(&progress.ambiguous), 0);
    place.prove();
    // The negative control: one that is made on purpose is seen.
    wait_in_a_circle(&place).await;
    assert_eq!(place.postgres.has_said(FOUND), 1);
}

/// One who wants many things of many members, in an order of its own.
struct Greedy {
    till: Till,
    people: Arc<Vec<String>>,
    progress: Arc<Progress>,
    stop: Arc<AtomicBool>,
    dice: StdRng,
}

impl Greedy {
    async fn acts(mut self, client: u64) {
        let mut bought = Vec::new();
        for act in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let name = format!("d-{client}-{act}");
            let (path, body) = self.wants(&name, &mut bought);
            let wanted = Wanted {
                path,
                key: name,
                body,
                member: String::new(),
            };
            let answer = insist(&self.till, &wanted, &self.progress).await;
            let refused = answer.status == StatusCode::CONFLICT;
            assert!(
                answer.status.is_success() || refused,
                "{wanted:?}: {answer:?}"
            );
            if wanted.path == "/v1/redemptions" && answer.status.is_success() {
                let path = format!(
                    "/v1/redemptions/{}/cancellation",
                    answer.text("redemption_id")
                );
                let given_up = Wanted {
                    path,
                    key: format!("{}-x", wanted.key),
                    body: Value::Null,
                    member: String::new(),
                };
                insist(&self.till, &given_up, &self.progress).await;
            }
            let data = answer.body["data"].as_array().cloned().unwrap_or_default();
            for item in data {
                assert_ne!(item["status"], 500, "{item}");
                let purchase = item["answer"]["purchase_id"].as_str();
                bought.extend(purchase.map(str::to_owned));
            }
        }
    }

    /// Mostly a list of acts of many members, their purchases' refunds among them.
    fn wants(&mut self, name: &str, bought: &mut Vec<String>) -> (String, Value) {
        let member = self.people[self.dice.random_range(0..PEOPLE)].clone();
        match self.dice.random_range(0..6) {
            0 => (
                "/v1/purchases".to_owned(),
                self.till.purchase(&member, name, 1000),
            ),
            1 => ("/v1/spends".to_owned(), self.till.spend(&member, name, 3)),
            2 => {
                let body = json!({ "good_id": self.till.good, "member_id": member });
                ("/v1/redemptions".to_owned(), body)
            }
            _ => {
                let mut items = Vec::new();
                for (place, member) in self.people.iter().enumerate() {
                    let (buy, pay) = (format!("{name}-b{place}"), format!("{name}-p{place}"));
                    items.push(json!({ "idempotency_key": buy,
                                       "purchase": self.till.purchase(member, &buy, 500) }));
                    items.push(json!({ "idempotency_key": pay,
                                       "spend": self.till.spend(member, &pay, 4) }));
                }
                for purchase in bought.drain(..).take(3) {
                    let reference = format!("{name}-{purchase}");
                    items.push(json!({ "idempotency_key": reference, "refund":
                        { "purchase_id": purchase, "reference": reference, "amount": 100 } }));
                }
                items.shuffle(&mut self.dice);
                ("/v1/batch".to_owned(), json!({ "items": items }))
            }
        }
    }
}

/// Some lots of everybody are due, and the house lets them lapse.
async fn let_lapse(tenant: &mut PgConnection, round: u32) {
    let due = "update lot set expires_at = earned_at
               where lot_id in (select lot_id from lot where remaining > 0 order by random() limit 9
                                for update skip locked)";
    sqlx::query(due).execute(&mut *tenant).await.unwrap();
    sqlx::query(
        "insert into outbox (job_id, name, payload, dedup_key, created_at)
         values ($1, 'points.expire', '{\"day\": \"2026-01-01\"}', $2, now())",
    )
    .bind(Uuid::from_bytes(Entropy::System.bytes()))
    .bind(format!("round-{round}"))
    .execute(tenant)
    .await
    .unwrap();
}

/// Two who want two members in opposite order.
async fn wait_in_a_circle(place: &Place) {
    let (mut one, mut other) = (place.tenant().await, place.tenant().await);
    let lock = |order: &str| {
        let sql = format!("select from wallet order by member_id {order} limit 1 for update");
        sqlx::AssertSqlSafe(sql)
    };
    for (sql, order) in [(&mut one, "asc"), (&mut other, "desc")] {
        sqlx::raw_sql("begin").execute(&mut *sql).await.unwrap();
        sqlx::raw_sql(lock(order)).execute(&mut *sql).await.unwrap();
    }
    let (first, second) = (sqlx::raw_sql(lock("desc")), sqlx::raw_sql(lock("asc")));
    let ended = tokio::join!(async { first.execute(&mut one).await.is_ok() }, async {
        second.execute(&mut other).await.is_ok()
    },);
    assert_ne!(ended.0, ended.1, "one of them is sent away");
}
