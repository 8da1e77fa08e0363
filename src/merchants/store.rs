//! The tables `merchant` and `store`.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Alliance, Listing, Merchant, Status, Store, Window, listing::Belonging};
use crate::{
    db::{
        error::Error,
        tenants::{names_from_json, names_to_json},
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{self, Id, MerchantId, StoreId},
        text::{Code, Language, Name, Names},
        time::Instant,
    },
};

/// The trade of a merchant that an import made.
const UNKNOWN_TRADE: &str = "unknown";

struct MerchantRow {
    merchant_id: MerchantId,
    code: String,
    names: serde_json::Value,
    trade: String,
    earns: bool,
    spends: bool,
    status: String,
    created_at: Instant,
}

impl TryFrom<MerchantRow> for Merchant {
    type Error = Error;

    fn try_from(row: MerchantRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.merchant_id,
            code: code(&row.code)?,
            names: names_from_json(&row.names)?,
            trade: row
                .trade
                .parse()
                .map_err(|_| Error::Corrupt("merchant trade"))?,
            alliance: alliance(row.earns, row.spends)?,
            status: Status::parse(&row.status)?,
            created_at: row.created_at,
        })
    }
}

struct StoreRow {
    store_id: StoreId,
    merchant_id: MerchantId,
    code: String,
    names: serde_json::Value,
    earns: bool,
    spends: bool,
    status: String,
    created_at: Instant,
}

impl TryFrom<StoreRow> for Store {
    type Error = Error;

    fn try_from(row: StoreRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.store_id,
            merchant: row.merchant_id,
            code: code(&row.code)?,
            names: names_from_json(&row.names)?,
            alliance: alliance(row.earns, row.spends)?,
            status: Status::parse(&row.status)?,
            created_at: row.created_at,
        })
    }
}

pub(super) fn code(text: &str) -> Result<Code, Error> {
    text.parse().map_err(|_| Error::Corrupt("merchant code"))
}

fn alliance(earns: bool, spends: bool) -> Result<Alliance, Error> {
    Alliance::of(earns, spends).ok_or(Error::Corrupt("alliance role"))
}

/// Ids as a `uuid[]` parameter.
pub(super) fn bits<K>(ids: &[Id<K>]) -> Vec<Uuid> {
    ids.iter().map(Id::uuid).collect()
}

pub(super) fn texts(codes: &[Code]) -> Vec<String> {
    codes.iter().map(|code| code.as_str().to_owned()).collect()
}

