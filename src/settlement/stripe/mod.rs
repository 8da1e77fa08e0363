//! Payments that go through Stripe: invoices to whoever pays, transfers to whoever receives.
//!
//! Somebody asks that what is due of a settlement goes there ([`request`]): one invoice for each
//! merchant that pays, over all that it pays. When Stripe says that it is paid, what the operator
//! receives of it is made, and the rest is transferred, a transfer a payment; what the operator itself
//! pays is transferred at once. With its last leg a payment is recorded as if somebody had said so, and
//! the settlement closes with its last payment.
//!
//! Who does it asks first what is to be done ([`begin`]), commits, asks Stripe without any transaction
//! open, and writes down what came of it ([`record`]). Where it dies between the two, Stripe is asked
//! again under the same key. What Stripe says by itself is written down by [`hear`], whether or not we
//! know its answer yet: our own ids in its `metadata` say what it is about. All of it is folded by rank
//! ([`course::see`]), so that order and repetition make no difference. Everything that touches a leg
//! locks its settlement first.

mod asking;
pub mod course;
mod hearing;
mod plan;
mod store;

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

pub use asking::{Answer, Doing, Task, Tried, begin, know_customer, record};
pub use course::{LegKind, LegState};
pub use hearing::{Heard, hear};

use super::{
    SettlementError, State, paying,
    period::{self, OutOfTurn},
    store as settlements, whole_mall, within,
};
use crate::{
    audit::{self, Done, Field},
    authz::{
        action::{ReadSettlements, RecordPayment},
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    gateway::stripe::{Marks, unit},
    kernel::{
        AmountError,
        ids::{LegId, MerchantId, SettlementId},
        money::Currency,
        page::{CursorError, MOST, Page, Slice},
        text::{Code, StripeAccount},
        time::Instant,
    },
    merchants::{self, accounts, agreements, contacts},
    queue::{self, Job},
};
use course::{Act, OutOfStep, step};
use plan::{Wanted, plan};

/// How often a leg is tried before it counts as failed; with the worker's pauses that takes about half
/// a day, so that Stripe still knows the first try's key.
pub const TRIES: i32 = 12;

/// After how long a try that nobody ended is over: whoever made it is gone.
const OVER: TimeDelta = TimeDelta::hours(1);

/// How long merchants have to pay an invoice where they agreed on nothing else, in days.
const DUE_DAYS: i32 = 14;

/// An invoice or a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// Its id, by which Stripe's `metadata` knows it.
    pub id: LegId,
    /// Of which settlement.
    pub settlement: SettlementId,
    /// Which of the two.
    pub kind: LegKind,
    /// Who pays the invoice, or receives the transfer.
    pub merchant: MerchantId,
    /// What lists call that merchant.
    pub code: Option<Code>,
    /// The payments' numbers; of a transfer one.
    pub lines: Vec<i32>,
    /// Their sum, in minor units.
    pub amount: i64,
    /// In which currency, as Stripe writes it.
    pub currency: String,
    /// Until when an invoice is to be paid, in days.
    pub due_days: Option<i32>,
    /// To which account a transfer goes.
    pub account: Option<StripeAccount>,
    /// How far it is.
    pub state: LegState,
    /// How often somebody asked for something about it.
    pub round: i32,
    /// How often it was tried since then.
    pub attempts: i32,
    /// How many keys of it cannot be used any more.
    pub keys: i32,
    /// Why the last try failed, or what else Stripe said.
    pub problem: Option<String>,
    /// What Stripe calls it, once that is known.
    pub stripe_id: Option<String>,
    /// When it was asked for.
    pub created_at: Instant,
    /// When Stripe was asked first.
    pub begun_at: Option<Instant>,
    /// When it changed last.
    pub changed_at: Instant,
}

impl Leg {
    /// What it is, in `metadata`.
    fn marks(&self, tx: &ReadTx) -> Marks {
        Marks {
            mall: tx.tenant().to_string(),
            settlement: self.settlement.to_string(),
            leg: self.id.to_string(),
            merchant: self.merchant.to_string(),
        }
    }

