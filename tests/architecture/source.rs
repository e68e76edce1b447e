//! The source as the guards see it: what each file names, and on which line.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use syn::{
    Attribute, Ident, ImplItemFn, Item, ItemMod, ItemUse, Macro, UseTree,
    buffer::Cursor,
    parse::{ParseStream, Parser},
    visit::{self, Visit},
};

/// A path that code names, from the crate's root or the name of another crate: `crate::store::Store`, `sqlx::query`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mention {
    pub(crate) path: String,
    pub(crate) line: usize,
}

impl Mention {
    /// The other crate that it names; `None` for this one.
    pub(crate) fn of_crate(&self) -> Option<&str> {
        self.path.split("::").next().filter(|first| *first != "crate")
    }

    /// The part of this crate that it names: the `store` of `crate::store::Store`.
    pub(crate) fn part(&self) -> Option<&str> {
        self.path.strip_prefix("crate::")?.split("::").next()
    }

    /// Whether it is that path, or lies in it.
    pub(crate) fn is_in(&self, path: &str) -> bool {
        self.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

/// A file without its tests.
pub(crate) struct SourceFile {
    /// From the repository's root: `src/store/jobs.rs`.
    pub(crate) path: String,
    /// Its lines; those of tests are empty.
    pub(crate) lines: Vec<String>,
    /// How many lines are not of tests.
    pub(crate) length: usize,
    /// What it names.
    pub(crate) mentions: Vec<Mention>,
    /// Its modules that are compiled for tests only, as paths: `crate::store::tests`.
    test_modules: Vec<String>,
    module: Vec<String>,
}

impl SourceFile {
    /// Reads a file of that path. `crates` are the other crates that may be named without `use`.
    pub(crate) fn parse(path: &str, text: &str, crates: &BTreeSet<String>) -> Self {
        let ast = syn::parse_file(text).unwrap_or_else(|error| panic!("{path} is no Rust: {error}"));
        let module = module_of(path);
        let lines = without_tests(text);
        let mut names = Names { module: module.clone(), ..Names::default() };
        names.visit_file(&ast);
        let mentions = names.mentions(path, crates, &lines);
        let length = lines.iter().filter(|line| *line != TEST_LINE).count();
        let lines = lines.into_iter().map(|line| if line == TEST_LINE { String::new() } else { line }).collect();
        Self { path: path.to_owned(), lines, length, mentions, test_modules: names.test_modules, module }
    }

    /// Its lines that are not whole comments, with their numbers.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.numbered().filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// Its lines with their numbers.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines.iter().enumerate().map(|(at, line)| (at + 1, line.as_str()))
    }

    /// The module that it is: `crate::store::jobs`.
    pub(crate) fn module(&self) -> String {
        absolute(&self.module)
    }
}

/// Every file under the folders, without those that are tests.
pub(crate) fn files_under(folders: &[&str]) -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = crates_of(&fs::read_to_string(root.join("Cargo.toml")).unwrap());
    let mut paths = Vec::new();
    for folder in folders {
        collect(&root.join(folder), &mut paths);
    }
    paths.sort();
    let mut files: Vec<SourceFile> = paths
        .iter()
        .map(|path| {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            SourceFile::parse(&name, &fs::read_to_string(path).unwrap(), &crates)
        })
        .collect();
    let tests: Vec<(String, String)> = files
        .iter()
        .flat_map(|file| file.test_modules.iter().map(|module| (package_of(&file.path).to_owned(), module.clone())))
        .collect();
    files.retain(|file| {
        let module = Mention { path: file.module(), line: 1 };
        !tests.iter().any(|(package, tests)| package == package_of(&file.path) && module.is_in(tests))
    });
    files
}

/// The crates that a `Cargo.toml` depends on, as code names them.
pub(crate) fn crates_of(manifest: &str) -> BTreeSet<String> {
    let manifest: toml::Table = manifest.parse().unwrap();
    let dependencies = manifest["dependencies"].as_table().unwrap();
    let named = dependencies.keys().map(|name| name.trim_start_matches("async-").replace('-', "_"));
    named.chain(["std", "core", "alloc"].map(str::to_owned)).collect()
}

