//! The people who work in a mall, for its operator or for one of its merchants.
//!
//! Somebody is invited in one or more roles of the policy, all for the mall or all for the same
//! merchant; the letter's link lets them choose a password, and from then on they are active. Nobody
//! hands out a role that they could not act in themselves, with two exceptions that the policy names:
//! who may staff merchants, and who may staff the mall. The mall's last owner cannot be ended, and
//! where there is another owner, who is one takes two people ([`changes`](super::changes)).
//!
//! Whatever changes what somebody may do raises the mall's revision, so that every server sees it
//! within a second.

pub(super) mod links;
pub(super) mod owners;
mod roles;
pub(super) mod store;
mod words;

use std::{collections::HashMap, fmt};

use chrono::TimeDelta;
use secrecy::SecretString;
use thiserror::Error;

pub use links::{Kind as LinkKind, LinkMail, Ready, SendLink, begin_link, record_link};
pub use roles::Roles;
use roles::may_give;
pub(super) use roles::may_narrow;
pub use words::{State, Theme, WordError};

use super::roles::fresh;
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{InviteStaff, ManageStaff, ReadStaff},
        actor::{Reach, Role, Stores},
        grant::Grant,
        policy::Policy,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{MerchantId, StaffId},
        page::{CursorError, MOST, Page, Slice},
        text::{Email, Language, Name},
        time::{Instant, Zone},
    },
};

/// How long an invitation holds.
pub const INVITED_FOR: TimeDelta = TimeDelta::days(7);

/// The role that a mall must not be without.
pub const OWNER: &str = "operator.owner";

/// The same of a merchant.
pub const MERCHANT_OWNER: &str = "merchant.owner";

/// The reviewed roles in which nobody acts without a second factor; a role of the mall's own is guarded
/// where it may do what no unguarded one may.
const GUARDED: [&str; 4] = [
    OWNER,
    "operator.finance",
    MERCHANT_OWNER,
    "merchant.finance",
];

/// Whether whoever has this reviewed role needs a second factor.
pub fn is_guarded(role: &Role) -> bool {
    GUARDED.contains(&role.as_str())
}

/// A person who works in the mall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staff {
    /// Their id.
    pub id: StaffId,
    /// By what they sign in, and where their letters go; in lower case.
    pub email: Email,
    /// What they are called.
    pub name: String,
    /// In which language they are spoken to.
    pub language: Language,
    /// In which zone times are shown to them; none: the mall's.
    pub zone: Option<Zone>,
    /// How pages look to them.
    pub theme: Theme,
    /// How far they are.
    pub state: State,
    /// In which roles they act.
    pub roles: Vec<Role>,
    /// Whether one of their roles is the mall's own, and asks for a second factor.
    pub guarded_by_own: bool,
    /// The merchant that they never reach beyond; none: they are the mall's.
    pub merchant: Option<MerchantId>,
    /// To which of its stores they are narrowed.
    pub stores: Stores,
    /// Since when they have a second factor.
    pub second_factor_since: Option<Instant>,
    /// When they were invited.
    pub created_at: Instant,
    /// When they were ended.
    pub ended_at: Option<Instant>,
}

impl Staff {
    /// The widest reach that they have.
    pub fn scope(&self) -> Reach {
        self.merchant.map_or(Reach::Mall, Reach::Merchant)
    }

    /// Whether one of their roles asks for a second factor.
    pub fn is_guarded(&self) -> bool {
        self.guarded_by_own || self.roles.iter().any(is_guarded)
    }
}

/// Somebody, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Who.
    pub id: StaffId,
    /// What they are called.
    pub name: String,
}

