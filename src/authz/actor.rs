//! Who acts, and how far what they may do reaches.

use std::{fmt, sync::Arc};

use super::own::OwnRoles;
use crate::kernel::ids::{
    ApiKeyId, ApplicationId, MemberId, MerchantId, StaffId, StoreId, TenantId,
};

/// Who does something; written beside what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Nobody yet: a request before its key was read.
    Anonymous,
    /// A machine with a key: a till, an ERP.
    Machine(ApiKeyId),
    /// A person who is signed in.
    Staff(StaffId),
    /// A member who is signed in.
    Member(MemberId),
    /// Whoever has the link to an application to join the alliance.
    Applicant(ApplicationId),
    /// The vendor at the command line.
    Platform,
    /// The house itself: expiry, lapses, month ends.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => formatter.write_str("anonymous"),
            Self::Machine(key) => key.fmt(formatter),
            Self::Staff(person) => person.fmt(formatter),
            Self::Member(member) => member.fmt(formatter),
            Self::Applicant(application) => application.fmt(formatter),
            Self::Platform => formatter.write_str("platform"),
            Self::System => formatter.write_str("system"),
        }
    }
}

/// Which of the doors somebody came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Door {
    /// The API.
    Api,
    /// The pages.
    Page,
    /// The command line.
    Command,
    /// Work that nobody waits for.
    #[default]
    Job,
}

impl Door {
    /// As the audit's table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Page => "page",
            Self::Command => "command",
            Self::Job => "job",
        }
    }
}

/// From where somebody acts; written beside what was done where the audit keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Whence {
    /// By which door.
    pub door: Door,
    /// The network address, or as much of it as one household shares.
    pub address: Option<String>,
    /// What the browser or the machine says of itself.
    pub agent: Option<String>,
    /// The request, as the log calls it.
    pub request: Option<String>,
}

/// How far a right reaches within one mall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// The whole mall.
    Mall,
    /// One merchant and its stores.
    Merchant(MerchantId),
    /// One member.
    Member(MemberId),
}

impl Reach {
    /// Whether the right covers something of this merchant.
    pub fn covers(self, merchant: MerchantId) -> bool {
        match self {
            Self::Mall => true,
            Self::Merchant(own) => own == merchant,
            Self::Member(_) => false,
        }
    }

    /// The one merchant that it is about, where it is about one.
    pub fn merchant(self) -> Option<MerchantId> {
        match self {
            Self::Merchant(own) => Some(own),
            Self::Mall | Self::Member(_) => None,
        }
    }
}

/// To which stores of a merchant somebody is narrowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stores {
    /// To none: whatever the reach covers.
    #[default]
    All,
    /// To these.
    Only(Arc<[StoreId]>),
}

impl Stores {
    /// From what a table or a form says; none for all.
    pub fn of(named: Option<Vec<StoreId>>) -> Self {
        named.map_or(Self::All, |named| Self::Only(named.into()))
    }

    /// The stores, where it is narrowed.
    pub fn named(&self) -> Option<&[StoreId]> {
        match self {
            Self::All => None,
            Self::Only(stores) => Some(stores),
        }
    }

    /// Whether this store is among them.
    pub fn covers(&self, store: StoreId) -> bool {
        self.named().is_none_or(|stores| stores.contains(&store))
    }

    /// Whether all of those are among them.
    pub fn include(&self, others: &Self) -> bool {
        match (self, others) {
            (Self::All, _) => true,
            (Self::Only(_), Self::All) => false,
            (Self::Only(own), Self::Only(others)) => others.iter().all(|one| own.contains(one)),
        }
    }
}

/// A role of the policy, or of the mall's own, by its name without the prefix: "merchant.cashier".
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Role(String);

impl Role {
    /// The role of that name; whether the policy knows it shows when it is used.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Somebody who was recognised: in which mall, in which role, for whom.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Who.
    pub actor: Actor,
    /// In which mall; none for the vendor's acts on the registry.
    pub tenant: Option<TenantId>,
    /// In which role.
    pub role: Role,
    /// In which further ones, within the same scope: a person may have several.
    pub also: Vec<Role>,
    /// The widest reach that this principal can have: a merchant's key never reaches the mall.
    pub scope: Reach,
    /// To which stores of a merchant it is narrowed within that.
    pub stores: Stores,
    /// What the mall's own roles mean, as they were when this principal was recognised.
    pub own: Arc<OwnRoles>,
    /// From where it acts.
    pub whence: Arc<Whence>,
}

impl Principal {
    /// Nobody, in `tenant`.
    pub fn anonymous(tenant: TenantId) -> Self {
        Self::of(Actor::Anonymous, Some(tenant), "anonymous")
    }

    /// Whoever shows the link to that application of `tenant`.
    pub fn applicant(tenant: TenantId, application: ApplicationId) -> Self {
        Self::of(Actor::Applicant(application), Some(tenant), "applicant")
    }

    /// The house itself, at work in `tenant`.
    pub fn system(tenant: TenantId) -> Self {
        Self::of(Actor::System, Some(tenant), "system")
    }

    /// The vendor at the command line, at work in `tenant` or on the registry.
    pub fn platform(tenant: Option<TenantId>) -> Self {
        let at_a_terminal = Whence {
            door: Door::Command,
            ..Whence::default()
        };
        Self::of(Actor::Platform, tenant, "platform.admin").coming(at_a_terminal.into())
    }

    fn of(actor: Actor, tenant: Option<TenantId>, role: &str) -> Self {
        Self {
            actor,
            tenant,
            role: Role::new(role),
            also: Vec::new(),
            scope: Reach::Mall,
            stores: Stores::All,
            own: Arc::default(),
            whence: Arc::default(),
        }
    }

    /// The same, acting from there.
    #[must_use]
    pub fn coming(self, whence: Arc<Whence>) -> Self {
        Self { whence, ..self }
    }

    /// The same, by these roles of the mall's own.
    #[must_use]
    pub fn with(self, own: Arc<OwnRoles>) -> Self {
        Self { own, ..self }
    }

    /// Every role that this principal acts in.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        std::iter::once(&self.role).chain(&self.also)
    }
}
