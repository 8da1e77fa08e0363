//! Recording purchases.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, HashSet},
};

use chrono::NaiveDate;
use sha2::{Digest, Sha256};

use super::{
    EarnError, Setting, Version, check_time,
    line::Line,
    rules::{Counts, Earned},
    store::{self, Granted, NewPurchase},
};
use crate::{
    authz::{action::RecordPurchase, grant::Grant},
    db::{self, tx::Tx},
    kernel::{
        AmountError,
        ids::{MemberId, MerchantId, PurchaseId, StoreId},
        points::LARGEST,
        text::ReceiptNumber,
        time::{Instant, Month},
    },
    ledger::{
        self,
        books::{Books, NewLot, Wanted},
        transfer::{Event, Kind},
    },
    merchants::{
        self, Stores, TillStore, agreements,
        credit::{Blocks, Reason, WhenEmpty, Withheld},
    },
    redemption,
};

/// A purchase to be recorded, with the grant that it was admitted with.
#[derive(Debug, Clone)]
pub struct Item {
    /// May whoever sends it record it?
    pub grant: Grant<RecordPurchase>,
    /// In which store.
    pub store: StoreId,
    /// What the receipt says.
    pub receipt_number: ReceiptNumber,
    /// Who bought; a purchase of nobody is kept and earns nothing.
    pub member: Option<MemberId>,
    /// What was bought.
    pub lines: Vec<Line>,
    /// When; rules and expiry go by this.
    pub occurred_at: Instant,
}

/// The answer to a purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The purchase.
    pub purchase: PurchaseId,
    /// Whether it was recorded before.
    pub replayed: bool,
    /// Its total, in minor units.
    pub total: i64,
    /// The part of it that points had paid, in minor units.
    pub paid_by_points: i64,
    /// The points that it earned.
    pub points: i64,
    /// By which rules.
    pub rules: Vec<Earned>,
    /// Why it earned nothing, where it would have.
    pub withheld: Option<Withheld>,
    /// The version of the programme that held.
    pub programme: i64,
    /// Who earned them.
    pub member: Option<MemberId>,
    /// The member's balance after it.
    pub balance: Option<i64>,
    /// When it happened.
    pub occurred_at: Instant,
}

/// A receipt's name: who printed it, and its number.
pub(super) type ReceiptKey = (StoreId, ReceiptNumber);

/// What a purchase came to.
type Answer = Result<Receipt, EarnError>;

fn receipt_key(item: &Item) -> ReceiptKey {
    (item.store, item.receipt_number.clone())
}

/// Points granted so far to a member in a day or a month, by rule; "" is any rule.
type Granting = HashMap<(MemberId, String, NaiveDate, bool), i64>;

/// What is taken for granted about some receipts instead of being looked up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Believed<'a> {
    /// The mall's stores as they are; the transaction would not have been opened else.
    pub stores: Option<&'a Stores>,
    /// That none of them was recorded before, as nearly always; else the database refuses it.
    pub new: bool,
}

/// Records purchases and grants what they earn; an answer for each, in their order.
///
/// # Errors
/// For all of them: [`db::Error::Retry`] where another transaction was faster, nothing is written;
/// [`db::Error::Unavailable`].
pub async fn record(
    tx: &mut Tx,
    setting: &Setting,
    items: &[Item],
    believed: Believed<'_>,
) -> Result<Vec<Answer>, db::Error> {
    let mut work = Work::load(tx, setting, items, believed).await?;
    let mut answers: Vec<Answer> = Vec::with_capacity(items.len());
    let mut first: HashMap<ReceiptKey, usize> = HashMap::new();
    for item in items {
        let key = receipt_key(item);
        let answer = match first.get(&key).and_then(|place| answers.get(*place)) {
            Some(Ok(receipt)) => work.again(item, receipt),
            _ => work.one(setting, item),
        };
        first.entry(key).or_insert(answers.len());
        answers.push(answer);
    }
    if believed.new {
        // What is refused was not written, so that the database said nothing of it.
        let refused = items.iter().zip(&answers).filter(|(_, one)| one.is_err());
        let keys: Vec<ReceiptKey> = refused.map(|(item, _)| receipt_key(item)).collect();
        if !keys.is_empty() {
            work.known = store::known(tx, &keys).await?;
            for (item, answer) in items.iter().zip(&mut answers) {
                if let Ok((_, Some(before))) = work.look(item) {
                    *answer = before;
                }
            }
        }
    }
    store::insert_purchases(tx, &work.new).await?;
    work.blocks.write(tx).await?;
    work.books.post(tx).await?;
    Ok(answers)
}

