//! Redemption's SQL.

use std::collections::HashMap;

use super::returns::{Paid, ReceiptKey};
use crate::{
    db::{
        Error,
        tx::{ReadTx, Tx},
    },
    kernel::ids::{JournalId, MemberId, MerchantId, SpendId, StoreId},
};

/// Spends of these receipts; by `spend_store_receipt_key`.
pub(super) async fn paid(
    tx: &mut ReadTx,
    receipts: &[ReceiptKey],
) -> Result<HashMap<ReceiptKey, Paid>, Error> {
    let rows = sqlx::query!(
        r#"
        select spend_id as "spend: SpendId", journal_id as "journal: JournalId",
               member_id as "member: MemberId", merchant_id as "merchant: MerchantId",
               store_id as "store: StoreId", receipt_number, points, returned, paid
        from spend
        join unnest($1::uuid[], $2::text[]) as asked (store, receipt)
          on store_id = store and receipt_number = receipt"#,
        &receipts
            .iter()
            .map(|(store, _)| store.uuid())
            .collect::<Vec<_>>(),
        &receipts
            .iter()
            .map(|(_, receipt)| receipt.as_str().to_owned())
            .collect::<Vec<_>>(),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let number = row
                .receipt_number
                .parse()
                .map_err(|_| Error::Corrupt("receipt number"))?;
            let paid = Paid {
                spend: row.spend,
                journal: row.journal,
                member: row.member,
                merchant: row.merchant,
                store: row.store,
                points: row.points,
                returned: row.returned,
                money: row.paid,
            };
            Ok(((row.store, number), paid))
        })
        .collect()
}

/// Writes down how much of these spends came back.
pub(super) async fn update_returned(
    tx: &mut Tx,
    spends: impl Iterator<Item = &Paid>,
) -> Result<(), Error> {
    let spends: Vec<&Paid> = spends.collect();
    if spends.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update spend
         set returned = changed.returned
         from unnest($1::uuid[], $2::bigint[]) as changed (spend_id, returned)
         where spend.spend_id = changed.spend_id",
        &spends
            .iter()
            .map(|paid| paid.spend.uuid())
            .collect::<Vec<_>>(),
        &spends.iter().map(|paid| paid.returned).collect::<Vec<_>>(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
