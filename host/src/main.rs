//! `berth-host [--config FILE] VERB`: the privileged part of Berth's `linux` panel. See README.md.

use std::{
    env,
    ffi::OsString,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use berth_host::protocol::{
    Create, DeleteBackup, Done, List, OfAccount, OfBackup, Probe, Probed, REQUEST_MAX, SetPackage, SetPassword,
    Suspend, Verb,
};
use nix::{
    sys::stat::{Mode, umask},
    unistd::{Uid, gethostname},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    accounts::{Account, Wanted},
    backups::{Backups, Name},
    config::Config,
    failure::{Failure, OrFail as _},
    homes::Homes,
    record::Records,
};

mod accounts;
mod backups;
mod changes;
mod config;
mod daemons;
mod databases;
mod failpoints;
mod failure;
mod files;
mod homes;
mod locks;
mod names;
mod programs;
mod record;
mod server;
mod users;
mod web;
mod wordpress;

const USAGE: u8 = 2;

fn main() -> ExitCode {
    let Some((config, verb)) = arguments(env::args_os().skip(1).collect()) else {
        let verbs = Verb::ALL.map(Verb::as_str).join("|");
        // Nobody is there to be told when this fails.
        let _ = writeln!(io::stderr(), "usage: berth-host [--config FILE] {verbs} < request.json");
        return ExitCode::from(USAGE);
    };
    // What is made without saying for whom is not for the world.
    umask(Mode::S_IWGRP | Mode::S_IRWXO);
    let (answer, code) = match run(&config, verb) {
        Ok(answer) => (answer, 0),
        Err(failure) => (serde_json::to_string(&failure.refusal()).unwrap_or_default(), failure.class.exit_code()),
    };
    // The caller may be gone; the work is done all the same.
    let _ = writeln!(io::stdout(), "{answer}");
    ExitCode::from(code)
}

fn arguments(args: Vec<OsString>) -> Option<(PathBuf, Verb)> {
    let (config, verb) = match args.as_slice() {
        [verb] => (PathBuf::from(config::DEFAULT), verb),
        [flag, config, verb] if flag == "--config" => (PathBuf::from(config), verb),
        _ => return None,
    };
    Some((config, Verb::parse(verb.to_str()?)?))
}

fn run(config: &Path, verb: Verb) -> Result<String, Failure> {
    if !Uid::effective().is_root() {
        return Err(Failure::misconfigured("berth-host must be run as root"));
    }
    let mut request = Vec::new();
    io::stdin().take(REQUEST_MAX).read_to_end(&mut request).or_fail("the request could not be read")?;
    let config = Config::load(config)?;
    prepare(&config)?;
    answer(&config, verb, &request)
}

fn answer(config: &Config, verb: Verb, request: &[u8]) -> Result<String, Failure> {
    match verb {
        Verb::Probe => {
            let Probe {} = parse(request)?;
            say(&probe(config)?)
        }
        Verb::Observe => {
            let OfAccount { account } = parse(request)?;
            say(&Account::new(config, &account)?.observe()?)
        }
        Verb::List => {
            let List {} = parse(request)?;
            say(&Records::new(config).list()?)
        }
        Verb::Create => {
            let create: Create = parse(request)?;
            say(&Account::new(config, &create.account)?.create(&wanted(config, &create)?, now_ms())?)
        }
        Verb::Suspend => {
            let Suspend { account, reason } = parse(request)?;
            done(Account::new(config, &account)?.suspend(names::word("reason", &reason)?))
        }
        Verb::Activate => {
            let OfAccount { account } = parse(request)?;
            done(Account::new(config, &account)?.activate())
        }
        Verb::Package => {
            let SetPackage { account, package } = parse(request)?;
            done(Account::new(config, &account)?.set_package(names::word("package", &package)?))
        }
        Verb::Password => {
            let SetPassword { account, password } = parse(request)?;
            let notes = Account::new(config, &account)?.set_password(names::password(&password.0)?)?;
            say(&Done { notes })
        }
        Verb::Usage => {
            let OfAccount { account } = parse(request)?;
            say(&Account::new(config, &account)?.usage()?)
        }
        Verb::Backup => {
            let OfBackup { account, version } = parse(request)?;
            say(&Backups::new(config).make(&Account::new(config, &account)?, version, now_ms())?)
        }
        Verb::DeleteBackup => {
            let DeleteBackup { account_id, version } = parse(request)?;
            done(Backups::new(config).remove(Name { account_id, version }))
        }
        Verb::Restore => {
            let OfBackup { account, version } = parse(request)?;
            done(Backups::new(config).restore(&Account::new(config, &account)?, version))
        }
        Verb::Remove => {
            let OfAccount { account } = parse(request)?;
            done(Account::new(config, &account)?.remove())
        }
    }
}

fn probe(config: &Config) -> Result<Probed, Failure> {
    server::check(config)?;
    Backups::new(config).prepare()?;
    let hostname = gethostname().or_fail("the server's name could not be read")?.to_string_lossy().into_owned();
    let version = concat!("berth-host ", env!("CARGO_PKG_VERSION")).to_owned();
    Ok(Probed { version, hostname, quota: Homes::new(config).quota()? })
}

/// Proves that nothing in a request can do harm.
fn wanted(config: &Config, create: &Create) -> Result<Wanted, Failure> {
    let domain = create.domain.as_deref().map(names::domain).transpose()?;
    let own = format!(".{}", config.base_domain);
    if domain.as_deref().is_some_and(|domain| domain == config.base_domain || domain.ends_with(&own)) {
        return Err(Failure::permanent("names below the server's own domain are given by usernames only"));
    }
    Ok(Wanted {
        password: names::password(&create.password.0)?.to_owned(),
        package: names::word("package", &create.package)?,
        email: names::email(&create.email)?,
        domain,
        intended_at_ms: create.intended_at_ms,
    })
}

fn prepare(config: &Config) -> Result<(), Failure> {
    ["accounts", "locks", "under-way"]
        .into_iter()
        .try_for_each(|part| files::make_dir(&config.state.join(part)))
        .or_fail("the directory of the state is not usable")
}

fn parse<T: DeserializeOwned>(request: &[u8]) -> Result<T, Failure> {
    // Where it stopped, not what stood there: that may be a secret.
    serde_json::from_slice(request).map_err(|error| {
        Failure::permanent(format!("the request is not what the verb takes: column {}", error.column()))
    })
}

fn done(changed: Result<(), Failure>) -> Result<String, Failure> {
    changed.and_then(|()| say(&Done::default()))
}

fn say(answer: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(answer).map_err(io::Error::from).or_fail("the answer could not be written")
}

fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a server says its own, real time")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Option<(PathBuf, Verb)> {
        arguments(args.iter().map(OsString::from).collect())
    }

    #[test]
    fn only_a_verb_and_a_file_of_settings_are_arguments() {
        assert_eq!(parsed(&["probe"]), Some((PathBuf::from(config::DEFAULT), Verb::Probe)));
        assert_eq!(parsed(&["--config", "/a", "remove"]), Some((PathBuf::from("/a"), Verb::Remove)));
        for args in [&[][..], &["sh"], &["probe", "probe"], &["--config", "probe"], &["--verbose", "/a", "probe"]] {
            assert_eq!(parsed(args), None, "{args:?}");
        }
    }

    #[test]
    fn a_request_that_does_not_parse_shows_nothing_of_itself() {
        let refused = parse::<SetPassword>(br#"{"password": hunter2"#).err().unwrap();

        assert!(!refused.refusal().message.contains("hunter2"));
    }

    #[test]
    fn names_of_the_servers_own_domain_are_nobodys_to_claim() {
        let config = config::tests::config();
        let create = |domain: &str| Create {
            account: berth_host::protocol::AccountName { account_id: uuid::Uuid::nil(), username: "alice".to_owned() },
            password: berth_host::protocol::Secret("Xk2mPq9wRt4vLs8z-hJn".to_owned()),
            package: "small".to_owned(),
            email: "owner@example.org".to_owned(),
            domain: Some(domain.to_owned()),
            intended_at_ms: 0,
        };

        assert!(wanted(&config, &create("example.org")).is_ok());
        for domain in ["sites.example.net", "bob.sites.example.net", "a;b", "../x"] {
            assert!(wanted(&config, &create(domain)).is_err(), "{domain}");
        }
    }
}
