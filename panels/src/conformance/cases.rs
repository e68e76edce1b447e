//! How a case of the list ends, and the line that says so.

use std::future::Future;

/// Why a case says nothing of this driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skip(pub(crate) &'static str);

/// How a case ended that did not fail: those that fail panic.
pub(crate) enum Verdict {
    Pass,
    Skip(Skip),
}

impl From<Skip> for Verdict {
    fn from(skip: Skip) -> Self {
        Self::Skip(skip)
    }
}

impl From<Result<(), Skip>> for Verdict {
    fn from(ended: Result<(), Skip>) -> Self {
        ended.map_or_else(Self::Skip, |()| Self::Pass)
    }
}

/// Runs a case and prints its line. One that fails has a line as well, and fails the test.
pub(crate) async fn case<V: Into<Verdict>>(driver: &str, name: &str, run: impl Future<Output = V>) {
    let mut line = Line { driver, name, said: false };
    match run.await.into() {
        Verdict::Pass => line.say("pass"),
        Verdict::Skip(Skip(why)) => line.say(&format!("skip: {why}")),
    }
}

struct Line<'a> {
    driver: &'a str,
    name: &'a str,
    said: bool,
}

impl Line<'_> {
    fn say(&mut self, how: &str) {
        println!("conformance: {}: {}: {how}", self.driver, self.name);
        self.said = true;
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.said {
            self.say("fail");
        }
    }
}
