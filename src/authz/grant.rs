//! The only key to a transaction: proof that the policy allows one action.

use std::{fmt, marker::PhantomData};

use super::{
    action::Action,
    actor::{Actor, Principal, Reach},
};
use crate::kernel::ids::TenantId;

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

    /// How far the right reaches.
    pub fn reach(&self) -> Reach {
        self.reach
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
