//! The invoice as a paper, and the answer with its PDF.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, tz::TimeZone};

use super::{super::problem::Problem, PDF, notes};
use crate::{
    domain::{invoice::TaxTotal, money::Money},
    error::chain,
    papers::{Kind, Line, Paper, Party, Payment},
    store::invoices::Invoice,
};

/// The paper. Its dates are those of the shop's time zone.
pub(super) fn of(invoice: &Invoice, taxes: Vec<TaxTotal>, paid_at: Option<Timestamp>, time_zone: &TimeZone) -> Paper {
    let day = |at: Timestamp| at.to_zoned(time_zone.clone()).date();
    let mut coupons: Vec<String> = invoice.lines.iter().filter_map(|line| line.coupon.clone()).collect();
    coupons.dedup();
    Paper {
        kind: Kind::Invoice,
        number: invoice.number.clone(),
        order: invoice.order_id.to_string(),
        issued_on: day(invoice.issued_at),
        seller: Party::seller(&invoice.seller),
        buyer: Party::buyer(&invoice.buyer),
        lines: invoice.lines.iter().map(Line::sold).collect(),
        coupons,
        taxes,
        subtotal: invoice.subtotal,
        discount: invoice.discount,
        tax: invoice.tax,
        total: invoice.total,
        credit: Money::zero(invoice.total.currency()),
        payment: Payment::Paid { on: paid_at.map(day) },
        notes: notes(&invoice.lines),
    }
}

/// The answer with the paper as a file, which a browser shows.
pub(in crate::http) fn pdf(paper: &Paper) -> Result<Response, Problem> {
    let pdf = paper.pdf().map_err(|error| {
        let id = uuid::Uuid::now_v7().to_string();
        tracing::error!(error = chain(&error), id, number = paper.number, "a paper could not be made");
        Problem::internal(id)
    })?;
    if !pdf.missing.is_empty() {
        let letters: String = pdf.missing.iter().collect();
        tracing::warn!(number = paper.number, letters, "a paper shows boxes for letters that its typeface lacks");
    }
    let mut response = pdf.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PDF));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(name) = HeaderValue::from_str(&format!("inline; filename=\"{}\"", paper.file_name())) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
