//! The files of an account as one `.tar.gz`, with all names below `public_html/`, as `tar` shows and unpacks it.

use std::{
    ffi::OsStr,
    fs::{File, Permissions},
    io::{self, BufReader, BufWriter, ErrorKind, Read, Seek as _, SeekFrom, Write},
    os::{
        fd::OwnedFd,
        unix::{
            ffi::OsStrExt as _,
            fs::{MetadataExt as _, PermissionsExt as _},
        },
    },
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tar::{Archive, Builder, Entry, EntryType, Header};

use super::{
    PUBLIC_HTML,
    files::USAGE_ENTRIES,
    tree::{Seen, Tree, new_dir, new_file, new_link, read_file, read_link},
};

/// A file of holes may be larger than any disk, and its zeros are read one by one.
const CONTENT_MAX: u64 = 256 * 1024 * 1024 * 1024;
/// Who may read, write and run; the bits that lend a file's owner to whoever runs it are not kept.
const MODE: u32 = 0o777;
/// What Berth itself needs on a directory, to serve and to delete it.
const OWN_DIR: u32 = 0o700;
/// A link that is no longer fits the header as it is.
const SHORT_LINK: usize = 100;

/// What is in an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents {
    /// Directories, files and links.
    pub(super) entries: u64,
    /// Bytes of the files.
    pub(super) bytes: u64,
}

/// An archive that was written.
pub(super) struct Packed {
    pub(super) contents: Contents,
    /// Pipes, sockets and devices, which no archive of a site can hold.
    pub(super) skipped: u64,
    /// Of the archive, in hex.
    pub(super) sha256: String,
    pub(super) archive_bytes: u64,
}

/// Writes a tree (or nothing, for an account that has no files) into an empty file, and syncs it. A tree that changes
/// meanwhile is an error; its links are kept as links.
pub(super) fn pack(tree: Option<&Tree>, archive: &File) -> io::Result<Packed> {
    let hashing = Hashing { to: BufWriter::new(archive), hash: Sha256::new(), bytes: 0 };
    let mut packing =
        Packing { tar: Builder::new(GzEncoder::new(hashing, Compression::fast())), contents: Contents::default() };
    let mut skipped = 0;
    if let Some(tree) = tree {
        tree.walk(|seen| match seen {
            Seen::Dir { path, dir } => packing.dir(path, dir),
            Seen::File { path, parent, name } => packing.file(path, read_file(parent, name)?),
            Seen::Link { path, parent, name } => packing.link(path, &read_link(parent, name)?),
            Seen::Special => {
                skipped += 1;
                Ok(())
            }
        })?;
    }
    let Packing { tar, contents } = packing;
    let Hashing { mut to, hash, bytes } = tar.into_inner()?.finish()?;
    to.flush()?;
    archive.sync_all()?;
    Ok(Packed { contents, skipped, sha256: hex::encode(hash.finalize()), archive_bytes: bytes })
}

/// Reads a whole archive, to show that it can be read.
pub(super) fn check(archive: &File) -> io::Result<Contents> {
    let mut contents = Contents::default();
    each(archive, |entry| {
        contents.add(entry.size())?;
        io::copy(entry, &mut io::sink()).map(drop)
    })?;
    Ok(contents)
}

/// The SHA-256 of a whole file, in hex.
pub(super) fn hash(file: &File) -> io::Result<String> {
    let mut hashing = Hashing { to: io::sink(), hash: Sha256::new(), bytes: 0 };
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    io::copy(&mut file, &mut hashing)?;
    Ok(hex::encode(hashing.hash.finalize()))
}

/// Puts what is in an archive into an empty directory, and syncs it. Nothing is written outside of that directory, and
/// nothing is overwritten, whatever the archive says.
pub(super) fn unpack(archive: &File, into: &Path) -> io::Result<Contents> {
    let tree = Tree::open(into)?;
    let mut contents = Contents::default();
    each(archive, |entry| {
        contents.add(entry.size())?;
        let path = below_public_html(&entry.path_bytes())?;
        let Some(name) = path.file_name() else { return Ok(()) };
        let parent = tree.dir(path.parent().unwrap_or(Path::new("")))?;
        put(entry, &parent, name)
    })?;
    tree.walk(|seen| match seen {
        Seen::Dir { dir, .. } => File::from(dir.try_clone()?).sync_all(),
        Seen::File { .. } | Seen::Link { .. } | Seen::Special => Ok(()),
    })?;
    Ok(contents)
}

