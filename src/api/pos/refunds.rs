//! Refunds: what a purchase earned is taken back, what points had paid is given back.

use std::sync::Arc;

use poem_openapi::{Object, OpenApi, param::Path};

use crate::{
    api::Group,
    app::Mall,
    authz::{action::RefundPurchase, grant::Grant},
    db::tx::Tx,
    earning::{self, RefundAmount, RefundItem, RefundReceipt},
    http::{
        admit::Caller,
        body::Body,
        idempotency::IdempotencyKey,
        problem::Problem,
        reply::Recorded,
        wire::{Minor, Moment, Positive, Quantity, Signed},
        work::{self, Done, Work},
    },
    kernel::{
        ids::{PurchaseId, RefundId},
        money::Currency,
        text::ReceiptNumber,
    },
};

/// Operations on refunds.
#[derive(Debug)]
pub struct Refunds;

/// A refund of a purchase, in whole or in part.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct RefundPurchaseIn {
    /// What the store calls the refund, unique within the purchase for ever.
    reference: ReceiptNumber,
    /// What is refunded, in minor units; without it, all that is left of the purchase.
    amount: Option<Positive>,
    /// When; without it, now. At most five minutes ahead of our clock.
    occurred_at: Option<Moment>,
}

/// A refund as it was recorded.
#[derive(Debug, Clone, Object)]
#[oai(rename = "RecordedRefund", skip_serializing_if_is_none)]
struct RefundOut {
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

/// A refund to be recorded, as often as it takes.
struct Refunding {
    mall: Arc<Mall>,
    grant: Grant<RefundPurchase>,
    purchase: PurchaseId,
    body: RefundPurchaseIn,
}

impl Work for Refunding {
    type Answer = RefundOut;

    async fn run(&self, tx: &mut Tx) -> Result<Done<RefundOut>, Problem> {
        let body = &self.body;
        let item = RefundItem {
            grant: self.grant.clone(),
            purchase: self.purchase,
            reference: body.reference.clone(),
            amount: body
                .amount
                .map_or(RefundAmount::Rest, |amount| RefundAmount::Minor(amount.0)),
            occurred_at: body.occurred_at.map_or(tx.now(), |moment| moment.0),
        };
        let answers = earning::refund(tx, &self.mall.earning, &[item]).await?;
        let receipt = super::only(answers)?;
        let answer = RefundOut::of(&receipt, self.mall.tenant.currency);
        Ok(Done::recorded(receipt.replayed, answer))
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
        caller: Caller<RefundPurchase>,
        purchase_id: Path<PurchaseId>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<RefundPurchaseIn>,
    ) -> Result<Recorded<RefundOut>, Problem> {
        let refunding = Refunding {
            mall: caller.mall().await?,
            grant: caller.grant.clone(),
            purchase: purchase_id.0,
            body: body.value,
        };
        work::once(&caller, &key, &body.digest, &refunding).await
    }
}
