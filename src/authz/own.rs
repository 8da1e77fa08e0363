//! Roles of a mall's own: what its rows say, held against the reviewed policy.
//!
//! A row is a wish. [`Policy::decide_own`] keeps of it what some reviewed role of the same kind of
//! people may do at that reach, and asks Casbin for it as for everything else; so a release that takes
//! a right from all reviewed roles takes it from malls' own roles too. No word that a mall wrote comes
//! before Casbin: a role is its place in the list, an action is one of ours.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    action,
    actor::{Reach, Role},
    policy::{Policy, PolicyError, enforcer},
};

/// With what the name of a mall's own role begins, which no reviewed role's does.
pub const PREFIX: &str = "own.";

/// Actions that stay with the reviewed roles: they let one hand out what one lacks oneself.
const RESERVED: [(&str, &str); 2] = [("merchant", "staff"), ("tenant", "staff")];

/// For which kind of people, or machines, a role is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// The mall's own people.
    Mall,
    /// One merchant's people.
    Merchant,
    /// Machines of the whole mall.
    Machine,
}

impl Family {
    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mall => "mall",
            Self::Merchant => "merchant",
            Self::Machine => "machine",
        }
    }

    /// The reach of roles of that kind.
    pub const fn reach(self) -> &'static str {
        match self {
            Self::Mall | Self::Machine => "mall",
            Self::Merchant => "merchant",
        }
    }

    /// The kind of a reviewed role; none for those that nobody is given.
    pub fn of_reviewed(role: &str) -> Option<Self> {
        match role.split_once('.') {
            Some(("operator", _)) => Some(Self::Mall),
            Some(("merchant", _)) => Some(Self::Merchant),
            Some(("machine", _)) => Some(Self::Machine),
            _ => None,
        }
    }
}

/// A role as a mall wrote it: what it wants to allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRole {
    /// Its name, with [`PREFIX`].
    pub code: String,
    /// What it is called.
    pub name: String,
    /// For whom.
    pub family: Family,
    /// Objects and actions.
    pub rights: Vec<(String, String)>,
}

/// What a mall's own roles mean, decided.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OwnRoles {
    rows: Vec<OwnRole>,
    families: BTreeMap<String, (Family, String)>,
    decisions: HashMap<(String, &'static str, &'static str), &'static str>,
}

impl OwnRoles {
    /// For whom a role is; none where the mall has no such role, or ended it.
    pub fn family(&self, role: &str) -> Option<Family> {
        self.families.get(role).map(|(family, _)| *family)
    }

    /// What a role is called; none where the mall has no such role, or ended it.
    pub fn called(&self, role: &str) -> Option<&str> {
        self.families.get(role).map(|(_, name)| name.as_str())
    }

    /// How far `role` reaches with an action: "mall", "merchant", or not at all.
    pub fn decide(
        &self,
        role: &str,
        object: &'static str,
        act: &'static str,
    ) -> Option<&'static str> {
        // Nearly every mall has none, and nearly every role is none of these.
        if self.families.is_empty() || !role.starts_with(PREFIX) {
            return None;
        }
        self.decisions.get(&(role.to_owned(), object, act)).copied()
    }

    /// What the mall wrote, of which this is what it means.
    pub fn rows(&self) -> &[OwnRole] {
        &self.rows
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.families.keys().map(String::as_str)
    }
}

/// What somebody lacks, and who could help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What was to be acted on.
    pub object: &'static str,
    /// What was to be done.
    pub act: &'static str,
    /// Roles of the same kind of people that may do it.
    pub held_by: Vec<String>,
    /// Roles that may give such a role.
    pub given_by: Vec<String>,
}

impl Policy {
    /// For whom a role is, be it reviewed or of the mall's own; none where nobody is given it.
    pub fn family(&self, own: &OwnRoles, role: &str) -> Option<Family> {
        if self.knows(role) {
            Family::of_reviewed(role)
        } else {
            own.family(role)
        }
    }

