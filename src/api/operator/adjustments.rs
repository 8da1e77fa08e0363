//! Adjustments: points that people of the mall add or take by hand.

use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use crate::{
    api::{
        Group,
        words::{AdjustReasonWord, AdjustStateWord, AdjustWayWord, ApprovalWord},
    },
    authz::action::{DecideAdjustment, ProposeAdjustment, ReadAdjustments},
    earning::adjusting::{self, Adjustment, Proposal},
    http::{
        admit::Caller,
        body::Body,
        idempotency::{IdempotencyKey, Once},
        paging::{self, List},
        problem::Problem,
        reply::Reply,
        wire::{Cursor, Limit, Moment, Positive, Signed, Text},
    },
    kernel::ids::{AdjustmentId, JournalId, MemberId, MerchantId, StoreId},
};

/// The address of the list of adjustments.
const ADJUSTMENTS: &str = "/v1/adjustments";

/// Operations on adjustments.
#[derive(Debug)]
pub struct Adjustments;

/// Points that somebody wants to add or to take.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct ProposeAdjustmentIn {
    /// Whose points.
    member_id: MemberId,
    /// Which shop's matter it is: its merchant bears what is added.
    store_id: StoreId,
    /// Whether they are added or taken.
    way: AdjustWayWord,
    /// How many.
    points: Positive,
    /// Why.
    reason: AdjustReasonWord,
    /// Why, in your words.
    note: Text,
    /// Where the proof is: the number of a complaint, of a file.
    evidence: Option<Text>,
}

/// A decision.
#[derive(Debug, Clone, Object)]
#[oai(deny_unknown_fields)]
struct DecideAdjustmentIn {
    /// What is decided.
    outcome: ApprovalWord,
    /// Why, in your words.
    note: Text,
}

/// Points that were added or taken by hand, or are to be.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Adjustment", skip_serializing_if_is_none)]
struct AdjustmentOut {
    /// The adjustment's id.
    adjustment_id: AdjustmentId,
    /// Whose points.
    member_id: MemberId,
    /// Who bears what is added.
    merchant_id: MerchantId,
    /// Which shop's matter it is.
    store_id: StoreId,
    /// Above zero added, below zero taken.
    points: Signed,
    /// Why.
    reason: AdjustReasonWord,
    /// Why, in words.
    note: String,
    /// Where the proof is.
    evidence: Option<String>,
    /// How far it is.
    state: AdjustStateWord,
    /// When it was proposed.
    proposed_at: Moment,
    /// By whom.
    proposed_by: String,
    /// When it was decided; where one person was enough, at once.
    decided_at: Option<Moment>,
    /// By whom.
    decided_by: Option<String>,
    /// Why, in words of whoever decided.
    decision_note: Option<String>,
    /// The ledger's event, once the points moved.
    journal_id: Option<JournalId>,
}

impl From<Adjustment> for AdjustmentOut {
    fn from(it: Adjustment) -> Self {
        let (decided_at, by) = it.decided.map(|(at, by, note)| (at, (by, note))).unzip();
        let (decided_by, decision_note) = by.unzip();
        Self {
            adjustment_id: it.id,
            member_id: it.member,
            merchant_id: it.merchant,
            store_id: it.store,
            points: Signed(it.points),
            reason: it.reason.into(),
            note: it.note,
            evidence: it.evidence,
            state: it.state.into(),
            proposed_at: Moment(it.proposed_at),
            proposed_by: it.proposed_by,
            decided_at: decided_at.map(Moment),
            decided_by,
            decision_note: decision_note.flatten(),
            journal_id: it.journal,
        }
    }
}

