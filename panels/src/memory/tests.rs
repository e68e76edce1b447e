//! The panel in memory: the conformance list, and its faults.

use futures::future::{BoxFuture, ready};
use secrecy::ExposeSecret as _;

use super::*;
use crate::conformance::{Server, at_once, cases::Skip, conformance, created, spec};

impl Server for MemoryPanel {
    fn driver(&self) -> &'static str {
        "memory"
    }

    fn creates_of(&self, account: &AccountRef) -> u64 {
        Self::creates_of(self, account.account_id)
    }

    fn opens<'a>(&'a self, username: &'a str, password: &'a str) -> BoxFuture<'a, Result<bool, Skip>> {
        let opens = self.password_of(username).is_some_and(|known| known.expose_secret() == password);
        Box::pin(ready(Ok(opens)))
    }

    fn write(&self, username: &str, path: &str, text: &str) {
        self.put_file(username, path, text);
    }

    fn files(&self, username: &str) -> BTreeMap<String, String> {
        self.files_of(username)
    }
}

#[tokio::test]
async fn the_memory_panel_conforms() {
    let panel = MemoryPanel::new().with_latency(Duration::from_millis(1));

    conformance(&panel, &panel).await;
}

#[tokio::test]
async fn an_account_whose_answer_was_lost_is_adopted() {
    let panel = MemoryPanel::new();
    let spec = spec("lostanswer");
    panel.script(Fault::AfterApplying);

    let lost = panel.ensure_created(&spec).await.unwrap_err();
    let adopted = at_once(panel.ensure_created(&spec).await);

    assert!(matches!(lost, PanelError::Ambiguous(_)), "{lost:?}");
    assert!(adopted.adopted);
    assert_eq!(panel.creates_of(spec.account.account_id), 1);
}

#[tokio::test]
async fn a_fault_before_applying_changes_nothing() {
    for fault in [Fault::BeforeApplying, Fault::Unreachable, Fault::Unauthorized, Fault::Full] {
        let panel = MemoryPanel::new();
        let spec = spec("lostrequest");
        panel.script(fault.clone());

        panel.ensure_created(&spec).await.unwrap_err();

        assert_eq!(panel.observe(&spec.account).await.unwrap(), Observed::Absent, "{fault:?}");
        assert_eq!(panel.accounts(), 0);
    }
}

#[tokio::test]
async fn a_task_is_polled_until_it_is_done() {
    let panel = MemoryPanel::new();
    let spec = spec("slowtask");
    panel.script(Fault::Task { polls: 1 });

    let Step::Pending(task, _) = panel.ensure_created(&spec).await.unwrap() else { panic!("it is done at once") };

    assert!(matches!(panel.poll(&task).await.unwrap(), Step::Pending(..)));
    assert_eq!(panel.poll(&task).await.unwrap(), Step::Done(TaskOutcome::Succeeded));
    assert!(at_once(panel.ensure_created(&spec).await).adopted);
}

#[tokio::test]
async fn a_new_password_replaces_the_old_one() {
    let panel = MemoryPanel::new();
    let (spec, _) = created(&panel, "password").await;

    at_once(panel.set_password(&spec.account, &"another".to_owned().into()).await);

    assert_eq!(panel.password_of("password").unwrap().expose_secret(), "another");
}

#[tokio::test]
async fn a_backup_whose_answer_was_lost_is_answered_as_it_is() {
    let panel = MemoryPanel::new();
    let (spec, _) = created(&panel, "lostbackup").await;
    let backup = BackupRef::new(spec.account.account_id, 3);
    panel.script(Fault::AfterApplying);

    let lost = panel.ensure_backup(&spec.account, &backup).await.unwrap_err();
    let kept = panel.backups();
    let answered = at_once(panel.ensure_backup(&spec.account, &backup).await);

    assert!(matches!(lost, PanelError::Ambiguous(_)), "{lost:?}");
    assert_eq!(kept, [answered]);
}

#[tokio::test]
async fn a_backup_whose_request_was_lost_is_not_there() {
    let panel = MemoryPanel::new();
    let (spec, _) = created(&panel, "nobackup").await;
    panel.script(Fault::BeforeApplying);

    panel.ensure_backup(&spec.account, &BackupRef::new(spec.account.account_id, 3)).await.unwrap_err();

    assert!(panel.backups().is_empty());
}
