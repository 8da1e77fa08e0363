//! The ledger: double entry over points, lot by lot.
//!
//! **One transfer moves an amount from one account to another.** There is no lone debit, so the
//! sum over all accounts is zero at every moment, by construction. Several transfers share a
//! cause, an [`Entry`](transfer::Entry) of the journal, which is also one line of a member's
//! history with the balance after it. Neither is ever changed: what was wrong is moved back by a
//! new entry that names the one it reverses.
//!
//! **A lot is one grant of points**: who issued it, when it lapses, what it settles at. A spend
//! takes from lots in order and each transfer names its lot, so for every point that a merchant
//! accepts the books know who issued it and at what price. That is all that a settlement needs.
//!
//! **[`Books`](books::Books) is the unit of work.** It locks the wallets of the members in
//! question (in the order of their ids, in a statement before any that reads), loads what it needs
//! and decides in memory, event by event; one refusal leaves the others untouched. Then it writes
//! everything in a handful of set-based statements. One event or a thousand: the same path.
//!
//! **Only wallets have running balances**, because only they have a floor. What merchants have
//! issued and accepted is a sum over transfers; a hot merchant has no hot row.
//!
//! **A closed period cannot gain a line.** Periods are days, weeks or months, as the mall settles
//! ([`periods`]). An entry is posted in the period in which it happened or,
//! where that one is closed already, in the first period that is open, marked late. Writers hold
//! the table `book` in row exclusive mode while they post; [`cut_off`] takes it exclusively for a
//! moment, so that it waits for writers under way and the next ones see the new period.

#![deny(clippy::arithmetic_side_effects)]

pub mod account;
pub mod books;
mod columns;
pub mod ending;
mod flows;
mod listing;
pub mod lots;
pub mod periods;
mod reversal;
mod store;
pub mod transfer;
mod views;

use std::collections::HashMap;

use thiserror::Error;
use uuid::Uuid;

use crate::{
    db::{self, tx::ReadTx, tx::Tx},
    kernel::{
        AmountError,
        ids::{JournalId, LotId, MemberId, MerchantId, StoreId},
        page::{Page, Slice},
        time::{Instant, Period},
    },
};
use lots::{Draw, Lot};

pub use periods::{cut_off, first_open, open_period};
pub use store::{move_money, open_wallets, settle_money};

/// Why the ledger refuses an event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LedgerError {
    /// The member has fewer points than that.
    #[error("there are {available} points to spend, {wanted} were asked for")]
    NotEnoughPoints {
        /// What can be spent at that moment.
        available: i64,
        /// What was asked for.
        wanted: i64,
    },
    /// Points that were set aside and that only another merchant takes.
    #[error("only another merchant takes these points")]
    OnlyElsewhere,
    /// An amount that the books cannot hold.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// A member without a wallet, or a lot that was not loaded: a mistake of ours.
    #[error("the books do not hold this {0}")]
    Missing(&'static str),
}

/// A member's points at a moment, all of them or those that one merchant takes.
#[derive(Debug, Clone)]
pub struct Balance {
    /// What can be spent, `earmarked` among it.
    pub available: i64,
    /// What is promised to reservations.
    pub held: i64,
    /// What is owed from points taken back after they were spent.
    pub owed: i64,
    /// What of `available` only one merchant takes, by merchant.
    pub earmarked: Vec<Earmark>,
    /// The lots that `available` is made of, in the order in which they will be used; at most
    /// [`MOST_LOTS`], `more_lots` says whether there are others behind them.
    pub lots: Vec<Lot>,
    /// Whether there are more lots than are listed.
    pub more_lots: bool,
}

/// Points of a member that one merchant alone takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earmark {
    /// Who takes them.
    pub merchant: MerchantId,
    /// How many.
    pub points: i64,
}

impl Balance {
    /// What can be spent with whom the balance was read for, or with the one merchant that takes it
    /// all: what she owes is kept back from what all take, and from nothing else.
    pub fn spendable(&self) -> i64 {
        let earmarked = self.earmarked.iter();
        let only = earmarked.fold(0_i64, |sum, one| sum.saturating_add(one.points));
        let anywhere = self
            .available
            .saturating_sub(only)
            .saturating_sub(self.owed);
        anywhere.max(0).saturating_add(only)
    }
}

