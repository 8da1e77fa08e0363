//! Stripe: invoices to whoever pays, transfers to whoever receives, and what it says of them.
//!
//! Each mall has a Stripe account of its operator's own. What is asked for is written by the types of
//! the library; what is read of the answers is what we go by and nothing else, so that another
//! version of Stripe's API breaks nothing that it did not take away.
//!
//! Every act carries an `Idempotency-Key` made of our own id, under which Stripe does it once. It
//! remembers a key for a day; whoever comes back later, or under another key, has it look first
//! ([`Invoice::sought`]) whether what is asked for is there already: by `metadata`, which names our id.

pub mod event;
mod fault;
mod told;

use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc, time::Duration};

use miniserde::Deserialize;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use stripe_billing::{
    InvoiceCollectionMethod,
    invoice::{
        CreateInvoice, CreateInvoicePendingInvoiceItemsBehavior, DeleteInvoice,
        FinalizeInvoiceInvoice, ListInvoice, RetrieveInvoice, VoidInvoiceInvoice,
    },
    invoice_item::CreateInvoiceItem,
};
use stripe_client_core::{RequestBuilder, StripeMethod};
use stripe_connect::transfer::{CreateTransfer, ListTransfer, RetrieveTransfer};
use stripe_core::customer::{CreateCustomer, ListCustomer, UpdateCustomer};
use stripe_rust::{Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeRequest};
use stripe_types::Currency as Unit;
use thiserror::Error;

pub use fault::Fault;
pub use told::{Marks, ToldInvoice, ToldTransfer};

use crate::kernel::{
    money::Currency,
    page::hex,
    text::{Email, Slug},
};
use told::{Listed, Named};

/// How long one call may take, from the connection to the last byte.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The most things that are looked through for one of ours; the newest come first.
const SOUGHT: i64 = 100;

/// Currencies whose smallest unit is another one to Stripe than it is to ISO 4217.
const OTHERWISE: [&str; 3] = ["ISK", "MGA", "UGX"];

/// Settings with which Stripe cannot be spoken to; the message shows no secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingError {
    /// Not an address to send a key to.
    #[error("stripe_url must be https://, or http:// to this machine")]
    Url,
    /// A secret key that is none.
    #[error(
        "stripe.{0}.secret_key is no secret key of Stripe's: it begins with sk_ or, restricted, rk_"
    )]
    Key(String),
    /// A secret of a webhook that is none.
    #[error("stripe.{0}.webhook_secret is no signing secret of Stripe's: it begins with whsec_")]
    Secret(String),
}

/// The Stripe accounts of the malls that have one. A clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Stripe(Arc<BTreeMap<Slug, Account>>);

/// The Stripe account of a mall's operator. It prints as nothing.
#[derive(Clone)]
pub struct Account {
    client: Client,
    webhook_secret: SecretString,
}

/// By what an operator is known at Stripe, and by what Stripe is known to us.
#[derive(Debug, Clone)]
pub struct Keys {
    /// With which we ask.
    pub secret: SecretString,
    /// With which Stripe signs what it says.
    pub webhook: SecretString,
}

/// A merchant as whom it pays.
#[derive(Debug, Clone)]
pub struct Customer {
    /// Its id at Stripe, where it has one.
    pub known: Option<String>,
    /// Where Stripe sends the invoices.
    pub email: Email,
    /// What they call it.
    pub name: String,
    /// Which mall and merchant it is.
    pub marks: Marks,
}

/// One payment on an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// By which everybody outside knows it.
    pub reference: String,
    /// In minor units.
    pub amount: i64,
    /// What the invoice says.
    pub text: String,
}

/// An invoice that is asked for.
#[derive(Debug, Clone)]
pub struct Invoice {
    /// What its keys begin with.
    pub key: String,
    /// Whether it may be there already.
    pub sought: bool,
    /// What it is to us.
    pub marks: Marks,
    /// In which currency.
    pub currency: Unit,
    /// How much, in minor units: what its items come to.
    pub amount: i64,
    /// Until when it is to be paid.
    pub due_days: u32,
    /// What is paid by it.
    pub items: Vec<Item>,
}

