//! What a WHM server does: its accounts, its packages, and its refusals.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Outcome, Params};

const RESERVED: &[&str] = &["root", "mysql", "postgres", "cpanel", "nobody", "system", "toor", "virtfs"];
const INITIAL: usize = 8;

/// All that the server holds.
pub(crate) struct World {
    pub(crate) accounts: BTreeMap<String, Account>,
    /// Names and how often an account was made under them, ever.
    pub(crate) creates: HashMap<String, u64>,
    pub(crate) packages: Vec<String>,
    /// Tokens by their users.
    tokens: HashMap<String, String>,
    /// Groups of the system that no account has.
    pub(crate) groups: Vec<String>,
    /// Requests that an account's changes will still be refused for.
    pub(crate) locks: HashMap<String, u32>,
    /// Links that were given out, and to whose panel.
    pub(crate) sessions: HashMap<String, String>,
    /// A script that says it changed a package, and did not.
    pub(crate) keeps_packages: bool,
    /// A suspension's reason may be changed; of older versions it may not.
    pub(crate) updates_reasons: bool,
    next_id: u32,
}

/// A cPanel account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) domain: String,
    pub(crate) owner: String,
    pub(crate) plan: String,
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) suspension: Option<Suspension>,
    /// Unix time in seconds.
    pub(crate) made_at: i64,
    pub(crate) uid: u32,
    pub(crate) sent_bytes: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Suspension {
    pub(crate) reason: String,
    pub(crate) locked: bool,
}

impl World {
    pub(super) fn new() -> Self {
        let tokens = [("root", "ROOT-TOKEN-7Q2W"), ("berthres", "BERTH-TOKEN-4K8X"), ("otherres", "OTHER-TOKEN-9Z3V")];
        Self {
            accounts: BTreeMap::new(),
            creates: HashMap::new(),
            packages: ["default", "small", "large"].map(str::to_owned).to_vec(),
            tokens: tokens.map(|(user, token)| (user.to_owned(), token.to_owned())).into(),
            groups: Vec::new(),
            locks: HashMap::new(),
            sessions: HashMap::new(),
            keeps_packages: false,
            updates_reasons: false,
            next_id: 1000,
        }
    }

    pub(super) fn is_token(&self, user: &str, token: &str) -> bool {
        self.tokens.get(user).is_some_and(|known| known == token)
    }

    /// The token of a WHM user.
    pub(crate) fn token_of(&self, user: &str) -> &str {
        &self.tokens[user]
    }

    /// Makes an account as its owner would in WHM's own pages.
    pub(crate) fn put(&mut self, username: &str, domain: &str, owner: &str) {
        let account = Account {
            domain: domain.to_owned(),
            owner: owner.to_owned(),
            plan: "default".to_owned(),
            email: "theirs@example.net".to_owned(),
            password: "their own secret".to_owned(),
            suspension: None,
            made_at: now(),
            uid: self.next_id(),
            sent_bytes: 0,
        };
        *self.creates.entry(username.to_owned()).or_default() += 1;
        self.accounts.insert(username.to_owned(), account);
    }

    /// Whether cPanel's login takes the password.
    pub(crate) fn logs_in(&self, username: &str, password: &str) -> bool {
        self.accounts.get(username).is_some_and(|found| found.password == password && found.suspension.is_none())
    }

