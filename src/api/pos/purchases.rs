//! Purchases: what a member bought and what it earned.

use std::{collections::HashMap, sync::Arc};

use poem_openapi::{Object, OpenApi, param::Path};

use super::{joined, parted, quotes};
use crate::{
    api::{Group, words::WithheldWord},
    app::Mall,
    authz::{
        action::{ReadPurchases, RecordPurchase},
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    earning::{
        self, Believed, EarnError, Found, FoundRefund, Item, Receipt, line::Line, rules::Earned,
    },
    http::{
        admit::{Caller, Hasty},
        body::Body,
        codes,
        idempotency::IdempotencyKey,
        lane::{Hot, Lane, Outcome},
        problem::Problem,
        reply::{Recorded, Reply},
        wire::{Minor, Moment, Quantity, Signed, Telephone},
        work::{self, Done, Work},
    },
    kernel::{
        ids::{MemberId, MerchantId, PurchaseId, RefundId, StoreId},
        money::Currency,
        text::{CardNumber, Category, Phone, ReceiptNumber},
        time::Instant,
    },
    members,
};

/// Operations on purchases.
#[derive(Debug, Default)]
pub struct Purchases {
    lane: Lane<Recording>,
}

/// One line of a receipt.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct LineIn {
    /// What kind of goods; rules may go by it.
    category: Category,
    /// How many.
    quantity: Quantity,
    /// What they cost together, in minor units, tax included.
    amount: Minor,
}

/// A receipt. The member is named in one way or not at all; a purchase of nobody is kept and earns
/// nothing.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
pub(super) struct RecordPurchaseIn {
    /// Where it was printed.
    store_id: StoreId,
    /// What the receipt says, unique in the store for ever.
    receipt_number: ReceiptNumber,
    /// Who bought, by id.
    member_id: Option<MemberId>,
    /// Who bought, by card.
    card_number: Option<CardNumber>,
    /// Who bought, by telephone number.
    phone: Option<Telephone>,
    /// When; without it, now. At most five minutes ahead of our clock.
    occurred_at: Option<Moment>,
    /// What was bought.
    #[oai(validator(min_items = 1, max_items = 500))]
    lines: Vec<LineIn>,
}

/// What one rule of the programme gives for a receipt.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Earned", skip_serializing_if_is_none)]
struct EarnedOut {
    /// The rule's name.
    rule: String,
    /// The part of the receipt that it took, in minor units.
    amount: Minor,
    /// The points that it gives.
    points: Quantity,
    /// Points that a limit of the programme kept back.
    capped: Quantity,
    /// How many points the merchant gives by the rule instead of the rule's own, where it chose.
    own: Option<Quantity>,
}

/// A purchase as it was recorded.
#[derive(Debug, Clone, Object)]
#[oai(rename = "RecordedPurchase", skip_serializing_if_is_none)]
pub(super) struct PurchaseOut {
    /// The purchase's id.
    purchase_id: PurchaseId,
    /// The sum of its lines, in minor units.
    total: Minor,
    /// The part of it that points had paid, in minor units.
    paid_by_points: Minor,
    /// The currency of every amount.
    currency: Currency,
    /// The points that it earned.
    points: Quantity,
    /// By which rules.
    rules: Vec<EarnedOut>,
    /// Why it earns nothing, where its merchant gives no points for now.
    withheld: Option<WithheldWord>,
    /// The version of the programme that held.
    programme: i64,
    /// Who earned them.
    member_id: Option<MemberId>,
    /// The member's balance just after it: what can be spent, less what is owed.
    balance: Option<Signed>,
    /// When it happened.
    occurred_at: Moment,
}

/// What a purchase would earn.
#[derive(Debug, Clone, Object)]
#[oai(rename = "PurchasePreview", skip_serializing_if_is_none)]
struct PreviewOut {
    /// The sum of the lines, in minor units.
    total: Minor,
    /// The part of it that points have paid, in minor units.
    paid_by_points: Minor,
    /// The currency of every amount.
    currency: Currency,
    /// The points that it would earn.
    points: Quantity,
    /// By which rules.
    rules: Vec<EarnedOut>,
    /// Why it earns nothing, where its merchant gives no points for now.
    withheld: Option<WithheldWord>,
    /// The version of the programme that would hold.
    programme: i64,
    /// Who would earn them.
    member_id: Option<MemberId>,
    /// Why, in sentences.
    explanation: Vec<String>,
}

