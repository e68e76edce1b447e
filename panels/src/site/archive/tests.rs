//! Archives of trees that a customer has made, and archives that Berth has not.

use std::{
    ffi::OsString,
    fs,
    os::unix::{
        ffi::OsStringExt as _,
        fs::{PermissionsExt as _, symlink},
    },
};

use tempfile::TempDir;

use super::*;

fn packed(top: &Path) -> (Packed, File) {
    let archive = tempfile::tempfile().unwrap();
    let packed = pack(Some(&Tree::open(top).unwrap()), &archive).unwrap();
    (packed, archive)
}

/// What is packed and unpacked again.
fn through_an_archive(top: &Path) -> (Packed, TempDir) {
    let (packed, archive) = packed(top);
    let out = TempDir::new().unwrap();
    let unpacked = unpack(&archive, out.path()).unwrap();
    assert_eq!(unpacked, packed.contents);
    (packed, out)
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn strange_names_come_back_byte_by_byte() {
    let top = TempDir::new().unwrap();
    let names: Vec<OsString> = [
        b"-rf".to_vec(),
        b"two\nlines".to_vec(),
        b" ".to_vec(),
        b"...".to_vec(),
        b"..a".to_vec(),
        b"back\\slash".to_vec(),
        b"\xff\xfe not text".to_vec(),
        vec![b'n'; 255],
        vec![0xff; 255],
        "größe ☂".as_bytes().to_vec(),
    ]
    .into_iter()
    .map(OsString::from_vec)
    .collect();
    let deep: PathBuf = (0..12).map(|_| OsString::from_vec([vec![0xfe], vec![b'd'; 199]].concat())).collect();
    fs::create_dir_all(top.path().join(&deep)).unwrap();
    for dir in [Path::new(""), &deep] {
        for name in &names {
            fs::write(top.path().join(dir).join(name), name.as_bytes()).unwrap();
        }
    }

    let (packed, out) = through_an_archive(top.path());

    for dir in [Path::new(""), &deep] {
        for name in &names {
            assert_eq!(fs::read(out.path().join(dir).join(name)).unwrap(), name.as_bytes(), "{name:?}");
        }
    }
    assert_eq!(packed.contents.entries, 1 + 12 + 20);
}

#[test]
fn contents_modes_and_times_come_back() {
    let top = TempDir::new().unwrap();
    let noise: Vec<u8> = (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(top.path().join("noise"), &noise).unwrap();
    fs::write(top.path().join("empty"), "").unwrap();
    fs::create_dir(top.path().join("no-way-in")).unwrap();
    fs::write(top.path().join("no-way-in/page"), "text").unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::options().write(true).open(top.path().join("noise")).unwrap().set_modified(then).unwrap();
    set_mode(&top.path().join("noise"), 0o640);
    set_mode(&top.path().join("empty"), 0o4755);
    set_mode(&top.path().join("no-way-in"), 0o550);

    let (packed, out) = through_an_archive(top.path());

    assert_eq!(fs::read(out.path().join("noise")).unwrap(), noise);
    assert_eq!(fs::metadata(out.path().join("noise")).unwrap().modified().unwrap(), then);
    assert_eq!(mode_of(&out.path().join("noise")), 0o640);
    assert_eq!(mode_of(&out.path().join("empty")), 0o755, "nobody becomes its owner by running it");
    assert_eq!(mode_of(&out.path().join("no-way-in")), 0o750, "Berth can serve and delete it");
    assert_eq!(packed.contents, Contents { entries: 5, bytes: 800_000 + 4 });
}

#[test]
fn links_are_kept_as_links_and_followed_by_nobody() {
    let (top, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(elsewhere.path().join("secret"), "SECRET".repeat(100)).unwrap();
    let long = format!("{}target", "./".repeat(150));
    let targets = [
        elsewhere.path().to_str().unwrap().to_owned(),
        elsewhere.path().join("secret").to_str().unwrap().to_owned(),
        "../../..//etc/passwd".to_owned(),
        "itself".to_owned(),
        "x".repeat(100),
        "x".repeat(101),
        "/".to_owned(),
    ];
    for (n, target) in targets.iter().enumerate() {
        symlink(target, top.path().join(format!("link{n}"))).unwrap();
    }
    symlink(&long, top.path().join("long")).unwrap();

    let (packed, out) = through_an_archive(top.path());

    for (n, target) in targets.iter().enumerate() {
        assert_eq!(fs::read_link(out.path().join(format!("link{n}"))).unwrap(), Path::new(target));
    }
    assert!(fs::read_link(out.path().join("long")).unwrap().ends_with("target"));
    assert_eq!(packed.contents, Contents { entries: 9, bytes: 0 });
}

#[test]
fn a_pipe_is_skipped_and_nobody_waits_for_it() {
    let top = TempDir::new().unwrap();
    nix::unistd::mkfifo(&top.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(top.path().join("socket")).unwrap();
    fs::write(top.path().join("page"), "text").unwrap();

    let (packed, out) = through_an_archive(top.path());

    assert_eq!((packed.skipped, packed.contents.entries), (2, 2));
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_became_a_pipe_or_a_link_is_not_read() {
    let top = TempDir::new().unwrap();
    nix::unistd::mkfifo(&top.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    symlink("/etc/passwd", top.path().join("link")).unwrap();
    let dir = Tree::open(top.path()).unwrap().dir(Path::new("")).unwrap();

    for name in ["pipe", "link"] {
        read_file(&dir, OsStr::new(name)).unwrap_err();
    }
}

#[test]
fn a_directory_that_became_a_link_is_not_entered() {
    let (top, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::create_dir(elsewhere.path().join("sub")).unwrap();
    symlink(elsewhere.path(), top.path().join("link")).unwrap();
    let tree = Tree::open(top.path()).unwrap();

    tree.dir(Path::new("link")).unwrap_err();
    tree.dir(Path::new("link/sub")).unwrap_err();
    Tree::open(&top.path().join("link")).map(drop).unwrap_err();
}

#[test]
fn a_file_that_shrinks_while_it_is_read_makes_no_archive() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"four").unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut text = Vec::new();

    let refused = Exactly { file, left: 5 }.read_to_end(&mut text).unwrap_err();

    assert_eq!(refused.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_file_of_holes_larger_than_any_disk_is_refused() {
    let top = TempDir::new().unwrap();
    let sparse = File::create(top.path().join("sparse")).unwrap();
    if sparse.set_len(CONTENT_MAX + 1).is_err() {
        return; // this disk cannot hold one
    }
    let archive = tempfile::tempfile().unwrap();

    let refused = pack(Some(&Tree::open(top.path()).unwrap()), &archive).err().unwrap();

    assert_eq!(refused.kind(), ErrorKind::InvalidData);
}

#[test]
fn an_account_without_files_has_an_empty_archive() {
    let archive = tempfile::tempfile().unwrap();

    let packed = pack(None, &archive).unwrap();

    assert_eq!(packed.contents, Contents::default());
    assert_eq!(check(&archive).unwrap(), Contents::default());
}

#[test]
fn an_archive_that_was_cut_off_or_changed_is_noticed() {
    let top = TempDir::new().unwrap();
    fs::write(top.path().join("page"), "text".repeat(10_000)).unwrap();
    let (packed, mut archive) = packed(top.path());
    let mut whole = Vec::new();
    archive.seek(SeekFrom::Start(0)).unwrap();
    archive.read_to_end(&mut whole).unwrap();
    assert_eq!(hash(&archive).unwrap(), packed.sha256);
    assert_eq!(u64::try_from(whole.len()).unwrap(), packed.archive_bytes);

    for damaged in [&whole[..whole.len() - 1], &whole[..whole.len() / 2], &[]] {
        let mut cut = tempfile::tempfile().unwrap();
        cut.write_all(damaged).unwrap();

        assert!(check(&cut).is_err(), "{} of {} bytes", damaged.len(), whole.len());
        assert_ne!(hash(&cut).unwrap(), packed.sha256);
    }
}

/// An archive that somebody else wrote: the path of each entry is taken as it is.
fn forged(entries: &[(EntryType, &str, &str)]) -> File {
    let archive = tempfile::tempfile().unwrap();
    let mut tar = Builder::new(GzEncoder::new(&archive, Compression::fast()));
    for (kind, path, what) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o777);
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        let text = if kind.is_file() { what.as_bytes() } else { b"" };
        if !kind.is_file() {
            header.set_link_name_literal(what).unwrap();
        }
        header.set_size(u64::try_from(text.len()).unwrap());
        header.set_cksum();
        tar.append(&header, text).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
    archive
}

#[test]
fn an_archive_writes_nothing_outside_of_its_directory() {
    let around = TempDir::new().unwrap();
    let around_text = around.path().to_str().unwrap();
    let (file, link, hard, dir) = (EntryType::Regular, EntryType::Symlink, EntryType::Link, EntryType::Directory);
    let absolute = format!("{around_text}/evil");
    let archives: Vec<Vec<(EntryType, &str, &str)>> = vec![
        vec![(file, "public_html/../evil", "evil")],
        vec![(file, "public_html/../../evil", "evil")],
        vec![(file, "../evil", "evil")],
        vec![(file, &absolute, "evil")],
        vec![(file, "evil", "evil")],
        vec![(file, "public_html/a/../../evil", "evil")],
        vec![(dir, "public_html/../evil", "")],
        vec![(link, "public_html/out", ".."), (file, "public_html/out/evil", "evil")],
        vec![(link, "public_html/out", around_text), (file, "public_html/out/evil", "evil")],
        vec![(link, "public_html/out", ".."), (dir, "public_html/out/evil", "")],
        vec![(link, "public_html/out", "../evil"), (file, "public_html/out", "evil")],
        vec![(dir, "public_html/a", ""), (link, "public_html/a/b", "../.."), (file, "public_html/a/b/evil", "evil")],
        vec![(file, "public_html/page", "first"), (file, "public_html/page", "evil")],
        vec![(hard, "public_html/page", "/etc/passwd")],
        vec![(EntryType::Fifo, "public_html/pipe", "")],
        vec![(EntryType::Char, "public_html/null", "")],
    ];

    for archive in archives {
        let into = around.path().join("into");
        fs::create_dir(&into).unwrap();

        let refused = unpack(&forged(&archive), &into);

        assert!(refused.is_err(), "{archive:?}");
        let around: Vec<_> = fs::read_dir(around.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(around, ["into"], "{archive:?}");
        fs::remove_dir_all(&into).unwrap();
    }
}
