//! One try: what is to be asked of Stripe, and what came of it.

use super::{
    Act, FollowLeg, Leg, LegKind, LegState, TRIES, hearing, lock_with_settlement, step, store,
};
use crate::{
    authz::{action::FollowStripe, grant::Grant},
    db::{self, tx::Tx},
    gateway::stripe::{Customer, Fault, Invoice, Item, Marks, ToldInvoice, ToldTransfer, Transfer},
    kernel::{
        ids::{LegId, MerchantId},
        time::Period,
    },
    merchants::{self, accounts, contacts},
    settlement::{Settlement, paying},
};

/// Why nothing can be sent at all, by words that are answered for a leg.
const OFF: &str = "stripe-is-off";
const NO_CONTACT: &str = "no-contact";
const NO_ACCOUNT: &str = "no-account";

/// What is to be asked of Stripe, once.
#[derive(Debug, Clone)]
pub struct Task {
    /// About which leg.
    pub leg: LegId,
    /// In which round.
    pub round: i32,
    /// Whose.
    pub merchant: MerchantId,
    /// What.
    pub doing: Doing,
}

/// What is asked.
#[derive(Debug, Clone)]
pub enum Doing {
    /// Make the invoice.
    Invoice(Box<Customer>, Box<Invoice>),
    /// Make the transfer.
    Transfer(Box<Transfer>),
    /// Say how the invoice is.
    LookAtInvoice(String),
    /// Say how the transfer is.
    LookAtTransfer(String),
    /// End the invoice, where there is one.
    EndInvoice {
        /// What Stripe calls it, where that is known.
        known: Option<String>,
        /// Whose invoices to look through.
        customer: Option<String>,
        /// What it is.
        marks: Marks,
        /// Under which key it is ended.
        key: String,
    },
    /// Say whether the transfer was made.
    FindTransfer(Marks),
}

/// What Stripe answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// An invoice.
    Invoice(ToldInvoice),
    /// A transfer.
    Transfer(ToldTransfer),
    /// There is nothing.
    Nothing,
}

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// Stripe answered.
    Told(LegState),
    /// It will be tried again.
    Later(String),
    /// It was given up.
    Failed(String),
}

/// What is to be asked for a job now, with this try counted; none where there is nothing to do, or
/// another round has begun, or it was given up because something is missing, without which Stripe need
/// not be asked. `on` says whether the mall has an account there.
///
/// # Errors
/// [`db::Error`].
pub async fn begin(
    tx: &mut Tx,
    _grant: &Grant<FollowStripe>,
    job: &FollowLeg,
    on: bool,
) -> Result<Option<Task>, db::Error> {
    let id = LegId::from_uuid(job.leg);
    let Some((settlement, mut leg)) = lock_with_settlement(tx, id).await? else {
        return Ok(None);
    };
    if leg.round != job.round {
        return Ok(None);
    }
    let sought = leg.begun_at.is_some();
    match leg.state {
        LegState::Requested | LegState::Sending | LegState::Cancelling if !on => {
            leg.state = step(leg.state, Act::Send).unwrap_or(leg.state);
            return give_up(tx, leg, OFF).await;
        }
        LegState::Requested | LegState::Sending => {
            leg.state = step(leg.state, Act::Send).unwrap_or(leg.state);
        }
        LegState::Open | LegState::Mismatch | LegState::Cancelling if on => {}
        _ => return Ok(None),
    }
    leg.attempts = leg.attempts.saturating_add(1);
    leg.begun_at = leg.begun_at.or(Some(tx.now()));
    leg.changed_at = tx.now();
    let doing = match (leg.state, leg.kind) {
        (LegState::Sending, LegKind::Invoice) => invoice(tx, &settlement, &leg, sought).await?,
        (LegState::Sending, LegKind::Transfer) => {
            transfer(tx, &mut leg, &settlement, sought).await?
        }
        (LegState::Cancelling, LegKind::Invoice) => Ok(Doing::EndInvoice {
            known: leg.stripe_id.clone(),
            customer: accounts::customer_of(tx, leg.merchant).await?,
            marks: leg.marks(tx),
            key: format!("{}-void", leg.key()),
        }),
        (LegState::Cancelling, LegKind::Transfer) => Ok(Doing::FindTransfer(leg.marks(tx))),
        (_, kind) => match (leg.stripe_id.clone(), kind) {
            (Some(known), LegKind::Invoice) => Ok(Doing::LookAtInvoice(known)),
            (Some(known), LegKind::Transfer) => Ok(Doing::LookAtTransfer(known)),
            (None, _) => return Ok(None),
        },
    };
    let doing = match doing {
        Ok(doing) => doing,
        Err(why) => return give_up(tx, leg, why).await,
    };
    store::update(tx, &leg).await?;
    Ok(Some(Task {
        leg: leg.id,
        round: leg.round,
        merchant: leg.merchant,
        doing,
    }))
}

/// Gives a leg up without a word to Stripe.
async fn give_up(tx: &mut Tx, mut leg: Leg, why: &str) -> Result<Option<Task>, db::Error> {
    leg.state = step(leg.state, Act::GiveUp).unwrap_or(leg.state);
    leg.problem = Some(why.to_owned());
    leg.changed_at = tx.now();
    store::update(tx, &leg).await?;
    Ok(None)
}

/// What a payment is called there.
fn purpose(period: Period) -> String {
    format!("points {period}")
}

