//! A month that is closed, one step further.

use clap::Args;
use serde_json::{Value, json};

use super::CommandError;
use crate::{
    app::App,
    authz::{
        action::{ConfirmSettlement, IssueSettlement},
        actor::Principal,
    },
    cli::{Failure, Output},
    kernel::{
        text::Slug,
        time::{Instant, Month},
    },
    settlement::{Settlement, SettlementError, confirming},
};

/// Which month of which mall.
#[derive(Debug, Args)]
pub struct MonthArgs {
    /// The mall's short name.
    #[arg(long)]
    pub tenant: Slug,
    /// The month, such as 2017-06.
    #[arg(long)]
    pub period: Month,
}

/// Issues a month as the vendor, who must not be who closed it where the mall asks for two.
pub(super) async fn issue(app: &App, args: &MonthArgs, output: Output) -> Result<(), Failure> {
    app.db.prepare().await?;
    let mall = app.mall_of(args.tenant.as_str()).await?;
    let act = async {
        let who = Principal::platform(Some(mall.tenant.id));
        let grant = app.policy.allow::<IssueSettlement>(&who)?;
        let mut tx = app.db.write(&grant).await.map_err(SettlementError::Db)?;
        let (course, zone) = (mall.settlement.course, mall.tenant.zone);
        let (month, currency) = (args.period, mall.tenant.currency);
        let issued =
            confirming::issue_month(&mut tx, &grant, month, course, zone, currency).await?;
        tx.commit().await.map_err(SettlementError::Db)?;
        Ok::<_, CommandError>(issued)
    };
    tell(&act.await?, output)
}

/// Confirms a month whose merchants have had their time.
pub(super) async fn confirm(app: &App, args: &MonthArgs, output: Output) -> Result<(), Failure> {
    app.db.prepare().await?;
    let mall = app.mall_of(args.tenant.as_str()).await?;
    let act = async {
        let who = Principal::platform(Some(mall.tenant.id));
        let grant = app.policy.allow::<ConfirmSettlement>(&who)?;
        let mut tx = app.db.write(&grant).await.map_err(SettlementError::Db)?;
        let (month, currency) = (args.period, mall.tenant.currency);
        let confirmed = confirming::confirm_month(&mut tx, &grant, month, currency).await?;
        tx.commit().await.map_err(SettlementError::Db)?;
        Ok::<_, CommandError>(confirmed)
    };
    tell(&act.await?, output)
}

fn tell(settlement: &Settlement, output: Output) -> Result<(), Failure> {
    output.data(&document(settlement), || {
        let (month, state) = (settlement.month, settlement.state.as_str());
        match settlement.confirm_by {
            Some(by) if settlement.confirmed_at.is_none() => {
                format!(
                    "{month} is {state}; what is not answered is confirmed at {}",
                    at(by)
                )
            }
            _ => format!("{month} is {state}"),
        }
    })
}

/// A settlement as `--json` prints it.
fn document(settlement: &Settlement) -> Value {
    json!({
        "object": "settlement",
        "id": settlement.id.to_string(),
        "period": settlement.month.to_string(),
        "state": settlement.state.as_str(),
        "cut_off_at": at(settlement.cut_off_at),
        "proofed_at": settlement.proofed_at.map(at),
        "issued_at": settlement.issued_at.map(at),
        "confirm_by": settlement.confirm_by.map(at),
        "confirmed_at": settlement.confirmed_at.map(at),
        "closed_at": settlement.closed_at.map(at),
        "digest": settlement.digest,
    })
}

/// A moment as every document writes it.
pub(super) fn at(moment: Instant) -> String {
    moment.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}
