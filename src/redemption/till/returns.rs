//! Points that come back: a receipt that they paid part of is refunded.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::{Receipt, Record, store};
use crate::{
    authz::actor::Actor,
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        AmountError,
        ids::{JournalId, LotId, MemberId, MerchantId, SpendId, StoreId},
        time::Instant,
    },
    ledger::{
        self, Drawn, LedgerError,
        books::{Books, Posted},
        transfer::{Event, Kind},
    },
};

/// What points paid of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paid {
    /// The spend.
    pub spend: SpendId,
    /// Whose points.
    pub member: MemberId,
    /// Who took them, and
    pub merchant: MerchantId,
    /// in which store.
    pub store: StoreId,
    /// The ledger's entry of the spend.
    pub journal: JournalId,
    /// What the points took off, in minor units.
    pub money: i64,
    /// How many they were.
    pub points: i64,
    /// How many of them came back since.
    pub returned: i64,
}

impl From<&Record> for Paid {
    fn from(record: &Record) -> Self {
        Self {
            spend: record.spend,
            member: record.member,
            merchant: record.merchant,
            store: record.store,
            journal: record.journal,
            money: record.pays,
            points: record.points,
            returned: record.returned,
        }
    }
}

/// What points paid of these receipts; receipts that no points paid for are left out. One query;
/// it sees the whole mall.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn paid_by_points(
    tx: &mut ReadTx,
    receipts: &[Receipt],
) -> Result<HashMap<Receipt, Paid>, db::Error> {
    let found = store::spends_by_receipt(tx, receipts).await?;
    Ok(found
        .iter()
        .map(|(receipt, record)| (receipt.clone(), Paid::from(record)))
        .collect())
}

/// The lots that [`Returns::give_back`] puts points back into: the books must be opened with them
/// (`Wanted::lots`) and with every [`Paid::member`].
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn lots_to_give_back(tx: &mut ReadTx, paid: &[Paid]) -> Result<Vec<LotId>, db::Error> {
    let causes: Vec<JournalId> = paid.iter().map(|paid| paid.journal).collect();
    let mut lots: Vec<LotId> = ledger::drawn(tx, &causes)
        .await?
        .into_iter()
        .map(|(_, drawn)| drawn.draw.lot)
        .collect();
    lots.sort_unstable();
    lots.dedup();
    Ok(lots)
}

/// One return of points.
#[derive(Debug, Clone, Copy)]
pub struct Return {
    /// Of which spend.
    pub spend: SpendId,
    /// How many points, at most: no more come back than were taken and are not back yet.
    pub points: i64,
    /// The refund.
    pub source: Uuid,
    /// Who refunds.
    pub actor: Actor,
    /// When.
    pub occurred_at: Instant,
    /// How long a lot lives on that lapsed meanwhile.
    pub grace: Instant,
}

/// What a return came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenBack {
    /// The event; none where nothing was left to give back.
    pub posted: Option<Posted>,
    /// Points that are back with the member.
    pub points: i64,
}

/// The spends of some refunds, for one transaction: loaded after the books were opened, so that
/// what came back before is seen, and written with them.
#[derive(Debug)]
pub struct Returns {
    spends: BTreeMap<SpendId, Spent>,
}

#[derive(Debug)]
struct Spent {
    paid: Paid,
    drawn: Vec<Drawn>,
    changed: bool,
}

impl Returns {
    /// Loads these spends as they stand under the locks of their members' wallets.
    ///
    /// # Errors
    /// [`db::Error::Unavailable`].
    pub async fn load(tx: &mut Tx, spends: &[SpendId]) -> Result<Self, db::Error> {
        if spends.is_empty() {
            let spends = BTreeMap::new();
            return Ok(Self { spends });
        }
        let found = store::spends_by_id(tx, spends).await?;
        let causes: Vec<JournalId> = found.iter().map(|record| record.journal).collect();
        let mut drawn: HashMap<JournalId, Vec<Drawn>> = HashMap::new();
        for (cause, part) in ledger::drawn(tx, &causes).await? {
            drawn.entry(cause).or_default().push(part);
        }
        let spent = |record: &Record| Spent {
            paid: Paid::from(record),
            drawn: drawn.remove(&record.journal).unwrap_or_default(),
            changed: false,
        };
        let spends = found.iter().map(|record| record.spend);
        let spends = spends.zip(found.iter().map(spent)).collect();
        Ok(Self { spends })
    }

    /// What points paid, as it stands after the returns so far.
    pub fn paid(&self, spend: SpendId) -> Option<Paid> {
        self.spends.get(&spend).map(|spent| spent.paid)
    }

    /// Gives points back to the member who spent them: the last used first, into their lots.
    ///
    /// # Errors
    /// [`LedgerError::Missing`] for a spend that was not loaded or a member or lot that the books
    /// were not opened with, [`LedgerError::Amount`].
    pub fn give_back(
        &mut self,
        books: &mut Books,
        wanted: &Return,
    ) -> Result<GivenBack, LedgerError> {
        let spent = self
            .spends
            .get_mut(&wanted.spend)
            .ok_or(LedgerError::Missing("spend"))?;
        let left = subtract(spent.paid.points, spent.paid.returned)?;
        let points = wanted.points.min(left);
        if points <= 0 {
            return Ok(GivenBack {
                posted: None,
                points: 0,
            });
        }
        let event = Event {
            kind: Kind::SpendReturn,
            actor: wanted.actor,
            member: spent.paid.member,
            place: Some((spent.paid.merchant, spent.paid.store)),
            source: wanted.source,
            occurred_at: wanted.occurred_at,
            reverses: Some(spent.paid.journal),
        };
        // What lapsed and no sweep took yet is gone, and must not live on with what comes back.
        books.lapse(spent.paid.member, wanted.occurred_at, wanted.actor)?;
        let (posted, points) = books.give_back(&event, &mut spent.drawn, points, wanted.grace)?;
        spent.paid.returned = spent.paid.returned.saturating_add(points);
        spent.changed = true;
        Ok(GivenBack {
            posted: Some(posted),
            points,
        })
    }

    /// Writes how much of each spend is back.
    ///
    /// # Errors
    /// [`db::Error::Unavailable`].
    pub async fn write(self, tx: &mut Tx) -> Result<(), db::Error> {
        let changed: Vec<(SpendId, i64)> = self
            .spends
            .into_values()
            .filter(|spent| spent.changed)
            .map(|spent| (spent.paid.spend, spent.paid.returned))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        store::set_returned(tx, &changed).await
    }
}

fn subtract(one: i64, two: i64) -> Result<i64, AmountError> {
    one.checked_sub(two).ok_or(AmountError::Overflow)
}
