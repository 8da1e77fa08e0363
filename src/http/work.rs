//! Acts on the books that many tills want at once: done once for each idempotency key, and tried
//! again in a new transaction where somebody else was faster.

use std::future::Future;

use poem_openapi::types::ToJSON;

use super::{
    admit::Caller,
    idempotency::{Begun, IdempotencyKey, Once},
    problem::Problem,
    reply::Written,
};
use crate::{authz::action::Action, db::tx::Tx};

/// How often a transaction is begun for one request.
const TRIES: u32 = 3;

/// What an act came to, and the status that says so.
#[derive(Debug)]
pub struct Done<T> {
    status: u16,
    answer: T,
}

impl<T> Done<T> {
    /// Something that was made: 201.
    pub fn made(answer: T) -> Self {
        let status = 201;
        Self { status, answer }
    }

    /// Something that was recorded: 201, or 200 where it had been recorded before.
    pub fn recorded(before: bool, answer: T) -> Self {
        let status = if before { 200 } else { 201 };
        Self { status, answer }
    }

    /// Something that was there and is otherwise now: 200.
    pub fn changed(answer: T) -> Self {
        let status = 200;
        Self { status, answer }
    }
}

impl<T: ToJSON> Done<T> {
    /// As it goes out.
    pub(super) fn written(&self) -> Written {
        Written::new(self.status, self.answer.to_json_string())
    }
}

/// An act that can be done anew in a new transaction.
pub trait Work: Sync {
    /// What is answered.
    type Answer: ToJSON + Send;

    /// Does it; nothing is durable yet.
    ///
    /// # Errors
    /// Refusals, and `try-again` where the whole transaction may be tried again.
    fn run(&self, tx: &mut Tx) -> impl Future<Output = Result<Done<Self::Answer>, Problem>> + Send;
}

/// Does `work` once under `key`, and answers what it came to or what was answered before. `R`
/// describes the statuses that the work answers with.
///
/// # Errors
/// The work's refusals; what [`Once::begin`] says; `try-again` after three tries, or after one that
/// waited in vain for what somebody holds.
pub async fn once<A: Action, W: Work, R: From<Written>>(
    caller: &Caller<A>,
    key: &IdempotencyKey,
    digest: &[u8],
    work: &W,
) -> Result<R, Problem> {
    let mut tried = 1;
    loop {
        match attempt(caller, key, digest, work).await {
            Err(problem) if problem.is_worth_another_try() && tried < TRIES => {
                tried = tried.saturating_add(1);
            }
            outcome => return outcome.map(R::from),
        }
    }
}

async fn attempt<A: Action, W: Work>(
    caller: &Caller<A>,
    key: &IdempotencyKey,
    digest: &[u8],
    work: &W,
) -> Result<Written, Problem> {
    let mut once = match Once::begin(caller, key, digest).await? {
        Begun::Fresh(once) => once,
        Begun::Answered(status, body) => return Ok(Written::again(status, body)),
    };
    let outcome = work.run(once.tx()).await;
    once.conclude(outcome.map(|done| (done.status, done.answer)))
        .await
}

/// Does `work` in a transaction that is rolled back: what it would come to.
///
/// # Errors
/// The work's refusals; `try-again` after three tries.
pub async fn rehearsed<A: Action, W: Work>(
    caller: &Caller<A>,
    work: &W,
) -> Result<W::Answer, Problem> {
    let mut tried = 1;
    loop {
        let mut tx = caller.db().write(&caller.grant).await?;
        let outcome = work.run(&mut tx).await;
        drop(tx);
        match outcome {
            Err(problem) if problem.is_worth_another_try() && tried < TRIES => {
                tried = tried.saturating_add(1);
            }
            Err(problem) => return Err(problem),
            Ok(done) => return Ok(done.answer),
        }
    }
}
