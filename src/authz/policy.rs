//! Loads `policies/` into Casbin once and hands out grants.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use casbin::{CoreApi, DefaultModel, Enforcer, StringAdapter};
use thiserror::Error;

use super::{
    action::{self, Action},
    actor::{Principal, Reach, Role, Stores},
    grant::Grant,
    own::OwnRoles,
};

const MODEL: &str = include_str!("../../policies/model.conf");
const ROLES: &str = include_str!("../../policies/roles.csv");
const INHERITS: &str = include_str!("../../policies/inherits.csv");

/// The reaches that a rule may have, the widest first.
const REACHES: [&str; 3] = ["mall", "merchant", "member"];

/// The longest chain of inheritance; Casbin silently denies beyond ten.
const DEEPEST: usize = 3;

/// A policy that the house does not start with.
#[derive(Debug, Error)]
pub enum PolicyError {
    /// Not one rule: an empty policy would say yes to empty questions.
    #[error("the policy has no rules")]
    Empty,
    /// A line that is not `p, r:role, object, action, reach` or `g, r:role, r:role`.
    #[error("policy line {line:?}: {why}")]
    Line {
        /// The line as it stands in the file.
        line: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An action that no role may do.
    #[error("nobody may do {0} {1}: a rule is missing")]
    Uncovered(&'static str, &'static str),
    /// Inheritance in a circle or in more than three steps.
    #[error("role {0} inherits in a circle or over more than three steps")]
    TooDeep(String),
    /// Casbin's own complaint.
    #[error("the policy model cannot be read")]
    Casbin(#[from] casbin::Error),
}

/// The policy says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this role may not do that")]
pub struct Denied;

/// The whole policy, decided in advance: which role reaches how far with which action.
#[derive(Debug)]
pub struct Policy {
    decisions: HashMap<(String, &'static str, &'static str), &'static str>,
    roles: BTreeSet<String>,
}

impl Policy {
    /// The policy of `policies/`, as it was when the program was built.
    ///
    /// # Errors
    /// Every [`PolicyError`]; a program with such a policy does not start.
    pub async fn embedded() -> Result<Self, PolicyError> {
        Self::parse(ROLES, INHERITS).await
    }

    /// The policy of these two texts; asks Casbin every question once.
    ///
    /// # Errors
    /// Every [`PolicyError`].
    pub async fn parse(roles: &str, inherits: &str) -> Result<Self, PolicyError> {
        let names = check(roles, inherits)?;
        let enforcer = enforcer(&format!("{}\n{}", bare(roles), bare(inherits))).await?;
        let mut decisions = HashMap::new();
        for role in &names {
            for &(object, act) in action::ALL {
                for reach in REACHES {
                    let asked = (format!("r:{role}"), object, act, reach);
                    if enforcer.enforce(asked)? {
                        decisions.insert((role.clone(), object, act), reach);
                        break;
                    }
                }
            }
        }
        for &(object, act) in action::ALL {
            if !decisions
                .keys()
                .any(|(_, known, done)| *known == object && *done == act)
            {
                return Err(PolicyError::Uncovered(object, act));
            }
        }
        Ok(Self {
            decisions,
            roles: names,
        })
    }

    /// Whether there is such a role.
    pub fn knows(&self, role: &str) -> bool {
        self.roles.contains(role)
    }

    /// Every role, in alphabetical order.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(String::as_str)
    }

    /// How far `role` reaches with an action: "mall", "merchant", "member", or not at all.
    pub fn decide(
        &self,
        role: &str,
        object: &'static str,
        act: &'static str,
    ) -> Option<&'static str> {
        self.decisions.get(&(role.to_owned(), object, act)).copied()
    }

