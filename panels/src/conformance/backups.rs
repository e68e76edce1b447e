//! What every driver must do that keeps backups.

use futures::future::join_all;

use super::{
    Server,
    cases::{Verdict, case},
    created, done, present, result, settled, spec,
};
use crate::{AccountRef, BackupRef, Observed, Panel, PanelError, RemoteState};

pub(crate) async fn conformance(panel: &dyn Panel, server: &dyn Server) {
    let driver = server.driver();
    case(driver, "backup_once", a_backup_is_made_once_and_stays_as_it_is(panel, server)).await;
    case(driver, "ten_backups_at_once", ten_backups_at_once_are_one(panel, server)).await;
    case(driver, "backup_restores", a_backup_outlives_its_account_and_gives_its_files_back(panel, server)).await;
    case(driver, "restore_once", a_restore_is_done_once_and_lifts_no_suspension(panel, server)).await;
    case(driver, "delete_backup_twice", deleting_a_backup_may_be_repeated(panel, server)).await;
    case(driver, "foreign_backup", what_is_somebody_elses_is_neither_kept_nor_restored(panel, server)).await;
    case(driver, "backup_of_absent", what_is_not_there_can_be_neither_kept_nor_restored(panel)).await;
}

/// What a caller would name a backup of the account.
fn backup_of(account: &AccountRef) -> BackupRef {
    BackupRef::new(account.account_id, 7)
}

fn is_permanent<T: std::fmt::Debug>(answer: Result<T, PanelError>) {
    assert!(matches!(answer, Err(PanelError::Permanent(_))), "{answer:?}");
}

async fn a_backup_is_made_once_and_stays_as_it_is(panel: &dyn Panel, server: &dyn Server) -> Verdict {
    let (spec, made) = created(panel, "bckonce").await;
    server.write("bckonce", "page.html", "first");
    let backup = backup_of(&spec.account);

    let first = done(panel, || panel.ensure_backup(&spec.account, &backup)).await;
    server.write("bckonce", "page.html", "a second, longer one");
    let again = done(panel, || panel.ensure_backup(&spec.account, &backup)).await;
    let later = BackupRef::new(spec.account.account_id, 8);
    let another = done(panel, || panel.ensure_backup(&spec.account, &later)).await;

    let listed = panel.list().await.unwrap();
    let of_account = listed.iter().filter(|listed| listed.account_id == Some(spec.account.account_id));
    assert_eq!(of_account.count(), 1, "a backup is no account: {listed:?}");
    assert_eq!(first.reference, backup);
    assert!(first.bytes > 0);
    assert_eq!(again, first, "it is that of the first call");
    assert_ne!(another.reference, first.reference);
    assert_eq!(panel.observe(&spec.account).await.unwrap(), present(&spec, &made, RemoteState::Active));
    assert_eq!(server.files("bckonce")["page.html"], "a second, longer one");
    Verdict::Pass
}

async fn ten_backups_at_once_are_one(panel: &dyn Panel, server: &dyn Server) -> Verdict {
    let (spec, _) = created(panel, "bckrace").await;
    server.write("bckrace", "page.html", "text");
    let backup = backup_of(&spec.account);

    let answers = join_all((0..10).map(|_| settled(panel, || panel.ensure_backup(&spec.account, &backup)))).await;

    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    Verdict::Pass
}

async fn a_backup_outlives_its_account_and_gives_its_files_back(panel: &dyn Panel, server: &dyn Server) -> Verdict {
    let (spec, _) = created(panel, "bckgone").await;
    for (path, text) in [("page.html", "text"), ("deep/er/page.html", "deeper"), ("empty", "")] {
        server.write("bckgone", path, text);
    }
    let files = server.files("bckgone");
    let backup = backup_of(&spec.account);
    let kept = done(panel, || panel.ensure_backup(&spec.account, &backup)).await;

    done(panel, || panel.ensure_absent(&spec.account)).await;
    let again = done(panel, || panel.ensure_backup(&spec.account, &backup)).await;
    let gone = panel.observe(&spec.account).await.unwrap();
    done(panel, || panel.ensure_created(&spec)).await;
    server.write("bckgone", "new.html", "written in the new account");
    done(panel, || panel.ensure_restored(&spec.account, &backup)).await;

    assert_eq!(again, kept, "whoever is called again after the account's end hears of the backup");
    assert_eq!(gone, Observed::Absent);
    assert_eq!(server.files("bckgone"), files);
    Verdict::Pass
}

