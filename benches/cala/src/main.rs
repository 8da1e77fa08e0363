//! How fast cala-ledger posts transactions of two entries.
//!
//!     DATABASE_URL=... cala-posts TASKS BATCH SECONDS
//!
//! Each task posts one transaction after another, or one batch after another, between any two of
//! 2,000 accounts; so the accounts are never what it waits for. The first run makes the tables and
//! the accounts. Prints one line of JSON. A reference of `cargo bench --bench till`.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cala_ledger::{
    AccountId, CalaLedger, CalaLedgerConfig, JournalId, TransactionId,
    account::NewAccount,
    job::{JobSvcConfig, Jobs},
    journal::NewJournal,
    posting::PostingInput,
    tx_template::{
        NewParamDefinition, NewTxTemplate, NewTxTemplateEntry, NewTxTemplateTransaction,
        ParamDataType, Params,
    },
};
use rust_decimal::Decimal;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const ACCOUNTS: u128 = 2_000;
const JOURNAL: Uuid = Uuid::from_u128(1 << 64);
const TEMPLATE: &str = "two entries";

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tasks, batch, seconds] = arguments.as_slice() else {
        return Err("cala-posts TASKS BATCH SECONDS".into());
    };
    let (tasks, batch): (u32, usize) = (tasks.parse()?, batch.parse()?);
    let span = Duration::from_secs(seconds.parse()?);
    let pool = PgPoolOptions::new()
        .max_connections(tasks + 2)
        .connect(&std::env::var("DATABASE_URL")?)
        .await?;
    let mut jobs = Jobs::init(JobSvcConfig::builder().pool(pool.clone()).build()?).await?;
    let config = CalaLedgerConfig::builder()
        .pool(pool)
        .exec_migrations(true)
        .build()?;
    let ledger = Arc::new(CalaLedger::init(config, &mut jobs).await?);
    if ledger
        .journals()
        .find(JournalId::from(JOURNAL))
        .await
        .is_err()
    {
        prepare(&ledger).await?;
    }
    let dice = Arc::new(AtomicU64::new(u64::from(std::process::id())));
    let begin = Instant::now();
    let running: Vec<_> = (0..tasks)
        .map(|_| {
            tokio::spawn(post(
                Arc::clone(&ledger),
                Arc::clone(&dice),
                batch,
                begin,
                span,
            ))
        })
        .collect();
    let (mut latencies, mut errors) = (Vec::new(), 0_u64);
    for task in running {
        let (own, failed) = task.await?;
        latencies.extend(own);
        errors += failed;
    }
    let took = begin.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |share: usize| {
        let place = (latencies.len() * share / 1_000).min(latencies.len().saturating_sub(1));
        latencies.get(place).map_or(0.0, Duration::as_secs_f64) * 1_000.0
    };
    let answered = latencies.len() * batch;
    println!(
        "{}",
        serde_json::json!({
            "tasks": tasks, "batch": batch, "answered": answered, "errors": errors,
            "rate": answered as f64 / took,
            "p50_ms": at(500), "p99_ms": at(990), "longest_ms": at(1_000),
        })
    );
    Ok(())
}

/// Posts until the time is over: how long each took, and how many failed.
async fn post(
    ledger: Arc<CalaLedger>,
    dice: Arc<AtomicU64>,
    batch: usize,
    begin: Instant,
    span: Duration,
) -> (Vec<Duration>, u64) {
    let (mut latencies, mut errors) = (Vec::new(), 0);
    while begin.elapsed() < span {
        let asked = Instant::now();
        let posted = if batch == 1 {
            let id = TransactionId::new();
            let done = ledger.post_transaction(id, TEMPLATE, between(&dice)).await;
            done.is_ok()
        } else {
            let inputs = (0..batch)
                .map(|_| PostingInput::new(TransactionId::new(), TEMPLATE, between(&dice)))
                .collect();
            ledger.post_transactions(inputs).await.is_ok()
        };
        if posted {
            latencies.push(asked.elapsed());
        } else {
            errors += 1;
        }
    }
    (latencies, errors)
}

/// Some amount from one account to another.
fn between(dice: &AtomicU64) -> Params {
    let mixed = |salt: u64| {
        let next = dice.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) ^ salt;
        u128::from((next ^ (next >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20)
    };
    let sender = mixed(1) % ACCOUNTS;
    let recipient = (sender + 1 + mixed(2) % (ACCOUNTS - 1)) % ACCOUNTS;
    let mut params = Params::new();
    params.insert("sender", account(sender));
    params.insert("recipient", account(recipient));
    params.insert("amount", Decimal::from(1 + (mixed(3) % 200) as u64));
    params
}

fn account(number: u128) -> AccountId {
    AccountId::from(Uuid::from_u128(number + 1))
}

/// The journal, the accounts, and the template that every transaction is made by.
async fn prepare(ledger: &CalaLedger) -> Outcome<()> {
    for number in 0..ACCOUNTS {
        let new = NewAccount::builder()
            .id(account(number))
            .name(format!("account {number}"))
            .code(format!("account-{number}"))
            .build();
        ledger.accounts().create(new).await?;
    }
    let param = |name: &str, kind: ParamDataType| {
        NewParamDefinition::builder()
            .name(name)
            .r#type(kind)
            .build()
    };
    let entry = |kind: &str, account: &str, direction: &str| {
        NewTxTemplateEntry::builder()
            .entry_type(kind)
            .account_id(account)
            .layer("SETTLED")
            .direction(direction)
            .units("params.amount")
            .currency("'USD'")
            .build()
    };
    let new = NewTxTemplate::builder()
        .id(Uuid::now_v7())
        .code(TEMPLATE)
        .params(vec![
            param("sender", ParamDataType::Uuid)?,
            param("recipient", ParamDataType::Uuid)?,
            param("amount", ParamDataType::Decimal)?,
        ])
        .transaction(
            NewTxTemplateTransaction::builder()
                .effective("date()")
                .journal_id(format!("uuid('{JOURNAL}')"))
                .build()?,
        )
        .entries(vec![
            entry("'MOVE_DR'", "params.sender", "DEBIT")?,
            entry("'MOVE_CR'", "params.recipient", "CREDIT")?,
        ])
        .build();
    ledger.tx_templates().create(new).await?;
    let journal = NewJournal::builder()
        .id(JournalId::from(JOURNAL))
        .name("bench")
        .build();
    ledger.journals().create(journal).await?;
    Ok(())
}