/// Why something about people is refused.
#[derive(Debug, Error)]
pub enum StaffError {
    /// Nobody, or nobody within reach.
    #[error("there is no such person")]
    NotFound,
    /// The address belongs to somebody who is invited or active.
    #[error("somebody with this address is here already")]
    AddressTaken,
    /// A role that the policy does not know, or that is not for people.
    #[error("nobody can have this role; it takes one that begins with operator. or merchant.")]
    UnsuitableRole,
    /// No role, the same twice, or roles of the mall beside roles of a merchant.
    #[error("a person has one or more different roles, all of the mall or all of one merchant")]
    MixedRoles,
    /// A merchant's role without a merchant.
    #[error("a merchant's role needs the merchant that it is for")]
    MerchantMissing,
    /// A merchant beside a role that is not a merchant's.
    #[error("only a merchant's role is for one merchant")]
    MerchantUnasked,
    /// No such merchant, or none within reach.
    #[error("there is no such merchant")]
    UnknownMerchant,
    /// A role that may do what the giver may not.
    #[error("{0} may do what you may not, so that you can neither give nor take it")]
    BeyondOwn(String),
    /// A narrowing of roles that reach beyond stores by their nature, or to no store.
    #[error(
        "only a merchant's people and keys are narrowed to stores, to 1 to 50, and never its owner"
    )]
    CannotNarrow,
    /// Where there is another owner, nobody makes or unmakes one alone.
    #[error("there is another owner, so that a second person has to confirm who is one")]
    NeedsSecondOwner,
    /// Without them nobody could run the mall.
    #[error("the mall would be without an owner who can sign in")]
    LastOwner,
    /// They have a password already, or are not here any more.
    #[error("this person is not waiting for an invitation")]
    NotInvited,
    /// Nobody who was ended comes back under the same id.
    #[error("this person was ended; invite them anew")]
    Ended,
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// Somebody who is to be invited.
#[derive(Clone)]
pub struct NewStaff {
    /// Where the letter goes.
    pub email: Email,
    /// What they are called.
    pub name: Name,
    /// In which language they are written to.
    pub language: Language,
    /// In which roles they are to act.
    pub roles: Roles,
}

impl fmt::Debug for NewStaff {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NewStaff({:?})", self.roles)
    }
}

/// How somebody hears of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tell {
    /// By a letter.
    ByMail,
    /// By whoever invites them, who is told the token this once.
    ByInviter,
    /// By both.
    ByBoth,
}

/// Somebody who was invited, and the token of the link where the inviter is to tell it.
#[derive(Debug, Clone)]
pub struct Invited {
    /// Who.
    pub staff: Staff,
    /// The token, this once.
    pub token: Option<SecretString>,
    /// When it expires.
    pub expires_at: Instant,
}

/// Asks somebody to come.
///
/// # Errors
/// [`StaffError::AddressTaken`], [`StaffError::BeyondOwn`], [`StaffError::UnknownMerchant`] for one
/// out of reach, [`StaffError::Db`].
pub async fn invite(
    tx: &mut Tx,
    policy: &Policy,
    grant: &Grant<InviteStaff>,
    new: NewStaff,
    tell: Tell,
) -> Result<Invited, StaffError> {
    if let Some(merchant) = new.roles.merchant
        && !grant.reach().covers(merchant)
    {
        return Err(StaffError::UnknownMerchant);
    }
    let grant = &fresh(tx, policy, grant).await?;
    may_give(policy, grant, &new.roles)?;
    let owners = owners::lock(tx, new.roles.merchant).await?;
    owners.one_is_enough(grant.actor(), &[], &new.roles.all)?;
    let email = lower(&new.email);
    if store::by_email(tx, &email).await?.is_some() {
        return Err(StaffError::AddressTaken);
    }
    let staff = Staff {
        id: tx.new_id(),
        email,
        name: new.name.as_str().to_owned(),
        language: new.language,
        zone: None,
        theme: Theme::System,
        state: State::Invited,
        roles: new.roles.all,
        guarded_by_own: false,
        merchant: new.roles.merchant,
        stores: new.roles.stores,
        second_factor_since: None,
        created_at: tx.now(),
        ended_at: None,
    };
    store::insert(tx, &staff).await?;
    let done = Done::to(Act::StaffInvited, staff.id)
        .is(Field::Name, staff.name.as_str())
        .is(Field::Email, staff.email.masked())
        .is(Field::Roles, codes(&staff.roles))
        .is(Field::Merchant, audit::id(staff.merchant))
        .is(Field::Stores, audit::ids(staff.stores.named()));
    audit::record(tx, done).await?;
    ask(tx, staff, tell).await
}

