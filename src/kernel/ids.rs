//! Ids that carry their kind: `mem_01h455vb4pex5vsknk084sn02q`.
//!
//! Inside a `UUIDv7`, outside a `TypeID`: the kind's prefix, an underscore and the 128 bits in
//! Crockford's base32, lower case, 26 digits (specification 0.3 of `TypeID`).

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use thiserror::Error;
use uuid::Uuid;

use super::time::Instant;

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A kind of thing that has ids.
pub trait Kind: Send + Sync + 'static {
    /// What the public form starts with, without the underscore.
    const PREFIX: &'static str;
    /// The kind's name in an error: "a member".
    const NOUN: &'static str;
}

/// The id of a `K`; two kinds do not mix.
pub struct Id<K> {
    uuid: Uuid,
    kind: PhantomData<fn() -> K>,
}

/// Text that is not the public form of the expected kind of id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "not the id of {} {noun}: expected {prefix}_ and 26 digits",
    article(noun)
)]
pub struct IdError {
    noun: &'static str,
    prefix: &'static str,
}

/// English has two.
fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}

impl<K> Id<K> {
    /// The id with these bits, as a column holds it.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self {
            uuid,
            kind: PhantomData,
        }
    }

    /// The bits, as a column holds them.
    pub const fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Before every id of what begins at `from` or later, and behind those of what began before.
    pub fn floor(from: Instant) -> Self {
        let millis = u128::try_from(from.timestamp_millis()).unwrap_or(0);
        Self::from_uuid(Uuid::from_u128(millis.checked_shl(80).unwrap_or(u128::MAX)))
    }

    /// A new id for something that begins at `now`: ids sort by time to the millisecond.
    pub fn new(now: Instant, entropy: &Entropy) -> Self {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &entropy.bytes()).into_uuid();
        Self::from_uuid(uuid)
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError {
            noun: K::NOUN,
            prefix: K::PREFIX,
        };
        text.strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .and_then(decode)
            .map(|bits| Self::from_uuid(Uuid::from_u128(bits)))
            .ok_or(error)
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}_{}", K::PREFIX, encode(self.uuid.as_u128()))
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}

/// 128 bits as 26 digits of base32; the first digit holds the top 3 bits.
pub fn encode(bits: u128) -> String {
    (0..26u32)
        .rev()
        .filter_map(|place| bits.checked_shr(place.checked_mul(5)?))
        .filter_map(|rest| DIGITS.get(usize::try_from(rest & 31).ok()?))
        .map(|digit| char::from(*digit))
        .collect()
}

fn decode(text: &str) -> Option<u128> {
    if text.len() != 26 || text.as_bytes().first()? > &b'7' {
        return None;
    }
    text.bytes().try_fold(0u128, |bits, byte| {
        let digit = DIGITS.iter().position(|known| *known == byte)?;
        Some(bits.checked_shl(5)? | u128::try_from(digit).ok()?)
    })
}

/// Where randomness comes from: the operating system, or a seed.
#[derive(Clone)]
pub enum Entropy {
    /// The operating system's generator, for everything live.
    System,
    /// A generator with a fixed seed, for the demo mall and for tests.
    Seeded(Arc<Mutex<StdRng>>),
}

impl Entropy {
    /// The same randomness at every run.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match self {
            #[expect(
                clippy::disallowed_methods,
                reason = "the one place that asks the system"
            )]
            Self::System => rand::rng().fill_bytes(&mut bytes),
            Self::Seeded(rng) => {
                rng.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .fill_bytes(&mut bytes);
            }
        }
        bytes
    }

    /// A number in `0..bound`; 0 where `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        match self {
            #[expect(
                clippy::disallowed_methods,
                reason = "the one place that asks the system"
            )]
            Self::System => rand::rng().random_range(0..bound),
            Self::Seeded(rng) => rng
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .random_range(0..bound),
        }
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Entropy")
    }
}

/// The only macro of the house: a kind, its prefix, its noun and the name of its id.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $id:ident, $prefix:literal, $noun:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $kind {}
        impl Kind for $kind {
            const PREFIX: &'static str = $prefix;
            const NOUN: &'static str = $noun;
        }
        #[doc = concat!("The id of a ", $noun, ": `", $prefix, "_…`.")]
        pub type $id = Id<$kind>;
    )*};
}

