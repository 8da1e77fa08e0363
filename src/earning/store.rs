//! Earning's SQL: purchases and refunds.
#![expect(
    clippy::as_conversions,
    reason = "tells checked queries of arrays with nulls"
)]

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    line::Line,
    purchase::{Receipt, ReceiptKey},
    refund::RefundReceipt,
};
use crate::{
    db::{
        Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{MemberId, MerchantId, PurchaseId, RefundId, StoreId},
        text::ReceiptNumber,
        time::Instant,
    },
    merchants::credit::Withheld,
};

/// A purchase that was recorded before.
pub(super) struct Known {
    pub(super) fingerprint: Vec<u8>,
    pub(super) receipt: Receipt,
}

/// A purchase to be written.
pub(super) struct NewPurchase {
    pub(super) id: PurchaseId,
    pub(super) store: StoreId,
    pub(super) merchant: MerchantId,
    pub(super) receipt_number: ReceiptNumber,
    pub(super) lines: Vec<Line>,
    pub(super) fingerprint: Vec<u8>,
    pub(super) business_day: NaiveDate,
    /// Whether its points come out of blocks as far as there are any.
    pub(super) prepaid: bool,
    pub(super) receipt: Receipt,
}

/// Points that one rule granted to a member on a day.
pub(super) struct Granted {
    pub(super) member: MemberId,
    pub(super) rule: String,
    pub(super) day: NaiveDate,
    pub(super) points: i64,
}

/// A purchase under lock, for refunds.
#[derive(Debug, Clone)]
pub(super) struct Refundable {
    pub(super) id: PurchaseId,
    pub(super) store: StoreId,
    pub(super) merchant: MerchantId,
    pub(super) receipt_number: ReceiptNumber,
    pub(super) member: Option<MemberId>,
    pub(super) total: i64,
    pub(super) points: i64,
    pub(super) refunded: i64,
    pub(super) clawed: i64,
    /// Whether any of its points were paid for in advance.
    pub(super) prepaid: bool,
}

/// A refund that was recorded before.
pub(super) struct KnownRefund {
    pub(super) fingerprint: Vec<u8>,
    pub(super) receipt: RefundReceipt,
}

/// A refund to be written.
pub(super) struct NewRefund {
    pub(super) reference: ReceiptNumber,
    pub(super) fingerprint: Vec<u8>,
    pub(super) receipt: RefundReceipt,
}

/// A purchase for whoever reads it.
#[derive(Debug, Clone)]
pub struct Found {
    /// As it was answered when it was recorded.
    pub receipt: Receipt,
    /// At which merchant.
    pub merchant: MerchantId,
    /// In which store.
    pub store: StoreId,
    /// What the receipt says.
    pub receipt_number: ReceiptNumber,
    /// What was bought.
    pub lines: Vec<Line>,
    /// Refunded so far, in minor units.
    pub refunded: i64,
    /// The refunds, the oldest first; at most 100.
    pub refunds: Vec<FoundRefund>,
}

/// A refund for whoever reads its purchase.
#[derive(Debug, Clone)]
pub struct FoundRefund {
    /// The refund.
    pub id: RefundId,
    /// What the store calls it.
    pub reference: ReceiptNumber,
    /// In minor units.
    pub amount: i64,
    /// Points taken back.
    pub points_taken: i64,
    /// Points owed because of it.
    pub points_owed: i64,
    /// Points given back that had paid.
    pub points_given_back: i64,
    /// When.
    pub occurred_at: Instant,
}

struct Row {
    purchase_id: PurchaseId,
    store_id: StoreId,
    receipt_number: String,
    member_id: Option<MemberId>,
    total: i64,
    paid_by_points: i64,
    points: i64,
    balance_after: Option<i64>,
    rules: Value,
    withheld: Option<String>,
    programme: i64,
    fingerprint: Vec<u8>,
    occurred_at: Instant,
}

impl Row {
    fn receipt(self) -> Result<Receipt, Error> {
        Ok(Receipt {
            purchase: self.purchase_id,
            replayed: true,
            total: self.total,
            paid_by_points: self.paid_by_points,
            points: self.points,
            rules: serde_json::from_value(self.rules).map_err(|_| Error::Corrupt("rules"))?,
            withheld: withheld(self.withheld.as_deref())?,
            programme: self.programme,
            member: self.member_id,
            balance: self.balance_after,
            occurred_at: self.occurred_at,
        })
    }
}

fn withheld(why: Option<&str>) -> Result<Option<Withheld>, Error> {
    let known = |why| Withheld::parse(why).ok_or(Error::Corrupt("withheld"));
    why.map(known).transpose()
}

