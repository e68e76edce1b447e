//! The settings: complete, with secrets that nobody can guess and that nobody else can read.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use toml::{Table, Value};

use super::check::{Check, Verdict, broken, ok, warning};
use crate::{
    app::catalogue_of,
    config::{Config, ConfigError, DocumentedKey, Role, SecretUrl, documented_keys},
    error::chain,
    secrets::SecretKeys,
};

/// A secret of so few different characters was typed, not drawn.
const FEWEST_CHARACTERS: usize = 10;
/// Of 32 bytes that were drawn, fewer than so many different ones are not to be expected in the life of the universe.
const FEWEST_BYTES: usize = 16;
/// Passwords that come with examples and habits.
const HABITUAL: [&str; 8] = ["", "password", "postgres", "berth", "berth_app", "secret", "changeme", "app"];
/// What in the file of servers names a file that is no secret.
const PUBLIC_FILES: [&str; 2] = ["authority_file", "certificate_file"];
const OTHERS_MAY_READ: u32 = 0o004;

pub(super) fn look(config: &Config) -> Vec<Check> {
    let mut checks = of_completeness(config);
    checks.extend(of_secrets(config));
    checks.push(of_files(&secret_files(config)));
    checks.push(match catalogue_of(config) {
        Ok(catalogue) => ok("catalogue", format!("{} services", catalogue.services().len())),
        Err(error) => broken("catalogue", chain(&error), "berth catalogue check"),
    });
    checks.push(of_development(config));
    checks
}

fn of_completeness(config: &Config) -> Vec<Check> {
    let complete = |name, role| match config.require_for(role) {
        Ok(()) => ok(name, "complete"),
        Err(error) => warning(name, missing_text(&error), "set them: config/berth.toml says what each is for"),
    };
    let mut checks = vec![complete("settings to serve", Role::Serve), complete("settings to work", Role::Work)];
    // A machine may only serve, or only work.
    if checks.iter().all(|check| check.verdict != Verdict::Ok) {
        for check in &mut checks {
            check.verdict = Verdict::Broken;
        }
    }
    checks
}

fn missing_text(error: &ConfigError) -> String {
    let keys: Vec<&str> = error.faults().iter().map(|fault| fault.split(':').next().unwrap_or(fault)).collect();
    format!("missing: {}", keys.join(", "))
}

/// Secrets that can be guessed: those of the examples, those that were typed, and none at all.
fn of_secrets(config: &Config) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(key) = &config.secrets.key {
        checks.push(of_sealing_key(key));
    }
    let new_secret = "openssl rand -base64 48; tokens that were signed with the old one end";
    if let Some(secret) = &config.auth.jwt_secret {
        checks.push(of_text("auth.jwt_secret", secret, new_secret));
    }
    let of_endpoint = "Stripe's dashboard shows it: Developers, Webhooks, the endpoint, Signing secret";
    if let Some(weak) =
        config.stripe.webhook_secrets.iter().find_map(|secret| weakness("stripe.webhook_secrets", secret))
    {
        checks.push(broken("stripe.webhook_secrets", weak, of_endpoint));
    }
    let urls = [
        ("database.url", config.database.url.as_ref(), true),
        ("redis.url", config.redis.url.as_ref(), false),
        ("mail.smtp_url", config.mail.smtp_url.as_ref(), false),
    ];
    checks.extend(urls.into_iter().filter_map(|(name, url, needs_one)| of_url(name, url?, needs_one)));
    checks
}

fn of_sealing_key(key: &SecretString) -> Check {
    const NAME: &str = "secrets.key";
    let fix = "put a new one first (echo \"k2:$(openssl rand -base64 32)\"), restart, then `berth secrets rotate`";
    match SecretKeys::parse(key) {
        Err(error) => broken(NAME, chain(&error), fix),
        Ok(_) if key.expose_secret().split(',').any(is_weak_key) => {
            broken(NAME, "one of its keys is an example's, or was not drawn by chance", fix)
        }
        Ok(keys) => ok(NAME, format!("{} key(s); the first one seals", keys.ids().count())),
    }
}

/// `name:base64`, whose bytes are few or follow each other.
fn is_weak_key(text: &str) -> bool {
    let bytes = text.trim().split_once(':').and_then(|(_, encoded)| STANDARD.decode(encoded).ok()).unwrap_or_default();
    let follow = bytes.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == bytes[1].wrapping_sub(bytes[0]));
    follow || bytes.iter().collect::<BTreeSet<_>>().len() < FEWEST_BYTES
}