/// What a slice of purchases needs to know, and what it does.
struct Work<'a> {
    now: Instant,
    stores: Cow<'a, Stores>,
    known: HashMap<ReceiptKey, store::Known>,
    paid: HashMap<ReceiptKey, i64>,
    granted: Granting,
    books: Books,
    blocks: Blocks,
    new: Vec<NewPurchase>,
    entropy: crate::kernel::ids::Entropy,
}

impl<'a> Work<'a> {
    async fn load(
        tx: &mut Tx,
        setting: &Setting,
        items: &[Item],
        believed: Believed<'a>,
    ) -> Result<Self, db::Error> {
        let stores = if let Some(stores) = believed.stores {
            Cow::Borrowed(stores)
        } else {
            let stores: HashSet<StoreId> = items.iter().map(|item| item.store).collect();
            let stores: Vec<StoreId> = stores.into_iter().collect();
            Cow::Owned(merchants::till_stores(tx, &stores).await?)
        };
        let members: HashSet<MemberId> = items.iter().filter_map(|item| item.member).collect();
        let members: Vec<MemberId> = members.into_iter().collect();
        let due_by = items
            .iter()
            .map(|item| item.occurred_at)
            .max()
            .unwrap_or_default();
        let wanted = Wanted {
            members: members.clone(),
            due_by,
            ..Wanted::default()
        };
        let books = ledger::open_books(tx, setting.zone, &wanted).await?;
        // Behind the wallets, as for whoever else is at a till.
        let blocks = Blocks::lock(tx, &prepaying(items, &stores)).await?;
        let keys: Vec<ReceiptKey> = items.iter().map(receipt_key).collect();
        let known = if believed.new {
            HashMap::new()
        } else {
            store::known(tx, &keys).await?
        };
        let paid = redemption::paid_by_points(tx, &keys).await?;
        let paid = paid
            .into_iter()
            .map(|(key, paid)| (key, paid.money))
            .collect();
        let granted = granted_so_far(tx, setting, items, members).await?;
        let (now, entropy) = (tx.now(), tx.entropy().clone());
        Ok(Self {
            now,
            stores,
            known,
            paid,
            granted,
            books,
            blocks,
            new: Vec::new(),
            entropy,
        })
    }

    /// A receipt that is in this slice twice.
    fn again(&self, item: &Item, first: &Receipt) -> Answer {
        let new = self.new.iter().find(|new| new.id == first.purchase);
        match new.map(|new| new.fingerprint == fingerprint(item)) {
            Some(false) => Err(EarnError::ReceiptTaken(first.purchase)),
            _ => Ok(Receipt {
                replayed: true,
                ..first.clone()
            }),
        }
    }

    /// The till of an item that reaches so far, and what is known of its receipt.
    fn look(&self, item: &Item) -> Result<(&TillStore, Option<Answer>), EarnError> {
        let till = self.stores.get(&item.store);
        let till = till.filter(|till| item.grant.covers(till.merchant, item.store));
        let till = till.ok_or(EarnError::UnknownStore)?;
        let known = self.known.get(&receipt_key(item));
        let before = known.map(|known| {
            if known.fingerprint == fingerprint(item) {
                Ok(known.receipt.clone())
            } else {
                Err(EarnError::ReceiptTaken(known.receipt.purchase))
            }
        });
        Ok((till, before))
    }

