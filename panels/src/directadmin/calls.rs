//! One call of DirectAdmin. What changes something is a POST of a form, so that no password is in an access log.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{
    answers::{self, Said},
    texts::Refusal,
};
use crate::{
    PanelError,
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

/// A server, and as whom it is spoken to.
pub(super) struct Calls {
    http: Http,
    /// Whose key it is.
    user: String,
    /// The reseller, whom an admin acts as.
    owner: String,
    login_key: SecretString,
}

impl Calls {
    pub(super) fn new(
        config: HttpConfig,
        user: &str,
        owner: &str,
        login_key: SecretString,
    ) -> Result<Self, PanelError> {
        Ok(Self { http: Http::new(config)?, user: user.to_owned(), owner: owner.to_owned(), login_key })
    }

    /// Asks for something that changes nothing.
    pub(super) async fn read(&self, command: &str, params: &[(&str, &str)]) -> Said {
        let request = self.request(Method::GET, [command], &self.acting()).query(&[("json", "yes")]).query(params);
        let answer = self.http.send(Effect::Read, request).await?;
        answers::read(command, Effect::Read, answer, &[])
    }

    /// Asks the newer API for something that changes nothing; the path begins after `/api/`.
    pub(super) async fn read_api(&self, path: &[&str]) -> Result<Value, PanelError> {
        let request = self.request(Method::GET, [&["api"], path].concat(), &self.acting());
        let answer = self.http.send(Effect::Read, request).await?;
        Ok(answers::read(path.last().copied().unwrap_or_default(), Effect::Read, answer, &[])??)
    }

    /// Asks for a change; what DirectAdmin says of it besides success is of no use, and may hold the password.
    pub(super) async fn change(
        &self,
        command: &str,
        within: Option<Duration>,
        params: Params<'_>,
    ) -> Result<Result<(), Refusal>, PanelError> {
        let form: Vec<_> = params.iter().map(|(name, value)| (*name, value.text())).collect();
        let request = self.request(Method::POST, [command], &self.acting()).query(&[("json", "yes")]).form(&form);
        let answer = match within {
            None => self.http.send(Effect::Mutation, request).await?,
            Some(timeout) => self.http.send_within(timeout, Effect::Mutation, request).await?,
        };
        let secrets: Vec<_> = params
            .iter()
            .filter_map(|(_, value)| match value {
                Param::Plain(_) => None,
                Param::Secret(secret) => Some(secret.expose_secret()),
            })
            .collect();
        Ok(answers::read(command, Effect::Mutation, answer, &secrets)?.map(drop))
    }

    /// Asks the newer API, as one of the reseller's users, for something that costs nothing if it is asked again.
    pub(super) async fn ask_as(&self, username: &str, path: &[&str], body: &Value) -> Result<Value, PanelError> {
        let as_user = format!("{}|{username}", self.user);
        let request = self.request(Method::POST, [&["api"], path].concat(), &as_user).json(body);
        let answer = self.http.send(Effect::Read, request).await?;
        Ok(answers::read(path.last().copied().unwrap_or_default(), Effect::Read, answer, &[])??)
    }

    fn acting(&self) -> String {
        if self.user == self.owner { self.user.clone() } else { format!("{}|{}", self.user, self.owner) }
    }

    fn request<S: AsRef<str>>(
        &self,
        method: Method,
        path: impl IntoIterator<Item = S>,
        as_whom: &str,
    ) -> RequestBuilder {
        self.http.request(method, path).basic_auth(as_whom, Some(self.login_key.expose_secret()))
    }
}
