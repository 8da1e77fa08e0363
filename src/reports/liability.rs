//! What is outstanding in points, by issuer: how a period changed it, how old it is, when it lapses,
//! and what an issuer's accounts need to know of it.
//!
//! Points are outstanding while a member can spend them, while they are promised to a reservation,
//! and when their last day has passed but is not booked yet. Worth is what points settle at, in minor
//! units. Every figure is a sum over the ledger's transfers or over the lots, never one that was kept
//! along the way; [`roll_forward`] counts by both and refuses to answer where they differ.

mod journal;
mod open;
mod rows;

pub use journal::{IssuerPeriods, PeriodMoves, periods};
pub use open::{Ages, Due, Forecast, OLDEST, ages, forecast};

use thiserror::Error;
use uuid::Uuid;

use crate::{
    authz::{action::ReadLiability, actor::Reach, grant::Grant},
    db::{self, tx::ReadTx},
    kernel::{
        AmountError,
        ids::MerchantId,
        page::{CursorError, Page, Slice},
        text::Code,
        time::{OtherUnit, Period},
    },
    ledger,
};
use rows::Sum;

/// The most merchants on a page: all of a mall's, for whoever does not page.
pub const WHOLE: i64 = 1_000_000;

/// Points and what they settle at, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// How many.
    pub points: i64,
    /// Their worth.
    pub worth: i64,
}

/// Something that the issuer took itself, and that others took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Split {
    /// In its own stores.
    pub here: Amount,
    /// At other merchants.
    pub elsewhere: Amount,
}

/// What of an issuer's points was not used, of those whose life is over: an estimate of what will not
/// be, and never a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breakage {
    /// Points that lapsed.
    pub expired: i64,
    /// Points of all grants whose last day is over and that have none left, without those that were
    /// taken back unused.
    pub over: i64,
}

/// What a period did to one issuer's outstanding points:
/// `opening + issued + given_back - redeemed - repaid - expired - taken_back` is `closing`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollForward {
    /// Whose points.
    pub merchant: MerchantId,
    /// What lists call the merchant.
    pub code: Code,
    /// What was outstanding when the period began.
    pub opening: Amount,
    /// Given to members.
    pub issued: Amount,
    /// Taken by merchants and given back to members, because a purchase was refunded.
    pub given_back: Split,
    /// Taken by merchants, at a till or for a good.
    pub redeemed: Split,
    /// Taken to fill what members owed to merchants. A statement counts them as redeemed there.
    pub repaid: Split,
    /// Lapsed.
    pub expired: Amount,
    /// Taken back unused, because a purchase was refunded.
    pub taken_back: Amount,
    /// What was outstanding when the period ended.
    pub closing: Amount,
    /// Points taken back after they had been used, which members owe: they change nothing that is
    /// outstanding. A statement counts them as taken back.
    pub became_owed: Amount,
    /// Redeemed and repaid less given back, from the first day to the period's end: how much of what
    /// is used is used at others.
    pub used_to_date: Split,
    /// What was not used, as the grants are now.
    pub breakage: Breakage,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum LiabilityError {
    /// Somebody who reaches no merchant.
    #[error("there is no such merchant")]
    NotFound,
    /// Transfers and lots that tell different stories: nobody should book from either.
    #[error(
        "the points of {} do not add up: transfers leave {} worth {} outstanding, lots and \
         reservations hold {} worth {}",
        .code.as_str(), .moved.points, .moved.worth, .held.points, .held.worth
    )]
    Broken {
        /// Whose points.
        code: Code,
        /// What all transfers come to.
        moved: Amount,
        /// What lots have left and reservations hold.
        held: Amount,
    },
    /// A period that is none of this mall's.
    #[error(transparent)]
    OtherUnit(#[from] OtherUnit),
    /// A sum that the books cannot hold.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// The merchants that a report has a row for.
struct Issuers {
    /// What lists call them.
    page: Page<(MerchantId, Code)>,
    /// Their ids.
    ids: Vec<Uuid>,
}

/// A period of the mall's unit.
async fn own(tx: &mut ReadTx, period: Period) -> Result<Period, LiabilityError> {
    Ok(period.of_unit(ledger::periods::unit(tx).await?)?)
}

/// A page of the merchants within reach, in the order in which they joined.
async fn issuers(
    tx: &mut ReadTx,
    grant: &Grant<ReadLiability>,
    slice: &Slice,
) -> Result<Issuers, LiabilityError> {
    let only = match grant.reach() {
        Reach::Mall => None,
        Reach::Merchant(own) => Some(own.uuid()),
        Reach::Member(_) => return Err(LiabilityError::NotFound),
    };
    let after = match &slice.after {
        Some(key) => key.parse::<MerchantId>().map_err(|_| CursorError)?.uuid(),
        None => Uuid::nil(),
    };
    let limit = slice.limit.clamp(1, WHOLE);
    // By merchant_pkey.
    let rows = sqlx::query!(
        r#"
        select merchant_id as "merchant: MerchantId", code
        from merchant
        where merchant_id > $2 and ($1::uuid is null or merchant_id = $1)
        order by merchant_id
        limit $3"#,
        only,
        after,
        limit.saturating_add(1),
    )
    .fetch_all(tx.conn())
    .await
    .map_err(db::Error::from)?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let code = row.code.parse();
        let code = code.map_err(|_| db::Error::Corrupt("merchant code"))?;
        found.push((row.merchant, code));
    }
    let page = Page::from_rows(found, limit, |(merchant, _)| merchant.to_string());
    let ids = page.items.iter().map(|(merchant, _)| merchant.uuid());
    let ids = ids.collect();
    Ok(Issuers { page, ids })
}

