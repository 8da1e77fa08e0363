//! How people come in: with a password, with a link that lets them choose one, and with their second
//! factor after either.
//!
//! What fails is counted before it is tried, for the account and for the address that asks: ten times
//! in a quarter of an hour, whether there is such an account or not. Who is shut out in that way by
//! somebody else still comes in by the link of a letter, which asks for no password.
//!
//! Passwords are hashed between two transactions, so that none waits for it.

pub(super) mod attempts;
mod factor;
mod store;

use chrono::TimeDelta;
use secrecy::SecretString;
use subtle::ConstantTimeEq;
use thiserror::Error;

pub use factor::{
    Activated, activate, begin_enrolment, enrolment, new_recovery_codes, pass, remove_factor,
};

use self::attempts::Subject;
use super::{
    Seen,
    password::{HashError, Hashing, Password, PasswordError},
    sessions::{self, LONGEST, SignedIn, is_limited, store as signed_in},
    staff::{LinkKind, LinkMail, Staff, State, links, lower, store as people},
};
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{Action, SignIn, UseAccount},
        actor::Actor,
        grant::Grant,
    },
    db::{
        self, Db,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{Link, SessionId, StaffId},
        key_text,
        page::CursorError,
        text::{Email, Language, Name},
        time::Instant,
        vault::Vault,
    },
};

/// How long the link of somebody who forgot the password opens.
pub const RESET_FOR: TimeDelta = TimeDelta::hours(1);

/// The most letters of `origin`.
const LONGEST_ORIGIN: usize = 120;

/// Why somebody does not come in, or not further.
#[derive(Debug, Error)]
pub enum SignInError {
    /// No such account, or another password: it is not said which.
    #[error("the address or the password is wrong")]
    WrongCredentials,
    /// Too many tries failed.
    #[error("too many tries failed; try again in {0} seconds, or have a link sent to your address")]
    TooMany(u32),
    /// Not the code of this moment, or one that was used.
    #[error("this code is wrong, too old or used already")]
    WrongCode,
    /// Codes were asked for too often: of a number, from an address, or in the whole mall.
    #[error("too many codes were asked for; ask again in {0} seconds")]
    TooManyCodes(u32),
    /// Not the code that the telephone was told.
    #[error("this is not the code that the telephone was told")]
    NotTheCode,
    /// A code that is asked for anew: used, too old, tried too often, or never asked for here.
    #[error("no code opens this any more: ask for another one")]
    CodeGone,
    /// There is nothing that a code could be of.
    #[error("there is no second factor to show")]
    NoSecondFactor,
    /// The server has no key to keep secrets under.
    #[error(
        "this server cannot keep a second factor: its settings have no key (secrets.key, ROTUNDA_SECRETS_KEY)"
    )]
    SecondFactorOff,
    /// There is one already.
    #[error("the second factor is set up already")]
    AlreadyEnrolled,
    /// The second factor has not been shown.
    #[error("show your second factor first, or set it up")]
    SecondFactorNeeded,
    /// Expired, used, taken back, of another mall, or no link at all.
    #[error("this link opens nothing: it was used, has expired, or was replaced by a newer one")]
    BadLink,
    /// What is not to be a password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Not the password so far.
    #[error("this is not your password")]
    WrongPassword,
    /// No such session of one's own.
    #[error("there is no such session")]
    UnknownSession,
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// Passwords are hashed a few at a time.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// What people come in by.
#[derive(Debug, Clone, Copy)]
pub struct Desk<'a> {
    /// The way to SQL.
    pub db: &'a Db,
    /// Who hashes passwords.
    pub hashing: &'a Hashing,
    /// What keeps the secrets of one-time codes; none where the settings have no key.
    pub vault: Option<&'a Vault>,
}

/// From where somebody comes.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The network address, or as much of it as one household shares.
    pub address: String,
    /// The browser or the machine, in short.
    pub device: String,
}

impl Origin {
    /// In one line, as it is kept.
    pub fn short(&self) -> String {
        let whole = format!("{}, {}", self.device, self.address);
        whole.chars().take(LONGEST_ORIGIN).collect()
    }
}

/// What a session needs before it opens more than one's own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// A code of the second factor.
    Code,
    /// A second factor, of which there is none.
    Enrolment,
}

