//! Measures the drivers against servers of their own: `bin/bench panels [--accounts N] [--json]`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program: its tables are its output")]
#![expect(clippy::float_arithmetic, clippy::as_conversions, reason = "rates and percentiles of a measurement")]

mod bare;
mod incus;
mod linux;
mod measure;
mod memory;
#[path = "../../benches/report.rs"]
mod report;
mod server;
mod site;
mod tables;

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};

use report::Report;
use server::Server;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Driver {
    Site,
    Linux,
    Incus,
}

/// Measures what an account takes, in time and memory, of each driver that this machine can have a server for.
#[derive(Debug, Parser)]
#[command(name = "bin/bench panels")]
struct Options {
    /// How many accounts each thing is done to, one after another.
    #[arg(long, default_value_t = 40)]
    accounts: usize,
    /// Only one line of JSON on standard output; the tables go to standard error.
    #[arg(long)]
    json: bool,
    /// Only these drivers.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Driver>,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let measured = async {
        tokio::select! {
            measured = measure_all(&options) => measured,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
    };
    tokio::runtime::Runtime::new()?.block_on(measured)?.print(options.json)
}

async fn measure_all(options: &Options) -> Result<Report> {
    let mut report = Report::new("panels");
    let drivers = if options.only.is_empty() { Driver::value_variants() } else { &options.only };
    for driver in drivers {
        let started: Result<Box<dyn Server>, String> = match driver {
            Driver::Site => Ok(Box::new(site::SiteServer::start()?)),
            Driver::Linux => match linux::missing() {
                None => Ok(Box::new(linux::OwnLinux::start()?)),
                Some(why) => Err(why),
            },
            Driver::Incus => match incus::missing() {
                None => Ok(Box::new(incus::OwnIncus::start()?)),
                Some(why) => Err(why),
            },
        };
        match started {
            Ok(server) => {
                let measured = measure::measure(&*server, options.accounts.max(1)).await?;
                tables::add(&mut report, &*server, measured);
            }
            Err(why) => report.note(format!("{driver:?} is not measured: {why}")),
        }
    }
    report.note(
        "One at a time, by way of the driver, in release; beside it, on the same server in the same run, what its \
         administrator would do by hand for the same effect (a dash: there is nothing as simple). Memory is what stayed once \
         the accounts were there: Berth's own resident memory, and the servers' processes', shared pages divided (PSS), \
         without what the kernel holds for them. Nobody visits the accounts.",
    );
    Ok(report)
}