fn of_text(name: &'static str, secret: &SecretString, fix: &str) -> Check {
    match weakness(name, secret) {
        Some(weak) => broken(name, weak, fix),
        None => ok(name, "not to be guessed"),
    }
}

/// Why a secret can be guessed; never the secret.
fn weakness(path: &str, secret: &SecretString) -> Option<&'static str> {
    let text = secret.expose_secret();
    let documented = documented_keys();
    let is_example = |key: &DocumentedKey| key.path == path && key.value.contains(&format!("\"{text}\""));
    if documented.iter().any(is_example) {
        return Some("it is the example's");
    }
    let different = text.trim_start_matches("whsec_").chars().collect::<BTreeSet<_>>().len();
    (different < FEWEST_CHARACTERS).then_some("it has so few different characters that it can be guessed")
}

/// A password that everybody knows, or one that crosses a network in the clear.
fn of_url(name: &'static str, url: &SecretUrl, needs_one: bool) -> Option<Check> {
    let url = url.expose();
    let host = url.host_str().unwrap_or_default();
    let is_here = host.is_empty() || matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let shown = format!("the password for {host}");
    match url.password() {
        None if needs_one && !is_here && !url.query_pairs().any(|(key, _)| key == "sslcert") => {
            Some(warning(name, format!("no password for {host}"), "give its role one, unless another rule lets it in"))
        }
        Some(password) if !is_here && HABITUAL.contains(&password) => {
            Some(broken(name, format!("{shown} is one that everybody knows"), "give it another: openssl rand -hex 24"))
        }
        Some(_) if !is_here && url.scheme() == "redis" => {
            Some(warning(name, format!("{shown} crosses the network in the clear"), "use rediss://, or a tunnel"))
        }
        Some(_) | None => None,
    }
}

/// The files that hold secrets: of settings, and those that the servers' file names.
fn secret_files(config: &Config) -> Vec<PathBuf> {
    let mut files = config.secret_files();
    if let Some(servers) = &config.hosting.servers {
        let table = fs::read_to_string(servers).ok().and_then(|text| text.parse::<Table>().ok()).unwrap_or_default();
        named_files(&Value::Table(table), &mut files);
    }
    files.sort_unstable();
    files.dedup();
    files
}