impl Need {
    /// What a session of that person needs.
    pub fn of(staff: &Staff, second_factor: bool) -> Self {
        match (is_limited(staff, second_factor), staff.second_factor_since) {
            (false, _) => Self::Nothing,
            (true, Some(_)) => Self::Code,
            (true, None) => Self::Enrolment,
        }
    }
}

/// A session with its token, which is told this once.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The session.
    pub session: SignedIn,
    /// Its token.
    pub token: SecretString,
    /// What it needs.
    pub need: Need,
}

/// Comes in with a password.
///
/// # Errors
/// [`SignInError::WrongCredentials`], [`SignInError::TooMany`], [`SignInError::Hash`],
/// [`SignInError::Db`].
pub async fn sign_in(
    desk: Desk<'_>,
    grant: &Grant<SignIn>,
    email: &Email,
    password: &SecretString,
    from: &Origin,
) -> Result<Opened, SignInError> {
    let email = lower(email);
    let subjects = [Subject::account(&email), Subject::address(&from.address)];
    let mut tx = desk.db.write(grant).await?;
    let last = attempts::count(&mut tx, &subjects).await?;
    let known = store::password_by_email(&mut tx, &email).await?;
    tx.commit().await?;
    let stored = known.as_ref().map(|(_, hash)| hash.clone());
    // The same work where there is nobody.
    let right = desk.hashing.verify(password, stored).await?;
    let (id, hash) = match (known, right) {
        (Some(known), true) => known,
        (known, _) => {
            let whose = known.map(|(id, _)| id);
            let email = email.masked();
            let said = |act| about(act, whose).is(Field::Email, email.as_str());
            let failed = [said(Act::SignInFailed), said(Act::SignInLocked)];
            note(desk, grant, failed, last).await?;
            return Err(SignInError::WrongCredentials);
        }
    };
    let mut tx = desk.db.write(grant).await?;
    let staff = people::lock(&mut tx, id).await?;
    let staff = staff.ok_or(SignInError::WrongCredentials)?;
    // Whoever changed it meanwhile ended the sessions that there were; this would be one more.
    let same = store::password_of(&mut tx, id)
        .await?
        .is_some_and(|now| now == hash);
    if !same || staff.state != State::Active {
        return Err(SignInError::WrongCredentials);
    }
    attempts::forgive(&mut tx, &subjects).await?;
    let opened = open(&mut tx, &staff, from).await?;
    let done = Done::to(Act::SignedIn, staff.id).is(Field::Device, from.device.as_str());
    audit::record(&mut tx, done.by(Actor::Staff(staff.id))).await?;
    tx.commit().await?;
    Ok(opened)
}

/// An act of somebody, where it is known of whom.
fn about(act: Act, whose: Option<StaffId>) -> Done {
    whose.map_or_else(|| Done::new(act), |id| Done::to(act, id))
}

/// Writes down a try that failed; the second of the two where it was the `last` for a while.
async fn note<A: Action>(
    desk: Desk<'_>,
    grant: &Grant<A>,
    [failed, locked]: [Done; 2],
    last: bool,
) -> Result<(), db::Error> {
    let mut tx = desk.db.write(grant).await?;
    audit::record(&mut tx, failed).await?;
    if last {
        audit::record(&mut tx, locked).await?;
    }
    tx.commit().await
}

/// A new session of somebody who showed a password, or a link.
async fn open(tx: &mut Tx, staff: &Staff, from: &Origin) -> Result<Opened, db::Error> {
    let (id, now): (SessionId, Instant) = (tx.new_id(), tx.now());
    let fresh = key_text::make(id, tx.entropy());
    let session = SignedIn {
        id,
        staff: staff.id,
        second_factor: false,
        origin: from.short(),
        created_at: now,
        seen_at: now,
        expires_at: now + LONGEST,
        ended_at: None,
    };
    signed_in::insert(tx, &session, &fresh.hash).await?;
    Ok(Opened {
        session,
        token: fresh.secret,
        need: Need::of(staff, false),
    })
}

