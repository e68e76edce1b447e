//! The API's requests. What is told in confidence goes in forms, so that it is in no URL and no access log.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{
    Method, RequestBuilder,
    header::{AUTHORIZATION, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    failures::Refusal,
    machine::Machine,
    tasks::Upid,
    wire::{Archive, Envelope, FileSystems, Guest, ListedTask, Node, Pending, Status, TaskStatus, Version, text_of},
};
use crate::{
    Cause, PanelError,
    http::{Answer, Effect, Http, HttpConfig},
};

/// More tasks than this a node does not have at work.
const TASKS_MAX: &str = "500";

/// What a change has brought about.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    /// A task is at work on it.
    Started(Upid),
}

/// What the server says of a request: what was asked for, or why not. The outer error is that it said nothing.
pub(super) type Said<T> = Result<Result<T, Refusal>, PanelError>;

/// A request's parameters.
pub(super) type Form<'a> = Vec<(&'a str, String)>;

/// Where a machine is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) node: &'a str,
    pub(super) vmid: u32,
}

/// The server, and as whom it is spoken to.
pub(super) struct Api {
    http: Http,
    authorization: HeaderValue,
}

impl Api {
    pub(super) fn new(config: HttpConfig, token_id: &str, secret: &SecretString) -> Result<Self, PanelError> {
        let header = format!("PVEAPIToken={token_id}={}", secret.expose_secret());
        let mut authorization = HeaderValue::try_from(header)
            .map_err(|_| PanelError::misconfigured("the API token has characters that no header can hold"))?;
        authorization.set_sensitive(true);
        Ok(Self { http: Http::new(config)?, authorization })
    }

    pub(super) async fn version(&self) -> Result<Version, PanelError> {
        self.asked(self.get(&["version"]), "the server could not be asked for its version").await
    }

    pub(super) async fn nodes(&self) -> Result<Vec<Node>, PanelError> {
        self.asked(self.get(&["nodes"]), "the server could not be asked for its nodes").await
    }

    /// The privileges that the token has at a path of the access control's, such as `/vms`.
    pub(super) async fn privileges(&self, path: &str) -> Result<BTreeSet<String>, PanelError> {
        let request = self.get(&["access", "permissions"]).query(&[("path", path)]);
        let held: BTreeMap<String, BTreeMap<String, Value>> =
            self.asked(request, "the server could not be asked for the token's privileges").await?;
        Ok(held.into_values().flat_map(BTreeMap::into_keys).collect())
    }

    /// All guests of the cluster that the token may see.
    pub(super) async fn guests(&self) -> Result<Vec<Guest>, PanelError> {
        let request = self.get(&["cluster", "resources"]).query(&[("type", "vm")]);
        self.asked(request, "the server could not be asked for its guests").await
    }

    /// A machine; `None` where there is none of that number at the node.
    pub(super) async fn machine(&self, at: Place<'_>) -> Result<Option<Machine>, PanelError> {
        let Some(config) = self.config(at).await? else { return Ok(None) };
        let Some(status) = self.of_machine::<Status>(at, &["status", "current"]).await? else { return Ok(None) };
        Ok(Some(Machine::new(at.vmid, at.node.to_owned(), config, status)))
    }

    /// A machine's configuration, by its keys; `None` where there is none of that number at the node.
    pub(super) async fn config(&self, at: Place<'_>) -> Result<Option<BTreeMap<String, String>>, PanelError> {
        let config = self.of_machine::<BTreeMap<String, Value>>(at, &["config"]).await?;
        Ok(config.map(|config| config.iter().map(|(key, value)| (key.clone(), text_of(value))).collect()))
    }

    /// What a machine's configuration will be after its next start.
    pub(super) async fn next_config(&self, at: Place<'_>) -> Result<BTreeMap<String, String>, PanelError> {
        let pending = self.of_machine::<Vec<Pending>>(at, &["pending"]).await?.unwrap_or_default();
        Ok(pending.into_iter().filter_map(|each| each.next().map(|value| (each.key, value))).collect())
    }

