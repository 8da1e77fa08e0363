//! Roles that a mall makes for itself, beside those of the program.
//!
//! A role holds actions of the program's list, at the reach of those whom it is for: the mall's people,
//! or one merchant's. It never holds what no reviewed role for these people does, and whoever puts a
//! right into a role, takes one out or ends the role has each of its rights themselves, or staffs those
//! whom it is for. What a role may do is kept for each of its revisions; a role ends, and its code is
//! never used again.
//!
//! Every change raises the mall's revision: each server reads all of a mall's roles anew within a second
//! ([`all`]) and hands them to the policy, for every session and key.

mod store;

use std::sync::Arc;

use thiserror::Error;

use super::staff;
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{self, Action, Authenticate, ManageRoles, ReadRoles, StaffMerchant},
        actor::{Reach, Role as RoleName, Stores},
        grant::Grant,
        own::{Family, OwnRole, PREFIX},
        policy::Policy,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::OwnRoleId,
        page::{CursorError, MOST, Page, Slice},
        text::{Name, Slug},
        time::Instant,
    },
};

/// The most living roles of a mall's own; with the reviewed ones that is as many as a page shows.
pub const MOST_ROLES: usize = 50;

/// An object and an action of the program's list.
pub type Right = (&'static str, &'static str);

/// A role of the mall's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its id.
    pub id: OwnRoleId,
    /// By what people and keys name it: `own.` and a slug.
    pub code: String,
    /// What it is called.
    pub name: String,
    /// For whom.
    pub family: Family,
    /// What it may do.
    pub rights: Vec<Right>,
    /// Whether nobody acts in it without a second factor.
    pub guarded: bool,
    /// How often it was changed, from 1.
    pub revision: i32,
    /// When it was made.
    pub created_at: Instant,
    /// By whom.
    pub created_by: String,
    /// When it was changed last.
    pub changed_at: Instant,
    /// By whom.
    pub changed_by: String,
    /// When it was ended.
    pub ended_at: Option<Instant>,
}

/// Why something about roles is refused.
#[derive(Debug, Error)]
pub enum RoleError {
    /// No such role of the mall's own.
    #[error("there is no such role")]
    NotFound,
    /// Another role has or had this code.
    #[error("a role has or had the code {0}; a code is never used again")]
    CodeTaken(String),
    /// No right, or one that is none of the list for these people.
    #[error("{0} {1} cannot be in such a role")]
    Unsuitable(String, String),
    /// A role without any right.
    #[error("a role may do at least one thing")]
    Nothing,
    /// A right that its giver lacks.
    #[error("you may not {1} {0} yourself, so that you can neither give nor take it")]
    BeyondOwn(String, String),
    /// It was changed meanwhile.
    #[error("the role was changed meanwhile: it is at revision {0}")]
    Overtaken(i32),
    /// It ended.
    #[error("this role was ended")]
    Ended,
    /// As many as there can be.
    #[error("a mall has at most {MOST_ROLES} roles of its own")]
    TooMany,
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// A role to be made.
#[derive(Debug, Clone)]
pub struct NewRole {
    /// What follows `own.`.
    pub slug: Slug,
    /// What it is called.
    pub name: Name,
    /// For whom.
    pub family: Family,
    /// What it is to be allowed, by object and action.
    pub rights: Vec<(String, String)>,
}

/// What a role is to be from now on.
#[derive(Debug, Clone)]
pub struct Edit {
    /// What it is called.
    pub name: Name,
    /// All that it is to be allowed.
    pub rights: Vec<(String, String)>,
    /// The revision that is changed, so that nobody undoes what they have not seen.
    pub revision: i32,
}

/// Every living role of a mall's own, for the policy to decide.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn all(tx: &mut ReadTx, _grant: &Grant<Authenticate>) -> Result<Vec<OwnRole>, db::Error> {
    store::all(tx).await
}

/// A grant by the mall's own roles as they are in this transaction, and stay until it ends: nobody gives
/// what was put into a role a moment ago.
pub(super) async fn fresh<A: Action>(
    tx: &mut Tx,
    policy: &Policy,
    grant: &Grant<A>,
) -> Result<Grant<A>, db::Error> {
    store::hold(tx).await?;
    let rows = store::all(tx).await?;
    if rows == grant.own_roles().rows() {
        return Ok(grant.clone());
    }
    let own = policy.decide_own(&rows).await;
    let own = own.map_err(|_| db::Error::Corrupt("roles"))?;
    // What was lost meanwhile is noticed by whoever asks for it again.
    policy
        .renewed(grant, Arc::new(own))
        .map_err(|_| db::Error::Stale)
}

