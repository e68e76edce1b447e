//! What every driver must do. A driver's own tests call [`conformance`] with a fresh panel.

use std::collections::BTreeMap;

use berth_jobs::ids::AccountId;
use futures::future::join_all;
use jiff::Timestamp;

use super::{AccountRef, BackupRef, CreateSpec, Created, Observed, Panel, PanelError, RemoteState, Step};

mod backups;

const PACKAGE: &str = "small";

/// The server behind a panel, as one sees it who sits at it.
pub(super) trait Server: Sync {
    /// How often an account was created, ever, by the server's own record.
    fn creates_of(&self, account: AccountId) -> u64;

    /// Writes a file among an account's, as its owner would.
    fn write(&self, username: &str, path: &str, text: &str);

    /// The texts of an account's files by their paths, without the page that a new account may have.
    fn files(&self, username: &str) -> BTreeMap<String, String>;
}

pub(super) async fn conformance(panel: &dyn Panel, server: &dyn Server) {
    a_created_account_is_observed_and_created_once(panel, server).await;
    a_name_of_somebody_else_is_taken_and_left_alone(panel, server).await;
    suspending_and_activating_may_be_repeated(panel).await;
    a_package_reads_back(panel).await;
    removing_may_be_repeated_and_frees_the_name(panel, server).await;
    what_is_not_there_is_absent_already_and_cannot_be_changed(panel).await;
    ten_creates_at_once_make_one_account(panel, server).await;
    what_the_caps_deny_is_refused_for_good(panel).await;
    if panel.caps().backups {
        backups::conformance(panel, server).await;
    }
}

/// What is asked of a panel for an account called `username`.
pub(super) fn spec(username: &str) -> CreateSpec {
    CreateSpec {
        account: AccountRef { account_id: AccountId::new(), username: username.to_owned(), remote_id: None },
        password: "Xk2mPq9wRt4vLs8z-hJn".to_owned().into(),
        package: PACKAGE.to_owned(),
        owner_email: "owner@example.org".to_owned(),
        domain: None,
        configuration: serde_json::Value::Null,
        addons: serde_json::Value::Null,
        intended_at: Timestamp::UNIX_EPOCH,
    }
}

/// The result of a panel that works at once.
pub(super) fn done<T>(step: Result<Step<T>, PanelError>) -> T {
    match step.expect("the panel does as it is told") {
        Step::Done(value) => value,
        Step::Pending(task, _) => panic!("{task:?} is pending"),
    }
}

pub(super) async fn created(panel: &dyn Panel, username: &str) -> (CreateSpec, Created) {
    let spec = spec(username);
    let created = done(panel.ensure_created(&spec).await);
    (spec, created)
}

fn present(spec: &CreateSpec, created: &Created, state: RemoteState) -> Observed {
    Observed::Present { remote_id: created.remote_id.clone(), state, package: spec.package.clone() }
}

async fn a_created_account_is_observed_and_created_once(panel: &dyn Panel, server: &dyn Server) {
    let wanted = spec("cnfcreate");
    assert_eq!(panel.observe(&wanted.account).await.unwrap(), Observed::Absent);

    let first = done(panel.ensure_created(&wanted).await);
    let again = done(panel.ensure_created(&wanted).await);

    assert!(!first.adopted);
    assert_eq!(again, Created { adopted: true, ..first.clone() });
    assert_eq!(panel.observe(&wanted.account).await.unwrap(), present(&wanted, &first, RemoteState::Active));
    assert_eq!(server.creates_of(wanted.account.account_id), 1);
}

async fn a_name_of_somebody_else_is_taken_and_left_alone(panel: &dyn Panel, server: &dyn Server) {
    let (theirs, made) = created(panel, "cnfforeign").await;
    let ours = spec("cnfforeign");

    let refused = panel.ensure_created(&ours).await.unwrap_err();

    assert!(matches!(refused, PanelError::NameTaken(_)), "{refused:?}");
    assert_eq!(panel.observe(&ours.account).await.unwrap(), Observed::Foreign);
    for refused in [
        panel.ensure_suspended(&ours.account, "abuse").await.unwrap_err(),
        panel.ensure_active(&ours.account).await.unwrap_err(),
        panel.ensure_package(&ours.account, "large").await.unwrap_err(),
        panel.ensure_absent(&ours.account).await.unwrap_err(),
    ] {
        assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    }
    assert_eq!(panel.observe(&theirs.account).await.unwrap(), present(&theirs, &made, RemoteState::Active));
    assert_eq!(server.creates_of(ours.account.account_id), 0);
}

