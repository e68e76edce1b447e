//! The daemons' files of an account: an nginx server and a php-fpm pool, written from its record and nothing else.

use std::{path::PathBuf, time::Duration};

use berth_host::protocol::Class;

use crate::{
    changes::{Change, Changes, Tickets},
    config::{Config, Package},
    daemons::Daemon,
    failure::{Failure, OrFail as _},
    files,
    homes::{DATABASE_INI, Homes},
    names::Username,
    record::Record,
};

/// A page that takes longer has gone astray.
const REQUEST: Duration = Duration::from_secs(120);
const IDLE: Duration = Duration::from_secs(10);
const REQUESTS_A_CHILD: u32 = 500;
/// The largest upload.
const BODY_MB: u32 = 64;

pub(crate) struct Web<'a> {
    config: &'a Config,
}

impl<'a> Web<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self { config }
    }

    /// Which files are not those that a record asks for, by their first lines: an older version of the rest will do.
    pub(crate) fn missing(&self, name: &Username, record: &Record) -> Result<Vec<&'static str>, Failure> {
        let mut missing = Vec::new();
        for (what, change) in ["vhost", "pool"].into_iter().zip(self.wanted(name, Some(record))?) {
            let found = files::read(&change.path).or_fail("the daemons' files could not be read")?;
            if found.as_deref().map(first_line) != change.content.as_deref().map(first_line) {
                missing.push(what);
            }
        }
        Ok(missing)
    }

    /// Puts the record's files in place. The daemons have not read them yet.
    pub(crate) fn place(&self, name: &Username, record: Option<&Record>) -> Result<Tickets, Failure> {
        Changes::new(self.config).put(&self.wanted(name, record)?)
    }

    /// Opens a site: its pool is there before anybody is led to it.
    pub(crate) fn open(&self, tickets: Tickets) -> Result<(), Failure> {
        Daemon::php(self.config).await_served(tickets.php)?;
        Daemon::nginx(self.config).await_served(tickets.nginx)
    }

    /// Closes a site. The pages that run for it are killed in between: php-fpm would wait for them before it reads its
    /// files. Until then it puts an idle process in the place of a killed one.
    pub(crate) fn close(&self, tickets: Tickets, kill: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        Daemon::nginx(self.config).await_served(tickets.nginx)?;
        kill()?;
        Daemon::php(self.config).await_served(tickets.php)
    }

    fn wanted(&self, name: &Username, record: Option<&Record>) -> Result<[Change; 2], Failure> {
        let (vhost, pool) = match record {
            None => (None, None),
            Some(record) if record.suspension.is_some() => (Some(self.closed_vhost(record)), None),
            Some(record) => {
                // A package that was sold and is no longer configured is the operator's mistake.
                let package = self.config.package(&record.package).map_err(|_| {
                    let message = format!("{name} has the package {:?}, which is not configured", record.package);
                    Failure::new(Class::Misconfigured, message)
                })?;
                (Some(self.open_vhost(name, record)), Some(self.pool(name, record, package)))
            }
        };
        Ok([
            Change {
                path: self.config.nginx.vhosts.join(format!("{name}.conf")),
                content: vhost.map(String::into_bytes),
            },
            Change { path: self.config.php.pools.join(format!("{name}.conf")), content: pool.map(String::into_bytes) },
        ])
    }

    pub(crate) fn socket(&self, name: &Username) -> PathBuf {
        self.config.php.sockets.join(format!("berth-{name}.sock"))
    }

    /// What both kinds of servers begin with.
    fn server(&self, record: &Record, state: &str) -> String {
        let listen: String =
            self.config.nginx.listen.iter().map(|address| format!("    listen {address};\n")).collect();
        let names = record.hosts(self.config).join(" ");
        let id = record.account_id;
        format!("# berth {id} {state}\nserver {{\n{listen}    server_name {names};\n    server_tokens off;\n")
    }

    fn closed_vhost(&self, record: &Record) -> String {
        let server = self.server(record, "closed");
        format!(
            "{server}    default_type text/html;\n    \
             add_header Retry-After 3600 always;\n    \
             return 503 \"<!doctype html><title>Unavailable</title><p>This site is not available at the moment.\\n\";\n}}\n"
        )
    }

    fn open_vhost(&self, name: &Username, record: &Record) -> String {
        let homes = Homes::new(self.config);
        let (home, root) = (homes.of(name), homes.public_html(name));
        let (home, root, socket) = (home.display(), root.display(), self.socket(name));
        let (server, socket) = (self.server(record, "open"), socket.display());
        let port = self.config.authority("").unwrap_or_default();
        let https = if self.config.url.starts_with("https:") { "on" } else { "" };
        let params = include_str!("web/fastcgi.conf").replace("{{port}}", &port).replace("{{https}}", https);
        let seconds = REQUEST.as_secs();
        // nginx reads every customer's files: a link is followed only to what is its owner's. Names that begin with a dot
        // are nobody's business, save what proves a domain to a certificate authority.
        format!(
            "{server}    \
             root {root};\n    \
             index index.php index.html;\n    \
             disable_symlinks if_not_owner from={home};\n    \
             client_max_body_size {BODY_MB}m;\n    \
             location / {{\n        try_files $uri $uri/ /index.php?$args;\n    }}\n    \
             location ~ /\\.(?!well-known/) {{\n        return 404;\n    }}\n    \
             location ~ \\.php$ {{\n        \
             try_files $uri =404;\n        \
             fastcgi_read_timeout {seconds}s;\n        \
             fastcgi_pass unix:{socket};\n{params}    }}\n}}\n"
        )
    }

    fn pool(&self, name: &Username, record: &Record, package: &Package) -> String {
        let web = &self.config.web_user;
        let socket = self.socket(name);
        let (children, idle, seconds) = (package.php_children, IDLE.as_secs(), REQUEST.as_secs());
        let settings: String = php_settings(self.config, name, package)
            .into_iter()
            .map(|(key, value)| format!("php_admin_value[{key}] = \"{value}\"\n"))
            .collect();
        format!(
            // The prefix: a customer may be called `global`, as the daemon's own section is.
            "; berth {} {}\n[berth-{name}]\nuser = {name}\ngroup = {name}\n\
             listen = {}\nlisten.owner = {web}\nlisten.group = {web}\nlisten.mode = 0600\n\
             pm = ondemand\npm.max_children = {children}\npm.process_idle_timeout = {idle}s\n\
             pm.max_requests = {REQUESTS_A_CHILD}\nrequest_terminate_timeout = {seconds}s\n\
             security.limit_extensions = .php\n{settings}",
            record.account_id,
            record.package,
            socket.display()
        )
    }
}

