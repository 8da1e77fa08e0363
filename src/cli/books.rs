//! `rotunda books`: prove that everything adds up.

use std::{fmt::Write, process::ExitCode};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::table::{print, say, table};
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

/// Runs the command. Exits with 0 where everything holds, 1 where something does not, 3 where there
/// is no such mall, 4 where the policy refuses.
///
/// # Errors
/// Anything that a person at the command line can only be told.
pub async fn run(app: &App, command: BooksCommand, json: bool) -> anyhow::Result<ExitCode> {
    let BooksCommand::Verify(args) = command;
    let Some(tenant) = app.db.tenant_of_slug(args.tenant.as_str()).await? else {
        say(&format!("there is no mall {}", args.tenant.as_str()));
        return Ok(ExitCode::from(3));
    };
    let who = Principal::platform(Some(tenant.id));
    let Ok(grant) = app.policy.allow::<VerifyBooks>(&who) else {
        say("this role may not do that");
        return Ok(ExitCode::from(4));
    };
    let mut tx = app.db.read(&grant).await?;
    let checks = prove(&mut tx, &grant).await?;
    let totals = totals(&mut tx, &grant).await?;
    print(&if json {
        format!("{:#}\n", document(&args.tenant, &checks, &totals))
    } else {
        page(&checks, &totals)
    })?;
    Ok(if checks.iter().all(|check| check.holds) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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