    pub(super) async fn task(&self, upid: &Upid) -> Result<Option<TaskStatus>, PanelError> {
        let request = self.get(&["nodes", upid.node(), "tasks", upid.as_str(), "status"]);
        match self.read(request).await? {
            Ok(status) => Ok(Some(status)),
            Err(refusal) if refusal.is_no_task() => Ok(None),
            Err(refusal) => Err(refusal.error(Effect::Read, "the server could not be asked for a task")),
        }
    }

    /// A task of this kind that is at work at a node for this guest, if any. A clone's is its template's.
    pub(super) async fn running(&self, node: &str, kind: &str, vmid: u32) -> Result<Option<Upid>, PanelError> {
        let vmid = vmid.to_string();
        let query = [("source", "active"), ("typefilter", kind), ("vmid", vmid.as_str()), ("limit", TASKS_MAX)];
        let request = self.get(&["nodes", node, "tasks"]).query(&query);
        let tasks: Vec<ListedTask> = self.asked(request, "the server could not be asked what it does").await?;
        let running = tasks.into_iter().find(|task| task.kind == kind && task.is_running());
        Ok(running.and_then(|task| Upid::parse(&task.upid)))
    }

    /// The backups in a storage.
    pub(super) async fn archives(&self, node: &str, storage: &str) -> Result<Vec<Archive>, PanelError> {
        let request = self.get(&["nodes", node, "storage", storage, "content"]).query(&[("content", "backup")]);
        self.asked(request, "the server could not be asked for its backups").await
    }

    pub(super) async fn clone_of(&self, template: Place<'_>, form: &Form<'_>) -> Said<Outcome> {
        self.change(self.at(Method::POST, template, &["clone"]).form(form), &[]).await
    }

    /// Changes what is named of a configuration, and leaves the rest. Not where somebody else has changed it since the machine
    /// was looked at.
    pub(super) async fn configure(
        &self,
        machine: &Machine,
        mut form: Form<'_>,
        secret: Option<&SecretString>,
    ) -> Said<Outcome> {
        form.extend(machine.digest().map(|digest| ("digest", digest.to_owned())));
        let secrets: Vec<_> = secret.into_iter().collect();
        let mut fields: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fields.extend(secret.map(|secret| ("cipassword", secret.expose_secret())));
        self.change(self.at(Method::PUT, machine.into(), &["config"]).form(&fields), &secrets).await
    }

    /// Makes a disk that large. One that is so already stays as it is.
    pub(super) async fn grow(&self, machine: &Machine, disk: &str, mib: u64) -> Said<Outcome> {
        let form = [("disk", disk.to_owned()), ("size", format!("{mib}M"))];
        self.change(self.at(Method::PUT, machine.into(), &["resize"]).form(&form), &[]).await
    }

    /// Asks for `start`, `shutdown`, `stop` or `resume`.
    pub(super) async fn power(&self, machine: &Machine, what: &str, form: &Form<'_>) -> Said<Outcome> {
        self.change(self.at(Method::POST, machine.into(), &["status", what]).form(form), &[]).await
    }

    /// Deletes a machine, its disks, and what other configurations say of it. Backups stay.
    pub(super) async fn delete(&self, machine: &Machine) -> Said<Outcome> {
        let query = [("purge", "1"), ("destroy-unreferenced-disks", "1")];
        self.change(self.at(Method::DELETE, machine.into(), &[]).query(&query), &[]).await
    }

