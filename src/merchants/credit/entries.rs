//! Money of merchants that moved outside of settlements, and was taken out of deposits: recorded once
//! and for ever, and in the ledger with it.

use chrono::NaiveDate;

use super::{CreditError, lock, store, whole_mall};
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{ReadCredit, RecordCredit},
        grant::Grant,
    },
    db::tx::{ReadTx, Tx},
    kernel::{
        ids::{CreditEntryId, MerchantId, SettlementId},
        money::Currency,
        page::{CursorError, MOST, Page, Slice},
        points::LARGEST,
        time::Instant,
    },
    ledger::{self, account::Account, transfer::Kind},
    merchants::{agreements, store::merchant},
};

/// By which means money moved outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// From one bank account to another.
    BankTransfer,
    /// Offset against the rent that one of the two owes the other.
    Rent,
    /// In some other way, which the reference names.
    Other,
}

impl Means {
    const ALL: [Self; 3] = [Self::BankTransfer, Self::Rent, Self::Other];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BankTransfer => "bank_transfer",
            Self::Rent => "rent",
            Self::Other => "other",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|means| means.as_str() == text)
    }
}

/// What an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A merchant gave money to be kept.
    DepositPaid,
    /// It got some of it back.
    DepositReturned,
    /// A payment of the merchant was met from what is kept.
    DepositDrawn,
    /// A merchant paid for points in advance.
    BlockBought,
}

impl EntryKind {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::DepositPaid,
        Self::DepositReturned,
        Self::DepositDrawn,
        Self::BlockBought,
    ];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DepositPaid => "deposit_paid",
            Self::DepositReturned => "deposit_returned",
            Self::DepositDrawn => "deposit_drawn",
            Self::BlockBought => "block_bought",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Money that moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: CreditEntryId,
    /// Whose.
    pub merchant: MerchantId,
    /// What happened.
    pub kind: EntryKind,
    /// How much, in minor units, above zero.
    pub amount: i64,
    /// How many points a block has.
    pub points: Option<i64>,
    /// How; none for what was drawn.
    pub means: Option<Means>,
    /// What whoever moved it calls it; what was drawn has the payment's reference.
    pub reference: String,
    /// On which day.
    pub executed_on: Option<NaiveDate>,
    /// Which payment was met from what is kept, by settlement and line.
    pub payment: Option<(SettlementId, i32)>,
    /// When it was recorded, and
    pub recorded_at: Instant,
    /// by whom.
    pub recorded_by: String,
}

/// What somebody says that was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// A deposit came, of so many minor units.
    Paid(i64),
    /// So much of it went back.
    Returned(i64),
    /// So many points were paid for, at the price that was agreed on.
    Block(i64),
}

/// An entry that is to be recorded.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// Whose money.
    pub merchant: MerchantId,
    /// What was moved.
    pub moved: Moved,
    /// How.
    pub means: Means,
    /// What whoever moved it calls it; an entry of its kind for ever.
    pub reference: String,
    /// On which day.
    pub executed_on: Option<NaiveDate>,
}

/// Writes down that money moved outside. Said again in the same words it changes nothing.
///
/// # Errors
/// [`CreditError::UnknownMerchant`], [`CreditError::NotPositive`], [`CreditError::ReferenceTaken`];
/// for a block [`CreditError::NoPool`], [`CreditError::NotWhole`]; for what goes back
/// [`CreditError::TooMuch`].
pub async fn record(
    tx: &mut Tx,
    grant: &Grant<RecordCredit>,
    new: NewEntry,
    currency: Currency,
) -> Result<Entry, CreditError> {
    whole_mall(grant.reach())?;
    let mut credit = lock(tx, new.merchant).await?;
    let before = credit.clone();
    let (kind, size) = match new.moved {
        Moved::Paid(amount) => (EntryKind::DepositPaid, amount),
        Moved::Returned(amount) => (EntryKind::DepositReturned, amount),
        Moved::Block(points) => (EntryKind::BlockBought, points),
    };
    if !(1..=LARGEST).contains(&size) {
        return Err(CreditError::NotPositive);
    }
    if let Some(known) = store::entry(tx, new.merchant, kind, &new.reference).await? {
        return if known.points.unwrap_or(known.amount) == size && known.means == Some(new.means) {
            Ok(known)
        } else {
            Err(CreditError::ReferenceTaken)
        };
    }
    let (outside, deposit) = (
        Account::Outside(new.merchant),
        Account::Deposit(new.merchant),
    );
    let (amount, points, (why, from, to)) = match new.moved {
        Moved::Paid(amount) => {
            credit.deposit = plus(credit.deposit, amount)?;
            (amount, None, (Kind::Deposit, outside, deposit))
        }
        Moved::Returned(amount) => {
            credit.deposit = taken(credit.deposit, amount)?;
            (amount, None, (Kind::Deposit, deposit, outside))
        }
        Moved::Block(points) => {
            let amount = price_of(tx, new.merchant, points).await?;
            store::insert_block(tx, new.merchant, points, amount).await?;
            let prepaid = Account::Prepaid(new.merchant);
            (amount, Some(points), (Kind::Prepay, outside, prepaid))
        }
    };
    let entry = Entry {
        id: tx.new_id(),
        merchant: new.merchant,
        kind,
        amount,
        points,
        means: Some(new.means),
        reference: new.reference,
        executed_on: new.executed_on,
        payment: None,
        recorded_at: tx.now(),
        recorded_by: tx.actor().to_string(),
    };
    store::insert_entry(tx, &entry).await?;
    store::update(tx, &before, &credit).await?;
    let period = ledger::open_period(tx).await?;
    let moves = [(from, to, amount)];
    ledger::move_money(tx, why, entry.id.uuid(), period, currency.code(), &moves).await?;
    let done = Done::to(Act::CreditRecorded, entry.id)
        .is(Field::Merchant, audit::id(entry.merchant))
        .is(Field::Kind, kind.as_str())
        .is(Field::Amount, amount)
        .is(Field::Points, points)
        .is(Field::Reference, entry.reference.as_str())
        .changed(Field::Deposit, before.deposit, credit.deposit);
    audit::record(tx, done).await?;
    Ok(entry)
}

