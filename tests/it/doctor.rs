//! `berth doctor` on a whole installation: it passes where all is well, and names what is not, with what mends it.

use std::os::unix::fs::DirBuilderExt as _;

use serde_json::{Value, json};

use super::support::{
    Stack, StackOptions,
    oidc::{Manner, Provider},
    process::{Process, run},
};

const DRAWN_KEY: &str = "k1:p3vWc0QxO8nZb5m1m0n8Lq1yJ5Xc2l9r0sV7Yt6Kd4E=";
const DRAWN_SECRET: &str = "Zt8v1Wq0pYk3Rb6Xm9Ls2Hd5Fg7Jc4NaUe";

async fn doctor(stack: &Stack, arguments: &[&str], more: &[(&str, &str)]) -> (Option<i32>, Value) {
    let all: Vec<&str> = ["doctor", "--json"].into_iter().chain(arguments.iter().copied()).collect();
    let output = run(stack, &all, more).await;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = serde_json::from_str(&stdout)
        .unwrap_or_else(|_| panic!("{stdout}\n{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

/// The checks that ended like this, by name and what was found.
fn that_are(report: &Value, verdict: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap().iter().filter(|check| check["verdict"] == verdict);
    checks.map(|check| (text(&check["name"]), text(&check["detail"]))).collect()
}

fn named<'a>(report: &'a Value, name: &str) -> &'a Value {
    let found = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no check {name} in {report:#}"))
}

fn options() -> StackOptions {
    StackOptions::default()
        .durable()
        .setting("secrets.key", DRAWN_KEY)
        .setting("auth.jwt_secret", DRAWN_SECRET)
        .setting("work.schedule", "true")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_that_works_passes_and_every_failure_has_its_fix() {
    let stack = Stack::with(options()).await;
    let mut up = Process::start(&stack, &["up"], &[]);
    stack.until_listening().await;
    stack.until_count("select count(*) from berth.ticks where name = 'unpaid_orders'", 1).await;
    let backups = stack.folder.path().join("backups");
    std::fs::DirBuilder::new().mode(0o700).create(&backups).unwrap();

    let (code, report) = doctor(&stack, &["--mail", "operator@shop.test", "--audit"], &[]).await;

    let broken = that_are(&report, "broken");
    assert!(broken.is_empty(), "{broken:#?}");
    assert_eq!(code, Some(0), "{report:#}");
    for name in [
        "settings to serve",
        "secrets.key",
        "auth.jwt_secret",
        "catalogue",
        "database",
        "migrations",
        "PostgreSQL",
        "durability",
        "autovacuum",
        "old transactions",
        "connections",
        "database role",
        "dead rows",
        "Redis",
        "Redis memory",
        "Redis persistence",
        "Stripe",
        "Stripe's webhook",
        "mail",
        "test mail",
        "TLS",
        "public address",
        "DNS",
        "DNS of sites",
        "server",
        "newest backup",
        "clock: database",
        "clock: Stripe",
        "workers",
        "jobs that wait",
        "schedule",
        "alerts",
    ] {
        assert_eq!(named(&report, name)["verdict"], "ok", "{}", named(&report, name));
    }
    assert!(report["audit"].as_array().unwrap().len() > 20);
    let letter = stack.mailbox.mails().into_iter().find(|mail| mail.to.iter().any(|to| to == "operator@shop.test"));
    assert!(letter.is_some(), "the test mail came");

    up.terminate().await;
    stack.sim("webhooks", &json!({ "url": "http://127.0.0.1:9/elsewhere" })).await;
    let wrong = [
        ("BERTH_SECRETS__KEY", "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ("BERTH_MAIL__SMTP_URL", "smtp://127.0.0.1:9"),
        ("BERTH_DATABASE__URL", stack.postgres.url()),
        ("BERTH_HOSTING__BASE_DOMAIN", "nowhere.invalid"),
    ];
    let (code, report) = doctor(&stack, &[], &wrong).await;

    assert_eq!(code, Some(1));
    for name in ["secrets.key", "mail", "database role", "workers", "DNS of sites", "TLS"] {
        let check = named(&report, name);
        let fix = check["fix"].as_str().unwrap_or_default();
        if name != "TLS" {
            assert_eq!(check["verdict"], "broken", "{check}");
            assert!(!fix.is_empty(), "{check}");
        }
    }
    assert_eq!(named(&report, "Stripe's webhook")["verdict"], "warning", "this machine is not to be reached by Stripe");
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_nobody_is_asked_but_the_database_and_redis() {
    let stack = Stack::with(options()).await;
    let away = [("BERTH_STRIPE__API_BASE", "http://127.0.0.1:9"), ("BERTH_MAIL__SMTP_URL", "smtp://127.0.0.1:9")];

    let (_, report) = doctor(&stack, &["--offline"], &away).await;

    for name in ["Stripe", "Stripe's webhook", "mail", "TLS", "DNS", "DNS of sites", "servers"] {
        assert_eq!(named(&report, name)["verdict"], "skipped", "{report:#}");
    }
    assert_eq!(named(&report, "migrations")["verdict"], "ok");
    assert_eq!(named(&report, "workers")["verdict"], "broken", "nobody works");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_its_migrations_is_told_and_asked_nothing_more() {
    let stack = Stack::with(options()).await;
    let undone =
        "delete from berth.schema_migrations where version = (select max(version) from berth.schema_migrations)";
    sqlx::query(undone).execute(&stack.pool).await.unwrap();

    let (code, report) = doctor(&stack, &["--offline"], &[]).await;

    assert_eq!(code, Some(1));
    assert_eq!(named(&report, "migrations")["fix"], "berth migrate");
    assert!(!report["checks"].as_array().unwrap().iter().any(|check| check["name"] == "schedule"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_at_which_staff_signs_in_is_asked_whether_it_answers() {
    let provider = Provider::start().await;
    let stack = Stack::with(provider.options()).await;

    let (_, report) = doctor(&stack, &[], &[]).await;
    provider.does(Manner { away: true, ..Manner::default() });
    let (code, without) = doctor(&stack, &[], &[]).await;

    let passed = named(&report, "sign-in by OIDC");
    assert_eq!(passed["verdict"], "ok", "{passed}");
    let detail = passed["detail"].as_str().unwrap();
    assert!(detail.contains(&provider.issuer) && detail.ends_with("/console/oidc/callback"), "{detail}");
    let failed = named(&without, "sign-in by OIDC");
    assert_eq!(failed["verdict"], "broken", "{failed}");
    assert!(failed["fix"].as_str().unwrap().contains("console.oidc.issuer"), "{failed}");
    assert_eq!(code, Some(1));
}