/// A transfer that is asked for.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// Its key.
    pub key: String,
    /// Whether it may be there already.
    pub sought: bool,
    /// What it is to us; its group is the settlement.
    pub marks: Marks,
    /// In which currency.
    pub currency: Unit,
    /// How much, in minor units.
    pub amount: i64,
    /// To which connected account.
    pub to: String,
    /// What both sides read.
    pub text: String,
}

/// The currency as Stripe counts it; none where it counts otherwise than the books do.
pub fn unit(currency: Currency) -> Option<Unit> {
    let same = currency.places() <= 2 && !OTHERWISE.contains(&currency.code());
    let code = currency.code().to_ascii_lowercase();
    let Ok(unit) = code.parse();
    Some(unit).filter(|unit| same && !matches!(unit, Unit::Unknown(_)))
}

impl Stripe {
    /// The accounts of those malls, at Stripe itself or, for tests, at another address.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn new(
        url: Option<&str>,
        patience: Duration,
        malls: impl IntoIterator<Item = (Slug, Keys)>,
    ) -> Result<Self, SettingError> {
        if url.is_some_and(|url| !is_safe(url)) {
            return Err(SettingError::Url);
        }
        let account = |(slug, keys): (Slug, Keys)| {
            let account = Account::new(url, patience, &slug, keys)?;
            Ok((slug, account))
        };
        let accounts: Result<_, SettingError> = malls.into_iter().map(account).collect();
        Ok(Self(Arc::new(accounts?)))
    }

    /// The account of a mall; none where its operator gave none.
    pub fn of(&self, mall: &Slug) -> Option<&Account> {
        self.0.get(mall)
    }

    /// Every account that there is.
    pub fn accounts(&self) -> impl Iterator<Item = (&Slug, &Account)> {
        self.0.iter()
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Account")
    }
}

impl Account {
    fn new(
        url: Option<&str>,
        patience: Duration,
        slug: &Slug,
        keys: Keys,
    ) -> Result<Self, SettingError> {
        let bad_key = || SettingError::Key(slug.as_str().to_owned());
        let (secret, webhook) = (keys.secret.expose_secret(), keys.webhook.expose_secret());
        if !is_secret(secret, &["sk_", "rk_"]) {
            return Err(bad_key());
        }
        if !is_secret(webhook, &["whsec_"]) {
            return Err(SettingError::Secret(slug.as_str().to_owned()));
        }
        let builder = ClientBuilder::new(secret).timeout(patience);
        let builder = match url {
            Some(url) => builder.url(format!("{}/", url.trim_end_matches('/'))),
            None => builder,
        };
        let client = builder.build().map_err(|_| bad_key())?;
        Ok(Self {
            client,
            webhook_secret: keys.webhook,
        })
    }

