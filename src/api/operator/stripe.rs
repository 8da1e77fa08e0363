//! Payments through Stripe: what was asked for there, and to which accounts merchants are paid.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use crate::{
    api::{
        Group,
        words::{LegKindWord, LegStateWord},
    },
    authz::action::{ReadSettlements, ReadStripeAccount, RecordPayment, SetStripeAccount},
    http::{
        admit::Caller,
        body::Body,
        codes,
        paging::{self, List},
        problem::Problem,
        reply::Reply,
        wire::{Cursor, Limit, LineNumber, Moment, Positive, Quantity},
    },
    kernel::{
        ids::{LegId, MerchantId, SettlementId},
        text::{Code, StripeAccount},
    },
    merchants::accounts::{self, PaidTo},
    settlement::stripe::{self, Leg},
};

/// Operations on payments through Stripe.
#[derive(Debug)]
pub struct Stripe;

/// An invoice or a transfer at Stripe.
#[derive(Debug, Clone, Object)]
#[oai(rename = "StripeLeg", skip_serializing_if_is_none)]
struct LegOut {
    /// Its id; Stripe's metadata has it as `rotunda_leg`.
    leg_id: LegId,
    /// Of which settlement.
    settlement_id: SettlementId,
    /// Which of the two.
    kind: LegKindWord,
    /// Who pays the invoice, or receives the transfer.
    merchant_id: MerchantId,
    /// What lists call that merchant.
    merchant_code: Option<Code>,
    /// The numbers of the payments that go through it.
    lines: Vec<LineNumber>,
    /// Their sum, in minor units.
    amount: Positive,
    /// How far it is.
    state: LegStateWord,
    /// How often it was tried since it was asked for, or somebody asked for another try.
    attempts: i32,
    /// Why the last try failed: connection, timeout, unreadable, answered-503 and refused-402 (and
    /// other numbers of Stripe's, with what it says), draft-amount, no-contact, no-account,
    /// stripe-is-off; or what Stripe said besides: payment-failed, uncollectible, reversed; new ones
    /// may be added.
    problem: Option<String>,
    /// What Stripe calls it.
    stripe_id: Option<String>,
    /// When it was asked for.
    created_at: Moment,
    /// When it changed last.
    changed_at: Moment,
}

impl From<Leg> for LegOut {
    fn from(leg: Leg) -> Self {
        Self {
            leg_id: leg.id,
            settlement_id: leg.settlement,
            kind: leg.kind.into(),
            merchant_id: leg.merchant,
            merchant_code: leg.code,
            lines: leg.lines.into_iter().map(LineNumber).collect(),
            amount: Positive(leg.amount),
            state: leg.state.into(),
            attempts: leg.attempts,
            problem: leg.problem,
            stripe_id: leg.stripe_id,
            created_at: Moment(leg.created_at),
            changed_at: Moment(leg.changed_at),
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone, Object)]
#[oai(rename = "StripeRequested")]
struct RequestedOut {
    /// Of which settlement.
    settlement_id: SettlementId,
    /// Invoices that are new.
    invoices: Quantity,
    /// Transfers that are new; those of what an invoice is to bring follow when it is paid.
    transfers: Quantity,
}

/// To which account a merchant is to be paid.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct SetStripeAccountIn {
    /// The merchant's connected account.
    account: StripeAccount,
}

/// To which account at Stripe a merchant is paid.
#[derive(Debug, Clone, Object)]
#[oai(rename = "StripeAccount")]
struct AccountOut {
    /// Whose.
    merchant_id: MerchantId,
    /// The connected account.
    account: StripeAccount,
    /// Since when.
    changed_at: Moment,
}

impl AccountOut {
    fn of(merchant_id: MerchantId, paid_to: PaidTo) -> Self {
        Self {
            merchant_id,
            account: paid_to.account,
            changed_at: Moment(paid_to.changed_at),
        }
    }
}

/// That the mall has an account at Stripe.
fn on(caller: &Caller<RecordPayment>) -> Result<(), Problem> {
    let account = caller.app().stripe.of(&caller.tenant.slug);
    account
        .map(|_| ())
        .ok_or_else(|| Problem::of(&codes::STRIPE_OFF))
}

