//! What is outstanding now: how old it is, and when it lapses.

use chrono::{Months, NaiveDate};

use super::{Amount, LiabilityError, issuers, rows::by_merchant, take_time};
use crate::{
    authz::{action::ReadLiability, grant::Grant},
    db::{self, tx::ReadTx},
    kernel::{
        ids::MerchantId,
        page::{Page, Slice},
        text::Code,
        time::{Instant, Month, Zone, next_day},
    },
};

/// Where an age ends and the next begins, in months since the points were earned; behind the last
/// there is one without an end.
pub const OLDEST: [u32; 4] = [3, 6, 12, 24];

/// How old one issuer's outstanding points are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ages {
    /// Whose points.
    pub merchant: MerchantId,
    /// What lists call the merchant.
    pub code: Code,
    /// What was earned less than 3 months ago, 3 to 6, 6 to 12, 12 to 24 ([`OLDEST`]), and before.
    /// Points become three months old when the day begins on which they are.
    pub ages: [Amount; 5],
    /// What of all this is promised to reservations.
    pub held: Amount,
}

/// When points lapse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// Their last day is over and not booked yet.
    Over,
    /// In this month: the first in which they cannot be spent on each of its days.
    In(Month),
    /// Never.
    Never,
    /// Not while they are promised to reservations.
    Held,
}

/// When one issuer's outstanding points lapse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// Whose points.
    pub merchant: MerchantId,
    /// What lists call the merchant.
    pub code: Code,
    /// What lapses when, in the order of time; nothing that comes to no points.
    pub lapsing: Vec<(Due, Amount)>,
}

/// The moments at which points that are just now 3, 6, 12 and 24 months old began to be so: whatever
/// was earned before is that old.
fn births(now: Instant, zone: Zone) -> [Instant; 4] {
    let today = zone.day(now);
    OLDEST.map(|months| {
        let day = today.checked_sub_months(Months::new(months));
        zone.start_of(next_day(day.unwrap_or(NaiveDate::MIN)))
    })
}

/// How old the outstanding points are now, a row for each merchant within reach. A merchant's right
/// covers its own.
///
/// # Errors
/// [`LiabilityError::Cursor`], [`LiabilityError::Db`].
pub async fn ages(
    tx: &mut ReadTx,
    grant: &Grant<ReadLiability>,
    zone: Zone,
    slice: &Slice,
) -> Result<Page<Ages>, LiabilityError> {
    let issuers = issuers(tx, grant, slice).await?;
    take_time(tx).await?;
    let [quarter, half, year, two] = births(tx.now(), zone);
    // The reservations by redemption_due_idx, transfer_pkey and lot_pkey, the lots from end to end:
    // what is asked for is in all of them.
    let rows = sqlx::query!(
        r#"
        with outstanding as (
            select lot.merchant_id, lot.earned_at, lot.remaining as points,
                   lot.worth_left as worth, false as held
            from lot
            where lot.remaining > 0 and lot.merchant_id = any ($1)
            union all
            select lot.merchant_id, lot.earned_at, transfer.amount, transfer.value, true
            from redemption
            join transfer on transfer.journal_id = redemption.journal_id
            join lot on lot.lot_id = transfer.lot_id
            where redemption.state = 'reserved' and lot.merchant_id = any ($1)
        ),
        aged as (
            select merchant_id, held, points, worth,
                   case when earned_at >= $2 then 0
                        when earned_at >= $3 then 1
                        when earned_at >= $4 then 2
                        when earned_at >= $5 then 3
                        else 4 end as age
            from outstanding
        )
        select merchant_id as "merchant!: MerchantId", age as "age!", held as "held!",
               sum(points)::bigint as "points!", sum(worth)::bigint as "worth!"
        from aged
        group by merchant_id, age, held"#,
        &issuers.ids,
        quarter,
        half,
        year,
        two,
    )
    .fetch_all(tx.conn())
    .await
    .map_err(db::Error::from)?;
    let mut sums = by_merchant(rows, |row| row.merchant);
    let mut all = Vec::with_capacity(issuers.ids.len());
    for (merchant, code) in issuers.page.items {
        let mut it = Ages {
            merchant,
            code,
            ages: [Amount::default(); 5],
            held: Amount::default(),
        };
        for row in sums.remove(&merchant).unwrap_or_default() {
            let (points, worth) = (row.points, row.worth);
            let amount = Amount { points, worth };
            let age = usize::try_from(row.age).ok();
            if let Some(age) = age.and_then(|age| it.ages.get_mut(age)) {
                age.add(amount)?;
            }
            if row.held {
                it.held.add(amount)?;
            }
        }
        all.push(it);
    }
    Ok(Page {
        items: all,
        next: issuers.page.next,
    })
}

