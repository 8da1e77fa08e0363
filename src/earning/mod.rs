//! Earning: purchases and what they earn, refunds and what they take back, and expiry.
//!
//! [`record()`] and [`refund()`] take a slice and answer each item for itself; one transaction serves
//! them all. A receipt is known by its store and number for ever: the same receipt again gives the
//! first answer, a different one under the same number is refused.
//!
//! Where another transaction records the same receipt in the same moment, the unique constraint
//! ends this one with [`db::Error::Retry`]; run again, it finds the receipt there.

pub mod adjusting;
mod due;
pub mod line;
pub mod purchase;
pub mod refund;
pub mod rules;
mod store;

use std::collections::HashSet;

use serde_json::Value;
use thiserror::Error;

use crate::{
    authz::{
        action::{ExpirePoints, ReadPurchases},
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        AmountError,
        ids::{PurchaseId, StoreId},
        money::{Currency, Rate},
        text::ReceiptNumber,
        time::{Instant, Zone},
    },
    ledger::{self, LedgerError, books::Wanted},
    merchants::credit::WhenEmpty,
};
use rules::Programme;

pub use due::PointsDue;
pub use purchase::{Believed, Item, Receipt, record};
pub use refund::{RefundAmount, RefundItem, RefundReceipt, refund};
pub use store::{Found, FoundRefund};

/// What a mall's programme says, version by version.
#[derive(Debug, Clone)]
pub struct Setting {
    /// In which zone days and months begin.
    pub zone: Zone,
    /// Versions with the moment from which each holds, the oldest first; never empty.
    versions: Vec<Version>,
}

/// One version of the programme.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its number.
    pub number: i64,
    /// Since when it holds.
    pub valid_from: Instant,
    /// What it says.
    pub programme: Programme,
    /// What becomes of a purchase for whose points its merchant has not paid in advance.
    pub when_empty: WhenEmpty,
}

impl Setting {
    /// The setting of a mall with these versions; none without any.
    pub fn new(zone: Zone, mut versions: Vec<Version>) -> Option<Self> {
        versions.sort_by_key(|version| version.valid_from);
        if versions.is_empty() {
            None
        } else {
            Some(Self { zone, versions })
        }
    }

    /// The version that holds at that moment; before the first, the first.
    pub fn at(&self, at: Instant) -> Option<&Version> {
        let held = self
            .versions
            .iter()
            .rev()
            .find(|version| version.valid_from <= at);
        held.or_else(|| self.versions.first())
    }
}

/// Reads the sections of a programme that are about earning.
///
/// # Errors
/// A sentence that names the key, what was found and what is expected.
pub fn parse(body: &Value, currency: Currency, settles_at: Rate) -> Result<Programme, String> {
    Programme::parse(body, currency, settles_at)
}

/// Why a purchase or a refund is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EarnError {
    /// No such store, or none within reach.
    #[error("there is no such store")]
    UnknownStore,
    /// The store or its merchant is suspended.
    #[error("this store is suspended: only refunds go on")]
    Suspended,
    /// No such member.
    #[error("there is no such member")]
    UnknownMember,
    /// No such purchase, or none within reach.
    #[error("there is no such purchase")]
    UnknownPurchase,
    /// The store recorded another purchase under this receipt number.
    #[error("this receipt number was recorded with other content")]
    ReceiptTaken(PurchaseId),
    /// A merchant that has paid for fewer points in advance, in a mall that gives no others.
    #[error(
        "{left} points of what this merchant paid for in advance are left, the purchase earns {wanted}"
    )]
    NotPrepaid {
        /// What is left of its blocks.
        left: i64,
        /// What the purchase would earn.
        wanted: i64,
    },
    /// A receipt without lines.
    #[error("a purchase has at least one line")]
    NoLines,
    /// A purchase or refund that has not happened yet.
    #[error("this lies in the future")]
    Future,
    /// More than is left of the purchase, or nothing at all.
    #[error("{left} minor units of this purchase are left to refund, {wanted} were asked for")]
    RefundTooLarge {
        /// What is left, in minor units.
        left: i64,
        /// What was asked for, in minor units.
        wanted: i64,
    },
    /// Another refund of this purchase has this reference.
    #[error("this refund reference was used with other content")]
    ReferenceTaken,
    /// An amount that the books cannot hold.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// The ledger's own refusal.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// How far a till's clock may run ahead of ours.
const AHEAD: chrono::TimeDelta = chrono::TimeDelta::minutes(5);

/// Refuses what lies in the future.
fn check_time(occurred_at: Instant, now: Instant) -> Result<(), EarnError> {
    let latest = now.checked_add_signed(AHEAD).unwrap_or(now);
    if occurred_at > latest {
        Err(EarnError::Future)
    } else {
        Ok(())
    }
}

/// Which of these receipts were recorded before that moment: an import asks, so that it does not
/// spend points on a basket that an earlier import has dealt with.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn recorded_before(
    tx: &mut ReadTx,
    receipts: &[(StoreId, ReceiptNumber)],
    before: Instant,
) -> Result<HashSet<(StoreId, ReceiptNumber)>, db::Error> {
    store::recorded_before(tx, receipts, before).await
}

/// A purchase with its refunds, where the grant reaches it.
///
/// # Errors
/// [`db::Error::Unavailable`]. None where there is no such purchase within reach.
pub async fn get(
    tx: &mut ReadTx,
    grant: &Grant<ReadPurchases>,
    purchase: PurchaseId,
) -> Result<Option<Found>, db::Error> {
    let found = store::found(tx, purchase).await?;
    Ok(found.filter(|found| grant.covers(found.merchant, found.store)))
}

/// Lets points lapse whose time has come, of at most `limit` members; how many points of how many
/// members. Nothing is left where no member was found. Safe to run twice.
///
/// # Errors
/// [`db::Error::Retry`], [`db::Error::Unavailable`].
pub async fn expire(
    tx: &mut Tx,
    grant: &Grant<ExpirePoints>,
    zone: Zone,
    limit: i64,
) -> Result<(usize, i64), db::Error> {
    let now = tx.now();
    let members = ledger::members_with_due_lots(tx, now, limit).await?;
    let wanted = Wanted {
        members: members.clone(),
        due_by: now,
        ..Wanted::default()
    };
    let mut books = ledger::open_books(tx, zone, &wanted).await?;
    let mut lapsed = 0_i64;
    for member in &members {
        let points = books
            .lapse(*member, now, grant.actor())
            .map_err(|_| db::Error::Corrupt("lot"))?;
        lapsed = lapsed.saturating_add(points);
    }
    books.post(tx).await?;
    Ok((members.len(), lapsed))
}
