//! How fast the till is, as ratios to references in the same run on the same PostgreSQL.
//!
//!     cargo bench --bench till [-- row ...]     all rows, or those whose name contains one of the words
//!
//! `ROTUNDA_BENCH_SECONDS` is how long each measurement lasts (10), `ROTUNDA_BENCH_ROUNDS` how often
//! the rows take turns (3). A private cluster with `fsync` and `synchronous_commit` on is made for the
//! run and goes away after it; the server is the release binary, a process of its own; clients are
//! tasks of this process on keep-alive connections. Clients, server and PostgreSQL share the
//! machine. After the last round the books are proved.
//!
//! A measurement during which other processes took more than 15 % of the machine is void and taken
//! again, three times at most.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    reason = "a measurement that meets the unexpected ends, and its figures are fractions"
)]

mod load;
mod machine;
mod mall;
mod reference;

use std::{fmt::Write, sync::Arc, time::Duration};

use load::{Load, Measured};
use machine::Machine;
use mall::{MEMBERS, Mall};
use reference::Reference;

/// What is measured against what.
struct Row {
    name: &'static str,
    /// What a client asks for; none for a reference.
    load: Option<fn(&Mall, &mut load::Dice) -> load::Request>,
    clients: usize,
    /// The reference's name, and the ratio to reach.
    against: Option<(&'static str, f64)>,
}

const ROWS: &[Row] = &[
    Row {
        name: "tpcb, 1 client",
        load: None,
        clients: 1,
        against: None,
    },
    Row {
        name: "tpcb, 8 clients",
        load: None,
        clients: 8,
        against: None,
    },
    Row {
        name: "tpcb, 32 clients",
        load: None,
        clients: 32,
        against: None,
    },
    Row {
        name: "purchases, 128 connections",
        load: Some(|mall, dice| mall.purchase(dice.below(mall.stores.len()), dice)),
        clients: 128,
        against: Some(("tpcb, best of 8 and 32", 4.0)),
    },
    Row {
        name: "purchases, 1 connection",
        load: Some(|mall, dice| mall.purchase(dice.below(mall.stores.len()), dice)),
        clients: 1,
        against: Some(("tpcb, 1 client", 0.7)),
    },
    Row {
        name: "purchases at one merchant",
        load: Some(|mall, dice| mall.purchase(0, dice)),
        clients: 128,
        against: Some(("purchases, 128 connections", 0.95)),
    },
    Row {
        name: "spends over 10,000 members",
        load: Some(|mall, dice| mall.spend(dice.below(MEMBERS), dice)),
        clients: 128,
        against: Some(("tpcb, best of 8 and 32", 3.0)),
    },
    Row {
        name: "spends on one member",
        load: Some(|mall, dice| mall.spend(0, dice)),
        clients: 128,
        against: Some(("tpcb, best of 8 and 32", 1.0)),
    },
    Row {
        name: "balances, 128 connections",
        load: Some(|mall, dice| mall.balance(dice.below(MEMBERS))),
        clients: 128,
        against: None,
    },
    Row {
        name: "mixed 70/10/20",
        load: Some(|mall, dice| match dice.below(10) {
            0..7 => mall.purchase(dice.below(mall.stores.len()), dice),
            7 => mall.spend(dice.below(MEMBERS), dice),
            _ => mall.balance(dice.below(MEMBERS)),
        }),
        clients: 128,
        against: Some(("tpcb, best of 8 and 32", 3.0)),
    },
];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let wanted = |row: &&Row| {
        row.load.is_none() || words.is_empty() || words.iter().any(|word| row.name.contains(word))
    };
    let rows: Vec<&Row> = ROWS.iter().filter(wanted).collect();
    let span = Duration::from_secs(setting("ROTUNDA_BENCH_SECONDS", 10));
    let rounds = setting("ROTUNDA_BENCH_ROUNDS", 3);
    let mall = Arc::new(Mall::open().await);
    let reference = Reference::prepare(mall.cluster());
    let mut machine = Machine::new(&mall).await;
    let mut all: Vec<Vec<Measured>> = rows.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        for (row, measured) in rows.iter().zip(&mut all) {
            for tried in 1..=3 {
                machine.begin().await;
                let mut taken = match row.load {
                    None => reference.run(row.clients, span),
                    Some(load) => Load::run(&mall, load, row.clients, span).await,
                };
                machine.end(&mut taken).await;
                println!("round {round}  {:<28} {taken}", row.name);
                if taken.others <= 0.15 || tried == 3 {
                    measured.push(taken);
                    break;
                }
            }
        }
    }
    println!("\n{}", table(&rows, &all));
    println!("server's peak memory: {} MB", machine.peak_memory());
    mall.close().await;
}

/// Medians and ratios, a line a row.
fn table(rows: &[&Row], all: &[Vec<Measured>]) -> String {
    let median = |name: &str| {
        let place = rows.iter().position(|row| row.name == name)?;
        Measured::median(&all[place], |one| one.rate)
    };
    let mut text = String::from(
        "row                            ok/s   p50 ms   p99 ms  max ms  err  us srv  us pg  WAL/op  ratio (goal)\n",
    );
    for (row, measured) in rows.iter().zip(all) {
        let figure = |of: fn(&Measured) -> f64| Measured::median(measured, of).unwrap_or(f64::NAN);
        let reference = row.against.and_then(|(name, goal)| {
            let rate = if name == "tpcb, best of 8 and 32" {
                let (few, many) = (median("tpcb, 8 clients")?, median("tpcb, 32 clients")?);
                few.max(many)
            } else {
                median(name)?
            };
            Some(format!(
                "{:.2} ({goal} x {name})",
                figure(|one| one.rate) / rate
            ))
        });
        writeln!(
            text,
            "{:<28} {:>7.0} {:>8.2} {:>8.2} {:>7.0} {:>4} {:>7.0} {:>6.0} {:>7.0}  {}",
            row.name,
            figure(|one| one.rate),
            figure(|one| one.p50),
            figure(|one| one.p99),
            figure(|one| one.longest),
            measured.iter().map(|one| one.errors).sum::<u64>(),
            figure(|one| one.server_us),
            figure(|one| one.postgres_us),
            figure(|one| one.wal),
            reference.unwrap_or_default(),
        )
        .unwrap();
    }
    text
}
