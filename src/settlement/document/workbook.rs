//! A statement as a workbook: numbers are numbers, texts are texts.

use rust_xlsxwriter::{
    DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Workbook, Worksheet, XlsxError,
};

use super::{Cell, Document, PrintError, Table};
use crate::kernel::{money::decimal, time::Instant};

/// A spreadsheet counts with 15 digits; what has more goes in as text, to the unit.
const EXACT: u64 = 999_999_999_999_999;

/// The longest name of a sheet, in characters.
const SHEET_NAME: usize = 31;

/// How cells look.
struct Looks {
    title: Format,
    head: Format,
    label: Format,
    text: Format,
    points: Format,
    money: Format,
}

impl Looks {
    fn of(document: &Document) -> Self {
        let places = usize::try_from(document.currency.places()).unwrap_or(0);
        let decimals = if places == 0 {
            String::new()
        } else {
            format!(".{}", "0".repeat(places))
        };
        let (code, plain) = (document.currency.code(), || {
            Format::new().set_align(FormatAlign::Top)
        });
        Self {
            title: Format::new().set_bold().set_font_size(14),
            head: Format::new()
                .set_bold()
                .set_border_bottom(FormatBorder::Thin),
            label: plain().set_font_color("#5A5A5A"),
            text: plain().set_text_wrap(),
            points: plain().set_num_format("#,##0"),
            money: plain().set_num_format(format!("[${code}] #,##0{decimals}")),
        }
    }
}

/// Where the next row goes.
struct Pen<'a> {
    sheet: &'a mut Worksheet,
    looks: &'a Looks,
    places: u32,
    row: u32,
}

impl Document {
    /// The workbook (Office Open XML): one sheet of facts, figures and payments, one of the lines
    /// that the net is made of.
    ///
    /// # Errors
    /// [`PrintError`].
    pub fn workbook(&self) -> Result<Vec<u8>, PrintError> {
        self.written_workbook()
            .map_err(|error| PrintError(error.to_string()))
    }

    fn written_workbook(&self) -> Result<Vec<u8>, XlsxError> {
        let looks = Looks::of(self);
        let mut workbook = Workbook::new();
        workbook.set_properties(&self.properties()?);
        let lines = self.word("statement-lines");
        let (apart, together): (Vec<Table>, Vec<Table>) = self
            .tables()
            .into_iter()
            .partition(|table| table.title == lines);

        let sheet = workbook.add_worksheet();
        sheet.set_name(sheet_name(&self.word("statement-figures")))?;
        sheet.set_column_width(0, 40)?;
        sheet.set_column_width(1, 30)?;
        sheet.set_column_width(2, 24)?;
        sheet.set_print_fit_to_pages(1, 0);
        let mut pen = self.pen(sheet, &looks);
        pen.title(&self.word("statement-title"))?;
        pen.text(&self.mall)?;
        for (label, text) in self.facts() {
            pen.fact(&label, &text)?;
        }
        for note in self.notes() {
            pen.text(&note)?;
        }
        for table in &together {
            pen.table(table)?;
        }

        let sheet = workbook.add_worksheet();
        sheet.set_name(sheet_name(&lines))?;
        sheet.set_column_width(0, 34)?;
        sheet.set_column_width(1, 40)?;
        for column in 2..=4 {
            sheet.set_column_width(column, 22)?;
        }
        sheet.set_print_fit_to_pages(1, 0);
        let mut pen = self.pen(sheet, &looks);
        for table in &apart {
            pen.table(table)?;
        }
        workbook.save_to_buffer()
    }

    fn pen<'a>(&self, sheet: &'a mut Worksheet, looks: &'a Looks) -> Pen<'a> {
        Pen {
            sheet,
            looks,
            places: self.currency.places(),
            row: 0,
        }
    }

    /// With the statement's own time and never the machine's.
    fn properties(&self) -> Result<DocProperties, XlsxError> {
        let seconds = self.issued_at.unwrap_or(Instant::UNIX_EPOCH).timestamp();
        let made = ExcelDateTime::from_timestamp(seconds)?;
        Ok(DocProperties::new()
            .set_title(self.word("statement-title"))
            .set_author(&self.mall)
            .set_creation_datetime(&made))
    }
}

impl Pen<'_> {
    fn next(&mut self) {
        self.row = self.row.saturating_add(1);
    }

    fn title(&mut self, text: &str) -> Result<(), XlsxError> {
        let look = &self.looks.title;
        self.sheet
            .write_string_with_format(self.row, 0, text, look)?;
        self.next();
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), XlsxError> {
        self.sheet.write_string(self.row, 0, text)?;
        self.next();
        Ok(())
    }

    fn fact(&mut self, label: &str, text: &str) -> Result<(), XlsxError> {
        let look = &self.looks.label;
        self.sheet
            .write_string_with_format(self.row, 0, label, look)?;
        self.sheet.write_string(self.row, 1, text)?;
        self.next();
        Ok(())
    }

    fn table(&mut self, table: &Table) -> Result<(), XlsxError> {
        if self.row > 0 {
            self.next();
        }
        self.title(&table.title)?;
        for (column, label) in (0_u16..).zip(&table.head) {
            let look = &self.looks.head;
            self.sheet
                .write_string_with_format(self.row, column, label, look)?;
        }
        self.next();
        for row in &table.rows {
            for (column, cell) in (0_u16..).zip(row) {
                self.cell(column, cell)?;
            }
            self.next();
        }
        Ok(())
    }

    /// A text is written as one, whatever it begins with: no cell is ever a formula.
    fn cell(&mut self, column: u16, cell: &Cell) -> Result<(), XlsxError> {
        let looks = self.looks;
        match cell {
            Cell::Text(text) => {
                self.sheet
                    .write_string_with_format(self.row, column, text, &looks.text)?;
            }
            Cell::Points(points) => self.number(column, *points, 0, &looks.points)?,
            Cell::Money(minor) => self.number(column, *minor, self.places, &looks.money)?,
            Cell::Empty => {}
        }
        Ok(())
    }

    fn number(
        &mut self,
        column: u16,
        count: i64,
        places: u32,
        look: &Format,
    ) -> Result<(), XlsxError> {
        let text = decimal(count, places);
        match text.parse::<f64>() {
            Ok(number) if count.unsigned_abs() <= EXACT => {
                self.sheet
                    .write_number_with_format(self.row, column, number, look)?;
            }
            _ => {
                self.sheet.write_string(self.row, column, &text)?;
            }
        }
        Ok(())
    }
}

/// Spreadsheets take no more of a name, and not every character.
fn sheet_name(words: &str) -> String {
    let fits = |letter: &char| !matches!(letter, '[' | ']' | ':' | '*' | '?' | '/' | '\\' | '\'');
    words.chars().filter(fits).take(SHEET_NAME).collect()
}
