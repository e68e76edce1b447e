//! What a DirectAdmin server holds.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
};

use jiff::{Timestamp, tz::TimeZone};

use super::{Caller, Wire};

/// All that the server holds.
pub(crate) struct World {
    pub(crate) users: BTreeMap<String, User>,
    /// Names and how often an account was made under them, ever.
    pub(crate) creates: HashMap<String, u64>,
    pub(crate) packages: Vec<String>,
    /// The server's list of reasons to suspend for.
    pub(crate) reasons: Vec<String>,
    /// Login keys by their users.
    keys: HashMap<String, String>,
    /// The reseller's addresses and what they are.
    pub(crate) ips: Vec<(String, String)>,
    /// Names of the system that no account has.
    pub(crate) system_users: Vec<String>,
    /// Requests that an account's changes will still be refused for.
    pub(crate) locks: HashMap<String, u32>,
    /// Links that were given out, and to whose panel.
    pub(crate) links: HashMap<String, String>,
    pub(crate) wire: Wire,
    pub(crate) licence_lapsed: bool,
    /// A command that says it changed a package, and did not.
    pub(crate) keeps_packages: bool,
    /// A deletion that is done, and refused.
    pub(crate) refuses_what_it_deletes: bool,
    /// How many users a reseller may have.
    pub(crate) users_max: usize,
    /// Whether configurations have the date of a suspension in them, and its reason.
    pub(crate) tells_dates: bool,
    pub(crate) tells_reasons: bool,
    /// Whether comments are kept that it says it has saved.
    pub(crate) keeps_comments: bool,
    /// A command that the reseller's key may not run.
    pub(crate) forbidden: Option<&'static str>,
    /// So many seconds is its clock ahead.
    pub(crate) ahead: i64,
    next_id: u32,
}

/// An account of the level user.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) domain: String,
    pub(crate) creator: String,
    pub(crate) package: String,
    pub(crate) email: String,
    pub(crate) ip: String,
    pub(crate) password: String,
    pub(crate) suspension: Option<Suspension>,
    pub(crate) comments: String,
    /// Unix time in seconds.
    pub(crate) made_at: i64,
    pub(crate) disk_bytes: u64,
    pub(crate) sent_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suspension {
    /// A word of the list; empty for none.
    pub(crate) reason: String,
    /// Unix time in seconds.
    pub(crate) at: i64,
}

impl World {
    pub(super) fn new() -> Self {
        let keys = [("admin", "ADMIN-KEY-7Q2W"), ("berthres", "BERTH-KEY-4K8X"), ("otherres", "OTHER-KEY-9Z3V")];
        let ips = [("192.0.2.9", "free"), ("192.0.2.7", "shared")];
        let reasons = ["user_bandwidth", "billing", "abuse", "spam", "other", "inactive"];
        Self {
            users: BTreeMap::new(),
            creates: HashMap::new(),
            packages: ["default", "small", "large"].map(str::to_owned).to_vec(),
            reasons: reasons.map(str::to_owned).to_vec(),
            keys: keys.map(|(user, key)| (user.to_owned(), key.to_owned())).into(),
            ips: ips.map(|(ip, status)| (ip.to_owned(), status.to_owned())).to_vec(),
            system_users: ["root", "mysql", "diradmin"].map(str::to_owned).to_vec(),
            locks: HashMap::new(),
            links: HashMap::new(),
            wire: Wire::Json,
            licence_lapsed: false,
            keeps_packages: false,
            refuses_what_it_deletes: false,
            users_max: usize::MAX,
            tells_dates: true,
            tells_reasons: true,
            keeps_comments: true,
            forbidden: None,
            ahead: 0,
            next_id: 1000,
        }
    }

    /// The login key of an admin or reseller.
    pub(crate) fn key_of(&self, user: &str) -> &str {
        &self.keys[user]
    }

    /// `reseller`, `admin|reseller` or `reseller|user`, with the first one's key.
    pub(super) fn caller(&self, user: &str, key: &str) -> Option<Caller> {
        let (holder, acting) = user.split_once('|').unwrap_or((user, user));
        let is_right = self.keys.get(holder).is_some_and(|known| known == key);
        let may_act = holder == acting
            || (holder == "admin" && (self.keys.contains_key(acting) || self.users.contains_key(acting)))
            || self.users.get(acting).is_some_and(|user| user.creator == holder);
        (is_right && may_act).then(|| Caller { user: acting.to_owned() })
    }

    /// Makes an account as its reseller would in the panel's own pages.
    pub(crate) fn put(&mut self, username: &str, domain: &str, creator: &str) {
        let user = User {
            domain: domain.to_owned(),
            creator: creator.to_owned(),
            package: "default".to_owned(),
            email: "theirs@example.net".to_owned(),
            ip: "192.0.2.7".to_owned(),
            password: "their own secret".to_owned(),
            suspension: None,
            comments: String::new(),
            made_at: self.now(),
            disk_bytes: 14 << 20,
            sent_bytes: 0,
        };
        *self.creates.entry(username.to_owned()).or_default() += 1;
        self.users.insert(username.to_owned(), user);
    }

    /// Suspends an account as staff do in the panel's own pages; one that is suspended stays as it is.
    pub(crate) fn suspend(&mut self, username: &str, reason: &str) {
        let at = self.now();
        let reason = if self.reasons.iter().any(|known| known == reason) { reason } else { "" };
        let user = self.users.get_mut(username).expect("the account is there");
        user.suspension.get_or_insert(Suspension { reason: reason.to_owned(), at });
    }

    /// Whether the panel's login takes the password.
    pub(crate) fn logs_in(&self, username: &str, password: &str) -> bool {
        self.users.get(username).is_some_and(|found| found.password == password && found.suspension.is_none())
    }

    pub(super) fn now(&self) -> i64 {
        #[expect(clippy::disallowed_methods, reason = "a server's clock is real")]
        let now = Timestamp::now().as_second();
        now + self.ahead
    }

    pub(super) fn next_id(&mut self) -> u32 {
        let next = self.next_id + 1;
        mem::replace(&mut self.next_id, next)
    }
}

/// As `user.conf` has dates: in the server's zone, which it does not name.
pub(super) fn date(seconds: i64) -> String {
    let zone = TimeZone::fixed(jiff::tz::offset(-5));
    let date = Timestamp::from_second(seconds).expect("a time").to_zoned(zone);
    date.strftime("%a %b %e %H:%M:%S %Y").to_string()
}
