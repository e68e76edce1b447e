//! A Proxmox VE of a test's own: fakepve, a package of PyPI's, in a process of its own.
//!
//! `BERTH_TEST_PYTHON` names an interpreter that has it; without it that is `python3`. Where it is not there the test says so and
//! passes, unless `BERTH_TEST_PROXMOX=required`.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Mutex,
};

use futures::future::{BoxFuture, ready};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    AccountRef,
    conformance::{Server, cases::Skip},
    http::Fingerprint,
};

const SCRIPT: &str = include_str!("fake.py");
const PACKAGE: &str = "fakepve==0.5.0";

/// The template's number.
pub(super) const TEMPLATE: u32 = 9000;
/// The storage that the template is on.
pub(super) const STORAGE: &str = "local-lvm";
pub(super) const TOKEN_ID: &str = "berth@pve!hosting";
pub(super) const TOKEN_SECRET: &str = "5eb7667c-5409-48d5-b5be-7cb3be71860c";

/// A running server. It ends when this is dropped.
pub(super) struct Fake {
    process: Child,
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    /// The ports without and with TLS.
    pub(super) ports: (u16, u16),
    /// Of the certificate that it shows.
    pub(super) fingerprint: Fingerprint,
    _dir: TempDir,
}

impl Fake {
    /// A server with a template, whose machines have the guest agent or not; `None`, said aloud, where there can be none.
    pub(super) fn start(agent: bool) -> Option<Self> {
        match Self::run() {
            Ok(fake) => {
                fake.call(json!(["add_template", TEMPLATE, STORAGE, 2, agent]));
                fake.call(json!(["set_token", TOKEN_ID, TOKEN_SECRET]));
                Some(fake)
            }
            Err(why) => {
                let required = env::var_os("BERTH_TEST_PROXMOX").is_some_and(|value| value == "required");
                assert!(!required, "the driver proxmox cannot be tested: {why}");
                println!("conformance: proxmox: fakepve: skip: {why}");
                None
            }
        }
    }

    fn run() -> Result<Self, String> {
        let python = env::var_os("BERTH_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        let dir = TempDir::new().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let (certificate, key) = (dir.path().join("server.crt"), dir.path().join("server.key"));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let mut command = Command::new(&python);
        command.args(["-c", SCRIPT]).arg(&certificate).arg(&key);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(|error| format!("{} does not run: {error}", python.display()))?;
        let (stdin, mut stdout) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        if line.is_empty() {
            return Err(why_not(&mut process));
        }
        let ports = serde_json::from_str(&line).unwrap();
        let fingerprint = Fingerprint::of(made.cert.der());
        Ok(Self { process, talk: Mutex::new((stdin, stdout)), ports, fingerprint, _dir: dir })
    }

    /// What a method of the script's answers.
    pub(super) fn call(&self, what: Value) -> Value {
        let mut talk = self.talk.lock().unwrap();
        writeln!(talk.0, "{what}").unwrap();
        let mut line = String::new();
        talk.1.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{what}: {error}: {line:?}"));
        assert!(answer.get("error").is_none(), "{what}: {answer}");
        answer["ok"].clone()
    }

    /// Lets a request fail, `times` times, whose path ends in this, with a status and a message.
    pub(super) fn fail(&self, method: &str, path: &str, status: u16, message: &str, times: Option<u32>) {
        self.call(json!(["fail", method, path, status, message, false, null, times]));
    }

    /// Lets a request fail once with an error of the catalogue's.
    pub(super) fn fail_as(&self, method: &str, path: &str, error: &str) {
        self.call(json!(["fail", method, path, null, null, false, error, 1]));
    }

    /// The machines by their names.
    pub(super) fn machines(&self) -> BTreeMap<String, u32> {
        let machines: Vec<(u32, String)> = serde_json::from_value(self.call(json!(["machines"]))).unwrap();
        machines.into_iter().map(|(vmid, name)| (name, vmid)).collect()
    }

    /// How many machines there are.
    pub(super) fn count(&self) -> usize {
        self.call(json!(["machines"])).as_array().unwrap().len()
    }

    pub(super) fn vmid_of(&self, name: &str) -> u32 {
        self.machines()[name]
    }

    /// All that the server knows of a machine.
    pub(super) fn machine(&self, vmid: u32) -> Value {
        self.call(json!(["image", vmid]))
    }

    /// A machine's configuration.
    pub(super) fn config(&self, name: &str) -> Value {
        self.machine(self.vmid_of(name))["config"].clone()
    }

    /// Whether a machine's login takes a password.
    pub(super) fn takes(&self, name: &str, password: &str) -> bool {
        self.call(json!(["opens", name, password])) == true
    }

    /// As staff do, or an owner, without the driver: changes what the server holds of a machine.
    pub(super) fn change(&self, name: &str, attributes: Value) {
        self.call(json!(["change", self.vmid_of(name), attributes]));
    }

    pub(super) fn change_config(&self, name: &str, config: Value) {
        self.call(json!(["change_config", self.vmid_of(name), config]));
    }

    /// The descriptions of all machines that were ever cloned, as the driver wrote them first.
    pub(super) fn made(&self) -> Vec<String> {
        serde_json::from_value(self.call(json!(["made"]))).unwrap()
    }
}

/// Why a process has ended before it served.
fn why_not(process: &mut Child) -> String {
    let mut said = String::new();
    process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    process.wait().unwrap();
    let is_missing = said.contains("ModuleNotFoundError");
    assert!(is_missing, "the server does not start: {said}");
    format!(
        "fakepve is not installed: `python3 -m venv venv && venv/bin/pip install {PACKAGE}`, then BERTH_TEST_PYTHON=venv/bin/python"
    )
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Server for Fake {
    fn driver(&self) -> &'static str {
        "proxmox"
    }

    fn creates_of(&self, account: &AccountRef) -> u64 {
        let line = format!("berth.account={}", account.account_id);
        let made = self.made().iter().filter(|notes| notes.lines().any(|found| found == line)).count();
        made.try_into().unwrap()
    }

    fn write(&self, username: &str, path: &str, text: &str) {
        self.call(json!(["write", self.vmid_of(username), path, text]));
    }

    fn files(&self, username: &str) -> BTreeMap<String, String> {
        serde_json::from_value(self.call(json!(["files", self.vmid_of(username)]))).unwrap()
    }

    fn opens<'a>(&'a self, username: &'a str, password: &'a str) -> BoxFuture<'a, Result<bool, Skip>> {
        Box::pin(ready(Ok(self.takes(username, password))))
    }

    fn make_foreign(&self, username: &str) -> Result<(), Skip> {
        self.call(json!(["add_vm", 123, username, "pve1", "running"]));
        Ok(())
    }

    fn image(&self, username: &str) -> String {
        self.machines().get(username).map_or_else(String::new, |vmid| self.machine(*vmid).to_string())
    }

    fn suspend_foreign(&self, username: &str) -> Result<(), Skip> {
        self.change(username, json!({ "status": "stopped", "qmpstatus": "stopped" }));
        self.change_config(username, json!({ "onboot": 0 }));
        Ok(())
    }
}
