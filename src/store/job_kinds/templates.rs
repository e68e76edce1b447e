//! The jobs' keys as texts with fields in them, for those who enqueue by SQL: `account:{account_id}`. What stands in brackets
//! is there only where the payload has the field: `sweep_accounts[:{as_of}]`.

use berth_jobs::{AnyJob, JobKind};
use serde_json::{Map, Value, value::RawValue};

/// A payload of a kind with all its fields, and one with those that it must have.
struct Samples {
    full: Value,
    least: Value,
    /// Each field and its value.
    fields: Vec<(String, String)>,
}

/// A job's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyTemplates {
    /// See [`berth_jobs::Job::coalesce_key`].
    pub(super) coalesce: Option<String>,
    /// See [`berth_jobs::Job::serial`].
    pub(super) serial: Option<String>,
}

/// The keys of a kind, found by asking it for those of two payloads.
pub(super) fn templates(kind: &JobKind) -> KeyTemplates {
    let samples = samples(kind);
    let (Some(full), Some(least)) = (job(kind, &samples.full), job(kind, &samples.least)) else {
        return KeyTemplates::default();
    };
    let template = |full: Option<String>, least: Option<String>| {
        let (full, least) = (samples.templated(full?), samples.templated(least?));
        Some(if full == least { full } else { with_brackets(&full, &least) })
    };
    KeyTemplates {
        coalesce: template(full.coalesce_key(), least.coalesce_key()),
        serial: template(full.serial(), least.serial()),
    }
}

fn job(kind: &JobKind, payload: &Value) -> Option<AnyJob> {
    AnyJob::decode(kind.name, &RawValue::from_string(payload.to_string()).ok()?).ok()
}

fn samples(kind: &JobKind) -> Samples {
    let schema = (kind.schema)();
    let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut samples = Samples { full: Value::Null, least: Value::Null, fields: Vec::new() };
    let (mut full, mut least) = (Map::new(), Map::new());
    for (at, (name, rule)) in properties.iter().enumerate() {
        let reference = rule.get("$ref").and_then(Value::as_str).map(|reference| reference.trim_start_matches('#'));
        let rule = reference.and_then(|path| schema.as_value().pointer(path)).unwrap_or(rule);
        let value = sample(rule, at);
        samples.fields.push((name.clone(), value.clone()));
        full.insert(name.clone(), value.clone().into());
        if required.iter().any(|required| required == name) {
            least.insert(name.clone(), value.into());
        }
    }
    Samples { full: full.into(), least: least.into(), ..samples }
}

/// A text that the rule lets pass, another one for each field.
fn sample(rule: &Value, at: usize) -> String {
    let pattern = rule.get("pattern").and_then(Value::as_str).and_then(|pattern| pattern.strip_prefix('^'));
    let prefix = pattern.and_then(|pattern| pattern.split_once('[')).map(|(prefix, _)| prefix);
    let digit = at % 10;
    match (prefix, rule.get("format").and_then(Value::as_str)) {
        (Some(prefix), _) => format!("{prefix}{}{digit}", "0".repeat(25)),
        (None, Some("date-time")) => format!("200{digit}-01-01T00:00:00Z"),
        (None, Some("uuid")) => format!("00000000-0000-0000-0000-00000000000{digit}"),
        (None, _) => format!("sample-{at}"),
    }
}

impl Samples {
    /// Names the fields whose values stand in a key.
    fn templated(&self, key: String) -> String {
        self.fields.iter().fold(key, |key, (name, value)| key.replace(value, &format!("{{{name}}}")))
    }
}

/// Puts what only the longer text has in brackets.
fn with_brackets(full: &str, least: &str) -> String {
    let head = full.chars().zip(least.chars()).take_while(|(a, b)| a == b).map(|(letter, _)| letter.len_utf8()).sum();
    let (same, rest) = full.split_at(head);
    let tail = least.get(head..).unwrap_or_default();
    let optional = rest.strip_suffix(tail).unwrap_or(rest);
    format!("{same}[{optional}]{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> (Option<String>, Option<String>) {
        let KeyTemplates { coalesce, serial } = templates(JobKind::named(name).unwrap());
        (coalesce, serial)
    }

    #[test]
    fn a_key_names_the_fields_that_it_is_made_of() {
        let some = |text: &str| Some(text.to_owned());

        assert_eq!(of("provision_account"), (some("provision_account:{account_id}"), some("account:{account_id}")));
        assert_eq!(of("sweep_accounts"), (some("sweep_accounts[:{as_of}]"), some("sweep_accounts")));
        assert_eq!(of("no_op"), (None, None));
    }

    #[test]
    fn no_job_that_others_ask_for_has_a_once_key_of_its_own() {
        // It would stand in the ledger under a name that two callers could choose.
        for kind in AnyJob::KINDS.iter().filter(|kind| kind.external) {
            let job = job(kind, &samples(kind).full).unwrap_or_else(|| panic!("{} reads no sample", kind.name));
            assert_eq!(job.once_key(), None, "{}", kind.name);
        }
    }
}