fn number(text: &str) -> Result<ReceiptNumber, Error> {
    text.parse().map_err(|_| Error::Corrupt("receipt number"))
}

/// Purchases of these receipts; by `purchase_store_receipt_key`.
pub(super) async fn known(
    tx: &mut ReadTx,
    keys: &[ReceiptKey],
) -> Result<HashMap<ReceiptKey, Known>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select purchase_id as "purchase_id: _", store_id as "store_id: _", receipt_number,
               member_id as "member_id: _", total, paid_by_points, points, balance_after, rules,
               withheld, programme, fingerprint, occurred_at
        from (select unnest($1::uuid[]) as store, unnest($2::text[]) as receipt) as asked
        join purchase on store_id = store and receipt_number = receipt"#,
        &keys
            .iter()
            .map(|(store, _)| store.uuid())
            .collect::<Vec<_>>(),
        &keys
            .iter()
            .map(|(_, receipt)| receipt.as_str().to_owned())
            .collect::<Vec<_>>(),
    )
    .fetch_all(tx.conn())
    .await?;
    let mut known = HashMap::with_capacity(rows.len());
    for row in rows {
        let key = (row.store_id, number(&row.receipt_number)?);
        let fingerprint = row.fingerprint.clone();
        known.insert(
            key,
            Known {
                fingerprint,
                receipt: row.receipt()?,
            },
        );
    }
    Ok(known)
}

/// Which of these receipts were recorded before that moment; by `purchase_store_receipt_key`.
pub(super) async fn recorded_before(
    tx: &mut ReadTx,
    keys: &[ReceiptKey],
    before: Instant,
) -> Result<HashSet<ReceiptKey>, Error> {
    let rows = sqlx::query!(
        r#"
        select store_id as "store: StoreId", receipt_number
        from (select unnest($1::uuid[]) as store, unnest($2::text[]) as receipt) as asked
        join purchase on store_id = store and receipt_number = receipt
        where recorded_at < $3"#,
        &keys
            .iter()
            .map(|(store, _)| store.uuid())
            .collect::<Vec<_>>(),
        &keys
            .iter()
            .map(|(_, receipt)| receipt.as_str().to_owned())
            .collect::<Vec<_>>(),
        before,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| Ok((row.store, number(&row.receipt_number)?)))
        .collect()
}

/// Points granted to these members from `first` to the day before `last`, by rule; by
/// `purchase_member_day_idx`.
pub(super) async fn granted(
    tx: &mut ReadTx,
    members: &[MemberId],
    first: NaiveDate,
    last: NaiveDate,
) -> Result<Vec<Granted>, Error> {
    let rows = sqlx::query_as!(
        Granted,
        r#"
        select member_id as "member!: MemberId", earned.value ->> 'rule' as "rule!",
               business_day as day, sum((earned.value ->> 'points')::bigint)::bigint as "points!"
        from purchase
        cross join jsonb_array_elements(rules) as earned
        where member_id = any ($1) and business_day >= $2 and business_day < $3 and points > 0
        group by 1, 2, 3"#,
        &members.iter().map(MemberId::uuid).collect::<Vec<_>>(),
        first,
        last,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// Writes purchases, in the order of their receipts, so that two slices never wait for each other
/// in a circle.
pub(super) async fn insert_purchases(tx: &mut Tx, new: &[NewPurchase]) -> Result<(), Error> {
    if new.is_empty() {
        return Ok(());
    }
    let mut new: Vec<&NewPurchase> = new.iter().collect();
    new.sort_by_key(|one| (one.store, &one.receipt_number));
    let now = tx.now();
    let members: Vec<Option<Uuid>> = new
        .iter()
        .map(|one| one.receipt.member.map(|member| member.uuid()))
        .collect();
    let balances: Vec<Option<i64>> = new.iter().map(|one| one.receipt.balance).collect();
    let withheld: Vec<Option<String>> = new
        .iter()
        .map(|one| one.receipt.withheld.map(|why| why.as_str().to_owned()))
        .collect();
    let inserted = sqlx::query!(
        "insert into purchase (purchase_id, store_id, merchant_id, receipt_number, member_id,
             total, paid_by_points, points, balance_after, refunded, clawed, lines, rules,
             programme, fingerprint, business_day, occurred_at, withheld,
             prepaid, recorded_at)
         select unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::uuid[]), unnest($4::text[]),
             unnest($5::uuid[]), unnest($6::bigint[]), unnest($7::bigint[]), unnest($8::bigint[]),
             unnest($9::bigint[]), 0, 0, unnest($10::jsonb[]), unnest($11::jsonb[]),
             unnest($12::bigint[]), unnest($13::bytea[]), unnest($14::date[]),
             unnest($15::timestamptz[]), unnest($16::text[]), unnest($17::boolean[]), $18",
        &new.iter().map(|one| one.id.uuid()).collect::<Vec<_>>(),
        &new.iter().map(|one| one.store.uuid()).collect::<Vec<_>>(),
        &new.iter()
            .map(|one| one.merchant.uuid())
            .collect::<Vec<_>>(),
        &new.iter()
            .map(|one| one.receipt_number.as_str().to_owned())
            .collect::<Vec<_>>(),
        &members as &[Option<Uuid>],
        &new.iter().map(|one| one.receipt.total).collect::<Vec<_>>(),
        &new.iter()
            .map(|one| one.receipt.paid_by_points)
            .collect::<Vec<_>>(),
        &new.iter().map(|one| one.receipt.points).collect::<Vec<_>>(),
        &balances as &[Option<i64>],
        &new.iter()
            .map(|one| lines_to_json(&one.lines))
            .collect::<Vec<_>>(),
        &new.iter()
            .map(|one| json!(one.receipt.rules))
            .collect::<Vec<_>>(),
        &new.iter()
            .map(|one| one.receipt.programme)
            .collect::<Vec<_>>(),
        &new.iter()
            .map(|one| one.fingerprint.clone())
            .collect::<Vec<_>>(),
        &new.iter().map(|one| one.business_day).collect::<Vec<_>>(),
        &new.iter()
            .map(|one| one.receipt.occurred_at)
            .collect::<Vec<_>>(),
        &withheld as &[Option<String>],
        &new.iter().map(|one| one.prepaid).collect::<Vec<_>>(),
        now,
    )
    .execute(tx.conn())
    .await;
    match inserted.map_err(Error::from) {
        // Another transaction recorded one of these receipts since we looked.
        Err(Error::Constraint { name, source }) if name == "purchase_store_receipt_key" => {
            Err(Error::Retry(source))
        }
        other => other.map(|_| ()),
    }
}

