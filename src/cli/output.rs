//! What commands print: results to standard output, everything else to standard error.

use std::io::{self, ErrorKind, Write};

use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use serde::Serialize;

/// Prints a line (or several) of the result. A reader that has gone away (`berth jobs list | head`) is no failure.
///
/// # Errors
/// When standard output cannot be written, such as to a disk that is full.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints the result as indented JSON.
///
/// # Errors
/// As [`print`].
pub(super) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print(&serde_json::to_string_pretty(value)?)?)
}

/// Tells the person something that is not the result.
pub(super) fn say(text: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The error and its causes in one line; a cause that the text before it ends with is not told twice.
pub(super) fn reasons(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        told if told.ends_with(&cause) => told.to_owned(),
        told => format!("{told}: {cause}"),
    })
}

/// A table without rules, one line a row where the terminal is wide enough.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header.iter().copied());
    table
}

/// The text of a table, without the blanks at the ends of its lines.
pub(super) fn lines(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// The text, cut to so many characters, on one line.
pub(super) fn short(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most {
        return line;
    }
    line.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
