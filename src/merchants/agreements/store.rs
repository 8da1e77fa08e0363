//! The table `agreement`.

use super::{Agreement, AgreementTerms};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{AgreementId, MerchantId},
        time::Instant,
    },
};

/// A version as the table holds it.
struct Row {
    agreement_id: AgreementId,
    merchant_id: MerchantId,
    version: i32,
    starts_at: Instant,
    terms: String,
    digest: String,
    document_digest: Option<String>,
    proposed_at: Instant,
    proposed_by: String,
    accepted_at: Option<Instant>,
    accepted_by: Option<String>,
}

impl TryFrom<Row> for Agreement {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let terms: AgreementTerms =
            serde_json::from_str(&row.terms).map_err(|_| Error::Corrupt("agreement terms"))?;
        Ok(Self {
            id: row.agreement_id,
            merchant: row.merchant_id,
            version: row.version,
            starts_at: row.starts_at,
            terms,
            digest: row.digest,
            document_digest: row.document_digest,
            proposed_at: row.proposed_at,
            proposed_by: row.proposed_by,
            accepted: row.accepted_at.zip(row.accepted_by),
        })
    }
}

/// The number of a merchant's next version. The merchant's row is locked, so that two proposals get
/// two numbers.
pub(super) async fn next_version(tx: &mut Tx, merchant: MerchantId) -> Result<i32, Error> {
    sqlx::query!(
        "select merchant_id from merchant where merchant_id = $1 order by merchant_id for update",
        merchant.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    // By agreement_version_key.
    let last = sqlx::query_scalar!(
        r#"select coalesce(max(version), 0) as "last!" from agreement where merchant_id = $1"#,
        merchant.uuid(),
    )
    .fetch_one(tx.conn())
    .await?;
    last.checked_add(1)
        .ok_or(Error::Corrupt("agreement version"))
}

pub(super) async fn insert(tx: &mut Tx, new: &Agreement, terms: &str) -> Result<(), Error> {
    let price = new.terms.price;
    sqlx::query!(
        "insert into agreement (agreement_id, merchant_id, version, starts_at, terms, digest,
             document_digest, price_points, price_worth, proposed_at, proposed_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        new.id.uuid(),
        new.merchant.uuid(),
        new.version,
        new.starts_at,
        terms,
        new.digest,
        new.document_digest,
        price.map(|price| price.points),
        price.map(|price| price.worth),
        new.proposed_at,
        new.proposed_by,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Servers remember prices with the stores: told.
pub(super) async fn set_accepted(tx: &mut Tx, agreement: &Agreement) -> Result<(), Error> {
    tx.revise().await?;
    let accepted = agreement.accepted.as_ref();
    sqlx::query!(
        "update agreement set accepted_at = $2, accepted_by = $3 where agreement_id = $1",
        agreement.id.uuid(),
        accepted.map(|(at, _)| *at),
        accepted.map(|(_, by)| by.as_str()),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn get(tx: &mut ReadTx, id: AgreementId) -> Result<Option<Agreement>, Error> {
    // By agreement_pkey.
    let row = sqlx::query_as!(
        Row,
        r#"
        select agreement_id as "agreement_id: _", merchant_id as "merchant_id: _", version, starts_at,
               terms, digest, document_digest, proposed_at, proposed_by, accepted_at, accepted_by
        from agreement
        where agreement_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Agreement::try_from).transpose()
}

/// A version, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, id: AgreementId) -> Result<Option<Agreement>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select agreement_id as "agreement_id: _", merchant_id as "merchant_id: _", version, starts_at,
               terms, digest, document_digest, proposed_at, proposed_by, accepted_at, accepted_by
        from agreement
        where agreement_id = $1
        order by agreement_id
        for update"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Agreement::try_from).transpose()
}

/// A merchant's versions before one, the newest first; by `agreement_version_key`.
pub(super) async fn before(
    tx: &mut ReadTx,
    merchant: MerchantId,
    version: i32,
    limit: i64,
) -> Result<Vec<Agreement>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select agreement_id as "agreement_id: _", merchant_id as "merchant_id: _", version, starts_at,
               terms, digest, document_digest, proposed_at, proposed_by, accepted_at, accepted_by
        from agreement
        where merchant_id = $1 and version < $2
        order by version desc
        limit $3"#,
        merchant.uuid(),
        version,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Agreement::try_from).collect()
}

/// Accepted versions of all merchants that began before a moment: a few for each merchant.
pub(super) async fn accepted_before(
    tx: &mut ReadTx,
    before: Instant,
) -> Result<Vec<Agreement>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select agreement_id as "agreement_id: _", merchant_id as "merchant_id: _", version, starts_at,
               terms, digest, document_digest, proposed_at, proposed_by, accepted_at, accepted_by
        from agreement
        where accepted_at is not null and starts_at < $1
        order by merchant_id, starts_at, version"#,
        before,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Agreement::try_from).collect()
}
