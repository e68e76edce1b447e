//! Accounts that stop and work again.

use berth::{
    domain::account::{LiftCause, SuspensionReason},
    gateways::panels::{PanelError, RemoteState, memory::Fault},
};
use berth_jobs::hosting::{ReconcileAccount, SuspendAccount};
use futures::future::join;
use serde_json::{Value, json};

use super::{on_watched_panel, site};
use crate::support::{
    Stack,
    hosting::{account, happens, invoiced, is_paid},
};

fn for_abuse() -> Value {
    json!({ "reason": "abuse", "note": "sends spam, ticket 4711" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_site_answers_503_and_works_again_once_nothing_suspends_it() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let live = stack.live_account(&berth.app).await;
    assert_eq!(site(&stack, &live).await.0, 200);

    let begun = stack.as_staff_of(&live, "POST", "/suspend", for_abuse()).await.ok();
    assert_eq!(begun["suspension_reasons"], json!(["abuse"]), "{begun}");
    stack.until_phase(&live, "suspended").await;

    let (status, page) = site(&stack, &live).await;
    assert_eq!(status, 503, "{page}");
    let shown = stack.as_owner_of(&live, "GET", "", Value::Null).await.ok();
    assert_eq!((&shown["status"], &shown["suspension_reason"]), (&json!("suspended"), &json!("abuse")));
    assert!(shown["suspended_at"].is_string() && shown.get("phase").is_none(), "{shown}");
    assert!(!shown.to_string().contains("4711"), "the note is for colleagues");
    let theirs = stack.as_owner_of(&live, "POST", "/unsuspend", json!({ "note": "it was not me" })).await;
    assert_eq!(theirs.refusal(), (403, "forbidden"));

    stack.as_staff_of(&live, "POST", "/unsuspend", json!({ "note": "it is mended" })).await.ok();
    stack.until_phase(&live, "active").await;

    assert_eq!(site(&stack, &live).await.0, 200);
    assert_eq!(stack.mail_kinds_of(&live).await, ["account_suspended", "account_unsuspended"]);
    assert_eq!(stack.way_of(&live).await, ["suspending", "suspended", "unsuspending", "active"]);
    let told = stack.mails_of(&live).await;
    assert!(!json!(told).to_string().contains("spam"), "what staff has noted is not told: {told:?}");
    let audited = berth.app.store.audit_entries(Some(&live.id.to_string()), None, 10).await.unwrap();
    let actions: Vec<_> = audited.iter().map(|entry| (entry.action.as_str(), entry.reason.as_deref())).collect();
    assert_eq!(
        actions,
        [("hosting.unsuspend", Some("it is mended")), ("hosting.suspend", Some("sends spam, ticket 4711"))]
    );
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn suspending_twice_is_suspending_once_however_it_is_asked_for() {
    let (stack, _panel, berth, live) = on_watched_panel().await;

    let (one, other) = join(
        stack.as_staff_of(&live, "POST", "/suspend", for_abuse()),
        stack.as_staff_of(&live, "POST", "/suspend", for_abuse()),
    )
    .await;
    assert_eq!((one.status, other.status), (200, 200));
    let again = SuspendAccount { account_id: live.id };
    berth.app.committer.write(berth::effects::Effects::none().enqueue(again)).await.unwrap();
    stack.until_phase(&live, "suspended").await;
    stack.as_staff_of(&live, "POST", "/suspend", for_abuse()).await.ok();
    stack.until_idle().await;

    assert_eq!(stack.way_of(&live).await, ["suspending", "suspended"]);
    assert_eq!(stack.mail_kinds_of(&live).await, ["account_suspended"]);
    assert_eq!(stack.count("select count(*) from berth.audit").await, 1);
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_reasons_the_heaviest_is_shown_and_the_last_one_lets_it_work() {
    let (stack, panel, berth, live) = on_watched_panel().await;
    for reason in ["staff", "fraud", "abuse"] {
        let body = json!({ "reason": reason, "note": "x" });
        stack.as_staff_of(&live, "POST", "/suspend", body).await.ok();
    }
    stack.until_phase(&live, "suspended").await;
    let unsuspend = async |body: Value| stack.as_staff_of(&live, "POST", "/unsuspend", body).await;

    assert_eq!(unsuspend(json!({ "note": "x" })).await.refusal(), (422, "suspension-reason-required"));
    assert_eq!(unsuspend(json!({ "note": "x", "reason": "dispute" })).await.refusal(), (409, "not-suspended"));
    assert_eq!(unsuspend(json!({ "note": "x", "reason": "mood" })).await.refusal(), (400, "invalid-body"));
    let shown = unsuspend(json!({ "note": "x", "reason": "abuse" })).await.ok();
    assert_eq!((&shown["suspension_reason"], &shown["phase"]), (&json!("fraud"), &json!("suspended")));
    stack.audit_rows().await;
    unsuspend(json!({ "note": "x", "reason": "staff" })).await.ok();
    unsuspend(json!({ "note": "x", "reason": "fraud" })).await.ok();
    stack.until_phase(&live, "active").await;

    assert_eq!(panel.state_of(live.id, &live.username).await, Some(RemoteState::Active));
    assert_eq!(unsuspend(json!({ "note": "x" })).await.refusal(), (409, "not-suspended"));
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_suspended_for_non_payment_is_told_how_to_pay_and_works_again_at_once_when_they_have() {
    let (stack, panel, berth, live) = on_watched_panel().await;
    let order = invoiced(&berth.app, &live, "1.00").await;
    happens(&berth.app, &live, |state| state.suspend(SuspensionReason::NonPayment)).await;
    stack.until_phase(&live, "suspended").await;

    let shown = stack.as_owner_of(&live, "GET", "", Value::Null).await.ok();
    assert_eq!(
        (&shown["renewal"]["order_id"], &shown["renewal"]["amount_due"]),
        (&json!(order), &json!("3.99")),
        "{shown}"
    );
    let mails = stack.mails_of(&live).await;
    let (kind, context) = &mails[0];
    assert_eq!((kind.as_str(), &context["amount_due"]), ("account_suspended", &json!("3.99 USD")));
    assert!(context["action_url"].as_str().unwrap().contains(&order.to_string()), "{context}");

    // The panel is away for the first tries: they come in quick succession.
    for _ in 0..3 {
        panel.memory.script(Fault::Unreachable);
    }
    is_paid(&berth.app, &live).await;
    stack.until_phase(&live, "active").await;

    assert_eq!(panel.state_of(live.id, &live.username).await, Some(RemoteState::Active));
    assert_eq!(stack.mail_kinds_of(&live).await, ["account_suspended", "account_unsuspended"]);
    let within = "select count(*) from berth.account_history f, berth.account_history t
                  where f.to_phase = 'unsuspending' and t.reason = 'works again on the panel'
                    and t.at - f.at < interval '60 s'";
    assert_eq!(stack.count(within).await, 1, "within the minute");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_lifts_nothing_but_non_payment() {
    let (stack, panel, berth, live) = on_watched_panel().await;
    for reason in [SuspensionReason::NonPayment, SuspensionReason::Dispute] {
        happens(&berth.app, &live, |state| state.suspend(reason)).await;
    }
    stack.until_phase(&live, "suspended").await;

    is_paid(&berth.app, &live).await;
    stack.until_idle().await;
    assert_eq!(stack.phase_of(&live).await, "suspended");
    assert!(matches!(panel.state_of(live.id, &live.username).await, Some(RemoteState::Suspended { .. })));

    happens(&berth.app, &live, |state| state.lift(SuspensionReason::Dispute, LiftCause::DisputeWon)).await;
    stack.until_phase(&live, "active").await;
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_panel_will_never_do_goes_to_a_person_and_on_when_it_is_mended() {
    let (stack, panel, berth, live) = on_watched_panel().await;
    panel.refuse_change(PanelError::permanent("the account is locked by the reseller"));
    stack.as_staff_of(&live, "POST", "/suspend", for_abuse()).await.ok();
    stack.until_idle().await;

    assert_eq!(stack.phase_of(&live).await, "suspending");
    let alerts = berth.app.store.open_alerts().await.unwrap();
    let says_how =
        |alert: &String| alert.contains("locked by the reseller") && alert.contains("enqueue suspend_account");
    assert!(matches!(alerts.as_slice(), [one] if says_how(one)), "{alerts:?}");
    stack.audit_rows().await;

    let job = SuspendAccount { account_id: live.id };
    berth.app.committer.write(berth::effects::Effects::none().enqueue(job)).await.unwrap();
    stack.until_phase(&live, "suspended").await;
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_job_was_lost_is_found_by_the_audit_and_mended_by_the_reconciliation() {
    let stack = Stack::new().await;
    let panel = crate::support::WatchedPanel::new();
    let berth = stack.start_on(&panel, &berth_jobs::Queue::ALL).await;
    let live = stack.live_account(&berth.app).await;
    berth.stop().await;
    let berth = stack.start_on(&panel, &[]).await;
    stack.as_staff_of(&live, "POST", "/suspend", for_abuse()).await.ok();
    sqlx::query("update berth.jobs set state = 'cancelled', finished_at = now() where kind = 'suspend_account'")
        .execute(&stack.pool)
        .await
        .unwrap();
    let broken = stack.broken_rules().await;
    assert!(matches!(broken.as_slice(), [("no account waits for its panel without a job", _)]), "{broken:?}");

    let workers = stack.more_workers(&panel, &berth_jobs::Queue::ALL).await;
    let job = ReconcileAccount { account_id: live.id };
    berth.app.committer.write(berth::effects::Effects::none().enqueue(job)).await.unwrap();
    stack.until_phase(&live, "suspended").await;

    assert_eq!(stack.mail_kinds_of(&live).await, ["account_suspended"], "it is the other job that has done it");
    assert!(account(&berth.app, &live).await.suspended_at.is_some());
    stack.audit_rows().await;
    workers.stop().await;
    berth.stop().await;
}
