//! What each verb does to an account. The record says what should be, [`Account::settle`] makes it so: whatever a killed
//! command left out, or somebody took away, the next one puts there.

use std::{fs::File, path::PathBuf, time::Duration};

use berth_host::protocol::{AccountName, Class, Created, Observed, Usage};
use uuid::Uuid;

use crate::{
    config::Config,
    daemons::UnderWay,
    databases::Databases,
    failpoints,
    failure::{Failure, OrFail as _},
    files,
    homes::Homes,
    locks,
    names::Username,
    programs::Owner,
    record::{Phase, Record, Records, Wordpress},
    server,
    users::{Found, Login, Users},
    web::Web,
    wordpress,
};

/// A create with WordPress takes seconds, and others may wait for the same account.
const PATIENCE: Duration = Duration::from_secs(60);

/// An account by its name and its owner's proof; whether it is there is looked at by each verb.
pub(crate) struct Account<'a> {
    pub(crate) config: &'a Config,
    pub(crate) name: Username,
    pub(crate) id: Uuid,
}

/// A wanted account, proved harmless.
pub(crate) struct Wanted {
    pub(crate) password: String,
    pub(crate) package: String,
    pub(crate) email: String,
    pub(crate) domain: Option<String>,
    pub(crate) intended_at_ms: i64,
}

impl<'a> Account<'a> {
    pub(crate) fn new(config: &'a Config, account: &AccountName) -> Result<Self, Failure> {
        Ok(Self { config, name: Username::parse(&account.username)?, id: account.account_id })
    }

    pub(crate) fn observe(&self) -> Result<Observed, Failure> {
        match self.records().find(&self.name)? {
            None if self.is_free()? => Ok(Observed::Absent),
            None => Ok(Observed::Foreign),
            Some(record) if record.account_id != self.id => Ok(Observed::Foreign),
            Some(record) => {
                let missing = self.missing(&record)?;
                if !missing.is_empty() {
                    return Ok(Observed::Partial { missing });
                }
                let quota = self.homes().quota()?;
                Ok(Observed::Present { package: record.package, suspension: record.suspension, quota })
            }
        }
    }

    pub(crate) fn create(&self, wanted: &Wanted, now_ms: i64) -> Result<Created, Failure> {
        let _lock = self.lock()?;
        let (mut record, adopted) = match self.records().find(&self.name)? {
            Some(record) if record.account_id != self.id => return Err(self.taken()),
            Some(record) if record.phase == Phase::Removing => {
                return Err(Failure::permanent(format!("{} is being removed", self.name)));
            }
            Some(record) => (record, true),
            None => (self.begin(wanted, now_ms)?, false),
        };
        failpoints::pass("record");
        self.finish(&mut record, adopted, &wanted.password).map_err(Failure::after_changes)?;
        let site_url = self.config.url_of(&format!("{}.{}", self.name, self.config.base_domain));
        let has_wordpress = record.wordpress == Wordpress::Installed;
        let control_panel_url = has_wordpress.then(|| format!("{}/wp-admin/", site_url.trim_end_matches('/')));
        Ok(Created { site_url, control_panel_url, adopted })
    }

    pub(crate) fn suspend(&self, reason: String) -> Result<(), Failure> {
        self.change(|record| {
            record.suspend(reason);
            Ok(())
        })
    }

    pub(crate) fn activate(&self) -> Result<(), Failure> {
        self.change(Record::activate)
    }

    pub(crate) fn set_package(&self, package: String) -> Result<(), Failure> {
        self.config.package(&package)?;
        self.change(|record| {
            record.package = package;
            Ok(())
        })
    }

    /// Sets the password of SFTP, and of WordPress where it can be reached. Answers what could not.
    pub(crate) fn set_password(&self, password: &str) -> Result<Vec<String>, Failure> {
        let _lock = self.lock()?;
        let record = self.owned()?;
        let owner = self.users().ensure(&self.name, self.id)?;
        self.users().set_password(&self.name, password, login_of(&record)).map_err(Failure::after_changes)?;
        let wordpress = wordpress::Wordpress::new(self.config, &self.name, owner);
        if record.wordpress != Wordpress::Installed || !wordpress.is_there()? {
            return Ok(Vec::new());
        }
        let set = self.with_database_open(&record, || wordpress.set_password(&record, password));
        // The customer may have changed it beyond our reach, which must not keep them from SFTP.
        Ok(set
            .err()
            .map(|failed| format!("WordPress keeps its password: {}", failed.refusal().message))
            .into_iter()
            .collect())
    }

    pub(crate) fn usage(&self) -> Result<Usage, Failure> {
        self.owned()?;
        self.homes().usage(&self.name)
    }

