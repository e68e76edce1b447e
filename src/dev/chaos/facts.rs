//! Asks the database, the panels, Stripe and the mailbox what they know.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::Context;
use berth_jobs::ids::{AccountId, OrderId};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    judge::{Acceptance, AccountRow, Directory, Facts, MailRow, Money, Trouble},
    plan::Strike,
    shoppers::Sold,
    strikes::Struck,
    world::{SITES, World},
};
use crate::{gateways::panels::site::creates, store::Store};

const POLL_EVERY: Duration = Duration::from_millis(100);
/// What is due, or will be within so short a time that it was not put off on purpose.
const UNFINISHED: &str = "select concat_ws(' ', berth.show_id('job_', id), kind, state, 'attempt', attempt, last_error)
    from berth.jobs
    where kind not like 'sweep_%'
      and (state = 'running' or (state = 'queued' and run_at <= berth.now() + interval '5 minutes'))
    order by id limit 100";

/// Waits until Stripe has told everything and all that is due is done; how long it took, or `None` when it was too long.
pub(super) async fn settle(world: &World, patience: Duration) -> Option<Duration> {
    let begun = Instant::now();
    let mut quiet = 0;
    loop {
        // Twice in a row, for what one tells the other.
        quiet = if is_quiet(world).await.unwrap_or(false) { quiet + 1 } else { 0 };
        if quiet == 2 {
            return Some(begun.elapsed());
        }
        if begun.elapsed() > patience {
            return None;
        }
        sleep(POLL_EVERY).await;
    }
}

async fn is_quiet(world: &World) -> anyhow::Result<bool> {
    let health = world.sim_get("healthz").await?;
    let unfinished: Vec<String> = sqlx::query_scalar(UNFINISHED).fetch_all(&world.pool).await?;
    Ok(health["undelivered"] == 0 && unfinished.is_empty())
}

/// Everything that there is to know.
pub(super) async fn gather(world: &World, sold: &Sold, struck: &[Struck]) -> anyhow::Result<Facts> {
    let store = Store::on(world.pool.clone());
    let audit = store.audit().await.context("the audit cannot be made")?;
    let records = world.sim_get("records").await?;
    let mut facts = Facts {
        bought: sold.paid.iter().map(|(order, paid)| (*order, paid.units)).collect(),
        audit: audit.into_iter().map(|finding| (finding.rule, finding.rows)).collect(),
        unfinished: sqlx::query_scalar(UNFINISHED).fetch_all(&world.pool).await?,
        alerts: store.open_alerts().await?,
        troubles: struck.iter().filter_map(trouble).collect(),
        acceptances: acceptances(world),
        at_stripe: money_of(&records)?,
        pages: pages_of(&records)?,
        answered: answered(&world.sim_get("deliveries").await?)?,
        ..Facts::default()
    };
    ask_the_database(world, &mut facts).await?;
    for site in SITES {
        look_at_panel(&world.sites_dir(site), site, &mut facts)?;
    }
    Ok(facts)
}

/// Whatever ends or holds up a process, or keeps it from the database.
fn trouble(struck: &Struck) -> Option<Trouble> {
    match struck.strike {
        Strike::KillWorker | Strike::FreezeWorker | Strike::RestartPostgres => {
            Some(Trouble { from: struck.from, to: struck.to })
        }
        Strike::KillServer
        | Strike::FlushRedis
        | Strike::RestartRedis
        | Strike::DeadPanel
        | Strike::RefuseMail
        | Strike::LoseMailAnswers
        | Strike::LoseStripeAnswers => None,
    }
}

/// By the ids of mails, which their Message-IDs begin with.
fn acceptances(world: &World) -> BTreeMap<String, Vec<Acceptance>> {
    let mut seen: BTreeMap<String, Vec<Acceptance>> = BTreeMap::new();
    for mail in world.mailbox.mails() {
        let id = mail.message_id.trim_start_matches('<').split('@').next().unwrap_or_default().to_owned();
        seen.entry(id).or_default().push(Acceptance { at: mail.received_at, is_answered: mail.is_answered });
    }
    seen
}

