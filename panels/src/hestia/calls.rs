//! One call of Hestia's API: a POST of a form, so that no secret is in an access log, and the command's exit code in a header
//! of the answer. What the command prints is the body.

use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::exits::Refusal;
use crate::{
    Cause, PanelError,
    http::{Answer, Effect, Http, HttpConfig},
};

const EXIT_CODE: &str = "hestia-exit-code";
/// What the API takes for the halves of a key; it takes another pair for a key of the old kind, whose answers tell no codes.
const ACCESS_KEY_LENGTH: usize = 20;
const SECRET_KEY_LENGTH: usize = 40;
/// From here the API tells a status of HTTP where the exit code should be: no command was run.
const FIRST_STATUS: u16 = 100;

/// An argument's value.
pub(super) enum Arg<'a> {
    Plain(&'a str),
    Secret(&'a SecretString),
}

impl Arg<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose_secret(),
        }
    }
}

/// The arguments of a command, in its order.
pub(super) type Args<'a> = &'a [Arg<'a>];

/// What Hestia says of a command: what it printed, or why it was not done. The outer error is that it said nothing.
pub(super) type Said<T> = Result<Result<T, Refusal>, PanelError>;

/// A server, and the key for it.
pub(super) struct Calls {
    http: Http,
    access_key: String,
    secret_key: SecretString,
}

impl Calls {
    pub(super) fn new(config: HttpConfig, access_key: String, secret_key: SecretString) -> Result<Self, PanelError> {
        let is_key = access_key.len() == ACCESS_KEY_LENGTH && secret_key.expose_secret().len() == SECRET_KEY_LENGTH;
        if !is_key {
            return Err(PanelError::misconfigured(format!(
                "Hestia's access keys have {ACCESS_KEY_LENGTH} characters and {SECRET_KEY_LENGTH} secret ones"
            )));
        }
        Ok(Self { http: Http::new(config)?, access_key, secret_key })
    }

    /// Runs a command that changes nothing and prints JSON.
    pub(super) async fn read<T: DeserializeOwned>(&self, command: &str, args: Args<'_>) -> Said<T> {
        match self.call(command, Effect::Read, args).await? {
            Ok(answer) => answer.json().map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// As [`Calls::read`], for a command that prints all users.
    pub(super) async fn list<T: DeserializeOwned>(&self, command: &str, args: Args<'_>) -> Said<T> {
        let answer = self.http.list(self.request(command, args)).await?;
        match self.said(command, Effect::Read, args, answer)? {
            Ok(answer) => answer.json().map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Runs a command that changes nothing and prints a line.
    pub(super) async fn read_line(&self, command: &str, args: Args<'_>) -> Said<String> {
        let said = self.call(command, Effect::Read, args).await?;
        Ok(said
            .map(|answer| String::from_utf8_lossy(&answer.body).lines().next().unwrap_or_default().trim().to_owned()))
    }

    /// Runs a command that changes something. What it prints besides a refusal is of no use: some print errors and succeed.
    pub(super) async fn change(&self, command: &str, args: Args<'_>) -> Said<()> {
        Ok(self.call(command, Effect::Mutation, args).await?.map(drop))
    }

    async fn call(&self, command: &str, effect: Effect, args: Args<'_>) -> Said<Answer> {
        let answer = self.http.send(effect, self.request(command, args)).await?;
        self.said(command, effect, args, answer)
    }

    fn request(&self, command: &str, args: Args<'_>) -> RequestBuilder {
        let names: Vec<_> = (1..=args.len()).map(|nth| format!("arg{nth}")).collect();
        let mut form = vec![("cmd", command)];
        form.extend(names.iter().map(String::as_str).zip(args.iter().map(Arg::text)));
        form.push(("access_key", &self.access_key));
        form.push(("secret_key", self.secret_key.expose_secret()));
        // With `yes` the code would be all that is told.
        form.push(("returncode", "no"));
        self.http.request(Method::POST, ["api", ""]).form(&form)
    }

    fn said(&self, command: &str, effect: Effect, args: Args<'_>, answer: Answer) -> Said<Answer> {
        let code = exit_code(command, effect, &answer)?;
        if code == 0 {
            return answer.accepted().map(Ok);
        }
        let secrets = args.iter().filter_map(|arg| match arg {
            Arg::Plain(_) => None,
            Arg::Secret(secret) => Some(secret.expose_secret()),
        });
        let secrets = secrets.chain([self.secret_key.expose_secret()]);
        let refusal = Refusal::new(command, code, &String::from_utf8_lossy(&answer.body), effect, secrets);
        tracing::debug!(command, code, message = refusal.message(), "Hestia has refused a command");
        Ok(Err(refusal))
    }
}

/// The command's exit code, where the answer is Hestia's and a command was run.
fn exit_code(command: &str, effect: Effect, answer: &Answer) -> Result<u16, PanelError> {
    let told = answer.headers.get(EXIT_CODE).and_then(|value| value.to_str().ok());
    if let Some(code) = told.and_then(|code| code.trim().parse().ok()).filter(|code| *code < FIRST_STATUS) {
        return Ok(code);
    }
    if let Some(refusal) = answer.refusal() {
        return Err(refusal);
    }
    // Whatever answers with success and no code is not Hestia; or it is its login page.
    answer.json::<IgnoredAny>()?;
    Err(effect.unanswered(Cause::new(format!("the answer to {command} has no exit code"))))
}