/// Roles of the mall's own, the newest first, those that ended too; whoever is of a merchant sees those
/// for merchants.
///
/// # Errors
/// [`RoleError::Cursor`], [`RoleError::Db`].
pub async fn list(
    tx: &mut ReadTx,
    grant: &Grant<ReadRoles>,
    slice: &Slice,
) -> Result<Page<Role>, RoleError> {
    let before = match &slice.after {
        Some(key) => Some(key.parse().map_err(|_| CursorError)?),
        None => None,
    };
    let limit = slice.limit.clamp(1, MOST);
    let only = match grant.reach() {
        Reach::Mall => None,
        Reach::Merchant(_) | Reach::Member(_) => Some(Family::Merchant),
    };
    let rows = store::page(tx, only, before, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.id.to_string()))
}

/// One of them.
///
/// # Errors
/// [`RoleError::NotFound`], [`RoleError::Db`].
pub async fn get(
    tx: &mut ReadTx,
    grant: &Grant<ReadRoles>,
    id: OwnRoleId,
) -> Result<Role, RoleError> {
    let found = store::find(tx, id).await?;
    let seen = |role: &Role| grant.reach() == Reach::Mall || role.family == Family::Merchant;
    found.filter(seen).ok_or(RoleError::NotFound)
}

/// Makes a role.
///
/// # Errors
/// [`RoleError::CodeTaken`], [`RoleError::Unsuitable`], [`RoleError::Nothing`],
/// [`RoleError::BeyondOwn`], [`RoleError::TooMany`], [`RoleError::Db`].
pub async fn create(
    tx: &mut Tx,
    policy: &Policy,
    grant: &Grant<ManageRoles>,
    new: NewRole,
) -> Result<Role, RoleError> {
    whole_mall(grant)?;
    store::lock(tx).await?;
    let grant = &fresh(tx, policy, grant).await?;
    let rights = suitable(policy, new.family, &new.rights)?;
    may_touch(policy, grant, new.family, &rights)?;
    if store::all(tx).await?.len() >= MOST_ROLES {
        return Err(RoleError::TooMany);
    }
    let (now, by) = (tx.now(), tx.actor().to_string());
    let role = Role {
        id: tx.new_id(),
        code: format!("{PREFIX}{}", new.slug.as_str()),
        name: new.name.as_str().to_owned(),
        family: new.family,
        guarded: is_guarded(policy, new.family, &rights),
        rights,
        revision: 1,
        created_at: now,
        created_by: by.clone(),
        changed_at: now,
        changed_by: by,
        ended_at: None,
    };
    if !store::insert(tx, &role).await? {
        return Err(RoleError::CodeTaken(role.code));
    }
    let done = Done::to(Act::RoleMade, role.id)
        .is(Field::Code, role.code.as_str())
        .is(Field::Name, role.name.as_str())
        .is(Field::Rights, words(&role.rights));
    audit::record(tx, done).await?;
    Ok(role)
}

/// Changes what a role is called and may do, for everybody who has it, within a second.
///
/// # Errors
/// [`RoleError::NotFound`], [`RoleError::Ended`], [`RoleError::Overtaken`], and what [`create`] says.
pub async fn change(
    tx: &mut Tx,
    policy: &Policy,
    grant: &Grant<ManageRoles>,
    id: OwnRoleId,
    edit: Edit,
) -> Result<Role, RoleError> {
    store::lock(tx).await?;
    let grant = &fresh(tx, policy, grant).await?;
    let role = living(tx, grant, id).await?;
    if role.revision != edit.revision {
        return Err(RoleError::Overtaken(role.revision));
    }
    let rights = suitable(policy, role.family, &edit.rights)?;
    // What one could not give one cannot take away either.
    may_touch(policy, grant, role.family, &rights)?;
    may_touch(policy, grant, role.family, &role.rights)?;
    let done = Done::to(Act::RoleChanged, role.id)
        .changed(Field::Name, role.name.as_str(), edit.name.as_str())
        .changed(Field::Rights, words(&role.rights), words(&rights));
    audit::record(tx, done).await?;
    let role = Role {
        name: edit.name.as_str().to_owned(),
        guarded: is_guarded(policy, role.family, &rights),
        rights,
        revision: role.revision.saturating_add(1),
        changed_at: tx.now(),
        changed_by: tx.actor().to_string(),
        ..role
    };
    store::change(tx, &role).await?;
    Ok(role)
}

