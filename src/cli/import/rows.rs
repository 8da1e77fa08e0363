//! The two files of an import, row by row: what a row must look like, and what is wrong with it.
//!
//! Both are CSV with a header line, in time order, plain or gzipped. The same reader serves the
//! check before anything is loaded and the loading itself.

use std::{
    fmt,
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use chrono::{DateTime, Utc};
use csv::{ByteRecord, Reader, ReaderBuilder};
use flate2::read::MultiGzDecoder;

use crate::{
    earning::line::Line,
    kernel::{
        money::{Currency, parse_decimal},
        points::LARGEST,
        text::{CardNumber, Category, Code, ReceiptNumber},
        time::Instant,
    },
};

/// The columns of a purchases file; one row a purchase and category.
pub const PURCHASE_COLUMNS: [&str; 7] = [
    "purchase_ref",
    "member_ref",
    "store_code",
    "occurred_at",
    "category",
    "quantity",
    "amount",
];

/// The columns of a redemptions file; one row a basket that points paid in part.
pub const REDEMPTION_COLUMNS: [&str; 5] = [
    "purchase_ref",
    "member_ref",
    "store_code",
    "occurred_at",
    "wanted",
];

/// What is wrong with one field of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// The file's name.
    pub file: Arc<str>,
    /// The line in it, the header being line 1.
    pub line: u64,
    /// The column.
    pub column: &'static str,
    /// What stands there, shortened.
    pub found: String,
    /// What should.
    pub expected: &'static str,
}

impl fmt::Display for BadRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            found,
            expected,
        } = self;
        write!(
            formatter,
            "{file}, line {line}, column {column}: found {found:?}, expected {expected}"
        )
    }
}

/// A purchase, put together from its adjacent rows.
#[derive(Debug, Clone)]
pub struct PurchaseRow {
    /// The line of its first row.
    pub line: u64,
    /// Its receipt number.
    pub receipt: ReceiptNumber,
    /// Who bought.
    pub card: CardNumber,
    /// Where.
    pub store: Code,
    /// When.
    pub occurred_at: Instant,
    /// What.
    pub lines: Vec<Line>,
}

/// Points to be spent on a basket.
#[derive(Debug, Clone)]
pub struct RedemptionRow {
    /// Its line.
    pub line: u64,
    /// The basket's receipt number.
    pub receipt: ReceiptNumber,
    /// Who spends.
    pub card: CardNumber,
    /// Where.
    pub store: Code,
    /// When.
    pub occurred_at: Instant,
    /// How much to take off, in minor units, as far as the points reach.
    pub wanted: i64,
}

/// Counts the bytes that were read of a file, for the share that is done.
#[derive(Debug, Clone, Default)]
pub struct BytesRead(Arc<AtomicU64>);

impl BytesRead {
    /// So far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Counting<R> {
    inner: R,
    bytes: BytesRead,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes
            .0
            .fetch_add(u64::try_from(read).unwrap_or(0), Ordering::Relaxed);
        Ok(read)
    }
}

/// A file of rows, whatever its columns.
struct Rows {
    name: Arc<str>,
    reader: Reader<Box<dyn Read + Send>>,
    order: Vec<usize>,
    record: ByteRecord,
    last: Option<Instant>,
}