fn lines_to_json(lines: &[Line]) -> Value {
    let line = |line: &Line| json!([line.category.as_str(), line.quantity, line.amount]);
    lines.iter().map(line).collect()
}

fn lines_from_json(lines: &Value) -> Result<Vec<Line>, Error> {
    let rows: Vec<(String, i64, i64)> =
        serde_json::from_value(lines.clone()).map_err(|_| Error::Corrupt("receipt lines"))?;
    rows.into_iter()
        .map(|(category, quantity, amount)| {
            let category = category.parse().map_err(|_| Error::Corrupt("category"))?;
            Ok(Line {
                category,
                quantity,
                amount,
            })
        })
        .collect()
}

/// Locks these purchases, in the order of their ids.
pub(super) async fn lock_purchases(
    tx: &mut Tx,
    ids: &[PurchaseId],
) -> Result<HashMap<PurchaseId, Refundable>, Error> {
    let rows = sqlx::query!(
        r#"
        select purchase_id as "id: PurchaseId", store_id as "store: StoreId",
               merchant_id as "merchant: MerchantId", receipt_number,
               member_id as "member: MemberId", total, points, refunded, clawed, prepaid
        from purchase
        where purchase_id = any ($1)
        order by purchase_id
        for update"#,
        &ids.iter().map(PurchaseId::uuid).collect::<Vec<_>>(),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let refundable = Refundable {
                id: row.id,
                store: row.store,
                merchant: row.merchant,
                receipt_number: number(&row.receipt_number)?,
                member: row.member,
                total: row.total,
                points: row.points,
                refunded: row.refunded,
                clawed: row.clawed,
                prepaid: row.prepaid,
            };
            Ok((row.id, refundable))
        })
        .collect()
}

/// Refunds of these purchases; by `refund_reference_key`.
pub(super) async fn known_refunds(
    tx: &mut ReadTx,
    ids: &[PurchaseId],
) -> Result<HashMap<(PurchaseId, ReceiptNumber), KnownRefund>, Error> {
    let rows = sqlx::query!(
        r#"
        select refund_id as "refund: RefundId", purchase_id as "purchase: PurchaseId", reference,
               amount, points_taken, points_owed, points_given_back, balance_after, fingerprint,
               occurred_at
        from refund
        where purchase_id = any ($1)"#,
        &ids.iter().map(PurchaseId::uuid).collect::<Vec<_>>(),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let receipt = RefundReceipt {
                refund: row.refund,
                purchase: row.purchase,
                replayed: true,
                amount: row.amount,
                points_taken: row.points_taken,
                points_owed: row.points_owed,
                points_given_back: row.points_given_back,
                balance: row.balance_after,
                occurred_at: row.occurred_at,
            };
            let key = (row.purchase, number(&row.reference)?);
            Ok((
                key,
                KnownRefund {
                    fingerprint: row.fingerprint,
                    receipt,
                },
            ))
        })
        .collect()
}

