//! The servers that accounts are placed on: each lives and takes our credentials.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

use super::check::{Check, broken, ok, skipped};
use crate::{
    app::panels_of,
    config::Config,
    error::chain,
    gateways::panels::{PanelError, ServerInfo},
};

/// A probe is a cheap read.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) async fn look(config: &Config, offline: bool) -> Vec<Check> {
    let panels = match panels_of(config) {
        Ok(panels) => panels,
        Err(error) => return vec![broken("servers", chain(&error), "config/servers.toml shows every key")],
    };
    if offline {
        return vec![skipped("servers")];
    }
    let asked = panels.servers().filter_map(|(name, driver, _)| {
        let panel = panels.of(name).ok()?;
        let named = format!("{name} ({driver})");
        Some(async move { of_server(&named, timeout(PATIENCE, panel.probe()).await.ok()) })
    });
    join_all(asked).await
}

fn of_server(named: &str, answer: Option<Result<ServerInfo, PanelError>>) -> Check {
    const NAME: &str = "server";
    let fix = "`berth servers test` asks again; until it answers, its jobs wait and new accounts go elsewhere";
    match answer {
        Some(Ok(info)) => ok(NAME, format!("{named} lives: {}", info.version)),
        Some(Err(error)) => broken(NAME, format!("{named}: {}", chain(&error)), fix),
        None => broken(NAME, format!("{named}: no answer within {} s", PATIENCE.as_secs()), fix),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::check::Verdict, *};

    #[test]
    fn a_server_that_refuses_or_says_nothing_fails() {
        let info = ServerInfo { version: "site 1".to_owned(), hostname: None, nameservers: Vec::new() };
        let refused = of_server("web1 (whm)", Some(Err(PanelError::misconfigured("the token is refused"))));

        assert!(refused.verdict == Verdict::Broken && refused.detail.contains("web1 (whm): "), "{refused:?}");
        assert_eq!(of_server("web1 (whm)", None).verdict, Verdict::Broken);
        assert_eq!(of_server("web1 (whm)", Some(Ok(info))).verdict, Verdict::Ok);
    }

    #[tokio::test]
    async fn a_file_of_servers_that_cannot_be_read_fails() {
        let config = Config::from_settings(&[("hosting.servers", "/nowhere/servers.toml")]).unwrap();

        let checks = look(&config, false).await;

        assert!(checks.len() == 1 && checks[0].verdict == Verdict::Broken, "{checks:?}");
    }
}
