//! Seals what is new, a slice at a time.
//!
//! Nobody is locked: two who seal at once both write the seal of the same number, the primary key lets
//! one of them, and the other one leaves it at that.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{
    chain::{NOTHING, Seal},
    store,
};
use crate::{
    authz::{action::RelayJobs, grant::Grant},
    db::{self, tx::Tx},
    kernel::{
        ids::{AuditEntryId, Id},
        time::Instant,
    },
    queue::Job,
};

/// Entries that one transaction seals.
const SLICE: i64 = 500;

/// How far before the newest seal entries are looked for: no transaction is open for so long. What is
/// older all the same is found once a day.
const BACK: TimeDelta = TimeDelta::hours(1);

/// Seal what is new in a mall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealEntries {
    /// The minute that has begun.
    pub minute: Instant,
    /// Whether entries of any age are looked for.
    pub all: bool,
}

impl Job for SealEntries {
    const NAME: &'static str = "audit.seal";

    fn dedup(&self) -> String {
        let age = if self.all { "all" } else { "new" };
        format!("{} {age}", self.minute.timestamp())
    }
}

/// What came of sealing a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    /// So many were sealed, and there may be more.
    More(usize),
    /// So many were sealed, and those were all.
    All(usize),
    /// Somebody else was faster; nothing of this transaction is to stay.
    Overtaken,
}

/// Seals entries that are not sealed yet, the oldest first, a slice of them; of any age if `all`.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn seal(tx: &mut Tx, _grant: &Grant<RelayJobs>, all: bool) -> Result<Sealed, db::Error> {
    // The newest seal before the entries: whoever seals in between is noticed by the number.
    let last = store::last_seal(tx).await?;
    let since = match &last {
        Some((_, at)) if !all => Id::floor((*at).min(tx.now()) - BACK),
        _ => AuditEntryId::from_uuid(uuid::Uuid::nil()),
    };
    let (mut number, mut previous) = match last {
        Some((seal, _)) => (seal.number, seal.hash),
        None => (0, NOTHING.to_vec()),
    };
    let fresh = store::unsealed(tx, since, SLICE).await?;
    for entry in &fresh {
        number = number.saturating_add(1);
        let seal = Seal::of(number, &previous, entry);
        if !store::insert_seal(tx, &seal).await? {
            return Ok(Sealed::Overtaken);
        }
        previous = seal.hash;
    }
    let count = fresh.len();
    if i64::try_from(count).unwrap_or(i64::MAX) < SLICE {
        Ok(Sealed::All(count))
    } else {
        Ok(Sealed::More(count))
    }
}
