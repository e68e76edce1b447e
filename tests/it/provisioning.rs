//! What goes wrong on panels and mail servers delays what was bought, and neither loses nor doubles it.

use std::{sync::Arc, time::Duration};

use berth::{
    app::App,
    dev::mailbox::{Fault as MailFault, Mailbox},
    domain::username,
    effects::Effects,
    gateways::panels::{AccountRef, CreateSpec, Panel as _, PanelError, memory::Fault},
};
use berth_jobs::{
    Queue,
    hosting::ProvisionAccount,
    ids::{AccountId, OrderId},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::support::{Running, Stack, StackOptions, WatchedPanel, shop};

const COMPLETED: &str = "select count(*) from berth.orders where phase = 'completed'";

/// The one job that provisions, as the ledger has it.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    state: String,
    attempt: i32,
    /// Seconds until it is due.
    wait: f64,
    last_error: Option<String>,
}

async fn job(stack: &Stack, kind: &str) -> Row {
    sqlx::query_as(
        "select state, attempt, extract(epoch from run_at - berth.now())::float8 as wait, last_error
         from berth.jobs where kind = $1 order by id limit 1",
    )
    .bind(kind)
    .fetch_one(&stack.pool)
    .await
    .unwrap()
}

/// Waits until the job has been tried and waits again, with that in its `last_error`.
async fn until_waiting(stack: &Stack, kind: &'static str, error: &str) -> Row {
    stack
        .until(&format!("{kind} waits because of: {error}"), async || {
            let row = job(stack, kind).await;
            row.state == "queued" && row.last_error.is_some_and(|text| text.contains(error))
        })
        .await;
    job(stack, kind).await
}

async fn one_account(stack: &Stack, app: &App) -> OrderId {
    let order = stack.agree(app, &[("shared-monthly", 1)]).await;
    stack.tell_paid(app, order).await;
    stack.until_count("select count(*) from berth.jobs where kind = 'provision_account'", 1).await;
    order
}

async fn account_id(stack: &Stack) -> AccountId {
    AccountId(
        sqlx::query_scalar::<_, Uuid>("select id from berth.hosting_accounts").fetch_one(&stack.pool).await.unwrap(),
    )
}

/// Everything has ended well: one account, made once, and nothing left to do.
async fn assert_one_account(stack: &Stack, panel: &Arc<WatchedPanel>) {
    stack.until_count(COMPLETED, 1).await;
    stack.until_count("select count(*) from berth.jobs where state not in ('done', 'cancelled')", 0).await;
    assert_eq!(panel.memory.accounts(), 1);
    assert_eq!(panel.memory.creates_of(account_id(stack).await), 1);
    assert_eq!(stack.mailbox.mails().len(), 2);
    stack.audit_rows().await;
}