fn first_line(content: &[u8]) -> &[u8] {
    content.split(|byte| *byte == b'\n').next().unwrap_or_default()
}

/// What PHP is told of a customer, by whomever it is started; the customer cannot change it.
pub(crate) fn php_settings(config: &Config, name: &Username, package: &Package) -> Vec<(&'static str, String)> {
    let homes = Homes::new(config);
    let home = homes.of(name);
    let (public, tmp, ini) = (homes.public_html(name), home.join("tmp"), home.join(DATABASE_INI));
    let socket = config.mariadb.socket.display().to_string();
    let tmp_text = tmp.display().to_string();
    vec![
        // With the slash: without, it is every path that begins so.
        ("open_basedir", format!("{}/:{tmp_text}/:{}", public.display(), ini.display())),
        ("disable_functions", config.php.disable_functions.join(",")),
        ("memory_limit", format!("{}M", package.memory_mb)),
        ("upload_max_filesize", format!("{BODY_MB}M")),
        ("post_max_size", format!("{BODY_MB}M")),
        ("upload_tmp_dir", tmp_text.clone()),
        ("session.save_path", tmp_text.clone()),
        ("sys_temp_dir", tmp_text),
        ("error_log", home.join("logs/php.log").display().to_string()),
        ("log_errors", "1".to_owned()),
        ("mysqli.default_socket", socket.clone()),
        ("pdo_mysql.default_socket", socket),
        // All pools share one cache of compiled files: whoever takes one from it must be able to read the file.
        ("opcache.validate_permission", "1".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use berth_host::protocol::Suspension;
    use uuid::Uuid;

    use super::*;
    use crate::{
        config,
        record::{Phase, Wordpress},
    };

    fn record() -> Record {
        Record {
            account_id: Uuid::nil(),
            username: "alice".to_owned(),
            package: "small".to_owned(),
            domain: Some("example.org".to_owned()),
            email: "owner@example.org".to_owned(),
            phase: Phase::Whole,
            suspension: None,
            create_id: Uuid::nil(),
            intended_at_ms: 0,
            created_at_ms: 0,
            wordpress: Wordpress::None,
            restored: None,
        }
    }

    fn texts(record: Option<&Record>) -> [Option<String>; 2] {
        let config = config::tests::config();
        let wanted = Web::new(&config).wanted(&Username::parse("alice").unwrap(), record).unwrap();
        wanted.map(|change| change.content.map(|content| String::from_utf8(content).unwrap()))
    }

    #[test]
    fn an_open_site_answers_to_its_names_through_its_own_pool() {
        let [vhost, pool] = texts(Some(&record())).map(Option::unwrap);

        assert!(vhost.contains("listen 127.0.0.1:8080;\n    listen [::1]:8080;\n"), "{vhost}");
        assert!(vhost.contains("server_name alice.sites.example.net example.org www.example.org;"), "{vhost}");
        assert!(vhost.contains("fastcgi_pass unix:/run/php/berth-alice.sock;"), "{vhost}");
        assert!(pool.contains("user = alice\ngroup = alice\nlisten = /run/php/berth-alice.sock\n"), "{pool}");
        let confined = "\"/srv/berth/alice/public_html/:/srv/berth/alice/tmp/:/srv/berth/alice/database.ini\"";
        assert!(pool.contains(&format!("php_admin_value[open_basedir] = {confined}")), "{pool}");
    }

    #[test]
    fn a_suspended_site_has_no_pool_and_a_removed_one_has_nothing() {
        let suspension = Some(Suspension { reason: "abuse".to_owned(), by: "berth".to_owned() });

        let [vhost, pool] = texts(Some(&Record { suspension, ..record() }));

        let vhost = vhost.unwrap();
        assert!(vhost.contains("return 503") && !vhost.contains("root ") && !vhost.contains("abuse"), "{vhost}");
        assert_eq!(pool, None);
        assert_eq!(texts(None), [None, None]);
    }

    #[test]
    fn a_package_that_is_no_longer_configured_is_the_operators_mistake() {
        let config = config::tests::config();
        let record = Record { package: "gone".to_owned(), ..record() };

        let refused = Web::new(&config).wanted(&Username::parse("alice").unwrap(), Some(&record)).err().unwrap();

        assert_eq!(refused.class, Class::Misconfigured);
    }
}
