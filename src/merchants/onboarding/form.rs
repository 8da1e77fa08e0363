//! What an application says, and what it still lacks. Pure.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{files::PaperKind, licence};
use crate::{
    kernel::text::{Email, Name, StripeAccount},
    merchants::Alliance,
};

/// The most contacts, kinds of business and stores of one application.
pub const MOST_LISTED: usize = 20;

/// Somebody who can be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// What they are called.
    pub name: String,
    /// What they do there.
    pub role: String,
    /// Their address.
    pub email: String,
    /// Their telephone, as they write it.
    pub phone: String,
}

/// What can be shown of what somebody said; a text that was not given is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Form {
    /// The company, as its licence says.
    pub company: String,
    /// Where it is registered: a code of ISO 3166, such as CN.
    pub country: String,
    /// The number by which that country knows it.
    pub licence_number: String,
    /// Who speaks for it in law.
    pub representative: String,
    /// Who can be asked.
    pub contacts: Vec<Person>,
    /// What it trades in.
    pub categories: Vec<String>,
    /// Whose the bank account is.
    pub bank_holder: String,
    /// Which bank.
    pub bank_name: String,
    /// Its account at Stripe, in place of a bank's.
    pub stripe_account: String,
    /// What it sells, in words.
    pub goods: String,
    /// What it wants to do in the alliance: earn, spend or both.
    pub alliance: String,
    /// The stores that it wants to bring, by what they are called.
    pub stores: Vec<String>,
}

/// What nobody is shown: sealed where it is kept.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The number of the representative's identity card.
    pub representative_id: SecretString,
    /// The number of the bank account.
    pub bank_account: SecretString,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secrets")
    }
}

/// The last four characters of a secret, behind stars; nothing of a short one, and none of none.
pub fn masked(secret: &SecretString) -> Option<String> {
    let letters: Vec<char> = secret.expose_secret().chars().collect();
    let shown = if letters.len() >= 8 { 4 } else { 0 };
    let hidden = letters.len().saturating_sub(shown);
    let end: String = letters.iter().skip(hidden).collect();
    (!letters.is_empty()).then(|| format!("{}{end}", "*".repeat(hidden.min(12))))
}

/// A part of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// [`Form::company`].
    Company,
    /// [`Form::country`] and [`Form::licence_number`].
    LicenceNumber,
    /// [`Form::representative`].
    Representative,
    /// [`Secrets::representative_id`].
    RepresentativeId,
    /// [`Form::contacts`].
    Contacts,
    /// [`Form::categories`].
    Categories,
    /// Bank or Stripe.
    Payout,
    /// [`Form::goods`].
    Goods,
    /// [`Form::alliance`].
    Alliance,
    /// [`Form::stores`].
    Stores,
    /// A picture of the licence.
    LicenceFile,
    /// A picture of the representative's identity card.
    IdentityFile,
}

impl Field {
    /// All of them, in the order in which they are asked for.
    pub const ALL: [Self; 12] = [
        Self::Company,
        Self::LicenceNumber,
        Self::Representative,
        Self::RepresentativeId,
        Self::Contacts,
        Self::Categories,
        Self::Payout,
        Self::Goods,
        Self::Alliance,
        Self::Stores,
        Self::LicenceFile,
        Self::IdentityFile,
    ];

    /// As tables, the API and the keys of words write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Company => "company",
            Self::LicenceNumber => "licence_number",
            Self::Representative => "representative",
            Self::RepresentativeId => "representative_id",
            Self::Contacts => "contacts",
            Self::Categories => "categories",
            Self::Payout => "payout",
            Self::Goods => "goods",
            Self::Alliance => "alliance",
            Self::Stores => "stores",
            Self::LicenceFile => "licence_file",
            Self::IdentityFile => "identity_file",
        }
    }

    /// The field of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == text)
    }
}

/// What is the matter with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Nothing was said.
    Missing,
    /// What was said cannot be right.
    Wrong,
}

impl Lack {
    /// By a stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Wrong => "wrong",
        }
    }
}

/// Everything that an application lacks before it can be sent in.
pub fn lacks(form: &Form, secrets: &Secrets, papers: &[PaperKind]) -> Vec<(Field, Lack)> {
    let said = |field| match field {
        Field::Company => name(&form.company),
        Field::LicenceNumber => filled(&form.licence_number).and_then(|()| {
            let normal = licence::normal(&form.country, &form.licence_number);
            normal.map(drop).ok_or(Lack::Wrong)
        }),
        Field::Representative => name(&form.representative),
        Field::RepresentativeId => filled(secrets.representative_id.expose_secret()),
        Field::Contacts => listed(form.contacts.len()).and_then(|()| {
            let reachable = form
                .contacts
                .iter()
                .all(|one| name(&one.name).is_ok() && one.email.parse::<Email>().is_ok());
            if reachable { Ok(()) } else { Err(Lack::Wrong) }
        }),
        Field::Categories => listed(form.categories.len())
            .and_then(|()| form.categories.iter().try_for_each(|one| name(one))),
        Field::Payout => payout(form, secrets),
        Field::Goods => filled(&form.goods),
        Field::Alliance => filled(&form.alliance).and_then(|()| {
            form.alliance
                .parse::<Alliance>()
                .map(drop)
                .map_err(|_| Lack::Wrong)
        }),
        Field::Stores => listed(form.stores.len())
            .and_then(|()| form.stores.iter().try_for_each(|one| name(one))),
        Field::LicenceFile => has(papers, PaperKind::Licence),
        Field::IdentityFile => has(papers, PaperKind::Identity),
    };
    let lack = |field| said(field).err().map(|lack| (field, lack));
    Field::ALL.into_iter().filter_map(lack).collect()
}

