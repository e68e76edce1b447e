//! The driver against a real daemon with real containers: the conformance list, and what kills, strangers and lost answers
//! may leave.

use std::{path::PathBuf, time::Duration};

use behind::Behind;
use daemon::{Daemon, IMAGE, Pool};
use url::Url;

use super::*;
use crate::conformance::{conformance, created, done, http, spec};

mod behind;
mod daemon;

fn packages() -> BTreeMap<String, Package> {
    let package = |cpu_cores, memory_mib, disk_mib| Package { cpu_cores, memory_mib, disk_mib, image: None, profiles: None };
    BTreeMap::from([("small".to_owned(), package(1, 64, 100)), ("large".to_owned(), package(2, 128, 200))])
}

fn config(http: HttpConfig) -> IncusConfig {
    IncusConfig { packages: packages(), grace: Duration::from_secs(5), ..IncusConfig::new(http, IMAGE) }
}

/// What is spoken over a unix socket.
fn by_socket(socket: PathBuf) -> HttpConfig {
    HttpConfig { unix_socket: Some(socket), ..HttpConfig::new(Url::parse("http://incus").unwrap()) }
}

fn panel(daemon: &Daemon) -> IncusPanel {
    IncusPanel::new(config(by_socket(daemon.socket()))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_incus_panel_conforms_over_a_unix_socket() {
    let Some(daemon) = Daemon::start(Pool::Btrfs) else { return };

    conformance(&panel(&daemon), &daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_incus_panel_conforms_while_what_it_sends_and_hears_is_lost() {
    let Some(daemon) = Daemon::start(Pool::Btrfs) else { return };
    let behind = Behind::new(&daemon);
    let (read_timeout, mutation_timeout) = (Duration::from_secs(2), Duration::from_secs(2));
    let http = HttpConfig { read_timeout, mutation_timeout, ..by_socket(daemon.scratch("proxy.socket")) };

    http::conformance(&IncusPanel::new(config(http)).unwrap(), &behind).await;
}
