//! What is read of Stripe's answers and of what it sends: what we go by, and nothing else.

use std::collections::HashMap;

use miniserde::Deserialize;

/// What something at Stripe is to us, as its `metadata` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// Of which mall.
    pub mall: String,
    /// Of which settlement; empty for a customer.
    pub settlement: String,
    /// Which of our invoices and transfers; empty for a customer.
    pub leg: String,
    /// Of which merchant.
    pub merchant: String,
}

impl Marks {
    const MALL: &'static str = "rotunda_mall";
    const SETTLEMENT: &'static str = "rotunda_settlement";
    const LEG: &'static str = "rotunda_leg";
    const MERCHANT: &'static str = "rotunda_merchant";

    /// As `metadata` has them; empty where it has none.
    pub(super) fn of(metadata: Option<&HashMap<String, String>>) -> Self {
        let get = |name: &str| {
            let found = metadata.and_then(|metadata| metadata.get(name));
            found.cloned().unwrap_or_default()
        };
        Self {
            mall: get(Self::MALL),
            settlement: get(Self::SETTLEMENT),
            leg: get(Self::LEG),
            merchant: get(Self::MERCHANT),
        }
    }

    /// As `metadata`.
    pub(super) fn written(&self) -> HashMap<String, String> {
        let marks = [
            (Self::MALL, &self.mall),
            (Self::SETTLEMENT, &self.settlement),
            (Self::LEG, &self.leg),
            (Self::MERCHANT, &self.merchant),
        ];
        let said = marks.into_iter().filter(|(_, value)| !value.is_empty());
        said.map(|(name, value)| (name.to_owned(), value.clone()))
            .collect()
    }

    /// The same, and one more.
    pub(super) fn with(&self, name: &str, value: &str) -> HashMap<String, String> {
        let mut all = self.written();
        all.insert(name.to_owned(), value.to_owned());
        all
    }

    /// What a merchant's customer is made under.
    pub(super) fn key(&self) -> String {
        format!("{}-{}", self.mall, self.merchant)
    }
}

/// Something with an id.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) metadata: Option<HashMap<String, String>>,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Listed<T> {
    pub(super) data: Vec<T>,
    pub(super) has_more: Option<bool>,
}

/// An invoice as Stripe told it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ToldInvoice {
    /// Its id there.
    pub id: String,
    /// draft, open, paid, uncollectible or void.
    pub status: String,
    /// What it comes to, in minor units.
    pub total: i64,
    /// What was paid of it.
    pub amount_paid: i64,
    /// In which currency, in small letters.
    pub currency: String,
    /// What it is to us.
    pub(super) metadata: Option<HashMap<String, String>>,
}

impl ToldInvoice {
    /// What it is to us.
    pub fn marks(&self) -> Marks {
        Marks::of(self.metadata.as_ref())
    }
}

/// A transfer as Stripe told it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ToldTransfer {
    /// Its id there.
    pub id: String,
    /// How much, in minor units.
    pub amount: i64,
    /// What of it was taken back.
    pub amount_reversed: i64,
    /// In which currency, in small letters.
    pub currency: String,
    /// To which connected account.
    pub destination: Option<String>,
    /// What it is to us.
    pub(super) metadata: Option<HashMap<String, String>>,
}

impl ToldTransfer {
    /// What it is to us.
    pub fn marks(&self) -> Marks {
        Marks::of(self.metadata.as_ref())
    }
}