    pub(crate) fn remove(&self) -> Result<(), Failure> {
        let _lock = self.lock()?;
        let mut record = match self.records().find(&self.name)? {
            None if self.is_free()? => return Ok(()),
            None => return Err(self.not_ours()),
            Some(record) if record.account_id != self.id => return Err(self.not_ours()),
            Some(record) => record,
        };
        record.phase = Phase::Removing;
        self.records().save(&self.name, &record)?;
        failpoints::pass("removing");
        self.clear().map_err(Failure::after_changes)
    }

    /// Takes away everything, the record last. The pool goes before its user: php-fpm ends when it reads one without.
    fn clear(&self) -> Result<(), Failure> {
        let under_way = UnderWay::begin(self.config)?;
        let web = Web::new(self.config);
        let tickets = web.place(&self.name, None)?;
        drop(under_way);
        web.close(tickets, || match self.users().find(&self.name, self.id)? {
            Found::Nothing | Found::Stranger => Ok(()),
            Found::Ours(owner) => {
                self.users().set_login(&self.name, Login::Shut)?;
                self.users().kill_processes(owner)
            }
        })?;
        if let Found::Ours(owner) = self.users().find(&self.name, self.id)? {
            self.users().end_processes(owner)?;
        }
        failpoints::pass("web_gone");
        Databases::new(self.config).delete(&self.name)?;
        failpoints::pass("database_gone");
        self.homes().delete(&self.name)?;
        failpoints::pass("home_gone");
        self.users().delete(&self.name, self.id)?;
        files::remove(&web.socket(&self.name)).or_fail("the pool's socket could not be deleted")?;
        failpoints::pass("user_gone");
        self.records().delete(&self.name)
    }

    /// The record, once the account is proved to be ours and is not on its way out.
    pub(crate) fn owned(&self) -> Result<Record, Failure> {
        match self.records().find(&self.name)? {
            Some(record) if record.account_id != self.id => Err(self.not_ours()),
            Some(record) if record.phase == Phase::Removing => {
                Err(Failure::permanent(format!("{} is being removed", self.name)))
            }
            Some(record) => Ok(record),
            None => Err(Failure::permanent(format!("there is no account {}", self.name))),
        }
    }

    pub(crate) fn lock(&self) -> Result<File, Failure> {
        let path = self.config.state.join("locks").join(self.name.as_str());
        locks::take(&path, PATIENCE, &format!("another change of {} is under way", self.name))
    }