    pub(super) fn call(&mut self, caller: &str, function: &str, params: &Params) -> Outcome {
        let call = Call { caller, params };
        match function {
            "createacct" => self.createacct(&call),
            "accountsummary" => self.accountsummary(&call),
            "listaccts" => self.listaccts(&call),
            "suspendacct" => self.suspendacct(&call),
            "unsuspendacct" => self.unsuspendacct(&call),
            "removeacct" => self.removeacct(&call),
            "changepackage" => self.changepackage(&call),
            "passwd" => self.passwd(&call),
            "verify_new_username" => self.refused_name(&call.get("user").to_lowercase()).map_or(said(Value::Null), Err),
            "listpkgs" => said(json!({"pkg": self.packages.iter().map(|name| json!({"name": name, "QUOTA": "1024",
                "BWLIMIT": "unlimited", "MAXSQL": "5", "MAXADDON": "0"})).collect::<Vec<_>>()})),
            "create_user_session" => self.create_user_session(&call),
            "showbw" => self.showbw(&call),
            "version" => said(json!({"version": "11.138.0.5"})),
            "gethostname" => said(json!({"hostname": "web1.example.net"})),
            "get_nameserver_config" if caller == "root" || caller == "berthres" => {
                said(json!({"nameservers": ["ns1.example.net", "ns2.example.net"]}))
            }
            _ => Err(format!("Unknown app (“{function}”) requested for this version (1) of the API.")),
        }
    }

    fn createacct(&mut self, call: &Call<'_>) -> Outcome {
        // The system takes any case and keeps the lower.
        let (username, domain) = (call.get("username").to_lowercase(), call.get("domain").to_lowercase());
        let password = call.get("password");
        if let Some(refusal) = self.refused_name(&username) {
            self.next_id += 1;
            return Err(format!(
                "(XID {:x}) {refusal} at /usr/local/cpanel/Whostmgr/Accounts/Create.pm line 1047.",
                self.next_id
            ));
        }
        if self.accounts.values().any(|account| account.domain == domain) {
            return Err(format!("The domain “{domain}” already exists in the Apache configuration."));
        }
        if domain.is_empty() || !domain.contains('.') {
            return Err(format!("“{domain}” is not a valid domain name."));
        }
        if password.len() < 8 || password.contains(&username) {
            return Err(format!("Sorry, the password “{password}” cannot be used because it is too weak."));
        }
        let named = call.get("plan");
        let plan = if self.packages.iter().any(|known| known == named) { named } else { "default" }.to_owned();
        let owner = match call.get("owner") {
            "" => call.caller,
            _ if call.caller != "root" => call.caller,
            owner => owner,
        };
        self.put(&username, &domain, owner);
        let account = self.accounts.get_mut(&username).expect("it was just made");
        (account.plan, account.email, account.password) =
            (plan.clone(), call.get("contactemail").to_owned(), password.to_owned());
        let raw = format!(
            "Checking input data...\n...Done\nWWWAcct 12.6.0 (c) 2026 cPanel, L.L.C....\n| New Account Info |\n| Domain: {domain}\n\
             | Ip: 192.0.2.7 (n)\n| UserName: {username}\n| PassWord: {password}\n| Package: {plan}\n...Done\n"
        );
        let data = json!({"ip": "192.0.2.7", "nameserver": "ns1.example.net", "nameserver2": "ns2.example.net",
            "nameserver3": "", "nameserver4": "", "nameserverentry": Value::Null, "package": plan});
        Ok((data, Some(raw)))
    }

    /// What the system says of a name that cannot be had.
    fn refused_name(&self, username: &str) -> Option<String> {
        let initial = |name: &str| name.chars().take(INITIAL).collect::<String>();
        if self.accounts.contains_key(username) {
            return Some(format!("This system already has an account named “{username}”."));
        }
        if RESERVED.contains(&username) {
            return Some(format!("“{username}” is a reserved username on this system."));
        }
        if self.groups.iter().any(|group| group == username) {
            return Some("Sorry, a group for that username already exists".to_owned());
        }
        if self.accounts.keys().any(|other| other.len() >= INITIAL && initial(other) == initial(username)) {
            return Some(format!(
                "The name of another account on this server has the same initial {INITIAL} characters as the given username ({username})."
            ));
        }
        let begins_badly =
            username.starts_with(|first: char| !first.is_ascii_lowercase()) || username.starts_with("test");
        if username.is_empty() || username.len() > 16 || begins_badly {
            return Some(format!("“{username}” is not a valid username on this system."));
        }
        None
    }

