//! Pages that show the mailbox to a developer, and the same as JSON to a test.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde::{Deserialize, Serialize};

use super::{MAX_MAILS, Mailbox, ReceivedMail};

const LIST: &str = include_str!("list.html");
const MAIL: &str = include_str!("mail.html");
const DEFAULT_LIMIT: usize = 200;

/// Our own pages run no scripts and fetch nothing but the framed mail.
const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'";
/// A mail is a stranger on our origin: no scripts, no requests, no forms. Its links open in tabs of their own.
const MAIL_POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; \
                           img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// `/dev/mail`, `/dev/mail/{id}`, `/dev/mail/{id}/html` and `/dev/mail.json`. For development only: it asks nobody who they are.
pub fn router(mailbox: Mailbox) -> Router {
    Router::new()
        .route("/dev/mail", get(list))
        .route("/dev/mail.json", get(list_json))
        .route("/dev/mail/{id}", get(show))
        .route("/dev/mail/{id}/html", get(show_html))
        .with_state(mailbox)
}

/// `?to=` one recipient, `?limit=` at most 10,000.
#[derive(Deserialize)]
struct Filter {
    to: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Summary {
    id: u64,
    message_id: String,
    to: String,
    subject: String,
    kind: Option<String>,
    received_at: String,
    acceptances: u64,
}

impl Summary {
    fn of(mail: &ReceivedMail, mailbox: &Mailbox) -> Self {
        Self {
            id: mail.id,
            message_id: mail.message_id.clone(),
            to: mail.to.join(", "),
            subject: mail.subject.clone(),
            kind: mail.kind.clone(),
            received_at: mail.received_at.to_string(),
            acceptances: mailbox.acceptances(&mail.message_id),
        }
    }
}

/// Newest first.
fn summaries(mailbox: &Mailbox, filter: &Filter) -> Vec<Summary> {
    let wanted = |mail: &Arc<ReceivedMail>| filter.to.as_ref().is_none_or(|to| mail.to.contains(to));
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_MAILS);
    mailbox.mails().into_iter().rev().filter(wanted).take(limit).map(|mail| Summary::of(&mail, mailbox)).collect()
}

async fn list_json(State(mailbox): State<Mailbox>, Query(filter): Query<Filter>) -> Json<Vec<Summary>> {
    Json(summaries(&mailbox, &filter))
}

async fn list(State(mailbox): State<Mailbox>, Query(filter): Query<Filter>) -> Response {
    let mails: Vec<Value> = summaries(&mailbox, &filter)
        .into_iter()
        .map(|mail| {
            context! { id => mail.id, to => mail.to, subject => mail.subject, received_at => mail.received_at, acceptances => mail.acceptances }
        })
        .collect();
    page("list.html", LIST, &context! { mails => mails, to => filter.to })
}

async fn show(State(mailbox): State<Mailbox>, Path(id): Path<u64>) -> Response {
    let Some(mail) = mailbox.mail(id) else {
        return not_found();
    };
    let message = mail.message();
    let headers: Vec<Value> =
        message.headers.iter().map(|(name, value)| context! { name => name, value => value }).collect();
    let shown = context! {
        id => id, subject => mail.subject.clone(), headers => headers, text => message.text, has_html => message.html.is_some(),
        acceptances => mailbox.acceptances(&mail.message_id),
    };
    page("mail.html", MAIL, &shown)
}

async fn show_html(State(mailbox): State<Mailbox>, Path(id): Path<u64>) -> Response {
    let Some(html) = mailbox.mail(id).and_then(|mail| mail.message().html) else {
        return not_found();
    };
    ([(header::CONTENT_SECURITY_POLICY, MAIL_POLICY), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], Html(html))
        .into_response()
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "there is no such mail").into_response()
}

fn page(name: &str, template: &str, shown: &Value) -> Response {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    match env.render_named_str(name, template, shown) {
        Ok(html) => {
            ([(header::CONTENT_SECURITY_POLICY, PAGE_POLICY), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], Html(html))
                .into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page of the mailbox cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
