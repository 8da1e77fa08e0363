//! Walks the chain from its first seal, and names the first place where it does not hold.

use std::{fmt, str::FromStr};

use chrono::TimeDelta;
use thiserror::Error;

use super::{
    chain::{Hash, NOTHING, hash},
    store::{self, Link},
};
use crate::{
    db::{self, tx::ReadTx},
    kernel::{ids::AuditEntryId, page::hex},
};

/// Seals that one question reads.
const SLICE: i64 = 1_000;

/// How long an entry may wait for its seal.
pub const LATE: TimeDelta = TimeDelta::hours(1);

/// The end of the chain, to be kept elsewhere: number and hash of a seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub number: i64,
    /// Its hash.
    pub hash: Hash,
}

/// Text that is no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not the head of a chain: a number from 1, a colon and 64 hexadecimal digits")]
pub struct HeadError;

impl fmt::Display for Head {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.number, hex(&self.hash))
    }
}

impl FromStr for Head {
    type Err = HeadError;

    fn from_str(text: &str) -> Result<Self, HeadError> {
        let (number, digits) = text.split_once(':').ok_or(HeadError)?;
        let number: i64 = number.parse().map_err(|_| HeadError)?;
        let mut hash = NOTHING;
        for (place, byte) in hash.iter_mut().enumerate() {
            let at = place.saturating_mul(2);
            let pair = digits.get(at..at.saturating_add(2)).ok_or(HeadError)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| HeadError)?;
        }
        let head = Self { number, hash };
        // In the one way in which it is written: no sign, no capital, nothing behind.
        let same = number > 0 && head.to_string() == text;
        same.then_some(head).ok_or(HeadError)
    }
}

/// The first place where the chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// There is no seal of this number, and there are later ones.
    SealMissing(i64),
    /// The seal of this number is not what was written.
    SealChanged(i64, AuditEntryId),
    /// The entry that the seal of this number is of is not there.
    EntryMissing(i64, AuditEntryId),
    /// The entry that the seal of this number is of is not what was sealed.
    EntryChanged(i64, AuditEntryId),
    /// The chain ends before the head that was kept.
    CutOff(i64),
    /// The chain does not go through the head that was kept: it was made anew.
    OtherChain(i64),
    /// So many entries wait for their seal for more than an hour, this one the longest.
    Unsealed(i64, AuditEntryId),
}

impl Finding {
    /// As the API and the texts write it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::SealMissing(_) => "seal-missing",
            Self::SealChanged(..) => "seal-changed",
            Self::EntryMissing(..) => "entry-missing",
            Self::EntryChanged(..) => "entry-changed",
            Self::CutOff(_) => "cut-off",
            Self::OtherChain(_) => "other-chain",
            Self::Unsealed(..) => "unsealed",
        }
    }

    /// All that there are.
    pub const ALL: [&'static str; 7] = [
        "seal-missing",
        "seal-changed",
        "entry-missing",
        "entry-changed",
        "cut-off",
        "other-chain",
        "unsealed",
    ];

    /// The number of the seal in question; of entries without seals, how many.
    pub const fn number(&self) -> i64 {
        match self {
            Self::SealMissing(number)
            | Self::SealChanged(number, _)
            | Self::EntryMissing(number, _)
            | Self::EntryChanged(number, _)
            | Self::CutOff(number)
            | Self::OtherChain(number)
            | Self::Unsealed(number, _) => *number,
        }
    }

    /// The entry in question.
    pub const fn entry(&self) -> Option<AuditEntryId> {
        match self {
            Self::SealChanged(_, entry)
            | Self::EntryMissing(_, entry)
            | Self::EntryChanged(_, entry)
            | Self::Unsealed(_, entry) => Some(*entry),
            Self::SealMissing(_) | Self::CutOff(_) | Self::OtherChain(_) => None,
        }
    }
}

