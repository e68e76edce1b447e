//! The command line: what operators and developers type, and what they are told.

mod accounts;
mod catalogue;
mod chaos;
mod checks;
mod config;
mod console;
mod dev;
mod doctor;
mod enqueue;
mod follow;
mod jobs;
mod keys;
mod manual;
mod openapi;
mod output;
mod process;
mod progress;
mod secrets;
mod servers;
mod settings;
mod signals;
mod smoke;
mod stripe;
mod stripe_sim;
mod sweep;
#[cfg(test)]
mod tests;
mod token;
mod trigger;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{app::StartError, config::ConfigError};

/// Examples stand before the list of options: they are what most readers look for.
const HELP: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";
/// The settings or the command line cannot be used; clap says the same of a command line.
const WRONG_USAGE: u8 = 2;
/// Threads that still block when everything is done (a file being written) may take so long.
const LAST_THREADS: Duration = Duration::from_millis(250);

/// The back end of a web-hosting company: a paid checkout becomes a running hosting account, and stays one.
#[derive(Debug, Parser)]
#[command(name = "berth", version, arg_required_else_help = true)]
#[command(before_help = "Examples:
  berth dev                        try everything on this machine, with servers of its own
  berth trigger checkout           buy something from the running `berth dev`
  berth migrate                    bring the database up to date
  berth up                         serve and work in one process: production on one machine
  berth serve                      HTTP only
  berth work --queues mail         jobs only, here those of one queue
  berth sweep unpaid_orders --dry-run   what would be given up, of whom, and its sum
  berth jobs list --state dead     what waits for a person
  berth smoke                      buy, see live, cancel: in test mode
  berth doctor --audit             is everything in order, and has everything been delivered?
")]
#[command(
    after_help = "Exit codes: 0 done · 1 it failed, or something is not in order (one line on standard error says \
    why) · 2 the command line or the settings cannot be used · 130 stopped at once by a second Ctrl-C or SIGTERM.