async fn started() -> (Stack, Arc<WatchedPanel>, Running) {
    let stack = Stack::new().await;
    let panel = WatchedPanel::new();
    let berth = stack.start_on(&panel, &Queue::ALL).await;
    (stack, panel, berth)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panel_that_is_away_is_tried_again_after_waits_that_grow() {
    let (stack, panel, berth) = started().await;
    for _ in 0..3 {
        panel.memory.script(Fault::Unreachable);
    }
    one_account(&stack, &berth.app).await;

    for (attempt, longest) in [(1, 5.0), (2, 10.0), (3, 20.0)] {
        stack
            .until("the attempt has failed", async || {
                let row = job(&stack, "provision_account").await;
                row.state == "queued" && row.attempt == attempt
            })
            .await;
        let row = job(&stack, "provision_account").await;
        assert!(row.wait <= longest && row.wait > longest / 2.0 - 1.5, "attempt {attempt}: {row:?}");
        assert!(row.last_error.as_deref().unwrap().contains("refused the connection"), "{row:?}");
        stack.pass(longest).await;
    }

    assert_one_account(&stack, &panel).await;
    assert_eq!(stack.count("select count(*) from berth.alerts").await, 0);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_creation_was_not_answered_is_adopted_and_not_made_twice() {
    for fault in [Fault::AfterApplying, Fault::BeforeApplying, Fault::Task { polls: 1 }] {
        let (stack, panel, berth) = started().await;
        panel.memory.script(fault);
        one_account(&stack, &berth.app).await;

        stack.until("the first try is over", async || job(&stack, "provision_account").await.wait > 0.1).await;
        let name = stack.text("select username from berth.hosting_accounts").await;
        stack.pass(10.0).await;

        assert_one_account(&stack, &panel).await;
        assert_eq!(stack.text("select username from berth.hosting_accounts").await, name, "the intent is kept");
        berth.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_on_the_panel_is_replaced_by_the_next_one() {
    let stack = Stack::new().await;
    let panel = WatchedPanel::new();
    // The account's row is made first, so that its name can be known and taken.
    let berth = stack.start_on(&panel, &[Queue::Payments, Queue::Mail]).await;
    one_account(&stack, &berth.app).await;
    stack.until_count("select count(*) from berth.hosting_accounts", 1).await;
    let id = account_id(&stack).await;
    let key = berth.app.secrets.as_ref().unwrap().username_key();
    let names: Vec<String> =
        (0..3).map(|salt| username::username(&berth.app.username_prefix, &key, id, salt).to_string()).collect();
    for name in &names[..2] {
        let foreign = CreateSpec {
            account: AccountRef { account_id: AccountId::new(), username: name.clone(), remote_id: None, domain: None },
            password: "theirs".to_owned().into(),
            package: "theirs".to_owned(),
            owner_email: "them@customer.test".to_owned(),
            configuration: Value::Null,
            addons: Value::Null,
            intended_at: Timestamp::UNIX_EPOCH,
        };
        panel.memory.ensure_created(&foreign).await.unwrap();
    }

    let workers = stack.more_workers(&panel, &[Queue::Provisioning]).await;

    stack.until_count(COMPLETED, 1).await;
    stack.until_count("select count(*) from berth.jobs where state not in ('done', 'cancelled')", 0).await;
    assert_eq!(stack.text("select username from berth.hosting_accounts").await, names[2]);
    assert_eq!((panel.memory.accounts(), panel.memory.creates_of(id)), (3, 1));
    stack.audit_rows().await;
    workers.stop().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_panel_will_never_do_goes_to_a_person_and_on_when_it_is_mended() {
    let (stack, panel, berth) = started().await;
    panel.refuse(PanelError::permanent("there is no package shared-starter"));
    let order = one_account(&stack, &berth.app).await;

    stack.until_count("select count(*) from berth.hosting_accounts where phase = 'failed'", 1).await;
    stack.until_idle().await;
    let alerts = berth.app.store.open_alerts().await.unwrap();
    assert!(matches!(alerts.as_slice(), [one] if one.contains("there is no package shared-starter")), "{alerts:?}");
    assert_eq!(stack.text("select phase from berth.orders").await, "processing");
    assert_eq!(stack.text("select failure from berth.hosting_accounts").await, "there is no package shared-starter");
    assert_eq!(panel.memory.accounts(), 0);
    let user: Uuid = sqlx::query_scalar("select customer_id from berth.orders where id = $1")
        .bind(order.0)
        .fetch_one(&stack.pool)
        .await
        .unwrap();
    assert_eq!(stack.get(user, "/v1/hosting").await.1["data"][0]["status"], "pending", "the customer sees no failure");

    // What the alert says is to be enqueued.
    let job = ProvisionAccount { account_id: account_id(&stack).await };
    berth.app.committer.write(berth::effects::Effects::none().enqueue(job)).await.unwrap();

    assert_one_account(&stack, &panel).await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cannot_be_made_in_all_its_tries_goes_to_a_person() {
    let (stack, panel, berth) = started().await;
    panel.memory.script(Fault::BeforeApplying);
    panel.memory.script(Fault::BeforeApplying);
    one_account(&stack, &berth.app).await;
    until_waiting(&stack, "provision_account", "the panel did not answer").await;

    // As after nineteen of them.
    sqlx::query("update berth.jobs set attempt = 19, run_at = berth.now() where kind = 'provision_account'")
        .execute(&stack.pool)
        .await
        .unwrap();

    stack.until_count("select count(*) from berth.hosting_accounts where phase = 'failed'", 1).await;
    stack.until_idle().await;
    let alerts = berth.app.store.open_alerts().await.unwrap();
    assert!(matches!(alerts.as_slice(), [one] if one.starts_with("provisioning_failed")), "{alerts:?}");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_our_credentials_or_asks_for_patience_uses_up_no_attempt() {
    let stack = Stack::with(StackOptions::default().setting("hosting.probe_seconds", "1")).await;
    let panel = WatchedPanel::new();
    let berth = stack.start_on(&panel, &Queue::ALL).await;
    panel.memory.script(Fault::Unauthorized);
    panel.memory.script(Fault::RateLimited(Duration::from_secs(30)));
    one_account(&stack, &berth.app).await;

    let row = until_waiting(&stack, "provision_account", "refused the credentials").await;
    assert!(row.attempt == 0 && row.wait > 50.0 && row.wait <= 60.0, "{row:?}");
    stack.pass(60.0).await;
    let row = until_waiting(&stack, "provision_account", "fewer requests").await;
    assert!(row.attempt == 0 && row.wait > 20.0 && row.wait <= 30.0, "{row:?}");
    stack.pass(30.0).await;

    assert_one_account(&stack, &panel).await;
    assert_eq!(stack.count("select count(*) from berth.alerts").await, 0);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stays_broken_is_given_up_after_three_days_with_an_alert() {
    let (stack, panel, berth) = started().await;
    panel.memory.script(Fault::Unauthorized);
    panel.memory.script(Fault::Unauthorized);
    one_account(&stack, &berth.app).await;
    until_waiting(&stack, "provision_account", "refused the credentials").await;

    stack.pass(72.0 * 3600.0 + 1.0).await;

    stack.until_count("select count(*) from berth.jobs where kind = 'provision_account' and state = 'dead'", 1).await;
    let dead = "select count(*) from berth.alerts where kind = 'job_dead' and detail like 'provision_account%'";
    stack.until_count(dead, 1).await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_an_unknown_kind_is_kept_and_one_that_cannot_be_read_is_dead_while_their_neighbours_run() {
    let (stack, _panel, berth) = started().await;
    let unknown = stack.insert_job("fold_laundry", Queue::Sweeps, &json!({ "shirts": 3 }), None).await;
    let unreadable = stack.insert_job("no_op", Queue::Sweeps, &json!({ "note": 1 }), None).await;
    let no_object = stack.insert_job("provision_account", Queue::Provisioning, &json!("acc"), None).await;
    for _ in 0..20 {
        stack.insert_job("no_op", Queue::Sweeps, &json!({}), None).await;
    }

    stack.until_count("select count(*) from berth.jobs where kind = 'no_op' and state = 'done'", 20).await;
    stack.until_count("select count(*) from berth.jobs where state = 'dead'", 2).await;
    let row = until_waiting(&stack, "fold_laundry", "no job is called `fold_laundry`").await;
    assert!(row.attempt == 0 && row.wait > 50.0, "{row:?}");
    for id in [unreadable, no_object] {
        let id = berth_jobs::ids::JobId(id);
        let dead = berth.app.store.job(id).await.unwrap();
        assert!(dead.last_error.unwrap().starts_with("the payload does not fit: "));
        let alerts = berth.app.store.open_alerts().await.unwrap();
        assert!(alerts.iter().any(|alert| alert.contains(&id.to_string())), "{alerts:?}");
    }

    // After a week nobody will come who knows it.
    stack.pass(7.0 * 24.0 * 3600.0 + 1.0).await;
    stack.until_count("select count(*) from berth.jobs where state = 'dead'", 3).await;
    let dead = berth.app.store.job(berth_jobs::ids::JobId(unknown)).await.unwrap();
    assert_eq!(dead.payload, json!({ "shirts": 3 }));
    assert_eq!(berth.app.store.open_alerts().await.unwrap().len(), 3);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_is_away_delays_mail_and_nothing_else() {
    // The mail server's address, without a mail server.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let stack = Stack::with(StackOptions::default().setting("mail.smtp_url", &format!("smtp://{address}"))).await;
    let panel = WatchedPanel::new();
    let berth = stack.start_on(&panel, &Queue::ALL).await;
    one_account(&stack, &berth.app).await;

    stack.until_count(COMPLETED, 1).await;
    for _ in 0..3 {
        stack.until_count("select count(*) from berth.jobs where kind = 'send_mail' and run_at > berth.now()", 2).await;
        assert_eq!(stack.count("select max(attempt)::int8 from berth.jobs where kind = 'send_mail'").await, 0);
        stack.pass(31.0).await;
    }
    let stop = CancellationToken::new();
    let mailbox = Mailbox::start(TcpListener::bind(address).await.unwrap(), None, stop.clone()).unwrap();
    stack.pass(31.0).await;

    stack
        .until("the mails have come", async || {
            stack.pass(1.0).await;
            mailbox.mails().len() == 2
        })
        .await;
    stack.until_count("select count(*) from berth.jobs where state not in ('done', 'cancelled')", 0).await;
    assert_eq!(mailbox.mails().len(), 2);
    stack.audit_rows().await;
    stop.cancel();
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_is_refused_for_now_is_sent_later_and_one_whose_answer_is_lost_again_under_its_own_name() {
    let (stack, panel, berth) = started().await;
    let waiting = async |attempt: i64| {
        stack.until_count("select count(*) from berth.jobs where kind = 'send_mail' and run_at > berth.now()", 2).await;
        assert_eq!(stack.count("select max(attempt)::int8 from berth.jobs where kind = 'send_mail'").await, attempt);
    };
    stack.mailbox.set_fault(MailFault::Refuse451);
    one_account(&stack, &berth.app).await;
    stack.until_count(COMPLETED, 1).await;
    waiting(0).await;

    stack.mailbox.set_fault(MailFault::DropAfterAccept);
    stack.pass(31.0).await;
    stack.until("both were taken", async || stack.mailbox.mails().len() == 2).await;
    waiting(1).await;
    stack.mailbox.set_fault(MailFault::None);
    stack.pass(11.0).await;

    stack.until_count("select count(*) from berth.jobs where state not in ('done', 'cancelled')", 0).await;
    assert_eq!(panel.memory.accounts(), 1);
    // Each was taken twice, under one Message-ID: the reader's program shows one.
    let mails = stack.mailbox.mails();
    assert_eq!(mails.len(), 4);
    assert!(mails.iter().all(|mail| stack.mailbox.acceptances(&mail.message_id) == 2));
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_is_refused_for_good_is_told_to_a_person_and_not_sent_again() {
    let (stack, panel, berth) = started().await;
    stack.mailbox.set_fault(MailFault::Refuse550);

    one_account(&stack, &berth.app).await;
    stack.until_count(COMPLETED, 1).await;
    stack.until_count("select count(*) from berth.jobs where state not in ('done', 'cancelled')", 0).await;

    assert_eq!(panel.memory.accounts(), 1);
    assert_eq!(stack.count("select count(*) from berth.mails where refused_at is not null and attempts = 1").await, 2);
    assert_eq!(stack.count("select count(*) from berth.alerts where kind = 'mail_refused'").await, 2);
    assert_eq!(stack.mailbox.mails().len(), 0);
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_made_with_the_memory_and_under_the_name_that_were_bought() {
    let stack = Stack::new().await;
    let panel = WatchedPanel::new();
    let berth = stack.start_on(&panel, &[Queue::Payments, Queue::Provisioning]).await;
    let mut order = shop::new_order(&berth.app, &[("vps-monthly", 1)]);
    let (configuration, addons) = (json!({ "ram_gb": 8 }), json!([{ "id": "dedicated-ip", "price": "2.00" }]));
    let terms = &mut order.items[0].terms;
    (terms.configuration, terms.addons) = (configuration.clone(), addons.clone());
    (terms.domain, terms.trial_days) = (Some("ada.example".to_owned()), 14);
    let id = order.id;
    berth.app.committer.write(Effects::new_order(order)).await.unwrap();

    stack.tell_paid(&berth.app, id).await;
    stack.until_count(COMPLETED, 1).await;

    let asked = panel.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((&asked[0].configuration, &asked[0].addons), (&configuration, &addons));
    assert_eq!(asked[0].account.domain.as_deref(), Some("ada.example"));
    let of_the_trial = "select count(*) from berth.hosting_accounts
                        where expires_at = activated_at + interval '14 days' and billing_anchor = expires_at";
    assert_eq!(stack.count(of_the_trial).await, 1, "its periods count from the end of the trial");
    berth.stop().await;
}
