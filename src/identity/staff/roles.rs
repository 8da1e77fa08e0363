//! Which roles go together, and who may give them.

use super::{MERCHANT_OWNER, OWNER, Staff, StaffError};
use crate::{
    authz::{
        action::{Action, StaffMall, StaffMerchant},
        actor::{Reach, Role, Stores},
        grant::Grant,
        own::{Family, OwnRoles},
        policy::Policy,
    },
    kernel::ids::MerchantId,
};

/// The most stores to which somebody is narrowed by name.
const MOST_STORES: usize = 50;

/// The roles that somebody is to have: at least one, all of the mall or all of one merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    pub(super) all: Vec<Role>,
    pub(super) merchant: Option<MerchantId>,
    pub(super) stores: Stores,
}

impl Roles {
    /// Checks roles, merchant and stores against each other, against the policy and the mall's own
    /// roles. That the merchant exists and the stores are its is the caller's to check.
    ///
    /// # Errors
    /// [`StaffError::UnsuitableRole`], [`StaffError::MixedRoles`], [`StaffError::MerchantMissing`],
    /// [`StaffError::MerchantUnasked`], [`StaffError::CannotNarrow`].
    pub fn new(
        policy: &Policy,
        own: &OwnRoles,
        roles: Vec<Role>,
        merchant: Option<MerchantId>,
        stores: Stores,
    ) -> Result<Self, StaffError> {
        let mut known: Vec<&str> = Vec::new();
        for role in &roles {
            match (policy.family(own, role.as_str()), merchant) {
                (Some(Family::Merchant), Some(_)) | (Some(Family::Mall), None) => {}
                (Some(Family::Merchant), None) => return Err(StaffError::MerchantMissing),
                (Some(Family::Mall), Some(_)) if known.is_empty() && roles.len() == 1 => {
                    return Err(StaffError::MerchantUnasked);
                }
                (Some(Family::Mall), Some(_)) => return Err(StaffError::MixedRoles),
                (Some(Family::Machine) | None, _) => return Err(StaffError::UnsuitableRole),
            }
            if known.contains(&role.as_str()) {
                return Err(StaffError::MixedRoles);
            }
            known.push(role.as_str());
        }
        if known.is_empty() {
            return Err(StaffError::MixedRoles);
        }
        if known.contains(&MERCHANT_OWNER) && stores != Stores::All
            || !may_narrow(merchant, &stores)
        {
            return Err(StaffError::CannotNarrow);
        }
        Ok(Self {
            all: roles,
            merchant,
            stores,
        })
    }

    /// Those that somebody has.
    pub(crate) fn of(staff: &Staff) -> Self {
        Self {
            all: staff.roles.clone(),
            merchant: staff.merchant,
            stores: staff.stores.clone(),
        }
    }

    /// The merchant that they are for.
    pub fn merchant(&self) -> Option<MerchantId> {
        self.merchant
    }

    /// The stores to which they are narrowed.
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    pub(super) fn scope(&self) -> Reach {
        self.merchant.map_or(Reach::Mall, Reach::Merchant)
    }

    pub(super) fn has(&self, role: &str) -> bool {
        self.all.iter().any(|one| one.as_str() == role)
    }
}

/// Whether something of that merchant can be narrowed to these stores.
pub(crate) fn may_narrow(merchant: Option<MerchantId>, stores: &Stores) -> bool {
    match stores.named() {
        None => true,
        Some(named) => merchant.is_some() && (1..=MOST_STORES).contains(&named.len()),
    }
}

/// The role of whoever runs that merchant, or the mall.
pub(super) const fn owner_of(merchant: Option<MerchantId>) -> &'static str {
    match merchant {
        Some(_) => MERCHANT_OWNER,
        None => OWNER,
    }
}

/// That whoever holds this grant could act in each of the roles, or is asked to staff those whom they
/// are for.
pub(crate) fn may_give<A: Action>(
    policy: &Policy,
    grant: &Grant<A>,
    roles: &Roles,
) -> Result<(), StaffError> {
    let staffs = match roles.merchant {
        Some(merchant) => policy
            .also::<A, StaffMerchant>(grant)
            .is_ok_and(|staffing| staffing.reach().covers(merchant)),
        None => policy.also::<A, StaffMall>(grant).is_ok(),
    };
    let beyond = |role: &&Role| !policy.could_act_as(grant, role, roles.scope(), &roles.stores);
    match roles.all.iter().find(beyond) {
        Some(role) if !staffs => Err(StaffError::BeyondOwn(role.as_str().to_owned())),
        _ => Ok(()),
    }
}
