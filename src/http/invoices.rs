//! `GET /v1/orders/{id}/invoice`: the invoice of an order, for people to print and keep and for programs to book.

mod page;
mod paper;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use berth_jobs::ids::{CustomerId, InvoiceId, OrderId};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    accept,
    auth::Authenticated,
    me::AddressJson,
    orders::{of_store, order_of},
    problem::{Problem, ProblemJson, Refuses},
    segments::Segments,
};
use crate::{
    app::App,
    domain::{
        invoice::{self, Buyer, InvoiceLine, Seller, TaxTotal},
        money::MoneyError,
    },
    papers::Paper,
    store::{StoreError, invoices::Invoice, orders::Order},
};

const HTML: &str = "text/html";
const JSON: &str = "application/json";
const PDF: &str = "application/pdf";
/// What an invoice is there as, what most people want first.
const KINDS: [&str; 3] = [HTML, JSON, PDF];

/// A file.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
struct PdfFile(#[expect(dead_code, reason = "only described")] Vec<u8>);

/// An invoice. Nothing of it ever changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvoiceJson {
    #[schema(value_type = String, example = "inv_01k9z3m6sne5y8r7q2w4x6t8va")]
    id: InvoiceId,
    /// Numbers have no gaps.
    #[schema(example = "INV-000042")]
    number: String,
    #[schema(value_type = String, example = "ord_01k9z3m6sne5y8r7q2w4x6t8va")]
    order_id: OrderId,
    #[schema(value_type = String, format = Uuid)]
    user_id: CustomerId,
    /// The currency of all amounts, ISO 4217.
    #[schema(example = "USD")]
    currency: &'static str,
    seller: SellerJson,
    buyer: BuyerJson,
    lines: Vec<InvoiceLineJson>,
    /// By rate, the highest first.
    taxes: Vec<TaxJson>,
    /// Why the tax is what it is, such as a reverse charge.
    notes: Vec<String>,
    /// Before discount and tax. `total = subtotal − discount + tax`.
    #[schema(example = "4.99")]
    subtotal: String,
    discount: String,
    tax: String,
    /// What was paid.
    total: String,
    #[schema(value_type = String, format = DateTime)]
    issued_at: Timestamp,
}

/// Who sold, as they were then.
#[derive(Debug, Serialize, ToSchema)]
struct SellerJson {
    name: String,
    /// A line each.
    address: Vec<String>,
    /// ISO 3166-1 alpha-2.
    country: Option<String>,
    vat_id: Option<String>,
    email: Option<String>,
}

/// Who bought, as they were when they agreed.
#[derive(Debug, Serialize, ToSchema)]
struct BuyerJson {
    email: String,
    name: Option<String>,
    company: Option<String>,
    /// ISO 3166-1 alpha-2.
    country: Option<String>,
    address: Option<AddressJson>,
    vat_id: Option<String>,
}

/// Accounts that are alike in all that is said here.
#[derive(Debug, Serialize, ToSchema)]
struct InvoiceLineJson {
    #[schema(example = "shared-monthly")]
    service_id: String,
    name: String,
    plan_name: String,
    billing_cycle: String,
    /// How many accounts.
    #[schema(minimum = 1)]
    quantity: u32,
    /// What one cost before discount and tax, set-up fee included.
    unit_price: String,
    /// How much of that is paid once.
    setup_fee: String,
    /// So many days at first are free; else 0.
    trial_days: u32,
    /// What was chosen and added.
    details: Vec<DetailJson>,
    /// The names of the sites.
    domains: Vec<String>,
    /// The period that a renewal is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<PeriodJson>,
    /// `quantity × unit_price`.
    subtotal: String,
    discount: String,
    /// The coupon that it is from.
    coupon: Option<String>,
    /// In per cent.
    #[schema(example = "19")]
    tax_rate: String,
    tax: String,
    /// `subtotal − discount + tax`.
    total: String,
}