impl Rows {
    fn open(
        path: &Path,
        columns: &'static [&'static str],
        bytes: &BytesRead,
    ) -> anyhow::Result<Self> {
        let name: Arc<str> = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into();
        let file =
            File::open(path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        let counting = Counting {
            inner: file,
            bytes: bytes.clone(),
        };
        let zipped = path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
        let inner: Box<dyn Read + Send> = if zipped {
            Box::new(MultiGzDecoder::new(BufReader::new(counting)))
        } else {
            Box::new(BufReader::new(counting))
        };
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(inner);
        let header = reader
            .byte_headers()
            .map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        let found: Vec<String> = header
            .iter()
            .map(|field| {
                String::from_utf8_lossy(field)
                    .trim_start_matches('\u{feff}')
                    .to_owned()
            })
            .collect();
        let place = |column: &&str| found.iter().position(|name| name == *column);
        let order: Option<Vec<usize>> = columns.iter().map(place).collect();
        let Some(order) = order.filter(|_| found.len() == columns.len()) else {
            anyhow::bail!(
                "{name}, line 1: found the columns {}, expected {}",
                found.join(","),
                columns.join(",")
            );
        };
        Ok(Self {
            name,
            reader,
            order,
            record: ByteRecord::new(),
            last: None,
        })
    }

    /// The next row; its line, or what keeps it from being read.
    fn next(&mut self) -> Option<Result<u64, BadRow>> {
        let line = self.reader.position().line();
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => None,
            Ok(true) => {
                let line = self.record.position().map_or(line, csv::Position::line);
                if self.record.len() == self.order.len() {
                    Some(Ok(line))
                } else {
                    let found = format!("{} fields", self.record.len());
                    Some(Err(self.bad(
                        line,
                        "(all)",
                        &found,
                        "as many fields as columns",
                    )))
                }
            }
            Err(error) => Some(Err(self.bad(
                line,
                "(all)",
                &error.to_string(),
                "a row of CSV",
            ))),
        }
    }

    fn bad(&self, line: u64, column: &'static str, found: &str, expected: &'static str) -> BadRow {
        let found = found.chars().take(60).collect();
        BadRow {
            file: self.name.clone(),
            line,
            column,
            found,
            expected,
        }
    }

    fn field<T>(
        &self,
        line: u64,
        place: usize,
        column: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, BadRow> {
        let bytes = self
            .order
            .get(place)
            .and_then(|at| self.record.get(*at))
            .unwrap_or_default();
        let text = std::str::from_utf8(bytes).ok();
        text.and_then(parse)
            .ok_or_else(|| self.bad(line, column, &String::from_utf8_lossy(bytes), expected))
    }

    fn receipt(&self, line: u64) -> Result<ReceiptNumber, BadRow> {
        let expected = "a receipt number of 1 to 64 characters";
        self.field(line, 0, "purchase_ref", expected, |text| text.parse().ok())
    }

    fn card(&self, line: u64) -> Result<CardNumber, BadRow> {
        let expected = "a card number of 1 to 64 letters, digits and dashes";
        self.field(line, 1, "member_ref", expected, |text| text.parse().ok())
    }

    fn store(&self, line: u64) -> Result<Code, BadRow> {
        let expected = "a store's code of 1 to 40 letters, digits, _ and -";
        self.field(line, 2, "store_code", expected, |text| text.parse().ok())
    }

    /// The time, and that it is not before the row above.
    fn time(&mut self, line: u64) -> Result<Instant, BadRow> {
        let expected = "a time such as 2017-06-30T23:59:59Z";
        let parse = |text: &str| {
            let time = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
            (time.timestamp() >= 0).then_some(time)
        };
        let time = self.field(line, 3, "occurred_at", expected, parse)?;
        if self.last.is_some_and(|last| time < last) {
            let found = time.to_rfc3339();
            return Err(self.bad(
                line,
                "occurred_at",
                &found,
                "a time not before the row above",
            ));
        }
        self.last = Some(time);
        Ok(time)
    }

    fn money(
        &self,
        line: u64,
        place: usize,
        column: &'static str,
        currency: Currency,
    ) -> Result<i64, BadRow> {
        let expected = "an amount such as 12.50, not below zero";
        let parse = |text: &str| {
            parse_decimal(text, currency.places())
                .ok()
                .filter(|minor| *minor <= LARGEST)
        };
        self.field(line, place, column, expected, parse)
    }
}

/// A row and the receipt that it belongs to, as far as it can be read.
type Row = (Option<(ReceiptNumber, Code)>, Result<PurchaseRow, BadRow>);

/// A purchases file, purchase by purchase.
pub struct Purchases {
    rows: Rows,
    currency: Currency,
    ahead: Option<Row>,
    started: bool,
}

impl Purchases {
    /// Opens a file and checks its header.
    ///
    /// # Errors
    /// What is wrong with the file or its header, in a sentence.
    pub fn open(path: &Path, currency: Currency, bytes: &BytesRead) -> anyhow::Result<Self> {
        let rows = Rows::open(path, &PURCHASE_COLUMNS, bytes)?;
        Ok(Self {
            rows,
            currency,
            ahead: None,
            started: false,
        })
    }

    fn row(&mut self) -> Option<Row> {
        let line = match self.rows.next()? {
            Ok(line) => line,
            Err(bad) => return Some((None, Err(bad))),
        };
        let key = self.rows.receipt(line).ok().zip(self.rows.store(line).ok());
        Some((key, self.parse(line)))
    }

