//! What the commands of a Hestia server do to its users.

use std::mem;

use serde_json::{Map, Value, json};

use super::{
    World,
    users::{ADMIN, User},
};

const RESERVED: &[&str] =
    &["aria", "aria_log", "mysql", "mysql_upgrade", "ib", "ib_buffer", "ddl", "ddl_recovery", "performance", "sudo"];

/// What a command prints; the code that it ends with where that is not 0, and what it prints then.
pub(super) type Outcome = Result<String, (u16, String)>;

/// A refusal in Hestia's form.
pub(super) fn error(code: u16, sentence: impl AsRef<str>) -> (u16, String) {
    (code, format!("Error: {}", sentence.as_ref()))
}

pub(super) fn printed(value: &Value) -> Outcome {
    Ok(value.to_string())
}

impl World {
    pub(super) fn run(&mut self, command: &str, args: &[String]) -> Outcome {
        self.ran.insert(command.to_owned());
        let arg = |nth: usize| args.get(nth - 1).map_or("", String::as_str);
        let user = arg(1);
        let of_a_user = !matches!(
            command,
            "v-list-sys-info" | "v-list-user-packages" | "v-list-users" | "v-search-domain-owner" | "v-add-user"
        );
        if of_a_user && !self.users.contains_key(user) && !self.half_written.iter().any(|name| name == user) {
            return Err(error(3, format!("user {user} doesn't exist")));
        }
        if user == ADMIN && matches!(command, "v-suspend-user" | "v-unsuspend-user" | "v-delete-user") {
            return Ok(String::new());
        }
        match command {
            "v-list-sys-info" => {
                printed(&json!({"sysinfo": {"HOSTNAME": "web1.example.net", "OS": "Debian", "VERSION": "12.5",
                "ARCH": "x86_64", "HESTIA": "1.9.4", "RELEASE": "release", "UPTIME": "81", "LOADAVERAGE": "0.1 / 0.2 / 0.1"}}))
            }
            "v-list-user-packages" => printed(&self.packages()),
            "v-list-user" => printed(&json!({user: self.shown(user)})),
            "v-list-users" => {
                printed(&Value::Object(self.users.keys().map(|name| (name.clone(), self.shown(name))).collect()))
            }
            "v-list-user-notifications" => printed(&notifications(self.user(user))),
            "v-list-web-domains" => printed(&self.web_domains(user)),
            "v-search-domain-owner" => self.domain_owner(arg(1), arg(2)),
            "v-add-user" => self.add_user(args),
            "v-add-web-domain" => self.add_web_domain(user, arg(2)),
            "v-add-dns-domain" => self.add_dns_domain(user, arg(2), arg(3)),
            "v-add-mail-domain" => self.add_mail_domain(user, arg(2)),
            "v-add-user-notification" => self.add_notification(user, arg(2), arg(3)),
            "v-delete-user-notification" => self.delete_notification(user, arg(2)),
            "v-suspend-user" => self.suspend_user(user),
            "v-unsuspend-user" => self.unsuspend_user(user),
            "v-change-user-package" => self.change_package(user, arg(2)),
            "v-change-user-password" => self.change_password(user, arg(2)),
            "v-delete-user" => self.delete_user(user),
            _ => Err((127, String::new())),
        }
    }

