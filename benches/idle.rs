//! `idle`: how soon `berth up` is ready, and what it holds in memory while nothing happens.

use std::{
    net::SocketAddr,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::{Child as Process, Command},
};

use crate::{
    cpu,
    report::{Report, median, row},
    stack::Stack,
};

const DATABASE: &str = "idle";
const LOOK_EVERY: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(20);
/// Goals: resident megabytes, milliseconds.
const MEMORY_MB: f64 = 40.0;
const READY_MS: f64 = 300.0;

pub(crate) async fn measure(starts: usize, idle: Duration) -> Result<Report> {
    let stack = Stack::start().await?;
    stack.database(DATABASE).await?.close().await;
    let folder = tempfile::tempdir()?;
    let mut millis = Vec::new();
    for _ in 0..starts {
        let (berth, ready) = start(&stack, &folder).await?;
        millis.push(ready.as_secs_f64() * 1e3);
        stop(berth).await?;
    }
    let (berth, _) = start(&stack, &folder).await?;
    let pid = berth.id().context("it runs")?;
    let (begun, before) = (Instant::now(), cpu::of_process(pid));
    tokio::time::sleep(idle).await;
    let busy = (cpu::of_process(pid) - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    let resident = cpu::memory(pid, "VmRSS").context("Linux tells how much memory a process has")? as f64 / 1e6;
    let own = cpu::memory(pid, "RssAnon").unwrap_or_default() as f64 / 1e6;
    stop(berth).await?;

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

/// Starts `berth up`; how long it took until `/readyz` said yes.
async fn start(stack: &Stack, folder: &tempfile::TempDir) -> Result<(Process, Duration)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    drop(listener);
    let sites = folder.path().join("sites");
    let settings = stack.settings(
        DATABASE,
        &[
            ("http.listen", &address.to_string()),
            ("http.public_url", &format!("http://{address}")),
            // Nobody is there: what is idle has nothing to ask of Stripe.
            ("stripe.api_base", "http://127.0.0.1:9"),
            ("hosting.sites_dir", sites.to_str().context("a temporary folder's name is text")?),
        ],
    )?;
    let variable = |key: &str| format!("BERTH_{}", key.to_uppercase().replace('.', "__"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
    command
        .arg("up")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(settings.iter().map(|(key, value)| (variable(key), value)))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let begun = Instant::now();
    let mut berth = command.spawn()?;
    while !is_ready(address).await {
        if let Some(status) = berth.try_wait()? {
            bail!("berth up ended with {status}");
        }
        if begun.elapsed() > PATIENCE {
            bail!("berth up was not ready within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok((berth, begun.elapsed()))
}

async fn is_ready(address: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        std::io::Result::Ok(status.ends_with(b" 200"))
    };
    asked.await.unwrap_or(false)
}

async fn stop(mut berth: Process) -> Result<()> {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(berth.id().context("it runs")?)?);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
    tokio::time::timeout(PATIENCE, berth.wait()).await.context("berth up did not end")??;
    Ok(())
}
