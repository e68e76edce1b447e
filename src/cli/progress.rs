//! How far a long command is, on standard error: a bar on a terminal, a line every five seconds elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use tokio::time::Instant;

/// How often a line is written where nobody sees a bar.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// How often a bar is drawn anew.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// The bar's width, in characters.
const WIDTH: u64 = 30;

/// How far it is.
pub(super) struct Progress {
    what: &'static str,
    total: u64,
    on_terminal: bool,
    told_at: Instant,
    drawn: bool,
}

impl Progress {
    /// Of `total` things; more may come to light on the way.
    pub(super) fn of(what: &'static str, total: u64) -> Self {
        let on_terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
        Self { what, total, on_terminal, told_at: Instant::now(), drawn: false }
    }

    /// So many are done.
    pub(super) fn at(&mut self, done: u64) {
        let every = if self.on_terminal { BAR_EVERY } else { LINE_EVERY };
        if self.told_at.elapsed() < every {
            return;
        }
        self.told_at = Instant::now();
        self.drawn = self.on_terminal;
        let text = self.text(done);
        // Without a standard error there is nobody to tell.
        let _ = if self.on_terminal {
            write!(io::stderr().lock(), "\r{text}")
        } else {
            writeln!(io::stderr().lock(), "berth: {text}")
        };
    }

    fn text(&self, done: u64) -> String {
        let total = self.total.max(done);
        if !self.on_terminal {
            return format!("{done} of {total} {}", self.what);
        }
        let full = done.saturating_mul(WIDTH).checked_div(total).unwrap_or(0);
        let bar: String = (0..WIDTH).map(|at| if at < full { '█' } else { '░' }).collect();
        format!("{bar} {done} of {total} {}", self.what)
    }

    /// Wipes the bar away, so that the result stands alone.
    pub(super) fn end(self) {
        if self.drawn {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[2K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_and_a_line_counts() {
        let of =
            |on_terminal| Progress { what: "values", total: 60, on_terminal, told_at: Instant::now(), drawn: false };

        assert_eq!(of(false).text(20), "20 of 60 values");
        assert_eq!(of(true).text(20), format!("{}{} 20 of 60 values", "█".repeat(10), "░".repeat(20)));
        assert_eq!(of(true).text(61), format!("{} 61 of 61 values", "█".repeat(30)), "more came to light");
    }
}