/// Whether the code was free.
pub(super) async fn insert_merchant(tx: &mut Tx, new: &Merchant) -> Result<bool, Error> {
    tx.revise().await?;
    let inserted = sqlx::query!(
        "insert into merchant
             (merchant_id, code, names, trade, earns, spends, status, created_at, changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
         on conflict (code) do nothing",
        new.id.uuid(),
        new.code.as_str(),
        names_to_json(&new.names),
        new.trade.as_str(),
        new.alliance.earns(),
        new.alliance.spends(),
        new.status.as_str(),
        new.created_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Whether the code was free.
pub(super) async fn insert_store(tx: &mut Tx, new: &Store) -> Result<bool, Error> {
    tx.revise().await?;
    let inserted = sqlx::query!(
        "insert into store
             (store_id, merchant_id, code, names, earns, spends, status, created_at, changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
         on conflict (code) do nothing",
        new.id.uuid(),
        new.merchant.uuid(),
        new.code.as_str(),
        names_to_json(&new.names),
        new.alliance.earns(),
        new.alliance.spends(),
        new.status.as_str(),
        new.created_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(inserted.rows_affected() == 1)
}

pub(super) async fn merchant(tx: &mut ReadTx, id: MerchantId) -> Result<Option<Merchant>, Error> {
    let row = sqlx::query_as!(
        MerchantRow,
        r#"select merchant_id as "merchant_id: MerchantId", code, names, trade, earns, spends,
                  status, created_at
           from merchant
           where merchant_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Merchant::try_from).transpose()
}

/// One more than a page of merchants, of all or of one. Index: `merchant_pkey`.
pub(super) async fn merchants(
    tx: &mut ReadTx,
    only: Option<MerchantId>,
    window: &Window<ids::Merchant>,
) -> Result<Vec<Merchant>, Error> {
    let rows = sqlx::query_as!(
        MerchantRow,
        r#"select merchant_id as "merchant_id: MerchantId", code, names, trade, earns, spends,
                  status, created_at
           from merchant
           where merchant_id > $1 and ($2::uuid is null or merchant_id = $2)
           order by merchant_id
           limit $3"#,
        window.after.uuid(),
        only.map(|id| id.uuid()),
        window.limit.saturating_add(1),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Merchant::try_from).collect()
}

pub(super) async fn store(tx: &mut ReadTx, id: StoreId) -> Result<Option<Store>, Error> {
    let row = sqlx::query_as!(
        StoreRow,
        r#"select store_id as "store_id: StoreId", merchant_id as "merchant_id: MerchantId",
                  code, names, earns, spends, status, created_at
           from store
           where store_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Store::try_from).transpose()
}

/// One more than a page of all stores. Index: `store_pkey`.
pub(super) async fn stores(
    tx: &mut ReadTx,
    window: &Window<ids::Store>,
) -> Result<Vec<Store>, Error> {
    let rows = sqlx::query_as!(
        StoreRow,
        r#"select store_id as "store_id: StoreId", merchant_id as "merchant_id: MerchantId",
                  code, names, earns, spends, status, created_at
           from store
           where store_id > $1
           order by store_id
           limit $2"#,
        window.after.uuid(),
        window.limit.saturating_add(1),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Store::try_from).collect()
}

/// One more than a page of one merchant's stores. Index: `store_merchant_idx`.
pub(super) async fn stores_of(
    tx: &mut ReadTx,
    merchant: MerchantId,
    window: &Window<ids::Store>,
) -> Result<Vec<Store>, Error> {
    let rows = sqlx::query_as!(
        StoreRow,
        r#"select store_id as "store_id: StoreId", merchant_id as "merchant_id: MerchantId",
                  code, names, earns, spends, status, created_at
           from store
           where merchant_id = $1 and store_id > $2
           order by store_id
           limit $3"#,
        merchant.uuid(),
        window.after.uuid(),
        window.limit.saturating_add(1),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Store::try_from).collect()
}

pub(super) async fn set_merchant_status(
    tx: &mut Tx,
    id: MerchantId,
    status: Status,
) -> Result<(), Error> {
    tx.revise().await?;
    let now = tx.now();
    sqlx::query!(
        "update merchant
         set status = $2, changed_at = $3
         where merchant_id = $1 and status <> $2",
        id.uuid(),
        status.as_str(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn set_store_status(
    tx: &mut Tx,
    id: StoreId,
    status: Status,
) -> Result<(), Error> {
    tx.revise().await?;
    let now = tx.now();
    sqlx::query!(
        "update store
         set status = $2, changed_at = $3
         where store_id = $1 and status <> $2",
        id.uuid(),
        status.as_str(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// At most one row a code, by `merchant_code_key`.
pub(super) async fn merchants_by_codes(
    tx: &mut ReadTx,
    codes: &[Code],
) -> Result<HashMap<Code, MerchantId>, Error> {
    let rows = sqlx::query!(
        r#"select merchant_id as "merchant_id: MerchantId", code
           from merchant
           where code = any ($1)"#,
        &texts(codes),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| Ok((code(&row.code)?, row.merchant_id)))
        .collect()
}

/// At most one row an id, by `merchant_pkey`.
pub(super) async fn codes_of_merchants(
    tx: &mut ReadTx,
    ids: &[MerchantId],
) -> Result<HashMap<MerchantId, Code>, Error> {
    let rows = sqlx::query!(
        r#"select merchant_id as "merchant_id: MerchantId", code
           from merchant
           where merchant_id = any ($1)"#,
        &bits(ids),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| Ok((row.merchant_id, code(&row.code)?)))
        .collect()
}

/// The ids of those that were created or changed.
pub(super) async fn upsert_merchants(
    tx: &mut Tx,
    rows: &[(MerchantId, &Listing)],
) -> Result<Vec<MerchantId>, Error> {
    tx.revise().await?;
    let now = tx.now();
    let ids: Vec<MerchantId> = rows.iter().map(|(id, _)| *id).collect();
    let each = || rows.iter().map(|(_, listing)| *listing);
    let codes: Vec<String> = each().map(|row| row.code.as_str().to_owned()).collect();
    let names: Vec<serde_json::Value> = each().map(|row| names_to_json(&row.names)).collect();
    let trades: Vec<String> = each().map(|row| row.trade.as_str().to_owned()).collect();
    let earns: Vec<bool> = each().map(|row| row.alliance.earns()).collect();
    let spends: Vec<bool> = each().map(|row| row.alliance.spends()).collect();
    let touched = sqlx::query_scalar!(
        r#"insert into merchant
               (merchant_id, code, names, trade, earns, spends, status, created_at, changed_at)
           select listed.merchant_id, listed.code, listed.names, listed.trade, listed.earns,
                  listed.spends, 'active', $7, $7
           from unnest($1::uuid[], $2::text[], $3::jsonb[], $4::text[], $5::bool[], $6::bool[])
               as listed (merchant_id, code, names, trade, earns, spends)
           on conflict (code) do update
           set names = excluded.names, trade = excluded.trade, earns = excluded.earns,
               spends = excluded.spends, changed_at = excluded.changed_at
           where (merchant.names, merchant.trade, merchant.earns, merchant.spends)
               is distinct from (excluded.names, excluded.trade, excluded.earns, excluded.spends)
           returning merchant_id as "merchant_id: MerchantId""#,
        &bits(&ids),
        &codes,
        &names,
        &trades,
        &earns,
        &spends,
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(touched)
}

/// A store that exists under another merchant than the list says, by `store_code_key`.
pub(super) async fn first_of_another(
    tx: &mut Tx,
    rows: &[Belonging<'_>],
) -> Result<Option<Code>, Error> {
    let codes: Vec<String> = rows
        .iter()
        .map(|row| row.code.as_str().to_owned())
        .collect();
    let merchants: Vec<String> = rows
        .iter()
        .map(|row| row.merchant.as_str().to_owned())
        .collect();
    let found = sqlx::query_scalar!(
        "select store.code
         from unnest($1::text[], $2::text[]) as listed (code, merchant)
         join store on store.code = listed.code
         join merchant on merchant.merchant_id = store.merchant_id
         where merchant.code <> listed.merchant
         order by store.code
         limit 1",
        &codes,
        &merchants,
    )
    .fetch_optional(tx.conn())
    .await?;
    found.as_deref().map(code).transpose()
}

/// The ids of those that were created or changed; the merchants exist.
pub(super) async fn upsert_stores(
    tx: &mut Tx,
    rows: &[Belonging<'_>],
) -> Result<Vec<StoreId>, Error> {
    tx.revise().await?;
    let now = tx.now();
    let ids: Vec<StoreId> = rows.iter().map(|row| row.id).collect();
    let merchants: Vec<String> = rows
        .iter()
        .map(|row| row.merchant.as_str().to_owned())
        .collect();
    let codes: Vec<String> = rows
        .iter()
        .map(|row| row.code.as_str().to_owned())
        .collect();
    let names: Vec<serde_json::Value> = rows.iter().map(|row| names_to_json(row.names)).collect();
    let earns: Vec<bool> = rows.iter().map(|row| row.alliance.earns()).collect();
    let spends: Vec<bool> = rows.iter().map(|row| row.alliance.spends()).collect();
    let touched = sqlx::query_scalar!(
        r#"insert into store
               (store_id, merchant_id, code, names, earns, spends, status, created_at, changed_at)
           select listed.store_id, merchant.merchant_id, listed.code, listed.names, listed.earns,
                  listed.spends, 'active', $7, $7
           from unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::bool[], $6::bool[])
               as listed (store_id, merchant, code, names, earns, spends)
           join merchant on merchant.code = listed.merchant
           order by listed.code
           on conflict (code) do update
           set names = excluded.names, earns = excluded.earns, spends = excluded.spends,
               changed_at = excluded.changed_at
           where (store.names, store.earns, store.spends)
               is distinct from (excluded.names, excluded.earns, excluded.spends)
           returning store_id as "store_id: StoreId""#,
        &bits(&ids),
        &merchants,
        &codes,
        &names,
        &earns,
        &spends,
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(touched)
}

/// A merchant and a store for each code, in the order given; what is there already stays.
pub(super) async fn insert_pairs(
    tx: &mut Tx,
    rows: &[(MerchantId, StoreId, &Code)],
) -> Result<(), Error> {
    tx.revise().await?;
    let now = tx.now();
    let merchants: Vec<MerchantId> = rows.iter().map(|(id, _, _)| *id).collect();
    let stores: Vec<StoreId> = rows.iter().map(|(_, id, _)| *id).collect();
    let codes: Vec<String> = rows
        .iter()
        .map(|(_, _, code)| code.as_str().to_owned())
        .collect();
    let names: Vec<serde_json::Value> = codes
        .iter()
        .map(|code| Ok(names_to_json(&Names::only(Language::En, name(code)?))))
        .collect::<Result<_, Error>>()?;
    sqlx::query!(
        "insert into merchant
             (merchant_id, code, names, trade, earns, spends, status, created_at, changed_at)
         select found.merchant_id, found.code, found.names, $4, true, true, 'active', $5, $5
         from unnest($1::uuid[], $2::text[], $3::jsonb[]) as found (merchant_id, code, names)
         on conflict (code) do nothing",
        &bits(&merchants),
        &codes,
        &names,
        UNKNOWN_TRADE,
        now,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into store
             (store_id, merchant_id, code, names, earns, spends, status, created_at, changed_at)
         select found.store_id, merchant.merchant_id, found.code, found.names, true, true,
                'active', $4, $4
         from unnest($1::uuid[], $2::text[], $3::jsonb[]) as found (store_id, code, names)
         join merchant on merchant.code = found.code
         order by found.code
         on conflict (code) do nothing",
        &bits(&stores),
        &codes,
        &names,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Every code is a name too.
fn name(code: &str) -> Result<Name, Error> {
    code.parse().map_err(|_| Error::Corrupt("merchant code"))
}
