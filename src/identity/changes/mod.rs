//! Changes of people's roles that one proposes and another one confirms.
//!
//! Who is an owner changes by two people wherever there is another owner (`staff/owners.rs` has the
//! rule); any other change of roles may be proposed too. A proposal is open for a week and changes
//! nothing by itself. Confirming it does what it says, if whoever confirms could do it themselves, runs
//! the mall or the merchant, and is not the one who proposed it; and if nothing happened to the person's
//! roles meanwhile. A machine proposes at the most: a key is no second person.

mod store;

use chrono::TimeDelta;
use thiserror::Error;

use super::staff::{self, StaffError, Wanted};
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{ManageStaff, ReadStaff},
        actor::{Actor, Reach, Role, Stores},
        grant::Grant,
        policy::Policy,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{MerchantId, RoleChangeId, StaffId},
        page::{CursorError, MOST, Page, Slice},
        time::Instant,
    },
};

/// How long a proposal is open.
pub const OPEN_FOR: TimeDelta = TimeDelta::days(7);

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits.
    Open,
    /// It was done.
    Confirmed,
    /// Somebody refused it, or took it back.
    Rejected,
    /// Nobody decided it in time.
    Expired,
}

impl State {
    const ALL: [Self; 4] = [Self::Open, Self::Confirmed, Self::Rejected, Self::Expired];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }
}

/// A change that waits for a second person, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleChange {
    /// Its id.
    pub id: RoleChangeId,
    /// Whose roles.
    pub staff: StaffId,
    /// Their merchant.
    pub merchant: Option<MerchantId>,
    /// All roles that they are to have; none: they are to be ended.
    pub roles: Vec<Role>,
    /// Those that they had.
    pub before: Vec<Role>,
    /// To which stores they are to be narrowed.
    pub stores: Stores,
    /// When it was proposed.
    pub proposed_at: Instant,
    /// By whom.
    pub proposed_by: String,
    /// When it is over.
    pub expires_at: Instant,
    /// What became of it, at the moment at which it was read.
    pub state: State,
    /// When it was decided.
    pub decided_at: Option<Instant>,
    /// By whom.
    pub decided_by: Option<String>,
}

