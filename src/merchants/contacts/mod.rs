//! What merchants are called, and where their mail goes.
//!
//! An address is personal: it is in the answer to whoever may read it and in the letter itself, and
//! nowhere else.

mod store;

use std::collections::HashMap;

use super::{MerchantError, within};
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{ApplyManifest, ReadContact, SetContact},
        actor::Reach,
        grant::Grant,
    },
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::MerchantId,
        text::{Code, Email, Language, Names},
        time::Instant,
    },
};

/// What a merchant is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// In lists and files.
    pub code: Code,
    /// By people.
    pub names: Names,
}

/// Where a merchant's mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The address.
    pub email: Email,
    /// In which language it is written.
    pub language: Language,
    /// Since when.
    pub changed_at: Instant,
}

/// What the merchants among `ids` are called, unknown ones left out.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn called(
    tx: &mut ReadTx,
    ids: &[MerchantId],
) -> Result<HashMap<MerchantId, Called>, Error> {
    store::called(tx, ids).await
}

/// Where a merchant's mail goes.
///
/// # Errors
/// [`MerchantError::UnknownMerchant`]; [`MerchantError::NoContact`] where it gets none.
pub async fn get(
    tx: &mut ReadTx,
    grant: &Grant<ReadContact>,
    merchant: MerchantId,
) -> Result<Contact, MerchantError> {
    within(tx, grant.reach(), merchant).await?;
    let found = store::contact(tx, merchant).await?;
    found.ok_or(MerchantError::NoContact)
}

/// Says where a merchant's mail goes from now on; what was said before is forgotten.
///
/// # Errors
/// [`MerchantError::UnknownMerchant`].
pub async fn set(
    tx: &mut Tx,
    grant: &Grant<SetContact>,
    merchant: MerchantId,
    email: Email,
    language: Language,
) -> Result<Contact, MerchantError> {
    within(tx, grant.reach(), merchant).await?;
    let before = store::contact(tx, merchant).await?;
    let (mail, tongue) = said(before.as_ref());
    let done = Done::to(Act::ContactSet, merchant)
        .changed(Field::Email, mail, email.masked())
        .changed(Field::Language, tongue, language.tag());
    audit::record(tx, done).await?;
    store::set(tx, &[(merchant, &email, language)]).await?;
    let found = store::contact(tx, merchant).await?;
    found.ok_or(MerchantError::NoContact)
}

/// Sends a merchant no mail from now on, and forgets the address; where there is none, nothing.
///
/// # Errors
/// [`MerchantError::UnknownMerchant`].
pub async fn remove(
    tx: &mut Tx,
    grant: &Grant<SetContact>,
    merchant: MerchantId,
) -> Result<(), MerchantError> {
    within(tx, grant.reach(), merchant).await?;
    if let Some(before) = store::contact(tx, merchant).await? {
        let (mail, tongue) = said(Some(&before));
        let done = Done::to(Act::ContactRemoved, merchant)
            .was(Field::Email, mail)
            .was(Field::Language, tongue);
        audit::record(tx, done).await?;
    }
    Ok(store::remove(tx, merchant).await?)
}

/// What the audit keeps of a contact.
fn said(contact: Option<&Contact>) -> (Option<String>, Option<&'static str>) {
    let mail = contact.map(|contact| contact.email.masked());
    (mail, contact.map(|contact| contact.language.tag()))
}

/// Brings the contacts of merchants to what a manifest lists; who is not listed keeps what there is.
///
/// # Errors
/// [`MerchantError::UnknownMerchant`] for a code that no merchant has.
pub async fn apply(
    tx: &mut Tx,
    grant: &Grant<ApplyManifest>,
    listed: &[(Code, Email, Language)],
) -> Result<(), MerchantError> {
    if listed.is_empty() || grant.reach() != Reach::Mall {
        return Ok(());
    }
    let codes: Vec<Code> = listed.iter().map(|(code, ..)| code.clone()).collect();
    let known = super::by_codes(tx, &codes).await?;
    let mut rows = Vec::with_capacity(listed.len());
    for (code, email, language) in listed {
        let merchant = known.get(code).ok_or(MerchantError::UnknownMerchant)?;
        rows.push((*merchant, email, *language));
    }
    rows.sort_unstable_by_key(|(merchant, ..)| *merchant);
    store::set(tx, &rows).await?;
    let done = Done::new(Act::ContactsListed).is(Field::Count, rows.len());
    Ok(audit::record(tx, done).await?)
}

/// Those of `ids` who get mail: for whoever queues it.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn with_contact(tx: &mut ReadTx, ids: &[MerchantId]) -> Result<Vec<MerchantId>, Error> {
    store::with_contact(tx, ids).await
}

/// Where a merchant's mail goes, for whoever sends it; none where it gets none.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn contact_of(tx: &mut ReadTx, merchant: MerchantId) -> Result<Option<Contact>, Error> {
    store::contact(tx, merchant).await
}