    /// Whether Stripe knows the key.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn greet(&self) -> Result<(), Fault> {
        let asked = RequestBuilder::new(StripeMethod::Get, "/balance").customize::<Nothing>();
        asked.send(&self.client).await?;
        Ok(())
    }

    /// The customer as whom a merchant pays, with today's address: the known one, the one that is
    /// marked as it, or a new one.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn customer(&self, wanted: &Customer) -> Result<String, Fault> {
        let (email, name) = (wanted.email.as_str(), wanted.name.as_str());
        if let Some(known) = &wanted.known {
            let update = UpdateCustomer::new(known.as_str()).email(email).name(name);
            match self.ask::<Named>(&update).await {
                Ok(found) => return Ok(found.id),
                // Somebody deleted it there.
                Err(fault) if fault.is_missing() => {}
                Err(fault) => return Err(fault),
            }
        }
        let list = ListCustomer::new().email(email).limit(SOUGHT);
        let listed: Listed<Named> = self.ask(&list).await?;
        let merchant = |one: &&Named| Marks::of(one.metadata.as_ref()) == wanted.marks;
        if let Some(found) = listed.data.iter().find(merchant) {
            return Ok(found.id.clone());
        }
        let said = Sha256::digest(format!("{email}\n{name}"));
        let key = format!(
            "{}-{}",
            wanted.marks.key(),
            hex(said.get(..8).unwrap_or(&[]))
        );
        let create = CreateCustomer::new()
            .email(email)
            .name(name)
            .metadata(wanted.marks.written());
        let made: Named = self.ask_once(&create, &key).await?;
        Ok(made.id)
    }

    /// Makes an invoice, and has Stripe send it: a draft that nobody sees, its items, and only when
    /// they come to what is asked for, the invoice.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn invoice(&self, customer: &str, wanted: &Invoice) -> Result<ToldInvoice, Fault> {
        if wanted.sought {
            let found = self.find_invoice(customer, &wanted.marks).await?;
            // A draft is begun anew: under its own keys it is the same one.
            if let Some(found) = found.filter(|found| found.status != "draft") {
                return Ok(found);
            }
        }
        let create = CreateInvoice::new()
            .customer(customer)
            .currency(wanted.currency.clone())
            .collection_method(InvoiceCollectionMethod::SendInvoice)
            .days_until_due(wanted.due_days)
            .auto_advance(false)
            .pending_invoice_items_behavior(CreateInvoicePendingInvoiceItemsBehavior::Exclude)
            .metadata(wanted.marks.written());
        let key = &wanted.key;
        let draft: Named = self.ask_once(&create, &format!("{key}-invoice")).await?;
        for item in &wanted.items {
            let marks = wanted.marks.with("rotunda_payment", &item.reference);
            let create = CreateInvoiceItem::new()
                .customer(customer)
                .invoice(draft.id.as_str())
                .currency(wanted.currency.clone())
                .amount(item.amount)
                .description(item.text.as_str())
                .metadata(marks);
            let key = format!("{key}-{}-{}", draft.id, item.reference);
            self.ask_once::<Named>(&create, &key).await?;
        }
        let whole = self.read_invoice(&draft.id).await?;
        if whole.status == "draft" {
            if whole.total != wanted.amount {
                return Err(Fault::Refused("draft-amount".to_owned()));
            }
            let finalize = FinalizeInvoiceInvoice::new(draft.id.as_str()).auto_advance(true);
            let key = format!("{key}-finalize");
            return self.ask_once(&finalize, &key).await;
        }
        Ok(whole)
    }

    /// An invoice as it is.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn read_invoice(&self, id: &str) -> Result<ToldInvoice, Fault> {
        self.ask(&RetrieveInvoice::new(id)).await
    }

    /// The customer's invoice of those marks that got furthest.
    async fn find_invoice(
        &self,
        customer: &str,
        marks: &Marks,
    ) -> Result<Option<ToldInvoice>, Fault> {
        let list = ListInvoice::new().customer(customer).limit(SOUGHT);
        let listed: Listed<ToldInvoice> = self.ask(&list).await?;
        let ours = listed.data.into_iter();
        let ours = ours.filter(|one| one.marks() == *marks && one.status != "void");
        Ok(ours.max_by_key(|one| one.status != "draft"))
    }

    /// Ends an invoice that is not paid; none where there is none. One that was paid meanwhile stays
    /// so, and is answered as that.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn void(
        &self,
        known: Option<&str>,
        customer: Option<&str>,
        marks: &Marks,
        key: &str,
    ) -> Result<Option<ToldInvoice>, Fault> {
        let found = match (known, customer) {
            (Some(id), _) => Some(self.read_invoice(id).await?),
            (None, Some(customer)) => self.find_invoice(customer, marks).await?,
            (None, None) => None,
        };
        let Some(found) = found else { return Ok(None) };
        match found.status.as_str() {
            "draft" => {
                let delete = DeleteInvoice::new(found.id.as_str());
                self.ask::<Nothing>(&delete).await?;
                Ok(None)
            }
            "open" | "uncollectible" => {
                let void = VoidInvoiceInvoice::new(found.id.as_str());
                self.ask_once(&void, key).await.map(Some)
            }
            _ => Ok(Some(found)),
        }
    }

    /// Makes a transfer.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn transfer(&self, wanted: &Transfer) -> Result<ToldTransfer, Fault> {
        if wanted.sought
            && let Some(found) = self.find_transfer(&wanted.marks).await?
        {
            return Ok(found);
        }
        let create = CreateTransfer::new(wanted.currency.clone(), wanted.to.as_str())
            .amount(wanted.amount)
            .transfer_group(wanted.marks.settlement.as_str())
            .description(wanted.text.as_str())
            .metadata(wanted.marks.written());
        self.ask_once(&create, &wanted.key).await
    }

    /// A transfer as it is.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn read_transfer(&self, id: &str) -> Result<ToldTransfer, Fault> {
        self.ask(&RetrieveTransfer::new(id)).await
    }

    /// The transfer of those marks, where there is one.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn find_transfer(&self, marks: &Marks) -> Result<Option<ToldTransfer>, Fault> {
        let mut page = ListTransfer::new()
            .transfer_group(marks.settlement.as_str())
            .limit(SOUGHT);
        loop {
            let listed: Listed<ToldTransfer> = self.ask(&page).await?;
            let end = listed.data.last().map(|last| last.id.clone());
            if let Some(found) = listed.data.into_iter().find(|one| one.marks() == *marks) {
                return Ok(Some(found));
            }
            match end.filter(|_| listed.has_more == Some(true)) {
                Some(end) => page = page.starting_after(end),
                None => return Ok(None),
            }
        }
    }

    async fn ask<T: Deserialize>(&self, request: &impl StripeRequest) -> Result<T, Fault> {
        let asked = request.build().customize::<T>();
        Ok(asked.send(&self.client).await?)
    }

    async fn ask_once<T: Deserialize>(
        &self,
        request: &impl StripeRequest,
        key: &str,
    ) -> Result<T, Fault> {
        let key = IdempotencyKey::new(key).map_err(|_| Fault::Refused("key".to_owned()))?;
        let asked = request
            .build()
            .customize::<T>()
            .request_strategy(RequestStrategy::Idempotent(key));
        Ok(asked.send(&self.client).await?)
    }
}