    fn accountsummary(&mut self, call: &Call<'_>) -> Outcome {
        let found = match call.get("user") {
            "" => self.accounts.iter().find(|(_, account)| account.domain == call.get("domain")),
            user => self.accounts.get_key_value(user),
        };
        let Some((user, account)) = found.filter(|(_, account)| call.may_see(account)) else {
            return Err(call.absent(call.get("user"), "Account does not exist"));
        };
        said(json!({"acct": [account.summary(user)]}))
    }

    /// All that the caller may see, where the search is found in what was asked to be searched; of each what was wanted.
    fn listaccts(&self, call: &Call<'_>) -> Outcome {
        let is_found = |user: &str, account: &Account| {
            let text = match call.get("searchtype") {
                "" => return true,
                "owner" => account.owner.as_str(),
                "domain" => account.domain.as_str(),
                "package" => account.plan.as_str(),
                _ => user,
            };
            let search = call.get("search");
            if call.get("searchmethod") == "exact" { text == search } else { text.contains(search) }
        };
        let wanted: Vec<&str> = call.get("want").split(',').filter(|name| !name.is_empty()).collect();
        let seen = self.accounts.iter().filter(|(user, account)| call.may_see(account) && is_found(user, account));
        let shown = seen.map(|(user, account)| {
            let mut summary = account.summary(user);
            if let Some(fields) = summary.as_object_mut().filter(|_| !wanted.is_empty()) {
                fields.retain(|name, _| wanted.contains(&name.as_str()));
            }
            summary
        });
        said(json!({"acct": shown.collect::<Vec<_>>()}))
    }

    fn suspendacct(&mut self, call: &Call<'_>) -> Outcome {
        let updates_reasons = self.updates_reasons;
        let user = call.get("user");
        let account = self.changed(call, user, "_suspendacct called for a user that does not exist. ()")?;
        let suspension = Suspension { reason: call.get("reason").to_owned(), locked: call.get("disallowun") == "1" };
        if account.suspension.is_some() && !updates_reasons {
            return Ok((Value::Null, Some("Account Already Suspended".to_owned())));
        }
        account.suspension = Some(suspension);
        Ok((
            Value::Null,
            Some(format!(
                "Locking Password...Locking password for user {user}.\n{user}'s account has been suspended\n"
            )),
        ))
    }

    fn unsuspendacct(&mut self, call: &Call<'_>) -> Outcome {
        let user = call.get("user");
        let account = self.changed(call, user, "_unsuspendacct called for a user that does not exist. ()")?;
        if account.suspension.as_ref().is_some_and(|suspension| suspension.locked) && call.caller != "root" {
            return Err(format!("The account “{user}” was suspended by root and can only be unsuspended by root."));
        }
        account.suspension = None;
        Ok((Value::Null, Some(format!("{user}'s account is now active\n"))))
    }

    fn removeacct(&mut self, call: &Call<'_>) -> Outcome {
        let user = match call.get("username") {
            "" => call.get("user"),
            username => username,
        };
        self.changed(call, user, "Account does not exist")?;
        self.accounts.remove(user);
        Ok((Value::Null, Some(format!("Killing all processes owned by user......Done\n{user} account removed"))))
    }

    fn changepackage(&mut self, call: &Call<'_>) -> Outcome {
        let (user, package) = (call.get("user"), call.get("pkg").to_owned());
        let (keeps, is_known) = (self.keeps_packages, self.packages.contains(&package));
        let account = self.changed(call, user, &format!("Sorry the user {user} does not exist"))?;
        if !is_known {
            return Err("Specified package does not exist.".to_owned());
        }
        if !keeps {
            account.plan = package;
        }
        Ok((Value::Null, Some(format!("Account Upgrade/Downgrade Complete for {user}"))))
    }

    fn passwd(&mut self, call: &Call<'_>) -> Outcome {
        let user = call.get("user");
        let account = self.changed(call, user, &format!("Sorry, the user {user} does not exist."))?;
        let password = call.get("password");
        if password.len() < 8 {
            return Err(format!("Sorry, the password “{password}” cannot be used because it is too weak."));
        }
        account.password = password.to_owned();
        Ok((
            json!({"app": ["system", "ftp", "mail", "mySQL"]}),
            Some(format!("Changing password for {user}: {password}")),
        ))
    }

