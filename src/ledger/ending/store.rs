//! What is open of an issuer: `lot` and `transfer`, read.
#![expect(
    clippy::as_conversions,
    reason = "tells checked queries of arrays with nulls"
)]

use uuid::Uuid;

use crate::{
    db::{error::Error, tx::ReadTx},
    kernel::{
        ids::{MemberId, MerchantId},
        time::{Instant, Period},
    },
    ledger::Era,
};

/// Spans of time, column by column.
struct Spans {
    issuers: Vec<Uuid>,
    since: Vec<Instant>,
    until: Vec<Option<Instant>>,
}

impl Spans {
    fn of(eras: &[Era]) -> Self {
        Self {
            issuers: eras.iter().map(|era| era.issuer.uuid()).collect(),
            since: eras.iter().map(|era| era.since).collect(),
            until: eras.iter().map(|era| era.until).collect(),
        }
    }
}

/// By `lot_open_idx`: issuers leave seldom, and all that is open is looked at once.
pub(super) async fn holders(
    tx: &mut ReadTx,
    issuers: &[MerchantId],
    limit: i64,
) -> Result<Vec<(MemberId, MerchantId)>, Error> {
    let ids: Vec<Uuid> = issuers.iter().map(MerchantId::uuid).collect();
    let rows = sqlx::query!(
        r#"
        select distinct member_id as "member: MemberId", merchant_id as "issuer: MerchantId"
        from lot
        where merchant_id = any ($1) and remaining > 0
        order by 1, 2
        limit $2"#,
        &ids,
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.member, row.issuer))
        .collect())
}

/// By `lot_open_idx`: a sum over what is open, once a day.
pub(super) async fn open_worth(
    tx: &mut ReadTx,
    only: Option<MerchantId>,
    paid: &[Era],
) -> Result<Vec<(MerchantId, i64)>, Error> {
    let spans = Spans::of(paid);
    let rows = sqlx::query!(
        r#"
        select merchant_id as "issuer: MerchantId", sum(worth_left)::bigint as "worth!"
        from lot
        where remaining > 0 and ($1::uuid is null or merchant_id = $1)
          and not exists (
            select from unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[])
                as span (issuer, since, until)
            where span.issuer = lot.merchant_id and span.since <= lot.earned_at
              and (span.until is null or lot.earned_at < span.until))
        group by merchant_id"#,
        only.map(|merchant| merchant.uuid()),
        &spans.issuers,
        &spans.since,
        &spans.until as &[Option<Instant>],
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.issuer, row.worth))
        .collect())
}

/// By `transfer_month_idx`: a sum over the periods that are not settled. Points that fill a debt count
/// as those that whom it is owed to took: settlement.md, example G.
pub(super) async fn taken_since(
    tx: &mut ReadTx,
    period: Period,
    only: Option<MerchantId>,
    paid: &[Era],
) -> Result<Vec<(MerchantId, i64)>, Error> {
    let spans = Spans::of(paid);
    let rows = sqlx::query!(
        r#"
        select issuer as "issuer!: MerchantId", sum(worth)::bigint as "worth!"
        from (
            select coalesce(taker.partner_id, giver.partner_id, case when debt.account_id is not null
                       then (select merchant_id from lot
                             where lot.lot_id = transfer.lot_id
                               and lot.merchant_id <> debt.partner_id) end) as issuer,
                   transfer.earned_at,
                   case when giver.account_id is null then transfer.value
                        else -transfer.value end as worth
            from transfer
            left join account as taker on taker.account_id = transfer.to_account
                and taker.kind = 'accepted' and taker.owner_id <> taker.partner_id
            left join account as giver on giver.account_id = transfer.from_account
                and giver.kind = 'accepted' and giver.owner_id <> giver.partner_id
            left join account as debt on debt.account_id = transfer.to_account
                and debt.kind = 'deficit'
            where transfer.posted_in >= $1
              and (taker.account_id is not null or giver.account_id is not null
                   or debt.account_id is not null)
        ) as crossing
        where issuer is not null and ($2::uuid is null or issuer = $2)
          and not exists (
            select from unnest($3::uuid[], $4::timestamptz[], $5::timestamptz[])
                as span (issuer, since, until)
            where span.issuer = crossing.issuer and span.since <= crossing.earned_at
              and (span.until is null or crossing.earned_at < span.until))
        group by issuer"#,
        period.first_day(),
        only.map(|merchant| merchant.uuid()),
        &spans.issuers,
        &spans.since,
        &spans.until as &[Option<Instant>],
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.issuer, row.worth))
        .collect())
}
