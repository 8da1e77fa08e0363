//! `rotunda demo`: an invented mall with three months of history, open for a look.
//!
//! The mall is `tenants/demo`, which is part of this program. Its history is made from a fixed seed
//! and the date of the first start: the same people buy the same things. What happens goes through
//! the use cases that tills and apps call, each transaction dated when it happened, and periods are
//! closed as they end: by the house, and issued by the mall's finance.

mod calendar;
mod dice;
mod export;
mod fill;
mod keys;
mod people;
mod periods;
mod plan;
mod shops;
mod trades;
mod welcome;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant as Stopwatch,
};

use anyhow::Context;
use chrono::{NaiveDate, TimeDelta};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Exit, Failure, Output, Stop, serve, tenant};
use crate::{
    app::{App, Mall},
    authz::{action::VerifyBooks, actor::Principal},
    kernel::time::{Clock, Instant, Period, Zone},
    members,
    tenancy::Manifest,
};
use fill::{Filled, Filling};
use keys::{Keys, Rights};
use plan::Plan;

/// The text above the options.
pub(super) const EXAMPLES: &str = "Examples:\n  rotunda demo\n  \
    rotunda --data-dir /tmp/mall demo --listen 127.0.0.1:9000\n";

/// The mall's manifest: its three files in one.
const MANIFEST: &str = concat!(
    include_str!("../../../tenants/demo/tenant.toml"),
    "\n",
    include_str!("../../../tenants/demo/merchants.toml"),
    "\n",
    include_str!("../../../tenants/demo/rewards.toml"),
);

/// What the people of the mall do is drawn with this seed.
const SEED: u64 = 20_170_601;

/// The file in the data folder that says how far the history is.
const NOTE: &str = "demo.json";

/// Seconds into a past day at which the history ends: half past nine in the evening.
const EVENING: i64 = 77_400;

/// How to open the demo mall.
#[derive(Debug, Args)]
pub struct DemoArgs {
    #[arg(
        help = "Where to listen [env: ROTUNDA_LISTEN] [default: 127.0.0.1:8080]",
        long,
        value_name = "ADDRESS"
    )]
    pub(super) listen: Option<SocketAddr>,
    /// Fill the mall and end
    #[arg(long)]
    fill_only: bool,
    /// Let the history end on this day, not today
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(super) date: Option<NaiveDate>,
    /// Write the history as an import's two files into a folder, and do nothing else
    #[arg(long, value_name = "DIR")]
    pub(super) export: Option<PathBuf>,
}

/// How far the history is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// Whose it is.
    tenant: String,
    /// How it is drawn.
    seed: u64,
    /// When it ends.
    until: Instant,
    /// Whether all of it is in the books.
    done: bool,
}