/// Meets a payment of a merchant from its deposit; `payment` is its settlement and line.
///
/// # Errors
/// [`CreditError::TooMuch`]; [`CreditError::ReferenceTaken`] for a payment that was met before.
pub async fn draw(
    tx: &mut Tx,
    merchant: MerchantId,
    amount: i64,
    payment: (SettlementId, i32),
    currency: Currency,
) -> Result<Entry, CreditError> {
    let reference = format!("{}-{}", payment.0, payment.1);
    let mut credit = lock(tx, merchant).await?;
    let before = credit.clone();
    let kind = EntryKind::DepositDrawn;
    if store::entry(tx, merchant, kind, &reference)
        .await?
        .is_some()
    {
        return Err(CreditError::ReferenceTaken);
    }
    credit.deposit = taken(credit.deposit, amount)?;
    let entry = Entry {
        id: tx.new_id(),
        merchant,
        kind,
        amount,
        points: None,
        means: None,
        reference,
        executed_on: None,
        payment: Some(payment),
        recorded_at: tx.now(),
        recorded_by: tx.actor().to_string(),
    };
    store::insert_entry(tx, &entry).await?;
    store::update(tx, &before, &credit).await?;
    let period = ledger::open_period(tx).await?;
    let met = [(
        Account::Deposit(merchant),
        Account::Payable(Some(merchant)),
        amount,
    )];
    let (why, source) = (Kind::Cover, entry.id.uuid());
    ledger::move_money(tx, why, source, period, currency.code(), &met).await?;
    Ok(entry)
}

/// Money of a merchant that moved, the newest first.
///
/// # Errors
/// [`CreditError::UnknownMerchant`], [`CreditError::Cursor`].
pub async fn entries(
    tx: &mut ReadTx,
    grant: &Grant<ReadCredit>,
    of: MerchantId,
    slice: &Slice,
) -> Result<Page<Entry>, CreditError> {
    if !grant.reach().covers(of) || merchant(tx, of).await?.is_none() {
        return Err(CreditError::UnknownMerchant);
    }
    let before = match &slice.after {
        Some(key) => key.parse().map_err(|_| CursorError)?,
        None => CreditEntryId::from_uuid(uuid::Uuid::max()),
    };
    let limit = slice.limit.clamp(1, MOST);
    let rows = store::entries(tx, of, before, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.id.to_string()))
}

/// What so many points cost in advance.
async fn price_of(tx: &mut Tx, of: MerchantId, points: i64) -> Result<i64, CreditError> {
    let now = tx.now();
    let mut agreed = agreements::accepted_before(tx, now).await?;
    let versions = agreed.remove(&of).unwrap_or_default();
    let held = versions.iter().rev().find(|one| one.starts_at <= now);
    let pool = held.filter(|one| one.terms.model == agreements::Model::Pool);
    let price = pool.and_then(|one| one.terms.issue_price);
    let price = price.ok_or(CreditError::NoPool)?;
    let whole = i128::from(points).saturating_mul(i128::from(price.worth));
    let size = i128::from(price.points);
    let exact = whole.checked_rem(size) == Some(0);
    let amount = whole
        .checked_div(size)
        .and_then(|amount| i64::try_from(amount).ok());
    match amount.filter(|amount| exact && (1..=LARGEST).contains(amount)) {
        Some(amount) => Ok(amount),
        None if exact => Err(CreditError::NotPositive),
        None => Err(CreditError::NotWhole {
            points,
            step: price.points,
        }),
    }
}

fn plus(deposit: i64, amount: i64) -> Result<i64, CreditError> {
    let sum = deposit.checked_add(amount);
    let sum = sum.filter(|sum| *sum <= LARGEST);
    sum.ok_or(CreditError::NotPositive)
}

fn taken(deposit: i64, wanted: i64) -> Result<i64, CreditError> {
    let left = deposit.checked_sub(wanted).filter(|left| *left >= 0);
    left.ok_or(CreditError::TooMuch { deposit, wanted })
}
