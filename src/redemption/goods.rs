//! The catalogue: what points buy, and who hands it over.

use std::{
    collections::{HashMap, HashSet},
    str::FromStr,
};

use thiserror::Error;

use super::{RedemptionError, Search, store};
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{ApplyManifest, CreateGood, ReadGoods},
        grant::Grant,
    },
    db::tx::{ReadTx, Tx},
    kernel::{
        ids::{GoodId, MerchantId},
        page::{CursorError, MOST, Page, Slice},
        points::LARGEST,
        text::{Code, Names},
        time::Instant,
    },
    merchants,
};

/// What kind of thing a good is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GoodKind {
    /// A thing to collect.
    Pickup,
    /// Something done for the member.
    Service,
    /// A right to use later.
    Voucher,
}

/// A word that is no kind of good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a kind of good: expected pickup, service or voucher")]
pub struct GoodKindError;

impl GoodKind {
    /// The word: "pickup", "service" or "voucher".
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pickup => "pickup",
            Self::Service => "service",
            Self::Voucher => "voucher",
        }
    }
}

impl FromStr for GoodKind {
    type Err = GoodKindError;

    fn from_str(text: &str) -> Result<Self, GoodKindError> {
        [Self::Pickup, Self::Service, Self::Voucher]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(GoodKindError)
    }
}

/// Something that points buy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Good {
    /// Its id.
    pub id: GoodId,
    /// What lists and files call it; never changes.
    pub code: Code,
    /// Its names.
    pub names: Names,
    /// What kind of thing it is.
    pub kind: GoodKind,
    /// What one costs, in points.
    pub points: i64,
    /// How many there are still to give.
    pub stock: i64,
    /// How many one member may take in a day; none: as many as there are.
    pub per_member_day: Option<i64>,
    /// How many one member may take in a month; none: as many as there are.
    pub per_member_month: Option<i64>,
    /// The merchants at whose stores it is handed over.
    pub offered_by: Vec<MerchantId>,
    /// Since when.
    pub created_at: Instant,
}

/// A good as a manifest lists it, or as somebody enters it.
#[derive(Debug, Clone)]
pub struct GoodListing {
    /// By which it is found again.
    pub code: Code,
    /// Its names.
    pub names: Names,
    /// What kind of thing it is.
    pub kind: GoodKind,
    /// What one costs, in points, above zero.
    pub points: i64,
    /// How many there are at first. What is left of a good that exists is counted by what members
    /// reserve, and no manifest sets it back.
    pub stock: i64,
    /// How many one member may take in a day.
    pub per_member_day: Option<i64>,
    /// How many one member may take in a month.
    pub per_member_month: Option<i64>,
    /// The merchants at whose stores it is handed over, at least one.
    pub offered_by: Vec<Code>,
}

/// What an [`upsert_goods`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GoodsUpserted {
    /// Goods that were not there.
    pub created: usize,
    /// Goods that were otherwise, or offered by others.
    pub changed: usize,
}

/// Puts a good into the catalogue.
///
/// # Errors
/// [`RedemptionError::GoodCodeTaken`], [`RedemptionError::UnknownMerchant`],
/// [`RedemptionError::BadGood`].
pub async fn create_good(
    tx: &mut Tx,
    _grant: &Grant<CreateGood>,
    new: &GoodListing,
) -> Result<Good, RedemptionError> {
    check(new)?;
    let merchants = offering(tx, std::slice::from_ref(new)).await?;
    let id: GoodId = tx.new_id();
    if !store::insert_good(tx, id, new).await? {
        return Err(RedemptionError::GoodCodeTaken(new.code.clone()));
    }
    let offered_by = ids_of(new, &merchants)?;
    let pairs: Vec<(GoodId, MerchantId)> = offered_by.iter().map(|by| (id, *by)).collect();
    store::insert_offers(tx, &pairs).await?;
    let done = Done::to(Act::GoodMade, id)
        .is(Field::Code, new.code.as_str())
        .is(Field::Names, audit::names(&new.names))
        .is(Field::Kind, new.kind.as_str())
        .is(Field::Points, new.points)
        .is(Field::Count, new.stock);
    audit::record(tx, done).await?;
    Ok(Good {
        id,
        code: new.code.clone(),
        names: new.names.clone(),
        kind: new.kind,
        points: new.points,
        stock: new.stock,
        per_member_day: new.per_member_day,
        per_member_month: new.per_member_month,
        offered_by,
        created_at: tx.now(),
    })
}

/// The catalogue in the order of codes, or what `search` finds of it. Everybody who may read it sees
/// all of it.
///
/// # Errors
/// [`RedemptionError::Cursor`].
pub async fn list_goods(
    tx: &mut ReadTx,
    _grant: &Grant<ReadGoods>,
    search: Option<&Search>,
    slice: &Slice,
) -> Result<Page<Good>, RedemptionError> {
    let after: Option<Code> = slice
        .after
        .as_deref()
        .map(|key| key.parse().map_err(|_| CursorError))
        .transpose()?;
    let limit = slice.limit.clamp(1, MOST);
    let (after, most) = (after.as_ref(), limit.saturating_add(1));
    let goods = match search {
        None => store::goods(tx, after, most).await?,
        Some(search) => store::found_goods(tx, search, after, most).await?,
    };
    Ok(Page::from_rows(goods, limit, |good| {
        good.code.as_str().to_owned()
    }))
}

