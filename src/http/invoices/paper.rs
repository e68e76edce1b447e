//! The invoice as a paper, and the answer with its PDF.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use jiff::{civil::Date, tz::TimeZone};

use super::{super::problem::Problem, PDF, notes};
use crate::{
    domain::{invoice::TaxTotal, money::Money, order::OrderPhase},
    error::chain,
    papers::{Kind, Line, Paper, Party, Payment},
    store::invoices::Invoice,
};

/// How an order's total is paid: by when, while it can be, and on which day, once it was.
pub(super) const fn payment(phase: OrderPhase, paid_on: Option<Date>, due: Option<Date>) -> Payment {
    if paid_on.is_some() {
        return Payment::Paid { on: paid_on };
    }
    match phase {
        OrderPhase::Pending | OrderPhase::AwaitingPayment => Payment::Due { by: due },
        OrderPhase::Held
        | OrderPhase::Processing
        | OrderPhase::Completed
        | OrderPhase::Failed
        | OrderPhase::Cancelled
        | OrderPhase::Rejected
        | OrderPhase::Withdrawn => Payment::Unsaid,
    }
}

/// The paper, before anything is known of its payment. Its date is that of the shop's time zone.
pub(super) fn of(invoice: &Invoice, taxes: Vec<TaxTotal>, time_zone: &TimeZone) -> Paper {
    let mut coupons: Vec<String> = invoice.lines.iter().filter_map(|line| line.coupon.clone()).collect();
    coupons.dedup();
    Paper {
        kind: Kind::Invoice,
        number: invoice.number.clone(),
        order: invoice.order_id.to_string(),
        issued_on: invoice.issued_at.to_zoned(time_zone.clone()).date(),
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
        payment: Payment::Unsaid,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_paid_is_paid_whatever_became_of_its_order() {
        let day = Some("2026-12-31".parse().unwrap());

        for phase in OrderPhase::ALL {
            assert_eq!(payment(phase, day, None), Payment::Paid { on: day });
        }
    }

    #[test]
    fn only_what_can_still_be_paid_is_asked_for() {
        let by = Some("2027-01-14".parse().unwrap());

        assert_eq!(payment(OrderPhase::Pending, None, by), Payment::Due { by });
        for phase in [OrderPhase::Cancelled, OrderPhase::Withdrawn, OrderPhase::Failed] {
            assert_eq!(payment(phase, None, by), Payment::Unsaid);
        }
    }
}
