//! Stores.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use crate::{
    api::{
        Group,
        words::{AllianceWord, StatusWord},
    },
    authz::action::{ActivateStore, CreateStore, ReadStores, SuspendStore},
    http::{
        admit::Caller,
        body::Body,
        idempotency::{IdempotencyKey, Once},
        paging::{self, List},
        problem::Problem,
        reply::Reply,
        wire::{Cursor, Limit, Moment},
    },
    kernel::{
        ids::{MerchantId, StoreId},
        text::{Code, Names},
    },
    merchants::{self, NewStore, Store},
};

/// The address of the list of stores.
const STORES: &str = "/v1/stores";

/// Operations on stores.
#[derive(Debug)]
pub struct Stores;

/// A store that is to open.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct CreateStoreIn {
    /// Whose it is.
    merchant_id: MerchantId,
    /// What tills and files call it; unique among the mall's stores, never changes.
    code: Code,
    /// What people read.
    names: Names,
    /// Less than its merchant does in the alliance; without it, the same.
    alliance: Option<AllianceWord>,
}

/// A place where a merchant sells.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Store")]
struct StoreOut {
    /// The store's id.
    store_id: StoreId,
    /// Whose it is.
    merchant_id: MerchantId,
    /// What tills and files call it.
    code: Code,
    /// What people read.
    names: Names,
    /// Its own limit: `both` where it does whatever its merchant does.
    alliance: AllianceWord,
    /// Whether it works itself; it also rests while its merchant is suspended.
    status: StatusWord,
    /// When it opened.
    created_at: Moment,
}

impl From<Store> for StoreOut {
    fn from(place: Store) -> Self {
        Self {
            store_id: place.id,
            merchant_id: place.merchant,
            code: place.code,
            names: place.names,
            alliance: place.alliance.into(),
            status: place.status.into(),
            created_at: Moment(place.created_at),
        }
    }
}

#[OpenApi(tag = "Group::Operator")]
impl Stores {
    /// Open a store
    ///
    /// It works at once. A merchant's owner opens stores of that merchant only. 409 `code-taken`
    /// where another store of the mall has the code, `wider-than-merchant` where the store would
    /// do more than its merchant.
    #[oai(path = "/v1/stores", method = "post", operation_id = "create_store")]
    async fn create_store(
        &self,
        caller: Caller<CreateStore>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<CreateStoreIn>,
    ) -> Result<Reply<201, StoreOut>, Problem> {
        let CreateStoreIn {
            merchant_id,
            code,
            names,
            alliance,
        } = body.value;
        let new = NewStore {
            merchant: merchant_id,
            code,
            names,
            alliance: alliance.map(Into::into),
        };
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let made = merchants::create_store(once.tx(), &caller.grant, new).await;
        once.finish(made.map(StoreOut::from)).await
    }

    /// List the stores
    ///
    /// In the order in which they opened; of one merchant where `merchant_id` names it. A
    /// merchant's key sees its own stores only.
    #[oai(path = "/v1/stores", method = "get", operation_id = "list_stores")]
    async fn list_stores(
        &self,
        caller: Caller<ReadStores>,
        /// Only the stores of this merchant.
        merchant_id: Query<Option<MerchantId>>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<StoreOut>>, Problem> {
        let url = match merchant_id.0 {
            Some(merchant) => format!("{STORES}?merchant_id={merchant}"),
            None => STORES.to_owned(),
        };
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = merchants::stores(&mut tx, &caller.grant, merchant_id.0, &slice).await?;
        let list = List::new(caller.app(), &url, page, StoreOut::from);
        Ok(Reply::new(&list))
    }

    /// Read a store
    #[oai(
        path = "/v1/stores/:store_id",
        method = "get",
        operation_id = "get_store"
    )]
    async fn get_store(
        &self,
        caller: Caller<ReadStores>,
        store_id: Path<StoreId>,
    ) -> Result<Reply<200, StoreOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let place = merchants::get_store(&mut tx, &caller.grant, store_id.0).await?;
        Ok(Reply::new(&place.into()))
    }

    /// Let a suspended store work again
    ///
    /// One that works stays as it is. While its merchant is suspended, the store rests too.
    #[oai(
        path = "/v1/stores/:store_id/activation",
        method = "post",
        operation_id = "activate_store"
    )]
    async fn activate_store(
        &self,
        caller: Caller<ActivateStore>,
        store_id: Path<StoreId>,
    ) -> Result<Reply<200, StoreOut>, Problem> {
        let mut tx = caller.db().write(&caller.grant).await?;
        let place = merchants::activate_store(&mut tx, &caller.grant, store_id.0).await?;
        tx.commit().await?;
        Ok(Reply::new(&place.into()))
    }

    /// Suspend a store
    ///
    /// It neither gives nor takes points from now on; refunds go on. One that is suspended stays
    /// as it is.
    #[oai(
        path = "/v1/stores/:store_id/suspension",
        method = "post",
        operation_id = "suspend_store"
    )]
    async fn suspend_store(
        &self,
        caller: Caller<SuspendStore>,
        store_id: Path<StoreId>,
    ) -> Result<Reply<200, StoreOut>, Problem> {
        let mut tx = caller.db().write(&caller.grant).await?;
        let place = merchants::suspend_store(&mut tx, &caller.grant, store_id.0).await?;
        tx.commit().await?;
        Ok(Reply::new(&place.into()))
    }
}
