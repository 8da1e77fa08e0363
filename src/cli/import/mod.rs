//! `rotunda import purchases`: a year of receipts from a file, through the same use cases as the
//! till.
//!
//! First every row is checked and each bad one named; then the good ones are loaded, a window of
//! events in a transaction (`--strict`: all of them in one, and only where every row is good). The
//! files are read as a stream, so their size does not matter. What was loaded before is known by
//! store and receipt number and not loaded again.

mod load;
mod progress;
mod rows;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::Subcommand;
use serde_json::json;
use tokio::sync::mpsc;

use super::{Exit, Failure, Output};
use crate::{
    app::{App, Mall},
    authz::{action::VerifyBooks, actor::Principal},
    db::{self, tx::Tx},
    members,
    reports::totals::{Totals, totals},
};
use load::{Rights, Tally, WINDOW};
use progress::Progress;
use rows::{BadRow, BytesRead, Happened, Merged, Purchases, Redemptions};
pub(super) use rows::{PURCHASE_COLUMNS, REDEMPTION_COLUMNS};

/// The most bad rows that are named one by one; all are counted.
const MOST_BAD: usize = 1_000;

/// How often a window is tried again where another process was faster.
const TRIES: u32 = 5;

/// What can be imported.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Record purchases, and points spent on them, from CSV or CSV.gz files in time order
    #[command(before_help = "Examples:\n  \
        rotunda import purchases --tenant demo receipts.csv\n  \
        rotunda import purchases --tenant demo receipts.csv.gz --redemptions spent.csv.gz \
        --create-missing\n")]
    Purchases {
        /// The mall's short name
        #[arg(long, value_name = "SLUG")]
        tenant: String,
        /// The receipts: CSV or CSV.gz, a line a purchase and category, in time order (README.md)
        file: PathBuf,
        /// Points spent on them: a line a basket that points paid in part, in time order
        #[arg(long, value_name = "FILE")]
        redemptions: Option<PathBuf>,
        /// Create stores and enrol members that the mall does not have
        #[arg(long)]
        create_missing: bool,
        /// Load everything, or nothing where a row is bad or refused
        #[arg(long)]
        strict: bool,
    },
}

/// Runs an import and says what it came to.
pub(super) async fn run(app: &App, command: Command, output: Output) -> Result<(), Failure> {
    let Command::Purchases {
        tenant,
        file,
        redemptions,
        create_missing,
        strict,
    } = command;
    app.db.prepare().await?;
    let mall = app.mall_of(&tenant).await?;
    let order = Order {
        purchases: file,
        redemptions,
        create_missing,
        strict,
    };
    let report = import(app, &mall, &order, true).await?;
    for bad in &report.bad {
        output.say(&bad.to_string());
    }
    for refusal in &report.tally.refusals {
        output.say(refusal);
    }
    output.data(&report.to_json(), || report.words())?;
    if report.is_clean() {
        return Ok(());
    }
    let (bad, refused) = (report.bad_rows, report.tally.refused);
    let what = if report.loaded {
        "the good ones are loaded"
    } else {
        "nothing is loaded"
    };
    let why = format!("{bad} bad rows, {refused} refused; {what}");
    Err(Failure::new(Exit::Failed, why))
}

/// What is to be imported, and how.
#[derive(Debug, Clone)]
pub struct Order {
    /// The purchases, CSV or CSV.gz.
    pub purchases: PathBuf,
    /// The redemptions, CSV or CSV.gz.
    pub redemptions: Option<PathBuf>,
    /// Create stores and enrol members that the mall does not have.
    pub create_missing: bool,
    /// Load everything or nothing.
    pub strict: bool,
}

/// What an import came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// Bad rows, the first of them named.
    pub bad: Vec<BadRow>,
    /// How many there are.
    pub bad_rows: u64,
    /// Purchases and redemptions in the files that can be loaded.
    pub good: u64,
    /// Whether anything was loaded.
    pub loaded: bool,
    /// What the loading came to.
    pub tally: Tally,
    /// The mall's books afterwards.
    pub totals: Totals,
    /// Members of the mall afterwards.
    pub members: i64,
    /// How long the loading took, check included.
    pub took: Duration,
}

impl Report {
    /// Whether there is nothing to look after.
    pub fn is_clean(&self) -> bool {
        self.bad_rows == 0 && self.tally.refused == 0
    }

    /// For people.
    fn words(&self) -> String {
        let Tally {
            purchases,
            redemptions,
            replayed,
            ..
        } = self.tally;
        let Totals {
            issued,
            redeemed,
            outstanding,
            ..
        } = self.totals;
        let seconds = self.took.as_secs_f64();
        format!(
            "{purchases} purchases and {redemptions} redemptions loaded in {seconds:.1} s \
             ({replayed} were there already)\n\
             {} members; {issued} points issued, {redeemed} redeemed, {outstanding} outstanding",
            self.members
        )
    }

    /// As `--json` prints it.
    pub fn to_json(&self) -> serde_json::Value {
        let seconds = self.took.as_secs_f64();
        json!({
            "loaded": self.loaded,
            "purchases": self.tally.purchases,
            "redemptions": self.tally.redemptions,
            "already_loaded": self.tally.replayed,
            "without_points": self.tally.without_points,
            "refused": self.tally.refused,
            "refusals": self.tally.refusals,
            "bad_rows": self.bad_rows,
            "bad": self.bad.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "members": self.members,
            "points_issued": self.totals.issued,
            "points_redeemed": self.totals.redeemed,
            "points_expired": self.totals.expired,
            "points_outstanding": self.totals.outstanding,
            "seconds": seconds,
            "peak_memory_bytes": peak_memory(),
        })
    }
}

