//! Refunds: what a purchase earned is taken back, what points had paid is given back.

use poem_openapi::{Object, OpenApi, param::Path};

use crate::{
    api::Group,
    app::Mall,
    authz::{action::RefundPurchase, grant::Grant},
    db::{self, tx::Tx},
    earning::{self, RefundAmount, RefundItem, RefundReceipt},
    http::{
        admit::Hasty,
        body::Body,
        idempotency::IdempotencyKey,
        lane::{Hot, Lane, Outcome},
        problem::Problem,
        reply::Recorded,
        wire::{Minor, Moment, Positive, Quantity, Signed},
        work::Done,
    },
    kernel::{
        ids::{PurchaseId, RefundId},
        money::Currency,
        text::ReceiptNumber,
        time::Instant,
    },
};

/// Operations on refunds.
#[derive(Debug, Default)]
pub struct Refunds {
    lane: Lane<Refunding>,
}

/// A refund of a purchase, in whole or in part.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
pub(super) struct RefundPurchaseIn {
    /// What the store calls the refund, unique within the purchase for ever.
    pub(super) reference: ReceiptNumber,
    /// What is refunded, in minor units; without it, all that is left of the purchase.
    pub(super) amount: Option<Positive>,
    /// When; without it, now. At most five minutes ahead of our clock.
    pub(super) occurred_at: Option<Moment>,
}

/// A refund as it was recorded.
#[derive(Debug, Clone, Object)]
#[oai(rename = "RecordedRefund", skip_serializing_if_is_none)]
pub(super) struct RefundOut {
    /// The refund's id.
    refund_id: RefundId,
    /// Of which purchase.
    purchase_id: PurchaseId,
    /// What was refunded, in minor units.
    amount: Minor,
    /// The currency of the amount.
    currency: Currency,
    /// Points taken back from the member.
    points_taken: Quantity,
    /// Points that the member owes now because of it.
    points_owed: Quantity,
    /// Points given back that had paid for the purchase.
    points_given_back: Quantity,
    /// The member's balance just after it; below zero where points are owed.
    balance: Option<Signed>,
    /// When it happened.
    occurred_at: Moment,
}

impl RefundOut {
    fn of(receipt: &RefundReceipt, currency: Currency) -> Self {
        Self {
            refund_id: receipt.refund,
            purchase_id: receipt.purchase,
            amount: Minor(receipt.amount),
            currency,
            points_taken: Quantity(receipt.points_taken),
            points_owed: Quantity(receipt.points_owed),
            points_given_back: Quantity(receipt.points_given_back),
            balance: receipt.balance.map(Signed),
            occurred_at: Moment(receipt.occurred_at),
        }
    }
}

/// A refund to be recorded.
pub(super) struct Refunding {
    pub(super) grant: Grant<RefundPurchase>,
    pub(super) purchase: PurchaseId,
    pub(super) body: RefundPurchaseIn,
}

impl Refunding {
    fn item(&self, now: Instant) -> RefundItem {
        let body = &self.body;
        RefundItem {
            grant: self.grant.clone(),
            purchase: self.purchase,
            reference: body.reference.clone(),
            amount: body
                .amount
                .map_or(RefundAmount::Rest, |amount| RefundAmount::Minor(amount.0)),
            occurred_at: body.occurred_at.map_or(now, |moment| moment.0),
        }
    }
}

impl Hot for Refunding {
    type Action = RefundPurchase;
    type Answer = RefundOut;
    const NAME: &'static str = "refund_purchase";

    fn grant(&self) -> &Grant<RefundPurchase> {
        &self.grant
    }

    async fn post(
        tx: &mut Tx,
        mall: &Mall,
        slice: &[&Self],
        _wary: bool,
    ) -> Result<Vec<Outcome<RefundOut>>, db::Error> {
        let now = tx.now();
        let items: Vec<RefundItem> = slice.iter().map(|one| one.item(now)).collect();
        let answer = |receipt: RefundReceipt| {
            let answer = RefundOut::of(&receipt, mall.tenant.currency);
            Done::recorded(receipt.replayed, answer)
        };
        let receipts = earning::refund(tx, &mall.earning, &items).await?;
        let outcomes = receipts.into_iter();
        Ok(outcomes
            .map(|one| one.map(answer).map_err(Problem::from))
            .collect())
    }
}

#[OpenApi(tag = "Group::Till")]
impl Refunds {
    /// Refund a purchase
    ///
    /// Takes back the share of the points that it earned and gives back the share of the points
    /// that had paid; what the member has spent already is owed. Suspended merchants refund too.
    /// A reference means one refund of its purchase for ever: the same again is answered 200 as it
    /// was the first time, other content is 409 `reference-taken`. 409 `refund-too-large` where
    /// less than that is left.
    #[oai(
        path = "/v1/purchases/:purchase_id/refunds",
        method = "post",
        operation_id = "refund_purchase"
    )]
    async fn refund_purchase(
        &self,
        caller: Hasty<RefundPurchase>,
        purchase_id: Path<PurchaseId>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<RefundPurchaseIn>,
    ) -> Result<Recorded<RefundOut>, Problem> {
        let Hasty(caller) = caller;
        let mall = caller.mall().await?;
        let refunding = Refunding {
            grant: caller.grant.clone(),
            purchase: purchase_id.0,
            body: body.value,
        };
        let lane = &self.lane;
        lane.once(&caller, &key, &body.digest, mall, refunding)
            .await
    }
}
