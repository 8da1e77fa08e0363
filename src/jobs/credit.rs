//! Merchants leave when their day has come, and lights are looked at.

use tracing::info;

use super::Tools;
use crate::{
    authz::action::{EndPoints, EvaluateCredit},
    kernel::ids::TenantId,
    merchants::credit::{
        CreditError,
        leaving::{self, Ended},
    },
    queue::worker::Outcome,
    settlement::{due::CreditDue, lights},
};

/// Members that one transaction serves: none holds its locks for long.
const SLICE: i64 = 100;

/// Ends the points of every merchant whose time is over by now, then looks at the lights.
pub(super) async fn look(tools: Tools, tenant: TenantId, _: CreditDue) -> Result<(), Outcome> {
    let grant = tools.grant::<EndPoints>(tenant)?;
    let mall = tools.mall(tenant).await?;
    loop {
        let mut tx = tools.db.write(&grant).await?;
        let ended = leaving::end_due(&mut tx, &grant, mall.tenant.zone, SLICE).await;
        let ended = ended.map_err(outcome)?;
        tx.commit().await?;
        if ended == Ended::default() {
            break;
        }
        let Ended {
            merchants,
            members,
            points,
        } = ended;
        info!(
            tenant.id = %tenant, merchants, members, points,
            "Ended {points} points of {members} members in {tenant}; {merchants} merchants have left"
        );
    }
    let grant = tools.grant::<EvaluateCredit>(tenant)?;
    let mut tx = tools.db.write(&grant).await?;
    let (rules, currency) = (&mall.settlement.credit, mall.tenant.currency);
    let lights = lights::look(&mut tx, &grant, rules, currency).await;
    let lights = lights.map_err(outcome)?;
    tx.commit().await?;
    if lights > 0 {
        info!(tenant.id = %tenant, lights, "Changed {lights} lights of merchants in {tenant}");
    }
    Ok(())
}

fn outcome(error: CreditError) -> Outcome {
    match error {
        CreditError::Db(error) => error.into(),
        other => Outcome::Fail(other.to_string()),
    }
}