Settings: --config FILE, else BERTH_CONFIG, else ./berth.toml, else /etc/berth/berth.toml; each key is also a variable, \
    such as BERTH_HTTP__LISTEN. `berth config print` shows what is in force. Where no database is set and `berth dev` \
    runs in this directory, commands speak to that."
)]
pub(crate) struct Cli {
    /// The file of settings.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve and work in one process: production on one machine.
    #[command(before_help = "Examples:\n  berth up\n  berth up --config /etc/berth/berth.toml\n")]
    #[command(after_help = process::STOPPING)]
    Up,
    /// Answer HTTP: the API, Stripe's webhooks and the hosted sites.
    #[command(before_help = "Examples:\n  berth serve\n  BERTH_HTTP__LISTEN=0.0.0.0:8080 berth serve\n")]
    #[command(after_help = process::STOPPING)]
    Serve,
    /// Run jobs. Start it on as many machines as you like.
    #[command(before_help = "Examples:\n  berth work\n  berth work --queues payments,provisioning\n")]
    #[command(after_help = process::STOPPING)]
    Work(process::WorkArgs),
    /// Begin sweeps at their times. Processes that work on the queue `sweeps` do so as well; any number may.
    #[command(before_help = "Examples:\n  berth schedule\n")]
    #[command(after_help = process::STOPPING)]
    Schedule,
    /// Do now what the schedule does at its time, or show what it would do.
    #[command(before_help = "Examples:\n  berth sweep unpaid_orders --dry-run\n  \
        berth sweep unpaid_orders --dry-run --as-of 2030-01-01T00:00:00Z --json\n  berth sweep checkout_pages\n  \
        berth sweep stripe_events --wait\n")]
    #[command(after_help = sweep::AFTER_HELP)]
    Sweep(sweep::SweepArgs),
    /// Run everything on this machine: private Postgres and Redis, a Stripe to buy from, a mailbox to read.
    #[command(
        before_help = "Examples:\n  berth dev\n  berth dev --once      buy one hosting account, show the timeline, \
        stop\n  berth dev --reset     forget what is there and begin anew\n  berth dev --panels linux,incus --once      the same on real \
        servers, with one account of each type\n"
    )]
    #[command(after_help = dev::AFTER_HELP)]
    Dev(dev::DevArgs),
    /// Bring the database up to date. Run it before a new version starts; running it again changes nothing.
    #[command(before_help = "Examples:\n  berth migrate\n  \
        BERTH_DATABASE__MIGRATE_URL=postgres://owner@db/berth berth migrate\n")]
    Migrate,
    /// Print a customer's token, signed with auth.jwt_secret: for development and tests.
    #[command(
        before_help = "Examples:\n  berth token --user 6f1b2a3c-0d4e-4f5a-8b6c-7d8e9f0a1b2c --email ada@example.com\n  \
        berth token --user 6f1b2a3c-0d4e-4f5a-8b6c-7d8e9f0a1b2c --email ops@example.com --staff --ttl 15m\n"
    )]
    Token(token::TokenArgs),
    /// Put a job into the ledger.
    #[command(before_help = "Examples:\n  berth enqueue no_op '{}'\n  \
        berth enqueue no_op '{\"note\":\"later\"}' --key night-1 --at 2030-01-01T00:00:00Z\n")]
    #[command(after_help = "Prints the job's id; where a job with that key is there already, the id of that one.")]
    Enqueue(enqueue::EnqueueArgs),
    /// Look at jobs, run them again, cancel them.
    #[command(before_help = "Examples:\n  berth jobs list --state dead\n  \
        berth jobs show job_01k9z3m6sne5y8r7q2w4x6t8va\n  berth jobs retry job_01k9z3m6sne5y8r7q2w4x6t8va\n")]
    #[command(subcommand)]
    Jobs(jobs::JobsCommand),
    /// Print a link that signs you in to the operators' console, once and within a minute.
    #[command(before_help = "Examples:\n  berth console\n  berth console --email ops@example.com\n")]
    #[command(after_help = "Whoever may read the settings may sign in: keep both to operators.")]
    Console(console::ConsoleArgs),
    /// The keys that other applications ask for jobs with.
    #[command(before_help = "Examples:\n  berth keys create crm --kinds provision_account,suspend_account\n  \
        berth keys list\n  berth keys revoke key_01k9z3m6sne5y8r7q2w4x6t8va\n")]
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// What accounts are placed on, and how each server fares.
    #[command(before_help = "Examples:\n  berth servers list\n  berth servers test web1\n  \
        berth servers orphans web1\n  berth servers compare\n  berth servers drain web1\n")]
    #[command(subcommand)]
    Servers(servers::ServersCommand),
    /// One account beside what its panel knows of it.
    #[command(before_help = "Examples:\n  berth accounts show acc_01k9z3m6sne5y8r7q2w4x6t8va\n  \
        berth accounts repair acc_01k9z3m6sne5y8r7q2w4x6t8va\n")]
    #[command(after_help = "adopt and repair print the id of the job that does it.")]
    #[command(subcommand)]
    Accounts(accounts::AccountsCommand),
    /// Make something happen in the running `berth dev`.
    #[command(before_help = "Examples:\n  berth trigger checkout\n  \
        berth trigger checkout --service vps-monthly --quantity 2 --json\n")]
    #[command(subcommand)]
    Trigger(trigger::TriggerCommand),
    /// Check that everything is set up; with --audit, also that everything paid for was delivered.
    #[command(
        before_help = "Examples:\n  berth doctor\n  berth doctor --mail you@example.com\n  berth doctor --offline\n  \
        berth doctor --audit --json\n"
    )]
    #[command(after_help = doctor::AFTER_HELP)]
    Doctor(doctor::DoctorArgs),
    /// Buy the cheapest service in test mode, see it live, cancel it, and see it gone.
    #[command(before_help = "Examples:\n  berth smoke\n  berth smoke --service vps-monthly\n  \
        berth smoke --url http://127.0.0.1:8080 --json\n")]
    #[command(after_help = smoke::AFTER_HELP)]
    Smoke(smoke::SmokeArgs),
    /// Set up at Stripe what Berth needs there.
    #[command(before_help = "Examples:\n  berth stripe sync-webhook --dry-run\n  berth stripe sync-webhook\n")]
    #[command(subcommand)]
    Stripe(stripe::StripeCommand),
    /// Check or show the settings.
    #[command(before_help = "Examples:\n  berth config check\n  berth config check --for up\n  berth config print\n")]
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Check what is sold.
    #[command(before_help = "Examples:\n  berth catalogue check\n  berth catalogue check my-catalogue.toml\n")]
    #[command(subcommand)]
    Catalogue(catalogue::CatalogueCommand),
    /// Change the keys that secrets are sealed with.
    #[command(before_help = "Examples:\n  berth secrets rotate --dry-run\n  berth secrets rotate\n")]
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// Print the API's description (OpenAPI 3.1), as /openapi.json serves it: to generate clients from.
    #[command(before_help = "Examples:\n  berth openapi      into a file: berth openapi > openapi.json\n")]
    Openapi,
    /// Print what a shell needs to complete commands.
    #[command(before_help = "Examples:\n  berth completions bash      into a file: berth completions bash > \
        /etc/bash_completion.d/berth\n  berth completions zsh\n  berth completions fish\n")]
    Completions(manual::CompletionsArgs),
    /// Print this program's page of the manual.
    #[command(
        before_help = "Examples:\n  berth man      to read it: berth man | man -l -\n  berth man --into /tmp/man1\n"
    )]
    Man(manual::ManArgs),
    /// Buy while everything is killed, emptied, stopped and cut off, on private servers; then read every ledger.
    #[command(hide = true)]
    #[command(before_help = "Examples:\n  berth chaos\n  berth chaos --seconds 600 --seed 42 --json\n")]
    #[command(
        after_help = "Exits 1 when anything was lost or happened twice, and says what, by which seed, and where logs and \
        data are kept. Needs nothing but PostgreSQL and Redis to be installed; touches nothing of the machine's own."
    )]
    Chaos(chaos::ChaosArgs),
    /// Stand in for Stripe on this machine.
    #[command(hide = true)]
    StripeSim(stripe_sim::Args),
}

