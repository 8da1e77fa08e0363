//! Refunding purchases: what they earned is taken back, what points had paid is given back.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::{
    EarnError, Setting, check_time,
    store::{self, NewRefund, Refundable},
};
use crate::{
    authz::{action::RefundPurchase, grant::Grant},
    db::{self, tx::Tx},
    kernel::{
        ids::{LotId, MemberId, PurchaseId, RefundId, SpendId},
        money::ratio_floor,
        text::ReceiptNumber,
        time::Instant,
    },
    ledger::{
        self,
        books::{Books, Wanted},
        transfer::{Event, Kind},
    },
    merchants::credit::{Blocks, Reason},
    redemption::{self, Paid, Receipt, Return, Returns},
};

/// How much of a purchase goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundAmount {
    /// Whatever is left of it.
    Rest,
    /// So many minor units.
    Minor(i64),
}

/// A refund to be recorded, with the grant that it was admitted with.
#[derive(Debug, Clone)]
pub struct RefundItem {
    /// May whoever sends it refund this?
    pub grant: Grant<RefundPurchase>,
    /// Of which purchase.
    pub purchase: PurchaseId,
    /// What the store calls the refund; unique within the purchase for ever.
    pub reference: ReceiptNumber,
    /// How much.
    pub amount: RefundAmount,
    /// When.
    pub occurred_at: Instant,
}

/// The answer to a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundReceipt {
    /// The refund.
    pub refund: RefundId,
    /// Of which purchase.
    pub purchase: PurchaseId,
    /// Whether it was recorded before.
    pub replayed: bool,
    /// Refunded by this refund, in minor units.
    pub amount: i64,
    /// Points taken back from the member.
    pub points_taken: i64,
    /// Points that the member owes now because of it.
    pub points_owed: i64,
    /// Points given back that had paid for the purchase.
    pub points_given_back: i64,
    /// The member's balance after it; below zero where points are owed.
    pub balance: Option<i64>,
    /// When it happened.
    pub occurred_at: Instant,
}

/// Refunds purchases in whole or in part; an answer for each, in their order. Suspended merchants
/// honour refunds too.
///
/// # Errors
/// For all of them: [`db::Error::Retry`] where another transaction was faster, nothing is written;
/// [`db::Error::Unavailable`].
pub async fn refund(
    tx: &mut Tx,
    setting: &Setting,
    items: &[RefundItem],
) -> Result<Vec<Result<RefundReceipt, EarnError>>, db::Error> {
    let ids: HashSet<PurchaseId> = items.iter().map(|item| item.purchase).collect();
    let ids: Vec<PurchaseId> = ids.into_iter().collect();
    let purchases = store::lock_purchases(tx, &ids).await?;
    let known = store::known_refunds(tx, &ids).await?;
    let keys: Vec<_> = purchases
        .values()
        .map(|one| (one.store, one.receipt_number.clone()))
        .collect();
    let paid = redemption::paid_by_points(tx, &keys).await?;
    let spent: Vec<Paid> = paid.values().copied().collect();
    let members: HashSet<MemberId> = purchases
        .values()
        .filter_map(|one| one.member)
        .chain(spent.iter().map(|paid| paid.member))
        .collect();
    let members: Vec<MemberId> = members.into_iter().collect();
    let mut lots: Vec<LotId> = ids
        .iter()
        .map(|purchase| LotId::from_uuid(purchase.uuid()))
        .collect();
    lots.extend(redemption::lots_to_give_back(tx, &spent).await?);
    let due_by = items
        .iter()
        .map(|item| item.occurred_at)
        .max()
        .unwrap_or_default();
    let wanted = Wanted {
        spenders: members.clone(),
        members,
        lots,
        due_by,
    };
    let books = ledger::open_books(tx, setting.zone, &wanted).await?;
    let prepaid = purchases.values().filter(|one| one.prepaid);
    let prepaid: Vec<PurchaseId> = prepaid.map(|one| one.id).collect();
    let blocks = Blocks::lock_taken(tx, &prepaid).await?;
    let spends: Vec<SpendId> = spent.iter().map(|paid| paid.spend).collect();
    let returns = Returns::load(tx, &spends).await?;
    let now = tx.now();
    let entropy = tx.entropy().clone();
    let mut work = Work {
        now,
        entropy,
        purchases,
        known,
        paid,
        returns,
        books,
        blocks,
        new: Vec::new(),
    };
    let answers = items.iter().map(|item| work.one(setting, item)).collect();
    store::insert_refunds(tx, &work.new).await?;
    store::update_purchases(tx, work.purchases.values()).await?;
    work.returns.write(tx).await?;
    work.blocks.write(tx).await?;
    work.books.post(tx).await?;
    Ok(answers)
}

/// What a slice of refunds needs to know, and what it does.
struct Work {
    now: Instant,
    entropy: crate::kernel::ids::Entropy,
    purchases: HashMap<PurchaseId, Refundable>,
    known: HashMap<(PurchaseId, ReceiptNumber), store::KnownRefund>,
    paid: HashMap<Receipt, Paid>,
    returns: Returns,
    books: Books,
    blocks: Blocks,
    new: Vec<NewRefund>,
}

