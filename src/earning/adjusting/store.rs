//! The table `points_adjustment`.

use super::{AdjustReason, AdjustState, Adjustment};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{AdjustmentId, JournalId, MemberId, MerchantId, StoreId},
        time::Instant,
    },
};

/// An adjustment as the table holds it.
struct Row {
    adjustment_id: AdjustmentId,
    member_id: MemberId,
    merchant_id: MerchantId,
    store_id: StoreId,
    points: i64,
    reason: String,
    note: String,
    evidence: Option<String>,
    state: String,
    proposed_at: Instant,
    proposed_by: String,
    decided_at: Option<Instant>,
    decided_by: Option<String>,
    decision_note: Option<String>,
    journal_id: Option<JournalId>,
}

impl TryFrom<Row> for Adjustment {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let decided = row.decided_at.zip(row.decided_by);
        Ok(Self {
            id: row.adjustment_id,
            member: row.member_id,
            merchant: row.merchant_id,
            store: row.store_id,
            points: row.points,
            reason: AdjustReason::parse(&row.reason).ok_or(Error::Corrupt("reason"))?,
            note: row.note,
            evidence: row.evidence,
            state: AdjustState::parse(&row.state).ok_or(Error::Corrupt("state"))?,
            proposed_at: row.proposed_at,
            proposed_by: row.proposed_by,
            decided: decided.map(|(at, by)| (at, by, row.decision_note)),
            journal: row.journal_id,
        })
    }
}

pub(super) async fn insert(tx: &mut Tx, it: &Adjustment) -> Result<(), Error> {
    let (at, by) = it
        .decided
        .as_ref()
        .map(|(at, by, _)| (*at, by.as_str()))
        .unzip();
    sqlx::query!(
        "insert into points_adjustment (adjustment_id, member_id, merchant_id, store_id, points,
             reason, note, evidence, state, proposed_at, proposed_by, decided_at, decided_by, journal_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        it.id.uuid(),
        it.member.uuid(),
        it.merchant.uuid(),
        it.store.uuid(),
        it.points,
        it.reason.as_str(),
        it.note,
        it.evidence,
        it.state.as_str(),
        it.proposed_at,
        it.proposed_by,
        at,
        by,
        it.journal.map(|id| id.uuid()),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// By `points_adjustment_pkey`, locked until the transaction ends: of two who decide one does.
pub(super) async fn lock(tx: &mut Tx, id: AdjustmentId) -> Result<Option<Adjustment>, Error> {
    sqlx::query!(
        "select adjustment_id from points_adjustment where adjustment_id = $1
         order by adjustment_id
         for update",
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    by_id(tx, id).await
}

/// By `points_adjustment_pkey`.
pub(super) async fn by_id(tx: &mut ReadTx, id: AdjustmentId) -> Result<Option<Adjustment>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select adjustment_id as "adjustment_id: _", member_id as "member_id: _",
               merchant_id as "merchant_id: _", store_id as "store_id: _", points, reason, note,
               evidence, state, proposed_at, proposed_by, decided_at, decided_by, decision_note,
               journal_id as "journal_id: _"
        from points_adjustment
        where adjustment_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Adjustment::try_from).transpose()
}

/// By `points_adjustment_pkey`; what waits, by `points_adjustment_open_idx`.
pub(super) async fn before(
    tx: &mut ReadTx,
    only: Option<MerchantId>,
    state: Option<AdjustState>,
    before: AdjustmentId,
    limit: i64,
) -> Result<Vec<Adjustment>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select adjustment_id as "adjustment_id: _", member_id as "member_id: _",
               merchant_id as "merchant_id: _", store_id as "store_id: _", points, reason, note,
               evidence, state, proposed_at, proposed_by, decided_at, decided_by, decision_note,
               journal_id as "journal_id: _"
        from points_adjustment
        where adjustment_id < $1 and ($2::uuid is null or merchant_id = $2)
          and ($3::text is null or state = $3)
        order by adjustment_id desc
        limit $4"#,
        before.uuid(),
        only.map(|merchant| merchant.uuid()),
        state.map(AdjustState::as_str),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Adjustment::try_from).collect()
}

pub(super) async fn decide(tx: &mut Tx, it: &Adjustment) -> Result<(), Error> {
    let decided = it.decided.as_ref();
    sqlx::query!(
        "update points_adjustment
         set state = $2, decided_at = $3, decided_by = $4, decision_note = $5, journal_id = $6
         where adjustment_id = $1 and state = 'proposed'",
        it.id.uuid(),
        it.state.as_str(),
        decided.map(|(at, _, _)| *at),
        decided.map(|(_, by, _)| by.as_str()),
        decided.and_then(|(_, _, note)| note.as_deref()),
        it.journal.map(|id| id.uuid()),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
