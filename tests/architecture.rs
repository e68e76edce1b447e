//! Keeps the source as its design says: who may use what, one handler a job, files and functions that can be read.
//!
//! Every rule first refuses a sample that breaks it (else it could not fail), then is asked about the source.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed, and says where")]

#[path = "architecture/limits.rs"]
mod limits;
#[path = "architecture/source.rs"]
mod source;
#[path = "architecture/tables.rs"]
#[expect(dead_code, reason = "the rest is read by tests/docs.rs")]
mod tables;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::Path,
    sync::LazyLock,
};

use berth_jobs::AnyJob;
use limits::{
    CRATES_OF_ONE_FILE, CRATES_OF_THE_CLIENT, CRATES_OF_THE_DOMAIN, CRATES_OF_THE_JOBS, LONGER_FILES, MAY_USE,
    MOST_LINES_OF_A_FILE, MOST_LINES_OF_A_FUNCTION, NOT_A_HANDLERS, PLACES, SPAWNERS,
};
use source::{Mention, SourceFile, crates_of, files_under, has_words};

struct Breach {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

impl SourceFile {
    fn breach(&self, line: usize, what: impl Into<String>) -> Breach {
        Breach { path: self.path.clone(), line, what: what.into() }
    }

    fn is_of_berth(&self) -> bool {
        self.path.starts_with("src/")
    }

