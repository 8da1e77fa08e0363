//! Who knocks: machines' keys, and people.
//!
//! A key belongs to one mall and has one role of the policy; a merchant's key also names the
//! merchant, and never reaches further. The secret is told once, when the key is made; what is
//! stored is its SHA-256, which is enough for 160 random bits.
//!
//! People are invited ([`staff`]), come in with a password and a second factor ([`signin`]), and
//! are known by their session ([`sessions`]) from then on, which opens everything that a key opens.
//! Members come in by a code that their telephone is told ([`members`]).

pub mod carried;
pub mod changes;
pub mod holders;
pub mod members;
pub mod one_time;
pub mod password;
pub mod roles;
pub mod sessions;
pub mod signin;
pub mod staff;
mod store;

use std::sync::Arc;

use secrecy::SecretString;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{Authenticate, CreateKey, ReadKeys, RevokeKey, StaffMall, StaffMerchant},
        actor::{Actor, Principal, Reach, Role, Stores},
        grant::Grant,
        own::{Family, OwnRoles},
        policy::{Policy, PolicyError},
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{ApiKey, ApiKeyId, MemberSession, MemberSessionId, MerchantId, Session, SessionId},
        key_text,
        page::{Page, Slice},
        text::Name,
        time::Instant,
    },
};

/// Why a key was not made, found or recognised.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// Not a key of this mall, or one that was revoked.
    #[error("this key is not known here, or was revoked")]
    UnknownKey,
    /// No key has that id.
    #[error("there is no such key")]
    NoSuchKey,
    /// A role that the policy does not know, or that is not for machines.
    #[error(
        "a key cannot have this role; it takes one that begins with operator., merchant. or machine."
    )]
    UnsuitableRole,
    /// A merchant's role without a merchant.
    #[error("a key with a merchant's role needs the merchant that it is for")]
    MerchantMissing,
    /// A merchant beside a role that is not a merchant's.
    #[error("only a key with a merchant's role is for one merchant")]
    MerchantUnasked,
    /// Stores beside a key that is not a merchant's, or none, or too many.
    #[error("only a key with a merchant's role is narrowed to stores, to 1 to 50")]
    CannotNarrow,
    /// A role that may do what its giver may not.
    #[error("{0} may do what you may not, so that you cannot make a key of it")]
    BeyondOwn(String),
    /// A merchant's people make keys for their own merchant only.
    #[error("there is no such merchant")]
    OutOfReach,
    /// The mall's own roles cannot be decided.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::error::Error),
}

/// What a key is to be: always a role that a key may have, with a merchant where it needs one.
#[derive(Debug, Clone)]
pub struct NewKey {
    label: Name,
    role: Role,
    family: Family,
    merchant: Option<MerchantId>,
    stores: Stores,
}

impl NewKey {
    /// Checks role, merchant and stores against each other, against the policy and the mall's own
    /// roles. That the merchant exists and the stores are its is the caller's to check.
    ///
    /// # Errors
    /// [`IdentityError::UnsuitableRole`], [`IdentityError::MerchantMissing`],
    /// [`IdentityError::MerchantUnasked`], [`IdentityError::CannotNarrow`].
    pub fn new(
        policy: &Policy,
        own: &OwnRoles,
        label: Name,
        role: Role,
        merchant: Option<MerchantId>,
        stores: Stores,
    ) -> Result<Self, IdentityError> {
        let family = policy.family(own, role.as_str());
        let family = family.ok_or(IdentityError::UnsuitableRole)?;
        match (family, merchant) {
            (Family::Merchant, None) => return Err(IdentityError::MerchantMissing),
            (Family::Mall | Family::Machine, Some(_)) => {
                return Err(IdentityError::MerchantUnasked);
            }
            _ if !staff::may_narrow(merchant, &stores) => return Err(IdentityError::CannotNarrow),
            _ => {}
        }
        Ok(Self {
            label,
            role,
            family,
            merchant,
            stores,
        })
    }

    /// The merchant that it is for.
    pub fn merchant(&self) -> Option<MerchantId> {
        self.merchant
    }

