//! Disputes: objections to lines of a statement, and what was decided about them.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use crate::{
    api::{
        Group,
        words::{DisputeWord, OutcomeWord},
    },
    authz::action::{DecideDispute, RaiseDispute, ReadDisputes},
    http::{
        admit::Caller,
        body::Body,
        idempotency::{IdempotencyKey, Once},
        paging::{self, List},
        problem::Problem,
        reply::Reply,
        wire::{Cursor, Limit, LineNumber, Moment, Quantity, Text},
    },
    kernel::{
        ids::{DisputeId, JournalId, MerchantId, SettlementId, StatementId},
        money::Currency,
        time::Period,
    },
    settlement::disputes::{self, Dispute, Objection},
};

/// The address of the list of disputes.
const DISPUTES: &str = "/v1/disputes";

/// Operations on disputes.
#[derive(Debug)]
pub struct Disputes;

/// A line that is objected to.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct RaiseDisputeIn {
    /// The line's event.
    journal_id: JournalId,
    /// The line's number within the event.
    line: LineNumber,
    /// Why, in your words.
    reason: Text,
}

/// A decision.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct DecideDisputeIn {
    /// What is decided.
    outcome: OutcomeWord,
    /// Why, in your words.
    note: Text,
}

/// An objection to a line.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Dispute", skip_serializing_if_is_none)]
struct DisputeOut {
    /// The dispute's id.
    dispute_id: DisputeId,
    /// Of which settlement the line is.
    settlement_id: SettlementId,
    /// Of which period.
    period: Period,
    /// Who objects.
    merchant_id: MerchantId,
    /// The line's event.
    journal_id: JournalId,
    /// The line's number within the event.
    line: LineNumber,
    /// Who pays for the line.
    payer_merchant_id: MerchantId,
    /// Who receives for it.
    receiver_merchant_id: MerchantId,
    /// What the receiver gets for the line, in minor units; it waits for the decision.
    amount: Quantity,
    /// What the payer gives for it and gets back if the line does not hold, in minor units. Another
    /// amount where the operator or the pool bears part of the line.
    returned: Quantity,
    /// The currency of the amounts.
    currency: Currency,
    /// Why, in the merchant's words.
    reason: String,
    /// How far it is.
    state: DisputeWord,
    /// Whether the operator held the amount when the settlement was confirmed, because nobody had
    /// decided.
    held: bool,
    /// When it was raised.
    raised_at: Moment,
    /// By when the operator shall decide.
    decide_by: Moment,
    /// When it was decided.
    decided_at: Option<Moment>,
    /// Why, in the operator's words.
    note: Option<String>,
}

impl DisputeOut {
    fn of(dispute: Dispute, currency: Currency) -> Self {
        let decision = dispute.decision;
        Self {
            dispute_id: dispute.id,
            settlement_id: dispute.settlement,
            period: dispute.period,
            merchant_id: dispute.merchant,
            journal_id: dispute.journal,
            line: LineNumber(dispute.line),
            payer_merchant_id: dispute.payer,
            receiver_merchant_id: dispute.receiver,
            amount: Quantity(dispute.amount),
            returned: Quantity(dispute.returned),
            currency,
            reason: dispute.reason,
            state: dispute.state.into(),
            held: dispute.held,
            raised_at: Moment(dispute.raised_at),
            decide_by: Moment(dispute.decide_by),
            decided_at: decision
                .as_ref()
                .map(|decision| Moment(decision.decided_at)),
            note: decision.map(|decision| decision.note),
        }
    }
}

#[OpenApi(tag = "Group::Operator")]
impl Disputes {
    /// Dispute a line of a statement
    ///
    /// A line of points that one merchant issued and another took; either of the two may, until its
    /// statement is confirmed. Only the money of this line waits for the operator's decision, the
    /// rest settles. 409 `line-already-disputed`, `line-moves-no-money`, `dispute-too-late`.
    #[oai(
        path = "/v1/statements/:statement_id/disputes",
        method = "post",
        operation_id = "raise_dispute"
    )]
    async fn raise_dispute(
        &self,
        caller: Caller<RaiseDispute>,
        statement_id: Path<StatementId>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<RaiseDisputeIn>,
    ) -> Result<Reply<201, DisputeOut>, Problem> {
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let (zone, currency) = (caller.tenant.zone, caller.tenant.currency);
        let objection = Objection {
            statement: statement_id.0,
            journal: body.value.journal_id,
            line: body.value.line.0,
            reason: body.value.reason.as_str().to_owned(),
        };
        let raised = disputes::raise(once.tx(), &caller.grant, &objection, zone).await;
        once.finish(raised.map(|dispute| DisputeOut::of(dispute, currency)))
            .await
    }

    /// List the disputes
    ///
    /// The newest first. A merchant's key sees those about lines that the merchant pays or receives
    /// for.
    #[oai(path = "/v1/disputes", method = "get", operation_id = "list_disputes")]
    async fn list_disputes(
        &self,
        caller: Caller<ReadDisputes>,
        /// Only those of this state.
        state: Query<Option<DisputeWord>>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<DisputeOut>>, Problem> {
        let slice = paging::slice(caller.app(), DISPUTES, limit.0, cursor.0.as_ref())?;
        let (state, currency) = (state.0.map(Into::into), caller.tenant.currency);
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = disputes::list(&mut tx, &caller.grant, state, &slice).await?;
        let list = List::new(caller.app(), DISPUTES, page, |dispute| {
            DisputeOut::of(dispute, currency)
        });
        Ok(Reply::new(&list))
    }

    /// Read a dispute
    #[oai(
        path = "/v1/disputes/:dispute_id",
        method = "get",
        operation_id = "get_dispute"
    )]
    async fn get_dispute(
        &self,
        caller: Caller<ReadDisputes>,
        dispute_id: Path<DisputeId>,
    ) -> Result<Reply<200, DisputeOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let found = disputes::get(&mut tx, &caller.grant, dispute_id.0).await?;
        Ok(Reply::new(&DisputeOut::of(found, caller.tenant.currency)))
    }

    /// Decide a dispute
    ///
    /// Upheld, the money of the line goes back to who would pay it; rejected, to who would receive
    /// it. Once the settlement is confirmed that becomes part of the first period that is still open.
    /// 409 `dispute-already-decided`, `needs-second-person`.
    #[oai(
        path = "/v1/disputes/:dispute_id/decide",
        method = "post",
        operation_id = "decide_dispute"
    )]
    async fn decide_dispute(
        &self,
        caller: Caller<DecideDispute>,
        dispute_id: Path<DisputeId>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<DecideDisputeIn>,
    ) -> Result<Reply<200, DisputeOut>, Problem> {
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let (outcome, note) = (body.value.outcome.into(), body.value.note);
        let (id, currency) = (dispute_id.0, caller.tenant.currency);
        let decided = disputes::decide(once.tx(), &caller.grant, id, outcome, note.as_str()).await;
        once.finish(decided.map(|dispute| DisputeOut::of(dispute, currency)))
            .await
    }
}
