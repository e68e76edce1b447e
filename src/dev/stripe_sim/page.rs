//! The hosted checkout page: server-rendered, and plain enough to be driven by a form post.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use super::completion::{self, Submission, USUAL_CARD, Way};
use super::error::StripeError;
use super::sessions::{Session, SessionStatus};
use super::state::Origin;
use super::{Sim, checkout};

const DECLINING_CARD: &str = "pm_card_chargeDeclined";

/// The cards the page offers: token and what the buyer should expect.
const CARDS: &[(&str, &str)] = &[
    (USUAL_CARD, "•••• 4242, pays"),
    ("pm_card_chargeCustomerFail", "•••• 0341, pays now, declines at renewal"),
    ("pm_card_authenticationRequired", "•••• 3184, pays now, wants authentication at renewal"),
    ("pm_card_chargeDeclinedInsufficientFunds", "•••• 9995, has insufficient funds"),
    ("pm_card_processing", "•••• 3725, settles later"),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pressed {
    /// `pay`, `decline`, `pay_later`, `abandon`; then `settle` or `fail` for what was to be paid later.
    action: String,
    #[serde(default)]
    card: Option<String>,
    #[serde(default)]
    email: Option<String>,
}

pub(super) async fn show(Shared(sim): Shared<Arc<Sim>>, Path(id): Path<String>) -> Response {
    let mut state = sim.lock();
    state.origin = Origin::default();
    checkout::expire_due(&mut state);
    state.sessions.find(&id).map_or_else(not_found, |session| Html(render(session, None)).into_response())
}

pub(super) async fn submit(
    Shared(sim): Shared<Arc<Sim>>,
    Path(id): Path<String>,
    Form(pressed): Form<Pressed>,
) -> Response {
    let mut state = sim.lock();
    state.origin = Origin::default();
    checkout::expire_due(&mut state);
    let Some(session) = state.sessions.find(&id).cloned() else {
        return not_found();
    };
    let card = pressed.card.filter(|card| !card.is_empty()).unwrap_or_else(|| USUAL_CARD.into());
    let email = pressed.email.filter(|email| !email.is_empty());
    let submission = |way, card| Submission { way, card, email, amount_total: None };
    let done = match pressed.action.as_str() {
        "pay" => completion::complete(&mut state, &id, &submission(Way::Now, card)),
        "decline" => completion::complete(&mut state, &id, &submission(Way::Now, DECLINING_CARD.into())),
        "pay_later" => completion::complete(&mut state, &id, &submission(Way::Later, card)),
        "settle" => completion::settle_later(&mut state, &id, None),
        "fail" => completion::settle_later(&mut state, &id, Some("generic_decline")),
        "abandon" => {
            let back = session.cancel_url.clone().unwrap_or_else(|| session.url.clone());
            return Redirect::to(&back).into_response();
        }
        _ => Err(StripeError::refused("the page has no such button")),
    };
    match done {
        Ok(_session) => Redirect::to(&session.success_location()).into_response(),
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
            let session = state.sessions.find(&id).unwrap_or(&session);
            let message = refusal.fields()["message"].as_str().unwrap_or_default().to_owned();
            (status, Html(render(session, Some(&message)))).into_response()
        }
    }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Html("<!doctype html><title>Not found</title><p>There is no such Checkout Session.</p>"))
        .into_response()
}

fn render(session: &Session, notice: Option<&str>) -> String {
    let currency = session.currency.as_deref().unwrap_or_default().to_uppercase();
    let lines: String = session
        .lines
        .iter()
        .map(|line| {
            format!("<tr><td>{}<td>{}<td class=n>{}", escape(&line.name), line.quantity, minor(line.amount, &currency))
        })
        .collect();
    let notice = notice.map(|text| format!("<p class=notice role=alert>{}", escape(text))).unwrap_or_default();
    let total = minor(session.amount_total, &currency);
    if session.setup_mode && session.status == SessionStatus::Open {
        return setup_page(session, &notice);
    }
    let buttons = match (session.status, session.payment_status) {
        (SessionStatus::Open, _) => open_form(session, &total),
        (SessionStatus::Complete, "unpaid") => {
            "<p>Submitted. The payment has not arrived yet.<form method=post><p><button name=action value=settle>The bank pays</button> \
             <button name=action value=fail>The bank refuses</button></form>"
                .into()
        }
        (SessionStatus::Complete, _) => "<p>This session is complete.".into(),
        (SessionStatus::Expired, _) => "<p>This session has expired.".into(),
    };
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>Pay {total}</title>\
         <style>body{{font:16px/1.5 system-ui;max-width:34rem;margin:3rem auto;padding:0 1rem}}table{{width:100%;border-collapse:collapse}}\
         td,th{{padding:.4rem 0;text-align:left;border-bottom:1px solid #ddd}}.n{{text-align:right}}.notice{{color:#b00020}}\
         label{{display:block;margin:.8rem 0}}input,select{{font:inherit;width:100%}}button{{font:inherit;padding:.4rem 1rem}}</style>\
         <h1>Checkout (simulated)</h1>{notice}<table><tr><th>Item<th>Quantity<th class=n>Amount{lines}\
         <tr><th>Total<td><td class=n><strong id=total>{total}</strong></table>{buttons}<p><small>No money moves here.</small></html>"
    )
}

/// Where a card is saved and nothing is paid.
fn setup_page(session: &Session, notice: &str) -> String {
    let cards: String = CARDS.iter().map(|(token, name)| format!("<option value={token}>{name}")).collect();
    let email = session.customer_email.as_deref().map(escape).unwrap_or_default();
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>Save a card</title>\
         <h1>Save a card (simulated)</h1>{notice}<form method=post><label>Email <input type=email name=email value=\"{email}\"></label> \
         <label>Card <select name=card>{cards}</select></label><p><button name=action value=pay>Save the card</button> \
         <button name=action value=abandon>Abandon</button></form><p><small>Nothing is paid here.</small></html>"
    )
}

fn open_form(session: &Session, total: &str) -> String {
    let cards: String = CARDS.iter().map(|(token, name)| format!("<option value={token}>{name}")).collect();
    let email = session.customer_email.as_deref().map(escape).unwrap_or_default();
    format!(
        "<form method=post><label>Email <input type=email name=email value=\"{email}\"></label><label>Card <select name=card>{cards}</select></label>\
         <p><button name=action value=pay>Pay {total}</button> <button name=action value=decline>Card declines</button> \
         <button name=action value=pay_later>Pay later by bank</button> <button name=action value=abandon>Abandon</button></form>"
    )
}

/// Minor units with the currency's name: the page judges no exponents.
fn minor(amount: i64, currency: &str) -> String {
    format!("{amount} {currency} minor units")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
