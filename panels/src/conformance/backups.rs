//! What every driver must do that keeps backups.

use futures::future::join_all;

use super::{Server, created, done, present, spec};
use crate::{AccountRef, BackupRef, Observed, Panel, PanelError, RemoteState};

pub(super) async fn conformance(panel: &dyn Panel, server: &dyn Server) {
    a_backup_is_made_once_and_stays_as_it_is(panel, server).await;
    ten_backups_at_once_are_one(panel, server).await;
    a_backup_outlives_its_account_and_gives_its_files_back(panel, server).await;
    a_restore_is_done_once_and_lifts_no_suspension(panel, server).await;
    deleting_a_backup_may_be_repeated(panel, server).await;
    what_is_somebody_elses_is_neither_kept_nor_restored(panel, server).await;
    what_is_not_there_can_be_neither_kept_nor_restored(panel).await;
}

/// What a caller would name a backup of the account.
fn backup_of(account: &AccountRef) -> BackupRef {
    BackupRef::new(account.account_id, 7)
}

fn is_permanent<T: std::fmt::Debug>(answer: Result<T, PanelError>) {
    assert!(matches!(answer, Err(PanelError::Permanent(_))), "{answer:?}");
}

async fn a_backup_is_made_once_and_stays_as_it_is(panel: &dyn Panel, server: &dyn Server) {
    let (spec, made) = created(panel, "bckonce").await;
    server.write("bckonce", "page.html", "first");
    let backup = backup_of(&spec.account);

    let first = done(panel.ensure_backup(&spec.account, &backup).await);
    server.write("bckonce", "page.html", "a second, longer one");
    let again = done(panel.ensure_backup(&spec.account, &backup).await);
    let another = done(panel.ensure_backup(&spec.account, &BackupRef::new(spec.account.account_id, 8)).await);

    assert_eq!(first.reference, backup);
    assert!(first.bytes > 0);
    assert_eq!(again, first, "it is that of the first call");
    assert_ne!(another.reference, first.reference);
    assert_eq!(panel.observe(&spec.account).await.unwrap(), present(&spec, &made, RemoteState::Active));
    assert_eq!(server.files("bckonce")["page.html"], "a second, longer one");
}

async fn ten_backups_at_once_are_one(panel: &dyn Panel, server: &dyn Server) {
    let (spec, _) = created(panel, "bckrace").await;
    server.write("bckrace", "page.html", "text");
    let backup = backup_of(&spec.account);

    let answers = join_all((0..10).map(|_| panel.ensure_backup(&spec.account, &backup))).await;

    let answers: Vec<_> = answers.into_iter().map(done).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

async fn a_backup_outlives_its_account_and_gives_its_files_back(panel: &dyn Panel, server: &dyn Server) {
    let (spec, _) = created(panel, "bckgone").await;
    for (path, text) in [("page.html", "text"), ("deep/er/page.html", "deeper"), ("empty", "")] {
        server.write("bckgone", path, text);
    }
    let files = server.files("bckgone");
    let backup = backup_of(&spec.account);
    let kept = done(panel.ensure_backup(&spec.account, &backup).await);

    done(panel.ensure_absent(&spec.account).await);
    let again = done(panel.ensure_backup(&spec.account, &backup).await);
    let gone = panel.observe(&spec.account).await.unwrap();
    done(panel.ensure_created(&spec).await);
    server.write("bckgone", "new.html", "written in the new account");
    done(panel.ensure_restored(&spec.account, &backup).await);

    assert_eq!(again, kept, "whoever is called again after the account's end hears of the backup");
    assert_eq!(gone, Observed::Absent);
    assert_eq!(server.files("bckgone"), files);
}

async fn a_restore_is_done_once_and_lifts_no_suspension(panel: &dyn Panel, server: &dyn Server) {
    let (spec, made) = created(panel, "bckagain").await;
    server.write("bckagain", "page.html", "old");
    done(panel.ensure_suspended(&spec.account, "non_payment").await);
    let backup = backup_of(&spec.account);
    done(panel.ensure_backup(&spec.account, &backup).await);

    done(panel.ensure_restored(&spec.account, &backup).await);
    server.write("bckagain", "page.html", "new");
    done(panel.ensure_restored(&spec.account, &backup).await);

    assert_eq!(server.files("bckagain")["page.html"], "new", "a late repetition takes nothing away");
    let suspended = RemoteState::Suspended { reason: Some("non_payment".to_owned()), ours: true };
    assert_eq!(panel.observe(&spec.account).await.unwrap(), present(&spec, &made, suspended));
}

async fn deleting_a_backup_may_be_repeated(panel: &dyn Panel, server: &dyn Server) {
    let (spec, made) = created(panel, "bckdelete").await;
    server.write("bckdelete", "page.html", "first");
    let backup = backup_of(&spec.account);
    done(panel.ensure_backup(&spec.account, &backup).await);

    for _ in 0..2 {
        done(panel.ensure_backup_absent(&backup).await);
        is_permanent(panel.ensure_restored(&spec.account, &backup).await);
    }

    assert_eq!(panel.observe(&spec.account).await.unwrap(), present(&spec, &made, RemoteState::Active));
    assert_eq!(server.files("bckdelete")["page.html"], "first");
    assert_eq!(done(panel.ensure_backup(&spec.account, &backup).await).reference, backup, "it can be made again");
}

async fn what_is_somebody_elses_is_neither_kept_nor_restored(panel: &dyn Panel, server: &dyn Server) {
    let (theirs, _) = created(panel, "bcktheirs").await;
    server.write("bcktheirs", "page.html", "theirs");
    let (ours, _) = created(panel, "bckours").await;
    server.write("bckours", "page.html", "ours");
    let under_their_name = spec("bcktheirs");
    let their_backup = backup_of(&theirs.account);
    done(panel.ensure_backup(&theirs.account, &their_backup).await);

    is_permanent(panel.ensure_backup(&under_their_name.account, &backup_of(&under_their_name.account)).await);
    is_permanent(panel.ensure_backup(&ours.account, &their_backup).await);
    is_permanent(panel.ensure_restored(&ours.account, &their_backup).await);
    is_permanent(panel.ensure_restored(&under_their_name.account, &their_backup).await);

    assert_eq!(server.files("bckours")["page.html"], "ours");
    assert_eq!(server.files("bcktheirs")["page.html"], "theirs");
    done(panel.ensure_backup_absent(&backup_of(&under_their_name.account)).await);
    done(panel.ensure_restored(&theirs.account, &their_backup).await);
}

async fn what_is_not_there_can_be_neither_kept_nor_restored(panel: &dyn Panel) {
    let nobody = spec("bcknobody").account;
    let (somebody, _) = created(panel, "bcksomeone").await;

    is_permanent(panel.ensure_backup(&nobody, &backup_of(&nobody)).await);
    is_permanent(panel.ensure_restored(&nobody, &backup_of(&nobody)).await);
    is_permanent(panel.ensure_restored(&somebody.account, &backup_of(&somebody.account)).await);
    done(panel.ensure_backup_absent(&backup_of(&nobody)).await);

    assert_eq!(panel.observe(&nobody).await.unwrap(), Observed::Absent);
}