impl Note {
    fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        match fs::read_to_string(path) {
            Ok(text) => {
                let note = serde_json::from_str(&text);
                note.map(Some).with_context(|| path.display().to_string())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        keys::replace(path, &format!("{}\n", serde_json::to_string(self)?))
    }
}

/// Makes the mall where it is new, fills it where it is empty, and answers requests until the first
/// signal.
pub(super) async fn run(
    app: &App,
    args: &DemoArgs,
    output: Output,
    stop: &Stop,
) -> Result<(), Failure> {
    let socket = if args.fill_only {
        None
    } else {
        Some(serve::bind(app)?)
    };
    let (mall, keys) = tokio::select! {
        ready = prepare(app, args, output) => ready?,
        () = stop.asked(1) => return Err(Stop::failure()),
    };
    let Some((listener, address)) = socket else {
        return Ok(());
    };
    welcome::welcome(app, &mall, &keys, address, output).await?;
    Box::pin(serve::answer(app, listener, stop)).await;
    Ok(())
}

/// Everything before the door opens.
async fn prepare(app: &App, args: &DemoArgs, output: Output) -> Result<(Mall, Keys), Failure> {
    serve::durable(app, true).await?;
    app.db.migrate_all().await?;
    let manifest = manifest()?;
    tenant::apply_manifest(app, &manifest).await?;
    let mall = app.mall_of(manifest.registration.slug.as_str()).await?;
    let keys = Keys::ready(app, &mall.tenant).await?;
    let path = app.config.data_dir.join(NOTE);
    if let Some(mut note) = history(app, &mall, args, &path, output).await? {
        let begun = Stopwatch::now();
        let filled = Box::pin(fill(app, &manifest, &mall, &keys, &note, output)).await?;
        note.done = true;
        note.write(&path)?;
        output.say(&words(&filled, begun.elapsed().as_secs_f64()));
    }
    if args.date.is_none() {
        close_periods(app, &mall, &keys, &path).await?;
    }
    Ok((mall, keys))
}

fn manifest() -> anyhow::Result<Manifest> {
    Ok(Manifest::from_file("tenants/demo", MANIFEST)?)
}

/// The history that is to be lived now: none where it was lived already, or where the mall has
/// members from elsewhere.
async fn history(
    app: &App,
    mall: &Mall,
    args: &DemoArgs,
    path: &Path,
    output: Output,
) -> Result<Option<Note>, Failure> {
    let tenant = mall.tenant.id.to_string();
    let note = Note::read(path)?.filter(|note| note.tenant == tenant);
    if let Some(note) = note {
        return Ok(Some(note).filter(|note| !note.done));
    }
    let who = Principal::platform(Some(mall.tenant.id));
    let mut tx = app.db.read(&app.policy.allow::<VerifyBooks>(&who)?).await?;
    if members::count(&mut tx).await? > 0 {
        output.say("The demo mall has members already, so no history is made for it.");
        return Ok(None);
    }
    let note = Note {
        tenant,
        seed: SEED,
        until: end(args.date, mall.tenant.zone, &app.clock)?,
        done: false,
    };
    note.write(path)?;
    Ok(Some(note))
}

/// When the history ends: now, or in the evening of a day that is over.
fn end(date: Option<NaiveDate>, zone: Zone, clock: &Clock) -> Result<Instant, Failure> {
    let now = clock.now();
    let today = zone.day(now);
    match date {
        None => Ok(now),
        Some(date) if date == today => Ok(now),
        Some(date) if date < today => Ok(zone.start_of(date) + TimeDelta::seconds(EVENING)),
        Some(date) => {
            let message = format!("--date {date} lies in the future: today is {today} there");
            Err(Failure::new(Exit::Usage, message))
        }
    }
}

async fn fill(
    app: &App,
    manifest: &Manifest,
    mall: &Mall,
    keys: &Keys,
    note: &Note,
    output: Output,
) -> anyhow::Result<Filled> {
    let plan = Plan::new(manifest, note.until, note.seed)?;
    let rights = Rights::of(app, &mall.tenant, keys).await?;
    let filling = Filling::new(&app.db, mall, &rights, &plan, note.seed).await?;
    filling.run(&|line| output.say(line)).await
}

/// Closes the periods that ended since the history did, the oldest first.
async fn close_periods(app: &App, mall: &Mall, keys: &Keys, path: &Path) -> anyhow::Result<()> {
    let tenant = &mall.tenant;
    let Some(note) = Note::read(path)? else {
        return Ok(());
    };
    let rights = Rights::of(app, tenant, keys).await?;
    let unit = mall.settlement.period;
    let this = Period::at(app.clock.now(), tenant.zone, unit);
    let mut period = Period::at(note.until, tenant.zone, unit);
    while period < this {
        periods::close_and_issue(&app.db, mall, &rights, period).await?;
        period = period.next();
    }
    Ok(())
}

fn words(filled: &Filled, seconds: f64) -> String {
    let Filled {
        members,
        purchases,
        spends,
        refunds,
        reserved,
        claimed,
        cancelled,
        lapsed,
        periods,
        refused,
    } = filled;
    format!(
        "Filled in {seconds:.1} s: {members} members, {purchases} purchases, {spends} of them paid \
         in part with points, {refunds} refunds; {reserved} goods reserved, {claimed} fetched, \
         {cancelled} given up, {lapsed} lapsed; {periods} periods closed; {refused} refused by the rules"
    )
}

/// Writes the history as the two files of an import; needs no database.
///
/// # Errors
/// A date that lies in the future, a folder that cannot be written.
pub fn export(folder: &Path, date: Option<NaiveDate>, output: Output) -> Result<(), Failure> {
    let manifest = manifest()?;
    let until = end(date, manifest.registration.zone, &Clock::System)?;
    let plan = Plan::new(&manifest, until, SEED)?;
    let written = export::export(&plan, manifest.registration.currency, folder)?;
    let (purchases, redemptions) = (written.purchases, written.redemptions);
    let json = json!({
        "object": "export",
        "purchases": purchases,
        "redemptions": redemptions,
        "until": until.to_rfc3339(),
    });
    output.data(&json, || {
        let folder = folder.display();
        format!(
            "{folder}/purchases.csv: {purchases} purchases\n\
             {folder}/redemptions.csv: {redemptions} redemptions"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(until: &str) -> Plan {
        Plan::new(&manifest().unwrap(), until.parse().unwrap(), SEED).unwrap()
    }

    #[test]
    fn the_same_date_makes_the_same_history_and_it_is_as_large_as_promised() {
        let plan = plan("2026-11-22T09:00:00Z");
        let again = self::plan("2026-11-22T09:00:00Z");
        assert_eq!(format!("{plan:?}"), format!("{again:?}"));
        assert!(
            (12_000..=16_000).contains(&plan.sales.len()),
            "{}",
            plan.sales.len()
        );
        assert_eq!(plan.people.len(), 500);
        assert!(plan.sales.is_sorted_by_key(|sale| sale.at));
        let spends = plan.sales.iter().filter(|sale| sale.off > 0).count();
        assert!((300..2_500).contains(&spends), "{spends}");
        assert!(
            (150..1_500).contains(&plan.orders.len()),
            "{}",
            plan.orders.len()
        );
        assert!(
            (80..250).contains(&plan.returns.len()),
            "{}",
            plan.returns.len()
        );
        let total: i64 = plan
            .sales
            .iter()
            .flat_map(|sale| &sale.lines)
            .map(|line| line.amount)
            .sum();
        let mean = total / i64::try_from(plan.sales.len()).unwrap();
        assert!((70_00..200_00).contains(&mean), "{mean}");
    }

    #[test]
    fn nobody_buys_before_becoming_a_member() {
        let plan = plan("2026-03-05T09:00:00Z");
        for sale in &plan.sales {
            if let Some(person) = sale.person {
                let since = plan.calendar.start_of_day(plan.people[person].joins);
                assert!(since <= sale.at);
            }
        }
    }

    #[test]
    fn receipts_are_of_one_store_and_have_one_number_each() {
        let plan = plan("2026-06-30T12:00:00Z");
        let numbers: std::collections::HashSet<&str> = plan
            .sales
            .iter()
            .map(|sale| sale.receipt.as_str())
            .collect();
        assert_eq!(numbers.len(), plan.sales.len());
    }
}
