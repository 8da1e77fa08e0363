//! The only key to a transaction: proof that the policy allows one action.

use std::{fmt, marker::PhantomData, sync::Arc};

use super::{
    action::Action,
    actor::{Actor, Principal, Reach, Stores, Whence},
    own::OwnRoles,
};
use crate::kernel::ids::{MerchantId, StoreId, TenantId};

/// Proof that `principal` may do `A`, and how far; only [`super::policy::Policy`] makes one.
pub struct Grant<A> {
    principal: Principal,
    reach: Reach,
    action: PhantomData<fn() -> A>,
}

impl<A: Action> Grant<A> {
    pub(super) fn new(principal: Principal, reach: Reach) -> Self {
        Self {
            principal,
            reach,
            action: PhantomData,
        }
    }

    /// Whom it was made for.
    pub(super) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// In which mall; none for acts on the registry.
    pub fn tenant(&self) -> Option<TenantId> {
        self.principal.tenant
    }

    /// Who acts.
    pub fn actor(&self) -> Actor {
        self.principal.actor
    }

    /// From where they act.
    pub fn whence(&self) -> &Arc<Whence> {
        &self.principal.whence
    }

    /// How far the right reaches. Where the action knows of a store, [`Grant::covers`] is asked.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Whether the right covers something of this store, which is that merchant's.
    pub fn covers(&self, merchant: MerchantId, store: StoreId) -> bool {
        self.reach.covers(merchant) && self.stores().covers(store)
    }

    /// To which stores the right is narrowed.
    pub fn stores(&self) -> &Stores {
        &self.principal.stores
    }

    /// The mall's own roles, as they were when this was granted.
    pub fn own_roles(&self) -> &OwnRoles {
        &self.principal.own
    }
}

impl<A> Clone for Grant<A> {
    fn clone(&self) -> Self {
        Self {
            principal: self.principal.clone(),
            reach: self.reach,
            action: PhantomData,
        }
    }
}

impl<A: Action> fmt::Debug for Grant<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Grant({} {}, {:?})",
            A::OBJECT,
            A::ACT,
            self.reach
        )
    }
}
