//! The typefaces that papers are set in, and how the letters of a word become glyphs of one.

use std::{collections::BTreeSet, ops::Range, sync::LazyLock};

use harfrust::{
    BufferClusterLevel, Direction, Feature, FontRef, Script, ShapePlan, Shaper, ShaperData, Tag, UnicodeBuffer,
};

/// All measures of a typeface are in this many parts of its size.
pub(super) const UNITS_PER_EM: u16 = 2816;
/// From the baseline up and down to where a line's letters end, in units.
pub(super) const ASCENT: i64 = 2728;
pub(super) const DESCENT: i64 = 680;

/// What is printed for a letter that the typefaces lack.
pub(super) const REPLACEMENT: char = '□';

/// Letters that are shaped together: more than a word has, and few enough that marks heaped upon one letter stay within
/// what a PDF allows of a text.
const MOST_LETTERS_AT_ONCE: usize = 1_000;

/// How heavy letters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Weight {
    Regular,
    SemiBold,
}

impl Weight {
    /// The typeface's file.
    pub(super) const fn file(self) -> &'static [u8] {
        match self {
            Self::Regular => include_bytes!("../../config/fonts/Inter-Regular.otf"),
            Self::SemiBold => include_bytes!("../../config/fonts/Inter-SemiBold.otf"),
        }
    }
}

/// A glyph, and the letters that it stands for. Measures are in units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glyph {
    pub(super) id: u32,
    pub(super) advance: i64,
    pub(super) x_offset: i64,
    pub(super) y_offset: i64,
    /// In the text that it was made of, in bytes.
    pub(super) range: Range<usize>,
}

/// Both weights, ready to shape.
pub(super) struct Typefaces {
    regular: Typeface,
    semi_bold: Typeface,
    missing: BTreeSet<char>,
}

struct Typeface {
    shaper: Shaper<'static>,
    plans: Vec<((Script, bool), ShapePlan)>,
}

/// The built-in files do not read as typefaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a built-in typeface cannot be read")]
pub(super) struct BadTypeface;

/// What shaping looks up in a file, made once.
static REGULAR: LazyLock<Option<(FontRef<'static>, ShaperData)>> = LazyLock::new(|| read(Weight::Regular));
static SEMI_BOLD: LazyLock<Option<(FontRef<'static>, ShaperData)>> = LazyLock::new(|| read(Weight::SemiBold));

fn read(weight: Weight) -> Option<(FontRef<'static>, ShaperData)> {
    let font = FontRef::new(weight.file()).ok()?;
    let data = ShaperData::new(&font);
    Some((font, data))
}

impl Typefaces {
    pub(super) fn load() -> Result<Self, BadTypeface> {
        let typeface = |read: &'static Option<(FontRef<'static>, ShaperData)>| {
            let (font, data) = read.as_ref().ok_or(BadTypeface)?;
            Ok(Typeface { shaper: data.shaper(font).build(), plans: Vec::new() })
        };
        Ok(Self { regular: typeface(&REGULAR)?, semi_bold: typeface(&SEMI_BOLD)?, missing: BTreeSet::new() })
    }

    /// The letters that were asked for and that the typefaces lack.
    pub(super) fn into_missing(self) -> BTreeSet<char> {
        self.missing
    }

    /// A word that is read from left to right as it is shown, and its glyphs. Letters that have no glyph are shown as
    /// boxes. Figures of equal width are for columns.
    pub(super) fn shape(&mut self, word: &str, weight: Weight, tabular: bool) -> (String, Vec<Glyph>) {
        let typeface = match weight {
            Weight::Regular => &mut self.regular,
            Weight::SemiBold => &mut self.semi_bold,
        };
        let glyphs = typeface.glyphs(word, tabular);
        let lacking: BTreeSet<usize> =
            glyphs.iter().filter(|glyph| glyph.id == 0).flat_map(|glyph| glyph.range.clone()).collect();
        if lacking.is_empty() {
            return (word.to_owned(), glyphs);
        }
        let mut shown = String::with_capacity(word.len());
        for (at, letter) in word.char_indices() {
            if lacking.contains(&at) {
                self.missing.insert(letter);
                shown.push(REPLACEMENT);
            } else {
                shown.push(letter);
            }
        }
        let glyphs = typeface.glyphs(&shown, tabular);
        (shown, glyphs)
    }
}

impl Typeface {
    /// The glyphs of a word.
    fn glyphs(&mut self, word: &str, tabular: bool) -> Vec<Glyph> {
        let letters: Vec<(usize, char)> = word.char_indices().collect();
        let parts = letters.chunks(MOST_LETTERS_AT_ONCE);
        parts.flat_map(|part| self.glyphs_of_part(part, tabular)).collect()
    }

    /// The glyphs of letters that stand at these bytes of a word.
    fn glyphs_of_part(&mut self, letters: &[(usize, char)], tabular: bool) -> Vec<Glyph> {
        let last = letters.last().map_or(0, |(at, letter)| at + letter.len_utf8());
        let features = features(tabular);
        let mut buffer = UnicodeBuffer::new();
        // A glyph stands for its own letter, not for those around it, or an a that once bore an accent would be copied with
        // it everywhere.
        buffer.set_cluster_level(BufferClusterLevel::MonotoneCharacters);
        for (at, letter) in letters {
            buffer.add(*letter, u32::try_from(*at).unwrap_or(u32::MAX));
        }
        buffer.guess_segment_properties();
        buffer.set_direction(Direction::LeftToRight);
        let script = buffer.script();
        let shaped = match self.plans.iter().find(|(key, _)| *key == (script, tabular)) {
            Some((_, plan)) => self.shaper.shape_with_plan(plan, buffer, &features),
            None => {
                let plan = ShapePlan::new(&self.shaper, Direction::LeftToRight, Some(script), None, &features);
                let shaped = self.shaper.shape_with_plan(&plan, buffer, &features);
                self.plans.push(((script, tabular), plan));
                shaped
            }
        };
        let mut glyphs = Vec::with_capacity(shaped.len());
        // From the back, since a group of letters ends where the next one begins.
        let (mut begin, mut end) = (last, last);
        for (info, position) in shaped.glyph_infos().iter().zip(shaped.glyph_positions()).rev() {
            let at = usize::try_from(info.cluster).unwrap_or(last);
            if at != begin {
                (begin, end) = (at, begin);
            }
            glyphs.push(Glyph {
                id: info.glyph_id,
                advance: i64::from(position.x_advance),
                x_offset: i64::from(position.x_offset),
                y_offset: i64::from(position.y_offset),
                range: begin..end.max(begin),
            });
        }
        glyphs.reverse();
        glyphs
    }
}

/// Ligatures and contextual forms would make arrows of `->` and times signs of an x between figures: names are printed as
/// they are written.
fn features(tabular: bool) -> [Feature; 3] {
    [
        Feature::new(Tag::new(b"liga"), 0, ..),
        Feature::new(Tag::new(b"calt"), 0, ..),
        Feature::new(Tag::new(b"tnum"), u32::from(tabular), ..),
    ]
}
