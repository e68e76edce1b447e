//! One call of WHM API 1: a POST of a form, so that no password is in an access log, and an envelope in the answer.

use std::time::Duration;

use reqwest::{
    Method,
    header::{AUTHORIZATION, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::texts::Refusal;
use crate::{
    Cause, PanelError,
    http::{Effect, Http, HttpConfig},
};

/// A parameter's value.
pub(super) enum Param<'a> {
    Plain(&'a str),
    Secret(&'a SecretString),
}

impl Param<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose_secret(),
        }
    }
}

/// The parameters of a call, by their names.
pub(super) type Params<'a> = &'a [(&'a str, Param<'a>)];

/// What WHM says of a call: what was asked for, or why not. The outer error is that it said nothing.
pub(super) type Said<T> = Result<Result<T, Refusal>, PanelError>;

/// How long an answer is waited for, and how large it may be.
#[derive(Clone, Copy)]
enum Patience {
    Usual(Effect),
    /// For a change that takes so long.
    Within(Duration),
    /// For a read of all accounts.
    ForAll,
}

impl Patience {
    fn effect(self) -> Effect {
        match self {
            Self::Usual(effect) => effect,
            Self::Within(_) => Effect::Mutation,
            Self::ForAll => Effect::Read,
        }
    }
}

/// A server, and as whom it is spoken to.
pub(super) struct Calls {
    http: Http,
    authorization: HeaderValue,
}

impl Calls {
    pub(super) fn new(config: HttpConfig, user: &str, token: SecretString) -> Result<Self, PanelError> {
        let mut authorization = HeaderValue::try_from(format!("whm {user}:{}", token.expose_secret()))
            .map_err(|_| PanelError::misconfigured("WHM's user or token has characters that no header can hold"))?;
        authorization.set_sensitive(true);
        Ok(Self { http: Http::new(config)?, authorization })
    }

    /// Asks for something that changes nothing.
    pub(super) async fn read<T: DeserializeOwned>(&self, function: &str, params: Params<'_>) -> Said<T> {
        self.call(function, Patience::Usual(Effect::Read), params).await
    }

    /// Asks for all accounts at once.
    pub(super) async fn list<T: DeserializeOwned>(&self, function: &str, params: Params<'_>) -> Said<T> {
        self.call(function, Patience::ForAll, params).await
    }

    /// Asks for a change; what WHM says of it besides success is of no use, and may hold the password.
    pub(super) async fn change(
        &self,
        function: &str,
        within: Option<Duration>,
        params: Params<'_>,
    ) -> Result<Result<(), Refusal>, PanelError> {
        let patience = within.map_or(Patience::Usual(Effect::Mutation), Patience::Within);
        let said = self.call::<Value>(function, patience, params).await?;
        Ok(said.map(drop))
    }

    async fn call<T: DeserializeOwned>(&self, function: &str, patience: Patience, params: Params<'_>) -> Said<T> {
        let effect = patience.effect();
        // Without a version WHM answers in the shapes of its API 0.
        let mut form = vec![("api.version", "1")];
        form.extend(params.iter().map(|(name, value)| (*name, value.text())));
        let request = self
            .http
            .request(Method::POST, ["json-api", function])
            .header(AUTHORIZATION, self.authorization.clone())
            .form(&form);
        let answer = match patience {
            Patience::Usual(effect) => self.http.send(effect, request).await?,
            Patience::Within(timeout) => self.http.send_within(timeout, effect, request).await?,
            Patience::ForAll => self.http.list(request).await?,
        };
        let envelope: Envelope = answer.accepted()?.json()?;
        let Some(metadata) = envelope.metadata else { return Err(without_metadata(function, effect, &envelope)) };
        if metadata.result.is_true() {
            let data = serde_json::from_value(envelope.data);
            // The parser's error may quote what it read.
            return data.map(Ok).map_err(|_| {
                effect
                    .unanswered(Cause::new(format!("WHM's answer to {function} is not of the shape that is expected")))
            });
        }
        let secrets = params.iter().filter_map(|(_, value)| match value {
            Param::Plain(_) => None,
            Param::Secret(secret) => Some(secret.expose_secret()),
        });
        let refusal = Refusal::new(function, metadata.reason.as_deref().unwrap_or_default(), secrets);
        tracing::debug!(function, reason = refusal.reason(), "WHM has refused a call");
        Ok(Err(refusal))
    }
}

/// `metadata.output` is left out: that of `createacct` holds the password.
#[derive(Deserialize)]
struct Envelope {
    metadata: Option<Metadata>,
    #[serde(default)]
    data: Value,
    /// What cpsrvd itself says before a function is reached.
    cpanelresult: Option<Value>,
}

#[derive(Deserialize)]
struct Metadata {
    result: Flag,
    reason: Option<String>,
}

fn without_metadata(function: &str, effect: Effect, envelope: &Envelope) -> PanelError {
    if envelope.cpanelresult.is_some() {
        return PanelError::misconfigured(format!("WHM lets its user not call {function}"));
    }
    effect.unanswered(Cause::new(format!("WHM's answer to {function} has no metadata")))
}

/// Perl's truth: a number, a text of one, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Value")]
pub(super) struct Flag(bool);

impl Flag {
    pub(super) fn is_true(self) -> bool {
        self.0
    }
}

impl From<Value> for Flag {
    fn from(value: Value) -> Self {
        Self(match value {
            Value::Bool(truth) => truth,
            Value::Number(number) => number.as_i64() != Some(0),
            Value::String(text) => !matches!(text.as_str(), "" | "0"),
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        })
    }
}

/// A whole number, which WHM writes as such or as a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Value")]
pub(super) struct Whole(pub(super) Option<u64>);

impl From<Value> for Whole {
    fn from(value: Value) -> Self {
        Self(match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        })
    }
}
