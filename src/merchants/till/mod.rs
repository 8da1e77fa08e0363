//! What a till needs to know of many stores at once. These functions see the whole mall: whoever
//! acts for one merchant or some stores is checked with [`Grant::covers`](crate::authz::grant::Grant::covers)
//! against [`TillStore::merchant`] and [`TillStore::store`].

mod store;

use std::collections::HashMap;

use super::{
    MerchantError,
    agreements::Prices,
    credit::Withheld,
    rates::{self, OwnRate},
    store as listed,
};
use crate::{
    db::{error::Error, tx::ReadTx},
    kernel::{
        ids::{MerchantId, StoreId},
        text::Code,
        time::Instant,
    },
};

/// A store as the till sees it: whose it is, and what it may do now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent answers of one row"
)]
pub struct TillStore {
    /// The store.
    pub store: StoreId,
    /// Its code.
    pub code: Code,
    /// Whose it is.
    pub merchant: MerchantId,
    /// The merchant's code.
    pub merchant_code: Code,
    /// Whether it gives points now: both are active, and both have the role.
    pub earns: bool,
    /// Whether it takes points now: both are active, and both have the role.
    pub spends: bool,
    /// Whether its merchant is not suspended.
    pub merchant_active: bool,
    /// Whether it is not suspended itself.
    pub store_active: bool,
    /// At what its merchant's points settle.
    pub prices: Prices,
    /// Why its merchant gives no points, and since when; none: it does.
    pub withheld: Option<(Withheld, Instant)>,
    /// Since when which terms hold, and whether they are the pool's; empty where its merchant never
    /// paid for points in advance.
    pub pool: Vec<(Instant, bool)>,
    /// How many points its merchant chose to give by which rule, the oldest choice first.
    pub rates: Vec<OwnRate>,
}

impl TillStore {
    /// Whether neither it nor its merchant is suspended; a suspended one only takes refunds.
    pub const fn active(&self) -> bool {
        self.merchant_active && self.store_active
    }

    /// Why a purchase of that moment earns nothing that would earn.
    pub fn withheld_at(&self, at: Instant) -> Option<Withheld> {
        let held = self.withheld.filter(|(why, since)| why.holds(*since, at));
        held.map(|(why, _)| why)
    }

    /// How many points its merchant gives by a rule at that moment, where it chose.
    pub fn own_rate(&self, rule: &str, at: Instant) -> Option<i64> {
        rates::held(&self.rates, rule, at)
    }

    /// The first moment of the terms that hold at that moment, where points given then come out of
    /// blocks that were paid for.
    pub fn prepaid_at(&self, at: Instant) -> Option<Instant> {
        let held = self.pool.iter().rev().find(|(since, _)| *since <= at);
        held.filter(|(_, pool)| *pool).map(|(since, _)| *since)
    }
}

/// Stores by their ids.
pub type Stores = HashMap<StoreId, TillStore>;

/// All stores of the mall. One query.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn all_till_stores(tx: &mut ReadTx) -> Result<Stores, Error> {
    let found = store::tills(tx, None, None).await?;
    Ok(found.into_iter().map(|till| (till.store, till)).collect())
}

/// The stores among `ids`, unknown ones left out. One query.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn till_stores(tx: &mut ReadTx, ids: &[StoreId]) -> Result<Stores, Error> {
    let found = store::tills(tx, Some(ids), None).await?;
    Ok(found.into_iter().map(|till| (till.store, till)).collect())
}

/// That these are stores of that merchant; none where something is narrowed to no store.
///
/// # Errors
/// [`MerchantError::UnknownStore`], [`MerchantError::Db`].
pub async fn has_stores(
    tx: &mut ReadTx,
    merchant: Option<MerchantId>,
    named: Option<&[StoreId]>,
) -> Result<(), MerchantError> {
    let Some(named) = named else { return Ok(()) };
    let found = till_stores(tx, named).await?;
    let theirs = |id: &StoreId| {
        let found = found.get(id);
        found.is_some_and(|till| Some(till.merchant) == merchant)
    };
    if named.iter().all(theirs) {
        Ok(())
    } else {
        Err(MerchantError::UnknownStore)
    }
}

/// The stores among `codes`, unknown ones left out. One query.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn stores_by_code(
    tx: &mut ReadTx,
    codes: &[Code],
) -> Result<HashMap<Code, TillStore>, Error> {
    let found = store::tills(tx, None, Some(codes)).await?;
    Ok(found
        .into_iter()
        .map(|till| (till.code.clone(), till))
        .collect())
}

/// The merchants among `codes`, unknown ones left out: who offers a good, whose statement.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn by_codes(tx: &mut ReadTx, codes: &[Code]) -> Result<HashMap<Code, MerchantId>, Error> {
    listed::merchants_by_codes(tx, codes).await
}

/// The codes of the merchants among `ids`, unknown ones left out.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn codes(
    tx: &mut ReadTx,
    ids: &[MerchantId],
) -> Result<HashMap<MerchantId, Code>, Error> {
    listed::codes_of_merchants(tx, ids).await
}
