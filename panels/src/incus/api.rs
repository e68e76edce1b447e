//! The API's requests, as one call of the panel makes them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    failures::Refusal,
    names::InstanceName,
    wire::{Envelope, Instance, Kind, Named, Operation, Server, State},
};
use crate::{
    Cause, PanelError,
    http::{Answer, Effect, Http},
};

/// What the daemon may need beyond the time that it was told to wait.
const WAIT_MARGIN: Duration = Duration::from_secs(10);

/// The longest that one request waits: connections that are silent for longer are ended on some ways.
const SLICE: Duration = Duration::from_secs(30);

/// What a request has brought about.
pub(super) enum Reply {
    /// It is done.
    Done(Value),
    /// It is being done.
    Started(Operation),
    Refused(Refusal),
}

/// How an operation stands after a while.
pub(super) enum Waited {
    Ended(Operation),
    Running,
    /// Nobody knows of it: it ended a while ago, or the daemon did.
    Lost,
}

impl From<Operation> for Waited {
    fn from(operation: Operation) -> Self {
        if operation.is_running() { Self::Running } else { Self::Ended(operation) }
    }
}

/// One call's way to the server. It remembers whether it has sent something of which the end is not known.
pub(super) struct Api {
    http: Http,
    project: String,
    /// Something may still be applied that this call has sent, or an instance is there that it has created.
    open: AtomicBool,
}

impl Api {
    pub(super) fn new(http: Http, project: String) -> Self {
        Self { http, project, open: AtomicBool::new(false) }
    }

    /// The same server for another call.
    pub(super) fn again(&self) -> Self {
        Self::new(self.http.clone(), self.project.clone())
    }

    /// What a failure means once all that was sent is taken into account: a read that fails after a mutation leaves open
    /// what the mutation did.
    pub(super) fn verdict(&self, error: PanelError) -> PanelError {
        match error {
            PanelError::Transient(cause) if self.open.load(Ordering::Relaxed) => PanelError::Ambiguous(cause),
            PanelError::Transient(_)
            | PanelError::Ambiguous(_)
            | PanelError::NameTaken(_)
            | PanelError::Permanent(_)
            | PanelError::Misconfigured(_)
            | PanelError::Capacity(_)
            | PanelError::RateLimited { .. } => error,
        }
    }

    pub(super) async fn server(&self) -> Result<Server, PanelError> {
        let request = self.http.request(Method::GET, ["1.0"]);
        self.read(request, "the server could not be asked who it is").await?.ok_or_else(not_this_api)
    }

    /// Whether the server has what is at a path.
    pub(super) async fn has(&self, path: &[&str]) -> Result<bool, PanelError> {
        let found: Option<Value> = self.read(self.get(path), "the server could not be asked what it has").await?;
        Ok(found.is_some())
    }

    pub(super) async fn instance(&self, name: &InstanceName) -> Result<Option<Instance>, PanelError> {
        let request = self.get(&["instances", name.as_str()]);
        self.read(request, "the server could not be asked for an instance").await
    }

    /// All instances of the project.
    pub(super) async fn instances(&self) -> Result<Vec<Named>, PanelError> {
        let request = self.get(&["instances"]).query(&[("recursion", "1")]);
        let answer = self.http.list(request).await?;
        found(&answer, "the server could not be asked for its instances")?.ok_or_else(not_this_api)
    }

    pub(super) async fn state(&self, name: &InstanceName) -> Result<Option<State>, PanelError> {
        let request = self.get(&["instances", name.as_str(), "state"]);
        self.read(request, "the server could not be asked for an instance's state").await
    }

    /// An operation that is at work on an instance, if any.
    pub(super) async fn running_on(&self, name: &InstanceName) -> Result<Option<Operation>, PanelError> {
        #[derive(serde::Deserialize)]
        struct Listed {
            #[serde(default)]
            running: Vec<Operation>,
        }
        let request = self.get(&["operations"]).query(&[("recursion", "1")]);
        let listed: Option<Listed> = self.read(request, "the server could not be asked what it does").await?;
        let running = listed.map(|listed| listed.running).unwrap_or_default();
        Ok(running.into_iter().find(|operation| operation.is_running() && operation.is_about(name.as_str())))
    }

    pub(super) async fn operation(&self, id: Uuid) -> Result<Option<Operation>, PanelError> {
        let request = self.get(&["operations", &id.to_string()]);
        self.read(request, "the server could not be asked for an operation").await
    }

    /// Waits for an operation's end, up to a time.
    pub(super) async fn wait(&self, id: Uuid, patience: Duration) -> Result<Waited, PanelError> {
        let mut left = patience;
        loop {
            let slice = left.min(SLICE);
            let waited = self.wait_once(id, slice).await?;
            left = left.saturating_sub(slice);
            if !matches!(waited, Waited::Running) || left.is_zero() {
                return Ok(waited);
            }
        }
    }

    async fn wait_once(&self, id: Uuid, slice: Duration) -> Result<Waited, PanelError> {
        let seconds = slice.as_secs().to_string();
        let request = self.get(&["operations", &id.to_string(), "wait"]).query(&[("timeout", seconds)]);
        // Its failure leaves open what the operation does, as that of a mutation would.
        let answer = self.http.send_within(slice + WAIT_MARGIN, Effect::Mutation, request).await?;
        if let Reply::Done(operation) = reply(&answer)? {
            return parsed::<Operation>(operation, Effect::Mutation).map(Waited::from);
        }
        // An operation that has failed, a time that is up and an operation that is not there are all answered as errors,
        // and told apart by nothing but their words. The operation itself says which it was, for five seconds.
        Ok(self.operation(id).await?.map_or(Waited::Lost, Waited::from))
    }