/// Gives a session another token, so that whoever knew the one before does not come along.
async fn renew(
    tx: &mut Tx,
    staff: &Staff,
    id: SessionId,
    second_factor: bool,
) -> Result<Opened, SignInError> {
    let fresh = key_text::make(id, tx.entropy());
    signed_in::renew(tx, id, &fresh.hash, second_factor).await?;
    let found = signed_in::find(tx, id).await?;
    let (session, _) = found.ok_or(SignInError::UnknownSession)?;
    // It may have been ended while the code was looked at.
    if !session.is_alive(tx.now()) {
        return Err(SignInError::UnknownSession);
    }
    Ok(Opened {
        session,
        token: fresh.secret,
        need: Need::of(staff, second_factor),
    })
}

/// What a link is for, and for whom.
///
/// # Errors
/// [`SignInError::BadLink`], [`SignInError::Db`].
pub async fn look_at(
    tx: &mut ReadTx,
    _grant: &Grant<SignIn>,
    token: &SecretString,
) -> Result<(LinkKind, Staff), SignInError> {
    let (link, staff) = opened_by(tx, token).await?;
    Ok((link.kind, staff))
}

async fn opened_by(
    tx: &mut ReadTx,
    token: &SecretString,
) -> Result<(LinkMail, Staff), SignInError> {
    use secrecy::ExposeSecret;
    let token = token.expose_secret();
    let id = key_text::id_of::<Link>(token).ok_or(SignInError::BadLink)?;
    let found = people::find_link(tx, id).await?;
    let (link, hash) = found.ok_or(SignInError::BadLink)?;
    let hash = hash.ok_or(SignInError::BadLink)?;
    let same: bool = hash.ct_eq(&key_text::hash(token)[..]).into();
    if !same || !link.is_open(tx.now()) {
        return Err(SignInError::BadLink);
    }
    let staff = people::find(tx, link.staff).await?;
    let staff = staff.ok_or(SignInError::BadLink)?;
    let waits = match link.kind {
        LinkKind::Invitation => State::Invited,
        LinkKind::Reset => State::Active,
    };
    if staff.state != waits {
        return Err(SignInError::BadLink);
    }
    Ok((link, staff))
}

/// What somebody who was invited says of themselves.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// What they are called; none: as whoever invited them said.
    pub name: Option<Name>,
    /// In which language they are spoken to; none: as it was.
    pub language: Option<Language>,
}

/// Comes in with a link of that kind, and chooses a password. Every other link and every session of
/// theirs ends. What comes as a pair is the link's token and the password.
///
/// # Errors
/// [`SignInError::BadLink`], [`SignInError::Password`], [`SignInError::Hash`], [`SignInError::Db`].
pub async fn redeem(
    desk: Desk<'_>,
    grant: &Grant<SignIn>,
    kind: LinkKind,
    (token, password): (&SecretString, &SecretString),
    about: &About,
    from: &Origin,
) -> Result<Opened, SignInError> {
    let mut tx = desk.db.read(grant).await?;
    let (link, staff) = opened_by(&mut tx, token).await?;
    let entropy = tx.entropy().clone();
    drop(tx);
    if link.kind != kind {
        return Err(SignInError::BadLink);
    }
    let password = Password::choose(password, &staff.email)?;
    let hash = desk.hashing.hash(&password, &entropy).await?;
    let mut tx = desk.db.write(grant).await?;
    // The person first, then the link: two who use it at once come one after the other.
    people::lock(&mut tx, staff.id).await?;
    people::lock_link(&mut tx, link.id).await?;
    let (link, staff) = opened_by(&mut tx, token).await?;
    people::use_link(&mut tx, link.id).await?;
    links::end(&mut tx, staff.id, LinkKind::Invitation).await?;
    links::end(&mut tx, staff.id, LinkKind::Reset).await?;
    store::set_password(&mut tx, staff.id, &hash, about).await?;
    signed_in::end_all_of(&mut tx, staff.id, None).await?;
    attempts::forgive(&mut tx, &[Subject::account(&staff.email)]).await?;
    let opened = open(&mut tx, &staff, from).await?;
    let done = Done::to(Act::PasswordChosen, staff.id)
        .is(Field::Kind, link.kind.as_str())
        .is(Field::Device, from.device.as_str());
    audit::record(&mut tx, done.by(Actor::Staff(staff.id))).await?;
    tx.commit().await?;
    Ok(opened)
}