async fn suspending_and_activating_may_be_repeated(panel: &dyn Panel) {
    let (spec, made) = created(panel, "cnfsuspend").await;
    let suspended = RemoteState::Suspended { reason: Some("payment_overdue".to_owned()), ours: true };

    for _ in 0..2 {
        done(panel.ensure_suspended(&spec.account, "payment_overdue").await);
        assert_eq!(panel.observe(&spec.account).await.unwrap(), present(&spec, &made, suspended.clone()));
    }
    assert!(done(panel.ensure_created(&spec).await).adopted);
    done(panel.ensure_package(&spec.account, &spec.package).await);
    assert_eq!(
        panel.observe(&spec.account).await.unwrap(),
        present(&spec, &made, suspended),
        "a late create or another package lifts no suspension"
    );
    done(panel.ensure_suspended(&spec.account, "abuse").await);
    let for_abuse = RemoteState::Suspended { reason: Some("abuse".to_owned()), ours: true };
    assert_eq!(
        panel.observe(&spec.account).await.unwrap(),
        present(&spec, &made, for_abuse),
        "the latest reason holds"
    );
    for _ in 0..2 {
        done(panel.ensure_active(&spec.account).await);
        assert_eq!(panel.observe(&spec.account).await.unwrap(), present(&spec, &made, RemoteState::Active));
    }
}

async fn a_package_reads_back(panel: &dyn Panel) {
    let (mut spec, made) = created(panel, "cnfpackage").await;
    spec.package = "large".to_owned();

    for _ in 0..2 {
        done(panel.ensure_package(&spec.account, "large").await);
        assert_eq!(panel.observe(&spec.account).await.unwrap(), present(&spec, &made, RemoteState::Active));
    }
}

async fn removing_may_be_repeated_and_frees_the_name(panel: &dyn Panel, server: &dyn Server) {
    let (gone, _) = created(panel, "cnfremove").await;

    for _ in 0..2 {
        done(panel.ensure_absent(&gone.account).await);
        assert_eq!(panel.observe(&gone.account).await.unwrap(), Observed::Absent);
    }

    let (next, made) = created(panel, "cnfremove").await;
    assert!(!made.adopted);
    assert_eq!(server.creates_of(gone.account.account_id), 1, "the record outlives the account");
    assert_eq!(server.creates_of(next.account.account_id), 1);
}

async fn what_is_not_there_is_absent_already_and_cannot_be_changed(panel: &dyn Panel) {
    let nobody = spec("cnfnobody").account;

    done(panel.ensure_absent(&nobody).await);

    for refused in [
        panel.ensure_suspended(&nobody, "abuse").await.unwrap_err(),
        panel.ensure_active(&nobody).await.unwrap_err(),
        panel.ensure_package(&nobody, "large").await.unwrap_err(),
    ] {
        assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    }
    assert_eq!(panel.observe(&nobody).await.unwrap(), Observed::Absent);
}

async fn ten_creates_at_once_make_one_account(panel: &dyn Panel, server: &dyn Server) {
    let spec = spec("cnfrace");

    let answers = join_all((0..10).map(|_| panel.ensure_created(&spec))).await;

    let made = answers.into_iter().map(done).filter(|created| !created.adopted).count();
    assert_eq!(made, 1);
    assert_eq!(server.creates_of(spec.account.account_id), 1);
}

async fn what_the_caps_deny_is_refused_for_good(panel: &dyn Panel) {
    let (spec, _) = created(panel, "cnfcaps").await;
    let caps = panel.caps();

    let password = panel.set_password(&spec.account, &spec.password).await.map(drop);
    let login = panel.login_url(&spec.account).await.map(drop);
    let usage = panel.usage(&spec.account).await.map(drop);
    let backup = panel.ensure_backup(&spec.account, &BackupRef::new(spec.account.account_id, 1)).await.map(drop);

    for (able, answer) in
        [(caps.passwords, password), (caps.login_url, login), (caps.usage, usage), (caps.backups, backup)]
    {
        match answer {
            Ok(()) => assert!(able),
            Err(PanelError::Permanent(_)) => assert!(!able),
            Err(other) => panic!("{other:?}"),
        }
    }
    panel.probe().await.unwrap();
}
