//! What a shop's brief asks of carts, coupons and orders, line by line, and the tests that show it. Every row has tests,
//! and every test that a row names is there: `cargo test --test checklist -- --nocapture` prints the table.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

#[path = "checklist/rows.rs"]
mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use rows::{ROWS, Row};

/// Every test of the workspace by its name, with the files that have one of that name.
fn tests() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeMap::new();
    for folder in ["src", "jobs/src", "tests"] {
        collect(&root.join(folder), root, &mut found);
    }
    found
}

fn collect(folder: &Path, root: &Path, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, root, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(root).unwrap().display().to_string();
            for name in tests_in(&fs::read_to_string(&path).unwrap()) {
                found.entry(name).or_default().insert(file.clone());
            }
        }
    }
}

/// The names of functions that stand under a test's attribute, or within `proptest!`.
fn tests_in(source: &str) -> Vec<String> {
    let mut is_test = false;
    let mut names = Vec::new();
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(name) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) {
            if is_test {
                names.push(name.split(['(', '<']).next().unwrap().to_owned());
            }
            is_test = false;
        }
    }
    names
}

/// What is wrong with the rows.
fn faults(rows: &[Row], tests: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut faults = Vec::new();
    let wanted = (1..=26).map(|n| format!("C{n}")).chain((1..=13).map(|n| format!("O{n}")));
    let there: Vec<&str> = rows.iter().map(|row| row.id).collect();
    if !wanted.clone().eq(there.iter().map(ToString::to_string)) {
        faults.push(format!("the rows are {there:?}"));
    }
    for row in rows {
        if row.tests.is_empty() {
            faults.push(format!("{} has no test", row.id));
        }
        for name in row.tests.iter().filter(|name| !tests.contains_key(**name)) {
            faults.push(format!("{}: there is no test {name}", row.id));
        }
    }
    faults
}

#[test]
fn every_row_of_the_brief_has_its_tests() {
    let tests = tests();

    for row in ROWS {
        println!("{:<4} {}", row.id, row.must);
        for name in row.tests {
            let files = tests.get(*name).map(|files| files.iter().cloned().collect::<Vec<_>>().join(", "));
            println!("       {name} ({})", files.unwrap_or_else(|| "NOT THERE".to_owned()));
        }
    }

    assert_eq!(faults(ROWS, &tests), Vec::<String>::new());
}

#[test]
fn a_row_without_a_test_or_with_one_that_is_gone_is_named() {
    let tests =
        tests_in("#[test]\nfn it_is() {}\n#[tokio::test(flavor = \"x\")]\nasync fn it_waits() {}\nfn helper() {}");
    assert_eq!(tests, ["it_is", "it_waits"]);

    let rows = [Row { id: "C1", must: "a", tests: &[] }, Row { id: "C2", must: "b", tests: &["gone"] }];
    let told = faults(&rows, &BTreeMap::new());

    assert_eq!(told[1..], ["C1 has no test", "C2: there is no test gone"]);
}
