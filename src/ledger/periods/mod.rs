//! Which periods the books have: of which unit, and which of them still take postings.

mod store;

use thiserror::Error;

use crate::{
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::time::{Period, Unit},
};

/// Why a mall keeps the unit of its periods.
#[derive(Debug, Error)]
pub enum UnitChangeError {
    /// Something was posted or cut off by it.
    #[error("the books are kept by the {books} since their first entry or cut-off")]
    Fixed {
        /// The unit of the books.
        books: Unit,
    },
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// Ends the posting in every period up to `period`, which is of the mall's unit: waits for the
/// writers under way, and the next ones post in the period after. Never moves back.
///
/// # Errors
/// [`db::Error::Retry`] where a writer takes longer than the lock timeout; [`db::Error::Stale`] where
/// the unit is another one.
pub async fn cut_off(tx: &mut Tx, period: Period) -> Result<(), db::Error> {
    store::shut(tx).await?;
    if store::first_open(tx).await?.unit() != period.unit() {
        return Err(db::Error::Stale);
    }
    store::cut_off(tx, period).await
}

/// The first period that takes postings. It stays so until the end of this transaction: whoever cuts
/// it off waits, as for those who post.
///
/// # Errors
/// [`db::Error::Retry`] after waiting too long for a cut-off.
pub async fn open_period(tx: &mut Tx) -> Result<Period, db::Error> {
    store::hold(tx).await?;
    store::first_open(tx).await
}

/// The first period that takes postings, as it is now.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn first_open(tx: &mut ReadTx) -> Result<Period, db::Error> {
    store::first_open(tx).await
}

/// The unit of the mall's periods.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn unit(tx: &mut ReadTx) -> Result<Unit, db::Error> {
    Ok(store::first_open(tx).await?.unit())
}

/// Makes `unit` that of the mall's periods, and says whether it was another. Until the end of this
/// transaction nobody else changes it or cuts anything off; where it changes, nobody posts either.
///
/// # Errors
/// [`UnitChangeError::Fixed`] where it is another and something was posted or cut off; nothing is
/// changed then. [`db::Error::Retry`] where a writer takes longer than the lock timeout.
pub async fn settle_by(tx: &mut Tx, unit: Unit) -> Result<bool, UnitChangeError> {
    store::guard(tx).await?;
    let books = store::first_open(tx).await?.unit();
    if books == unit {
        return Ok(false);
    }
    // Those who post by the old unit finish first, and count as posted.
    store::shut(tx).await?;
    if store::is_used(tx).await? {
        return Err(UnitChangeError::Fixed { books });
    }
    store::set_unit(tx, unit).await?;
    Ok(true)
}
