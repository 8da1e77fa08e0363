//! Who runs the mall, or a merchant: never nobody, and never changed by one of several alone.
//!
//! Where an owner can sign in beside whoever asks, giving or taking the owner's role takes a second
//! owner. A mall's or a merchant's only owner, and who makes its first, decides alone: nobody else
//! could confirm, and a mall that cannot have a second owner would be locked in. The vendor at the
//! command line decides alone too, which is the way out where the others do not answer.

use super::{StaffError, roles::owner_of, store};
use crate::{
    authz::actor::{Actor, Role},
    db::tx::Tx,
    kernel::ids::{MerchantId, StaffId},
};

/// The owners who can sign in, locked until the transaction ends.
pub(in crate::identity) struct Owners {
    /// Of the mall.
    mall: Vec<StaffId>,
    /// Of the merchant that it is about.
    merchant: Option<(MerchantId, Vec<StaffId>)>,
}

/// Locks the mall's owners, and then a merchant's.
pub(in crate::identity) async fn lock(
    tx: &mut Tx,
    merchant: Option<MerchantId>,
) -> Result<Owners, StaffError> {
    let mall = store::lock_owners(tx, owner_of(None), None).await?;
    let merchant = match merchant {
        Some(id) => {
            let found = store::lock_owners(tx, owner_of(merchant), merchant).await?;
            Some((id, found))
        }
        None => None,
    };
    Ok(Owners { mall, merchant })
}

impl Owners {
    /// That somebody is not the only owner of the mall.
    pub(super) fn spare_the_last(&self, staff: StaffId) -> Result<(), StaffError> {
        match self.mall.as_slice() {
            [last] if *last == staff => Err(StaffError::LastOwner),
            _ => Ok(()),
        }
    }

    /// Whether these roles make or unmake an owner.
    pub(in crate::identity) fn is_about_one(&self, before: &[Role], after: &[Role]) -> bool {
        let owner = owner_of(self.merchant.as_ref().map(|(id, _)| *id));
        let has = |roles: &[Role]| roles.iter().any(|role| role.as_str() == owner);
        has(before) != has(after)
    }

    /// That whoever asks need not be two to change these roles.
    pub(super) fn one_is_enough(
        &self,
        by: Actor,
        before: &[Role],
        after: &[Role],
    ) -> Result<(), StaffError> {
        let circle = self
            .merchant
            .as_ref()
            .map_or(&self.mall, |(_, owners)| owners);
        let others = circle.iter().any(|owner| by != Actor::Staff(*owner));
        if by != Actor::Platform && self.is_about_one(before, after) && others {
            return Err(StaffError::NeedsSecondOwner);
        }
        Ok(())
    }

    /// Whether this person runs the mall or the merchant that it is about.
    pub(in crate::identity) fn has(&self, person: StaffId) -> bool {
        let of_merchant = self.merchant.iter().flat_map(|(_, owners)| owners);
        self.mall
            .iter()
            .chain(of_merchant)
            .any(|owner| *owner == person)
    }
}
