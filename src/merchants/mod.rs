//! Merchants and their stores: who belongs to the alliance, and who gives and takes points.
//!
//! A store does what its merchant does, or less where it was narrowed: a store narrowed to "earn"
//! gives points though its merchant also takes them. A suspended merchant or store neither gives
//! nor takes points; it still honours refunds, and its books go on. Whoever has a right within one
//! merchant sees that merchant and its stores; all others are unknown to them. A member sees every
//! store.

pub mod accounts;
pub mod agreements;
mod alliance;
pub mod contacts;
pub mod credit;
mod listing;
pub mod onboarding;
pub mod rates;
mod store;
mod till;

pub use alliance::{Alliance, AllianceError};
pub use contacts::{Called, called};
pub use listing::{Listing, StoreListing, Upserted, create_by_code, upsert};
pub use till::{
    Stores, TillStore, all_till_stores, by_codes, codes, has_stores, stores_by_code, till_stores,
};

use thiserror::Error;

use self::onboarding::EventKind;
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{
            ActivateMerchant, ActivateStore, CreateMerchant, CreateStore, ReadMerchants,
            ReadStores, SuspendMerchant, SuspendStore,
        },
        actor::Reach,
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{Id, Kind, MerchantId, StoreId},
        page::{CursorError, MOST, Page, Slice},
        text::{Code, Name, Names},
        time::Instant,
    },
};

/// Whether a merchant or a store gives and takes points at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It works.
    Active,
    /// It neither gives nor takes points; refunds go on.
    Suspended,
}

impl Status {
    /// As the tables and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }

    fn parse(text: &str) -> Result<Self, db::error::Error> {
        [Self::Active, Self::Suspended]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(db::error::Error::Corrupt("merchant status"))
    }
}

/// A company of the alliance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merchant {
    /// Its id.
    pub id: MerchantId,
    /// What lists and files call it; never changes.
    pub code: Code,
    /// Its names.
    pub names: Names,
    /// What it trades in: "tea".
    pub trade: Name,
    /// What it does in the alliance.
    pub alliance: Alliance,
    /// Whether it works.
    pub status: Status,
    /// When it joined.
    pub created_at: Instant,
}

/// A place where a merchant sells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Its id.
    pub id: StoreId,
    /// Whose it is.
    pub merchant: MerchantId,
    /// What lists and files call it, unique in the mall; never changes.
    pub code: Code,
    /// Its names.
    pub names: Names,
    /// Its own limit: `Both` where it does whatever its merchant does.
    pub alliance: Alliance,
    /// Whether it works.
    pub status: Status,
    /// When it opened.
    pub created_at: Instant,
}

/// A merchant that is to join.
#[derive(Debug, Clone)]
pub struct NewMerchant {
    /// Not yet taken by another merchant.
    pub code: Code,
    /// Its names.
    pub names: Names,
    /// What it trades in.
    pub trade: Name,
    /// What it is to do in the alliance.
    pub alliance: Alliance,
}

/// A store that is to open.
#[derive(Debug, Clone)]
pub struct NewStore {
    /// Whose it is.
    pub merchant: MerchantId,
    /// Not yet taken by another store of the mall.
    pub code: Code,
    /// Its names.
    pub names: Names,
    /// Less than its merchant does; none for the same.
    pub alliance: Option<Alliance>,
}

/// Why something about merchants and stores is refused.
#[derive(Debug, Error)]
pub enum MerchantError {
    /// No such merchant, or none within reach.
    #[error("there is no such merchant")]
    UnknownMerchant,
    /// No such store, or none within reach.
    #[error("there is no such store")]
    UnknownStore,
    /// Another merchant has this code.
    #[error("another merchant has the code {}", .0.as_str())]
    MerchantCodeTaken(Code),
    /// Another store of the mall has this code.
    #[error("another store has the code {}", .0.as_str())]
    StoreCodeTaken(Code),
    /// A store narrowed to something that its merchant does not do.
    #[error("the store {} cannot do more in the alliance than its merchant", .0.as_str())]
    WiderThanMerchant(Code),
    /// The same code twice in one list.
    #[error("the code {} is listed twice", .0.as_str())]
    ListedTwice(Code),
    /// A store of this code exists and belongs to another merchant than the list says.
    #[error("the store {} belongs to another merchant already", .0.as_str())]
    StoreOfAnother(Code),
    /// A merchant that gets no mail.
    #[error("the merchant gets no mail")]
    NoContact,
    /// A merchant whose account at Stripe nobody said.
    #[error("nobody said to which account at Stripe the merchant is paid")]
    NoAccount,
    /// Fewer or more points than the operator lets merchants give by the rule.
    #[error("by this rule merchants give {} to {} points", .0.least, .0.most)]
    OutOfRange(rates::Range),
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::error::Error),
}

