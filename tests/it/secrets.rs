//! Secrets are planted wherever Berth is told or makes one, things are bought, reset and broken with everything logged; and
//! none of them is found where it is kept, sent or written about.

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use berth::{
    app::App,
    dev::mailbox::Fault as MailFault,
    gateways::panels::{PanelError, memory::Fault},
};
use berth_jobs::Queue;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    support::{Login, STRIPE_KEY, Stack, StackOptions, WEBHOOK_SECRET, WatchedPanel, hosting::Live},
    traces::Collector,
};

const OTHER_WEBHOOK_SECRET: &str = "whsec_plantedOtherEndpoint0123456789";
const WRONG_STRIPE_KEY: &str = "sk_test_plantedWrongKey0123456789";
const JWT_SECRET: &str = "a planted secret of more than thirty-two characters";
const SEALING_KEY: &str = "UExBTlRFRC1TRUFMSU5HLUtFWS0wMTIzNDU2Nzg5QUI=";
const OLDER_SEALING_KEY: &str = "UExBTlRFRC1PTERFUi1LRVktMDEyMzQ1Njc4OUFCQ0Q=";
const DATABASE_PASSWORD: &str = "planted-database-password-7141";
const REDIS_PASSWORD: &str = "planted-redis-password-7142";
const WRONG_REDIS_PASSWORD: &str = "planted-wrong-redis-password-7143";
const PANEL_TOKEN: &str = "PLANTEDPANELTOKEN0123456789ABCDEF";
const COLLECTORS_KEY: &str = "planted-collectors-key-7145";
const METRICS_TOKEN: &str = "planted-metrics-token-of-thirty-two-letters";
const SMTP_PASSWORD: &str = "planted-smtp-password-7144";

