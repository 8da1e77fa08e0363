//! Points that pay part of a receipt.

use poem_openapi::{Object, OpenApi};

use crate::{
    api::{Group, words::FormWord},
    app::Mall,
    authz::{action::SpendPoints, grant::Grant},
    db::{self, tx::Tx},
    http::{
        admit::{Caller, Hasty},
        body::Body,
        idempotency::IdempotencyKey,
        lane::{Hot, Lane, Outcome},
        problem::Problem,
        refusals,
        reply::{Recorded, Reply},
        wire::{Minor, Moment, Positive, Quantity, Signed},
        work::Done,
    },
    kernel::{
        ids::{MemberId, SpendId, StoreId},
        money::Currency,
        text::ReceiptNumber,
        time::Instant,
    },
    redemption::{self, Limits, Quote, SpendItem, SpendQuestion, SpendReceipt, Wanted},
};

/// Operations on points at the till.
#[derive(Debug, Default)]
pub struct Spends {
    lane: Lane<Spending>,
}

/// A receipt that points are to pay part of.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
pub(super) struct SpendIn {
    /// Where.
    store_id: StoreId,
    /// What the receipt says, unique in the store for ever; the purchase that is recorded later
    /// under the same number counts these points as paid.
    receipt_number: ReceiptNumber,
    /// Whose points.
    member_id: MemberId,
    /// What the receipt comes to after coupons, in minor units.
    total: Minor,
    /// How many points; these or none.
    points: Positive,
    /// How they pay; without it, in the mall's usual form.
    form: Option<FormWord>,
    /// When; without it, now. At most five minutes ahead of our clock.
    occurred_at: Option<Moment>,
}

/// A receipt about which a till asks.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct QuestionIn {
    /// Where.
    store_id: StoreId,
    /// Whose points.
    member_id: MemberId,
    /// What the receipt comes to after coupons, in minor units.
    total: Minor,
    /// At most so many points; without it, as many as possible.
    points: Option<Quantity>,
    /// How they pay; without it, in the mall's usual form.
    form: Option<FormWord>,
}

/// What points did to a receipt.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Spend")]
pub(super) struct SpendOut {
    /// The spend's id.
    spend_id: SpendId,
    /// Points taken.
    points: Quantity,
    /// What they took off, in minor units.
    pays: Minor,
    /// What is left to pay in money, in minor units.
    to_pay: Minor,
    /// The currency of both amounts.
    currency: Currency,
    /// The member's balance just after it: what can be spent, less what is owed.
    balance: Signed,
    /// When it happened.
    occurred_at: Moment,
}

/// What points would do to a receipt.
#[derive(Debug, Clone, Object)]
#[oai(rename = "SpendPreview")]
struct QuoteOut {
    /// How the points would pay.
    form: FormWord,
    /// How many points would be taken.
    points: Quantity,
    /// What they would take off, in minor units.
    pays: Minor,
    /// What would be left to pay in money, in minor units.
    to_pay: Minor,
    /// The currency of both amounts.
    currency: Currency,
    /// The most points that this total admits, whatever the member has.
    most_points: Quantity,
    /// Why, line by line.
    explanation: Vec<String>,
}

impl QuoteOut {
    fn of(quote: &Quote, currency: Currency) -> Self {
        Self {
            form: quote.form.into(),
            points: Quantity(quote.points),
            pays: Minor(quote.pays),
            to_pay: Minor(quote.to_pay),
            currency,
            most_points: Quantity(quote.most_points),
            explanation: quote.explanation.iter().map(ToString::to_string).collect(),
        }
    }
}

impl SpendOut {
    fn of(receipt: &SpendReceipt, currency: Currency) -> Option<Self> {
        Some(Self {
            spend_id: receipt.spend?,
            points: Quantity(receipt.points),
            pays: Minor(receipt.pays),
            to_pay: Minor(receipt.to_pay),
            currency,
            balance: Signed(receipt.balance),
            occurred_at: Moment(receipt.occurred_at),
        })
    }
}

/// Points to be taken.
pub(super) struct Spending {
    pub(super) grant: Grant<SpendPoints>,
    pub(super) body: SpendIn,
}

impl Spending {
    fn item(&self, now: Instant) -> SpendItem {
        let body = &self.body;
        SpendItem {
            grant: self.grant.clone(),
            store: body.store_id,
            receipt_number: body.receipt_number.clone(),
            member: body.member_id,
            total: body.total.0,
            points: Wanted::Exactly(body.points.0),
            form: body.form.map(Into::into),
            limits: Limits::Kept,
            occurred_at: body.occurred_at.map_or(now, |moment| moment.0),
        }
    }
}

impl Hot for Spending {
    type Action = SpendPoints;
    type Answer = SpendOut;
    const NAME: &'static str = "spend_points";

    fn grant(&self) -> &Grant<SpendPoints> {
        &self.grant
    }

    async fn post(
        tx: &mut Tx,
        mall: &Mall,
        slice: &[&Self],
        _wary: bool,
    ) -> Result<Vec<Outcome<SpendOut>>, db::Error> {
        let now = tx.now();
        let items: Vec<SpendItem> = slice.iter().map(|one| one.item(now)).collect();
        let answer = |receipt: SpendReceipt| {
            let answer = SpendOut::of(&receipt, mall.tenant.currency);
            // Exactly so many points, one at least, always leave a trace.
            let answer = answer.ok_or_else(|| refusals::corrupt("spend"))?;
            Ok(Done::recorded(receipt.replayed, answer))
        };
        let receipts = redemption::spend(tx, &mall.redemption, &items, Some(&mall.stores)).await?;
        let outcomes = receipts.into_iter();
        Ok(outcomes
            .map(|one| one.map_err(Problem::from).and_then(answer))
            .collect())
    }
}

#[OpenApi(tag = "Group::Till")]
impl Spends {
    /// Pay with points
    ///
    /// Takes exactly these points, if the programme and the balance admit them. A receipt number
    /// means one receipt of its store for ever: the same again is answered 200 as it was the first
    /// time, other content is 409 `receipt-taken`. 409 `not-enough-points`, `over-the-limit`,
    /// `store-may-not-spend`, `suspended`, `form-not-offered`, `in-the-future`.
    #[oai(path = "/v1/spends", method = "post", operation_id = "spend_points")]
    async fn spend_points(
        &self,
        caller: Hasty<SpendPoints>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<SpendIn>,
    ) -> Result<Recorded<SpendOut>, Problem> {
        let Hasty(caller) = caller;
        let mall = caller.mall().await?;
        let spending = Spending {
            grant: caller.grant.clone(),
            body: body.value,
        };
        let lane = &self.lane;
        lane.once(&caller, &key, &body.digest, mall, spending).await
    }

    /// Preview paying with points
    ///
    /// Says how many points would pay how much of this total, and why. Nothing is written.
    #[oai(
        path = "/v1/spends/preview",
        method = "post",
        operation_id = "preview_spend"
    )]
    async fn preview_spend(
        &self,
        caller: Caller<SpendPoints>,
        body: Body<QuestionIn>,
    ) -> Result<Reply<200, QuoteOut>, Problem> {
        let body = body.value;
        let question = SpendQuestion {
            store: body.store_id,
            member: body.member_id,
            total: body.total.0,
            points: body.points.map(|points| points.0),
            form: body.form.map(Into::into),
        };
        let mall = caller.mall().await?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let terms = &mall.redemption;
        let quote = redemption::preview(&mut tx, &caller.grant, terms, &question).await?;
        Ok(Reply::new(&QuoteOut::of(&quote, mall.tenant.currency)))
    }
}
