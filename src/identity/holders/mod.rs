//! Who can do something now: the people and the machines that have a role which may.

mod store;

use std::{fmt, str::FromStr};

use super::staff::StaffError;
use crate::{
    authz::{
        action::{self, ReadStaff},
        actor::{Reach, Stores},
        grant::Grant,
        policy::Policy,
    },
    db::tx::ReadTx,
    kernel::{
        ids::{ApiKeyId, MerchantId, StaffId},
        page::{CursorError, MOST, Page, Slice},
    },
};

/// A person or a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Somebody who works here.
    Person(StaffId),
    /// A machine.
    Key(ApiKeyId),
}

impl fmt::Display for Who {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(id) => id.fmt(formatter),
            Self::Key(id) => id.fmt(formatter),
        }
    }
}

impl FromStr for Who {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let person = text.parse().map(Self::Person);
        let key = || text.parse().map(Self::Key);
        person.or_else(|_| key()).map_err(|_| CursorError)
    }
}

/// Somebody who can do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub who: Who,
    /// A person's name, or what a key is for.
    pub name: String,
    /// The roles by which they can.
    pub roles: Vec<String>,
    /// The merchant that they never reach beyond; none: they reach the mall.
    pub merchant: Option<MerchantId>,
    /// To which of its stores they are narrowed.
    pub stores: Stores,
    /// Whether they have to set a second factor up first.
    pub needs_second_factor: bool,
}

/// People, the newest first, and then machines, who can do this now; whoever is of a merchant sees
/// those of theirs.
///
/// # Errors
/// [`StaffError::Cursor`], [`StaffError::Db`].
pub async fn who_can(
    tx: &mut ReadTx,
    policy: &Policy,
    grant: &Grant<ReadStaff>,
    (object, act): (&'static str, &'static str),
    slice: &Slice,
) -> Result<Page<Holder>, StaffError> {
    let merchant = match grant.reach() {
        Reach::Mall => None,
        Reach::Merchant(own) => Some(own),
        Reach::Member(_) => return Err(StaffError::NotFound),
    };
    let after: Option<Who> = slice.after.as_deref().map(str::parse).transpose()?;
    let limit = slice.limit.clamp(1, MOST);
    let holders = policy.holders(grant.own_roles(), object, act);
    let wanted = store::Wanted {
        roles: holders.into_iter().map(|(_, role)| role).collect(),
        merchant,
        narrowed_too: action::is_by_store(object, act),
        limit: limit.saturating_add(1),
    };
    let mut rows = match after {
        Some(Who::Key(_)) => Vec::new(),
        None => store::people(tx, &wanted, None).await?,
        Some(Who::Person(last)) => store::people(tx, &wanted, Some(last)).await?,
    };
    let room = wanted
        .limit
        .saturating_sub(i64::try_from(rows.len()).unwrap_or(i64::MAX));
    if room > 0 {
        let last = match after {
            Some(Who::Key(last)) => Some(last),
            _ => None,
        };
        rows.extend(store::keys(tx, &wanted, last, room).await?);
    }
    Ok(Page::from_rows(rows, limit, |row| row.who.to_string()))
}
