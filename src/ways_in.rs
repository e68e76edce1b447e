//! What other applications ask for, whichever way they come: all of it is checked at the door, and what passes is a job like
//! any other.

use std::collections::BTreeMap;

use berth_jobs::{AnyJob, DecodeError, JobKind, ids::JobId};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, value::to_raw_value};
use utoipa::ToSchema;

use crate::{effects::NewJob, store::asked_jobs::KeyedJob};

/// In characters.
const LONGEST_KEY: usize = 255;
/// Whoever wants a job later than that has mistyped. Hours, because a day is none of `SignedDuration`'s units.
const LATEST: SignedDuration = SignedDuration::from_hours(400 * 24);

/// An application that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its name: all its keys are one caller.
    pub application: String,
    /// The kinds that it may ask for.
    pub kinds: Vec<String>,
}

/// A job that is asked for.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The job's name. `GET /v1/jobs/schemas` has those that there are.
    #[schema(example = "provision_account")]
    pub kind: String,
    /// Its payload: an object, as the kind's schema has it.
    #[schema(value_type = Object, example = json!({ "account_id": "acc_01k9z3m6sne5y8r7q2w4x6t8va" }))]
    pub payload: Value,
    /// The caller's own key for it. While a job under the same key is in the ledger, until a week after its end, asking again
    /// changes nothing and is answered with that one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 255)]
    pub key: Option<String>,
    /// When it is due, within 400 days; without it, now.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub run_at: Option<Timestamp>,
}

/// Why a job is not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No job has that name, or none that may be asked for from outside.
    #[error("no job that may be asked for is called `{0}`; there are {names}", names = names())]
    Kind(String),
    /// The caller may not ask for this kind.
    #[error("{application} may not ask for {kind}; it may ask for {allowed}")]
    NotAllowed {
        /// Who asks.
        application: String,
        /// For what.
        kind: String,
        /// What it may ask for.
        allowed: String,
    },
    /// The payload is not that job's.
    #[error("{0}")]
    Payload(String),
    /// The key cannot be one.
    #[error("a key has 1 to {LONGEST_KEY} characters, none of them a control character")]
    Key,
    /// The time is too late.
    #[error("a job is due within 400 days")]
    Time,
}

fn names() -> String {
    external().map(|kind| kind.name).collect::<Vec<_>>().join(", ")
}

/// The kinds that may be asked for from outside.
pub fn external() -> impl Iterator<Item = &'static JobKind> {
    AnyJob::KINDS.iter().filter(|kind| kind.external)
}

impl Caller {
    /// The job, if the caller may ask for it and it fits.
    ///
    /// # Errors
    /// With what is wrong, in words for whoever asks.
    pub fn admit(&self, asked: &Asked, now: Timestamp) -> Result<NewJob, Refused> {
        let kind = external().find(|kind| kind.name == asked.kind);
        let kind = kind.ok_or_else(|| Refused::Kind(asked.kind.clone()))?;
        if !self.kinds.iter().any(|allowed| allowed == kind.name) {
            let (application, kind) = (self.application.clone(), asked.kind.clone());
            return Err(Refused::NotAllowed { application, kind, allowed: self.kinds.join(", ") });
        }
        let unfit = |why: &dyn std::fmt::Display| Refused::Payload(format!("the payload does not fit: {why}"));
        if !asked.payload.is_object() {
            return Err(unfit(&"it is no object"));
        }
        let payload = to_raw_value(&asked.payload).map_err(|error| unfit(&error))?;
        let job = AnyJob::decode(kind.name, &payload).map_err(|error| match error {
            DecodeError::UnknownKind(name) => Refused::Kind(name),
            DecodeError::Payload(_) | DecodeError::UnknownFields(_) => Refused::Payload(error.to_string()),
        })?;
        check_times(kind, &asked.payload)?;
        let once_key = asked.key.as_deref().map(|key| self.once_key(key)).transpose()?;
        if asked.run_at.is_some_and(|at| at.duration_since(now) > LATEST) {
            return Err(Refused::Time);
        }
        let once_key = once_key.or_else(|| job.once_key());
        Ok(NewJob { id: JobId::new(), once_key, job, run_at: asked.run_at })
    }

    /// A caller's key as the ledger has it: apart from Berth's own keys, and from those of other applications.
    ///
    /// # Errors
    /// [`Refused::Key`].
    pub fn once_key(&self, key: &str) -> Result<String, Refused> {
        if key.is_empty() || key.chars().count() > LONGEST_KEY || key.contains(char::is_control) {
            return Err(Refused::Key);
        }
        Ok(format!("app:{}:{key}", self.application))
    }
}

