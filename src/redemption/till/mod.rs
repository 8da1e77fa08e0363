//! Points at the till: they pay part of a receipt, and come back when it is refunded.

mod returns;
mod store;

pub use returns::{GivenBack, Paid, Return, Returns, lots_to_give_back, paid_by_points};

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
};

use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{
    Setting,
    terms::{Form, Quote, Taken, Wanted},
};
use crate::{
    authz::{action::SpendPoints, grant::Grant},
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        AmountError,
        ids::{JournalId, MemberId, MerchantId, SpendId, StoreId},
        money::Money,
        text::ReceiptNumber,
        time::Instant,
    },
    ledger::{
        self, LedgerError,
        books::{Books, Posted},
        transfer::{Event, Kind},
    },
    merchants::{self, Stores, TillStore},
};

/// How far a till's clock may run ahead of ours, in minutes.
const CLOCK_DRIFT: i64 = 5;

/// A receipt: the store that printed it, and its number there.
pub type Receipt = (StoreId, ReceiptNumber);

/// Why points cannot pay at the till.
#[derive(Debug, Error)]
pub enum SpendError {
    /// No such store, or none within reach.
    #[error("there is no such store")]
    UnknownStore,
    /// The store or its merchant is suspended.
    #[error("this store is suspended and takes no points")]
    Suspended,
    /// The store gives points and takes none.
    #[error("this store does not take points")]
    StoreTakesNoPoints,
    /// No such member.
    #[error("there is no such member")]
    UnknownMember,
    /// The mall has no such form of spending.
    #[error("points do not pay in this form in this mall")]
    FormNotOffered,
    /// The total is too small for the threshold form.
    #[error("points pay only from a total of {from}")]
    BelowThreshold {
        /// The smallest total.
        from: Money,
    },
    /// The threshold form takes whole blocks.
    #[error("points are taken in blocks of {block}")]
    NotInBlocks {
        /// Points in a block.
        block: i64,
    },
    /// Fewer than may be spent at once.
    #[error("at least {least} points are taken at once")]
    TooFewPoints {
        /// The fewest.
        least: i64,
    },
    /// More than this total admits.
    #[error("at most {most} points may pay for this total")]
    OverTheLimit {
        /// The most.
        most: i64,
    },
    /// The member has fewer.
    #[error("the member has {available} points to spend, {wanted} were asked for")]
    NotEnoughPoints {
        /// What can be spent.
        available: i64,
        /// What was asked for.
        wanted: i64,
    },
    /// Points paid for this receipt already, and the two do not say the same.
    #[error("points have already paid for this receipt, with other content")]
    AlreadySpent {
        /// What was recorded.
        spend: SpendId,
    },
    /// It has not happened yet.
    #[error("the time of the purchase lies in the future")]
    InTheFuture,
    /// A total or a number of points that the books cannot hold.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

impl From<LedgerError> for SpendError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::NotEnoughPoints { available, wanted } => {
                Self::NotEnoughPoints { available, wanted }
            }
            LedgerError::Amount(error) => Self::Amount(error),
            LedgerError::OnlyElsewhere | LedgerError::Missing(_) => {
                Self::Db(db::Error::Corrupt("wallet"))
            }
        }
    }
}

/// Whether the limits of the total hold: its share, the fewest points, the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limits {
    /// They hold, as at every till.
    Kept,
    /// They were kept when it happened, and the total is not known any more: an import. The ratio
    /// says what the points took off.
    Waived,
}

/// One receipt that points are to pay part of.
#[derive(Debug, Clone)]
pub struct SpendItem {
    /// The right by which it was admitted.
    pub grant: Grant<SpendPoints>,
    /// Where.
    pub store: StoreId,
    /// The receipt, unique in the store for ever.
    pub receipt_number: ReceiptNumber,
    /// Whose points.
    pub member: MemberId,
    /// What the receipt comes to after coupons, in minor units of the mall's currency.
    pub total: i64,
    /// How many points.
    pub points: Wanted,
    /// How they pay; none for the mall's usual form.
    pub form: Option<Form>,
    /// Whether the total limits them.
    pub limits: Limits,
    /// When.
    pub occurred_at: Instant,
}

/// What a preview asks.
#[derive(Debug, Clone)]
pub struct SpendQuestion {
    /// Where.
    pub store: StoreId,
    /// Whose points.
    pub member: MemberId,
    /// What the receipt comes to after coupons, in minor units.
    pub total: i64,
    /// At most so many points; none for as many as possible.
    pub points: Option<i64>,
    /// How they pay; none for the mall's usual form.
    pub form: Option<Form>,
}

