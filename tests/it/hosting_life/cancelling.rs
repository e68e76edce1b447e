//! Accounts that their customers no longer want, or do after all.

use berth::domain::account::SuspensionReason;
use futures::future::join;
use serde_json::{Value, json};
use uuid::Uuid;

use super::on_watched_panel;
use crate::support::{
    Stack, StackOptions, WatchedPanel,
    hosting::{Live, account, credit_of, happens, invoiced},
};
use berth_jobs::{Queue, ids::OrderId};

const A_MONTH: f64 = 31.0 * 86_400.0;

fn at_period_end() -> Value {
    json!({ "at": "period_end" })
}

async fn phases_of(stack: &Stack, order: OrderId) -> (String, String) {
    sqlx::query_as(
        "select o.phase, r.phase from berth.orders o join berth.renewals r on r.order_id = o.id where o.id = $1",
    )
    .bind(order.0)
    .fetch_one(&stack.pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_calls_the_open_renewal_off_and_gives_its_credit_back_in_the_same_moment() {
    let (stack, _panel, berth, live) = on_watched_panel().await;
    let order = invoiced(&berth.app, &live, "1.50").await;
    assert_eq!(credit_of(&berth.app, &live).await, None, "it is used");

    let shown = stack.as_owner_of(&live, "POST", "/cancel", at_period_end()).await.ok();
    let again = stack.as_owner_of(&live, "POST", "/cancel", at_period_end()).await.ok();

    assert_eq!((&shown["status"], &shown["cancel_at"]), (&json!("active"), &shown["expires_at"]));
    assert_eq!((&shown["renewal_date"], shown.get("renewal")), (&json!(null), None), "{shown}");
    assert_eq!(again, shown, "the second one changes nothing");
    assert_eq!(phases_of(&stack, order).await, ("withdrawn".to_owned(), "void".to_owned()));
    assert_eq!(credit_of(&berth.app, &live).await.as_deref(), Some("1.50"));
    stack.until_idle().await;
    assert_eq!(stack.mail_kinds_of(&live).await, ["cancellation_confirmed"]);
    let told: String = sqlx::query_scalar("select actor from berth.order_history where order_id = $1 and version = 2")
        .bind(order.0)
        .fetch_one(&stack.pool)
        .await
        .unwrap();
    assert_eq!(told, "customer");
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_can_be_taken_back_until_its_day_and_not_after_it() {
    let (stack, _panel, berth, live) = on_watched_panel().await;
    let uncancel = async || stack.as_owner_of(&live, "POST", "/uncancel", Value::Null).await;
    assert_eq!(uncancel().await.ok()["cancel_at"], json!(null), "what was never cancelled stays as it is");

    stack.as_owner_of(&live, "POST", "/cancel", at_period_end()).await.ok();
    let shown = uncancel().await.ok();
    assert_eq!((&shown["cancel_at"], &shown["renewal_date"]), (&json!(null), &shown["expires_at"]));
    stack.as_owner_of(&live, "POST", "/cancel", at_period_end()).await.ok();
    stack.until_idle().await;
    let kinds = ["cancellation_confirmed", "cancellation_undone", "cancellation_confirmed"];
    assert_eq!(stack.mail_kinds_of(&live).await, kinds, "each is told of, also within one period");

    stack.pass_for(&berth.app, A_MONTH).await;
    assert_eq!(uncancel().await.refusal(), (409, "account-ended"), "its day has come, though no sweep has been there");
    happens(&berth.app, &live, |state| state.period_ended(berth.app.clock.now())).await;
    stack.until_phase(&live, "terminated").await;
    assert_eq!(uncancel().await.refusal(), (409, "account-ended"));
    let shown = stack.as_owner_of(&live, "GET", "", Value::Null).await.ok();
    assert_eq!((&shown["status"], shown["terminated_at"].is_string()), (&json!("cancelled"), true));
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_end_with_its_period_says_why() {
    let (stack, panel, berth, live) = on_watched_panel().await;
    let cancel = async |body: Value| stack.as_owner_of(&live, "POST", "/cancel", body).await;
    assert_eq!(cancel(json!({ "at": "now" })).await.refusal(), (422, "confirmation-required"));
    for bad in [json!({}), json!({ "at": "never" }), json!({ "at": "period_end", "refund": true }), json!([])] {
        assert_eq!(cancel(bad).await.refusal(), (400, "invalid-body"));
    }

    let (happened, release) = panel.hold_change();
    happens(&berth.app, &live, |state| state.suspend(SuspensionReason::Staff)).await;
    happened.await.unwrap();
    assert_eq!(cancel(at_period_end()).await.refusal(), (409, "account-busy"));
    release.send(()).unwrap();
    stack.until_phase(&live, "suspended").await;
    assert_eq!(cancel(at_period_end()).await.refusal(), (409, "account-suspended"));
    stack.pass_for(&berth.app, A_MONTH).await;
    assert_eq!(cancel(at_period_end()).await.refusal(), (409, "period-over"));

    stack.as_staff_of(&live, "PATCH", "", json!({ "kept": true, "reason": "evidence" })).await.ok();
    assert_eq!(cancel(json!({ "at": "now", "confirm": true })).await.refusal(), (409, "account-kept"));
    let fresh = stack.agree(&berth.app, &[("shared-monthly", 1)]).await;
    let (_happened, release) = panel.hold();
    stack.tell_paid(&berth.app, fresh).await;
    stack.until_count("select count(*) from berth.hosting_accounts where phase = 'provisioning'", 1).await;
    let (id, user): (Uuid, Uuid) =
        sqlx::query_as("select id, customer_id from berth.hosting_accounts where phase = 'provisioning'")
            .fetch_one(&stack.pool)
            .await
            .unwrap();
    let unmade = Live { id: berth_jobs::ids::AccountId(id), user, username: String::new() };
    for body in [at_period_end(), json!({ "at": "now", "confirm": true })] {
        let refused = stack.as_owner_of(&unmade, "POST", "/cancel", body).await;
        assert_eq!(refused.refusal(), (409, "account-not-live"));
    }
    release.send(()).unwrap();
    stack.until_idle().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_its_customers_own() {
    let (stack, _panel, berth, live) = on_watched_panel().await;
    let stranger = Live { user: Uuid::new_v4(), ..live.clone() };
    let before = account(&berth.app, &live).await.state;

    let requests = [
        ("PATCH", "", json!({ "auto_renew": false })),
        ("POST", "/cancel", at_period_end()),
        ("POST", "/cancel", json!({ "at": "now", "confirm": true })),
        ("POST", "/uncancel", json!({})),
    ];
    for (method, what, body) in requests {
        assert_eq!(stack.as_owner_of(&stranger, method, what, body.clone()).await.refusal(), (404, "not-found"));
        let silent = stack.as_staff_of(&live, method, what, body).await;
        assert_eq!(silent.refusal(), (422, "reason-required"), "staff says why: {method} {what}");
    }

    assert_eq!(account(&berth.app, &live).await.state, before);
    let body = json!({ "at": "period_end", "reason": "asked for by telephone" });
    stack.as_staff_of(&live, "POST", "/cancel", body).await.ok();
    let audited = berth.app.store.audit_entries(Some(&live.id.to_string()), None, 10).await.unwrap();
    assert_eq!(audited[0].reason.as_deref(), Some("asked for by telephone"));
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_change_it_at_once_both_are_heard() {
    let (stack, _panel, berth, live) = on_watched_panel().await;

    let (cancelled, switched) = join(
        stack.as_owner_of(&live, "POST", "/cancel", at_period_end()),
        stack.as_owner_of(&live, "PATCH", "", json!({ "auto_renew": false })),
    )
    .await;
    assert_eq!((cancelled.status, switched.status), (200, 200), "{cancelled:?} {switched:?}");
    let shown = stack.as_owner_of(&live, "GET", "", Value::Null).await.ok();
    assert_eq!((shown["cancel_at"].is_string(), &shown["auto_renew"]), (true, &json!(false)));

    let (undone, ended) = join(
        stack.as_owner_of(&live, "POST", "/uncancel", Value::Null),
        stack.as_owner_of(&live, "POST", "/cancel", json!({ "at": "now", "confirm": true })),
    )
    .await;
    assert_eq!(ended.status, 200, "{ended:?}");
    assert!(undone.status == 200 || undone.refusal() == (409, "account-ended"), "{undone:?}");
    stack.until_phase(&live, "terminated").await;
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_automatic_renewal_nothing_more_is_owed() {
    let (stack, _panel, berth, live) = on_watched_panel().await;
    let order = invoiced(&berth.app, &live, "4.99").await;
    let turn = async || berth.app.store.agenda_entry(live.id).await.unwrap().unwrap().turn;
    let before = turn().await;

    let shown = stack.as_owner_of(&live, "PATCH", "", json!({ "auto_renew": false })).await.ok();

    assert_eq!((&shown["auto_renew"], &shown["renewal_date"]), (&json!(false), &json!(null)));
    let reasons: Vec<&Value> = shown["timeline"].as_array().unwrap().iter().map(|step| &step["reason"]).collect();
    assert_eq!(reasons.last(), Some(&&json!("not to be renewed by itself")));
    assert_eq!(phases_of(&stack, order).await, ("withdrawn".to_owned(), "void".to_owned()));
    assert_eq!(credit_of(&berth.app, &live).await.as_deref(), Some("4.99"));
    assert!(turn().await > before, "its timetable is looked at anew");
    let again = stack.as_owner_of(&live, "PATCH", "", json!({ "auto_renew": false })).await.ok();
    assert_eq!(again["timeline"], shown["timeline"], "nothing has changed");
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_is_under_way_is_not_called_back_and_what_it_brings_is_nobodys() {
    use berth::domain::renewal::RenewalEvent;
    let (stack, _panel, berth, live) = on_watched_panel().await;
    let order = invoiced(&berth.app, &live, "0.00").await;
    let charging = berth.app.store.renewal(order).await.unwrap().state.apply(RenewalEvent::ChargeStarted).unwrap();
    berth.app.committer.write(berth::effects::Effects::none().move_renewal(charging)).await.unwrap();

    let shown = stack.as_owner_of(&live, "POST", "/cancel", at_period_end()).await.ok();

    assert_eq!(shown.get("renewal"), None, "{shown}");
    let renewal = berth.app.store.renewal(order).await.unwrap();
    assert!(renewal.state.called_off && renewal.state.phase.is_charging(), "{renewal:?}");
    assert_eq!(phases_of(&stack, order).await.0, "withdrawn", "money for it goes back");
    let broken = stack.broken_rules().await;
    let rules: Vec<&str> = broken.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(rules, ["a charge that is under way has a job"], "this charge was begun by the test alone: {broken:?}");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_shop_does_so_the_days_that_are_left_are_credited_once() {
    let stack = Stack::with(StackOptions::default().setting("renewals.credit_on_cancel", "true")).await;
    let berth = stack.start_on(&WatchedPanel::new(), &Queue::ALL).await;
    let fresh = stack.live_account(&berth.app).await;
    stack.pass_for(&berth.app, 10.5 * 86_400.0).await;

    let cancel = json!({ "at": "now", "confirm": true, "reason": "moving away" });
    let (one, other) = join(
        stack.as_owner_of(&fresh, "POST", "/cancel", cancel.clone()),
        stack.as_owner_of(&fresh, "POST", "/cancel", cancel),
    )
    .await;
    assert_eq!((one.status, other.status), (200, 200));
    stack.until_phase(&fresh, "terminated").await;

    // 4.99 for a month, of which 10 days and a half are used: the day that has begun is.
    let days: f64 = sqlx::query_scalar(
        "select extract(epoch from expires_at - activated_at)::float8 / 86400 from berth.hosting_accounts where id = $1",
    )
    .bind(fresh.id.0)
    .fetch_one(&stack.pool)
    .await
    .unwrap();
    let wanted = (4.99 * (days - 11.0) / days * 100.0).floor() / 100.0;
    assert_eq!(credit_of(&berth.app, &fresh).await, Some(format!("{wanted:.2}")));
    let mails = stack.mails_of(&fresh).await;
    assert_eq!(mails[0].1["credit"], json!(format!("{wanted:.2} USD")));
    assert_eq!(stack.count("select count(*) from berth.credit_entries where kind = 'proration'").await, 1);
    stack.audit_rows().await;
    berth.stop().await;
}