/// The most lots that a balance lists.
pub const MOST_LOTS: i64 = 200;

/// One line of a member's history.
#[derive(Debug, Clone)]
pub struct HistoryLine {
    /// The event.
    pub id: JournalId,
    /// Its number.
    pub seq: i64,
    /// Why.
    pub kind: String,
    /// What it changed.
    pub points: i64,
    /// The balance after it.
    pub balance_after: i64,
    /// At which merchant, and
    pub merchant: Option<MerchantId>,
    /// in which store.
    pub store: Option<StoreId>,
    /// The purchase, spend, refund or redemption.
    pub source: Uuid,
    /// When it happened.
    pub occurred_at: Instant,
    /// When it was posted.
    pub posted_at: Instant,
    /// Whether it is settled in a later period than it happened in.
    pub late: bool,
}

/// Points that an event took, and how much of them was given back since.
#[derive(Debug, Clone, Copy)]
pub struct Drawn {
    /// What was taken, from which lot.
    pub draw: Draw,
    /// Points given back since.
    pub returned: i64,
    /// Their value, in minor units.
    pub value_returned: i64,
}

/// A member's balance now: lots that lapsed are not in it, whether or not expiry has run. With a
/// `taker`, what only other merchants take is not in it either.
///
/// # Errors
/// [`db::Error::Unavailable`]. None where there is no such member.
pub async fn balance(
    tx: &mut ReadTx,
    member: MemberId,
    taker: Option<MerchantId>,
) -> Result<Option<Balance>, db::Error> {
    views::balance(tx, member, taker).await
}

/// A member's history, the newest line first.
///
/// # Errors
/// [`db::Error::Unavailable`]. None where there is no such member.
pub async fn history(
    tx: &mut ReadTx,
    member: MemberId,
    slice: &Slice,
) -> Result<Option<Page<HistoryLine>>, db::Error> {
    views::history(tx, member, slice).await
}

/// The members' balances just after these events.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn balances_after(
    tx: &mut ReadTx,
    events: &[JournalId],
) -> Result<HashMap<JournalId, i64>, db::Error> {
    views::balances_after(tx, events).await
}

/// What these events took from lots, each event's draws in the order of use.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn drawn(
    tx: &mut ReadTx,
    causes: &[JournalId],
) -> Result<Vec<(JournalId, Drawn)>, db::Error> {
    views::drawn(tx, causes).await
}

/// Members who have lots that lapsed by `at`, at most `limit` of them.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn members_with_due_lots(
    tx: &mut ReadTx,
    at: Instant,
    limit: i64,
) -> Result<Vec<MemberId>, db::Error> {
    views::members_with_due_lots(tx, at, limit).await
}

/// One line of what crossed between issuer and acceptor in a period, or of what was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Which way.
    pub kind: FlowKind,
    /// The merchant that took the points; for issues the issuer.
    pub by: MerchantId,
    /// The merchant that had issued them.
    pub from: MerchantId,
    /// In which [`Era`] they were earned, as its place in the list; none: before all of them.
    pub era: Option<usize>,
    /// Points.
    pub points: i64,
    /// Their value, in minor units.
    pub value: i64,
}

/// What moved in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flows {
    /// The sums, in the order of their keys.
    pub sums: Vec<Flow>,
    /// How many transfers they sum up.
    pub lines: i64,
}

/// A span of time in which one merchant's points were earned on the same terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Era {
    /// Who issued them.
    pub issuer: MerchantId,
    /// Its first moment, and
    pub since: Instant,
    /// the first moment after it; none: it goes on.
    pub until: Option<Instant>,
}

/// What a [`Flow`] sums up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlowKind {
    /// Points given to members.
    Issued,
    /// Points taken back to the issuer that the member still had.
    TakenBack,
    /// Points taken back to the issuer that the member had used and owes.
    Owed,
    /// Points accepted from members, or filled into a deficit owed to `by`.
    Accepted,
    /// Accepted points given back to members.
    GivenBack,
    /// Points that lapsed unspent.
    Expired,
}

