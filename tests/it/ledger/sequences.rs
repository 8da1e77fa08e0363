//! LED-1, LED-2, LED-3: any sequence of events leaves every point somewhere, once.

use std::collections::BTreeMap;

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, FileFailurePersistence, TestRunner},
};
use rotunda::{
    authz::action::RecordPurchase,
    kernel::{
        ids::{AccountId, Entropy, Id, LotId, MemberId},
        time::{Instant, Period, Zone},
    },
    ledger::{
        self,
        books::{Books, Wallet, Wanted},
    },
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    model::{LotFigures, World},
    steps::{Step, any_step},
};
use crate::support::books::{Mall, NOON, instant};

/// Events in a sequence.
const LENGTH: usize = 50;

/// Sequences of the model alone.
const PURE: u32 = 2_000;

/// Sequences that are posted to PostgreSQL at the same time, in the same transactions.
const ABREAST: u64 = 250;

/// How many times as many are posted.
const ROUNDS: u64 = 8;

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/it/proptest-regressions/ledger.txt",
        ))),
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config(PURE))]

    #[test]
    fn led_1_2_3_any_sequence_of_events_leaves_every_point_somewhere_once(
        steps in prop::collection::vec(any_step(), LENGTH),
    ) {
        let mut world = World::new(1);
        let zone: Zone = "Asia/Shanghai".parse().unwrap();
        let open_from: Period = "0001-01".parse().unwrap();
        let mut books = Books::new(zone, open_from, instant(NOON), Entropy::seeded(1));
        world.empty_wallets(&mut books);
        for step in &steps {
            world.step(&mut books, step);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn led_1_2_3_what_postgresql_stores_is_what_happened() {
    let mall = Mall::open().await;
    let rounds = (0..ROUNDS).map(|round| post_and_compare(&mall, round));
    // Two at a time, so that transactions meet.
    let (even, odd): (Vec<_>, Vec<_>) = rounds.enumerate().partition(|(at, _)| at % 2 == 0);
    let run = |list: Vec<(usize, _)>| async move {
        for (_, round) in list {
            round.await;
        }
    };
    tokio::join!(run(even), run(odd));
}

/// Posts [`ABREAST`] sequences side by side, one to four events of each in a transaction, and
/// compares every sum in SQL after each commit.
async fn post_and_compare(mall: &Mall, round: u64) {
    let entropy = Entropy::System;
    let mut runner = TestRunner::new_with_rng(
        config(1),
        proptest::test_runner::TestRng::from_seed(
            proptest::test_runner::RngAlgorithm::ChaCha,
            &seed(round),
        ),
    );
    let mut worlds = Vec::new();
    for _ in 0..ABREAST {
        let steps = prop::collection::vec(any_step(), LENGTH)
            .new_tree(&mut runner)
            .unwrap();
        worlds.push((
            World::new(u64::from_be_bytes(entropy.bytes())),
            steps.current(),
        ));
    }
    let members: Vec<MemberId> = worlds
        .iter()
        .flat_map(|(world, _)| world.members.clone())
        .collect();
    let till = mall.till::<RecordPurchase>();
    let mut tx = mall.db().write(&till).await.unwrap();
    ledger::open_wallets(&mut tx, &members).await.unwrap();
    tx.commit().await.unwrap();
    let mut sql = mall.owner().await;
    let mut done = 0;
    while done < LENGTH {
        let next = LENGTH.min(done + 1 + entropy.below(4) as usize);
        let mut wanted = Wanted::default();
        for (world, steps) in &worlds {
            let more = world.wanted(&steps[done..next]);
            wanted.members.extend(more.members);
            wanted.spenders.extend(more.spenders);
            wanted.lots.extend(more.lots);
            wanted.due_by = wanted.due_by.max(more.due_by);
        }
        let mut tx = mall.db().write(&till).await.unwrap();
        let mut books = ledger::open_books(&mut tx, mall.tenant.zone, &wanted)
            .await
            .unwrap();
        for (world, steps) in &mut worlds {
            let steps: Vec<Step> = steps[done..next].to_vec();
            for step in &steps {
                world.step(&mut books, step);
            }
        }
        books.post(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        compare(&mut sql, &worlds, &members).await;
        done = next;
    }
    compare_views(mall, &worlds).await;
}

fn seed(round: u64) -> [u8; 32] {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&round.to_be_bytes());
    seed
}

type Worlds = [(World, Vec<Step>)];

type LotRow = (LotId, i64, i64, i64, i64, i64, Option<Instant>);

async fn stored_wallets(sql: &mut PgConnection, members: &[Uuid]) -> BTreeMap<MemberId, Wallet> {
    let rows: Vec<(MemberId, i64, i64, i64, i64)> = sqlx::query_as(
        "select member_id, available, held, debt, seq from wallet where member_id = any ($1)",
    )
    .bind(members)
    .fetch_all(sql)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(member, available, held, debt, seq)| {
            (
                member,
                Wallet {
                    available,
                    held,
                    debt,
                    seq,
                },
            )
        })
        .collect()
}

async fn stored_lots(sql: &mut PgConnection, members: &[Uuid]) -> BTreeMap<LotId, LotFigures> {
    let rows: Vec<LotRow> = sqlx::query_as(
        "select lot_id, remaining, expired, clawed, owed, worth_left, expires_at
         from lot where member_id = any ($1)",
    )
    .bind(members)
    .fetch_all(sql)
    .await
    .unwrap();
    rows.into_iter()
        .map(
            |(id, remaining, expired, clawed, owed, worth_left, expires_at)| {
                (
                    id,
                    LotFigures {
                        remaining,
                        expired,
                        clawed,
                        owed,
                        worth_left,
                        expires_at,
                    },
                )
            },
        )
        .collect()
}

/// Every account's sum over the transfers of these members' events; empty ones left out.
async fn summed_accounts(sql: &mut PgConnection, members: &[Uuid]) -> BTreeMap<AccountId, i64> {
    let rows: Vec<(AccountId, i64)> = sqlx::query_as(
        "with moved as (
             select from_account, to_account, amount
             from transfer join journal using (journal_id)
             where member_id = any ($1))
         select account_id, sum(amount)::bigint
         from (select from_account, -amount from moved
               union all select to_account, amount from moved) as side (account_id, amount)
         group by account_id having sum(amount) <> 0",
    )
    .bind(members)
    .fetch_all(sql)
    .await
    .unwrap();
    rows.into_iter().collect()
}

