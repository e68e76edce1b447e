use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;

use super::*;
use crate::secrets::signing_key;

const AT: &str = "2026-01-01T00:00:00Z";

fn by() -> ApiKeyId {
    "key_01k9z3m6sne5y8r7q2w4x6t8va".parse().unwrap()
}

fn signers() -> BTreeMap<ApiKeyId, (Caller, SecretString)> {
    let caller = Caller { application: "crm".to_owned(), kinds: vec!["no_op".to_owned()] };
    BTreeMap::from([(by(), (caller, signing_key(&SecretString::from("berth_x"))))])
}

/// An entry as an application makes one, which may then be changed.
fn entry(change: impl FnOnce(&mut BTreeMap<String, String>)) -> Entry {
    let by = by().to_string();
    let text = signed_text(&by, AT, "no_op", Some("a"), None, "{}");
    let key = signing_key(&SecretString::from("berth_x"));
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let mac = hex::encode(mac.finalize().into_bytes());
    let fields = [("kind", "no_op"), ("payload", "{}"), ("key", "a"), ("at", AT), ("by", &by), ("mac", &mac)];
    let mut fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    change(&mut fields);
    Entry::new("1-1", fields)
}

fn verdict(entry: &Entry, hours_later: i64) -> Result<NewJob, String> {
    let now = AT.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hours_later);
    let signers = signers();
    let (signed, caller) = Signed::read(entry)?.verified(&signers, now)?;
    signed.job(caller, now)
}

fn set(name: &str, value: &str) -> Entry {
    entry(|fields| {
        fields.insert(name.to_owned(), value.to_owned());
    })
}

#[test]
fn what_is_signed_is_a_job_under_the_applications_key() {
    let job = verdict(&entry(|_| {}), 71).unwrap();

    assert_eq!(job.once_key.as_deref(), Some("app:crm:a"));
}

#[test]
fn what_was_changed_after_it_was_signed_is_refused() {
    for (name, value) in [
        ("kind", "provision_account"),
        ("payload", "{ }"),
        ("key", "b"),
        ("at", "2026-01-01T00:00:01Z"),
        ("run_at", AT),
    ] {
        assert_eq!(verdict(&set(name, value), 0).unwrap_err(), "the signature is wrong", "{name}");
    }
}

#[test]
fn what_is_too_old_too_new_or_not_whole_is_refused_in_words() {
    let without = |name: &str| entry(|fields| assert!(fields.remove(name).is_some()));

    assert!(verdict(&entry(|_| {}), 73).unwrap_err().starts_with("it was signed more than 72 hours ago"));
    assert!(
        verdict(&entry(|_| {}), -1).unwrap_err().starts_with("it was signed more than 72 hours ago, or in the future")
    );
    assert_eq!(verdict(&without("mac"), 0).unwrap_err(), "the field `mac` is missing, or is no text");
    assert_eq!(verdict(&set("worker", "x"), 0).unwrap_err(), "there is no field `worker`");
    assert_eq!(verdict(&set("at", "now"), 0).unwrap_err(), "`at` is no time");
    assert!(verdict(&set("by", "me"), 0).unwrap_err().starts_with("`by`: expected an id such as key_"));
    assert_eq!(
        verdict(&set("by", &ApiKeyId::new().to_string()), 0).unwrap_err(),
        "`by` names no key that holds and may sign"
    );
    assert!(verdict(&set("payload", "{"), 0).unwrap_err().starts_with("the payload is not JSON"));
    assert!(verdict(&set("payload", &"x".repeat(70_000)), 0).unwrap_err().starts_with("the payload is longer than"));
}
