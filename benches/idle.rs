//! `idle`: how soon `berth up` is ready, and what it holds in memory while nothing happens.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{
    cpu,
    program::Program,
    report::{Report, median, row},
    stack::Stack,
};

const DATABASE: &str = "idle";
/// Goals: resident megabytes, milliseconds.
const MEMORY_MB: f64 = 40.0;
const READY_MS: f64 = 300.0;

pub(crate) async fn measure(starts: usize, idle: Duration) -> Result<Report> {
    let stack = Stack::start().await?;
    stack.database(DATABASE).await?.close().await;
    let folder = tempfile::tempdir()?;
    let mut millis = Vec::new();
    for _ in 0..starts {
        let berth = Program::start(&stack, DATABASE, folder.path(), &[]).await?;
        millis.push(berth.ready_after.as_secs_f64() * 1e3);
        berth.end().await?;
    }
    let berth = Program::start(&stack, DATABASE, folder.path(), &[]).await?;
    let pid = berth.pid;
    let (begun, before) = (Instant::now(), cpu::of_process(pid));
    tokio::time::sleep(idle).await;
    let busy = (cpu::of_process(pid) - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    let resident = cpu::memory(pid, "VmRSS").context("Linux tells how much memory a process has")? as f64 / 1e6;
    let own = cpu::memory(pid, "RssAnon").unwrap_or_default() as f64 / 1e6;
    berth.end().await?;

    let ready = median(millis.iter().copied());
    let mut report = Report::new("idle");
    let each: Vec<String> = millis.iter().map(|ms| format!("{ms:.0}")).collect();
    report.table(vec![
        row(["", "value", "goal"]),
        vec!["spawn to ready, ms, median".to_owned(), format!("{ready:.0}"), format!("{READY_MS:.0}")],
        vec![format!("resident after {} s, MB", idle.as_secs()), format!("{resident:.1}"), format!("{MEMORY_MB:.0}")],
        vec!["of which not of files, MB".to_owned(), format!("{own:.1}"), String::new()],
        vec!["CPU while idle, %".to_owned(), format!("{:.2}", busy * 100.0), String::new()],
    ]);
    report.note(format!("Each start, ms: {}.", each.join(", ")));
    report.field("ready_ms", ready);
    report.field("resident_mb", resident);
    report.field("idle_cpu_percent", busy * 100.0);
    report.note(if ready <= READY_MS && resident <= MEMORY_MB { "Goals met." } else { "A goal is missed." });
    Ok(report)
}