/// Writes refunds.
pub(super) async fn insert_refunds(tx: &mut Tx, new: &[NewRefund]) -> Result<(), Error> {
    if new.is_empty() {
        return Ok(());
    }
    let now = tx.now();
    let balances: Vec<Option<i64>> = new.iter().map(|one| one.receipt.balance).collect();
    sqlx::query!(
        "insert into refund (refund_id, purchase_id, reference, amount, points_taken, points_owed,
             points_given_back, balance_after, fingerprint, occurred_at, recorded_at)
         select unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::bigint[]),
             unnest($5::bigint[]), unnest($6::bigint[]), unnest($7::bigint[]),
             unnest($8::bigint[]), unnest($9::bytea[]), unnest($10::timestamptz[]), $11",
        &new.iter()
            .map(|one| one.receipt.refund.uuid())
            .collect::<Vec<_>>(),
        &new.iter()
            .map(|one| one.receipt.purchase.uuid())
            .collect::<Vec<_>>(),
        &new.iter()
            .map(|one| one.reference.as_str().to_owned())
            .collect::<Vec<_>>(),
        &new.iter().map(|one| one.receipt.amount).collect::<Vec<_>>(),
        &new.iter()
            .map(|one| one.receipt.points_taken)
            .collect::<Vec<_>>(),
        &new.iter()
            .map(|one| one.receipt.points_owed)
            .collect::<Vec<_>>(),
        &new.iter()
            .map(|one| one.receipt.points_given_back)
            .collect::<Vec<_>>(),
        &balances as &[Option<i64>],
        &new.iter()
            .map(|one| one.fingerprint.clone())
            .collect::<Vec<_>>(),
        &new.iter()
            .map(|one| one.receipt.occurred_at)
            .collect::<Vec<_>>(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes what was refunded of purchases that [`lock_purchases`] locked.
pub(super) async fn update_purchases(
    tx: &mut Tx,
    changed: impl Iterator<Item = &Refundable>,
) -> Result<(), Error> {
    let changed: Vec<&Refundable> = changed.collect();
    sqlx::query!(
        "update purchase
         set refunded = changed.refunded, clawed = changed.clawed
         from (select unnest($1::uuid[]) as purchase_id, unnest($2::bigint[]) as refunded,
             unnest($3::bigint[]) as clawed) as changed
         where purchase.purchase_id = changed.purchase_id",
        &changed.iter().map(|one| one.id.uuid()).collect::<Vec<_>>(),
        &changed.iter().map(|one| one.refunded).collect::<Vec<_>>(),
        &changed.iter().map(|one| one.clawed).collect::<Vec<_>>(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A purchase with its refunds; by `purchase_pkey` and `refund_reference_key`.
pub(super) async fn found(tx: &mut ReadTx, id: PurchaseId) -> Result<Option<Found>, Error> {
    let row = sqlx::query!(
        r#"
        select store_id as "store: StoreId", merchant_id as "merchant: MerchantId",
               receipt_number, member_id as "member: MemberId", total, paid_by_points, points,
               balance_after, refunded, lines, rules, withheld, programme, occurred_at
        from purchase
        where purchase_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let refunds = sqlx::query!(
        r#"
        select refund_id as "id: RefundId", reference, amount, points_taken, points_owed,
               points_given_back, occurred_at
        from refund
        where purchase_id = $1
        order by refund_id
        limit 100"#,
        id.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    let refunds: Result<Vec<FoundRefund>, Error> = refunds
        .into_iter()
        .map(|row| {
            Ok(FoundRefund {
                id: row.id,
                reference: number(&row.reference)?,
                amount: row.amount,
                points_taken: row.points_taken,
                points_owed: row.points_owed,
                points_given_back: row.points_given_back,
                occurred_at: row.occurred_at,
            })
        })
        .collect();
    Ok(Some(Found {
        receipt: Receipt {
            purchase: id,
            replayed: true,
            total: row.total,
            paid_by_points: row.paid_by_points,
            points: row.points,
            rules: serde_json::from_value(row.rules).map_err(|_| Error::Corrupt("rules"))?,
            withheld: withheld(row.withheld.as_deref())?,
            programme: row.programme,
            member: row.member,
            balance: row.balance_after,
            occurred_at: row.occurred_at,
        },
        merchant: row.merchant,
        store: row.store,
        receipt_number: number(&row.receipt_number)?,
        lines: lines_from_json(&row.lines)?,
        refunded: row.refunded,
        refunds: refunds?,
    }))
}