/// One line of a receipt.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Line")]
struct LineOut {
    /// What kind of goods.
    category: Category,
    /// How many.
    quantity: Quantity,
    /// What they cost together, in minor units.
    amount: Minor,
}

/// A refund of a purchase.
#[derive(Debug, Clone, Object)]
#[oai(rename = "PurchaseRefund")]
struct RefundOut {
    /// The refund's id.
    refund_id: RefundId,
    /// What the store calls it.
    reference: ReceiptNumber,
    /// What was refunded, in minor units.
    amount: Minor,
    /// Points taken back.
    points_taken: Quantity,
    /// Points that were owed because of it.
    points_owed: Quantity,
    /// Points given back that had paid.
    points_given_back: Quantity,
    /// When it happened.
    occurred_at: Moment,
}

/// A purchase and what became of it.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Purchase", skip_serializing_if_is_none)]
struct FoundOut {
    /// The purchase's id.
    purchase_id: PurchaseId,
    /// At which merchant.
    merchant_id: MerchantId,
    /// In which store.
    store_id: StoreId,
    /// What the receipt says.
    receipt_number: ReceiptNumber,
    /// What was bought.
    lines: Vec<LineOut>,
    /// The sum of its lines, in minor units.
    total: Minor,
    /// The part of it that points had paid, in minor units.
    paid_by_points: Minor,
    /// What was refunded of it so far, in minor units.
    refunded: Minor,
    /// The currency of every amount.
    currency: Currency,
    /// The points that it earned when it was recorded.
    points: Quantity,
    /// By which rules.
    rules: Vec<EarnedOut>,
    /// Why it earns nothing, where its merchant gives no points for now.
    withheld: Option<WithheldWord>,
    /// The version of the programme that held.
    programme: i64,
    /// Who earned them.
    member_id: Option<MemberId>,
    /// Its refunds, the oldest first; at most 100.
    refunds: Vec<RefundOut>,
    /// When it happened.
    occurred_at: Moment,
}

impl From<Earned> for EarnedOut {
    fn from(earned: Earned) -> Self {
        Self {
            rule: earned.rule,
            amount: Minor(earned.amount),
            points: Quantity(earned.points),
            capped: Quantity(earned.capped),
            own: earned.own.map(Quantity),
        }
    }
}

impl PurchaseOut {
    fn of(receipt: Receipt, currency: Currency) -> Self {
        Self {
            purchase_id: receipt.purchase,
            total: Minor(receipt.total),
            paid_by_points: Minor(receipt.paid_by_points),
            currency,
            points: Quantity(receipt.points),
            rules: receipt.rules.into_iter().map(EarnedOut::from).collect(),
            withheld: receipt.withheld.map(WithheldWord::from),
            programme: receipt.programme,
            member_id: receipt.member,
            balance: receipt.balance.map(Signed),
            occurred_at: Moment(receipt.occurred_at),
        }
    }
}

impl PreviewOut {
    fn of(receipt: Receipt, currency: Currency) -> Self {
        Self {
            explanation: quotes::explain(&receipt, currency),
            total: Minor(receipt.total),
            paid_by_points: Minor(receipt.paid_by_points),
            currency,
            points: Quantity(receipt.points),
            rules: receipt.rules.into_iter().map(EarnedOut::from).collect(),
            withheld: receipt.withheld.map(WithheldWord::from),
            programme: receipt.programme,
            member_id: receipt.member,
        }
    }
}

impl From<FoundRefund> for RefundOut {
    fn from(refund: FoundRefund) -> Self {
        Self {
            refund_id: refund.id,
            reference: refund.reference,
            amount: Minor(refund.amount),
            points_taken: Quantity(refund.points_taken),
            points_owed: Quantity(refund.points_owed),
            points_given_back: Quantity(refund.points_given_back),
            occurred_at: Moment(refund.occurred_at),
        }
    }
}

