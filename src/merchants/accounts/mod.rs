//! Who merchants are at Stripe: the connected account to which one is paid, which the operator says,
//! and the customer as whom it pays, which is made there when it first has to.

mod store;

use std::collections::HashMap;

use super::{MerchantError, within};
use crate::{
    audit::{self, Act, Done, Field},
    authz::{
        action::{ApplyManifest, ReadStripeAccount, SetStripeAccount},
        actor::Reach,
        grant::Grant,
    },
    db::{
        error::Error,
        tx::{ReadTx, Tx},
    },
    kernel::{
        ids::MerchantId,
        text::{Code, StripeAccount},
        time::Instant,
    },
};

/// To which account at Stripe a merchant is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaidTo {
    /// The account.
    pub account: StripeAccount,
    /// Since when.
    pub changed_at: Instant,
}

/// To which account a merchant is paid.
///
/// # Errors
/// [`MerchantError::UnknownMerchant`]; [`MerchantError::NoAccount`] where nobody said any.
pub async fn get(
    tx: &mut ReadTx,
    grant: &Grant<ReadStripeAccount>,
    merchant: MerchantId,
) -> Result<PaidTo, MerchantError> {
    within(tx, grant.reach(), merchant).await?;
    let found = store::paid_to(tx, merchant).await?;
    found.ok_or(MerchantError::NoAccount)
}

/// Says to which account a merchant is paid from now on; what is under way goes where it was to go.
///
/// # Errors
/// [`MerchantError::UnknownMerchant`].
pub async fn set(
    tx: &mut Tx,
    grant: &Grant<SetStripeAccount>,
    merchant: MerchantId,
    account: &StripeAccount,
) -> Result<PaidTo, MerchantError> {
    within(tx, grant.reach(), merchant).await?;
    let before = store::paid_to(tx, merchant).await?;
    let before = before.map(|before| before.account.as_str().to_owned());
    let done = Done::to(Act::StripeAccountSet, merchant);
    let done = done.changed(Field::Account, before, account.as_str());
    audit::record(tx, done).await?;
    store::set_accounts(tx, &[(merchant, account)]).await?;
    let found = store::paid_to(tx, merchant).await?;
    found.ok_or(MerchantError::NoAccount)
}

/// Brings the accounts of merchants to what a manifest lists; who is not listed keeps what there is.
///
/// # Errors
/// [`MerchantError::UnknownMerchant`] for a code that no merchant has.
pub async fn apply(
    tx: &mut Tx,
    grant: &Grant<ApplyManifest>,
    listed: &[(Code, StripeAccount)],
) -> Result<(), MerchantError> {
    if listed.is_empty() || grant.reach() != Reach::Mall {
        return Ok(());
    }
    let codes: Vec<Code> = listed.iter().map(|(code, _)| code.clone()).collect();
    let known = super::by_codes(tx, &codes).await?;
    let mut rows = Vec::with_capacity(listed.len());
    for (code, account) in listed {
        let merchant = known.get(code).ok_or(MerchantError::UnknownMerchant)?;
        rows.push((*merchant, account));
    }
    rows.sort_unstable_by_key(|(merchant, _)| *merchant);
    store::set_accounts(tx, &rows).await?;
    let done = Done::new(Act::StripeAccountsListed).is(Field::Count, rows.len());
    Ok(audit::record(tx, done).await?)
}

/// The accounts of those of `ids` that have one, for whoever pays them.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn accounts_of(
    tx: &mut ReadTx,
    ids: &[MerchantId],
) -> Result<HashMap<MerchantId, StripeAccount>, Error> {
    store::accounts_of(tx, ids).await
}

/// The customer as whom a merchant pays, where one was made.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn customer_of(tx: &mut ReadTx, merchant: MerchantId) -> Result<Option<String>, Error> {
    store::customer_of(tx, merchant).await
}

/// Writes down as whom a merchant pays.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn set_customer(tx: &mut Tx, merchant: MerchantId, customer: &str) -> Result<(), Error> {
    store::set_customer(tx, merchant, customer).await
}
