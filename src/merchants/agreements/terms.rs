//! What a merchant and the operator agree on, pure: prices, shares, fees, breakage, tax.
//!
//! Source: settlement.md, sections 2 and 3.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::kernel::{ids::MerchantId, money::Rate, points::LARGEST};

/// All of an amount, in ten-thousandths.
pub const WHOLE: i64 = 10_000;

/// The most fee rules that name an issuer.
const MOST_RULES: usize = 200;

/// The longest that a payment may be owed, in days.
const LONGEST: i64 = 365;

/// Who pays when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// The issuer pays whoever took the points, when they are spent (M1; M3 with a deposit).
    #[default]
    Bilateral,
    /// The issuer pays into a pool when it gives points, the pool pays whoever takes them (M2).
    Pool,
}

/// So many points are worth so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Points, above zero.
    pub points: i64,
    /// Minor units, not below zero.
    pub worth: i64,
}

/// What becomes of the points' worth that lapses in the pool, in ten-thousandths that add up to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breakage {
    /// The operator's part.
    pub operator: i64,
    /// The part of the merchant that had issued the points.
    pub issuer: i64,
    /// The alliance fund's part.
    pub fund: i64,
}

/// Who bears what a merchant's points cost where others take them, in ten-thousandths that add up to
/// all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// The merchant that issued them.
    pub issuer: i64,
    /// The operator.
    pub operator: i64,
    /// The merchant that takes them.
    pub redeemer: i64,
}

impl Default for Cost {
    /// The issuer bears all.
    fn default() -> Self {
        Self {
            issuer: WHOLE,
            operator: 0,
            redeemer: 0,
        }
    }
}

/// The operator's part of what this merchant receives for one issuer's points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeRule {
    /// Whose points.
    #[serde(with = "as_text")]
    pub issuer: MerchantId,
    /// The part, in ten-thousandths.
    pub basis_points: i64,
}

/// The operator's fees. The most specific one wins: for an issuer, then in general, then the mall's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fees {
    /// Of what this merchant receives for others' points, in ten-thousandths; none: as the mall.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis_points: Option<i64>,
    /// The same for points of one issuer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_issuer: Vec<FeeRule>,
    /// For points that this merchant gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue: Option<Price>,
    /// For each of the mall's periods (day, week or month), in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<i64>,
}

/// The tax that amounts include.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tax {
    /// The rate, in ten-thousandths of the amount without tax: 600 is 6 %.
    pub basis_points: i64,
    /// Who writes the invoices.
    pub invoiced_by: InvoicedBy,
}

/// Who writes the invoices for what a merchant receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoicedBy {
    /// The merchant itself.
    Merchant,
    /// The operator, in the merchant's name.
    Operator,
}

/// What one version of an agreement says. What is left out is as the mall's programme says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgreementTerms {
    /// Who pays when for this merchant's points.
    pub model: Model,
    /// At what this merchant's points settle where they are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// What this merchant pays into the pool for the points that it gives; with the pool only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue_price: Option<Price>,
    /// Who bears the cost of this merchant's points; without the pool only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// What becomes of what lapses; with the pool only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breakage: Option<Breakage>,
    /// The operator's fees.
    pub fees: Fees,
    /// The tax that this merchant's amounts include.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax: Option<Tax>,
    /// Days until a payment is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_days: Option<i64>,
}

/// Terms that cannot be agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: expected {expected}")]
pub struct BadTerms {
    /// Which field: "price.points".
    pub field: &'static str,
    /// What should stand there.
    pub expected: &'static str,
}

const PRICE: &str = "points above 0 and worth from 0 up, both at most 2^53 - 1";
const SHARES: &str = "parts from 0 to 10000 that add up to 10000";

impl Price {
    /// Minor units per point.
    ///
    /// # Errors
    /// [`BadTerms`] at `field`.
    pub fn rate(self, field: &'static str) -> Result<Rate, BadTerms> {
        let large = self.points > LARGEST || self.worth > LARGEST;
        match Rate::new(self.worth, self.points) {
            Ok(rate) if !large => Ok(rate),
            _ => Err(BadTerms {
                field,
                expected: PRICE,
            }),
        }
    }
}

impl AgreementTerms {
    /// Checks what types do not say.
    ///
    /// # Errors
    /// [`BadTerms`], for the first field that is wrong.
    pub fn check(&self) -> Result<(), BadTerms> {
        let refuse = |field, expected| Err(BadTerms { field, expected });
        for (field, price) in [
            ("price", self.price),
            ("issue_price", self.issue_price),
            ("fees.issue", self.fees.issue),
        ] {
            if let Some(price) = price {
                price.rate(field)?;
            }
        }
        let pool = self.model == Model::Pool;
        match (pool, self.issue_price, self.breakage, self.cost) {
            (true, None, _, _) => {
                return refuse("issue_price", "what a point costs when it is given");
            }
            (true, _, None, _) => return refuse("breakage", SHARES),
            (true, _, _, Some(_)) => return refuse("cost", "nothing: the pool bears it"),
            (false, Some(_), _, _) => return refuse("issue_price", "nothing without the pool"),
            (false, _, Some(_), _) => return refuse("breakage", "nothing without the pool"),
            _ => {}
        }
        let shares = [
            (
                "cost",
                self.cost.map(|it| [it.issuer, it.operator, it.redeemer]),
            ),
            (
                "breakage",
                self.breakage.map(|it| [it.operator, it.issuer, it.fund]),
            ),
        ];
        for (field, parts) in shares {
            if parts.is_some_and(|parts| !add_up(&parts)) {
                return refuse(field, SHARES);
            }
        }
        self.check_fees()?;
        if self.tax.is_some_and(|tax| !part(tax.basis_points)) {
            return refuse("tax.basis_points", "0 to 10000");
        }
        if self
            .payment_days
            .is_some_and(|days| !(0..=LONGEST).contains(&days))
        {
            return refuse("payment_days", "0 to 365");
        }
        Ok(())
    }

