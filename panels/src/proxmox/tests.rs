//! The driver against a server that is not ours (fakepve): the conformance list, and what is Proxmox VE's own.

use std::collections::BTreeMap;

use fake::{Fake, TEMPLATE, TOKEN_ID, TOKEN_SECRET};
use futures::{
    StreamExt as _,
    future::{BoxFuture, ready},
    stream,
};
use secrecy::ExposeSecret as _;
use serde_json::json;
use url::Url;

use super::{notes::Notes, *};
use crate::{
    RemoteState,
    conformance::{
        Server,
        cases::Skip,
        conformance, created, done,
        faults::{Fault, FaultProxy, Requests, Upstream},
        http::{self, HttpServer, Operation},
        result, settled, spec,
    },
};

mod backups;
mod catalogue;
mod fake;
mod listing;
mod numbers;
mod surprises;
mod tasks;

/// A server is given four mutations at once; these are five times as many.
const AT_ONCE: usize = 20;

/// A task that the server has begun, and the same after its end.
const BEGUN: &str = r#"{"data": "UPID:pve1:0000C350:002DFA1F:69272A31:qmclone:9000:berth@pve!hosting:"}"#;
const FAILED: &str = r#"{"data": {"status": "stopped", "exitstatus": "clone failed: no luck"}}"#;

/// A server behind a proxy, and a panel that reaches it by that.
struct World {
    fake: Fake,
    proxy: FaultProxy,
    panel: ProxmoxPanel,
}

impl World {
    async fn new() -> Option<Self> {
        Self::with(false, |_| {}).await
    }

    async fn with(agent: bool, change: impl FnOnce(&mut ProxmoxConfig)) -> Option<Self> {
        let fake = Fake::start(agent)?;
        let proxy = FaultProxy::new(Upstream::Tcp(([127, 0, 0, 1], fake.ports.0).into())).await;
        let mut config = config(&proxy.url());
        config.guest_agent = agent;
        change(&mut config);
        let panel = ProxmoxPanel::new(config).unwrap();
        Some(Self { fake, proxy, panel })
    }
}

fn config(url: &str) -> ProxmoxConfig {
    let package = |cpu_cores, memory_mib, disk_mib| Package { cpu_cores, memory_mib, disk_mib, template: None };
    let http = HttpConfig { private: true, ..HttpConfig::new(Url::parse(url).unwrap()) };
    let mut config = ProxmoxConfig::new(http, TOKEN_ID, TOKEN_SECRET.to_owned().into(), "pve1");
    config.packages =
        BTreeMap::from([("small".to_owned(), package(1, 512, 4096)), ("large".to_owned(), package(2, 1024, 8192))]);
    config.grace = Duration::from_secs(5);
    config.backup_storage = Some("local".to_owned());
    config
}

impl Server for World {
    fn driver(&self) -> &'static str {
        self.fake.driver()
    }

    fn creates_of(&self, account: &AccountRef) -> u64 {
        self.fake.creates_of(account)
    }

    fn write(&self, username: &str, path: &str, text: &str) {
        self.fake.write(username, path, text);
    }

    fn files(&self, username: &str) -> BTreeMap<String, String> {
        self.fake.files(username)
    }

    fn opens<'a>(&'a self, username: &'a str, password: &'a str) -> BoxFuture<'a, Result<bool, Skip>> {
        self.fake.opens(username, password)
    }

    fn make_foreign(&self, username: &str) -> Result<(), Skip> {
        self.fake.make_foreign(username)
    }

    fn image(&self, username: &str) -> String {
        self.fake.image(username)
    }

    fn suspend_foreign(&self, username: &str) -> Result<(), Skip> {
        self.fake.suspend_foreign(username)
    }
}

impl HttpServer for World {
    fn proxy(&self) -> &FaultProxy {
        &self.proxy
    }

    fn requests(&self, operation: Operation) -> Requests {
        let all = Requests::all();
        match operation {
            Operation::Observe => all.method("GET").path("/cluster/resources"),
            Operation::Create => all.method("POST").path("/clone"),
            Operation::Suspend => all.method("POST").path("/status/shutdown"),
            Operation::Activate => all.method("POST").path("/status/start"),
            Operation::Package => all.method("PUT").path("/resize"),
            Operation::Password => all.method("PUT").path("/config"),
            Operation::Remove => all.method("DELETE").path("/qemu/"),
        }
    }

    fn half_create<'a>(&'a self, spec: &'a CreateSpec) -> BoxFuture<'a, Result<(), Skip>> {
        let vmid = self.panel.slots.of(spec.account.account_id)[0];
        let notes = Notes::of_clone(spec.account.account_id, vmid, &spec.package, limits::Options::default());
        self.fake.call(json!(["half_clone", TEMPLATE, vmid, spec.account.username, notes.to_string()]));
        Box::pin(ready(Ok(())))
    }

    fn hold_lock(&self, username: &str, requests: u32) -> Result<(), Skip> {
        let path = format!("/qemu/{}/config", self.fake.vmid_of(username));
        self.fake.fail("PUT", &path, 500, "VM is locked (backup)", Some(requests));
        Ok(())
    }

    fn fail_next_task(&self) -> Result<(), Skip> {
        let answer = |body| Fault::Answer { status: 200, headers: &[], body };
        self.proxy.next(1, self.requests(Operation::Create), answer(BEGUN));
        self.proxy.next(1, Requests::all().method("GET").path("/tasks/UPID"), answer(FAILED));
        Ok(())
    }

    fn requests_of_list(&self, accounts: usize) -> usize {
        1 + accounts
    }

    fn credentials(&self) -> Vec<String> {
        vec![TOKEN_SECRET.to_owned()]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxmox_panel_conforms() {
    let Some(world) = World::new().await else { return };

    conformance(&world.panel, &world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxmox_panel_conforms_with_a_guest_agent_and_without_backups() {
    let Some(world) = World::with(true, |config| config.backup_storage = None).await else { return };

    conformance(&world.panel, &world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxmox_panel_conforms_over_a_network_that_fails() {
    // Some requests of the list wait this long in vain; a machine that is busy must not make the others wait as long.
    let patience = Duration::from_secs(3);
    let world = World::with(false, |config| {
        (config.http.read_timeout, config.http.mutation_timeout) = (patience, patience);
    });
    let Some(world) = world.await else { return };

    http::conformance(&world.panel, &world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_creates_whose_answers_are_lost_make_two_hundred_machines() {
    let Some(world) = World::new().await else { return };
    let specs: Vec<_> = (0..200).map(|nth| spec(&format!("a{nth:03}lost"))).collect();
    world.proxy.next(200, world.requests(Operation::Create), Fault::DropResponse);

    let ask_all = async || {
        let asked = stream::iter(specs.iter().map(|spec| world.panel.ensure_created(spec)));
        asked.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await
    };
    let lost = ask_all().await;
    let adopted = stream::iter(specs.iter().map(|spec| settled(&world.panel, || world.panel.ensure_created(spec))))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;

    assert!(lost.iter().all(|answer| matches!(answer, Err(PanelError::Ambiguous(_)))), "{lost:?}");
    assert!(adopted.iter().all(|created| created.adopted), "{adopted:?}");
    assert!(world.proxy.is_spent());
    assert_eq!((world.fake.count(), world.fake.made().len()), (200, 200));
}
