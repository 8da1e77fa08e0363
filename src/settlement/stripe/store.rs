//! The tables `stripe_leg` and `stripe_event`.

use uuid::Uuid;

use super::{Leg, LegKind, LegState, hearing::Heard};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    gateway::stripe::event::Event,
    kernel::{
        ids::{LegId, MerchantId, SettlementId},
        text::StripeAccount,
        time::Instant,
    },
};

/// A leg as the table holds it.
struct Row {
    leg_id: LegId,
    settlement_id: SettlementId,
    kind: String,
    merchant_id: MerchantId,
    code: Option<String>,
    lines: Vec<i32>,
    amount: i64,
    currency: String,
    due_days: Option<i32>,
    account_id: Option<String>,
    state: String,
    round: i32,
    attempts: i32,
    keys: i32,
    problem: Option<String>,
    stripe_id: Option<String>,
    created_at: Instant,
    begun_at: Option<Instant>,
    changed_at: Instant,
}

impl TryFrom<Row> for Leg {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let account = row.account_id.map(|text| text.parse()).transpose();
        let code = row.code.map(|text| text.parse()).transpose();
        Ok(Self {
            id: row.leg_id,
            settlement: row.settlement_id,
            kind: LegKind::parse(&row.kind).ok_or(Error::Corrupt("kind of a leg"))?,
            merchant: row.merchant_id,
            code: code.map_err(|_| Error::Corrupt("code of a leg"))?,
            lines: row.lines,
            amount: row.amount,
            currency: row.currency,
            due_days: row.due_days,
            account: account.map_err(|_| Error::Corrupt("account of a leg"))?,
            state: LegState::parse(&row.state).ok_or(Error::Corrupt("state of a leg"))?,
            round: row.round,
            attempts: row.attempts,
            keys: row.keys,
            problem: row.problem,
            stripe_id: row.stripe_id,
            created_at: row.created_at,
            begun_at: row.begun_at,
            changed_at: row.changed_at,
        })
    }
}

pub(super) async fn insert(tx: &mut Tx, new: &Leg) -> Result<(), Error> {
    let actor = tx.actor().to_string();
    sqlx::query!(
        "insert into stripe_leg (leg_id, settlement_id, kind, merchant_id, lines, amount, currency,
             due_days, account_id, state, round, attempts, keys, created_at, created_by,
             changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $14)",
        new.id.uuid(),
        new.settlement.uuid(),
        new.kind.as_str(),
        new.merchant.uuid(),
        &new.lines,
        new.amount,
        new.currency,
        new.due_days,
        new.account.as_ref().map(StripeAccount::as_str),
        new.state.as_str(),
        new.round,
        new.attempts,
        new.keys,
        new.created_at,
        actor,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes down how a leg is, but for what never changes of it.
pub(super) async fn update(tx: &mut Tx, it: &Leg) -> Result<(), Error> {
    sqlx::query!(
        "update stripe_leg
         set account_id = $2, state = $3, round = $4, attempts = $5, problem = $6, stripe_id = $7,
             begun_at = $8, changed_at = $9, keys = $10
         where leg_id = $1",
        it.id.uuid(),
        it.account.as_ref().map(StripeAccount::as_str),
        it.state.as_str(),
        it.round,
        it.attempts,
        it.problem,
        it.stripe_id,
        it.begun_at,
        it.changed_at,
        it.keys,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Of which settlement a leg is; by `stripe_leg_pkey`.
pub(super) async fn settlement_of(
    tx: &mut ReadTx,
    id: LegId,
) -> Result<Option<SettlementId>, Error> {
    let found = sqlx::query_scalar!(
        r#"
        select settlement_id as "settlement_id: SettlementId"
        from stripe_leg
        where leg_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found)
}

/// A leg, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, id: LegId) -> Result<Option<Leg>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select leg_id as "leg_id: _", settlement_id as "settlement_id: _", kind,
               merchant_id as "merchant_id: _", null as code, lines, amount, currency, due_days,
               account_id, state, round, attempts, keys, problem, stripe_id, created_at, begun_at,
               changed_at
        from stripe_leg
        where leg_id = $1
        order by leg_id
        for update"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Leg::try_from).transpose()
}

/// Every leg of a settlement, in order: for each payment a few.
pub(super) async fn of_settlement(tx: &mut ReadTx, id: SettlementId) -> Result<Vec<Leg>, Error> {
    after(tx, id, None, LegId::from_uuid(Uuid::nil()), i64::MAX).await
}

/// Legs of a settlement after one, those of one merchant only where one is named; by
/// `stripe_leg_settlement_idx` and `statement_merchant_key`.
pub(super) async fn after(
    tx: &mut ReadTx,
    settlement: SettlementId,
    only: Option<MerchantId>,
    after: LegId,
    limit: i64,
) -> Result<Vec<Leg>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select stripe_leg.leg_id as "leg_id: _", stripe_leg.settlement_id as "settlement_id: _",
               stripe_leg.kind, stripe_leg.merchant_id as "merchant_id: _",
               statement.code as "code?", stripe_leg.lines, stripe_leg.amount, stripe_leg.currency,
               stripe_leg.due_days, stripe_leg.account_id, stripe_leg.state, stripe_leg.round,
               stripe_leg.attempts, stripe_leg.keys, stripe_leg.problem, stripe_leg.stripe_id,
               stripe_leg.created_at, stripe_leg.begun_at, stripe_leg.changed_at
        from stripe_leg
        left join statement on statement.settlement_id = stripe_leg.settlement_id
            and statement.merchant_id = stripe_leg.merchant_id
        where stripe_leg.settlement_id = $1 and stripe_leg.leg_id > $3
          and ($2::uuid is null or stripe_leg.merchant_id = $2)
        order by stripe_leg.leg_id
        limit $4"#,
        settlement.uuid(),
        only.map(|merchant| merchant.uuid()),
        after.uuid(),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Leg::try_from).collect()
}

/// Whether something was heard before; by `stripe_event_pkey`.
pub(super) async fn is_known(tx: &mut ReadTx, event: &str) -> Result<bool, Error> {
    let found = sqlx::query_scalar!(
        r#"select exists (select from stripe_event where event_id = $1) as "found!""#,
        event,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(found)
}

/// Writes down that something was heard; whether it had not been.
pub(super) async fn insert_event(
    tx: &mut Tx,
    event: &Event,
    leg: Option<LegId>,
    heard: Heard,
) -> Result<bool, Error> {
    let now = tx.now();
    let inserted = sqlx::query!(
        "insert into stripe_event (event_id, kind, object_id, leg_id, outcome, said_at, received_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (event_id) do nothing",
        event.id,
        event.kind,
        event.about.id(),
        leg.map(|leg| leg.uuid()),
        heard.as_str(),
        event.said_at,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(inserted.rows_affected() > 0)
}