struct Packing<'a> {
    tar: Builder<GzEncoder<Hashing<BufWriter<&'a File>>>>,
    contents: Contents,
}

impl Packing<'_> {
    fn dir(&mut self, path: &Path, dir: &OwnedFd) -> io::Result<()> {
        self.contents.add(0)?;
        let mut header = header(EntryType::Directory, &File::from(dir.try_clone()?))?;
        // With its slash, as `tar` writes directories.
        let name = Path::new(PUBLIC_HTML).join(path).join("");
        self.tar.append_data(&mut header, name, io::empty())
    }

    fn file(&mut self, path: &Path, file: File) -> io::Result<()> {
        let size = file.metadata()?.len();
        self.contents.add(size)?;
        let mut header = header(EntryType::Regular, &file)?;
        header.set_size(size);
        self.tar.append_data(&mut header, Path::new(PUBLIC_HTML).join(path), Exactly { file, left: size })
    }

    fn link(&mut self, path: &Path, target: &OsStr) -> io::Result<()> {
        self.contents.add(0)?;
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        header.set_mode(MODE);
        let path = Path::new(PUBLIC_HTML).join(path);
        if target.len() > SHORT_LINK {
            return self.tar.append_link(&mut header, path, target);
        }
        header.set_link_name_literal(target.as_bytes())?;
        self.tar.append_data(&mut header, path, io::empty())
    }
}

impl Contents {
    fn add(&mut self, size: u64) -> io::Result<()> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(size);
        if self.entries > USAGE_ENTRIES {
            return Err(refused("there are too many files"));
        }
        if self.bytes > CONTENT_MAX {
            return Err(refused("the files are too large"));
        }
        Ok(())
    }
}

fn header(kind: EntryType, of: &File) -> io::Result<Header> {
    let metadata = of.metadata()?;
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(metadata.permissions().mode() & MODE);
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
    Ok(header)
}

/// Visits the entries of an archive to its very end, where its check sum is.
fn each(
    archive: &File,
    mut visit: impl FnMut(&mut Entry<'_, GzDecoder<BufReader<&File>>>) -> io::Result<()>,
) -> io::Result<()> {
    let mut from = archive;
    from.seek(SeekFrom::Start(0))?;
    let mut tar = Archive::new(GzDecoder::new(BufReader::new(archive)));
    for entry in tar.entries()? {
        visit(&mut entry?)?;
    }
    io::copy(&mut tar.into_inner(), &mut io::sink()).map(drop)
}

/// The path of an entry below `public_html/`. Only plain names: none that is absolute or leads upwards.
fn below_public_html(path: &[u8]) -> io::Result<PathBuf> {
    let strange = || refused("the archive has a path that Berth does not write");
    let below = Path::new(OsStr::from_bytes(path)).strip_prefix(PUBLIC_HTML).map_err(|_| strange())?;
    let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || path.contains(&0) {
        return Err(strange());
    }
    Ok(below.to_owned())
}

fn put(entry: &mut Entry<'_, impl Read>, parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let kind = entry.header().entry_type();
    let mode = entry.header().mode()? & MODE;
    if kind.is_dir() {
        return new_dir(parent, name)?.set_permissions(Permissions::from_mode(mode | OWN_DIR));
    }
    if kind.is_symlink() {
        let target = entry.link_name_bytes().ok_or_else(|| refused("the archive has a link that leads nowhere"))?;
        return new_link(parent, name, OsStr::from_bytes(&target));
    }
    if !kind.is_file() {
        return Err(refused("the archive has something that is no directory, file or link"));
    }
    let mtime = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(entry.header().mtime()?));
    let mut file = new_file(parent, name)?;
    io::copy(entry, &mut file)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.set_modified(mtime.ok_or_else(|| refused("the archive has a time that there is not"))?)?;
    file.sync_all()
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

/// A file at the size that was said of it: growth is left out, and a file that has shrunk is an error.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(part) = buffer.get_mut(..most).filter(|part| !part.is_empty()) else { return Ok(0) };
        let read = self.file.read(part)?;
        if read == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "a file has shrunk while it was read"));
        }
        self.left = self.left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

/// Hashes and counts what it passes on.
struct Hashing<W> {
    to: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.to.write(buffer)?;
        self.hash.update(buffer.get(..written).unwrap_or(buffer));
        self.bytes = self.bytes.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests;
