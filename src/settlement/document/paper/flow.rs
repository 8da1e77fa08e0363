//! Everything in its place, page by page. Measures are points (1/72 inch) from the upper left corner.

use super::{
    super::Table,
    Typeface,
    wrap::{plain, wrap},
};

/// A4.
pub(super) const WIDTH: f32 = 595.276;
/// A4.
pub(super) const HEIGHT: f32 = 841.89;
/// Where lines begin.
pub(super) const LEFT: f32 = 48.0;
/// Where they end.
pub(super) const RIGHT: f32 = WIDTH - 48.0;
const TOP: f32 = 52.0;
const BOTTOM: f32 = HEIGHT - 54.0;

/// How large the letters of tables are.
const SIZE: f32 = 9.0;
/// From one line to the next, in parts of the size.
const LEADING: f32 = 1.4;
/// From a line's top to the foot of its letters, in parts of the size.
const ASCENT: f32 = 1.02;
/// Above and below the lines of a row.
const PAD: f32 = 2.4;
/// Between columns.
const GUTTER: f32 = 6.0;
/// Left of numbers. The widest that there is, -90,071,992,547,409.91, takes 96.
const NUMBER_GUTTER: f32 = 14.0;
/// The least that a column of numbers takes.
const NARROWEST: f32 = 62.0;
/// Where the text beside a label begins.
const LABEL: f32 = 132.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Black,
    Grey,
}

/// From which side a run's place is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// A line of letters; `y` is the foot of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) size: f32,
    pub(super) side: Side,
    pub(super) ink: Ink,
    pub(super) text: String,
}

/// A line across the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rule {
    pub(super) y: f32,
    pub(super) weight: f32,
    pub(super) shade: u8,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Page {
    pub(super) runs: Vec<Run>,
    pub(super) rules: Vec<Rule>,
}

/// Pages while they fill.
pub(super) struct Flow<'a> {
    face: &'a Typeface,
    full: Vec<Page>,
    page: Page,
    y: f32,
}

/// A row, broken into lines: the text, the left or right edge, and which of them.
struct Broken {
    cells: Vec<(Vec<String>, f32, Side)>,
    height: f32,
}

impl<'a> Flow<'a> {
    pub(super) fn new(face: &'a Typeface) -> Self {
        Self {
            face,
            full: Vec::new(),
            page: Page::default(),
            y: TOP,
        }
    }

    /// All pages, at least one.
    pub(super) fn finish(mut self) -> Vec<Page> {
        self.full.push(self.page);
        self.full
    }

    pub(super) fn gap(&mut self, height: f32) {
        self.y += height;
    }

    /// Begins a page where `height` does not fit; whether it did.
    fn make_room(&mut self, height: f32) -> bool {
        if self.y + height <= BOTTOM || self.y <= TOP {
            return false;
        }
        self.full.push(std::mem::take(&mut self.page));
        self.y = TOP;
        true
    }

    fn put(&mut self, text: &str, (x, from): (f32, Side), size: f32, ink: Ink) {
        if text.is_empty() {
            return;
        }
        self.page.runs.push(Run {
            x,
            y: self.y + size * ASCENT,
            size,
            side: from,
            ink,
            text: text.to_owned(),
        });
    }

    /// A text over the whole width.
    pub(super) fn line(&mut self, text: &str, size: f32, ink: Ink) {
        for line in wrap(self.face, text, size, RIGHT - LEFT) {
            self.make_room(size * LEADING);
            self.put(&line, (LEFT, Side::Left), size, ink);
            self.y += size * LEADING;
        }
    }

    /// Something to know, in small letters.
    pub(super) fn note(&mut self, text: &str) {
        self.line(text, 8.0, Ink::Grey);
    }