#[OpenApi(tag = "Group::Operator")]
impl Adjustments {
    /// Add or take points by hand
    ///
    /// For what no rule can know: a promise, a complaint, a mistake, fraud. Up to the programme's
    /// `adjust_alone` it is done at once; beyond, it is `proposed` and somebody else decides. What is
    /// added is a grant of the shop's merchant, which bears it when it is spent; what is taken ends as
    /// if it had lapsed, and never more than the member has. 409 `store-gives-no-points`,
    /// `not-enough-points`.
    #[oai(
        path = "/v1/adjustments",
        method = "post",
        operation_id = "propose_adjustment"
    )]
    async fn propose_adjustment(
        &self,
        caller: Caller<ProposeAdjustment>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<ProposeAdjustmentIn>,
    ) -> Result<Reply<201, AdjustmentOut>, Problem> {
        let mall = caller.mall().await?;
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let new = body.value;
        let proposal = Proposal {
            member: new.member_id,
            store: new.store_id,
            points: match new.way {
                AdjustWayWord::Add => new.points.0,
                AdjustWayWord::Take => new.points.0.saturating_neg(),
            },
            reason: new.reason.into(),
            note: new.note.as_str().to_owned(),
            evidence: new.evidence.map(|text| text.as_str().to_owned()),
        };
        let done = adjusting::propose(once.tx(), &caller.grant, &mall.earning, &proposal).await;
        once.finish(done.map(AdjustmentOut::from)).await
    }

    /// List the adjustments
    ///
    /// The newest first.
    #[oai(
        path = "/v1/adjustments",
        method = "get",
        operation_id = "list_adjustments"
    )]
    async fn list_adjustments(
        &self,
        caller: Caller<ReadAdjustments>,
        /// Only those of this state.
        state: Query<Option<AdjustStateWord>>,
        #[oai(default)] limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Reply<200, List<AdjustmentOut>>, Problem> {
        let slice = paging::slice(caller.app(), ADJUSTMENTS, limit.0, cursor.0.as_ref())?;
        let state = state.0.map(Into::into);
        let mut tx = caller.db().read(&caller.grant).await?;
        let page = adjusting::list(&mut tx, &caller.grant, state, &slice).await?;
        let list = List::new(caller.app(), ADJUSTMENTS, page, AdjustmentOut::from);
        Ok(Reply::new(&list))
    }

    /// Read an adjustment
    #[oai(
        path = "/v1/adjustments/:adjustment_id",
        method = "get",
        operation_id = "get_adjustment"
    )]
    async fn get_adjustment(
        &self,
        caller: Caller<ReadAdjustments>,
        adjustment_id: Path<AdjustmentId>,
    ) -> Result<Reply<200, AdjustmentOut>, Problem> {
        let mut tx = caller.db().read(&caller.grant).await?;
        let found = adjusting::get(&mut tx, &caller.grant, adjustment_id.0).await?;
        Ok(Reply::new(&found.into()))
    }

    /// Decide an adjustment
    ///
    /// Somebody else than who proposed it. Approved, the points move now. 409
    /// `adjustment-already-decided`, `needs-second-person`, `store-gives-no-points`,
    /// `not-enough-points`.
    #[oai(
        path = "/v1/adjustments/:adjustment_id/decide",
        method = "post",
        operation_id = "decide_adjustment"
    )]
    async fn decide_adjustment(
        &self,
        caller: Caller<DecideAdjustment>,
        adjustment_id: Path<AdjustmentId>,
        #[oai(name = "Idempotency-Key")] key: IdempotencyKey,
        body: Body<DecideAdjustmentIn>,
    ) -> Result<Reply<200, AdjustmentOut>, Problem> {
        let mall = caller.mall().await?;
        let mut once = match Once::begin(&caller, &key, &body.digest).await?.fresh() {
            Ok(once) => once,
            Err(before) => return Ok(before),
        };
        let approved = matches!(body.value.outcome, ApprovalWord::Approved);
        let (id, note, setting) = (adjustment_id.0, body.value.note, &mall.earning);
        let grant = &caller.grant;
        let done = adjusting::decide(once.tx(), grant, setting, id, approved, note.as_str()).await;
        once.finish(done.map(AdjustmentOut::from)).await
    }
}
