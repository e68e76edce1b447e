//! WordPress, ready to sign in: files, settings and tables, made as the customer.

use std::{path::Path, time::Duration};

use crate::{
    config::{Config, Package},
    databases::{Databases, main_of, random_text},
    failpoints,
    failure::{Failure, OrFail as _},
    files,
    homes::Homes,
    names::Username,
    programs::{Owner, Program},
    record::Record,
    web,
};

const CP: &str = "/bin/cp";
const PATIENCE: Duration = Duration::from_secs(180);
const KEY_LEN: usize = 64;
const KEYS: [&str; 8] = [
    "AUTH_KEY",
    "SECURE_AUTH_KEY",
    "LOGGED_IN_KEY",
    "NONCE_KEY",
    "AUTH_SALT",
    "SECURE_AUTH_SALT",
    "LOGGED_IN_SALT",
    "NONCE_SALT",
];
/// What the scripts print last when all went well.
const DONE: &str = "berth: done";

pub(crate) struct Wordpress<'a> {
    config: &'a Config,
    name: &'a Username,
    owner: Owner,
}

impl<'a> Wordpress<'a> {
    pub(crate) fn new(config: &'a Config, name: &'a Username, owner: Owner) -> Self {
        Self { config, name, owner }
    }

    /// Makes it from nothing. Whatever an earlier try has left is overwritten: nobody has used it yet.
    pub(crate) fn install(&self, record: &Record, password: &str) -> Result<(), Failure> {
        let source = self.config.wordpress.as_deref();
        let source =
            source.ok_or_else(|| Failure::misconfigured("it is not configured where WordPress is copied from"))?;
        Databases::new(self.config).empty(self.name)?;
        self.copy(source)?;
        failpoints::pass("wordpress_files");
        self.write_settings(record)?;
        failpoints::pass("wordpress_settings");
        let url = self.url();
        self.php(record, include_str!("wordpress/install.php"), password, &[&url, self.name.as_str(), &record.email])
    }

    /// Sets the password of the user that it was installed with.
    pub(crate) fn set_password(&self, record: &Record, password: &str) -> Result<(), Failure> {
        self.php(record, include_str!("wordpress/password.php"), password, &[self.name.as_str()])
    }

    /// Whether it is still there: the customer may have put something else in its place.
    pub(crate) fn is_there(&self) -> Result<bool, Failure> {
        files::exists(&Homes::new(self.config).public_html(self.name).join("wp-load.php"))
            .or_fail("the customer's files could not be looked at")
    }

    fn url(&self) -> String {
        let host = format!("{}.{}", self.name, self.config.base_domain);
        self.config.url_of(&host).trim_end_matches('/').to_owned()
    }

    fn copy(&self, source: &Path) -> Result<(), Failure> {
        Program::as_customer(self.owner, CP)
            .args(["--recursive", "--dereference", "--remove-destination", "--"])
            .arg(source.join("."))
            .arg(Homes::new(self.config).public_html(self.name))
            .patience(PATIENCE)
            .run()
            .map(drop)
    }

    fn write_settings(&self, record: &Record) -> Result<(), Failure> {
        let databases = Databases::new(self.config);
        let password = databases
            .password(self.name)?
            .ok_or_else(|| Failure::transient("the database's password is not in the home"))?;
        let mut keys = String::new();
        for key in KEYS {
            keys.push_str(&format!("define('{key}', '{}');\n", random_text(KEY_LEN)?));
        }
        let hosts: Vec<String> = record
            .hosts(self.config)
            .iter()
            .filter_map(|host| self.config.authority(host))
            .map(|host| format!("'{host}'"))
            .collect();
        let scheme = self.config.url.split_once("://").map_or("http", |(scheme, _)| scheme);
        let settings = include_str!("wordpress/wp-config.php")
            .replace("{{database}}", &main_of(self.name))
            .replace("{{user}}", self.name.as_str())
            .replace("{{password}}", &password)
            .replace("{{socket}}", &self.config.mariadb.socket.display().to_string())
            .replace("{{hosts}}", &hosts.join(", "))
            .replace("{{scheme}}", scheme)
            .replace("{{keys}}", keys.trim_end());
        Homes::new(self.config).write(self.name, self.owner, "wp-config.php", &settings)
    }

    /// Runs a script as the customer, with the password on standard input.
    fn php(&self, record: &Record, script: &str, password: &str, args: &[&str]) -> Result<(), Failure> {
        let package: &Package = self.config.package(&record.package)?;
        let script = script.strip_prefix("<?php").unwrap_or(script);
        let program =
            Program::as_customer(self.owner, &self.config.php.cli).dir(&Homes::new(self.config).public_html(self.name));
        let program = self.settings(program, package).arg("-r").arg(script).arg("--").args(args);
        let printed = program.input(password).secret(password).patience(PATIENCE).run()?;
        if printed.trim_end().ends_with(DONE) {
            return Ok(());
        }
        Err(Failure::transient("WordPress' own script did not come to its end"))
    }

    fn settings(&self, program: Program, package: &Package) -> Program {
        let settings = web::php_settings(self.config, self.name, package);
        // A trace of calls would tell the password.
        let more = [("zend.exception_ignore_args", "1".to_owned()), ("display_errors", "stderr".to_owned())];
        settings
            .into_iter()
            .chain(more)
            .filter(|(key, _)| *key != "opcache.validate_permission")
            .fold(program, |program, (key, value)| program.args(["-d", &format!("{key}={value}")]))
    }
}
