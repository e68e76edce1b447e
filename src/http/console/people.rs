//! Customers, their credit, and the renewals that are to be paid.

use axum::{extract::State, response::Response};
use berth_jobs::ids::{CustomerId, OrderId};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    answer::{Trouble, page},
    forms::{Asked, Named, said},
    session::Signed,
};
use crate::app::App;

const MOST: i64 = 50;

#[derive(Debug, Deserialize)]
pub(super) struct CustomersQuery {
    q: Option<String>,
    before: Option<Uuid>,
}

/// Customers, the newest first.
pub(super) async fn customers(
    signed: Signed,
    State(app): State<App>,
    Asked(query): Asked<CustomersQuery>,
) -> Result<Response, Trouble> {
    let text = said(query.q.as_deref());
    let customers = app.store.console_customers(text, query.before, MOST).await?;
    let full = i64::try_from(customers.len()).is_ok_and(|shown| shown == MOST);
    let older = customers.last().filter(|_| full).map(|customer| customer.id.clone());
    page(&app, &signed, ("customers", "customers.html"), json!({ "customers": customers, "older": older, "q": text }))
}

/// One customer.
pub(super) async fn customer(
    signed: Signed,
    State(app): State<App>,
    Named(id): Named<Uuid>,
) -> Result<Response, Trouble> {
    let (store, id) = (&app.store, CustomerId(id));
    let values = json!({
        "customer": store.console_customer(id).await?,
        "accounts": store.console_accounts_of(id).await?,
        "orders": store.console_orders_of(id).await?,
        "invoices": store.console_invoices_of(id).await?,
        "balances": store.console_balances(Some(id)).await?,
        "credit": store.console_credit(Some(id)).await?,
        "mails": store.console_mails(false, Some(id), None, MOST).await?,
    });
    page(&app, &signed, ("customers", "customer.html"), values)
}

/// Credit: who has any, and how it moved.
pub(super) async fn credit(signed: Signed, State(app): State<App>) -> Result<Response, Trouble> {
    let values = json!({
        "balances": app.store.console_balances(None).await?,
        "credit": app.store.console_credit(None).await?,
    });
    page(&app, &signed, ("customers", "credit.html"), values)
}

#[derive(Debug, Deserialize)]
pub(super) struct RenewalsQuery {
    which: Option<String>,
    after: Option<String>,
}

/// Renewals that are to be paid: those that are late, or those that are not due yet.
pub(super) async fn renewals(
    signed: Signed,
    State(app): State<App>,
    Asked(query): Asked<RenewalsQuery>,
) -> Result<Response, Trouble> {
    let late = query.which.as_deref() != Some("due");
    let after: Option<OrderId> = said(query.after.as_deref()).and_then(|id| id.parse().ok());
    let renewals = app.store.console_renewals(late, after, MOST).await?;
    let full = i64::try_from(renewals.len()).is_ok_and(|shown| shown == MOST);
    let next = renewals.last().filter(|_| full).map(|renewal| renewal.order.clone());
    page(&app, &signed, ("renewals", "renewals.html"), json!({ "renewals": renewals, "next": next, "late": late }))
}
