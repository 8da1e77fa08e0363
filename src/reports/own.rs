//! All that a mall knows of what a member did, for whoever takes it away: the member, or somebody who may.

use serde_json::Value;

use crate::{
    authz::{action::CopyMembers, grant::Grant},
    db::{Error, tenants::names_from_json, tx::ReadTx},
    kernel::{
        ids::{JournalId, LotId, MemberId, PurchaseId},
        text::Names,
        time::Instant,
    },
};

/// How many rows are asked for at once.
const SLICE: i64 = 500;

/// What something was paid by, and what came of it. Amounts in minor units of the mall's currency.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// As the store printed it.
    pub number: String,
    /// The sum.
    pub total: i64,
    /// What of it points paid.
    pub paid_by_points: i64,
    /// What of it was given back.
    pub refunded: i64,
    /// What was bought, as the till told it: the category, how many, and what they cost together.
    pub lines: Vec<(String, i64, i64)>,
}

/// One line of the history.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its number in the member's history, from 1.
    pub number: i64,
    /// The event.
    pub id: JournalId,
    /// Why, by the ledger's word.
    pub kind: String,
    /// What it changed.
    pub points: i64,
    /// The balance after it.
    pub balance_after: i64,
    /// At which merchant, and
    pub merchant: Option<Names>,
    /// in which store.
    pub store: Option<Names>,
    /// The number of the receipt that it was about.
    pub receipt_number: Option<String>,
    /// The receipt that earned the points.
    pub receipt: Option<Receipt>,
    /// The good that it was about.
    pub good: Option<Names>,
    /// Why somebody of the mall added or took points, by the word of the books.
    pub reason: Option<String>,
    /// When it happened.
    pub occurred_at: Instant,
    /// When it was written into the books.
    pub posted_at: Instant,
}

/// A receipt that earned nothing, so that no line of the history is about it.
#[derive(Debug, Clone)]
pub struct Nil {
    /// The receipt.
    pub receipt: Receipt,
    /// At which merchant.
    pub merchant: Names,
    /// In which store.
    pub store: Names,
    /// When.
    pub occurred_at: Instant,
}

/// Points of one grant that are left.
#[derive(Debug, Clone)]
pub struct Left {
    /// The grant.
    pub id: LotId,
    /// Who gave them.
    pub merchant: Names,
    /// How many were given.
    pub points: i64,
    /// How many are left, or have lapsed and were not taken out of the books yet.
    pub remaining: i64,
    /// When they were earned.
    pub earned_at: Instant,
    /// The first moment at which they cannot be spent any more; never where none.
    pub expires_at: Option<Instant>,
    /// Who alone takes them.
    pub only_at: Option<Names>,
}

/// The whole history, the first line first.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Corrupt`].
pub async fn lines(
    tx: &mut ReadTx,
    _grant: &Grant<CopyMembers>,
    member: MemberId,
) -> Result<Vec<Line>, Error> {
    let mut lines: Vec<Line> = Vec::new();
    loop {
        let after = lines.last().map_or(0, |line| line.number);
        // A slice by journal_member_seq_key; what each line is about by the primary key of its table.
        let rows = sqlx::query!(
            r#"
            select line.seq as "seq!", line.journal_id as "id: JournalId", line.kind, line.points,
                   line.balance_after, line.occurred_at as "occurred_at: Instant",
                   line.posted_at as "posted_at: Instant",
                   merchant.names as "merchant?: Value", store.names as "store?: Value",
                   coalesce(purchase.receipt_number, spend.receipt_number, sale.receipt_number)
                       as "receipt_number?",
                   purchase.receipt_number as "bought?", purchase.total as "total?",
                   purchase.paid_by_points as "paid_by_points?", purchase.refunded as "refunded?",
                   purchase.lines as "lines?: Value", good.names as "good?: Value",
                   points_adjustment.reason as "reason?"
            from journal as line
            left join merchant on merchant.merchant_id = line.merchant_id
            left join store on store.store_id = line.store_id
            left join purchase on purchase.purchase_id = line.source_id
            left join spend on spend.spend_id = line.source_id
            left join refund on refund.refund_id = line.source_id
            left join purchase as sale on sale.purchase_id = refund.purchase_id
            left join redemption on redemption.redemption_id = line.source_id
            left join good on good.good_id = redemption.good_id
            left join points_adjustment on points_adjustment.adjustment_id = line.source_id
            where line.member_id = $1 and line.seq > $2
            order by line.seq
            limit $3"#,
            member.uuid(),
            after,
            SLICE,
        )
        .fetch_all(tx.conn())
        .await?;
        let more = rows.len();
        for row in rows {
            let bought = row.bought.zip(row.total).zip(row.paid_by_points);
            let rest = row.refunded.zip(row.lines);
            let receipt = match bought.zip(rest) {
                Some((((number, total), paid_by_points), (refunded, lines))) => Some(Receipt {
                    number,
                    total,
                    paid_by_points,
                    refunded,
                    lines: bought_lines(lines)?,
                }),
                None => None,
            };
            lines.push(Line {
                number: row.seq,
                id: row.id,
                kind: row.kind,
                points: row.points,
                balance_after: row.balance_after,
                merchant: named(row.merchant.as_ref())?,
                store: named(row.store.as_ref())?,
                receipt_number: row.receipt_number,
                receipt,
                good: named(row.good.as_ref())?,
                reason: row.reason,
                occurred_at: row.occurred_at,
                posted_at: row.posted_at,
            });
        }
        if !is_full(more) {
            return Ok(lines);
        }
    }
}