    pub(crate) fn records(&self) -> Records<'a> {
        Records::new(self.config)
    }

    pub(crate) fn homes(&self) -> Homes<'a> {
        Homes::new(self.config)
    }

    pub(crate) fn users(&self) -> Users<'a> {
        Users::new(self.config)
    }

    /// Lets the database's user in for a piece of work, although the account may be suspended: nothing of the customer's runs
    /// then that could use it.
    pub(crate) fn with_database_open<T>(
        &self,
        record: &Record,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let databases = Databases::new(self.config);
        match login_of(record) {
            Login::Open => work(),
            Login::Shut => {
                databases.set_login(&self.name, Login::Open)?;
                let worked = work();
                databases.set_login(&self.name, Login::Shut)?;
                worked
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Record) -> Result<(), Failure>) -> Result<(), Failure> {
        let _lock = self.lock()?;
        let before = self.owned()?;
        let mut record = before.clone();
        change(&mut record)?;
        if record != before {
            self.records().save(&self.name, &record)?;
        }
        self.settle(&mut record, None).map_err(Failure::after_changes)
    }

    /// The first trace of a new account: its record.
    fn begin(&self, wanted: &Wanted, now_ms: i64) -> Result<Record, Failure> {
        let package = self.config.package(&wanted.package)?;
        let record = Record {
            account_id: self.id,
            username: self.name.as_str().to_owned(),
            package: wanted.package.clone(),
            domain: wanted.domain.clone(),
            email: wanted.email.clone(),
            phase: Phase::Creating,
            suspension: None,
            create_id: Uuid::new_v4(),
            intended_at_ms: wanted.intended_at_ms,
            created_at_ms: now_ms,
            wordpress: if package.wordpress { Wordpress::Wanted } else { Wordpress::None },
            restored: None,
        };
        if !self.is_free()? {
            return Err(self.taken());
        }
        server::check(self.config)?;
        server::check_room(self.config)?;
        let hosts_lock = self.config.state.join("hosts.lock");
        let _hosts = locks::take(&hosts_lock, PATIENCE, "the names of other sites are being changed")?;
        if record.domain.is_some() {
            self.records().check_hosts(&self.name, &record.hosts(self.config))?;
        }
        self.records().save(&self.name, &record)?;
        Ok(record)
    }

    fn finish(&self, record: &mut Record, begun_before: bool, password: &str) -> Result<(), Failure> {
        if record.phase == Phase::Creating {
            self.records().log_create(record, begun_before)?;
            failpoints::pass("logged");
        }
        self.settle(record, Some(password))?;
        if record.phase == Phase::Creating {
            failpoints::pass("settled");
            record.phase = Phase::Whole;
            self.records().save(&self.name, record)?;
        }
        Ok(())
    }

    /// Makes everything as the record says. The initial password is only used while it is the account's.
    fn settle(&self, record: &mut Record, initial: Option<&str>) -> Result<(), Failure> {
        let under_way = UnderWay::begin(self.config)?;
        let login = login_of(record);
        let disk_mb = self.config.package(&record.package)?.disk_mb;
        let owner = self.users().ensure(&self.name, self.id)?;
        failpoints::pass("user");
        self.homes().ensure(&self.name, owner, disk_mb)?;
        failpoints::pass("home");
        Databases::new(self.config).ensure(&self.name, owner, login)?;
        failpoints::pass("database");
        let initial = initial.filter(|_| record.phase == Phase::Creating);
        if let Some(password) = initial {
            self.users().set_password(&self.name, password, login)?;
            failpoints::pass("password");
            self.furnish(record, owner, password)?;
        }
        self.users().set_login(&self.name, login)?;
        let web = Web::new(self.config);
        let tickets = web.place(&self.name, Some(record))?;
        drop(under_way);
        match login {
            Login::Open => web.open(tickets),
            Login::Shut => {
                web.close(tickets, || self.users().kill_processes(owner))?;
                self.users().end_processes(owner)
            }
        }
    }

    /// What a new account has to show.
    fn furnish(&self, record: &mut Record, owner: Owner, password: &str) -> Result<(), Failure> {
        match record.wordpress {
            Wordpress::Installed => Ok(()),
            Wordpress::None => {
                let host = record.hosts(self.config).pop().unwrap_or_default();
                let page = format!("<!doctype html>\n<title>{host}</title>\n<h1>{host}</h1>\n<p>Nothing here yet.\n");
                self.homes().write(&self.name, owner, "index.html", &page)
            }
            Wordpress::Wanted => {
                let wordpress = wordpress::Wordpress::new(self.config, &self.name, owner);
                self.with_database_open(record, || wordpress.install(record, password))?;
                failpoints::pass("wordpress");
                record.wordpress = Wordpress::Installed;
                self.records().save(&self.name, record)
            }
        }
    }

    fn missing(&self, record: &Record) -> Result<Vec<String>, Failure> {
        let login = login_of(record);
        let mut missing = Vec::new();
        match self.users().find(&self.name, self.id)? {
            Found::Nothing | Found::Stranger => missing.push("user"),
            Found::Ours(owner) => {
                missing.extend(self.homes().missing(&self.name, owner)?);
                if self.users().login(&self.name)? != login {
                    missing.push("login");
                }
            }
        }
        let databases = Databases::new(self.config);
        if databases.password(&self.name)?.is_none() || !databases.find(&self.name)?.is(&self.name, login) {
            missing.push("database");
        }
        if record.wordpress == Wordpress::Wanted {
            missing.push("wordpress");
        }
        missing.extend(Web::new(self.config).missing(&self.name, record)?);
        match record.phase {
            Phase::Whole => {}
            Phase::Creating => missing.push("completion"),
            Phase::Removing => missing.push("what is removed already"),
        }
        Ok(missing.into_iter().map(str::to_owned).collect())
    }

    /// Whether nothing bears the name.
    fn is_free(&self) -> Result<bool, Failure> {
        let files = [self.homes().of(&self.name), self.vhost(), self.pool()];
        for file in files {
            if files::exists(&file).or_fail("it could not be looked what bears the name")? {
                return Ok(false);
            }
        }
        Ok(self.users().find(&self.name, self.id)? == Found::Nothing
            && Databases::new(self.config).find(&self.name)?.is_nothing())
    }

    fn vhost(&self) -> PathBuf {
        self.config.nginx.vhosts.join(format!("{}.conf", self.name))
    }

    fn pool(&self) -> PathBuf {
        self.config.php.pools.join(format!("{}.conf", self.name))
    }

    fn taken(&self) -> Failure {
        Failure::new(Class::NameTaken, format!("{} is somebody else's", self.name))
    }

    fn not_ours(&self) -> Failure {
        Failure::permanent(format!("{} is somebody else's", self.name))
    }
}

fn login_of(record: &Record) -> Login {
    if record.suspension.is_some() { Login::Shut } else { Login::Open }
}
