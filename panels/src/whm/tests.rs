//! The driver against its double: the conformance list, and what is WHM's own.

use std::collections::BTreeMap;

use futures::future::{BoxFuture, ready};
use secrecy::ExposeSecret as _;

use super::{
    double::{Double, Suspension},
    *,
};
use crate::{
    RemoteState,
    conformance::{
        Server, at_once,
        cases::Skip,
        conformance, created,
        faults::{Fault, FaultProxy, Requests, Upstream},
        http::{self, HttpServer, Operation},
        spec,
    },
};

mod listing;
mod oracle;
mod surprises;

/// A double behind a proxy, and a panel that reaches it by that.
struct World {
    double: Double,
    proxy: FaultProxy,
    panel: WhmPanel,
}

impl World {
    async fn new() -> Self {
        Self::working_as("berthres").await
    }

    async fn working_as(user: &str) -> Self {
        let double = Double::new().await;
        let proxy = FaultProxy::new(Upstream::Tcp(double.address())).await;
        let panel = WhmPanel::new(config(&proxy, &double, user)).unwrap();
        Self { double, proxy, panel }
    }
}

fn config(proxy: &FaultProxy, double: &Double, user: &str) -> WhmConfig {
    let token = double.world().token_of(user).to_owned().into();
    let mut config = WhmConfig::new(proxy.url().parse().unwrap(), user, token, "berth.example");
    config.http.private = true;
    // Two creates of the list wait this long in vain; a machine that is busy must not make the others wait as long.
    config.create_timeout = Duration::from_secs(3);
    config.owner = "berthres".to_owned();
    config
}

impl Server for World {
    fn driver(&self) -> &'static str {
        "whm"
    }

    fn creates_of(&self, account: &AccountRef) -> u64 {
        self.double.world().creates.get(&account.username).copied().unwrap_or(0)
    }

    fn write(&self, _: &str, _: &str, _: &str) {
        unreachable!("WHM keeps no backups")
    }

    fn files(&self, _: &str) -> BTreeMap<String, String> {
        unreachable!("WHM keeps no backups")
    }

    fn opens<'a>(&'a self, username: &'a str, password: &'a str) -> BoxFuture<'a, Result<bool, Skip>> {
        Box::pin(ready(Ok(self.double.world().logs_in(username, password))))
    }

    fn make_foreign(&self, username: &str) -> Result<(), Skip> {
        self.double.world().put(username, "theirs.example", "otherres");
        Ok(())
    }

    fn image(&self, username: &str) -> String {
        format!("{:?}", self.double.world().accounts.get(username))
    }

    fn suspend_foreign(&self, username: &str) -> Result<(), Skip> {
        suspend(&self.double, username, "spam, says staff", false);
        Ok(())
    }
}

fn suspend(double: &Double, username: &str, reason: &str, locked: bool) {
    let suspension = Some(Suspension { reason: reason.to_owned(), locked });
    double.world().accounts.get_mut(username).unwrap().suspension = suspension;
}

impl HttpServer for World {
    fn proxy(&self) -> &FaultProxy {
        &self.proxy
    }

    fn requests(&self, operation: Operation) -> Requests {
        Requests::all().method("POST").path(match operation {
            Operation::Observe => "/json-api/accountsummary",
            Operation::Create => "/json-api/createacct",
            Operation::Suspend => "/json-api/suspendacct",
            Operation::Activate => "/json-api/unsuspendacct",
            Operation::Package => "/json-api/changepackage",
            Operation::Password => "/json-api/passwd",
            Operation::Remove => "/json-api/removeacct",
        })
    }

    fn hold_domain(&self, domain: &str) -> Result<(), Skip> {
        self.double.world().put("theirown", domain, "otherres");
        Ok(())
    }

    fn hold_lock(&self, username: &str, requests: u32) -> Result<(), Skip> {
        self.double.world().locks.insert(username.to_owned(), requests);
        Ok(())
    }

    fn credentials(&self) -> Vec<String> {
        vec![self.double.world().token_of("berthres").to_owned()]
    }
}

#[tokio::test]
async fn the_whm_panel_conforms_for_a_reseller() {
    let world = World::new().await;

    conformance(&world.panel, &world).await;
}

#[tokio::test]
async fn the_whm_panel_conforms_for_root() {
    let world = World::working_as("root").await;

    conformance(&world.panel, &world).await;
}

#[tokio::test]
async fn the_whm_panel_conforms_over_a_network_that_fails() {
    let world = World::new().await;

    http::conformance(&world.panel, &world).await;
}

#[tokio::test]
async fn two_hundred_creates_whose_answers_are_lost_make_two_hundred_accounts() {
    let world = World::new().await;

    http::all_answers_are_lost(&world.panel, &world, 200).await;

    assert_eq!(world.double.world().accounts.len(), 200);
    assert!(world.double.world().creates.values().all(|creates| *creates == 1));
}