async fn invoice(
    tx: &mut Tx,
    settlement: &Settlement,
    leg: &Leg,
    sought: bool,
) -> Result<Result<Doing, &'static str>, db::Error> {
    let Some(contact) = contacts::contact_of(tx, leg.merchant).await? else {
        return Ok(Err(NO_CONTACT));
    };
    let Ok(currency) = leg.currency.parse();
    let called = merchants::called(tx, &[leg.merchant]).await?;
    let name = called.get(&leg.merchant);
    let name = name.map_or_else(String::new, |called| {
        called.names.get(contact.language).to_owned()
    });
    let marks = leg.marks(tx);
    let customer = Customer {
        known: accounts::customer_of(tx, leg.merchant).await?,
        email: contact.email,
        name,
        marks: Marks {
            settlement: String::new(),
            leg: String::new(),
            ..marks.clone()
        },
    };
    let payments = paying::all(tx, leg.settlement).await?.into_iter();
    let items = payments
        .filter(|payment| leg.lines.contains(&payment.line))
        .map(|payment| Item {
            reference: payment.reference(),
            amount: payment.payment.amount,
            text: format!("{}, {}", purpose(settlement.period), payment.reference()),
        });
    let invoice = Invoice {
        key: leg.key(),
        sought,
        marks,
        currency,
        amount: leg.amount,
        due_days: leg
            .due_days
            .and_then(|days| days.try_into().ok())
            .unwrap_or(0),
        items: items.collect(),
    };
    Ok(Ok(Doing::Invoice(Box::new(customer), Box::new(invoice))))
}

/// The account is that of the round's first try: under one key Stripe is asked for one thing.
async fn transfer(
    tx: &mut Tx,
    leg: &mut Leg,
    settlement: &Settlement,
    sought: bool,
) -> Result<Result<Doing, &'static str>, db::Error> {
    if leg.attempts <= 1 || leg.account.is_none() {
        let found = accounts::accounts_of(tx, &[leg.merchant]).await?;
        leg.account = found.get(&leg.merchant).cloned();
    }
    let Some(account) = &leg.account else {
        return Ok(Err(NO_ACCOUNT));
    };
    let Ok(currency) = leg.currency.parse();
    let line = leg.lines.first().copied().unwrap_or_default();
    let reference = paying::reference(leg.settlement, line);
    Ok(Ok(Doing::Transfer(Box::new(Transfer {
        key: leg.key(),
        sought,
        marks: leg.marks(tx),
        currency,
        amount: leg.amount,
        to: account.as_str().to_owned(),
        text: format!("{}, {reference}", purpose(settlement.period)),
    }))))
}

/// Writes down as which customer a merchant pays: before its invoice is asked for, so that whatever
/// happens then, it can be found there.
///
/// # Errors
/// [`db::Error`].
pub async fn know_customer(
    tx: &mut Tx,
    _grant: &Grant<FollowStripe>,
    task: &Task,
    customer: &str,
) -> Result<(), db::Error> {
    accounts::set_customer(tx, task.merchant, customer).await
}

/// Writes down what came of a try. What Stripe told of an invoice or a transfer holds in whichever
/// round it was asked; that there is none, or that it failed, holds in its own alone.
///
/// # Errors
/// [`db::Error`].
pub async fn record(
    tx: &mut Tx,
    _grant: &Grant<FollowStripe>,
    task: &Task,
    answer: Result<Answer, Fault>,
) -> Result<Tried, db::Error> {
    let Some((mut settlement, mut leg)) = lock_with_settlement(tx, task.leg).await? else {
        return Err(db::Error::Corrupt("leg of a payment"));
    };
    let last = leg.attempts >= TRIES;
    let (why, for_ever, used_up) = match answer {
        Ok(Answer::Invoice(told)) => {
            let seen = hearing::of_invoice(&leg, &told);
            let leg = hearing::observe(tx, &mut settlement, leg, &told.id, seen).await?;
            return Ok(Tried::Told(leg.state));
        }
        Ok(Answer::Transfer(told)) => {
            let seen = hearing::of_transfer(&leg, &told);
            let leg = hearing::observe(tx, &mut settlement, leg, &told.id, seen).await?;
            return Ok(Tried::Told(leg.state));
        }
        Ok(Answer::Nothing) => {
            let ended = step(leg.state, Act::Drop);
            if let Ok(state) = ended
                && leg.round == task.round
            {
                leg.state = state;
                leg.problem = None;
                leg.changed_at = tx.now();
                store::update(tx, &leg).await?;
            }
            return Ok(Tried::Told(leg.state));
        }
        Err(Fault::Later(why)) => (why, last, false),
        Err(Fault::NotUnderThisKey(why)) => (why, last, true),
        Err(Fault::Refused(why) | Fault::Misconfigured(why)) => (why, true, false),
    };
    let act = if for_ever { Act::GiveUp } else { Act::PutOff };
    if leg.round == task.round {
        match step(leg.state, act) {
            Ok(state) => {
                leg.state = state;
                leg.problem = Some(why.clone());
            }
            // It is known better meanwhile, or was only looked at.
            Err(_) => return Ok(Tried::Told(leg.state)),
        }
        leg.keys = leg.keys.saturating_add(used_up.into());
        leg.changed_at = tx.now();
        store::update(tx, &leg).await?;
    }
    Ok(if for_ever {
        Tried::Failed(why)
    } else {
        Tried::Later(why)
    })
}
