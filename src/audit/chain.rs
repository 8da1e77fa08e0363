//! The chain: what a seal is the hash of. Pure.
//!
//! Every column of an entry goes in, each with its length before it, so that no letter can pass from
//! one to the next; what is not there differs from what is empty.

use sha2::{Digest, Sha256};

use super::Entry;
use crate::kernel::ids::AuditEntryId;

/// A seal's hash.
pub type Hash = [u8; 32];

/// What the first seal has before it.
pub const NOTHING: Hash = [0; 32];

/// What every seal begins with, so that it is the hash of nothing else. A change of what goes in
/// changes this number.
const DOMAIN: &[u8] = b"rotunda audit 1";

/// A seal as the table holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// From 1 without a gap.
    pub number: i64,
    /// What it seals.
    pub entry: AuditEntryId,
    /// The seal before.
    pub previous: Vec<u8>,
    /// Its own.
    pub hash: Vec<u8>,
}

impl Seal {
    /// The seal of an entry behind another seal.
    pub fn of(number: i64, previous: &[u8], entry: &Entry) -> Self {
        Self {
            number,
            entry: entry.id,
            previous: previous.to_vec(),
            hash: hash(number, previous, entry).to_vec(),
        }
    }
}

/// The hash of an entry at its place.
pub fn hash(number: i64, previous: &[u8], entry: &Entry) -> Hash {
    let Entry {
        id,
        at,
        actor,
        act,
        object,
        right: (right_object, right_act),
        before,
        after,
        reason,
        door,
        address,
        agent,
        request,
    } = entry;
    let mut whole = Sha256::new();
    let mut put = |part: Option<&[u8]>| match part {
        None => whole.update([0]),
        Some(bytes) => {
            whole.update([1]);
            whole.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            whole.update(bytes);
        }
    };
    put(Some(DOMAIN));
    put(Some(&number.to_be_bytes()));
    put(Some(previous));
    put(Some(id.uuid().as_bytes()));
    put(Some(&at.timestamp_micros().to_be_bytes()));
    for text in [actor, act, right_object, right_act, before, after, door] {
        put(Some(text.as_bytes()));
    }
    for text in [object, reason, address, agent, request] {
        put(text.as_ref().map(String::as_bytes));
    }
    whole.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::time::Instant;

    fn entry() -> Entry {
        Entry {
            id: AuditEntryId::from_uuid(uuid::Uuid::from_u128(1)),
            at: Instant::from_timestamp_micros(1_700_000_000_000_000).unwrap(),
            actor: "system".to_owned(),
            act: "key.made".to_owned(),
            object: None,
            right: ("key".to_owned(), "create".to_owned()),
            before: "{}".to_owned(),
            after: "{}".to_owned(),
            reason: None,
            door: "api".to_owned(),
            address: None,
            agent: None,
            request: None,
        }
    }

    #[test]
    fn no_two_entries_and_no_two_places_have_one_hash() {
        let one = entry();
        let moved = |change: fn(&mut Entry)| {
            let mut other = entry();
            change(&mut other);
            hash(1, &NOTHING, &other)
        };
        let all = [
            hash(1, &NOTHING, &one),
            hash(2, &NOTHING, &one),
            hash(1, &[1; 32], &one),
            moved(|it| it.reason = Some(String::new())),
            moved(|it| it.object = Some(String::new())),
            // A letter that passes from one column to the next.
            moved(|it| (it.actor, it.act) = ("systemk".to_owned(), "ey.made".to_owned())),
            moved(|it| it.at += chrono::TimeDelta::microseconds(1)),
            moved(|it| it.before = "{ }".to_owned()),
            moved(|it| it.after = "{ }".to_owned()),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    /// Written down on purpose: seals that were made hold for ever.
    #[test]
    fn what_was_sealed_once_stays_sealed() {
        let hash = crate::kernel::page::hex(&hash(1, &NOTHING, &entry()));
        assert_eq!(
            hash,
            "ee4e92635cf9ac1bae6a16457ddaf03aa49844b50d93bb81eb972602909dd56f"
        );
    }
}
