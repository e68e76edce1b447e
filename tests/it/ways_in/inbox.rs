//! The stream in Redis: what is signed is stored once, whatever dies in between, and what is not has no effect.

use std::process::Command;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{
    super::support::{StackOptions, process::Process},
    *,
};

const DONE: &str = "select count(*) from berth.jobs where kind = 'no_op' and state = 'done'";

async fn stack() -> Stack {
    Stack::with(StackOptions::default().setting("inbox.enabled", "true")).await
}

/// An entry that is signed as it stands.
fn signed(key: &Key, fields: &[(&str, &str)]) -> Vec<(String, String)> {
    let by = key.id.to_string();
    let now = berth::clock::Clock::machine().to_string();
    let mut entry: Vec<(String, String)> = vec![("by".to_owned(), by), ("at".to_owned(), now)];
    for (name, value) in fields {
        entry.retain(|(known, _)| known != name);
        entry.push(((*name).to_owned(), (*value).to_owned()));
    }
    let field = |name: &str| entry.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
    let fields = ["by", "at", "kind", "key", "run_at", "payload"].map(field).join("\n");
    let mut mac = Hmac::<Sha256>::new_from_slice(key.signing_key.expose_secret().as_bytes()).unwrap();
    mac.update(format!("berth-inbox-v1\n{fields}").as_bytes());
    entry.push(("mac".to_owned(), hex::encode(mac.finalize().into_bytes())));
    entry
}

