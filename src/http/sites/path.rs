//! Which file of a site a request's path means, and whether it may be shown.

use std::path::{Component, Path};

/// A decoded path without `..`, dot files, or anything that only pretends to be one segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    segments: Vec<String>,
    /// The path ends with a slash.
    as_directory: bool,
}

impl Wanted {
    /// `None` for what is never served. `path` is a URI's, percent-encoded.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        if path.is_empty() {
            return Some(Self { segments: Vec::new(), as_directory: true });
        }
        let (path, as_directory) = path.strip_suffix('/').map_or((path, false), |directory| (directory, true));
        // An empty segment names nothing; `//name` redirected to would even be another host.
        let segments = path.split('/').map(segment).collect::<Option<_>>()?;
        Some(Self { segments, as_directory })
    }

    /// Whether it is a file under `root` (or a directory with an index page), without a link that leads out.
    /// `root` is canonical. Blocks.
    pub(super) fn is_servable(&self, root: &Path) -> bool {
        let mut path = root.to_path_buf();
        path.extend(&self.segments);
        if path.is_dir() {
            return is_file_within(root, &path.join("index.html"));
        }
        !self.as_directory && is_file_within(root, &path)
    }
}

/// Decoded; empty segments, dot files, separators and control characters are refused.
fn segment(encoded: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut value = [0];
        hex::decode_to_slice([rest.next()?, rest.next()?], &mut value).ok()?;
        decoded.extend(value);
    }
    let text = String::from_utf8(decoded).ok()?;
    let refused = text.is_empty()
        || text.starts_with('.')
        || text.contains(|letter: char| matches!(letter, '/' | '\\') || letter.is_control());
    (!refused).then_some(text)
}

/// Follows links. A file that cannot be reached, whatever the reason, is not there.
fn is_file_within(root: &Path, path: &Path) -> bool {
    let Ok(real) = path.canonicalize() else { return false };
    let Ok(inside) = real.strip_prefix(root) else { return false };
    let hidden = |part: Component<'_>| part.as_os_str().as_encoded_bytes().starts_with(b".");
    real.is_file() && !inside.components().any(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_path_is_decoded() {
        let wanted = Wanted::parse("/caf%C3%A9/a%20b.html").unwrap();

        assert_eq!(wanted, Wanted { segments: vec!["café".to_owned(), "a b.html".to_owned()], as_directory: false });
    }

    #[test]
    fn what_is_never_served_does_not_parse() {
        for path in [
            "",
            "x",
            "//",
            "//evil.example",
            "/a//b",
            "/..",
            "/../account.json",
            "/%2e%2e/account.json",
            "/.%2e/x",
            "/%2e%2e%2faccount.json",
            "/a/%2e%2e/%2e%2e/account.json",
            "/..%5caccount.json",
            "/.git/config",
            "/%2egit",
            "/./a",
            "/a%00.html",
            "/a%0a",
            "/%ff",
            "/%",
            "/%2",
            "/%zz",
            "/a%2fb",
            "*",
        ] {
            assert_eq!(Wanted::parse(path), None, "{path}");
        }
    }

    #[test]
    fn the_root_is_a_directory() {
        assert_eq!(Wanted::parse("/"), Some(Wanted { segments: Vec::new(), as_directory: true }));
    }
}
