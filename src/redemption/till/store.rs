//! The table `spend`.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Receipt, Record};
use crate::{
    db::{
        Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{Id, JournalId, MemberId, MerchantId, SpendId, StoreId},
        text::ReceiptNumber,
        time::Instant,
    },
};

struct SpendRow {
    spend_id: SpendId,
    store_id: StoreId,
    merchant_id: MerchantId,
    receipt_number: String,
    member_id: MemberId,
    journal_id: JournalId,
    total: i64,
    points: i64,
    paid: i64,
    returned: i64,
    fingerprint: Vec<u8>,
    occurred_at: Instant,
}

impl TryFrom<SpendRow> for Record {
    type Error = Error;

    fn try_from(row: SpendRow) -> Result<Self, Error> {
        let receipt_number: Result<ReceiptNumber, _> = row.receipt_number.parse();
        Ok(Self {
            spend: row.spend_id,
            store: row.store_id,
            merchant: row.merchant_id,
            receipt_number: receipt_number.map_err(|_| Error::Corrupt("receipt number"))?,
            member: row.member_id,
            journal: row.journal_id,
            total: row.total,
            points: row.points,
            pays: row.paid,
            returned: row.returned,
            fingerprint: row.fingerprint,
            occurred_at: row.occurred_at,
        })
    }
}

/// At most one row a receipt, by `spend_store_receipt_key`.
pub(super) async fn spends_by_receipt(
    tx: &mut ReadTx,
    receipts: &[Receipt],
) -> Result<HashMap<Receipt, Record>, Error> {
    let stores: Vec<Uuid> = receipts.iter().map(|(store, _)| store.uuid()).collect();
    let numbers: Vec<String> = receipts
        .iter()
        .map(|(_, number)| number.as_str().to_owned())
        .collect();
    let rows = sqlx::query_as!(
        SpendRow,
        r#"select spend.spend_id as "spend_id: _", spend.store_id as "store_id: _",
                  spend.merchant_id as "merchant_id: _", spend.receipt_number,
                  spend.member_id as "member_id: _", spend.journal_id as "journal_id: _",
                  spend.total, spend.points, spend.paid, spend.returned, spend.fingerprint,
                  spend.occurred_at
           from (select unnest($1::uuid[]) as store_id, unnest($2::text[]) as receipt_number)
               as asked
           join spend on spend.store_id = asked.store_id
               and spend.receipt_number = asked.receipt_number"#,
        &stores,
        &numbers,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let record = Record::try_from(row)?;
            Ok(((record.store, record.receipt_number.clone()), record))
        })
        .collect()
}

/// At most one row an id, by `spend_pkey`.
pub(super) async fn spends_by_id(tx: &mut Tx, spends: &[SpendId]) -> Result<Vec<Record>, Error> {
    let rows = sqlx::query_as!(
        SpendRow,
        r#"select spend_id as "spend_id: _", store_id as "store_id: _",
                  merchant_id as "merchant_id: _", receipt_number, member_id as "member_id: _",
                  journal_id as "journal_id: _", total, points, paid, returned, fingerprint,
                  occurred_at
           from spend
           where spend_id = any ($1)"#,
        &bits(spends),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Record::try_from).collect()
}

/// Writes new spends, all of them or none.
///
/// # Errors
/// [`Error::Retry`] where another transaction has recorded one of these receipts meanwhile.
pub(super) async fn insert_spends(tx: &mut Tx, spends: &[Record]) -> Result<(), Error> {
    if spends.is_empty() {
        return Ok(());
    }
    let now = tx.now();
    let uuids = |of: fn(&Record) -> Uuid| spends.iter().map(of).collect::<Vec<_>>();
    let whole = |of: fn(&Record) -> i64| spends.iter().map(of).collect::<Vec<_>>();
    let numbers: Vec<String> = spends
        .iter()
        .map(|spend| spend.receipt_number.as_str().to_owned())
        .collect();
    let fingerprints: Vec<Vec<u8>> = spends.iter().map(|s| s.fingerprint.clone()).collect();
    let occurred: Vec<Instant> = spends.iter().map(|spend| spend.occurred_at).collect();
    let inserted = sqlx::query!(
        "insert into spend (spend_id, store_id, merchant_id, receipt_number, member_id, journal_id,
             total, points, paid, returned, fingerprint, occurred_at, recorded_at)
         select unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::uuid[]), unnest($4::text[]),
             unnest($5::uuid[]), unnest($6::uuid[]), unnest($7::bigint[]), unnest($8::bigint[]),
             unnest($9::bigint[]), 0, unnest($10::bytea[]), unnest($11::timestamptz[]), $12
         on conflict (store_id, receipt_number) do nothing",
        &uuids(|spend| spend.spend.uuid()),
        &uuids(|spend| spend.store.uuid()),
        &uuids(|spend| spend.merchant.uuid()),
        &numbers,
        &uuids(|spend| spend.member.uuid()),
        &uuids(|spend| spend.journal.uuid()),
        &whole(|spend| spend.total),
        &whole(|spend| spend.points),
        &whole(|spend| spend.pays),
        &fingerprints,
        &occurred,
        now,
    )
    .execute(tx.conn())
    .await?;
    if usize::try_from(inserted.rows_affected()) == Ok(spends.len()) {
        Ok(())
    } else {
        let why = "a receipt was recorded by another transaction";
        Err(Error::Retry(sqlx::Error::Protocol(why.to_owned())))
    }
}

/// Writes how many points of each spend are back.
pub(super) async fn set_returned(tx: &mut Tx, spends: &[(SpendId, i64)]) -> Result<(), Error> {
    let ids: Vec<Uuid> = spends.iter().map(|(id, _)| id.uuid()).collect();
    let returned: Vec<i64> = spends.iter().map(|(_, points)| *points).collect();
    sqlx::query!(
        "update spend
         set returned = changed.returned
         from (select unnest($1::uuid[]) as spend_id, unnest($2::bigint[]) as returned) as changed
         where spend.spend_id = changed.spend_id",
        &ids,
        &returned,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn bits<K>(ids: &[Id<K>]) -> Vec<Uuid> {
    ids.iter().map(Id::uuid).collect()
}
