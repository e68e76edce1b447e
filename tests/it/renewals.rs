//! Renewals by the timetable: invoiced once a period, told of once a step, and never more than usual without a person.

use std::collections::BTreeMap;

use berth::{
    app::App,
    sweeps::{self, Plan, Sources, Sweep},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Running, Stack, StackOptions};

const RENEWALS: &str = "select count(*) from berth.renewals";
/// Everything that a sweep may bring about, but for its own jobs and when accounts are looked at next.
const DONE: &str = "select (select count(*) from berth.order_history) + (select count(*) from berth.account_history)
    + (select count(*) from berth.renewal_history) + (select count(*) from berth.invoices)
    + (select count(*) from berth.mails) + (select count(*) from berth.charges) + (select count(*) from berth.alerts)";

async fn planned(app: &App) -> Plan {
    let now = app.store.now().await.unwrap();
    sweeps::plan(&Sources::of(app, now), Sweep::Accounts, now, usize::MAX).await.unwrap()
}

fn actions(plan: &Plan) -> BTreeMap<&'static str, usize> {
    let mut actions = BTreeMap::new();
    for step in &plan.steps {
        *actions.entry(step.action).or_default() += 1;
    }
    actions
}

async fn expires_at(stack: &Stack, account: &str) -> Timestamp {
    let text: String = sqlx::query_scalar(
        "select to_char(expires_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') from berth.hosting_accounts
         where berth.show_id('acc_', id) = $1",
    )
    .bind(account)
    .fetch_one(&stack.pool)
    .await
    .unwrap();
    text.parse().unwrap()
}

