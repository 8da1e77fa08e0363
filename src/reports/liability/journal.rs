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
        money::split,
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
    of_issuer: Option<i64>,
    of_operator: Option<i64>,
    of_redeemer: Option<i64>,
}

impl Row {
    /// What of the worth the issuer bears, as its statement shares it out.
    fn owed(&self) -> Result<i64, AmountError> {
        let (Some(issuer), Some(operator), Some(redeemer)) =
            (self.of_issuer, self.of_operator, self.of_redeemer)
        else {
            return Ok(self.worth);
        };
        let parts = split(self.worth, &[issuer, operator, redeemer])?;
        parts.first().copied().ok_or(AmountError::Overflow)
    }
}

/// What moved up to the end of `period`, a row for each merchant within reach; at most
/// [`super::WHOLE`] on a page. Points that were given under the pool are not among it: with them the
/// issuer's promise is the pool's, and what it paid for that stands in its statement. Of points whose
/// cost others bear too, `payable` is the issuer's part. A merchant's right covers its own. What was used of a grant is looked at
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
        with terms as materialized (
            select merchant_id as issuer, starts_at as since,
                   lead(starts_at) over (partition by merchant_id order by starts_at, version)
                       as until,
                   said ->> 'model' = 'pool' as pool, said ? 'cost' as shared,
                   (said -> 'cost' ->> 'issuer')::bigint as of_issuer,
                   (said -> 'cost' ->> 'operator')::bigint as of_operator,
                   (said -> 'cost' ->> 'redeemer')::bigint as of_redeemer
            from agreement
            cross join lateral (select terms::jsonb as said) as body
            where accepted_at is not null
        ),
        repaid as materialized (
            select account.partner_id as taker, transfer.amount, transfer.value,
                   transfer.posted_in, transfer.earned_at,
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
                   account.owner_id as taker, transfer.earned_at, transfer.amount as points,
                   transfer.value as worth
            from transfer
            join account on account.account_id = transfer.from_account
                        and account.kind in ('issued', 'accepted', 'deficit')
            join unnest($2::uuid[]) as page (merchant_id)
              on page.merchant_id = coalesce(account.partner_id, account.owner_id)
            where transfer.posted_in <= $1
            union all
            select page.merchant_id, transfer.posted_in, account.owner_id = page.merchant_id,
                   case account.kind when 'issued' then 'returned' when 'accepted' then 'used'
                                     else 'expired' end,
                   account.owner_id, transfer.earned_at, transfer.amount, transfer.value
            from transfer
            join account on account.account_id = transfer.to_account
                        and account.kind in ('issued', 'accepted', 'expired')
            join unnest($2::uuid[]) as page (merchant_id)
              on page.merchant_id = coalesce(account.partner_id, account.owner_id)
            where transfer.posted_in <= $1
            union all
            select repaid.issuer, repaid.posted_in, repaid.taker = repaid.issuer, 'used',
                   repaid.taker, repaid.earned_at, repaid.amount, repaid.value
            from repaid
            where repaid.issuer = any ($2)
            union all
            select account.owner_id, transfer.posted_in, true, 'sales', null, transfer.earned_at, 0,
                   purchase.total - purchase.paid_by_points
            from transfer
            join account on account.account_id = transfer.from_account and account.kind = 'issued'
            join purchase on purchase.purchase_id = transfer.lot_id
            where transfer.posted_in <= $1 and account.owner_id = any ($2)
            union all
            select lot.merchant_id, date_trunc($5, lot.expires_at at time zone $4)::date, true,
                   part.kind, null, lot.earned_at, part.points, 0
            from lot
            cross join lateral (values ('ended', lot.points - lot.clawed),
                                       ('ended-expired', lot.expired)) as part (kind, points)
            where lot.remaining = 0 and lot.expires_at < $3 and lot.merchant_id = any ($2)
        )
        select moved.merchant_id as "merchant!: MerchantId", moved.month as "month!",
               moved.here as "here!", moved.kind as "kind!",
               sum(moved.points)::bigint as "points!", sum(moved.worth)::bigint as "worth!",
               terms.of_issuer, terms.of_operator, terms.of_redeemer
        from moved
        left join terms on terms.issuer = moved.merchant_id and terms.since <= moved.earned_at
                       and (terms.until is null or moved.earned_at < terms.until)
        where terms.pool is not true
        group by moved.merchant_id, moved.month, moved.here, moved.kind,
                 case when terms.shared then moved.taker end,
                 case when terms.shared then terms.since end,
                 terms.of_issuer, terms.of_operator, terms.of_redeemer"#,
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
            "used" => self.use_up(row.here, points, row.owed()?),
            "given-back" => self.use_up(row.here, back(points)?, back(row.owed()?)?),
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
