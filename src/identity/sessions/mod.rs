//! Sessions: that somebody is signed in.
//!
//! A session is an opaque token of which the SHA-256 is stored. It ends half an hour after it was used
//! last, and twelve hours after it began, whatever happens; by its owner, one by one or all others; and
//! with the person. Before the second factor it opens the person's own account and nothing else.
//!
//! Its use is written down once a minute at the most, so that the half hour may be up to a minute
//! shorter.

pub(super) mod store;

use std::sync::Arc;

use chrono::TimeDelta;
use subtle::ConstantTimeEq;

use super::{
    IdentityError, Life, Presence, Recognised, Seen,
    signin::SignInError,
    staff::{Staff, State, Theme, store as people},
};
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{Authenticate, UseAccount},
        actor::{Actor, Principal, Role},
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{Session, SessionId, StaffId},
        key_text,
        page::{CursorError, MOST, Page, Slice},
        text::{Language, Name},
        time::{Instant, Zone},
    },
};

/// How long a session lives without being used.
pub const IDLE: TimeDelta = TimeDelta::minutes(30);

/// How long it lives at the most.
pub const LONGEST: TimeDelta = TimeDelta::hours(12);

/// How old what is written down of its use may be.
const WRITTEN: TimeDelta = TimeDelta::minutes(1);

/// The role of everybody who signed in.
const EVERYBODY: &str = "staff";

/// That somebody is signed in, without the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Its id, which opens nothing.
    pub id: SessionId,
    /// Who.
    pub staff: StaffId,
    /// Whether they showed their second factor.
    pub second_factor: bool,
    /// From where, in short.
    pub origin: String,
    /// When it began.
    pub created_at: Instant,
    /// When it was used last, to the minute.
    pub seen_at: Instant,
    /// When it ends at the latest.
    pub expires_at: Instant,
    /// When it was ended.
    pub ended_at: Option<Instant>,
}

impl SignedIn {
    /// When it ends, if nobody uses it meanwhile.
    pub fn until(&self) -> Instant {
        self.expires_at.min(self.seen_at + IDLE)
    }

    /// Whether it opens anything at `now`.
    pub fn is_alive(&self, now: Instant) -> bool {
        self.ended_at.is_none() && now < self.until()
    }
}

/// Whether somebody whose second factor was not shown may use nothing but their own account.
pub(super) fn is_limited(staff: &Staff, second_factor: bool) -> bool {
    !second_factor && (staff.second_factor_since.is_some() || staff.is_guarded())
}

/// Who shows the token of a session.
pub(super) async fn authenticate(
    tx: &mut ReadTx,
    presented: &str,
) -> Result<Recognised, IdentityError> {
    let id = key_text::id_of::<Session>(presented).ok_or(IdentityError::UnknownKey)?;
    let (session, hash) = store::find(tx, id)
        .await?
        .ok_or(IdentityError::UnknownKey)?;
    let same: bool = hash.ct_eq(&key_text::hash(presented)[..]).into();
    let now = tx.now();
    if !same || !session.is_alive(now) {
        return Err(IdentityError::UnknownKey);
    }
    let staff = people::find(tx, session.staff).await?;
    let staff = staff.filter(|staff| staff.state == State::Active);
    let staff = staff.ok_or(IdentityError::UnknownKey)?;
    let limited = is_limited(&staff, session.second_factor);
    let scope = staff.scope();
    let principal = Principal {
        actor: Actor::Staff(staff.id),
        tenant: Some(tx.tenant()),
        role: Role::new(EVERYBODY),
        also: if limited { Vec::new() } else { staff.roles },
        scope,
        stores: staff.stores,
        own: Arc::default(),
        whence: Arc::default(),
    };
    let seen = Seen {
        id,
        limited,
        life: Life {
            until: session.until(),
            again_at: now + WRITTEN,
            stale: session.seen_at + WRITTEN <= now,
        },
    };
    Ok(Recognised {
        principal,
        presence: Some(Presence::Staff(seen)),
    })
}

/// Writes down that a session was used.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn touch(
    tx: &mut Tx,
    _grant: &Grant<Authenticate>,
    id: SessionId,
) -> Result<(), db::Error> {
    store::touch(tx, id).await
}

/// One's own sessions, the newest first, with those that ended.
///
/// # Errors
/// [`SignInError::UnknownSession`] for whoever is no person, [`SignInError::Cursor`],
/// [`SignInError::Db`].
pub async fn list(
    tx: &mut ReadTx,
    grant: &Grant<UseAccount>,
    slice: &Slice,
) -> Result<Page<SignedIn>, SignInError> {
    let own = person(grant)?;
    let before = match &slice.after {
        Some(key) => Some(key.parse().map_err(|_| CursorError)?),
        None => None,
    };
    let limit = slice.limit.clamp(1, MOST);
    let rows = store::page(tx, own, before, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.id.to_string()))
}

