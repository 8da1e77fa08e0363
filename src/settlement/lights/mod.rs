//! A merchant's light: whether what it owes and could come to owe is covered.
//!
//! What it could come to owe is what all of its points are worth that members have left; what it owes
//! is every payment that is due, what statements say that are not confirmed, and what others took of
//! its points since. What it is owed itself does not count, nor do points that were paid for when they
//! were given. Against both stands its deposit and the limit that the operator set. Only merchants
//! that have the one or the other are looked at: once a day, and whenever the one or the other changes.
//! A light takes no points from anybody: at worst a merchant gives none for a while.
//!
//! Points that are promised to a reservation count from the moment on at which the good is fetched.

mod store;

use std::collections::BTreeMap;

use super::Agreed;
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{EvaluateCredit, RecordCredit, SetCreditLimit},
        grant::Grant,
    },
    db::tx::{ReadTx, Tx},
    kernel::{
        AmountError,
        ids::MerchantId,
        money::{Currency, decimal},
        points::LARGEST,
    },
    ledger::{self, Era, ending},
    merchants::{
        agreements::{self, Model},
        credit::{
            self, Credit, CreditError, Entry, Light, Moved, NewEntry, OnRed, Rules, Standing,
            Withheld,
        },
    },
};

/// What a merchant owes, and what it could come to owe. Minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exposure {
    /// What its points are worth that members have left.
    pub open_worth: i64,
    /// What it owes.
    pub owed: i64,
}

impl Exposure {
    /// Both.
    ///
    /// # Errors
    /// [`AmountError::Overflow`].
    pub fn all(self) -> Result<i64, AmountError> {
        let sum = self.open_worth.checked_add(self.owed);
        sum.ok_or(AmountError::Overflow)
    }
}

/// The light of so much against so much cover.
pub fn light(exposure: i64, cover: i64, amber_percent: i64) -> Light {
    let used = i128::from(exposure).saturating_mul(100);
    let edge = i128::from(cover).saturating_mul(i128::from(amber_percent));
    if exposure > cover {
        Light::Red
    } else if exposure > 0 && used >= edge {
        Light::Amber
    } else {
        Light::Green
    }
}

/// Records a movement, and looks at the merchant's light again. Of a merchant that is leaving nothing
/// goes back that covers something still.
///
/// # Errors
/// As [`credit::record`]; [`CreditError::Needed`].
pub async fn record(
    tx: &mut Tx,
    grant: &Grant<RecordCredit>,
    new: NewEntry,
    rules: &Rules,
    currency: Currency,
) -> Result<Entry, CreditError> {
    let (merchant, moved) = (new.merchant, new.moved);
    let before = credit::lock_within(tx, grant, merchant).await?;
    let entry = credit::record(tx, grant, new, currency).await?;
    let exposure = exposure_of(tx, merchant).await?;
    let it = credit::lock(tx, merchant).await?;
    let leaving = it.standing != Standing::Active;
    let (needed, less) = (exposure.all()?, it.deposit < before.deposit);
    if leaving && less && matches!(moved, Moved::Returned(_)) && it.deposit < needed {
        return Err(CreditError::Needed { needed });
    }
    shine(tx, it, exposure, rules, currency).await?;
    Ok(entry)
}

/// Says how much a merchant may owe beyond its deposit; none: nobody looks.
///
/// # Errors
/// [`CreditError::UnknownMerchant`], [`CreditError::NotPositive`].
pub async fn set_limit(
    tx: &mut Tx,
    grant: &Grant<SetCreditLimit>,
    merchant: MerchantId,
    limit: Option<i64>,
    rules: &Rules,
    currency: Currency,
) -> Result<Credit, CreditError> {
    let mut it = credit::lock_within(tx, grant, merchant).await?;
    if limit.is_some_and(|limit| !(0..=LARGEST).contains(&limit)) {
        return Err(CreditError::NotPositive);
    }
    let before = it.clone();
    it.limit = limit;
    credit::save(tx, &before, &it).await?;
    let done = Done::to(Act::CreditLimitSet, merchant);
    audit::record(tx, done.changed(Field::Limit, before.limit, limit)).await?;
    let exposure = exposure_of(tx, merchant).await?;
    shine(tx, it, exposure, rules, currency).await
}

