//! Keeps what is told true: the README's tables are the program's, the commands that it shows are there, and every problem
//! type is documented.
//!
//! Tables stand between `<!-- flow:begin -->` and `<!-- flow:end -->`, and between `jobs:begin` and `jobs:end`; their
//! rows may stand in any order. A cell may be in backticks; of a link its target counts.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed, and says where")]

#[path = "docs/problems.rs"]
mod problems;
#[path = "architecture/source.rs"]
#[expect(dead_code, reason = "the rest is for tests/architecture.rs")]
mod source;
#[path = "architecture/tables.rs"]
mod tables;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use berth_jobs::JobKind;
use tables::WorkerRow;

const FLOW_COLUMNS: [&str; 4] = ["Stripe event", "Job", "Handler", "What becomes true"];
const JOBS_COLUMNS: [&str; 3] = ["Job", "Queue", "Handler"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path} cannot be read: {error}"))
}

/// The rows of the table between `<!-- name:begin -->` and `<!-- name:end -->`, each cell as [`cell_text`] reads it.
fn table<const COLUMNS: usize>(
    text: &str,
    name: &str,
    columns: [&str; COLUMNS],
) -> Result<Vec<[String; COLUMNS]>, String> {
    let (begin, end) = (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"));
    let (_, after) = text.split_once(&begin).ok_or_else(|| format!("there is no {begin}"))?;
    let (inside, _) = after.split_once(&end).ok_or_else(|| format!("there is no {end}"))?;
    let mut rows = inside.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| {
        let cells = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')).unwrap_or_default();
        let cells: Vec<String> = cells.split('|').map(cell_text).collect();
        <[String; COLUMNS]>::try_from(cells).map_err(|_| format!("not a row of {COLUMNS} cells: {line}"))
    });
    match rows.next().transpose()? {
        Some(header) if header == columns => {}
        header => return Err(format!("the columns of `{name}` are {header:?}, not {columns:?}")),
    }
    let rule = rows.next().transpose()?;
    if !rule.is_some_and(|cells| cells.iter().all(|cell| cell.contains("---"))) {
        return Err(format!("there is no |---| beneath the columns of `{name}`"));
    }
    rows.collect()
}

/// A cell without backticks; the target of a cell that is one link.
fn cell_text(cell: &str) -> String {
    let cell = cell.trim();
    let link = cell.strip_prefix('[').and_then(|cell| cell.strip_suffix(')')).and_then(|cell| cell.split_once("]("));
    link.filter(|(_, target)| !target.contains('(')).map_or(cell, |(_, target)| target).replace('`', "")
}

/// What only one of the two tables has; nothing when they are the same.
fn differences(of_readme: &[Vec<String>], of_program: &[Vec<String>]) -> Vec<String> {
    let shown = |row: &Vec<String>| row.join(" | ");
    let surplus = of_readme.iter().filter(|row| !of_program.contains(row));
    let lacking = of_program.iter().filter(|row| !of_readme.contains(row));
    let repeated = of_readme.iter().enumerate().filter(|(at, row)| of_readme[..*at].contains(row));
    let mut found: Vec<String> = surplus.map(|row| format!("not in the program: {}", shown(row))).collect();
    found.extend(lacking.map(|row| format!("not in the README: {}", shown(row))));
    found.extend(repeated.map(|(_, row)| format!("twice in the README: {}", shown(row))));
    found
}

/// How the README's Flow table differs from `job_for` in `stripe` (source) and the table in `worker` (source).
fn check_flow(readme: &str, stripe: &str, worker: &str) -> Result<Vec<String>, String> {
    let handlers = handlers_by_job(worker)?;
    let jobs: Vec<String> = handlers.keys().cloned().collect();
    let events = tables::stripe_rows(stripe, &jobs).map_err(|why| format!("src/incoming.rs: {why}"))?;
    let of_program: Vec<Vec<String>> =
        events.into_iter().map(|(event, job)| vec![event, job.clone(), handlers[&job].clone()]).collect();
    let rows = table(readme, "flow", FLOW_COLUMNS).map_err(|why| format!("README.md: {why}"))?;
    let mut found = differences(&rows.iter().map(|row| row[..3].to_vec()).collect::<Vec<_>>(), &of_program);
    let unsaid = rows.iter().filter(|row| row[3].is_empty());
    found.extend(unsaid.map(|row| format!("it is not said what becomes true: {}", row.join(" | "))));
    Ok(found)
}

