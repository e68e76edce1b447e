//! What a bench says: tables for people, one line of JSON for programs.

use anyhow::Result;
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde_json::{Map, Value};

/// Tables and notes in the order in which they were added, and the line of JSON.
pub(crate) struct Report {
    text: String,
    json: Map<String, Value>,
}

impl Report {
    pub(crate) fn new(bench: &str) -> Self {
        Self { text: String::new(), json: Map::from_iter([("bench".to_owned(), bench.into())]) }
    }

    /// A table; the first row is its head.
    pub(crate) fn table(&mut self, rows: Vec<Vec<String>>) {
        let mut rows = rows.into_iter();
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN).set_header(rows.next().unwrap_or_default()).add_rows(rows);
        self.text.push_str(&format!("\n{table}\n"));
    }

    pub(crate) fn note(&mut self, note: impl AsRef<str>) {
        self.text.push_str(&format!("\n{}\n", note.as_ref()));
    }

    /// A field of the line of JSON.
    pub(crate) fn field(&mut self, name: &str, value: f64) {
        let rounded = (value * 1000.0).round() / 1000.0;
        self.json.insert(name.to_owned(), rounded.into());
    }

    pub(crate) fn print(self, json: bool) -> Result<()> {
        if json {
            eprintln!("{}", self.text);
            println!("{}", serde_json::to_string(&Value::Object(self.json))?);
        } else {
            println!("{}", self.text);
        }
        Ok(())
    }
}

/// A row of a table.
pub(crate) fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

/// The middle value; of an even number the lower middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(&mut values.into_iter().collect::<Vec<_>>(), 0.5)
}

/// The nearest-rank percentile; sorts the values.
pub(crate) fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
