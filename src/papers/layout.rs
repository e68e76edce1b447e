//! Where everything stands: bands of cells one below the other, on as many sheets of A4 as they need.

use super::text::{Colour, Line, Twips, tenths_of_mm};
use super::typeface::{ASCENT, DESCENT, UNITS_PER_EM};

pub(super) const SHEET_WIDTH: Twips = 11_906;
pub(super) const SHEET_HEIGHT: Twips = 16_838;
pub(super) const LEFT: Twips = tenths_of_mm(160);
pub(super) const WIDTH: Twips = SHEET_WIDTH - 2 * LEFT;
const TOP: Twips = tenths_of_mm(180);
const BOTTOM: Twips = SHEET_HEIGHT - tenths_of_mm(220);
const BODY: Twips = BOTTOM - TOP;
/// The baseline of what stands at the foot of each sheet.
pub(super) const FOOT: Twips = SHEET_HEIGHT - tenths_of_mm(120);

/// The tables of a paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Facts,
    Lines,
    Taxes,
    Totals,
}

/// What a text is to somebody who has the paper read to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Title,
    Paragraph,
    /// The head of a column.
    ColumnHead(Table),
    /// The head of a row.
    RowHead(Table, usize),
    /// A cell of a row; cells that are alike in all of it are one.
    Cell(Table, usize, usize),
}

/// To which side of its place a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Lines one below the other, at a place within a band.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) x: Twips,
    pub(super) top: Twips,
    pub(super) width: Twips,
    pub(super) align: Align,
    pub(super) role: Role,
    pub(super) lines: Vec<Line>,
}

impl Cell {
    pub(super) fn bottom(&self) -> Twips {
        self.lines.iter().fold(self.top, |bottom, line| bottom.saturating_add(line.style.leading))
    }
}

/// A horizontal rule within a band, below `y`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) x: Twips,
    pub(super) y: Twips,
    pub(super) width: Twips,
    pub(super) thickness: Twips,
    pub(super) colour: Colour,
}

/// What stands side by side. It is broken over two sheets only if it is higher than one.
#[derive(Clone, Debug, Default)]
pub(super) struct Band {
    /// Free space above, except where it begins a sheet.
    pub(super) above: Twips,
    pub(super) height: Twips,
    pub(super) cells: Vec<Cell>,
    pub(super) rules: Vec<Rule>,
}

/// All of a paper, in the order in which it is read.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) before: Vec<Band>,
    /// Stands above the rows on every sheet that has some.
    pub(super) head: Band,
    pub(super) rows: Vec<Band>,
    /// Stands together, if one sheet is enough for it.
    pub(super) after: Vec<Band>,
}

/// A line in its place on a sheet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'a> {
    pub(super) x: Twips,
    pub(super) baseline: Twips,
    pub(super) line: &'a Line,
    /// None for what only repeats what was said before.
    pub(super) cell: Option<&'a Cell>,
}

/// One sheet.
#[derive(Clone, Debug, Default)]
pub(super) struct Sheet<'a> {
    pub(super) lines: Vec<Placed<'a>>,
    pub(super) rules: Vec<Rule>,
}

/// Sheets while they are filled.
struct Sheets<'a> {
    head: &'a Band,
    done: Vec<Sheet<'a>>,
    sheet: Sheet<'a>,
    /// Where the next band would begin.
    y: Twips,
    /// Where a band begins if it is the first of its sheet, or of its rows.
    begin: Twips,
}

/// The content on its sheets.
pub(super) fn sheets(content: &Content) -> Vec<Sheet<'_>> {
    let mut sheets = Sheets { head: &content.head, done: Vec::new(), sheet: Sheet::default(), y: TOP, begin: TOP };
    for band in &content.before {
        sheets.add(band, false);
    }
    sheets.begin_rows(content.rows.first());
    for row in &content.rows {
        sheets.add(row, true);
    }
    sheets.keep_together(&content.after);
    for band in &content.after {
        sheets.add(band, false);
    }
    sheets.done.push(sheets.sheet);
    sheets.done
}

impl<'a> Sheets<'a> {
    /// The head of the rows, on the sheet of the first of them.
    fn begin_rows(&mut self, first: Option<&'a Band>) {
        let together = first.map_or(0, |row| row.height).saturating_add(self.head.height);
        let head = self.head;
        if together <= BODY && self.y.saturating_add(head.above).saturating_add(together) > BOTTOM {
            self.turn(false);
        }
        self.add(head, false);
    }

