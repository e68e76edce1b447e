//! The program as people run it: `berth up`, in a process of its own.

use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::{Child as Process, Command},
};

use crate::stack::Stack;

const LOOK_EVERY: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Program {
    process: Process,
    pub(crate) pid: u32,
    pub(crate) address: SocketAddr,
    /// From its start until `/readyz` said yes.
    pub(crate) ready_after: Duration,
}

impl Program {
    /// Starts it with the stack's settings and these, its sites in a folder, and waits until it is ready.
    pub(crate) async fn start(stack: &Stack, database: &str, folder: &Path, more: &[(&str, &str)]) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        drop(listener);
        let (listen, url, sites) = (address.to_string(), format!("http://{address}"), folder.join("sites"));
        let mut settings = vec![
            ("http.listen", listen.as_str()),
            ("http.public_url", &url),
            // Nobody is there: nothing that is measured with it has to ask Stripe.
            ("stripe.api_base", "http://127.0.0.1:9"),
            ("hosting.sites_dir", sites.to_str().context("a temporary folder's name is text")?),
        ];
        settings.extend(more);
        let settings = stack.settings(database, &settings)?;
        let variable = |key: &str| format!("BERTH_{}", key.to_uppercase().replace('.', "__"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
        command
            .arg("up")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(settings.iter().map(|(key, value)| (variable(key), value)))
            .current_dir(folder)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let begun = Instant::now();
        let mut process = command.spawn()?;
        while !is_ready(address).await {
            if let Some(status) = process.try_wait()? {
                bail!("berth up ended with {status}");
            }
            if begun.elapsed() > PATIENCE {
                bail!("berth up was not ready within {} s", PATIENCE.as_secs());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let pid = process.id().context("it runs")?;
        Ok(Self { process, pid, address, ready_after: begun.elapsed() })
    }

    pub(crate) async fn end(mut self) -> Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid)?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        tokio::time::timeout(PATIENCE, self.process.wait()).await.context("berth up did not end")??;
        Ok(())
    }
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