    fn add_user(&mut self, args: &[String]) -> Outcome {
        let [user, password, contact, package, name, ..] = args else {
            return Err((1, "Usage: v-add-user".to_owned()));
        };
        if [user, password, contact].iter().any(|arg| arg.is_empty()) {
            return Err((1, "Usage: v-add-user USER PASSWORD EMAIL [PACKAGE] [NAME] ".to_owned()));
        }
        let is_plain = user.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        if !is_plain || user.len() > 30 || !user.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(error(2, format!("invalid user format :: {user}")));
        }
        if !contact.contains('@') {
            return Err(error(2, format!("invalid email format :: {contact}")));
        }
        if RESERVED.contains(&user.to_lowercase().as_str()) {
            let reserved = RESERVED.join(" ");
            return Err(error(
                2,
                format!("The user name '{user}' is reserved and cannot be used. List of reserved names: {reserved}"),
            ));
        }
        let has_it = |names: &[String]| names.iter().any(|name| name == user);
        if self.users.contains_key(user) || has_it(&self.system_users) || has_it(&self.half_written) {
            return Err(error(4, format!("user {user} exists")));
        }
        if !self.packages.contains_key(package) {
            return Err(error(3, format!("package {package} doesn't exist")));
        }
        if has_it(&self.groups) {
            return Err(error(2, "user creation failed"));
        }
        check_strength(password)?;
        let made = self.put(user, name);
        (made.package, made.contact, made.password) = (package.clone(), contact.clone(), password.clone());
        Ok(String::new())
    }

    fn suspend_user(&mut self, user: &str) -> Outcome {
        self.check_busy(user)?;
        let found = self.unsuspended(user)?;
        found.set_suspended(true);
        Ok(String::new())
    }

    fn unsuspend_user(&mut self, user: &str) -> Outcome {
        self.check_busy(user)?;
        let stops = self.stops_unsuspending.take();
        let found = self.user(user);
        found.suspended = false;
        if let Some(code) = stops {
            return Err(error(code, "Web restart failed"));
        }
        found.serve_sites(true);
        Ok(String::new())
    }

    fn change_package(&mut self, user: &str, package: &str) -> Outcome {
        self.check_busy(user)?;
        let Some(room) = self.packages.get(package) else {
            return Err(error(3, format!("package {package} doesn't exist")));
        };
        if self.users[user].web.len() > *room {
            return Err(error(8, "Package doesn't cover WEB_DOMAIN usage"));
        }
        if !self.keeps_packages {
            self.user(user).package = package.to_owned();
        }
        // The shell is changed by a command of its own, whose failure is printed and forgotten.
        Ok(if self.users[user].suspended {
            format!("Error: user {user} is suspended")
        } else if shell_of(package) == "nologin" {
            "Error: shell nologin is not valid".to_owned()
        } else {
            String::new()
        })
    }

    fn change_password(&mut self, user: &str, password: &str) -> Outcome {
        let found = self.unsuspended(user)?;
        check_strength(password)?;
        found.password = password.to_owned();
        Ok(String::new())
    }

    fn delete_user(&mut self, user: &str) -> Outcome {
        self.check_busy(user)?;
        self.users.remove(user);
        Ok(String::new())
    }

    fn add_notification(&mut self, user: &str, topic: &str, notice: &str) -> Outcome {
        let notifications = &mut self.user(user).notifications;
        let id = notifications.keys().next_back().map_or(1, |last| last + 1);
        notifications.insert(id, (topic.to_owned(), notice.to_owned()));
        Ok(String::new())
    }

    fn delete_notification(&mut self, user: &str, id: &str) -> Outcome {
        let Ok(id) = id.parse::<u64>() else { return Err(error(2, format!("invalid id format :: {id}"))) };
        self.user(user).notifications.remove(&id);
        Ok(String::new())
    }

    fn shown(&self, username: &str) -> Value {
        let Some(user) = self.users.get(username) else {
            // Its directory is there, its record not yet: all is empty.
            return json!({"NAME": "", "PACKAGE": "", "CONTACT": "", "SUSPENDED": "", "TIME": "", "DATE": ""});
        };
        json!({"NAME": user.name, "PACKAGE": user.package, "WEB_TEMPLATE": "default", "CONTACT": user.contact,
            "NS": "ns1.domain.tld,ns2.domain.tld", "SHELL": shell_of(&user.package), "RKEY": "dLqJ0vEoL3p9XWcu", "ROLE": "user",
            "SUSPENDED": yes(user.suspended), "U_DISK": user.disk.to_string(), "U_BANDWIDTH": user.bandwidth.to_string(),
            "U_WEB_DOMAINS": user.web.len().to_string(), "TIME": user.time, "DATE": user.date})
    }

    fn packages(&self) -> Value {
        let shown = |(name, room): (&String, &usize)| {
            let package = json!({"WEB_TEMPLATE": "default", "WEB_DOMAINS": room.to_string(), "DISK_QUOTA": "unlimited",
                "NS": "ns1.domain.tld,ns2.domain.tld", "SHELL": "nologin", "BACKUPS": "3"});
            (name.clone(), package)
        };
        Value::Object(self.packages.iter().map(shown).collect())
    }

    /// A user that is there and not suspended.
    pub(super) fn unsuspended(&mut self, user: &str) -> Result<&mut User, (u16, String)> {
        let found = self.user(user);
        if found.suspended {
            return Err(error(5, format!("user {user} is suspended")));
        }
        Ok(found)
    }

    /// That nothing hinders changes of the user.
    fn check_busy(&mut self, user: &str) -> Result<(), (u16, String)> {
        match self.busy.get_mut(user).filter(|(left, _)| *left > 0) {
            None => Ok(()),
            Some((left, code)) => {
                let _ = mem::replace(left, *left - 1);
                Err(error(*code, "the server is too busy to complete the action"))
            }
        }
    }
}

fn notifications(user: &User) -> Value {
    let shown = user.notifications.iter().map(|(id, (topic, notice))| {
        let notification = json!({"TOPIC": topic, "NOTICE": notice, "ACK": "no", "PRIORITY": "0",
            "TIME": "10:11:12", "DATE": "2026-11-26"});
        (id.to_string(), notification)
    });
    Value::Object(shown.collect::<Map<_, _>>())
}

/// This server has no shell `nologin`, which Hestia's own packages give.
fn shell_of(package: &str) -> &'static str {
    if package == "default" { "nologin" } else { "bash" }
}

fn check_strength(password: &str) -> Result<(), (u16, String)> {
    if password.len() < 8 {
        return Err(error(2, format!("Password not accepted due to PAM restrictions :: {password}")));
    }
    Ok(())
}

pub(super) fn yes(truth: bool) -> &'static str {
    if truth { "yes" } else { "no" }
}