kinds! {
    /// A mall operator's space.
    Tenant, TenantId, "ten", "tenant";
    /// A machine's key.
    ApiKey, ApiKeyId, "key", "key";
    /// A person who works in a mall.
    Staff, StaffId, "stf", "person";
    /// Somebody's being signed in.
    Session, SessionId, "ses", "session";
    /// A member's being signed in.
    MemberSession, MemberSessionId, "mse", "session of a member";
    /// A request for a code by which a member comes in.
    SignInCode, SignInCodeId, "sic", "request for a sign-in code";
    /// What lets somebody choose a password.
    Link, LinkId, "lnk", "link";
    /// A role that a person has.
    StaffRole, StaffRoleId, "sro", "role of a person";
    /// A role that a mall made for itself.
    OwnRole, OwnRoleId, "rol", "role";
    /// A change of somebody's roles that waits for a second person.
    RoleChange, RoleChangeId, "rch", "change of roles";
    /// A company of the alliance.
    Merchant, MerchantId, "mer", "merchant";
    /// A place where a merchant sells.
    Store, StoreId, "sto", "store";
    /// A version of what a merchant settles by.
    Agreement, AgreementId, "agr", "agreement";
    /// Somebody's wish to join the alliance with a company.
    Application, ApplicationId, "apl", "application";
    /// What happened to an application, and the link in the letter that says so.
    News, NewsId, "apn", "event of an application";
    /// A file that belongs to an application.
    Paper, PaperId, "fil", "file";
    /// Points that somebody of the mall added or took by hand.
    Adjustment, AdjustmentId, "adj", "adjustment";
    /// Money of a merchant that moved outside of settlements.
    CreditEntry, CreditEntryId, "cre", "credit entry";
    /// Something that was to be said to somebody.
    Message, MessageId, "msg", "message";
    /// A person who earns and spends.
    Member, MemberId, "mem", "member";
    /// A receipt of a store.
    Purchase, PurchaseId, "pur", "purchase";
    /// Goods or money given back.
    Refund, RefundId, "ref", "refund";
    /// Points that paid part of a purchase.
    Spend, SpendId, "spd", "spend";
    /// Something that points buy.
    Good, GoodId, "gds", "good";
    /// A good promised to a member.
    Redemption, RedemptionId, "rdm", "redemption";
    /// An account of the ledger.
    Account, AccountId, "acc", "account";
    /// One event of the ledger, the cause of its transfers.
    Journal, JournalId, "jrn", "journal entry";
    /// One amount moved from one account to another.
    Transfer, TransferId, "trf", "transfer";
    /// Points of one grant.
    Lot, LotId, "lot", "lot";
    /// Points set aside.
    Hold, HoldId, "hld", "hold";
    /// A closed month.
    Settlement, SettlementId, "stl", "settlement";
    /// A merchant's share of a closed month.
    Statement, StatementId, "stm", "statement";
    /// An invoice or a transfer through which a payment goes.
    Leg, LegId, "leg", "leg of a payment";
    /// An objection to a line of a statement.
    Dispute, DisputeId, "dsp", "dispute";
    /// A line of the audit.
    AuditEntry, AuditEntryId, "aud", "audit entry";
    /// Work for after the commit.
    Job, JobId, "job", "job";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_examples_travel_both_ways() {
        for (uuid, text) in [
            (
                "00000000-0000-0000-0000-000000000000",
                "mem_00000000000000000000000000",
            ),
            (
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
                "mem_7zzzzzzzzzzzzzzzzzzzzzzzzz",
            ),
            (
                "0188bac7-4afa-78aa-bc3b-bd1eef28d881",
                "mem_01h2xcejqtf2nbrexx3vqjhp41",
            ),
        ] {
            let id = MemberId::from_uuid(Uuid::parse_str(uuid).unwrap());
            assert_eq!(id.to_string(), text);
            assert_eq!(text.parse(), Ok(id));
        }
    }

    #[test]
    fn another_kind_a_capital_and_a_129th_bit_are_refused() {
        for text in [
            "mer_01h2xcejqtf2nbrexx3vqjhp41",
            "mem_01H2XCEJQTF2NBREXX3VQJHP41",
            "mem_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "mem_01h2xcejqtf2nbrexx3vqjhp4",
            "01h2xcejqtf2nbrexx3vqjhp41",
            "mem_",
            "",
        ] {
            assert!(text.parse::<MemberId>().is_err(), "{text}");
        }
    }
}
