//! Backups of customers' files: there is a place for them, on another disk, and the newest one can be read to its end.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::check::{Check, broken, ok, warning};
use crate::{
    app::{panels_of, site_config},
    config::Config,
    error::chain,
    gateways::panels::{
        PanelError,
        site::{NewestBackup, SitePanel},
    },
};

/// What was seen of the directory.
#[derive(Clone, Debug, Default)]
struct Place {
    backups: PathBuf,
    exists: bool,
    /// Why nothing can be written there.
    unwritable: Option<String>,
    same_disk_as_sites: bool,
    mode: u32,
}

pub(super) async fn look(config: &Config) -> Vec<Check> {
    let of_sites = panels_of(config).is_ok_and(|panels| panels.servers().any(|(_, driver, _)| driver == "site"));
    if !of_sites {
        return vec![ok("backups", "every server keeps those of its own accounts; none is kept on this machine")];
    }
    let place = seen(&config.hosting.backups_dir(), &config.hosting.sites_dir);
    let mut checks = of_place(&place);
    if place.exists {
        let panel = SitePanel::new(site_config(config));
        checks.push(of_newest(panel.check_newest_backup().await));
    }
    checks
}

fn seen(backups: &Path, sites: &Path) -> Place {
    let mut place = Place { backups: backups.to_owned(), ..Place::default() };
    let Ok(metadata) = fs::metadata(backups) else { return place };
    place.exists = metadata.is_dir();
    place.mode = metadata.mode() & 0o777;
    place.same_disk_as_sites = fs::metadata(sites).is_ok_and(|sites| sites.dev() == metadata.dev());
    place.unwritable = writes(backups).err().map(|error| error.to_string());
    place
}

/// Writes a file and takes it away again.
fn writes(folder: &Path) -> io::Result<()> {
    let trial = folder.join(format!(".doctor-{}", std::process::id()));
    fs::write(&trial, "Written by `berth doctor`; may be deleted.\n")?;
    fs::remove_file(&trial)
}

fn of_place(place: &Place) -> Vec<Check> {
    const NAME: &str = "backups";
    let shown = place.backups.display();
    if !place.exists {
        let fix =
            format!("install -d -m 0700 -o berth {shown}, or set hosting.backups_dir; else the first backup makes it");
        return vec![warning(NAME, format!("{shown} is not there"), fix)];
    }
    if let Some(why) = &place.unwritable {
        let fix = format!("chown -R berth {shown}, or make room; no account is removed of which no backup can be made");
        return vec![broken(NAME, format!("{shown} cannot be written to: {why}"), fix)];
    }
    if place.mode & 0o007 != 0 {
        let detail = format!("every user of this machine may look into {shown}, which holds customers' files");
        return vec![broken(NAME, detail, format!("chmod o-rwx {shown}"))];
    }
    if place.same_disk_as_sites {
        let detail = format!("{shown} can be written to, and is on the disk of the sites: both are lost with it");
        return vec![warning(
            NAME,
            detail,
            "set hosting.backups_dir to a directory of another disk, and copy it elsewhere",
        )];
    }
    vec![ok(NAME, format!("{shown} can be written to, and is on another disk than the sites"))]
}

fn of_newest(newest: Result<Option<NewestBackup>, PanelError>) -> Check {
    const NAME: &str = "newest backup";
    match newest {
        Ok(None) => ok(NAME, "none was needed yet: an account is backed up before it is removed"),
        Ok(Some(NewestBackup { name, whole: true, bytes })) => {
            ok(NAME, format!("{name} is whole: its {bytes} bytes were read to their end and unpacked"))
        }
        Ok(Some(NewestBackup { name, whole: false, .. })) => {
            let fix =
                "look at the disk (dmesg, smartctl); `berth jobs list` shows what made it, and others may be damaged";
            broken(NAME, format!("{name} is damaged, and cannot be restored"), fix)
        }
        Err(error) => broken(NAME, chain(&error), "look as the user that Berth runs as"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{super::check::Verdict, *};

    fn place() -> Place {
        Place { backups: "/var/backups/berth".into(), exists: true, mode: 0o700, ..Place::default() }
    }

    #[track_caller]
    fn says(place: &Place, verdict: Verdict, words: &str) {
        let check = &of_place(place)[0];
        assert_eq!(check.verdict, verdict, "{check:?}");
        assert!(check.detail.contains(words), "{check:?}");
    }

    #[test]
    fn a_place_that_is_missing_closed_open_to_all_or_on_the_same_disk_is_told() {
        says(&place(), Verdict::Ok, "another disk");
        says(&Place { exists: false, ..place() }, Verdict::Warning, "not there");
        says(&Place { unwritable: Some("no space left".to_owned()), ..place() }, Verdict::Broken, "no space left");
        says(&Place { mode: 0o755, ..place() }, Verdict::Broken, "every user");
        says(&Place { same_disk_as_sites: true, ..place() }, Verdict::Warning, "lost with it");
    }

    #[test]
    fn a_directory_is_seen_as_it_is_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (backups, sites) = (folder.path().join("backups"), folder.path().join("sites"));
        fs::create_dir(&backups).unwrap();
        fs::create_dir(&sites).unwrap();
        fs::set_permissions(&backups, fs::Permissions::from_mode(0o750)).unwrap();

        let there = seen(&backups, &sites);
        let gone = seen(&folder.path().join("nowhere"), &sites);

        assert!(there.exists && there.unwritable.is_none() && there.same_disk_as_sites && there.mode == 0o750);
        assert!(!gone.exists);
        assert_eq!(fs::read_dir(&backups).unwrap().count(), 0);
    }

    #[test]
    fn a_backup_that_is_damaged_fails() {
        let newest = |whole| Ok(Some(NewestBackup { name: "acc_1-7".to_owned(), whole, bytes: 12 }));

        assert_eq!(of_newest(newest(true)).verdict, Verdict::Ok);
        assert_eq!(of_newest(newest(false)).verdict, Verdict::Broken);
        assert_eq!(of_newest(Ok(None)).verdict, Verdict::Ok);
        assert_eq!(of_newest(Err(PanelError::transient("it is away"))).verdict, Verdict::Broken);
    }
}