/// The sum of a member's history, the balance after its last line, and what is owed.
async fn summed_history(
    sql: &mut PgConnection,
    members: &[Uuid],
) -> BTreeMap<MemberId, (i64, i64, i64)> {
    let rows: Vec<(MemberId, i64, i64, i64)> = sqlx::query_as(
        "select member_id, sum(points)::bigint, (array_agg(balance_after order by seq desc))[1],
                (select coalesce(sum(remaining), 0)::bigint from deficit
                 where deficit.member_id = journal.member_id)
         from journal where member_id = any ($1) group by member_id",
    )
    .bind(members)
    .fetch_all(sql)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(member, sum, last, owed)| (member, (sum, last, owed)))
        .collect()
}

/// LED-2: the balance row, the sum of the transfers and the sum of the lots are the same.
async fn compare(sql: &mut PgConnection, worlds: &Worlds, members: &[MemberId]) {
    let ids: Vec<Uuid> = members.iter().map(Id::uuid).collect();
    let wallets = stored_wallets(sql, &ids).await;
    let lots = stored_lots(sql, &ids).await;
    let history = summed_history(sql, &ids).await;
    let mut sums = summed_accounts(sql, &ids).await;
    assert_eq!(sums.values().sum::<i64>(), 0, "LED-1");
    for (world, _) in worlds {
        for member in &world.members {
            let counted = world.wallet(*member);
            assert_eq!(wallets[member], counted);
            let balance = counted.available - counted.debt;
            let found = history.get(member).copied().unwrap_or_default();
            assert_eq!(found, (balance, balance, counted.debt));
        }
        for (id, figures) in world.lots() {
            assert_eq!(lots[&id], figures);
        }
        for (account, balance) in world.balances() {
            assert_eq!(
                sums.remove(&account.id("points")),
                Some(balance),
                "{account:?}"
            );
        }
    }
    assert_eq!(sums, BTreeMap::new(), "no other account has a balance");
}

/// What the ledger shows is what happened too: draws with their returns, and balances.
async fn compare_views(mall: &Mall, worlds: &Worlds) {
    let mut tx = mall
        .db()
        .read(&mall.till::<RecordPurchase>())
        .await
        .unwrap();
    for (world, _) in worlds {
        let expected = world.drawn();
        let causes: Vec<_> = expected.keys().copied().collect();
        let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (cause, drawn) in ledger::drawn(&mut tx, &causes).await.unwrap() {
            found.entry(cause).or_default().push((
                drawn.draw,
                drawn.returned,
                drawn.value_returned,
            ));
        }
        let expected: BTreeMap<_, Vec<_>> = expected
            .into_iter()
            .map(|(cause, list)| {
                let list = list.into_iter();
                (
                    cause,
                    list.map(|one| (one.draw, one.returned, one.value_returned))
                        .collect(),
                )
            })
            .collect();
        assert_eq!(found, expected);
        for member in &world.members {
            let balance = ledger::balance(&mut tx, *member, None)
                .await
                .unwrap()
                .unwrap();
            let now = tx.now();
            let counted = world.wallet(*member);
            let (seen, only) = world.seen(*member, now);
            let earmarked = balance
                .earmarked
                .iter()
                .map(|one| (one.merchant, one.points));
            assert_eq!(
                (balance.available, earmarked.collect()),
                (seen, only.clone())
            );
            for shop in world.shops() {
                let there = ledger::balance(&mut tx, *member, Some(shop))
                    .await
                    .unwrap()
                    .unwrap();
                let elsewhere: i64 = only
                    .iter()
                    .filter(|(at, _)| **at != shop)
                    .map(|(_, n)| n)
                    .sum();
                assert_eq!(there.available, seen - elsewhere);
                assert_eq!(
                    there.lots.iter().map(|lot| lot.remaining).sum::<i64>(),
                    there.available
                );
            }
            assert_eq!((balance.held, balance.owed), (counted.held, counted.debt));
            assert_eq!(
                balance.lots.iter().map(|lot| lot.remaining).sum::<i64>(),
                balance.available
            );
        }
    }
}