/// One good of the catalogue.
///
/// # Errors
/// [`RedemptionError::UnknownGood`].
pub async fn good(
    tx: &mut ReadTx,
    _grant: &Grant<ReadGoods>,
    id: GoodId,
) -> Result<Good, RedemptionError> {
    by_id(tx, id).await
}

pub(super) async fn by_id(tx: &mut ReadTx, id: GoodId) -> Result<Good, RedemptionError> {
    let found = store::good(tx, id).await?;
    found.ok_or(RedemptionError::UnknownGood)
}

/// Brings the catalogue to what `listings` says, by codes: creates what is missing, changes names,
/// kind, price, limits and who offers it. The stock of a good that exists stays what it is, and a
/// good that is not listed stays.
///
/// # Errors
/// [`RedemptionError::ListedTwice`], [`RedemptionError::UnknownMerchant`],
/// [`RedemptionError::BadGood`].
pub async fn upsert_goods(
    tx: &mut Tx,
    _grant: &Grant<ApplyManifest>,
    listings: &[GoodListing],
) -> Result<GoodsUpserted, RedemptionError> {
    let mut codes = HashSet::new();
    for listing in listings {
        check(listing)?;
        if !codes.insert(&listing.code) {
            return Err(RedemptionError::ListedTwice(listing.code.clone()));
        }
    }
    if listings.is_empty() {
        return Ok(GoodsUpserted::default());
    }
    let merchants = offering(tx, listings).await?;
    // In the order of codes, so that two who apply at once wait for each other and not in a ring.
    let mut sorted: Vec<&GoodListing> = listings.iter().collect();
    sorted.sort_by(|one, two| one.code.cmp(&two.code));
    let rows: Vec<(GoodId, &GoodListing)> = sorted
        .into_iter()
        .map(|listing| (tx.new_id(), listing))
        .collect();
    let fresh: HashSet<GoodId> = rows.iter().map(|(id, _)| *id).collect();
    let mut touched: HashSet<GoodId> = store::upsert_goods(tx, &rows).await?.into_iter().collect();
    let created = touched.iter().filter(|id| fresh.contains(id)).count();

    let all = store::goods_by_code(tx, &rows).await?;
    let mut pairs = Vec::new();
    for (_, listing) in &rows {
        let id = all.get(&listing.code).ok_or(RedemptionError::UnknownGood)?;
        let offering = ids_of(listing, &merchants)?;
        pairs.extend(offering.into_iter().map(|merchant| (*id, merchant)));
    }
    let goods: Vec<GoodId> = all.values().copied().collect();
    touched.extend(store::delete_other_offers(tx, &goods, &pairs).await?);
    touched.extend(store::insert_offers(tx, &pairs).await?);
    let changed = touched.len().saturating_sub(created);
    if !touched.is_empty() {
        let done = Done::new(Act::GoodsListed)
            .is(Field::Made, created)
            .is(Field::Changed, changed);
        audit::record(tx, done).await?;
    }
    Ok(GoodsUpserted { created, changed })
}

/// The merchants that these listings name.
async fn offering(
    tx: &mut Tx,
    listings: &[GoodListing],
) -> Result<HashMap<Code, MerchantId>, RedemptionError> {
    let mut codes: Vec<Code> = listings
        .iter()
        .flat_map(|listing| listing.offered_by.iter().cloned())
        .collect();
    codes.sort();
    codes.dedup();
    let known = merchants::by_codes(tx, &codes).await?;
    match codes.into_iter().find(|code| !known.contains_key(code)) {
        Some(code) => Err(RedemptionError::UnknownMerchant(code)),
        None => Ok(known),
    }
}

/// Who offers a good, in the order of ids, each once.
fn ids_of(
    listing: &GoodListing,
    merchants: &HashMap<Code, MerchantId>,
) -> Result<Vec<MerchantId>, RedemptionError> {
    let mut ids = Vec::with_capacity(listing.offered_by.len());
    for code in &listing.offered_by {
        let id = merchants.get(code);
        ids.push(*id.ok_or_else(|| RedemptionError::UnknownMerchant(code.clone()))?);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

fn check(listing: &GoodListing) -> Result<(), RedemptionError> {
    let bad = |why| {
        let code = listing.code.clone();
        Err(RedemptionError::BadGood { code, why })
    };
    let limits = [listing.per_member_day, listing.per_member_month];
    if !(1..=LARGEST).contains(&listing.points) {
        bad("its price is not a number of points above 0")
    } else if !(0..=LARGEST).contains(&listing.stock) {
        bad("its stock is not a number from 0 on")
    } else if limits.iter().flatten().any(|most| *most < 1) {
        bad("a limit per member is not a number above 0")
    } else if listing.offered_by.is_empty() {
        bad("no merchant offers it")
    } else {
        Ok(())
    }
}