    fn parse(&mut self, line: u64) -> Result<PurchaseRow, BadRow> {
        let occurred_at = self.rows.time(line)?;
        let rows = &self.rows;
        let category: Category = rows.field(line, 4, "category", "1 to 64 characters", |text| {
            text.parse().ok()
        })?;
        let whole = |text: &str| {
            text.parse::<i64>()
                .ok()
                .filter(|n| (0..=1_000_000_000).contains(n))
        };
        let quantity = rows.field(line, 5, "quantity", "a whole number from 0 on", whole)?;
        let amount = rows.money(line, 6, "amount", self.currency)?;
        Ok(PurchaseRow {
            line,
            receipt: rows.receipt(line)?,
            card: rows.card(line)?,
            store: rows.store(line)?,
            occurred_at,
            lines: vec![Line {
                category,
                quantity,
                amount,
            }],
        })
    }
}

impl Iterator for Purchases {
    type Item = Result<PurchaseRow, Vec<BadRow>>;

    /// The next purchase, or what is wrong with its rows: a purchase with a bad row is not loaded
    /// in part.
    fn next(&mut self) -> Option<Self::Item> {
        if !self.started {
            self.started = true;
            self.ahead = self.row();
        }
        let (key, first) = self.ahead.take()?;
        let mut bad = Vec::new();
        let mut purchase = first.map_err(|why| bad.push(why)).ok();
        self.ahead = self.row();
        while let Some((_, next)) = self
            .ahead
            .take_if(|(next, _)| key.is_some() && *next == key)
        {
            match (next, &mut purchase) {
                (Err(why), _) => bad.push(why),
                (Ok(next), Some(purchase)) => {
                    if next.card != purchase.card || next.occurred_at != purchase.occurred_at {
                        let expected = "the member and time of the purchase's first row";
                        bad.push(self.rows.bad(
                            next.line,
                            "member_ref",
                            next.card.as_str(),
                            expected,
                        ));
                    }
                    purchase.lines.extend(next.lines);
                }
                (Ok(_), None) => {}
            }
            self.ahead = self.row();
        }
        match purchase {
            Some(purchase) if bad.is_empty() => Some(Ok(purchase)),
            _ => Some(Err(bad)),
        }
    }
}

/// A redemptions file, row by row.
pub struct Redemptions {
    rows: Rows,
    currency: Currency,
}

impl Redemptions {
    /// Opens a file and checks its header.
    ///
    /// # Errors
    /// What is wrong with the file or its header, in a sentence.
    pub fn open(path: &Path, currency: Currency, bytes: &BytesRead) -> anyhow::Result<Self> {
        Ok(Self {
            rows: Rows::open(path, &REDEMPTION_COLUMNS, bytes)?,
            currency,
        })
    }

    fn parse(&mut self, line: u64) -> Result<RedemptionRow, BadRow> {
        let occurred_at = self.rows.time(line)?;
        let rows = &self.rows;
        Ok(RedemptionRow {
            line,
            receipt: rows.receipt(line)?,
            card: rows.card(line)?,
            store: rows.store(line)?,
            occurred_at,
            wanted: rows.money(line, 4, "wanted", self.currency)?,
        })
    }
}

impl Iterator for Redemptions {
    type Item = Result<RedemptionRow, Vec<BadRow>>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.rows.next()?;
        Some(
            line.and_then(|line| self.parse(line))
                .map_err(|bad| vec![bad]),
        )
    }
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Happened {
    /// Points were spent.
    Redemption(RedemptionRow),
    /// Something was bought.
    Purchase(PurchaseRow),
}

/// Both files in time order; at one instant redemptions come first.
pub struct Merged {
    purchases: std::iter::Peekable<Purchases>,
    redemptions: Option<std::iter::Peekable<Redemptions>>,
}

impl Merged {
    /// Merges the files.
    pub fn new(purchases: Purchases, redemptions: Option<Redemptions>) -> Self {
        Self {
            purchases: purchases.peekable(),
            redemptions: redemptions.map(Iterator::peekable),
        }
    }
}

impl Iterator for Merged {
    type Item = Result<Happened, Vec<BadRow>>;

    fn next(&mut self) -> Option<Self::Item> {
        let redemption = self.redemptions.as_mut().and_then(|rows| rows.peek());
        let first = match (redemption, self.purchases.peek()) {
            (Some(Ok(redemption)), Some(Ok(purchase))) => {
                redemption.occurred_at <= purchase.occurred_at
            }
            // What cannot be read is told as soon as it is reached.
            (Some(Err(_)), _) | (Some(_), None) => true,
            (None, _) | (Some(Ok(_)), Some(Err(_))) => false,
        };
        if first {
            let next = self.redemptions.as_mut()?.next()?;
            return Some(next.map(Happened::Redemption));
        }
        Some(self.purchases.next()?.map(Happened::Purchase))
    }
}
