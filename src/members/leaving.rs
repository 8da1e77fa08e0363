//! What members change of themselves, and how they go: the books keep an id that says nothing of anybody.

use super::{MemberError, sees, store};
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{EraseMembers, UseMembership},
        actor::Reach,
        grant::Grant,
    },
    db::tx::Tx,
    kernel::{
        ids::MemberId,
        text::{Name, Phone},
        time::Instant,
    },
    ledger,
};

/// Somebody whose personal data is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erased {
    /// What stays in the books.
    pub id: MemberId,
    /// Since when.
    pub at: Instant,
    /// The telephone number that was theirs until now, for whoever else keeps it; none where it was gone.
    pub phone: Option<Phone>,
}

/// Calls oneself by another name, or by none.
///
/// # Errors
/// [`MemberError::UnknownMember`], also for whoever is no member.
pub async fn rename(
    tx: &mut Tx,
    grant: &Grant<UseMembership>,
    name: Option<&Name>,
) -> Result<(), MemberError> {
    let Reach::Member(own) = grant.reach() else {
        return Err(MemberError::UnknownMember);
    };
    if store::rename(tx, own, name).await? {
        Ok(())
    } else {
        Err(MemberError::UnknownMember)
    }
}

/// Takes name and numbers out of the mall for ever. What was earned, spent and settled stays, by an id
/// that leads to nobody; points that are left lapse on their days as they would have, which has to be
/// wanted. The numbers are free: who has one of them can become a member anew. Doing it again changes
/// nothing.
///
/// # Errors
/// [`MemberError::UnknownMember`], [`MemberError::PointsLeft`].
pub async fn erase(
    tx: &mut Tx,
    grant: &Grant<EraseMembers>,
    id: MemberId,
    points_given_up: bool,
) -> Result<Erased, MemberError> {
    if !sees(grant.reach(), id) {
        return Err(MemberError::UnknownMember);
    }
    let found = store::lock(tx, id).await?;
    let (phone, erased_at) = found.ok_or(MemberError::UnknownMember)?;
    if let Some(at) = erased_at {
        return Ok(Erased { id, at, phone });
    }
    let balance = ledger::balance(tx, id, None).await?;
    let points = balance.map_or(0, |of| of.available.saturating_add(of.held));
    if points > 0 && !points_given_up {
        return Err(MemberError::PointsLeft(points));
    }
    store::erase(tx, id).await?;
    let done = Done::to(Act::MemberErased, id).was(Field::Points, points);
    audit::record(tx, done).await?;
    Ok(Erased {
        id,
        at: tx.now(),
        phone,
    })
}
