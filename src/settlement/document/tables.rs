//! The tables of a statement, as every face prints them.

use super::{Document, Due};
use crate::{
    kernel::money::decimal,
    settlement::{
        figures::{Amount, FIGURES},
        paying::PaymentState,
    },
    texts::text_with,
};

/// What stands in a place of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// Whole points.
    Points(i64),
    /// Money in minor units.
    Money(i64),
    /// Nothing.
    Empty,
}

/// Rows under a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What it is called.
    pub title: String,
    /// What the columns are called.
    pub head: Vec<String>,
    /// Each as long as the head: words first, then points, then money.
    pub rows: Vec<Vec<Cell>>,
    /// How many of the columns hold words.
    pub words: usize,
    /// Whether the last row is the sum.
    pub summed: bool,
}

impl Cell {
    /// For people to read: numbers with a comma before every three digits, money as a decimal with so
    /// many places.
    pub fn shown(&self, places: u32) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Points(points) => grouped(&points.to_string()),
            Self::Money(minor) => grouped(&decimal(*minor, places)),
            Self::Empty => String::new(),
        }
    }
}

impl Document {
    /// The figures; what the net is made of, with the net under it; who pays whom, where that is
    /// fixed.
    pub fn tables(&self) -> Vec<Table> {
        let mut tables = vec![self.figures(), self.made_of()];
        if !self.payments.is_empty() {
            tables.push(self.who_pays());
        }
        tables
    }

    fn head(&self, keys: &[&str]) -> Vec<String> {
        let key = |key: &&str| self.word(&format!("statement-{key}"));
        keys.iter().map(key).collect()
    }

    fn figures(&self) -> Table {
        let row = |(name, of): &(&str, fn(&_) -> Amount)| {
            let label = Cell::Text(self.word(&format!("figure-{name}")));
            match of(&self.position) {
                Amount::Points(points) => vec![label, Cell::Points(points), Cell::Empty],
                Amount::Money(minor) => vec![label, Cell::Empty, Cell::Money(minor)],
            }
        };
        Table {
            title: self.word("statement-figures"),
            head: self.head(&["item", "points", "amount"]),
            rows: FIGURES.iter().map(row).collect(),
            words: 1,
            summed: false,
        }
    }

    fn made_of(&self) -> Table {
        let mut rows: Vec<Vec<Cell>> = self
            .lines
            .iter()
            .map(|line| {
                vec![
                    Cell::Text(self.word(&format!("line-{}", line.kind.as_str()))),
                    line.partner_name.clone().map_or(Cell::Empty, Cell::Text),
                    Cell::Points(line.points),
                    Cell::Money(line.value),
                    Cell::Money(line.amount),
                ]
            })
            .collect();
        let summed = !rows.is_empty();
        if summed {
            rows.push(vec![
                Cell::Text(self.word("statement-sum")),
                Cell::Empty,
                Cell::Empty,
                Cell::Empty,
                Cell::Money(self.position.net),
            ]);
        }
        Table {
            title: self.word("statement-lines"),
            head: self.head(&["item", "partner", "points", "value", "amount"]),
            rows,
            words: 2,
            summed,
        }
    }

    fn who_pays(&self) -> Table {
        Table {
            title: self.word("statement-payments"),
            head: self.head(&["payment", "due", "amount"]),
            rows: self.payments.iter().map(|due| self.payment(due)).collect(),
            words: 2,
            summed: false,
        }
    }

    fn payment(&self, due: &Due) -> Vec<Cell> {
        let operator = || self.word("statement-operator");
        let other = due.other.clone().unwrap_or_else(operator);
        let way = if due.amount < 0 {
            "statement-pays"
        } else {
            "statement-receives"
        };
        let day = due.due_on.map(|day| day.to_string());
        let state = match (due.state, day) {
            (PaymentState::Due, Some(day)) => {
                text_with(self.language, "statement-payment-due-on", &[("day", &day)])
            }
            (state, _) => self.word(&format!("statement-payment-{}", state.as_str())),
        };
        vec![
            Cell::Text(text_with(self.language, way, &[("other", &other)])),
            Cell::Text(state),
            Cell::Money(due.amount),
        ]
    }
}

/// A decimal with a comma before every three digits of the whole part.
fn grouped(number: &str) -> String {
    let (sign, size) = match number.strip_prefix('-') {
        Some(size) => ("-", size),
        None => ("", number),
    };
    let (whole, part) = match size.split_once('.') {
        Some((whole, part)) => (whole, format!(".{part}")),
        None => (size, String::new()),
    };
    let mut said = String::new();
    for (place, digit) in whole.chars().enumerate() {
        let behind = whole.len().saturating_sub(place);
        if place > 0 && behind.is_multiple_of(3) {
            said.push(',');
        }
        said.push(digit);
    }
    format!("{sign}{said}{part}")
}
