//! A statement as comma-separated values (RFC 4180): one line a fact, a figure, a line and a payment.

use super::{Cell, Document, Table};
use crate::kernel::{
    money::decimal,
    sheet::{BYTE_ORDER_MARK, cell},
};

const HEAD: [&str; 9] = [
    "period", "currency", "merchant", "part", "item", "detail", "points", "value", "amount",
];

impl Document {
    /// The sheet: points whole, money as decimals of the currency, texts that no spreadsheet runs.
    pub fn csv(&self) -> String {
        let head = HEAD.map(|name| cell(&self.word(&format!("sheet-{name}"))));
        let mut sheet = format!("{BYTE_ORDER_MARK}{}\r\n", head.join(","));
        let about = self.word("statement-about");
        for (label, text) in self.facts() {
            let rest = [cell(&label), cell(&text), String::new(), String::new()];
            self.add(&mut sheet, &about, rest, String::new());
        }
        for table in self.tables() {
            for row in &table.rows {
                let (rest, amount) = self.parts(&table, row);
                self.add(&mut sheet, &table.title, rest, amount);
            }
        }
        sheet
    }

    fn add(&self, sheet: &mut String, part: &str, rest: [String; 4], amount: String) {
        let mut cells = vec![
            self.period.to_string(),
            self.currency.code().to_owned(),
            cell(self.code.as_str()),
            cell(part),
        ];
        cells.extend(rest);
        cells.push(amount);
        sheet.push_str(&cells.join(","));
        sheet.push_str("\r\n");
    }

    /// Item, detail, points and worth; and the amount, which is always the last money of a row.
    fn parts(&self, table: &Table, row: &[Cell]) -> ([String; 4], String) {
        let (words, numbers) = row.split_at_checked(table.words).unwrap_or((row, &[]));
        let mut texts = words.iter().map(|word| self.written(word));
        let (item, detail) = (texts.next(), texts.next());
        let mut points = String::new();
        let mut money = Vec::new();
        for number in numbers {
            match number {
                Cell::Points(_) => points = self.written(number),
                other => money.push(self.written(other)),
            }
        }
        let amount = money.pop().unwrap_or_default();
        let value = money.pop().unwrap_or_default();
        let rest = [
            item.unwrap_or_default(),
            detail.unwrap_or_default(),
            points,
            value,
        ];
        (rest, amount)
    }

    fn written(&self, what: &Cell) -> String {
        match what {
            Cell::Text(text) => cell(text),
            Cell::Points(points) => points.to_string(),
            Cell::Money(minor) => decimal(*minor, self.currency.places()),
            Cell::Empty => String::new(),
        }
    }
}
