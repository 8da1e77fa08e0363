//! What a line of the ledger was about: the receipt or the good, and by which rules and terms its points
//! are what they are.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    authz::{action::Action, grant::Grant},
    db::{Error, tenants::names_from_json, tx::ReadTx},
    kernel::{
        ids::{AgreementId, LotId, StoreId},
        text::Names,
        time::Instant,
    },
};

/// What people know a line's source by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The receipt that earned, paid or was refunded, as the store printed its number.
    Receipt(String),
    /// The good that was claimed, by its code.
    Good(String),
}

/// What these sources of ledger lines are known by; those that are neither are left out. The caller
/// was let see the lines by `grant`.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn sources<A: Action>(
    tx: &mut ReadTx,
    _grant: &Grant<A>,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Source>, Error> {
    // At most one row an id, each by its table's primary key.
    let rows = sqlx::query!(
        r#"
        select purchase_id as "id!", receipt_number as "text!", true as "receipt!"
        from purchase
        where purchase_id = any ($1)
        union all
        select spend_id, receipt_number, true
        from spend
        where spend_id = any ($1)
        union all
        select refund.refund_id, purchase.receipt_number, true
        from refund
        join purchase on purchase.purchase_id = refund.purchase_id
        where refund.refund_id = any ($1)
        union all
        select redemption.redemption_id, good.code, false
        from redemption
        join good on good.good_id = redemption.good_id
        where redemption.redemption_id = any ($1)"#,
        ids,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let source = if row.receipt {
                Source::Receipt(row.text)
            } else {
                Source::Good(row.text)
            };
            (row.id, source)
        })
        .collect())
}

/// By what a grant's points came to be and settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The version of the programme whose rules gave them; none where no purchase earned them.
    pub programme: Option<i64>,
    /// The issuer's agreement when they were earned, and its version; none where there was none, and
    /// the programme's terms hold.
    pub agreement: Option<(AgreementId, i32)>,
}

/// Where the points of these grants come from. The caller was let see the lines by `grant`.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn origins<A: Action>(
    tx: &mut ReadTx,
    _grant: &Grant<A>,
    lots: &[LotId],
) -> Result<HashMap<LotId, Origin>, Error> {
    let lots: Vec<Uuid> = lots.iter().map(LotId::uuid).collect();
    // One row a grant by lot_pkey, with its purchase by purchase_pkey, whose id a grant by purchase
    // has, and the newest of the issuer's few agreements by agreement_version_key.
    let rows = sqlx::query!(
        r#"
        select lot.lot_id as "lot!: LotId", purchase.programme as "programme?",
               agreed.agreement_id as "agreement?: AgreementId", agreed.version as "version?"
        from lot
        left join purchase on purchase.purchase_id = lot.lot_id
        left join lateral (
            select agreement_id, version
            from agreement
            where agreement.merchant_id = lot.merchant_id and accepted_at is not null
              and starts_at <= lot.earned_at
            order by starts_at desc, version desc
            limit 1
        ) as agreed on true
        where lot.lot_id = any ($1)"#,
        &lots,
    )
    .fetch_all(tx.conn())
    .await?;
    let origins = rows.into_iter().map(|row| {
        let origin = Origin {
            programme: row.programme,
            agreement: row.agreement.zip(row.version),
        };
        (row.lot, origin)
    });
    Ok(origins.collect())
}

/// A grant of points as it was made; what is left of it is not said here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// How many points.
    pub points: i64,
    /// What all of them were worth to the issuer by its terms, in minor units.
    pub worth: i64,
    /// When they were earned.
    pub earned_at: Instant,
    /// When what is left of them lapses; never where none.
    pub expires_at: Option<Instant>,
    /// In which store.
    pub store: StoreId,
    /// The receipt that earned them; none where something else gave them.
    pub receipt: Option<String>,
    /// The version of the programme whose rules gave them; none where no purchase earned them.
    pub programme: Option<i64>,
    /// The issuer's agreement when they were earned; none where the programme's terms hold.
    pub agreement: Option<Terms>,
}

/// The version of an agreement by which a grant settles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Which.
    pub agreement: AgreementId,
    /// The how many-th of its merchant.
    pub version: i32,
    /// From when on grants are made by it.
    pub starts_at: Instant,
    /// When the merchant accepted it.
    pub accepted_at: Instant,
    /// SHA-256 over the terms, in hex.
    pub digest: String,
    /// SHA-256 over the paper that was signed, in hex, where there is one.
    pub document_digest: Option<String>,
}

/// A grant with what made it. The caller was let see a line of it by `grant`.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Corrupt`].
pub async fn made<A: Action>(
    tx: &mut ReadTx,
    _grant: &Grant<A>,
    lot: LotId,
) -> Result<Option<Made>, Error> {
    // At most one row, by the same ways as in `origins`.
    let row = sqlx::query!(
        r#"
        select lot.points, lot.worth, lot.earned_at, lot.expires_at,
               lot.store_id as "store: StoreId", purchase.receipt_number as "receipt?",
               purchase.programme as "programme?", agreed.agreement_id as "agreement?: AgreementId",
               agreed.version as "version?", agreed.starts_at as "starts_at?",
               agreed.accepted_at as "accepted_at?", agreed.digest as "digest?",
               agreed.document_digest as "document_digest?"
        from lot
        left join purchase on purchase.purchase_id = lot.lot_id
        left join lateral (
            select agreement_id, version, starts_at, accepted_at, digest, document_digest
            from agreement
            where agreement.merchant_id = lot.merchant_id and accepted_at is not null
              and starts_at <= lot.earned_at
            order by starts_at desc, version desc
            limit 1
        ) as agreed on true
        where lot.lot_id = $1"#,
        lot.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let agreement = match row.agreement {
        None => None,
        Some(agreement) => {
            let whole = || {
                Some(Terms {
                    agreement,
                    version: row.version?,
                    starts_at: row.starts_at?,
                    accepted_at: row.accepted_at?,
                    digest: row.digest.clone()?,
                    document_digest: row.document_digest.clone(),
                })
            };
            Some(whole().ok_or(Error::Corrupt("agreement"))?)
        }
    };
    Ok(Some(Made {
        points: row.points,
        worth: row.worth,
        earned_at: row.earned_at,
        expires_at: row.expires_at,
        store: row.store,
        receipt: row.receipt,
        programme: row.programme,
        agreement,
    }))
}

/// What stores are called, unknown ones left out. The caller was let see lines of them by `grant`.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Corrupt`].
pub async fn store_names<A: Action>(
    tx: &mut ReadTx,
    _grant: &Grant<A>,
    stores: &[StoreId],
) -> Result<HashMap<StoreId, Names>, Error> {
    let ids: Vec<Uuid> = stores.iter().map(StoreId::uuid).collect();
    // At most one row an id, by store_pkey.
    let rows = sqlx::query!(
        r#"select store_id as "store: StoreId", names from store where store_id = any ($1)"#,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| Ok((row.store, names_from_json(&row.names)?)))
        .collect()
}
