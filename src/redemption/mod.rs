//! Redemption: points pay, at the till or for a good.
//!
//! **At the till** points pay part of a receipt ([`spend`]), by a ratio or from a threshold on. The
//! receipt's number in its store is the idempotency key, for ever; a refund gives points back
//! ([`Returns`]), the last used first.
//!
//! **For a good** points are set aside ([`reserve`]) until the member fetches it with a one-time
//! code at a store of any merchant that offers it ([`claim`]), gives it up ([`cancel`]), or does not
//! come in time ([`lapse_due`]).
//!
//! Members and goods are the whole mall's. A merchant's right reaches its own stores and the goods
//! that it offers; a member's reaches what is hers; anything else is unknown to them.

mod code;
mod due;
mod goods;
mod programme;
mod reservations;
mod search;
mod store;
mod terms;
mod till;

pub use code::{ClaimCode, CodeError};
pub use due::RedemptionsDue;
pub use goods::{
    Good, GoodKind, GoodKindError, GoodListing, GoodsUpserted, create_good, good, list_goods,
    upsert_goods,
};
pub use programme::TermsError;
pub use reservations::{Redemption, State, cancel, claim, lapse_due, redemption, reserve};
pub use search::Search;
pub use terms::{Explanation, Form, FormError, Quote, Terms, Wanted};
pub use till::{
    GivenBack, Limits, Paid, Receipt, Return, Returns, SpendError, SpendItem, SpendQuestion,
    SpendReceipt, lots_to_give_back, paid_by_points, preview, spend,
};

use thiserror::Error;

use crate::{
    db,
    kernel::{AmountError, page::CursorError, text::Code, time::Zone},
    ledger::LedgerError,
};

/// What a mall is like, as far as spending and exchanging points goes.
#[derive(Debug, Clone)]
pub struct Setting {
    /// In which zone its days and months begin.
    pub zone: Zone,
    /// What points take off and how long a reserved good waits.
    pub terms: Terms,
}

/// Why something about goods and reservations is refused.
#[derive(Debug, Error)]
pub enum RedemptionError {
    /// No such good.
    #[error("there is no such good")]
    UnknownGood,
    /// No such member, or not within reach.
    #[error("there is no such member")]
    UnknownMember,
    /// No such store, or none within reach.
    #[error("there is no such store")]
    UnknownStore,
    /// No such reservation, or none within reach.
    #[error("there is no such reservation")]
    UnknownRedemption,
    /// No reservation has this code.
    #[error("there is no reservation with this code")]
    UnknownCode,
    /// A good is offered by a merchant that does not exist.
    #[error("there is no merchant with the code {}", .0.as_str())]
    UnknownMerchant(Code),
    /// Another good has this code.
    #[error("another good has the code {}", .0.as_str())]
    GoodCodeTaken(Code),
    /// The same code twice in one list.
    #[error("the good {} is listed twice", .0.as_str())]
    ListedTwice(Code),
    /// A good that cannot be.
    #[error("the good {} cannot be: {why}", .code.as_str())]
    BadGood {
        /// Which.
        code: Code,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another merchant hands this good over.
    #[error("this good is not handed over here: another merchant offers it")]
    NotOffered,
    /// The store or its merchant is suspended.
    #[error("this store is suspended and hands over no goods")]
    Suspended,
    /// The store gives points and takes none.
    #[error("this store does not take points")]
    StoreTakesNoPoints,
    /// Nothing is left of it.
    #[error("this good is out of stock")]
    OutOfStock,
    /// The member has taken as many today as one may.
    #[error("a member may take {most} of this good in a day")]
    DayLimit {
        /// How many.
        most: i64,
    },
    /// The member has taken as many this month as one may.
    #[error("a member may take {most} of this good in a month")]
    MonthLimit {
        /// How many.
        most: i64,
    },
    /// The member has fewer points than the good costs.
    #[error("the member has {available} points to spend, the good costs {wanted}")]
    NotEnoughPoints {
        /// What can be spent.
        available: i64,
        /// What it costs.
        wanted: i64,
    },
    /// The good was handed over already.
    #[error("this good has been handed over already")]
    AlreadyClaimed,
    /// The reservation was given up.
    #[error("this reservation was cancelled")]
    AlreadyCancelled,
    /// Nobody came in time.
    #[error("this reservation has lapsed")]
    Lapsed,
    /// An amount that the books cannot hold.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

impl From<LedgerError> for RedemptionError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::NotEnoughPoints { available, wanted } => {
                Self::NotEnoughPoints { available, wanted }
            }
            LedgerError::OnlyElsewhere => Self::NotOffered,
            LedgerError::Amount(error) => Self::Amount(error),
            LedgerError::Missing(_) => Self::Db(db::Error::Corrupt("wallet")),
        }
    }
}
