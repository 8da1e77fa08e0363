//! The people who work in a mall, for its operator or for one of its merchants.
//!
//! Somebody is invited in one or more roles of the policy, all for the mall or all for the same
//! merchant; the letter's link lets them choose a password, and from then on they are active. Nobody
//! hands out a role that they could not act in themselves, with two exceptions that the policy names:
//! who may staff merchants, and who may staff the mall. The mall's last owner cannot be ended.
//!
//! Whatever changes what somebody may do raises the mall's revision, so that every server sees it
//! within a second.

pub(super) mod links;
pub(super) mod store;

use std::{fmt, str::FromStr};

use chrono::TimeDelta;
use secrecy::SecretString;
use thiserror::Error;

pub use links::{Kind as LinkKind, LinkMail, Ready, SendLink, begin_link, record_link};

use crate::{
    authz::{
        action::{Action, InviteStaff, ManageStaff, ReadStaff, StaffMall, StaffMerchant},
        actor::{Reach, Role},
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

/// The roles in which nobody acts without a second factor.
const GUARDED: [&str; 4] = [
    OWNER,
    "operator.finance",
    "merchant.owner",
    "merchant.finance",
];

/// Whether whoever has this role needs a second factor.
pub fn is_guarded(role: &Role) -> bool {
    GUARDED.contains(&role.as_str())
}

/// How pages look to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// As the device says.
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A word that is none of a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not one of the words that it may be")]
pub struct WordError;

impl FromStr for Theme {
    type Err = WordError;
    fn from_str(text: &str) -> Result<Self, WordError> {
        let found = Self::ALL.into_iter().find(|theme| theme.as_str() == text);
        found.ok_or(WordError)
    }
}

/// How far somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Asked to come; opens nothing.
    Invited,
    /// May sign in.
    Active,
    /// Opens nothing any more.
    Ended,
}

impl State {
    const ALL: [Self; 3] = [Self::Invited, Self::Active, Self::Ended];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Ended => "ended",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
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
    /// The merchant that they never reach beyond; none: they are the mall's.
    pub merchant: Option<MerchantId>,
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
        self.roles.iter().any(is_guarded)
    }
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

/// The roles that somebody is to have: at least one, all of the mall or all of one merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    roles: Vec<Role>,
    merchant: Option<MerchantId>,
}

impl Roles {
    /// Checks roles and merchant against each other and against the policy. That the merchant exists
    /// is the caller's to check.
    ///
    /// # Errors
    /// [`StaffError::UnsuitableRole`], [`StaffError::MixedRoles`], [`StaffError::MerchantMissing`],
    /// [`StaffError::MerchantUnasked`].
    pub fn new(
        policy: &Policy,
        roles: Vec<Role>,
        merchant: Option<MerchantId>,
    ) -> Result<Self, StaffError> {
        let mut known: Vec<&str> = Vec::new();
        for role in &roles {
            let family = role.as_str().split_once('.').map(|(family, _)| family);
            if !policy.knows(role.as_str()) {
                return Err(StaffError::UnsuitableRole);
            }
            match (family, merchant) {
                (Some("merchant"), Some(_)) | (Some("operator"), None) => {}
                (Some("merchant"), None) => return Err(StaffError::MerchantMissing),
                (Some("operator"), Some(_)) if known.is_empty() && roles.len() == 1 => {
                    return Err(StaffError::MerchantUnasked);
                }
                (Some("operator"), Some(_)) => return Err(StaffError::MixedRoles),
                _ => return Err(StaffError::UnsuitableRole),
            }
            if known.contains(&role.as_str()) {
                return Err(StaffError::MixedRoles);
            }
            known.push(role.as_str());
        }
        if known.is_empty() {
            return Err(StaffError::MixedRoles);
        }
        Ok(Self { roles, merchant })
    }

    /// The merchant that they are for.
    pub fn merchant(&self) -> Option<MerchantId> {
        self.merchant
    }

    fn scope(&self) -> Reach {
        self.merchant.map_or(Reach::Mall, Reach::Merchant)
    }

    fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|one| one.as_str() == role)
    }
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
    may_give(policy, grant, &new.roles)?;
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
        roles: new.roles.roles,
        merchant: new.roles.merchant,
        second_factor_since: None,
        created_at: tx.now(),
        ended_at: None,
    };
    store::insert(tx, &staff).await?;
    ask(tx, staff, tell).await
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
    let staff = locked(tx, grant.reach(), id).await?;
    if staff.state != State::Invited {
        return Err(StaffError::NotInvited);
    }
    may_give(policy, grant, &roles_of(&staff))?;
    links::end(tx, id, LinkKind::Invitation).await?;
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
    let merchant = match grant.reach() {
        Reach::Mall => None,
        Reach::Merchant(own) => Some(own),
        Reach::Member(_) => return Err(StaffError::NotFound),
    };
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

