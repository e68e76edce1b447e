//! The credit note as a paper.

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    domain::{
        money::{Money, MoneyError},
        refund::{self, CreditLine},
    },
    papers::{Kind, Line, Paper, Party, Payment},
    store::credit_notes::CreditNote,
};

/// The paper. Its dates are those of the shop's time zone.
pub(super) fn of(note: &CreditNote, time_zone: &TimeZone) -> Result<Paper, MoneyError> {
    let day = |at: Timestamp| at.to_zoned(time_zone.clone()).date();
    let currency = note.total.currency();
    let mut notes: Vec<String> = note.lines.iter().filter_map(|line| line.tax_note.clone()).collect();
    notes.dedup();
    notes.extend(note.cancelled_at.map(|at| format!("Cancelled on {}: the money has come back to us.", day(at))));
    let given_back = note.refund_id.is_some() && note.cancelled_at.is_none();
    Ok(Paper {
        kind: Kind::CreditNote { invoice_number: note.invoice_number.clone(), reason: format!("{}.", note.reason) },
        number: note.number.clone(),
        order: note.order_id.to_string(),
        issued_on: day(note.issued_at),
        seller: Party::seller(&note.seller),
        buyer: Party::buyer(&note.buyer),
        lines: note.lines.iter().map(line).collect(),
        coupons: Vec::new(),
        taxes: refund::tax_totals(&note.lines, currency)?,
        subtotal: note.subtotal,
        discount: Money::zero(currency),
        tax: note.tax,
        total: note.total,
        credit: Money::zero(currency),
        payment: if given_back { Payment::Paid { on: Some(day(note.issued_at)) } } else { Payment::Unsaid },
        notes,
    })
}

/// What goes back of a line of the invoice, as one thing.
fn line(line: &CreditLine) -> Line {
    Line {
        name: line.name.clone(),
        details: Vec::new(),
        quantity: 1,
        unit_price: line.net,
        discount: rust_decimal::Decimal::ZERO,
        tax_rate: line.tax_rate,
        net: line.net,
    }
}