fn payout(form: &Form, secrets: &Secrets) -> Result<(), Lack> {
    if !form.stripe_account.is_empty() {
        let account = form.stripe_account.parse::<StripeAccount>();
        return account.map(drop).map_err(|_| Lack::Wrong);
    }
    filled(secrets.bank_account.expose_secret())?;
    filled(&form.bank_name)?;
    name(&form.bank_holder)
}

fn filled(text: &str) -> Result<(), Lack> {
    if text.trim().is_empty() {
        return Err(Lack::Missing);
    }
    Ok(())
}

fn name(text: &str) -> Result<(), Lack> {
    filled(text)?;
    text.parse::<Name>().map(drop).map_err(|_| Lack::Wrong)
}

fn listed(count: usize) -> Result<(), Lack> {
    match count {
        0 => Err(Lack::Missing),
        1..=MOST_LISTED => Ok(()),
        _ => Err(Lack::Wrong),
    }
}

fn has(papers: &[PaperKind], wanted: PaperKind) -> Result<(), Lack> {
    if papers.contains(&wanted) {
        return Ok(());
    }
    Err(Lack::Missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> (Form, Secrets, [PaperKind; 2]) {
        let form = Form {
            company: "Lantern Tea".to_owned(),
            country: "CN".to_owned(),
            licence_number: "91350100M000100Y43".to_owned(),
            representative: "Lin".to_owned(),
            contacts: vec![Person {
                name: "Lin".to_owned(),
                email: "lin@lantern.example".to_owned(),
                ..Person::default()
            }],
            categories: vec!["tea".to_owned()],
            bank_holder: "Lantern Tea".to_owned(),
            bank_name: "Bank".to_owned(),
            goods: "Tea".to_owned(),
            alliance: "both".to_owned(),
            stores: vec!["Lantern Tea B1".to_owned()],
            ..Form::default()
        };
        let secrets = Secrets {
            representative_id: SecretString::from("350100199001011234"),
            bank_account: SecretString::from("6222000011112222"),
        };
        (form, secrets, [PaperKind::Licence, PaperKind::Identity])
    }

    #[test]
    fn everything_that_is_missing_is_told_at_once() {
        let (form, secrets, papers) = full();
        assert_eq!(lacks(&form, &secrets, &papers), []);
        let nothing = lacks(&Form::default(), &Secrets::default(), &[]);
        let fields: Vec<Field> = nothing.iter().map(|(field, _)| *field).collect();
        assert_eq!(fields, Field::ALL);
        assert!(nothing.iter().all(|(_, lack)| *lack == Lack::Missing));
    }

    #[test]
    fn what_cannot_be_right_is_told_with_its_field() {
        let (mut form, secrets, papers) = full();
        form.licence_number = "91350100M000100Y44".to_owned();
        form.alliance = "neither".to_owned();
        form.stripe_account = "nobody".to_owned();
        form.contacts[0].email = "nobody".to_owned();
        form.stores = vec!["x".to_owned(); 21];
        let wrong = lacks(&form, &secrets, &papers);
        assert_eq!(
            wrong,
            [
                (Field::LicenceNumber, Lack::Wrong),
                (Field::Contacts, Lack::Wrong),
                (Field::Payout, Lack::Wrong),
                (Field::Alliance, Lack::Wrong),
                (Field::Stores, Lack::Wrong),
            ]
        );
        form.stripe_account = "acct_1032D82eZvKYlo2C".to_owned();
        let nobodys = Secrets::default();
        let lacking = lacks(&form, &nobodys, &papers);
        assert!(!lacking.iter().any(|(field, _)| *field == Field::Payout));
    }

    #[test]
    fn a_secret_is_shown_by_its_end_alone() {
        let shown = |text: &str| masked(&SecretString::from(text));
        assert_eq!(
            shown("6222000011112222").as_deref(),
            Some("************2222")
        );
        assert_eq!(shown("1234567").as_deref(), Some("*******"));
        assert_eq!(shown(""), None);
        assert_eq!(format!("{:?}", full().1), "Secrets");
    }
}
