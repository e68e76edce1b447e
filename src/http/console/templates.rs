//! The console's templates: built in, filled in with escaped values.

use std::sync::LazyLock;

use jiff::Timestamp;
use minijinja::{AutoEscape, Environment, Error, State, UndefinedBehavior, Value};

use super::{super::problem::Problem, links};
use crate::{domain::spoken, error::chain};

macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../config/pages/console/", $name, ".j2")))),*]
    };
}

const TEMPLATES: &[(&str, &str)] = templates![
    "layout.html",
    "bare.html",
    "macros.html",
    "login.html",
    "enter.html",
    "entered.html",
    "trouble.html",
    "overview.html",
    "alerts.html",
    "audit.html",
    "search.html",
    "jobs.html",
    "job.html",
    "orders.html",
    "order.html",
    "accounts.html",
    "account.html",
    "customers.html",
    "customer.html",
    "credit.html",
    "renewals.html",
    "sweeps.html",
    "sweep.html",
    "servers.html",
    "mails.html",
    "mail.html",
];

static ENVIRONMENT: LazyLock<Result<Environment<'static>, Error>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    // What it would leave unescaped is nobody's business.
    templates.remove_filter("safe");
    templates.add_filter("linked", |text: String| Value::from_safe_string(links::linked(&text)));
    templates.add_filter("whole", |text: String| Value::from_safe_string(links::whole(&text)));
    templates.add_filter("away", |state: &State<'_, '_>, at: String| since(state, "now", &at));
    templates.add_filter("really_away", |state: &State<'_, '_>, at: String| since(state, "real_now", &at));
    templates.add_filter("exact", |at: String| exact(&at));
    // Every page says at its foot that times are UTC.
    templates.add_filter("plain", |at: String| exact(&at).trim_end_matches(" UTC").to_owned());
    templates.add_filter("day", |at: String| exact(&at).chars().take(10).collect::<String>());
    templates.add_filter("second", |at: String| exact(&at).chars().skip(11).take(8).collect::<String>());
    templates.add_filter("urlencode", |text: String| super::answer::encoded(&text));
    templates.add_filter("words", |text: String| text.replace('_', " "));
    templates.add_function("took", |from: String, until: String| took(&from, &until));
    for (name, source) in TEMPLATES {
        templates.add_template(name, source)?;
    }
    Ok(templates)
});

/// Fills a template in.
pub(super) fn fill(name: &str, values: Value) -> Result<String, Problem> {
    let filled = ENVIRONMENT.as_ref().map_err(|error| format!("the templates cannot be used: {error:#}")).and_then(
        |templates| {
            let template = templates.get_template(name).map_err(|error| chain(&error))?;
            template.render(values).map_err(|error| chain(&error))
        },
    );
    filled.map_err(|error| {
        let id = uuid::Uuid::now_v7().to_string();
        tracing::error!(error, id, page = name, "a page of the console could not be filled in");
        Problem::internal(id)
    })
}

/// How far away a time is, by one of the page's clocks.
fn since(state: &State<'_, '_>, clock: &str, at: &str) -> String {
    let now = state.lookup(clock).and_then(|now| now.as_str()?.parse::<Timestamp>().ok());
    match (at.parse(), now) {
        (Ok(at), Some(now)) => spoken::away(at, now),
        _ => at.to_owned(),
    }
}

/// `2026-11-26 14:02:40 UTC`.
fn exact(at: &str) -> String {
    let read: Result<Timestamp, _> = at.parse();
    read.map_or_else(|_| at.to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// How long it is from one time to another.
fn took(from: &str, until: &str) -> String {
    match (from.parse::<Timestamp>(), until.parse::<Timestamp>()) {
        (Ok(from), Ok(until)) => spoken::length(until.duration_since(from)),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_can_be_used() {
        let templates = ENVIRONMENT.as_ref().map_err(|error| format!("{error:#}")).unwrap();

        for (name, _) in TEMPLATES {
            assert!(templates.get_template(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn no_template_holds_a_script_or_a_style_of_its_own() {
        for (name, source) in TEMPLATES {
            for forbidden in ["<style", " style=", " onclick=", " onsubmit=", "javascript:", "|safe", "| safe"] {
                assert!(!source.contains(forbidden), "{name}: {forbidden}");
            }
            let scripts = source.matches("<script").count();
            assert_eq!(scripts, source.matches("<script src=\"/console/console.js").count(), "{name}");
        }
    }
}