/// Roles by their codes.
pub(super) fn codes(roles: &[Role]) -> Vec<&str> {
    roles.iter().map(Role::as_str).collect()
}

/// Asks somebody again who has not come yet; earlier links open nothing any more.
///
/// # Errors
/// [`StaffError::NotFound`], [`StaffError::NotInvited`], [`StaffError::BeyondOwn`],
/// [`StaffError::Db`].
pub async fn invite_again(
    tx: &mut Tx,
    policy: &Policy,
    grant: &Grant<InviteStaff>,
    id: StaffId,
    tell: Tell,
) -> Result<Invited, StaffError> {
    let grant = &fresh(tx, policy, grant).await?;
    let staff = locked(tx, grant.reach(), id).await?;
    if staff.state != State::Invited {
        return Err(StaffError::NotInvited);
    }
    may_give(policy, grant, &Roles::of(&staff))?;
    links::end(tx, id, LinkKind::Invitation).await?;
    audit::record(tx, Done::to(Act::StaffInvitedAgain, id)).await?;
    ask(tx, staff, tell).await
}

async fn ask(tx: &mut Tx, staff: Staff, tell: Tell) -> Result<Invited, StaffError> {
    let expires_at = tx.now() + INVITED_FOR;
    let mut token = None;
    if matches!(tell, Tell::ByInviter | Tell::ByBoth) {
        token = Some(links::tell(tx, staff.id, LinkKind::Invitation, expires_at).await?);
    }
    if matches!(tell, Tell::ByMail | Tell::ByBoth) {
        links::mail(tx, staff.id, LinkKind::Invitation, expires_at).await?;
    }
    Ok(Invited {
        staff,
        token,
        expires_at,
    })
}

/// People, the newest first, those who were ended too; of one state where `state` names it.
///
/// # Errors
/// [`StaffError::Cursor`], [`StaffError::Db`].
pub async fn list(
    tx: &mut ReadTx,
    grant: &Grant<ReadStaff>,
    state: Option<State>,
    slice: &Slice,
) -> Result<Page<Staff>, StaffError> {
    let merchant = only(grant.reach())?;
    let before = match &slice.after {
        Some(key) => Some(key.parse().map_err(|_| CursorError)?),
        None => None,
    };
    let limit = slice.limit.clamp(1, MOST);
    let rows = store::page(tx, merchant, state, before, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.id.to_string()))
}

/// One person.
///
/// # Errors
/// [`StaffError::NotFound`], [`StaffError::Db`].
pub async fn get(
    tx: &mut ReadTx,
    grant: &Grant<ReadStaff>,
    id: StaffId,
) -> Result<Staff, StaffError> {
    let found = store::find(tx, id).await?;
    let staff = found.ok_or(StaffError::NotFound)?;
    within(grant.reach(), staff.merchant)?;
    Ok(staff)
}

/// Who has a role, the newest first, at most so many; of a merchant's people for whoever is of it.
///
/// # Errors
/// [`StaffError::NotFound`], [`StaffError::Db`].
pub async fn in_role(
    tx: &mut ReadTx,
    grant: &Grant<ReadStaff>,
    role: &str,
    limit: i64,
) -> Result<Vec<Named>, StaffError> {
    let merchant = only(grant.reach())?;
    Ok(store::in_role(tx, merchant, role, limit.clamp(1, MOST)).await?)
}

