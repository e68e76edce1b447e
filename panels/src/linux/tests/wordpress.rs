//! WordPress: ready to sign in, whenever the command is killed, and whole again from a backup.

use secrecy::ExposeSecret as _;

use super::{
    machine::{Machine, host},
    *,
};

fn wordpress(username: &str) -> CreateSpec {
    let mut spec = spec(username);
    spec.package = "wordpress".to_owned();
    spec
}

/// Where signing in leads, if it does.
fn sign_in(machine: &Machine, username: &str, password: &str) -> Option<String> {
    let form = format!("log={username}&pwd={password}&testcookie=1");
    let page = machine.request("POST", &host(username), "/wp-login.php", &form);
    let location = page.headers.lines().find_map(|line| line.strip_prefix("Location: ")).map(str::to_owned);
    location.filter(|_| page.status == 302)
}

fn is_ready(machine: &Machine, spec: &CreateSpec) {
    let name = &spec.account.username;
    let front = machine.get(&host(name), "/");
    assert_eq!((front.status, front.body.contains("My site")), (200, true), "{name}: {}", front.headers);
    let leads_to = sign_in(machine, name, spec.password.expose_secret());
    assert!(leads_to.as_deref().is_some_and(|to| to.ends_with("/wp-admin/")), "{name}: {leads_to:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wordpress_is_ready_to_sign_in() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let mut wanted = wordpress("blogger");
    wanted.account.domain = Some("blog.example".to_owned());

    let made = at_once(panel.ensure_created(&wanted).await);

    is_ready(&machine, &wanted);
    assert!(made.control_panel_url.is_some_and(|url| url.ends_with("/wp-admin/")));
    assert_eq!(sign_in(&machine, "blogger", "not-the-password"), None);
    let by_domain = machine.get("blog.example", "/");
    assert!(by_domain.status == 200 && by_domain.body.contains("http://blog.example:"), "{}", by_domain.headers);
    assert_eq!(machine.get(&host("blogger"), "/hello-world/").status, 200);
    assert!(!machine.get(&host("blogger"), "/wp-config.php").body.contains("DB_PASSWORD"));
    assert!(at_once(panel.ensure_created(&wanted).await).adopted);
    at_once(panel.ensure_suspended(&wanted.account, "non_payment").await);
    assert_eq!(machine.get(&host("blogger"), "/").status, 503);
    at_once(panel.set_password(&wanted.account, &"another-Pass-word1".to_owned().into()).await);
    at_once(panel.ensure_active(&wanted.account).await);
    assert_eq!(machine.get(&host("blogger"), "/").status, 200);
    assert!(sign_in(&machine, "blogger", "another-Pass-word1").is_some(), "the password was set all the same");
    assert_eq!(sign_in(&machine, "blogger", wanted.password.expose_secret()), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wordpress_killed_at_any_step_is_finished_by_the_next() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();

    for (n, place) in ["wordpress_files", "wordpress_settings", "wordpress"].into_iter().enumerate() {
        let wanted = wordpress(&format!("blog{n}"));
        let killed = machine.panel_that_dies_at(place).ensure_created(&wanted).await.unwrap_err();
        assert!(matches!(killed, PanelError::Ambiguous(_)), "{place}: {killed:?}");
        let Observed::Partial { missing } = panel.observe(&wanted.account).await.unwrap() else { panic!("{place}") };
        assert!(missing.contains(&"wordpress".to_owned()), "{place}: {missing:?}");

        at_once(panel.ensure_created(&wanted).await);

        is_ready(&machine, &wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_wordpress_works_in_an_account_that_was_made_anew() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let wanted = wordpress("phoenix");
    at_once(panel.ensure_created(&wanted).await);
    machine.sql("update phoenix_main.wp_posts set post_title = 'Kept for ever' where post_name = 'hello-world'");
    let backup = BackupRef::new(wanted.account.account_id, 3);
    at_once(panel.ensure_suspended(&wanted.account, "non_payment").await);
    let kept = at_once(panel.ensure_backup(&wanted.account, &backup).await);
    at_once(panel.ensure_absent(&wanted.account).await);
    let mut again = wordpress("phoenix");
    again.account = wanted.account.clone();
    again.password = "another-Pass-word1".to_owned().into();
    at_once(panel.ensure_created(&again).await);
    assert!(!machine.get(&host("phoenix"), "/").body.contains("Kept for ever"));

    at_once(panel.ensure_restored(&wanted.account, &backup).await);

    assert!(kept.bytes > 1_000_000, "{kept:?}");
    assert!(machine.get(&host("phoenix"), "/").body.contains("Kept for ever"));
    is_ready(&machine, &wanted);
    assert!(matches!(panel.observe(&wanted.account).await.unwrap(), Observed::Present { .. }));
}
