//! The first page, alerts, the audit log, and finding whatever a text names.

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    answer::{Trouble, done, page},
    forms::{Asked, Because, Done, Named, Posted, audit as audited, reason, said},
    links,
    session::Signed,
};
use crate::{
    app::App,
    domain::why::why,
    store::{
        audit_log::AuditEntry,
        console::{AlertLine, Counts, Found, OrderLine, QueueLine, SweepLine},
    },
    sweeps::Sweep,
};

/// So many orders are told of on the first page, with why they are not live, or not paid.
const MOST_UNDELIVERED: i64 = 8;
const MOST_DECLINED: i64 = 5;
const MOST_ALERTS: i64 = 200;
const MOST_ENTRIES: i64 = 100;

#[derive(Serialize)]
struct Overview {
    counts: Counts,
    queues: Vec<QueueLine>,
    sweeps: Vec<RunsOf>,
    undelivered: Vec<Unlive>,
    declined: Vec<Unlive>,
    alerts: Vec<AlertLine>,
}

#[derive(Serialize)]
struct RunsOf {
    name: &'static str,
    last: Option<SweepLine>,
}

#[derive(Serialize)]
struct Unlive {
    order: OrderLine,
    standing: &'static str,
    because: String,
}

/// What waits, and what needs somebody.
pub(super) async fn show(signed: Signed, State(app): State<App>) -> Result<Response, Trouble> {
    let store = &app.store;
    let mut last = store.console_sweeps().await?;
    let sweeps = Sweep::ALL.map(|sweep| {
        let at = last.iter().position(|run| run.name == sweep.as_str());
        RunsOf { name: sweep.as_str(), last: at.map(|at| last.swap_remove(at)) }
    });
    let overview = Overview {
        counts: store.console_counts().await?,
        queues: store.console_queues().await?,
        sweeps: sweeps.into(),
        undelivered: told(&app, store.console_undelivered(MOST_UNDELIVERED).await?).await?,
        declined: told(&app, store.console_declined(MOST_DECLINED).await?).await?,
        alerts: store.console_alerts(5).await?,
    };
    page(&app, &signed, ("overview", "overview.html"), overview)
}

/// Each order with why it is not live.
async fn told(app: &App, orders: Vec<OrderLine>) -> Result<Vec<Unlive>, Trouble> {
    let mut lines = Vec::with_capacity(orders.len());
    for order in orders {
        let id = order.id.parse().map_err(|_| Trouble::not_found())?;
        let answer = why(&app.store.order_facts(id).await?, app.clock.now());
        lines.push(Unlive { order, standing: answer.standing.as_str(), because: answer.because });
    }
    Ok(lines)
}

/// What a person has to look at.
pub(super) async fn alerts(
    signed: Signed,
    State(app): State<App>,
    Asked(Done { done }): Asked<Done>,
) -> Result<Response, Trouble> {
    let alerts = app.store.console_alerts(MOST_ALERTS).await?;
    page(&app, &signed, ("overview", "alerts.html"), json!({ "alerts": alerts, "done": done }))
}

/// Takes an alert as seen to.
pub(super) async fn resolve(
    State(app): State<App>,
    Named(id): Named<Uuid>,
    Posted { signed, form }: Posted<Because>,
) -> Result<Response, Trouble> {
    let audit = audited(&app, &signed, "alert.resolve", &id.to_string(), reason(&form.reason)?, Value::Null);
    if !app.store.resolve_alert(id, audit).await? {
        return Err(Trouble::not_found());
    }
    Ok(done("/console/alerts", "resolved"))
}

#[derive(Debug, Deserialize)]
pub(super) struct AuditQuery {
    subject: Option<String>,
    before: Option<Uuid>,
}

#[derive(Serialize)]
struct Entry {
    at: String,
    actor: String,
    actor_name: Option<String>,
    action: String,
    subject: String,
    reason: Option<String>,
    before: Option<String>,
    after: Option<String>,
}

impl From<AuditEntry> for Entry {
    fn from(entry: AuditEntry) -> Self {
        let text = |value: Option<Value>| value.map(|value| value.to_string());
        Self {
            at: entry.at.to_string(),
            actor: entry.actor,
            actor_name: entry.actor_name,
            action: entry.action,
            subject: entry.subject,
            reason: entry.reason,
            before: text(entry.before),
            after: text(entry.after),
        }
    }
}

/// What was done by hand.
pub(super) async fn audit(
    signed: Signed,
    State(app): State<App>,
    Asked(query): Asked<AuditQuery>,
) -> Result<Response, Trouble> {
    let subject = said(query.subject.as_deref());
    let entries = app.store.audit_entries(subject, query.before, MOST_ENTRIES).await?;
    let full = i64::try_from(entries.len()).is_ok_and(|shown| shown == MOST_ENTRIES);
    let older = entries.last().filter(|_| full).map(|entry| entry.id.to_string());
    let entries: Vec<Entry> = entries.into_iter().map(Into::into).collect();
    let values = json!({ "entries": entries, "subject": subject, "older": older });
    page(&app, &signed, ("audit", "audit.html"), values)
}

#[derive(Debug, Deserialize)]
pub(super) struct Search {
    q: Option<String>,
}

#[derive(Serialize)]
struct Hit {
    found: Found,
    page: String,
}

/// Goes to what a text names; where it may name several things, lists them.
pub(super) async fn search(
    signed: Signed,
    State(app): State<App>,
    Asked(Search { q }): Asked<Search>,
) -> Result<Response, Trouble> {
    let text = said(q.as_deref()).unwrap_or_default();
    let page_of_ours = links::page_of(text).filter(|page| !page.starts_with("/console/search"));
    if let Some(page) = page_of_ours {
        return Ok(Redirect::to(&page).into_response());
    }
    let found = if text.is_empty() { Vec::new() } else { app.store.console_search(text).await? };
    let hits: Vec<Hit> = found.into_iter().map(|found| Hit { page: page_of(&found), found }).collect();
    if let [only] = hits.as_slice() {
        return Ok(Redirect::to(&only.page).into_response());
    }
    page(&app, &signed, ("search", "search.html"), json!({ "q": text, "hits": hits }))
}

fn page_of(found: &Found) -> String {
    match found.sort.as_str() {
        // The jobs that an event led to name it.
        "event" => format!("/console/jobs?q={}", super::answer::encoded(&found.id)),
        "server" => "/console/servers".to_owned(),
        _ => links::page_of(&found.id).unwrap_or_else(|| "/console".to_owned()),
    }
}
