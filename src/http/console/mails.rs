//! Mails: which were sent, what they say, and sending one again.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use berth_jobs::{
    ids::{JobId, MailId},
    mail::SendMail,
};
use serde::Deserialize;
use serde_json::json;

use super::{
    answer::{Trouble, done, page},
    forms::{Asked, Because, Done, Named, Posted, audit, reason, said},
    session::Signed,
};
use crate::{app::App, store::jobs::JobOrder};

const MOST: i64 = 50;
/// A mail is shown as its readers' programs show it: its own styles, no scripts, nothing from elsewhere, no way out.
const POLICY_OF_A_MAIL: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; \
                                base-uri 'none'; frame-ancestors 'self'; sandbox";

#[derive(Debug, Deserialize)]
pub(super) struct MailsQuery {
    which: Option<String>,
    before: Option<String>,
}

/// Mails, the newest first.
pub(super) async fn list(
    signed: Signed,
    State(app): State<App>,
    Asked(query): Asked<MailsQuery>,
) -> Result<Response, Trouble> {
    let unsent = query.which.as_deref() == Some("unsent");
    let before: Option<MailId> = said(query.before.as_deref()).and_then(|id| id.parse().ok());
    let mails = app.store.console_mails(unsent, None, before, MOST).await?;
    let full = i64::try_from(mails.len()).is_ok_and(|shown| shown == MOST);
    let older = mails.last().filter(|_| full).map(|mail| mail.id.clone());
    page(&app, &signed, ("mails", "mails.html"), json!({ "mails": mails, "older": older, "unsent": unsent }))
}

/// One mail.
pub(super) async fn show(
    signed: Signed,
    State(app): State<App>,
    Named(id): Named<MailId>,
    Asked(Done { done }): Asked<Done>,
) -> Result<Response, Trouble> {
    let mail = app.store.console_mail(id).await?;
    // What it said may be forgotten, or of another version.
    let words = if mail.emptied_at.is_none() { words(&app, id).await.ok() } else { None };
    let (subject, text) = words.map(|words| (words.subject, words.text)).unzip();
    page(&app, &signed, ("mails", "mail.html"), json!({ "mail": mail, "subject": subject, "text": text, "done": done }))
}

/// What a mail says.
struct Words {
    subject: String,
    text: String,
    html: String,
}

async fn words(app: &App, id: MailId) -> Result<Words, Trouble> {
    let row = app.store.mail(id).await?;
    let rendered = app.renderer.render(&row.mail, &app.shop);
    let rendered = rendered.map_err(|error| Trouble::Refused(format!("The mail cannot be shown: {error}.")))?;
    Ok(Words { subject: rendered.subject, text: rendered.text, html: rendered.html })
}

/// A mail as its reader sees it, for the frame on its page.
pub(super) async fn html(_: Signed, State(app): State<App>, Named(id): Named<MailId>) -> Result<Response, Trouble> {
    let mut response = Html(words(&app, id).await?.html).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY_OF_A_MAIL));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    Ok(response)
}

/// Sends a mail again: by its own job where that has not done it, else as a copy, to the address that its customer has now.
pub(super) async fn resend(
    State(app): State<App>,
    Named(id): Named<MailId>,
    Posted { signed, form }: Posted<Because>,
) -> Result<Response, Trouble> {
    let mail = app.store.console_mail(id).await?;
    let reason = reason(&form.reason)?;
    let seen = json!({ "state": mail.state, "response": mail.response });
    let own_job: Option<JobId> = mail.job.as_deref().and_then(|job| job.parse().ok());
    if let Some(job) = own_job {
        let audit = audit(&app, &signed, "mail.resend", &id.to_string(), reason.clone(), seen.clone());
        if app.store.order_job_audited(job, JobOrder::Retry, audit).await? {
            return Ok(done(&format!("/console/mails/{id}"), "resent"));
        }
    }
    let copy = MailId::new();
    let what = json!({ "copy": copy.to_string(), "of": seen });
    let effects =
        audit(&app, &signed, "mail.resend", &id.to_string(), reason, what).enqueue(SendMail { mail_id: copy });
    if !app.store.copy_mail(id, copy, effects).await? {
        return Err(Trouble::Refused("What this mail said is forgotten: it cannot be sent again.".to_owned()));
    }
    Ok(done(&format!("/console/mails/{copy}"), "resent"))
}