/// How the README's table of jobs differs from the table in `worker` (source) and the jobs' constants.
fn check_jobs(readme: &str, worker: &str) -> Result<Vec<String>, String> {
    let queue_of = |job: &str| {
        let kind = JobKind::named(&tables::name_of(job)).ok_or_else(|| format!("no job is called {job}"))?;
        Ok::<_, String>(kind.queue.to_string())
    };
    let of_program = handlers_by_job(worker)?
        .into_iter()
        .map(|(job, handler)| Ok(vec![job.clone(), queue_of(&job)?, handler]))
        .collect::<Result<Vec<_>, String>>()?;
    let rows = table(readme, "jobs", JOBS_COLUMNS).map_err(|why| format!("README.md: {why}"))?;
    Ok(differences(&rows.into_iter().map(Vec::from).collect::<Vec<_>>(), &of_program))
}

fn handlers_by_job(worker: &str) -> Result<BTreeMap<String, String>, String> {
    let rows = tables::worker_rows(worker).map_err(|why| format!("src/worker.rs: {why}"))?;
    Ok(rows.into_iter().map(|WorkerRow { job, handler }| (job, handler)).collect())
}

/// The lines of the fenced blocks that hold commands, without prompts and comments.
fn command_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut fence: Option<bool> = None;
    for line in text.lines().map(str::trim) {
        if let Some(language) = line.strip_prefix("```") {
            let language = language.split([' ', ',']).next().unwrap_or_default();
            fence = match fence {
                None => Some(matches!(language, "sh" | "bash" | "shell" | "console" | "")),
                Some(_) => None,
            };
        } else if fence == Some(true) {
            lines.push(line.trim_start_matches("$ ").split(" #").next().unwrap_or_default().to_owned());
        }
    }
    lines
}

/// The scripts of `bin/` that commands name.
fn scripts_in(text: &str) -> BTreeSet<String> {
    let lines = command_lines(text);
    let words = lines.iter().flat_map(|line| line.split(|letter: char| " ;&|()\"'`$=".contains(letter)));
    words.map(|word| word.trim_start_matches("./")).filter(|word| word.starts_with("bin/")).map(str::to_owned).collect()
}

#[test]
fn the_readmes_flow_is_the_programs() {
    let found = check_flow(&read("README.md"), &read("src/incoming.rs"), &read("src/worker.rs")).unwrap();

    assert!(found.is_empty(), "README.md, the table `flow`:\n{}", found.join("\n"));
}

#[test]
fn every_event_that_means_a_job_is_asked_for_where_it_did_not_come() {
    let source = read("src/incoming.rs");
    let jobs: Vec<String> =
        tables::worker_rows(&read("src/worker.rs")).unwrap().into_iter().map(|row| row.job).collect();
    let mut handled: Vec<String> =
        tables::stripe_rows(&source, &jobs).unwrap().into_iter().map(|(event, _)| event).collect();
    let mut asked_for: Vec<&str> = berth::incoming::KINDS.to_vec();
    handled.sort_unstable();
    asked_for.sort_unstable();

    assert_eq!(handled, asked_for, "`KINDS` in src/incoming.rs are the types of `job_for`");
}

#[test]
fn the_readmes_jobs_are_the_programs() {
    let found = check_jobs(&read("README.md"), &read("src/worker.rs")).unwrap();

    assert!(found.is_empty(), "README.md, the table `jobs`:\n{}", found.join("\n"));
}

#[test]
fn every_handler_that_the_readme_names_is_there() {
    let readme = read("README.md");
    let of_flow = table(&readme, "flow", FLOW_COLUMNS).unwrap().into_iter().map(|row| row[2].clone());
    let of_jobs = table(&readme, "jobs", JOBS_COLUMNS).unwrap().into_iter().map(|row| row[2].clone());

    for handler in of_flow.chain(of_jobs) {
        assert!(root().join(&handler).is_file(), "README.md names {handler}, which is not there");
    }
}

#[test]
fn every_script_that_the_docs_show_can_be_run() {
    for page in pages() {
        for script in scripts_in(&read(&page)) {
            let metadata = fs::metadata(root().join(&script));
            let metadata = metadata.unwrap_or_else(|error| panic!("{page} shows {script}: {error}"));
            assert!(metadata.permissions().mode() & 0o111 != 0, "{page} shows {script}, which cannot be executed");
        }
    }
}

