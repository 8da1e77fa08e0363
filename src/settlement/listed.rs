//! Opening a statement line by line: which transfers are behind whose figures is written down with the
//! figures where a period is small, and behind them, step by step, where it is not. The figures never
//! wait for it.

use serde::{Deserialize, Serialize};

use super::{SettlementError, Statement, limit, statement};
use crate::{
    authz::{
        action::{CloseSettlement, ReadStatements},
        grant::Grant,
    },
    db::{
        self, Db,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{JournalId, StatementId},
        page::{Page, Slice},
        time::Period,
    },
    ledger::{self, FlowLine, Listing},
    queue::{self, Job},
};

/// So many lines are written down with the figures: a part of a second.
const AT_ONCE: i64 = 50_000;

/// So many transfers are gone through in one transaction behind them: about a second.
const STEP: i64 = 200_000;

/// Write down the lines of a period whose figures are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListLines {
    /// Which period, such as `2026-06`.
    pub period: String,
}

impl Job for ListLines {
    const NAME: &'static str = "settlement.list";

    fn dedup(&self) -> String {
        self.period.clone()
    }
}

/// Has the lines of a period written down, so many as its figures count, now or behind them.
pub(super) async fn begin(tx: &mut Tx, period: Period, lines: i64) -> Result<(), db::Error> {
    ledger::begin_listing(tx, period, lines).await?;
    if lines > AT_ONCE {
        let period = period.to_string();
        return queue::enqueue(tx, &ListLines { period }).await;
    }
    while !ledger::list_on(tx, period, STEP).await?.complete {}
    Ok(())
}

/// Writes down the lines of a period whose figures are written, a transaction for each step, and tells
/// how far it is. Whoever leaves it in the middle, or finds somebody else at it, loses nothing.
///
/// # Errors
/// [`db::Error`]; [`db::Error::Corrupt`] for a period whose figures are not written.
pub async fn go_on(
    db: &Db,
    grant: &Grant<CloseSettlement>,
    period: Period,
    mut tell: impl FnMut(Listing),
) -> Result<(), db::Error> {
    loop {
        let mut tx = db.write(grant).await?;
        let listing = ledger::list_on(&mut tx, period, STEP).await?;
        tx.commit().await?;
        tell(listing);
        if listing.complete {
            return Ok(());
        }
    }
}

/// Refuses what needs the lines of a period that are not written down yet.
pub(super) async fn complete(tx: &mut ReadTx, period: Period) -> Result<(), SettlementError> {
    match ledger::listing(tx, period).await? {
        Some(Listing {
            complete: false,
            done,
            all,
        }) => Err(SettlementError::NotListed { done, all }),
        Some(_) | None => Ok(()),
    }
}

/// Every transfer that a statement's figures are made of, in the order of posting. Receipt numbers
/// and goods come from [`crate::reports`], by each line's source.
///
/// # Errors
/// As [`statement`]; [`SettlementError::NotListed`].
pub async fn lines(
    tx: &mut ReadTx,
    grant: &Grant<ReadStatements>,
    id: StatementId,
    slice: &Slice,
) -> Result<Page<FlowLine>, SettlementError> {
    let found = statement(tx, grant, id).await?;
    complete(tx, found.period).await?;
    let slice = Slice {
        limit: limit(slice),
        after: slice.after.clone(),
    };
    Ok(ledger::flow_lines(tx, found.period, found.merchant, &slice).await?)
}

/// A statement and one of its lines; none where it has no such line. A line is there as soon as the
/// figures are, also while the period's lines are still being listed.
///
/// # Errors
/// As [`statement`].
pub async fn line(
    tx: &mut ReadTx,
    grant: &Grant<ReadStatements>,
    id: StatementId,
    (journal, line): (JournalId, i32),
) -> Result<Option<(Statement, FlowLine)>, SettlementError> {
    let found = statement(tx, grant, id).await?;
    let line = ledger::flow_line(tx, found.period, journal, line).await?;
    let line = line.filter(|line| line.concerns(found.merchant));
    Ok(line.map(|line| (found, line)))
}
