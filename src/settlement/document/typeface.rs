//! The letters on paper: one typeface for simplified and traditional Chinese and for Latin, which is
//! part of the program (`font/README.md`).

use std::sync::LazyLock;

use krilla::{
    Data,
    text::{Font, GlyphId, KrillaGlyph},
};
use skrifa::{FontRef, MetadataProvider, charmap::Charmap, instance::LocationRef, instance::Size};

static FILE: &[u8] = include_bytes!("font/NotoSansCJKsc-Statement.otf");

static TYPEFACE: LazyLock<Option<Typeface>> = LazyLock::new(Typeface::read);

/// Widths and shapes.
pub(super) struct Typeface {
    font: Font,
    letters: Charmap<'static>,
    /// By glyph, in parts of the size.
    widths: Vec<f32>,
}

impl Typeface {
    /// The one of the program; none would be a mistake in its file.
    pub(super) fn get() -> Option<&'static Self> {
        TYPEFACE.as_ref()
    }

    fn read() -> Option<Self> {
        let font = Font::new(Data::from(FILE), 0)?;
        let file = FontRef::new(FILE).ok()?;
        let metrics = file.glyph_metrics(Size::unscaled(), LocationRef::default());
        let em = font.units_per_em();
        let widths = (0..metrics.glyph_count())
            .map(|glyph| metrics.advance_width(glyph.into()).unwrap_or(em) / em)
            .collect();
        Some(Self {
            font,
            letters: file.charmap(),
            widths,
        })
    }

    /// What the library draws with.
    pub(super) fn font(&self) -> Font {
        self.font.clone()
    }

    /// The glyph of a letter; 0 is the box that stands for one that the typeface does not have.
    fn glyph(&self, letter: char) -> u32 {
        self.letters.map(letter).map_or(0, skrifa::GlyphId::to_u32)
    }

    /// How wide a letter is, in parts of the size.
    pub(super) fn width(&self, letter: char) -> f32 {
        let place = usize::try_from(self.glyph(letter)).unwrap_or(0);
        self.widths.get(place).copied().unwrap_or(1.0)
    }

    /// How wide a line is, in parts of the size.
    pub(super) fn width_of(&self, line: &str) -> f32 {
        line.chars().map(|letter| self.width(letter)).sum()
    }

    /// The glyphs of a line, one a letter, from left to right.
    pub(super) fn glyphs(&self, line: &str) -> Vec<KrillaGlyph> {
        line.char_indices()
            .map(|(at, letter)| KrillaGlyph {
                glyph_id: GlyphId::new(self.glyph(letter)),
                text_range: at..at.saturating_add(letter.len_utf8()),
                x_advance: self.width(letter),
                x_offset: 0.0,
                y_offset: 0.0,
                y_advance: 0.0,
                location: None,
            })
            .collect()
    }
}
