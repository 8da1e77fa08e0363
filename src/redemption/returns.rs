//! Giving back points that had paid for a purchase, when the purchase is refunded.

use std::collections::HashMap;

use super::store;
use crate::{
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{JournalId, LotId, MemberId, MerchantId, SpendId, StoreId},
        money::ratio_floor,
        text::ReceiptNumber,
        time::Instant,
    },
    ledger::{self, Drawn, LedgerError, books::Books, transfer::Event},
};

/// A receipt's name: who printed it, and its number.
pub type ReceiptKey = (StoreId, ReceiptNumber);

/// Points that paid part of a receipt.
#[derive(Debug, Clone)]
pub struct Paid {
    /// The spend.
    pub spend: SpendId,
    /// Its event in the ledger.
    pub journal: JournalId,
    /// Whose points.
    pub member: MemberId,
    /// Who took them, and
    pub merchant: MerchantId,
    /// in which store.
    pub store: StoreId,
    /// How many.
    pub points: i64,
    /// How many of them came back since.
    pub returned: i64,
    /// What they took off the receipt, in minor units.
    pub money: i64,
}

/// What points paid of these receipts; those without are left out.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn paid_by_points(
    tx: &mut ReadTx,
    receipts: &[ReceiptKey],
) -> Result<HashMap<ReceiptKey, Paid>, db::Error> {
    store::paid(tx, receipts).await
}

/// The spends of some receipts, with what they took from lots: ready to be given back in part.
#[derive(Debug)]
pub struct Returns {
    spends: HashMap<ReceiptKey, Paid>,
    drawn: HashMap<JournalId, Vec<Drawn>>,
}

/// Loads what [`Returns::give_back`] needs for these spends.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn returns(
    tx: &mut ReadTx,
    spends: HashMap<ReceiptKey, Paid>,
) -> Result<Returns, db::Error> {
    let causes: Vec<JournalId> = spends.values().map(|paid| paid.journal).collect();
    let mut drawn: HashMap<JournalId, Vec<Drawn>> = HashMap::new();
    if !causes.is_empty() {
        for (cause, one) in ledger::drawn(tx, &causes).await? {
            drawn.entry(cause).or_default().push(one);
        }
    }
    Ok(Returns { spends, drawn })
}

impl Returns {
    /// The lots that points may go back into.
    pub fn lots(&self) -> impl Iterator<Item = LotId> {
        self.drawn.values().flatten().map(|past| past.draw.lot)
    }

    /// The members whose points they were.
    pub fn members(&self) -> impl Iterator<Item = MemberId> {
        self.spends.values().map(|paid| paid.member)
    }

    /// Gives back the share of a receipt's points that `refunded` of its total amounts to, less
    /// what came back before; how many points that was. The last used come back first.
    ///
    /// # Errors
    /// [`LedgerError::Amount`], [`LedgerError::Missing`].
    pub fn give_back(
        &mut self,
        books: &mut Books,
        receipt: &ReceiptKey,
        event: impl Fn(MemberId) -> Event,
        (refunded, total): (i64, i64),
        grace: Instant,
    ) -> Result<i64, LedgerError> {
        let Some(paid) = self.spends.get_mut(receipt) else {
            return Ok(0);
        };
        let share = ratio_floor(paid.points, refunded, total)?.min(paid.points);
        let due = share.saturating_sub(paid.returned);
        let Some(drawn) = self.drawn.get_mut(&paid.journal).filter(|_| due > 0) else {
            return Ok(0);
        };
        let place = Some((paid.merchant, paid.store));
        let event = Event {
            place,
            reverses: Some(paid.journal),
            ..event(paid.member)
        };
        let (_, given) = books.give_back(&event, drawn, due, grace)?;
        paid.returned = paid.returned.saturating_add(given);
        Ok(given)
    }

    /// Writes down how much of each spend came back.
    ///
    /// # Errors
    /// [`db::Error::Constraint`] where more would come back than was spent.
    pub async fn write(&self, tx: &mut Tx) -> Result<(), db::Error> {
        store::update_returned(tx, self.spends.values()).await
    }
}
