//! `rotunda settle`: look at a period, close it, take it further, see what is outstanding.

mod course;
mod dispute;
mod statement;

use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::{Exit, Failure, Output, liability, table::table};
use crate::{
    app::{App, Mall},
    authz::{
        action::{CloseSettlement, PreviewSettlement},
        actor::Principal,
        grant::Grant,
    },
    db::{self, Db},
    kernel::{
        ids::MerchantId,
        money::{Currency, decimal},
        text::{Code, Language, Slug},
        time::Period,
    },
    settlement::{
        self, Preview, SettlementError, calculation::Position, disputes::DisputeError, listed,
    },
};

/// Settle a period between merchants.
#[derive(Debug, Subcommand)]
pub enum SettleCommand {
    /// Show what a period comes to, without changing anything.
    #[command(
        after_help = "Examples:\n  rotunda settle preview --tenant demo --period 2026-10\n  \
        rotunda settle preview --tenant demo --period 2026-10 --csv > october.csv"
    )]
    Preview(PeriodArgs),
    /// Close a period that is over, and say how far it came. Closing it again changes nothing.
    #[command(
        after_help = "Examples:\n  rotunda settle close --tenant demo --period 2026-10\n  \
        rotunda settle close --tenant demo --period 2026-10 --json"
    )]
    Close(PeriodArgs),
    /// Let the merchants of a closed period see their statements.
    #[command(
        after_help = "Examples:\n  rotunda settle issue --tenant demo --period 2026-10\n  \
        rotunda settle issue --tenant demo --period 2026-10 --json"
    )]
    Issue(course::PeriodArgs),
    /// Confirm what merchants have not answered in time, without waiting for the house to do it.
    #[command(
        after_help = "Examples:\n  rotunda settle confirm --tenant demo --period 2026-10\n  \
        rotunda settle confirm --tenant demo --period 2026-10 --json"
    )]
    Confirm(course::PeriodArgs),
    /// Calculate a closed period anew from the ledger, and say whether it comes to what was sealed.
    #[command(
        after_help = "Examples:\n  rotunda settle recalculate --tenant demo --period 2026-10\n  \
        rotunda settle recalculate --tenant demo --period 2026-10 --json"
    )]
    Recalculate(course::PeriodArgs),
    /// Print a merchant's statement as a file: PDF, XLSX or CSV.
    #[command(
        after_help = "Examples:\n  rotunda settle statement --tenant demo --period 2026-10 --merchant lantern-tea \
        --output october.pdf\n  rotunda settle statement --tenant demo --period 2026-10 --merchant lantern-tea \
        --format csv --language zh-CN"
    )]
    Statement(statement::StatementArgs),
    /// Look at objections to lines of statements, and decide them.
    #[command(subcommand)]
    Dispute(dispute::DisputeCommand),
    /// Show what is outstanding in points, and how a period changed it.
    #[command(
        after_help = "Examples:\n  rotunda settle liability --tenant demo --period 2026-10\n  \
        rotunda settle liability --tenant demo --period 2026-10 --json"
    )]
    Liability(liability::LiabilityArgs),
}

/// Which period of which mall, and how to print it.
#[derive(Debug, Args)]
pub struct PeriodArgs {
    /// The mall's short name.
    #[arg(long)]
    pub tenant: Slug,
    /// The period, as the mall settles: such as 2017-06, 2017-W24 or 2017-06-14.
    #[arg(long)]
    pub period: Period,
    /// Print a sheet, one line a merchant.
    #[arg(long)]
    pub csv: bool,
}

/// Runs the command.
pub(super) async fn run(app: &App, command: SettleCommand, output: Output) -> Result<(), Failure> {
    let (args, close) = match command {
        SettleCommand::Preview(args) => (args, false),
        SettleCommand::Close(args) => (args, true),
        SettleCommand::Issue(args) => return course::issue(app, &args, output).await,
        SettleCommand::Confirm(args) => return course::confirm(app, &args, output).await,
        SettleCommand::Recalculate(args) => return course::recalculate(app, &args, output).await,
        SettleCommand::Statement(args) => return statement::run(app, &args, output).await,
        SettleCommand::Dispute(command) => return dispute::run(app, command, output).await,
        SettleCommand::Liability(args) => return liability::run(app, args, output).await,
    };
    app.db.prepare().await?;
    let mall = app.mall_of(args.tenant.as_str()).await?;
    let (preview, fresh) = act(app, &mall, args.period, close).await?;
    let currency = mall.tenant.currency;
    let rows = by_code(&preview)?;
    if args.csv {
        output.text(&settlement::csv(
            Language::En,
            preview.period,
            currency,
            rows,
        ))?;
    } else {
        output.data(&document(currency, &preview)?, || {
            sheet(currency, &preview, &rows)
        })?;
    }
    let state = preview.state.map_or("open", settlement::State::as_str);
    match fresh {
        Some(true) => output.say(&format!("{} is {state}", args.period)),
        Some(false) => output.say(&format!(
            "{} was closed already; it is {state}",
            args.period
        )),
        None => {}
    }
    Ok(())
}