/// Has a link written to an address, if somebody active has it. Nobody is told whether.
///
/// # Errors
/// [`SignInError::TooMany`] for an address that asks too often, [`SignInError::Db`].
pub async fn ask_for_link(
    desk: Desk<'_>,
    grant: &Grant<SignIn>,
    email: &Email,
    from: &Origin,
) -> Result<(), SignInError> {
    let email = lower(email);
    let mut tx = desk.db.write(grant).await?;
    attempts::count(&mut tx, &[Subject::asker(&from.address)]).await?;
    let asked = store::password_by_email(&mut tx, &email).await?;
    let asked = asked.map(|(id, _)| id);
    let done = about(Act::LinkAsked, asked).is(Field::Email, email.masked());
    audit::record(&mut tx, done).await?;
    let within = attempts::count(&mut tx, &[Subject::letters(&email)]).await;
    match within {
        // So many letters are enough, and it is not said that there are any.
        Err(SignInError::TooMany(_)) => {}
        Err(error) => return Err(error),
        Ok(_) => {
            if let Some(id) = asked {
                let until = tx.now() + RESET_FOR;
                // Earlier ones stay: whoever asks in another's name must not take theirs away.
                links::mail(&mut tx, id, LinkKind::Reset, until).await?;
            }
        }
    }
    tx.commit().await?;
    Ok(())
}

/// Counts a letter that a stranger has written to an address: whether it may go. Nobody is told of an
/// address that it has had enough.
///
/// # Errors
/// [`SignInError::TooMany`] for whoever asks too often, [`SignInError::Db`].
pub async fn count_letter(
    desk: Desk<'_>,
    grant: &Grant<SignIn>,
    email: &Email,
    from: &Origin,
) -> Result<bool, SignInError> {
    let mut tx = desk.db.write(grant).await?;
    attempts::count(&mut tx, &[Subject::asker(&from.address)]).await?;
    let within = attempts::count(&mut tx, &[Subject::letters(&lower(email))]).await;
    tx.commit().await?;
    match within {
        Ok(_) => Ok(true),
        Err(SignInError::TooMany(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Chooses another password. Every other session ends, and this one gets another token.
///
/// # Errors
/// [`SignInError::SecondFactorNeeded`], [`SignInError::WrongPassword`], [`SignInError::TooMany`],
/// [`SignInError::Password`], [`SignInError::Hash`], [`SignInError::Db`].
pub async fn change_password(
    desk: Desk<'_>,
    grant: &Grant<UseAccount>,
    by: &Seen,
    current: &SecretString,
    wanted: &SecretString,
) -> Result<Opened, SignInError> {
    sessions::whole(by)?;
    let own = sessions::person(grant)?;
    let subject = [Subject::own(own)];
    let mut tx = desk.db.write(grant).await?;
    let staff = people::find(&mut tx, own).await?;
    let staff = staff.ok_or(SignInError::UnknownSession)?;
    let wanted = Password::choose(wanted, &staff.email)?;
    let last = attempts::count(&mut tx, &subject).await?;
    let stored = store::password_of(&mut tx, own).await?;
    let entropy = tx.entropy().clone();
    tx.commit().await?;
    if !desk.hashing.verify(current, stored.clone()).await? {
        let failed = [Act::PasswordFailed, Act::SignInLocked].map(|act| Done::to(act, own));
        note(desk, grant, failed, last).await?;
        return Err(SignInError::WrongPassword);
    }
    let hash = desk.hashing.hash(&wanted, &entropy).await?;
    let mut tx = desk.db.write(grant).await?;
    let staff = people::lock(&mut tx, own).await?;
    let staff = staff.filter(|staff| staff.state == State::Active);
    let staff = staff.ok_or(SignInError::UnknownSession)?;
    if store::password_of(&mut tx, own).await? != stored {
        return Err(SignInError::WrongPassword);
    }
    attempts::forgive(&mut tx, &subject).await?;
    store::set_password(&mut tx, own, &hash, &About::default()).await?;
    signed_in::end_all_of(&mut tx, own, Some(by.id)).await?;
    links::end(&mut tx, own, LinkKind::Reset).await?;
    let before = signed_in::find(&mut tx, by.id).await?;
    let shown = before.is_some_and(|(session, _)| session.second_factor);
    let opened = renew(&mut tx, &staff, by.id, shown).await?;
    audit::record(&mut tx, Done::to(Act::PasswordChanged, own)).await?;
    tx.commit().await?;
    Ok(opened)
}