/// What points did to a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpendReceipt {
    /// What was recorded; none where [`Wanted::UpTo`] came to nothing, which leaves no trace.
    pub spend: Option<SpendId>,
    /// Points taken.
    pub points: i64,
    /// What they took off, in minor units.
    pub pays: i64,
    /// What is left to pay, in minor units.
    pub to_pay: i64,
    /// The member's balance just after it: what was there less what was owed.
    pub balance: i64,
    /// When it happened.
    pub occurred_at: Instant,
    /// Whether it had been recorded before.
    pub replayed: bool,
}

/// A receipt that points paid part of, as the table holds it.
#[derive(Debug, Clone)]
struct Record {
    spend: SpendId,
    store: StoreId,
    merchant: MerchantId,
    receipt_number: ReceiptNumber,
    member: MemberId,
    journal: JournalId,
    total: i64,
    points: i64,
    pays: i64,
    returned: i64,
    fingerprint: Vec<u8>,
    occurred_at: Instant,
}

impl SpendItem {
    fn receipt(&self) -> Receipt {
        (self.store, self.receipt_number.clone())
    }

    /// What makes two requests for one receipt the same: who, how much and how. Not the moment,
    /// because a till that sends none is given ours, another one at each try.
    fn fingerprint(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(self.member.uuid());
        hash.update(self.total.to_be_bytes());
        let (kind, points) = match self.points {
            Wanted::Exactly(points) => (1, points),
            Wanted::UpTo(points) => (2, points),
        };
        hash.update([kind]);
        hash.update(points.to_be_bytes());
        hash.update(self.form.map_or("", Form::as_str));
        hash.finalize().to_vec()
    }
}

/// What points would take off a receipt; nothing is taken.
///
/// # Errors
/// [`SpendError::UnknownStore`], [`SpendError::Suspended`], [`SpendError::StoreTakesNoPoints`],
/// [`SpendError::UnknownMember`], [`SpendError::FormNotOffered`], [`SpendError::Amount`].
pub async fn preview(
    tx: &mut ReadTx,
    grant: &Grant<SpendPoints>,
    setting: &Setting,
    question: &SpendQuestion,
) -> Result<Quote, SpendError> {
    let stores = merchants::till_stores(tx, &[question.store]).await?;
    let place = within(grant, stores.get(&question.store))?;
    takes_points(place)?;
    let balance = ledger::balance(tx, question.member, Some(place.merchant)).await?;
    let balance = balance.ok_or(SpendError::UnknownMember)?;
    let (form, total) = (question.form, question.total);
    let spendable = balance.spendable();
    setting.terms.quote(form, total, spendable, question.points)
}

/// Takes points for receipts, each for itself: a refusal touches no other item, and all that is
/// taken becomes durable together. A receipt that says the same as before gets its first answer
/// again, for ever. `believed` are the mall's stores, where the transaction would not have been opened
/// were they otherwise.
///
/// # Errors
/// [`db::Error::Retry`] where another transaction recorded one of these receipts for another
/// member in the same moment: nothing was written, and a second run knows that receipt.
pub async fn spend(
    tx: &mut Tx,
    setting: &Setting,
    items: &[SpendItem],
    believed: Option<&Stores>,
) -> Result<Vec<Result<SpendReceipt, SpendError>>, db::Error> {
    let Some(due_by) = items.iter().map(|item| item.occurred_at).max() else {
        return Ok(Vec::new());
    };
    let stores = if let Some(stores) = believed {
        Cow::Borrowed(stores)
    } else {
        let stores: BTreeSet<StoreId> = items.iter().map(|item| item.store).collect();
        let stores: Vec<StoreId> = stores.into_iter().collect();
        Cow::Owned(merchants::till_stores(tx, &stores).await?)
    };
    let members: BTreeSet<MemberId> = items.iter().map(|item| item.member).collect();
    let members: Vec<MemberId> = members.into_iter().collect();
    let wanted = ledger::books::Wanted {
        members: members.clone(),
        spenders: members,
        lots: Vec::new(),
        due_by,
    };
    let books = ledger::open_books(tx, setting.zone, &wanted).await?;
    // Read after the wallets' locks, so that what another request took for the same member and
    // receipt a moment ago is seen.
    let receipts: Vec<Receipt> = items.iter().map(SpendItem::receipt).collect();
    let known = store::spends_by_receipt(tx, &receipts).await?;
    let balances = first_balances(tx, &known).await?;
    let mut till = Till {
        setting,
        stores,
        books,
        known,
        balances,
        fresh: Vec::new(),
    };
    let mut answers = Vec::with_capacity(items.len());
    for item in items {
        answers.push(till.take(tx, item));
    }
    let Till {
        books, mut fresh, ..
    } = till;
    // In one order everywhere, so that two transactions wait for each other and not in a ring.
    fresh.sort_by(|one, two| {
        (one.store, &one.receipt_number).cmp(&(two.store, &two.receipt_number))
    });
    store::insert_spends(tx, &fresh).await?;
    books.post(tx).await?;
    Ok(answers)
}

