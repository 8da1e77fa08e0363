//! Members come in by a code that their telephone is told ([`codes`]), and are known by a session from
//! then on, which reaches what is theirs and nothing else.
//!
//! A member's session is as a person's ([`super::sessions`]), but for its length: it lives a month after
//! it was used last, and half a year at the most, for a telephone is in one pocket. Its use is written
//! down once an hour at the most.

pub mod codes;
pub(super) mod store;

use std::sync::Arc;

use chrono::TimeDelta;
use secrecy::SecretString;
use subtle::ConstantTimeEq;

use super::{
    IdentityError, Life, Presence, Recognised, key_text,
    signin::{Origin, SignInError},
};
use crate::{
    authz::{
        action::{Authenticate, CopyMembers, EraseMembers, UseMembership},
        actor::{Actor, Principal, Reach, Role, Stores},
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{MemberId, MemberSession, MemberSessionId},
        page::{CursorError, MOST, Page, Slice},
        text::Phone,
        time::Instant,
    },
};

/// How long a session lives without being used.
pub const IDLE: TimeDelta = TimeDelta::days(30);

/// How long it lives at the most.
pub const LONGEST: TimeDelta = TimeDelta::days(180);

/// How old what is written down of its use may be.
const WRITTEN: TimeDelta = TimeDelta::hours(1);

/// How long a server believes what it read of a session. People who work here are few, and whatever ends
/// a session of theirs has every server forget the mall; members are many.
const BELIEVED: TimeDelta = TimeDelta::milliseconds(900);

/// The role of every member.
const MEMBER: &str = "member";

/// That a member is signed in, without the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// Its id, which opens nothing.
    pub id: MemberSessionId,
    /// Who.
    pub member: MemberId,
    /// From where, in short.
    pub origin: String,
    /// When it began.
    pub created_at: Instant,
    /// When it was used last, to the hour.
    pub seen_at: Instant,
    /// When it ends at the latest.
    pub expires_at: Instant,
    /// When it was ended.
    pub ended_at: Option<Instant>,
}

impl Visit {
    fn until(&self) -> Instant {
        self.expires_at.min(self.seen_at + IDLE)
    }

    /// Whether it opens something still.
    pub fn is_alive(&self, now: Instant) -> bool {
        self.ended_at.is_none() && now < self.until()
    }
}

/// A session with its token, which is told this once.
#[derive(Debug, Clone)]
pub struct Entered {
    /// The session.
    pub visit: Visit,
    /// Its token.
    pub token: SecretString,
}

/// Who shows the token of a member's session.
pub(super) async fn authenticate(
    tx: &mut ReadTx,
    presented: &str,
) -> Result<Recognised, IdentityError> {
    let id = key_text::id_of::<MemberSession>(presented).ok_or(IdentityError::UnknownKey)?;
    let found = store::visit(tx, id).await?;
    let (visit, hash) = found.ok_or(IdentityError::UnknownKey)?;
    let same: bool = hash.ct_eq(&key_text::hash(presented)[..]).into();
    let now = tx.now();
    if !same || !visit.is_alive(now) {
        return Err(IdentityError::UnknownKey);
    }
    let principal = Principal {
        actor: Actor::Member(visit.member),
        tenant: Some(tx.tenant()),
        role: Role::new(MEMBER),
        also: Vec::new(),
        scope: Reach::Member(visit.member),
        stores: Stores::All,
        own: Arc::default(),
        whence: Arc::default(),
    };
    let life = Life {
        until: visit.until(),
        again_at: now + BELIEVED,
        stale: visit.seen_at + WRITTEN <= now,
    };
    Ok(Recognised {
        principal,
        presence: Some(Presence::Member { id, life }),
    })
}

/// Writes down that a session was used.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn touch(
    tx: &mut Tx,
    _grant: &Grant<Authenticate>,
    id: MemberSessionId,
) -> Result<(), db::Error> {
    store::touch(tx, id).await
}

/// Opens a session of a member whose telephone it was that was told the code.
async fn open(tx: &mut Tx, member: MemberId, from: &Origin) -> Result<Entered, db::Error> {
    let (id, now): (MemberSessionId, Instant) = (tx.new_id(), tx.now());
    let fresh = key_text::make(id, tx.entropy());
    let visit = Visit {
        id,
        member,
        origin: from.short(),
        created_at: now,
        seen_at: now,
        expires_at: now + LONGEST,
        ended_at: None,
    };
    store::insert_visit(tx, &visit, &fresh.hash).await?;
    Ok(Entered {
        visit,
        token: fresh.secret,
    })
}

/// One's own sessions, the newest first, with those that ended.
///
/// # Errors
/// [`SignInError::UnknownSession`] for whoever is no member, [`SignInError::Cursor`],
/// [`SignInError::Db`].
pub async fn list(
    tx: &mut ReadTx,
    grant: &Grant<UseMembership>,
    slice: &Slice,
) -> Result<Page<Visit>, SignInError> {
    let own = oneself(grant)?;
    let before = match &slice.after {
        Some(key) => Some(key.parse().map_err(|_| CursorError)?),
        None => None,
    };
    let limit = slice.limit.clamp(1, MOST);
    let rows = store::visits(tx, own, before, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.id.to_string()))
}

/// Ends one of one's own sessions, also that by which it is asked for; ending it again changes nothing.
///
/// # Errors
/// [`SignInError::UnknownSession`], [`SignInError::Db`].
pub async fn end(
    tx: &mut Tx,
    grant: &Grant<UseMembership>,
    id: MemberSessionId,
) -> Result<Visit, SignInError> {
    let own = oneself(grant)?;
    let found = store::visit(tx, id).await?;
    if found.is_none_or(|(visit, _)| visit.member != own) {
        return Err(SignInError::UnknownSession);
    }
    store::end(tx, id).await?;
    let ended = store::visit(tx, id).await?;
    ended
        .map(|(visit, _)| visit)
        .ok_or(SignInError::UnknownSession)
}

/// Ends all of one's sessions but the one by which it is asked for.
///
/// # Errors
/// [`SignInError::UnknownSession`] for whoever is no member, [`SignInError::Db`].
pub async fn end_others(
    tx: &mut Tx,
    grant: &Grant<UseMembership>,
    this: MemberSessionId,
) -> Result<(), SignInError> {
    let own = oneself(grant)?;
    Ok(store::end_others(tx, own, this).await?)
}

/// A member's newest sessions, a hundred at the most, for whoever takes away what is known of her and
/// may.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn copied(
    tx: &mut ReadTx,
    _grant: &Grant<CopyMembers>,
    member: MemberId,
) -> Result<Vec<Visit>, db::Error> {
    store::visits(tx, member, None, MOST).await
}

/// Forgets that a member ever came in, and what her telephone was told.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn forget(
    tx: &mut Tx,
    _grant: &Grant<EraseMembers>,
    member: MemberId,
    phone: Option<&Phone>,
) -> Result<(), db::Error> {
    store::forget_visits(tx, member).await?;
    if let Some(phone) = phone {
        store::forget_codes(tx, phone).await?;
    }
    Ok(())
}

/// The member who holds a grant.
///
/// # Errors
/// [`SignInError::UnknownSession`] for whoever is no member.
pub fn oneself(grant: &Grant<UseMembership>) -> Result<MemberId, SignInError> {
    match grant.reach() {
        Reach::Member(own) => Ok(own),
        Reach::Mall | Reach::Merchant(_) => Err(SignInError::UnknownSession),
    }
}
