//! What every driver must do. A driver's own tests call [`conformance`] with a fresh panel; those of a driver that sits
//! behind HTTP call [`http::conformance`] too. Each case prints one line, such as `conformance: whm: lost_response: pass`.

use std::{collections::BTreeMap, time::Duration};

use berth_jobs::ids::AccountId;
use futures::future::{BoxFuture, join_all, ready};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    AccountRef, BackupRef, CreateSpec, Created, Listed, Observed, Panel, PanelError, PanelFuture, RemoteState, Step,
    TaskOutcome, TaskRef,
};

mod backups;
pub(crate) mod cases;
pub(crate) mod faults;
pub(crate) mod http;
pub(crate) mod logs;
pub(crate) mod oracle;

use cases::{Skip, Verdict, case};

const PACKAGE: &str = "small";
/// How often a call is repeated whose panel says that it is at work, or busy.
const REPEATS_MAX: u32 = 600;
/// The longest pause between two looks at a task: what a panel asks for is meant for work that takes minutes.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// The server behind a panel, as one sees it who sits at it.
pub(crate) trait Server: Sync {
    /// The driver's name.
    fn driver(&self) -> &'static str;

    /// How often an account was created, ever, by the server's own record. A server that knows no ids of ours counts all
    /// that ever had the account's name.
    fn creates_of(&self, account: &AccountRef) -> u64;

    /// Writes a file among an account's, as its owner would. Asked only where the driver keeps backups.
    fn write(&self, username: &str, path: &str, text: &str);

    /// The texts of an account's files by their paths, without the page that a new account may have.
    fn files(&self, username: &str) -> BTreeMap<String, String>;

    /// Whether somebody who knows this password gets in. Asked only where accounts have passwords.
    fn opens<'a>(&'a self, _username: &'a str, _password: &'a str) -> BoxFuture<'a, Result<bool, Skip>> {
        Box::pin(ready(Err(Skip("the server's login cannot be tried"))))
    }

    /// Makes somebody else's account, without the driver. A driver that carries our ids to the server need not: there, an
    /// account of another id is somebody else's.
    fn make_foreign(&self, _username: &str) -> Result<(), Skip> {
        Err(Skip("another id is somebody else"))
    }

    /// All that the server holds under a name, in a form that can be compared. Asked only after `make_foreign`.
    fn image(&self, _username: &str) -> String {
        String::new()
    }

    /// Suspends an account as staff at the server would, without the driver.
    fn suspend_foreign(&self, _username: &str) -> Result<(), Skip> {
        Err(Skip("nobody but the driver suspends"))
    }
}

pub(crate) async fn conformance(panel: &dyn Panel, server: &dyn Server) {
    let driver = server.driver();
    case(driver, "created_once", a_created_account_is_observed_and_created_once(panel, server)).await;
    case(driver, "listed", what_is_ours_is_listed_as_it_is_and_no_longer_than_it_is_there(panel)).await;
    case(driver, "foreign_account", a_name_of_somebody_else_is_taken_and_left_alone(panel, server)).await;
    case(driver, "suspend_twice", suspending_and_activating_may_be_repeated(panel)).await;
    case(driver, "foreign_suspension", a_suspension_of_somebody_else_is_left_alone(panel, server)).await;
    case(driver, "package_reads_back", a_package_reads_back(panel)).await;
    case(driver, "terminate_twice", removing_may_be_repeated_and_frees_the_name(panel, server)).await;
    case(driver, "terminate_absent", what_is_not_there_is_absent_already_and_cannot_be_changed(panel)).await;
    case(driver, "ten_creates_at_once", ten_creates_at_once_make_one_account(panel, server)).await;
    case(driver, "password_opens", a_new_password_opens_and_the_old_one_does_not(panel, server)).await;
    case(driver, "unknown_task", an_unknown_task_has_not_succeeded(panel)).await;
    case(driver, "caps_hold", what_the_caps_deny_is_refused_for_good(panel)).await;
    if panel.caps().backups {
        backups::conformance(panel, server).await;
    }
}

/// What is asked of a panel for an account called `username`.
pub(crate) fn spec(username: &str) -> CreateSpec {
    CreateSpec {
        account: AccountRef {
            account_id: AccountId::new(),
            username: username.to_owned(),
            remote_id: None,
            domain: None,
        },
        password: "Xk2mPq9wRt4vLs8z-hJn".to_owned().into(),
        package: PACKAGE.to_owned(),
        owner_email: "owner@example.org".to_owned(),
        configuration: serde_json::Value::Null,
        addons: serde_json::Value::Null,
        intended_at: Timestamp::UNIX_EPOCH,
    }
}

