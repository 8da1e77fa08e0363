//! How many points merchants give by the programme's rules, where a rule leaves that to them.
//!
//! The operator's rule says how few and how many ([`Range`]); each merchant chooses for its own
//! receipts, at once and for what happens from then on. A receipt that comes late earns by what was
//! offered when it was written. What a range that was narrowed since does not hold any more counts as
//! the nearest number that it holds.

mod store;

use super::{MerchantError, within};
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{ReadEarnRates, SetEarnRate},
        grant::Grant,
    },
    db::tx::{ReadTx, Tx},
    kernel::{ids::MerchantId, time::Instant},
};

/// How few and how many points a merchant may give by a rule, for as much as the rule asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The least points, not below zero.
    pub least: i64,
    /// The most points, not below the least.
    pub most: i64,
}

impl Range {
    /// The nearest number of points that it holds.
    pub fn nearest(self, points: i64) -> i64 {
        points.max(self.least).min(self.most)
    }
}

/// What a merchant chose for a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRate {
    /// The rule.
    pub rule: String,
    /// How many points instead of the rule's; none: as the rule says.
    pub points: Option<i64>,
    /// From when on.
    pub since: Instant,
}

/// Chooses how many points a merchant gives by a rule from now on; none: as many as the rule says. The
/// same again changes nothing. What it chose last comes back, none where it never did.
///
/// # Errors
/// [`MerchantError::UnknownMerchant`], [`MerchantError::OutOfRange`].
pub async fn set(
    tx: &mut Tx,
    grant: &Grant<SetEarnRate>,
    merchant: MerchantId,
    rule: &str,
    points: Option<i64>,
    range: Range,
) -> Result<Option<OwnRate>, MerchantError> {
    within(tx, grant.reach(), merchant).await?;
    if let Some(points) = points
        && range.nearest(points) != points
    {
        return Err(MerchantError::OutOfRange(range));
    }
    let held = store::newest(tx, merchant).await?.into_iter();
    let held = held
        .filter(|own| own.rule == rule)
        .find_map(|own| own.points);
    let done = Done::to(Act::EarnRateSet, merchant)
        .is(Field::Rule, rule)
        .changed(Field::Points, held, points);
    audit::record(tx, done).await?;
    store::append(tx, merchant, rule, points).await?;
    let mut chosen = store::newest(tx, merchant).await?.into_iter();
    Ok(chosen.find(|own| own.rule == rule))
}

/// What a merchant chose last for each rule for which it ever chose, in the order of the rules' names.
///
/// # Errors
/// [`MerchantError::UnknownMerchant`].
pub async fn list(
    tx: &mut ReadTx,
    grant: &Grant<ReadEarnRates>,
    merchant: MerchantId,
) -> Result<Vec<OwnRate>, MerchantError> {
    within(tx, grant.reach(), merchant).await?;
    Ok(store::newest(tx, merchant).await?)
}

/// What of these choices, the oldest first, holds for a rule at a moment.
pub(super) fn held(rates: &[OwnRate], rule: &str, at: Instant) -> Option<i64> {
    let mut newest = rates.iter().rev();
    let held = newest.find(|rate| rate.rule == rule && rate.since <= at);
    held.and_then(|rate| rate.points)
}
