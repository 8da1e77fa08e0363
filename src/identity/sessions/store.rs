//! The table `session`, and of `staff` what follows a person.

use super::{Preferences, SignedIn};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{SessionId, StaffId},
        time::Instant,
    },
};

struct Row {
    session_id: SessionId,
    staff_id: StaffId,
    second_factor: bool,
    origin: String,
    created_at: Instant,
    seen_at: Instant,
    expires_at: Instant,
    ended_at: Option<Instant>,
}

impl From<Row> for SignedIn {
    fn from(row: Row) -> Self {
        Self {
            id: row.session_id,
            staff: row.staff_id,
            second_factor: row.second_factor,
            origin: row.origin,
            created_at: row.created_at,
            seen_at: row.seen_at,
            expires_at: row.expires_at,
            ended_at: row.ended_at,
        }
    }
}

/// A session that begins. Nobody remembers anything of it yet, so that no server has to look again.
pub(crate) async fn insert(tx: &mut Tx, session: &SignedIn, hash: &[u8]) -> Result<(), Error> {
    sqlx::query!(
        "insert into session
             (session_id, staff_id, token_hash, second_factor, origin, created_at, seen_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        session.id.uuid(),
        session.staff.uuid(),
        hash,
        session.second_factor,
        session.origin,
        session.created_at,
        session.seen_at,
        session.expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A session and the hash of its token.
pub(crate) async fn find(
    tx: &mut ReadTx,
    id: SessionId,
) -> Result<Option<(SignedIn, Vec<u8>)>, Error> {
    let row = sqlx::query!(
        r#"select session_id as "session_id: SessionId", staff_id as "staff_id: StaffId",
                  token_hash, second_factor, origin, created_at, seen_at, expires_at, ended_at
           from session
           where session_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| {
        let session = SignedIn {
            id: row.session_id,
            staff: row.staff_id,
            second_factor: row.second_factor,
            origin: row.origin,
            created_at: row.created_at,
            seen_at: row.seen_at,
            expires_at: row.expires_at,
            ended_at: row.ended_at,
        };
        (session, row.token_hash)
    }))
}

/// Somebody's sessions before one, the newest first; by `session_staff_idx`.
pub(super) async fn page(
    tx: &mut ReadTx,
    staff: StaffId,
    before: Option<SessionId>,
    limit: i64,
) -> Result<Vec<SignedIn>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select session_id as "session_id: _", staff_id as "staff_id: _", second_factor, origin,
                  created_at, seen_at, expires_at, ended_at
           from session
           where staff_id = $1 and ($2::uuid is null or session_id < $2)
           order by session_id desc
           limit $3"#,
        staff.uuid(),
        before.map(|id| id.uuid()),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(SignedIn::from).collect())
}

/// Writes down that a session was used. What servers remember of it says itself when it is to be
/// looked at again.
pub(super) async fn touch(tx: &mut Tx, id: SessionId) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "update session set seen_at = $2 where session_id = $1 and seen_at < $2",
        id.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Gives a session another token, with the second factor shown; the one before opens nothing.
pub(crate) async fn renew(
    tx: &mut Tx,
    id: SessionId,
    hash: &[u8],
    second_factor: bool,
) -> Result<(), Error> {
    tx.revise().await?;
    let now = tx.now();
    sqlx::query!(
        "update session set token_hash = $2, second_factor = $3, seen_at = $4 where session_id = $1",
        id.uuid(),
        hash,
        second_factor,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn end(tx: &mut Tx, id: SessionId) -> Result<(), Error> {
    tx.revise().await?;
    let now = tx.now();
    sqlx::query!(
        "update session set ended_at = coalesce(ended_at, $2) where session_id = $1",
        id.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends every session of somebody, but for one; how many lived.
pub(crate) async fn end_all_of(
    tx: &mut Tx,
    staff: StaffId,
    but: Option<SessionId>,
) -> Result<u64, Error> {
    tx.revise().await?;
    let now = tx.now();
    let ended = sqlx::query!(
        "update session set ended_at = $3
         where staff_id = $1 and ended_at is null and session_id is distinct from $2",
        staff.uuid(),
        but.map(|id| id.uuid()),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(ended.rows_affected())
}

pub(super) async fn prefer(tx: &mut Tx, staff: StaffId, wanted: &Preferences) -> Result<(), Error> {
    tx.revise().await?;
    let now = tx.now();
    sqlx::query!(
        "update staff
         set name = $2, language = $3, time_zone = $4, theme = $5, changed_at = $6
         where staff_id = $1",
        staff.uuid(),
        wanted.name.as_str(),
        wanted.language.tag(),
        wanted.zone.map(|zone| zone.to_string()),
        wanted.theme.as_str(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
