//! What stands above the tables, and the digest.

use std::fmt::Write;

use super::Document;
use crate::{
    kernel::money::decimal,
    settlement::{
        digest,
        figures::{Amount, FIGURES},
    },
    texts::text_with,
};

impl Document {
    /// SHA-256, as 64 hexadecimal digits, of what the statement says whatever the language, the
    /// state and the names of the day:
    ///
    /// ```text
    /// statement 1
    /// id stm_…
    /// settlement stl_…
    /// period 2017-06
    /// merchant lantern-tea
    /// currency CNY
    /// issued 600              every figure: its name in the sheet; points, or minor units
    /// line redeemed mer_… 600 600 600      kind, partner or -, points, worth, amount
    /// ```
    pub fn digest(&self) -> String {
        let mut said = format!(
            "statement 1\nid {}\nsettlement {}\nperiod {}\nmerchant {}\ncurrency {}\n",
            self.statement,
            self.settlement,
            self.period,
            self.code.as_str(),
            self.currency.code(),
        );
        for (name, of) in FIGURES {
            let (Amount::Points(count) | Amount::Money(count)) = of(&self.position);
            // Writing to a text cannot fail.
            let _ = writeln!(said, "{name} {count}");
        }
        for line in &self.lines {
            let partner = line.partner.map_or("-".to_owned(), |id| id.to_string());
            let kind = line.kind.as_str();
            let (points, value, amount) = (line.points, line.value, line.amount);
            let _ = writeln!(said, "line {kind} {partner} {points} {value} {amount}");
        }
        digest(&said)
    }

    /// A key of the catalogue in the document's language; some speak of days, weeks or months.
    pub fn word(&self, key: &str) -> String {
        text_with(self.language, key, &[("unit", self.period.unit().as_str())])
    }

    /// What the statement is about: label and text, in the order in which they are shown.
    pub fn facts(&self) -> Vec<(String, String)> {
        let mut facts = vec![
            ("statement-merchant", self.called()),
            ("statement-period", self.period.to_string()),
            ("statement-currency", self.currency.code().to_owned()),
            (
                "statement-state",
                self.word(&format!("statement-state-{}", self.state.as_str())),
            ),
        ];
        let moments = [
            ("statement-issued-at", self.issued_at),
            ("statement-confirm-by", self.confirm_by),
            ("statement-confirmed-at", self.confirmed_at),
        ];
        for (label, moment) in moments {
            if let Some(moment) = moment {
                facts.push((label, self.zone.minute(moment)));
            }
        }
        if self.position.tax_basis_points > 0 {
            let rate = decimal(self.position.tax_basis_points, 2);
            facts.push(("statement-tax-rate", format!("{rate} %")));
        }
        facts.push(("statement-id", self.statement.to_string()));
        facts.push(("statement-settlement", self.settlement.to_string()));
        facts.push(("statement-digest", self.digest()));
        if let Some(digest) = &self.settlement_digest {
            facts.push(("statement-settlement-digest", digest.clone()));
        }
        let said = |(label, text)| (self.word(label), text);
        facts.into_iter().map(said).collect()
    }

    /// The merchant's name and code.
    fn called(&self) -> String {
        super::read::called(&self.merchant, &self.code)
    }

    /// What the reader has to know of it all: that it is a draft, the zone, which sign means what.
    pub fn notes(&self) -> Vec<String> {
        let zone = self.zone.to_string();
        let places = [("zone", zone.as_str()), ("currency", self.currency.code())];
        let mut notes = Vec::new();
        if !self.state.is_issued() {
            notes.push(self.word("statement-draft-note"));
        }
        notes.push(text_with(self.language, "statement-zone", &places));
        notes
    }
}