/// What these people are called, unknown ones and those out of reach left out.
///
/// # Errors
/// [`StaffError::NotFound`], [`StaffError::Db`].
pub async fn names(
    tx: &mut ReadTx,
    grant: &Grant<ReadStaff>,
    ids: &[StaffId],
) -> Result<HashMap<StaffId, String>, StaffError> {
    let merchant = only(grant.reach())?;
    let found = store::names(tx, merchant, ids).await?;
    Ok(found.into_iter().map(|one| (one.id, one.name)).collect())
}

/// The merchant of somebody within reach; none where they are the mall's.
///
/// # Errors
/// [`StaffError::NotFound`], [`StaffError::Db`].
pub async fn merchant_of(
    tx: &mut ReadTx,
    grant: &Grant<ManageStaff>,
    id: StaffId,
) -> Result<Option<MerchantId>, StaffError> {
    let found = store::find(tx, id).await?;
    let staff = found.ok_or(StaffError::NotFound)?;
    within(grant.reach(), staff.merchant)?;
    Ok(staff.merchant)
}

/// The letters and links that ask people to come, the newest first.
///
/// # Errors
/// [`StaffError::Cursor`], [`StaffError::Db`].
pub async fn invitations(
    tx: &mut ReadTx,
    grant: &Grant<ReadStaff>,
    slice: &Slice,
) -> Result<Page<LinkMail>, StaffError> {
    let merchant = only(grant.reach())?;
    let before = match &slice.after {
        Some(key) => Some(key.parse().map_err(|_| CursorError)?),
        None => None,
    };
    let limit = slice.limit.clamp(1, MOST);
    let rows = store::invitations(tx, merchant, before, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.id.to_string()))
}

/// What somebody is to have instead of their roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// All their roles.
    pub roles: Vec<Role>,
    /// The stores to which they are narrowed.
    pub stores: Stores,
}

/// Gives somebody other roles, for the same merchant or the mall as before.
///
/// # Errors
/// [`StaffError::NotFound`], [`StaffError::Ended`], what [`Roles::new`] says,
/// [`StaffError::BeyondOwn`] for a role that is given or taken, [`StaffError::LastOwner`],
/// [`StaffError::NeedsSecondOwner`], [`StaffError::Db`].
pub async fn set_roles(
    tx: &mut Tx,
    policy: &Policy,
    grant: &Grant<ManageStaff>,
    id: StaffId,
    wanted: Wanted,
) -> Result<Staff, StaffError> {
    let change = begin(tx, policy, grant, id, Some(wanted)).await?;
    change.alone(grant)?;
    change.apply(tx).await
}

/// Ends what somebody may do, at once and for good; ending them again changes nothing.
///
/// # Errors
/// [`StaffError::NotFound`], [`StaffError::BeyondOwn`], [`StaffError::LastOwner`],
/// [`StaffError::NeedsSecondOwner`], [`StaffError::Db`].
pub async fn end(
    tx: &mut Tx,
    policy: &Policy,
    grant: &Grant<ManageStaff>,
    id: StaffId,
) -> Result<Staff, StaffError> {
    let change = begin(tx, policy, grant, id, None).await?;
    if change.staff.state == State::Ended {
        return Ok(change.staff);
    }
    change.alone(grant)?;
    change.apply(tx).await
}

/// A change of what somebody may do which whoever asks for it could give and take, with the owners and
/// the person locked.
pub(super) struct Change {
    pub(super) staff: Staff,
    pub(super) owners: owners::Owners,
    /// None: they end.
    pub(super) to: Option<Roles>,
}