/// Where a page begins and how many it holds, as the queries want it.
struct Window<K> {
    after: Id<K>,
    limit: i64,
}

impl<K: Kind> Window<K> {
    fn of(slice: &Slice) -> Result<Self, CursorError> {
        let after = match &slice.after {
            Some(key) => key.parse().map_err(|_| CursorError)?,
            None => Id::from_uuid(uuid::Uuid::nil()),
        };
        Ok(Self {
            after,
            limit: slice.limit.clamp(1, MOST),
        })
    }
}

/// Takes a merchant into the alliance, active at once.
///
/// # Errors
/// [`MerchantError::MerchantCodeTaken`]; [`MerchantError::UnknownMerchant`] for whoever may act
/// within one merchant only.
pub async fn create(
    tx: &mut Tx,
    grant: &Grant<CreateMerchant>,
    new: NewMerchant,
) -> Result<Merchant, MerchantError> {
    if grant.reach() != Reach::Mall {
        return Err(MerchantError::UnknownMerchant);
    }
    let merchant = Merchant {
        id: tx.new_id(),
        code: new.code,
        names: new.names,
        trade: new.trade,
        alliance: new.alliance,
        status: Status::Active,
        created_at: tx.now(),
    };
    if !store::insert_merchant(tx, &merchant).await? {
        return Err(MerchantError::MerchantCodeTaken(merchant.code));
    }
    let done = Done::to(Act::MerchantMade, merchant.id)
        .is(Field::Code, merchant.code.as_str())
        .is(Field::Names, audit::names(&merchant.names))
        .is(Field::Trade, merchant.trade.as_str())
        .is(Field::Alliance, merchant.alliance.as_str());
    audit::record(tx, done).await?;
    Ok(merchant)
}

/// Merchants within reach, in the order in which they joined.
///
/// # Errors
/// [`MerchantError::Cursor`].
pub async fn list(
    tx: &mut ReadTx,
    grant: &Grant<ReadMerchants>,
    slice: &Slice,
) -> Result<Page<Merchant>, MerchantError> {
    let window = Window::of(slice)?;
    let only = match grant.reach() {
        Reach::Mall => None,
        Reach::Merchant(own) => Some(own),
        Reach::Member(_) => {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        }
    };
    let rows = store::merchants(tx, only, &window).await?;
    Ok(Page::from_rows(rows, window.limit, |merchant| {
        merchant.id.to_string()
    }))
}

/// One merchant.
///
/// # Errors
/// [`MerchantError::UnknownMerchant`].
pub async fn get(
    tx: &mut ReadTx,
    grant: &Grant<ReadMerchants>,
    id: MerchantId,
) -> Result<Merchant, MerchantError> {
    within(tx, grant.reach(), id).await
}

/// Lets a suspended merchant work again; an active one stays as it is.
///
/// # Errors
/// [`MerchantError::UnknownMerchant`].
pub async fn activate(
    tx: &mut Tx,
    grant: &Grant<ActivateMerchant>,
    id: MerchantId,
) -> Result<Merchant, MerchantError> {
    set_status(tx, grant.reach(), id, Status::Active).await
}

/// Stops a merchant from giving and taking points; refunds go on. A suspended one stays as it is.
///
/// # Errors
/// [`MerchantError::UnknownMerchant`].
pub async fn suspend(
    tx: &mut Tx,
    grant: &Grant<SuspendMerchant>,
    id: MerchantId,
) -> Result<Merchant, MerchantError> {
    set_status(tx, grant.reach(), id, Status::Suspended).await
}

/// Opens a store of a merchant, active at once.
///
/// # Errors
/// [`MerchantError::UnknownMerchant`], [`MerchantError::StoreCodeTaken`],
/// [`MerchantError::WiderThanMerchant`].
pub async fn create_store(
    tx: &mut Tx,
    grant: &Grant<CreateStore>,
    new: NewStore,
) -> Result<Store, MerchantError> {
    let merchant = within(tx, grant.reach(), new.merchant).await?;
    if new
        .alliance
        .is_some_and(|own| !own.within(merchant.alliance))
    {
        return Err(MerchantError::WiderThanMerchant(new.code));
    }
    let place = Store {
        id: tx.new_id(),
        merchant: merchant.id,
        code: new.code,
        names: new.names,
        alliance: new.alliance.unwrap_or(Alliance::Both),
        status: Status::Active,
        created_at: tx.now(),
    };
    if !store::insert_store(tx, &place).await? {
        return Err(MerchantError::StoreCodeTaken(place.code));
    }
    let done = Done::to(Act::StoreMade, place.id)
        .is(Field::Merchant, audit::id(place.merchant))
        .is(Field::Code, place.code.as_str())
        .is(Field::Names, audit::names(&place.names))
        .is(Field::Alliance, place.alliance.as_str());
    audit::record(tx, done).await?;
    Ok(place)
}

