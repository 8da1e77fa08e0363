//! The tables `signin_attempt` and `recovery_code`, and of `staff` what opens an account.

use super::About;
use crate::{
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::StaffId,
        text::{Email, Language, Name},
        time::Instant,
    },
};

/// The most rows that one try takes away.
const SWEPT: i64 = 20;

/// Takes away what counts for nothing any more; by `signin_attempt_since_idx`.
pub(super) async fn sweep(tx: &mut Tx, begun: Instant) -> Result<(), Error> {
    sqlx::query!(
        "delete from signin_attempt
         where subject in (
             select subject from signin_attempt
             where since <= $1
             order by since, subject
             limit $2
             for update skip locked
         )",
        begun,
        SWEPT,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Counts one more failure; how many there are since when. Those before `begun` are forgotten.
pub(super) async fn count(
    tx: &mut Tx,
    subject: &[u8],
    begun: Instant,
) -> Result<(i32, Instant), Error> {
    let now = tx.now();
    let row = sqlx::query!(
        "insert into signin_attempt (subject, failures, since) values ($1, 1, $2)
         on conflict (subject) do update
         set failures = case when signin_attempt.since <= $3 then 1
                             else signin_attempt.failures + 1 end,
             since = case when signin_attempt.since <= $3 then excluded.since
                          else signin_attempt.since end
         returning failures, since",
        subject,
        now,
        begun,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok((row.failures, row.since))
}

pub(super) async fn forget(tx: &mut Tx, subject: &[u8]) -> Result<(), Error> {
    sqlx::query!("delete from signin_attempt where subject = $1", subject)
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn take_back(tx: &mut Tx, subject: &[u8]) -> Result<(), Error> {
    sqlx::query!(
        "update signin_attempt set failures = failures - 1 where subject = $1 and failures > 0",
        subject,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The hash of an active person's password, by their address; by `staff_email_key`.
pub(super) async fn password_by_email(
    tx: &mut ReadTx,
    email: &Email,
) -> Result<Option<(StaffId, String)>, Error> {
    let row = sqlx::query!(
        r#"select staff_id as "staff_id: StaffId", password_hash from staff
           where email = $1 and state <> 'ended' and state = 'active'"#,
        email.as_str(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.and_then(|row| Some((row.staff_id, row.password_hash?))))
}

/// The hash of somebody's password.
pub(super) async fn password_of(tx: &mut ReadTx, staff: StaffId) -> Result<Option<String>, Error> {
    let hash = sqlx::query_scalar!(
        "select password_hash from staff where staff_id = $1",
        staff.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(hash.flatten())
}

/// Gives somebody a password, by which they are active.
pub(super) async fn set_password(
    tx: &mut Tx,
    staff: StaffId,
    hash: &str,
    about: &About,
) -> Result<(), Error> {
    tx.revise().await?;
    let now = tx.now();
    sqlx::query!(
        "update staff
         set state = 'active', password_hash = $2, password_at = $3, changed_at = $3,
             name = coalesce($4, name), language = coalesce($5, language)
         where staff_id = $1 and state <> 'ended'",
        staff.uuid(),
        hash,
        now,
        about.name.as_ref().map(Name::as_str),
        about.language.map(Language::tag),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What is stored of somebody's second factor.
#[derive(Debug)]
pub(super) struct Factor {
    /// The sealed secret.
    pub(super) sealed: Option<Vec<u8>>,
    /// Since when it is in use; none while it is being set up.
    pub(super) since: Option<Instant>,
    /// The step of the last code that was taken.
    pub(super) step: Option<i64>,
}

pub(super) async fn factor_of(tx: &mut ReadTx, staff: StaffId) -> Result<Option<Factor>, Error> {
    let row = sqlx::query_as!(
        Factor,
        "select totp_secret as sealed, totp_since as since, totp_step as step
         from staff
         where staff_id = $1",
        staff.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row)
}

/// Keeps a secret that is not in use yet.
pub(super) async fn propose_factor(
    tx: &mut Tx,
    staff: StaffId,
    sealed: &[u8],
) -> Result<(), Error> {
    tx.revise().await?;
    let now = tx.now();
    sqlx::query!(
        "update staff set totp_secret = $2, totp_step = null, changed_at = $3
         where staff_id = $1 and totp_since is null",
        staff.uuid(),
        sealed,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes the second factor into use.
pub(super) async fn use_factor(tx: &mut Tx, staff: StaffId, step: i64) -> Result<(), Error> {
    tx.revise().await?;
    let now = tx.now();
    sqlx::query!(
        "update staff set totp_since = $2, totp_step = $3, changed_at = $2 where staff_id = $1",
        staff.uuid(),
        now,
        step,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Forgets the second factor.
pub(super) async fn remove_factor(tx: &mut Tx, staff: StaffId) -> Result<(), Error> {
    tx.revise().await?;
    let now = tx.now();
    sqlx::query!(
        "update staff set totp_secret = null, totp_since = null, changed_at = $2 where staff_id = $1",
        staff.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Keeps the step of a code that was taken.
pub(super) async fn keep_step(tx: &mut Tx, staff: StaffId, step: i64) -> Result<(), Error> {
    tx.revise().await?;
    sqlx::query!(
        "update staff set totp_step = $2 where staff_id = $1",
        staff.uuid(),
        step,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Replaces somebody's recovery codes.
pub(super) async fn set_recovery_codes(
    tx: &mut Tx,
    staff: StaffId,
    hashes: &[Vec<u8>],
) -> Result<(), Error> {
    let now = tx.now();
    sqlx::query!(
        "delete from recovery_code where staff_id = $1",
        staff.uuid(),
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into recovery_code (staff_id, code_hash, created_at)
         select $1, code_hash, $2 from unnest($3::bytea[]) as new (code_hash)",
        staff.uuid(),
        now,
        hashes,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Uses a recovery code up; whether there was one.
pub(super) async fn use_recovery_code(
    tx: &mut Tx,
    staff: StaffId,
    hash: &[u8],
) -> Result<bool, Error> {
    let now = tx.now();
    let used = sqlx::query!(
        "update recovery_code set used_at = $3
         where staff_id = $1 and code_hash = $2 and used_at is null",
        staff.uuid(),
        hash,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(used.rows_affected() == 1)
}