    /// What is asked for under the same key, Stripe does once.
    fn key(&self) -> String {
        format!("{}-{}-{}", self.id, self.round, self.keys)
    }

    /// The job that does what is next.
    fn job(&self) -> FollowLeg {
        FollowLeg {
            leg: self.id.uuid(),
            round: self.round,
        }
    }
}

/// Do with an invoice or a transfer what is next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowLeg {
    /// Which one.
    pub leg: Uuid,
    /// In which round.
    pub round: i32,
}

impl Job for FollowLeg {
    const NAME: &'static str = "stripe.follow";

    fn dedup(&self) -> String {
        format!("{}:{}", self.leg, self.round)
    }
}

/// What a merchant lacks for money to go through Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lacks {
    /// An address to which invoices are sent.
    Email,
    /// An account to which transfers go.
    Account,
}

/// A merchant that lacks something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Which one.
    pub merchant: MerchantId,
    /// What lists call it.
    pub code: Code,
    /// What it lacks.
    pub what: Lacks,
}

/// Why something about Stripe is refused.
#[derive(Debug, Error)]
pub enum StripeError {
    /// No such settlement, or none within reach.
    #[error("there is no such settlement")]
    UnknownSettlement,
    /// No such invoice or transfer, or none within reach.
    #[error("there is no such invoice or transfer")]
    UnknownLeg,
    /// Payments that are not fixed yet.
    #[error(transparent)]
    OutOfTurn(#[from] OutOfTurn),
    /// Something that cannot be done with it as it is.
    #[error(transparent)]
    OutOfStep(#[from] OutOfStep),
    /// A currency whose minor unit is another one to Stripe.
    #[error("Stripe counts the mall's currency otherwise than the books")]
    Currency,
    /// Merchants without what Stripe needs to know; nothing was sent.
    #[error("merchants lack what Stripe needs: {}", names(.0))]
    Incomplete(Vec<Missing>),
    /// A sum that no amount can be.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// "tea, cinema".
fn names(missing: &[Missing]) -> String {
    let mut codes: Vec<&str> = missing.iter().map(|one| one.code.as_str()).collect();
    codes.dedup();
    codes.join(", ")
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requested {
    /// Invoices that are new.
    pub invoices: usize,
    /// Transfers that are new.
    pub transfers: usize,
}

/// Has everything that is due of a confirmed settlement go through Stripe, but for what goes there
/// already. Said again it changes nothing.
///
/// # Errors
/// [`StripeError::UnknownSettlement`], [`StripeError::OutOfTurn`], [`StripeError::Currency`];
/// [`StripeError::Incomplete`] with every merchant that lacks something, and nothing is asked for.
pub async fn request(
    tx: &mut Tx,
    grant: &Grant<RecordPayment>,
    id: SettlementId,
    currency: Currency,
) -> Result<Requested, StripeError> {
    whole_mall(grant.reach()).map_err(|_| StripeError::UnknownSettlement)?;
    let found = settlements::lock_id(tx, id).await?;
    let settlement = found.ok_or(StripeError::UnknownSettlement)?;
    if settlement.state != State::Closed {
        period::step(Some(settlement.state), period::Act::RecordPayment)?;
    }
    let unit = unit(currency).ok_or(StripeError::Currency)?;
    let payments = paying::all(tx, id).await?;
    let plan = plan(&payments, &store::of_settlement(tx, id).await?)?;
    let missing = missing(tx, &plan).await?;
    if !missing.is_empty() {
        return Err(StripeError::Incomplete(missing));
    }
    let now = tx.now();
    let days = agreements::accepted_before(tx, now).await?;
    let mut requested = Requested {
        invoices: 0,
        transfers: 0,
    };
    for wanted in &plan.wanted {
        let count = match wanted.kind {
            LegKind::Invoice => &mut requested.invoices,
            LegKind::Transfer => &mut requested.transfers,
        };
        *count = count.saturating_add(1);
        let agreed = days
            .get(&wanted.merchant)
            .and_then(|versions| versions.last());
        let agreed = agreed.and_then(|agreement| agreement.terms.payment_days);
        let agreed = agreed.and_then(|days| i32::try_from(days).ok());
        ask_for(tx, id, wanted, &unit.to_string(), agreed).await?;
    }
    if !plan.wanted.is_empty() {
        let done = Done::to(audit::Act::StripeRequested, id).is(Field::Count, plan.wanted.len());
        audit::record(tx, done).await?;
    }
    Ok(requested)
}

/// Who of a plan lacks what Stripe needs.
async fn missing(tx: &mut ReadTx, plan: &plan::Plan) -> Result<Vec<Missing>, db::Error> {
    let invoices = plan.wanted.iter();
    let invoices = invoices.filter(|wanted| wanted.kind == LegKind::Invoice);
    let payers: Vec<MerchantId> = invoices.map(|wanted| wanted.merchant).collect();
    let reached = contacts::with_contact(tx, &payers).await?;
    let paid = accounts::accounts_of(tx, &plan.receivers).await?;
    let silent = payers.iter().filter(|payer| !reached.contains(payer));
    let nowhere = plan.receivers.iter();
    let nowhere = nowhere.filter(|receiver| !paid.contains_key(receiver));
    let mut lacking: Vec<(MerchantId, Lacks)> = silent
        .map(|merchant| (*merchant, Lacks::Email))
        .chain(nowhere.map(|merchant| (*merchant, Lacks::Account)))
        .collect();
    lacking.sort_unstable();
    let ids: Vec<MerchantId> = lacking.iter().map(|(merchant, _)| *merchant).collect();
    let called = merchants::called(tx, &ids).await?;
    let named = lacking.into_iter().filter_map(|(merchant, what)| {
        let code = called.get(&merchant)?.code.clone();
        Some(Missing {
            merchant,
            code,
            what,
        })
    });
    Ok(named.collect())
}

/// Writes down what is to be asked for, and the job.
async fn ask_for(
    tx: &mut Tx,
    settlement: SettlementId,
    wanted: &Wanted,
    currency: &str,
    due_days: Option<i32>,
) -> Result<(), db::Error> {
    let is_invoice = wanted.kind == LegKind::Invoice;
    let leg = Leg {
        id: tx.new_id(),
        settlement,
        kind: wanted.kind,
        merchant: wanted.merchant,
        code: None,
        lines: wanted.lines.clone(),
        amount: wanted.amount,
        currency: currency.to_owned(),
        due_days: is_invoice.then(|| due_days.unwrap_or(DUE_DAYS)),
        account: None,
        state: LegState::Requested,
        round: 0,
        attempts: 0,
        keys: 0,
        problem: None,
        stripe_id: None,
        created_at: tx.now(),
        begun_at: None,
        changed_at: tx.now(),
    };
    store::insert(tx, &leg).await?;
    queue::enqueue(tx, &leg.job()).await
}

/// The invoices and transfers of a settlement in the order in which they were asked for; a merchant
/// sees the invoices that it pays and the transfers that it receives.
///
/// # Errors
/// [`SettlementError::NotFound`], [`SettlementError::Cursor`].
pub async fn legs(
    tx: &mut ReadTx,
    grant: &Grant<ReadSettlements>,
    id: SettlementId,
    slice: &Slice,
) -> Result<Page<Leg>, SettlementError> {
    let only = within(grant.reach())?;
    let found = settlements::by_id(tx, id).await?;
    let settlement = found.ok_or(SettlementError::NotFound)?;
    let after = match &slice.after {
        Some(key) => key.parse().map_err(|_| CursorError)?,
        None => LegId::from_uuid(Uuid::nil()),
    };
    let limit = slice.limit.clamp(1, MOST);
    let rows = store::after(tx, settlement.id, only, after, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.id.to_string()))
}

/// Has what was given up tried again, under a new key; of what is open or does not fit, has Stripe
/// asked how it is.
///
/// # Errors
/// [`StripeError::UnknownLeg`], [`StripeError::OutOfStep`].
pub async fn retry(
    tx: &mut Tx,
    grant: &Grant<RecordPayment>,
    id: LegId,
) -> Result<Leg, StripeError> {
    let mut leg = lock(tx, grant, id).await?;
    let before = leg.state.as_str();
    leg.state = step(leg.state, Act::Retry)?;
    let done = Done::to(audit::Act::StripeRetried, id);
    audit::record(tx, done.changed(Field::State, before, leg.state.as_str())).await?;
    again(tx, leg).await
}

/// Ends an invoice that nobody has paid, or a transfer that was not made; then its payments can be made
/// in another way. Said again it changes nothing.
///
/// # Errors
/// [`StripeError::UnknownLeg`], [`StripeError::OutOfStep`].
pub async fn cancel(
    tx: &mut Tx,
    grant: &Grant<RecordPayment>,
    id: LegId,
) -> Result<Leg, StripeError> {
    let mut leg = lock(tx, grant, id).await?;
    let before = leg.state;
    // Of what nobody asked Stripe for there is nothing to end there.
    let act = match before {
        LegState::Requested if leg.begun_at.is_none() => Act::Drop,
        _ => Act::Cancel,
    };
    leg.state = step(before, act)?;
    if leg.state != before {
        let (before, after) = (before.as_str(), leg.state.as_str());
        let done = Done::to(audit::Act::StripeCancelled, id);
        audit::record(tx, done.changed(Field::State, before, after)).await?;
    }
    match leg.state {
        LegState::Void if before == LegState::Void => Ok(leg),
        LegState::Void => {
            leg.changed_at = tx.now();
            store::update(tx, &leg).await?;
            Ok(leg)
        }
        _ => again(tx, leg).await,
    }
}

/// A leg, locked with its settlement, for whoever may record payments.
async fn lock(tx: &mut Tx, grant: &Grant<RecordPayment>, id: LegId) -> Result<Leg, StripeError> {
    whole_mall(grant.reach()).map_err(|_| StripeError::UnknownLeg)?;
    let found = lock_with_settlement(tx, id).await?;
    let mut leg = found.ok_or(StripeError::UnknownLeg)?.1;
    let since = tx.now().signed_duration_since(leg.changed_at);
    if leg.state == LegState::Sending && since > OVER {
        leg.state = step(leg.state, Act::PutOff)?;
    }
    Ok(leg)
}

/// A leg and its settlement, both locked until the transaction ends, the settlement first.
async fn lock_with_settlement(
    tx: &mut Tx,
    id: LegId,
) -> Result<Option<(super::Settlement, Leg)>, db::Error> {
    let Some(settlement) = store::settlement_of(tx, id).await? else {
        return Ok(None);
    };
    let settlement = settlements::lock_id(tx, settlement).await?;
    let leg = store::lock(tx, id).await?;
    Ok(settlement.zip(leg))
}

/// Begins another round of a leg.
async fn again(tx: &mut Tx, mut leg: Leg) -> Result<Leg, StripeError> {
    leg.round = leg.round.saturating_add(1);
    leg.attempts = 0;
    leg.changed_at = tx.now();
    store::update(tx, &leg).await?;
    queue::enqueue(tx, &leg.job()).await?;
    Ok(leg)
}

/// The payments of a settlement that wait for Stripe, so that they cannot be made in another way.
pub(super) async fn held(tx: &mut ReadTx, id: SettlementId) -> Result<BTreeSet<i32>, db::Error> {
    lines_where(tx, id, LegState::holds).await
}

/// The payments of a settlement of which anything went or goes through Stripe.
pub(super) async fn engaged(tx: &mut ReadTx, id: SettlementId) -> Result<BTreeSet<i32>, db::Error> {
    lines_where(tx, id, |state| state != LegState::Void).await
}

async fn lines_where(
    tx: &mut ReadTx,
    id: SettlementId,
    counts: impl Fn(LegState) -> bool,
) -> Result<BTreeSet<i32>, db::Error> {
    let legs = store::of_settlement(tx, id).await?;
    let legs = legs.into_iter().filter(|leg| counts(leg.state));
    Ok(legs.flat_map(|leg| leg.lines).collect())
}
