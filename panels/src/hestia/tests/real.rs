//! The driver against a real HestiaCP server, for whoever has one to spare: it makes and removes users there.
//!
//! `BERTH_TEST_HESTIA_URL` names its endpoint, `BERTH_TEST_HESTIA_KEY` an access key as `id:secret`, and
//! `BERTH_TEST_HESTIA_SHELL` a command that runs its arguments there as root, such as `ssh root@hestia.test`. The server needs
//! packages `small` and `large`, with room for a web domain each. Without them the tests say so and pass.

use std::{
    env,
    process::{Command, Stdio},
};

use super::*;

const BIN: &str = "/usr/local/hestia/bin";
const DATA: &str = "/usr/local/hestia/data/users";
const THEIR_PASSWORD: &str = "Th3ir-own-secret-9x";
/// Names that the list gives to accounts; what is left of an earlier run is removed first.
const NAMES: [&str; 5] = ["cnf", "ht", "hts", "theirown", "a0"];

/// A server, its shell, and a panel that reaches it by a proxy.
struct Real {
    shell: Vec<String>,
    secret: String,
    proxy: FaultProxy,
    panel: HestiaPanel,
}

impl Real {
    async fn find() -> Option<Self> {
        let variables = ["URL", "KEY", "SHELL"].map(|name| env::var_os(format!("BERTH_TEST_HESTIA_{name}")));
        let [Some(url), Some(key), Some(shell)] =
            variables.map(|value| value.and_then(|value| value.into_string().ok()))
        else {
            println!("real hestia: skip: BERTH_TEST_HESTIA_URL, _KEY and _SHELL are not set");
            return None;
        };
        let url: Url = url.parse().unwrap();
        let address = url.socket_addrs(|| None).unwrap()[0];
        let (id, secret) = key.split_once(':').unwrap();
        let proxy = FaultProxy::new(Upstream::Tcp(address)).await;
        let mut config = HestiaConfig::new(proxy.url().parse().unwrap(), id, secret.into(), "berth.example");
        config.http.private = true;
        config.http.mutation_timeout = Duration::from_secs(30);
        let panel = HestiaPanel::new(config).unwrap();
        let real =
            Self { shell: shell.split(' ').map(str::to_owned).collect(), secret: secret.to_owned(), proxy, panel };
        real.clear();
        Some(real)
    }

    /// What a script prints that the server's shell runs, and whether it ended well.
    fn run(&self, script: &str) -> (bool, String) {
        let mut command = Command::new(&self.shell[0]);
        command.args(&self.shell[1..]).args(["bash", "-c", script]).stdin(Stdio::null());
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn must(&self, script: &str) {
        let (is_done, printed) = self.run(script);
        assert!(is_done, "{script}: {printed}");
    }

    fn clear(&self) {
        for name in self.run(&format!("ls {DATA}")).1.lines().filter(|name| NAMES.iter().any(|of| name.starts_with(of)))
        {
            self.must(&format!("{BIN}/v-delete-user {name}"));
        }
        self.must("sed -i '/User account added/d' /usr/local/hestia/log/activity.log");
    }

    fn add_user(&self, username: &str, package: &str, name: &str) {
        let arguments = format!("{username} {THEIR_PASSWORD} theirs@example.net {package} '{name}'");
        self.must(&format!("{BIN}/v-add-user {arguments}"));
    }
}

impl Server for Real {
    fn driver(&self) -> &'static str {
        "hestia (real)"
    }

    fn creates_of(&self, account: &AccountRef) -> u64 {
        let line = format!("User account added (Name: {})", account.username);
        let (_, count) = self.run(&format!("grep -c '{line}' /usr/local/hestia/log/activity.log"));
        count.trim().parse().unwrap()
    }

    fn write(&self, _: &str, _: &str, _: &str) {
        unreachable!("Hestia keeps no backups of ours")
    }

    fn files(&self, _: &str) -> BTreeMap<String, String> {
        unreachable!("Hestia keeps no backups of ours")
    }

    fn opens<'a>(&'a self, username: &'a str, password: &'a str) -> BoxFuture<'a, Result<bool, Skip>> {
        let script = format!("{BIN}/v-check-user-password {username} '{password}' 127.0.0.1");
        Box::pin(ready(Ok(self.run(&script).0)))
    }

    fn make_foreign(&self, username: &str) -> Result<(), Skip> {
        self.add_user(username, "small", "Somebody Else");
        self.must(&format!("{BIN}/v-add-web-domain {username} {username}.berth.example"));
        Ok(())
    }

    fn image(&self, username: &str) -> String {
        self.run(&format!(
            "cd {DATA}/{username} && cat user.conf web.conf notifications.conf; grep '^{username}:' /etc/shadow"
        ))
        .1
    }

    fn suspend_foreign(&self, username: &str) -> Result<(), Skip> {
        self.must(&format!("{BIN}/v-suspend-user {username}"));
        Ok(())
    }
}

impl HttpServer for Real {
    fn proxy(&self) -> &FaultProxy {
        &self.proxy
    }

    fn requests(&self, operation: Operation) -> Requests {
        requests(operation)
    }

    fn half_create<'a>(&'a self, spec: &'a CreateSpec) -> BoxFuture<'a, Result<(), Skip>> {
        self.add_user(&spec.account.username, &spec.package, &marked_name(spec.account.account_id));
        Box::pin(ready(Ok(())))
    }

    fn hold_domain(&self, domain: &str) -> Result<(), Skip> {
        self.add_user("theirown", "small", "Somebody Else");
        self.must(&format!("{BIN}/v-add-web-domain theirown {domain}"));
        Ok(())
    }

    fn case_max(&self) -> Duration {
        // A server takes some seconds for an account, and one case makes ten.
        Duration::from_secs(600)
    }

    fn credentials(&self) -> Vec<String> {
        vec![self.secret.clone()]
    }
}

#[tokio::test]
async fn a_real_server_conforms() {
    let Some(real) = Real::find().await else { return };

    conformance(&real.panel, &real).await;
    real.clear();
    http::conformance(&real.panel, &real).await;
    real.clear();
}