/// An answer of which nothing is read.
#[derive(Deserialize)]
struct Nothing {}

/// Visible ASCII of one of these beginnings, and more than that.
fn is_secret(text: &str, beginnings: &[&str]) -> bool {
    let begins = |beginning: &&str| text.starts_with(*beginning) && text.len() > beginning.len();
    beginnings.iter().any(begins) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a key that goes there is read by nobody on the way.
fn is_safe(url: &str) -> bool {
    if url
        .strip_prefix("https://")
        .is_some_and(|rest| !rest.is_empty())
    {
        return true;
    }
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let host = rest.split('/').next().unwrap_or(rest);
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(url: Option<&str>, secret: &str, webhook: &str) -> Result<Stripe, SettingError> {
        let keys = Keys {
            secret: SecretString::from(secret),
            webhook: SecretString::from(webhook),
        };
        Stripe::new(url, PATIENCE, [("tea".parse().unwrap(), keys)])
    }

    #[test]
    fn keys_have_their_form_and_show_nowhere() {
        let stripe = made(None, "sk_test_hunter2", "whsec_hunter2").unwrap();
        assert!(!format!("{stripe:?}").contains("hunter2"));
        assert!(stripe.of(&"tea".parse().unwrap()).is_some());
        assert!(stripe.of(&"coffee".parse().unwrap()).is_none());
        for (secret, webhook) in [
            ("whsec_hunter2", "sk_test_hunter2"),
            ("sk_", "whsec_hunter2"),
            ("sk_hunter2\n", "whsec_hunter2"),
            ("pk_live_hunter2", "whsec_hunter2"),
            ("rk_live_hunter2", ""),
        ] {
            let refused = made(None, secret, webhook).unwrap_err().to_string();
            assert!(
                refused.contains("stripe.tea") && !refused.contains("hunter2"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_key_does_not_go_in_the_clear() {
        for (url, fine) in [
            ("https://api.stripe.example", true),
            ("http://127.0.0.1:12111", true),
            ("http://[::1]:12111/", true),
            ("http://localhost", true),
            ("http://localhost.evil.example", false),
            ("http://127.0.0.1.evil.example:80", false),
            ("http://u@127.0.0.1@evil.example", false),
            ("http://api.stripe.example", false),
            ("https://", false),
            ("api.stripe.example", false),
        ] {
            let made = made(Some(url), "sk_test_x", "whsec_x");
            assert_eq!(made.is_ok(), fine, "{url}");
        }
    }

    #[test]
    fn a_currency_that_stripe_counts_otherwise_is_none() {
        let of = |code: &str| unit(Currency::from_code(code).unwrap());
        assert_eq!(of("CNY"), Some(Unit::CNY));
        assert_eq!(of("JPY"), Some(Unit::JPY));
        for code in ["KWD", "ISK", "MGA", "UGX"] {
            assert_eq!(of(code), None, "{code}");
        }
    }
}
