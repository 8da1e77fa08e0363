//! Many merchants at once: what a manifest lists, and what an import meets. Each step is one
//! statement for all of them, and doing it again changes nothing.

use std::collections::{HashMap, HashSet};

use super::{Alliance, MerchantError, TillStore, store, stores_by_code};
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{ApplyManifest, CreateMerchant},
        grant::Grant,
    },
    db::tx::Tx,
    kernel::{
        ids::{MerchantId, StoreId},
        text::{Code, Name, Names},
    },
};

/// A merchant as a manifest lists it.
#[derive(Debug, Clone)]
pub struct Listing {
    /// By which it is found again.
    pub code: Code,
    /// Its names.
    pub names: Names,
    /// What it trades in.
    pub trade: Name,
    /// What it does in the alliance.
    pub alliance: Alliance,
    /// Its stores.
    pub stores: Vec<StoreListing>,
}

/// A store as a manifest lists it.
#[derive(Debug, Clone)]
pub struct StoreListing {
    /// By which it is found again, in the whole mall.
    pub code: Code,
    /// Its names.
    pub names: Names,
    /// Less than its merchant does; none for the same.
    pub alliance: Option<Alliance>,
}

/// What an [`upsert`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Upserted {
    /// Merchants that were not there.
    pub merchants_created: usize,
    /// Merchants whose names, trade or role were others.
    pub merchants_changed: usize,
    /// Stores that were not there.
    pub stores_created: usize,
    /// Stores whose names or limit were others.
    pub stores_changed: usize,
}

/// A store and the merchant whose it is to be, as one row of a statement.
pub(super) struct Belonging<'a> {
    pub(super) id: StoreId,
    pub(super) merchant: &'a Code,
    pub(super) code: &'a Code,
    pub(super) names: &'a Names,
    pub(super) alliance: Alliance,
}

/// Brings merchants and stores to what `listings` says, by their codes: creates what is missing,
/// changes names, trade and role. Who was suspended stays suspended, and who is not listed stays.
///
/// # Errors
/// [`MerchantError::ListedTwice`], [`MerchantError::WiderThanMerchant`],
/// [`MerchantError::StoreOfAnother`].
pub async fn upsert(
    tx: &mut Tx,
    _grant: &Grant<ApplyManifest>,
    listings: &[Listing],
) -> Result<Upserted, MerchantError> {
    check(listings)?;
    // In the order of codes, so that two who apply at once wait for each other and not in a ring.
    let mut sorted: Vec<&Listing> = listings.iter().collect();
    sorted.sort_by(|one, two| one.code.cmp(&two.code));
    let merchants: Vec<(MerchantId, &Listing)> = sorted
        .iter()
        .map(|listing| (tx.new_id(), *listing))
        .collect();
    let mut stores: Vec<Belonging<'_>> = sorted
        .iter()
        .flat_map(|listing| listing.stores.iter().map(|place| (&listing.code, place)))
        .map(|(merchant, place)| Belonging {
            id: tx.new_id(),
            merchant,
            code: &place.code,
            names: &place.names,
            alliance: place.alliance.unwrap_or(Alliance::Both),
        })
        .collect();
    stores.sort_by_key(|place| place.code);

    let touched = store::upsert_merchants(tx, &merchants).await?;
    let fresh: HashSet<MerchantId> = merchants.iter().map(|(id, _)| *id).collect();
    let merchants_created = touched.iter().filter(|id| fresh.contains(id)).count();
    if let Some(code) = store::first_of_another(tx, &stores).await? {
        return Err(MerchantError::StoreOfAnother(code));
    }
    let placed = store::upsert_stores(tx, &stores).await?;
    let fresh: HashSet<StoreId> = stores.iter().map(|place| place.id).collect();
    let stores_created = placed.iter().filter(|id| fresh.contains(id)).count();
    let done = Upserted {
        merchants_created,
        merchants_changed: touched.len().saturating_sub(merchants_created),
        stores_created,
        stores_changed: placed.len().saturating_sub(stores_created),
    };
    if !touched.is_empty() || !placed.is_empty() {
        let entry = Done::new(Act::MerchantsListed)
            .is(
                Field::Made,
                merchants_created.saturating_add(stores_created),
            )
            .is(
                Field::Changed,
                done.merchants_changed.saturating_add(done.stores_changed),
            );
        audit::record(tx, entry).await?;
    }
    Ok(done)
}

/// The stores of these codes; for each that does not exist yet, a merchant and a store of that
/// code, both in the alliance without limit. Their names are the code, their trade "unknown".
///
/// # Errors
/// [`MerchantError::Db`].
pub async fn create_by_code(
    tx: &mut Tx,
    _grant: &Grant<CreateMerchant>,
    codes: &[Code],
) -> Result<HashMap<Code, TillStore>, MerchantError> {
    let known = stores_by_code(tx, codes).await?;
    let mut missing: Vec<&Code> = codes
        .iter()
        .filter(|code| !known.contains_key(code))
        .collect();
    missing.sort();
    missing.dedup();
    if missing.is_empty() {
        return Ok(known);
    }
    let rows: Vec<(MerchantId, StoreId, &Code)> = missing
        .into_iter()
        .map(|code| (tx.new_id(), tx.new_id(), code))
        .collect();
    store::insert_pairs(tx, &rows).await?;
    let done = Done::new(Act::MerchantsListed).is(Field::Made, rows.len());
    audit::record(tx, done).await?;
    Ok(stores_by_code(tx, codes).await?)
}

/// What one statement for all could not say of a single one.
fn check(listings: &[Listing]) -> Result<(), MerchantError> {
    let mut merchants = HashSet::new();
    let mut stores = HashSet::new();
    for listing in listings {
        if !merchants.insert(&listing.code) {
            return Err(MerchantError::ListedTwice(listing.code.clone()));
        }
        for place in &listing.stores {
            if !stores.insert(&place.code) {
                return Err(MerchantError::ListedTwice(place.code.clone()));
            }
            if place
                .alliance
                .is_some_and(|own| !own.within(listing.alliance))
            {
                return Err(MerchantError::WiderThanMerchant(place.code.clone()));
            }
        }
    }
    Ok(())
}
