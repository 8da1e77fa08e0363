//! A period that is closed, one step further.

use clap::Args;
use serde_json::{Value, json};

use super::CommandError;
use crate::{
    app::App,
    authz::{
        action::{ConfirmSettlement, IssueSettlement, PreviewSettlement},
        actor::Principal,
    },
    cli::{Exit, Failure, Output},
    kernel::{
        text::{Code, Slug},
        time::{Instant, Period},
    },
    settlement::{Settlement, SettlementError, confirming, recalculation},
};

/// Which period of which mall.
#[derive(Debug, Args)]
pub struct PeriodArgs {
    /// The mall's short name.
    #[arg(long)]
    pub tenant: Slug,
    /// The period, as the mall settles: such as 2017-06, 2017-W24 or 2017-06-14.
    #[arg(long)]
    pub period: Period,
}

/// Issues a period as the vendor, who must not be who closed it where the mall asks for two.
pub(super) async fn issue(app: &App, args: &PeriodArgs, output: Output) -> Result<(), Failure> {
    app.db.prepare().await?;
    let mall = app.mall_of(args.tenant.as_str()).await?;
    let act = async {
        let who = Principal::platform(Some(mall.tenant.id));
        let grant = app.policy.allow::<IssueSettlement>(&who)?;
        let mut tx = app.db.write(&grant).await.map_err(SettlementError::Db)?;
        let (zone, currency) = (mall.tenant.zone, mall.tenant.currency);
        let issued = confirming::issue_period(&mut tx, &grant, args.period, zone, currency).await?;
        tx.commit().await.map_err(SettlementError::Db)?;
        Ok::<_, CommandError>(issued)
    };
    tell(&act.await?, output)
}

/// Confirms a period whose merchants have had their time.
pub(super) async fn confirm(app: &App, args: &PeriodArgs, output: Output) -> Result<(), Failure> {
    app.db.prepare().await?;
    let mall = app.mall_of(args.tenant.as_str()).await?;
    let act = async {
        let who = Principal::platform(Some(mall.tenant.id));
        let grant = app.policy.allow::<ConfirmSettlement>(&who)?;
        let mut tx = app.db.write(&grant).await.map_err(SettlementError::Db)?;
        let (period, currency) = (args.period, mall.tenant.currency);
        let confirmed = confirming::confirm_period(&mut tx, &grant, period, currency).await?;
        tx.commit().await.map_err(SettlementError::Db)?;
        Ok::<_, CommandError>(confirmed)
    };
    tell(&act.await?, output)
}

/// Calculates a closed period anew; fails where it comes to something else than was sealed.
pub(super) async fn recalculate(
    app: &App,
    args: &PeriodArgs,
    output: Output,
) -> Result<(), Failure> {
    app.db.prepare().await?;
    let mall = app.mall_of(args.tenant.as_str()).await?;
    let act = async {
        let who = Principal::platform(Some(mall.tenant.id));
        let grant = app.policy.allow::<PreviewSettlement>(&who)?;
        let mut tx = app.db.read(&grant).await.map_err(SettlementError::Db)?;
        let zone = mall.tenant.zone;
        let done = recalculation::recalculate_period(&mut tx, &grant, args.period, zone).await?;
        Ok::<_, CommandError>(done)
    };
    let done = act.await?;
    let differing: Vec<&str> = done.differing.iter().map(Code::as_str).collect();
    let document = json!({
        "object": "recalculation",
        "settlement": done.settlement.to_string(),
        "period": done.period.to_string(),
        "digest": done.sealed,
        "recalculated_digest": done.recalculated,
        "same": done.is_same(),
        "differing": differing,
    });
    output.data(&document, || {
        format!(
            "sealed        {}\nrecalculated  {}",
            done.sealed, done.recalculated
        )
    })?;
    if done.is_same() {
        output.say(&format!("{} comes to the same bytes", done.period));
        return Ok(());
    }
    let whose = if differing.is_empty() {
        "every statement's figures are right: its lines or its seal were changed".to_owned()
    } else {
        format!("the statements of {} say otherwise", differing.join(", "))
    };
    let why = format!(
        "{} does not come to what was sealed; {whose}. See what else does not hold: \
         rotunda books verify --tenant {}",
        done.period,
        args.tenant.as_str()
    );
    Err(Failure::new(Exit::Failed, why))
}

fn tell(settlement: &Settlement, output: Output) -> Result<(), Failure> {
    output.data(&document(settlement), || {
        let (period, state) = (settlement.period, settlement.state.as_str());
        match settlement.confirm_by {
            Some(by) if settlement.confirmed_at.is_none() => {
                format!(
                    "{period} is {state}; what is not answered is confirmed at {}",
                    at(by)
                )
            }
            _ => format!("{period} is {state}"),
        }
    })
}

/// A settlement as `--json` prints it.
fn document(settlement: &Settlement) -> Value {
    json!({
        "object": "settlement",
        "id": settlement.id.to_string(),
        "period": settlement.period.to_string(),
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
