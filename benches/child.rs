//! This program again, in another role: one line of JSON each way at a time. It ends when its input does.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child as Process, ChildStdin, ChildStdout, Command},
    sync::mpsc,
};

/// What makes this program take a role.
pub(crate) const ROLE_FLAG: &str = "--role";

pub(crate) struct Child {
    role: &'static str,
    process: Process,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a role and waits for the first line that it says.
    pub(crate) async fn start<T: DeserializeOwned>(role: &'static str, spec: &impl Serialize) -> Result<(Self, T)> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([ROLE_FLAG, role, &serde_json::to_string(spec)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = process.stdin.take().context("a child has an input")?;
        let output = BufReader::new(process.stdout.take().context("a child has an output")?).lines();
        let mut child = Self { role, process, input, output };
        let first = child.hear().await?;
        Ok((child, first))
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    pub(crate) async fn tell(&mut self, command: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(command)? + "\n";
        Ok(self.input.write_all(line.as_bytes()).await?)
    }

    pub(crate) async fn hear<T: DeserializeOwned>(&mut self) -> Result<T> {
        let Some(line) = self.output.next_line().await? else { bail!("the role {} has ended", self.role) };
        serde_json::from_str(&line).with_context(|| format!("the role {} said {line}", self.role))
    }

    pub(crate) async fn ask<T: DeserializeOwned>(&mut self, command: &impl Serialize) -> Result<T> {
        self.tell(command).await?;
        self.hear().await
    }

    /// Ends its input, and waits until it has ended.
    pub(crate) async fn end(self) -> Result<()> {
        let Self { role, mut process, input, output } = self;
        drop(input);
        let status = process.wait().await?;
        drop(output);
        if status.success() { Ok(()) } else { bail!("the role {role} ended with {status}") }
    }
}

/// The other side: what a role says.
pub(crate) fn say(line: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(line)?);
    Ok(())
}

/// The other side: what a role is told, until its input ends.
pub(crate) struct Told(mpsc::UnboundedReceiver<String>);

impl Told {
    pub(crate) fn new() -> Self {
        let (lines, told) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        Self(told)
    }

    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let Some(line) = self.0.recv().await else { return Ok(None) };
        Ok(Some(serde_json::from_str(&line)?))
    }
}
