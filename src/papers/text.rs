//! Texts as lines of glyphs: what of a text is printed at all, and where its lines end.

use std::rc::Rc;

use super::typeface::{BadTypeface, Glyph, Typefaces, UNITS_PER_EM, Weight};

/// A twentieth of a point: all lengths of a paper are whole numbers of it. A sheet of A4 is 11,906 by 16,838.
pub(super) type Twips = i32;

/// So many tenths of a millimetre.
pub(super) const fn tenths_of_mm(tenths: i32) -> Twips {
    tenths * 567 / 100
}

/// The colours of a paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Ink,
    Label,
    Muted,
    Hairline,
}

/// How a text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) weight: Weight,
    pub(super) size: Twips,
    /// From one line to the next.
    pub(super) leading: Twips,
    pub(super) colour: Colour,
    /// Figures are of one width, as columns of amounts want them.
    pub(super) tabular: bool,
}

impl Style {
    pub(super) const fn new(weight: Weight, size: Twips, leading: Twips, colour: Colour) -> Self {
        Self { weight, size, leading, colour, tabular: false }
    }

    pub(super) const fn tabular(self) -> Self {
        Self { tabular: true, ..self }
    }

    /// The same, so much smaller that it is of this size.
    const fn shrunk_to(self, size: Twips) -> Self {
        Self { size, ..self }
    }

    /// How many units of the typeface fit.
    fn units_in(self, width: Twips) -> i64 {
        i64::from(width) * i64::from(UNITS_PER_EM) / i64::from(self.size.max(1))
    }

    /// How wide so many units are, rounded up: what was measured fits what was measured for it.
    fn twips_of(self, units: i64) -> Twips {
        let em = i64::from(UNITS_PER_EM);
        let twips = units.saturating_mul(i64::from(self.size)).saturating_add(em - 1) / em;
        Twips::try_from(twips).unwrap_or(Twips::MAX)
    }
}

/// One line of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// As it is shown, with the space at its end where the text goes on.
    pub(super) text: String,
    /// As it was written, where that differs: so it is copied, searched and read aloud.
    pub(super) written: Option<String>,
    pub(super) glyphs: Vec<Glyph>,
    pub(super) style: Style,
    /// Without that space.
    pub(super) width: Twips,
}

/// Makes lines of texts.
pub(super) struct Typesetter {
    typefaces: Typefaces,
}

/// A line while words are added to it.
#[derive(Default)]
struct Open {
    text: String,
    written: String,
    glyphs: Vec<Glyph>,
    advance: i64,
}

/// Glyphs, the text that they were made of, and the text as it was written: letter by letter the same, but for boxes.
struct Word<'a> {
    written: &'a str,
    text: Rc<str>,
    glyphs: Vec<Glyph>,
}

impl Typesetter {
    pub(super) fn new() -> Result<Self, BadTypeface> {
        Typefaces::load().map(|typefaces| Self { typefaces })
    }

    pub(super) fn into_typefaces(self) -> Typefaces {
        self.typefaces
    }

    /// The text in lines that are no wider than `width`. It breaks at spaces, and within a word that is wider than a line.
    /// Without a letter in it there is no line.
    pub(super) fn wrap(&mut self, text: &str, style: Style, width: Twips) -> Vec<Line> {
        let limit = style.units_in(width);
        let mut lines = Vec::new();
        let mut open = Open::default();
        for text in words(text) {
            let word = self.word(&text, style);
            if !open.is_empty() {
                let space = self.word(" ", style);
                let together = open.advance.saturating_add(space.advance()).saturating_add(word.advance());
                open.push(&space);
                if together > limit {
                    lines.push(open.close(space.advance(), style));
                    open = Open::default();
                }
            }
            for piece in word.pieces(limit) {
                if !open.is_empty() && open.advance.saturating_add(piece.advance()) > limit {
                    lines.push(open.close(0, style));
                    open = Open::default();
                }
                open.push(&piece);
            }
        }
        if !open.is_empty() {
            lines.push(open.close(0, style));
        }
        lines
    }

    /// The text in one line, whatever its width.
    pub(super) fn line(&mut self, text: &str, style: Style) -> Option<Line> {
        self.wrap(text, style, Twips::MAX).into_iter().next()
    }