    fn check_fees(&self) -> Result<(), BadTerms> {
        let refuse = |field, expected| Err(BadTerms { field, expected });
        let fees = &self.fees;
        if !fees.basis_points.is_none_or(part) {
            return refuse("fees.basis_points", "0 to 10000");
        }
        let mut issuers: Vec<_> = fees.by_issuer.iter().map(|rule| rule.issuer).collect();
        issuers.sort_unstable();
        issuers.dedup();
        if issuers.len() != fees.by_issuer.len() || issuers.len() > MOST_RULES {
            return refuse("fees.by_issuer", "each issuer once, at most 200 of them");
        }
        if !fees.by_issuer.iter().all(|rule| part(rule.basis_points)) {
            return refuse("fees.by_issuer", "basis_points from 0 to 10000");
        }
        if fees
            .fixed
            .is_some_and(|fixed| !(0..=LARGEST).contains(&fixed))
        {
            return refuse("fees.fixed", "minor units from 0 to 2^53 - 1");
        }
        Ok(())
    }

    /// The operator's part of what this merchant receives for that issuer's points, where the
    /// agreement says one; and whether it is one for that issuer.
    pub fn fee_on(&self, issuer: MerchantId) -> Option<(i64, bool)> {
        let own = self
            .fees
            .by_issuer
            .iter()
            .find(|rule| rule.issuer == issuer);
        own.map(|rule| (rule.basis_points, true))
            .or_else(|| self.fees.basis_points.map(|general| (general, false)))
    }
}

/// An id in its public form.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::kernel::ids::MerchantId;

    pub fn serialize<S: Serializer>(id: &MerchantId, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<MerchantId, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

fn part(basis_points: i64) -> bool {
    (0..=WHOLE).contains(&basis_points)
}

fn add_up(parts: &[i64]) -> bool {
    parts.iter().all(|one| part(*one)) && parts.iter().sum::<i64>() == WHOLE
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(terms: Value) -> Result<(), String> {
        let terms: AgreementTerms =
            serde_json::from_value(terms).map_err(|error| error.to_string())?;
        terms.check().map_err(|error| error.to_string())
    }

    #[test]
    fn what_can_be_agreed_on_passes() {
        for terms in [
            json!({}),
            json!({ "price": { "points": 1, "worth": 10 } }),
            json!({ "cost": { "issuer": 8000, "operator": 1000, "redeemer": 1000 } }),
            json!({
                "model": "pool",
                "issue_price": { "points": 1000, "worth": 1200 },
                "breakage": { "operator": 5000, "issuer": 0, "fund": 5000 },
                "fees": { "basis_points": 200, "fixed": 10_000 },
                "tax": { "basis_points": 600, "invoiced_by": "merchant" },
                "payment_days": 30
            }),
        ] {
            assert_eq!(check(terms.clone()), Ok(()), "{terms}");
        }
    }

    #[test]
    fn what_cannot_is_named() {
        let pool = json!({
            "model": "pool",
            "issue_price": { "points": 1, "worth": 1 },
            "breakage": { "operator": 10_000, "issuer": 0, "fund": 0 }
        });
        let with = |key: &str, value: Value| {
            let mut terms = pool.clone();
            terms[key] = value;
            terms
        };
        for (terms, field) in [
            (json!({ "price": { "points": 0, "worth": 1 } }), "price"),
            (json!({ "price": { "points": 1, "worth": -1 } }), "price"),
            (
                json!({ "price": { "points": 1, "worth": i64::MAX } }),
                "price",
            ),
            (
                json!({ "issue_price": { "points": 1, "worth": 1 } }),
                "issue_price",
            ),
            (json!({ "model": "pool" }), "issue_price"),
            (with("breakage", Value::Null), "breakage"),
            (
                with("breakage", json!({ "operator": 1, "issuer": 2, "fund": 3 })),
                "breakage",
            ),
            (
                with(
                    "cost",
                    json!({ "issuer": 10_000, "operator": 0, "redeemer": 0 }),
                ),
                "cost",
            ),
            (
                json!({ "cost": { "issuer": 20_000, "operator": -10_000, "redeemer": 0 } }),
                "cost",
            ),
            (
                json!({ "fees": { "basis_points": 10_001 } }),
                "fees.basis_points",
            ),
            (json!({ "fees": { "fixed": -1 } }), "fees.fixed"),
            (json!({ "payment_days": 366 }), "payment_days"),
            (
                json!({ "tax": { "basis_points": -1, "invoiced_by": "merchant" } }),
                "tax.basis_points",
            ),
        ] {
            let said = check(terms.clone()).unwrap_err();
            assert!(said.starts_with(&format!("{field}: ")), "{terms}: {said}");
        }
        for terms in [
            json!({ "modell": "pool" }),
            json!({ "price": { "points": 1.5, "worth": 1 } }),
            json!({ "model": "M4" }),
        ] {
            assert!(check(terms).is_err());
        }
    }
}
