//! `rotunda isolation`: try to get out of a mall's walls.

use std::fmt::Write;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Exit, Failure, Output};
use crate::{
    app::App,
    authz::{action::VerifyIsolation, actor::Principal},
    kernel::{
        text::{Language, Slug},
        time::Instant,
    },
    reports::{
        isolation::{self, Attempt, IsolationError, Outcome, Report},
        proof::Check,
    },
};

/// Try to get out of a mall's walls.
#[derive(Debug, Subcommand)]
pub enum IsolationCommand {
    /// Try what PostgreSQL has to refuse to this mall, on the live mall; changes nothing.
    #[command(after_help = "Examples:\n  rotunda isolation verify --tenant demo\n  \
        rotunda isolation verify --tenant demo --json")]
    Verify(VerifyArgs),
}

/// Whose walls.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The mall's short name.
    #[arg(long)]
    pub tenant: Slug,
}

impl From<IsolationError> for Failure {
    fn from(error: IsolationError) -> Self {
        match error {
            IsolationError::Db(error) => error.into(),
            IsolationError::UnderWay => Self::new(Exit::Unavailable, error.to_string()),
        }
    }
}

/// Runs the command. Fails where something got through, or where it cannot be told.
pub(super) async fn run(
    app: &App,
    command: IsolationCommand,
    output: Output,
) -> Result<(), Failure> {
    let IsolationCommand::Verify(args) = command;
    app.db.prepare().await?;
    let mall = app.mall_of(args.tenant.as_str()).await?;
    let who = Principal::platform(Some(mall.tenant.id));
    let grant = app.policy.allow::<VerifyIsolation>(&who)?;
    let report = isolation::verify(&app.db, &grant).await?;
    output.data(&document(&args.tenant, &report), || page(&report))?;
    if report.holds() {
        return Ok(());
    }
    let all = report.attempts.len().saturating_add(report.rights.len());
    let why = format!("{} of {all} do not hold", report.broken());
    Err(Failure::new(Exit::Failed, why))
}

/// The report as `--json` prints it.
fn document(tenant: &Slug, report: &Report) -> Value {
    let attempt = |attempt: &Attempt| {
        let (states, statement, why) = attempt.outcome.details();
        json!({
            "name": attempt.name,
            "what": attempt.what(Language::En),
            "outcome": attempt.outcome.as_str(),
            "sqlstates": states,
            "statement": statement,
            "why": why.map(isolation::Why::as_str),
            "statements": attempt.statements,
        })
    };
    let right = |check: &Check| {
        json!({
            "name": check.name,
            "what": check.what,
            "holds": check.holds,
            "findings": check.findings,
        })
    };
    json!({
        "tenant": tenant.as_str(),
        "holds": report.holds(),
        "at": moment(report.at),
        "other_malls": report.others,
        "attempts": report.attempts.iter().map(attempt).collect::<Vec<_>>(),
        "rights": report.rights.iter().map(right).collect::<Vec<_>>(),
    })
}

fn moment(at: Instant) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The report as people read it: a line an attempt, what there is to know about it below.
fn page(report: &Report) -> String {
    let mut text = String::new();
    for attempt in &report.attempts {
        let mark = match &attempt.outcome {
            Outcome::Refused(_) => '✓',
            Outcome::NotTried(_) => '-',
            Outcome::GotThrough(_) | Outcome::Failed(..) => '✗',
        };
        let (states, statement, why) = attempt.outcome.details();
        let what = attempt.what(Language::En);
        let _ = write!(text, "{mark} {what}: {}", attempt.outcome.as_str());
        if !states.is_empty() {
            let _ = write!(text, " ({})", states.join(", "));
        }
        text.push('\n');
        if let Some(statement) = statement {
            let _ = writeln!(text, "    {}: {statement}", attempt.name);
        }
        if let Some(why) = why {
            let _ = writeln!(text, "    {}: {}", attempt.name, why.words(Language::En));
        }
    }
    for check in &report.rights {
        let mark = if check.holds { '✓' } else { '✗' };
        let _ = writeln!(text, "{mark} {} ({})", check.what, check.counted);
        for finding in &check.findings {
            let _ = writeln!(text, "    {}: {finding}", check.name);
        }
    }
    text
}
