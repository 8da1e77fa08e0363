//! `rotunda books`: prove that everything adds up.

use std::fmt::Write;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Exit, Failure, Output, table::table};
use crate::{
    app::App,
    authz::{action::VerifyBooks, actor::Principal},
    kernel::text::Slug,
    reports::{
        proof::{Check, prove},
        totals::{Totals, totals},
    },
};

/// Prove the books.
#[derive(Debug, Subcommand)]
pub enum BooksCommand {
    /// Check everything that must hold, on the live mall; changes nothing.
    #[command(after_help = "Examples:\n  rotunda books verify --tenant demo\n  \
        rotunda books verify --tenant demo --json")]
    Verify(VerifyArgs),
}

/// Whose books.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The mall's short name.
    #[arg(long)]
    pub tenant: Slug,
}

/// Runs the command. Fails where something does not hold.
pub(super) async fn run(app: &App, command: BooksCommand, output: Output) -> Result<(), Failure> {
    let BooksCommand::Verify(args) = command;
    app.db.prepare().await?;
    let mall = app.mall_of(args.tenant.as_str()).await?;
    let who = Principal::platform(Some(mall.tenant.id));
    let grant = app.policy.allow::<VerifyBooks>(&who)?;
    let mut tx = app.db.read(&grant).await?;
    let checks = prove(&mut tx, &grant).await?;
    let totals = totals(&mut tx, &grant).await?;
    output.data(&document(&args.tenant, &checks, &totals), || {
        page(&checks, &totals)
    })?;
    let broken = checks.iter().filter(|check| !check.holds).count();
    if broken > 0 {
        let why = format!("{broken} of {} checks do not hold", checks.len());
        return Err(Failure::new(Exit::Failed, why));
    }
    Ok(())
}

/// The proof as `--json` prints it.
pub fn document(tenant: &Slug, checks: &[Check], totals: &Totals) -> Value {
    let list: Vec<Value> = checks
        .iter()
        .map(|check| {
            json!({
                "name": check.name,
                "what": check.what,
                "holds": check.holds,
                "counted": check.counted,
                "broken": check.broken,
                "findings": check.findings,
            })
        })
        .collect();
    json!({
        "tenant": tenant.as_str(),
        "holds": checks.iter().all(|check| check.holds),
        "checks": list,
        "totals": {
            "issued": totals.issued,
            "taken_back": totals.taken_back,
            "redeemed": totals.redeemed,
            "expired": totals.expired,
            "outstanding": totals.outstanding,
            "held": totals.held,
            "owed": totals.owed,
        },
    })
}

/// The proof as people read it: a line a check, what is wrong below it, the sums at the end.
fn page(checks: &[Check], totals: &Totals) -> String {
    let mut text = String::new();
    for check in checks {
        let mark = if check.holds { '✓' } else { '✗' };
        let _ = writeln!(text, "{mark} {} ({})", check.what, check.counted);
        for finding in &check.findings {
            let _ = writeln!(text, "    {}: {finding}", check.name);
        }
        let shown = i64::try_from(check.findings.len()).unwrap_or(0);
        if check.broken > shown {
            let _ = writeln!(text, "    and {} more", check.broken.saturating_sub(shown));
        }
    }
    let rows = [
        ("issued", totals.issued),
        ("taken back", totals.taken_back),
        ("redeemed", totals.redeemed),
        ("expired", totals.expired),
        ("outstanding", totals.outstanding),
        ("held", totals.held),
        ("owed", totals.owed),
    ]
    .map(|(name, points)| [name.to_owned(), points.to_string()]);
    format!("{text}\n{}", table(["", "points"], &rows))
}