    /// What a mall's own role for these people may hold: what some reviewed role of theirs does, at
    /// the same reach.
    pub fn grantable(&self, family: Family) -> BTreeSet<(&'static str, &'static str)> {
        let of_theirs = |role: &&str| Family::of_reviewed(role) == Some(family);
        let roles: Vec<&str> = self.roles().filter(of_theirs).collect();
        let held = |(object, act): &(&'static str, &'static str)| {
            !RESERVED.contains(&(object, act))
                && roles
                    .iter()
                    .any(|role| self.decide(role, object, act) == Some(family.reach()))
        };
        action::ALL.iter().copied().filter(held).collect()
    }

    /// What a mall's rows mean under this policy. Memoise it by mall and revision.
    ///
    /// # Errors
    /// [`PolicyError::Casbin`].
    pub async fn decide_own(&self, rows: &[OwnRole]) -> Result<OwnRoles, PolicyError> {
        let mut decided = OwnRoles {
            rows: rows.to_vec(),
            ..OwnRoles::default()
        };
        for row in rows {
            let reach = row.family.reach();
            let held: Vec<(&'static str, &'static str)> = self
                .grantable(row.family)
                .into_iter()
                .filter(|(object, act)| {
                    let wished = row.rights.iter();
                    wished.into_iter().any(|(o, a)| o == object && a == act)
                })
                .collect();
            decided
                .families
                .insert(row.code.clone(), (row.family, row.name.clone()));
            if held.is_empty() {
                // Casbin says yes to empty questions where it has no rule at all.
                continue;
            }
            let lines = held
                .iter()
                .map(|(object, act)| format!("p, r:own, {object}, {act}, {reach}"));
            let enforcer = enforcer(&lines.collect::<Vec<_>>().join("\n")).await?;
            for (object, act) in held {
                if casbin::CoreApi::enforce(&enforcer, ("r:own", object, act, reach))? {
                    let cell = (row.code.clone(), object, act);
                    decided.decisions.insert(cell, reach);
                }
            }
        }
        Ok(decided)
    }

    /// Every role that may do this, reviewed and of the mall's own, with the people it is for.
    pub fn holders(
        &self,
        own: &OwnRoles,
        object: &'static str,
        act: &'static str,
    ) -> Vec<(Family, String)> {
        let all = self.roles().chain(own.names());
        let mut found: Vec<(Family, String)> = all
            .filter_map(|role| Some((self.family(own, role)?, role)))
            .filter(|(family, role)| self.decide_in(own, role, object, act) == Some(family.reach()))
            .map(|(family, role)| (family, role.to_owned()))
            .collect();
        found.sort();
        found
    }

    /// What roles lack that act within `scope`, and which roles hold and give it.
    pub fn missing<'a>(
        &self,
        own: &OwnRoles,
        mut roles: impl Iterator<Item = &'a Role>,
        scope: Reach,
        action: (&'static str, &'static str),
    ) -> Missing {
        let (object, act) = action;
        let machine = |role: &Role| Family::of_reviewed(role.as_str()) == Some(Family::Machine);
        let family = match scope {
            Reach::Merchant(_) => Family::Merchant,
            Reach::Mall if roles.any(machine) => Family::Machine,
            Reach::Mall | Reach::Member(_) => Family::Mall,
        };
        let only = |wanted: Family, found: Vec<(Family, String)>| {
            let of = found.into_iter().filter(move |(kind, _)| *kind == wanted);
            of.map(|(_, role)| role).collect::<Vec<_>>()
        };
        let held_by = only(family, self.holders(own, object, act));
        let has = |role: &str, (object, act): (&'static str, &'static str)| {
            self.decide_in(own, role, object, act).is_some()
        };
        let mut given_by = Vec::new();
        if !held_by.is_empty() {
            let managing = self.holders(own, "staff", "manage");
            given_by = match family {
                Family::Machine => only(Family::Mall, self.holders(own, "key", "create")),
                Family::Mall | Family::Merchant => only(family, managing),
            };
            given_by.retain(|role| family == Family::Machine || has(role, (object, act)));
            if family == Family::Merchant {
                given_by.extend(only(Family::Mall, self.holders(own, "merchant", "staff")));
            }
        }
        Missing {
            object,
            act,
            held_by,
            given_by,
        }
    }
}
