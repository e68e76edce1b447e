//! `berth smoke` buys from a running installation and cancels; `berth stripe sync-webhook` sets up what it needs at Stripe.

use serde_json::{Value, json};

use super::support::{Stack, process::Process, process::run};

fn said(output: &std::process::Output) -> (Option<i32>, Value, String) {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let json = serde_json::from_str(&stdout).unwrap_or_else(|_| Value::String(stdout.into_owned()));
    (output.status.code(), json, stderr.into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_installation_is_bought_from_seen_live_and_left_as_it_was() {
    let stack = Stack::new().await;
    let _up = Process::start(&stack, &["up"], &[]);
    stack.until_listening().await;

    let (code, report, stderr) = said(&run(&stack, &["smoke", "--json"], &[]).await);

    assert_eq!(code, Some(0), "{report:#}\n{stderr}");
    let steps: Vec<&str> =
        report["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(
        steps,
        ["it answers", "plan chosen", "ordered", "paid", "payment known", "live", "site answers", "cancelled", "gone"]
    );
    let chosen = report["steps"][1]["detail"].as_str().unwrap();
    assert!(chosen.starts_with("shared-monthly for 4.99"), "the cheapest of the catalogue: {chosen}");
    let ended = "select count(*) from berth.hosting_accounts where phase = 'terminated' and terminated_at is not null";
    assert_eq!(stack.count(ended).await, 1);
    stack.until_idle().await;
    stack.audit_rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_work_is_named_with_its_step_and_what_is_left() {
    let stack = Stack::new().await;
    // Nobody provisions.
    let _serve = Process::start(&stack, &["serve"], &[]);
    let _work = Process::start(&stack, &["work", "--queues", "payments,mail"], &[]);
    stack.until_listening().await;

    let (code, report, stderr) = said(&run(&stack, &["smoke", "--json", "--patience", "3"], &[]).await);

    assert_eq!(code, Some(1), "{report:#}\n{stderr}");
    let failed = report["failed"].as_str().unwrap();
    assert!(failed.contains("waited 3 s for its account to be made") && failed.contains("berth doctor"), "{failed}");
    assert!(stderr.contains("is left"), "{stderr}");

    let real = [
        ("BERTH_STRIPE__LIVEMODE", "true"),
        ("BERTH_STRIPE__SECRET_KEY", "sk_live_0123456789abcdef"),
        ("BERTH_STRIPE__API_BASE", "https://api.stripe.com"),
    ];
    let (code, _, stderr) = said(&run(&stack, &["smoke"], &real).await);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("livemode"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stripes_endpoint_is_set_up_by_one_command_and_its_secret_told_once() {
    let stack = Stack::new().await;
    stack.sim("webhooks", &json!({ "url": null })).await;

    let (code, planned, stderr) = said(&run(&stack, &["stripe", "sync-webhook", "--dry-run", "--json"], &[]).await);
    assert_eq!(code, Some(0), "{planned:#}\n{stderr}");
    assert_eq!((&planned["action"], &planned["endpoint"]), (&json!("create"), &Value::Null));

    let output = run(&stack, &["stripe", "sync-webhook", "--json"], &[("BERTH_LOG__LEVEL", "trace")]).await;
    let (code, made, stderr) = said(&output);
    assert_eq!(code, Some(0), "{made:#}\n{stderr}");
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"), "{made:#}");
    assert!(!stderr.contains(secret), "the secret is in the result and nowhere else: {stderr}");

    let (_, again, _) = said(&run(&stack, &["stripe", "sync-webhook", "--json"], &[]).await);
    assert_eq!(again["action"]["nothing"]["endpoint"], made["endpoint"]);
    assert_eq!(again.get("secret"), None, "it is told once");

    // What is bought now is told of under that secret alone.
    let _up = Process::start(&stack, &["up"], &[("BERTH_STRIPE__WEBHOOK_SECRETS", secret)]);
    stack.until_listening().await;
    let (code, report, stderr) = said(&run(&stack, &["smoke", "--json"], &[]).await);
    assert_eq!(code, Some(0), "{report:#}\n{stderr}");
    let came = "select count(*) from berth.stripe_events where type = 'checkout.session.completed'";
    assert_eq!(stack.count(came).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_is_followed_to_its_end() {
    let stack = Stack::new().await;
    let _up = Process::start(&stack, &["up"], &[]);
    stack.until_listening().await;

    let (code, job, stderr) = said(&run(&stack, &["sweep", "stripe_events", "--wait"], &[]).await);

    assert_eq!(code, Some(0), "{job} {stderr}");
    assert!(job.as_str().unwrap().starts_with("job_"), "{job}");
    let done = "select count(*) from berth.jobs where kind = 'sweep_stripe_events' and state = 'done'";
    assert_eq!(stack.count(done).await, 1);
}
