//! Backups: damaged, unreadable, and restores that are killed.

use std::process::Command;

use super::{
    machine::{Machine, host},
    *,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_made_anew_and_not_restored() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let (spec, _) = created(&panel, "damaged").await;
    machine.write("damaged", "page.html", "text");
    let backup = BackupRef::new(spec.account.account_id, 1);
    for file in ["files.tar.gz", "database.sql.gz", "backup.json"] {
        at_once(panel.ensure_backup(&spec.account, &backup).await);
        let path = machine.path("backups").join(format!("{}-1", spec.account.account_id.0)).join(file);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();

        let refused = panel.ensure_restored(&spec.account, &backup).await.unwrap_err();
        at_once(panel.ensure_backup(&spec.account, &backup).await);

        assert!(matches!(refused, PanelError::Permanent(_)), "{file}: {refused:?}");
        assert!(std::fs::read(&path).unwrap().len() > whole.len() - 9, "{file}");
    }
    at_once(panel.ensure_restored(&spec.account, &backup).await);
    assert_eq!(machine.files("damaged")["page.html"], "text");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_its_owner_cannot_read_is_for_staff_to_look_at() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let (spec, _) = created(&panel, "unread").await;
    machine.write("unread", "shut.html", "text");
    let shut = machine.home("unread").join("public_html/shut.html");
    assert!(Command::new("/bin/chmod").arg("000").arg(&shut).status().unwrap().success());
    let backup = BackupRef::new(spec.account.account_id, 1);

    let refused = panel.ensure_backup(&spec.account, &backup).await.unwrap_err();

    assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    assert!(Command::new("/bin/chmod").arg("644").arg(&shut).status().unwrap().success());
    at_once(panel.ensure_backup(&spec.account, &backup).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_killed_at_any_step_is_finished_by_the_next() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();

    for (n, place) in ["restore_emptied", "restore_loaded", "restore_moved", "restore_done"].into_iter().enumerate() {
        let name = format!("restored{n}");
        let (spec, _) = created(&panel, &name).await;
        machine.write(&name, "deep/page.html", "old");
        machine.sql(&format!("create table {name}_main.t (n int); insert into {name}_main.t values (1)"));
        let backup = BackupRef::new(spec.account.account_id, 1);
        at_once(panel.ensure_backup(&spec.account, &backup).await);
        machine.write(&name, "deep/page.html", "new");
        machine.sql(&format!("insert into {name}_main.t values (2); create database {name}_later"));
        let killed = machine.panel_that_dies_at(place).ensure_restored(&spec.account, &backup).await.unwrap_err();
        assert!(matches!(killed, PanelError::Ambiguous(_)), "{place}: {killed:?}");

        at_once(panel.ensure_restored(&spec.account, &backup).await);

        assert_eq!(machine.get(&host(&name), "/deep/page.html").body, "old", "{place}");
        assert_eq!(machine.sql(&format!("select count(*) from {name}_main.t")), "1", "{place}");
        assert_eq!(machine.sql(&format!("show databases like '{name}_later'")), "", "{place}");
        assert!(matches!(panel.observe(&spec.account).await.unwrap(), Observed::Present { .. }), "{place}");
        assert_eq!(std::fs::read_dir(machine.home(&name)).unwrap().count(), 4, "{place}: nothing is left beside");
    }
}
