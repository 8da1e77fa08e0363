//! `rotunda settle liability`: what is outstanding in points, and how a period changed it.

use clap::Args;
use serde_json::{Value, json};

use super::{Exit, Failure, Output, table::table};
use crate::{
    app::App,
    authz::{action::ReadLiability, actor::Principal, policy::Denied},
    db,
    kernel::{
        money::{Currency, decimal},
        page::Slice,
        text::Slug,
        time::Period,
    },
    reports::liability::{self, Amount, LiabilityError, RollForward, Split, WHOLE},
};

/// Which period of which mall.
#[derive(Debug, Args)]
pub struct LiabilityArgs {
    /// The mall's short name.
    #[arg(long)]
    pub tenant: Slug,
    /// The period, as the mall settles: such as 2017-06, 2017-W24 or 2017-06-14.
    #[arg(long)]
    pub period: Period,
}

/// Runs the command.
pub(super) async fn run(app: &App, args: LiabilityArgs, output: Output) -> Result<(), Failure> {
    app.db.prepare().await?;
    let mall = app.mall_of(args.tenant.as_str()).await?;
    let currency = mall.tenant.currency;
    let who = Principal::platform(Some(mall.tenant.id));
    let rows = all(app, &who, args.period).await?;
    output.data(&document(args.period, currency, &rows), || {
        sheet(args.period, currency, &rows)
    })
}

/// Every merchant's period in the order of the codes.
async fn all(app: &App, who: &Principal, period: Period) -> Result<Vec<RollForward>, CommandError> {
    let grant = app.policy.allow::<ReadLiability>(who)?;
    let mut tx = app.db.read(&grant).await.map_err(LiabilityError::Db)?;
    let whole = Slice {
        limit: WHOLE,
        after: None,
    };
    let page = liability::roll_forward(&mut tx, &grant, period, &whole).await?;
    let mut rows = page.items;
    rows.sort_by(|one, other| one.code.cmp(&other.code));
    Ok(rows)
}

#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Liability(#[from] LiabilityError),
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let exit = match &error {
            CommandError::Denied(_) => Exit::Refused,
            CommandError::Liability(LiabilityError::Db(
                db::Error::Unavailable(_) | db::Error::Retry(_),
            )) => Exit::Unavailable,
            CommandError::Liability(LiabilityError::OtherUnit(_)) => Exit::Usage,
            CommandError::Liability(_) => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

/// The period as `--json` prints it: points whole, worth in minor units.
fn document(period: Period, currency: Currency, rows: &[RollForward]) -> Value {
    let amount = |it: Amount| json!({ "points": it.points, "worth": it.worth });
    let split = |it: Split| json!({ "here": amount(it.here), "elsewhere": amount(it.elsewhere) });
    let merchants: Vec<Value> = rows
        .iter()
        .map(|it| {
            json!({
                "merchant": it.code.as_str(),
                "opening": amount(it.opening),
                "issued": amount(it.issued),
                "given_back": split(it.given_back),
                "redeemed": split(it.redeemed),
                "repaid": split(it.repaid),
                "expired": amount(it.expired),
                "taken_back": amount(it.taken_back),
                "closing": amount(it.closing),
                "became_owed": amount(it.became_owed),
                "used_to_date": split(it.used_to_date),
                "expected_breakage": {
                    "expired": it.breakage.expired,
                    "over": it.breakage.over,
                },
            })
        })
        .collect();
    json!({
        "period": period.to_string(),
        "currency": currency.code(),
        "merchants": merchants,
    })
}

/// The period as people read it.
fn sheet(period: Period, currency: Currency, rows: &[RollForward]) -> String {
    let points = |it: Split| {
        it.here
            .points
            .saturating_add(it.elsewhere.points)
            .to_string()
    };
    let head = [
        "merchant",
        "opening",
        "issued",
        "given back",
        "redeemed",
        "repaid",
        "expired",
        "taken back",
        "closing",
        "worth",
    ];
    let lines: Vec<[String; 10]> = rows
        .iter()
        .map(|it| {
            [
                it.code.as_str().to_owned(),
                it.opening.points.to_string(),
                it.issued.points.to_string(),
                points(it.given_back),
                points(it.redeemed),
                points(it.repaid),
                it.expired.points.to_string(),
                it.taken_back.points.to_string(),
                it.closing.points.to_string(),
                decimal(it.closing.worth, currency.places()),
            ]
        })
        .collect();
    format!(
        "{period}: points outstanding, and what they settle at in {}\n\n{}",
        currency.code(),
        table(head, &lines)
    )
}