impl FlowKind {
    const ALL: [Self; 6] = [
        Self::Issued,
        Self::TakenBack,
        Self::Owed,
        Self::Accepted,
        Self::GivenBack,
        Self::Expired,
    ];

    /// As queries, files and addresses write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::TakenBack => "taken-back",
            Self::Owed => "owed",
            Self::Accepted => "accepted",
            Self::GivenBack => "given-back",
            Self::Expired => "expired",
        }
    }
}

/// What moved in a period, summed by kind, by pair of merchants and by the era in which the points
/// were earned. Of eras that overlap for one issuer, each counts: they must not.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn flows(tx: &mut ReadTx, period: Period, eras: &[Era]) -> Result<Flows, db::Error> {
    flows::flows(tx, period, eras).await
}

/// One transfer that a merchant's statement counts, for whoever asks what a figure is made of.
#[derive(Debug, Clone)]
pub struct FlowLine {
    /// The event.
    pub journal: JournalId,
    /// The transfer's number within it.
    pub line: i32,
    /// Which figure it belongs to.
    pub kind: FlowKind,
    /// Who took the points.
    pub by: MerchantId,
    /// Who had issued them.
    pub from: MerchantId,
    /// Points.
    pub points: i64,
    /// Their value, in minor units.
    pub value: i64,
    /// The lot.
    pub lot: LotId,
    /// Why.
    pub reason: String,
    /// The purchase, spend, refund or redemption.
    pub source: Uuid,
    /// In which store.
    pub store: Option<StoreId>,
    /// When the points were earned.
    pub earned_at: Instant,
    /// When it happened.
    pub occurred_at: Instant,
    /// Whether it happened in an earlier period, closed before this was posted.
    pub late: bool,
}

impl FlowLine {
    /// Whether it is on that merchant's statement.
    #[must_use]
    pub fn concerns(&self, merchant: MerchantId) -> bool {
        [self.by, self.from].contains(&merchant)
    }
}

/// How far it is written down which transfers are behind which merchant's figures of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// Transfers that were gone through.
    pub done: i64,
    /// Transfers to go through.
    pub all: i64,
    /// Whether it is at its end.
    pub complete: bool,
}

/// Begins to write down which transfers are behind which merchant's figures of a period that was cut
/// off, so that [`flow_lines`] need not look for them; [`list_on`] goes on. Once a period; `lines` is
/// how many the figures count.
///
/// # Errors
/// [`db::Error::Constraint`] where it was begun before.
pub async fn begin_listing(tx: &mut Tx, period: Period, lines: i64) -> Result<(), db::Error> {
    listing::begin(tx, period, lines).await
}

/// Writes down the next transfers of a period that [`begin_listing`] began, going through `most`: again
/// and again until it is complete. Two at once take turns.
///
/// # Errors
/// [`db::Error::Corrupt`] where it was not begun.
pub async fn list_on(tx: &mut Tx, period: Period, most: i64) -> Result<Listing, db::Error> {
    listing::go_on(tx, period, most).await
}

/// How far the lines of a period are written down; none where nobody began.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn listing(tx: &mut ReadTx, period: Period) -> Result<Option<Listing>, db::Error> {
    listing::of(tx, period).await
}

/// The transfers behind one merchant's figures of a period whose [`listing()`] is complete, in the
/// order of their posting.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn flow_lines(
    tx: &mut ReadTx,
    period: Period,
    merchant: MerchantId,
    slice: &Slice,
) -> Result<Page<FlowLine>, db::Error> {
    views::flow_lines(tx, period, merchant, slice).await
}

/// One transfer of a period that a merchant's figures count; none where it is not one of them.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn flow_line(
    tx: &mut ReadTx,
    period: Period,
    journal: JournalId,
    line: i32,
) -> Result<Option<FlowLine>, db::Error> {
    views::flow_line(tx, period, journal, line).await
}

/// Locks, loads and gives back the books of these members for this transaction.
///
/// # Errors
/// [`db::Error::Retry`] after waiting too long for a member's lock.
pub async fn open_books(
    tx: &mut Tx,
    zone: crate::kernel::time::Zone,
    wanted: &books::Wanted,
) -> Result<books::Books, db::Error> {
    store::open_books(tx, zone, wanted).await
}