    /// The part of the program that it belongs to: `store` for `src/store/jobs.rs`.
    fn part(&self) -> &str {
        let inside = self.path.trim_start_matches("src/");
        inside.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }
}

static HOUSE: LazyLock<Vec<SourceFile>> = LazyLock::new(|| files_under(&["src", "jobs/src", "panels/src", "host/src"]));

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sample(path: &str, text: &str) -> SourceFile {
    let crates = crates_of(&fs::read_to_string(root().join("Cargo.toml")).unwrap());
    SourceFile::parse(path, text, &crates)
}

/// Shows that the rule refuses each of `broken` (a path and a text), and that nothing in the source breaks it.
fn holds(rule: impl Fn(&SourceFile) -> Vec<Breach>, broken: &[(&str, &str)]) {
    for (path, text) in broken {
        assert!(!rule(&sample(path, text)).is_empty(), "the rule lets this pass in {path}:\n{text}");
    }
    assert!(HOUSE.len() > 100, "only {} files were found", HOUSE.len());
    let breaches: Vec<String> = HOUSE.iter().flat_map(&rule).map(|breach| breach.to_string()).collect();
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

/// A rule about what a file names: a breach wherever `forbidden` gives a reason.
fn mentions(
    applies: impl Fn(&SourceFile) -> bool,
    forbidden: impl Fn(&SourceFile, &Mention) -> Option<String>,
) -> impl Fn(&SourceFile) -> Vec<Breach> {
    move |file| {
        if !applies(file) {
            return Vec::new();
        }
        let breach = |mention: &Mention| {
            forbidden(file, mention).map(|why| file.breach(mention.line, format!("`{}`: {why}", mention.path)))
        };
        file.mentions.iter().filter_map(breach).collect()
    }
}

/// A rule about single lines of code: a breach wherever `forbidden` gives a reason.
fn lines(
    applies: impl Fn(&SourceFile) -> bool,
    forbidden: impl Fn(&str) -> Option<String>,
) -> impl Fn(&SourceFile) -> Vec<Breach> {
    move |file| {
        if !applies(file) {
            return Vec::new();
        }
        file.code().filter_map(|(number, line)| forbidden(line).map(|why| file.breach(number, why))).collect()
    }
}

#[test]
fn a_part_uses_only_the_parts_below_it() {
    let rule = mentions(SourceFile::is_of_berth, |file, mention| {
        let (part, used) = (file.part(), mention.part()?);
        let Some((_, may)) = MAY_USE.iter().find(|(known, _)| *known == part) else {
            return Some(format!("the part `{part}` has no row in MAY_USE"));
        };
        (part != used && !may.contains(&used)).then(|| format!("{part} may use only {may:?}"))
    });

    holds(
        rule,
        &[
            ("src/domain/order.rs", "use crate::store::Store;"),
            ("src/domain/order.rs", "use super::super::store::Store;"),
            ("src/gateways/smtp.rs", "use crate::{domain::money::Money, store::{self, Store}};"),
            ("src/gateways/smtp.rs", "fn f() { crate::queue::push() }"),
            ("src/gateways/smtp.rs", "fn f() { tokio::select! { () = crate::http::serve() => {} } }"),
            ("src/mail/mod.rs", "struct Mail(crate::effects::Effects);"),
            ("src/handlers/mail/send_mail.rs", "use crate::http::problem;"),
            ("src/http/checkout.rs", "use crate as berth; fn f() { crate::handlers::mail::send_mail::run() }"),
            ("src/new_part.rs", "use crate::store::Store;"),
        ],
    );
}

#[test]
fn the_domain_uses_only_what_decides_and_computes() {
    let rule = mentions(
        |file| file.part() == "domain",
        |file, mention| {
            let named = mention.of_crate()?;
            let own = CRATES_OF_ONE_FILE.iter().any(|(path, known, _)| *path == file.path && *known == named);
            if named == "berth_jobs" && !mention.is_in("berth_jobs::ids") {
                return Some("of berth_jobs the domain may use the ids only".to_owned());
            }
            (!own && !CRATES_OF_THE_DOMAIN.contains(&named))
                .then(|| format!("the domain may use only {CRATES_OF_THE_DOMAIN:?}"))
        },
    );

    holds(
        rule,
        &[
            ("src/domain/order.rs", "use tokio::time::sleep;"),
            ("src/domain/order.rs", "fn f() -> uuid::Uuid { todo() }"),
            ("src/domain/order.rs", "use berth_jobs::AnyJob;"),
            ("src/domain/order.rs", "fn f() { println!(\"{}\", toml::from_str(\"\")) }"),
        ],
    );
}

#[test]
fn the_domain_waits_for_nothing() {
    let rule = lines(
        |file| file.part() == "domain",
        |line| {
            ["async", "await"].iter().find(|word| has_words(line, word)).map(|word| format!("`{word}` in the domain"))
        },
    );

    holds(rule, &[("src/domain/order.rs", "async fn decide() {}")]);
}

#[test]
fn the_jobs_crate_asks_little_of_those_who_use_it() {
    let rule = mentions(
        |file| file.path.starts_with("jobs/"),
        |file, mention| {
            let named = mention.of_crate()?;
            let is_client = file.path.starts_with("jobs/src/client");
            let may = CRATES_OF_THE_JOBS.contains(&named) || (is_client && CRATES_OF_THE_CLIENT.contains(&named));
            (!may).then(|| format!("berth-jobs may use only {CRATES_OF_THE_JOBS:?}"))
        },
    );

    holds(
        rule,
        &[
            ("jobs/src/mail.rs", "use berth::store::Store;"),
            ("jobs/src/mail.rs", "use tokio::spawn;"),
            ("jobs/src/mail.rs", "use sqlx::PgConnection;"),
            ("jobs/src/client/http.rs", "use tokio::spawn;"),
        ],
    );
}

#[test]
fn sql_and_every_other_library_is_spoken_to_in_its_place_only() {
    let rule = mentions(
        |file| !file.path.starts_with("jobs/"),
        |file, mention| {
            let (named, places) = PLACES.iter().find(|(library, _)| mention.of_crate() == Some(library))?;
            let here = places.iter().any(|place| file.path.starts_with(place));
            (!here).then(|| format!("`{named}` belongs to {places:?}"))
        },
    );

    holds(
        rule,
        &[
            ("src/http/checkout.rs", "async fn f() { sqlx::query!(\"select 1\"); }"),
            ("src/queue/relay.rs", "use sqlx::{PgPool, query};"),
            ("src/store/jobs.rs", "use ::redis::cmd;"),
            ("src/handlers/mail/send_mail.rs", "#[derive(sqlx::FromRow)] struct Row;"),
            ("src/worker.rs", "use redis as r;"),
            ("src/handlers/mail/send_mail.rs", "fn f(error: reqwest::Error) {}"),
        ],
    );
}

#[test]
fn a_handler_calls_no_other_handler() {
    let rule = mentions(
        |file| file.part() == "handlers",
        |file, mention| {
            let inside = mention.path.strip_prefix("crate::handlers::")?;
            let own_folder = file.path.strip_prefix("src/handlers/")?.split('/').next()?;
            let mut words = inside.split("::");
            let (folder, module) = (words.next()?, words.next()?);
            let is_handler = AnyJob::KINDS.iter().any(|kind| kind.name == module);
            let own = file.module() == format!("crate::handlers::{folder}::{module}");
            if folder != own_folder {
                return Some("a handler may share code with its own folder only".to_owned());
            }
            (is_handler && !own).then(|| "a handler calls no handler: enqueue its job".to_owned())
        },
    );

    holds(
        rule,
        &[
            ("src/handlers/mail/send_mail.rs", "use crate::handlers::checkout::session;"),
            ("src/handlers/checkout/close_checkout.rs", "use super::complete_checkout;"),
            ("src/handlers/checkout/session.rs", "fn f() { super::complete_checkout::run() }"),
            ("src/handlers/checkout/session.rs", "fn f() { super::super::mail::send_mail::run() }"),
        ],
    );
}

#[test]
fn a_handler_leaves_commits_and_claims_to_the_worker() {
    let rule = lines(
        |file| file.part() == "handlers",
        |line| {
            let word = NOT_A_HANDLERS.iter().find(|word| has_words(line, word))?;
            Some(format!("`{word}`: a handler returns effects, and `ctx.checkpoint` commits in between"))
        },
    );

    holds(
        rule,
        &[
            ("src/handlers/mail/send_mail.rs", "async fn f() { ctx.committer.write(effects).await; }"),
            ("src/handlers/mail/send_mail.rs", "async fn f() { ctx.store.transaction().await; }"),
        ],
    );
}

#[test]
fn tasks_are_spawned_by_the_supervisor_only() {
    let rule = mentions(SourceFile::is_of_berth, |file, mention| {
        let spawns = ["tokio::spawn", "tokio::task::spawn", "tokio::task::spawn_local", "std::thread::spawn"];
        let may = SPAWNERS.iter().any(|(path, _)| *path == file.path);
        (!may && spawns.contains(&mention.path.as_str()))
            .then(|| "nobody waits for it: enqueue a job, or use `supervise`".to_owned())
    });

    holds(
        rule,
        &[
            ("src/http/checkout.rs", "fn f() { tokio::spawn(async {}); }"),
            ("src/http/checkout.rs", "use tokio::task; fn f() { task::spawn(async {}); }"),
            ("src/http/checkout.rs", "use std::thread::{self}; fn f() { thread::spawn(|| {}); }"),
        ],
    );
}

#[test]
fn no_file_holds_two_ideas() {
    let rule = |file: &SourceFile| {
        let longer = LONGER_FILES.iter().find(|(path, _, _)| *path == file.path);
        let most = longer.map_or(MOST_LINES_OF_A_FILE, |(_, most, _)| *most);
        let too_long = file.length > most;
        too_long
            .then(|| file.breach(most, format!("{} lines without tests, {most} at most", file.length)))
            .into_iter()
            .collect()
    };

    holds(rule, &[("src/http/checkout.rs", &"const A: u8 = 0;\n".repeat(MOST_LINES_OF_A_FILE + 1))]);
}

#[test]
fn every_function_fits_a_screen() {
    let body = "    f();\n".repeat(MOST_LINES_OF_A_FUNCTION);

    holds(
        too_long_functions,
        &[
            ("src/app.rs", &format!("fn f() {{\n{body}}}\n")),
            ("src/app.rs", &format!("pub(crate) async fn f<T>(\n    a: T,\n)\nwhere\n    T: Copy,\n{{\n{body}}}\n")),
        ],
    );
}

/// The layout is rustfmt's: a function ends where its closing brace stands in the column where it began.
fn too_long_functions(file: &SourceFile) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (first, line) in file.code().filter(|(_, line)| begins_function(line)) {
        let indent = &line[..line.len() - line.trim_start().len()];
        let after = file.numbered().skip(first);
        let without_body = |line: &str| line.ends_with(';') && line.starts_with(&format!("{indent})"));
        let last = after
            .take_while(|(_, line)| !without_body(line))
            .find(|(_, line)| line.strip_prefix(indent) == Some("}"))
            .map_or(first, |(last, _)| last);
        let one_line = line.ends_with('}') || line.ends_with(';');
        let length = last - first + 1;
        if !one_line && length > MOST_LINES_OF_A_FUNCTION {
            breaches
                .push(file.breach(first, format!("a function of {length} lines, {MOST_LINES_OF_A_FUNCTION} at most")));
        }
    }
    breaches
}

fn begins_function(line: &str) -> bool {
    let before = line.trim_start().split("fn ").next().unwrap_or_default();
    let modifiers = ["pub", "async", "const", "unsafe", "default"];
    line.contains("fn ")
        && before.split_whitespace().all(|word| modifiers.contains(&word.split('(').next().unwrap_or_default()))
}

#[test]
fn every_module_says_what_it_is_for() {
    let rule = |file: &SourceFile| match file.lines.first() {
        Some(line) if line.strip_prefix("//! ").is_some_and(|purpose| purpose.len() > 10) => Vec::new(),
        _ => vec![file.breach(1, "the first line must say the module's purpose: `//! …`")],
    };

    holds(rule, &[("src/app.rs", "use std::fmt;\n"), ("src/app.rs", ""), ("src/app.rs", "//!\nuse std::fmt;\n")]);
}

#[test]
fn nothing_is_left_undone() {
    let rule = |file: &SourceFile| {
        let undone = |line: &str| {
            let macros = ["todo!", "unimplemented!", "dbg!"].into_iter().find(|undone| line.contains(undone));
            macros.or_else(|| ["TODO", "FIXME", "XXX", "HACK"].into_iter().find(|word| has_words(line, word)))
        };
        let found = file.numbered().filter_map(|(number, line)| undone(line).map(|word| (number, word)));
        found.map(|(number, word)| file.breach(number, format!("`{word}` is left"))).collect()
    };

    holds(rule, &[("src/app.rs", "fn f() { todo!() }"), ("src/app.rs", "// FIXME later\n")]);
}

#[test]
fn no_code_is_commented_out() {
    let rule = |file: &SourceFile| {
        let is_code = |line: &str| {
            let Some(text) = line.trim_start().strip_prefix("// ").map(str::trim) else { return false };
            let begins = ["let ", "use ", "fn ", "pub ", "impl ", "#["].iter().any(|word| text.starts_with(word));
            text.ends_with(";") && (begins || text.contains('(') || text.contains(" = "))
                || text.ends_with(" {")
                || (begins && text.contains("::"))
                || matches!(text, "}" | "})" | "});")
        };
        let found = file.numbered().filter(|(_, line)| is_code(line));
        found.map(|(number, line)| file.breach(number, format!("commented-out code: {}", line.trim()))).collect()
    };

    holds(
        rule,
        &[
            ("src/app.rs", "// let a = 1;\n"),
            ("src/app.rs", "    // if open {\n"),
            ("src/app.rs", "// use crate::store::Store\n"),
            ("src/app.rs", "// ctx.store.close(id).await?;\n"),
        ],
    );
}

#[test]
fn sql_that_is_made_at_run_time_says_why_it_is_safe() {
    let rule = |file: &SourceFile| {
        let made = file.code().filter(|(_, line)| line.contains("AssertSqlSafe(") || line.contains("raw_sql(format!"));
        let unexplained = made.filter(|(number, _)| {
            let before = &file.lines[number.saturating_sub(7)..number - 1];
            !before.iter().any(|line| line.trim_start().starts_with("// "))
        });
        unexplained.map(|(number, _)| file.breach(number, "no comment above says why this SQL is safe")).collect()
    };

    holds(
        rule,
        &[("src/store/jobs.rs", "fn f() {\n    sqlx::query(AssertSqlSafe(format!(\"drop table {name}\")));\n}\n")],
    );
}

#[test]
fn every_job_has_its_row_its_handler_and_its_wire_snapshot() {
    let worker = fs::read_to_string(root().join("src/worker.rs")).unwrap();
    let rows = tables::worker_rows(&worker).unwrap();
    let handlers: BTreeMap<String, String> =
        rows.iter().map(|row| (tables::name_of(&row.job), row.handler.clone())).collect();

    let kinds: BTreeSet<&str> = AnyJob::KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(
        handlers.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        kinds,
        "src/worker.rs: the match in `run`"
    );
    for (kind, handler) in &handlers {
        assert!(handler.ends_with(&format!("/{kind}.rs")), "src/worker.rs: {kind} is run by {handler}, not {kind}.rs");
        let text = fs::read_to_string(root().join(handler)).unwrap_or_default();
        assert!(text.contains("\npub async fn run("), "{handler}:1: no `pub async fn run` for the job {kind}");
        let snapshot = format!("jobs/tests/snapshots/wire__{kind}.snap");
        assert!(root().join(&snapshot).is_file(), "{snapshot} is missing: add a sample to jobs/tests/wire.rs");
    }
}

#[test]
fn every_handler_is_in_the_workers_table() {
    let worker = fs::read_to_string(root().join("src/worker.rs")).unwrap();
    let rows = tables::worker_rows(&worker).unwrap();
    let rule = |file: &SourceFile| {
        let run = file.code().find(|(_, line)| file.part() == "handlers" && line.starts_with("pub async fn run("));
        let known = rows.iter().any(|row| row.handler == file.path);
        run.filter(|_| !known)
            .map(|(line, _)| file.breach(line, "no row of src/worker.rs runs it"))
            .into_iter()
            .collect()
    };

    holds(rule, &[("src/handlers/mail/forgotten.rs", "pub async fn run() {}\n")]);
}

#[test]
fn the_workers_table_is_read_from_its_source() {
    let source =
        "async fn run(job: &AnyJob) { match job { AnyJob::NoOp(job) => handlers::diagnosis::no_op::run(job).await, } }";
    let astray = source.replace("handlers::diagnosis::no_op::run(job)", "ignore(job)");

    let rows = tables::worker_rows(source).unwrap();

    let handler = "src/handlers/diagnosis/no_op.rs".to_owned();
    assert_eq!(rows, [tables::WorkerRow { job: "NoOp".to_owned(), handler }]);
    assert_eq!(tables::worker_rows(&astray).unwrap_err(), "NoOp is not given to a `handlers::…::run`");
}

#[test]
fn every_exception_is_still_needed() {
    let paths: BTreeSet<&str> = HOUSE.iter().map(|file| file.path.as_str()).collect();
    for (path, _, _) in LONGER_FILES {
        let file = HOUSE.iter().find(|file| file.path == *path);
        let length = file.unwrap_or_else(|| panic!("{path} is not there any more")).length;
        assert!(length > MOST_LINES_OF_A_FILE, "{path} has {length} lines: it needs no exception any more");
    }
    for (path, named, _) in CRATES_OF_ONE_FILE {
        let file = HOUSE.iter().find(|file| file.path == *path);
        let used = file.is_some_and(|file| file.mentions.iter().any(|mention| mention.of_crate() == Some(named)));
        assert!(used, "{path} does not use {named}: it needs no exception any more");
    }
    for (path, _) in SPAWNERS {
        assert!(paths.contains(path), "{path} is not there any more");
    }
}

#[test]
fn what_tests_use_is_not_the_programs() {
    let text =
        "//! A.\n\n#[cfg(test)]\nmod tests;\n\nfn f() {}\n\n#[cfg(test)]\nmod more {\n    use sqlx::PgPool;\n}\n";

    let file = sample("src/http/checkout.rs", text);

    assert_eq!(file.mentions, []);
    assert_eq!((file.length, file.numbered().count()), (5, 11));
}
