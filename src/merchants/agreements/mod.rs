//! Agreements: what each merchant settles by, a version each time that it changes.
//!
//! The operator proposes a version that is to hold from the first moment of a month to come, and
//! the merchant accepts it before then, by the digest of exactly what it has read. A version that
//! was not accepted in time never holds. Points keep the terms of the moment at which they were
//! earned; what is agreed on later never re-prices them. What a merchant pays and receives besides is
//! as agreed at the first moment of a month, for the whole month.

mod store;
mod terms;

pub use terms::{
    AgreementTerms, BadTerms, Breakage, Cost, FeeRule, Fees, InvoicedBy, Model, Price, Tax, WHOLE,
};

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::store::merchant;
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{AcceptAgreement, ProposeAgreement, ReadAgreements},
        actor::Reach,
        grant::Grant,
    },
    db::{
        self,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::{AgreementId, MerchantId},
        money::Rate,
        page::{CursorError, MOST, Page, Slice, hex},
        time::{Instant, Month, Zone},
    },
};

/// One version of what a merchant settles by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// Its id.
    pub id: AgreementId,
    /// Whose.
    pub merchant: MerchantId,
    /// Its number, from 1.
    pub version: i32,
    /// The first moment at which it holds, if it was accepted before.
    pub starts_at: Instant,
    /// What it says.
    pub terms: AgreementTerms,
    /// SHA-256 over merchant, version, first moment and terms, 64 hexadecimal digits.
    pub digest: String,
    /// SHA-256 of the paper that goes with it.
    pub document_digest: Option<String>,
    /// When it was put to the merchant, and
    pub proposed_at: Instant,
    /// by whom.
    pub proposed_by: String,
    /// When it was accepted, and by whom.
    pub accepted: Option<(Instant, String)>,
}

/// A version that is to be put to a merchant.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// To whom.
    pub merchant: MerchantId,
    /// From the first moment of which month it is to hold.
    pub from: Month,
    /// What it says.
    pub terms: AgreementTerms,
    /// SHA-256 of the paper that goes with it, 64 hexadecimal digits.
    pub document_digest: Option<String>,
}

/// How far a version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It waits for the merchant.
    Proposed,
    /// The merchant accepted it, and it holds from its first moment on, until a later one does.
    Accepted,
    /// Its first moment passed before the merchant accepted it: it never holds.
    Missed,
}

/// Why something about agreements is refused.
#[derive(Debug, Error)]
pub enum AgreementError {
    /// No such merchant or version, or none within reach.
    #[error("there is no such agreement")]
    NotFound,
    /// A month that has begun.
    #[error("an agreement begins with a month to come: {0} or later")]
    TooEarly(Month),
    /// Terms that cannot be agreed on.
    #[error(transparent)]
    Terms(#[from] BadTerms),
    /// Text that is no SHA-256.
    #[error("a document's digest is its SHA-256: 64 hexadecimal digits in lower case")]
    Digest,
    /// Somebody accepts something else than the version says.
    #[error("this is not the digest of version {0}: read it again")]
    OtherDigest(i32),
    /// A version whose first moment has passed.
    #[error("version {0} was to be accepted before {1}: ask for a new one")]
    Missed(i32, Instant),
    /// A page that begins after something that is no place in this list.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::Error),
}

impl Agreement {
    /// How far it is at that moment.
    pub fn standing(&self, now: Instant) -> Standing {
        match self.accepted {
            Some(_) => Standing::Accepted,
            None if now < self.starts_at => Standing::Proposed,
            None => Standing::Missed,
        }
    }

