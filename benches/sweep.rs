//! `sweep`: accounts that are due are invoiced, and four days later handed over to be charged, by the program's own sweep;
//! against one hand-written statement each that writes the same rows.

mod contenders;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use sqlx::{AssertSqlSafe, Connection, Executor, PgPool};

use crate::{
    cpu::us_per_item,
    report::{Report, median, row},
    stack::Stack,
};
use contenders::Outcome;

/// At most so many times as long as the statements.
const GOAL: f64 = 2.0;
/// Ten times as many accounts, of which as many are due, take at most so many times as long.
const GOAL_OF_MANY: f64 = 1.3;
const MANY: u64 = 10;
/// How far the size of what the two write may differ, as a share.
const SAME_SIZE: f64 = 0.05;

/// How many accounts there are, and how many of them are due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) accounts: u64,
    pub(crate) due: u64,
    /// The due ones lie anywhere, instead of together with those that were bought within the same hours of a month: hardly two
    /// of them share a page.
    pub(crate) scattered: bool,
}

impl Size {
    pub(crate) fn database(self) -> String {
        format!("accounts_{}", self.accounts)
    }

    fn words(self) -> String {
        let how = if self.scattered { ", scattered" } else { "" };
        format!("{} accounts, {} of them due{how}", self.accounts, self.due)
    }
}

pub(crate) async fn measure(rounds: usize, size: Size, quick: bool) -> Result<Report> {
    let stack = Stack::start().await?;
    seed(&stack, size).await?;
    let (mut ours, mut references) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(round(&stack, size, Contender::Berth).await?);
        references.push(round(&stack, size, Contender::Statements).await?);
    }
    for (ours, reference) in ours.iter().zip(&references) {
        check(ours, reference, size)?;
    }
    stack.drop_database(&size.database()).await?;
    let mut many = Vec::new();
    for scattered in [false, true].into_iter().filter(|_| !quick) {
        let size = Size { accounts: size.accounts * MANY, scattered, ..size };
        seed(&stack, size).await?;
        let ours = round(&stack, size, Contender::Berth).await?;
        many.push((size, ours, round(&stack, size, Contender::Statements).await?));
        stack.drop_database(&size.database()).await?;
    }
    Ok(report(size, &ours, &references, &many))
}

#[derive(Clone, Copy)]
enum Contender {
    Berth,
    Statements,
}

/// In a database of its own: each finds the same.
async fn round(stack: &Stack, size: Size, contender: Contender) -> Result<Outcome> {
    const NAME: &str = "round";
    let pool = stack.copy(&size.database(), NAME).await?;
    let outcome = match contender {
        Contender::Berth => contenders::berth(stack, NAME, &pool).await?,
        Contender::Statements => contenders::statements(stack, &pool).await?,
    };
    pool.close().await;
    stack.drop_database(NAME).await?;
    Ok(outcome)
}

pub(crate) async fn seed(stack: &Stack, size: Size) -> Result<()> {
    let pool = stack.database(&size.database()).await?;
    let mut db = pool.acquire().await?;
    for (name, value) in [("accounts", size.accounts), ("due", size.due)] {
        db.execute(AssertSqlSafe(format!("set bench.{name} = {value}"))).await?;
    }
    if size.scattered {
        db.execute("set bench.scattered = 'on'").await?;
    }
    db.execute(sqlx::raw_sql(include_str!("sweep/seed.sql"))).await?;
    db.execute("vacuum (analyze)").await?;
    db.execute("checkpoint").await?;
    // What was set is this connection's alone.
    db.detach().close().await?;
    pool.close().await;
    Ok(())
}

/// How many rows of each kind there are by now, and how large what is text in them.
async fn written(pool: &PgPool) -> Result<BTreeMap<String, i64>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(include_str!("sweep/written.sql")).fetch_all(pool).await?;
    Ok(rows.into_iter().collect())
}

/// Both have written the same, once.
fn check(ours: &Outcome, reference: &Outcome, size: Size) -> Result<()> {
    let due = i64::try_from(size.due)?;
    ensure!(ours.written.get("renewals") == Some(&due), "renewals: {:?} of {due}", ours.written);
    for (what, count) in &reference.written {
        let own = ours.written.get(what).copied().unwrap_or_default();
        let allowed = if what.starts_with("bytes") { SAME_SIZE * *count as f64 } else { 0.0 };
        ensure!((own - count).abs() as f64 <= allowed, "{what}: {own} by the sweep, {count} by the statement");
    }
    Ok(())
}

