//! A statement on paper: A4, as PDF.
//!
//! First everything is given its place ([`flow`]), which says how many pages there are; then it is
//! drawn. Nothing of it depends on the machine or the hour.

mod flow;
mod wrap;

use krilla::{
    Document as Pdf, SerializeSettings,
    color::rgb,
    geom::{PathBuilder, Point},
    metadata::{DateTime, Metadata},
    num::NormalizedF32,
    page::PageSettings,
    paint::{Fill, FillRule, Stroke},
    surface::Surface,
};

use chrono::{Datelike, Timelike};

use super::{Document, PrintError, typeface::Typeface};
use crate::texts::text_with;
use flow::{Flow, HEIGHT, Ink, LEFT, RIGHT, Rule, Run, Side, WIDTH};

/// Where the line at the foot of a page stands.
const FOOT: f32 = HEIGHT - 30.0;
/// How large its letters are.
const SMALL: f32 = 7.5;

impl Document {
    /// The PDF.
    ///
    /// # Errors
    /// [`PrintError`] where the typeface or the library fails.
    pub fn paper(&self) -> Result<Vec<u8>, PrintError> {
        let face = Typeface::get();
        let face = face.ok_or_else(|| PrintError("the typeface cannot be read".to_owned()))?;
        let mut flow = Flow::new(face);
        self.head_to(&mut flow);
        for table in self.tables() {
            flow.table(&table, self.currency.places());
        }
        if self.lines.is_empty() {
            flow.note(&self.word("statement-no-lines"));
        }
        let mut pages = flow.finish();
        let count = pages.len().to_string();
        for (page, number) in pages.iter_mut().zip(1_u32..) {
            let number = number.to_string();
            let places = [("page", number.as_str()), ("pages", count.as_str())];
            page.runs.push(Run {
                x: RIGHT,
                y: FOOT,
                size: SMALL,
                side: Side::Right,
                ink: Ink::Grey,
                text: text_with(self.language, "paper-page", &places),
            });
            page.runs.push(Run {
                x: LEFT,
                y: FOOT,
                size: SMALL,
                side: Side::Left,
                ink: Ink::Grey,
                text: format!("{} · SHA-256 {}", self.statement, self.digest()),
            });
        }
        self.draw(face, &pages)
    }

    fn head_to(&self, flow: &mut Flow<'_>) {
        flow.line(&self.mall, 10.0, Ink::Grey);
        flow.line(&self.word("statement-title"), 18.0, Ink::Black);
        flow.gap(4.0);
        for (label, text) in self.facts() {
            flow.fact(&label, &text);
        }
        flow.gap(2.0);
        for note in self.notes() {
            flow.note(&note);
        }
    }

    fn draw(&self, face: &Typeface, pages: &[flow::Page]) -> Result<Vec<u8>, PrintError> {
        let mut pdf = Pdf::new_with(SerializeSettings {
            enable_tagging: false,
            ..SerializeSettings::default()
        });
        pdf.set_metadata(self.metadata());
        for page in pages {
            let size = PageSettings::from_wh(WIDTH, HEIGHT);
            let size = size.ok_or_else(|| PrintError("the page has no size".to_owned()))?;
            let mut leaf = pdf.start_page_with(size);
            let mut surface = leaf.surface();
            for rule in &page.rules {
                draw_rule(&mut surface, rule);
            }
            for run in &page.runs {
                draw_run(&mut surface, face, run);
            }
            surface.finish();
            leaf.finish();
        }
        pdf.finish()
            .map_err(|error| PrintError(format!("{error:?}")))
    }

    /// With the statement's own time and never the machine's.
    fn metadata(&self) -> Metadata {
        let title = format!(
            "{} {} {}",
            self.word("statement-title"),
            self.period,
            self.code.as_str()
        );
        let data = Metadata::new()
            .title(title)
            .authors(vec![self.mall.clone()])
            .creator("Rotunda".to_owned())
            .language(self.language.tag().to_owned());
        let Some(issued) = self.issued_at else {
            return data;
        };
        let small = |part: u32| u8::try_from(part).unwrap_or(0);
        let moment = DateTime::new(u16::try_from(issued.year()).unwrap_or(0))
            .month(small(issued.month()))
            .day(small(issued.day()))
            .hour(small(issued.hour()))
            .minute(small(issued.minute()))
            .second(small(issued.second()))
            .utc_offset_hour(0)
            .utc_offset_minute(0);
        data.creation_date(moment)
    }
}

fn fill(ink: Ink) -> Fill {
    let shade = match ink {
        Ink::Black => 20,
        Ink::Grey => 96,
    };
    Fill {
        paint: rgb::Color::new(shade, shade, shade).into(),
        opacity: NormalizedF32::ONE,
        rule: FillRule::default(),
    }
}

fn draw_run(surface: &mut Surface<'_>, face: &Typeface, run: &Run) {
    let glyphs = face.glyphs(&run.text);
    let left = match run.side {
        Side::Left => run.x,
        Side::Right => run.x - face.width_of(&run.text) * run.size,
    };
    surface.set_fill(Some(fill(run.ink)));
    let start = Point::from_xy(left, run.y);
    surface.draw_glyphs(start, &glyphs, face.font(), &run.text, run.size, false);
}

fn draw_rule(surface: &mut Surface<'_>, rule: &Rule) {
    let mut path = PathBuilder::new();
    path.move_to(LEFT, rule.y);
    path.line_to(RIGHT, rule.y);
    let Some(path) = path.finish() else { return };
    surface.set_fill(None);
    surface.set_stroke(Some(Stroke {
        paint: rgb::Color::new(rule.shade, rule.shade, rule.shade).into(),
        width: rule.weight,
        ..Stroke::default()
    }));
    surface.draw_path(&path);
    surface.set_stroke(None);
}