fn collect(folder: &Path, paths: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn package_of(path: &str) -> &str {
    path.split_once("src/").map_or("", |(package, _)| package)
}

fn module_of(path: &str) -> Vec<String> {
    let inside = path.split_once("src/").map_or(path, |(_, inside)| inside).trim_end_matches(".rs");
    let mut parts: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

fn absolute(segments: &[String]) -> String {
    let mut path = "crate".to_owned();
    for segment in segments {
        path.push_str("::");
        path.push_str(segment);
    }
    path
}

/// Stands for a line of tests until the lines are counted.
const TEST_LINE: &str = "\u{0}";

/// The lines, with those of items under `#[cfg(test)]` replaced. The layout is rustfmt's: an item ends where its
/// closing brace stands in the column where it began.
fn without_tests(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut at = 0;
    while at < lines.len() {
        let indent = lines[at].len() - lines[at].trim_start().len();
        if lines[at].trim() == "#[cfg(test)]" {
            let end = format!("{}}}", " ".repeat(indent));
            loop {
                let last = lines[at] == end || (lines[at].ends_with(';') && !lines[at][indent..].starts_with(' '));
                lines[at] = TEST_LINE.to_owned();
                if last || at + 1 == lines.len() {
                    break;
                }
                at += 1;
            }
        }
        at += 1;
    }
    lines
}

/// What a file names, as it is written.
#[derive(Default)]
struct Names {
    module: Vec<String>,
    /// The leaves of `use`, each with the module that it stands in and the name that it brings in.
    uses: Vec<(Vec<String>, Vec<String>, String)>,
    /// The other paths.
    paths: Vec<(Vec<String>, Vec<String>)>,
    /// Modules that are declared here.
    modules: BTreeSet<String>,
    test_modules: Vec<String>,
}

impl Names {
    fn mentions(&self, path: &str, crates: &BTreeSet<String>, lines: &[String]) -> Vec<Mention> {
        let mut imports: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut found = BTreeSet::new();
        for (module, written, name) in &self.uses {
            let outside = |first: &str| !self.modules.contains(first) && first.starts_with(char::is_lowercase);
            let resolved = resolve(path, module, written, &BTreeMap::new(), &self.modules, outside);
            if let Some(resolved) = resolved {
                found.insert(Mention { path: resolved.join("::"), line: line_of(written, lines) });
                imports.insert(name.clone(), resolved);
            }
        }
        for (module, written) in &self.paths {
            // A word by itself is a variable's or a field's, whatever crate has that name too.
            let outside = |first: &str| written.len() > 1 && crates.contains(first);
            if let Some(resolved) = resolve(path, module, written, &imports, &self.modules, outside) {
                found.insert(Mention { path: resolved.join("::"), line: line_of(written, lines) });
            }
        }
        // `pub(crate)` names nothing.
        found.into_iter().filter(|mention| mention.path != "crate").collect()
    }

    fn leaves(&mut self, tree: &UseTree, before: &[String]) {
        let with = |ident: &Ident| [before, &[ident.to_string()]].concat();
        let (leaf, name) = match tree {
            UseTree::Path(path) => return self.leaves(&path.tree, &with(&path.ident)),
            UseTree::Group(group) => return group.items.iter().for_each(|item| self.leaves(item, before)),
            UseTree::Glob(_) => (before.to_vec(), String::new()),
            UseTree::Rename(rename) => (with(&rename.ident), rename.rename.to_string()),
            UseTree::Name(name) => (with(&name.ident), name.ident.to_string()),
        };
        let itself = leaf.len() > 1 && leaf.last().is_some_and(|last| last == "self");
        let leaf = if itself { leaf[..leaf.len() - 1].to_vec() } else { leaf };
        let name = if name == "self" { leaf.last().cloned().unwrap_or_default() } else { name };
        self.uses.push((self.module.clone(), leaf, name));
    }

    /// The paths in the tokens of a macro, which the parser leaves unread.
    fn tokens(&mut self, mut cursor: Cursor<'_>) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        loop {
            if let Some((ident, next)) = cursor.ident() {
                if colons != 2 {
                    self.paths.push((self.module.clone(), std::mem::take(&mut path)));
                }
                path.push(ident.to_string());
                (cursor, colons) = (next, 0);
                continue;
            }
            let Some((_, next)) = cursor.token_tree() else { break };
            if let Some((':', _)) = cursor.punct().map(|(punct, next)| (punct.as_char(), next)) {
                colons += 1;
            } else {
                self.paths.push((self.module.clone(), std::mem::take(&mut path)));
                colons = 0;
            }
            if let Some((inside, _, _, _)) = cursor.any_group() {
                self.tokens(inside);
            }
            cursor = next;
        }
        self.paths.push((self.module.clone(), path));
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "syn's list of items may grow")]
        let attributes: &[Attribute] = match item {
            Item::Const(item) => &item.attrs,
            Item::Enum(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Macro(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Static(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Trait(item) => &item.attrs,
            Item::Type(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => &[],
        };
        if !attributes.iter().any(is_for_tests) {
            return visit::visit_item(self, item);
        }
        if let Item::Mod(ItemMod { ident, content: None, .. }) = item {
            self.test_modules.push(absolute(&[self.module.as_slice(), &[ident.to_string()]].concat()));
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.modules.insert(item.ident.to_string());
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.leaves(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.paths.push((self.module.clone(), segments));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, node: &'ast Macro) {
        visit::visit_macro(self, node);
        let read = |input: ParseStream<'_>| {
            self.tokens(input.cursor());
            input.step(|cursor| {
                let mut rest = *cursor;
                while let Some((_, next)) = rest.token_tree() {
                    rest = next;
                }
                Ok(((), rest))
            })
        };
        read.parse2(node.tokens.clone()).unwrap();
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        visit::visit_attribute(self, attribute);
        // `#[derive(thiserror::Error)]`
        if let syn::Meta::List(list) = &attribute.meta {
            let as_macro: Macro = Macro {
                path: list.path.clone(),
                bang_token: <syn::Token![!]>::default(),
                delimiter: list.delimiter.clone(),
                tokens: list.tokens.clone(),
            };
            // Not of the file's own syntax tree, so it is visited by a visitor of its own.
            let mut inside = Names { module: self.module.clone(), ..Names::default() };
            inside.visit_macro(&as_macro);
            self.paths.append(&mut inside.paths);
        }
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("test")
        || (attribute.path().is_ident("cfg") && attribute.parse_args::<Ident>().is_ok_and(|what| what == "test"))
}

/// From a path as it is written to one from a crate's root; `None` for names of the file's own.
fn resolve(
    file: &str,
    module: &[String],
    written: &[String],
    imports: &BTreeMap<String, Vec<String>>,
    modules: &BTreeSet<String>,
    outside: impl Fn(&str) -> bool,
) -> Option<Vec<String>> {
    let (first, rest) = written.split_first()?;
    let inside = |module: &[String], rest: &[String]| Some([&["crate".to_owned()], module, rest].concat());
    match first.as_str() {
        "crate" => inside(&[], rest),
        "berth" if file == "src/main.rs" => inside(&[], rest),
        "self" => inside(module, rest),
        "super" => {
            let ups = written.iter().take_while(|segment| *segment == "super").count();
            inside(&module[..module.len().checked_sub(ups)?], &written[ups..])
        }
        first if modules.contains(first) => inside(module, written),
        first if imports.contains_key(first) => Some([imports[first].as_slice(), rest].concat()),
        first if outside(first) => Some(written.to_vec()),
        _ => None,
    }
}

/// The line where a path is written: with its last two words, or else (in the braces of a `use`) with its last one.
fn line_of(written: &[String], lines: &[String]) -> usize {
    let tail = written[written.len().saturating_sub(2)..].join("::");
    let last = written.last().map_or("", String::as_str);
    let first_with = |words: &str| {
        lines.iter().position(|line| !line.trim_start().starts_with("//") && has_words(line, words)).map(|at| at + 1)
    };
    first_with(&tail).or_else(|| first_with(last)).unwrap_or(1)
}

/// Whether the line holds the words, not as a part of longer ones.
pub(crate) fn has_words(line: &str, words: &str) -> bool {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(words).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(is_word)
            && !line[at + words.len()..].chars().next().is_some_and(is_word)
    })
}
