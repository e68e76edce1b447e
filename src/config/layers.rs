//! Where settings come from: the embedded file, the operator's file, the environment, files it names.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map},
};
use toml::{Table, Value};

use super::keys::{self, Key};

/// Longer files are no settings: someone named the wrong one.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
const PREFIX: &str = "BERTH_";
const FILE_SUFFIX: &str = "_FILE";
/// Variables with the prefix which are no settings: the first names the file, the others are tests' alone.
const NOT_SETTINGS: [&str; 5] =
    ["BERTH_CONFIG", "BERTH_FAILPOINTS", "BERTH_BREAK", "BERTH_SHORTEN", "BERTH_BUILD_DATABASE_URL"];
/// What tests are told how to run by.
const OF_TESTS: &str = "BERTH_TEST_";
/// How systemd calls the files of a directory that is handed over as `LoadCredential=berth:…`.
const CREDENTIAL: &str = "berth_";
/// What hosts and habits call two of the settings.
const CUSTOMARY: [(&str, &str); 2] = [("DATABASE_URL", "database.url"), ("REDIS_URL", "redis.url")];

/// The settings of one source, and that source as an operator would call it.
#[derive(Debug)]
pub(super) struct Layer {
    origin: String,
    settings: Vec<(&'static Key, Value)>,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let mut root = Table::new();
        for (key, value) in &self.settings {
            insert(&mut root, key.path, value.clone());
        }
        figment::providers::Serialized::defaults(root).data()
    }
}

fn insert(table: &mut Table, path: &str, value: Value) {
    let Some((section, rest)) = path.split_once('.') else {
        table.insert(path.to_owned(), value);
        return;
    };
    let below = table.entry(section).or_insert_with(|| Table::new().into());
    if let Value::Table(below) = below {
        insert(below, rest, value);
    }
}

/// Reads layers and gathers what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) layers: Vec<Layer>,
    pub(super) faults: Vec<String>,
}

impl Reader {
    pub(super) fn toml(&mut self, origin: &str, text: &str) {
        let table = match text.parse::<Table>() {
            Ok(table) => table,
            Err(error) => {
                // The message alone: the whole error quotes the line, and a secret may stand there.
                let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or(text);
                let line = before.matches('\n').count() + 1;
                self.faults.push(format!("{origin}, line {line}: not TOML: {}", error.message()));
                return;
            }
        };
        let mut settings = Vec::new();
        self.walk(origin, "", table, &mut settings);
        self.layers.push(Layer { origin: origin.to_owned(), settings });
    }

    fn walk(&mut self, origin: &str, section: &str, table: Table, settings: &mut Vec<(&'static Key, Value)>) {
        for (name, value) in table {
            let path = if section.is_empty() { name } else { format!("{section}.{name}") };
            match (keys::find(&path), value) {
                (Some(key), value) => match key.check(&value) {
                    Ok(()) => settings.push((key, value)),
                    Err(wrong) => self.faults.push(format!("{path} in {origin}: {wrong}")),
                },
                (None, Value::Table(table)) if keys::is_section(&path) => self.walk(origin, &path, table, settings),
                (None, _) if keys::is_section(&path) => {
                    self.faults.push(format!("{path} in {origin}: write it as a section, [{path}]"));
                }
                (None, _) => self.faults.push(format!("{path} in {origin}: no such key{}", hint(&path, str::to_owned))),
            }
        }
    }

    pub(super) fn file(&mut self, path: &Path) {
        match contents(path) {
            Ok(text) => self.toml(&path.display().to_string(), &text),
            Err(error) => self.faults.push(format!("{} cannot be read: {error}", path.display())),
        }
    }

    /// A directory of secrets: each file is called as its key, and holds its value. Other files are somebody else's, an empty
    /// one is no value, and a directory that is not there or that may not be looked into has none.
    pub(super) fn secrets(&mut self, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort_unstable();
        for path in paths {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let name = name.strip_prefix(CREDENTIAL).unwrap_or(name);
            let Some(key) = keys::find(name) else {
                // A misspelt one looks like a key.
                if name.split_once('.').is_some_and(|(section, _)| keys::is_section(section)) {
                    self.faults.push(format!("{}: no such key{}", path.display(), hint(name, str::to_owned)));
                }
                continue;
            };
            match contents(&path) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => self.text(&path.display().to_string(), key, text.trim()),
                Err(error) => self.faults.push(format!("{} cannot be read: {error}", path.display())),
            }
        }
    }

