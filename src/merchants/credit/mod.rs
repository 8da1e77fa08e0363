//! Credit: what a merchant is good for, and how it leaves.
//!
//! The operator keeps a deposit of a merchant, or sells it points in advance by the block, or lets it
//! owe up to a limit. The house computes; money moves outside, and is recorded here ([`record`]) with
//! its means and reference, once and for ever. Every amount is in the ledger too: money that came
//! from a merchant is in its deposit or its prepaid account, and nothing leaves either but for a
//! reason that is written down.
//!
//! A deposit is drawn on when a payment of its merchant is met from it ([`draw`]). A block is used up
//! at the till ([`block`]), and the period that used it takes its price out of the prepaid account.
//! Everything here begins with the lock on the merchant's row in `credit`; tills lock blocks instead.
//!
//! Source: settlement.md, model M3 and the examples H and I.

pub mod block;
mod entries;
pub mod leaving;
mod rules;
mod standing;
mod store;

pub use block::{Advance, Blocks, Reason, advances};
pub use entries::{Entry, EntryKind, Means, Moved, NewEntry, draw, entries, record};
pub use rules::{BadRule, OnDefault, OnRed, Rules, WhenEmpty};
pub use standing::{NoStep, Place, Standing, Step, step};

use chrono::NaiveDate;
use thiserror::Error;

use super::store::merchant;
use crate::{
    authz::{
        action::{Action, ReadCredit},
        actor::Reach,
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{ids::MerchantId, page::CursorError, time::Instant},
};

/// How a merchant's light stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Light {
    /// It is covered.
    #[default]
    Green,
    /// What covers it is nearly used.
    Amber,
    /// It owes, or could come to owe, more than covers it.
    Red,
}

impl Light {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Green, Self::Amber, Self::Red];

    /// As the table and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Amber => "amber",
            Self::Red => "red",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|light| light.as_str() == text)
    }
}

/// Why purchases of a merchant earn nothing that would earn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// Nothing is left of the points that it paid for in advance.
    Prepaid,
    /// It owes, or could come to owe, more than covers it.
    Limit,
    /// It is leaving.
    WindingDown,
    /// It has left.
    Exited,
    /// It did not pay.
    Defaulted,
}

impl Withheld {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Prepaid,
        Self::Limit,
        Self::WindingDown,
        Self::Exited,
        Self::Defaulted,
    ];

    /// As tables and the API write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepaid => "prepaid",
            Self::Limit => "limit",
            Self::WindingDown => "winding_down",
            Self::Exited => "exited",
            Self::Defaulted => "defaulted",
        }
    }

    /// The opposite of [`Withheld::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    /// Whether a purchase of that moment is meant, where this holds since another one. What happened
    /// before earns, however late it is reported; of a merchant whose points have ended nothing does.
    pub fn holds(self, since: Instant, at: Instant) -> bool {
        self == Self::Exited || since <= at
    }
}

/// How a merchant stands. Money is in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    /// Which merchant.
    pub merchant: MerchantId,
    /// How far it is.
    pub standing: Standing,
    /// When its points end, once it is leaving.
    pub exit_at: Option<Instant>,
    /// When its default was raised, and by whom; none where none is.
    pub raised: Option<(Instant, String)>,
    /// When it was declared, and by whom.
    pub declared: Option<(Instant, String)>,
    /// What the operator keeps of it.
    pub deposit: i64,
    /// What it may owe beyond that; none: nobody said.
    pub limit: Option<i64>,
    /// Its light,
    pub light: Light,
    /// since when, and
    pub light_since: Instant,
    /// why, in a sentence; empty where nothing is to be said.
    pub light_why: String,
    /// What it would owe if all of its points were spent, when that was looked at last.
    pub open_worth: i64,
    /// What it owed then.
    pub owed: i64,
    /// When that was; none: never.
    pub evaluated_at: Option<Instant>,
    /// Why it gives no points, and since when.
    pub withheld: Option<(Withheld, Instant)>,
}

impl Credit {
    /// A merchant of which nothing is known.
    pub fn of_nothing(merchant: MerchantId, since: Instant) -> Self {
        Self {
            merchant,
            standing: Standing::Active,
            exit_at: None,
            raised: None,
            declared: None,
            deposit: 0,
            limit: None,
            light: Light::Green,
            light_since: since,
            light_why: String::new(),
            open_worth: 0,
            owed: 0,
            evaluated_at: None,
            withheld: None,
        }
    }

    /// Where it is for [`step`].
    pub fn place(&self) -> Place {
        Place {
            standing: self.standing,
            raised: self.raised.is_some(),
        }
    }
}

/// What is left of what a merchant paid for in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepaid {
    /// Points left in all of its blocks.
    pub left: i64,
    /// What the blocks had of which something is left.
    pub size: i64,
    /// Whether that is little, as the mall sees it.
    pub low: bool,
}

/// A merchant's credit, and its blocks if it ever had any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// How it stands.
    pub credit: Credit,
    /// Its blocks.
    pub prepaid: Option<Prepaid>,
}

