//! One merchant's statement as a file.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::CommandError;
use crate::{
    app::App,
    authz::{action::ReadStatements, actor::Principal},
    cli::{Exit, Failure, Output},
    kernel::{
        text::{Code, Language, Slug},
        time::Period,
    },
    settlement::{Document, Face, SettlementError, document},
};

/// Whose statement, and how it is printed.
#[derive(Debug, Args)]
pub struct StatementArgs {
    /// The mall's short name.
    #[arg(long)]
    pub tenant: Slug,
    /// The period, as the mall settles: such as 2017-06, 2017-W24 or 2017-06-14; else the last that was closed.
    #[arg(long)]
    pub period: Option<Period>,
    /// The merchant's code.
    #[arg(long)]
    pub merchant: Code,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t = Format::Pdf)]
    pub format: Format,
    /// In which words: zh-CN, zh-TW or en; else the mall's own.
    #[arg(long)]
    pub language: Option<Language>,
    /// Where to write it; else to standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How a statement is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, A4.
    Pdf,
    /// For spreadsheets.
    Xlsx,
    /// For programs.
    Csv,
}

impl From<Format> for Face {
    fn from(format: Format) -> Self {
        match format {
            Format::Pdf => Self::Pdf,
            Format::Xlsx => Self::Xlsx,
            Format::Csv => Self::Csv,
        }
    }
}

/// Prints the statement, a draft before it is issued.
pub(super) async fn run(app: &App, args: &StatementArgs, output: Output) -> Result<(), Failure> {
    app.db.prepare().await?;
    let document = read(app, args).await?;
    let bytes = document.print(args.format.into()).map_err(Failure::other)?;
    let Some(path) = &args.output else {
        return output.bytes(&bytes);
    };
    std::fs::write(path, &bytes).map_err(|error| {
        let message = format!("{} cannot be written: {error}", path.display());
        Failure::new(Exit::Failed, message)
    })?;
    let said = json!({
        "object": "statement",
        "id": document.statement.to_string(),
        "state": document.state.as_str(),
        "digest": document.digest(),
        "file": path.display().to_string(),
    });
    output.data(&said, || {
        format!("{} is in {}", document.statement, path.display())
    })
}

async fn read(app: &App, args: &StatementArgs) -> Result<Document, Failure> {
    let mall = app.mall_of(args.tenant.as_str()).await?;
    let language = args.language.unwrap_or_else(|| mall.tenant.language());
    let act = async {
        let who = Principal::platform(Some(mall.tenant.id));
        let grant = app.policy.allow::<ReadStatements>(&who)?;
        let mut tx = app.db.read(&grant).await.map_err(SettlementError::Db)?;
        let found = document::statement_of(&mut tx, &grant, args.period, &args.merchant).await;
        let id = match found {
            Err(SettlementError::NotFound) => return Ok(None),
            found => found?,
        };
        let document = document::of(&mut tx, &grant, id, &mall.tenant, language).await?;
        Ok::<_, CommandError>(Some(document))
    };
    act.await?.ok_or_else(|| no_statement(args))
}

/// What is missing, and where to look.
fn no_statement(args: &StatementArgs) -> Failure {
    let (tenant, merchant) = (args.tenant.as_str(), args.merchant.as_str());
    let message = match args.period {
        Some(period) => format!(
            "{merchant:?} has no statement for {period}: either no merchant has this code, or the \
             period is not closed, or nothing of it concerns this merchant. What a period comes to: \
             rotunda settle preview --tenant {tenant} --period {period}"
        ),
        None => format!(
            "{merchant:?} has no statement in the last period that was closed: name another with \
             --period, or see whether a merchant has this code"
        ),
    };
    Failure::new(Exit::NotFound, message)
}