impl FoundOut {
    fn of(found: Found, currency: Currency) -> Self {
        let lines = found.lines.into_iter().map(|line| LineOut {
            category: line.category,
            quantity: Quantity(line.quantity),
            amount: Minor(line.amount),
        });
        let receipt = found.receipt;
        Self {
            purchase_id: receipt.purchase,
            merchant_id: found.merchant,
            store_id: found.store,
            receipt_number: found.receipt_number,
            lines: lines.collect(),
            total: Minor(receipt.total),
            paid_by_points: Minor(receipt.paid_by_points),
            refunded: Minor(found.refunded),
            currency,
            points: Quantity(receipt.points),
            rules: receipt.rules.into_iter().map(EarnedOut::from).collect(),
            withheld: receipt.withheld.map(WithheldWord::from),
            programme: receipt.programme,
            member_id: receipt.member,
            refunds: found.refunds.into_iter().map(RefundOut::from).collect(),
            occurred_at: Moment(receipt.occurred_at),
        }
    }
}

/// A receipt to be recorded.
pub(super) struct Recording {
    pub(super) grant: Grant<RecordPurchase>,
    pub(super) body: RecordPurchaseIn,
}

/// The members of a slice of receipts, by the numbers that name them.
struct Named {
    cards: HashMap<CardNumber, MemberId>,
    phones: HashMap<Phone, MemberId>,
    calling_code: String,
}

impl Named {
    async fn look_up(
        tx: &mut ReadTx,
        mall: &Mall,
        slice: &[&Recording],
    ) -> Result<Self, db::Error> {
        let calling_code = mall.tenant.calling_code.clone();
        let bodies = || slice.iter().map(|recording| &recording.body);
        let cards: Vec<CardNumber> = bodies()
            .filter_map(|body| body.card_number.clone())
            .collect();
        let phones: Vec<Phone> = bodies()
            .filter_map(|body| body.phone.as_ref()?.within(&calling_code))
            .collect();
        Ok(Self {
            cards: if cards.is_empty() {
                HashMap::new()
            } else {
                members::by_cards(tx, &cards).await?
            },
            phones: if phones.is_empty() {
                HashMap::new()
            } else {
                members::by_phones(tx, &phones).await?
            },
            calling_code,
        })
    }

    /// Who bought, by whichever way the member is named.
    fn member(&self, body: &RecordPurchaseIn) -> Result<Option<MemberId>, Problem> {
        let found = match (body.member_id, &body.card_number, &body.phone) {
            (member, None, None) => return Ok(member),
            (None, Some(card), None) => self.cards.get(card),
            (None, None, Some(phone)) => phone
                .within(&self.calling_code)
                .and_then(|phone| self.phones.get(&phone)),
            _ => return Err(Problem::of(&codes::MEMBER_NOT_ONE)),
        };
        match found {
            Some(member) => Ok(Some(*member)),
            None => Err(EarnError::UnknownMember.into()),
        }
    }
}

impl Recording {
    fn item(&self, named: &Named, now: Instant) -> Result<Item, Problem> {
        let body = &self.body;
        let lines = body.lines.iter().map(|line| Line {
            category: line.category.clone(),
            quantity: line.quantity.0,
            amount: line.amount.0,
        });
        Ok(Item {
            grant: self.grant.clone(),
            store: body.store_id,
            receipt_number: body.receipt_number.clone(),
            member: named.member(body)?,
            lines: lines.collect(),
            occurred_at: body.occurred_at.map_or(now, |moment| moment.0),
        })
    }

    /// Records the receipts of a slice; an answer for each.
    async fn record(
        tx: &mut Tx,
        mall: &Mall,
        slice: &[&Self],
        believed: Believed<'_>,
    ) -> Result<Vec<Result<Receipt, Problem>>, db::Error> {
        let named = Named::look_up(tx, mall, slice).await?;
        let now = tx.now();
        let (items, refused) = parted(slice.iter().map(|one| one.item(&named, now)));
        let answers = earning::record(tx, &mall.earning, &items, believed).await?;
        Ok(joined(answers, refused))
    }
}

