//! What Stripe says, and what follows from it.

use super::{
    Leg, LegKind, LegState, ask_for,
    course::{Note, Seen, Standing, see},
    lock_with_settlement,
    plan::Wanted,
    store,
};
use crate::{
    authz::{action::FollowStripe, grant::Grant},
    db::{self, tx::Tx},
    gateway::stripe::{
        ToldInvoice, ToldTransfer,
        event::{About, Event},
    },
    kernel::{ids::LegId, text::StripeAccount},
    settlement::{
        Settlement,
        paying::{self, Method, PaymentState},
    },
};

/// The kind of event that is told by its name and not by what it is about.
const PAYMENT_FAILED: &str = "invoice.payment_failed";

/// What came of something that Stripe said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It was news.
    Applied,
    /// All of it was known.
    NothingNew,
    /// It is about nothing of this mall's.
    Foreign,
    /// It says that it is about a leg of ours, and is another invoice or transfer than that leg's.
    OtherObject,
    /// It is about something that we do not ask for.
    Ignored,
    /// It was heard before.
    Known,
}

impl Heard {
    /// As the table writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::NothingNew => "nothing-new",
            Self::Foreign => "foreign",
            Self::OtherObject => "other-object",
            Self::Ignored => "ignored",
            Self::Known => "known",
        }
    }
}

/// Writes down what Stripe said, once, and what follows from it.
///
/// # Errors
/// [`db::Error`].
pub async fn hear(
    tx: &mut Tx,
    _grant: &Grant<FollowStripe>,
    event: &Event,
) -> Result<Heard, db::Error> {
    let marks = event.about.marks();
    let ours = marks.mall == tx.tenant().to_string();
    let leg: Option<LegId> = marks.leg.parse().ok().filter(|_| ours);
    let locked = match leg {
        Some(leg) => lock_with_settlement(tx, leg).await?,
        None => None,
    };
    if store::is_known(tx, &event.id).await? {
        return Ok(Heard::Known);
    }
    let leg = locked.as_ref().map(|(_, leg)| leg.id);
    let heard = match (locked, &event.about) {
        (_, About::Other(_)) => Heard::Ignored,
        (None, _) => Heard::Foreign,
        (Some((mut settlement, leg)), about) => {
            apply(tx, &mut settlement, leg, event, about).await?
        }
    };
    if store::insert_event(tx, event, leg, heard).await? {
        Ok(heard)
    } else {
        Ok(Heard::Known)
    }
}

async fn apply(
    tx: &mut Tx,
    settlement: &mut Settlement,
    leg: Leg,
    event: &Event,
    about: &About,
) -> Result<Heard, db::Error> {
    let (id, seen, note) = match (about, leg.kind) {
        (About::Invoice(told), LegKind::Invoice) => {
            let (seen, note) = of_invoice(&leg, told);
            let failed = event.kind == PAYMENT_FAILED && seen == Seen::Open;
            (
                &told.id,
                seen,
                note.max(failed.then_some(Note::PaymentFailed)),
            )
        }
        (About::Transfer(told), LegKind::Transfer) => {
            let (seen, note) = of_transfer(&leg, told);
            (&told.id, seen, note)
        }
        _ => return Ok(Heard::OtherObject),
    };
    if leg.stripe_id.as_ref().is_some_and(|known| known != id) {
        return Ok(Heard::OtherObject);
    }
    let before = (leg.state, leg.problem.clone(), leg.stripe_id.clone());
    let after = observe(tx, settlement, leg, id, (seen, note)).await?;
    let after = (after.state, after.problem, after.stripe_id);
    Ok(if before == after {
        Heard::NothingNew
    } else {
        Heard::Applied
    })
}

/// What an invoice's figures say of the leg that it is.
pub(super) fn of_invoice(leg: &Leg, told: &ToldInvoice) -> (Seen, Option<Note>) {
    let asked = told.total == leg.amount && told.currency == leg.currency;
    match told.status.as_str() {
        "open" | "uncollectible" | "paid" if !asked => (Seen::Otherwise, None),
        "open" => (Seen::Open, None),
        "uncollectible" => (Seen::Open, Some(Note::Uncollectible)),
        "paid" if told.amount_paid == leg.amount => (Seen::Done, None),
        "paid" => (Seen::Otherwise, None),
        "void" => (Seen::Void, None),
        _ => (Seen::Draft, None),
    }
}

/// What a transfer's figures say of the leg that it is.
pub(super) fn of_transfer(leg: &Leg, told: &ToldTransfer) -> (Seen, Option<Note>) {
    let there = leg.account.as_ref().map(StripeAccount::as_str);
    let asked = told.amount == leg.amount
        && told.currency == leg.currency
        && (told.destination.is_none() || told.destination.as_deref() == there);
    let back = (told.amount_reversed != 0).then_some(Note::Reversed);
    (if asked { Seen::Done } else { Seen::Otherwise }, back)
}

/// Folds what Stripe said of a leg into what is known, and does what follows from it: of a paid invoice,
/// what the operator receives is paid and the rest is to be transferred; what was transferred is paid.
pub(super) async fn observe(
    tx: &mut Tx,
    settlement: &mut Settlement,
    mut leg: Leg,
    id: &str,
    (seen, note): (Seen, Option<Note>),
) -> Result<Leg, db::Error> {
    let before = Standing {
        state: leg.state,
        note: leg.problem.as_deref().and_then(Note::parse),
    };
    let after = see(leg.kind, before, seen, note);
    // A draft is not yet what was asked for; it may be begun anew.
    let named = leg.stripe_id.is_none() && seen != Seen::Draft;
    if after == before && !named {
        return Ok(leg);
    }
    if after.state != before.state || after.note != before.note {
        leg.problem = after.note.map(|note| note.as_str().to_owned());
    }
    leg.state = after.state;
    leg.stripe_id = leg.stripe_id.or_else(|| named.then(|| id.to_owned()));
    leg.changed_at = tx.now();
    store::update(tx, &leg).await?;
    if after.state != before.state && after.state.is_done() {
        follow(tx, settlement, &leg).await?;
    }
    Ok(leg)
}

/// What follows from money that moved, for each payment that is still due.
async fn follow(tx: &mut Tx, settlement: &mut Settlement, leg: &Leg) -> Result<(), db::Error> {
    let reference = leg.stripe_id.clone().unwrap_or_default();
    for payment in paying::all(tx, leg.settlement).await? {
        if !leg.lines.contains(&payment.line) || payment.state != PaymentState::Due {
            continue;
        }
        let onward = Wanted::transfer(&payment).filter(|_| leg.state == LegState::Paid);
        match onward {
            Some(wanted) => ask_for(tx, leg.settlement, &wanted, &leg.currency, None).await?,
            None => {
                paying::write_down(tx, settlement, payment, Method::Stripe, &reference).await?;
            }
        }
    }
    Ok(())
}
