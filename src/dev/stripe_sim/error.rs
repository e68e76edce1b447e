//! Stripe's error answers: a status and the JSON under `error`.

use serde_json::{Map, Value, json};

/// One error answer. `keeps` says whether an idempotency key remembers it: what was refused
/// before execution began is forgotten, so that the corrected request may use the key again.
#[derive(Debug, Clone)]
pub(super) struct StripeError {
    pub(super) status: u16,
    pub(super) keeps: bool,
    fields: Map<String, Value>,
}

impl StripeError {
    pub(super) fn new(status: u16, kind: &str, message: impl Into<String>) -> Self {
        let mut fields = Map::new();
        fields.insert("type".into(), kind.into());
        fields.insert("message".into(), message.into().into());
        Self { status, keeps: true, fields }
    }

    /// 400 `invalid_request_error`, raised once the request was being executed.
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    /// 400 `invalid_request_error` of a parameter, raised before anything was executed.
    pub(super) fn invalid(code: &str, param: &str, message: impl Into<String>) -> Self {
        let mut error = Self::refused(message).code(code).param(param);
        error.keeps = false;
        error
    }

    pub(super) fn missing(param: &str) -> Self {
        Self::invalid("parameter_missing", param, format!("Missing required param: {param}."))
    }

    pub(super) fn unknown(param: &str) -> Self {
        Self::invalid("parameter_unknown", param, format!("Received unknown parameter: {param}"))
    }

    /// An object named in the path does not exist: 404.
    pub(super) fn no_such(object: &str, id: &str) -> Self {
        Self { status: 404, ..Self::no_such_param(object, id, "id") }
    }

    /// An object named by a parameter does not exist: 400.
    pub(super) fn no_such_param(object: &str, id: &str, param: &str) -> Self {
        Self::refused(format!("No such {object}: '{id}'")).code("resource_missing").param(param)
    }

    pub(super) fn unrecognized(method: &str, path: &str) -> Self {
        let message = format!(
            "Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/."
        );
        let mut error = Self::new(404, "invalid_request_error", message);
        error.keeps = false;
        error
    }

    pub(super) fn code(self, code: &str) -> Self {
        self.with("code", code.into())
            .with("doc_url", format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")).into())
    }

    pub(super) fn param(self, param: &str) -> Self {
        self.with("param", param.into())
    }

    /// Adds any further field of the error object, such as `payment_intent`.
    pub(super) fn with(mut self, field: &str, value: Value) -> Self {
        self.fields.insert(field.into(), value);
        self
    }

    pub(super) fn not_kept(mut self) -> Self {
        self.keeps = false;
        self
    }

    /// The object under `error`, as `last_payment_error` carries it.
    pub(super) fn fields(&self) -> Value {
        Value::Object(self.fields.clone())
    }

    pub(super) fn body(&self) -> Value {
        json!({ "error": self.fields })
    }
}