    /// Begins a sheet for what does not fit on this one and would fit on that: no sheet has but the last sentence.
    fn keep_together(&mut self, bands: &[Band]) {
        let heights = bands.iter().map(|band| band.above.saturating_add(band.height));
        let together = heights.fold(0, Twips::saturating_add);
        if together <= BODY && self.y.saturating_add(together) > BOTTOM {
            self.turn(false);
        }
    }

    fn add(&mut self, band: &'a Band, is_row: bool) {
        let repeated = if is_row { self.head.height } else { 0 };
        let above = if self.y == self.begin { 0 } else { band.above };
        if self.y.saturating_add(above).saturating_add(band.height) <= BOTTOM {
            self.y = self.y.saturating_add(above);
            self.place(band, 0, Twips::MAX);
        } else if band.height <= BODY - repeated {
            self.turn(is_row);
            self.place(band, 0, Twips::MAX);
        } else {
            self.y = self.y.saturating_add(above);
            self.add_in_parts(band, is_row);
        }
    }

    /// A band that is higher than a sheet, broken between lines.
    fn add_in_parts(&mut self, band: &'a Band, is_row: bool) {
        let mut from = 0;
        while from < band.height {
            let until = from.saturating_add(BOTTOM.saturating_sub(self.y));
            if until >= band.height {
                return self.place(band, from, Twips::MAX);
            }
            // Every cell ends with its last line that still fits; what comes first of the others begins the next sheet.
            let next = lines_of(band).filter(|(_, _, _, bottom)| *bottom > until).map(|(_, _, top, _)| top).min();
            let next = next.unwrap_or(band.height);
            if next > from {
                self.place(band, from, next);
                from = next;
            } else if self.y == self.begin {
                // A single line is higher than a sheet: it is shown as far as it goes.
                return self.place(band, from, Twips::MAX);
            }
            self.turn(is_row);
        }
    }

    /// Places the lines and rules of a band that begin at `from` and before `until`.
    fn place(&mut self, band: &'a Band, from: Twips, until: Twips) {
        let shift = self.y.saturating_sub(from);
        for (cell, line, top, _) in lines_of(band).filter(|(_, _, top, _)| (from..until).contains(top)) {
            let placed = at(cell, line, top.saturating_add(shift));
            self.sheet.lines.push(Placed { cell: Some(cell), ..placed });
        }
        let rules = band.rules.iter().filter(|rule| (from..until).contains(&rule.y));
        self.sheet.rules.extend(rules.map(|rule| Rule { y: rule.y.saturating_add(shift), ..*rule }));
        self.y = self.y.saturating_add(band.height.min(until).saturating_sub(from));
    }

    /// Goes on with the next sheet.
    fn turn(&mut self, is_row: bool) {
        self.done.push(std::mem::take(&mut self.sheet));
        (self.y, self.begin) = (TOP, TOP);
        if is_row {
            let head = self.head;
            self.place(head, 0, Twips::MAX);
            for line in &mut self.sheet.lines {
                line.cell = None;
            }
            self.begin = self.y;
        }
    }
}

/// Lines of a band with their tops and bottoms.
fn lines_of(band: &Band) -> impl Iterator<Item = (&Cell, &Line, Twips, Twips)> {
    band.cells.iter().flat_map(|cell| {
        cell.lines.iter().scan(cell.top, move |bottom, line| {
            let top = *bottom;
            *bottom = bottom.saturating_add(line.style.leading);
            Some((cell, line, top, *bottom))
        })
    })
}

/// A line of a cell, its top at this height of the sheet.
fn at<'a>(cell: &Cell, line: &'a Line, top: Twips) -> Placed<'a> {
    let x = match cell.align {
        Align::Left => cell.x,
        Align::Right => cell.x.saturating_add(cell.width).saturating_sub(line.width),
    };
    Placed { x, baseline: top.saturating_add(baseline(line)), line, cell: None }
}

/// How far below the top of a line its letters stand: their height in the middle of the line's.
fn baseline(line: &Line) -> Twips {
    let (size, leading) = (i64::from(line.style.size), i64::from(line.style.leading));
    let em = i64::from(UNITS_PER_EM);
    let free = leading * em - (ASCENT + DESCENT) * size;
    Twips::try_from((free / 2 + ASCENT * size) / em).unwrap_or_default()
}
