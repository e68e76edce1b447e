//! What a paper says, as bands of cells: heads, parties, lines, sums, notes.

mod lines;
mod sums;

use super::{
    Kind, Paper, Party,
    layout::{Align, Band, Cell, Content, LEFT, Role, Rule, Table, WIDTH},
    text::{Colour, Line, Style, Twips, Typesetter, tenths_of_mm},
    typeface::Weight,
};

const TITLE: Style = Style::new(Weight::SemiBold, 460, 540, Colour::Ink);
const NUMBER: Style = Style::new(Weight::Regular, 240, 340, Colour::Label);
const NAME: Style = Style::new(Weight::SemiBold, 230, 330, Colour::Ink);
const STRONG: Style = Style::new(Weight::SemiBold, 190, 275, Colour::Ink);
const TEXT: Style = Style::new(Weight::Regular, 190, 275, Colour::Ink);
const MUTED: Style = Style::new(Weight::Regular, 190, 275, Colour::Muted);
const SMALL: Style = Style::new(Weight::Regular, 165, 245, Colour::Muted);
const LABEL: Style = Style::new(Weight::SemiBold, 160, 255, Colour::Muted);
const COLUMN: Style = Style::new(Weight::SemiBold, 165, 245, Colour::Label);

/// Between columns.
const GAP: Twips = tenths_of_mm(40);
/// The right part of heads and sums.
const RIGHT_WIDTH: Twips = WIDTH * 44 / 100;
const RIGHT: Twips = LEFT + WIDTH - RIGHT_WIDTH;
const LEFT_WIDTH: Twips = WIDTH - RIGHT_WIDTH - 2 * GAP;
const RULE: Twips = 24;
const HAIRLINE: Twips = 9;

/// All of a paper.
pub(super) fn of(paper: &Paper, typesetter: &mut Typesetter) -> Content {
    let mut before = vec![heads(paper, typesetter), parties(paper, typesetter)];
    before.extend(reason(paper, typesetter));
    let (head, rows) = lines::of(paper, typesetter);
    let mut after = vec![sums::of(paper, typesetter)];
    after.extend(notes(paper, typesetter));
    Content { before, head, rows, after }
}

/// What stands at the foot of each sheet: which paper it is of, and whose.
pub(super) fn foot(paper: &Paper, typesetter: &mut Typesetter) -> Option<Line> {
    let seller = paper.seller.names.first().map(|name| format!(" · {name}")).unwrap_or_default();
    let text = format!("{}{seller}", paper.title());
    typesetter.wrap(&text, SMALL, WIDTH - tenths_of_mm(350)).into_iter().next()
}

/// `Page 1 of 2`.
pub(super) fn page_of(page: usize, pages: usize, typesetter: &mut Typesetter) -> Option<Line> {
    typesetter.line(&format!("Page {page} of {pages}"), SMALL)
}

/// Cells one below the other.
struct Stack<'a> {
    typesetter: &'a mut Typesetter,
    x: Twips,
    y: Twips,
    width: Twips,
    align: Align,
    cells: Vec<Cell>,
}

impl<'a> Stack<'a> {
    const fn new(typesetter: &'a mut Typesetter, x: Twips, width: Twips, align: Align) -> Self {
        Self { typesetter, x, y: 0, width, align, cells: Vec::new() }
    }

    /// Adds a text, if there is a letter in it.
    fn add(&mut self, text: &str, style: Style, role: Role) {
        let lines = self.typesetter.wrap(text, style, self.width);
        if !lines.is_empty() {
            let cell = Cell { x: self.x, top: self.y, width: self.width, align: self.align, role, lines };
            self.y = cell.bottom();
            self.cells.push(cell);
        }
    }

    fn paragraph(&mut self, text: &str, style: Style) {
        self.add(text, style, Role::Paragraph);
    }

    fn party(&mut self, party: &Party, first: Style) {
        for (at, name) in party.names.iter().enumerate() {
            self.paragraph(name, if at == 0 { first } else { TEXT });
        }
        for line in &party.lines {
            self.paragraph(line, TEXT);
        }
        if let Some(vat_id) = &party.vat_id {
            self.paragraph(&format!("VAT ID {vat_id}"), TEXT);
        }
        if let Some(email) = &party.email {
            self.paragraph(email, MUTED);
        }
    }
}