/// Looks at every merchant's light; how many have changed. Safe to run twice.
///
/// # Errors
/// [`CreditError::Db`].
pub async fn look(
    tx: &mut Tx,
    _grant: &Grant<EvaluateCredit>,
    rules: &Rules,
    currency: Currency,
) -> Result<usize, CreditError> {
    let watched = credit::watched(tx).await?;
    if watched.is_empty() {
        return Ok(0);
    }
    let all = exposures(tx, None).await?;
    let mut changed = 0_usize;
    for merchant in watched {
        let it = credit::lock(tx, merchant).await?;
        let (before, exposure) = (it.light, all.get(&merchant).copied().unwrap_or_default());
        let after = shine(tx, it, exposure, rules, currency).await?;
        changed = changed.saturating_add(usize::from(after.light != before));
    }
    Ok(changed)
}

/// Writes how a merchant's light stands, whose row is locked.
async fn shine(
    tx: &mut Tx,
    before: Credit,
    exposure: Exposure,
    rules: &Rules,
    currency: Currency,
) -> Result<Credit, CreditError> {
    let mut it = before.clone();
    let cover = it.deposit.saturating_add(it.limit.unwrap_or(0));
    let light = if it.deposit == 0 && it.limit.is_none() {
        Light::Green
    } else {
        light(exposure.all()?, cover, rules.amber_percent)
    };
    let money = |minor| decimal(minor, currency.places());
    if light != it.light {
        it.light = light;
        it.light_since = tx.now();
    }
    it.light_why = match light {
        Light::Green => String::new(),
        Light::Amber | Light::Red => format!(
            "it owes {}, its open points are worth {}, and {} {} cover both",
            money(exposure.owed),
            money(exposure.open_worth),
            money(cover),
            currency.code(),
        ),
    };
    it.open_worth = exposure.open_worth;
    it.owed = exposure.owed;
    it.evaluated_at = Some(tx.now());
    let stops = light == Light::Red && rules.on_red == OnRed::StopEarning;
    it.withheld = match it.withheld {
        None if stops => Some((Withheld::Limit, tx.now())),
        Some((Withheld::Limit, _)) if !stops => None,
        other => other,
    };
    credit::save(tx, &before, &it).await?;
    Ok(it)
}

async fn exposure_of(tx: &mut ReadTx, merchant: MerchantId) -> Result<Exposure, CreditError> {
    let all = exposures(tx, Some(merchant)).await?;
    Ok(all.get(&merchant).copied().unwrap_or_default())
}

/// What merchants owe and could come to owe; of one where one is named.
async fn exposures(
    tx: &mut ReadTx,
    only: Option<MerchantId>,
) -> Result<BTreeMap<MerchantId, Exposure>, CreditError> {
    let now = tx.now();
    let versions = agreements::accepted_before(tx, now).await?;
    let agreed = Agreed::new(versions, now);
    let paid: Vec<Era> = agreed.eras_of(Model::Pool);
    let mut all: BTreeMap<MerchantId, Exposure> = BTreeMap::new();
    for (merchant, worth) in ending::open_worth(tx, only, &paid).await? {
        all.entry(merchant).or_default().open_worth = worth;
    }
    let unsettled = store::unsettled_from(tx).await?;
    let since = match unsettled {
        Some(period) => period,
        None => ledger::first_open(tx).await?,
    };
    let taken = ending::taken_since(tx, since, only, &paid).await?;
    for (merchant, owed) in taken.into_iter().chain(store::owed(tx, only).await?) {
        let one = all.entry(merchant).or_default();
        let sum = one.owed.checked_add(owed.max(0));
        one.owed = sum.ok_or(AmountError::Overflow)?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_is_amber_from_its_edge_on_and_red_beyond_all_that_covers() {
        for (exposure, cover, expected) in [
            (0, 0, Light::Green),
            (0, 100, Light::Green),
            (79, 100, Light::Green),
            (80, 100, Light::Amber),
            (100, 100, Light::Amber),
            (101, 100, Light::Red),
            (1, 0, Light::Red),
            (i64::MAX, i64::MAX, Light::Amber),
        ] {
            assert_eq!(
                light(exposure, cover, 80),
                expected,
                "{exposure} of {cover}"
            );
        }
    }
}
