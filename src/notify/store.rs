//! The table `message`.

use uuid::Uuid;

use super::{Kind, Message, SendMessage, State};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{MerchantId, MessageId},
        time::Instant,
    },
};

/// A message as the table holds it.
struct Row {
    message_id: MessageId,
    kind: String,
    subject_id: Uuid,
    merchant_id: MerchantId,
    state: String,
    round: i32,
    attempts: i32,
    problem: Option<String>,
    created_at: Instant,
    sent_at: Option<Instant>,
}

impl TryFrom<Row> for Message {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.message_id,
            kind: Kind::parse(&row.kind).ok_or(Error::Corrupt("message kind"))?,
            subject: row.subject_id,
            merchant: row.merchant_id,
            state: State::parse(&row.state).ok_or(Error::Corrupt("message state"))?,
            round: row.round,
            attempts: row.attempts,
            problem: row.problem,
            created_at: row.created_at,
            sent_at: row.sent_at,
        })
    }
}

/// Writes messages down that are not there yet; the ids of those.
pub(super) async fn insert(
    tx: &mut Tx,
    kind: Kind,
    about: &[(MerchantId, Uuid)],
) -> Result<Vec<Uuid>, Error> {
    let ids: Vec<Uuid> = about
        .iter()
        .map(|_| -> MessageId { tx.new_id() })
        .map(|id| id.uuid())
        .collect();
    let merchants: Vec<Uuid> = about.iter().map(|(merchant, _)| merchant.uuid()).collect();
    let subjects: Vec<Uuid> = about.iter().map(|(_, subject)| *subject).collect();
    let now = tx.now();
    let rows = sqlx::query_scalar!(
        "insert into message (message_id, kind, subject_id, merchant_id, state, round, attempts,
             created_at, changed_at)
         select message_id, $1, subject_id, merchant_id, 'queued', 0, 0, $2, $2
         from unnest($3::uuid[], $4::uuid[], $5::uuid[])
             as new (message_id, subject_id, merchant_id)
         on conflict (kind, subject_id) do nothing
         returning message_id",
        kind.as_str(),
        now,
        &ids,
        &subjects,
        &merchants,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows)
}

/// Gives up what is queued; how many those were.
pub(super) async fn give_up(tx: &mut Tx, problem: &str) -> Result<u64, Error> {
    let now = tx.now();
    let given_up = sqlx::query!(
        "update message set state = 'failed', problem = $1, changed_at = $2
         where state = 'queued'",
        problem,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(given_up.rows_affected())
}

/// Counts a try of a message that is queued in that round.
pub(super) async fn begin(tx: &mut Tx, job: &SendMessage) -> Result<Option<Message>, Error> {
    let now = tx.now();
    let row = sqlx::query_as!(
        Row,
        r#"
        update message
        set attempts = attempts + 1, changed_at = $3
        where message_id = $1 and round = $2 and state = 'queued'
        returning message_id as "message_id: _", kind, subject_id,
                  merchant_id as "merchant_id: _", state, round, attempts, problem, created_at,
                  sent_at"#,
        job.message,
        job.round,
        now,
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Message::try_from).transpose()
}

/// Writes down what came of a try, unless another round has begun.
pub(super) async fn record(
    tx: &mut Tx,
    message: &Message,
    state: State,
    problem: Option<&str>,
) -> Result<(), Error> {
    let now = tx.now();
    let sent_at = (state == State::Sent).then_some(now);
    sqlx::query!(
        "update message
         set state = $3, problem = $4, changed_at = $5, sent_at = $6
         where message_id = $1 and round = $2 and state = 'queued'",
        message.id.uuid(),
        message.round,
        state.as_str(),
        problem,
        now,
        sent_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Messages before one, the newest first; by `message_pkey`.
pub(super) async fn before(
    tx: &mut ReadTx,
    state: Option<State>,
    before: MessageId,
    limit: i64,
) -> Result<Vec<Message>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select message_id as "message_id: _", kind, subject_id, merchant_id as "merchant_id: _",
               state, round, attempts, problem, created_at, sent_at
        from message
        where message_id < $1 and ($2::text is null or state = $2)
        order by message_id desc
        limit $3"#,
        before.uuid(),
        state.map(State::as_str),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Message::try_from).collect()
}

/// The message, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, id: MessageId) -> Result<Option<Message>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        select message_id as "message_id: _", kind, subject_id, merchant_id as "merchant_id: _",
               state, round, attempts, problem, created_at, sent_at
        from message
        where message_id = $1
        order by message_id
        for update"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Message::try_from).transpose()
}

/// Begins another round.
pub(super) async fn again(tx: &mut Tx, message: &Message) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "update message
         set state = 'queued', round = $2, attempts = 0, changed_at = $3
         where message_id = $1",
        message.id.uuid(),
        message.round,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
