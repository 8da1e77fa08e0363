//! What moved in each period since the first day, for the entries that an issuer books.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use uuid::Uuid;

use super::{LiabilityError, issuers, own, rows::by_merchant, take_time};
use crate::{
    authz::{action::ReadLiability, grant::Grant},
    db::{self, tx::ReadTx},
    kernel::{
        AmountError,
        ids::MerchantId,
        page::{Page, Slice},
        text::Code,
        time::{Period, Zone},
    },
};

/// What happened to one issuer's points in a period. Points are whole, money is in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeriodMoves {
    /// What the sales that earned them came to, less what points paid of it.
    pub sales: i64,
    /// Points given to members.
    pub issued: i64,
    /// What those settle at.
    pub issued_worth: i64,
    /// Points taken back unused.
    pub taken_back: i64,
    /// Points redeemed and repaid at the issuer itself, less those given back.
    pub used_here: i64,
    /// The same at others.
    pub used_elsewhere: i64,
    /// What the issuer owes for those.
    pub payable: i64,
    /// Points that lapsed.
    pub expired: i64,
    /// Points of grants whose last day was in this period and that have none left, without those that
    /// were taken back unused.
    pub over: i64,
    /// What of those lapsed.
    pub over_expired: i64,
}

/// One issuer's periods with any movement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerPeriods {
    /// Whose points.
    pub merchant: MerchantId,
    /// What lists call the merchant.
    pub code: Code,
    /// What happened when.
    pub periods: BTreeMap<Period, PeriodMoves>,
}

struct Row {
    merchant: MerchantId,
    kind: String,
    month: NaiveDate,
    here: bool,
    points: i64,
    worth: i64,
}

/// What moved up to the end of `period`, a row for each merchant within reach; at most
/// [`super::WHOLE`] on a page. A merchant's right covers its own. What was used of a grant is looked at
/// as it is now, by the mall's own periods.
///
/// # Errors
/// [`LiabilityError`], [`LiabilityError::Broken`] not among them.
pub async fn periods(
    tx: &mut ReadTx,
    grant: &Grant<ReadLiability>,
    period: Period,
    zone: Zone,
    slice: &Slice,
) -> Result<Page<IssuerPeriods>, LiabilityError> {
    let period = own(tx, period).await?;
    let issuers = issuers(tx, grant, slice).await?;
    take_time(tx).await?;
    let rows = sums(tx, period, zone, &issuers.ids).await?;
    let mut sums = by_merchant(rows, |row| row.merchant);
    let mut all = Vec::with_capacity(issuers.ids.len());
    for (merchant, code) in issuers.page.items {
        let mut periods: BTreeMap<Period, PeriodMoves> = BTreeMap::new();
        for row in sums.remove(&merchant).unwrap_or_default() {
            periods
                .entry(Period::containing(row.month, period.unit()))
                .or_default()
                .count(&row)?;
        }
        all.push(IssuerPeriods {
            merchant,
            code,
            periods,
        });
    }
    Ok(Page {
        items: all,
        next: issuers.page.next,
    })
}

