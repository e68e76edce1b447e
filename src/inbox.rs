//! Jobs that applications ask for through Redis: each entry of the stream is checked like a request, stored, and only then
//! taken out.
//!
//! Redis is not trusted: an entry counts by its signature, which is made with what an application's key allows to sign.

use std::{collections::BTreeMap, time::Duration};

use berth_jobs::ids::ApiKeyId;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    effects::{Effects, NewJob},
    error::chain,
    failpoint,
    queue::inbox::{Entry, Inbox},
    secrets::{self, Place, SecretKeys},
    store::StoreError,
    ways_in::{Asked, Caller, Keys},
};

/// Entries that were signed earlier are refused: a repetition is told from them only as long as the job of the first is in the
/// ledger, which is a week.
const OLDEST: SignedDuration = SignedDuration::from_hours(72);
/// How far the clocks of applications may be ahead.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// In bytes.
const LONGEST_PAYLOAD: usize = 64 * 1024;
/// The first wait after an error of Redis or PostgreSQL, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Reads until the process drains.
pub(crate) async fn run(app: App, draining: CancellationToken) {
    let Some(keys) = &app.secrets else {
        tracing::error!("inbox.enabled needs secrets.key: what signs entries is sealed by it; no entry is read");
        return;
    };
    let mut inbox = Inbox::new(&app.redis, app.lease.id);
    let mut wait = FIRST_WAIT;
    while !draining.is_cancelled() {
        match inbox.take().await {
            Ok(entries) => {
                wait = FIRST_WAIT;
                store(&app, keys, &mut inbox, entries, &draining).await;
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "the inbox cannot be read");
                pause(&mut wait, &draining).await;
            }
        }
    }
    inbox.leave().await;
}

async fn pause(wait: &mut Duration, draining: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(*wait) => {}
        () = draining.cancelled() => {}
    }
    *wait = (*wait * 2).min(LONGEST_WAIT);
}

/// Stores entries and takes them out, however long PostgreSQL is away. If the process ends before, others take them over.
async fn store(app: &App, keys: &SecretKeys, inbox: &mut Inbox, entries: Vec<Entry>, draining: &CancellationToken) {
    let mut wait = FIRST_WAIT;
    while !entries.is_empty() && !draining.is_cancelled() {
        match admit(app, keys, &entries).await {
            Ok(Admitted { stored, refused }) => {
                failpoint::hit("inbox.after_commit");
                for (_, reason) in &refused {
                    tracing::warn!(reason, "an entry of the inbox was refused");
                }
                if let Err(error) = inbox.settle(&stored, &refused).await {
                    // They come again, and are known by their keys.
                    tracing::warn!(error = chain(&error), "entries of the inbox are stored and could not be taken out");
                }
                return;
            }
            Err(error) => {
                tracing::warn!(error = %error, "entries of the inbox could not be stored");
                pause(&mut wait, draining).await;
            }
        }
    }
}

struct Admitted {
    stored: Vec<Entry>,
    refused: Vec<(Entry, String)>,
}

/// Checks entries, and writes the jobs of those that pass in one commit.
async fn admit(app: &App, keys: &SecretKeys, entries: &[Entry]) -> Result<Admitted, String> {
    let signers = signers(app, keys, entries).await.map_err(|error| chain(&error))?;
    let now = app.store.now().await.map_err(|error| chain(&error))?;
    let real_now = app.store.real_now().await.map_err(|error| chain(&error))?;
    let mut admitted = Admitted { stored: Vec::new(), refused: Vec::new() };
    let mut new: Vec<(Entry, NewJob)> = Vec::new();
    for entry in entries {
        let signed = Signed::read(entry).and_then(|signed| signed.verified(&signers, real_now));
        match signed.and_then(|(signed, caller)| signed.job(caller, now)) {
            Ok(job) => new.push((entry.clone(), job)),
            Err(reason) => admitted.refused.push((entry.clone(), reason)),
        }
    }
    let once_keys: Vec<String> = new.iter().filter_map(|(_, job)| job.once_key.clone()).collect();
    let mut keys = Keys::of(app.store.jobs_under_keys(&once_keys).await.map_err(|error| chain(&error))?);
    let mut jobs = Vec::new();
    for (entry, job) in new {
        if keys.take(&job) {
            admitted.stored.push(entry);
            jobs.push(job);
        } else {
            admitted.refused.push((entry, "the key stands for another job".to_owned()));
        }
    }
    app.committer.write(Effects { jobs, ..Effects::none() }).await.map_err(|error| chain(&error))?;
    Ok(admitted)
}

