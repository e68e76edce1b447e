//! The program's two tables, read from its source: job → handler in worker.rs, Stripe event → job in incoming.rs.

use syn::{
    Arm, Item, LitStr, Pat, Path,
    visit::{self, Visit},
};

/// A row of the worker's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkerRow {
    /// The job's type: `ProvisionAccount`.
    pub(crate) job: String,
    /// The handler's file: `src/handlers/hosting/provision_account.rs`.
    pub(crate) handler: String,
}

/// The rows of the match in `fn run` of worker.rs.
///
/// # Errors
/// When there is no such match, or an arm is not `AnyJob::Job(…) => handlers::folder::file::run(…)`.
pub(crate) fn worker_rows(source: &str) -> Result<Vec<WorkerRow>, String> {
    let mut rows = Vec::new();
    for arm in arms_of("run", source)? {
        let Pat::TupleStruct(pattern) = &arm.pat else {
            return Err("an arm of the worker's table is not `AnyJob::Job(job)`".to_owned());
        };
        let job = last_of(&pattern.path);
        let called = paths_in(&arm).into_iter().find(|path| path.first().is_some_and(|first| first == "handlers"));
        let handler = match called.as_deref() {
            Some([folder @ .., run]) if run == "run" => format!("src/{}.rs", folder.join("/")),
            _ => return Err(format!("{job} is not given to a `handlers::…::run`")),
        };
        rows.push(WorkerRow { job, handler });
    }
    Ok(rows)
}

/// The types of events in the match of `fn job_for`, each with the job that it becomes, among `jobs`.
///
/// # Errors
/// When there is no such match, or an arm that names an event does not name exactly one job.
pub(crate) fn stripe_rows(source: &str, jobs: &[String]) -> Result<Vec<(String, String)>, String> {
    let mut rows = Vec::new();
    for arm in arms_of("job_for", source)? {
        let events = texts_in(&arm.pat);
        let mut named: Vec<String> = paths_in(&arm).into_iter().flatten().filter(|word| jobs.contains(word)).collect();
        named.dedup();
        match (events.as_slice(), named.as_slice()) {
            ([], _) => {}
            (events, [job]) => rows.extend(events.iter().map(|event| (event.clone(), job.clone()))),
            (events, named) => return Err(format!("{events:?} must become one job, and become {named:?}")),
        }
    }
    Ok(rows)
}

/// `provision_account` of `ProvisionAccount`.
pub(crate) fn name_of(job: &str) -> String {
    let mut name = String::new();
    for letter in job.chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

fn arms_of(function: &str, source: &str) -> Result<Vec<Arm>, String> {
    #[derive(Default)]
    struct Arms(Vec<Arm>);
    impl<'ast> Visit<'ast> for Arms {
        fn visit_arm(&mut self, arm: &'ast Arm) {
            self.0.push(arm.clone());
            visit::visit_arm(self, arm);
        }
    }
    let file = syn::parse_file(source).map_err(|error| format!("it is no Rust: {error}"))?;
    let found = file.items.iter().find_map(|item| {
        let Item::Fn(found) = item else { return None };
        (found.sig.ident == function).then_some(found)
    });
    let mut arms = Arms::default();
    arms.visit_item_fn(found.ok_or_else(|| format!("there is no `fn {function}`"))?);
    if arms.0.is_empty() {
        return Err(format!("`fn {function}` has no match"));
    }
    Ok(arms.0)
}

fn paths_in(arm: &Arm) -> Vec<Vec<String>> {
    #[derive(Default)]
    struct Paths(Vec<Vec<String>>);
    impl<'ast> Visit<'ast> for Paths {
        fn visit_path(&mut self, path: &'ast Path) {
            self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
            visit::visit_path(self, path);
        }
    }
    let mut paths = Paths::default();
    paths.visit_expr(&arm.body);
    paths.0
}

fn texts_in(pattern: &Pat) -> Vec<String> {
    #[derive(Default)]
    struct Texts(Vec<String>);
    impl<'ast> Visit<'ast> for Texts {
        fn visit_lit_str(&mut self, text: &'ast LitStr) {
            self.0.push(text.value());
        }
    }
    let mut texts = Texts::default();
    texts.visit_pat(pattern);
    texts.0
}

fn last_of(path: &Path) -> String {
    path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}
