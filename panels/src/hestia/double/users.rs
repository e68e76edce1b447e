//! What a Hestia server holds: users, packages, keys.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use crate::hestia::HestiaConfig;

/// The server's own user, whom nothing removes.
pub(super) const ADMIN: &str = "admin";
/// Names of the system's own users and groups.
const SYSTEM_USERS: &[&str] = &["root", "backup", "www-data", "nobody", "hestiaweb"];
const SYSTEM_GROUPS: &[&str] = &["staff", "audio", "users"];

/// All that the server holds.
pub(crate) struct World {
    pub(crate) users: BTreeMap<String, User>,
    /// Names and how often a user was made under them, ever.
    pub(crate) creates: HashMap<String, u64>,
    /// Packages by name, and how many web domains each has room for.
    pub(crate) packages: BTreeMap<String, usize>,
    /// The key that Berth works with, and what it may run.
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) permissions: Vec<String>,
    /// Users that a command is changing now.
    pub(super) changing: Vec<String>,
    /// A user was changed by two commands at once: of a real one the records may be broken now.
    pub(crate) overlapped: bool,
    /// The commands that were run, ever.
    pub(crate) ran: BTreeSet<String>,
    /// The API is turned on.
    pub(crate) api: bool,
    /// The caller's address is among those that may call.
    pub(crate) is_allowed_here: bool,
    /// Services that the server has.
    pub(crate) has_dns: bool,
    pub(crate) has_mail: bool,
    /// `ENFORCE_SUBDOMAIN_OWNERSHIP`
    pub(crate) guards_subdomains: bool,
    /// Commands that a user's changes will still be refused for, with the code.
    pub(crate) busy: HashMap<String, (u32, u16)>,
    /// Names whose directory is there, and whose record is not yet.
    pub(crate) half_written: Vec<String>,
    /// A command that says it changed a package, and did not.
    pub(crate) keeps_packages: bool,
    /// The unsuspension stops after it has cleared the flag, with this code.
    pub(crate) stops_unsuspending: Option<u16>,
    pub(crate) groups: Vec<String>,
    pub(crate) system_users: Vec<String>,
}

/// A user.
#[derive(Clone, Debug)]
pub(crate) struct User {
    /// The full name.
    pub(crate) name: String,
    pub(crate) package: String,
    pub(crate) contact: String,
    pub(crate) password: String,
    pub(crate) suspended: bool,
    /// Web domains, and whether each is served.
    pub(crate) web: BTreeMap<String, bool>,
    pub(crate) dns: BTreeMap<String, String>,
    pub(crate) mail: Vec<String>,
    /// Topics and texts by their ids.
    pub(crate) notifications: BTreeMap<u64, (String, String)>,
    /// In MiB, as of the last count.
    pub(crate) disk: u64,
    pub(crate) bandwidth: u64,
    pub(crate) time: String,
    pub(crate) date: String,
}

impl World {
    pub(super) fn new() -> Self {
        let packages = [("default", 100), ("small", 1), ("large", 10), ("mailonly", 0)];
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut world = Self {
            users: BTreeMap::new(),
            creates: HashMap::new(),
            packages: packages.map(|(name, web)| (name.to_owned(), web)).into(),
            access_key: "Q7W2E9R4T1Y6U3I8O5PA".to_owned(),
            secret_key: "HESTIA-SECRET_4K8X=9Z3V7Q2W5N6M1B0C8D4F7".to_owned(),
            permissions: names(HestiaConfig::COMMANDS),
            changing: Vec::new(),
            overlapped: false,
            ran: BTreeSet::new(),
            api: true,
            is_allowed_here: true,
            has_dns: true,
            has_mail: true,
            guards_subdomains: false,
            busy: HashMap::new(),
            half_written: Vec::new(),
            keeps_packages: false,
            stops_unsuspending: None,
            groups: names(SYSTEM_GROUPS),
            system_users: names(SYSTEM_USERS),
        };
        world.put(ADMIN, "System Administrator");
        world
    }

    /// Makes a user as an administrator would in Hestia's own pages.
    pub(crate) fn put(&mut self, username: &str, name: &str) -> &mut User {
        let now = now();
        let user = User {
            name: name.to_owned(),
            package: "default".to_owned(),
            contact: "theirs@example.net".to_owned(),
            password: "their own secret".to_owned(),
            suspended: false,
            web: BTreeMap::new(),
            dns: BTreeMap::new(),
            mail: Vec::new(),
            notifications: BTreeMap::new(),
            disk: 0,
            bandwidth: 0,
            time: now.strftime("%H:%M:%S").to_string(),
            date: now.strftime("%Y-%m-%d").to_string(),
        };
        *self.creates.entry(username.to_owned()).or_default() += 1;
        self.users.insert(username.to_owned(), user);
        self.user(username)
    }

    /// A user that is there.
    pub(crate) fn user(&mut self, username: &str) -> &mut User {
        self.users.get_mut(username).expect("a user of that name")
    }

    /// All users but the administrator.
    pub(crate) fn customers(&self) -> usize {
        self.users.keys().filter(|name| *name != ADMIN).count()
    }

    /// Whether Hestia's login takes the password.
    pub(crate) fn logs_in(&self, username: &str, password: &str) -> bool {
        self.users.get(username).is_some_and(|found| found.password == password && !found.suspended)
    }

    /// Notes that a command begins to change a user.
    pub(super) fn begin(&mut self, username: &str) {
        self.overlapped |= self.changing.iter().any(|known| known == username);
        self.changing.push(username.to_owned());
    }

    pub(super) fn end(&mut self, username: &str) {
        if let Some(place) = self.changing.iter().position(|known| known == username) {
            self.changing.swap_remove(place);
        }
    }

    /// What the API checks before it runs anything.
    pub(super) fn check_key(&self, id: &str, secret: &str, command: &str) -> Result<(), (u16, String)> {
        if !self.api {
            return Err((11, "API has been disabled".to_owned()));
        }
        if !self.is_allowed_here {
            return Err((10, "IP is not allowed to connect with API".to_owned()));
        }
        if id != self.access_key {
            return Err((9, format!("key {id} doesn't exist")));
        }
        if secret != self.secret_key {
            return Err((9, format!("Invalid secret key for key {id}")));
        }
        if !self.permissions.iter().any(|allowed| allowed == command) {
            return Err((10, format!("Key {id} don't have permission to run the command {command}")));
        }
        Ok(())
    }
}

impl User {
    /// Suspends or unsuspends the user and all that it has.
    pub(crate) fn set_suspended(&mut self, suspended: bool) {
        self.suspended = suspended;
        self.serve_sites(!suspended);
    }

    pub(super) fn serve_sites(&mut self, serves: bool) {
        self.web.values_mut().for_each(|site| *site = serves);
    }
}

#[expect(clippy::disallowed_methods, reason = "a server's clock is real")]
fn now() -> Timestamp {
    Timestamp::now()
}
