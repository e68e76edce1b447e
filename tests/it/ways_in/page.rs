//! docs/enqueue.md: each of its commands is run, and answers what it says; and what was asked for has run.

use std::{env, ffi::OsStr, path::Path, process::Stdio};

use tokio::process::Command;

use super::{super::support::StackOptions, *};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// What asks without a program of Berth's, and how it is had.
const PROGRAMS: [(&str, &str); 7] = [
    // Beside the tests' own programs, by whoever builds those.
    ("enqueue", "cargo build --workspace --example enqueue"),
    ("curl", "apt-get install curl"),
    ("node", "apt-get install nodejs"),
    ("python3", "apt-get install python3"),
    ("psql", "apt-get install postgresql-client"),
    ("redis-cli", "apt-get install redis-tools"),
    ("openssl", "apt-get install openssl"),
];

struct Row {
    way: String,
    command: String,
    answer: String,
}

fn rows() -> Vec<Row> {
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/enqueue.md")).unwrap();
    let (_, after) = page.split_once("<!-- commands:begin -->").unwrap();
    let (inside, _) = after.split_once("<!-- commands:end -->").unwrap();
    let lines = inside.lines().filter(|line| line.starts_with("| ")).skip(1);
    let rows = lines.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [way, command, answer] = cells.try_into().unwrap_or_else(|_| panic!("not three cells: {line}"));
        let unquoted = |cell: &str| cell.trim_matches('`').trim().to_owned();
        let answer = if answer.starts_with("``") || answer.starts_with("` ") {
            answer
                .trim_start_matches("``")
                .trim_end_matches("``")
                .trim()
                .trim_start_matches("` ")
                .trim_end_matches(" `")
                .to_owned()
        } else {
            unquoted(answer)
        };
        Row { way: way.to_owned(), command: unquoted(command), answer }
    });
    rows.collect()
}

fn is_there(program: &str, path: &OsStr) -> bool {
    let file = program.split(' ').next().unwrap();
    env::split_paths(path).any(|folder| folder.join(file).is_file())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_page_answers_what_it_says_and_its_jobs_run() {
    let stack = Stack::with(StackOptions::default().setting("inbox.enabled", "true")).await;
    let _berth = stack.start().await;
    let key = stack.key("crm", &["no_op", "provision_account", "sweep_unpaid_orders"]).await;
    let (_, database) = stack.role(&["no_op", "provision_account"]).await;
    let folder = Path::new(env!("CARGO_BIN_EXE_berth")).parent().unwrap();
    let path = env::join_paths(
        [folder.to_owned(), folder.join("examples")]
            .into_iter()
            .chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())),
    );
    let path = path.unwrap();
    let missing: Vec<_> = PROGRAMS.iter().filter(|(program, _)| !is_there(program, &path)).collect();
    for (program, how) in &missing {
        println!("SKIPPED: what asks by {program}, which is not here: {how}");
    }
    assert!(missing.is_empty() || env::var("BERTH_TEST_DOUBLES").as_deref() != Ok("required"));
    let rows = rows();
    assert!(rows.len() > 20);

    for Row { way, command, answer } in &rows {
        let is_missing = |program: &str| match program {
            "enqueue" => way.starts_with("Rust"),
            _ => command.contains(program),
        };
        if missing.iter().any(|(program, _)| is_missing(program)) {
            continue;
        }
        let output = Command::new("bash")
            .args(["-c", command])
            .current_dir(ROOT)
            .envs(stack.environment())
            .env("PATH", &path)
            .env("BERTH", stack.base())
            .env("APP_KEY", &key.token)
            .env("APP_KEY_ID", key.id.to_string())
            .env("APP_SIGNING_KEY", key.signing_key.expose_secret())
            .env("DATABASE_URL", &database)
            .env("REDIS", stack.redis_url())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(said.contains(answer.as_str()), "{way}: {command}\nsaid: {said}\nnot: {answer}");
    }

    stack.until_idle().await;
    let done: Vec<String> = sqlx::query_scalar(
        "select payload ->> 'note' from berth.jobs where kind = 'no_op' and state = 'done' order by 1",
    )
    .fetch_all(&stack.pool)
    .await
    .unwrap();
    if missing.is_empty() {
        let all = ["batch 1", "batch 2", "curl", "node", "psql", "python", "redis", "rust", "rust-sql", "shell"];
        assert_eq!(done, all);
    }
}
