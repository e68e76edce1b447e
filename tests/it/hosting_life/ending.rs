//! Accounts that end: kept, removed, and forgotten in the end.

use std::fs;

use berth::{
    app::{App, SITE_SERVER},
    config::Role,
    domain::account::Ending,
    gateways::panels::{AccountRef, BackupRef, CreateSpec, PanelError, Step},
    supervise::Supervisor,
};
use berth_jobs::{
    Queue,
    hosting::{PurgeAccount, TerminateAccount},
};
use serde_json::{Value, json};

use super::{on_watched_panel, site};
use crate::support::{
    Stack, WatchedPanel,
    hosting::{account, happens, invoiced},
};

fn terminate() -> Value {
    json!({ "reason": "asked for by its owner", "confirm": true })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_ends_with_a_backup_that_can_be_given_back_until_it_is_purged() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let live = stack.live_account(&berth.app).await;
    let mine = stack.sites_dir().join(&live.username).join("public_html/index.html");
    fs::write(&mine, "<h1>ten years of work</h1>").unwrap();

    stack.as_staff_of(&live, "POST", "/terminate", terminate()).await.ok();
    stack.until_phase(&live, "terminated").await;

    let gone = account(&berth.app, &live).await;
    assert_eq!(site(&stack, &live).await.0, 404);
    assert_eq!(stack.mail_kinds_of(&live).await, ["account_terminated"]);
    let until = &stack.mails_of(&live).await[0].1["backup_until"];
    let wanted = gone.terminated_at.unwrap() + jiff::SignedDuration::from_hours(30 * 24);
    assert_eq!(until, &json!(wanted), "as long as between removal and purge in the timetable");
    let by_other = berth_jobs::ids::AccountId::new();
    assert!(
        berth.app.store.username_taken(SITE_SERVER, &live.username, by_other).await.unwrap(),
        "names are not reused"
    );

    // Whoever gives it back makes the account anew and fills it.
    let panel = berth.app.panels.of(SITE_SERVER).unwrap();
    let on_panel = AccountRef { account_id: live.id, username: live.username.clone(), remote_id: None, domain: None };
    let spec = CreateSpec {
        account: on_panel.clone(),
        password: "unused".to_owned().into(),
        package: gone.package.clone(),
        owner_email: gone.customer.email.clone(),
        configuration: Value::Null,
        addons: Value::Null,
        intended_at: berth.app.clock.now(),
    };
    let backup: BackupRef = gone.backup_reference.unwrap().parse().unwrap();
    panel.ensure_created(&spec).await.unwrap();
    assert_eq!(panel.ensure_restored(&on_panel, &backup).await.unwrap(), Step::Done(()));
    assert_eq!(site(&stack, &live).await, (200, "<h1>ten years of work</h1>".to_owned()));
    panel.ensure_absent(&on_panel).await.unwrap();
    stack.audit_rows().await;

    let purge = async || {
        let job = PurgeAccount { account_id: live.id };
        berth.app.committer.write(berth::effects::Effects::none().enqueue(job)).await.unwrap();
        stack.until_idle().await;
    };
    purge().await;
    assert!(account(&berth.app, &live).await.purged_at.is_none(), "not before its day");
    stack.pass_for(&berth.app, 30.0 * 86_400.0 + 1.0).await;
    purge().await;
    let purged = account(&berth.app, &live).await;
    purge().await;

    assert_eq!(purged.backup_reference, None);
    assert!(purged.purged_at.is_some());
    let sealed = "select count(*) from berth.hosting_accounts where sealed_password is not null";
    assert_eq!(stack.count(sealed).await, 0);
    assert_eq!(account(&berth.app, &live).await.state, purged.state, "once");
    panel.ensure_created(&spec).await.unwrap();
    assert!(matches!(panel.ensure_restored(&on_panel, &backup).await, Err(PanelError::Permanent(_))), "it is gone");
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_of_which_no_backup_can_be_made_unless_a_person_says_so() {
    let (stack, panel, berth, live) = on_watched_panel().await;
    panel.refuse_change(PanelError::permanent("the disk for backups is not mounted"));
    panel.refuse_change(PanelError::permanent("the disk for backups is not mounted"));
    stack.as_staff_of(&live, "POST", "/terminate", terminate()).await.ok();
    stack.until_idle().await;

    assert_eq!(stack.phase_of(&live).await, "terminating");
    assert!(panel.state_of(live.id, &live.username).await.is_some(), "it is still there");
    let alerts = berth.app.store.open_alerts().await.unwrap();
    let says_how = |alert: &String| alert.contains("not mounted") && alert.contains("without_backup");
    assert!(matches!(alerts.as_slice(), [one] if says_how(one)), "{alerts:?}");
    stack.audit_rows().await;
    let job = TerminateAccount { account_id: live.id };
    berth.app.committer.write(berth::effects::Effects::none().enqueue(job)).await.unwrap();
    stack.until_idle().await;
    assert_eq!(stack.phase_of(&live).await, "terminating", "trying again is no permission");

    let body = json!({ "reason": "the owner has a copy", "confirm": true, "without_backup": true });
    stack.as_staff_of(&live, "POST", "/terminate", body).await.ok();
    stack.until_phase(&live, "terminated").await;

    assert_eq!(panel.state_of(live.id, &live.username).await, None);
    assert_eq!(stack.mails_of(&live).await[0].1["backup_until"], json!(null));
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_server_makes_no_backups_its_pool_says_whether_accounts_are_removed_all_the_same() {
    for (said_of, ends) in [("shared", true), ("vps", false)] {
        let stack = Stack::new().await;
        let panel = WatchedPanel::without_backups();
        let tasks = Supervisor::default();
        let panels = panel.registry().ending_without_backup(said_of);
        let app = App::with_panels(stack.config(), Role::Up, &tasks, panels).unwrap();
        let berth = stack.run(app, tasks, &Queue::ALL).await;
        let live = stack.live_account(&berth.app).await;

        stack.as_staff_of(&live, "POST", "/terminate", terminate()).await.ok();
        stack.until_phase(&live, if ends { "terminated" } else { "terminating" }).await;

        assert_eq!(panel.state_of(live.id, &live.username).await.is_none(), ends);
        let alerts = berth.app.store.open_alerts().await.unwrap();
        let says_how = alerts.iter().any(|alert| alert.contains("terminate_without_backup in the file of servers"));
        assert_eq!(says_how, !ends, "{alerts:?}");
        stack.audit_rows().await;
        berth.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_that_its_row_does_not_end() {
    let (stack, panel, berth, live) = on_watched_panel().await;

    for _ in 0..2 {
        let job = TerminateAccount { account_id: live.id };
        berth.app.committer.write(berth::effects::Effects::none().enqueue(job)).await.unwrap();
        let job = PurgeAccount { account_id: live.id };
        berth.app.committer.write(berth::effects::Effects::none().enqueue(job)).await.unwrap();
        stack.until_idle().await;
    }

    assert_eq!(stack.phase_of(&live).await, "active");
    assert!(panel.state_of(live.id, &live.username).await.is_some());
    assert_eq!(stack.way_of(&live).await, Vec::<String>::new());
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_was_issued_in_the_moment_of_the_end_is_called_off_with_it() {
    let (stack, panel, berth, live) = on_watched_panel().await;
    let (happened, release) = panel.hold_change();
    happens(&berth.app, &live, |state| state.end(Ending::Staff)).await;
    happened.await.unwrap();

    let order = invoiced(&berth.app, &live, "0.50").await;
    let broken = stack.broken_rules().await;
    assert!(matches!(broken.as_slice(), [("an account that ends has no renewal to pay", _)]), "{broken:?}");
    release.send(()).unwrap();
    stack.until_phase(&live, "terminated").await;

    assert!(berth.app.store.renewal(order).await.unwrap().state.phase.is_called_off());
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_somebody_has_removed_by_hand_ends_and_a_person_is_told() {
    let (stack, panel, berth, live) = on_watched_panel().await;
    let on_panel = AccountRef { account_id: live.id, username: live.username.clone(), remote_id: None, domain: None };
    berth::gateways::panels::Panel::ensure_absent(&panel.memory, &on_panel).await.unwrap();

    stack.as_staff_of(&live, "POST", "/terminate", terminate()).await.ok();
    stack.until_phase(&live, "terminated").await;

    let alerts = berth.app.store.open_alerts().await.unwrap();
    assert!(matches!(alerts.as_slice(), [one] if one.starts_with("account_missing")), "{alerts:?}");
    assert_eq!(account(&berth.app, &live).await.backup_reference, None);
    assert_eq!(stack.mails_of(&live).await[0].1["backup_until"], json!(null));
    berth.stop().await;
}