/// The result of a panel that works at once.
pub(crate) fn at_once<T>(step: Result<Step<T>, PanelError>) -> T {
    match step.expect("the panel does as it is told") {
        Step::Done(value) => value,
        Step::Pending(task, _) => panic!("{task:?} is pending"),
    }
}

/// The result of a call, repeated as a caller would after each of the panel's tasks has ended.
pub(crate) async fn done<'a, T>(panel: &dyn Panel, call: impl Fn() -> PanelFuture<'a, Step<T>>) -> T {
    result(panel, call).await.expect("the panel does as it is told")
}

/// As [`done`], where the call may fail.
pub(crate) async fn result<'a, T>(
    panel: &dyn Panel,
    call: impl Fn() -> PanelFuture<'a, Step<T>>,
) -> Result<T, PanelError> {
    for _ in 0..REPEATS_MAX {
        match call().await? {
            Step::Done(value) => return Ok(value),
            Step::Pending(task, pause) => match ended(panel, task, pause).await? {
                TaskOutcome::Succeeded => {}
                TaskOutcome::Failed(why) => return Err(PanelError::transient(format!("the task failed: {why}"))),
            },
        }
    }
    panic!("the panel is at work for ever");
}

/// As [`done`], where others are at work too, or have been: a panel that is busy is asked again.
pub(crate) async fn settled<'a, T>(panel: &dyn Panel, call: impl Fn() -> PanelFuture<'a, Step<T>>) -> T {
    for _ in 0..REPEATS_MAX {
        match result(panel, &call).await {
            Ok(value) => return value,
            Err(PanelError::Transient(_) | PanelError::RateLimited { .. }) => tokio::time::sleep(PAUSE_MAX).await,
            Err(error) => panic!("the panel does as it is told: {error:?}"),
        }
    }
    panic!("the panel is busy for ever");
}

async fn ended(panel: &dyn Panel, mut task: TaskRef, mut pause: Duration) -> Result<TaskOutcome, PanelError> {
    for _ in 0..REPEATS_MAX {
        tokio::time::sleep(pause.min(PAUSE_MAX)).await;
        match panel.poll(&task).await? {
            Step::Done(outcome) => return Ok(outcome),
            Step::Pending(next, longer) => (task, pause) = (next, longer),
        }
    }
    panic!("{task:?} never ends");
}

pub(crate) async fn created(panel: &dyn Panel, username: &str) -> (CreateSpec, Created) {
    let spec = spec(username);
    let created = done(panel, || panel.ensure_created(&spec)).await;
    (spec, created)
}

/// Whether a create's answer says truly if an earlier one had made the account. A driver whose work goes on as a task cannot
/// know: the call that hears of the end is not the one that began it.
fn says_adopted(panel: &dyn Panel, created: &Created, adopted: bool) -> bool {
    created.adopted == adopted || panel.caps().tasks
}

fn present(spec: &CreateSpec, created: &Created, state: RemoteState) -> Observed {
    Observed::Present { remote_id: created.remote_id.clone(), state, package: spec.package.clone() }
}

async fn a_created_account_is_observed_and_created_once(panel: &dyn Panel, server: &dyn Server) -> Verdict {
    let wanted = spec("cnfcreate");
    assert_eq!(panel.observe(&wanted.account).await.unwrap(), Observed::Absent);

    let first = done(panel, || panel.ensure_created(&wanted)).await;
    let again = done(panel, || panel.ensure_created(&wanted)).await;

    assert!(says_adopted(panel, &first, false));
    assert_eq!(again, Created { adopted: true, ..first.clone() });
    assert_eq!(panel.observe(&wanted.account).await.unwrap(), present(&wanted, &first, RemoteState::Active));
    assert_eq!(server.creates_of(&wanted.account), 1);
    Verdict::Pass
}

async fn what_is_ours_is_listed_as_it_is_and_no_longer_than_it_is_there(panel: &dyn Panel) -> Verdict {
    let (first, made_first) = created(panel, "cnflista").await;
    let (second, made_second) = created(panel, "cnflistb").await;
    done(panel, || panel.ensure_suspended(&second.account, "non_payment")).await;

    let both = listed(panel, "cnflist").await;
    done(panel, || panel.ensure_active(&second.account)).await;
    done(panel, || panel.ensure_absent(&first.account)).await;
    let rest = listed(panel, "cnflist").await;

    for (listed, (spec, made, suspended)) in
        both.iter().zip([(&first, &made_first, false), (&second, &made_second, true)])
    {
        assert_eq!((listed.username.as_str(), listed.suspended), (spec.account.username.as_str(), suspended));
        assert!(listed.account_id.is_none_or(|id| id == spec.account.account_id), "{listed:?}");
        assert!(listed.remote_id.as_ref().is_none_or(|id| *id == made.remote_id), "{listed:?}");
    }
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(matches!(rest.as_slice(), [one] if one.username == "cnflistb" && !one.suspended), "{rest:?}");
    Verdict::Pass
}