    fn one(&mut self, setting: &Setting, item: &Item) -> Answer {
        let (till, before) = self.look(item)?;
        if let Some(before) = before {
            return before;
        }
        let (till, key) = (till.clone(), receipt_key(item));
        if !till.active() {
            return Err(EarnError::Suspended);
        }
        check_time(item.occurred_at, self.now)?;
        let total = total(&item.lines)?;
        let paid_by_points = self.paid.get(&key).copied().unwrap_or(0).min(total);
        let version = setting
            .at(item.occurred_at)
            .ok_or(EarnError::UnknownStore)?;
        let mut earned = self.earn(setting, version, item, &till, total, paid_by_points)?;
        let points = |earned: &[Earned]| {
            let points = earned.iter().map(|one| one.points);
            points.fold(0, i64::saturating_add)
        };
        let withheld = self.withheld(version, item, &till, points(&earned))?;
        if withheld.is_some() {
            earned.clear();
        }
        let points = points(&earned);
        let purchase = PurchaseId::new(self.now, &self.entropy);
        let balance = self.grant_points(setting, version, item, &till, purchase, points)?;
        self.remember(setting, item, &earned);
        let receipt = Receipt {
            purchase,
            replayed: false,
            total,
            paid_by_points,
            points,
            rules: earned,
            withheld,
            programme: version.number,
            member: item.member,
            balance,
            occurred_at: item.occurred_at,
        };
        self.new.push(NewPurchase {
            id: purchase,
            store: item.store,
            merchant: till.merchant,
            receipt_number: item.receipt_number.clone(),
            lines: item.lines.clone(),
            fingerprint: fingerprint(item),
            business_day: setting.zone.day(item.occurred_at),
            prepaid: points > 0 && till.prepaid_at(item.occurred_at).is_some(),
            receipt: receipt.clone(),
        });
        Ok(receipt)
    }

    /// What the receipt earns, after caps.
    fn earn(
        &self,
        setting: &Setting,
        version: &Version,
        item: &Item,
        till: &TillStore,
        total: i64,
        paid_by_points: i64,
    ) -> Result<Vec<Earned>, EarnError> {
        let Some(member) = item.member.filter(|_| till.earns) else {
            return Ok(Vec::new());
        };
        let programme = &version.programme;
        let counted = match programme.counts {
            Counts::Full => total,
            Counts::Paid => total.saturating_sub(paid_by_points),
        };
        let (merchant, at) = (till.merchant_code.as_str(), item.occurred_at);
        let own = |rule: &str| till.own_rate(rule, at);
        let mut earned = programme.earn(merchant, &item.lines, counted, own)?;
        let day = setting.zone.day(item.occurred_at);
        let so_far = |rule: &str, month: bool| {
            let from = if month {
                Month::of(day).first_day()
            } else {
                day
            };
            self.granted
                .get(&(member, rule.to_owned(), from, month))
                .copied()
                .unwrap_or(0)
        };
        let (mut today, mut this_month) = (so_far("", false), so_far("", true));
        for one in &mut earned {
            let rule = programme.rules.iter().find(|rule| rule.code == one.rule);
            let own = rule.map_or(one.points, |rule| {
                rule.cap.fit(
                    one.points,
                    so_far(&one.rule, false),
                    so_far(&one.rule, true),
                )
            });
            let fits = programme.cap.fit(own, today, this_month);
            one.capped = one.points.saturating_sub(fits);
            one.points = fits;
            today = today.saturating_add(fits);
            this_month = this_month.saturating_add(fits);
        }
        Ok(earned)
    }

    /// Why the points are not granted.
    fn withheld(
        &self,
        version: &Version,
        item: &Item,
        till: &TillStore,
        points: i64,
    ) -> Result<Option<Withheld>, EarnError> {
        if points == 0 {
            return Ok(None);
        }
        if let Some(why) = till.withheld_at(item.occurred_at) {
            return Ok(Some(why));
        }
        if till.prepaid_at(item.occurred_at).is_none() {
            return Ok(None);
        }
        let left = self.blocks.left(till.merchant);
        if points <= left {
            return Ok(None);
        }
        match version.when_empty {
            WhenEmpty::Postpaid => Ok(None),
            WhenEmpty::StopEarning => Ok(Some(Withheld::Prepaid)),
            WhenEmpty::Reject => Err(EarnError::NotPrepaid {
                left,
                wanted: points,
            }),
        }
    }