    /// The stores to which it is narrowed.
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// That whoever makes it could act in its role, or staffs those whom it is for: a machine of the
    /// mall's acts at its merchants' tills.
    fn may_be_made(&self, policy: &Policy, grant: &Grant<CreateKey>) -> Result<(), IdentityError> {
        let staffs = match self.family {
            Family::Mall => policy.also::<_, StaffMall>(grant).is_ok(),
            Family::Merchant | Family::Machine => policy.also::<_, StaffMerchant>(grant).is_ok(),
        };
        let scope = self.merchant.map_or(Reach::Mall, Reach::Merchant);
        if staffs || policy.could_act_as(grant, &self.role, scope, &self.stores) {
            return Ok(());
        }
        Err(IdentityError::BeyondOwn(self.role.as_str().to_owned()))
    }
}

/// A machine's key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id, which is also part of the key itself.
    pub id: ApiKeyId,
    /// What it is for, in its maker's words.
    pub label: String,
    /// The role that it acts in.
    pub role: Role,
    /// The merchant that it never reaches beyond.
    pub merchant: Option<MerchantId>,
    /// To which of its stores it is narrowed.
    pub stores: Stores,
    /// The last four digits of the key.
    pub last_four: String,
    /// When it was made.
    pub created_at: Instant,
    /// When it was ended.
    pub revoked_at: Option<Instant>,
}

/// Makes a key and tells its secret, this once.
///
/// # Errors
/// [`IdentityError::OutOfReach`], [`IdentityError::BeyondOwn`], [`IdentityError::Db`].
pub async fn create(
    tx: &mut Tx,
    policy: &Policy,
    grant: &Grant<CreateKey>,
    new: NewKey,
) -> Result<(Key, SecretString), IdentityError> {
    match grant.reach() {
        Reach::Mall => {}
        Reach::Merchant(own) if new.merchant == Some(own) => {}
        Reach::Merchant(_) | Reach::Member(_) => return Err(IdentityError::OutOfReach),
    }
    let grant = &roles::fresh(tx, policy, grant).await?;
    new.may_be_made(policy, grant)?;
    let id: ApiKeyId = tx.new_id();
    let fresh = key_text::make(id, tx.entropy());
    let key = Key {
        id,
        label: new.label.as_str().to_owned(),
        role: new.role,
        merchant: new.merchant,
        stores: new.stores,
        last_four: fresh.last_four,
        created_at: tx.now(),
        revoked_at: None,
    };
    store::insert(tx, &key, &fresh.hash).await?;
    let done = Done::to(Act::KeyMade, key.id)
        .is(Field::Label, key.label.as_str())
        .is(Field::Role, key.role.as_str())
        .is(Field::Merchant, audit::id(key.merchant))
        .is(Field::Stores, audit::ids(key.stores.named()));
    audit::record(tx, done).await?;
    Ok((key, fresh.secret))
}

/// Keys, the newest first, with those that were revoked.
///
/// # Errors
/// [`IdentityError::Db`].
pub async fn list(
    tx: &mut ReadTx,
    grant: &Grant<ReadKeys>,
    slice: &Slice,
) -> Result<Page<Key>, IdentityError> {
    let merchant = match grant.reach() {
        Reach::Mall => None,
        Reach::Merchant(own) => Some(own),
        Reach::Member(_) => {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        }
    };
    let before = match &slice.after {
        None => None,
        Some(cursor) => Some(cursor.parse().map_err(|_| IdentityError::NoSuchKey)?),
    };
    let rows = store::page(tx, merchant, before, slice.limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, slice.limit, |key| key.id.to_string()))
}

/// Ends a key from the next second on; ending it twice changes nothing.
///
/// # Errors
/// [`IdentityError::NoSuchKey`], [`IdentityError::Db`].
pub async fn revoke(
    tx: &mut Tx,
    grant: &Grant<RevokeKey>,
    id: ApiKeyId,
) -> Result<Key, IdentityError> {
    let found = store::find(tx, id).await?;
    let covered = |key: &Key| match (grant.reach(), key.merchant) {
        (Reach::Mall, _) => true,
        (reach, Some(merchant)) => reach.covers(merchant),
        (_, None) => false,
    };
    let key = match found {
        Some((key, _)) if covered(&key) => key,
        _ => return Err(IdentityError::NoSuchKey),
    };
    let revoked = store::revoke(tx, id).await?;
    if key.revoked_at.is_none() {
        let done = Done::to(Act::KeyRevoked, id)
            .was(Field::Label, key.label)
            .was(Field::Role, key.role.as_str())
            .was(Field::Merchant, audit::id(key.merchant));
        audit::record(tx, done).await?;
    }
    revoked.ok_or(IdentityError::NoSuchKey)
}