/// A period.
#[derive(Debug, Serialize, ToSchema)]
struct PeriodJson {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

/// Something that was chosen or added.
#[derive(Debug, Serialize, ToSchema)]
struct DetailJson {
    /// Of the option or the add-on.
    name: String,
    /// What was chosen; an add-on has none.
    value: Option<String>,
}

/// The tax of one rate.
#[derive(Debug, Serialize, ToSchema)]
struct TaxJson {
    /// In per cent.
    #[schema(example = "19")]
    rate: String,
    /// What it is taken of.
    net: String,
    tax: String,
}

/// Shows the invoice of one of your orders: as a page to print, or, where `Accept` would rather have it, as JSON or as a
/// PDF.
///
/// An order has its invoice from the moment that it is paid; a renewal has it before, with the day by which it is to be
/// paid. Weights (`q`) of `Accept` count; who does not mind gets the page. The PDF is for the archive (PDF/A-2a) and can be read aloud (PDF/UA-1); the same invoice is the same file each
/// time. Letters of scripts that its typeface lacks are shown as boxes, and kept for whoever copies or searches the text.
#[utoipa::path(get, path = "/v1/orders/{id}/invoice", tag = "orders", operation_id = "show_invoice",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`ord_…`")),
    responses(
        (status = 200, description = "The invoice.",
            content(
                (String = "text/html"),
                (InvoiceJson = "application/json"),
                (inline(PdfFile) = "application/pdf"),
            ),
            headers(("content-disposition" = String,
                description = "Of the PDF: its name as a file, such as `INV-000042.pdf`."))),
        (status = 404, description = "You have no such order. `no-invoice-yet`: it is yours, and not paid.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 406, description = "`Accept` takes none of them.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses,
    ),
)]
pub async fn show(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<OrderId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let order = order_of(&app, &customer, id).await?;
    let Some(invoice) = app.store.invoice_of(id).await.map_err(of_store)? else { return Err(none_yet()) };
    let Some(kind) = accept::choose(&headers, &KINDS) else {
        return Err(Problem::not_acceptable(
            "An invoice is there as text/html, as application/json and as application/pdf.",
        ));
    };
    let taxes = invoice::tax_totals(&invoice.lines, invoice.total.currency()).map_err(|error| bad(id, &error))?;
    let mut response = match kind {
        PDF => paper::pdf(&paper_of(&app, &order, &invoice, taxes).await?)?,
        JSON => Json(InvoiceJson::of(invoice, taxes)).into_response(),
        _ => page::of(&paper_of(&app, &order, &invoice, taxes).await?)?.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept, authorization"));
    Ok(response)
}

/// The invoice as a paper, with how its order stands.
async fn paper_of(app: &App, order: &Order, invoice: &Invoice, taxes: Vec<TaxTotal>) -> Result<Paper, Problem> {
    let day = |at: Timestamp| at.to_zoned(app.time_zone.clone()).date();
    let due = if order.is_renewal && order.paid_at.is_none() {
        Some(app.store.renewal(order.state.id).await.map_err(of_store)?.period_start)
    } else {
        None
    };
    let payment = paper::payment(order.state.phase, order.paid_at.map(day), due.map(day));
    Ok(Paper { credit: order.credit, payment, ..paper::of(invoice, taxes, &app.time_zone) })
}

fn none_yet() -> Problem {
    let detail = "This order has no invoice: one is issued when it is paid.";
    Problem::new(axum::http::StatusCode::NOT_FOUND, "no-invoice-yet", "There is no invoice yet", detail)
}

fn bad(order: OrderId, error: &MoneyError) -> Problem {
    of_store(StoreError::unreadable(format!("the invoice of order {order}"), error))
}

/// What the lines say of their taxes, once each.
fn notes(lines: &[InvoiceLine]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for note in lines.iter().filter_map(|line| line.tax_note.as_ref()) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    notes
}

impl InvoiceJson {
    fn of(invoice: Invoice, taxes: Vec<TaxTotal>) -> Self {
        Self {
            id: invoice.id,
            number: invoice.number,
            order_id: invoice.order_id,
            user_id: invoice.customer_id,
            currency: invoice.total.currency().code(),
            seller: invoice.seller.into(),
            buyer: invoice.buyer.into(),
            notes: notes(&invoice.lines),
            lines: invoice.lines.into_iter().map(InvoiceLineJson::from).collect(),
            taxes: taxes.into_iter().map(TaxJson::from).collect(),
            subtotal: invoice.subtotal.amount_text(),
            discount: invoice.discount.amount_text(),
            tax: invoice.tax.amount_text(),
            total: invoice.total.amount_text(),
            issued_at: invoice.issued_at,
        }
    }
}

impl From<Seller> for SellerJson {
    fn from(seller: Seller) -> Self {
        let Seller { name, address, country, vat_id, email } = seller;
        Self { name, address, country, vat_id, email }
    }
}

impl From<Buyer> for BuyerJson {
    fn from(buyer: Buyer) -> Self {
        let Buyer { email, name, company, country, address, vat_id } = buyer;
        Self { email, name, company, country, address: address.map(AddressJson::from), vat_id }
    }
}

impl From<InvoiceLine> for InvoiceLineJson {
    fn from(line: InvoiceLine) -> Self {
        Self {
            service_id: line.service_id,
            name: line.name,
            plan_name: line.plan_name,
            billing_cycle: line.billing_cycle,
            quantity: line.quantity,
            unit_price: line.unit_price.to_string(),
            setup_fee: line.setup_fee.to_string(),
            trial_days: line.trial_days,
            details: line
                .details
                .into_iter()
                .map(|detail| DetailJson { name: detail.name, value: detail.value })
                .collect(),
            domains: line.domains,
            period: line.period.map(|period| PeriodJson { from: period.from, until: period.until }),
            subtotal: line.subtotal.to_string(),
            discount: line.discount.to_string(),
            coupon: line.coupon,
            tax_rate: line.tax_rate.to_string(),
            tax: line.tax.to_string(),
            total: line.total.to_string(),
        }
    }
}

impl From<TaxTotal> for TaxJson {
    fn from(total: TaxTotal) -> Self {
        Self { rate: total.rate.to_string(), net: total.net.amount_text(), tax: total.tax.amount_text() }
    }
}