    /// Posts the points; the balance after it, for a purchase of a member.
    fn grant_points(
        &mut self,
        setting: &Setting,
        version: &Version,
        item: &Item,
        till: &TillStore,
        purchase: PurchaseId,
        points: i64,
    ) -> Result<Option<i64>, EarnError> {
        let Some(member) = item.member else {
            return Ok(None);
        };
        let wallet = self.books.wallet(member).ok_or(EarnError::UnknownMember)?;
        if points == 0 {
            return Ok(Some(wallet.available.saturating_sub(wallet.debt)));
        }
        let event = Event {
            kind: Kind::Purchase,
            actor: item.grant.actor(),
            member,
            place: Some((till.merchant, item.store)),
            source: purchase.uuid(),
            occurred_at: item.occurred_at,
            reverses: None,
        };
        let expires_at = version.programme.expiry.end(item.occurred_at, setting.zone);
        let lot = NewLot {
            points,
            rate: agreements::price_at(&till.prices, item.occurred_at)
                .unwrap_or(version.programme.settles_at),
            expires_at,
            only_at: version
                .programme
                .keeps(till.merchant_code.as_str())
                .then_some(till.merchant),
        };
        let (_, posted) = self.books.issue(&event, lot)?;
        let period = self.books.transfers().last().map(|moved| moved.posted_in);
        if let (Some(since), Some(period)) = (till.prepaid_at(item.occurred_at), period) {
            let reason = Reason {
                source: purchase.uuid(),
                purchase,
                merchant: till.merchant,
                period,
            };
            self.blocks.take(reason, points, since);
        }
        Ok(Some(posted.balance))
    }

    /// Counts what was granted towards the caps of the purchases behind this one.
    fn remember(&mut self, setting: &Setting, item: &Item, earned: &[Earned]) {
        let Some(member) = item.member else { return };
        let day = setting.zone.day(item.occurred_at);
        for one in earned {
            for rule in ["", &one.rule] {
                for (from, month) in [(day, false), (Month::of(day).first_day(), true)] {
                    let sum = self
                        .granted
                        .entry((member, rule.to_owned(), from, month))
                        .or_default();
                    *sum = sum.saturating_add(one.points);
                }
            }
        }
    }
}

/// The merchants of these purchases that have paid for points in advance.
fn prepaying(items: &[Item], stores: &Stores) -> BTreeSet<MerchantId> {
    let tills = items.iter().filter(|item| item.member.is_some());
    let tills = tills.filter_map(|item| Some((item, stores.get(&item.store)?)));
    let prepaid = tills.filter(|(item, till)| till.prepaid_at(item.occurred_at).is_some());
    prepaid.map(|(_, till)| till.merchant).collect()
}

/// What these members were granted already in the days and months of these purchases; asked only
/// where the programme has a cap.
async fn granted_so_far(
    tx: &mut Tx,
    setting: &Setting,
    items: &[Item],
    members: Vec<MemberId>,
) -> Result<Granting, db::Error> {
    let capped = |version: &Version| {
        let programme = &version.programme;
        programme.cap.is_set() || programme.rules.iter().any(|rule| rule.cap.is_set())
    };
    let asked = items
        .iter()
        .filter(|item| setting.at(item.occurred_at).is_some_and(capped));
    let days: HashSet<NaiveDate> = asked
        .map(|item| setting.zone.day(item.occurred_at))
        .collect();
    if days.is_empty() || members.is_empty() {
        return Ok(Granting::new());
    }
    let first = days
        .iter()
        .min()
        .map(|day| Month::of(*day).first_day())
        .unwrap_or_default();
    let last = days
        .iter()
        .max()
        .map(|day| Month::of(*day).next().first_day())
        .unwrap_or_default();
    let mut sums = Granting::new();
    for Granted {
        member,
        rule,
        day,
        points,
    } in store::granted(tx, &members, first, last).await?
    {
        for (from, month) in [(day, false), (Month::of(day).first_day(), true)] {
            for rule in [String::new(), rule.clone()] {
                let sum = sums.entry((member, rule, from, month)).or_default();
                *sum = sum.saturating_add(points);
            }
        }
    }
    Ok(sums)
}

/// The sum of the lines, in minor units.
fn total(lines: &[Line]) -> Result<i64, EarnError> {
    if lines.is_empty() {
        return Err(EarnError::NoLines);
    }
    let mut sum = 0_i64;
    for line in lines {
        if line.amount < 0 || line.quantity < 0 {
            return Err(AmountError::Negative.into());
        }
        sum = sum
            .checked_add(line.amount)
            .filter(|sum| *sum <= LARGEST)
            .ok_or(AmountError::Overflow)?;
    }
    Ok(sum)
}

/// What a receipt must repeat to be the same receipt: member and lines. Not the time, because a
/// till that sends none is given ours, another one at each try.
fn fingerprint(item: &Item) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(item.member.map(|member| member.uuid()).unwrap_or_default());
    for line in &item.lines {
        hash.update(line.category.as_str());
        hash.update([0]);
        hash.update(line.quantity.to_be_bytes());
        hash.update(line.amount.to_be_bytes());
    }
    hash.finalize().to_vec()
}