    fn create_user_session(&mut self, call: &Call<'_>) -> Outcome {
        let user = call.get("user").to_owned();
        let account = self.changed(call, &user, "Account does not exist")?;
        if account.suspension.is_some() {
            return Err(format!("The account “{user}” is suspended."));
        }
        let id = self.next_id();
        let (session, token) = (format!("{user}:s{id}Kx7q,{id}SESSIONSECRET"), format!("/cpsess{id}4242"));
        let url = format!("https://web1.example.net:2083{token}/login/?session={session}");
        self.sessions.insert(url.clone(), user);
        said(json!({"session": session, "cp_security_token": token, "service": call.get("service"), "url": url,
            "expires": now() + 900}))
    }

    fn showbw(&mut self, call: &Call<'_>) -> Outcome {
        let search = call.get("search").trim_matches(['^', '$']);
        let seen = self.accounts.iter().filter(|(user, account)| {
            call.may_see(account) && (call.get("searchtype") != "user" || user.contains(search))
        });
        let accounts: Vec<_> = seen
            .map(|(user, account)| {
                json!({"user": user, "maindomain": account.domain, "owner": account.owner, "reseller": 0, "deleted": 0,
                    "limit": 0, "totalbytes": account.sent_bytes,
                    "bwusage": [{"domain": account.domain, "usage": account.sent_bytes, "deleted": 0}]})
            })
            .collect();
        said(json!({"acct": accounts, "month": 11, "year": 2026, "reseller": call.caller, "totalused": 0}))
    }

    /// The account that a call is to change: there, the caller's, and nobody else at work on it.
    fn changed(&mut self, call: &Call<'_>, user: &str, absent: &str) -> Result<&mut Account, String> {
        if let Some(left) = self.locks.get_mut(user).filter(|left| **left > 0) {
            *left -= 1;
            return Err(format!("(XID 77) Could not obtain a lock on the account “{user}”."));
        }
        let found = self.accounts.get_mut(user).filter(|account| call.may_see(account));
        found.ok_or_else(|| call.absent(user, absent))
    }

    fn next_id(&mut self) -> u32 {
        let next = self.next_id + 1;
        mem::replace(&mut self.next_id, next)
    }
}

impl Account {
    fn summary(&self, user: &str) -> Value {
        let suspension = self.suspension.as_ref();
        json!({
            "user": user, "domain": self.domain, "plan": self.plan, "owner": self.owner, "email": self.email,
            "ip": "192.0.2.7", "suspended": u8::from(suspension.is_some()),
            "suspendreason": suspension.map_or("not suspended", |suspension| &suspension.reason),
            "suspendtime": Value::Null, "is_locked": u8::from(suspension.is_some_and(|suspension| suspension.locked)),
            "diskused": "14M", "disklimit": "unlimited", "inodesused": 321, "inodeslimit": "unlimited",
            "unix_startdate": self.made_at, "startdate": "26 Nov 26 16:03", "uid": self.uid, "partition": "home",
            "theme": "jupiter", "shell": "/bin/bash", "backup": 0, "temporary": 0, "ipv6": [],
        })
    }
}

struct Call<'a> {
    caller: &'a str,
    params: &'a Params,
}

impl Call<'_> {
    fn get(&self, name: &str) -> &str {
        self.params.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn may_see(&self, account: &Account) -> bool {
        self.caller == "root" || account.owner == self.caller
    }

    /// Resellers are not told which accounts there are.
    fn absent(&self, user: &str, to_root: &str) -> String {
        if self.caller == "root" {
            to_root.to_owned()
        } else {
            format!("You do not have access to an account named “{user}”.")
        }
    }
}

fn said(data: Value) -> Outcome {
    Ok((data, None))
}

#[expect(clippy::disallowed_methods, reason = "a server's clock is real")]
fn now() -> i64 {
    Timestamp::now().as_second()
}
