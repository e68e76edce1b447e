//! Work for Berth to do, much of it at once.

use std::time::Duration;

use berth::{app::App, effects::Effects};
use berth_jobs::{diagnosis::NoOp, ids::JobId};
use futures::{StreamExt, stream};
use uuid::Uuid;

use super::{Stack, StackOptions};

/// How many requests the test makes at once.
const AT_ONCE: usize = 8;

impl StackOptions {
    /// Leases that run out soon, so that a test need not wait long for what a killed process held; and few slots, so
    /// that a kill finds work that waits.
    pub(crate) fn quick(self) -> Self {
        self.setting("work.lease_seconds", "3")
            .setting("work.lease_renew_seconds", "1")
            .setting("work.redispatch_after_seconds", "3")
            .setting("work.concurrency.payments", "12")
            .setting("work.concurrency.provisioning", "6")
            .setting("work.concurrency.mail", "6")
            .setting("database.max_connections", "8")
    }
}

impl Stack {
    /// Waits until Berth answers HTTP.
    pub(crate) async fn until_listening(&self) {
        let url = format!("{}/healthz", self.base());
        self.until("Berth answers", async || {
            self.client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }

    /// Agrees so many orders; answers their sessions.
    pub(crate) async fn sessions(&self, orders: usize) -> Vec<String> {
        stream::iter(0..orders)
            .map(|_| async { self.checkout(Uuid::new_v4(), "shared-monthly", 1).await.1 })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    }

    /// Pays all these sessions.
    pub(crate) async fn pay_all(&self, sessions: &[String]) {
        stream::iter(sessions)
            .for_each_concurrent(AT_ONCE, |session| async {
                self.pay(session).await;
            })
            .await;
    }

    /// The settings as a file.
    pub(crate) fn settings_file(&self) -> String {
        let mut sections: std::collections::BTreeMap<&str, String> = std::collections::BTreeMap::new();
        for (key, value) in &self.settings {
            let (section, name) = key.rsplit_once('.').unwrap();
            let value = match value.parse::<u64>() {
                Ok(number) => number.to_string(),
                Err(_) if ["true", "false"].contains(&value.as_str()) => value.clone(),
                Err(_) if name == "webhook_secrets" => format!("[{value:?}]"),
                Err(_) => format!("{value:?}"),
            };
            *sections.entry(section).or_default() += &format!("{name} = {value}\n");
        }
        let text: String = sections.iter().map(|(section, lines)| format!("[{section}]\n{lines}")).collect();
        let path = self.folder.path().join("settings.toml");
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Enqueues a job that does nothing; answers its id. The note tells it from all others.
pub(crate) async fn enqueue_no_op(stack: &Stack, app: &App, note: &str) -> JobId {
    app.committer.write(Effects::none().enqueue(NoOp { note: Some(note.to_owned()) })).await.unwrap();
    let id = sqlx::query_scalar("select id from berth.jobs where payload ->> 'note' = $1");
    JobId(id.bind(note).fetch_one(&stack.pool).await.unwrap())
}

/// Enqueues jobs that do nothing.
pub(crate) async fn enqueue_no_ops(app: &App, jobs: usize) {
    let notes: Vec<usize> = (0..jobs).collect();
    for page in notes.chunks(100) {
        let effects =
            page.iter().fold(Effects::none(), |effects, note| effects.enqueue(NoOp { note: Some(note.to_string()) }));
        app.committer.write(effects).await.unwrap();
    }
}

/// A moment of a length that differs from run to run.
pub(crate) async fn a_moment(most: Duration) {
    let most = u64::try_from(most.as_millis()).unwrap();
    tokio::time::sleep(Duration::from_millis(rand::random_range(0..=most))).await;
}
