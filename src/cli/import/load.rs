//! Loading what an import's files say, a window of events at a time, through the same use cases
//! that tills call.

use std::collections::{HashMap, HashSet};

use super::rows::{Happened, PurchaseRow, RedemptionRow};
use crate::{
    app::Mall,
    authz::{
        action::{CreateMerchant, EnrolMember, RecordPurchase, SpendPoints},
        grant::Grant,
    },
    cli::phases::{Slice, phases},
    db::{self, tx::Tx},
    earning,
    kernel::{
        ids::{MemberId, StoreId},
        text::{CardNumber, Code},
        time::Instant,
    },
    members, merchants,
    redemption::{self, Limits, SpendItem, Wanted},
};

/// How many events one transaction takes, unless the import is all or nothing.
pub const WINDOW: usize = 2_000;

/// The most refusals that a report lists; all are counted.
const MOST_REFUSALS: usize = 100;

/// What an import may do, and the rights to do it.
#[derive(Debug)]
pub struct Rights {
    /// To record purchases.
    pub record: Grant<RecordPurchase>,
    /// To spend points.
    pub spend: Grant<SpendPoints>,
    /// To enrol unknown members, where that was asked for.
    pub enrol: Option<Grant<EnrolMember>>,
    /// To create unknown stores, where that was asked for.
    pub create: Option<Grant<CreateMerchant>>,
    /// When the import began: what was recorded before was dealt with by an earlier one.
    pub began: Instant,
}

/// What a window, or a whole import, came to.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Purchases recorded now.
    pub purchases: u64,
    /// Redemptions recorded now.
    pub redemptions: u64,
    /// Purchases and redemptions that had been recorded before.
    pub replayed: u64,
    /// Redemptions for which no points were there.
    pub without_points: u64,
    /// Points that the purchases earned.
    pub points_earned: i64,
    /// Points that the redemptions took.
    pub points_spent: i64,
    /// Events that were refused.
    pub refused: u64,
    /// The first of them, each with its line and reason.
    pub refusals: Vec<String>,
}

impl Tally {
    /// Adds a committed window.
    pub fn add(&mut self, window: Self) {
        self.purchases = self.purchases.saturating_add(window.purchases);
        self.redemptions = self.redemptions.saturating_add(window.redemptions);
        self.replayed = self.replayed.saturating_add(window.replayed);
        self.without_points = self.without_points.saturating_add(window.without_points);
        self.points_earned = self.points_earned.saturating_add(window.points_earned);
        self.points_spent = self.points_spent.saturating_add(window.points_spent);
        self.refused = self.refused.saturating_add(window.refused);
        self.refusals.extend(window.refusals);
        self.refusals.truncate(MOST_REFUSALS);
    }

    fn refuse(&mut self, line: u64, what: &str, why: &dyn std::fmt::Display) {
        self.refused = self.refused.saturating_add(1);
        if self.refusals.len() < MOST_REFUSALS {
            self.refusals.push(format!("line {line}, {what}: {why}"));
        }
    }
}

/// Loads a window of events in time order. What one member does keeps its order; what different
/// members do does not depend on each other, so the window becomes a few slices: everybody's
/// first redemptions, then everybody's purchases up to the next redemption, and so on.
///
/// # Errors
/// [`db::Error::Retry`], [`db::Error::Unavailable`]: nothing of the window is loaded.
pub async fn load(
    tx: &mut Tx,
    mall: &Mall,
    rights: &Rights,
    window: &[Happened],
) -> Result<Tally, db::Error> {
    let stores = stores(tx, rights, window).await?;
    let cards = cards(tx, rights, window).await?;
    let mut tally = Tally::default();
    let slices = phases(window, |event| match event {
        Happened::Purchase(row) => (Some(&row.card), Slice::Purchases),
        Happened::Redemption(row) => (Some(&row.card), Slice::Spends),
    });
    for phase in slices {
        let mut purchases: Vec<(&PurchaseRow, earning::Item)> = Vec::new();
        let mut spends: Vec<(&RedemptionRow, SpendItem)> = Vec::new();
        for event in phase {
            match event {
                Happened::Purchase(row) => match (stores.get(&row.store), cards.get(&row.card)) {
                    (Some(store), Some(member)) => {
                        purchases.push((row, purchase(rights, row, *store, *member)));
                    }
                    missing => tally.refuse(row.line, "purchase", &unknown(missing.0)),
                },
                Happened::Redemption(row) => match (stores.get(&row.store), cards.get(&row.card)) {
                    (Some(store), Some(member)) => {
                        spends.push((row, spend(mall, rights, row, *store, *member)));
                    }
                    missing => tally.refuse(row.line, "redemption", &unknown(missing.0)),
                },
            }
        }
        let spends = not_dealt_with(tx, rights, spends, &mut tally).await?;
        spend_all(tx, mall, &spends, &mut tally).await?;
        record_all(tx, mall, &purchases, &mut tally).await?;
    }
    Ok(tally)
}

fn unknown(store: Option<&StoreId>) -> &'static str {
    match store {
        None => "there is no such store; --create-missing would create it",
        Some(_) => "there is no such member; --create-missing would enrol them",
    }
}

