//! The table `api_key`.

use uuid::Uuid;

use super::{
    Key,
    staff::store::{store_ids, stores},
};
use crate::{
    authz::actor::Role,
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{ApiKeyId, MerchantId},
        time::Instant,
    },
};

struct Row {
    api_key_id: ApiKeyId,
    label: String,
    role: String,
    merchant_id: Option<MerchantId>,
    store_ids: Option<Vec<Uuid>>,
    last_four: String,
    created_at: Instant,
    revoked_at: Option<Instant>,
}

impl From<Row> for Key {
    fn from(row: Row) -> Self {
        Self {
            id: row.api_key_id,
            label: row.label,
            role: Role::new(row.role),
            merchant: row.merchant_id,
            stores: stores(row.store_ids),
            last_four: row.last_four,
            created_at: row.created_at,
            revoked_at: row.revoked_at,
        }
    }
}

pub(super) async fn insert(tx: &mut Tx, key: &Key, hash: &[u8]) -> Result<(), Error> {
    tx.revise().await?;
    let narrowed = store_ids(&key.stores);
    sqlx::query!(
        "insert into api_key
             (api_key_id, label, role, merchant_id, store_ids, secret_hash, last_four, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        key.id.uuid(),
        key.label,
        key.role.as_str(),
        key.merchant.map(|id| id.uuid()),
        narrowed.as_deref(),
        hash,
        key.last_four,
        key.created_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The newest first, by `api_key_pkey`: ids sort by time.
pub(super) async fn page(
    tx: &mut ReadTx,
    merchant: Option<MerchantId>,
    before: Option<ApiKeyId>,
    limit: i64,
) -> Result<Vec<Key>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select api_key_id as "api_key_id: ApiKeyId", label, role,
                  merchant_id as "merchant_id: MerchantId", store_ids, last_four, created_at, revoked_at
           from api_key
           where ($1::uuid is null or merchant_id = $1)
             and ($2::uuid is null or api_key_id < $2)
           order by api_key_id desc
           limit $3"#,
        merchant.map(|id| id.uuid()),
        before.map(|id| id.uuid()),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Key::from).collect())
}

/// A key and the hash of its secret.
pub(super) async fn find(tx: &mut ReadTx, id: ApiKeyId) -> Result<Option<(Key, Vec<u8>)>, Error> {
    let row = sqlx::query!(
        r#"select label, role, merchant_id as "merchant_id: MerchantId", store_ids, secret_hash,
                  last_four, created_at, revoked_at
           from api_key
           where api_key_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| {
        let key = Key {
            id,
            label: row.label,
            role: Role::new(row.role),
            merchant: row.merchant_id,
            stores: stores(row.store_ids),
            last_four: row.last_four,
            created_at: row.created_at,
            revoked_at: row.revoked_at,
        };
        (key, row.secret_hash)
    }))
}

/// Ends a key; one that was ended keeps the moment of its end.
/// Ends every key that is not ended; those.
pub(super) async fn revoke_all(tx: &mut Tx) -> Result<Vec<Key>, Error> {
    tx.revise().await?;
    let now = tx.now();
    let rows = sqlx::query_as!(
        Row,
        r#"update api_key
           set revoked_at = $1
           where revoked_at is null
           returning api_key_id as "api_key_id: ApiKeyId", label, role,
                     merchant_id as "merchant_id: MerchantId", store_ids, last_four, created_at, revoked_at"#,
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Key::from).collect())
}

pub(super) async fn revoke(tx: &mut Tx, id: ApiKeyId) -> Result<Option<Key>, Error> {
    tx.revise().await?;
    let now = tx.now();
    let row = sqlx::query_as!(
        Row,
        r#"update api_key
           set revoked_at = coalesce(revoked_at, $2)
           where api_key_id = $1
           returning api_key_id as "api_key_id: ApiKeyId", label, role,
                     merchant_id as "merchant_id: MerchantId", store_ids, last_four, created_at, revoked_at"#,
        id.uuid(),
        now,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Key::from))
}