/// Ends one of one's own sessions; ending it again changes nothing.
///
/// # Errors
/// [`SignInError::SecondFactorNeeded`], [`SignInError::UnknownSession`], [`SignInError::Db`].
pub async fn revoke(
    tx: &mut Tx,
    grant: &Grant<UseAccount>,
    by: &Seen,
    id: SessionId,
) -> Result<SignedIn, SignInError> {
    whole(by)?;
    end(tx, grant, id, Act::SessionRevoked).await
}

/// Ends the session by which it is asked for.
///
/// # Errors
/// [`SignInError::UnknownSession`], [`SignInError::Db`].
pub async fn sign_out(
    tx: &mut Tx,
    grant: &Grant<UseAccount>,
    by: &Seen,
) -> Result<SignedIn, SignInError> {
    end(tx, grant, by.id, Act::SignedOut).await
}

async fn end(
    tx: &mut Tx,
    grant: &Grant<UseAccount>,
    id: SessionId,
    act: Act,
) -> Result<SignedIn, SignInError> {
    let own = person(grant)?;
    let found = store::find(tx, id).await?;
    let session = match found {
        Some((session, _)) if session.staff == own => session,
        _ => return Err(SignInError::UnknownSession),
    };
    store::end(tx, id).await?;
    if session.ended_at.is_none() {
        audit::record(tx, Done::to(act, id).was(Field::Device, session.origin)).await?;
    }
    let ended = store::find(tx, id).await?;
    ended
        .map(|(session, _)| session)
        .ok_or(SignInError::UnknownSession)
}

/// Ends all of one's sessions but that by which it is asked for; how many.
///
/// # Errors
/// [`SignInError::SecondFactorNeeded`], [`SignInError::Db`].
pub async fn revoke_others(
    tx: &mut Tx,
    grant: &Grant<UseAccount>,
    by: &Seen,
) -> Result<u64, SignInError> {
    whole(by)?;
    let own = person(grant)?;
    let ended = store::end_all_of(tx, own, Some(by.id)).await?;
    let done = Done::to(Act::OthersRevoked, own).was(Field::Count, ended);
    audit::record(tx, done).await?;
    Ok(ended)
}

/// Oneself.
///
/// # Errors
/// [`SignInError::UnknownSession`] for whoever is no person, [`SignInError::Db`].
pub async fn me(tx: &mut ReadTx, grant: &Grant<UseAccount>) -> Result<Staff, SignInError> {
    let found = people::find(tx, person(grant)?).await?;
    found.ok_or(SignInError::UnknownSession)
}

/// What follows a person wherever they sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preferences {
    /// What they are called.
    pub name: Name,
    /// In which language they are spoken to.
    pub language: Language,
    /// In which zone times are shown; none: the mall's.
    pub zone: Option<Zone>,
    /// How pages look.
    pub theme: Theme,
}

/// Changes what follows oneself.
///
/// # Errors
/// [`SignInError::SecondFactorNeeded`], [`SignInError::UnknownSession`], [`SignInError::Db`].
pub async fn prefer(
    tx: &mut Tx,
    grant: &Grant<UseAccount>,
    by: &Seen,
    wanted: &Preferences,
) -> Result<Staff, SignInError> {
    whole(by)?;
    let before = me(tx, grant).await?;
    store::prefer(tx, before.id, wanted).await?;
    let zone = |zone: Option<Zone>| zone.map(|zone| zone.to_string());
    let done = Done::to(Act::AccountChanged, before.id)
        .changed(Field::Name, before.name, wanted.name.as_str())
        .changed(
            Field::Language,
            before.language.tag(),
            wanted.language.tag(),
        )
        .changed(Field::Zone, zone(before.zone), zone(wanted.zone))
        .changed(Field::Theme, before.theme.as_str(), wanted.theme.as_str());
    audit::record(tx, done).await?;
    me(tx, grant).await
}

/// The person who holds a grant.
pub(super) fn person(grant: &Grant<UseAccount>) -> Result<StaffId, SignInError> {
    match grant.actor() {
        Actor::Staff(id) => Ok(id),
        Actor::Anonymous
        | Actor::Machine(_)
        | Actor::Member(_)
        | Actor::Applicant(_)
        | Actor::Platform
        | Actor::System => Err(SignInError::UnknownSession),
    }
}

/// That a session is not limited: who has a password alone cannot shut out whoever has both.
pub(super) fn whole(by: &Seen) -> Result<(), SignInError> {
    if by.limited {
        return Err(SignInError::SecondFactorNeeded);
    }
    Ok(())
}
