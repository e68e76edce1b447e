//! The daemon behind a proxy that fails what passes, for the conformance list of drivers that speak HTTP.

use std::collections::BTreeMap;

use futures::future::{BoxFuture, ready};

use super::daemon::{Daemon, IMAGE};
use crate::{
    AccountRef, CreateSpec,
    conformance::{
        Server,
        cases::Skip,
        faults::{Fault, FaultProxy, Requests, Upstream},
        http::{HttpServer, Operation},
    },
};

/// What the daemon says when somebody else is at work on an instance.
const BUSY: &str =
    r#"{"type": "error", "error_code": 400, "error": "Instance is busy running a \"restart\" operation"}"#;
/// An operation that the daemon has begun.
const BEGUN: &str = r#"{"type": "async", "status_code": 100, "operation": "/1.0/operations/5eb7667c-5409-48d5-b5be-7cb3be71860c",
    "metadata": {"id": "5eb7667c-5409-48d5-b5be-7cb3be71860c", "class": "task", "status_code": 103, "err": ""}}"#;
/// The same after its end.
const FAILED: &str = r#"{"type": "sync", "status_code": 200,
    "metadata": {"id": "5eb7667c-5409-48d5-b5be-7cb3be71860c", "class": "task", "status_code": 400, "err": "no luck"}}"#;

pub(super) struct Behind<'a> {
    pub(super) daemon: &'a Daemon,
    pub(super) proxy: FaultProxy,
}

impl<'a> Behind<'a> {
    pub(super) fn new(daemon: &'a Daemon) -> Self {
        let proxy = FaultProxy::at_socket(&daemon.scratch("proxy.socket"), Upstream::Unix(daemon.socket()));
        Self { daemon, proxy }
    }
}

impl Server for Behind<'_> {
    fn driver(&self) -> &'static str {
        self.daemon.driver()
    }

    fn creates_of(&self, account: &AccountRef) -> u64 {
        self.daemon.creates_of(account)
    }

    fn write(&self, username: &str, path: &str, text: &str) {
        self.daemon.write(username, path, text);
    }

    fn files(&self, username: &str) -> BTreeMap<String, String> {
        self.daemon.files(username)
    }

    fn opens<'a>(&'a self, username: &'a str, password: &'a str) -> BoxFuture<'a, Result<bool, Skip>> {
        self.daemon.opens(username, password)
    }
}

impl HttpServer for Behind<'_> {
    fn proxy(&self) -> &FaultProxy {
        &self.proxy
    }

    fn requests(&self, operation: Operation) -> Requests {
        let all = Requests::all();
        match operation {
            Operation::Observe => all.method("GET").path("/1.0/instances/"),
            Operation::Create => all.method("POST").path("/1.0/instances?"),
            Operation::Suspend | Operation::Activate => all.method("PUT").path("/state"),
            Operation::Package => all.method("PATCH"),
            Operation::Password => all.method("POST").path("/files"),
            Operation::Remove => all.method("DELETE"),
        }
    }

    fn half_create<'a>(&'a self, spec: &'a CreateSpec) -> BoxFuture<'a, Result<(), Skip>> {
        let key = |key: &str, value: &str| format!("{key}={value}");
        let daemon = self.daemon.query("/1.0")["environment"]["server_pid"].to_string();
        let keys = [
            key("user.berth.account", &spec.account.account_id.to_string()),
            key("user.berth.package", &spec.package),
            key("user.berth.daemon", &daemon),
        ];
        let mut args = vec!["init", IMAGE, &spec.account.username, "-s", "default"];
        args.extend(keys.iter().flat_map(|key| ["-c", key.as_str()]));
        self.daemon.cli(&args);
        Box::pin(ready(Ok(())))
    }

    fn hold_lock(&self, _: &str, requests: u32) -> Result<(), Skip> {
        let busy = Fault::Answer { status: 400, headers: &[], body: BUSY };
        self.proxy.next(requests, Requests::all().method("PUT").path("/state"), busy);
        Ok(())
    }

    fn fail_next_task(&self) -> Result<(), Skip> {
        let answer = |status, body| Fault::Answer { status, headers: &[], body };
        self.proxy.next(1, self.requests(Operation::Create), answer(202, BEGUN));
        self.proxy.next(1, Requests::all().path("/wait"), answer(200, FAILED));
        Ok(())
    }

    fn credentials(&self) -> Vec<String> {
        // Whoever may open the socket needs none.
        Vec::new()
    }
}
