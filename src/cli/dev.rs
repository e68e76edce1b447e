//! `berth dev`: the private installation, with everything of `berth up` in this process.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use berth_jobs::Queue;

use super::{
    checks,
    output::{print, say},
    process::Running,
    settings,
    signals::{STOPPED_AT_ONCE, Signals},
    trigger,
};
use crate::{
    app::App,
    clock::Clock,
    config::{Config, Role},
    dev::{
        run::{self, DevInstance, DevOptions, DevPanel, HOME},
        tour::Tour,
        trigger::Purchase,
    },
    supervise::Supervisor,
};

pub(super) const AFTER_HELP: &str = "Everything lies under .berth/ in this directory and is kept for the next start. \
    Settings of yours (berth.toml, BERTH_…) count, but for the database, Redis, the mail server and the addresses: \
    those are always its own. With stripe.secret_key (sk_test_…) set, it speaks to Stripe's test mode in place of the \
    simulator. Stops what it started on Ctrl-C.";

#[derive(Debug, clap::Args)]
pub(super) struct DevArgs {
    /// Buy one hosting account, show when what happened, stop. With real servers (--panels): buy one account of each type, look
    /// at it from outside, let it lapse and pay for it, which moves this instance's clock on by a month.
    #[arg(long)]
    once: bool,
    /// Forget what is there: database, mails, sites, their backups and keys.
    #[arg(long)]
    reset: bool,
    /// The shop's port. Without it 8080, or a free one when that is taken.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// What to sell on: site, or real servers of one's own: linux, incus or both. They need Debian 12 and root. Without it, as
    /// the last time.
    #[arg(long, value_delimiter = ',', value_name = "PANEL,…")]
    panels: Vec<DevPanelArg>,
}

pub(super) async fn run(file: Option<PathBuf>, args: DevArgs) -> anyhow::Result<ExitCode> {
    settings::log(&run::preliminary(file.clone())?)?;
    let signals = Signals::catch(None)?;
    let panels = args.panels.iter().map(|panel| DevPanel::from(*panel)).collect();
    let options = DevOptions { home: HOME.into(), file, port: args.port, reset: args.reset, panels };
    let starting = Box::pin(DevInstance::start(options, |text| say(&format!("berth dev: {text}"))));
    let mut instance = tokio::select! {
        started = starting => started?,
        () = signals.asked() => {
            say("berth dev: stopped before it had started");
            return Ok(ExitCode::from(STOPPED_AT_ONCE));
        }
    };
    let result = Box::pin(live(&mut instance, &args, &signals)).await;
    instance.stop().await?;
    if result.is_ok() {
        print(&format!("stopped; {HOME}/ keeps its data for the next start"))?;
    }
    result
}

/// See [`DevPanel`].
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum DevPanelArg {
    /// Sites that Berth serves itself, for whatever the others do not sell.
    Site,
    /// Shared hosting and WordPress on nginx, php-fpm, MariaDB and SFTP.
    Linux,
    /// VPS and cloud servers as containers of Incus or LXD.
    Incus,
}

impl From<DevPanelArg> for DevPanel {
    fn from(panel: DevPanelArg) -> Self {
        match panel {
            DevPanelArg::Site => Self::Site,
            DevPanelArg::Linux => Self::Linux,
            DevPanelArg::Incus => Self::Incus,
        }
    }
}

/// Runs Berth on the instance: for one purchase, or until it is stopped.
async fn live(instance: &mut DevInstance, args: &DevArgs, signals: &Signals) -> anyhow::Result<ExitCode> {
    let tasks = Supervisor::default();
    let app = App::new(instance.config()?, Role::Up, &tasks)?;
    checks::may_start(&app).await?;
    let (listener, pages) = (instance.take_listener(), instance.pages());
    let mut running = Running::start(app.clone(), tasks, &Queue::ALL, listener, Some(pages)).await?;
    let result = if args.once && instance.servers.are_any() {
        tokio::select! {
            gone = Box::pin(tour(&app, instance)) => gone,
            () = signals.asked() => Ok(ExitCode::from(STOPPED_AT_ONCE)),
        }
    } else if args.once {
        let purchase = Purchase { service: trigger::DEFAULT_SERVICE.to_owned(), quantity: 1 };
        tokio::select! {
            bought = Box::pin(trigger::buy(&app.config, &app.store, purchase, false)) => bought,
            () = signals.asked() => Ok(ExitCode::from(STOPPED_AT_ONCE)),
        }
    } else {
        print(&welcome(instance, &app.config))?;
        tokio::select! {
            asked = running.until_asked(signals) => asked.map(|()| ExitCode::SUCCESS),
            () = instance.stripe_ends() => {
                Err(anyhow::anyhow!("the Stripe simulator has ended; {HOME}/stripe-sim.log may say why"))
            }
        }
    };
    running.stop().await;
    result
}

/// Shows what the real servers do for what is sold on them.
async fn tour(app: &App, instance: &DevInstance) -> anyhow::Result<ExitCode> {
    let tour = Tour {
        config: &app.config,
        store: &app.store,
        clock: &app.clock,
        owner_url: instance.owner_url(),
        servers: &instance.servers,
    };
    let tell =
        |text: &str| print(text).unwrap_or_else(|error| say(&format!("berth dev: nothing can be printed: {error}")));
    tour.go(Clock::machine(), &tell).await?;
    Ok(ExitCode::SUCCESS)
}

fn welcome(instance: &DevInstance, config: &Config) -> String {
    let addresses = &instance.addresses;
    let berth = this_program();
    let mut lines = vec![
        ("shop API", addresses.api.clone()),
        ("mailbox", addresses.mailbox.clone()),
        ("console", format!("{}/console · {berth} console prints a link that lets you in", addresses.api)),
        (
            "sites",
            format!("{} served as http://<name>.localhost:{}/", addresses.sites.display(), addresses.listen.port()),
        ),
    ];
    if let Some(linux) = &instance.servers.linux {
        let (sites, sftp) = (linux.sites_port(), linux.sftp_port());
        lines.push(("linux", format!("http://<name>.localhost:{sites}/ · sftp -P {sftp} <name>@127.0.0.1")));
    }
    if let Some(incus) = &instance.servers.incus {
        lines.push((incus.product(), incus.socket().display().to_string()));
    }
    let stripe = addresses.stripe.clone();
    lines.push(("Stripe", stripe.unwrap_or_else(|| "Stripe's test mode, with your stripe.secret_key".to_owned())));
    lines.extend(config.metrics.listen.map(|address| ("metrics", format!("http://{address}/metrics"))));
    lines.extend([
        ("database", instance.database_url().to_owned()),
        ("Redis", instance.redis_url()),
        ("buy", format!("{berth} trigger checkout")),
        ("token", format!("{berth} token --user {} --email you@berth.test", uuid::Uuid::new_v4())),
        ("look", format!("{berth} jobs list · {berth} doctor --audit")),
        ("real Stripe", format!("stripe listen --forward-to {}", addresses.webhook_url)),
    ]);
    let mut text = "Berth runs; Ctrl-C stops it.\n".to_owned();
    for (name, value) in lines {
        text.push_str(&format!("  {name:<12} {value}\n"));
    }
    text
}

/// How to call this program from a shell in this directory.
fn this_program() -> String {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    if called.components().count() < 2 {
        return "berth".to_owned();
    }
    let here = std::env::current_dir().unwrap_or_default();
    let short = called.strip_prefix(&here).map_or(called.as_path(), |path| path);
    let prefix = if short.components().count() == 1 { "./" } else { "" };
    format!("{prefix}{}", Path::display(short))
}
