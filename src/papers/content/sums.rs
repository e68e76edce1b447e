//! The sums: the tax by rate at the left, the way to the total at the right.

use super::{COLUMN, GAP, HAIRLINE, LEFT_WIDTH, MUTED, RIGHT, RIGHT_WIDTH, RULE, STRONG, Stack, TEXT, fitted, rule};
use crate::papers::{
    Paper, Payment,
    layout::{Align, Band, Cell, LEFT, Role, Rule, Table},
    text::{Colour, Style, Twips, Typesetter, tenths_of_mm},
    typeface::Weight,
};

const TAX: Style = Style::new(Weight::Regular, 170, 245, Colour::Ink);
const TOTAL: Style = Style::new(Weight::SemiBold, 250, 350, Colour::Ink);
const PADDING: Twips = tenths_of_mm(12);
/// The least that a name leaves to the amount beside it.
const AMOUNT: Twips = RIGHT_WIDTH * 55 / 100;

/// A row of the way to the total.
struct Row {
    name: String,
    amount: String,
    style: Style,
}

pub(super) fn of(paper: &Paper, typesetter: &mut Typesetter) -> Band {
    let (mut cells, mut rules) = taxes(paper, typesetter);
    let (mut totals, mut more) = totals(paper, typesetter);
    cells.append(&mut totals);
    rules.append(&mut more);
    let height = cells.iter().map(Cell::bottom).max().unwrap_or_default() + PADDING;
    Band { above: tenths_of_mm(60), height, cells, rules }
}

fn taxes(paper: &Paper, typesetter: &mut Typesetter) -> (Vec<Cell>, Vec<Rule>) {
    let figures = TAX.tabular();
    let texts: Vec<[String; 3]> = paper
        .taxes
        .iter()
        .map(|tax| [format!("{} %", tax.rate), tax.net.amount_text(), tax.tax.amount_text()])
        .collect();
    if texts.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let rate = tenths_of_mm(170);
    let amount = (LEFT_WIDTH - rate) / 2 - GAP;
    let columns = [(LEFT, rate), (LEFT + rate + GAP, amount), (LEFT + rate + GAP + amount + GAP, amount)];
    let mut cells = Vec::new();
    let mut y = 0;
    for ((x, width), name) in columns.into_iter().zip(["Tax rate", "Net amount", "Tax"]) {
        let align = if x == LEFT { Align::Left } else { Align::Right };
        let mut head = Stack::new(typesetter, x, width, align);
        head.add(name, COLUMN, Role::ColumnHead(Table::Taxes));
        y = y.max(head.y);
        cells.append(&mut head.cells);
    }
    y += PADDING;
    let rules = vec![rule(LEFT, LEFT_WIDTH, y - HAIRLINE, HAIRLINE, Colour::Label)];
    for (row, texts) in texts.iter().enumerate() {
        y += PADDING;
        for (column, (text, (x, width))) in texts.iter().zip(columns).enumerate() {
            let role = Role::Cell(Table::Taxes, row, column);
            let align = if column == 0 { Align::Left } else { Align::Right };
            let cell = fitted(typesetter, text, figures, (x, y, width), role);
            cells.push(Cell { align, ..cell });
        }
        y += TAX.leading;
    }
    (cells, rules)
}

fn rows(paper: &Paper) -> (Vec<Row>, usize) {
    let row = |name: &str, amount: String, style| Row { name: name.to_owned(), amount, style };
    let mut rows = vec![row("Subtotal", paper.subtotal.amount_text(), TEXT)];
    if !paper.discount.is_zero() {
        rows.push(row(&paper.discount_label(), format!("−{}", paper.discount.amount_text()), TEXT));
    }
    rows.push(row("Tax", paper.tax.amount_text(), TEXT));
    let total = rows.len();
    rows.push(row("Total", paper.total.to_string(), TOTAL));
    // What is still to be done about it stands out.
    let style = match paper.payment {
        Payment::Due { .. } => STRONG,
        Payment::Paid { .. } | Payment::Unsaid => MUTED,
    };
    rows.extend(paper.settlement().into_iter().map(|(name, amount)| row(name, amount, style)));
    (rows, total)
}

fn totals(paper: &Paper, typesetter: &mut Typesetter) -> (Vec<Cell>, Vec<Rule>) {
    let (rows, total) = rows(paper);
    let mut cells = Vec::new();
    let mut rules = Vec::new();
    let mut y = 0;
    for (at, row) in rows.iter().enumerate() {
        if at == total {
            y += PADDING;
            rules.push(rule(RIGHT, RIGHT_WIDTH, y, RULE, Colour::Ink));
            y += PADDING;
        }
        let name_width = RIGHT_WIDTH - AMOUNT - GAP;
        let mut name = Stack { y, ..Stack::new(typesetter, RIGHT, name_width, Align::Left) };
        name.add(&row.name, row.style, Role::RowHead(Table::Totals, at));
        let bottom = name.y;
        cells.append(&mut name.cells);
        let place = (RIGHT + RIGHT_WIDTH - AMOUNT, y, AMOUNT);
        cells.push(fitted(typesetter, &row.amount, row.style.tabular(), place, Role::Cell(Table::Totals, at, 1)));
        y = bottom + PADDING;
    }
    (cells, rules)
}
