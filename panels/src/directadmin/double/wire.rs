//! How answers look: JSON, or a url-encoded form.

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

pub(super) const LOGIN_PAGE: &str = r#"<!DOCTYPE html><html><head><title>DirectAdmin Login</title></head><body>
<form action="/CMD_LOGIN" method="POST"><input name="username"><input type="password" name="password"></form></body></html>"#;

/// How a server of some version answers who asks for JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// In JSON; refusals have status 500.
    Json,
    /// In JSON; refusals have status 200.
    JsonWithoutStatus,
    /// In a form all the same.
    Form,
}

/// What a command answers.
pub(crate) enum Outcome {
    Done {
        text: String,
        details: String,
    },
    Refused {
        text: String,
        details: String,
    },
    /// Data: an array of texts, or an object.
    Told(Value),
}

pub(super) fn done(text: impl Into<String>) -> Outcome {
    Outcome::Done { text: text.into(), details: String::new() }
}

pub(super) fn refused(text: &str, details: impl Into<String>) -> Outcome {
    Outcome::Refused { text: text.to_owned(), details: details.into() }
}

/// As DirectAdmin escapes texts, whatever the answer's form.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

pub(super) fn response(wire: Wire, is_json: bool, outcome: Outcome) -> Response {
    if !is_json || wire == Wire::Form {
        return ([(CONTENT_TYPE, "text/plain")], form(outcome)).into_response();
    }
    let (status, body) = match outcome {
        Outcome::Done { text, details } => {
            (StatusCode::OK, json!({"success": escaped(&text), "result": escaped(&details)}))
        }
        Outcome::Refused { text, details } => {
            let status = if wire == Wire::Json { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
            (status, json!({"error": escaped(&text), "result": escaped(&details)}))
        }
        Outcome::Told(value) => (StatusCode::OK, value),
    };
    (status, axum::Json(body)).into_response()
}

fn form(outcome: Outcome) -> String {
    let said = |error: &str, text: &str, details: &str| {
        format!("error={error}&text={}&details={}", encoded(&escaped(text)), encoded(&escaped(details)))
    };
    match outcome {
        Outcome::Done { text, details } => said("0", &text, &details),
        Outcome::Refused { text, details } => said("1", &text, &details),
        Outcome::Told(Value::Array(values)) => {
            let pairs: Vec<_> = values.iter().map(|value| format!("list[]={}", encoded(&plain(value)))).collect();
            pairs.join("&")
        }
        Outcome::Told(Value::Object(fields)) => {
            let pairs: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name}={}", encoded(&plain(value)))).collect();
            pairs.join("&")
        }
        Outcome::Told(other) => panic!("{other} is no answer"),
    }
}

/// Url-encoded, but for apostrophes: those are written as references, unclosed and as they are.
fn encoded(text: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace("%26%2339%3B", "&#39")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
