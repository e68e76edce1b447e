//! `busy`: how soon a checkout is a live account while thousands of renewals are charged and their mails sent, against the
//! same system with nothing else to do.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt};
use sqlx::PgPool;
use tokio::time::Instant;

use crate::{
    child::Child,
    customers::Customers,
    report::{Report, percentile, row},
    roles::{
        berth::{self, Ready},
        sink, stripe,
    },
    stack::{STRIPE_KEY, Stack, WEBHOOK_SECRET},
    sweep::{self, Size},
};

/// At most so many times as long as on the idle system.
const GOAL: f64 = 2.0;
/// Customers who buy from the idle system.
const IDLE: usize = 300;
/// Fewer purchases than this during the charges would say little of their p95.
const LEAST_BUSY: usize = 100;
/// How long Stripe takes to answer: far less than it does, so that there is more to do at once.
const STRIPE_MILLIS: u64 = 50;
/// Between two purchases, and some more that differs.
const PAUSE: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(1_800);
/// After so many days invoices of a week before are charged.
const CHARGED_AFTER_DAYS: i32 = 4;
/// Cards that are given to Stripe at once.
const CARDS_AT_ONCE: usize = 8;

pub(crate) async fn measure(due: u64) -> Result<Report> {
    let stack = Stack::start().await?;
    let size = Size { accounts: due, due, scattered: false };
    sweep::seed(&stack, size).await?;
    let database = size.database();
    let pool = PgPool::connect(&stack.postgres.url(&database)).await?;
    let spec = stripe::Spec { api_key: STRIPE_KEY.to_owned(), webhook_secret: WEBHOOK_SECRET.to_owned() };
    let (sim, sim_at): (Child, stripe::Ready) = Child::start(stripe::ROLE, &spec).await?;
    let (mails, mails_at): (Child, sink::Ready) = Child::start(sink::ROLE, &()).await?;
    let settings = stack.settings(
        &database,
        &[
            ("stripe.api_base", &format!("http://{}", sim_at.address)),
            ("mail.smtp_url", &format!("smtp://{}", mails_at.address)),
            // That many renewals at once are what is measured.
            ("fuse.number", "1000000"),
        ],
    )?;
    let shop =
        |at: &Ready| Customers::new(&settings, format!("http://{}", at.address), format!("http://{}", sim_at.address));

    let (berth, at): (Child, Ready) = Child::start(berth::ROLE, &berth::Spec::working(settings.clone())).await?;
    let customers = shop(&at)?;
    customers.move_stripe(offset_seconds(&pool).await?).await?;
    give_cards(&customers, &pool).await?;
    sweep_accounts(&pool).await?;
    until_quiet(&pool).await?;
    berth.end().await?;

    // A process learns the business time when it starts.
    sweep::set_clock(&pool, CHARGED_AFTER_DAYS).await?;
    let (berth, at): (Child, Ready) = Child::start(berth::ROLE, &berth::Spec::working(settings.clone())).await?;
    let customers = shop(&at)?;
    customers.set_up_stripe(STRIPE_MILLIS).await?;
    customers.move_stripe(offset_seconds(&pool).await?).await?;
    let mut idle = idle(&customers, &pool).await?;
    let (mut busy, seconds) = busy(&customers, &pool, due).await?;
    berth.end().await?;
    mails.end().await?;
    sim.end().await?;
    Ok(report(due, seconds, &mut idle, &mut busy))
}

/// How far the business time lies ahead of the machine's.
async fn offset_seconds(pool: &PgPool) -> Result<i64> {
    let seconds = "select extract(epoch from clock_offset)::bigint from berth.clock";
    Ok(sqlx::query_scalar(seconds).fetch_one(pool).await?)
}

/// Every customer of the accounts becomes one of Stripe's, with a card.
async fn give_cards(customers: &Arc<Customers>, pool: &PgPool) -> Result<()> {
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar("select id from berth.customers").fetch_all(pool).await?;
    let cards: Vec<(uuid::Uuid, String, String)> = futures::stream::iter(ids)
        .map(|id| async move {
            let (customer, card) = customers.with_card(STRIPE_KEY).await?;
            anyhow::Ok((id, customer, card))
        })
        .buffer_unordered(CARDS_AT_ONCE)
        .try_collect()
        .await?;
    let mut of_stripe: (Vec<_>, Vec<_>, Vec<_>) = Default::default();
    for (id, customer, card) in cards {
        of_stripe.0.push(id);
        of_stripe.1.push(customer);
        of_stripe.2.push(card);
    }
    sqlx::query(
        "with known as (select * from unnest($1::uuid[], $2::text[], $3::text[]) k (id, customer, card)),
         carded as (update berth.cards c set id = k.card from known k where c.customer_id = k.id)
         update berth.customers c set stripe_customer_id = k.customer from known k where c.id = k.id",
    )
    .bind(of_stripe.0)
    .bind(of_stripe.1)
    .bind(of_stripe.2)
    .execute(pool)
    .await?;
    Ok(())
}

