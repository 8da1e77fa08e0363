//! Blocks of points that merchants paid for in advance, as tills use them up.
//!
//! A block's counter is locked in the transaction that gives the points, in the order of merchants
//! and blocks and behind the members' wallets, so that it is exact however many tills are at it. The
//! oldest block is used up first. What a refund takes back from a purchase goes back into the blocks
//! that it came out of, the last used first; what the purchase had beyond its blocks goes before that.
//! Points that members pay with never touch a block.
//!
//! Source: settlement.md, example I.

use std::collections::{BTreeMap, BTreeSet};

use super::store;
use crate::{
    db::{
        Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        AmountError,
        ids::{MerchantId, PurchaseId},
        money::ratio_floor,
        time::{Instant, Period},
    },
};

/// What is left of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) number: i32,
    pub(super) left: i64,
}

/// Points that were taken out of a block or put back, below zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) source: uuid::Uuid,
    pub(super) merchant: MerchantId,
    pub(super) block: i32,
    pub(super) purchase: PurchaseId,
    pub(super) points: i64,
    pub(super) since: Instant,
    pub(super) period: Period,
}

/// What a purchase took out of one block, less what was put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) block: i32,
    pub(super) points: i64,
    pub(super) since: Instant,
}

/// Why points are taken out of blocks, or put back.
#[derive(Debug, Clone, Copy)]
pub struct Reason {
    /// The purchase or the refund.
    pub source: uuid::Uuid,
    /// The purchase.
    pub purchase: PurchaseId,
    /// Whose blocks.
    pub merchant: MerchantId,
    /// The period in whose settlement it counts.
    pub period: Period,
}

/// The blocks of some merchants, locked for one transaction, and what is to be written of them.
#[derive(Debug, Default)]
pub struct Blocks {
    open: BTreeMap<MerchantId, Vec<Block>>,
    taken: BTreeMap<PurchaseId, Vec<Taken>>,
    uses: Vec<Use>,
}

impl Blocks {
    /// Locks the blocks of these merchants that are not used up. Without merchants it asks nothing.
    ///
    /// # Errors
    /// [`Error::Retry`] after waiting too long for another till.
    pub async fn lock(tx: &mut Tx, merchants: &BTreeSet<MerchantId>) -> Result<Self, Error> {
        if merchants.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self {
            open: store::lock_open_blocks(tx, merchants).await?,
            ..Self::default()
        })
    }

    /// Locks the blocks that these purchases took from. Without purchases it asks nothing.
    ///
    /// # Errors
    /// [`Error::Retry`] after waiting too long for another till.
    pub async fn lock_taken(tx: &mut Tx, purchases: &[PurchaseId]) -> Result<Self, Error> {
        if purchases.is_empty() {
            return Ok(Self::default());
        }
        store::lock_taken_blocks(tx, purchases).await?;
        Ok(Self {
            taken: store::taken(tx, purchases).await?,
            ..Self::default()
        })
    }

    /// What is left of a merchant's blocks.
    pub fn left(&self, merchant: MerchantId) -> i64 {
        let open = self.open.get(&merchant).into_iter().flatten();
        open.map(|block| block.left).fold(0, i64::saturating_add)
    }

    /// Takes points out of a merchant's blocks, as many as there are. `since` is the first moment of
    /// the terms that they are given under.
    pub fn take(&mut self, reason: Reason, points: i64, since: Instant) {
        let mut wanted = points;
        for block in self.open.entry(reason.merchant).or_default() {
            let part = wanted.min(block.left);
            if part <= 0 {
                continue;
            }
            block.left = block.left.saturating_sub(part);
            wanted = wanted.saturating_sub(part);
            self.uses.push(reason.use_of(block.number, part, since));
        }
    }

    /// Puts points back, so that no more than `issued` of the purchase are out of blocks.
    pub fn put_back(&mut self, reason: Reason, issued: i64) {
        let taken = self.taken.entry(reason.purchase).or_default();
        let out = taken.iter().map(|one| one.points);
        let mut over = out.fold(0, i64::saturating_add).saturating_sub(issued);
        for one in taken.iter_mut().rev() {
            let part = over.min(one.points);
            if part <= 0 {
                continue;
            }
            one.points = one.points.saturating_sub(part);
            over = over.saturating_sub(part);
            let back = part.saturating_neg();
            self.uses.push(reason.use_of(one.block, back, one.since));
        }
    }

    /// Writes what was taken and put back, in one statement; nothing where nothing was.
    ///
    /// # Errors
    /// [`Error::Constraint`] for more than a block has: a mistake of ours.
    pub async fn write(self, tx: &mut Tx) -> Result<(), Error> {
        if self.uses.is_empty() {
            return Ok(());
        }
        store::write_uses(tx, &self.uses).await
    }
}

impl Reason {
    fn use_of(&self, block: i32, points: i64, since: Instant) -> Use {
        Use {
            source: self.source,
            merchant: self.merchant,
            block,
            purchase: self.purchase,
            points,
            since,
            period: self.period,
        }
    }
}

