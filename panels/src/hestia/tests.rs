//! The driver against its double: the conformance list, and what is Hestia's own.

use std::{collections::BTreeMap, time::Duration};

use futures::future::{BoxFuture, ready};

use super::{account::marked_name, double::Double, *};
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

mod answers;
mod interrupted;
mod listing;
mod real;
mod recorded;
mod surprises;

/// Some requests of the list wait this long in vain; a machine that is busy must not make the others wait as long.
const PATIENCE: Duration = Duration::from_secs(3);

/// A double behind a proxy, and a panel that reaches it by that.
struct World {
    double: Double,
    proxy: FaultProxy,
    panel: HestiaPanel,
}

impl World {
    async fn new() -> Self {
        let double = Double::new().await;
        let proxy = FaultProxy::new(Upstream::Tcp(double.address())).await;
        let panel = HestiaPanel::new(config(&proxy, &double)).unwrap();
        Self { double, proxy, panel }
    }

    /// A fault for the next request that runs this command; `v-list-user&` is not `v-list-user-packages`.
    fn fault(&self, command: &'static str, fault: Fault) {
        self.proxy.next(1, Requests::all().body(command), fault);
    }
}

fn config(proxy: &FaultProxy, double: &Double) -> HestiaConfig {
    let world = double.world();
    let secret_key = world.secret_key.clone().into();
    let mut config =
        HestiaConfig::new(proxy.url().parse().unwrap(), world.access_key.as_str(), secret_key, "berth.example");
    config.http.private = true;
    config.http.mutation_timeout = PATIENCE;
    config
}

impl Server for World {
    fn driver(&self) -> &'static str {
        "hestia"
    }

    fn creates_of(&self, account: &AccountRef) -> u64 {
        self.double.world().creates.get(&account.username).copied().unwrap_or(0)
    }

    fn write(&self, _: &str, _: &str, _: &str) {
        unreachable!("Hestia keeps no backups of ours")
    }

    fn files(&self, _: &str) -> BTreeMap<String, String> {
        unreachable!("Hestia keeps no backups of ours")
    }

    fn opens<'a>(&'a self, username: &'a str, password: &'a str) -> BoxFuture<'a, Result<bool, Skip>> {
        Box::pin(ready(Ok(self.double.world().logs_in(username, password))))
    }

    fn make_foreign(&self, username: &str) -> Result<(), Skip> {
        // With the domain that ours would have, which proves nothing here.
        let domain = format!("{username}.berth.example");
        self.double.world().put(username, "Somebody Else").web.insert(domain, true);
        Ok(())
    }

    fn image(&self, username: &str) -> String {
        format!("{:?}", self.double.world().users.get(username))
    }

    fn suspend_foreign(&self, username: &str) -> Result<(), Skip> {
        self.double.world().user(username).set_suspended(true);
        Ok(())
    }
}

impl HttpServer for World {
    fn proxy(&self) -> &FaultProxy {
        &self.proxy
    }

    fn requests(&self, operation: Operation) -> Requests {
        requests(operation)
    }

    fn half_create<'a>(&'a self, spec: &'a CreateSpec) -> BoxFuture<'a, Result<(), Skip>> {
        let mut world = self.double.world();
        let user = world.put(&spec.account.username, &marked_name(spec.account.account_id));
        user.package.clone_from(&spec.package);
        Box::pin(ready(Ok(())))
    }

    fn hold_domain(&self, domain: &str) -> Result<(), Skip> {
        self.double.world().put("theirown", "Somebody Else").web.insert(domain.to_owned(), true);
        Ok(())
    }

    fn hold_lock(&self, username: &str, requests: u32) -> Result<(), Skip> {
        self.double.world().busy.insert(username.to_owned(), (requests, 14));
        Ok(())
    }

    fn credentials(&self) -> Vec<String> {
        vec![self.double.world().secret_key.clone()]
    }
}

fn requests(operation: Operation) -> Requests {
    Requests::all().method("POST").path("/api/").body(match operation {
        Operation::Observe => "cmd=v-list-user&",
        Operation::Create => "cmd=v-add-user&",
        Operation::Suspend => "cmd=v-suspend-user&",
        Operation::Activate => "cmd=v-unsuspend-user&",
        Operation::Package => "cmd=v-change-user-package&",
        Operation::Password => "cmd=v-change-user-password&",
        Operation::Remove => "cmd=v-delete-user&",
    })
}

#[tokio::test]
async fn the_hestia_panel_conforms() {
    let world = World::new().await;

    conformance(&world.panel, &world).await;
}

#[tokio::test]
async fn the_hestia_panel_conforms_over_a_network_that_fails() {
    let world = World::new().await;

    http::conformance(&world.panel, &world).await;
}

#[tokio::test]
async fn two_hundred_creates_whose_answers_are_lost_make_two_hundred_accounts() {
    let world = World::new().await;

    http::all_answers_are_lost(&world.panel, &world, 200).await;

    let server = world.double.world();
    assert_eq!(server.customers(), 200);
    assert!(server.creates.values().all(|creates| *creates == 1));
    let whole = server.users.values().filter(|user| user.web.len() == 1 && user.dns.len() == 1 && user.mail.len() == 1);
    assert_eq!(whole.count(), 200);
}