    /// The same of a role that may be one of the mall's own.
    pub(super) fn decide_in(
        &self,
        own: &OwnRoles,
        role: &str,
        object: &'static str,
        act: &'static str,
    ) -> Option<&'static str> {
        let reviewed = self.decide(role, object, act);
        reviewed.or_else(|| own.decide(role, object, act))
    }

    /// The key to `B` for whoever holds the one to `A`, where the policy gives it to them too: for an
    /// act that consists of others.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn also<A: Action, B: Action>(&self, grant: &Grant<A>) -> Result<Grant<B>, Denied> {
        self.allow(grant.principal())
    }

    /// The same key, for whoever still has the right by these roles of the mall's own.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn renewed<A: Action>(
        &self,
        grant: &Grant<A>,
        own: Arc<OwnRoles>,
    ) -> Result<Grant<A>, Denied> {
        self.allow(&grant.principal().clone().with(own))
    }

    /// The key to `A`, where the policy gives it to this principal, by its reviewed roles or by those
    /// of the mall's own that came with it.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn allow<A: Action>(&self, principal: &Principal) -> Result<Grant<A>, Denied> {
        let reach = self
            .reach_of(&Whole::of(principal), A::OBJECT, A::ACT)
            .ok_or(Denied)?;
        Ok(Grant::new(principal.clone(), reach))
    }

    /// Whether whoever holds this grant may do everything that `role` may do within `scope` and these
    /// stores, as far as it reaches there: nobody hands out what they do not have.
    pub fn could_act_as<A: Action>(
        &self,
        grant: &Grant<A>,
        role: &Role,
        scope: Reach,
        stores: &Stores,
    ) -> bool {
        let theirs = Whole {
            roles: vec![role],
            scope,
            stores,
            own: grant.own_roles(),
        };
        action::ALL
            .iter()
            .filter(|(object, act)| self.reach_of(&theirs, object, act).is_some())
            .all(|&(object, act)| self.has(grant, object, act, scope, stores))
    }

    /// Whether whoever holds this grant may do this too, as far as they reach at all.
    pub fn may<A: Action>(
        &self,
        grant: &Grant<A>,
        object: &'static str,
        act: &'static str,
    ) -> bool {
        let own = Whole::of(grant.principal());
        self.reach_of(&own, object, act).is_some()
    }

    /// Whether whoever holds this grant may do this too, as far as `scope` and these stores.
    pub fn has<A: Action>(
        &self,
        grant: &Grant<A>,
        object: &'static str,
        act: &'static str,
        scope: Reach,
        stores: &Stores,
    ) -> bool {
        let own = grant.principal();
        match self.reach_of(&Whole::of(own), object, act) {
            Some(Reach::Mall) => true,
            Some(ours) => ours == scope && own.stores.include(stores),
            None => false,
        }
    }

    /// How far these roles reach with an action for somebody of that scope: the scope itself, where
    /// one of them has the right.
    fn reach_of(&self, who: &Whole<'_>, object: &'static str, act: &'static str) -> Option<Reach> {
        if who.stores.named().is_some() && !action::is_by_store(object, act) {
            return None;
        }
        let fits = |role: &&Role| {
            matches!(
                (
                    self.decide_in(who.own, role.as_str(), object, act),
                    who.scope
                ),
                (Some("mall"), _)
                    | (Some("merchant"), Reach::Merchant(_))
                    | (Some("member"), Reach::Member(_))
            )
        };
        who.roles.iter().any(fits).then_some(who.scope)
    }
}

/// All that a decision goes by.
struct Whole<'a> {
    roles: Vec<&'a Role>,
    scope: Reach,
    stores: &'a Stores,
    own: &'a OwnRoles,
}

impl<'a> Whole<'a> {
    fn of(principal: &'a Principal) -> Self {
        Self {
            roles: principal.roles().collect(),
            scope: principal.scope,
            stores: &principal.stores,
            own: &principal.own,
        }
    }
}

/// Casbin with these rules.
pub(super) async fn enforcer(rules: &str) -> Result<Enforcer, casbin::Error> {
    let model = DefaultModel::from_str(MODEL).await?;
    <Enforcer as CoreApi>::new(model, StringAdapter::new(rules)).await
}

/// The lines that say something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn bare(text: &str) -> String {
    lines(text).collect::<Vec<_>>().join("\n")
}

/// Checks both files and gives every role's name back.
fn check(roles: &str, inherits: &str) -> Result<BTreeSet<String>, PolicyError> {
    let mut names = BTreeSet::new();
    for line in lines(roles) {
        names.insert(check_rule(line)?.to_owned());
    }
    if names.is_empty() {
        return Err(PolicyError::Empty);
    }
    let mut parents: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in lines(inherits) {
        let bad = |why| PolicyError::Line {
            line: line.to_owned(),
            why,
        };
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let ["g", child, parent] = fields.as_slice() else {
            return Err(bad("expected g, r:role, r:role"));
        };
        let (Some(child), Some(parent)) = (child.strip_prefix("r:"), parent.strip_prefix("r:"))
        else {
            return Err(bad("a role is written r:name"));
        };
        if !names.contains(parent) && !parents.contains_key(parent) {
            return Err(bad(
                "inherits from a role that has no rule and no parent above this line",
            ));
        }
        parents.entry(child).or_default().push(parent);
    }
    for child in parents.keys() {
        if depth(child, &parents, 0) > DEEPEST {
            return Err(PolicyError::TooDeep((*child).to_owned()));
        }
    }
    names.extend(parents.keys().map(|child| (*child).to_owned()));
    Ok(names)
}

fn check_rule(line: &str) -> Result<&str, PolicyError> {
    let bad = |why| PolicyError::Line {
        line: line.to_owned(),
        why,
    };
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let ["p", role, object, act, reach] = fields.as_slice() else {
        return Err(bad(
            "expected p, r:role, object, action, reach and nothing else",
        ));
    };
    let role = role
        .strip_prefix("r:")
        .ok_or_else(|| bad("a role is written r:name"))?;
    if role.is_empty() {
        return Err(bad("a role is written r:name"));
    }
    if !action::ALL.contains(&(object, act)) {
        return Err(bad("no such object and action"));
    }
    if !REACHES.contains(reach) {
        return Err(bad("reach is mall, merchant or member"));
    }
    Ok(role)
}

fn depth(role: &str, parents: &BTreeMap<&str, Vec<&str>>, so_far: usize) -> usize {
    if so_far > DEEPEST {
        return so_far;
    }
    let above = parents.get(role).map(Vec::as_slice).unwrap_or_default();
    above
        .iter()
        .map(|up| depth(up, parents, so_far.saturating_add(1)))
        .max()
        .unwrap_or(so_far)
}