    /// Backs a machine up while it runs, and keeps that from what a schedule prunes.
    pub(super) async fn dump(&self, machine: &Machine, storage: &str, note: &str) -> Said<Outcome> {
        let form = [
            ("vmid", machine.vmid.to_string().as_str()),
            ("storage", storage),
            ("mode", "snapshot"),
            ("compress", "zstd"),
            ("notes-template", note),
            ("protected", "1"),
            ("remove", "0"),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        self.change(self.request(Method::POST, &["nodes", &machine.node, "vzdump"]).form(&form), &[]).await
    }

    /// Puts what a backup holds in the place of a machine; the form says what the machine is to have in place of that.
    pub(super) async fn restore(&self, machine: &Machine, archive: &Archive, mut form: Form<'_>) -> Said<Outcome> {
        form.push(("vmid", machine.vmid.to_string()));
        form.push(("archive", archive.volid.clone()));
        form.push(("force", "1".to_owned()));
        self.change(self.request(Method::POST, &["nodes", &machine.node, "qemu"]).form(&form), &[]).await
    }

    pub(super) async fn unprotect(&self, node: &str, storage: &str, archive: &Archive) -> Said<Outcome> {
        self.change(self.archive(Method::PUT, node, storage, archive).form(&[("protected", "0")]), &[]).await
    }

    pub(super) async fn delete_archive(&self, node: &str, storage: &str, archive: &Archive) -> Said<Outcome> {
        self.change(self.archive(Method::DELETE, node, storage, archive), &[]).await
    }

    fn archive(&self, method: Method, node: &str, storage: &str, archive: &Archive) -> RequestBuilder {
        let path: Vec<_> =
            ["nodes", node, "storage", storage, "content"].into_iter().chain(archive.volid.split('/')).collect();
        self.request(method, &path)
    }

    /// Sets a password by the guest agent.
    pub(super) async fn password_inside(
        &self,
        machine: &Machine,
        user: &str,
        password: &SecretString,
    ) -> Said<Outcome> {
        let form = [("username", user), ("password", password.expose_secret())];
        let request = self.at(Method::POST, machine.into(), &["agent", "set-user-password"]).form(&form);
        self.change(request, &[password]).await
    }

    /// The file systems, by the guest agent.
    pub(super) async fn file_systems(&self, machine: &Machine) -> Said<FileSystems> {
        self.read(self.at(Method::GET, machine.into(), &["agent", "get-fsinfo"])).await
    }

    fn get(&self, path: &[&str]) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    fn at(&self, method: Method, at: Place<'_>, path: &[&str]) -> RequestBuilder {
        let vmid = at.vmid.to_string();
        self.request(method, &[&["nodes", at.node, "qemu", &vmid], path].concat())
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let path = [&["api2", "json"], path].concat();
        self.http.request(method, path).header(AUTHORIZATION, self.authorization.clone())
    }

    async fn of_machine<T: DeserializeOwned>(&self, at: Place<'_>, path: &[&str]) -> Result<Option<T>, PanelError> {
        match self.read(self.at(Method::GET, at, path)).await? {
            Ok(data) => Ok(Some(data)),
            Err(refusal) if refusal.is_absent() => Ok(None),
            Err(refusal) => Err(refusal.error(Effect::Read, "the server could not be asked for a machine")),
        }
    }

    async fn asked<T: DeserializeOwned>(&self, request: RequestBuilder, what: &str) -> Result<T, PanelError> {
        self.read(request).await?.map_err(|refusal| refusal.error(Effect::Read, what))
    }

    async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Said<T> {
        let answer = self.http.send(Effect::Read, request).await?;
        match said(&answer, &[])? {
            Ok(data) => parsed(data, Effect::Read).map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    async fn change(&self, request: RequestBuilder, secrets: &[&SecretString]) -> Said<Outcome> {
        let answer = self.http.send(Effect::Mutation, request).await?;
        Ok(said(&answer, secrets)?.map(|data| match data.as_str().and_then(Upid::parse) {
            Some(upid) => Outcome::Started(upid),
            None => Outcome::Done,
        }))
    }
}

impl<'a> From<&'a Machine> for Place<'a> {
    fn from(machine: &'a Machine) -> Self {
        Self { node: &machine.node, vmid: machine.vmid }
    }
}

/// Reads the envelope. What is none comes from something else than the server, and its status is all that counts.
fn said(answer: &Answer, secrets: &[&SecretString]) -> Said<Value> {
    let envelope: Envelope = match answer.json() {
        Ok(envelope) => envelope,
        Err(error) => return Err(answer.refusal().unwrap_or(error)),
    };
    match answer.refusal() {
        None => Ok(Ok(envelope.data)),
        Some(too_many @ PanelError::RateLimited { .. }) => Err(too_many),
        Some(_) => {
            let refusal = Refusal::new(answer.status.as_u16(), &envelope.message, &envelope.errors, secrets);
            tracing::debug!(message = refusal.message(), "the server has refused a request");
            Ok(Err(refusal))
        }
    }
}

fn parsed<T: DeserializeOwned>(data: Value, effect: Effect) -> Result<T, PanelError> {
    // The parser's error may quote what it read.
    serde_json::from_value(data)
        .map_err(|_| effect.unanswered(Cause::new("the server's answer is not of the shape that is expected")))
}