/// The receipts that earned nothing, the first first.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Corrupt`].
pub async fn nil_receipts(
    tx: &mut ReadTx,
    _grant: &Grant<CopyMembers>,
    member: MemberId,
) -> Result<Vec<Nil>, Error> {
    let mut found = Vec::new();
    let mut after = PurchaseId::from_uuid(uuid::Uuid::nil());
    loop {
        // A slice by purchase_member_nil_idx, which holds such receipts alone.
        let rows = sqlx::query!(
            r#"
            select purchase_id as "id: PurchaseId", receipt_number, total, paid_by_points, refunded,
                   lines as "lines: Value", merchant.names as "merchant: Value",
                   store.names as "store: Value", occurred_at as "occurred_at: Instant"
            from purchase
            join merchant on merchant.merchant_id = purchase.merchant_id
            join store on store.store_id = purchase.store_id
            where member_id = $1 and purchase.points = 0 and purchase_id > $2
            order by purchase_id
            limit $3"#,
            member.uuid(),
            after.uuid(),
            SLICE,
        )
        .fetch_all(tx.conn())
        .await?;
        let more = rows.len();
        for row in rows {
            after = row.id;
            found.push(Nil {
                receipt: Receipt {
                    number: row.receipt_number,
                    total: row.total,
                    paid_by_points: row.paid_by_points,
                    refunded: row.refunded,
                    lines: bought_lines(row.lines)?,
                },
                merchant: names_from_json(&row.merchant)?,
                store: names_from_json(&row.store)?,
                occurred_at: row.occurred_at,
            });
        }
        if !is_full(more) {
            return Ok(found);
        }
    }
}

/// The grants that have points left, in the order in which they will be used.
///
/// # Errors
/// [`Error::Unavailable`], [`Error::Corrupt`].
pub async fn left(
    tx: &mut ReadTx,
    _grant: &Grant<CopyMembers>,
    member: MemberId,
) -> Result<Vec<Left>, Error> {
    // By lot_open_idx, which holds what has points left alone.
    let rows = sqlx::query!(
        r#"
        select lot_id as "id: LotId", merchant.names as "merchant: Value", points, remaining,
               earned_at as "earned_at: Instant", expires_at as "expires_at?: Instant",
               taker.names as "taker?: Value"
        from lot
        join merchant on merchant.merchant_id = lot.merchant_id
        left join merchant as taker on taker.merchant_id = lot.only_at
        where member_id = $1 and remaining > 0
        order by expires_at, earned_at, lot_id"#,
        member.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Left {
                id: row.id,
                merchant: names_from_json(&row.merchant)?,
                points: row.points,
                remaining: row.remaining,
                earned_at: row.earned_at,
                expires_at: row.expires_at,
                only_at: named(row.taker.as_ref())?,
            })
        })
        .collect()
}

fn named(json: Option<&Value>) -> Result<Option<Names>, Error> {
    json.map(names_from_json).transpose()
}

fn bought_lines(json: Value) -> Result<Vec<(String, i64, i64)>, Error> {
    serde_json::from_value(json).map_err(|_| Error::Corrupt("receipt lines"))
}

fn is_full(rows: usize) -> bool {
    i64::try_from(rows).is_ok_and(|rows| rows >= SLICE)
}