    /// A label and the text beside it.
    pub(super) fn fact(&mut self, label: &str, text: &str) {
        let labels = wrap(self.face, label, SIZE, LABEL - GUTTER);
        let texts = wrap(self.face, text, SIZE, RIGHT - LEFT - LABEL);
        let lines = labels.len().max(texts.len());
        for place in 0..lines {
            self.make_room(SIZE * LEADING);
            let line = |of: &[String]| of.get(place).cloned().unwrap_or_default();
            self.put(&line(&labels), (LEFT, Side::Left), SIZE, Ink::Grey);
            self.put(&line(&texts), (LEFT + LABEL, Side::Left), SIZE, Ink::Black);
            self.y += SIZE * LEADING;
        }
    }

    /// A table under its title; where it goes on on another page its head is there again.
    pub(super) fn table(&mut self, table: &Table, places: u32) {
        if table.rows.is_empty() {
            return;
        }
        let head: Vec<String> = table.head.iter().map(|label| plain(label)).collect();
        let mut cells = vec![head.clone()];
        for row in &table.rows {
            cells.push(row.iter().map(|cell| cell.shown(places)).collect());
        }
        let columns = columns(self.face, table.words, &cells);
        let head = self.broken(&head, &columns);
        let title = 12.0 * LEADING;
        let first = SIZE * LEADING + 2.0 * PAD;
        self.gap(14.0);
        self.make_room(title + head.height + first);
        self.put(&table.title, (LEFT, Side::Left), 12.0, Ink::Black);
        self.y += title;
        self.head(&head);
        let last = table.rows.len();
        for (place, row) in cells.iter().enumerate().skip(1) {
            let row = self.broken(row, &columns);
            if self.make_room(row.height) {
                self.head(&head);
            }
            if table.summed && place == last {
                self.rule(0.8, 96);
            }
            self.row(&row, Ink::Black);
            self.rule(0.3, 208);
        }
    }

    fn head(&mut self, head: &Broken) {
        self.row(head, Ink::Grey);
        self.rule(0.8, 96);
    }

    fn rule(&mut self, weight: f32, shade: u8) {
        self.page.rules.push(Rule {
            y: self.y,
            weight,
            shade,
        });
    }

    fn row(&mut self, row: &Broken, ink: Ink) {
        let top = self.y;
        for (lines, edge, side) in &row.cells {
            self.y = top + PAD;
            for line in lines {
                self.put(line, (*edge, *side), SIZE, ink);
                self.y += SIZE * LEADING;
            }
        }
        self.y = top + row.height;
    }

    fn broken(&self, cells: &[String], columns: &[Column]) -> Broken {
        let (mut broken, mut most) = (Vec::new(), 1.0_f32);
        for (text, column) in cells.iter().zip(columns) {
            let lines = wrap(self.face, text, SIZE, column.width - GUTTER);
            let height: f32 = lines.iter().map(|_| 1.0).sum();
            most = most.max(height);
            broken.push(match column.side {
                Side::Left => (lines, column.left, Side::Left),
                Side::Right => (lines, column.left + column.width, Side::Right),
            });
        }
        Broken {
            cells: broken,
            height: most * SIZE * LEADING + 2.0 * PAD,
        }
    }
}

/// A column of a table.
struct Column {
    left: f32,
    width: f32,
    side: Side,
}

/// Numbers as wide as the widest of them, words share the rest.
fn columns(face: &Typeface, words: usize, rows: &[Vec<String>]) -> Vec<Column> {
    let mut widths: Vec<f32> = Vec::new();
    for row in rows {
        for (place, text) in row.iter().skip(words).enumerate() {
            let width = face.width_of(text) * SIZE + NUMBER_GUTTER;
            match widths.get_mut(place) {
                Some(widest) => *widest = widest.max(width),
                None => widths.push(width.max(NARROWEST)),
            }
        }
    }
    let shares: f32 = (0..words).map(|_| 1.0).sum();
    let share = (RIGHT - LEFT - widths.iter().sum::<f32>()) / shares.max(1.0);
    let mut left = LEFT;
    std::iter::repeat_n((share, Side::Left), words)
        .chain(widths.into_iter().map(|width| (width, Side::Right)))
        .map(|(width, side)| {
            let column = Column { left, width, side };
            left += width;
            column
        })
        .collect()
}
