//! A statement as a document: one value that says everything, and its faces.
//!
//! [`Document`] is made once from what is written down; the sheet ([`Document::csv`]), the workbook
//! ([`Document::workbook`]) and the paper ([`Document::paper`]) all print the same [`Table`]s of it,
//! so that they cannot differ in a figure. Each is the same bytes for the same statement: nothing
//! here asks what time it is.

mod csv;
mod facts;
mod paper;
mod read;
mod tables;
mod typeface;
mod workbook;

#[cfg(test)]
mod tests;

pub use read::{of, statement_of};
pub use tables::{Cell, Table};

use chrono::NaiveDate;
use thiserror::Error;

use super::{LineKind, StatementState, calculation::Position, paying::PaymentState};
use crate::kernel::{
    ids::{MerchantId, SettlementId, StatementId},
    money::Currency,
    text::{Code, Language},
    time::{Instant, Period, Zone},
};

/// A document that cannot be printed: a mistake of ours, or of a library.
#[derive(Debug, Error)]
#[error("the statement cannot be printed: {0}")]
pub struct PrintError(String);

/// Everything that a statement says, in one language. Points are whole, money is in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// In which words.
    pub language: Language,
    /// The mall's name.
    pub mall: String,
    /// The mall's zone, in which days and times are.
    pub zone: Zone,
    /// The merchant's name.
    pub merchant: String,
    /// What lists call the merchant.
    pub code: Code,
    /// Of which period.
    pub period: Period,
    /// The currency of every amount.
    pub currency: Currency,
    /// The statement's id.
    pub statement: StatementId,
    /// The settlement's id.
    pub settlement: SettlementId,
    /// SHA-256 over the settlement's figures.
    pub settlement_digest: Option<String>,
    /// What the merchant said to it; a draft is not issued yet.
    pub state: StatementState,
    /// When its merchant could see it first.
    pub issued_at: Option<Instant>,
    /// The first moment at which silence counts as agreement.
    pub confirm_by: Option<Instant>,
    /// When it was confirmed.
    pub confirmed_at: Option<Instant>,
    /// The figures.
    pub position: Position,
    /// What the net is the sum of.
    pub lines: Vec<Entry>,
    /// Who pays whom, once it is fixed.
    pub payments: Vec<Due>,
}

/// A line of the sum that the net is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What for.
    pub kind: LineKind,
    /// With whom.
    pub partner: Option<MerchantId>,
    /// What that one is called.
    pub partner_name: Option<String>,
    /// How many points.
    pub points: i64,
    /// What they settle at, or what a fee is taken of.
    pub value: i64,
    /// What the merchant is owed for it; below zero, what it owes.
    pub amount: i64,
}

/// A payment that the merchant makes or receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The other side; none is the operator.
    pub other: Option<String>,
    /// Above zero comes to the merchant, below zero it pays.
    pub amount: i64,
    /// Whether it was made.
    pub state: PaymentState,
    /// The last day on which it should be made, where one was agreed on.
    pub due_on: Option<NaiveDate>,
}

/// How a statement is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// PDF, for people.
    Pdf,
    /// A workbook for spreadsheets.
    Xlsx,
    /// Comma-separated values, for programs.
    Csv,
}

impl Face {
    /// The ending of a file's name.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Xlsx => "xlsx",
            Self::Csv => "csv",
        }
    }
}

impl Document {
    /// The document as a file.
    ///
    /// # Errors
    /// [`PrintError`].
    pub fn print(&self, face: Face) -> Result<Vec<u8>, PrintError> {
        match face {
            Face::Pdf => self.paper(),
            Face::Xlsx => self.workbook(),
            Face::Csv => Ok(self.csv().into_bytes()),
        }
    }

    /// What the file is called: mall, period and merchant in people's words.
    pub fn file_name(&self, face: Face) -> String {
        let word = crate::texts::text(self.language, "statement-file");
        let (period, code) = (self.period, self.code.as_str());
        format!("{word}-{code}-{period}.{}", face.ending())
    }
}
