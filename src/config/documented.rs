//! What `config/berth.toml` documents, for the tests that keep it whole and for printed references.

use super::DEFAULTS;

/// A key as `config/berth.toml` documents it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentedKey {
    /// `section.key`
    pub path: String,
    /// The comment above it, its lines joined by a space.
    pub comment: String,
    /// The value in TOML's writing.
    pub value: String,
    /// Whether the value is the default, or (behind a `#`) only an example.
    pub is_default: bool,
}

/// Every key that `config/berth.toml` documents, in its order.
#[must_use]
pub fn documented_keys() -> Vec<DocumentedKey> {
    let mut documented = Vec::new();
    let (mut section, mut comment) = ("", Vec::new());
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            (section, comment) = (name, Vec::new());
        } else if let Some(words) = line.strip_prefix("# ") {
            comment.push(words);
        } else if let Some((name, value)) = line.split_once(" = ") {
            documented.push(DocumentedKey {
                path: format!("{section}.{}", name.trim_start_matches('#')),
                comment: std::mem::take(&mut comment).join(" "),
                value: value.to_owned(),
                is_default: !name.starts_with('#'),
            });
        } else {
            comment.clear();
        }
    }
    documented
}
