//! Asks for a job over HTTP, or with `--sql` within a transaction of its own, and waits until it is done.
//!
//! `enqueue NOTE KEY`, with `BERTH` (such as `http://localhost:8080`) and `APP_KEY`; `enqueue --sql NOTE KEY` with `DATABASE_URL`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program's answer")]
#![expect(clippy::disallowed_methods, reason = "a program of others has settings of its own")]

use std::{error::Error, process::ExitCode, time::Duration};

use berth_jobs::{
    client::{Client, Options, enqueue_in},
    diagnosis::NoOp,
};
use sqlx::{Connection, PgConnection};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(state) => {
            println!("{state}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<String, Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let by_sql = arguments.first().is_some_and(|argument| argument == "--sql");
    if by_sql {
        arguments.remove(0);
    }
    let [note, key] = arguments.try_into().map_err(|_| "usage: enqueue [--sql] NOTE KEY")?;
    let (job, options) = (NoOp { note: Some(note) }, Options::key(key));
    if by_sql { by_transaction(&job, &options).await } else { over_http(&job, &options).await }
}

async fn over_http(job: &NoOp, options: &Options) -> Result<String, Box<dyn Error>> {
    // reqwest is built without a provider of its own here; a program that has one needs no such line.
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "a second provider")?;
    let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
    let berth = Client::new(http, &std::env::var("BERTH")?, std::env::var("APP_KEY")?);
    let enqueued = berth.enqueue(job, options).await?;
    loop {
        let job = berth.job(enqueued.id).await?;
        if !["queued", "running"].contains(&job.state.as_str()) {
            return Ok(job.state);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn by_transaction(job: &NoOp, options: &Options) -> Result<String, Box<dyn Error>> {
    let mut db = PgConnection::connect(&std::env::var("DATABASE_URL")?).await?;
    let mut transaction = db.begin().await?;
    // Here the program writes what is its own; both become true together, or neither.
    let id = enqueue_in(&mut transaction, job, options).await?;
    transaction.commit().await?;
    loop {
        let state: String =
            sqlx::query_scalar("select berth.job_state($1)").bind(id.to_string()).fetch_one(&mut db).await?;
        if !["queued", "running"].contains(&state.as_str()) {
            return Ok(state);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