/// Why something about proposals is refused.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// No such proposal, or none within reach.
    #[error("there is no such change of roles")]
    NotFound,
    /// There is one already about this person.
    #[error("another change of this person's roles is open: {0}")]
    AlreadyOpen(RoleChangeId),
    /// Nothing would be another.
    #[error("this person has exactly these roles")]
    NoChange,
    /// It was decided, or nobody did in time.
    #[error("this change is not open any more: it is {}", .0.as_str())]
    NotOpen(State),
    /// Who proposed it, or who is no owner.
    #[error("another owner than who proposed it has to confirm it, as a person")]
    NeedsSecondPerson,
    /// The person's roles are not those that it was proposed for.
    #[error("this person's roles were changed after it was proposed")]
    Overtaken,
    /// What changing roles says.
    #[error(transparent)]
    Staff(#[from] StaffError),
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// Proposes what somebody is to have instead of their roles; none: that they are to be ended.
///
/// # Errors
/// [`ChangeError::AlreadyOpen`], [`ChangeError::NoChange`], [`ChangeError::Staff`],
/// [`ChangeError::Db`].
pub async fn propose(
    tx: &mut Tx,
    policy: &Policy,
    grant: &Grant<ManageStaff>,
    id: StaffId,
    wanted: Option<Wanted>,
) -> Result<RoleChange, ChangeError> {
    let stores = wanted.as_ref().map_or(Stores::All, |to| to.stores.clone());
    let ends = wanted.is_none();
    let change = staff::begin(tx, policy, grant, id, wanted).await?;
    let (before, after) = (&change.staff.roles, change.after());
    if ends && change.staff.state == staff::State::Ended {
        return Err(StaffError::Ended.into());
    }
    if !ends && same(before, after) && stores == change.staff.stores {
        return Err(ChangeError::NoChange);
    }
    let now = tx.now();
    let proposal = RoleChange {
        id: tx.new_id(),
        staff: id,
        merchant: change.staff.merchant,
        roles: after.to_vec(),
        before: before.clone(),
        stores,
        proposed_at: now,
        proposed_by: grant.actor().to_string(),
        expires_at: now + OPEN_FOR,
        state: State::Open,
        decided_at: None,
        decided_by: None,
    };
    store::expire(tx, id).await?;
    if let Some(open) = store::open_of(tx, id).await? {
        return Err(ChangeError::AlreadyOpen(open));
    }
    store::insert(tx, &proposal).await?;
    let done = Done::to(Act::RoleChangeProposed, proposal.id)
        .is(Field::Person, audit::id(proposal.staff))
        .changed(
            Field::Roles,
            staff::codes(&proposal.before),
            staff::codes(&proposal.roles),
        )
        .is(Field::Stores, audit::ids(proposal.stores.named()));
    audit::record(tx, done).await?;
    Ok(proposal)
}

/// Does what was proposed.
///
/// # Errors
/// [`ChangeError::NotFound`], [`ChangeError::NotOpen`], [`ChangeError::NeedsSecondPerson`],
/// [`ChangeError::Overtaken`], [`ChangeError::Staff`], [`ChangeError::Db`].
pub async fn confirm(
    tx: &mut Tx,
    policy: &Policy,
    grant: &Grant<ManageStaff>,
    id: RoleChangeId,
) -> Result<RoleChange, ChangeError> {
    let proposal = open(tx, grant, id).await?;
    let wanted = (!proposal.roles.is_empty()).then(|| Wanted {
        roles: proposal.roles.clone(),
        stores: proposal.stores.clone(),
    });
    let change = staff::begin(tx, policy, grant, proposal.staff, wanted).await?;
    let Actor::Staff(second) = grant.actor() else {
        return Err(ChangeError::NeedsSecondPerson);
    };
    if second.to_string() == proposal.proposed_by || !change.owners.has(second) {
        return Err(ChangeError::NeedsSecondPerson);
    }
    let ended = change.staff.state == staff::State::Ended;
    if ended || !same(&change.staff.roles, &proposal.before) || !still_here(tx, &proposal).await? {
        return Err(ChangeError::Overtaken);
    }
    change.apply(tx).await?;
    decide(tx, proposal, State::Confirmed).await
}

/// Refuses what was proposed, or takes it back: whoever could do it may.
///
/// # Errors
/// [`ChangeError::NotFound`], [`ChangeError::NotOpen`], [`ChangeError::Db`].
pub async fn reject(
    tx: &mut Tx,
    grant: &Grant<ManageStaff>,
    id: RoleChangeId,
) -> Result<RoleChange, ChangeError> {
    let proposal = open(tx, grant, id).await?;
    decide(tx, proposal, State::Rejected).await
}

/// Proposals, the newest first, those that were decided too.
///
/// # Errors
/// [`ChangeError::Cursor`], [`ChangeError::Db`].
pub async fn list(
    tx: &mut ReadTx,
    grant: &Grant<ReadStaff>,
    slice: &Slice,
) -> Result<Page<RoleChange>, ChangeError> {
    let merchant = match grant.reach() {
        Reach::Mall => None,
        Reach::Merchant(own) => Some(own),
        Reach::Member(_) => return Err(ChangeError::NotFound),
    };
    let before = match &slice.after {
        Some(key) => Some(key.parse().map_err(|_| CursorError)?),
        None => None,
    };
    let limit = slice.limit.clamp(1, MOST);
    let rows = store::page(tx, merchant, before, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.id.to_string()))
}

/// Whether these are the same roles, in whatever order.
fn same(one: &[Role], other: &[Role]) -> bool {
    one.len() == other.len() && one.iter().all(|role| other.contains(role))
}

/// That a person who proposed it has not left since.
async fn still_here(tx: &mut Tx, proposal: &RoleChange) -> Result<bool, ChangeError> {
    let Ok(person) = proposal.proposed_by.parse::<StaffId>() else {
        return Ok(true);
    };
    let found = staff::store::find(tx, person).await?;
    Ok(found.is_some_and(|found| found.state == staff::State::Active))
}

async fn open(
    tx: &mut Tx,
    grant: &Grant<ManageStaff>,
    id: RoleChangeId,
) -> Result<RoleChange, ChangeError> {
    let found = store::lock(tx, id).await?;
    let seen = |one: &RoleChange| match (grant.reach(), one.merchant) {
        (Reach::Mall, _) => true,
        (Reach::Merchant(own), Some(merchant)) => own == merchant,
        _ => false,
    };
    let proposal = found.filter(seen).ok_or(ChangeError::NotFound)?;
    match proposal.state {
        State::Open => Ok(proposal),
        other => Err(ChangeError::NotOpen(other)),
    }
}

async fn decide(
    tx: &mut Tx,
    proposal: RoleChange,
    state: State,
) -> Result<RoleChange, ChangeError> {
    store::decide(tx, proposal.id, state).await?;
    let act = match state {
        State::Confirmed => Act::RoleChangeConfirmed,
        State::Open | State::Rejected | State::Expired => Act::RoleChangeRejected,
    };
    let done = Done::to(act, proposal.id)
        .is(Field::Person, audit::id(proposal.staff))
        .changed(Field::State, State::Open.as_str(), state.as_str());
    audit::record(tx, done).await?;
    Ok(RoleChange {
        state,
        decided_at: Some(tx.now()),
        decided_by: Some(tx.actor().to_string()),
        ..proposal
    })
}