    /// The canonical text that [`Agreement::digest`] is taken of; `books verify` writes the same.
    fn canonical(merchant: MerchantId, version: i32, starts_at: Instant, terms: &str) -> String {
        let starts_at = starts_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        format!("{}\n{version}\n{starts_at}\n{terms}\n", merchant.uuid())
    }
}

/// Puts a new version to a merchant.
///
/// # Errors
/// [`AgreementError::TooEarly`], [`AgreementError::Terms`], [`AgreementError::Digest`];
/// [`AgreementError::NotFound`] without that merchant within reach.
pub async fn propose(
    tx: &mut Tx,
    grant: &Grant<ProposeAgreement>,
    new: Proposal,
    zone: Zone,
) -> Result<Agreement, AgreementError> {
    if grant.reach() != Reach::Mall || merchant(tx, new.merchant).await?.is_none() {
        return Err(AgreementError::NotFound);
    }
    let next = Month::at(tx.now(), zone).next();
    if new.from < next {
        return Err(AgreementError::TooEarly(next));
    }
    new.terms.check()?;
    if new
        .document_digest
        .as_deref()
        .is_some_and(|text| !is_digest(text))
    {
        return Err(AgreementError::Digest);
    }
    let version = store::next_version(tx, new.merchant).await?;
    let (starts_at, _) = new.from.span(zone);
    let text = serde_json::to_string(&new.terms).map_err(|_| db::Error::Corrupt("agreement"))?;
    let canonical = Agreement::canonical(new.merchant, version, starts_at, &text);
    let agreement = Agreement {
        id: tx.new_id(),
        merchant: new.merchant,
        version,
        starts_at,
        terms: new.terms,
        digest: hex(&Sha256::digest(canonical)),
        document_digest: new.document_digest,
        proposed_at: tx.now(),
        proposed_by: tx.actor().to_string(),
        accepted: None,
    };
    store::insert(tx, &agreement, &text).await?;
    let done = Done::to(Act::AgreementProposed, agreement.id)
        .is(Field::Merchant, audit::id(agreement.merchant))
        .is(Field::Version, version)
        .is(Field::From, starts_at.to_rfc3339())
        .is(Field::Digest, agreement.digest.as_str());
    audit::record(tx, done).await?;
    Ok(agreement)
}

/// A merchant accepts a version, whose digest it names. One that it accepted before stays as it is.
///
/// # Errors
/// [`AgreementError::NotFound`], [`AgreementError::OtherDigest`], [`AgreementError::Missed`].
pub async fn accept(
    tx: &mut Tx,
    grant: &Grant<AcceptAgreement>,
    id: AgreementId,
    digest: &str,
) -> Result<Agreement, AgreementError> {
    let found = store::lock(tx, id).await?;
    let found = found.filter(|found| grant.reach().covers(found.merchant));
    let mut agreement = found.ok_or(AgreementError::NotFound)?;
    let version = agreement.version;
    if agreement.digest != digest {
        return Err(AgreementError::OtherDigest(version));
    }
    if agreement.accepted.is_some() {
        return Ok(agreement);
    }
    if tx.now() >= agreement.starts_at {
        return Err(AgreementError::Missed(version, agreement.starts_at));
    }
    agreement.accepted = Some((tx.now(), tx.actor().to_string()));
    store::set_accepted(tx, &agreement).await?;
    let done = Done::to(Act::AgreementAccepted, agreement.id)
        .is(Field::Merchant, audit::id(agreement.merchant))
        .is(Field::Version, version)
        .is(Field::Digest, digest);
    audit::record(tx, done).await?;
    Ok(agreement)
}

/// A merchant's versions, the newest first.
///
/// # Errors
/// [`AgreementError::NotFound`] without that merchant within reach, [`AgreementError::Cursor`].
pub async fn list(
    tx: &mut ReadTx,
    grant: &Grant<ReadAgreements>,
    of: MerchantId,
    slice: &Slice,
) -> Result<Page<Agreement>, AgreementError> {
    if !grant.reach().covers(of) || merchant(tx, of).await?.is_none() {
        return Err(AgreementError::NotFound);
    }
    let before = match &slice.after {
        Some(key) => key.parse().map_err(|_| CursorError)?,
        None => i32::MAX,
    };
    let limit = slice.limit.clamp(1, MOST);
    let rows = store::before(tx, of, before, limit.saturating_add(1)).await?;
    Ok(Page::from_rows(rows, limit, |row| row.version.to_string()))
}

/// One version.
///
/// # Errors
/// [`AgreementError::NotFound`].
pub async fn get(
    tx: &mut ReadTx,
    grant: &Grant<ReadAgreements>,
    id: AgreementId,
) -> Result<Agreement, AgreementError> {
    let found = store::get(tx, id).await?;
    found
        .filter(|found| grant.reach().covers(found.merchant))
        .ok_or(AgreementError::NotFound)
}

/// Every accepted version of the mall that began before a moment, by merchant and first moment. Of
/// two that begin together the later one holds; the other is left out.
///
/// # Errors
/// [`db::Error::Unavailable`].
pub async fn accepted_before(
    tx: &mut ReadTx,
    before: Instant,
) -> Result<BTreeMap<MerchantId, Vec<Agreement>>, db::Error> {
    let mut by_merchant: BTreeMap<MerchantId, Vec<Agreement>> = BTreeMap::new();
    for agreement in store::accepted_before(tx, before).await? {
        let versions = by_merchant.entry(agreement.merchant).or_default();
        versions.retain(|known| known.starts_at != agreement.starts_at);
        versions.push(agreement);
    }
    Ok(by_merchant)
}

/// Since when which price holds; none: the mall's.
pub type Prices = Vec<(Instant, Option<Rate>)>;

/// The price that holds at a moment, where one was agreed on.
pub fn price_at(prices: &Prices, at: Instant) -> Option<Rate> {
    let held = prices.iter().rev().find(|(since, _)| *since <= at);
    held.and_then(|(_, price)| *price)
}

fn is_digest(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 64 && text.bytes().all(digit)
}