/// An account a day before its renewal is invoiced.
async fn before_its_invoice(stack: &Stack, berth: &Running, service: &str) -> (Uuid, String, Timestamp) {
    let user = Uuid::new_v4();
    let account = stack.account(user, service).await;
    let due_at = expires_at(stack, &account).await;
    stack.set_time(&berth.app, due_at - SignedDuration::from_hours(8 * 24)).await;
    (user, account, due_at)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_invoiced_a_week_before_and_once() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (user, account, due_at) = before_its_invoice(&stack, &berth, "shared-monthly").await;

    stack.sweep(&berth.app, Sweep::Accounts).await;
    assert_eq!(stack.count(RENEWALS).await, 0, "a day too early");
    stack.pass_hours(&berth.app, 24).await;
    let plan = planned(&berth.app).await;
    assert_eq!(actions(&plan), BTreeMap::from([("issue", 1)]));
    assert_eq!(stack.count(RENEWALS).await, 0, "a dry run changes nothing");
    stack.sweep(&berth.app, Sweep::Accounts).await;

    let (status, orders) = stack.get(user, "/v1/orders?is_renewal=true").await;
    assert_eq!(status, 200, "{orders}");
    let renewal = &orders["data"][0];
    assert_eq!((renewal["status"].as_str(), renewal["total"].as_str()), (Some("pending"), Some("4.99")), "{orders}");
    assert_eq!(renewal["renewal_of_hosting_id"], json!(account), "{renewal}");
    assert_eq!(plan.steps[0].amount.as_deref(), Some("4.99"));
    let invoice = format!("{}/v1/orders/{}/invoice", stack.base(), renewal["id"].as_str().unwrap());
    let asked = stack.client.get(invoice).bearer_auth(stack.token(user)).header("Accept", "application/json");
    let invoice: Value = asked.send().await.unwrap().json().await.unwrap();
    assert_eq!(invoice["lines"][0]["period"]["from"].as_str().unwrap().parse::<Timestamp>().unwrap(), due_at);
    let done = stack.count(DONE).await;
    for _ in 0..100 {
        stack.sweep(&berth.app, Sweep::Accounts).await;
    }
    assert_eq!((stack.count(RENEWALS).await, stack.count(DONE).await), (1, done), "nothing new by a hundred runs");
    let kinds = "select count(*) from berth.mails where kind = 'renewal_invoice' and accepted_at is not null";
    assert_eq!(stack.count(kinds).await, 1);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_renewal_is_told_of_step_by_step_and_enters_grace() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (user, _, due_at) = before_its_invoice(&stack, &berth, "shared-monthly").await;
    let card = stack.get(user, "/v1/payment-methods").await.1["data"][0]["id"].as_str().unwrap().to_owned();
    stack.ask(&stack.token(user), "DELETE", &format!("/v1/payment-methods/{card}"), &Value::Null).await.ok();
    stack.until_idle().await;

    let mut told = Vec::new();
    for day in -7..=3 {
        stack.set_time(&berth.app, due_at + SignedDuration::from_hours(24 * day + 1)).await;
        stack.sweep(&berth.app, Sweep::Accounts).await;
        let steps: Vec<String> = sqlx::query_scalar("select step from berth.notices order by at, step")
            .fetch_all(&stack.pool)
            .await
            .unwrap();
        told.extend(steps.into_iter().skip(told.len()).map(|step| (day, step)).collect::<Vec<_>>());
    }

    let told: Vec<(i64, &str)> = told.iter().map(|(day, step)| (*day, step.as_str())).collect();
    assert_eq!(told, [(-3, "reminder_1"), (0, "due_today"), (1, "overdue_1"), (3, "overdue_2")]);
    assert_eq!(stack.text("select phase from berth.hosting_accounts").await, "grace");
    assert_eq!(stack.text("select phase from berth.renewals").await, "past_due");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn far_more_than_usual_waits_for_a_person_and_is_done_once_confirmed() {
    let stack = Stack::with(StackOptions::default().setting("fuse.number", "2")).await;
    let berth = stack.start().await;
    let mut due_at = Timestamp::MIN;
    for _ in 0..3 {
        due_at = before_its_invoice(&stack, &berth, "shared-monthly").await.2;
        stack.set_time(&berth.app, due_at - SignedDuration::from_hours(30 * 24)).await;
    }
    stack.set_time(&berth.app, due_at - SignedDuration::from_hours(6 * 24)).await;

    let plan = planned(&berth.app).await;
    assert_eq!((plan.stopped.len(), plan.stopped[0].what, plan.stopped[0].count), (1, "invoices", 3));
    for _ in 0..3 {
        stack.sweep(&berth.app, Sweep::Accounts).await;
    }
    assert_eq!(stack.count(RENEWALS).await, 0, "three of three are far more than usual");
    let alerts: Vec<String> =
        sqlx::query_scalar("select subject from berth.alerts where kind = 'fuse_tripped' and resolved_at is null")
            .fetch_all(&stack.pool)
            .await
            .unwrap();
    assert_eq!(alerts.len(), 1, "one plan, one alert: {alerts:?}");

    let confirm: Value = json!({ "reason": "a campaign of last month", "confirm": alerts[0] });
    let answer = stack.ask(&stack.staff(), "POST", "/v1/sweeps/accounts", &confirm).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    stack.until_idle().await;

    assert_eq!(stack.count(RENEWALS).await, 3);
    let open = "select count(*) from berth.alerts where kind = 'fuse_tripped' and resolved_at is null";
    assert_eq!(stack.count(open).await, 0);
    let again = stack.ask(&stack.staff(), "POST", "/v1/sweeps/accounts", &confirm).await;
    assert_eq!(again.status, 202, "{}", again.body);
    stack.until_idle().await;
    assert_eq!(stack.count(RENEWALS).await, 3, "confirming again does nothing again");
    stack.pass_hours(&berth.app, 25).await;
    let late = stack.ask(&stack.staff(), "POST", "/v1/sweeps/accounts", &confirm).await;
    assert_eq!(late.refusal(), (422, "plan-refused"), "a plan is a day old at most");
    berth.stop().await;
}
