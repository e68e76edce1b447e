//! The words of papers, where the page for a browser and the PDF say the same.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rust_decimal::Decimal;

use super::{Kind, Line, Paper, Party, Payment};
use crate::domain::{
    invoice::{Buyer, Detail, InvoiceLine, Seller},
    tax::Country,
};

/// `31 December 2026`.
#[must_use]
pub fn day(date: Date) -> String {
    date.strftime("%-d %B %Y").to_string()
}

impl Party {
    /// Who sells.
    #[must_use]
    pub fn seller(seller: &Seller) -> Self {
        let mut lines = seller.address.clone();
        // Many write the country into the address.
        lines.extend(country(seller.country.as_deref()).filter(|name| !seller.address.contains(name)));
        Self { names: vec![seller.name.clone()], lines, vat_id: seller.vat_id.clone(), email: seller.email.clone() }
    }

    /// Who buys: a company, a person, or whoever has the address for mail.
    #[must_use]
    pub fn buyer(buyer: &Buyer) -> Self {
        let mut names: Vec<String> = [&buyer.company, &buyer.name].into_iter().flatten().cloned().collect();
        let mut email = Some(buyer.email.clone()).filter(|email| !email.is_empty());
        if names.is_empty() {
            names.extend(email.take());
        }
        let mut lines = buyer.address.as_ref().map(|address| address.lines()).unwrap_or_default();
        lines.extend(country(buyer.country.as_deref()));
        Self { names, lines, vat_id: buyer.vat_id.clone(), email }
    }
}

impl Line {
    /// A line as it was sold.
    #[must_use]
    pub fn sold(line: &InvoiceLine) -> Self {
        let mut terms = Vec::new();
        if line.trial_days > 0 {
            terms.push(format!("Trial: the first {} days are free", line.trial_days));
        }
        if !line.setup_fee.is_zero() {
            terms.push(format!("Includes a set-up fee of {} each", line.setup_fee));
        }
        if let Some(period) = line.period {
            let date = |at: Timestamp| day(at.to_zoned(TimeZone::UTC).date());
            terms.push(format!("{} to {}", date(period.from), date(period.until)));
        }
        let chosen: Vec<String> = line.details.iter().map(detail).collect();
        let details = [plan(line), chosen.join(" · "), terms.join(" · "), line.domains.join(", ")];
        Self {
            name: line.name.clone(),
            details: details.into_iter().filter(|text| !text.is_empty()).collect(),
            quantity: line.quantity,
            unit_price: line.unit_price,
            discount: line.discount,
            tax_rate: line.tax_rate,
            net: net(line.subtotal, line.discount),
        }
    }
}

impl Paper {
    /// The facts beside the buyer, each with its name.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = match &self.kind {
            Kind::Invoice => vec![("Invoice date", day(self.issued_on))],
            Kind::CreditNote { invoice_number, .. } => {
                vec![("Date", day(self.issued_on)), ("For invoice", invoice_number.clone())]
            }
        };
        match (&self.kind, self.payment) {
            (Kind::Invoice, Payment::Paid { on: Some(on) }) => facts.push(("Paid on", day(on))),
            (Kind::CreditNote { .. }, Payment::Paid { on: Some(on) }) => facts.push(("Refunded on", day(on))),
            (Kind::Invoice, Payment::Due { by: Some(by) }) => facts.push(("Due on", day(by))),
            (_, Payment::Paid { on: None } | Payment::Due { .. } | Payment::Unsaid) => {}
        }
        facts.extend([("Order", self.order.clone()), ("Currency", self.total.currency().code().to_owned())]);
        facts
    }

    /// What stands below the total, with its amount: how much came from credit, and how the rest is paid.
    #[must_use]
    pub fn settlement(&self) -> Vec<(&'static str, String)> {
        let Ok(rest) = self.rest() else { return Vec::new() };
        let mut rows = Vec::new();
        if !self.credit.is_zero() {
            rows.push(("Paid from credit", format!("−{}", self.credit)));
        }
        let said = match (&self.kind, self.payment) {
            (Kind::Invoice, Payment::Paid { .. }) => Some("Paid"),
            (Kind::CreditNote { .. }, Payment::Paid { .. }) => Some("Refunded"),
            (Kind::Invoice, Payment::Due { .. }) => Some("To be paid"),
            (Kind::CreditNote { .. }, Payment::Due { .. }) => Some("To be refunded"),
            (_, Payment::Unsaid) => None,
        };
        rows.extend(said.map(|said| (said, rest.to_string())));
        rows
    }

    /// The sentence at the end.
    #[must_use]
    pub fn closing(&self) -> String {
        let amounts = format!("All amounts are in {}.", self.total.currency().code());
        match (&self.kind, self.payment) {
            (Kind::Invoice, Payment::Paid { .. }) => {
                format!("{amounts} This invoice has been paid in full; nothing is due.")
            }
            (Kind::Invoice, Payment::Due { by: Some(by) }) => format!("{amounts} Please pay by {}.", day(by)),
            (Kind::CreditNote { .. }, _) | (Kind::Invoice, Payment::Due { by: None } | Payment::Unsaid) => amounts,
        }
    }

    /// The discount's name, with the codes of its coupons.
    #[must_use]
    pub fn discount_label(&self) -> String {
        if self.coupons.is_empty() { "Discount".to_owned() } else { format!("Discount ({})", self.coupons.join(", ")) }
    }
}

/// Its name, or its letters where they are no country's that has one.
fn country(code: Option<&str>) -> Option<String> {
    let code = code?;
    let name = code.parse::<Country>().ok().and_then(Country::name);
    Some(name.unwrap_or(code).to_owned())
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
fn net(subtotal: Decimal, discount: Decimal) -> Decimal {
    subtotal.saturating_sub(discount)
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