/// So many rows of an account that is due are written: order, item, invoice, renewal, mail, two histories, two jobs, and when it
/// is looked at next.
const ROWS: u64 = 10;

fn report(size: Size, ours: &[Outcome], references: &[Outcome], many: &[(Size, Outcome, Outcome)]) -> Report {
    let mut report = Report::new("sweep");
    let mut table = vec![row([
        "",
        "accounts",
        "round",
        "invoiced, s",
        "handed over to be charged, s",
        "both, s",
        "rows/s",
        "looked at in vain, s",
        "berth VmHWM MB",
        "berth CPU s",
        "postgres CPU s",
    ])];
    table.extend(ours.iter().enumerate().map(|(at, outcome)| cells("sweep", size, at, outcome)));
    table.extend(references.iter().enumerate().map(|(at, outcome)| cells("one statement each", size, at, outcome)));
    for (size, ours, reference) in many {
        table.push(cells("sweep", *size, 0, ours));
        table.push(cells("one statement each", *size, 0, reference));
    }
    report.table(table);

    let seconds = median(ours.iter().map(Outcome::seconds));
    let reference = median(references.iter().map(Outcome::seconds));
    let ratio = median(ours.iter().zip(references).map(|(ours, reference)| ours.seconds() / reference.seconds()));
    let memory = median(ours.iter().map(|outcome| outcome.memory as f64 / 1e6));
    report.field("seconds", seconds);
    report.field("reference_seconds", reference);
    report.field("ratio_to_reference", ratio);
    report.field("rows_per_second", (size.due * ROWS) as f64 / seconds);
    report.field("most_memory_mb", memory);
    report.note(format!(
        "{}: {seconds:.1} s, {ratio:.2} times the statements' {reference:.1} s (goal: {GOAL}): {}.",
        size.words(),
        verdict(ratio <= GOAL)
    ));
    for (size, outcome, statements) in many {
        let times = outcome.seconds() / seconds;
        let name = if size.scattered { "scattered" } else { "many" };
        report.field(&format!("seconds_of_{name}"), outcome.seconds());
        report.field(&format!("ratio_to_reference_of_{name}"), outcome.seconds() / statements.seconds());
        report.field(&format!("times_of_{name}"), times);
        report.note(format!(
            "{}: {:.1} s, {times:.2} times as long (goal: {GOAL_OF_MANY}): {}. The statements take {:.1} s, {:.2} times as long as \
             before.",
            size.words(),
            outcome.seconds(),
            verdict(times <= GOAL_OF_MANY),
            statements.seconds(),
            statements.seconds() / reference,
        ));
    }
    report.note(
        "Due at a time are those that were bought within the same hours of fifty months, one after the other; scattered, hardly two \
         of them share a page of a table. From `berth sweep accounts` until the job is done and Redis had the id of every job that follows, taken out of it as \
         workers would. Invoicing writes order, item, invoice, mail, its job and histories; handing over writes the job \
         that charges. The statements write the same rows, each in one transaction, and give Redis nothing.",
    );
    report
}

fn cells(name: &str, size: Size, at: usize, outcome: &Outcome) -> Vec<String> {
    let cpu = |time| format!("{:.1}", us_per_item(time, 1) / 1e6);
    vec![
        name.to_owned(),
        if size.scattered { format!("{}, scattered", size.accounts) } else { size.accounts.to_string() },
        (at + 1).to_string(),
        format!("{:.2}", outcome.issued),
        format!("{:.2}", outcome.charged),
        format!("{:.2}", outcome.seconds()),
        format!("{:.0}", (size.due * ROWS) as f64 / outcome.seconds()),
        outcome.in_vain.map(|seconds| format!("{seconds:.2}")).unwrap_or_default(),
        format!("{:.0}", outcome.memory as f64 / 1e6),
        cpu(outcome.cpu.berth),
        cpu(outcome.cpu.postgres),
    ]
}

fn verdict(met: bool) -> &'static str {
    if met { "goal met" } else { "goal missed" }
}

/// The clock of a round begins at the hour that the accounts were made for.
pub(crate) async fn set_clock(pool: &PgPool, days: i32) -> Result<()> {
    sqlx::query(
        "update berth.clock set clock_offset = timestamptz '2030-06-10 12:00:00Z' - now() + make_interval(days => $1)",
    )
    .bind(days)
    .execute(pool)
    .await?;
    // As the days that have passed would have had it done.
    pool.execute("vacuum (analyze)").await?;
    Ok(())
}
