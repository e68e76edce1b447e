//! What each text is: the tree of headings, paragraphs and tables that a reader that reads aloud goes by.

use std::num::NonZeroU16;

use krilla::tagging::{Identifier, TableHeaderScope, Tag, TagGroup, TagTree};

use crate::papers::layout::{Cell, Role, Table};

/// Texts with what they are, in the order in which they are read.
#[derive(Default)]
pub(super) struct Tags<'a> {
    texts: Vec<(&'a Cell, Vec<Identifier>)>,
}

/// A row of a table while it is read.
struct Row {
    /// None is the head of the table.
    number: Option<usize>,
    cells: Vec<(Role, Vec<TagGroup>)>,
}

impl<'a> Tags<'a> {
    /// Adds a line of a cell.
    pub(super) fn add(&mut self, cell: &'a Cell, line: Identifier) {
        match self.texts.last_mut() {
            Some((last, lines)) if std::ptr::eq(*last, cell) => lines.push(line),
            Some(_) | None => self.texts.push((cell, vec![line])),
        }
    }

    /// The tree.
    pub(super) fn into_tree(self, title: &str) -> TagTree {
        let mut tree = TagTree::new().with_lang(Some("en".to_owned()));
        let mut table: Option<(Table, Vec<Row>)> = None;
        for (cell, lines) in self.texts {
            let of = table_of(cell.role);
            if let Some((kind, rows)) = table.take_if(|(kind, _)| Some(*kind) != of) {
                tree.push(table_group(kind, rows));
            }
            match of {
                Some(kind) => {
                    let (_, rows) = table.get_or_insert_with(|| (kind, Vec::new()));
                    add_to(rows, cell.role, group(Tag::P, lines));
                }
                None if cell.role == Role::Title => {
                    tree.push(group(Tag::Hn(NonZeroU16::MIN, Some(title.to_owned())), lines));
                }
                None => tree.push(group(Tag::P, lines)),
            }
        }
        if let Some((kind, rows)) = table {
            tree.push(table_group(kind, rows));
        }
        tree
    }
}

fn group(tag: impl Into<krilla::tagging::TagKind>, lines: Vec<Identifier>) -> TagGroup {
    TagGroup::with_children(tag, lines.into_iter().map(Into::into).collect())
}

const fn table_of(role: Role) -> Option<Table> {
    match role {
        Role::Title | Role::Paragraph => None,
        Role::ColumnHead(table) | Role::RowHead(table, _) | Role::Cell(table, _, _) => Some(table),
    }
}

/// Adds a paragraph to its cell. What is broken over two sheets comes back to its own.
fn add_to(rows: &mut Vec<Row>, role: Role, paragraph: TagGroup) {
    let number = match role {
        Role::Title | Role::Paragraph | Role::ColumnHead(_) => None,
        Role::RowHead(_, row) | Role::Cell(_, row, _) => Some(row),
    };
    let row = match rows.iter().rposition(|row| row.number == number) {
        Some(at) => at,
        None => {
            rows.push(Row { number, cells: Vec::new() });
            rows.len() - 1
        }
    };
    let Some(row) = rows.get_mut(row) else { return };
    let is_head = matches!(role, Role::ColumnHead(_));
    match row.cells.iter_mut().find(|(known, _)| *known == role && !is_head) {
        Some((_, paragraphs)) => paragraphs.push(paragraph),
        None => row.cells.push((role, vec![paragraph])),
    }
}

fn table_group(_: Table, rows: Vec<Row>) -> TagGroup {
    let mut table = TagGroup::new(Tag::Table);
    let mut body = TagGroup::new(Tag::TBody);
    for row in rows {
        let mut group = TagGroup::new(Tag::TR);
        for (role, paragraphs) in row.cells {
            let mut cell = match role {
                Role::ColumnHead(_) => TagGroup::new(Tag::TH(TableHeaderScope::Column)),
                Role::RowHead(_, _) => TagGroup::new(Tag::TH(TableHeaderScope::Row)),
                Role::Title | Role::Paragraph | Role::Cell(_, _, _) => TagGroup::new(Tag::TD),
            };
            for paragraph in paragraphs {
                cell.push(paragraph);
            }
            group.push(cell);
        }
        if row.number.is_none() {
            table.push(TagGroup::with_children(Tag::THead, vec![group.into()]));
        } else {
            body.push(group);
        }
    }
    table.push(body);
    table
}