/// Why something about credit is refused.
#[derive(Debug, Error)]
pub enum CreditError {
    /// No such merchant, or none within reach.
    #[error("there is no such merchant")]
    UnknownMerchant,
    /// An amount or a number of points that is none.
    #[error("an amount and a number of points are above zero and below 2^53")]
    NotPositive,
    /// A block for a merchant that pays for points when they are spent.
    #[error(
        "points are paid for in advance by merchants that have agreed on the pool and its price"
    )]
    NoPool,
    /// A block whose price is no whole amount.
    #[error("{points} points at the agreed price are no whole amount: buy a multiple of {step}")]
    NotWhole {
        /// What was asked for.
        points: i64,
        /// Of how many points the price is whole.
        step: i64,
    },
    /// More than is kept of the merchant.
    #[error("the deposit is {deposit} minor units, {wanted} were asked for")]
    TooMuch {
        /// What is kept.
        deposit: i64,
        /// What was asked for.
        wanted: i64,
    },
    /// A deposit that still covers something.
    #[error("{needed} minor units of the deposit cover points and debts of the merchant still")]
    Needed {
        /// What has to stay.
        needed: i64,
    },
    /// Another entry of this kind has the reference.
    #[error("this reference was used for something else")]
    ReferenceTaken,
    /// Not possible as the merchant stands.
    #[error(transparent)]
    NoStep(#[from] NoStep),
    /// Who raised something would decide it as well.
    #[error("who raised a default does not declare it: this mall asks for a second person")]
    NeedsSecondPerson,
    /// A day that has begun.
    #[error("a merchant's points end on a day to come: {0} or later")]
    InThePast(NaiveDate),
    /// Nothing that the merchant owes is due.
    #[error("no payment of the merchant is due: there is nothing that it could have failed to pay")]
    NothingDue,
    /// Payments that can still be made through Stripe.
    #[error("payments of the merchant go through Stripe: cancel its invoice there first")]
    AtStripe,
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// An amount that the books cannot hold.
    #[error(transparent)]
    Amount(#[from] crate::kernel::AmountError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// A merchant's credit.
///
/// # Errors
/// [`CreditError::UnknownMerchant`].
pub async fn get(
    tx: &mut ReadTx,
    grant: &Grant<ReadCredit>,
    of: MerchantId,
    rules: &Rules,
) -> Result<Overview, CreditError> {
    let found = merchant(tx, of).await?;
    let found = found.filter(|found| grant.reach().covers(found.id));
    let found = found.ok_or(CreditError::UnknownMerchant)?;
    let credit = store::credit(tx, of).await?;
    let credit = credit.unwrap_or_else(|| Credit::of_nothing(of, found.created_at));
    Ok(overview(tx, credit, rules).await?)
}

/// The same with the merchant's blocks.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn overview(
    tx: &mut ReadTx,
    credit: Credit,
    rules: &Rules,
) -> Result<Overview, db::Error> {
    let prepaid = store::blocks_of(tx, credit.merchant).await?;
    let prepaid = prepaid.map(|(left, size)| Prepaid {
        left,
        size,
        low: i128::from(left).saturating_mul(100)
            <= i128::from(size).saturating_mul(i128::from(rules.alert_percent)),
    });
    Ok(Overview { credit, prepaid })
}

/// The merchant's row, locked until the transaction ends; made where there is none.
///
/// # Errors
/// [`CreditError::UnknownMerchant`]; [`db::Error::Retry`] after waiting too long for somebody else.
pub async fn lock(tx: &mut Tx, of: MerchantId) -> Result<Credit, CreditError> {
    if merchant(tx, of).await?.is_none() {
        return Err(CreditError::UnknownMerchant);
    }
    Ok(store::lock(tx, of).await?)
}

/// The same for whoever has a right over the whole mall.
///
/// # Errors
/// [`CreditError::UnknownMerchant`], also for everybody else.
pub async fn lock_within<A: Action>(
    tx: &mut Tx,
    grant: &Grant<A>,
    of: MerchantId,
) -> Result<Credit, CreditError> {
    whole_mall(grant.reach())?;
    lock(tx, of).await
}

/// The merchants that have a deposit or a limit, in the order of their ids.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn watched(tx: &mut ReadTx) -> Result<Vec<MerchantId>, db::Error> {
    store::watched(tx).await
}

/// Writes how a merchant stands, whose row is locked; `before` is how it stood.
///
/// # Errors
/// [`db::Error::Constraint`] for what cannot be: a mistake of ours.
pub async fn save(tx: &mut Tx, before: &Credit, it: &Credit) -> Result<(), db::Error> {
    store::update(tx, before, it).await
}

fn whole_mall(reach: Reach) -> Result<(), CreditError> {
    match reach {
        Reach::Mall => Ok(()),
        Reach::Merchant(_) | Reach::Member(_) => Err(CreditError::UnknownMerchant),
    }
}