/// All that was logged, by Berth and by what it is made of.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Everything from now on, at the finest level.
    pub(crate) fn begin() -> Self {
        let log = Self::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .try_init()
            .expect("each test has a process of its own");
        log
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A secret and where it comes from.
struct Planted {
    what: String,
    secret: String,
}

#[derive(Default)]
struct Secrets(Vec<Planted>);

impl Secrets {
    fn plant(&mut self, what: impl Into<String>, secret: impl Into<String>) {
        let (what, secret) = (what.into(), secret.into());
        assert!(secret.len() >= 12, "{what} is too short to be told from chance");
        self.0.push(Planted { what, secret });
    }

    /// Those that a text holds: as they are, in hex, in base64 or percent-encoded.
    fn found_in(&self, text: &str) -> Vec<&str> {
        let lower = text.to_lowercase();
        let holds = |secret: &str| {
            let percent: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let base64 = STANDARD.encode(secret);
            let base64 = base64.trim_end_matches('=');
            // The last character depends on what follows.
            text.contains(secret)
                || lower.contains(&hex::encode(secret))
                || text.contains(&base64[..base64.len() - 1])
                || text.contains(&percent)
        };
        self.0.iter().filter(|planted| holds(&planted.secret)).map(|planted| planted.what.as_str()).collect()
    }
}

/// A database and a Redis that want passwords, and a second endpoint's secret and key.
async fn world(collector: &str) -> Stack {
    let keys = format!("k2:{SEALING_KEY},k1:{OLDER_SEALING_KEY}");
    let options = StackOptions::default()
        .own_postgres()
        // A server that has failed is looked at again soon.
        .setting("hosting.probe_seconds", "1")
        .setting("telemetry.otlp_endpoint", collector)
        .setting("telemetry.otlp_headers", &format!("x-api-key: {COLLECTORS_KEY}"))
        .setting("metrics.token", METRICS_TOKEN)
        .setting("auth.jwt_secret", JWT_SECRET)
        .setting("secrets.key", &keys)
        .setting("stripe.webhook_secrets", &format!("{WEBHOOK_SECRET},{OTHER_WEBHOOK_SECRET}"));
    let mut stack = Stack::with(options).await;
    let role = format!("create role planted login password '{DATABASE_PASSWORD}' in role berth_app");
    sqlx::raw_sql(sqlx::AssertSqlSafe(role)).execute(&stack.pool).await.unwrap();
    let mut redis = redis::Client::open(stack.redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("requirepass").arg(REDIS_PASSWORD).query_async::<()>(&mut redis).await.unwrap();
    with_password(&mut stack, "database.url", "planted", DATABASE_PASSWORD);
    with_password(&mut stack, "redis.url", "", REDIS_PASSWORD);
    stack
}

fn with_password(stack: &mut Stack, key: &str, user: &str, password: &str) {
    let setting = stack.settings.iter_mut().rev().find(|(name, _)| name == key).unwrap();
    let mut url = url::Url::parse(&setting.1).unwrap();
    url.set_username(user).unwrap();
    url.set_password(Some(password)).unwrap();
    setting.1 = url.to_string();
}

/// Accounts are bought while their panel, and the mail server, fail in every way.
async fn purchases(stack: &Stack, panel: &WatchedPanel, app: &App) -> Vec<Live> {
    let mut accounts = Vec::new();
    for fault in [Fault::AfterApplying, Fault::Unreachable, Fault::Unauthorized, Fault::Full] {
        stack.mailbox.set_fault(MailFault::Refuse451);
        panel.memory.script(fault);
        let order = stack.agree(app, &[("shared-monthly", 1)]).await;
        stack.tell_paid(app, order).await;
        stack
            .until("the account is live", async || {
                stack.mailbox.set_fault(MailFault::None);
                stack.pass(60.0).await;
                let completed = "select exists (select from berth.orders where id = $1 and phase = 'completed')";
                sqlx::query_scalar::<_, bool>(completed).bind(order.0).fetch_one(&stack.pool).await.unwrap()
            })
            .await;
        stack.until_idle().await;
        let (id, user, username): (Uuid, Uuid, String) =
            sqlx::query_as("select id, customer_id, username from berth.hosting_accounts where order_id = $1")
                .bind(order.0)
                .fetch_one(&stack.pool)
                .await
                .unwrap();
        accounts.push(Live { id: berth_jobs::ids::AccountId(id), user, username });
    }
    accounts
}

/// New passwords and sign-in links, with failures before they are had.
async fn ways_in(stack: &Stack, panel: &WatchedPanel, accounts: &[Live], secrets: &mut Secrets) {
    for account in &accounts[..3] {
        panel.memory.script(Fault::AfterApplying);
        stack.as_owner_of(account, "POST", "/password", Value::Null).await.ok();
        let set = "select password_set_at is not null from berth.hosting_accounts where id = $1";
        stack
            .until("the password is set", async || {
                stack.pass(60.0).await;
                sqlx::query_scalar::<_, bool>(set).bind(account.id.0).fetch_one(&stack.pool).await.unwrap()
            })
            .await;
        panel.trip_login(Login::Refused(PanelError::misconfigured("the token is refused")));
        assert_eq!(stack.as_owner_of(account, "POST", "/login", Value::Null).await.status, 503);
        stack.as_owner_of(account, "POST", "/login", Value::Null).await.ok();
    }
    panel.refuse_change(PanelError::permanent("it is refused"));
    stack.as_owner_of(&accounts[3], "POST", "/password", Value::Null).await.ok();
    stack.until_count("select count(*) from berth.alerts where kind = 'password_reset_failed'", 1).await;
    for (number, password) in panel.passwords().iter().enumerate() {
        secrets.plant(format!("new password {number}"), password);
    }
    for (number, link) in panel.links().iter().enumerate() {
        secrets.plant(format!("sign-in link {number}"), link.rsplit('=').next().unwrap());
    }
    // One is looked at: from then on it is in its owner's answer and nowhere else.
    let revealed = stack.as_owner_of(&accounts[0], "POST", "/reveal", Value::Null).await.ok();
    assert_eq!(revealed["password"], panel.passwords()[0].as_str());
}

/// Whoever asks wrongly, and what is set wrongly, is refused and told of.
async fn refusals(stack: &Stack, user: Uuid, secrets: &mut Secrets) {
    let token = stack.token(user);
    secrets.plant("a customer's token", token.rsplit('.').next().unwrap());
    let spoilt = format!("{token}x");
    assert_eq!(stack.ask(&spoilt, "GET", "/v1/hosting", &Value::Null).await.status, 401);
    assert_eq!(stack.ask(&token, "GET", "/v1/orders", &Value::Null).await.status, 200);
    let unsigned = stack.client.post(format!("{}/webhooks/stripe", stack.base())).body("{}");
    assert_eq!(unsigned.header("stripe-signature", "t=1,v1=00").send().await.unwrap().status(), 400);
    let (order, _) = stack.checkout(user, "shared-monthly", 1).await;
    let (_, answer) = stack.post(user, &format!("/v1/orders/{order}/ticket"), &json!({})).await;
    let ticket = answer["ticket"].as_str().unwrap();
    secrets.plant("a ticket to listen", ticket);
    let url = format!("{}/v1/orders/{order}/events?ticket={ticket}", stack.base());
    assert_eq!(stack.client.get(url).header("Accept", "text/event-stream").send().await.unwrap().status(), 200);
}

/// A Berth with wrong credentials for Stripe and the mail server tries to sell and to tell; another one finds Redis closed.
async fn with_wrong_credentials(stack: &mut Stack, panel: &Arc<WatchedPanel>, user: Uuid, log: &Log) {
    let mut smtp = stack.config().mail.smtp_url.unwrap().expose().clone();
    smtp.set_username("berth").unwrap();
    smtp.set_password(Some(SMTP_PASSWORD)).unwrap();
    let right = stack.settings.clone();
    for (key, value) in [("stripe.secret_key", WRONG_STRIPE_KEY), ("mail.smtp_url", smtp.as_str())] {
        stack.settings.push((key.to_owned(), value.to_owned()));
    }
    let (app, tasks) = stack.app(panel).await;
    let berth = stack.run(app, tasks, &Queue::ALL).await;
    let line = json!({ "items": [{ "service_id": "shared-monthly" }] });
    let (status, _) = stack.post(user, "/v1/checkout", &line).await;
    assert!(status >= 500, "{status}: Stripe refuses the key");
    let order = stack.agree(&berth.app, &[("shared-monthly", 1)]).await;
    stack.tell_paid(&berth.app, order).await;
    let unsent =
        "select count(*) from berth.jobs where kind = 'send_mail' and state = 'queued' and last_error is not null";
    stack
        .until("a mail could not be sent", async || {
            let found: i64 = sqlx::query_scalar(unsent).fetch_one(&stack.pool).await.unwrap();
            found > 0
        })
        .await;
    berth.stop().await;

    with_password(stack, "redis.url", "", WRONG_REDIS_PASSWORD);
    let (app, tasks) = stack.app(panel).await;
    let berth = stack.run(app, tasks, &Queue::ALL).await;
    let order = stack.agree(&berth.app, &[("shared-monthly", 1)]).await;
    stack.tell_paid(&berth.app, order).await;
    let refused = || log.text().to_lowercase();
    stack
        .until("Redis lets nobody in", async || {
            ["wrongpass", "password authentication failed"].iter().any(|text| refused().contains(text))
        })
        .await;
    berth.stop().await;
    stack.settings = right;
}

/// A panel that is away, and a file with the token for it.
fn servers_file(stack: &Stack) -> String {
    let (token, servers) = (stack.folder.path().join("panel.token"), stack.folder.path().join("servers.toml"));
    std::fs::write(&token, PANEL_TOKEN).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "[[server]]\nname = \"cpanel1\"\n[server.whm]\nendpoint = \"https://127.0.0.1:1\"\nprivate = true\nuser = \"berth\"\n\
         token_file = {token:?}\n"
    );
    std::fs::write(&servers, text).unwrap();
    servers.to_str().unwrap().to_owned()
}

/// What commands print, to people and to logs, with a database that lets nobody in among them.
async fn commands(stack: &Stack) -> String {
    let mut all = String::new();
    let servers = servers_file(stack);
    let wrong = stack.config().database.url.unwrap().expose().to_string().replace("planted:", "nobody:");
    for (arguments, database) in [
        (&["config", "print"][..], None),
        (&["doctor"], None),
        (&["doctor"], Some(wrong.as_str())),
        (&["jobs", "list"], None),
        (&["secrets", "rotate"], None),
        (&["servers", "list"], None),
        (&["servers", "test"], None),
    ] {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_berth"))
            .args(arguments)
            .env_clear()
            .envs(stack.environment())
            .env("BERTH_LOG__LEVEL", "trace")
            .env("BERTH_HOSTING__SERVERS", &servers)
            .envs(database.map(|url| ("BERTH_DATABASE__URL", url)))
            .current_dir(stack.folder.path())
            .output()
            .await
            .unwrap();
        assert!(!output.stdout.is_empty() || !output.stderr.is_empty(), "{arguments:?} says something");
        all.push_str(&String::from_utf8_lossy(&output.stdout));
        all.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_planted_secret_is_found_in_logs_redis_jobs_mails_or_tables() {
    let mut secrets = Secrets::default();
    for (what, secret) in [
        ("Stripe's key", STRIPE_KEY),
        ("a wrong key of Stripe's", WRONG_STRIPE_KEY),
        ("the webhook's secret", WEBHOOK_SECRET),
        ("another endpoint's secret", OTHER_WEBHOOK_SECRET),
        ("the tokens' secret", JWT_SECRET),
        ("the sealing key", SEALING_KEY),
        ("the older sealing key", OLDER_SEALING_KEY),
        ("the database's password", DATABASE_PASSWORD),
        ("Redis' password", REDIS_PASSWORD),
        ("a wrong password of Redis'", WRONG_REDIS_PASSWORD),
        ("the mail server's password", SMTP_PASSWORD),
        ("a panel's token", PANEL_TOKEN),
        ("the key of the collector of traces", COLLECTORS_KEY),
        ("the metrics' token", METRICS_TOKEN),
    ] {
        secrets.plant(what, secret);
    }
    let (collector, endpoint) = Collector::start().await;
    let mut stack = world(&endpoint).await;
    // Not before: what the test tells the servers is logged as well.
    let log = Log::begin();
    let panel = WatchedPanel::new();
    let berth = stack.start_on(&panel, &Queue::ALL).await;

    let accounts = purchases(&stack, &panel, &berth.app).await;
    for spec in panel.asked() {
        secrets.plant(format!("first password of {}", spec.account.account_id), spec.password.expose_secret());
    }
    ways_in(&stack, &panel, &accounts, &mut secrets).await;
    // Tickets and pages last so long of Berth's time, which has passed faster than this process and Stripe know.
    stack.pass_everywhere(&berth.app, 0.0).await;
    refusals(&stack, accounts[0].user, &mut secrets).await;
    let numbers =
        stack.client.get(format!("{}/metrics", stack.base())).bearer_auth(METRICS_TOKEN).send().await.unwrap();
    let numbers = numbers.text().await.unwrap();
    berth.stop().await;
    with_wrong_credentials(&mut stack, &panel, accounts[1].user, &log).await;

    let distinct: std::collections::BTreeSet<&str> = secrets.0.iter().map(|planted| planted.secret.as_str()).collect();
    assert!(distinct.len() >= 20, "{} secrets", distinct.len());
    let (logged, kept, printed) = (log.text(), stack.everything_kept().await, commands(&stack).await);
    // The search sees what is there: names in the log, a username in tables and mails, an id in Redis.
    assert!(logged.contains("an attempt did not finish") && logged.contains("TRACE"), "{} bytes", logged.len());
    assert!(kept.contains(&accounts[0].username) && kept.contains("v1.k2."));
    println!("{} secrets in {} bytes of logs and {} of what is kept", distinct.len(), logged.len(), kept.len());
    assert_eq!(secrets.found_in(&logged), Vec::<&str>::new(), "in the log");
    assert_eq!(secrets.found_in(&kept), Vec::<&str>::new(), "in tables, Redis or mails");
    assert_eq!(secrets.found_in(&printed), Vec::<&str>::new(), "in what commands print");
    let spans = collector.text();
    assert!(
        spans.contains("panel set_password") && spans.contains("POST /v1/hosting/{id}/login") && spans.len() > 10_000
    );
    assert!(numbers.contains("berth_panel_calls_total{server=\"local\",outcome=\"misconfigured\"}"));
    for (shown, where_it_is) in [(&spans, "in spans"), (&numbers, "in metrics")] {
        assert_eq!(secrets.found_in(shown), Vec::<&str>::new(), "{where_it_is}");
        assert!(
            !shown.contains("@customer.test") && !shown.contains(&accounts[0].username),
            "a customer {where_it_is}"
        );
    }
}
