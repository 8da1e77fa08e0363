//! `rotunda settle`: look at a month, close it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::table::{print, say, table};
use crate::{
    app::{App, Mall},
    authz::{
        action::{CloseSettlement, PreviewSettlement},
        actor::Principal,
    },
    db,
    kernel::{
        ids::MerchantId,
        money::{Currency, decimal},
        text::{Code, Slug},
        time::Month,
    },
    settlement::{self, Preview, SettlementError, month::Position},
};

/// Settle a month between merchants.
#[derive(Debug, Subcommand)]
pub enum SettleCommand {
    /// Show what a month comes to, without changing anything.
    #[command(
        after_help = "Examples:\n  rotunda settle preview --tenant demo --period 2026-10\n  \
        rotunda settle preview --tenant demo --period 2026-10 --csv > october.csv"
    )]
    Preview(PeriodArgs),
    /// Close a month that is over. Closing it again changes nothing.
    #[command(
        after_help = "Examples:\n  rotunda settle close --tenant demo --period 2026-10\n  \
        rotunda settle close --tenant demo --period 2026-10 --json"
    )]
    Close(PeriodArgs),
}

/// Which month of which mall, and how to print it.
#[derive(Debug, Args)]
pub struct PeriodArgs {
    /// The mall's short name.
    #[arg(long)]
    pub tenant: Slug,
    /// The month, such as 2017-06.
    #[arg(long)]
    pub period: Month,
    /// Print a sheet, one line a merchant.
    #[arg(long)]
    pub csv: bool,
}