fn named_files(value: &Value, files: &mut Vec<PathBuf>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let is_secret = key.ends_with("_file") && !PUBLIC_FILES.contains(&key.as_str());
                if let Some(path) = value.as_str().filter(|_| is_secret) {
                    files.push(path.into());
                } else {
                    named_files(value, files);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| named_files(value, files)),
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

fn of_files(files: &[PathBuf]) -> Check {
    const NAME: &str = "files with secrets";
    let mode = |path: &PathBuf| fs::metadata(path).map(|metadata| metadata.permissions().mode());
    let open: Vec<String> = files
        .iter()
        .filter(|path| mode(path).is_ok_and(|mode| mode & OTHERS_MAY_READ != 0))
        .map(|path| path.display().to_string())
        .collect();
    let gone: Vec<String> =
        files.iter().filter(|path| mode(path).is_err()).map(|path| path.display().to_string()).collect();
    if !open.is_empty() {
        let detail = format!("every user of this machine may read {}", open.join(", "));
        return broken(NAME, detail, format!("chmod o-rwx {}; then change what is in there", open.join(" ")));
    }
    if !gone.is_empty() {
        return warning(
            NAME,
            format!("not to be looked at: {}", gone.join(", ")),
            "look as the user that Berth runs as",
        );
    }
    match files.len() {
        0 => ok(NAME, "none: secrets come by the environment"),
        some => ok(NAME, format!("{some}, for their owner and group only")),
    }
}

/// What is for development, where money is real.
fn of_development(config: &Config) -> Check {
    const NAME: &str = "development";
    let on: Vec<&str> = [("dev.time_machine", config.dev.time_machine), ("dev.table_owner", config.dev.table_owner)]
        .into_iter()
        .filter(|(_, on)| *on)
        .map(|(key, _)| key)
        .collect();
    if on.is_empty() {
        return ok(NAME, "nothing of it is on");
    }
    warning(NAME, format!("{} is on", on.join(" and ")), "turn it off where customers come")
}

#[cfg(test)]
mod tests {
    use super::{super::check::only, *};

    const EXAMPLE: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const DRAWN: &str = "k1:p3vWc0QxO8nZb5m1m0n8Lq1yJ5Xc2l9r0sV7Yt6Kd4E=";

    fn config(settings: &[(&str, &str)]) -> Config {
        Config::from_settings(settings).unwrap()
    }

    #[track_caller]
    fn says(settings: &[(&str, &str)], name: &str, verdict: Verdict) {
        let checks = of_secrets(&config(settings));
        let check = only(&checks, name);
        assert_eq!(check.verdict, verdict, "{check:?}");
    }

    #[test]
    fn secrets_of_examples_and_typed_ones_fail_and_drawn_ones_pass() {
        says(&[("secrets.key", EXAMPLE)], "secrets.key", Verdict::Broken);
        says(&[("secrets.key", &format!("{DRAWN},k0:{}", &EXAMPLE[3..]))], "secrets.key", Verdict::Broken);
        says(&[("secrets.key", DRAWN)], "secrets.key", Verdict::Ok);
        says(&[("auth.jwt_secret", "an-example-of-thirty-two-characters")], "auth.jwt_secret", Verdict::Broken);
        says(&[("auth.jwt_secret", &"ab".repeat(20))], "auth.jwt_secret", Verdict::Broken);
        says(&[("auth.jwt_secret", "Zt8v1Wq0pYk3Rb6Xm9Ls2Hd5Fg7Jc4Na")], "auth.jwt_secret", Verdict::Ok);
        says(&[("stripe.webhook_secrets", "whsec_berth")], "stripe.webhook_secrets", Verdict::Broken);
    }

    #[test]
    fn passwords_that_everybody_knows_and_those_in_the_clear_are_told() {
        says(&[("database.url", "postgres://berth_app:password@db/berth")], "database.url", Verdict::Broken);
        says(&[("database.url", "postgres://berth_app@db/berth")], "database.url", Verdict::Warning);
        says(&[("redis.url", "redis://:f1e2d3c4b5a6978812345678@cache:6379")], "redis.url", Verdict::Warning);
        let here = [("database.url", "postgres://berth_app@localhost/berth"), ("redis.url", "redis://localhost")];
        assert!(of_secrets(&config(&here)).is_empty());
    }

    #[test]
    fn no_check_shows_a_secret() {
        let secret = "postgres://berth_app:password@db/berth";
        let checks = of_secrets(&config(&[("database.url", secret), ("secrets.key", EXAMPLE)]));

        let told = format!("{checks:?}");

        assert!(!told.contains(":password@") && !told.contains("AAECAw"), "{told}");
    }

    #[test]
    fn a_file_of_secrets_that_everybody_may_read_fails() {
        let folder = tempfile::tempdir().unwrap();
        let (token, servers) = (folder.path().join("token"), folder.path().join("servers.toml"));
        fs::write(&token, "a-token").unwrap();
        let text = format!(
            "[[server]]\nname = \"a\"\n[server.whm]\ntoken_file = {token:?}\nauthority_file = \"/nowhere/ca.pem\"\n"
        );
        fs::write(&servers, text).unwrap();
        let config = config(&[("hosting.servers", servers.to_str().unwrap())]);
        let mode = |mode| fs::set_permissions(&token, fs::Permissions::from_mode(mode)).unwrap();

        mode(0o644);
        let open = of_files(&secret_files(&config));
        mode(0o640);
        let closed = of_files(&secret_files(&config));

        assert_eq!(open.verdict, Verdict::Broken, "{open:?}");
        assert!(open.fix.unwrap().contains("chmod o-rwx"));
        assert_eq!(closed.verdict, Verdict::Ok, "{closed:?}");
    }

    #[test]
    fn what_is_missing_is_named_and_fails_where_this_machine_can_neither_serve_nor_work() {
        let checks = of_completeness(&config(&[]));

        assert_eq!(only(&checks, "settings to serve").verdict, Verdict::Broken);
        assert!(only(&checks, "settings to work").detail.contains("mail.smtp_url"));
    }

    #[test]
    fn what_is_for_development_is_warned_of() {
        assert_eq!(of_development(&config(&[])).verdict, Verdict::Ok);
        assert_eq!(of_development(&config(&[("dev.time_machine", "true")])).verdict, Verdict::Warning);
    }
}