/// Lets a statement over whole tables have its time, and the room to look accounts up in memory.
async fn take_time(tx: &mut ReadTx) -> Result<(), db::Error> {
    sqlx::raw_sql(
        "set local statement_timeout = '5min'; set local work_mem = '64MB'; set local jit = off",
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A period's roll-forward, a row for each merchant within reach; at most [`WHOLE`] on a page. A
/// merchant's right covers its own.
///
/// # Errors
/// [`LiabilityError`]; [`LiabilityError::Broken`] where lots and transfers differ.
pub async fn roll_forward(
    tx: &mut ReadTx,
    grant: &Grant<ReadLiability>,
    period: Period,
    slice: &Slice,
) -> Result<Page<RollForward>, LiabilityError> {
    let period = own(tx, period).await?;
    let issuers = issuers(tx, grant, slice).await?;
    take_time(tx).await?;
    let sums = sums(tx, period, &issuers.ids).await?;
    let mut sums = rows::by_merchant(sums, |sum| sum.merchant);
    let mut all = Vec::with_capacity(issuers.ids.len());
    for (merchant, code) in issuers.page.items {
        let sums = sums.remove(&merchant).unwrap_or_default();
        all.push(rows::roll_forward(merchant, code, &sums)?);
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
async fn sums(tx: &mut ReadTx, period: Period, ids: &[Uuid]) -> Result<Vec<Sum>, db::Error> {
    let now = tx.now();
    // Transfers from end to end by the
    // account that they leave, again by the one that they reach, and again for the few that fill a
    // debt, which alone are asked for their lot, by lot_pkey; the lots once; reservations by
    // redemption_due_idx, transfer_pkey and lot_pkey. There is no index for everything: 0.6 s a
    // million transfers on two cores.
    let sums = sqlx::query_as!(
        Sum,
        r#"
        with repaid as materialized (
            select account.partner_id as taker, transfer.amount, transfer.value,
                   transfer.posted_in,
                   (select merchant_id from lot where lot.lot_id = transfer.lot_id) as issuer
            from transfer
            join account on account.account_id = transfer.to_account
                        and account.kind = 'deficit'
        ),
        moved as (
            select page.merchant_id, account.owner_id = page.merchant_id as here,
                   case account.kind when 'issued' then 'issued' when 'accepted' then 'given-back'
                                     else 'became-owed' end as kind,
                   sum(amount) filter (where posted_in < $1) as points_before,
                   sum(value) filter (where posted_in < $1) as worth_before,
                   sum(amount) filter (where posted_in = $1) as points,
                   sum(value) filter (where posted_in = $1) as worth,
                   sum(amount) filter (where posted_in > $1) as points_after,
                   sum(value) filter (where posted_in > $1) as worth_after
            from transfer
            join account on account.account_id = transfer.from_account
                        and account.kind in ('issued', 'accepted', 'deficit')
            join unnest($2::uuid[]) as page (merchant_id)
              on page.merchant_id = coalesce(account.partner_id, account.owner_id)
            group by page.merchant_id, account.kind, account.owner_id = page.merchant_id
            union all
            select page.merchant_id, account.owner_id = page.merchant_id,
                   case account.kind when 'issued' then 'returned' when 'accepted' then 'redeemed'
                                     else 'expired' end,
                   sum(amount) filter (where posted_in < $1),
                   sum(value) filter (where posted_in < $1),
                   sum(amount) filter (where posted_in = $1),
                   sum(value) filter (where posted_in = $1),
                   sum(amount) filter (where posted_in > $1),
                   sum(value) filter (where posted_in > $1)
            from transfer
            join account on account.account_id = transfer.to_account
                        and account.kind in ('issued', 'accepted', 'expired')
            join unnest($2::uuid[]) as page (merchant_id)
              on page.merchant_id = coalesce(account.partner_id, account.owner_id)
            group by page.merchant_id, account.kind, account.owner_id = page.merchant_id
            union all
            select repaid.issuer, repaid.taker = repaid.issuer, 'repaid',
                   sum(amount) filter (where posted_in < $1),
                   sum(value) filter (where posted_in < $1),
                   sum(amount) filter (where posted_in = $1),
                   sum(value) filter (where posted_in = $1),
                   sum(amount) filter (where posted_in > $1),
                   sum(value) filter (where posted_in > $1)
            from repaid
            where repaid.issuer = any ($2)
            group by repaid.issuer, repaid.taker = repaid.issuer
            union all
            select grants.merchant_id, false, part.kind, null, null, part.points, part.worth, null,
                   null
            from (
                select merchant_id, sum(remaining) as remaining, sum(worth_left) as worth_left,
                       sum(expired) filter (where ended) as expired,
                       sum(points - clawed) filter (where ended) as ended
                from (
                    select merchant_id, remaining, worth_left, expired, points, clawed,
                           remaining = 0 and expires_at <= $3 as ended
                    from lot
                    where merchant_id = any ($2)
                ) as each
                group by merchant_id
            ) as grants
            cross join lateral (values ('left', grants.remaining, grants.worth_left),
                                       ('ended', grants.ended, 0),
                                       ('ended-expired', grants.expired, 0))
                as part (kind, points, worth)
            union all
            select lot.merchant_id, false, 'held', null, null, transfer.amount, transfer.value, null,
                   null
            from redemption
            join transfer on transfer.journal_id = redemption.journal_id
            join lot on lot.lot_id = transfer.lot_id
            where redemption.state = 'reserved' and lot.merchant_id = any ($2)
        )
        select merchant_id as "merchant!: MerchantId", kind as "kind!",
               coalesce(here, false) as "here!", coalesce(points_before, 0)::bigint as "points_before!",
               coalesce(worth_before, 0)::bigint as "worth_before!",
               coalesce(points, 0)::bigint as "points!", coalesce(worth, 0)::bigint as "worth!",
               coalesce(points_after, 0)::bigint as "points_after!",
               coalesce(worth_after, 0)::bigint as "worth_after!"
        from moved"#,
        period.first_day(),
        ids,
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(sums)
}
