//! LED-10: the same events, posted into an empty schema in other transactions, come to the same books.

use std::collections::BTreeMap;

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use rotunda::{
    authz::action::RecordPurchase,
    kernel::ids::MemberId,
    ledger::{self, books::Wanted},
};
use sqlx::{AssertSqlSafe, PgConnection};

use super::{
    model::World,
    steps::{Step, any_step},
};
use crate::support::books::Mall;

/// Worlds whose events are posted side by side.
const ABREAST: usize = 250;

/// Events of a world.
const LENGTH: usize = 40;

/// How many events are posted and posted again; trust.md's figure is a million.
fn events() -> usize {
    let said = std::env::var("ROTUNDA_LED10_EVENTS").ok();
    said.map_or(10_000, |text| text.parse().expect("a number of events"))
}

/// The events of a batch of worlds: the same at every call.
fn batch(number: usize) -> Vec<(u64, Vec<Step>)> {
    let mut seed = [10; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let steps = prop::collection::vec(any_step(), LENGTH);
    (0..ABREAST)
        .map(|world| {
            let seed = u64::try_from(number * ABREAST + world).unwrap();
            (seed, steps.new_tree(&mut runner).unwrap().current())
        })
        .collect()
}

/// Posts them, so many events of each world in a transaction.
async fn post(mall: &Mall, worlds: Vec<(u64, Vec<Step>)>, at_once: usize) {
    let mut worlds: Vec<(World, Vec<Step>)> = worlds
        .into_iter()
        .map(|(seed, steps)| (World::new(seed), steps))
        .collect();
    let till = mall.till::<RecordPurchase>();
    let members: Vec<MemberId> = worlds
        .iter()
        .flat_map(|(world, _)| world.members.clone())
        .collect();
    let mut tx = mall.db().write(&till).await.unwrap();
    ledger::open_wallets(&mut tx, &members).await.unwrap();
    tx.commit().await.unwrap();
    let mut done = 0;
    while done < LENGTH {
        let next = LENGTH.min(done + at_once);
        let mut wanted = Wanted::default();
        for (world, steps) in &worlds {
            let more = world.wanted(&steps[done..next]);
            wanted.members.extend(more.members);
            wanted.spenders.extend(more.spenders);
            wanted.lots.extend(more.lots);
            wanted.due_by = wanted.due_by.max(more.due_by);
        }
        let mut tx = mall.db().write(&till).await.unwrap();
        let books = ledger::open_books(&mut tx, mall.tenant.zone, &wanted).await;
        let mut books = books.unwrap();
        for (world, steps) in &mut worlds {
            for step in &steps[done..next] {
                world.step(&mut books, step);
            }
        }
        books.post(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        done = next;
    }
}

/// Everything that the ledger holds, a text a table. What an event, a lot or a debt is called is
/// random; an event is told by its member's history line, a lot by the event that granted it.
async fn exported(sql: &mut PgConnection) -> BTreeMap<&'static str, String> {
    let mut all = BTreeMap::new();
    for (table, rows) in [
        (
            "journal",
            "select journal.member_id, journal.seq, journal.kind, journal.points,
                    journal.balance_after, journal.merchant_id, journal.store_id,
                    journal.source_id, before.member_id as of, before.seq as reverses,
                    journal.posted_in, journal.late, journal.occurred_at, journal.posted_at,
                    journal.actor
             from journal left join journal as before on before.journal_id = journal.reverses",
        ),
        (
            "transfer",
            "select journal.member_id, journal.seq, transfer.line, transfer.from_account,
                    transfer.to_account, transfer.amount, transfer.value, granted.member_id as of,
                    granted.seq as lot, transfer.earned_at, transfer.posted_in
             from transfer
             join journal on journal.journal_id = transfer.journal_id
             join lot on lot.lot_id = transfer.lot_id
             join journal as granted on granted.journal_id = lot.journal_id",
        ),
        (
            "lot",
            "select journal.member_id, journal.seq, lot.merchant_id, lot.store_id, lot.points,
                    lot.remaining, lot.expired, lot.clawed, lot.owed, lot.worth, lot.worth_left,
                    lot.earned_at, lot.expires_at
             from lot join journal on journal.journal_id = lot.journal_id",
        ),
        ("wallet", "select * from wallet"),
        ("account", "select * from account"),
        (
            "deficit",
            "select member_id, merchant_id, points, remaining, created_at from deficit",
        ),
    ] {
        let text = format!(
            "select coalesce(string_agg(row_text, E'\\n' order by row_text collate \"C\"), '')
             from (select one::text as row_text from ({rows}) as one) as texts"
        );
        let text: String = sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_one(&mut *sql)
            .await
            .unwrap();
        all.insert(table, text);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn led_10_the_same_events_in_an_empty_schema_come_to_the_same_books_to_the_byte() {
    let (first, again) = (Mall::open().await, Mall::open().await);
    let batches = events().div_ceil(ABREAST * LENGTH);
    for number in 0..batches {
        let mut other_way = batch(number);
        other_way.reverse();
        tokio::join!(
            post(&first, batch(number), 1 + number % 3),
            post(&again, other_way, 7),
        );
    }
    let (mut one, mut other) = (first.owner().await, again.owner().await);
    let (one, other) = (exported(&mut one).await, exported(&mut other).await);
    for (table, text) in &one {
        println!("{table}: {} rows", text.lines().count());
        assert!(!text.is_empty(), "{table} has something to compare");
        assert!(text == &other[table], "{table}");
    }
}