/// What the panel lists of the accounts whose names begin like that, by name.
async fn listed(panel: &dyn Panel, names: &str) -> Vec<Listed> {
    let mut listed = panel.list().await.expect("the panel lists its accounts");
    listed.retain(|account| account.username.starts_with(names));
    listed.sort_by(|one, other| one.username.cmp(&other.username));
    listed
}

async fn a_name_of_somebody_else_is_taken_and_left_alone(panel: &dyn Panel, server: &dyn Server) -> Verdict {
    let theirs = match server.make_foreign("cnfforeign") {
        Ok(()) => None,
        Err(_) => Some(created(panel, "cnfforeign").await),
    };
    let listed = listed(panel, "cnfforeign").await;
    let has_another_id =
        |listed: &Listed| listed.account_id == theirs.as_ref().map(|(spec, _)| spec.account.account_id);
    assert!(listed.iter().all(has_another_id) && listed.len() == usize::from(theirs.is_some()), "{listed:?}");
    let image = server.image("cnfforeign");
    let ours = spec("cnfforeign");
    let creates = server.creates_of(&ours.account);

    let refused = result(panel, || panel.ensure_created(&ours)).await.unwrap_err();

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
    if panel.caps().passwords {
        let refused = panel.set_password(&ours.account, &ours.password).await.unwrap_err();
        assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    }
    if let Some((theirs, made)) = theirs {
        assert_eq!(panel.observe(&theirs.account).await.unwrap(), present(&theirs, &made, RemoteState::Active));
    }
    assert_eq!(server.image("cnfforeign"), image);
    assert_eq!(server.creates_of(&ours.account), creates);
    Verdict::Pass
}

async fn suspending_and_activating_may_be_repeated(panel: &dyn Panel) -> Verdict {
    let (spec, made) = created(panel, "cnfsuspend").await;
    let suspended = RemoteState::Suspended { reason: Some("payment_overdue".to_owned()), ours: true };

    for _ in 0..2 {
        done(panel, || panel.ensure_suspended(&spec.account, "payment_overdue")).await;
        assert_eq!(panel.observe(&spec.account).await.unwrap(), present(&spec, &made, suspended.clone()));
    }
    assert!(done(panel, || panel.ensure_created(&spec)).await.adopted);
    done(panel, || panel.ensure_package(&spec.account, &spec.package)).await;
    assert_eq!(
        panel.observe(&spec.account).await.unwrap(),
        present(&spec, &made, suspended),
        "a late create or another package lifts no suspension"
    );
    done(panel, || panel.ensure_suspended(&spec.account, "abuse")).await;
    let for_abuse = RemoteState::Suspended { reason: Some("abuse".to_owned()), ours: true };
    assert_eq!(
        panel.observe(&spec.account).await.unwrap(),
        present(&spec, &made, for_abuse),
        "the latest reason holds"
    );
    for _ in 0..2 {
        done(panel, || panel.ensure_active(&spec.account)).await;
        assert_eq!(panel.observe(&spec.account).await.unwrap(), present(&spec, &made, RemoteState::Active));
    }
    Verdict::Pass
}

async fn a_suspension_of_somebody_else_is_left_alone(panel: &dyn Panel, server: &dyn Server) -> Verdict {
    let (spec, _) = created(panel, "cnfstaff").await;
    if let Err(skip) = server.suspend_foreign("cnfstaff") {
        return Verdict::from(skip);
    }
    let image = server.image("cnfstaff");

    done(panel, || panel.ensure_suspended(&spec.account, "non_payment")).await;
    let refused = result(panel, || panel.ensure_active(&spec.account)).await.unwrap_err();

    assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    let observed = panel.observe(&spec.account).await.unwrap();
    let is_theirs = |state: &RemoteState| matches!(state, RemoteState::Suspended { ours: false, .. });
    assert!(matches!(&observed, Observed::Present { state, .. } if is_theirs(state)), "{observed:?}");
    assert_eq!(server.image("cnfstaff"), image);
    Verdict::Pass
}

async fn a_package_reads_back(panel: &dyn Panel) -> Verdict {
    let (mut spec, made) = created(panel, "cnfpackage").await;
    spec.package = "large".to_owned();

    for _ in 0..2 {
        done(panel, || panel.ensure_package(&spec.account, "large")).await;
        assert_eq!(panel.observe(&spec.account).await.unwrap(), present(&spec, &made, RemoteState::Active));
    }
    Verdict::Pass
}

