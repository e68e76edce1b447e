//! The invoice as a page: every value of it as text, in the order in which it is read.

use serde::Serialize;

use super::super::{
    pages::{Filled, Page},
    problem::Problem,
};
use crate::{
    domain::invoice::TaxTotal,
    papers::{self, Paper, Party},
};

#[derive(Serialize)]
struct Values<'a> {
    kind: &'static str,
    title: String,
    number: &'a str,
    seller: Names<'a>,
    buyer: Names<'a>,
    facts: Vec<Row>,
    lines: Vec<Line<'a>>,
    has_discount: bool,
    discount_label: String,
    taxes: Vec<Tax>,
    subtotal: String,
    discount: String,
    tax: String,
    total: String,
    /// Below the total: how it is paid.
    settlement: Vec<Row>,
    notes: &'a [String],
    closing: String,
}

#[derive(Serialize)]
struct Names<'a> {
    /// The first is who is meant above all.
    names: &'a [String],
    lines: &'a [String],
    vat_id: Option<&'a str>,
    email: Option<&'a str>,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    value: String,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    details: &'a [String],
    quantity: u32,
    unit_price: String,
    discount: Option<String>,
    tax_rate: String,
    net: String,
}

#[derive(Serialize)]
struct Tax {
    rate: String,
    net: String,
    tax: String,
}

/// The page.
pub(in crate::http) fn of(paper: &Paper) -> Result<Filled, Problem> {
    let rows = |rows: Vec<(&'static str, String)>| rows.into_iter().map(|(name, value)| Row { name, value }).collect();
    let values = Values {
        kind: paper.kind.name(),
        title: paper.title(),
        number: &paper.number,
        seller: names(&paper.seller),
        buyer: names(&paper.buyer),
        facts: rows(paper.facts()),
        lines: paper.lines.iter().map(line).collect(),
        has_discount: !paper.discount.is_zero(),
        discount_label: paper.discount_label(),
        taxes: paper.taxes.iter().map(tax).collect(),
        subtotal: paper.subtotal.amount_text(),
        discount: paper.discount.amount_text(),
        tax: paper.tax.amount_text(),
        total: paper.total.to_string(),
        settlement: rows(paper.settlement()),
        notes: &paper.notes,
        closing: paper.closing(),
    };
    Page::Invoice.fill(&values, &running_foot(paper))
}

/// The title at the foot of every sheet. It goes into CSS, so a number that is not of plain letters and digits is left out.
fn running_foot(paper: &Paper) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !paper.number.bytes().all(plain) {
        return String::new();
    }
    format!(
        "@page {{ @bottom-left {{ content: \"{}\"; font: 8pt/1 system-ui, Arial, sans-serif; color: #667085; }} }}\n",
        paper.title()
    )
}

fn names(party: &Party) -> Names<'_> {
    Names { names: &party.names, lines: &party.lines, vat_id: party.vat_id.as_deref(), email: party.email.as_deref() }
}

fn line(line: &papers::Line) -> Line<'_> {
    Line {
        name: &line.name,
        details: &line.details,
        quantity: line.quantity,
        unit_price: line.unit_price.to_string(),
        discount: (!line.discount.is_zero()).then(|| line.discount.to_string()),
        tax_rate: line.tax_rate.to_string(),
        net: line.net.to_string(),
    }
}

fn tax(total: &TaxTotal) -> Tax {
    Tax { rate: total.rate.to_string(), net: total.net.amount_text(), tax: total.tax.amount_text() }
}

#[cfg(test)]
mod tests;
