//! The PDF: sheets drawn by krilla, with what each text is to a reader that reads aloud.

mod tags;

use krilla::{
    Document, SerializeSettings,
    color::rgb,
    configure::{Accessibility, Archival, ConfigurationBuilder},
    destination::XyzDestination,
    geom::{PathBuilder, Point, Rect},
    metadata::{DateTime, Metadata},
    num::NormalizedF32,
    outline::{Outline, OutlineNode},
    page::PageSettings,
    paint::{Fill, FillRule},
    surface::Surface,
    tagging::{Artifact, ArtifactType, ContentTag, SpanTag},
    text::{Font, GlyphId, KrillaGlyph},
};

use self::tags::Tags;
use super::{
    Paper, PaperError, content,
    layout::{FOOT, LEFT, Placed, Rule, SHEET_HEIGHT, SHEET_WIDTH, Sheet, WIDTH},
    text::{self, Colour, Line, Twips, Typesetter},
    typeface::{UNITS_PER_EM, Weight},
};

/// The typefaces as krilla wants them.
struct Fonts {
    regular: Font,
    semi_bold: Font,
}

/// The file. `foot` stands at the left of each sheet's foot, the page's number at its right.
pub(super) fn pdf(
    paper: &Paper,
    foot: Option<&Line>,
    sheets: &[Sheet<'_>],
    typesetter: &mut Typesetter,
) -> Result<Vec<u8>, PaperError> {
    let refused = |error: &dyn std::fmt::Debug| PaperError::Refused(format!("{error:?}"));
    let fonts = Fonts { regular: font(Weight::Regular)?, semi_bold: font(Weight::SemiBold)? };
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A2_A)
        .with_accessibility_validator(Accessibility::UA1)
        .finish()
        .map_err(|error| refused(&error))?;
    let mut document = Document::new_with(SerializeSettings { configuration, ..SerializeSettings::default() });
    let title = text::plain(&paper.title());
    document.set_metadata(metadata(paper, title.clone()));
    let mut outline = Outline::new();
    outline.push_child(OutlineNode::new(title.clone(), XyzDestination::new(0, Point::from_xy(0.0, 0.0))));
    document.set_outline(outline);

    let settings = PageSettings::from_wh(points(SHEET_WIDTH), points(SHEET_HEIGHT))
        .ok_or_else(|| PaperError::Refused("a sheet has no size".to_owned()))?;
    let mut tags = Tags::default();
    for (at, sheet) in sheets.iter().enumerate() {
        let number = content::page_of(at + 1, sheets.len(), typesetter);
        let mut page = document.start_page_with(settings.clone());
        let mut surface = page.surface();
        for rule in &sheet.rules {
            draw_rule(&mut surface, rule);
        }
        for placed in &sheet.lines {
            draw_placed(&mut surface, placed, &fonts, &mut tags);
        }
        surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(ArtifactType::Footer)));
        if let Some(foot) = foot {
            draw_line(&mut surface, foot, LEFT, FOOT, &fonts);
        }
        if let Some(number) = &number {
            draw_line(&mut surface, number, LEFT + WIDTH - number.width, FOOT, &fonts);
        }
        surface.end_tagged();
        surface.finish();
        page.finish();
    }
    document.set_tag_tree(tags.into_tree(&title));
    document.finish().map_err(|error| refused(&error))
}

fn font(weight: Weight) -> Result<Font, PaperError> {
    Font::new(weight.file().into(), 0).ok_or(PaperError::Typeface)
}

fn metadata(paper: &Paper, title: String) -> Metadata {
    let day = paper.issued_on;
    let part = |number: i8| u8::try_from(number).unwrap_or(1);
    let date = DateTime::new(u16::try_from(day.year()).unwrap_or_default())
        .month(part(day.month()))
        .day(part(day.day()))
        .hour(0)
        .minute(0)
        .second(0)
        .utc_offset_hour(0);
    let authors = paper.seller.names.iter().map(|name| text::plain(name)).filter(|name| !name.is_empty());
    Metadata::new()
        .title(title)
        .authors(authors.collect())
        .language("en".to_owned())
        .creator("Berth".to_owned())
        .creation_date(date)
}

fn draw_placed<'a>(surface: &mut Surface<'_>, placed: &Placed<'a>, fonts: &Fonts, tags: &mut Tags<'a>) {
    let Placed { x, baseline, line, cell } = *placed;
    match cell {
        Some(cell) => {
            let id = surface.start_tagged(ContentTag::Span(SpanTag::empty().with_actual_text(line.written.as_deref())));
            draw_line(surface, line, x, baseline, fonts);
            tags.add(cell, id);
        }
        None => {
            surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(ArtifactType::Header)));
            draw_line(surface, line, x, baseline, fonts);
        }
    }
    surface.end_tagged();
}

fn draw_line(surface: &mut Surface<'_>, line: &Line, x: Twips, baseline: Twips, fonts: &Fonts) {
    let glyphs: Vec<KrillaGlyph> = line
        .glyphs
        .iter()
        .map(|glyph| KrillaGlyph {
            glyph_id: GlyphId::new(glyph.id),
            text_range: glyph.range.clone(),
            x_advance: ems(glyph.advance),
            x_offset: ems(glyph.x_offset),
            y_offset: ems(glyph.y_offset),
            y_advance: 0.0,
            location: None,
        })
        .collect();
    let font = match line.style.weight {
        Weight::Regular => &fonts.regular,
        Weight::SemiBold => &fonts.semi_bold,
    };
    surface.set_fill(Some(fill(line.style.colour)));
    let start = Point::from_xy(points(x), points(baseline));
    surface.draw_glyphs(start, &glyphs, font.clone(), &line.text, points(line.style.size), false);
}

fn draw_rule(surface: &mut Surface<'_>, rule: &Rule) {
    let (x, y) = (points(rule.x), points(rule.y));
    let Some(rect) = Rect::from_xywh(x, y, points(rule.width), points(rule.thickness)) else { return };
    let mut path = PathBuilder::new();
    path.push_rect(rect);
    let Some(path) = path.finish() else { return };
    surface.set_fill(Some(fill(rule.colour)));
    surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(ArtifactType::Layout)));
    surface.draw_path(&path);
    surface.end_tagged();
}

fn fill(colour: Colour) -> Fill {
    let (red, green, blue) = match colour {
        Colour::Ink => (0x1b, 0x24, 0x30),
        Colour::Label => (0x47, 0x54, 0x67),
        Colour::Muted => (0x66, 0x70, 0x85),
        Colour::Hairline => (0xd7, 0xdb, 0xe2),
    };
    Fill { paint: rgb::Color::new(red, green, blue).into(), opacity: NormalizedF32::ONE, rule: FillRule::default() }
}

/// A length as krilla wants it. All lengths of a sheet fit.
#[expect(clippy::float_arithmetic, reason = "PDF counts in points, which are not whole; nothing is decided by them")]
fn points(length: Twips) -> f32 {
    f32::from(i16::try_from(length).unwrap_or(i16::MAX)) / 20.0
}

/// A measure of a glyph as krilla wants it: in parts of the letters' size.
#[expect(clippy::float_arithmetic, reason = "PDF counts in ems, which are not whole; nothing is decided by them")]
fn ems(units: i64) -> f32 {
    f32::from(i16::try_from(units).unwrap_or(i16::MAX)) / f32::from(UNITS_PER_EM)
}
