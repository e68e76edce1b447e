//! Keeps the table of problem types true: each that is answered is in it with its status, and nothing else is.

use std::collections::BTreeMap;

use berth::http::problem::TYPES;

use crate::source::files_under;

/// Words with hyphens that routes use for other things than problem types: headers, their values, names of examples.
const OTHER_WORDS: &[&str] = &[
    "content-disposition",
    "content-type",
    "daily-backups",
    "date-time",
    "eu-central",
    "idempotency-key",
    "idempotent-replayed",
    "if-match",
    "last-event-id",
    "no-referrer",
    "no-store",
    "same-origin",
    "sec-fetch-site",
    "shared-monthly",
    "stripe-signature",
    "vps-monthly",
    "x-berth-live",
    "x-accel-buffering",
    "x-forwarded-for",
    "x-request-id",
];

/// The statuses by the names that the source gives them.
const STATUSES: &[(&str, u16)] = &[
    ("BAD_REQUEST", 400),
    ("UNAUTHORIZED", 401),
    ("FORBIDDEN", 403),
    ("NOT_FOUND", 404),
    ("METHOD_NOT_ALLOWED", 405),
    ("NOT_ACCEPTABLE", 406),
    ("CONFLICT", 409),
    ("GONE", 410),
    ("PRECONDITION_FAILED", 412),
    ("PAYLOAD_TOO_LARGE", 413),
    ("UNSUPPORTED_MEDIA_TYPE", 415),
    ("UNPROCESSABLE_ENTITY", 422),
    ("PRECONDITION_REQUIRED", 428),
    ("TOO_MANY_REQUESTS", 429),
    ("INTERNAL_SERVER_ERROR", 500),
    ("SERVICE_UNAVAILABLE", 503),
];

/// A text in the source that is or may be a problem type.
#[derive(Debug)]
struct Found {
    slug: String,
    /// Where the source says so right before it.
    status: Option<u16>,
}

/// The problem types in a file's code: what stands where one is made, and every word with hyphens.
fn slugs_in(code: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut before = String::new();
    // Between two quotation marks is a text; one that is escaped belongs to no problem type, and only moves what follows.
    for (at, part) in code.replace("\\\"", "").split('"').enumerate() {
        if at % 2 == 0 {
            before = part.trim_end().to_owned();
            continue;
        }
        let status = status_before(&before);
        let word = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        let hyphens = part.contains('-') && !part.starts_with('-') && !part.ends_with('-');
        if word && (hyphens || status.is_some()) {
            found.push(Found { slug: part.to_owned(), status });
        }
    }
    found
}

fn status_before(code: &str) -> Option<u16> {
    let shorthands = [("conflict(", 409), ("unprocessable(", 422)];
    if let Some((_, status)) = shorthands.into_iter().find(|(call, _)| code.ends_with(call)) {
        return Some(status);
    }
    let name = code.strip_suffix(',')?.rsplit("StatusCode::").next()?;
    STATUSES.iter().find(|(known, _)| *known == name).map(|(_, status)| *status)
}

/// Everything that the routes' code may answer, with the file that says so.
fn used() -> Vec<(String, Found)> {
    let files = files_under(&["src/http"]);
    let own_table = "src/http/problem/types.rs";
    files
        .iter()
        .filter(|file| file.path != own_table)
        .flat_map(|file| {
            let code: Vec<&str> = file.code().map(|(_, line)| line).collect();
            let found = slugs_in(&code.join("\n")).into_iter();
            found.filter(|found| !OTHER_WORDS.contains(&found.slug.as_str())).map(|found| (file.path.clone(), found))
        })
        .collect()
}

#[test]
fn every_problem_type_that_a_route_answers_is_documented_with_its_status() {
    let documented: BTreeMap<&str, &[u16]> = TYPES.iter().map(|of| (of.slug, of.statuses)).collect();

    let missing: Vec<String> = used()
        .into_iter()
        .filter_map(|(path, found)| match (documented.get(found.slug.as_str()), found.status) {
            (None, _) => Some(format!("{path}: {:?} is not in problem/types.rs (nor among OTHER_WORDS)", found.slug)),
            (Some(table), Some(status)) if !table.contains(&status) => {
                Some(format!("{path}: {:?} is answered with {status}, but the table says {table:?}", found.slug))
            }
            (Some(_), _) => None,
        })
        .collect();

    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[test]
fn no_problem_type_is_documented_that_no_route_answers() {
    let used = used();

    for of in TYPES {
        assert!(
            used.iter().any(|(_, found)| found.slug == of.slug),
            "{:?} is documented, but nowhere answered",
            of.slug
        );
    }
    for word in OTHER_WORDS {
        assert!(!TYPES.iter().any(|of| of.slug == *word), "{word:?} is a problem type and something else");
    }
}

#[test]
fn problem_types_are_found_where_they_are_made_and_where_they_are_named() {
    let code =
        "Problem::conflict(\n    \"cart-changed\",\n\"x\") Self::new(StatusCode::FORBIDDEN, \"forbidden\", \"You may\")
        Problem::new(axum::http::StatusCode::NOT_FOUND, \"no-invoice-yet\", \"a \\\"b\\\"\") => \"coupon-used-up\",
        unprocessable(\"no-email\", detail) (\"Plain-Words\") \"a b-c\" \"word\"";

    let found: Vec<(String, Option<u16>)> =
        slugs_in(code).into_iter().map(|found| (found.slug, found.status)).collect();

    let expected = [
        ("cart-changed", Some(409)),
        ("forbidden", Some(403)),
        ("no-invoice-yet", Some(404)),
        ("coupon-used-up", None),
        ("no-email", Some(422)),
    ];
    assert_eq!(found, expected.map(|(slug, status)| (slug.to_owned(), status)));
}
