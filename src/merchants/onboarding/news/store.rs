//! The table `application_event`.

use super::{Event, EventKind};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{ApplicationId, NewsId},
        time::Instant,
    },
};

/// An event as the table holds it.
struct EventRow {
    application_event_id: NewsId,
    application_id: ApplicationId,
    number: i32,
    kind: String,
    actor: String,
    origin: Option<String>,
    reason: Option<String>,
    happened_at: Instant,
    expires_at: Instant,
    mail: String,
    problem: Option<String>,
}

impl TryFrom<EventRow> for Event {
    type Error = Error;

    fn try_from(row: EventRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.application_event_id,
            application: row.application_id,
            number: row.number,
            kind: EventKind::parse(&row.kind)?,
            actor: row.actor,
            origin: row.origin,
            reason: row.reason,
            happened_at: row.happened_at,
            expires_at: row.expires_at,
            mail: row.mail,
            problem: row.problem,
        })
    }
}

pub(in crate::merchants::onboarding) async fn insert_event(
    tx: &mut Tx,
    event: &Event,
) -> Result<(), Error> {
    sqlx::query!(
        "insert into application_event
             (application_event_id, application_id, number, kind, actor, origin, reason,
              happened_at, expires_at, mail)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        event.id.uuid(),
        event.application.uuid(),
        event.number,
        event.kind.as_str(),
        event.actor,
        event.origin,
        event.reason,
        event.happened_at,
        event.expires_at,
        event.mail,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The last events of an application, the first first; by `application_event_number_key`.
pub(in crate::merchants::onboarding) async fn events(
    tx: &mut ReadTx,
    application: ApplicationId,
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"select application_event_id as "application_event_id: _",
                  application_id as "application_id: _", number, kind, actor, origin, reason,
                  happened_at, expires_at, mail, problem
           from application_event
           where application_id = $1
           order by number desc
           limit $2"#,
        application.uuid(),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().rev().map(Event::try_from).collect()
}

pub(in crate::merchants::onboarding) async fn last_event(
    tx: &mut ReadTx,
    application: ApplicationId,
) -> Result<Option<Event>, Error> {
    Ok(events(tx, application, 1).await?.pop())
}

/// The event, locked until the transaction ends.
pub(in crate::merchants::onboarding) async fn lock_event(
    tx: &mut Tx,
    id: NewsId,
) -> Result<Option<Event>, Error> {
    let row = sqlx::query_as!(
        EventRow,
        r#"select application_event_id as "application_event_id: _",
                  application_id as "application_id: _", number, kind, actor, origin, reason,
                  happened_at, expires_at, mail, problem
           from application_event
           where application_event_id = $1
           order by application_event_id
           for update"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Event::try_from).transpose()
}

/// Whose link an event's letter held, the hash of its token, and until when it opens.
pub(in crate::merchants::onboarding) async fn token_of(
    tx: &mut ReadTx,
    id: NewsId,
) -> Result<Option<(ApplicationId, Option<Vec<u8>>, Instant)>, Error> {
    let row = sqlx::query!(
        r#"select application_id as "application_id: ApplicationId", token_hash, expires_at
           from application_event
           where application_event_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| (row.application_id, row.token_hash, row.expires_at)))
}

pub(in crate::merchants::onboarding) async fn give_token(
    tx: &mut Tx,
    id: NewsId,
    hash: &[u8],
) -> Result<(), Error> {
    sqlx::query!(
        "update application_event set token_hash = $2 where application_event_id = $1",
        id.uuid(),
        hash,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends every link, and gives up the letters that are queued; how many of each there were.
pub(in crate::merchants::onboarding) async fn end_all(
    tx: &mut Tx,
    problem: &str,
) -> Result<(u64, u64), Error> {
    let given_up = sqlx::query!(
        "update application_event set mail = 'failed', problem = $1 where mail = 'queued'",
        problem,
    )
    .execute(tx.conn())
    .await?;
    let ended =
        sqlx::query!("update application_event set token_hash = null where token_hash is not null")
            .execute(tx.conn())
            .await?;
    Ok((ended.rows_affected(), given_up.rows_affected()))
}

pub(in crate::merchants::onboarding) async fn record_mail(
    tx: &mut Tx,
    id: NewsId,
    mail: &str,
    problem: Option<&str>,
) -> Result<(), Error> {
    sqlx::query!(
        "update application_event set mail = $2, problem = $3 where application_event_id = $1",
        id.uuid(),
        mail,
        problem,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