/// Closes where asked to, and says what the period comes to; and whether this close closed it.
async fn act(
    app: &App,
    mall: &Mall,
    period: Period,
    close: bool,
) -> Result<(Preview, Option<bool>), CommandError> {
    let who = Principal::platform(Some(mall.tenant.id));
    let terms = &mall.settlement;
    let fresh = if close {
        let grant = app.policy.allow::<CloseSettlement>(&who)?;
        let (zone, currency) = (mall.tenant.zone, mall.tenant.currency);
        let sealed =
            settlement::close_period(&app.db, &grant, period, terms, zone, currency).await?;
        list_lines(&app.db, &grant, period).await?;
        Some(sealed.fresh)
    } else {
        None
    };
    let grant = app.policy.allow::<PreviewSettlement>(&who)?;
    let mut tx = app.db.read(&grant).await.map_err(SettlementError::Db)?;
    let preview = settlement::preview(&mut tx, &grant, period, terms, mall.tenant.zone).await?;
    Ok((preview, fresh))
}

/// Writes down the lines of a large period, with a bar on a terminal; broken off, it is the house's work
/// or the next close's.
async fn list_lines(
    db: &Db,
    grant: &Grant<CloseSettlement>,
    period: Period,
) -> Result<(), SettlementError> {
    let mut bar = None;
    listed::go_on(db, grant, period, |listing| {
        let all = listing.all.unsigned_abs();
        if !listing.complete {
            let bar = bar.get_or_insert_with(|| ProgressBar::new(all));
            bar.set_position(listing.done.unsigned_abs());
        }
    })
    .await?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Denied(#[from] crate::authz::policy::Denied),
    #[error(transparent)]
    Settlement(#[from] SettlementError),
    #[error(transparent)]
    Dispute(#[from] DisputeError),
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let exit = match &error {
            CommandError::Denied(_)
            | CommandError::Settlement(SettlementError::NeedsSecondPerson)
            | CommandError::Dispute(DisputeError::NeedsSecondPerson) => Exit::Refused,
            CommandError::Settlement(SettlementError::NotFound)
            | CommandError::Dispute(DisputeError::UnknownDispute) => Exit::NotFound,
            CommandError::Settlement(SettlementError::Db(
                db::Error::Unavailable(_) | db::Error::Retry(_),
            ))
            | CommandError::Dispute(DisputeError::Db(
                db::Error::Unavailable(_) | db::Error::Retry(_),
            )) => Exit::Unavailable,
            CommandError::Settlement(SettlementError::OtherUnit(_)) => Exit::Usage,
            CommandError::Settlement(_) | CommandError::Dispute(_) => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

/// The period's merchants in the order of their codes.
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

/// The period as `--json` prints it: points whole, money in minor units, payments with null for the
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
                "expired": it.expired,
                "own_points": it.own_points,
                "own_value": it.own_value,
                "pays": it.pays,
                "receives": it.receives,
                "funded": it.funded,
                "fee": it.fee,
                "breakage": it.breakage,
                "adjusted": it.adjusted,
                "net": it.net,
                "tax_basis_points": it.tax_basis_points,
                "tax_received": it.tax_received,
                "tax_fee": it.tax_fee,
            })
        })
        .collect();
    let mut operator = serde_json::Map::new();
    for (kind, amount) in preview.calculation.operator()? {
        operator.insert(kind.as_str().to_owned(), amount.into());
    }
    operator.insert("net".to_owned(), preview.calculation.operator_net.into());
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
        "period": preview.period.to_string(),
        "currency": currency.code(),
        "state": preview.state.map_or("open", settlement::State::as_str),
        "fee_basis_points": preview.fee_basis_points,
        "merchants": merchants,
        "operator": operator,
        "payments": payments,
        "sum": preview.calculation.sum()?,
    }))
}

/// The period as people read it.
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
        preview.period,
        currency.code(),
        preview.state.map_or("open", settlement::State::as_str),
        table(head, &lines),
        table(["from", "to", "pays"], &payments),
    )
}
