//! Merchants.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use crate::{
    api::{
        Group,
        words::{AllianceWord, StatusWord},
    },
    authz::action::{ActivateMerchant, CreateMerchant, ReadMerchants, SuspendMerchant},
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
        ids::MerchantId,
        text::{Code, Name, Names},
    },
    merchants::{self, Merchant, NewMerchant},
};

/// The address of the list of merchants.
const MERCHANTS: &str = "/v1/merchants";

/// Operations on merchants.
#[derive(Debug)]
pub struct Merchants;

/// A merchant that is to join.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct CreateMerchantIn {
    /// What lists, rules and files call it; unique among the mall's merchants, never changes.
    code: Code,
    /// What people read.
    names: Names,
    /// What it trades in, such as "tea".
    trade: Name,
    /// What it does in the alliance.
    alliance: AllianceWord,
}

/// A company of the alliance.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Merchant")]
struct MerchantOut {
    /// The merchant's id.
    merchant_id: MerchantId,
    /// What lists, rules and files call it.
    code: Code,
    /// What people read.
    names: Names,
    /// What it trades in.
    trade: Name,
    /// What it does in the alliance.
    alliance: AllianceWord,
    /// Whether it works.
    status: StatusWord,
    /// When it joined.
    created_at: Moment,
}

impl From<Merchant> for MerchantOut {
    fn from(merchant: Merchant) -> Self {
        Self {
            merchant_id: merchant.id,
            code: merchant.code,
            names: merchant.names,
            trade: merchant.trade,
            alliance: merchant.alliance.into(),
            status: merchant.status.into(),
            created_at: Moment(merchant.created_at),
        }
    }
}

#[OpenApi(tag = "Group::Operator")]
impl Merchants {
    /// Take a merchant into the alliance
    ///
    /// It works at once; open its stores next. 409 `code-taken` where another merchant has the
    /// code.
    #[oai(
        path = "/v1/merchants",
        method = "post",
        operation_id = "create_merchant"
    )]
    async fn create_merchant(
        &self,
        caller: Caller<CreateMerchant>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<CreateMerchantIn>,
    ) -> Result<Reply<201, MerchantOut>, Problem> {
        let CreateMerchantIn {
            code,
            names,
            trade,
            alliance,
        } = body.value;
        let new = NewMerchant {
            code,
            names,
            trade,
            alliance: alliance.into(),
        };
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let made = merchants::create(once.tx(), &caller.grant, new).await;
        once.finish(made.map(MerchantOut::from)).await
    }

    /// List the merchants
    ///
    /// In the order in which they joined. A merchant's key sees its own merchant only.
    #[oai(
        path = "/v1/merchants",
        method = "get",
        operation_id = "list_merchants"
    )]
    async fn list_merchants(
        &self,
        caller: Caller<ReadMerchants>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<MerchantOut>>, Problem> {
        let slice = paging::slice(caller.app(), MERCHANTS, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = merchants::list(&mut tx, &caller.grant, &slice).await?;
        let list = List::new(caller.app(), MERCHANTS, page, MerchantOut::from);
        Ok(Reply::new(&list))
    }

    /// Read a merchant
    #[oai(
        path = "/v1/merchants/:merchant_id",
        method = "get",
        operation_id = "get_merchant"
    )]
    async fn get_merchant(
        &self,
        caller: Caller<ReadMerchants>,
        merchant_id: Path<MerchantId>,
    ) -> Result<Reply<200, MerchantOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let merchant = merchants::get(&mut tx, &caller.grant, merchant_id.0).await?;
        Ok(Reply::new(&merchant.into()))
    }

    /// Let a suspended merchant work again
    ///
    /// One that works stays as it is.
    #[oai(
        path = "/v1/merchants/:merchant_id/activation",
        method = "post",
        operation_id = "activate_merchant"
    )]
    async fn activate_merchant(
        &self,
        caller: Caller<ActivateMerchant>,
        merchant_id: Path<MerchantId>,
    ) -> Result<Reply<200, MerchantOut>, Problem> {
        let mut tx = caller.db().write(&caller.grant).await?;
        let merchant = merchants::activate(&mut tx, &caller.grant, merchant_id.0).await?;
        tx.commit().await?;
        Ok(Reply::new(&merchant.into()))
    }

    /// Suspend a merchant
    ///
    /// It neither gives nor takes points from now on, in none of its stores; refunds go on, and
    /// so do its statements. One that is suspended stays as it is.
    #[oai(
        path = "/v1/merchants/:merchant_id/suspension",
        method = "post",
        operation_id = "suspend_merchant"
    )]
    async fn suspend_merchant(
        &self,
        caller: Caller<SuspendMerchant>,
        merchant_id: Path<MerchantId>,
    ) -> Result<Reply<200, MerchantOut>, Problem> {
        let mut tx = caller.db().write(&caller.grant).await?;
        let merchant = merchants::suspend(&mut tx, &caller.grant, merchant_id.0).await?;
        tx.commit().await?;
        Ok(Reply::new(&merchant.into()))
    }
}