impl Hot for Recording {
    type Action = RecordPurchase;
    type Answer = PurchaseOut;
    const NAME: &'static str = "record_purchase";

    fn grant(&self) -> &Grant<RecordPurchase> {
        &self.grant
    }

    async fn post(
        tx: &mut Tx,
        mall: &Mall,
        slice: &[&Self],
        wary: bool,
    ) -> Result<Vec<Outcome<PurchaseOut>>, db::Error> {
        let currency = mall.tenant.currency;
        let answer = |receipt: Receipt| {
            let before = receipt.replayed;
            Done::recorded(before, PurchaseOut::of(receipt, currency))
        };
        let believed = Believed {
            stores: Some(&mall.stores),
            new: !wary,
        };
        let receipts = Self::record(tx, mall, slice, believed).await?;
        Ok(receipts.into_iter().map(|one| one.map(answer)).collect())
    }
}

/// A receipt of which only the answer is wanted.
struct Rehearsal {
    mall: Arc<Mall>,
    recording: Recording,
}

impl Work for Rehearsal {
    type Answer = PreviewOut;

    async fn run(&self, tx: &mut Tx) -> Result<Done<PreviewOut>, Problem> {
        let receipts =
            Recording::record(tx, &self.mall, &[&self.recording], Believed::default()).await?;
        let answer = PreviewOut::of(super::only(receipts)?, self.mall.tenant.currency);
        Ok(Done::changed(answer))
    }
}

#[OpenApi(tag = "Group::Till")]
impl Purchases {
    /// Record a purchase
    ///
    /// The member earns by the programme that held when it happened. A receipt number means one
    /// receipt of its store for ever: the same receipt again, under whatever Idempotency-Key, is
    /// answered 200 as it was the first time; other content under the number is 409
    /// `receipt-taken`. 409 `suspended` where the store or its merchant is suspended,
    /// `in-the-future`, `member-not-one` where the member is named in more than one way.
    #[oai(
        path = "/v1/purchases",
        method = "post",
        operation_id = "record_purchase"
    )]
    async fn record_purchase(
        &self,
        caller: Hasty<RecordPurchase>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<RecordPurchaseIn>,
    ) -> Result<Recorded<PurchaseOut>, Problem> {
        let Hasty(caller) = caller;
        let mall = caller.mall().await?;
        let recording = Recording {
            grant: caller.grant.clone(),
            body: body.value,
        };
        let lane = &self.lane;
        lane.once(&caller, &key, &body.digest, mall, recording)
            .await
    }

    /// Preview a purchase
    ///
    /// Says what recording this receipt would earn, and why. Does the same as recording it and
    /// then takes everything back: nothing is written, so that no Idempotency-Key is needed, and
    /// whatever would be refused is refused here too.
    #[oai(
        path = "/v1/purchases/preview",
        method = "post",
        operation_id = "preview_purchase"
    )]
    async fn preview_purchase(
        &self,
        caller: Caller<RecordPurchase>,
        body: Body<RecordPurchaseIn>,
    ) -> Result<Reply<200, PreviewOut>, Problem> {
        let recording = Recording {
            grant: caller.grant.clone(),
            body: body.value,
        };
        let rehearsal = Rehearsal {
            mall: caller.mall().await?,
            recording,
        };
        let preview = work::rehearsed(&caller, &rehearsal).await?;
        Ok(Reply::new(&preview))
    }

    /// Read a purchase
    ///
    /// With its lines and its refunds. A merchant's key sees its own purchases only.
    #[oai(
        path = "/v1/purchases/:purchase_id",
        method = "get",
        operation_id = "get_purchase"
    )]
    async fn get_purchase(
        &self,
        caller: Caller<ReadPurchases>,
        purchase_id: Path<PurchaseId>,
    ) -> Result<Reply<200, FoundOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let found = earning::get(&mut tx, &caller.grant, purchase_id.0).await?;
        let found = found.ok_or(EarnError::UnknownPurchase)?;
        Ok(Reply::new(&FoundOut::of(found, caller.tenant.currency)))
    }
}