    /// That the end of what was sent is known.
    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    pub(super) async fn create(&self, body: &Value) -> Result<Reply, PanelError> {
        self.change(self.at(Method::POST, &["instances"]).json(body)).await
    }

    /// Changes what is named, and leaves the rest. An empty value takes a key away.
    pub(super) async fn patch(&self, name: &InstanceName, body: &Value) -> Result<Reply, PanelError> {
        self.change(self.at(Method::PATCH, &["instances", name.as_str()]).json(body)).await
    }

    pub(super) async fn delete(&self, name: &InstanceName) -> Result<Reply, PanelError> {
        self.change(self.at(Method::DELETE, &["instances", name.as_str()])).await
    }

    pub(super) async fn start(&self, name: &InstanceName) -> Result<Reply, PanelError> {
        self.set_state(name, &json!({ "action": "start" })).await
    }

    /// Asks the instance to end, and gives it that long.
    pub(super) async fn stop(&self, name: &InstanceName, grace: Duration) -> Result<Reply, PanelError> {
        self.set_state(name, &json!({ "action": "stop", "timeout": grace.as_secs() })).await
    }

    /// Ends the instance as it is.
    pub(super) async fn kill(&self, name: &InstanceName) -> Result<Reply, PanelError> {
        self.set_state(name, &json!({ "action": "stop", "force": true })).await
    }

    /// Runs a command inside as root. What it writes is not kept.
    pub(super) async fn run(&self, name: &InstanceName, command: &[&str]) -> Result<Reply, PanelError> {
        let body =
            json!({ "command": command, "interactive": false, "wait-for-websocket": false, "record-output": false });
        self.change(self.at(Method::POST, &["instances", name.as_str(), "exec"]).json(&body)).await
    }

    /// Writes a file inside that only its root can read.
    pub(super) async fn write(&self, name: &InstanceName, path: &str, text: String) -> Result<Reply, PanelError> {
        let mut request = self.at(Method::POST, &["instances", name.as_str(), "files"]).query(&[("path", path)]);
        for product in ["X-Incus", "X-LXD"] {
            for (header, value) in
                [("type", "file"), ("write", "overwrite"), ("uid", "0"), ("gid", "0"), ("mode", "0600")]
            {
                request = request.header(format!("{product}-{header}"), value);
            }
        }
        self.change(request.header("content-type", "application/octet-stream").body(text)).await
    }

    pub(super) async fn remove(&self, name: &InstanceName, path: &str) -> Result<Reply, PanelError> {
        self.change(self.at(Method::DELETE, &["instances", name.as_str(), "files"]).query(&[("path", path)])).await
    }

    async fn set_state(&self, name: &InstanceName, body: &Value) -> Result<Reply, PanelError> {
        self.change(self.at(Method::PUT, &["instances", name.as_str(), "state"]).json(body)).await
    }

    fn get(&self, path: &[&str]) -> RequestBuilder {
        self.at(Method::GET, path)
    }

    fn at(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let path = [&["1.0"], path].concat();
        self.http.request(method, path).query(&[("project", self.project.as_str())])
    }

    async fn change(&self, request: RequestBuilder) -> Result<Reply, PanelError> {
        let replied = self.http.send(Effect::Mutation, request).await.and_then(|answer| reply(&answer));
        let known = matches!(replied, Ok(Reply::Done(_) | Reply::Refused(_)) | Err(PanelError::Transient(_)));
        self.open.fetch_or(!known, Ordering::Relaxed);
        replied
    }

    /// What a path says; `None` where there is nothing.
    async fn read<T: DeserializeOwned>(&self, request: RequestBuilder, what: &str) -> Result<Option<T>, PanelError> {
        found(&self.http.send(Effect::Read, request).await?, what)
    }
}

/// What an answer to a read says; `None` where there is nothing.
fn found<T: DeserializeOwned>(answer: &Answer, what: &str) -> Result<Option<T>, PanelError> {
    match reply(answer)? {
        Reply::Done(metadata) => parsed(metadata, Effect::Read).map(Some),
        Reply::Refused(refusal) if refusal.status == 404 => Ok(None),
        Reply::Refused(refusal) => Err(refusal.error(Effect::Read, what)),
        Reply::Started(_) => Err(not_this_api()),
    }
}

/// Reads the envelope. What is none comes from something else than the daemon, and its status is all that counts.
fn reply(answer: &Answer) -> Result<Reply, PanelError> {
    let envelope: Envelope = match answer.json() {
        Ok(envelope) => envelope,
        Err(error) => return Err(answer.refusal().unwrap_or(error)),
    };
    if envelope.kind == Kind::Error {
        let too_many = answer.refusal().filter(|refusal| matches!(refusal, PanelError::RateLimited { .. }));
        let status = if envelope.error_code == 0 { answer.status.as_u16() } else { envelope.error_code };
        return too_many.map_or(Ok(Reply::Refused(Refusal { status, error: envelope.error })), Err);
    }
    if let Some(refusal) = answer.refusal() {
        return Err(refusal);
    }
    match envelope.kind {
        Kind::Async => parsed(envelope.metadata, Effect::Mutation).map(Reply::Started),
        Kind::Sync | Kind::Error => Ok(Reply::Done(envelope.metadata)),
    }
}

fn parsed<T: DeserializeOwned>(metadata: Value, effect: Effect) -> Result<T, PanelError> {
    serde_json::from_value(metadata).map_err(|error| {
        effect.unanswered(Cause::new("the server's answer is not of the shape that is expected").because(error))
    })
}

fn not_this_api() -> PanelError {
    PanelError::misconfigured("the server does not speak the API of Incus and LXD")
}