#[OpenApi(tag = "Group::Operator")]
impl Stripe {
    /// Have what is due go through Stripe
    ///
    /// One invoice for each merchant that pays, over all that it pays, sent by Stripe to its address;
    /// when it is paid, a transfer of each payment to its receiver's account. What the operator pays is
    /// transferred at once. With its last invoice or transfer a payment is recorded by itself, and the
    /// settlement closes with its last payment. Said again it asks for what is due and does not go
    /// there yet. 409 `stripe-off`, `stripe-incomplete`, `stripe-currency`, `out-of-turn`.
    #[oai(
        path = "/v1/settlements/:settlement_id/stripe",
        method = "post",
        operation_id = "pay_by_stripe"
    )]
    async fn pay_by_stripe(
        &self,
        caller: Caller<RecordPayment>,
        settlement_id: Path<SettlementId>,
    ) -> Result<Reply<200, RequestedOut>, Problem> {
        on(&caller)?;
        let (id, currency) = (settlement_id.0, caller.tenant.currency);
        let mut tx = caller.db().write(&caller.grant).await?;
        let requested = stripe::request(&mut tx, &caller.grant, id, currency).await?;
        tx.commit().await?;
        caller.app().bell.ring(caller.tenant.id);
        let count = |number: usize| Quantity(i64::try_from(number).unwrap_or(i64::MAX));
        Ok(Reply::new(&RequestedOut {
            settlement_id: id,
            invoices: count(requested.invoices),
            transfers: count(requested.transfers),
        }))
    }

    /// List a settlement's invoices and transfers
    ///
    /// What was asked of Stripe, in that order. A merchant's key sees the invoices that the merchant
    /// itself pays and the transfers that it receives.
    #[oai(
        path = "/v1/settlements/:settlement_id/stripe",
        method = "get",
        operation_id = "list_stripe_legs"
    )]
    async fn list_stripe_legs(
        &self,
        caller: Caller<ReadSettlements>,
        settlement_id: Path<SettlementId>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<LegOut>>, Problem> {
        let url = format!("/v1/settlements/{}/stripe", settlement_id.0);
        let slice = paging::slice(caller.app(), &url, limit.0, cursor.0.as_ref())?;
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = stripe::legs(&mut tx, &caller.grant, settlement_id.0, &slice).await?;
        let list = List::new(caller.app(), &url, page, LegOut::from);
        Ok(Reply::new(&list))
    }

    /// Have Stripe asked again
    ///
    /// What was given up is tried anew; of what is open, Stripe is asked how it is. 409 `stripe-off`,
    /// `stripe-leg-out-of-step`.
    #[oai(
        path = "/v1/stripe/:leg_id/retry",
        method = "post",
        operation_id = "retry_stripe_leg"
    )]
    async fn retry_stripe_leg(
        &self,
        caller: Caller<RecordPayment>,
        leg_id: Path<LegId>,
    ) -> Result<Reply<200, LegOut>, Problem> {
        on(&caller)?;
        let mut tx = caller.db().write(&caller.grant).await?;
        let leg = stripe::retry(&mut tx, &caller.grant, leg_id.0).await?;
        tx.commit().await?;
        caller.app().bell.ring(caller.tenant.id);
        Ok(Reply::new(&leg.into()))
    }

    /// Cancel an invoice or a transfer
    ///
    /// Ends an invoice that nobody has paid, or a transfer that was not made: then its payments can be
    /// made in another way. Said again it changes nothing. 409 `stripe-off`, `stripe-leg-out-of-step`.
    #[oai(
        path = "/v1/stripe/:leg_id/cancel",
        method = "post",
        operation_id = "cancel_stripe_leg"
    )]
    async fn cancel_stripe_leg(
        &self,
        caller: Caller<RecordPayment>,
        leg_id: Path<LegId>,
    ) -> Result<Reply<200, LegOut>, Problem> {
        on(&caller)?;
        let mut tx = caller.db().write(&caller.grant).await?;
        let leg = stripe::cancel(&mut tx, &caller.grant, leg_id.0).await?;
        tx.commit().await?;
        caller.app().bell.ring(caller.tenant.id);
        Ok(Reply::new(&leg.into()))
    }

    /// Read to which account a merchant is paid
    ///
    /// 404 `unknown-stripe-account` where nobody said any.
    #[oai(
        path = "/v1/merchants/:merchant_id/stripe",
        method = "get",
        operation_id = "get_stripe_account"
    )]
    async fn get_stripe_account(
        &self,
        caller: Caller<ReadStripeAccount>,
        merchant_id: Path<MerchantId>,
    ) -> Result<Reply<200, AccountOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let found = accounts::get(&mut tx, &caller.grant, merchant_id.0).await?;
        Ok(Reply::new(&AccountOut::of(merchant_id.0, found)))
    }

    /// Say to which account a merchant is paid
    ///
    /// The merchant's connected account at the operator's Stripe account. The same again changes
    /// nothing.
    #[oai(
        path = "/v1/merchants/:merchant_id/stripe",
        method = "put",
        operation_id = "set_stripe_account"
    )]
    async fn set_stripe_account(
        &self,
        caller: Caller<SetStripeAccount>,
        merchant_id: Path<MerchantId>,
        body: Body<SetStripeAccountIn>,
    ) -> Result<Reply<200, AccountOut>, Problem> {
        let account = body.value.account;
        let mut tx = caller.db().write(&caller.grant).await?;
        let set = accounts::set(&mut tx, &caller.grant, merchant_id.0, &account).await?;
        tx.commit().await?;
        Ok(Reply::new(&AccountOut::of(merchant_id.0, set)))
    }
}
