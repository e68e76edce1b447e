//! What systemd is told (`NOTIFY_SOCKET`): ready once it can work, alive while its runtime is, stopping when it is asked to.

use std::{path::PathBuf, time::Duration};

use nix::sys::signal::Signal;
use tokio::{net::UnixDatagram, time::timeout};

use super::support::{
    Stack,
    load::enqueue_no_ops,
    process::{Process, run},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// systemd's end.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    told: Vec<String>,
}

impl Manager {
    fn listen(stack: &Stack) -> Self {
        let path = stack.folder.path().join("notify");
        Self { socket: UnixDatagram::bind(&path).unwrap(), path, told: Vec::new() }
    }

    fn variables(&self) -> [(&str, &str); 2] {
        // A second, so that it must be told every half of one.
        [("NOTIFY_SOCKET", self.path.to_str().unwrap()), ("WATCHDOG_USEC", "1000000")]
    }

    /// The next message within so long.
    async fn next(&mut self, within: Duration) -> Option<String> {
        let mut bytes = [0; 4096];
        let read = timeout(within, self.socket.recv(&mut bytes)).await.ok()?.unwrap();
        let message = String::from_utf8(bytes[..read].to_vec()).unwrap();
        self.told.push(message.clone());
        Some(message)
    }

    /// Waits until it is told of a state, such as `READY=1`; answers the whole message.
    async fn until(&mut self, state: &str) -> String {
        loop {
            let message = self.next(PATIENCE).await;
            let message = message.unwrap_or_else(|| panic!("never told of {state}: {:?}", self.told));
            if message.lines().any(|line| line == state) {
                return message;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_says_when_it_is_ready_that_it_lives_and_that_it_stops() {
    let stack = Stack::new().await;
    for (command, status) in [
        (&["up"][..], "working on payments, provisioning, mail, sweeps"),
        (&["serve"][..], "listening on"),
        (&["work", "--queues", "mail"][..], "working on mail"),
        (&["schedule"][..], "beginning sweeps"),
    ] {
        let mut manager = Manager::listen(&stack);
        let mut process = Process::start(&stack, command, &manager.variables());

        let ready = manager.until("READY=1").await;
        if matches!(command[0], "up" | "serve") {
            let answer = stack.client.get(format!("{}/readyz", stack.base())).send().await.unwrap();
            assert_eq!(answer.status(), 200, "whoever is ready answers");
        }
        for _ in 0..3 {
            manager.until("WATCHDOG=1").await;
        }
        process.signal(Signal::SIGTERM);
        let stopping = manager.until("STOPPING=1").await;

        assert!(ready.contains("STATUS=") && ready.contains(status), "{command:?}: {ready}");
        assert!(stopping.contains("STATUS="), "{command:?}: {stopping}");
        assert_eq!(process.wait().await.code(), Some(0), "{command:?}");
        std::fs::remove_file(&manager.path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_may_not_start_is_never_ready() {
    let stack = Stack::new().await;
    let undone =
        "delete from berth.schema_migrations where version = (select max(version) from berth.schema_migrations)";
    sqlx::query(undone).execute(&stack.pool).await.unwrap();
    let mut manager = Manager::listen(&stack);

    let mut up = Process::start(&stack, &["up"], &manager.variables());

    assert_eq!(up.wait().await.code(), Some(1));
    while manager.next(Duration::from_millis(100)).await.is_some() {}
    assert!(!manager.told.iter().any(|message| message.contains("READY")), "{:?}", manager.told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_hangs_is_not_said_to_live() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let mut manager = Manager::listen(&stack);
    let variables = manager.variables().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let hangs = ("BERTH_FAILPOINTS".to_owned(), "job.run(no_op)=hang".to_owned());
    let all: Vec<(&str, &str)> =
        variables.iter().chain([&hangs]).map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut work = Process::start(&stack, &["work"], &all);
    manager.until("READY=1").await;
    manager.until("WATCHDOG=1").await;

    // One for every thread that the runtime may have.
    enqueue_no_ops(&berth.app, 64).await;

    let mut silent = false;
    for _ in 0..600 {
        // Four times as long as it may be silent while all is well.
        if manager.next(Duration::from_secs(2)).await.is_none() {
            silent = true;
            break;
        }
    }
    assert!(silent, "a process that hangs was said to live");
    work.kill().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_given_the_owner_of_the_tables_does_not_start_but_for_development() {
    let mut stack = Stack::new().await;
    let owner = stack.postgres.url().to_owned();
    stack.settings.push(("database.url".to_owned(), owner));

    for command in ["up", "serve", "work", "schedule"] {
        let output = run(&stack, &[command], &[]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains("connection as the table owner is refused") && said.contains("berth_app"), "{said}");
    }

    let mut manager = Manager::listen(&stack);
    let mut variables = manager.variables().to_vec();
    variables.push(("BERTH_DEV__TABLE_OWNER", "true"));
    let variables: Vec<(String, String)> =
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let named: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut up = Process::start(&stack, &["serve"], &named);
    manager.until("READY=1").await;
    assert_eq!(up.terminate().await, Some(0));
}