/// The README, and every page of `docs/`.
fn pages() -> Vec<String> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<String> = docs
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| path.strip_prefix(root()).unwrap().display().to_string())
        .collect();
    pages.push("README.md".to_owned());
    pages.sort_unstable();
    pages
}

/// The calls of `berth` that commands make, as their arguments: of each command of a line, whatever stands before it.
fn calls_of_berth(text: &str) -> Vec<Vec<String>> {
    let lines = command_lines(text);
    let commands =
        lines.iter().flat_map(|line| line.split(['|', ';', '(', ')', '`', '\n'])).flat_map(|part| part.split("&&"));
    commands.filter_map(call_of_berth).collect()
}

fn call_of_berth(command: &str) -> Option<Vec<String>> {
    let mut words = words_of(command).into_iter();
    let is_berth = |word: &String| matches!(word.as_str(), "berth" | "target/debug/berth" | "/usr/bin/berth");
    // Before it there may stand variables and `sudo`.
    let before_it = |word: &str| word.contains('=') || word.starts_with('-') || word == "sudo";
    loop {
        let word = words.next()?;
        if is_berth(&word) {
            return Some(words.take_while(|word| !word.starts_with(['>', '<']) && word != "2>&1").collect());
        }
        if !before_it(&word) {
            return None;
        }
    }
}