/// What callers' keys stand for. A key that stands for one job is refused for another, which would silently not be done.
#[derive(Debug)]
pub struct Keys(BTreeMap<String, Option<AnyJob>>);

impl Keys {
    /// Those that are taken: by jobs that are in the ledger.
    #[must_use]
    pub fn of(known: Vec<KeyedJob>) -> Self {
        let job = |known: &KeyedJob| AnyJob::decode(&known.kind, &to_raw_value(&known.payload).ok()?).ok();
        Self(known.into_iter().map(|known| (known.once_key.clone(), job(&known))).collect())
    }

    /// Whether the job's key was free, or stands for this very job. From then on it does.
    pub fn take(&mut self, new: &NewJob) -> bool {
        let Some(key) = &new.once_key else { return true };
        self.0.entry(key.clone()).or_insert_with(|| Some(new.job.clone())).as_ref() == Some(&new.job)
    }
}

/// Texts that the schema calls times are times: the jobs' own types do not look.
fn check_times(kind: &JobKind, payload: &Value) -> Result<(), Refused> {
    let schema = (kind.schema)();
    for (name, value) in payload.as_object().into_iter().flatten() {
        let rule = schema.get("properties").and_then(|properties| properties.get(name));
        let is_time = rule.and_then(|rule| rule.get("format")).is_some_and(|format| format == "date-time");
        let Some(text) = value.as_str().filter(|_| is_time) else { continue };
        if text.parse::<Timestamp>().is_err() {
            let why = format!("the payload does not fit: `{name}` is no time such as 2030-01-01T00:00:00Z");
            return Err(Refused::Payload(why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn caller() -> Caller {
        let kinds = ["no_op", "provision_account", "sweep_accounts"].map(str::to_owned);
        Caller { application: "crm".to_owned(), kinds: kinds.into() }
    }

    fn asked(value: &Value) -> Asked {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    fn refusal(value: &Value) -> String {
        caller().admit(&asked(value), NOW).unwrap_err().to_string()
    }

    #[test]
    fn what_fits_is_a_job_under_the_callers_own_key() {
        let new = caller().admit(&asked(&json!({ "kind": "no_op", "payload": {}, "key": "a" })), NOW).unwrap();

        assert_eq!(new.once_key.as_deref(), Some("app:crm:a"));
        assert_eq!(new.job.kind().name, "no_op");
    }

    #[test]
    fn what_does_not_fit_is_told_why() {
        let of = |kind: &str, payload: Value| json!({ "kind": kind, "payload": payload });

        assert!(
            refusal(&of("make_coffee", json!({}))).starts_with("no job that may be asked for is called `make_coffee`")
        );
        assert!(refusal(&of("complete_checkout", json!({}))).contains("there are sync_checkout, "));
        assert_eq!(
            refusal(&of("suspend_account", json!({}))),
            "crm may not ask for suspend_account; it may ask for no_op, provision_account, sweep_accounts"
        );
        assert!(refusal(&of("provision_account", json!({}))).contains("missing field `account_id`"));
        assert!(refusal(&of("no_op", json!({ "not": 1 }))).contains("unknown field `not`"));
        assert!(refusal(&of("sweep_accounts", json!({ "as_of": "tomorrow" }))).contains("`as_of` is no time"));
        assert!(refusal(&json!({ "kind": "no_op", "payload": {}, "key": "" })).starts_with("a key has 1 to 255"));
        assert!(refusal(&json!({ "kind": "no_op", "payload": {}, "key": "a\nb" })).starts_with("a key has 1 to 255"));
        let late = json!({ "kind": "no_op", "payload": {}, "run_at": "1972-01-01T00:00:00Z" });
        assert_eq!(refusal(&late), "a job is due within 400 days");
    }

    #[test]
    fn a_key_stands_for_one_job_however_its_payload_is_written() {
        let new = |payload: Value| {
            caller().admit(&asked(&json!({ "kind": "no_op", "payload": payload, "key": "k" })), NOW).unwrap()
        };
        let known = KeyedJob {
            id: JobId::new(),
            once_key: "app:crm:k".to_owned(),
            kind: "no_op".to_owned(),
            payload: json!({}),
        };
        let (mut keys, mut free) = (Keys::of(vec![known]), Keys::of(Vec::new()));

        assert!(keys.take(&new(json!({}))) && keys.take(&new(json!({ "note": null }))));
        assert!(!keys.take(&new(json!({ "note": "other" }))));
        assert!(free.take(&new(json!({ "note": "first" }))) && !free.take(&new(json!({}))));
    }
}