/// Ends a role: whoever has it may do nothing by it any more. Ending it again changes nothing.
///
/// # Errors
/// [`RoleError::NotFound`], [`RoleError::BeyondOwn`], [`RoleError::Db`].
pub async fn end(
    tx: &mut Tx,
    policy: &Policy,
    grant: &Grant<ManageRoles>,
    id: OwnRoleId,
) -> Result<Role, RoleError> {
    store::lock(tx).await?;
    let grant = &fresh(tx, policy, grant).await?;
    let role = match living(tx, grant, id).await {
        Err(RoleError::Ended) => {
            let found = store::find(tx, id).await?;
            return found.ok_or(RoleError::NotFound);
        }
        other => other?,
    };
    may_touch(policy, grant, role.family, &role.rights)?;
    store::end(tx, id).await?;
    let done = Done::to(Act::RoleEnded, id)
        .was(Field::Code, role.code)
        .was(Field::Rights, words(&role.rights));
    audit::record(tx, done).await?;
    store::find(tx, id).await?.ok_or(RoleError::NotFound)
}

/// Rights as the policy writes them.
fn words(rights: &[Right]) -> Vec<String> {
    let words = rights.iter();
    words
        .map(|(object, act)| format!("{object} {act}"))
        .collect()
}

async fn living(tx: &mut Tx, grant: &Grant<ManageRoles>, id: OwnRoleId) -> Result<Role, RoleError> {
    whole_mall(grant)?;
    let role = store::find(tx, id).await?.ok_or(RoleError::NotFound)?;
    if role.ended_at.is_some() {
        return Err(RoleError::Ended);
    }
    Ok(role)
}

/// Roles are the whole mall's: whoever is of one merchant changes none.
fn whole_mall(grant: &Grant<ManageRoles>) -> Result<(), RoleError> {
    match grant.reach() {
        Reach::Mall => Ok(()),
        Reach::Merchant(_) | Reach::Member(_) => Err(RoleError::NotFound),
    }
}

/// The wished rights, each once, in the order of the list.
fn suitable(
    policy: &Policy,
    family: Family,
    wished: &[(String, String)],
) -> Result<Vec<Right>, RoleError> {
    let grantable = policy.grantable(family);
    let mut rights = Vec::new();
    for (object, act) in wished {
        match action::find(object, act).filter(|right| grantable.contains(right)) {
            Some(right) if !rights.contains(&right) => rights.push(right),
            Some(_) => {}
            None => return Err(RoleError::Unsuitable(object.clone(), act.clone())),
        }
    }
    if rights.is_empty() {
        return Err(RoleError::Nothing);
    }
    rights.sort_unstable();
    Ok(rights)
}

/// That whoever holds this grant has each of the rights, or staffs those whom the role is for.
fn may_touch(
    policy: &Policy,
    grant: &Grant<ManageRoles>,
    family: Family,
    rights: &[Right],
) -> Result<(), RoleError> {
    let staffs = family == Family::Merchant
        && policy
            .also::<_, StaffMerchant>(grant)
            .is_ok_and(|staffing| staffing.reach() == Reach::Mall);
    let lacks = |(object, act): &&Right| !policy.has(grant, object, act, Reach::Mall, &Stores::All);
    match rights.iter().find(lacks) {
        Some((object, act)) if !staffs => Err(RoleError::BeyondOwn(
            (*object).to_owned(),
            (*act).to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Whether one of the rights is in no reviewed role of these people that does without a second factor.
fn is_guarded(policy: &Policy, family: Family, rights: &[Right]) -> bool {
    let open: Vec<&str> = policy
        .roles()
        .filter(|role| Family::of_reviewed(role) == Some(family))
        .filter(|role| !staff::is_guarded(&RoleName::new(*role)))
        .collect();
    let is_open = |(object, act): &Right| {
        let reach = Some(family.reach());
        open.iter()
            .any(|role| policy.decide(role, object, act) == reach)
    };
    !rights.iter().all(is_open)
}
