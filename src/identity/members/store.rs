//! The tables `sign_in_code` and `member_session`.

use super::{Visit, codes::Request};
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{MemberId, MemberSessionId, SignInCodeId},
        text::{Language, Phone},
        time::Instant,
    },
};

/// The most rows that one request takes away.
const SWEPT: i64 = 20;

/// Takes requests away that were made before; by `sign_in_code_created_idx`.
pub(super) async fn sweep(tx: &mut Tx, before: Instant) -> Result<(), Error> {
    sqlx::query!(
        "delete from sign_in_code
         where code_id in (
             select code_id from sign_in_code
             where created_at <= $1
             order by created_at, code_id
             limit $2
             for update skip locked
         )",
        before,
        SWEPT,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn insert_request(tx: &mut Tx, new: &Request) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "insert into sign_in_code
             (code_id, phone, language, token_hash, tries, created_at, expires_at, sending)
         values ($1, $2, $3, $4, 0, $5, $6, $7)",
        new.id.uuid(),
        new.phone.as_str(),
        new.language.tag(),
        new.token_hash,
        now,
        new.expires_at,
        new.sending,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// By `sign_in_code_pkey`.
pub(super) async fn request(tx: &mut ReadTx, id: SignInCodeId) -> Result<Option<Request>, Error> {
    let row = sqlx::query!(
        r#"select phone, language, token_hash, expires_at as "expires_at: Instant",
                  used_at is not null as "used!", sending
           from sign_in_code
           where code_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let phone = Phone::parse(&row.phone, "").map_err(|_| Error::Corrupt("phone of a code"))?;
    let language = Language::from_tag(&row.language).ok_or(Error::Corrupt("language of a code"))?;
    Ok(Some(Request {
        id,
        phone,
        language,
        token_hash: row.token_hash,
        expires_at: row.expires_at,
        used: row.used,
        sending: row.sending,
    }))
}

/// Counts a try, where there is one left and the request is open.
pub(super) async fn try_once(tx: &mut Tx, id: SignInCodeId) -> Result<bool, Error> {
    let now = tx.now();
    let tried = sqlx::query!(
        "update sign_in_code set tries = tries + 1
         where code_id = $1 and tries < 5 and used_at is null and expires_at > $2",
        id.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(tried.rows_affected() == 1)
}

/// Whether it was open until now: of two who come at once one does.
pub(super) async fn use_up(tx: &mut Tx, id: SignInCodeId) -> Result<bool, Error> {
    let now = tx.now();
    let used = sqlx::query!(
        "update sign_in_code set used_at = $2
         where code_id = $1 and used_at is null and expires_at > $2",
        id.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(used.rows_affected() == 1)
}

pub(super) async fn record(
    tx: &mut Tx,
    id: SignInCodeId,
    sending: &str,
    problem: Option<&str>,
) -> Result<(), Error> {
    sqlx::query!(
        "update sign_in_code set sending = $2, problem = $3 where code_id = $1",
        id.uuid(),
        sending,
        problem,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

struct Row {
    session_id: MemberSessionId,
    member_id: MemberId,
    token_hash: Vec<u8>,
    origin: String,
    created_at: Instant,
    seen_at: Instant,
    expires_at: Instant,
    ended_at: Option<Instant>,
}

impl Row {
    fn read(self) -> (Visit, Vec<u8>) {
        let visit = Visit {
            id: self.session_id,
            member: self.member_id,
            origin: self.origin,
            created_at: self.created_at,
            seen_at: self.seen_at,
            expires_at: self.expires_at,
            ended_at: self.ended_at,
        };
        (visit, self.token_hash)
    }
}

/// A session that begins. Nobody remembers anything of it yet, so that no server has to look again.
pub(super) async fn insert_visit(tx: &mut Tx, new: &Visit, hash: &[u8]) -> Result<(), Error> {
    sqlx::query!(
        "insert into member_session
             (session_id, member_id, token_hash, origin, created_at, seen_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        new.id.uuid(),
        new.member.uuid(),
        hash,
        new.origin,
        new.created_at,
        new.seen_at,
        new.expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A session and the hash of its token, by `member_session_pkey`.
pub(super) async fn visit(
    tx: &mut ReadTx,
    id: MemberSessionId,
) -> Result<Option<(Visit, Vec<u8>)>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select session_id as "session_id: _", member_id as "member_id: _", token_hash, origin,
                  created_at, seen_at, expires_at, ended_at
           from member_session
           where session_id = $1"#,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Row::read))
}

/// A member's sessions before one, the newest first; by `member_session_member_idx`.
pub(super) async fn visits(
    tx: &mut ReadTx,
    member: MemberId,
    before: Option<MemberSessionId>,
    limit: i64,
) -> Result<Vec<Visit>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select session_id as "session_id: _", member_id as "member_id: _", token_hash, origin,
                  created_at, seen_at, expires_at, ended_at
           from member_session
           where member_id = $1 and ($2::uuid is null or session_id < $2)
           order by session_id desc
           limit $3"#,
        member.uuid(),
        before.map(|id| id.uuid()),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| row.read().0).collect())
}

pub(super) async fn touch(tx: &mut Tx, id: MemberSessionId) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "update member_session set seen_at = $2 where session_id = $1 and seen_at < $2",
        id.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Servers believe what they read of it for less than a second.
pub(super) async fn end(tx: &mut Tx, id: MemberSessionId) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "update member_session set ended_at = coalesce(ended_at, $2) where session_id = $1",
        id.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// All but one, by `member_session_member_idx`.
pub(super) async fn end_others(
    tx: &mut Tx,
    member: MemberId,
    this: MemberSessionId,
) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "update member_session set ended_at = $3
         where member_id = $1 and session_id <> $2 and ended_at is null",
        member.uuid(),
        this.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// By `member_session_member_idx`.
pub(super) async fn forget_visits(tx: &mut Tx, member: MemberId) -> Result<(), Error> {
    sqlx::query!(
        "delete from member_session where member_id = $1",
        member.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The table holds the requests of one day.
pub(super) async fn forget_codes(tx: &mut Tx, phone: &Phone) -> Result<(), Error> {
    sqlx::query!("delete from sign_in_code where phone = $1", phone.as_str())
        .execute(tx.conn())
        .await?;
    Ok(())
}