/// Asks for the sweep as the schedule does.
async fn sweep_accounts(pool: &PgPool) -> Result<()> {
    sqlx::query(
        "insert into berth.jobs (id, kind, queue, class, payload, run_at)
         values (gen_random_uuid(), 'sweep_accounts', 'sweeps', 2, '{}', berth.now())",
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Waits until nothing is left to do that is due.
async fn until_quiet(pool: &PgPool) -> Result<()> {
    let begun = Instant::now();
    while has_work(pool).await? {
        ensure!(begun.elapsed() < PATIENCE, "the jobs do not end");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn has_work(pool: &PgPool) -> Result<bool> {
    let found = "select exists (select from berth.jobs where state = 'running'
                                or state = 'queued' and run_at <= berth.now() + interval '1 minute')";
    Ok(sqlx::query_scalar(found).fetch_one(pool).await?)
}

/// Milliseconds of purchases from a system that does nothing else.
async fn idle(customers: &Customers, pool: &PgPool) -> Result<Purchases> {
    let mut begun = Vec::new();
    for _ in 0..IDLE {
        begun.push(buy(customers).await?);
    }
    until_live(pool, &begun).await
}

/// Milliseconds of purchases while all that is due is charged, and the seconds that this took.
async fn busy(customers: &Customers, pool: &PgPool, due: u64) -> Result<(Purchases, f64)> {
    let begun = Instant::now();
    sweep_accounts(pool).await?;
    let mut bought = Vec::new();
    loop {
        bought.push(buy(customers).await?);
        if bought.len().is_multiple_of(10) && charged(pool).await? >= due {
            break;
        }
        ensure!(begun.elapsed() < PATIENCE, "{} of {due} renewals were charged", charged(pool).await?);
    }
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(bought.len() >= LEAST_BUSY, "only {} purchases in {seconds:.0} s", bought.len());
    Ok((until_live(pool, &bought).await?, seconds))
}

async fn charged(pool: &PgPool) -> Result<u64> {
    let paid: i64 =
        sqlx::query_scalar("select count(*) from berth.charges where state = 'succeeded'").fetch_one(pool).await?;
    Ok(u64::try_from(paid)?)
}

/// An order, as it is shown, and when its customer began, in microseconds of the machine's clock.
async fn buy(customers: &Customers) -> Result<(String, i64)> {
    tokio::time::sleep(PAUSE.mul_f64(1.0 + rand::random::<f64>())).await;
    let begun = ::berth::clock::Clock::machine().as_microsecond();
    let order = customers.check_out().await?;
    customers.pay(&order).await?;
    Ok((order.order_id, begun))
}

/// Milliseconds of purchases: each from the beginning of its checkout, and from the moment when Stripe's event was stored, to
/// the commit that made its account active.
struct Purchases {
    whole: Vec<f64>,
    told: Vec<f64>,
}

/// How long each checkout took to the commit that made its account active, once all are.
async fn until_live(pool: &PgPool, bought: &[(String, i64)]) -> Result<Purchases> {
    let begun = Instant::now();
    loop {
        let ended = live(pool).await?;
        let of = |(order, begun): &(String, i64)| {
            let [told, live] = ended.get(order)?;
            Some(((live - begun) as f64 / 1e3, (live - told) as f64 / 1e3))
        };
        if let Some((whole, told)) =
            bought.iter().map(of).collect::<Option<Vec<_>>>().map(|all| all.into_iter().unzip())
        {
            return Ok(Purchases { whole, told });
        }
        ensure!(begun.elapsed() < PATIENCE, "{} of {} purchases are live", ended.len(), bought.len());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// When Stripe's event of an order was stored and when its account became active, in microseconds of the database's clock;
/// without those of the seed.
async fn live(pool: &PgPool) -> Result<HashMap<String, [i64; 2]>> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "select berth.show_id('ord_', a.order_id), (extract(epoch from e.created_at) * 1000000)::bigint,
             (extract(epoch from j.finished_at) * 1000000)::bigint
         from berth.hosting_accounts a
         join berth.jobs j on j.kind = 'provision_account' and j.state = 'done'
              and j.payload ->> 'account_id' = berth.show_id('acc_', a.id)
         join berth.jobs e on e.id = j.caused_by
         where a.phase = 'active'",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(order, told, live)| (order, [told, live])).collect())
}

fn report(due: u64, seconds: f64, idle: &mut Purchases, busy: &mut Purchases) -> Report {
    let mut report = Report::new("busy");
    let cells = |name: &str, purchases: &mut Purchases| {
        let cell = |share, millis: &mut [f64]| format!("{:.0}", percentile(millis, share));
        let Purchases { whole, told } = purchases;
        vec![
            name.to_owned(),
            whole.len().to_string(),
            cell(0.5, whole),
            cell(0.95, whole),
            cell(1.0, whole),
            cell(0.5, told),
            cell(0.95, told),
        ]
    };
    report.table(vec![
        row(["the system", "purchases", "p50 ms", "p95 ms", "longest ms", "from the event, p50 ms", "p95 ms"]),
        cells("idle", idle),
        cells("charging", busy),
    ]);
    let (told_idle, told_busy) = (percentile(&mut idle.told, 0.95), percentile(&mut busy.told, 0.95));
    let (idle, busy) = (percentile(&mut idle.whole, 0.95), percentile(&mut busy.whole, 0.95));
    report.field("p95_from_event_idle_ms", told_idle);
    report.field("p95_from_event_busy_ms", told_busy);
    report.field("p95_idle_ms", idle);
    report.field("p95_busy_ms", busy);
    report.field("ratio_to_reference", busy / idle);
    report.field("charges_per_second", due as f64 / seconds);
    report.note(format!(
        "{due} renewals were charged, with their mails, in {seconds:.0} s. Meanwhile a purchase took {:.2} times as long as \
         on the idle system (goal: {GOAL}): {}. From before the POST of the checkout to the settlement of the job that made \
         its account; the customer pays at once, and Stripe takes {STRIPE_MILLIS} ms to answer a call.",
        busy / idle,
        if busy / idle <= GOAL { "goal met" } else { "goal missed" }
    ));
    report
}