/// What walking the chain came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Seals that hold, from the first on.
    pub sealed: i64,
    /// Entries that wait for their seal, late or not.
    pub waiting: i64,
    /// The last seal that holds; none where there is none.
    pub head: Option<Head>,
    /// The first place that does not hold.
    pub broken: Option<Finding>,
}

/// Walks the chain, and says whether it still goes through `known`. For whoever may read the audit, or
/// prove the books.
///
/// # Errors
/// [`db::Error::Unavailable`]. A chain that is broken is no error but a finding.
pub async fn verify(tx: &mut ReadTx, known: Option<&Head>) -> Result<Verified, db::Error> {
    let mut walk = Walk::default();
    let broken = walk.all(tx, known).await?;
    let late = tx.now() - LATE;
    let (waiting, late) = store::waiting(tx, late).await?;
    let late = late.map(|(count, oldest)| Finding::Unsealed(count, oldest));
    Ok(Verified {
        sealed: walk.holds,
        waiting,
        head: walk.head,
        broken: broken.or(late),
    })
}

/// How far one got.
#[derive(Debug, Default)]
struct Walk {
    /// The number of the seal that was read last.
    read: i64,
    /// The number of the one that was looked at last.
    seen: i64,
    /// Seals that hold.
    holds: i64,
    /// The last of them.
    head: Option<Head>,
    /// What the last one's entry comes to, where that is not what its seal says: the next seal tells
    /// which of the two was changed.
    doubt: Option<(i64, AuditEntryId, Hash)>,
}

impl Walk {
    /// To the first place that does not hold, or to the end.
    async fn all(
        &mut self,
        tx: &mut ReadTx,
        known: Option<&Head>,
    ) -> Result<Option<Finding>, db::Error> {
        loop {
            let links = store::links(tx, self.read, SLICE).await?;
            let Some(last) = links.last() else {
                return Ok(self.end(known));
            };
            self.read = last.seal.number;
            if let Some(broken) = links.iter().find_map(|link| self.step(link, known)) {
                return Ok(Some(broken));
            }
        }
    }

    /// One seal further.
    fn step(&mut self, link: &Link, known: Option<&Head>) -> Option<Finding> {
        let seal = &link.seal;
        if let Some((number, entry, computed)) = self.doubt.take() {
            return Some(if seal.previous == computed {
                Finding::SealChanged(number, entry)
            } else {
                Finding::EntryChanged(number, entry)
            });
        }
        let expected = self.seen.saturating_add(1);
        if seal.number != expected {
            return Some(Finding::SealMissing(expected));
        }
        self.seen = expected;
        let before = self.head.as_ref().map_or(NOTHING, |head| head.hash);
        if seal.previous != before {
            return Some(Finding::SealChanged(seal.number, seal.entry));
        }
        let Some(entry) = &link.entry else {
            return Some(Finding::EntryMissing(seal.number, seal.entry));
        };
        let computed = hash(seal.number, &before, entry);
        if seal.hash != computed {
            self.doubt = Some((seal.number, seal.entry, computed));
            return None;
        }
        if known.is_some_and(|known| known.number == seal.number && known.hash != computed) {
            return Some(Finding::OtherChain(seal.number));
        }
        self.holds = seal.number;
        self.head = Some(Head {
            number: seal.number,
            hash: computed,
        });
        None
    }

    /// Behind the last seal.
    fn end(&mut self, known: Option<&Head>) -> Option<Finding> {
        if let Some((number, entry, _)) = self.doubt.take() {
            return Some(Finding::EntryChanged(number, entry));
        }
        known
            .filter(|known| known.number > self.holds)
            .map(|_| Finding::CutOff(self.holds.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_travels_as_text() {
        let head = Head {
            number: 7,
            hash: [0xab; 32],
        };
        assert_eq!(head.to_string().parse(), Ok(head.clone()));
        let text = head.to_string();
        for bad in [
            "",
            "7",
            "0:ab",
            &text[1..],
            &text[..60],
            &text.replace('a', "+"),
        ] {
            assert_eq!(bad.parse::<Head>(), Err(HeadError), "{bad}");
        }
    }
}
