//! The door for work that nobody is waiting for: it opens a transaction with the house's own grant
//! and calls one use case, as a request would.
//!
//! [`run`] keeps three things going until the server stops: the relay, the worker and the
//! [`schedule`]. A room that has jobs gets a short file here, such as `queue.rs`, and one line in
//! [`handlers`]. A handler takes its grant from [`Tools::grant`], opens a transaction, calls one use
//! case and commits; it is safe to run twice.

mod audit;
mod credit;
mod earning;
mod identity;
mod notify;
mod onboarding;
mod queue;
mod redemption;
pub mod schedule;
mod settlement;
mod stripe;

use std::{future::Future, sync::Arc};

use futures_util::FutureExt;

use crate::{
    app::{Mall, MallError},
    authz::{action::Action, actor::Principal, grant::Grant, policy::Policy},
    db::Db,
    gateway::{files::Files, mail::Mailer, sms::Sms, stripe::Stripe},
    kernel::ids::TenantId,
    queue::{
        Bell, relay,
        worker::{self, Handlers, Outcome, Settings},
    },
};

/// What a job's handler works with. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The way to SQL.
    pub db: Db,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// To be rung after a commit that enqueued something.
    pub bell: Bell,
    /// Who takes letters.
    pub mailer: Mailer,
    /// Who takes short messages.
    pub sms: Sms,
    /// The malls' accounts at Stripe.
    pub stripe: Stripe,
    /// Where files are kept that people send.
    pub files: Files,
    /// How the outside reaches this house, for links in letters.
    pub base_url: Option<String>,
}

impl Tools {
    /// The house's own right to `A` in this mall.
    ///
    /// # Errors
    /// [`Outcome::Fail`] where the policy does not give it to the house.
    pub fn grant<A: Action>(&self, tenant: TenantId) -> Result<Grant<A>, Outcome> {
        self.policy
            .allow::<A>(&Principal::system(tenant))
            .map_err(|denied| Outcome::Fail(denied.to_string()))
    }

    /// The mall with its programme, as it is now.
    ///
    /// # Errors
    /// [`Outcome::Retry`] where the database is away; [`Outcome::Fail`] where there is no such mall
    /// or its programme cannot be read.
    pub async fn mall(&self, tenant: TenantId) -> Result<Mall, Outcome> {
        let Some(known) = self.db.tenant_of_id(tenant).await? else {
            return Err(Outcome::Fail("there is no such mall".to_owned()));
        };
        let read = Mall::read(&self.db, &self.policy, Arc::new(known)).await;
        read.map_err(|error| match error {
            MallError::Db(error) => error.into(),
            other => Outcome::Fail(other.to_string()),
        })
    }
}

/// Which job is done how. What has no line here waits in the table until a program has it.
pub fn handlers(tools: &Tools) -> Handlers {
    let (tidying, expiring, lapsing) = (tools.clone(), tools.clone(), tools.clone());
    let (confirming, listing) = (tools.clone(), tools.clone());
    let (looking, sending, following) = (tools.clone(), tools.clone(), tools.clone());
    let (inviting, coding) = (tools.clone(), tools.clone());
    let (telling, clearing, sealing) = (tools.clone(), tools.clone(), tools.clone());
    Handlers::default()
        .on(move |mall, job| queue::tidy(tidying.clone(), mall, job))
        .on(move |mall, job| earning::expire(expiring.clone(), mall, job))
        .on(move |mall, job| redemption::lapse(lapsing.clone(), mall, job))
        .on(move |mall, job| settlement::confirm(confirming.clone(), mall, job))
        .on(move |mall, job| settlement::list(listing.clone(), mall, job))
        .on(move |mall, job| credit::look(looking.clone(), mall, job))
        .on(move |mall, job| notify::send(sending.clone(), mall, job))
        .on(move |mall, job| identity::send(inviting.clone(), mall, job))
        .on(move |mall, job| identity::tell(coding.clone(), mall, job))
        .on(move |mall, job| onboarding::tell(telling.clone(), mall, job))
        .on(move |mall, job| onboarding::tidy(clearing.clone(), mall, job))
        .on(move |mall, job| audit::seal(sealing.clone(), mall, job))
        .on(move |mall, job| stripe::follow(following.clone(), mall, job))
}

/// Relays, works and schedules until `stop`, then ends the jobs under way and returns.
pub async fn run(
    tools: Tools,
    handlers: Handlers,
    settings: Settings,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let stop = stop.boxed().shared();
    let Tools {
        db, policy, bell, ..
    } = tools;
    tokio::join!(
        relay::run(db.clone(), policy.clone(), bell.clone(), stop.clone()),
        worker::run(db.clone(), handlers, settings, stop.clone()),
        schedule::run(db, policy, bell, stop),
    );
}
