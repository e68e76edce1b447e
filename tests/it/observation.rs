//! `/metrics`: who may see it, what it shows whatever the database does, and that alerts, runbook and documentation speak of
//! what is really there.

mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use berth::{
    dev::servers::StopMode,
    metrics::{FAMILIES, Kind},
};
use berth_jobs::Queue;
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::support::{Stack, StackOptions, load::enqueue_no_ops, process::Process};

const TOKEN: &str = "a token of at least thirty-two characters";
/// The longest that a scrape may take, with what a busy machine adds.
const PROMPT: Duration = Duration::from_millis(2_900);

/// The numbers that a process shows, as lines without comments.
async fn scraped(stack: &Stack, base: &str) -> Vec<String> {
    let answer = stack.client.get(format!("{base}/metrics")).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let text = answer.text().await.unwrap();
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
}

/// The number of a series, such as `berth_jobs_due{queue="mail",class="bulk"}`.
fn number(lines: &[String], series: &str) -> Option<f64> {
    lines.iter().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// An address that nobody listens on.
async fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_the_numbers_without_the_token() {
    let stack = Stack::with(StackOptions::default().setting("metrics.token", TOKEN)).await;
    let berth = stack.start_with(&[]).await;
    let url = format!("{}/metrics", stack.base());

    let nothing = stack.client.get(&url).send().await.unwrap();
    let customer = stack.client.get(&url).bearer_auth(stack.token(Uuid::new_v4())).send().await.unwrap();
    let whole = stack.client.get(&url).header("Authorization", format!("bearer {TOKEN}")).send().await.unwrap();

    assert_eq!((nothing.status().as_u16(), customer.status().as_u16(), whole.status().as_u16()), (401, 401, 200));
    assert_eq!(nothing.headers()["www-authenticate"], "Bearer realm=\"metrics\"");
    assert_eq!(nothing.text().await.unwrap(), "metrics.token is needed\n");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_the_api_has_no_numbers() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;

    let answer = stack.client.get(format!("{}/metrics", stack.base())).send().await.unwrap();

    assert_eq!(answer.status(), 404);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_other_http_shows_its_numbers_and_nothing_else() {
    let stack = Stack::new().await;
    let address = free_address().await;
    let base = format!("http://{address}");
    let mut worker = Process::start(&stack, &["work"], &[("BERTH_METRICS__LISTEN", &address)]);
    stack.until("it listens", async || stack.client.get(format!("{base}/healthz")).send().await.is_ok()).await;

    let lines = scraped(&stack, &base).await;
    let plans = stack.client.get(format!("{base}/v1/plans")).send().await.unwrap();

    assert_eq!(number(&lines, "berth_build_info{version=\"0.1.0\",role=\"work\"}"), Some(1.0), "{lines:#?}");
    assert_eq!(number(&lines, "berth_workers_live"), Some(1.0));
    assert_eq!((number(&lines, "berth_database_up"), number(&lines, "berth_redis_up")), (Some(1.0), Some(1.0)));
    assert!(number(&lines, "process_resident_memory_bytes").unwrap() > 1e6);
    assert_eq!(plans.status(), 404);
    assert_eq!(worker.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_is_counted_from_the_event_to_the_last_cent() {
    let stack = Stack::new().await;
    let address = free_address().await;
    let base = format!("http://{address}");
    let mut up = Process::start(&stack, &["up"], &[("BERTH_METRICS__LISTEN", &address)]);
    stack.until_listening().await;

    let (_, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 2).await;
    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    stack.until_idle().await;
    let lines = scraped(&stack, &base).await;

    let total: String =
        sqlx::query_scalar("select total::text from berth.orders").fetch_one(&stack.pool).await.unwrap();
    for (series, wanted) in [
        ("berth_money_total{outcome=\"succeeded\",currency=\"USD\"}", total.parse().unwrap()),
        ("berth_job_runs_total{kind=\"complete_checkout\",outcome=\"done\"}", 1.0),
        ("berth_job_runs_total{kind=\"provision_account\",outcome=\"done\"}", 2.0),
        ("berth_job_duration_seconds_count{kind=\"provision_account\"}", 2.0),
        ("berth_panel_calls_total{server=\"local\",outcome=\"ok\"}", 2.0),
        ("berth_stripe_calls_total{resource=\"/checkout/sessions\",outcome=\"ok\"}", 1.0),
        ("berth_mail_deliveries_total{outcome=\"accepted\"}", 3.0),
        ("berth_http_requests_total{route=\"/v1/orders/{id}\",method=\"GET\",status=\"2xx\"}", 1.0),
        ("berth_server_broken{server=\"local\"}", 0.0),
        ("berth_server_accounts{server=\"local\"}", 2.0),
        ("berth_jobs_due_oldest_seconds{queue=\"payments\",class=\"normal\"}", 0.0),
        ("berth_mails_waiting", 0.0),
    ] {
        assert_eq!(number(&lines, series), Some(wanted), "{series} in\n{}", lines.join("\n"));
    }
    let events = number(&lines, "berth_webhook_events_total{outcome=\"stored\"}").unwrap();
    assert!(events >= 1.0 && number(&lines, "berth_webhook_age_seconds_count") == Some(events));
    assert!(number(&lines, "berth_job_pickup_seconds_count{queue=\"mail\",class=\"normal\"}").unwrap() >= 1.0);
    assert!(number(&lines, "berth_commit_group_units_count{lane=\"settlements\"}").unwrap() >= 1.0);
    assert!(number(&lines, "berth_webhook_silence_seconds").unwrap() < 60.0);
    assert_eq!(up.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_counted_by_queue_and_class_with_its_age() {
    let stack = Stack::with(StackOptions::default().setting("metrics.token", TOKEN)).await;
    let berth = stack.start_with(&[]).await;
    enqueue_no_ops(&berth.app, 30).await;
    sqlx::raw_sql(
        "update berth.jobs set run_at = berth.now() - interval '100 seconds';
         update berth.jobs set dispatched_at = null, run_at = berth.now() - interval '200 seconds'
         where id in (select id from berth.jobs limit 10);
         insert into berth.jobs (id, kind, queue, class, state, payload, run_at, last_error)
         values (gen_random_uuid(), 'no_op', 'sweeps', 1, 'dead', '{}', now(), 'quarantined: the job kills its process'),
                (gen_random_uuid(), 'no_op', 'sweeps', 1, 'dead', '{}', now(), 'it failed')",
    )
    .execute(&stack.pool)
    .await
    .unwrap();

    let lines = scraped(&stack, &stack.base()).await;

    let by_class = |family: &str| -> f64 {
        let of_class = |class| number(&lines, &format!("{family}{{queue=\"sweeps\",class=\"{class}\"}}")).unwrap();
        ["urgent", "normal", "bulk"].into_iter().map(of_class).fold(0.0, |most, found| most.max(found))
    };
    assert_eq!(by_class("berth_jobs_due"), 30.0, "{}", lines.join("\n"));
    assert!((200.0..260.0).contains(&by_class("berth_jobs_due_oldest_seconds")));
    assert!((200.0..260.0).contains(&number(&lines, "berth_relay_lag_seconds{queue=\"sweeps\"}").unwrap()));
    assert_eq!(number(&lines, "berth_relay_lag_seconds{queue=\"mail\"}"), Some(0.0));
    assert_eq!(number(&lines, "berth_jobs_dead{kind=\"no_op\"}"), Some(1.0));
    assert_eq!(number(&lines, "berth_jobs_quarantined{kind=\"no_op\"}"), Some(1.0));
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_the_numbers_say_so_within_two_seconds() {
    let mut stack = Stack::with(StackOptions::default().own_postgres().setting("metrics.token", TOKEN)).await;
    let berth = stack.start_with(&[]).await;
    let before = scraped(&stack, &stack.base()).await;

    stack.postgres.stop(StopMode::Immediate).await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await; // what was read before is too old then
    let begun = Instant::now();
    let away = scraped(&stack, &stack.base()).await;
    let took = begun.elapsed();
    stack.postgres.start_again().await.unwrap();
    stack
        .until("it is seen again", async || {
            number(&scraped(&stack, &stack.base()).await, "berth_database_up") == Some(1.0)
        })
        .await;

    assert_eq!(number(&before, "berth_database_up"), Some(1.0));
    assert_eq!((number(&away, "berth_database_up"), number(&away, "berth_redis_up")), (Some(0.0), Some(1.0)));
    assert_eq!(number(&away, "berth_workers_live"), None, "what is not known is not shown");
    assert!(number(&away, "berth_job_runs_total{kind=\"no_op\",outcome=\"done\"}").is_some());
    assert!(took < PROMPT, "{took:?}");
    berth.stop().await;
}

/// Puts itself before the stack's database, and holds everything back once it is told to.
async fn freezer(stack: &mut Stack) -> Arc<AtomicBool> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, server) = (listener.local_addr().unwrap().port(), stack.postgres.port());
    let setting = stack.settings.iter_mut().find(|(key, _)| key == "database.url").unwrap();
    let mut url = url::Url::parse(&setting.1).unwrap();
    url.set_port(Some(port)).unwrap();
    setting.1 = url.into();
    let frozen = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&frozen);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let told = Arc::clone(&told);
            tokio::spawn(async move {
                let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
                let thaw = async {
                    while !told.load(Ordering::Relaxed) {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    () = thaw => std::future::pending().await,
                }
            });
        }
    });
    frozen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_never_answers_holds_no_scrape_for_longer_than_two_seconds() {
    let mut stack = Stack::with(StackOptions::default().setting("metrics.token", TOKEN)).await;
    let frozen = freezer(&mut stack).await;
    let berth = stack.start_with(&[]).await;
    scraped(&stack, &stack.base()).await;

    frozen.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(6)).await;
    for _ in 0..2 {
        let begun = Instant::now();
        let scrapes = (0..10).map(|_| async { scraped(&stack, &stack.base()).await });
        let all = futures::future::join_all(scrapes).await;

        assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
        assert!(all.iter().all(|lines| number(lines, "berth_database_up") == Some(0.0)));
        assert!(all.iter().all(|lines| number(lines, "berth_redis_up") == Some(1.0)));
    }
    berth.tasks.draining.cancel();
    berth.tasks.stopped.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_it_is_asked_the_database_is_read_every_five_seconds() {
    let stack = Stack::with(StackOptions::default().setting("metrics.token", TOKEN)).await;
    let berth = stack.start_with(&[]).await;
    scraped(&stack, &stack.base()).await;
    let begun = Instant::now();

    let mut ages = Vec::new();
    while begun.elapsed() < Duration::from_secs(3) {
        let scrapes = (0..8).map(|_| async { scraped(&stack, &stack.base()).await });
        for lines in futures::future::join_all(scrapes).await {
            ages.push((begun.elapsed().as_secs_f64(), number(&lines, "berth_reading_age_seconds").unwrap()));
        }
    }

    assert!(ages.len() > 50, "{}", ages.len());
    let young = ages.iter().filter(|(at, age)| *age + 1.0 < *at).count();
    assert_eq!(young, 0, "read again: {ages:?}");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_is_found_by_indexes() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    sqlx::raw_sql(
        "insert into berth.jobs (id, kind, queue, class, state, payload, run_at, finished_at)
         select gen_random_uuid(), 'no_op', 'sweeps', 1, 'done', '{}', now(), now() from generate_series(1, 20000);
         insert into berth.stripe_events (id, type, payload, outcome)
         select 'evt_' || n, 'x', '', 'ignored' from generate_series(1, 20000) n;
         analyze berth.jobs; analyze berth.stripe_events",
    )
    .execute(&stack.pool)
    .await
    .unwrap();

    let mut db = stack.pool.begin().await.unwrap();
    sqlx::raw_sql("set local enable_seqscan = off; set local enable_bitmapscan = off; set local enable_sort = off; set local jit = off").execute(&mut *db).await.unwrap();
    let sql = format!("explain (analyze, timing off) {}", include_str!("../../src/store/queries/observe.sql"));
    let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(Queue::ALL.map(|queue| queue.to_string()).to_vec())
        .fetch_all(&mut *db)
        .await
        .unwrap();

    // Tables of a row a process, a server, or nothing.
    let small = ["clock", "workers", "servers", "alerts"];
    let whole = |line: &&String| {
        line.contains("Seq Scan on ") && !small.iter().any(|table| line.contains(&format!("Scan on {table}")))
    };
    let whole: Vec<&String> = plan.iter().filter(whole).collect();
    println!("{}", plan.last().unwrap());
    assert!(whole.is_empty(), "{whole:#?}\n{}", plan.join("\n"));
    berth.stop().await;
}
