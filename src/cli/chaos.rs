//! `berth chaos`: a proof for newcomers that nothing is lost and nothing happens twice.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;

use super::{
    output::{lines, print, print_json, say, table},
    signals::{STOPPED_AT_ONCE, Signals},
};
use crate::{
    config::LogFormat,
    dev::chaos::{self, ChaosOptions, ChaosReport},
    telemetry,
};

/// So many lines name what is wrong by one question; JSON has all.
const MOST_LINES: usize = 10;

#[derive(Debug, clap::Args)]
pub(super) struct ChaosArgs {
    /// For how long customers buy and things go wrong. What is left is then waited for, a minute at most.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// What goes wrong when is drawn from it; without it, another one at each run.
    #[arg(long)]
    seed: Option<u64>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: ChaosArgs) -> anyhow::Result<ExitCode> {
    telemetry::init(LogFormat::Text, "warn")?;
    let signals = Signals::catch(None)?;
    let options = ChaosOptions {
        length: Duration::from_secs(args.seconds),
        seed: args.seed.unwrap_or_else(|| rand::random_range(1..1_000_000)),
        program: std::env::current_exe().context("this program cannot be found")?,
    };
    let told = |text: &str| say(&format!("berth chaos: {text}"));
    let Some(report) = Box::pin(chaos::run(&options, &signals.asked_token(), told)).await? else {
        say("berth chaos: stopped; nothing is left running");
        return Ok(ExitCode::from(STOPPED_AT_ONCE));
    };
    if args.json {
        print_json(&report)?;
    } else {
        print(&text(&report))?;
    }
    Ok(if report.lost_and_double() == (0, 0) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(report: &ChaosReport) -> String {
    let mut done = table(&["", &format!("IN {} SECONDS, SEED {}", report.seconds, report.seed)]);
    for (times, what) in &report.done {
        done.add_row([format!("{times:>7}"), (*what).to_owned()]);
    }
    let seconds = |duration: Duration| format!("{:>5}.{} s", duration.as_secs(), duration.subsec_millis() / 100);
    if let Some((recovery, strike)) = &report.slowest_recovery {
        done.add_row([seconds(*recovery), format!("the longest until Berth was ready again ({strike:?})")]);
    }
    done.add_row([seconds(report.slowest_purchase), "the longest from a payment to its welcome".to_owned()]);
    done.add_row(match report.settled_after {
        Some(after) => [seconds(after), "from the last fault until all was done".to_owned()],
        None => ["-".to_owned(), "NOT ALL was done in time after the last fault".to_owned()],
    });
    let mut asked = table(&["LOOKED AT", "LOST", "DOUBLE", "QUESTION"]);
    let (mut unanswered, mut cut_off) = (0, 0);
    for question in &report.questions {
        let (lost, double) = (question.lost.len(), question.double.len());
        asked.add_row([
            format!("{:>9}", question.of),
            format!("{lost:>4}"),
            format!("{double:>6}"),
            question.question.to_owned(),
        ]);
        for line in question.lost.iter().chain(&question.double).take(MOST_LINES) {
            asked.add_row(["", "", "", &format!("  {line}")]);
        }
        unanswered += question.unanswered;
        cut_off += question.cut_off;
    }
    let mut text = format!("{}\n\n{}\n", lines(&done), lines(&asked));
    if unanswered + cut_off > 0 {
        text.push_str(&format!(
            "\n{} times a mail came again, under its Message-ID: {unanswered} times because the mail server had kept it and given\n\
             no answer, {cut_off} times because its sender was killed, stopped or cut off before the answer was written down.\n",
            unanswered + cut_off
        ));
    }
    let (lost, double) = report.lost_and_double();
    if let Some(kept) = &report.kept {
        text.push_str(&format!(
            "\nlogs and data: {}\nthe same plan again: berth chaos --seconds {} --seed {}\n",
            kept.display(),
            report.seconds,
            report.seed
        ));
    }
    text.push_str(&format!("\n{lost} lost, {double} double"));
    text
}
