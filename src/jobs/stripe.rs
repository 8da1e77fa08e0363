//! Asks Stripe: reads what is next, lets the database go, asks, and writes down what came of it.

use tracing::{info, warn};

use super::Tools;
use crate::{
    authz::{action::FollowStripe, grant::Grant},
    gateway::stripe::{Account, Fault},
    kernel::ids::TenantId,
    queue::worker::Outcome,
    settlement::stripe::{self, Answer, Doing, FollowLeg, Task, Tried},
};

/// Tries what is next about an invoice or a transfer once.
pub(super) async fn follow(tools: Tools, tenant: TenantId, job: FollowLeg) -> Result<(), Outcome> {
    let grant = tools.grant::<FollowStripe>(tenant)?;
    let Some(mall) = tools.db.tenant_of_id(tenant).await? else {
        return Err(Outcome::Fail("there is no such mall".to_owned()));
    };
    let account = tools.stripe.of(&mall.slug);
    let mut tx = tools.db.write(&grant).await?;
    let task = stripe::begin(&mut tx, &grant, &job, account.is_some()).await?;
    tx.commit().await?;
    let Some((account, task)) = account.zip(task) else {
        return Ok(());
    };
    let answer = match customer(&tools, &grant, account, &task).await? {
        Ok(customer) => ask(account, &task, customer.as_deref()).await,
        Err(fault) => Err(fault),
    };
    let mut tx = tools.db.write(&grant).await?;
    let tried = stripe::record(&mut tx, &grant, &task, answer).await?;
    tx.commit().await?;
    tools.bell.ring(tenant);
    let leg = task.leg;
    match tried {
        Tried::Told(state) => {
            let state = state.as_str();
            info!(tenant.id = %tenant, leg.id = %leg, state, "Stripe says that {leg} of {tenant} is {state}");
            Ok(())
        }
        Tried::Later(why) => Err(Outcome::Retry(why)),
        Tried::Failed(why) => {
            // What Stripe says in words is in the mall's table, for those who may read it.
            let why = why.split(' ').next().unwrap_or_default().to_owned();
            warn!(tenant.id = %tenant, leg.id = %leg, problem = %why, "Gave up {leg} of {tenant}");
            Err(Outcome::Fail(why))
        }
    }
}

/// As which customer the merchant pays, written down; none where that makes no difference.
async fn customer(
    tools: &Tools,
    grant: &Grant<FollowStripe>,
    account: &Account,
    task: &Task,
) -> Result<Result<Option<String>, Fault>, Outcome> {
    let Doing::Invoice(wanted, _) = &task.doing else {
        return Ok(Ok(None));
    };
    let customer = match account.customer(wanted).await {
        Ok(customer) => customer,
        Err(fault) => return Ok(Err(fault)),
    };
    if wanted.known.as_ref() != Some(&customer) {
        let mut tx = tools.db.write(grant).await?;
        stripe::know_customer(&mut tx, grant, task, &customer).await?;
        tx.commit().await?;
    }
    Ok(Ok(Some(customer)))
}

/// Asks what is to be asked; no transaction is open.
async fn ask(account: &Account, task: &Task, customer: Option<&str>) -> Result<Answer, Fault> {
    match &task.doing {
        Doing::Invoice(_, invoice) => {
            let customer = customer.unwrap_or_default();
            account
                .invoice(customer, invoice)
                .await
                .map(Answer::Invoice)
        }
        Doing::Transfer(transfer) => account.transfer(transfer).await.map(Answer::Transfer),
        Doing::LookAtInvoice(id) => account.read_invoice(id).await.map(Answer::Invoice),
        Doing::LookAtTransfer(id) => account.read_transfer(id).await.map(Answer::Transfer),
        Doing::EndInvoice {
            known,
            customer,
            marks,
            key,
        } => {
            let (known, customer) = (known.as_deref(), customer.as_deref());
            let told = account.void(known, customer, marks, key).await?;
            Ok(told.map_or(Answer::Nothing, Answer::Invoice))
        }
        Doing::FindTransfer(marks) => {
            let told = account.find_transfer(marks).await?;
            Ok(told.map_or(Answer::Nothing, Answer::Transfer))
        }
    }
}