/// The program: reads the command line, does what it says, and answers the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("the threads could not be started")),
    };
    let result = runtime.block_on(run(cli));
    runtime.shutdown_timeout(LAST_THREADS);
    result.unwrap_or_else(|error| fail(&error))
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let file = cli.config;
    match cli.command {
        Command::Up => Box::pin(process::up(file)).await,
        Command::Serve => Box::pin(process::serve(file)).await,
        Command::Work(args) => Box::pin(process::work(file, args)).await,
        Command::Schedule => Box::pin(process::schedule(file)).await,
        Command::Sweep(args) => sweep::run(file, args).await,
        Command::Dev(args) => Box::pin(dev::run(file, args)).await,
        Command::Migrate => process::migrate(file).await,
        Command::Token(args) => token::run(file, &args),
        Command::Enqueue(args) => enqueue::run(file, args).await,
        Command::Jobs(command) => jobs::run(file, command).await,
        Command::Console(args) => console::run(file, args).await,
        Command::Keys(command) => keys::run(file, command).await,
        Command::Servers(command) => Box::pin(servers::run(file, command)).await,
        Command::Accounts(command) => Box::pin(accounts::run(file, command)).await,
        Command::Trigger(command) => Box::pin(trigger::run(file, command)).await,
        Command::Doctor(args) => Box::pin(doctor::run(file, args)).await,
        Command::Smoke(args) => Box::pin(smoke::run(file, args)).await,
        Command::Stripe(command) => Box::pin(stripe::run(file, command)).await,
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
        Command::Config(command) => config::run(file, command),
        Command::Catalogue(command) => catalogue::run(file, command),
        Command::Secrets(command) => secrets::run(file, command).await,
        Command::Openapi => openapi::run(),
        Command::Chaos(args) => Box::pin(chaos::run(args)).await,
        Command::StripeSim(args) => stripe_sim::run(args).await,
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    output::say(&format!("error: {}", output::reasons(error)));
    let unusable = error.chain().any(|cause| cause.is::<ConfigError>())
        || matches!(error.downcast_ref(), Some(StartError::Config(_) | StartError::Setting { .. }));
    if unusable { ExitCode::from(WRONG_USAGE) } else { ExitCode::FAILURE }
}

/// The command line's definition, with examples first in the help of every command.
fn command() -> clap::Command {
    with_examples_first(Cli::command())
}

fn with_examples_first(command: clap::Command) -> clap::Command {
    command.help_template(HELP).mut_subcommands(with_examples_first)
}
