//! The linux panel on real daemons: the conformance list, the customers' sites, and what a killed command leaves.

use std::collections::BTreeMap;

use berth_jobs::ids::AccountId;

use super::*;
use crate::conformance::{Server, conformance, created, done, spec};

mod backups;
mod kills;
mod machine;
mod refusals;
mod secrets;
mod sites;
mod wordpress;

use machine::Machine;

impl Server for Machine {
    fn creates_of(&self, account: AccountId) -> u64 {
        Machine::creates_of(self, account.0)
    }

    fn write(&self, username: &str, path: &str, text: &str) {
        Machine::write(self, username, path, text);
    }

    fn files(&self, username: &str) -> BTreeMap<String, String> {
        Machine::files(self, username)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_linux_panel_conforms() {
    let Some(machine) = Machine::start() else { return };

    conformance(&machine.panel(), &machine).await;
}
