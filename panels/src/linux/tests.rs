//! The linux panel on real daemons: the conformance list, the customers' sites, and what a killed command leaves.

use std::collections::BTreeMap;

use futures::future::{BoxFuture, ready};

use super::*;
use crate::conformance::{Server, at_once, cases::Skip, conformance, created, spec};

mod backups;
mod kills;
mod machine;
mod refusals;
mod secrets;
mod sites;
mod wordpress;

use machine::Machine;

impl Server for Machine {
    fn driver(&self) -> &'static str {
        "linux"
    }

    fn creates_of(&self, account: &AccountRef) -> u64 {
        Machine::creates_of(self, account.account_id)
    }

    fn write(&self, username: &str, path: &str, text: &str) {
        Machine::write(self, username, path, text);
    }

    fn files(&self, username: &str) -> BTreeMap<String, String> {
        Machine::files(self, username)
    }

    fn opens<'a>(&'a self, username: &'a str, password: &'a str) -> BoxFuture<'a, Result<bool, Skip>> {
        let opens = tokio::task::block_in_place(|| self.sftp(username, password, "ls\n").status.success());
        Box::pin(ready(Ok(opens)))
    }

    fn image(&self, username: &str) -> String {
        self.traces(username).join("\n")
    }

    fn suspend_foreign(&self, username: &str) -> Result<(), Skip> {
        self.suspend_as("operator", username);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_linux_panel_conforms() {
    let Some(machine) = Machine::start() else { return };

    conformance(&machine.panel(), &machine).await;
}