/// The members' balances just after these receipts were recorded; none is asked for mostly.
async fn first_balances(
    tx: &mut Tx,
    known: &HashMap<Receipt, Record>,
) -> Result<HashMap<JournalId, i64>, db::Error> {
    if known.is_empty() {
        return Ok(HashMap::new());
    }
    let events: Vec<JournalId> = known.values().map(|record| record.journal).collect();
    ledger::balances_after(tx, &events).await
}

/// What a slice of receipts is decided with.
struct Till<'a> {
    setting: &'a Setting,
    stores: Cow<'a, Stores>,
    books: Books,
    known: HashMap<Receipt, Record>,
    /// The members' balances just after what is known.
    balances: HashMap<JournalId, i64>,
    fresh: Vec<Record>,
}

impl Till<'_> {
    /// Decides one receipt in memory: what was done before, else whether it may be done, then how
    /// many points.
    fn take(&mut self, tx: &Tx, item: &SpendItem) -> Result<SpendReceipt, SpendError> {
        let place = within(&item.grant, self.stores.get(&item.store))?.clone();
        if let Some(record) = self.known.get(&item.receipt()) {
            return self.replay(item, record);
        }
        takes_points(&place)?;
        if item.occurred_at > latest(tx.now()) {
            return Err(SpendError::InTheFuture);
        }
        if self.books.wallet(item.member).is_none() {
            return Err(SpendError::UnknownMember);
        }
        let terms = &self.setting.terms;
        let (member, at) = (item.member, item.occurred_at);
        let available = self.books.spendable(member, at, Some(place.merchant));
        let taken = match item.limits {
            Limits::Kept => terms.take(item.form, item.total, available, item.points)?,
            Limits::Waived => terms.take_without_limits(available, item.points)?,
        };
        if taken.points == 0 {
            return Ok(self.receipt(item, taken, None));
        }
        let spend: SpendId = tx.new_id();
        let posted = self.post(item, &place, taken, spend)?;
        self.balances.insert(posted.journal, posted.balance);
        let record = Record {
            spend,
            store: item.store,
            merchant: place.merchant,
            receipt_number: item.receipt_number.clone(),
            member: item.member,
            journal: posted.journal,
            total: item.total,
            points: taken.points,
            pays: taken.pays,
            returned: 0,
            fingerprint: item.fingerprint(),
            occurred_at: item.occurred_at,
        };
        self.known.insert(item.receipt(), record.clone());
        self.fresh.push(record);
        Ok(self.receipt(item, taken, Some(spend)))
    }

    fn post(
        &mut self,
        item: &SpendItem,
        place: &TillStore,
        taken: Taken,
        spend: SpendId,
    ) -> Result<Posted, LedgerError> {
        let event = Event {
            kind: Kind::Spend,
            actor: item.grant.actor(),
            member: item.member,
            place: Some((place.merchant, place.store)),
            source: spend.uuid(),
            occurred_at: item.occurred_at,
            reverses: None,
        };
        self.books.spend(&event, taken.points)
    }

    fn replay(&self, item: &SpendItem, record: &Record) -> Result<SpendReceipt, SpendError> {
        if record.fingerprint != item.fingerprint() {
            return Err(SpendError::AlreadySpent {
                spend: record.spend,
            });
        }
        let taken = Taken {
            points: record.points,
            pays: record.pays,
        };
        let balance = self.balances.get(&record.journal).copied();
        Ok(SpendReceipt {
            balance: balance.ok_or(db::Error::Corrupt("spend"))?,
            occurred_at: record.occurred_at,
            replayed: true,
            ..self.receipt(item, taken, Some(record.spend))
        })
    }

    fn receipt(&self, item: &SpendItem, taken: Taken, spend: Option<SpendId>) -> SpendReceipt {
        let wallet = self.books.wallet(item.member).unwrap_or_default();
        SpendReceipt {
            spend,
            points: taken.points,
            pays: taken.pays,
            to_pay: item.total.saturating_sub(taken.pays).max(0),
            balance: wallet.available.saturating_sub(wallet.debt),
            occurred_at: item.occurred_at,
            replayed: false,
        }
    }
}

/// The store, where the right reaches it.
fn within<'a>(
    grant: &Grant<SpendPoints>,
    found: Option<&'a TillStore>,
) -> Result<&'a TillStore, SpendError> {
    found
        .filter(|place| grant.covers(place.merchant, place.store))
        .ok_or(SpendError::UnknownStore)
}

fn takes_points(place: &TillStore) -> Result<(), SpendError> {
    if !place.active() {
        Err(SpendError::Suspended)
    } else if !place.spends {
        Err(SpendError::StoreTakesNoPoints)
    } else {
        Ok(())
    }
}

/// The latest moment that a till may name at `now`.
fn latest(now: Instant) -> Instant {
    now.checked_add_signed(TimeDelta::minutes(CLOCK_DRIFT))
        .unwrap_or(now)
}
