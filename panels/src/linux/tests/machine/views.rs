//! What one sees of a server who sits at it, or visits it.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Output, Stdio},
};

use berth_jobs::ids::AccountId;
use nix::unistd::User;

use super::{DOMAIN, Machine, run};

pub(in crate::linux::tests) struct Page {
    pub(in crate::linux::tests) status: u16,
    pub(in crate::linux::tests) headers: String,
    pub(in crate::linux::tests) body: String,
}

impl Machine {
    pub(in crate::linux::tests) fn creates_of(&self, account: AccountId) -> u64 {
        let log = fs::read_to_string(self.path("state/creates.jsonl")).unwrap_or_default();
        let lines = log.lines().filter(|line| line.contains(&account.0.to_string())).count();
        lines.try_into().unwrap()
    }

    /// Writes a file as the customer.
    pub(in crate::linux::tests) fn write(&self, username: &str, path: &str, text: &str) {
        let user = User::from_name(username).unwrap().expect("the customer has a login");
        let file = self.home(username).join("public_html").join(path);
        let as_customer = || {
            let mut command = Command::new("/usr/bin/setpriv");
            let ids = [format!("--reuid={}", user.uid), format!("--regid={}", user.gid)];
            command.args(ids).args(["--clear-groups", "--"]);
            command
        };
        run(as_customer().args(["/bin/mkdir", "-p"]).arg(file.parent().unwrap()));
        let to = format!("of={}", file.display());
        let mut child = as_customer().args(["/bin/dd", "status=none", &to]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    pub(in crate::linux::tests) fn files(&self, username: &str) -> BTreeMap<String, String> {
        let mut files = texts(&self.home(username).join("public_html"));
        files.remove("index.html");
        files
    }

    /// Suspends an account, as somebody else than Berth: through the command, and then by the hand that writes its record.
    pub(in crate::linux::tests) fn suspend_as(&self, who: &str, username: &str) {
        let file = self.path("state/accounts").join(format!("{username}.json"));
        let record: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let request = serde_json::json!({
            "account": { "account_id": record["account_id"], "username": username }, "reason": "abuse",
        });
        let mut child = self.command("suspend").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(request.to_string().as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        let record = fs::read_to_string(&file).unwrap();
        fs::write(&file, record.replace("\"berth\"", &format!("\"{who}\""))).unwrap();
    }

    /// A page as a browser gets it.
    pub(in crate::linux::tests) fn get(&self, host: &str, path: &str) -> Page {
        self.request("GET", host, path, "")
    }

    pub(in crate::linux::tests) fn request(&self, method: &str, host: &str, path: &str, form: &str) -> Page {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).unwrap();
        let (length, port) = (form.len(), self.http);
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {host}:{port}\r\nCookie: wordpress_test_cookie=WP%20Cookie%20check\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (headers, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Page { status, headers: headers.to_owned(), body: body.to_owned() }
    }

    /// Runs a page of PHP as the customer's site does, and answers what it prints.
    pub(in crate::linux::tests) fn php(&self, username: &str, code: &str) -> String {
        self.write(username, "page.php", &format!("<?php {code}"));
        let page = self.get(&host(username), "/page.php");
        assert_eq!(page.status, 200, "{}", page.body);
        page.body
    }

    /// Runs commands of `sftp` as the customer.
    pub(in crate::linux::tests) fn sftp(&self, username: &str, password: &str, commands: &str) -> Output {
        let mut child = Command::new("/usr/bin/sshpass")
            .env("SSHPASS", password)
            .args(["-e", "/usr/bin/sftp", "-F", "none", "-q", "-P", &self.ssh.to_string()])
            .args(["-oBatchMode=no", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null"])
            .args(["-oPubkeyAuthentication=no", "-oNumberOfPasswordPrompts=1", "-b", "-"])
            .arg(format!("{username}@127.0.0.1"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A client that is refused reads nothing.
        let _ = child.stdin.take().unwrap().write_all(commands.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// What a statement of root's answers.
    pub(in crate::linux::tests) fn sql(&self, statement: &str) -> String {
        let output = Command::new("/usr/bin/mariadb")
            .args(["--no-defaults", "--batch", "--skip-column-names"])
            .arg(format!("--socket={}", self.path("db/mysqld.sock").display()))
            .args(["--execute", statement])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// How often nginx and php-fpm were reloaded, by their own logs.
    pub(in crate::linux::tests) fn reloads(&self) -> (usize, usize) {
        let count = |log: &str, what: &str| fs::read_to_string(self.path(log)).unwrap().matches(what).count();
        (count("log/nginx.log", "reconfiguring"), count("log/php-fpm.log", "Reloading in progress"))
    }

    /// Everything on the machine that bears a name.
    pub(in crate::linux::tests) fn traces(&self, username: &str) -> Vec<String> {
        let mut traces = Vec::new();
        let files = ["homes", "vhosts", "pools", "run", "state/accounts"].map(|dir| self.path(dir));
        for dir in files {
            let entries = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
            traces.extend(entries.map(|path| path.display().to_string()).filter(|path| path.contains(username)));
        }
        for file in ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"] {
            let text = fs::read_to_string(file).unwrap();
            traces.extend(text.lines().filter(|line| line.contains(username)).map(|line| format!("{file}: {line}")));
        }
        let statement = format!(
            "select user from mysql.global_priv where user = '{username}' union \
             select db from mysql.db where user = '{username}' union \
             select schema_name from information_schema.schemata where schema_name like '{username}%'"
        );
        traces.extend(self.sql(&statement).lines().map(|line| format!("mariadb: {line}")));
        traces
    }
}

/// The name of a customer's site.
pub(in crate::linux::tests) fn host(username: &str) -> String {
    format!("{username}.{DOMAIN}")
}

fn texts(top: &Path) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(top).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let below = self::texts(&entry.path());
            texts.extend(below.into_iter().map(|(path, text)| (format!("{name}/{path}"), text)));
        } else {
            texts.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
    texts
}