async fn a_restore_is_done_once_and_lifts_no_suspension(panel: &dyn Panel, server: &dyn Server) -> Verdict {
    let (spec, made) = created(panel, "bckagain").await;
    server.write("bckagain", "page.html", "old");
    done(panel, || panel.ensure_suspended(&spec.account, "non_payment")).await;
    let backup = backup_of(&spec.account);
    done(panel, || panel.ensure_backup(&spec.account, &backup)).await;

    done(panel, || panel.ensure_restored(&spec.account, &backup)).await;
    server.write("bckagain", "page.html", "new");
    done(panel, || panel.ensure_restored(&spec.account, &backup)).await;

    assert_eq!(server.files("bckagain")["page.html"], "new", "a late repetition takes nothing away");
    let suspended = RemoteState::Suspended { reason: Some("non_payment".to_owned()), ours: true };
    assert_eq!(panel.observe(&spec.account).await.unwrap(), present(&spec, &made, suspended));
    Verdict::Pass
}

async fn deleting_a_backup_may_be_repeated(panel: &dyn Panel, server: &dyn Server) -> Verdict {
    let (spec, made) = created(panel, "bckdelete").await;
    server.write("bckdelete", "page.html", "first");
    let backup = backup_of(&spec.account);
    done(panel, || panel.ensure_backup(&spec.account, &backup)).await;

    for _ in 0..2 {
        done(panel, || panel.ensure_backup_absent(&backup)).await;
        is_permanent(result(panel, || panel.ensure_restored(&spec.account, &backup)).await);
    }

    assert_eq!(panel.observe(&spec.account).await.unwrap(), present(&spec, &made, RemoteState::Active));
    assert_eq!(server.files("bckdelete")["page.html"], "first");
    assert_eq!(
        done(panel, || panel.ensure_backup(&spec.account, &backup)).await.reference,
        backup,
        "it can be made again"
    );
    Verdict::Pass
}

async fn what_is_somebody_elses_is_neither_kept_nor_restored(panel: &dyn Panel, server: &dyn Server) -> Verdict {
    let (theirs, _) = created(panel, "bcktheirs").await;
    server.write("bcktheirs", "page.html", "theirs");
    let (ours, _) = created(panel, "bckours").await;
    server.write("bckours", "page.html", "ours");
    let under_their_name = spec("bcktheirs");
    let (their_backup, not_made) = (backup_of(&theirs.account), backup_of(&under_their_name.account));
    done(panel, || panel.ensure_backup(&theirs.account, &their_backup)).await;

    is_permanent(result(panel, || panel.ensure_backup(&under_their_name.account, &not_made)).await);
    is_permanent(result(panel, || panel.ensure_backup(&ours.account, &their_backup)).await);
    is_permanent(result(panel, || panel.ensure_restored(&ours.account, &their_backup)).await);
    is_permanent(result(panel, || panel.ensure_restored(&under_their_name.account, &their_backup)).await);

    assert_eq!(server.files("bckours")["page.html"], "ours");
    assert_eq!(server.files("bcktheirs")["page.html"], "theirs");
    done(panel, || panel.ensure_backup_absent(&not_made)).await;
    done(panel, || panel.ensure_restored(&theirs.account, &their_backup)).await;
    Verdict::Pass
}

async fn what_is_not_there_can_be_neither_kept_nor_restored(panel: &dyn Panel) -> Verdict {
    let nobody = spec("bcknobody").account;
    let (somebody, _) = created(panel, "bcksomeone").await;
    let (of_nobody, of_somebody) = (backup_of(&nobody), backup_of(&somebody.account));

    is_permanent(result(panel, || panel.ensure_backup(&nobody, &of_nobody)).await);
    is_permanent(result(panel, || panel.ensure_restored(&nobody, &of_nobody)).await);
    is_permanent(result(panel, || panel.ensure_restored(&somebody.account, &of_somebody)).await);
    done(panel, || panel.ensure_backup_absent(&of_nobody)).await;

    assert_eq!(panel.observe(&nobody).await.unwrap(), Observed::Absent);
    Verdict::Pass
}
