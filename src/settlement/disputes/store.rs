//! The tables `dispute` and `adjustment`.

use super::{Adjustment, Claim, Decision, Dispute, DisputeState};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{DisputeId, JournalId, MerchantId, SettlementId},
        time::{Instant, Period, Unit},
    },
};

/// A dispute as the table holds it.
struct Row {
    dispute_id: DisputeId,
    settlement_id: SettlementId,
    month: chrono::NaiveDate,
    period: Unit,
    merchant_id: MerchantId,
    journal_id: JournalId,
    line: i32,
    payer_id: MerchantId,
    receiver_id: MerchantId,
    amount: i64,
    returned: i64,
    reason: String,
    state: String,
    held: bool,
    raised_at: Instant,
    raised_by: String,
    decide_by: Instant,
    decided_at: Option<Instant>,
    decided_by: Option<String>,
    note: Option<String>,
}

impl TryFrom<Row> for Dispute {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let decision = match (row.decided_at, row.decided_by, row.note) {
            (Some(decided_at), Some(decided_by), Some(note)) => Some(Decision {
                decided_at,
                decided_by,
                note,
            }),
            _ => None,
        };
        Ok(Self {
            id: row.dispute_id,
            settlement: row.settlement_id,
            period: Period::containing(row.month, row.period),
            merchant: row.merchant_id,
            journal: row.journal_id,
            line: row.line,
            payer: row.payer_id,
            receiver: row.receiver_id,
            amount: row.amount,
            returned: row.returned,
            reason: row.reason,
            state: state(&row.state)?,
            held: row.held,
            raised_at: row.raised_at,
            raised_by: row.raised_by,
            decide_by: row.decide_by,
            decision,
        })
    }
}

fn state(text: &str) -> Result<DisputeState, Error> {
    DisputeState::parse(text).ok_or(Error::Corrupt("dispute state"))
}

/// Writes a dispute down; whether its line had none before, of either side.
pub(super) async fn insert(tx: &mut Tx, new: &Dispute) -> Result<bool, Error> {
    let done = sqlx::query!(
        "insert into dispute (dispute_id, settlement_id, merchant_id, journal_id, line, payer_id,
             receiver_id, amount, returned, reason, state, held, raised_at, raised_by, decide_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'open', false, $11, $12, $13)
         on conflict (journal_id, line) do nothing",
        new.id.uuid(),
        new.settlement.uuid(),
        new.merchant.uuid(),
        new.journal.uuid(),
        new.line,
        new.payer.uuid(),
        new.receiver.uuid(),
        new.amount,
        new.returned,
        new.reason,
        new.raised_at,
        new.raised_by,
        new.decide_by,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn by_id(tx: &mut ReadTx, id: DisputeId) -> Result<Option<Dispute>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select dispute_id as "dispute_id: _", settlement_id as "settlement_id: _", month,
               settlement.period as "period: Unit", merchant_id as "merchant_id: _", journal_id as "journal_id: _", line,
               payer_id as "payer_id: _", receiver_id as "receiver_id: _", amount, returned, reason,
               dispute.state, held, raised_at, raised_by, decide_by, decided_at, decided_by, note
        from dispute
        join settlement using (settlement_id)
        where dispute_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Dispute::try_from).transpose()
}

/// Disputes before one, the newest first; by `dispute_pkey`, as there are few in a period.
pub(super) async fn before(
    tx: &mut ReadTx,
    only: Option<MerchantId>,
    state: Option<DisputeState>,
    before: DisputeId,
    limit: i64,
) -> Result<Vec<Dispute>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select dispute_id as "dispute_id: _", settlement_id as "settlement_id: _", month,
               settlement.period as "period: Unit", merchant_id as "merchant_id: _", journal_id as "journal_id: _", line,
               payer_id as "payer_id: _", receiver_id as "receiver_id: _", amount, returned, reason,
               dispute.state, held, raised_at, raised_by, decide_by, decided_at, decided_by, note
        from dispute
        join settlement using (settlement_id)
        where dispute_id < $1
          and ($2::uuid is null or payer_id = $2 or receiver_id = $2)
          and ($3::text is null or dispute.state = $3)
        order by dispute_id desc
        limit $4"#,
        before.uuid(),
        only.map(|merchant| merchant.uuid()),
        state.map(DisputeState::as_str),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Dispute::try_from).collect()
}

pub(super) async fn decide(
    tx: &mut Tx,
    id: DisputeId,
    state: DisputeState,
    decision: &Decision,
) -> Result<(), Error> {
    sqlx::query!(
        "update dispute set state = $2, decided_at = $3, decided_by = $4, note = $5
         where dispute_id = $1 and state = 'open'",
        id.uuid(),
        state.as_str(),
        decision.decided_at,
        decision.decided_by,
        decision.note,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What is disputed of a settlement, and what was decided about it; by `dispute_settlement_idx`.
pub(super) async fn claims(tx: &mut ReadTx, settlement: SettlementId) -> Result<Vec<Claim>, Error> {
    let rows = sqlx::query!(
        r#"
        select payer_id as "payer: MerchantId", receiver_id as "receiver: MerchantId", amount,
               returned, state
        from dispute
        where settlement_id = $1
        order by dispute_id"#,
        settlement.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Claim {
                payer: row.payer,
                receiver: row.receiver,
                amount: row.amount,
                returned: row.returned,
                outcome: state(&row.state)?.outcome(),
            })
        })
        .collect()
}

/// The operator holds what nobody has decided on; by `dispute_settlement_idx`.
pub(super) async fn hold(tx: &mut Tx, settlement: SettlementId) -> Result<(), Error> {
    sqlx::query!(
        "update dispute set held = true where settlement_id = $1 and state = 'open'",
        settlement.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn adjust(
    tx: &mut Tx,
    id: DisputeId,
    period: Period,
    adjustment: Adjustment,
) -> Result<(), Error> {
    let (now, actor) = (tx.now(), tx.actor().to_string());
    sqlx::query!(
        "insert into adjustment (dispute_id, month, merchant_id, amount, created_at, actor)
         values ($1, $2, $3, $4, $5, $6)",
        id.uuid(),
        period.first_day(),
        adjustment.merchant.uuid(),
        adjustment.amount,
        now,
        actor,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What is part of a period beside its flows; by `adjustment_month_idx`.
pub(super) async fn adjustments(tx: &mut ReadTx, period: Period) -> Result<Vec<Adjustment>, Error> {
    let rows = sqlx::query!(
        r#"
        select merchant_id as "merchant: MerchantId", amount
        from adjustment
        where month = $1
        order by dispute_id"#,
        period.first_day(),
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Adjustment {
            merchant: row.merchant,
            amount: row.amount,
        })
        .collect())
}