/// Runs the command: data on the standard output, talk on the standard error. Exits with 0 when it
/// is done, 1 when the month cannot be closed, 3 where there is no such mall, 4 where the policy
/// refuses, 5 where the database is away.
///
/// # Errors
/// Anything that a person at the command line can only be told.
pub async fn run(app: &App, command: SettleCommand, json: bool) -> anyhow::Result<ExitCode> {
    let (args, close) = match command {
        SettleCommand::Preview(args) => (args, false),
        SettleCommand::Close(args) => (args, true),
    };
    let Some(mall) = app.mall(&args.tenant).await? else {
        say(&format!("there is no mall {}", args.tenant.as_str()));
        return Ok(ExitCode::from(3));
    };
    match act(app, &mall, args.period, close).await {
        Ok((preview, fresh)) => {
            print(&show(&mall, &preview, &args, json)?)?;
            if fresh == Some(false) {
                say(&format!("{} was closed already", args.period));
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            say(&error.to_string());
            Ok(exit_code(&error))
        }
    }
}

/// Closes where asked to, and says what the month comes to; and whether this close closed it.
async fn act(
    app: &App,
    mall: &Mall,
    month: Month,
    close: bool,
) -> Result<(Preview, Option<bool>), CommandError> {
    let who = Principal::platform(Some(mall.tenant.id));
    let terms = &mall.settlement;
    let fresh = if close {
        let grant = app.policy.allow::<CloseSettlement>(&who)?;
        let (zone, currency) = (mall.tenant.zone, mall.tenant.currency);
        let sealed = settlement::close_month(&app.db, &grant, month, terms, zone, currency).await?;
        Some(sealed.fresh)
    } else {
        None
    };
    let grant = app.policy.allow::<PreviewSettlement>(&who)?;
    let mut tx = app.db.read(&grant).await.map_err(SettlementError::Db)?;
    let preview = settlement::preview(&mut tx, &grant, month, terms).await?;
    Ok((preview, fresh))
}

#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Denied(#[from] crate::authz::policy::Denied),
    #[error(transparent)]
    Settlement(#[from] SettlementError),
}

fn exit_code(error: &CommandError) -> ExitCode {
    match error {
        CommandError::Denied(_) => ExitCode::from(4),
        CommandError::Settlement(SettlementError::NotFound) => ExitCode::from(3),
        CommandError::Settlement(SettlementError::Db(
            db::Error::Unavailable(_) | db::Error::Retry(_),
        )) => ExitCode::from(5),
        CommandError::Settlement(_) => ExitCode::FAILURE,
    }
}

fn show(mall: &Mall, preview: &Preview, args: &PeriodArgs, json: bool) -> anyhow::Result<String> {
    let currency = mall.tenant.currency;
    Ok(if json {
        format!("{:#}\n", document(currency, preview)?)
    } else if args.csv {
        settlement::csv(preview.month, currency, by_code(preview)?)
    } else {
        sheet(currency, preview, &by_code(preview)?)
    })
}

/// The month's merchants in the order of their codes.
fn by_code(preview: &Preview) -> anyhow::Result<Vec<(&Code, &Position)>> {
    let mut rows = Vec::new();
    for (merchant, position) in &preview.calculation.merchants {
        rows.push((code_of(preview, *merchant)?, position));
    }
    rows.sort_by_key(|(code, _)| *code);
    Ok(rows)
}

fn code_of(preview: &Preview, merchant: MerchantId) -> anyhow::Result<&Code> {
    let code = preview.codes.get(&merchant);
    code.ok_or_else(|| anyhow::anyhow!("the merchant {merchant} has no code"))
}

/// The month as `--json` prints it: points whole, money in minor units, payments with null for the
/// operator.
///
/// # Errors
/// A merchant without a code.
pub fn document(currency: Currency, preview: &Preview) -> anyhow::Result<Value> {
    let merchants: Vec<Value> = by_code(preview)?
        .into_iter()
        .map(|(code, it)| {
            json!({
                "merchant": code.as_str(),
                "issued": it.issued,
                "taken_back": it.taken_back,
                "redeemed": it.redeemed,
                "given_back": it.given_back,
                "own_points": it.own_points,
                "own_value": it.own_value,
                "pays": it.pays,
                "receives": it.receives,
                "fee": it.fee,
                "net": it.net,
            })
        })
        .collect();
    let party = |party: Option<MerchantId>| match party {
        Some(merchant) => Ok(Value::from(code_of(preview, merchant)?.as_str())),
        None => anyhow::Ok(Value::Null),
    };
    let mut payments = Vec::new();
    for payment in &preview.calculation.payments {
        payments.push(json!({
            "from": party(payment.from)?,
            "to": party(payment.to)?,
            "amount": payment.amount,
        }));
    }
    Ok(json!({
        "period": preview.month.to_string(),
        "currency": currency.code(),
        "state": preview.state.map_or("open", settlement::State::as_str),
        "fee_basis_points": preview.fee_basis_points,
        "merchants": merchants,
        "operator": { "net": preview.calculation.operator_net },
        "payments": payments,
        "sum": preview.calculation.sum()?,
    }))
}

/// The month as people read it.
fn sheet(currency: Currency, preview: &Preview, rows: &[(&Code, &Position)]) -> String {
    let money = |minor: i64| decimal(minor, currency.places());
    let head = [
        "merchant", "issued", "redeemed", "own shop", "pays", "receives", "fee", "net",
    ];
    let mut lines: Vec<[String; 8]> = rows
        .iter()
        .map(|(code, it)| {
            [
                code.as_str().to_owned(),
                it.issued.to_string(),
                it.redeemed.to_string(),
                it.own_points.to_string(),
                money(it.pays),
                money(it.receives),
                money(it.fee),
                money(it.net),
            ]
        })
        .collect();
    let empty = String::new;
    lines.push([
        "(operator)".to_owned(),
        empty(),
        empty(),
        empty(),
        empty(),
        empty(),
        empty(),
        money(preview.calculation.operator_net),
    ]);
    let name = |party: Option<MerchantId>| {
        let code = party.and_then(|merchant| preview.codes.get(&merchant));
        code.map_or("(operator)", Code::as_str).to_owned()
    };
    let payments: Vec<[String; 3]> = preview
        .calculation
        .payments
        .iter()
        .map(|payment| [name(payment.from), name(payment.to), money(payment.amount)])
        .collect();
    format!(
        "{} in {}, {}\n\n{}\n{}",
        preview.month,
        currency.code(),
        preview.state.map_or("open", settlement::State::as_str),
        table(head, &lines),
        table(["from", "to", "pays"], &payments),
    )
}