    /// The text in one line, in letters so small that it fits; at the least in such as one can still enlarge.
    pub(super) fn fitted(&mut self, text: &str, style: Style, width: Twips) -> Option<Line> {
        const STEP: Twips = 5;
        const LEAST: Twips = 60;
        let mut style = style;
        loop {
            let line = self.line(text, style)?;
            if line.width <= width || style.size <= LEAST {
                return Some(line);
            }
            style = style.shrunk_to(style.size - STEP);
        }
    }

    fn word<'a>(&mut self, written: &'a str, style: Style) -> Word<'a> {
        let (text, glyphs) = self.typefaces.shape(written, style.weight, style.tabular);
        Word { written, text: text.into(), glyphs }
    }
}

impl Word<'_> {
    fn advance(&self) -> i64 {
        self.glyphs.iter().map(|glyph| glyph.advance).sum()
    }

    /// The word in pieces that fit, cut before letters that take room: never between one and its accents.
    fn pieces(self, limit: i64) -> Vec<Self> {
        if self.advance() <= limit {
            return vec![self];
        }
        let of = |glyphs| Self { written: self.written, text: Rc::clone(&self.text), glyphs };
        let mut pieces = Vec::new();
        let mut piece: Vec<Glyph> = Vec::new();
        let mut advance: i64 = 0;
        for group in self.glyphs.chunk_by(|one, other| one.range == other.range || other.advance == 0) {
            let more: i64 = group.iter().map(|glyph| glyph.advance).sum();
            if !piece.is_empty() && advance.saturating_add(more) > limit {
                pieces.push(of(std::mem::take(&mut piece)));
                advance = 0;
            }
            piece.extend_from_slice(group);
            advance = advance.saturating_add(more);
        }
        pieces.push(of(piece));
        pieces
    }
}

impl Open {
    fn is_empty(&self) -> bool {
        self.glyphs.is_empty()
    }

    /// Adds the glyphs with the letters that they stand for.
    fn push(&mut self, word: &Word<'_>) {
        let (Some(first), Some(last)) = (word.glyphs.first(), word.glyphs.last()) else { return };
        let (begin, end) = (first.range.start, last.range.end);
        let moved = |at: usize| self.text.len().saturating_add(at).saturating_sub(begin);
        let glyphs = word
            .glyphs
            .iter()
            .map(|glyph| Glyph { range: moved(glyph.range.start)..moved(glyph.range.end), ..glyph.clone() });
        self.glyphs.extend(glyphs);
        let letters = word.text.char_indices().zip(word.written.chars());
        for ((_, shown), written) in letters.filter(|((at, _), _)| (begin..end).contains(at)) {
            self.text.push(shown);
            self.written.push(written);
        }
        self.advance = self.advance.saturating_add(word.advance());
    }

    /// The line, whose last so many units are a space.
    fn close(self, unseen: i64, style: Style) -> Line {
        let Self { text, written, glyphs, advance } = self;
        let written = (written != text).then_some(written);
        Line { text, written, glyphs, style, width: style.twips_of(advance.saturating_sub(unseen)) }
    }
}

/// The words of a text, as far as they can be printed.
fn words(text: &str) -> impl Iterator<Item = String> {
    let gap = |letter: char| (letter.is_whitespace() && !joins(letter)) || letter.is_control();
    let printed = |word: &str| word.chars().filter(|letter| !is_invisible(*letter)).map(printable).collect::<String>();
    text.split(gap).map(printed).filter(|word| !word.is_empty())
}

/// A text as it is kept beside the paper, as its title: what can be printed of it, and not all of a very long one.
pub(super) fn plain(text: &str) -> String {
    const LONGEST: usize = 300;
    words(text).collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}

/// Spaces at which no line ends.
const fn joins(letter: char) -> bool {
    matches!(letter, '\u{a0}' | '\u{2007}' | '\u{202f}')
}

/// What only steers how others are shown: hyphens and joiners that are not seen, marks of direction (which could show a
/// name in another order than it has), variants.
const fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The letter, or the sign for an unknown one where it has no meaning that a PDF for the archive may keep: private use, and
/// what is no character.
fn printable(letter: char) -> char {
    let code = u32::from(letter);
    let private = matches!(letter, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}');
    let none = matches!(letter, '\u{fdd0}'..='\u{fdef}') || code & 0xfffe == 0xfffe;
    if private || none { '\u{fffd}' } else { letter }
}