fn band(above: Twips, cells: Vec<Cell>) -> Band {
    let height = cells.iter().map(Cell::bottom).max().unwrap_or_default();
    Band { above, height, cells, rules: Vec::new() }
}

/// A cell of one line in letters so small that it fits.
fn fitted(typesetter: &mut Typesetter, text: &str, style: Style, place: (Twips, Twips, Twips), role: Role) -> Cell {
    let (x, top, width) = place;
    let lines = typesetter.fitted(text, style, width).into_iter().collect();
    Cell { x, top, width, align: Align::Right, role, lines }
}

fn heads(paper: &Paper, typesetter: &mut Typesetter) -> Band {
    let mut left = Stack::new(typesetter, LEFT, LEFT_WIDTH, Align::Left);
    left.add(paper.kind.name(), TITLE, Role::Title);
    left.paragraph(&paper.number, NUMBER);
    let mut cells = left.cells;
    let mut right = Stack::new(typesetter, RIGHT, RIGHT_WIDTH, Align::Right);
    right.party(&paper.seller, NAME);
    cells.append(&mut right.cells);
    band(0, cells)
}

fn parties(paper: &Paper, typesetter: &mut Typesetter) -> Band {
    let mut left = Stack::new(typesetter, LEFT, LEFT_WIDTH, Align::Left);
    let to = match paper.kind {
        Kind::Invoice => "BILLED TO",
        Kind::CreditNote { .. } => "CREDITED TO",
    };
    left.paragraph(to, LABEL);
    left.y += tenths_of_mm(10);
    left.party(&paper.buyer, STRONG);
    let mut cells = left.cells;
    let mut y = 0;
    for (row, (name, value)) in paper.facts().into_iter().enumerate() {
        let width = tenths_of_mm(260);
        let mut label = Stack { y, ..Stack::new(typesetter, RIGHT, width, Align::Left) };
        label.add(name, MUTED, Role::RowHead(Table::Facts, row));
        cells.append(&mut label.cells);
        let mut fact = Stack { y, ..Stack::new(typesetter, RIGHT + width, RIGHT_WIDTH - width, Align::Right) };
        // An order's id is one long word, which stays on its line in smaller letters.
        let style = if name == "Order" { Style { size: 160, ..TEXT } } else { TEXT };
        fact.add(&value, style, Role::Cell(Table::Facts, row, 1));
        y = fact.y.max(y + TEXT.leading) + tenths_of_mm(6);
        cells.append(&mut fact.cells);
    }
    band(tenths_of_mm(110), cells)
}

/// Why a credit note was written.
fn reason(paper: &Paper, typesetter: &mut Typesetter) -> Option<Band> {
    let Kind::CreditNote { reason, .. } = &paper.kind else { return None };
    let mut stack = Stack::new(typesetter, LEFT, WIDTH, Align::Left);
    stack.paragraph("REASON", LABEL);
    stack.y += tenths_of_mm(10);
    let label_only = stack.cells.len();
    stack.paragraph(reason, TEXT);
    (stack.cells.len() > label_only).then(|| band(tenths_of_mm(80), stack.cells))
}

fn notes(paper: &Paper, typesetter: &mut Typesetter) -> Vec<Band> {
    let closing = paper.closing();
    let notes = paper.notes.iter().map(|note| (note, TEXT)).chain([(&closing, MUTED)]);
    let mut bands = Vec::new();
    for (note, style) in notes {
        let mut stack = Stack::new(typesetter, LEFT, WIDTH, Align::Left);
        stack.paragraph(note, style);
        let above = if bands.is_empty() { tenths_of_mm(90) } else { tenths_of_mm(15) };
        bands.push(band(above, stack.cells));
    }
    bands
}

/// A rule over a width, below `y`.
const fn rule(x: Twips, width: Twips, y: Twips, thickness: Twips, colour: Colour) -> Rule {
    Rule { x, y, width, thickness, colour }
}
