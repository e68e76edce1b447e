//! Keys that secrets are sealed with are changed for others while Berth runs, by `berth secrets rotate`.

use std::process::Output;

use serde_json::{Value, json};
use uuid::Uuid;

use super::support::Stack;

const OLD: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "k2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
/// Has the id of the old one, and is another key.
const WRONG: &str = "k1:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

/// Runs `berth secrets rotate` with these keys.
async fn rotate(stack: &Stack, keys: &[&str], arguments: &[&str], failpoints: Option<&str>) -> Output {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_berth"))
        .args(["secrets", "rotate"])
        .args(arguments)
        .env_clear()
        .envs(stack.environment())
        .env("BERTH_SECRETS__KEY", keys.join(","))
        .envs(failpoints.map(|points| ("BERTH_FAILPOINTS", points)))
        .current_dir(stack.folder.path())
        .output()
        .await
        .unwrap()
}

fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8(output.stdout.clone()).unwrap())
}

async fn sealed(stack: &Stack) -> Vec<(Uuid, String)> {
    sqlx::query_as(
        "select id, sealed_password from berth.hosting_accounts where sealed_password is not null order by id",
    )
    .fetch_all(&stack.pool)
    .await
    .unwrap()
}

async fn with_new_key(stack: &Stack) -> usize {
    sealed(stack).await.iter().filter(|(_, sealed)| sealed.starts_with("v1.k2.")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_is_sealed_anew_also_after_a_stop_and_the_old_key_may_go() {
    let mut stack = Stack::new().await;
    let user = Uuid::new_v4();
    let berth = stack.start().await;
    let (_, session) = stack.checkout(user, "shared-monthly", 4).await;
    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    stack.until_idle().await;
    let before = sealed(&stack).await;
    assert_eq!(before.len(), 4);

    let (code, text) = told(&rotate(&stack, &[NEW, OLD], &["--dry-run"], None).await);
    assert_eq!((code, text.as_str()), (Some(0), "4 values to be sealed anew, by now with the key k1\n"));
    assert_eq!(sealed(&stack).await, before, "a dry run changes nothing");

    // Stopped after its second commit, it goes on with what is left.
    let killed = rotate(&stack, &[NEW, OLD], &["--batch", "1"], Some("secrets.after_batch=kill@2")).await;
    assert_eq!((killed.status.code(), with_new_key(&stack).await), (None, 2));
    let (code, text) = told(&rotate(&stack, &[NEW, OLD], &["--batch", "1"], None).await);
    let may_go = "no value needs the key k1: it may be taken out of secrets.key\n";
    assert_eq!((code, text), (Some(0), format!("2 values sealed anew with the key k2\n{may_go}")));
    let after = sealed(&stack).await;
    let (_, text) = told(&rotate(&stack, &[NEW, OLD], &["--json"], None).await);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report, json!({ "key": "k2", "resealed": 0, "still_need": { "k1": 0 }, "unreadable": 0 }));
    assert_eq!((with_new_key(&stack).await, sealed(&stack).await), (4, after), "run again, it changes nothing");
    berth.stop().await;

    stack.settings.iter_mut().find(|(key, _)| key == "secrets.key").unwrap().1 = NEW.to_owned();
    let berth = stack.start().await;
    for (id, _) in before {
        let account = berth_jobs::ids::AccountId(id);
        let (status, revealed) = stack.post(user, &format!("/v1/hosting/{account}/reveal"), &json!({})).await;
        assert_eq!((status, revealed["password"].as_str().map(str::len)), (200, Some(20)), "{revealed}");
    }
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_wrong_or_missing_key_does_not_open_stays_as_it_is_and_is_named() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (_, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 2).await;
    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    let before = sealed(&stack).await;

    for keys in [&[NEW, WRONG][..], &[NEW]] {
        let output = rotate(&stack, keys, &[], None).await;
        let (code, text) = told(&output);
        let errors = String::from_utf8(output.stderr).unwrap();

        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.contains("2 values did not open") && text.contains("2 values still sealed with the key k1"),
            "{text}"
        );
        assert_eq!(errors.matches("error: the password of acc_").count(), 2, "{errors}");
        assert!(!errors.contains("v1.k1."), "what is sealed is not shown");
        assert_eq!(sealed(&stack).await, before);
    }
    let unusable = rotate(&stack, &["k1:short"], &[], None).await;
    assert_eq!(unusable.status.code(), Some(2));
    berth.stop().await;
}
