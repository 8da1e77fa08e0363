//! Events and transfers: why something moved, and what.

use uuid::Uuid;

use super::account::Account;
use crate::{
    authz::actor::Actor,
    kernel::{
        ids::{JournalId, LotId, MemberId, MerchantId, StoreId},
        time::{Instant, Period},
    },
};

/// Why something moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A purchase earned points.
    Purchase,
    /// A refund took points back.
    Refund,
    /// Points paid part of a purchase.
    Spend,
    /// A refund gave points back that had paid.
    SpendReturn,
    /// A good was set aside.
    Reserve,
    /// A good was handed over.
    Claim,
    /// A reservation was given up.
    Cancel,
    /// A reservation was not fetched in time.
    Lapse,
    /// Points reached their last day.
    Expire,
    /// Somebody of the mall added points or took some by hand.
    Adjust,
    /// A period was closed.
    Settle,
    /// A merchant left the alliance, and its points ended with it.
    Exit,
    /// Money was kept for a merchant as security, or given back to it.
    Deposit,
    /// Money was paid in advance for points, or points were given for it.
    Prepay,
    /// A debt of a merchant was met by somebody else than itself.
    Cover,
}

impl Kind {
    /// As the journal and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Purchase => "purchase",
            Self::Refund => "refund",
            Self::Spend => "spend",
            Self::SpendReturn => "spend-return",
            Self::Reserve => "reserve",
            Self::Claim => "claim",
            Self::Cancel => "cancel",
            Self::Lapse => "lapse",
            Self::Expire => "expire",
            Self::Adjust => "adjust",
            Self::Settle => "settle",
            Self::Exit => "exit",
            Self::Deposit => "deposit",
            Self::Prepay => "prepay",
            Self::Cover => "cover",
        }
    }
}

/// Something that happened to one member, before it is posted.
#[derive(Debug, Clone)]
pub struct Event {
    /// Why.
    pub kind: Kind,
    /// Who did it.
    pub actor: Actor,
    /// To whom.
    pub member: MemberId,
    /// Where, for what happens in a store.
    pub place: Option<(MerchantId, StoreId)>,
    /// The purchase, spend, refund, redemption or adjustment that this is the ledger's side of.
    pub source: Uuid,
    /// When it happened; rules and expiry go by this.
    pub occurred_at: Instant,
    /// The event whose points this one moves back.
    pub reverses: Option<JournalId>,
}

/// One event as it is posted: its line in the member's history.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The event's id, the cause of its transfers.
    pub id: JournalId,
    /// Why, to whom, where, when.
    pub event: Event,
    /// The line's number in the member's history.
    pub seq: i64,
    /// What the event changed in the balance.
    pub points: i64,
    /// The balance after it: available less owed.
    pub balance_after: i64,
    /// The period whose settlement it belongs to.
    pub posted_in: Period,
    /// Whether that is a later period than the one it happened in.
    pub late: bool,
}

/// One amount moved from one account to another: it cannot be lopsided.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// The event that caused it.
    pub cause: JournalId,
    /// Its number within the event, from 0.
    pub line: i32,
    /// Out of here,
    pub from: Account,
    /// into there.
    pub to: Account,
    /// Points, above zero.
    pub points: i64,
    /// What they settle at, in minor units.
    pub value: i64,
    /// Whose points: the lot.
    pub lot: LotId,
    /// When the lot was earned: it says by which terms the points settle.
    pub earned_at: Instant,
    /// The period whose settlement it belongs to.
    pub posted_in: Period,
}