impl Work {
    fn one(&mut self, setting: &Setting, item: &RefundItem) -> Result<RefundReceipt, EarnError> {
        let purchase = self.purchases.get(&item.purchase);
        let purchase = purchase.filter(|one| item.grant.covers(one.merchant, one.store));
        let purchase = purchase.cloned().ok_or(EarnError::UnknownPurchase)?;
        let key = (item.purchase, item.reference.clone());
        if let Some(known) = self.known.get(&key) {
            if known.fingerprint != fingerprint(item) {
                return Err(EarnError::ReferenceTaken);
            }
            return Ok(RefundReceipt {
                replayed: true,
                ..known.receipt.clone()
            });
        }
        check_time(item.occurred_at, self.now)?;
        let left = purchase.total.saturating_sub(purchase.refunded);
        let amount = match item.amount {
            RefundAmount::Rest => left,
            RefundAmount::Minor(minor) => minor,
        };
        if amount <= 0 || amount > left {
            return Err(EarnError::RefundTooLarge {
                left,
                wanted: amount,
            });
        }
        let refund = RefundId::new(self.now, &self.entropy);
        let refunded = purchase.refunded.saturating_add(amount);
        let receipt = self.post(setting, item, &purchase, refund, amount, refunded)?;
        self.new.push(NewRefund {
            reference: item.reference.clone(),
            fingerprint: fingerprint(item),
            receipt: receipt.clone(),
        });
        let known = store::KnownRefund {
            fingerprint: fingerprint(item),
            receipt: receipt.clone(),
        };
        self.known.insert(key, known);
        Ok(receipt)
    }

    /// The ledger's side: takes back pro rata what was earned, gives back pro rata what had paid.
    /// Shares go by what is refunded altogether, so that the last refund takes the remainder.
    fn post(
        &mut self,
        setting: &Setting,
        item: &RefundItem,
        purchase: &Refundable,
        refund: RefundId,
        amount: i64,
        refunded: i64,
    ) -> Result<RefundReceipt, EarnError> {
        let mut receipt = RefundReceipt {
            refund,
            purchase: item.purchase,
            replayed: false,
            amount,
            points_taken: 0,
            points_owed: 0,
            points_given_back: 0,
            balance: None,
            occurred_at: item.occurred_at,
        };
        let version = setting
            .at(item.occurred_at)
            .ok_or(EarnError::UnknownPurchase)?;
        let grace = version.programme.grace(item.occurred_at, setting.zone);
        receipt.points_given_back = self.give_back(item, purchase, refund, refunded, grace)?;
        let due = ratio_floor(purchase.points, refunded, purchase.total)?;
        let claw = due.saturating_sub(purchase.clawed);
        if let (Some(member), 1..) = (purchase.member, claw) {
            let lot = LotId::from_uuid(item.purchase.uuid());
            let event = Event {
                kind: Kind::Refund,
                actor: item.grant.actor(),
                member,
                place: Some((purchase.merchant, purchase.store)),
                source: refund.uuid(),
                occurred_at: item.occurred_at,
                reverses: None,
            };
            let (_, clawed) = self.books.claw(&event, lot, claw)?;
            receipt.points_taken = clawed.taken;
            receipt.points_owed = clawed.owed;
            self.put_back(purchase, lot, refund);
        }
        receipt.balance = purchase
            .member
            .and_then(|member| self.books.wallet(member))
            .map(|wallet| wallet.available.saturating_sub(wallet.debt));
        if let Some(row) = self.purchases.get_mut(&item.purchase) {
            row.refunded = refunded;
            row.clawed = row.clawed.saturating_add(claw);
        }
        Ok(receipt)
    }

    /// Puts back into blocks what the purchase took out of them and gave up just now.
    fn put_back(&mut self, purchase: &Refundable, lot: LotId, refund: RefundId) {
        let period = self.books.transfers().last().map(|moved| moved.posted_in);
        let (Some(lot), Some(period), true) = (self.books.lot(lot), period, purchase.prepaid)
        else {
            return;
        };
        let reason = Reason {
            source: refund.uuid(),
            purchase: purchase.id,
            merchant: purchase.merchant,
            period,
        };
        self.blocks
            .put_back(reason, lot.points.saturating_sub(lot.clawed));
    }

    /// Gives back the share of the points that had paid which `refunded` amounts to; how many.
    fn give_back(
        &mut self,
        item: &RefundItem,
        purchase: &Refundable,
        refund: RefundId,
        refunded: i64,
        grace: Instant,
    ) -> Result<i64, EarnError> {
        let key = (purchase.store, purchase.receipt_number.clone());
        let spend = self.paid.get(&key).map(|paid| paid.spend);
        let Some(paid) = spend.and_then(|spend| self.returns.paid(spend)) else {
            return Ok(0);
        };
        let share = ratio_floor(paid.points, refunded, purchase.total)?;
        let wanted = Return {
            spend: paid.spend,
            points: share.saturating_sub(paid.returned),
            source: refund.uuid(),
            actor: item.grant.actor(),
            occurred_at: item.occurred_at,
            grace,
        };
        Ok(self.returns.give_back(&mut self.books, &wanted)?.points)
    }
}

/// What a refund must repeat to be the same refund: its amount. Not the time, because a till that
/// sends none is given ours, another one at each try.
fn fingerprint(item: &RefundItem) -> Vec<u8> {
    let amount = match item.amount {
        RefundAmount::Rest => -1,
        RefundAmount::Minor(minor) => minor,
    };
    Sha256::digest(amount.to_be_bytes()).to_vec()
}