/// The letters and links that ask people to come, the newest first.
///
/// # Errors
/// [`StaffError::Cursor`], [`StaffError::Db`].
pub async fn invitations(
    tx: &mut ReadTx,
    grant: &Grant<ReadStaff>,
    slice: &Slice,
) -> Result<Page<LinkMail>, StaffError> {
    let merchant = match grant.reach() {
        Reach::Mall => None,
        Reach::Merchant(own) => Some(own),
        Reach::Member(_) => return Err(StaffError::NotFound),
    };
    let before = match &slice.after {
        Some(key) => Some(key.parse().map_err(|_| CursorError)?),
        None => None,
    };
    let limit = slice.limit.clamp(1, MOST);
    let rows = store::invitations(tx, merchant, before, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.id.to_string()))
}

/// Gives somebody other roles, for the same merchant or the mall as before.
///
/// # Errors
/// [`StaffError::NotFound`], [`StaffError::Ended`], what [`Roles::new`] says,
/// [`StaffError::BeyondOwn`] for a role that is given or taken, [`StaffError::LastOwner`],
/// [`StaffError::Db`].
pub async fn set_roles(
    tx: &mut Tx,
    policy: &Policy,
    grant: &Grant<ManageStaff>,
    id: StaffId,
    roles: Vec<Role>,
) -> Result<Staff, StaffError> {
    let owners = store::lock_owners(tx).await?;
    let mut staff = locked(tx, grant.reach(), id).await?;
    if staff.state == State::Ended {
        return Err(StaffError::Ended);
    }
    let roles = Roles::new(policy, roles, staff.merchant)?;
    // What one could not give one cannot take away either.
    may_give(policy, grant, &roles)?;
    may_give(policy, grant, &roles_of(&staff))?;
    if !roles.has(OWNER) {
        spare_the_last_owner(&owners, id)?;
    }
    store::set_roles(tx, id, &roles).await?;
    staff.roles = roles.roles;
    Ok(staff)
}

/// Ends what somebody may do, at once and for good; ending them again changes nothing.
///
/// # Errors
/// [`StaffError::NotFound`], [`StaffError::BeyondOwn`], [`StaffError::LastOwner`],
/// [`StaffError::Db`].
pub async fn end(
    tx: &mut Tx,
    policy: &Policy,
    grant: &Grant<ManageStaff>,
    id: StaffId,
) -> Result<Staff, StaffError> {
    let owners = store::lock_owners(tx).await?;
    let mut staff = locked(tx, grant.reach(), id).await?;
    if staff.state == State::Ended {
        return Ok(staff);
    }
    may_give(policy, grant, &roles_of(&staff))?;
    spare_the_last_owner(&owners, id)?;
    store::end(tx, id).await?;
    super::sessions::store::end_all_of(tx, id, None).await?;
    links::end(tx, id, LinkKind::Invitation).await?;
    links::end(tx, id, LinkKind::Reset).await?;
    staff.state = State::Ended;
    staff.ended_at = Some(tx.now());
    Ok(staff)
}

/// `owners` are locked before anybody else is, so that two who end each other do not both see the
/// other one.
fn spare_the_last_owner(owners: &[StaffId], staff: StaffId) -> Result<(), StaffError> {
    match owners {
        [last] if *last == staff => Err(StaffError::LastOwner),
        _ => Ok(()),
    }
}

async fn locked(tx: &mut Tx, reach: Reach, id: StaffId) -> Result<Staff, StaffError> {
    let found = store::lock(tx, id).await?;
    let staff = found.ok_or(StaffError::NotFound)?;
    within(reach, staff.merchant)?;
    Ok(staff)
}

/// What is out of reach is as if it were not there.
fn within(reach: Reach, merchant: Option<MerchantId>) -> Result<(), StaffError> {
    match (reach, merchant) {
        (Reach::Mall, _) => Ok(()),
        (Reach::Merchant(own), Some(merchant)) if own == merchant => Ok(()),
        _ => Err(StaffError::NotFound),
    }
}

fn roles_of(staff: &Staff) -> Roles {
    Roles {
        roles: staff.roles.clone(),
        merchant: staff.merchant,
    }
}

/// That whoever holds this grant could act in each of the roles, or is asked to staff those whom they
/// are for.
fn may_give<A: Action>(policy: &Policy, grant: &Grant<A>, roles: &Roles) -> Result<(), StaffError> {
    let staffs = match roles.merchant {
        Some(merchant) => policy
            .also::<A, StaffMerchant>(grant)
            .is_ok_and(|staffing| staffing.reach().covers(merchant)),
        None => policy.also::<A, StaffMall>(grant).is_ok(),
    };
    let beyond = |role: &&Role| !policy.could_act_as(grant, role, roles.scope());
    match roles.roles.iter().find(beyond) {
        Some(role) if !staffs => Err(StaffError::BeyondOwn(role.as_str().to_owned())),
        _ => Ok(()),
    }
}

/// An address as it is stored and compared. That letters beside the `@` could mean two people by their
/// case is a right that no mail server uses.
pub(super) fn lower(email: &Email) -> Email {
    let lower = email.as_str().to_ascii_lowercase();
    lower.parse().unwrap_or_else(|_| email.clone())
}