impl Stack {
    fn redis_cli(&self, arguments: &[&str]) -> String {
        let url = self.redis_url();
        let output =
            Command::new("redis-cli").args(["-u", &url, "--no-auth-warning"]).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn put(&self, entry: &[(String, String)]) {
        let mut arguments = vec!["XADD", "berth:inbox", "*"];
        arguments.extend(entry.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]));
        assert!(self.redis_cli(&arguments).contains('-'));
    }

    async fn until_taken(&self) {
        self.until("the inbox is empty", async || self.redis_cli(&["XLEN", "berth:inbox"]) == "0").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_entry_is_a_job_once_however_often_it_is_put() {
    let stack = stack().await;
    let key = stack.key("till", &["no_op"]).await;
    let keyed = signed(&key, &[("kind", "no_op"), ("payload", r#"{"note":"a"}"#), ("key", "k")]);
    let unkeyed = signed(&key, &[("kind", "no_op"), ("payload", "{}")]);
    // What lies there before anybody reads is read as well.
    stack.put(&keyed);
    let _berth = stack.start().await;

    for _ in 0..5 {
        stack.put(&keyed);
        stack.put(&unkeyed);
    }
    stack.until_taken().await;
    stack.until_count(DONE, 2).await;
    stack.put(&keyed);
    stack.put(&unkeyed);
    stack.until_taken().await;
    stack.until_idle().await;

    assert_eq!(stack.count("select count(*) from berth.jobs").await, 2);
    assert_eq!(stack.redis_cli(&["XLEN", "berth:inbox:refused"]), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_forged_altered_old_or_oversized_has_an_effect() {
    let stack = stack().await;
    let _berth = stack.start().await;
    let key = stack.key("till", &["no_op"]).await;
    let revoked = stack.key("till", &["no_op"]).await;
    assert!(Store::on(stack.pool.clone()).revoke_api_key(revoked.id).await.unwrap());
    let good = || signed(&key, &[("kind", "no_op"), ("payload", "{}"), ("key", "k")]);
    let with = |name: &str, value: &str| {
        let mut entry = good();
        entry.retain(|(known, _)| known != name);
        entry.push((name.to_owned(), value.to_owned()));
        entry
    };
    let without = |name: &str| good().into_iter().filter(|(known, _)| known != name).collect::<Vec<_>>();
    let account = r#"{"account_id":"acc_01k9z3m6sne5y8r7q2w4x6t8va"}"#;
    let stranger = Key { id: ApiKeyId::new(), token: String::new(), signing_key: SecretString::from("guessed") };
    let guesser = Key { id: key.id, token: String::new(), signing_key: SecretString::from("guessed") };
    let long = format!(r#"{{"note":"{}"}}"#, "x".repeat(70_000));
    let forged: Vec<Vec<(String, String)>> = vec![
        with("kind", "provision_account"),
        with("payload", r#"{"note":"changed"}"#),
        with("payload", "{"),
        with("key", "other"),
        with("at", "2020-01-01T00:00:00Z"),
        with("run_at", "2026-01-01T00:00:00Z"),
        with("mac", "00"),
        with("mac", ""),
        with("by", "me"),
        with("id", "job_01k9z3m6sne5y8r7q2w4x6t8va"),
        with("attempt", "0"),
        without("mac"),
        without("at"),
        without("payload"),
        signed(&stranger, &[("kind", "no_op"), ("payload", "{}")]),
        signed(&guesser, &[("kind", "no_op"), ("payload", "{}")]),
        signed(&revoked, &[("kind", "no_op"), ("payload", "{}")]),
        signed(&key, &[("kind", "provision_account"), ("payload", account)]),
        signed(&key, &[("kind", "complete_checkout"), ("payload", "{}")]),
        signed(&key, &[("kind", "no_op"), ("payload", &long)]),
        signed(&key, &[("kind", "no_op"), ("payload", "{}"), ("at", "2020-01-01T00:00:00Z")]),
        signed(&key, &[("kind", "no_op"), ("payload", "{}"), ("key", "a\nb")]),
        vec![("anything".to_owned(), "else".to_owned())],
    ];

    for entry in &forged {
        stack.put(entry);
    }
    stack.until_taken().await;

    assert_eq!(stack.count("select count(*) from berth.jobs").await, 0);
    assert_eq!(stack.redis_cli(&["XLEN", "berth:inbox:refused"]), forged.len().to_string());
    stack.put(&good());
    stack.until_count(DONE, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_dies_between_storing_and_taking_out_leaves_one_job() {
    let stack = stack().await;
    let key = stack.key("till", &["no_op"]).await;
    let mut dying = Process::start(&stack, &["work"], &[("BERTH_FAILPOINTS", "inbox.after_commit=abort")]);
    stack.put(&signed(&key, &[("kind", "no_op"), ("payload", "{}")]));
    stack.until_count("select count(*) from berth.jobs", 1).await;
    dying.wait().await;
    assert_eq!(stack.redis_cli(&["XLEN", "berth:inbox"]), "1");

    // The minute after which others take it over is not waited for: Redis is told that it is over.
    let pending = stack.redis_cli(&["XPENDING", "berth:inbox", "berth", "-", "+", "1"]);
    let words: Vec<&str> = pending.split_whitespace().collect();
    stack.redis_cli(&["XCLAIM", "berth:inbox", "berth", words[1], "0", words[0], "IDLE", "61000"]);
    let _berth = stack.start().await;
    stack.until_taken().await;
    stack.until_count(DONE, 1).await;

    assert_eq!(stack.count("select count(*) from berth.jobs").await, 1);
    assert_eq!(stack.redis_cli(&["XLEN", "berth:inbox:refused"]), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_redis_is_read_again() {
    let stack = stack().await;
    let _berth = stack.start().await;
    let key = stack.key("till", &["no_op"]).await;
    stack.put(&signed(&key, &[("kind", "no_op"), ("payload", "{}"), ("key", "1")]));
    stack.until_count(DONE, 1).await;

    stack.redis_cli(&["FLUSHALL"]);
    stack.put(&signed(&key, &[("kind", "no_op"), ("payload", "{}"), ("key", "2")]));

    stack.until_count(DONE, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_off_unless_it_is_turned_on() {
    let stack = Stack::new().await;
    let _berth = stack.start().await;
    let key = stack.key("till", &["no_op"]).await;

    stack.put(&signed(&key, &[("kind", "no_op"), ("payload", "{}")]));
    stack.until_idle().await;

    assert_eq!(stack.redis_cli(&["XLEN", "berth:inbox"]), "1");
    assert_eq!(stack.count("select count(*) from berth.jobs").await, 0);
    assert_eq!(stack.redis_cli(&["XINFO", "GROUPS", "berth:inbox"]), "");
}
