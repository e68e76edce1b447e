//! Workers killed between what they ask of a panel and what they write down of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Stack, StackOptions, hosting::Live, keeper::Keeper, process::Launch};

/// Asks for something of an account and kills the workers at both points of the job that does it.
async fn survives(stack: &Stack, live: &Live, what: &str, body: Value, points: [&str; 2], phase: &str) {
    let workers = Keeper::start(&Launch::new(stack, &["work"]), 1, &points);
    stack.as_staff_of(live, "POST", what, body).await.ok();
    stack.until_phase(live, phase).await;
    let unfinished = stack.unfinished_after(Duration::from_secs(30)).await;
    assert!(unfinished.is_empty(), "{points:?}: {unfinished:#?}");
    let deaths = workers.deaths();
    assert!(deaths.iter().all(|death| death.signal == Some(9)), "{deaths:#?}");
    assert_eq!(deaths.len(), 2, "{points:?}: both were met");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_around_a_panels_change_has_it_made_and_told_once() {
    let stack = Stack::with(StackOptions::default().quick()).await;
    let _serve = Keeper::start(&Launch::new(&stack, &["serve"]), 1, &[]);
    stack.until_listening().await;
    let mut accounts = Vec::new();
    {
        let workers = Keeper::start(&Launch::new(&stack, &["work"]), 1, &[]);
        for _ in 0..2 {
            let user = uuid::Uuid::new_v4();
            let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
            stack.pay(&session).await;
            let shown = async || stack.get(user, &format!("/v1/orders/{order}")).await.1;
            stack.until("it is live", async || shown().await["status"] == "completed").await;
            let listed = stack.get(user, "/v1/hosting").await.1;
            let text = |field: &str| listed["data"][0][field].as_str().unwrap().to_owned();
            accounts.push(Live { id: text("id").parse().unwrap(), user, username: text("account_username") });
        }
        stack.until_idle().await;
        drop(workers);
    }
    let (one, other) = (&accounts[0], &accounts[1]);

    let body = json!({ "reason": "abuse", "note": "x" });
    let points = ["panel.before_suspend=kill@1", "panel.after_suspend=kill@1"];
    survives(&stack, one, "/suspend", body, points, "suspended").await;
    let points = ["panel.before_unsuspend=kill@1", "panel.after_unsuspend=kill@1"];
    survives(&stack, one, "/unsuspend", json!({ "note": "x" }), points, "active").await;
    let body = json!({ "reason": "x", "confirm": true });
    let points = ["panel.before_backup=kill@1", "panel.after_backup=kill@1"];
    survives(&stack, one, "/terminate", body.clone(), points, "terminated").await;
    let points = ["panel.before_remove=kill@1", "panel.after_remove=kill@1"];
    survives(&stack, other, "/terminate", body, points, "terminated").await;

    assert_eq!(stack.way_of(one).await[..4], ["suspending", "suspended", "unsuspending", "active"]);
    let kinds = ["account_suspended", "account_unsuspended", "account_terminated"];
    assert_eq!(stack.mail_kinds_of(one).await, kinds);
    assert_eq!(stack.mail_kinds_of(other).await, ["account_terminated"]);
    let kept = "select count(*) from berth.hosting_accounts where backup_reference is not null";
    assert_eq!(stack.count(kept).await, 2);
    let wrong = stack.violations().await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}