/// Imports purchases and redemptions into a mall.
///
/// # Errors
/// A file that cannot be read, a header that is not one, a database that cannot be reached. Bad
/// rows and refusals are no error: the report names them.
pub async fn import(app: &App, mall: &Mall, order: &Order, show: bool) -> anyhow::Result<Report> {
    let started = std::time::Instant::now();
    let (good, bad_rows, bad) = check(mall, order, show).await?;
    let mut tally = Tally::default();
    let loads = good > 0 && !(order.strict && bad_rows > 0);
    if loads {
        tally = load(app, mall, order, good, show).await?;
    }
    let principal = Principal::platform(Some(mall.tenant.id));
    let grant = app.policy.allow::<VerifyBooks>(&principal)?;
    let mut tx = app.db.read(&grant).await?;
    let totals = totals(&mut tx, &grant).await?;
    let members = members::count(&mut tx).await?;
    let loaded = loads && !(order.strict && tally.refused > 0);
    Ok(Report {
        bad,
        bad_rows,
        good,
        loaded,
        tally,
        totals,
        members,
        took: started.elapsed(),
    })
}

/// Reads both files to the end: how many events are good, how many rows bad, and the first of them.
async fn check(mall: &Mall, order: &Order, show: bool) -> anyhow::Result<(u64, u64, Vec<BadRow>)> {
    let bytes = BytesRead::default();
    let events = open(mall, order, &bytes)?;
    let mut progress = Progress::new("Checking", size(order)?, bytes, show);
    let work = tokio::task::spawn_blocking(move || {
        let (mut good, mut count, mut bad) = (0_u64, 0_u64, Vec::new());
        for event in events {
            match event {
                Ok(_) => good = good.saturating_add(1),
                Err(rows) => {
                    count = count.saturating_add(u64::try_from(rows.len()).unwrap_or(u64::MAX));
                    let room = MOST_BAD.saturating_sub(bad.len());
                    bad.extend(rows.into_iter().take(room));
                }
            }
            progress.advance(1);
        }
        progress.finish();
        (good, count, bad)
    });
    work.await.context("the check was interrupted")
}

/// Loads the good events of both files; windows are read ahead while one is being posted.
async fn load(
    app: &App,
    mall: &Mall,
    order: &Order,
    good: u64,
    show: bool,
) -> anyhow::Result<Tally> {
    let rights = rights(app, mall, order)?;
    let bytes = BytesRead::default();
    let mut events = open(mall, order, &bytes)?;
    let mut progress = Progress::new("Loading", size(order)?, bytes, show);
    progress.expect(good);
    let (send, mut windows) = mpsc::channel::<Vec<Happened>>(2);
    let reader = tokio::task::spawn_blocking(move || {
        loop {
            let window: Vec<Happened> = events
                .by_ref()
                .filter_map(Result::ok)
                .take(WINDOW)
                .collect();
            if window.is_empty() || send.blocking_send(window).is_err() {
                return;
            }
        }
    });
    let mut tally = Tally::default();
    let mut whole = if order.strict {
        Some(app.db.write(&rights.record).await?)
    } else {
        None
    };
    while let Some(window) = windows.recv().await {
        let done = match &mut whole {
            Some(tx) => load::load(tx, mall, &rights, &window).await?,
            None => one_window(app, mall, &rights, &window).await?,
        };
        tally.add(done);
        progress.advance(u64::try_from(window.len()).unwrap_or(0));
    }
    reader.await.context("the reading was interrupted")?;
    if let Some(tx) = whole.filter(|_| tally.refused == 0) {
        Tx::commit(tx).await?;
    }
    progress.finish();
    Ok(tally)
}

/// One window in its own transaction, again where another process was faster.
async fn one_window(
    app: &App,
    mall: &Mall,
    rights: &Rights,
    window: &[Happened],
) -> anyhow::Result<Tally> {
    let mut tried = 0_u32;
    loop {
        tried = tried.saturating_add(1);
        let work = async {
            let mut tx = app.db.write(&rights.record).await?;
            let tally = load::load(&mut tx, mall, rights, window).await?;
            tx.commit().await?;
            Ok(tally)
        };
        match work.await {
            Ok(tally) => return Ok(tally),
            Err(db::Error::Retry(_)) if tried < TRIES => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn open(mall: &Mall, order: &Order, bytes: &BytesRead) -> anyhow::Result<Merged> {
    let currency = mall.tenant.currency;
    let purchases = Purchases::open(&order.purchases, currency, bytes)?;
    let redemptions = match &order.redemptions {
        Some(path) => Some(Redemptions::open(path, currency, bytes)?),
        None => None,
    };
    Ok(Merged::new(purchases, redemptions))
}

/// The bytes of both files.
fn size(order: &Order) -> anyhow::Result<u64> {
    let one = |path: &Path| std::fs::metadata(path).map(|found| found.len());
    let first = one(&order.purchases)?;
    let second = order
        .redemptions
        .as_deref()
        .map(one)
        .transpose()?
        .unwrap_or(0);
    Ok(first.saturating_add(second))
}

fn rights(app: &App, mall: &Mall, order: &Order) -> anyhow::Result<Rights> {
    let principal = Principal::platform(Some(mall.tenant.id));
    let policy = &app.policy;
    Ok(Rights {
        began: app.clock.now(),
        record: policy.allow(&principal)?,
        spend: policy.allow(&principal)?,
        enrol: order
            .create_missing
            .then(|| policy.allow(&principal))
            .transpose()?,
        create: order
            .create_missing
            .then(|| policy.allow(&principal))
            .transpose()?,
    })
}

/// The most memory that this process ever used, in bytes, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    kib.checked_mul(1024)
}
