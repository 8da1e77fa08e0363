//! How a merchant leaves in order: it gives no points from now on, those that it gave are good until
//! the end of a day, and then end. What it owes for them is settled with the period like always.
//!
//! Source: settlement.md, example H.

use chrono::NaiveDate;

use super::{Credit, CreditError, Standing, Step, Withheld, lock, save, step, store, whole_mall};
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{EndPoints, WindDown},
        grant::Grant,
    },
    db::{self, tx::Tx},
    kernel::{
        ids::{MemberId, MerchantId},
        time::{Zone, next_day},
    },
    ledger::{self, LedgerError, books::Wanted, ending},
    merchants::onboarding::{EventKind, news::became},
};

/// Lets a merchant leave: its points are good through `last_day` of the mall's zone.
///
/// # Errors
/// [`CreditError::UnknownMerchant`], [`CreditError::NoStep`]; [`CreditError::InThePast`] for a day
/// that has begun.
pub async fn wind_down(
    tx: &mut Tx,
    grant: &Grant<WindDown>,
    merchant: MerchantId,
    last_day: NaiveDate,
    zone: Zone,
) -> Result<Credit, CreditError> {
    whole_mall(grant.reach())?;
    let mut it = lock(tx, merchant).await?;
    let before = it.clone();
    it.standing = step(it.place(), Step::WindDown)?.standing;
    let first = next_day(zone.day(tx.now()));
    if last_day < first {
        return Err(CreditError::InThePast(first));
    }
    it.exit_at = Some(zone.start_of(next_day(last_day)));
    it.withheld = Some((Withheld::WindingDown, tx.now()));
    save(tx, &before, &it).await?;
    became(tx, merchant, EventKind::Leaving, None).await?;
    let done = Done::to(Act::MerchantWindsDown, merchant)
        .changed(Field::State, before.standing.as_str(), it.standing.as_str())
        .is(Field::LastDay, last_day.to_string());
    audit::record(tx, done).await?;
    Ok(it)
}

/// What ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ended {
    /// Merchants that have left.
    pub merchants: usize,
    /// Members who had points of them.
    pub members: usize,
    /// How many points.
    pub points: i64,
}

/// Ends the points of merchants whose time is over, of at most `limit` members, and where none are
/// left lets the merchants go. Also what came back to members since. Nothing is left where nothing is
/// told. Safe to run twice.
///
/// # Errors
/// [`db::Error::Retry`], [`db::Error::Unavailable`].
pub async fn end_due(
    tx: &mut Tx,
    grant: &Grant<EndPoints>,
    zone: Zone,
    limit: i64,
) -> Result<Ended, CreditError> {
    let now = tx.now();
    let over = store::over(tx, now).await?;
    let ids: Vec<MerchantId> = over.iter().map(|(merchant, _)| *merchant).collect();
    if ids.is_empty() {
        return Ok(Ended::default());
    }
    let held = ending::holders(tx, &ids, limit).await?;
    if held.is_empty() {
        let mut ended = Ended::default();
        let leaving = over
            .iter()
            .filter(|(_, standing)| *standing == Standing::WindingDown);
        for (merchant, _) in leaving {
            let mut it = lock(tx, *merchant).await?;
            let before = it.clone();
            let Ok(place) = step(it.place(), Step::Exit) else {
                continue;
            };
            it.standing = place.standing;
            it.withheld = Some((Withheld::Exited, now));
            save(tx, &before, &it).await?;
            became(tx, *merchant, EventKind::Left, None).await?;
            ended.merchants = ended.merchants.saturating_add(1);
        }
        return Ok(ended);
    }
    let mut members: Vec<MemberId> = held.iter().map(|(member, _)| *member).collect();
    members.dedup();
    let wanted = Wanted {
        spenders: members.clone(),
        members: members.clone(),
        due_by: now,
        ..Wanted::default()
    };
    let mut books = ledger::open_books(tx, zone, &wanted).await?;
    let mut points = 0_i64;
    for (member, issuer) in &held {
        let ended = books.end(*member, *issuer, now, grant.actor());
        let ended = ended.map_err(|error| match error {
            LedgerError::Amount(error) => CreditError::Amount(error),
            _ => CreditError::Db(db::Error::Corrupt("lot")),
        })?;
        points = points.saturating_add(ended);
    }
    books.post(tx).await?;
    Ok(Ended {
        merchants: 0,
        members: members.len(),
        points,
    })
}
