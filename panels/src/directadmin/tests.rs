//! The driver against its double: the conformance list, and what is DirectAdmin's own.

use std::collections::BTreeMap;

use futures::future::{BoxFuture, ready};
use secrecy::ExposeSecret as _;

use super::{
    double::{Double, Wire},
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
mod suspensions;

/// A double behind a proxy, and a panel that reaches it by that.
struct World {
    double: Double,
    proxy: FaultProxy,
    panel: DirectAdminPanel,
}

impl World {
    async fn new() -> Self {
        Self::working_as("berthres").await
    }

    async fn working_as(user: &str) -> Self {
        let double = Double::new().await;
        let proxy = FaultProxy::new(Upstream::Tcp(double.address())).await;
        let panel = DirectAdminPanel::new(config(&proxy, &double, user)).unwrap();
        Self { double, proxy, panel }
    }
}

fn config(proxy: &FaultProxy, double: &Double, user: &str) -> DirectAdminConfig {
    let holder = user.split('|').next().unwrap_or(user);
    let key = double.world().key_of(holder).to_owned().into();
    let mut config = DirectAdminConfig::new(proxy.url().parse().unwrap(), user, key, "berth.example");
    config.http.private = true;
    // Two creates of the list wait this long in vain; a machine that is busy must not make the others wait as long.
    config.create_timeout = Duration::from_secs(3);
    config
}

impl Server for World {
    fn driver(&self) -> &'static str {
        "directadmin"
    }

    fn creates_of(&self, account: &AccountRef) -> u64 {
        self.double.world().creates.get(&account.username).copied().unwrap_or(0)
    }

    fn write(&self, _: &str, _: &str, _: &str) {
        unreachable!("the driver keeps no backups")
    }

    fn files(&self, _: &str) -> BTreeMap<String, String> {
        unreachable!("the driver keeps no backups")
    }

    fn opens<'a>(&'a self, username: &'a str, password: &'a str) -> BoxFuture<'a, Result<bool, Skip>> {
        Box::pin(ready(Ok(self.double.world().logs_in(username, password))))
    }

    fn make_foreign(&self, username: &str) -> Result<(), Skip> {
        self.double.world().put(username, "theirs.example", "otherres");
        Ok(())
    }

    fn image(&self, username: &str) -> String {
        format!("{:?}", self.double.world().users.get(username))
    }

    fn suspend_foreign(&self, username: &str) -> Result<(), Skip> {
        self.double.world().suspend(username, "spam");
        Ok(())
    }
}

impl HttpServer for World {
    fn proxy(&self) -> &FaultProxy {
        &self.proxy
    }

    fn requests(&self, operation: Operation) -> Requests {
        let (method, path) = match operation {
            Operation::Observe => ("GET", "/CMD_API_SHOW_USER_CONFIG"),
            Operation::Create => ("POST", "/CMD_API_ACCOUNT_USER"),
            Operation::Suspend | Operation::Activate | Operation::Remove => ("POST", "/CMD_API_SELECT_USERS"),
            Operation::Package => ("POST", "/CMD_API_MODIFY_USER"),
            Operation::Password => ("POST", "/CMD_API_USER_PASSWD"),
        };
        Requests::all().method(method).path(path)
    }

    fn hold_domain(&self, domain: &str) -> Result<(), Skip> {
        self.double.world().put("theirown", domain, "otherres");
        Ok(())
    }

    fn hold_lock(&self, username: &str, requests: u32) -> Result<(), Skip> {
        self.double.world().locks.insert(username.to_owned(), requests);
        Ok(())
    }

    fn requests_of_list(&self, accounts: usize) -> usize {
        1 + accounts
    }

    fn credentials(&self) -> Vec<String> {
        vec![self.double.world().key_of("berthres").to_owned()]
    }
}

#[tokio::test]
async fn the_directadmin_panel_conforms_for_a_reseller() {
    let world = World::new().await;

    conformance(&world.panel, &world).await;
}

#[tokio::test]
async fn the_directadmin_panel_conforms_for_an_admin_who_acts_as_the_reseller() {
    let world = World::working_as("admin|berthres").await;

    conformance(&world.panel, &world).await;
}

#[tokio::test]
async fn the_directadmin_panel_conforms_however_a_server_writes_its_answers() {
    for wire in [Wire::JsonWithoutStatus, Wire::Form] {
        let world = World::new().await;
        world.double.world().wire = wire;

        conformance(&world.panel, &world).await;
    }
}

#[tokio::test]
async fn the_directadmin_panel_conforms_over_a_network_that_fails() {
    let world = World::new().await;

    http::conformance(&world.panel, &world).await;
}

#[tokio::test]
async fn two_hundred_creates_whose_answers_are_lost_make_two_hundred_accounts() {
    let world = World::new().await;

    http::all_answers_are_lost(&world.panel, &world, 200).await;

    assert_eq!(world.double.world().users.len(), 200);
    assert!(world.double.world().creates.values().all(|creates| *creates == 1));
}