/// Points of a period that were paid for in advance, by merchant and terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    /// Whose.
    pub merchant: MerchantId,
    /// The first moment of the terms that they were given under.
    pub since: Instant,
    /// Points given less taken back.
    pub points: i64,
    /// What was paid for them, in minor units.
    pub amount: i64,
}

/// A block as a period used it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) merchant: MerchantId,
    pub(super) since: Instant,
    /// Out of which block, and how many points it had for how much.
    pub(super) block: i32,
    pub(super) size: i64,
    pub(super) amount: i64,
    /// Points used before the period, and in it.
    pub(super) before: i64,
    pub(super) points: i64,
}

/// What was given in a period out of blocks, and what of their price that was: what was used of a
/// block altogether, rounded down, so that a block that is used up is paid for to the last unit.
///
/// # Errors
/// [`Error::Corrupt`] for an amount that the books cannot hold; [`Error::Unavailable`].
pub async fn advances(tx: &mut ReadTx, period: Period) -> Result<Vec<Advance>, Error> {
    let rows = store::used_in(tx, period).await?;
    worth(&rows).map_err(|_| Error::Corrupt("prepaid block"))
}

/// Rows are in the order of merchants, blocks and terms.
fn worth(rows: &[Used]) -> Result<Vec<Advance>, AmountError> {
    let mut all = Vec::with_capacity(rows.len());
    for same in rows.chunk_by(|one, two| (one.merchant, one.block) == (two.merchant, two.block)) {
        let Some(first) = same.first() else { continue };
        let mut used = first.before;
        for row in same {
            let after = used.checked_add(row.points).ok_or(AmountError::Overflow)?;
            let price = |points| ratio_floor(row.amount, points, row.size);
            let amount = price(after)?.checked_sub(price(used)?);
            all.push(Advance {
                merchant: row.merchant,
                since: row.since,
                points: row.points,
                amount: amount.ok_or(AmountError::Overflow)?,
            });
            used = after;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const SINCE: &str = "2026-06-01T00:00:00Z";

    fn reason(source: u128, purchase: u128) -> Reason {
        Reason {
            source: Uuid::from_u128(source),
            purchase: PurchaseId::from_uuid(Uuid::from_u128(purchase)),
            merchant: merchant(),
            period: "2026-06".parse().unwrap(),
        }
    }

    fn merchant() -> MerchantId {
        MerchantId::from_uuid(Uuid::from_u128(1))
    }

    fn uses(blocks: &Blocks) -> Vec<(i32, i64)> {
        let uses = blocks.uses.iter();
        uses.map(|one| (one.block, one.points)).collect()
    }

    #[test]
    fn the_oldest_block_is_used_first_and_no_more_than_there_is() {
        let open = [(1, 100), (2, 50)].map(|(number, left)| Block { number, left });
        let mut blocks = Blocks {
            open: [(merchant(), open.to_vec())].into(),
            ..Blocks::default()
        };
        let since = SINCE.parse().unwrap();
        blocks.take(reason(10, 10), 60, since);
        blocks.take(reason(11, 11), 60, since);
        assert_eq!(blocks.left(merchant()), 30);
        blocks.take(reason(12, 12), 60, since);
        assert_eq!(uses(&blocks), [(1, 60), (1, 40), (2, 20), (2, 30)]);
        assert_eq!(blocks.left(merchant()), 0);
    }

    #[test]
    fn what_comes_back_goes_into_the_blocks_that_it_came_out_of() {
        let since = SINCE.parse().unwrap();
        let taken = [(1, 40), (2, 20)].map(|(block, points)| Taken {
            block,
            points,
            since,
        });
        let purchase = reason(11, 11);
        let mut blocks = Blocks {
            taken: [(purchase.purchase, taken.to_vec())].into(),
            ..Blocks::default()
        };
        // Of 80 points 60 came out of blocks: the first 20 that come back did not.
        blocks.put_back(reason(20, 11), 60);
        assert_eq!(uses(&blocks), []);
        blocks.put_back(reason(21, 11), 50);
        blocks.put_back(reason(22, 11), 30);
        blocks.put_back(reason(23, 11), 0);
        assert_eq!(uses(&blocks), [(2, -10), (2, -10), (1, -10), (1, -30)]);
        blocks.put_back(reason(24, 11), 0);
        assert_eq!(blocks.uses.len(), 4);
    }

    #[test]
    fn a_block_that_is_used_up_is_paid_for_to_the_last_unit() {
        let row = |before, points| Used {
            merchant: merchant(),
            since: SINCE.parse().unwrap(),
            block: 1,
            size: 7,
            amount: 8,
            before,
            points,
        };
        let amounts = |rows: &[Used]| -> Vec<i64> {
            let all = worth(rows).unwrap();
            all.iter().map(|one| one.amount).collect()
        };
        assert_eq!(amounts(&[row(0, 3), row(0, 2), row(0, 2)]), [3, 2, 3]);
        assert_eq!(amounts(&[row(3, 4)]), [5]);
        assert_eq!(amounts(&[row(7, -7)]), [-8]);
    }
}