    /// One setting, given as text.
    pub(super) fn text(&mut self, origin: &str, key: &'static Key, text: &str) {
        let value = key.read(text);
        match key.check(&value) {
            Ok(()) => self.layers.push(Layer { origin: origin.to_owned(), settings: vec![(key, value)] }),
            Err(wrong) => self.faults.push(format!("{} from {origin}: {wrong}", key.path)),
        }
    }

    /// The environment's layers, weakest first. An empty variable counts as one that is not there.
    pub(super) fn environment(&mut self, env: &BTreeMap<String, String>) {
        for (variable, path) in CUSTOMARY {
            if let (Some(text), Some(key)) = (env.get(variable), keys::find(path)) {
                self.text(variable, key, text);
            }
        }
        let mut files = Vec::new();
        for (variable, text) in env {
            let is_setting = variable.starts_with(PREFIX) && !variable.starts_with(OF_TESTS);
            if !is_setting || NOT_SETTINGS.contains(&variable.as_str()) {
                continue;
            }
            let stem = variable.strip_suffix(FILE_SUFFIX);
            match (of_variable(variable), stem.and_then(of_variable)) {
                (Some(key), _) => self.text(variable, key, text),
                (None, Some(key)) => files.push((variable, key, PathBuf::from(text))),
                (None, None) => {
                    let path =
                        stem.unwrap_or(variable).trim_start_matches(PREFIX).replace("__", ".").to_ascii_lowercase();
                    let meant = hint(&path, |path| keys::find(path).map_or_else(String::new, Key::variable));
                    self.faults.push(format!("{variable} in the environment: no such key{meant}"));
                }
            }
        }
        for (variable, key, path) in files {
            let origin = format!("{variable} ({})", path.display());
            match contents(&path) {
                Ok(text) => self.text(&origin, key, text.trim()),
                Err(error) => self.faults.push(format!("{} from {origin}: the file cannot be read: {error}", key.path)),
            }
        }
    }
}

/// The file that an origin names: a path, or a variable and a path in brackets.
pub(super) fn file_of(origin: &str) -> Option<PathBuf> {
    let path = origin.split_once(" (").and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(origin);
    let path = Path::new(path);
    path.is_file().then(|| path.to_owned())
}

/// The variables that set this key, the customary one first.
pub(super) fn variables(key: &Key) -> Vec<String> {
    let customary = CUSTOMARY.iter().filter(|(_, path)| *path == key.path).map(|(variable, _)| (*variable).to_owned());
    customary.chain([key.variable()]).collect()
}

fn of_variable(variable: &str) -> Option<&'static Key> {
    keys::KEYS.iter().find(|key| key.variable() == variable)
}

/// `; did you mean …?`, or which keys the section has.
fn hint(path: &str, name: impl Fn(&str) -> String) -> String {
    if let Some(meant) = keys::closest(path) {
        return format!("; did you mean {}?", name(meant));
    }
    let section = path.split_once('.').map_or(path, |(section, _)| section);
    let within: Vec<String> = keys::KEYS
        .iter()
        .filter(|key| key.path.split_once('.').is_some_and(|(first, _)| first == section))
        .map(|key| name(key.path))
        .collect();
    if within.is_empty() {
        return format!("; the sections are {}", keys::sections().join(", "));
    }
    format!("; there are {}", within.join(", "))
}

fn contents(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= MAX_FILE_BYTES) {
        Ok(text)
    } else {
        Err(io::Error::other("it is larger than 1 MiB"))
    }
}
