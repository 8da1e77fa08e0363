//! Accounts: where points and money can be.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::kernel::ids::{AccountId, MemberId, MerchantId};

/// A place that an amount can be in. Points accounts first, money accounts last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// A member's points, spendable or lapsing soon.
    Wallet(MemberId),
    /// A member's points that are promised to a reservation.
    Held(MemberId),
    /// What a member owes because points were spent before they were taken back, and to whom.
    Deficit(MemberId, MerchantId),
    /// What a merchant has given out; below zero by as much as is outstanding and used.
    Issued(MerchantId),
    /// What a merchant has taken, by the merchant that had given it.
    Accepted {
        /// Who took the points.
        by: MerchantId,
        /// Who had issued them.
        from: MerchantId,
    },
    /// What lapsed unspent, by issuer.
    Expired(MerchantId),
    /// Money that a party owes from a settlement; no merchant is the operator.
    Payable(Option<MerchantId>),
    /// Money that is owed to a party from a settlement; no merchant is the operator.
    Receivable(Option<MerchantId>),
    /// A merchant's own money, outside of this house; below zero by as much as came from it, other
    /// than for settlements.
    Outside(MerchantId),
    /// Money that the operator keeps for a merchant as security.
    Deposit(MerchantId),
    /// Money that a merchant paid in advance for points.
    Prepaid(MerchantId),
    /// What the operator paid in a merchant's place; below zero by that much.
    Guarantee(MerchantId),
}

impl Account {
    /// The kind, as the directory writes it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Wallet(_) => "wallet",
            Self::Held(_) => "held",
            Self::Deficit(..) => "deficit",
            Self::Issued(_) => "issued",
            Self::Accepted { .. } => "accepted",
            Self::Expired(_) => "expired",
            Self::Payable(_) => "payable",
            Self::Receivable(_) => "receivable",
            Self::Outside(_) => "outside",
            Self::Deposit(_) => "deposit",
            Self::Prepaid(_) => "prepaid",
            Self::Guarantee(_) => "guarantee",
        }
    }

    /// Whose account it is; none is the operator.
    pub fn owner(&self) -> Option<Uuid> {
        match self {
            Self::Wallet(member) | Self::Held(member) | Self::Deficit(member, _) => {
                Some(member.uuid())
            }
            Self::Issued(merchant)
            | Self::Expired(merchant)
            | Self::Outside(merchant)
            | Self::Deposit(merchant)
            | Self::Prepaid(merchant)
            | Self::Guarantee(merchant) => Some(merchant.uuid()),
            Self::Accepted { by, .. } => Some(by.uuid()),
            Self::Payable(party) | Self::Receivable(party) => party.map(|party| party.uuid()),
        }
    }

    /// The other side that the account is about, where it has one.
    pub fn partner(&self) -> Option<Uuid> {
        match self {
            Self::Deficit(_, merchant) | Self::Accepted { from: merchant, .. } => {
                Some(merchant.uuid())
            }
            _ => None,
        }
    }

    /// The account's id: derived from what it is, so that nobody has to look it up. `unit` is
    /// "points" or a currency code.
    pub fn id(&self, unit: &str) -> AccountId {
        let mut hash = Sha256::new();
        hash.update(self.kind());
        hash.update([0]);
        hash.update(self.owner().unwrap_or_default());
        hash.update(self.partner().unwrap_or_default());
        hash.update(unit);
        let mut bytes = [0; 16];
        bytes
            .iter_mut()
            .zip(hash.finalize())
            .for_each(|(byte, from)| *byte = from);
        AccountId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}