/// Splits a command as a shell would, as far as these pages need it.
fn words_of(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for letter in command.chars() {
        match (quote, letter) {
            (Some(mark), letter) if letter == mark => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, ' ') => words.push(String::new()),
            (_, letter) => words.last_mut().unwrap().push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Why the program does not understand these arguments; nothing where it does.
fn misunderstood(arguments: &[String]) -> Option<String> {
    // Asked for its help at the end, it reads all that stands before and does none of it.
    let output = Command::new(env!("CARGO_BIN_EXE_berth")).args(arguments).arg("--help").output().unwrap();
    (!output.status.success())
        .then(|| format!("berth {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

#[test]
fn every_call_of_berth_that_the_docs_show_is_understood() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for page in pages() {
        for call in calls_of_berth(&read(&page)) {
            if seen.insert(call.clone()) {
                wrong.extend(misunderstood(&call).map(|why| format!("{page}: {why}")));
            }
        }
    }

    assert!(seen.len() > 20, "only {} calls were found", seen.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_call_is_found_behind_what_stands_before_it_and_a_wrong_one_is_refused() {
    let text = "```sh\n$ sudo A=b berth sweep accounts --dry-run > plan # look\ntoken=$(target/debug/berth token --user x)\n\
                cat berth && echo 'x' | berth man\n```\n";

    let calls = calls_of_berth(text);

    assert_eq!(calls, [vec!["sweep", "accounts", "--dry-run"], vec!["token", "--user", "x"], vec!["man"]]);
    let call = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert!(misunderstood(&call("sweep accounts --dryrun")).unwrap().contains("--dryrun"));
    assert!(misunderstood(&call("sweep everything")).is_some());
    assert!(misunderstood(&call("swept")).is_some());
    assert_eq!(misunderstood(&call("sweep accounts --dry-run")), None);
}

#[test]
fn every_unit_that_the_docs_show_is_shipped() {
    let shipped = |name: &str| root().join(format!("packaging/systemd/{name}.service")).is_file();
    for page in pages() {
        for line in command_lines(&read(&page)).iter().filter(|line| line.contains("systemctl ")) {
            let names = line.split_whitespace().filter(|word| word.starts_with("berth"));
            for name in names {
                let template = name.split_once('@').map_or(name.to_owned(), |(template, _)| format!("{template}@"));
                assert!(shipped(&template), "{page} shows the unit {name}, which is not shipped");
            }
        }
    }
}

#[test]
fn all_units_have_the_same_protection() {
    let protection =
        |text: &str| text.split_once("NoNewPrivileges").unwrap().1.split_once("[Install]").unwrap().0.to_owned();
    let units: Vec<_> =
        fs::read_dir(root().join("packaging/systemd")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let first = protection(&read("packaging/systemd/berth.service"));

    assert!(units.len() >= 6);
    for unit in units {
        let text = fs::read_to_string(&unit).unwrap();
        assert_eq!(protection(&text), first, "{}", unit.display());
        assert!(text.contains("Type=notify") && text.contains("WatchdogSec="), "{}", unit.display());
    }
}

const WORKER: &str = "async fn run(job: &AnyJob, ctx: &Ctx) { match job {
    AnyJob::CloseCheckout(job) => handlers::checkout::close_checkout::run(job, ctx).await,
    AnyJob::SendMail(job) => handlers::mail::send_mail::run(job, ctx).await,
} }";

const STRIPE: &str = r#"pub fn job_for(event: &StripeEvent) -> Option<AnyJob> {
    let event_id = event.id.clone();
    match event.kind.as_str() {
        "checkout.session.expired" | "checkout.session.async_payment_failed" => Some(CloseCheckout { event_id }.into()),
        _ => None,
    }
}"#;

const FLOW: &str = "Some words.
<!-- flow:begin -->
| Stripe event | Job | Handler | What becomes true |
|---|---|---|---|
| `checkout.session.async_payment_failed` | `CloseCheckout` | [`close_checkout.rs`](src/handlers/checkout/close_checkout.rs) | It failed |
| checkout.session.expired | CloseCheckout | src/handlers/checkout/close_checkout.rs | It is cancelled |
<!-- flow:end -->";

const JOBS: &str = "<!-- jobs:begin -->
| Job | Queue | Handler |
|---|---|---|
| `CloseCheckout` | `payments` | `src/handlers/checkout/close_checkout.rs` |
| `SendMail` | `mail` | `src/handlers/mail/send_mail.rs` |
<!-- jobs:end -->";

#[test]
fn a_flow_table_that_is_the_programs_has_no_differences() {
    assert_eq!(check_flow(FLOW, STRIPE, WORKER), Ok(vec![]));
}

#[test]
fn an_event_that_the_readme_lacks_is_named() {
    let stripe = STRIPE.replace("_ =>", r#""mail.wanted" => Some(AnyJob::from(SendMail { mail_id })), _ =>"#);

    let found = check_flow(FLOW, &stripe, WORKER).unwrap();

    assert_eq!(found, ["not in the README: mail.wanted | SendMail | src/handlers/mail/send_mail.rs"]);
}

#[test]
fn a_row_that_the_program_lacks_is_named() {
    let stripe = STRIPE.replace("\"checkout.session.expired\" |", "");

    let found = check_flow(FLOW, &stripe, WORKER).unwrap();

    let row = "checkout.session.expired | CloseCheckout | src/handlers/checkout/close_checkout.rs";
    assert_eq!(found, [format!("not in the program: {row}")]);
}

#[test]
fn a_row_that_names_another_handler_or_says_nothing_is_named() {
    let astray = check_flow(&FLOW.replace("close_checkout.rs) |", "session.rs) |"), STRIPE, WORKER).unwrap();
    let unsaid = check_flow(&FLOW.replace("It failed", ""), STRIPE, WORKER).unwrap();

    assert_eq!(astray.len(), 2, "{astray:?}");
    assert_eq!(unsaid.len(), 1, "{unsaid:?}");
}

#[test]
fn a_table_that_is_missing_or_has_other_columns_is_an_error() {
    let missing = check_flow("Nothing here.", STRIPE, WORKER).unwrap_err();
    let other = check_flow(&FLOW.replace("| Job |", "| Task |"), STRIPE, WORKER).unwrap_err();
    let short = check_flow(&FLOW.replace(" | It failed |", " |"), STRIPE, WORKER).unwrap_err();
    let no_table = check_flow(FLOW, "fn main() {}", WORKER).unwrap_err();

    assert_eq!(missing, "README.md: there is no <!-- flow:begin -->");
    assert!(other.contains("Task"), "{other}");
    assert!(short.contains("not a row of 4 cells"), "{short}");
    assert_eq!(no_table, "src/incoming.rs: there is no `fn job_for`");
}

#[test]
fn a_job_in_another_queue_is_named() {
    let same = check_jobs(JOBS, WORKER);
    let found = check_jobs(&JOBS.replace("`mail`", "`sweeps`"), WORKER).unwrap();

    assert_eq!(same, Ok(vec![]));
    let handler = "src/handlers/mail/send_mail.rs";
    let expected = [
        format!("not in the program: SendMail | sweeps | {handler}"),
        format!("not in the README: SendMail | mail | {handler}"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn scripts_are_found_in_blocks_of_commands_only() {
    let text =
        "Say bin/words.\n```sh\n$ bin/dev --once # or bin/other\ncd x && ./bin/test\n```\n```rust\nbin/rust\n```\n";

    assert_eq!(scripts_in(text).into_iter().collect::<Vec<_>>(), ["bin/dev", "bin/test"]);
}