/// Stores within reach, of one merchant where `of` names it, in the order in which they opened.
///
/// # Errors
/// [`MerchantError::UnknownMerchant`], [`MerchantError::Cursor`].
pub async fn stores(
    tx: &mut ReadTx,
    grant: &Grant<ReadStores>,
    of: Option<MerchantId>,
    slice: &Slice,
) -> Result<Page<Store>, MerchantError> {
    let window = Window::of(slice)?;
    if let Some(merchant) = of
        && (!sees_stores(grant.reach(), merchant) || store::merchant(tx, merchant).await?.is_none())
    {
        return Err(MerchantError::UnknownMerchant);
    }
    let only = match grant.reach() {
        Reach::Merchant(own) => Some(own),
        Reach::Mall | Reach::Member(_) => of,
    };
    let rows = match only {
        Some(merchant) => store::stores_of(tx, merchant, &window).await?,
        None => store::stores(tx, &window).await?,
    };
    Ok(Page::from_rows(rows, window.limit, |place| {
        place.id.to_string()
    }))
}

/// One store.
///
/// # Errors
/// [`MerchantError::UnknownStore`].
pub async fn get_store(
    tx: &mut ReadTx,
    grant: &Grant<ReadStores>,
    id: StoreId,
) -> Result<Store, MerchantError> {
    store_within(tx, grant.reach(), id).await
}

/// Lets a suspended store work again; an active one stays as it is.
///
/// # Errors
/// [`MerchantError::UnknownStore`].
pub async fn activate_store(
    tx: &mut Tx,
    grant: &Grant<ActivateStore>,
    id: StoreId,
) -> Result<Store, MerchantError> {
    set_store_status(tx, grant.reach(), id, Status::Active).await
}

/// Stops a store from giving and taking points; refunds go on. A suspended one stays as it is.
///
/// # Errors
/// [`MerchantError::UnknownStore`].
pub async fn suspend_store(
    tx: &mut Tx,
    grant: &Grant<SuspendStore>,
    id: StoreId,
) -> Result<Store, MerchantError> {
    set_store_status(tx, grant.reach(), id, Status::Suspended).await
}

/// A member sees every store, everybody else those of the merchants within reach.
fn sees_stores(reach: Reach, merchant: MerchantId) -> bool {
    matches!(reach, Reach::Member(_)) || reach.covers(merchant)
}

async fn within(tx: &mut ReadTx, reach: Reach, id: MerchantId) -> Result<Merchant, MerchantError> {
    if !reach.covers(id) {
        return Err(MerchantError::UnknownMerchant);
    }
    let found = store::merchant(tx, id).await?;
    found.ok_or(MerchantError::UnknownMerchant)
}

async fn store_within(tx: &mut ReadTx, reach: Reach, id: StoreId) -> Result<Store, MerchantError> {
    store::store(tx, id)
        .await?
        .filter(|place| sees_stores(reach, place.merchant))
        .ok_or(MerchantError::UnknownStore)
}

async fn set_status(
    tx: &mut Tx,
    reach: Reach,
    id: MerchantId,
    status: Status,
) -> Result<Merchant, MerchantError> {
    let merchant = within(tx, reach, id).await?;
    store::set_merchant_status(tx, id, status).await?;
    let (kind, act) = match status {
        Status::Active => (EventKind::Activated, Act::MerchantActivated),
        Status::Suspended => (EventKind::Suspended, Act::MerchantSuspended),
    };
    if merchant.status != status {
        onboarding::news::became(tx, id, kind, None).await?;
        let (before, after) = (merchant.status.as_str(), status.as_str());
        audit::record(tx, Done::to(act, id).changed(Field::State, before, after)).await?;
    }
    Ok(Merchant { status, ..merchant })
}

async fn set_store_status(
    tx: &mut Tx,
    reach: Reach,
    id: StoreId,
    status: Status,
) -> Result<Store, MerchantError> {
    let place = store_within(tx, reach, id).await?;
    if !reach.covers(place.merchant) {
        return Err(MerchantError::UnknownStore);
    }
    store::set_store_status(tx, id, status).await?;
    let act = match status {
        Status::Active => Act::StoreActivated,
        Status::Suspended => Act::StoreSuspended,
    };
    if place.status != status {
        let (before, after) = (place.status.as_str(), status.as_str());
        audit::record(tx, Done::to(act, id).changed(Field::State, before, after)).await?;
    }
    Ok(Store { status, ..place })
}
