//! Ways into an account, and what is told of its use: sign-in links, new passwords, samples of usage.

use std::sync::Arc;

use berth::{
    app::App,
    domain::account::SuspensionReason,
    effects::Effects,
    gateways::panels::{Cause, PanelError, Usage, memory::Fault},
    sweeps::Sweep,
};
use berth_jobs::{
    Queue,
    hosting::{ReconcileAccount, ResetPassword},
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{
    Login, Running, Stack, WatchedPanel,
    hosting::{Live, happens},
};

const HOUR: f64 = 3600.0;
const SEALED: &str = "select count(*) from berth.hosting_accounts where sealed_password is not null";

async fn world() -> (Stack, Arc<WatchedPanel>, Running, Live) {
    let stack = Stack::new().await;
    let panel = WatchedPanel::new();
    let berth = stack.start_on(&panel, &Queue::ALL).await;
    let live = stack.live_account(&berth.app).await;
    (stack, panel, berth, live)
}

async fn sweep(stack: &Stack, app: &App, sweep: Sweep) {
    app.committer.write(Effects::none().enqueue(sweep.job(None))).await.unwrap();
    stack.until_idle().await;
}

/// The password that opens the account on its panel.
fn opens(panel: &WatchedPanel, live: &Live) -> String {
    panel.memory.password_of(&live.username).unwrap().expose_secret().to_owned()
}

async fn shown(stack: &Stack, live: &Live) -> Value {
    stack.as_owner_of(live, "GET", "", Value::Null).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_link_is_made_for_its_owner_and_for_staff_who_say_why_and_is_kept_nowhere() {
    let (stack, panel, berth, live) = world().await;

    let url = format!("{}{}", stack.base(), live.path("/login"));
    let answer = stack.client.post(url).bearer_auth(stack.token(live.user)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["cache-control"]), (200, &"no-store".parse().unwrap()));
    let link: Value = answer.json().await.unwrap();
    let unsaid = stack.as_staff_of(&live, "POST", "/login", Value::Null).await;
    let staffs = stack.as_staff_of(&live, "POST", "/login", json!({ "reason": "asked on the phone" })).await.ok();

    assert_eq!(unsaid.refusal(), (422, "reason-required"));
    assert_eq!([&link["url"], &staffs["url"]], [&json!(panel.links()[0]), &json!(panel.links()[1])]);
    let audited = "select concat_ws(' ', action, subject, reason) from berth.audit";
    assert_eq!(stack.text(audited).await, format!("hosting.login {} asked on the phone", live.id));
    let kept = stack.everything_kept().await;
    assert!(panel.links().iter().all(|link| !kept.contains(link.rsplit('=').next().unwrap())));
    let stranger = stack.ask(&stack.token(Uuid::new_v4()), "POST", &live.path("/login"), &Value::Null).await;
    assert_eq!(stranger.status, 404);
    happens(&berth.app, &live, |state| state.suspend(SuspensionReason::Abuse)).await;
    stack.until_phase(&live, "suspended").await;
    let suspended = stack.as_owner_of(&live, "POST", "/login", Value::Null).await;
    assert_eq!(suspended.refusal(), (409, "account-suspended"));
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_makes_no_links_is_told_from_one_that_is_slow_or_broken() {
    let (stack, panel, berth, live) = world().await;
    let asked = async || {
        let answer = stack.as_owner_of(&live, "POST", "/login", Value::Null).await;
        (answer.status, answer.retry_after)
    };

    let limited =
        PanelError::RateLimited { retry_after: std::time::Duration::from_secs(7), cause: Cause::new("fewer") };
    for (login, wait) in [
        (Login::Refused(PanelError::transient("away")), 10),
        (Login::Refused(limited), 7),
        (Login::Refused(PanelError::misconfigured("the token is not ours")), 60),
        (Login::Hangs, 10),
    ] {
        panel.trip_login(login);
        assert_eq!(asked().await, (503, Some(wait)));
    }
    assert_eq!(asked().await, (200, None));
    // Ten a minute, of which some have come back meanwhile: a panel's time is everybody's.
    let mut more = Vec::new();
    while more.last().is_none_or(|(status, _)| *status == 200) && more.len() < 20 {
        more.push(asked().await);
    }
    assert!((5..20).contains(&more.len()), "{more:?}");
    assert!(matches!(more.last(), Some((429, Some(1..=6)))), "{more:?}");
    berth.stop().await;

    let on_sites = stack.start().await;
    let user = Uuid::new_v4();
    let (_, session) = stack.checkout(user, "shared-monthly", 1).await;
    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 2).await;
    let (_, listed) = stack.get(user, "/v1/hosting").await;
    let path = format!("/v1/hosting/{}", listed["data"][0]["id"].as_str().unwrap());
    let token = stack.token(user);
    let login = stack.ask(&token, "POST", &format!("{path}/login"), &Value::Null).await;
    let password = stack.ask(&token, "POST", &format!("{path}/password"), &Value::Null).await;
    assert_eq!(login.refusal(), (422, "login-not-offered"));
    assert_eq!(password.refusal(), (422, "password-not-offered"));
    on_sites.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_set_told_of_without_it_and_revealed_once() {
    let (stack, panel, berth, live) = world().await;
    let first = opens(&panel, &live);

    let asked = stack.as_owner_of(&live, "POST", "/password", Value::Null).await;
    assert_eq!(
        (asked.status, &asked.body["password_waits"]),
        (202, &json!(false)),
        "the old one is not shown any more"
    );
    assert_eq!(asked.body["password_being_reset"], true);
    stack.until_count("select count(*) from berth.hosting_accounts where password_set_at is not null", 1).await;
    stack.until_idle().await;

    let second = opens(&panel, &live);
    assert_ne!(first, second);
    assert_eq!(panel.passwords(), [second.as_str()]);
    let now = shown(&stack, &live).await;
    assert_eq!((&now["password_waits"], &now["password_being_reset"]), (&json!(true), &json!(false)));
    let told = stack.mails_of(&live).await;
    assert_eq!(told.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(), ["password_changed"]);
    assert_eq!(told[0].1["reveal_until"], now["password_until"]);
    assert!(!stack.everything_kept().await.contains(&second));
    let revealed = stack.as_owner_of(&live, "POST", "/reveal", Value::Null).await.ok();
    assert_eq!(revealed, json!({ "username": live.username, "password": second }));
    assert_eq!(
        stack.as_owner_of(&live, "POST", "/reveal", Value::Null).await.refusal(),
        (409, "password-not-available")
    );
    assert_eq!(stack.count(SEALED).await, 0);
    // Staff may have it replaced, and never sees it.
    assert_eq!(stack.as_staff_of(&live, "POST", "/password", Value::Null).await.refusal(), (422, "reason-required"));
    stack.as_staff_of(&live, "POST", "/password", json!({ "reason": "locked out" })).await.ok();
    stack.until_count("select count(*) from berth.mails where kind = 'password_changed'", 2).await;
    assert_eq!(stack.as_staff_of(&live, "POST", "/reveal", Value::Null).await.status, 404);
    stack.until_idle().await;
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_whose_setting_was_not_answered_is_set_again_as_the_same() {
    let (stack, panel, berth, live) = world().await;
    for fault in [Fault::AfterApplying, Fault::BeforeApplying, Fault::Task { polls: 1 }, Fault::Unreachable] {
        panel.memory.script(fault);
    }

    stack.as_owner_of(&live, "POST", "/password", Value::Null).await.ok();
    // Whoever is impatient changes nothing.
    stack.as_owner_of(&live, "POST", "/password", Value::Null).await.ok();
    stack
        .until("it is set", async || {
            stack.pass(60.0).await;
            stack.count("select count(*) from berth.hosting_accounts where password_set_at is not null").await == 1
        })
        .await;
    stack.until_idle().await;

    let told = panel.passwords();
    assert_eq!(told.len(), 5, "four faults, then the answer");
    assert!(told.iter().all(|password| *password == told[0]), "the same each time");
    assert_eq!(opens(&panel, &live), told[0]);
    let revealed = stack.as_owner_of(&live, "POST", "/reveal", Value::Null).await.ok();
    assert_eq!(revealed["password"], told[0].as_str());
    assert_eq!(stack.mail_kinds_of(&live).await, ["password_changed"]);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_the_panel_refuses_is_a_persons_and_is_set_when_it_is_asked_for_again() {
    let (stack, panel, berth, live) = world().await;
    let first = opens(&panel, &live);
    panel.refuse_change(PanelError::permanent("it is too short"));

    stack.as_owner_of(&live, "POST", "/password", Value::Null).await.ok();
    stack.until_count("select count(*) from berth.alerts where kind = 'password_reset_failed'", 1).await;
    stack.until_idle().await;
    assert_eq!(opens(&panel, &live), first);
    assert_eq!(shown(&stack, &live).await["password_being_reset"], true);
    let waits = stack.as_owner_of(&live, "POST", "/reveal", Value::Null).await;
    assert_eq!(waits.refusal(), (409, "password-not-available"), "what is not in force is not shown");
    stack.as_owner_of(&live, "POST", "/password", Value::Null).await.ok();
    stack.until_count("select count(*) from berth.hosting_accounts where password_set_at is not null", 1).await;

    assert_eq!(panel.passwords(), [opens(&panel, &live), opens(&panel, &live)]);
    stack.until_idle().await;
    stack.audit_rows().await;
    sqlx::raw_sql("update berth.alerts set resolved_at = berth.now()").execute(&stack.pool).await.unwrap();
    // A job that nobody has asked for does nothing.
    berth.app.committer.write(Effects::none().enqueue(ResetPassword { account_id: live.id })).await.unwrap();
    stack.until_idle().await;
    assert_eq!(panel.passwords().len(), 2);
    // A wish that nobody goes on with is found.
    sqlx::raw_sql("update berth.hosting_accounts set password_asked_at = berth.now()")
        .execute(&stack.pool)
        .await
        .unwrap();
    let found: Vec<String> =
        berth.app.store.audit().await.unwrap().into_iter().flat_map(|finding| finding.rows).collect();
    assert!(matches!(found.as_slice(), [one] if one.contains("waits for a new password")), "{found:?}");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_account_has_no_new_password_not_even_one_that_was_asked_for_before() {
    let (stack, panel, berth, live) = world().await;
    let first = opens(&panel, &live);
    panel.refuse_change(PanelError::transient("away"));
    stack.as_owner_of(&live, "POST", "/password", Value::Null).await.ok();
    stack.until("the try has failed", async || panel.passwords().len() == 1).await;

    happens(&berth.app, &live, |state| state.suspend(SuspensionReason::Abuse)).await;
    stack.until_phase(&live, "suspended").await;
    stack.pass(60.0).await;
    stack.until_idle().await;

    let now = shown(&stack, &live).await;
    assert_eq!((&now["password_being_reset"], &now["password_waits"]), (&json!(false), &json!(false)), "{now}");
    assert_eq!((opens(&panel, &live), stack.count(SEALED).await), (first, 0));
    assert_eq!(stack.as_owner_of(&live, "POST", "/password", Value::Null).await.refusal(), (409, "account-suspended"));
    assert_eq!(stack.mail_kinds_of(&live).await, ["account_suspended"]);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_nobody_looks_at_is_forgotten_after_three_days_and_a_new_one_can_be_had() {
    let (stack, panel, berth, live) = world().await;
    stack.pass_everywhere(&berth.app, 71.0 * HOUR).await;
    sweep(&stack, &berth.app, Sweep::Leftovers).await;
    assert_eq!(stack.count(SEALED).await, 1);

    stack.pass_everywhere(&berth.app, 2.0 * HOUR).await;
    let late = stack.as_owner_of(&live, "POST", "/reveal", Value::Null).await;
    assert_eq!(late.refusal(), (409, "password-not-available"), "also before the sweep has come");
    sweep(&stack, &berth.app, Sweep::Leftovers).await;
    assert_eq!(stack.count(SEALED).await, 0);

    stack.as_owner_of(&live, "POST", "/password", Value::Null).await.ok();
    stack.until_count("select count(*) from berth.hosting_accounts where password_set_at is not null", 1).await;
    sweep(&stack, &berth.app, Sweep::Leftovers).await;
    let revealed = stack.as_owner_of(&live, "POST", "/reveal", Value::Null).await.ok();
    assert_eq!(revealed["password"], opens(&panel, &live).as_str());
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_an_account_is_still_to_be_made_with_is_never_forgotten() {
    let stack = Stack::new().await;
    let panel = WatchedPanel::new();
    let berth = stack.start_on(&panel, &Queue::ALL).await;
    panel.refuse(PanelError::permanent("there is no package"));
    let order = stack.agree(&berth.app, &[("shared-monthly", 1)]).await;
    stack.tell_paid(&berth.app, order).await;
    stack.until_count("select count(*) from berth.hosting_accounts where phase = 'failed'", 1).await;

    stack.pass_everywhere(&berth.app, 100.0 * HOUR).await;
    sweep(&stack, &berth.app, Sweep::Leftovers).await;

    assert_eq!(stack.count(SEALED).await, 1);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_account_uses_is_written_down_once_a_day_shown_and_forgotten_after_400_days() {
    let (stack, panel, berth, live) = world().await;
    let look = async |disk_bytes| {
        panel.uses(Usage { disk_bytes, inodes: Some(7), traffic_bytes: Some(u64::MAX) });
        let job = ReconcileAccount { account_id: live.id };
        berth.app.committer.write(Effects::none().enqueue(job)).await.unwrap();
        stack.until_idle().await;
    };
    let listed = async |query: &str| {
        let page = stack.as_owner_of(&live, "GET", &format!("/usage{query}"), Value::Null).await.ok();
        let days: Vec<i64> =
            page["data"].as_array().unwrap().iter().map(|day| day["disk_bytes"].as_i64().unwrap()).collect();
        (days, page)
    };
    super::changes::set_time(&stack, &berth.app, "2030-01-10T12:00:00Z").await;

    look(100).await;
    look(200).await;
    assert_eq!(listed("").await.0, [200], "the latest look of a day");
    super::changes::set_time(&stack, &berth.app, "2030-01-11T00:00:00Z").await;
    look(300).await;

    let (days, page) = listed("").await;
    assert_eq!((days, &page["data"][0]["day"]), (vec![300, 200], &json!("2030-01-11")));
    assert_eq!(page["data"][0]["traffic_bytes"], i64::MAX);
    let (first, page) = listed("?limit=1").await;
    assert_eq!((first, &page["has_more"]), (vec![300], &json!(true)));
    assert_eq!(listed("?starting_after=2030-01-11").await.0, [200]);
    let odd = stack.as_owner_of(&live, "GET", "/usage?starting_after=yesterday", Value::Null).await;
    assert_eq!(odd.refusal(), (400, "invalid-request"));
    super::changes::set_time(&stack, &berth.app, "2031-02-14T12:00:00Z").await;
    sweep(&stack, &berth.app, Sweep::Leftovers).await;
    assert_eq!(listed("").await.0, [300], "400 days");
    berth.stop().await;
}
