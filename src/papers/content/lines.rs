//! The table of what was sold.

use super::{COLUMN, GAP, HAIRLINE, RULE, SMALL, STRONG, Stack, TEXT, fitted, rule};
use crate::papers::{
    Line, Paper,
    layout::{Align, Band, Cell, LEFT, Role, Table, WIDTH},
    text::{Colour, Style, Twips, Typesetter, tenths_of_mm},
};

/// What names leave to figures, at the least.
const NARROWEST_DESCRIPTION: Twips = tenths_of_mm(520);
const PADDING: Twips = tenths_of_mm(24);
/// Below the heads of columns, and between those of two lines.
const HEAD_PADDING: Twips = tenths_of_mm(18);

/// A column of figures, from the left.
struct Column {
    head: &'static str,
    texts: Vec<String>,
    x: Twips,
    width: Twips,
}

/// The head of the table, and its rows.
pub(super) fn of(paper: &Paper, typesetter: &mut Typesetter) -> (Band, Vec<Band>) {
    let (columns, style) = placed(columns(paper), typesetter);
    let first = columns.first().map_or(LEFT + WIDTH, |column| column.x);
    let description = (first - GAP - LEFT).max(0);
    let head = head(&columns, description, typesetter);
    let last = paper.lines.len().saturating_sub(1);
    let rows = paper.lines.iter().enumerate().map(|(at, line)| {
        let mut cells = described(line, at, description, typesetter);
        let bottom = cells.iter().map(Cell::bottom).max().unwrap_or(PADDING + TEXT.leading);
        for (column, text) in columns.iter().enumerate().filter_map(|(n, column)| Some((n, column.texts.get(at)?))) {
            let Column { x, width, .. } = &columns[column];
            let role = Role::Cell(Table::Lines, at, column + 1);
            cells.push(fitted(typesetter, text, style, (*x, PADDING, *width), role));
        }
        let height = bottom + PADDING;
        let colour = if at == last { Colour::Label } else { Colour::Hairline };
        Band { above: 0, height, cells, rules: vec![rule(LEFT, WIDTH, height - HAIRLINE, HAIRLINE, colour)] }
    });
    (head, rows.collect())
}

fn columns(paper: &Paper) -> Vec<Column> {
    let column = |head, text: fn(&Line) -> String| {
        let texts = paper.lines.iter().map(text).collect();
        Column { head, texts, x: 0, width: 0 }
    };
    let mut columns = vec![
        column("Quantity", |line| line.quantity.to_string()),
        column("Unit price", |line| line.unit_price.to_string()),
    ];
    if !paper.discount.is_zero() {
        columns.push(column("Discount", |line| {
            if line.discount.is_zero() { "–".to_owned() } else { format!("−{}", line.discount) }
        }));
    }
    columns.push(column("Tax rate", |line| format!("{} %", line.tax_rate)));
    columns.push(column("Net amount", |line| line.net.to_string()));
    columns
}

/// The columns at the right edge, each as wide as its widest figure, in letters that leave room for the names.
fn placed(mut columns: Vec<Column>, typesetter: &mut Typesetter) -> (Vec<Column>, Style) {
    const STEP: Twips = 10;
    const LEAST: Twips = 90;
    let mut style = TEXT.tabular();
    loop {
        let mut x = LEFT + WIDTH;
        for column in columns.iter_mut().rev() {
            column.width = widest(column, style, typesetter);
            x = x.saturating_sub(column.width);
            column.x = x;
            x -= GAP;
        }
        if x - LEFT >= NARROWEST_DESCRIPTION || style.size <= LEAST {
            break;
        }
        style = Style { size: style.size - STEP, ..style };
    }
    (columns, style)
}

/// The width of a column: of its head or of its widest figure, and of no more than a fifth of the sheet.
fn widest(column: &Column, style: Style, typesetter: &mut Typesetter) -> Twips {
    let head = typesetter.line(column.head, COLUMN).map_or(0, |line| line.width);
    // Of figures of one width the longest is the widest.
    let longest = column.texts.iter().max_by_key(|text| text.chars().count());
    let figures = longest.and_then(|text| typesetter.line(text, style)).map_or(0, |line| line.width);
    head.max(figures).min(WIDTH / 5)
}

fn head(columns: &[Column], description: Twips, typesetter: &mut Typesetter) -> Band {
    let role = Role::ColumnHead(Table::Lines);
    let mut names = Stack::new(typesetter, LEFT, description, Align::Left);
    names.add("Description", COLUMN, role);
    let mut cells = names.cells;
    for column in columns {
        let mut stack = Stack::new(typesetter, column.x, column.width, Align::Right);
        stack.add(column.head, COLUMN, role);
        cells.append(&mut stack.cells);
    }
    let height = cells.iter().map(Cell::bottom).max().unwrap_or_default() + HEAD_PADDING;
    let rules = vec![rule(LEFT, WIDTH, height - RULE, RULE, Colour::Ink)];
    Band { above: tenths_of_mm(100), height, cells, rules }
}

/// The name and what else is said of it.
fn described(line: &Line, row: usize, width: Twips, typesetter: &mut Typesetter) -> Vec<Cell> {
    let role = Role::Cell(Table::Lines, row, 0);
    let mut stack = Stack { y: PADDING, ..Stack::new(typesetter, LEFT, width, Align::Left) };
    stack.add(&line.name, STRONG, role);
    for detail in &line.details {
        stack.add(detail, SMALL, role);
    }
    stack.cells
}
