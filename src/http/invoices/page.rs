//! The invoice as a page: every value of it as text, in the order in which it is read.

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use serde::Serialize;

use super::{
    super::{
        pages::{Filled, Page},
        problem::Problem,
    },
    notes,
};
use crate::{
    domain::{
        invoice::{Buyer, Detail, InvoiceLine, Seller, TaxTotal},
        tax::Country,
    },
    store::invoices::Invoice,
};

#[derive(Serialize)]
struct Values<'a> {
    number: &'a str,
    seller: Party<'a>,
    buyer: Party<'a>,
    issued_on: String,
    paid_on: Option<String>,
    order_id: String,
    currency: &'static str,
    lines: Vec<Line<'a>>,
    has_discount: bool,
    /// The coupons' codes.
    coupons: String,
    taxes: Vec<Tax>,
    subtotal: String,
    discount: String,
    tax: String,
    total: String,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Party<'a> {
    /// Only the seller's.
    name: &'a str,
    /// Only the buyer's: the first is who is billed.
    names: Vec<&'a str>,
    lines: Vec<String>,
    vat_id: Option<&'a str>,
    email: Option<&'a str>,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    details: Vec<String>,
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

/// The page. Its dates are those of the shop's time zone.
pub(super) fn of(
    invoice: &Invoice,
    taxes: &[TaxTotal],
    paid_at: Option<Timestamp>,
    time_zone: &TimeZone,
) -> Result<Filled, Problem> {
    let day = |at: Timestamp| at.to_zoned(time_zone.clone()).strftime("%-d %B %Y").to_string();
    let mut coupons: Vec<&str> = invoice.lines.iter().filter_map(|line| line.coupon.as_deref()).collect();
    coupons.dedup();
    let has_discount = !invoice.discount.is_zero();
    let values = Values {
        number: &invoice.number,
        seller: seller(&invoice.seller),
        buyer: buyer(&invoice.buyer),
        issued_on: day(invoice.issued_at),
        paid_on: paid_at.map(day),
        order_id: invoice.order_id.to_string(),
        currency: invoice.total.currency().code(),
        lines: invoice.lines.iter().map(line).collect(),
        has_discount,
        coupons: coupons.join(", "),
        taxes: taxes.iter().map(tax).collect(),
        subtotal: invoice.subtotal.amount_text(),
        discount: invoice.discount.amount_text(),
        tax: invoice.tax.amount_text(),
        total: invoice.total.amount_text(),
        notes: notes(&invoice.lines),
    };
    Page::Invoice.fill(&values, &running_foot(&invoice.number))
}

/// The number at the foot of every sheet. It goes into CSS, so one that is not of plain letters and digits is left out.
fn running_foot(number: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !number.bytes().all(plain) {
        return String::new();
    }
    format!(
        "@page {{ @bottom-left {{ content: \"Invoice {number}\"; font: 8pt/1 system-ui, Arial, sans-serif; color: #667085; }} }}\n"
    )
}

fn seller(seller: &Seller) -> Party<'_> {
    let mut lines = seller.address.clone();
    // Many write the country into the address.
    lines.extend(country(seller.country.as_deref()).filter(|name| !lines.iter().any(|line| line == name)));
    Party {
        name: &seller.name,
        names: Vec::new(),
        lines,
        vat_id: seller.vat_id.as_deref(),
        email: seller.email.as_deref(),
    }
}

fn buyer(buyer: &Buyer) -> Party<'_> {
    let mut names: Vec<&str> = [&buyer.company, &buyer.name].into_iter().filter_map(Option::as_deref).collect();
    let mut email = Some(buyer.email.as_str()).filter(|email| !email.is_empty());
    if names.is_empty() {
        names.extend(email.take());
    }
    let mut lines = buyer.address.as_ref().map(|address| address.lines()).unwrap_or_default();
    lines.extend(country(buyer.country.as_deref()));
    Party { name: "", names, lines, vat_id: buyer.vat_id.as_deref(), email }
}

/// Its name, or its letters where they are no country's that has one.
fn country(code: Option<&str>) -> Option<String> {
    let code = code?;
    let name = code.parse::<Country>().ok().and_then(Country::name);
    Some(name.unwrap_or(code).to_owned())
}

fn line(line: &InvoiceLine) -> Line<'_> {
    let mut terms = Vec::new();
    if line.trial_days > 0 {
        terms.push(format!("Trial: the first {} days are free", line.trial_days));
    }
    if !line.setup_fee.is_zero() {
        terms.push(format!("Includes a set-up fee of {} each", line.setup_fee));
    }
    let chosen: Vec<String> = line.details.iter().map(detail).collect();
    let details = [plan(line), chosen.join(" · "), terms.join(" · "), line.domains.join(", ")];
    let details = details.into_iter().filter(|text| !text.is_empty()).collect();
    Line {
        name: &line.name,
        details,
        quantity: line.quantity,
        unit_price: line.unit_price.to_string(),
        discount: (!line.discount.is_zero()).then(|| line.discount.to_string()),
        tax_rate: line.tax_rate.to_string(),
        net: net(line.subtotal, line.discount),
    }
}

fn plan(line: &InvoiceLine) -> String {
    let billed = if line.billing_cycle == "annual" { "annually" } else { &line.billing_cycle };
    if line.plan_name.is_empty() {
        return format!("Billed {billed}");
    }
    format!("{} plan, billed {billed}", capitalised(&line.plan_name))
}

fn detail(detail: &Detail) -> String {
    match &detail.value {
        Some(value) => format!("{}: {value}", detail.name),
        None => detail.name.clone(),
    }
}

/// What is left is never below nothing: both come from a quote.
fn net(subtotal: Decimal, discount: Decimal) -> String {
    subtotal.saturating_sub(discount).to_string()
}

fn tax(total: &TaxTotal) -> Tax {
    Tax { rate: total.rate.to_string(), net: total.net.amount_text(), tax: total.tax.amount_text() }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