async fn stores(
    tx: &mut Tx,
    rights: &Rights,
    window: &[Happened],
) -> Result<HashMap<Code, StoreId>, db::Error> {
    let codes: HashSet<&Code> = window
        .iter()
        .map(|event| match event {
            Happened::Purchase(row) => &row.store,
            Happened::Redemption(row) => &row.store,
        })
        .collect();
    let codes: Vec<Code> = codes.into_iter().cloned().collect();
    let found = match &rights.create {
        Some(grant) => merchants::create_by_code(tx, grant, &codes)
            .await
            .map_err(into_db)?,
        None => merchants::stores_by_code(tx, &codes).await?,
    };
    Ok(found
        .into_iter()
        .map(|(code, till)| (code, till.store))
        .collect())
}

async fn cards(
    tx: &mut Tx,
    rights: &Rights,
    window: &[Happened],
) -> Result<HashMap<CardNumber, MemberId>, db::Error> {
    let cards: HashSet<&CardNumber> = window
        .iter()
        .map(|event| match event {
            Happened::Purchase(row) => &row.card,
            Happened::Redemption(row) => &row.card,
        })
        .collect();
    let cards: Vec<CardNumber> = cards.into_iter().cloned().collect();
    match &rights.enrol {
        Some(grant) => match members::enrol_cards(tx, grant, &cards).await {
            Ok(found) => Ok(found),
            Err(members::MemberError::Db(error)) => Err(error),
            Err(_) => Err(db::Error::Corrupt("card number")),
        },
        None => members::by_cards(tx, &cards).await,
    }
}

/// Of the merchants' errors only the database's can come from a set of codes.
fn into_db(error: merchants::MerchantError) -> db::Error {
    match error {
        merchants::MerchantError::Db(error) => error,
        _ => db::Error::Corrupt("store code"),
    }
}

fn purchase(rights: &Rights, row: &PurchaseRow, store: StoreId, member: MemberId) -> earning::Item {
    earning::Item {
        grant: rights.record.clone(),
        store,
        receipt_number: row.receipt.clone(),
        member: Some(member),
        lines: row.lines.clone(),
        occurred_at: row.occurred_at,
    }
}

fn spend(
    mall: &Mall,
    rights: &Rights,
    row: &RedemptionRow,
    store: StoreId,
    member: MemberId,
) -> SpendItem {
    let points = mall.redemption.terms.points_for(row.wanted).unwrap_or(0);
    SpendItem {
        grant: rights.spend.clone(),
        store,
        receipt_number: row.receipt.clone(),
        member,
        total: 0,
        points: Wanted::UpTo(points),
        form: None,
        limits: Limits::Waived,
        occurred_at: row.occurred_at,
    }
}

/// Leaves out redemptions of baskets that an earlier import recorded without any: there were no
/// points then, and points that were earned since are not for them.
async fn not_dealt_with<'a>(
    tx: &mut Tx,
    rights: &Rights,
    spends: Vec<(&'a RedemptionRow, SpendItem)>,
    tally: &mut Tally,
) -> Result<Vec<(&'a RedemptionRow, SpendItem)>, db::Error> {
    if spends.is_empty() {
        return Ok(spends);
    }
    let key = |item: &SpendItem| (item.store, item.receipt_number.clone());
    let keys: Vec<_> = spends.iter().map(|(_, item)| key(item)).collect();
    let recorded = earning::recorded_before(tx, &keys, rights.began).await?;
    let paid = redemption::paid_by_points(tx, &keys).await?;
    let (done, open): (Vec<_>, Vec<_>) = spends
        .into_iter()
        .partition(|(_, item)| recorded.contains(&key(item)) && !paid.contains_key(&key(item)));
    tally.replayed = tally
        .replayed
        .saturating_add(u64::try_from(done.len()).unwrap_or(0));
    Ok(open)
}

async fn record_all(
    tx: &mut Tx,
    mall: &Mall,
    purchases: &[(&PurchaseRow, earning::Item)],
    tally: &mut Tally,
) -> Result<(), db::Error> {
    if purchases.is_empty() {
        return Ok(());
    }
    let items: Vec<earning::Item> = purchases.iter().map(|(_, item)| item.clone()).collect();
    let answers = earning::record(tx, &mall.earning, &items, earning::Believed::default()).await?;
    for ((row, _), answer) in purchases.iter().zip(answers) {
        match answer {
            Ok(receipt) if receipt.replayed => tally.replayed = tally.replayed.saturating_add(1),
            Ok(receipt) => {
                tally.purchases = tally.purchases.saturating_add(1);
                tally.points_earned = tally.points_earned.saturating_add(receipt.points);
            }
            Err(why) => tally.refuse(row.line, "purchase", &why),
        }
    }
    Ok(())
}

async fn spend_all(
    tx: &mut Tx,
    mall: &Mall,
    spends: &[(&RedemptionRow, SpendItem)],
    tally: &mut Tally,
) -> Result<(), db::Error> {
    if spends.is_empty() {
        return Ok(());
    }
    let items: Vec<SpendItem> = spends.iter().map(|(_, item)| item.clone()).collect();
    let answers = redemption::spend(tx, &mall.redemption, &items, None).await?;
    for ((row, _), answer) in spends.iter().zip(answers) {
        match answer {
            Ok(receipt) if receipt.points == 0 => {
                tally.without_points = tally.without_points.saturating_add(1);
            }
            Ok(receipt) if receipt.replayed => tally.replayed = tally.replayed.saturating_add(1),
            Ok(receipt) => {
                tally.redemptions = tally.redemptions.saturating_add(1);
                tally.points_spent = tally.points_spent.saturating_add(receipt.points);
            }
            Err(why) => tally.refuse(row.line, "redemption", &why),
        }
    }
    Ok(())
}
