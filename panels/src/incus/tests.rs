//! The driver against a real daemon with real containers: the conformance list, and what kills, strangers and lost answers
//! may leave.

use std::{path::PathBuf, process::Command, time::Duration};

use behind::Behind;
use daemon::{Daemon, IMAGE, Pool};
use url::Url;

use super::*;
use crate::{
    RemoteState,
    conformance::{conformance, created, done, http, spec},
    http::{ClientIdentity, Fingerprint, Trust},
};

mod behind;
mod crashes;
mod daemon;
mod kept;
mod lives;

fn packages() -> BTreeMap<String, Package> {
    let package =
        |cpu_cores, memory_mib, disk_mib| Package { cpu_cores, memory_mib, disk_mib, image: None, profiles: None };
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

/// A client's certificate, with its key.
fn identity() -> ClientIdentity {
    let made = rcgen::generate_simple_self_signed(vec!["berth".to_owned()]).unwrap();
    ClientIdentity { certificates: made.cert.pem().into_bytes(), key: made.signing_key.serialize_pem().into() }
}

/// Lets a daemon listen, and trust a client; what the client is then configured with.
fn by_https(daemon: &Daemon, identity: ClientIdentity) -> HttpConfig {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let certificate = daemon.scratch("client.crt");
    std::fs::write(&certificate, &identity.certificates).unwrap();
    daemon.cli(&["config", "set", &format!("core.https_address={address}")]);
    daemon.cli(&["config", "trust", daemon.trust(), certificate.to_str().unwrap()]);
    let fingerprint = daemon.query("/1.0")["environment"]["certificate_fingerprint"].as_str().unwrap().parse().unwrap();
    HttpConfig {
        private: true,
        trust: Trust::Certificate(fingerprint),
        identity: Some(identity),
        ..HttpConfig::new(Url::parse(&format!("https://{address}")).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_incus_panel_conforms_over_https_with_a_clients_certificate() {
    let Some(daemon) = Daemon::start(Pool::Btrfs) else { return };
    let panel = IncusPanel::new(config(by_https(&daemon, identity()))).unwrap();

    conformance(&panel, &daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_the_pinned_or_not_the_trusted_one_is_for_the_operator() {
    let Some(daemon) = Daemon::start(Pool::Dir) else { return };
    let right = by_https(&daemon, identity());
    let wrong_pin = Trust::Certificate(Fingerprint::of(b"another certificate"));
    let wanted = spec("alice");

    for wrong in [
        HttpConfig { trust: wrong_pin, ..right.clone() },
        HttpConfig { trust: Trust::System, ..right.clone() },
        HttpConfig { identity: Some(identity()), ..right.clone() },
        HttpConfig { identity: None, ..right.clone() },
    ] {
        let panel = IncusPanel::new(config(wrong)).unwrap();

        for refused in
            [panel.probe().await.map(drop).unwrap_err(), panel.ensure_created(&wanted).await.map(drop).unwrap_err()]
        {
            assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
        }
    }
    assert!(daemon.names().is_empty());
    IncusPanel::new(config(right)).unwrap().probe().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_says_what_the_server_is_and_what_it_lacks() {
    let Some(daemon) = Daemon::start(Pool::Dir) else { return };
    let right = config(by_socket(daemon.socket()));
    let probe = async |config| IncusPanel::new(config).unwrap().probe().await;

    let info = probe(right.clone()).await.unwrap();
    let none = Some("none".to_owned());
    for wrong in [
        IncusConfig { image: "none".to_owned(), ..right.clone() },
        IncusConfig { profiles: vec!["none".to_owned()], ..right.clone() },
        IncusConfig { pool: "none".to_owned(), ..right.clone() },
        IncusConfig { backup_pool: none, ..right.clone() },
        IncusConfig { project: "none".to_owned(), ..right.clone() },
    ] {
        let refused = probe(wrong).await.unwrap_err();
        assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
    }
    let nobody = probe(config(by_socket(daemon.scratch("no.socket")))).await.unwrap_err();

    assert!(info.version.starts_with(daemon.product()), "{info:?}");
    assert!(matches!(nobody, PanelError::Transient(_)), "{nobody:?}");
}