/// Everything that counts for these issuers.
#[expect(
    clippy::too_many_lines,
    reason = "one statement, so that it sees one moment of a mall at work"
)]
async fn sums(
    tx: &mut ReadTx,
    period: Period,
    zone: Zone,
    ids: &[Uuid],
) -> Result<Vec<Row>, db::Error> {
    let (_, end) = period.span(zone);
    // As for the roll-forward, by period, and with each sale that earned points by purchase_pkey or
    // from end to end: once a period, for an export, from the first day on. A purchase's lot has its id.
    let rows = sqlx::query_as!(
        Row,
        r#"
        with repaid as materialized (
            select account.partner_id as taker, transfer.amount, transfer.value,
                   transfer.posted_in,
                   (select merchant_id from lot where lot.lot_id = transfer.lot_id) as issuer
            from transfer
            join account on account.account_id = transfer.to_account
                        and account.kind = 'deficit'
            where transfer.posted_in <= $1
        ),
        moved as (
            select page.merchant_id, transfer.posted_in as month,
                   account.owner_id = page.merchant_id as here,
                   case account.kind when 'issued' then 'issued' when 'accepted' then 'given-back'
                                     else 'became-owed' end as kind,
                   sum(transfer.amount) as points, sum(transfer.value) as worth
            from transfer
            join account on account.account_id = transfer.from_account
                        and account.kind in ('issued', 'accepted', 'deficit')
            join unnest($2::uuid[]) as page (merchant_id)
              on page.merchant_id = coalesce(account.partner_id, account.owner_id)
            where transfer.posted_in <= $1
            group by page.merchant_id, transfer.posted_in, account.kind,
                     account.owner_id = page.merchant_id
            union all
            select page.merchant_id, transfer.posted_in, account.owner_id = page.merchant_id,
                   case account.kind when 'issued' then 'returned' when 'accepted' then 'used'
                                     else 'expired' end,
                   sum(transfer.amount), sum(transfer.value)
            from transfer
            join account on account.account_id = transfer.to_account
                        and account.kind in ('issued', 'accepted', 'expired')
            join unnest($2::uuid[]) as page (merchant_id)
              on page.merchant_id = coalesce(account.partner_id, account.owner_id)
            where transfer.posted_in <= $1
            group by page.merchant_id, transfer.posted_in, account.kind,
                     account.owner_id = page.merchant_id
            union all
            select repaid.issuer, repaid.posted_in, repaid.taker = repaid.issuer, 'used',
                   sum(repaid.amount), sum(repaid.value)
            from repaid
            where repaid.issuer = any ($2)
            group by repaid.issuer, repaid.posted_in, repaid.taker = repaid.issuer
            union all
            select account.owner_id, transfer.posted_in, true, 'sales', 0,
                   sum(purchase.total - purchase.paid_by_points)
            from transfer
            join account on account.account_id = transfer.from_account and account.kind = 'issued'
            join purchase on purchase.purchase_id = transfer.lot_id
            where transfer.posted_in <= $1 and account.owner_id = any ($2)
            group by account.owner_id, transfer.posted_in
            union all
            select grants.merchant_id, grants.month, true, part.kind, part.points, 0
            from (
                select merchant_id,
                       date_trunc($5, expires_at at time zone $4)::date as month,
                       sum(expired) as expired, sum(points - clawed) as ended
                from lot
                where remaining = 0 and expires_at < $3 and merchant_id = any ($2)
                group by 1, 2
            ) as grants
            cross join lateral (values ('ended', grants.ended), ('ended-expired', grants.expired))
                as part (kind, points)
        )
        select merchant_id as "merchant!: MerchantId", month as "month!", here as "here!",
               kind as "kind!", points::bigint as "points!", worth::bigint as "worth!"
        from moved"#,
        period.first_day(),
        ids,
        end,
        zone.to_string(),
        period.unit().as_str(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

impl PeriodMoves {
    fn count(&mut self, row: &Row) -> Result<(), AmountError> {
        let (points, worth) = (row.points, row.worth);
        let back = |amount: i64| amount.checked_neg().ok_or(AmountError::Overflow);
        match row.kind.as_str() {
            "sales" => grow(&mut self.sales, worth),
            "issued" => {
                grow(&mut self.issued_worth, worth)?;
                grow(&mut self.issued, points)
            }
            // What became owed had been used before: it was not taken back unused.
            "returned" => grow(&mut self.taken_back, points),
            "became-owed" => grow(&mut self.taken_back, back(points)?),
            "expired" => grow(&mut self.expired, points),
            "ended" => grow(&mut self.over, points),
            "ended-expired" => grow(&mut self.over_expired, points),
            "used" => self.use_up(row.here, points, worth),
            "given-back" => self.use_up(row.here, back(points)?, back(worth)?),
            _ => Ok(()),
        }
    }

    fn use_up(&mut self, here: bool, points: i64, worth: i64) -> Result<(), AmountError> {
        if here {
            return grow(&mut self.used_here, points);
        }
        grow(&mut self.payable, worth)?;
        grow(&mut self.used_elsewhere, points)
    }
}

fn grow(sum: &mut i64, by: i64) -> Result<(), AmountError> {
    *sum = sum.checked_add(by).ok_or(AmountError::Overflow)?;
    Ok(())
}