/// Checks a change, of which `wanted` is what they are to have; none: they are to end.
pub(super) async fn begin(
    tx: &mut Tx,
    policy: &Policy,
    grant: &Grant<ManageStaff>,
    id: StaffId,
    wanted: Option<Wanted>,
) -> Result<Change, StaffError> {
    let grant = &fresh(tx, policy, grant).await?;
    let merchant = store::find(tx, id).await?.and_then(|found| found.merchant);
    // Owners before anybody else, so that two who end each other do not both see the other one.
    let owners = owners::lock(tx, merchant).await?;
    let staff = locked(tx, grant.reach(), id).await?;
    let to = match wanted {
        None => None,
        Some(_) if staff.state == State::Ended => return Err(StaffError::Ended),
        Some(Wanted { roles, stores }) => {
            let own = grant.own_roles();
            Some(Roles::new(policy, own, roles, staff.merchant, stores)?)
        }
    };
    if staff.state != State::Ended {
        // What one could not give one cannot take away either.
        if let Some(to) = &to {
            may_give(policy, grant, to)?;
        }
        may_give(policy, grant, &Roles::of(&staff))?;
        if !to.as_ref().is_some_and(|to| to.has(OWNER)) {
            owners.spare_the_last(id)?;
        }
    }
    Ok(Change { staff, owners, to })
}

impl Change {
    /// The roles that they are to have.
    pub(super) fn after(&self) -> &[Role] {
        self.to.as_ref().map_or(&[], |to| &to.all)
    }

    /// That whoever asks for it need not be two.
    fn alone(&self, grant: &Grant<ManageStaff>) -> Result<(), StaffError> {
        let (before, after) = (&self.staff.roles, self.after());
        self.owners.one_is_enough(grant.actor(), before, after)
    }

    /// Makes it true, from the next second on everywhere.
    pub(super) async fn apply(self, tx: &mut Tx) -> Result<Staff, StaffError> {
        let id = self.staff.id;
        let (before, after) = (codes(&self.staff.roles), codes(self.after()));
        let act = match self.to {
            Some(_) => Act::StaffRolesChanged,
            None => Act::StaffEnded,
        };
        let stores = self.to.as_ref().and_then(|to| to.stores.named());
        let done = Done::to(act, id)
            .changed(Field::Roles, before, after)
            .changed(
                Field::Stores,
                audit::ids(self.staff.stores.named()),
                audit::ids(stores),
            );
        audit::record(tx, done).await?;
        if let Some(roles) = &self.to {
            store::set_roles(tx, id, roles).await?;
        } else {
            store::end(tx, id).await?;
            super::sessions::store::end_all_of(tx, id, None).await?;
            links::end(tx, id, LinkKind::Invitation).await?;
            links::end(tx, id, LinkKind::Reset).await?;
        }
        store::find(tx, id).await?.ok_or(StaffError::NotFound)
    }
}

async fn locked(tx: &mut Tx, reach: Reach, id: StaffId) -> Result<Staff, StaffError> {
    let found = store::lock(tx, id).await?;
    let staff = found.ok_or(StaffError::NotFound)?;
    within(reach, staff.merchant)?;
    Ok(staff)
}

/// The merchant whose people alone are within reach; none: everybody is.
fn only(reach: Reach) -> Result<Option<MerchantId>, StaffError> {
    match reach {
        Reach::Mall => Ok(None),
        Reach::Merchant(own) => Ok(Some(own)),
        Reach::Member(_) => Err(StaffError::NotFound),
    }
}

/// What is out of reach is as if it were not there.
fn within(reach: Reach, merchant: Option<MerchantId>) -> Result<(), StaffError> {
    match (reach, merchant) {
        (Reach::Mall, _) => Ok(()),
        (Reach::Merchant(own), Some(merchant)) if own == merchant => Ok(()),
        _ => Err(StaffError::NotFound),
    }
}

/// An address as it is stored and compared. That letters beside the `@` could mean two people by their
/// case is a right that no mail server uses.
pub(super) fn lower(email: &Email) -> Email {
    let lower = email.as_str().to_ascii_lowercase();
    lower.parse().unwrap_or_else(|_| email.clone())
}