/// Who shows a key or the token of a session.
#[derive(Debug, Clone)]
pub struct Recognised {
    /// Who, in which roles.
    pub principal: Principal,
    /// The session, where it is no machine.
    pub presence: Option<Presence>,
}

/// Somebody's session as it was seen last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Of somebody who works here.
    Staff(Seen),
    /// Of a member.
    Member {
        /// Which one.
        id: MemberSessionId,
        /// How long that holds.
        life: Life,
    },
}

/// The session of somebody who works here, as it was seen last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Which one.
    pub id: SessionId,
    /// Whether it opens the person's own account alone, because the second factor is missing.
    pub limited: bool,
    /// How long that holds.
    pub life: Life,
}

/// How long what was seen of a session holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When it ends, if nobody uses it meanwhile.
    pub until: Instant,
    /// When it is to be looked at again, so that it must not be remembered for longer.
    pub again_at: Instant,
    /// Whether its use is to be written down.
    pub stale: bool,
}

impl Presence {
    /// How long it holds.
    pub fn life(&self) -> Life {
        match self {
            Self::Staff(seen) => seen.life,
            Self::Member { life, .. } => *life,
        }
    }

    /// Whether it opens the person's own account alone.
    pub fn is_limited(&self) -> bool {
        matches!(self, Self::Staff(Seen { limited: true, .. }))
    }
}

/// Writes down that a session was used.
///
/// # Errors
/// [`db::Error`].
pub async fn touch(
    tx: &mut Tx,
    grant: &Grant<Authenticate>,
    presence: &Presence,
) -> Result<(), db::Error> {
    match presence {
        Presence::Staff(seen) => sessions::touch(tx, grant, seen.id).await,
        Presence::Member { id, .. } => members::touch(tx, grant, *id).await,
    }
}

/// Who shows this key, or this token of a session; what roles of the mall's own mean is for whoever
/// asks to add.
///
/// # Errors
/// [`IdentityError::UnknownKey`] for everything that is not a living key of this mall,
/// [`IdentityError::Db`].
pub async fn authenticate(
    tx: &mut ReadTx,
    _grant: &Grant<Authenticate>,
    presented: &str,
) -> Result<Recognised, IdentityError> {
    if key_text::id_of::<Session>(presented).is_some() {
        return sessions::authenticate(tx, presented).await;
    }
    if key_text::id_of::<MemberSession>(presented).is_some() {
        return members::authenticate(tx, presented).await;
    }
    let id = key_text::id_of::<ApiKey>(presented).ok_or(IdentityError::UnknownKey)?;
    let found = store::find(tx, id).await?;
    let (key, hash) = found.ok_or(IdentityError::UnknownKey)?;
    let same: bool = hash.ct_eq(&key_text::hash(presented)[..]).into();
    if !same || key.revoked_at.is_some() {
        return Err(IdentityError::UnknownKey);
    }
    let principal = Principal {
        actor: Actor::Machine(key.id),
        tenant: Some(tx.tenant()),
        role: key.role,
        also: Vec::new(),
        scope: key.merchant.map_or(Reach::Mall, Reach::Merchant),
        stores: key.stores,
        own: Arc::default(),
        whence: Arc::default(),
    };
    Ok(Recognised {
        principal,
        presence: None,
    })
}

/// What a presented key may be remembered by, without keeping the key.
pub fn fingerprint(presented: &str) -> [u8; 32] {
    key_text::hash(presented)
}

/// Whether this could be a key at all; costs no question to the database.
pub fn has_form(presented: &str) -> bool {
    key_text::id_of::<ApiKey>(presented).is_some()
        || key_text::id_of::<Session>(presented).is_some()
        || key_text::id_of::<MemberSession>(presented).is_some()
}
