//! Programs of the system: by their absolute path, with arguments and never a shell, with nothing of our environment.

use std::{
    io::{self, Read, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::failure::{Failure, OrFail as _};

/// What system tools need; more than that is stuck.
const SHORT: Duration = Duration::from_secs(30);
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const SETPRIV: &str = "/usr/bin/setpriv";
const OUTPUT_MAX: u64 = 1024 * 1024;
/// Of what a program complains about, this much is told.
const COMPLAINT_MAX: usize = 300;
const FIRST_PAUSE: Duration = Duration::from_micros(500);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// A customer's login, by its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A program that is to be run.
pub(crate) struct Program {
    name: String,
    command: Command,
    input: Vec<u8>,
    input_from: Option<Box<dyn Read + Send>>,
    secrets: Vec<String>,
    patience: Duration,
}

impl Program {
    /// A program of the system, as root.
    pub(crate) fn new(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let mut command = Command::new(path);
        // A group of its own, so that what a program starts ends with it.
        command.env_clear().env("LC_ALL", "C.UTF-8").env("PATH", PATH).current_dir("/").process_group(0);
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Self { name, command, input: Vec::new(), input_from: None, secrets: Vec::new(), patience: SHORT }
    }

    /// A command line of the configuration.
    pub(crate) fn of(argv: &[String]) -> Self {
        let (program, args) = argv.split_first().map_or(("", [].as_slice()), |(first, rest)| (first.as_str(), rest));
        Self::new(program).args(args)
    }

    /// A program as a customer: whatever links and pipes lie in wait in the customer's files, it can do no more than the
    /// customer. It ends when we do.
    pub(crate) fn as_customer(owner: Owner, path: impl AsRef<Path>) -> Self {
        let mut program = Self::new(SETPRIV)
            .arg(format!("--reuid={}", owner.uid))
            .arg(format!("--regid={}", owner.gid))
            .args(["--clear-groups", "--no-new-privs", "--pdeathsig=KILL", "--"])
            .arg(path.as_ref());
        program.name = path.as_ref().file_name().unwrap_or_default().to_string_lossy().into_owned();
        program
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub(crate) fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    pub(crate) fn input_from(mut self, from: impl Read + Send + 'static) -> Self {
        self.input_from = Some(Box::new(from));
        self
    }

    /// A text that is in the input, and must be in no message.
    pub(crate) fn secret(mut self, secret: &str) -> Self {
        self.secrets.push(secret.to_owned());
        self
    }

    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs it, and answers what it printed.
    pub(crate) fn run(self) -> Result<String, Failure> {
        let (name, secrets) = (self.name.clone(), self.secrets.clone());
        let ended = self.end().or_fail(format!("{name} could not be run"))?;
        ended.success(&name, &secrets)
    }

    /// Runs it, and passes on what it prints.
    pub(crate) fn stream<T: Send>(
        self,
        drain: impl FnOnce(&mut ChildStdout) -> io::Result<T> + Send,
    ) -> Result<T, Failure> {
        let (name, secrets) = (self.name.clone(), self.secrets.clone());
        let (drained, status, complaint) = self.drive(drain).or_fail(format!("{name} could not be run"))?;
        Ended { status, output: String::new(), complaint }.success(&name, &secrets)?;
        drained.or_fail(format!("what {name} prints could not be kept"))
    }

    /// Runs it, whether it succeeds or not.
    pub(crate) fn end(self) -> io::Result<Ended> {
        let (output, status, complaint) = self.drive(limited)?;
        Ok(Ended { status, output: output?, complaint })
    }

    fn drive<T: Send>(
        mut self,
        drain: impl FnOnce(&mut ChildStdout) -> io::Result<T> + Send,
    ) -> io::Result<(io::Result<T>, ExitStatus, String)> {
        let piped = || Stdio::piped();
        let mut child = self.command.stdin(piped()).stdout(piped()).stderr(piped()).spawn()?;
        let (Some(mut stdin), Some(mut stdout), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("a pipe is missing"));
        };
        let (input, from, patience) = (self.input, self.input_from, self.patience);
        thread::scope(|scope| {
            scope.spawn(move || {
                // Who ends before reading everything says so by its exit status.
                let _ = stdin.write_all(&input);
                let _ = from.map(|mut from| io::copy(&mut from, &mut stdin));
            });
            let drained = scope.spawn(move || {
                let drained = drain(&mut stdout);
                // Whoever prints on is not kept waiting, once nobody wants it.
                let _ = io::copy(&mut stdout, &mut io::sink());
                drained
            });
            let complaint = scope.spawn(move || limited(&mut stderr));
            let status = wait(&mut child, patience);
            let drained = drained.join().unwrap_or_else(|_| Err(io::Error::other("a thread died")));
            let complaint = complaint.join().unwrap_or_else(|_| Err(io::Error::other("a thread died")))?;
            Ok((drained, status?, complaint))
        })
    }
}

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
    complaint: String,
}

impl Ended {
    fn success(self, name: &str, secrets: &[String]) -> Result<String, Failure> {
        if self.status.success() {
            return Ok(self.output);
        }
        let mut complaint = self.complaint;
        for secret in secrets {
            complaint = complaint.replace(secret.as_str(), "…");
        }
        let complaint: String = complaint.trim().chars().take(COMPLAINT_MAX).collect();
        Err(Failure::transient(format!("{name} failed ({}): {complaint}", self.status)))
    }
}

/// Waits with growing pauses; who does not end in time is ended.
fn wait(child: &mut Child, patience: Duration) -> io::Result<ExitStatus> {
    let deadline = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            let group = i32::try_from(child.id()).map_err(io::Error::other)?;
            killpg(Pid::from_raw(group), Signal::SIGKILL)?;
            child.wait()?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn limited(from: &mut impl Read) -> io::Result<String> {
    let mut output = Vec::new();
    from.take(OUTPUT_MAX).read_to_end(&mut output)?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_nothing_of_our_environment() {
        let printed = Program::new("/usr/bin/env").run().unwrap();

        assert_eq!(printed, format!("LC_ALL=C.UTF-8\nPATH={PATH}\n"));
    }

    #[test]
    fn a_failure_tells_the_complaint_without_the_secret() {
        let failed = Program::new("/bin/ls").args(["--", "/nowhere/hunter2"]).secret("hunter2").run().unwrap_err();

        let message = failed.refusal().message;
        assert!(message.contains("/nowhere/…") && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn a_program_that_is_stuck_is_ended() {
        let began = Instant::now();

        let failed = Program::new("/bin/sleep").arg("60").patience(Duration::from_millis(50)).run();

        assert!(failed.is_err());
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