async fn ask_the_database(world: &World, facts: &mut Facts) -> anyhow::Result<()> {
    let pool = &world.pool;
    let orders: Vec<(Uuid, String)> = sqlx::query_as("select id, phase from berth.orders").fetch_all(pool).await?;
    facts.orders = orders.into_iter().map(|(id, phase)| (OrderId(id), phase)).collect();
    let accounts: Vec<(Uuid, Uuid, bool, String, String)> = sqlx::query_as(
        "select id, order_id, phase = 'active', coalesce(server, ''), coalesce(username, '') from berth.hosting_accounts",
    )
    .fetch_all(pool)
    .await?;
    let account = |(id, order, is_active, server, username)| AccountRow {
        id: AccountId(id),
        order: OrderId(order),
        is_active,
        server,
        username,
    };
    facts.accounts = accounts.into_iter().map(account).collect();
    let mails: Vec<(String, String, Uuid, bool)> =
        sqlx::query_as("select berth.show_id('mail_', id), kind, about, accepted_at is not null from berth.mails")
            .fetch_all(pool)
            .await?;
    let mail = |(id, kind, about, is_accepted)| MailRow { id, kind, about, is_accepted };
    facts.mails = mails.into_iter().map(mail).collect();
    let payments: Vec<(String, i64, i64)> = sqlx::query_as(
        "select p.stripe_payment_intent_id, (p.amount * 100)::int8,
                (coalesce((select sum(r.amount) from berth.refunds r
                           where r.payment_id = p.id and r.state = 'succeeded'), 0) * 100)::int8
         from berth.payments p where p.stripe_payment_intent_id is not null and p.state in ('succeeded', 'refunded')",
    )
    .fetch_all(pool)
    .await?;
    let payment = |(intent, paid, given_back)| (intent, Money { paid, given_back });
    facts.in_ledger = payments.into_iter().map(payment).collect();
    let stored: Vec<String> = sqlx::query_scalar("select id from berth.stripe_events").fetch_all(pool).await?;
    facts.stored = stored.into_iter().collect();
    let jobs: i64 = sqlx::query_scalar("select count(*) from berth.jobs").fetch_one(pool).await?;
    facts.jobs = u64::try_from(jobs).unwrap_or_default();
    Ok(())
}

/// The directories of a panel, whoever they are of, and its own list of what it created.
fn look_at_panel(sites_dir: &Path, site: &str, facts: &mut Facts) -> anyhow::Result<()> {
    let unreadable = || format!("{} cannot be read", sites_dir.display());
    for entry in fs::read_dir(sites_dir).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let username = entry.file_name().to_string_lossy().into_owned();
        if username.starts_with('.') {
            continue;
        }
        let file = entry.path().join("account.json");
        let record: Value = serde_json::from_slice(&fs::read(&file).with_context(|| file.display().to_string())?)?;
        let account =
            serde_json::from_value(record["account_id"].clone()).with_context(|| file.display().to_string())?;
        facts.directories.push(Directory { server: site.to_owned(), username, account });
    }
    for (account, times) in creates::count_by_account(sites_dir).with_context(unreadable)? {
        *facts.creates.entry(account).or_default() += times;
    }
    Ok(())
}

fn money_of(records: &Value) -> anyhow::Result<BTreeMap<String, Money>> {
    let mut money: BTreeMap<String, Money> = BTreeMap::new();
    for charge in list(&records["charges"])?.iter().filter(|charge| charge["paid"] == true) {
        money.entry(text(&charge["payment_intent"])).or_default().paid += minor(charge)?;
    }
    for refund in list(&records["refunds"])?.iter().filter(|refund| refund["status"] == "succeeded") {
        money.entry(text(&refund["payment_intent"])).or_default().given_back += minor(refund)?;
    }
    Ok(money)
}

/// How many pages were opened for each order.
fn pages_of(records: &Value) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut pages = BTreeMap::new();
    for session in list(&records["checkout_sessions"])? {
        *pages.entry(text(&session["client_reference_id"])).or_default() += 1;
    }
    Ok(pages)
}

fn answered(deliveries: &Value) -> anyhow::Result<std::collections::BTreeSet<String>> {
    let attempts = list(&deliveries["deliveries"])?;
    Ok(attempts.iter().filter(|attempt| attempt["delivered"] == true).map(|attempt| text(&attempt["event"])).collect())
}

fn list(value: &Value) -> anyhow::Result<&Vec<Value>> {
    value.as_array().context("the simulator's records cannot be read")
}

fn minor(object: &Value) -> anyhow::Result<i64> {
    object["amount"].as_i64().context("a sum of the simulator's cannot be read")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
