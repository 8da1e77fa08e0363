//! The life of an invoice or a transfer at Stripe, pure: which act leads from which state to which,
//! and what each thing that Stripe says leaves of it.
//!
//! Stripe says the same things more than once and in any order, and so do our own calls' answers.
//! What it says is therefore folded by rank: nothing that is known takes back what ranks higher, and
//! whatever the order, the end is the same.
//!
//! Source: settlement.md, section 6; trust.md, EXT-2.

use std::fmt;

use thiserror::Error;

/// What goes through Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegKind {
    /// Money from whoever pays, to the operator's account there.
    Invoice,
    /// Money from there to whoever receives.
    Transfer,
}

impl LegKind {
    const ALL: [Self; 2] = [Self::Invoice, Self::Transfer];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::Transfer => "transfer",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How far an invoice or a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegState {
    /// It is to be made, perhaps after a try that failed.
    Requested,
    /// Stripe is being asked for it.
    Sending,
    /// The invoice waits for its payer.
    Open,
    /// It is to be ended, and Stripe has not said so yet.
    Cancelling,
    /// The invoice was paid, to the unit.
    Paid,
    /// The transfer was made.
    Sent,
    /// Another amount was paid or sent than was asked for: nothing is recorded of it.
    Mismatch,
    /// It was given up; somebody has to look.
    Failed,
    /// It was ended, and moves no money.
    Void,
}

impl LegState {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Requested,
        Self::Sending,
        Self::Open,
        Self::Cancelling,
        Self::Paid,
        Self::Sent,
        Self::Mismatch,
        Self::Failed,
        Self::Void,
    ];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Sending => "sending",
            Self::Open => "open",
            Self::Cancelling => "cancelling",
            Self::Paid => "paid",
            Self::Sent => "sent",
            Self::Mismatch => "mismatch",
            Self::Failed => "failed",
            Self::Void => "void",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether its payments wait for it, so that they cannot be made in another way.
    pub fn holds(self) -> bool {
        match self {
            Self::Requested | Self::Sending | Self::Open | Self::Cancelling | Self::Failed => true,
            Self::Paid | Self::Sent | Self::Mismatch | Self::Void => false,
        }
    }

    /// Whether its money is where it should be.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Paid | Self::Sent)
    }
}

/// What is done with an invoice or a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Ask Stripe for it.
    Send,
    /// It did not work this time.
    PutOff,
    /// It will not work.
    GiveUp,
    /// Somebody asks for another try, or for a look.
    Retry,
    /// Somebody asks for its end.
    Cancel,
    /// Nothing was asked of Stripe yet, or Stripe has nothing of it.
    Drop,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Send,
        Self::PutOff,
        Self::GiveUp,
        Self::Retry,
        Self::Cancel,
        Self::Drop,
    ];
}

/// An act at a moment at which it cannot be done; the message says what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub struct OutOfStep {
    /// What was asked for.
    pub act: Act,
    /// How far it is.
    pub state: LegState,
}

impl fmt::Display for OutOfStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.state {
            LegState::Requested => "it waits to be sent: the house does that by itself",
            LegState::Sending => {
                "Stripe is being asked for it at this moment: try again in a minute"
            }
            LegState::Open => "the invoice waits for its payer: it can be cancelled",
            LegState::Cancelling => "it is being cancelled: the house does that by itself",
            LegState::Paid => "the invoice is paid: what is wrong with that is put right at Stripe",
            LegState::Sent => {
                "the transfer was made: what is wrong with that is put right at Stripe"
            }
            LegState::Mismatch => {
                "another amount was moved than was asked for: put it right at Stripe, and record \
                 the payment in the way in which it was made"
            }
            LegState::Failed => "it was given up: it can be tried again, or cancelled",
            LegState::Void => "it was cancelled: ask for the settlement's payments again",
        })
    }
}

/// Where an act leads.
///
/// # Errors
/// [`OutOfStep`] for what cannot be done then.
pub fn step(from: LegState, act: Act) -> Result<LegState, OutOfStep> {
    use LegState::{Cancelling, Failed, Mismatch, Open, Requested, Sending, Void};
    match (act, from) {
        (Act::Send, Requested | Sending) => Ok(Sending),
        (Act::PutOff, Sending) | (Act::Retry, Requested | Failed) => Ok(Requested),
        (Act::GiveUp, Sending | Cancelling) => Ok(Failed),
        (Act::Retry, Open) => Ok(Open),
        (Act::Retry, Mismatch) => Ok(Mismatch),
        (Act::PutOff | Act::Retry, Cancelling)
        | (Act::Cancel, Requested | Open | Failed | Cancelling) => Ok(Cancelling),
        (Act::Drop, Requested | Cancelling) | (Act::Cancel, Void) => Ok(Void),
        (act, state) => Err(OutOfStep { act, state }),
    }
}

/// Something besides that Stripe says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// A payment of the open invoice did not come through.
    PaymentFailed,
    /// The operator wrote the invoice off there; it can still be paid or cancelled.
    Uncollectible,
    /// Money of the transfer was taken back there.
    Reversed,
}

impl Note {
    const ALL: [Self; 3] = [Self::PaymentFailed, Self::Uncollectible, Self::Reversed];

    /// As the table and the API write it, as a problem.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PaymentFailed => "payment-failed",
            Self::Uncollectible => "uncollectible",
            Self::Reversed => "reversed",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|note| note.as_str() == text)
    }
}

/// What Stripe says of an invoice or a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// It is there, and nobody sees it yet.
    Draft,
    /// It waits for its payer.
    Open,
    /// It was ended.
    Void,
    /// Another amount, or another currency.
    Otherwise,
    /// Just what was asked for is paid, or sent.
    Done,
}

/// How far it is, and what Stripe said besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// How far.
    pub state: LegState,
    /// What else.
    pub note: Option<Note>,
}

/// What is known after Stripe said something, whatever was said before and in which order.
pub fn see(kind: LegKind, before: Standing, seen: Seen, note: Option<Note>) -> Standing {
    let known = match before.state {
        LegState::Paid | LegState::Sent => Some(Seen::Done),
        LegState::Mismatch => Some(Seen::Otherwise),
        LegState::Void => Some(Seen::Void),
        LegState::Open | LegState::Cancelling => Some(Seen::Open),
        LegState::Requested | LegState::Sending | LegState::Failed => None,
    };
    let state = match (known.max(Some(seen)), kind) {
        (Some(Seen::Done), LegKind::Invoice) => LegState::Paid,
        (Some(Seen::Done), LegKind::Transfer) => LegState::Sent,
        (Some(Seen::Otherwise), _) => LegState::Mismatch,
        (Some(Seen::Void), _) => LegState::Void,
        (Some(Seen::Open), _) if before.state != LegState::Cancelling => LegState::Open,
        _ => before.state,
    };
    let notes = before.note.max(note);
    let note = match state {
        LegState::Open | LegState::Cancelling => notes,
        LegState::Sent => notes.filter(|note| *note == Note::Reversed),
        _ => None,
    };
    Standing { state, note }
}

#[cfg(test)]
mod tests;