/// When the outstanding points lapse, a row for each merchant within reach; months are the mall's
/// own. A merchant's right covers its own.
///
/// # Errors
/// [`LiabilityError::Cursor`], [`LiabilityError::Db`].
pub async fn forecast(
    tx: &mut ReadTx,
    grant: &Grant<ReadLiability>,
    zone: Zone,
    slice: &Slice,
) -> Result<Page<Forecast>, LiabilityError> {
    let issuers = issuers(tx, grant, slice).await?;
    take_time(tx).await?;
    let now = tx.now();
    // As for the ages.
    let rows = sqlx::query!(
        r#"
        with outstanding as (
            select lot.merchant_id,
                   case when lot.expires_at is null then 'never'
                        when lot.expires_at <= $2 then 'over' else 'in' end as due,
                   case when lot.expires_at > $2
                        then date_trunc('month', lot.expires_at at time zone $3)::date end as month,
                   lot.remaining as points, lot.worth_left as worth
            from lot
            where lot.remaining > 0 and lot.merchant_id = any ($1)
            union all
            select lot.merchant_id, 'held', null, transfer.amount, transfer.value
            from redemption
            join transfer on transfer.journal_id = redemption.journal_id
            join lot on lot.lot_id = transfer.lot_id
            where redemption.state = 'reserved' and lot.merchant_id = any ($1)
        )
        select merchant_id as "merchant!: MerchantId", due as "due!", month,
               sum(points)::bigint as "points!", sum(worth)::bigint as "worth!"
        from outstanding
        group by merchant_id, due, month"#,
        &issuers.ids,
        now,
        zone.to_string(),
    )
    .fetch_all(tx.conn())
    .await
    .map_err(db::Error::from)?;
    let mut sums = by_merchant(rows, |row| row.merchant);
    let mut all = Vec::with_capacity(issuers.ids.len());
    for (merchant, code) in issuers.page.items {
        let mut lapsing = Vec::new();
        for row in sums.remove(&merchant).unwrap_or_default() {
            let due = match (row.due.as_str(), row.month) {
                ("over", _) => Due::Over,
                ("in", Some(day)) => Due::In(Month::of(day)),
                ("never", _) => Due::Never,
                ("held", _) => Due::Held,
                _ => return Err(db::Error::Corrupt("lapse").into()),
            };
            let (points, worth) = (row.points, row.worth);
            lapsing.push((due, Amount { points, worth }));
        }
        lapsing.sort_unstable_by_key(|(due, _)| *due);
        all.push(Forecast {
            merchant,
            code,
            lapsing,
        });
    }
    Ok(Page {
        items: all,
        next: issuers.page.next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_grow_older_when_a_day_begins_in_the_malls_zone() {
        let zone: Zone = "Asia/Shanghai".parse().unwrap();
        let [quarter, half, year, two] = births("2026-05-31T15:59:59Z".parse().unwrap(), zone);
        // It is 31 May there; three months ago there was no such day, so the last of February.
        assert_eq!(quarter.to_rfc3339(), "2026-02-28T16:00:00+00:00");
        assert_eq!(half.to_rfc3339(), "2025-11-30T16:00:00+00:00");
        assert_eq!(year.to_rfc3339(), "2025-05-31T16:00:00+00:00");
        assert_eq!(two.to_rfc3339(), "2024-05-31T16:00:00+00:00");
        let next_day = births("2026-05-31T16:00:00Z".parse().unwrap(), zone);
        assert_eq!(next_day[0].to_rfc3339(), "2026-03-01T16:00:00+00:00");
    }
}
