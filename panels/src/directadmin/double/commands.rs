//! The legacy commands.

use serde_json::{Value, json};

use super::{
    Caller, Params, World,
    users::{User, date},
    wire::{Outcome, done, escaped, refused},
};

const NOT_CREATED: &str = "Cannot Create Account";
const NOT_DONE: &str = "Cannot Execute Your Command";
const NAME_MAX: usize = 10;

impl World {
    pub(super) fn call(&mut self, caller: &Caller, command: &str, params: &Params) -> Outcome {
        let call = Call { caller, params };
        let command = command.trim_start_matches("CMD_").trim_start_matches("API_");
        if self.forbidden.is_some_and(|forbidden| forbidden == command) {
            return refused(NOT_DONE, "This Login Key does not allow that command");
        }
        if !["admin", "berthres", "otherres"].contains(&caller.user.as_str()) {
            return refused(
                NOT_DONE,
                "The request you've made cannot be executed because it does not exist in your authority level",
            );
        }
        match command {
            "LOGIN_TEST" => done("Login OK"),
            "ACCOUNT_USER" => self.account_user(&call),
            "SHOW_USERS" => self.listed(|user| user.creator == caller.user),
            "SHOW_ALL_USERS" if caller.user == "admin" => self.listed(|_| true),
            "USER_EXISTS" => {
                let is_there = self.has(call.get("user"));
                Outcome::Told(json!({"error": "0", "exists": u8::from(is_there).to_string()}))
            }
            "SHOW_USER_CONFIG" => self.show_user_config(&call),
            "SHOW_USER" => self.show_user(&call),
            "COMMENTS" => self.comments(&call),
            "SELECT_USERS" => self.select_users(&call),
            "MODIFY_USER" => self.modify_user(&call),
            "USER_PASSWD" => self.user_passwd(&call),
            "PACKAGES_USER" => Outcome::Told(self.packages.iter().cloned().collect()),
            "SHOW_RESELLER_IPS" => self.show_reseller_ips(&call),
            _ => refused(
                NOT_DONE,
                "The request you've made cannot be executed because it does not exist in your authority level",
            ),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.users.contains_key(name) || self.system_users.iter().any(|known| known == name)
    }

    fn listed(&self, of: impl Fn(&User) -> bool) -> Outcome {
        Outcome::Told(self.users.iter().filter(|(_, user)| of(user)).map(|(name, _)| name.as_str()).collect())
    }

    fn account_user(&mut self, call: &Call<'_>) -> Outcome {
        let (username, domain, password) = (call.get("username"), call.get("domain"), call.get("passwd"));
        let is_plain = username.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if call.get("action") != "create" || password != call.get("passwd2") {
            return refused(NOT_CREATED, "The passwords do not match");
        }
        if !is_plain || username.is_empty() || username.len() > NAME_MAX {
            return refused(NOT_CREATED, format!("Invalid username '{username}'"));
        }
        if self.has(username) {
            return refused(NOT_CREATED, "That username already exists on the system");
        }
        if !domain.contains('.') {
            return refused(NOT_CREATED, format!("'{domain}' isn't a valid domain"));
        }
        if self.users.values().any(|user| user.domain == domain) {
            return refused(NOT_CREATED, "That domain already exists");
        }
        if password.len() < 8 || password.contains(username) {
            return refused(NOT_CREATED, format!("The password '{password}' is too weak & easily guessed"));
        }
        if !self.packages.iter().any(|known| known == call.get("package")) {
            return refused(NOT_CREATED, "That package does not exist");
        }
        if !self.ips.iter().any(|(ip, _)| ip == call.get("ip")) {
            return refused(NOT_CREATED, "That IP isn't yours");
        }
        if self.users.values().filter(|user| user.creator == call.caller.user).count() >= self.users_max {
            return refused(NOT_CREATED, "You have reached the limit of users that you may create");
        }
        self.put(username, domain, &call.caller.user);
        let user = self.users.get_mut(username).expect("it was just made");
        for (field, name) in [
            (&mut user.package, "package"),
            (&mut user.email, "email"),
            (&mut user.password, "passwd"),
            (&mut user.ip, "ip"),
        ] {
            call.get(name).clone_into(field);
        }
        let details = format!("Unix User created successfully\nUsers System Quotas set\nPassword: {password}");
        Outcome::Done { text: format!("User {username} created"), details }
    }

    fn show_user_config(&mut self, call: &Call<'_>) -> Outcome {
        let name = call.get("user").to_owned();
        let (tells_dates, tells_reasons) = (self.tells_dates, self.tells_reasons);
        let user = match self.seen(call, &name) {
            Ok(user) => user,
            Err(refusal) => return refusal,
        };
        let suspended = if user.suspension.is_some() { "yes" } else { "no" };
        let mut conf = json!({"account": "ON", "api_with_password": "yes", "bandwidth": "unlimited", "creator": user.creator,
            "date_created": date(user.made_at), "domain": user.domain, "email": user.email, "inode": "unlimited", "ip": user.ip,
            "language": "en", "name": name, "ns1": "ns1.example.net", "ns2": "ns2.example.net", "package": user.package,
            "quota": "1024", "skin": "evolution", "suspended": suspended, "username": name, "usertype": "user"});
        if let Some(suspension) = &user.suspension {
            if tells_reasons {
                conf["suspended_reason"] = suspension.reason.clone().into();
            }
            if tells_dates {
                conf["suspend_date"] = suspension.at.to_string().into();
            }
        }
        Outcome::Told(conf)
    }

    fn show_user(&mut self, call: &Call<'_>) -> Outcome {
        let name = call.get("user").to_owned();
        match self.seen(call, &name) {
            Ok(user) => {
                let comments = escaped(&user.comments).replace('\r', "\\r").replace('\n', "\\n");
                Outcome::Told(json!({"comments": comments, "user_email": user.email, "user": name}))
            }
            Err(refusal) => refusal,
        }
    }

    fn comments(&mut self, call: &Call<'_>) -> Outcome {
        let (name, comments) = (call.get("user").to_owned(), call.get("comments").to_owned());
        let keeps = self.keeps_comments;
        match self.seen(call, &name) {
            Ok(user) => {
                if keeps {
                    user.comments = comments;
                }
                done("Comments Saved")
            }
            Err(refusal) => refusal,
        }
    }

    fn select_users(&mut self, call: &Call<'_>) -> Outcome {
        let selected: Vec<_> =
            call.params.iter().filter(|(name, _)| name.starts_with("select")).map(|(_, user)| user.clone()).collect();
        let mut text = "";
        for name in &selected {
            if let Err(refusal) = self.changed(call, name) {
                return refusal;
            }
            if call.has("dosuspend") {
                self.suspend(name, call.get("reason"));
                text = "User suspended";
            } else if call.has("dounsuspend") {
                self.users.get_mut(name).expect("it was just seen").suspension = None;
                text = "User unsuspended";
            } else if call.get("delete") == "yes" && call.get("confirmed") == "Confirm" {
                self.users.remove(name);
                if self.refuses_what_it_deletes {
                    return refused(NOT_DONE, "Unable to restart the web server");
                }
                text = "User deleted";
            } else {
                return refused(NOT_DONE, "Nothing to do");
            }
        }
        if selected.is_empty() { refused(NOT_DONE, "You must select at least one user") } else { done(text) }
    }

    fn modify_user(&mut self, call: &Call<'_>) -> Outcome {
        let (name, package) = (call.get("user").to_owned(), call.get("package").to_owned());
        let (keeps, is_known) = (self.keeps_packages, self.packages.contains(&package));
        match self.changed(call, &name) {
            Ok(_) if call.get("action") != "package" || !is_known => refused(NOT_DONE, "That package does not exist"),
            Ok(user) => {
                if !keeps {
                    user.package = package;
                }
                done("User Modified")
            }
            Err(refusal) => refusal,
        }
    }

    fn user_passwd(&mut self, call: &Call<'_>) -> Outcome {
        let (name, password) = (call.get("username").to_owned(), call.get("passwd").to_owned());
        match self.changed(call, &name) {
            Ok(_) if password.len() < 8 || password != call.get("passwd2") => {
                refused("Cannot change password", format!("The password '{password}' is too weak"))
            }
            Ok(user) => {
                user.password = password;
                done("Password Changed")
            }
            Err(refusal) => refusal,
        }
    }

    fn show_reseller_ips(&self, call: &Call<'_>) -> Outcome {
        match call.get("ip") {
            "" => Outcome::Told(self.ips.iter().map(|(ip, _)| Value::from(ip.as_str())).collect()),
            wanted => match self.ips.iter().find(|(ip, _)| ip == wanted) {
                Some((_, status)) => {
                    Outcome::Told(json!({"status": status, "reseller": call.caller.user, "value": "", "ns": ""}))
                }
                None => refused(NOT_DONE, "That IP isn't yours"),
            },
        }
    }

    /// An account that the caller may see. Who may not is not told whether it is there.
    fn seen(&mut self, call: &Call<'_>, name: &str) -> Result<&mut User, Outcome> {
        let found = self.users.get_mut(name);
        let is_seen = |user: &&mut User| call.caller.user == "admin" || user.creator == call.caller.user;
        found.filter(is_seen).ok_or_else(|| refused(NOT_DONE, format!("User '{name}' does not exist, or isn't yours")))
    }

    /// The account that a call is to change: there, the caller's, and nobody else at work on it.
    fn changed(&mut self, call: &Call<'_>, name: &str) -> Result<&mut User, Outcome> {
        if let Some(left) = self.locks.get_mut(name).filter(|left| **left > 0) {
            *left -= 1;
            return Err(refused(NOT_DONE, format!("The user {name} is locked, try again later")));
        }
        self.seen(call, name)
    }
}

struct Call<'a> {
    caller: &'a Caller,
    params: &'a Params,
}

impl Call<'_> {
    fn get(&self, name: &str) -> &str {
        self.params.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn has(&self, name: &str) -> bool {
        self.params.iter().any(|(known, _)| known == name)
    }
}
