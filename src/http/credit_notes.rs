//! `GET /v1/credit-notes`: what takes back an invoice, or a part of it.

mod paper;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use berth_jobs::ids::{CreditNoteId, CustomerId, InvoiceId, OrderId, RefundId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    accept,
    auth::{Authenticated, Role},
    invoices::{self, BuyerJson, HTML, JSON, PDF, PdfFile, SellerJson},
    orders::{may_see, of_store},
    paging::{Listed, PageQuery},
    problem::{Problem, ProblemJson, Refuses, RefusesStaff},
    segments::Segments,
};
use crate::{
    app::App,
    domain::refund::CreditLine,
    store::{StoreError, credit_notes::CreditNote},
};

/// What a credit note is there as, what programs want first.
const KINDS: [&str; 3] = [JSON, HTML, PDF];

/// Which credit notes to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CreditNotesQuery {
    /// How many: 1 to 100, 20 when not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The id of the last one of the page before.
    #[param(value_type = Option<String>, pattern = "^crn_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    starting_after: Option<CreditNoteId>,
    /// Whose; without it, your own. Staff only.
    #[param(value_type = Option<String>, format = Uuid)]
    customer_id: Option<Uuid>,
}

/// A credit note. Nothing of it ever changes, but that it may be cancelled.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditNoteJson {
    #[schema(value_type = String, example = "crn_01k9z3m6sne5y8r7q2w4x6t8va")]
    id: CreditNoteId,
    /// Numbers have no gaps.
    #[schema(example = "CN-000042")]
    number: String,
    #[schema(value_type = String, example = "inv_01k9z3m6sne5y8r7q2w4x6t8va")]
    invoice_id: InvoiceId,
    /// The invoice that it takes back, or a part of it.
    #[schema(example = "INV-000042")]
    invoice_number: String,
    #[schema(value_type = String, example = "ord_01k9z3m6sne5y8r7q2w4x6t8va")]
    order_id: OrderId,
    #[schema(value_type = String, format = Uuid)]
    user_id: CustomerId,
    /// The refund that it is for; null where the invoice was never paid.
    #[schema(value_type = Option<String>)]
    refund_id: Option<RefundId>,
    reason: String,
    /// The currency of all amounts, ISO 4217.
    #[schema(example = "USD")]
    currency: &'static str,
    seller: SellerJson,
    buyer: BuyerJson,
    lines: Vec<CreditNoteLineJson>,
    /// Without tax, the discount taken off. `total = subtotal + tax`.
    #[schema(example = "4.19")]
    subtotal: String,
    tax: String,
    /// What goes back.
    total: String,
    #[schema(value_type = String, format = DateTime)]
    issued_at: Timestamp,
    /// When it was known that its money has come back to us: it counts no more, and keeps its number.
    #[schema(value_type = Option<String>, format = DateTime)]
    cancelled_at: Option<Timestamp>,
}

/// What is taken back of one line of the invoice.
#[derive(Debug, Serialize, ToSchema)]
struct CreditNoteLineJson {
    #[schema(example = "shared-monthly")]
    service_id: String,
    name: String,
    /// Without tax, the discount taken off.
    net: String,
    /// In per cent.
    #[schema(example = "19")]
    tax_rate: String,
    tax: String,
    /// Why the tax is what it is, such as a reverse charge.
    tax_note: Option<String>,
    /// `net + tax`.
    total: String,
}

/// Lists your credit notes, the newest first.
#[utoipa::path(get, path = "/v1/credit-notes", tag = "orders", operation_id = "list_credit_notes",
    params(CreditNotesQuery),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of credit notes.", body = Listed<CreditNoteJson>),
        (status = 400, description = "A parameter is not what this takes.", body = ProblemJson,
            content_type = "application/problem+json"),
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn list(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    query: Result<Query<CreditNotesQuery>, QueryRejection>,
) -> Result<Json<Listed<CreditNoteJson>>, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid_request(error.body_text()))?;
    let paging = PageQuery::of_limit(query.limit)?;
    let whose = match query.customer_id.map(CustomerId) {
        None => customer.id,
        Some(other) if customer.role == Role::Staff || other == customer.id => other,
        Some(_) => return Err(Problem::forbidden("Only staff may list another customer's credit notes.")),
    };
    let notes = app.store.credit_notes_of(whose, query.starting_after, paging.fetch()).await.map_err(of_store)?;
    Ok(Json(paging.page(notes.into_iter().map(CreditNoteJson::from).collect())))
}

/// Shows one of your credit notes: as JSON, or, where `Accept` would rather have it, as a page to print or as a PDF.
#[utoipa::path(get, path = "/v1/credit-notes/{id}", tag = "orders", operation_id = "show_credit_note",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`crn_…`")),
    responses(
        (status = 200, description = "The credit note.",
            content(
                (CreditNoteJson = "application/json"),
                (String = "text/html"),
                (inline(PdfFile) = "application/pdf"),
            ),
            headers(("content-disposition" = String,
                description = "Of the PDF: its name as a file, such as `CN-000042.pdf`."))),
        (status = 404, description = "You have no such credit note.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 406, description = "`Accept` takes none of them.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses,
    ),
)]
pub async fn show(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<CreditNoteId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let note = app.store.credit_note(id).await.map_err(of_store)?;
    if !may_see(&customer, note.customer_id) {
        return Err(Problem::not_found());
    }
    let Some(kind) = accept::choose(&headers, &KINDS) else {
        let detail = "A credit note is there as application/json, as text/html and as application/pdf.";
        return Err(Problem::not_acceptable(detail));
    };
    let paper = || {
        let bad = |error| of_store(StoreError::unreadable(format!("credit note {}", note.number), &error));
        paper::of(&note, &app.time_zone).map_err(bad)
    };
    let mut response = match kind {
        PDF => invoices::pdf(&paper()?)?,
        HTML => invoices::page_of(&paper()?)?.into_response(),
        _ => Json(CreditNoteJson::from(note)).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("accept, authorization"));
    Ok(response)
}

impl From<CreditNote> for CreditNoteJson {
    fn from(note: CreditNote) -> Self {
        Self {
            id: note.id,
            number: note.number,
            invoice_id: note.invoice_id,
            invoice_number: note.invoice_number,
            order_id: note.order_id,
            user_id: note.customer_id,
            refund_id: note.refund_id,
            reason: note.reason,
            currency: note.total.currency().code(),
            seller: note.seller.into(),
            buyer: note.buyer.into(),
            lines: note.lines.into_iter().map(CreditNoteLineJson::from).collect(),
            subtotal: note.subtotal.amount_text(),
            tax: note.tax.amount_text(),
            total: note.total.amount_text(),
            issued_at: note.issued_at,
            cancelled_at: note.cancelled_at,
        }
    }
}

impl From<CreditLine> for CreditNoteLineJson {
    fn from(line: CreditLine) -> Self {
        Self {
            service_id: line.service_id,
            name: line.name,
            net: line.net.to_string(),
            tax_rate: line.tax_rate.to_string(),
            tax: line.tax.to_string(),
            tax_note: line.tax_note,
            total: line.total.to_string(),
        }
    }
}