/// What the applications that entries name sign with, and what they may ask for.
async fn signers(
    app: &App,
    keys: &SecretKeys,
    entries: &[Entry],
) -> Result<BTreeMap<ApiKeyId, (Caller, SecretString)>, StoreError> {
    let named: Vec<ApiKeyId> = entries.iter().filter_map(|entry| entry.fields.get("by")?.parse().ok()).collect();
    let mut signers = BTreeMap::new();
    for signing in app.store.signing_keys(&named).await? {
        let caller = Caller { application: signing.key.application, kinds: signing.key.kinds };
        match keys.open(&Place::signing_key_of(signing.key.id), &signing.sealed) {
            Ok(opened) => {
                signers.insert(signing.key.id, (caller, opened));
            }
            Err(error) => {
                tracing::error!(key = %signing.key.id, error = chain(&error), "what a key signs with does not open")
            }
        }
    }
    Ok(signers)
}

/// An entry that can be read.
#[derive(Debug)]
struct Signed {
    by: ApiKeyId,
    at: Timestamp,
    mac: String,
    text: String,
    asked: Asked,
}

impl Signed {
    fn read(entry: &Entry) -> Result<Self, String> {
        const FIELDS: [&str; 7] = ["kind", "payload", "key", "run_at", "at", "by", "mac"];

        if let Some(unknown) = entry.fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(format!("there is no field `{unknown:.40}`"));
        }
        let field = |name: &str| entry.fields.get(name).map(String::as_str);
        let needed = |name: &str| field(name).ok_or_else(|| format!("the field `{name}` is missing, or is no text"));
        let time = |name: &str| {
            let read = field(name).map(|text| text.parse::<Timestamp>().map_err(|_| format!("`{name}` is no time")));
            read.transpose()
        };
        let (by, mac, kind, payload) = (needed("by")?, needed("mac")?, needed("kind")?, needed("payload")?);
        let at = time("at")?.ok_or("the field `at` is missing")?;
        if payload.len() > LONGEST_PAYLOAD {
            return Err(format!("the payload is longer than {LONGEST_PAYLOAD} bytes"));
        }
        Ok(Self {
            by: by.parse().map_err(|error| format!("`by`: {error}"))?,
            at,
            mac: mac.to_owned(),
            text: signed_text(by, needed("at")?, kind, field("key"), field("run_at"), payload),
            asked: Asked {
                kind: kind.to_owned(),
                payload: serde_json::from_str(payload).map_err(|error| format!("the payload is not JSON: {error}"))?,
                key: field("key").map(str::to_owned),
                run_at: time("run_at")?,
            },
        })
    }

    fn verified(
        self,
        signers: &BTreeMap<ApiKeyId, (Caller, SecretString)>,
        real_now: Timestamp,
    ) -> Result<(Self, &Caller), String> {
        let (caller, key) = signers.get(&self.by).ok_or("`by` names no key that holds and may sign")?;
        if !secrets::is_signed(key, &self.text, &self.mac) {
            return Err("the signature is wrong".to_owned());
        }
        let age = real_now.duration_since(self.at);
        if age > OLDEST || age < -AHEAD {
            return Err("it was signed more than 72 hours ago, or in the future".to_owned());
        }
        Ok((self, caller))
    }

    /// Without a key of the application's own its signature is what tells a repetition.
    fn job(&self, caller: &Caller, now: Timestamp) -> Result<NewJob, String> {
        let new = caller.admit(&self.asked, now).map_err(|refused| refused.to_string())?;
        let mac = || format!("inbox:{}:{}", self.by, self.mac.to_ascii_lowercase());
        Ok(NewJob { once_key: Some(new.once_key.clone().unwrap_or_else(mac)), ..new })
    }
}

/// What is signed: the fields a line each, the payload last. None of the others has a line break in it where it is accepted.
fn signed_text(by: &str, at: &str, kind: &str, key: Option<&str>, run_at: Option<&str>, payload: &str) -> String {
    let (key, run_at) = (key.unwrap_or_default(), run_at.unwrap_or_default());
    format!("berth-inbox-v1\n{by}\n{at}\n{kind}\n{key}\n{run_at}\n{payload}")
}

#[cfg(test)]
mod tests;