async fn removing_may_be_repeated_and_frees_the_name(panel: &dyn Panel, server: &dyn Server) -> Verdict {
    let (gone, _) = created(panel, "cnfremove").await;

    for _ in 0..2 {
        done(panel, || panel.ensure_absent(&gone.account)).await;
        assert_eq!(panel.observe(&gone.account).await.unwrap(), Observed::Absent);
    }

    assert_eq!(server.creates_of(&gone.account), 1, "the record outlives the account");
    let next = spec("cnfremove");
    let creates = server.creates_of(&next.account);
    let made = done(panel, || panel.ensure_created(&next)).await;
    assert!(says_adopted(panel, &made, false));
    assert_eq!(server.creates_of(&next.account), creates + 1);
    Verdict::Pass
}

async fn what_is_not_there_is_absent_already_and_cannot_be_changed(panel: &dyn Panel) -> Verdict {
    let nobody = spec("cnfnobody").account;

    done(panel, || panel.ensure_absent(&nobody)).await;

    for refused in [
        panel.ensure_suspended(&nobody, "abuse").await.unwrap_err(),
        panel.ensure_active(&nobody).await.unwrap_err(),
        panel.ensure_package(&nobody, "large").await.unwrap_err(),
    ] {
        assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    }
    assert_eq!(panel.observe(&nobody).await.unwrap(), Observed::Absent);
    Verdict::Pass
}

async fn ten_creates_at_once_make_one_account(panel: &dyn Panel, server: &dyn Server) -> Verdict {
    let spec = spec("cnfrace");

    let answers = join_all((0..10).map(|_| settled(panel, || panel.ensure_created(&spec)))).await;

    let made = answers.iter().filter(|created| !created.adopted).count();
    assert!(made == 1 || panel.caps().tasks, "{answers:?}");
    assert_eq!(server.creates_of(&spec.account), 1);
    Verdict::Pass
}

async fn a_new_password_opens_and_the_old_one_does_not(panel: &dyn Panel, server: &dyn Server) -> Verdict {
    if !panel.caps().passwords {
        return Verdict::from(Skip("its accounts have no passwords"));
    }
    let (spec, _) = created(panel, "cnfpasswd").await;
    let new = SecretString::from("Rw7nTb3kYc5dFg9x-pQm");
    let old = spec.password.expose_secret();
    match server.opens("cnfpasswd", old).await {
        Ok(opens) => assert!(opens, "the first password opens"),
        Err(skip) => return Verdict::from(skip),
    }

    for _ in 0..2 {
        done(panel, || panel.set_password(&spec.account, &new)).await;

        assert_eq!(server.opens("cnfpasswd", new.expose_secret()).await, Ok(true));
        assert_eq!(server.opens("cnfpasswd", old).await, Ok(false));
    }
    Verdict::Pass
}

async fn an_unknown_task_has_not_succeeded(panel: &dyn Panel) -> Verdict {
    let answer = panel.poll(&TaskRef("no-such-task".to_owned())).await;

    match answer {
        Ok(Step::Done(TaskOutcome::Failed(_))) | Err(PanelError::Permanent(_) | PanelError::Ambiguous(_)) => {
            Verdict::Pass
        }
        other => panic!("{other:?}"),
    }
}

async fn what_the_caps_deny_is_refused_for_good(panel: &dyn Panel) -> Verdict {
    let (spec, _) = created(panel, "cnfcaps").await;
    let (account, caps) = (&spec.account, panel.caps());
    let reference = BackupRef::new(account.account_id, 1);

    let password = result(panel, || panel.set_password(account, &spec.password)).await;
    let login = panel.login_url(account).await.map(drop);
    let usage = panel.usage(account).await.map(drop);
    let backup = result(panel, || panel.ensure_backup(account, &reference)).await.map(drop);
    let restore = match caps.backups {
        true => Ok(()),
        false => result(panel, || panel.ensure_restored(account, &reference)).await,
    };
    let backup_gone = match caps.backups {
        true => Ok(()),
        false => result(panel, || panel.ensure_backup_absent(&reference)).await,
    };

    for (able, answer) in [
        (caps.passwords, password),
        (caps.login_url, login),
        (caps.usage, usage),
        (caps.backups, backup),
        (caps.backups, restore),
        (caps.backups, backup_gone),
    ] {
        match answer {
            Ok(()) => assert!(able),
            Err(PanelError::Permanent(_)) => assert!(!able),
            Err(other) => panic!("{other:?}"),
        }
    }
    panel.probe().await.unwrap();
    Verdict::Pass
}
