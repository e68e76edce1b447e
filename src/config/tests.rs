use std::{collections::BTreeSet, path::Path, time::Duration};

use secrecy::ExposeSecret;

use super::*;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(file: Option<&Path>, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load_from("", &[], LoadOptions { file: file.map(Into::into), env: env(pairs) }, &[])
}

fn from_env(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    load(None, pairs)
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// The one fault that these variables cause.
fn fault(pairs: &[(&str, &str)]) -> String {
    let error = from_env(pairs).unwrap_err();
    assert_eq!(error.faults().len(), 1, "{error}");
    error.faults()[0].clone()
}

/// The one fault in this file, which is called FILE.
fn fault_in_file(text: &str) -> String {
    let file = file(text);
    let error = load(Some(file.path()), &[]).unwrap_err();
    assert_eq!(error.faults().len(), 1, "{error}");
    error.faults()[0].replace(&file.path().display().to_string(), "FILE")
}

#[test]
fn the_embedded_file_alone_is_a_configuration() {
    let config = from_env(&[]).unwrap();

    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.work.concurrency.payments, 64);
    assert_eq!(config.work.relay_interval(), Duration::from_millis(250));
    assert_eq!(config.hosting.nameservers, ["ns1.ks-foundation.com", "ns2.ks-foundation.com"]);
    assert_eq!(config.log.format, LogFormat::Auto);
    assert!(!config.renewals.credit_on_cancel);
    assert!(config.database.url.is_none() && config.stripe.webhook_secrets.is_empty());
}

#[test]
fn each_layer_is_stronger_than_the_one_before() {
    let file = file("[database]\nurl = \"postgres://file/db\"\n[shop]\nname = \"File\"\ncurrency = \"EUR\"\n");
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "postgres://secret/db\n").unwrap();
    let url = |pairs: &[(&str, &str)]| {
        let config = load(Some(file.path()), pairs).unwrap();
        config.database.url.unwrap().expose().host_str().unwrap().to_owned()
    };
    let customary = ("DATABASE_URL", "postgres://customary/db");
    let variable = ("BERTH_DATABASE__URL", "postgres://variable/db");
    let named = ("BERTH_DATABASE__URL_FILE", secret.path().to_str().unwrap());

    assert_eq!(url(&[]), "file");
    assert_eq!(url(&[customary]), "customary");
    assert_eq!(url(&[customary, variable]), "variable");
    assert_eq!(url(&[customary, variable, named]), "secret");
    assert_eq!(load(Some(file.path()), &[("BERTH_SHOP__NAME", "Variable")]).unwrap().shop.currency, "EUR");
}

#[test]
fn a_commands_own_defaults_yield_to_the_environment() {
    let own = [("redis.namespace", "dev"), ("shop.name", "Dev")];
    let options = LoadOptions { file: None, env: env(&[("BERTH_SHOP__NAME", "Mine")]) };

    let config = Config::load_from("berth dev", &own, options, &[]).unwrap();

    assert_eq!((config.redis.namespace.as_str(), config.shop.name.as_str()), ("dev", "Mine"));
    assert!(config.redacted().contains("namespace = \"dev\" # from berth dev\n"));
}

#[test]
fn the_file_is_the_named_one_or_the_first_that_is_there() {
    let (named, found) = (file("[shop]\nname = \"Named\""), file("[shop]\nname = \"Found\""));
    let searched = [PathBuf::from("/nowhere/berth.toml"), found.path().into()];
    let name = |file: Option<PathBuf>, pairs: &[(&str, &str)]| {
        Config::load_from("", &[], LoadOptions { file, env: env(pairs) }, &searched).unwrap().shop.name
    };

    assert_eq!(name(None, &[]), "Found");
    assert_eq!(name(None, &[("BERTH_CONFIG", named.path().to_str().unwrap())]), "Named");
    assert_eq!(name(Some(named.path().into()), &[("BERTH_CONFIG", "/nowhere")]), "Named");
}

#[test]
fn a_named_file_that_is_not_there_stops_the_start() {
    assert_eq!(
        fault(&[("BERTH_CONFIG", "/nowhere/berth.toml")]),
        "/nowhere/berth.toml cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn lists_are_comma_separated_in_the_environment() {
    let config = from_env(&[
        ("BERTH_STRIPE__WEBHOOK_SECRETS", "whsec_old, whsec_new,"),
        ("BERTH_HOSTING__NAMESERVERS", "ns1.example.com"),
    ])
    .unwrap();

    let secrets: Vec<_> = config.stripe.webhook_secrets.iter().map(|secret| secret.expose_secret()).collect();
    assert_eq!(secrets, ["whsec_old", "whsec_new"]);
    assert_eq!(config.hosting.nameservers, ["ns1.example.com"]);
}

#[test]
fn a_text_of_digits_in_the_environment_stays_a_text() {
    assert_eq!(from_env(&[("BERTH_SHOP__NAME", "1984")]).unwrap().shop.name, "1984");
    assert_eq!(from_env(&[("BERTH_SHOP__NAME", "true")]).unwrap().shop.name, "true");
}

#[test]
fn an_empty_variable_is_one_that_is_not_there() {
    let config = from_env(&[("BERTH_SHOP__NAME", ""), ("DATABASE_URL", ""), ("BERTH_SECRETS__KEY_FILE", "")]).unwrap();

    assert_eq!(config.shop.name, "Berth Hosting");
    assert!(config.database.url.is_none());
}

#[test]
fn variables_that_are_no_settings_are_let_be() {
    let others =
        ["BERTH_FAILPOINTS", "BERTH_BREAK", "BERTH_TEST_CACHE", "BERTH_TEST_POSTGRES", "HOME", "BERTHA", "STRIPE_KEY"];

    assert!(from_env(&others.map(|name| (name, "anything"))).is_ok());
}

#[test]
fn an_unknown_key_is_named_with_its_source_and_what_was_meant() {
    for (text, said) in [
        ("[http]\nlisen = \"x\"", "http.lisen in FILE: no such key; did you mean http.listen?"),
        (
            "[redis]\npassword_hash = 1",
            "redis.password_hash in FILE: no such key; there are redis.url, redis.namespace",
        ),
        ("http = 8080", "http in FILE: write it as a section, [http]"),
    ] {
        assert_eq!(fault_in_file(text), said);
    }
    for (variable, said) in [
        ("BERTH_SHOP_NAME", "BERTH_SHOP_NAME in the environment: no such key; did you mean BERTH_SHOP__NAME?"),
        ("BERTH_HTTP__LISTEM", "BERTH_HTTP__LISTEM in the environment: no such key; did you mean BERTH_HTTP__LISTEN?"),
        (
            "BERTH_SECRETS__KEYS_FILE",
            "BERTH_SECRETS__KEYS_FILE in the environment: no such key; did you mean BERTH_SECRETS__KEY?",
        ),
        (
            "BERTH_COLOUR",
            "BERTH_COLOUR in the environment: no such key; the sections are database, redis, inbox, http, stripe, shop, seller, tax, fraud, disputes, mail, \
             auth, console.oidc, secrets, hosting, renewals, catalogue, retention, work, work.concurrency, timetable, fuse, metrics, telemetry, dev, log",
        ),
    ] {
        assert_eq!(fault(&[(variable, "x")]), said);
    }
}

#[test]
fn a_wrong_value_is_named_with_its_source_and_what_is_allowed() {
    for (variable, value, said) in [
        ("BERTH_HTTP__LISTEN", "8080", "\"8080\" is not an address with a port, such as 127.0.0.1:8080"),
        ("BERTH_STRIPE__LIVEMODE", "yes", "\"yes\" is not true or false"),
        ("BERTH_DATABASE__MAX_CONNECTIONS", "lots", "\"lots\" is not a whole number from 2 to 1000"),
        ("BERTH_WORK__CONCURRENCY__MAIL", "0", "0 is not a whole number from 1 to 10000"),
        ("BERTH_WORK__GROUP_SIZE", "-1", "-1 is not a whole number from 1 to 1000"),
        ("BERTH_SHOP__CURRENCY", "usd", "\"usd\" is not a currency of three capital letters, such as USD"),
        ("BERTH_LOG__FORMAT", "xml", "\"xml\" is not one of auto, json, text"),
        (
            "BERTH_MAIL__FROM",
            "nobody",
            "\"nobody\" is not a mail address, such as support@example.com or Support <support@example.com>",
        ),
        (
            "BERTH_HOSTING__USERNAME_PREFIX",
            "1bh",
            "\"1bh\" is not a lower-case letter and up to three more letters or digits",
        ),
        ("BERTH_HOSTING__NAMESERVERS", " , ", "[] is not a list of texts (in the environment: comma-separated)"),
        ("BERTH_SELLER__COUNTRY", "de", "\"de\" is not a country of two capital letters, such as DE"),
        (
            "BERTH_SHOP__TIME_ZONE",
            "Europe/Atlantis",
            "\"Europe/Atlantis\" is not a time zone of the IANA database, such as Europe/Berlin",
        ),
        (
            "BERTH_HOSTING__BASE_DOMAIN",
            "Sites.example.com",
            "\"Sites.example.com\" is not a domain of lower-case letters, digits, hyphens and points",
        ),
        (
            "BERTH_TAX__RATES",
            "DE:*:19, DE=7",
            "[\"DE:*:19\", \"DE=7\"] is not a list of rates such as DE:hosting:19, which is country:category:percent; * is every category",
        ),
        (
            "BERTH_LOG__LEVEL",
            "berth=loud",
            "\"berth=loud\" is not a log level: error, warn, info, debug, trace, or such as info,berth::queue=debug",
        ),
        (
            "BERTH_SHOP__URL",
            "shop.example.com",
            "the value (not shown, it may hold a secret) is not a URL that begins with http:// or https://",
        ),
    ] {
        let said = format!("{} from {variable}: {said}", variable[6..].replace("__", ".").to_lowercase());
        assert_eq!(fault(&[(variable, value)]), said);
    }
    assert_eq!(
        fault_in_file("[stripe]\nlivemode = \"true\""),
        "stripe.livemode in FILE: \"true\" is not true or false"
    );
    assert_eq!(fault_in_file("[shop]\nname = \"\""), "shop.name in FILE: \"\" is not a text of at least one character");
}

#[test]
fn no_fault_repeats_a_secret() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "hunter2").unwrap();
    let broken = file("[stripe]\nsecret_key = \"hunter2\"\nwebhook_secrets = [\"hunter2\" \"hunter2\"]\n");
    let error = load(
        Some(broken.path()),
        &[
            ("DATABASE_URL", "mysql://root:hunter2@db"),
            ("BERTH_AUTH__JWT_SECRET", "hunter2"),
            ("BERTH_SECRETS__KEY_FILE", secret.path().to_str().unwrap()),
        ],
    )
    .unwrap_err();

    assert_eq!(error.faults().len(), 4, "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert!(error.to_string().contains(", line 3: not TOML"), "{error}");
}

#[test]
fn all_faults_are_told_at_once() {
    let error =
        from_env(&[("BERTH_LOG__FORMAT", "xml"), ("BERTH_NOPE", "1"), ("BERTH_SHOP__CURRENCY", "$")]).unwrap_err();

    assert_eq!(error.faults().len(), 3);
    assert_eq!(error.to_string().lines().count(), 4);
    assert!(error.to_string().starts_with("the configuration cannot be used\n  log.format from BERTH_LOG__FORMAT: "));
}

#[test]
fn settings_that_contradict_each_other_stop_the_start() {
    let live = ("BERTH_STRIPE__LIVEMODE", "true");

    assert_eq!(
        fault(&[("BERTH_STRIPE__SECRET_KEY", "sk_live_1")]),
        "stripe.secret_key is a live key: set stripe.livemode = true, or use the other key"
    );
    assert_eq!(
        fault(&[("BERTH_STRIPE__SECRET_KEY", "rk_test_1"), live]),
        "stripe.secret_key is a test key: set stripe.livemode = false, or use the other key"
    );
    assert!(from_env(&[("BERTH_STRIPE__SECRET_KEY", "rk_live_1"), live]).is_ok());
    assert!(fault(&[("BERTH_DEV__TIME_MACHINE", "true"), live]).starts_with("dev.time_machine"));
    assert!(fault(&[("BERTH_WORK__LEASE_SECONDS", "5")]).starts_with("work.lease_renew_seconds"));
}

#[test]
fn a_provider_to_sign_in_at_is_set_up_whole_or_not_at_all() {
    let whole = [
        ("BERTH_CONSOLE__OIDC__ISSUER", "https://id.example.com"),
        ("BERTH_CONSOLE__OIDC__CLIENT_ID", "berth"),
        ("BERTH_CONSOLE__OIDC__CLAIM", "groups"),
        ("BERTH_CONSOLE__OIDC__VALUES", "staff, admins"),
    ];

    let config = from_env(&whole).unwrap();

    assert_eq!(config.console.oidc.values, ["staff", "admins"]);
    assert_eq!(config.console.oidc.algorithms, ["RS256"]);
    assert!(from_env(&[]).unwrap().console.oidc.issuer.is_none());
    for (left_out, variable) in ["issuer", "client_id", "claim", "values"].iter().zip(0..) {
        let some: Vec<_> = whole.iter().enumerate().filter(|(at, _)| *at != variable).map(|(_, set)| *set).collect();
        assert!(fault(&some).contains(&format!("console.oidc.{left_out}")), "{left_out}: {}", fault(&some));
    }
    for (variable, value, says) in [
        ("BERTH_CONSOLE__OIDC__ISSUER", "http://id.example.com", "https://"),
        ("BERTH_CONSOLE__OIDC__SCOPES", "email", "openid"),
        ("BERTH_CONSOLE__OIDC__ALGORITHMS", "RS256,HS256", "HS256"),
        ("BERTH_CONSOLE__OIDC__ALGORITHMS", "none", "none"),
    ] {
        let mut set = whole.to_vec();
        set.retain(|(name, _)| *name != variable);
        set.push((variable, value));
        assert!(fault(&set).contains(says), "{variable}={value}: {}", fault(&set));
    }
    let here: Vec<_> =
        whole.into_iter().skip(1).chain([("BERTH_CONSOLE__OIDC__ISSUER", "http://127.0.0.1:9000")]).collect();
    assert!(from_env(&here).is_ok(), "for development");
}

#[test]
fn whoever_charges_tax_says_where_from() {
    let rates = ("BERTH_TAX__RATES", "DE:*:19, AT:hosting:20.5");

    assert_eq!(
        fault(&[rates]),
        "tax.rates are charged by somebody: set tax.seller_country (or seller.country), two letters such as DE"
    );
    for country in ["BERTH_TAX__SELLER_COUNTRY", "BERTH_SELLER__COUNTRY"] {
        let config = from_env(&[rates, (country, "DE")]).unwrap();

        assert_eq!(config.tax.rates, ["DE:*:19", "AT:hosting:20.5"]);
    }
}

#[test]
fn proxies_are_named_by_their_addresses() {
    let config = from_env(&[("BERTH_HTTP__TRUSTED_PROXIES", "127.0.0.1, 2001:db8::7")]).unwrap();

    assert_eq!(config.http.trusted_proxies.len(), 2);
    assert!(from_env(&[]).unwrap().http.trusted_proxies.is_empty());
    assert!(fault(&[("BERTH_HTTP__TRUSTED_PROXIES", "proxy.example")]).contains("a list of IP addresses"));
    assert!(from_env(&[("BERTH_HTTP__COUPON_CHECKS_PER_CUSTOMER", "0")]).is_err());
}

#[test]
fn backups_are_kept_beside_the_sites_unless_said_otherwise() {
    let beside = from_env(&[("BERTH_HOSTING__SITES_DIR", "/var/lib/berth/sites")]).unwrap();
    let elsewhere = from_env(&[("BERTH_HOSTING__BACKUPS_DIR", "/mnt/backups")]).unwrap();

    assert_eq!(from_env(&[]).unwrap().hosting.backups_dir(), Path::new("backups"));
    assert_eq!(beside.hosting.backups_dir(), Path::new("/var/lib/berth/backups"));
    assert_eq!(elsewhere.hosting.backups_dir(), Path::new("/mnt/backups"));
}

#[test]
fn nobody_is_told_of_the_day_unless_named_and_events_are_kept_as_long_as_stripe_lists_them() {
    let config = from_env(&[]).unwrap();
    let named = from_env(&[("BERTH_SHOP__OPERATOR_EMAIL", "operator@example.com")]).unwrap();

    assert_eq!(config.shop.operator_email, None);
    assert_eq!(named.shop.operator_email.as_deref(), Some("operator@example.com"));
    assert_eq!((config.retention.mail_days, config.retention.event_body_days), (90, 90));
    assert!(!config.hosting.repair_packages);
    assert!(from_env(&[("BERTH_RETENTION__EVENT_BODY_DAYS", "30")]).is_err());
    assert!(from_env(&[("BERTH_RETENTION__EVENT_BODY_DAYS", "31")]).is_ok());
}

#[test]
fn without_a_word_there_is_no_tax_the_day_is_utcs_and_sites_are_local() {
    let config = from_env(&[]).unwrap();

    assert!(config.tax.rates.is_empty() && !config.tax.inclusive && config.tax.seller_country.is_none());
    assert_eq!((config.shop.time_zone.as_str(), config.hosting.base_domain.as_str()), ("UTC", "localhost"));
    assert!(config.seller.name.is_none() && config.seller.address.is_empty());
}

#[test]
fn a_rate_is_a_country_a_category_and_a_percentage() {
    let takes = |text: &str| from_env(&[("BERTH_SELLER__COUNTRY", "DE"), ("BERTH_TAX__RATES", text)]).is_ok();

    for rate in ["DE:*:19", "DE:hosting:0", "CH:hosting:8.1", "DE : books : 7"] {
        assert!(takes(rate), "{rate}");
    }
    for rate in
        ["DE:19", "DE:*:", "DE:*:-19", "DE:*:19%", "DE:*:1e1", "de:*:19", "DEU:*:19", "DE::19", "DE:*:19:1", "DE:*:.5"]
    {
        assert!(!takes(rate), "{rate}");
    }
}

#[test]
fn time_zones_are_known_whatever_the_host_has() {
    for zone in ["UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Kiritimati"] {
        assert_eq!(from_env(&[("BERTH_SHOP__TIME_ZONE", zone)]).unwrap().shop.time_zone, zone);
    }
}

#[test]
fn a_role_is_told_all_it_lacks_and_how_to_set_it() {
    let config =
        from_env(&[("DATABASE_URL", "postgres://db/berth"), ("BERTH_AUTH__JWKS_URL", "https://id.example.com")])
            .unwrap();

    insta::assert_snapshot!(config.require_for(Role::Serve).unwrap_err(), @"
    `berth serve` needs settings that are missing
      redis.url: set REDIS_URL or BERTH_REDIS__URL, or the key in berth.toml
      stripe.secret_key: set BERTH_STRIPE__SECRET_KEY, or the key in berth.toml
      stripe.webhook_secrets: set BERTH_STRIPE__WEBHOOK_SECRETS, or the key in berth.toml
      shop.url: set BERTH_SHOP__URL, or the key in berth.toml
      secrets.key: set BERTH_SECRETS__KEY, or the key in berth.toml
    ");
    assert_eq!(config.require_for(Role::Migrate), Ok(()));
    assert_eq!(config.require_for(Role::Operate), Ok(()));
}

#[test]
fn the_pages_to_return_to_follow_the_shop() {
    let config = from_env(&[("BERTH_SHOP__URL", "https://shop.example.com/en/")]).unwrap();
    let told = from_env(&[("BERTH_STRIPE__CANCEL_URL", "https://example.com/back?x={CHECKOUT_SESSION_ID}")]).unwrap();

    assert_eq!(
        config.success_url().unwrap(),
        "https://shop.example.com/en/checkout/success?session_id={CHECKOUT_SESSION_ID}"
    );
    assert_eq!(config.cancel_url().unwrap(), "https://shop.example.com/en/cart");
    assert_eq!(told.cancel_url().unwrap(), "https://example.com/back?x={CHECKOUT_SESSION_ID}");
    assert_eq!(told.success_url(), None);
}

#[test]
fn what_is_in_force_is_shown_with_its_origin_and_without_secrets() {
    let config = from_env(&[
        ("BERTH_REDIS__URL", "redis://:hunter2@cache:6379"),
        ("BERTH_STRIPE__SECRET_KEY", "sk_test_hunter2"),
        ("BERTH_STRIPE__WEBHOOK_SECRETS", "whsec_hunter2,whsec_hunter2"),
        ("BERTH_AUTH__JWT_SECRET", "hunter2hunter2hunter2hunter2hunter2"),
    ])
    .unwrap();

    let shown = config.redacted();

    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(!format!("{config:?} {:?} {:?}", config.redis, config.stripe).contains("hunter2"));
    let (first_sections, _) = shown.split_once("\n[shop]").unwrap();
    insta::assert_snapshot!(first_sections, @r#"
    [database]
    # url is not set
    # migrate_url is not set
    prepared = true # from default
    max_connections = 10 # from default

    [redis]
    url = "redis://:[redacted]@cache:6379" # from BERTH_REDIS__URL
    namespace = "berth" # from default

    [inbox]
    enabled = false # from default

    [http]
    listen = "127.0.0.1:8080" # from default
    public_url = "http://localhost:8080" # from default
    max_connections = 4096 # from default
    # trusted_proxies is not set
    coupon_checks_per_customer = 10 # from default
    coupon_checks_per_address = 30 # from default
    requests_per_key = 600 # from default

    [stripe]
    secret_key = "[redacted]" # from BERTH_STRIPE__SECRET_KEY
    webhook_secrets = ["[redacted]", "[redacted]"] # from BERTH_STRIPE__WEBHOOK_SECRETS
    api_base = "https://api.stripe.com" # from default
    livemode = false # from default
    # success_url is not set
    # cancel_url is not set
    "#);
    assert!(shown.parse::<toml::Table>().is_ok());
}

/// The keys that the structs take, asked of serde itself: it lists a struct's fields when it meets one it does not know.
fn keys_of_the_structs(section: &str, found: &mut BTreeSet<String>) {
    let path = if section.is_empty() { "?".to_owned() } else { format!("{section}.?") };
    let mut reader = Reader::default();
    reader.toml("default", DEFAULTS);
    let figment = reader.layers.into_iter().fold(Figment::new(), |figment, layer| figment.merge(layer));
    let error = figment.merge((path.as_str(), true)).extract::<Config>().err().unwrap();
    let figment::error::Kind::UnknownField(_, fields) = error.kind else { panic!("{error}") };
    for field in fields {
        let path = if section.is_empty() { (*field).to_owned() } else { format!("{section}.{field}") };
        if keys::is_section(&path) {
            keys_of_the_structs(&path, found);
        } else {
            found.insert(path);
        }
    }
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let table: BTreeSet<String> = keys::KEYS.iter().map(|key| key.path.to_owned()).collect();
    let documented: BTreeSet<String> = documented_keys().into_iter().map(|key| key.path).collect();
    let mut fields = BTreeSet::new();
    keys_of_the_structs("", &mut fields);

    assert_eq!(table.len(), keys::KEYS.len(), "a key twice");
    assert_eq!(documented, table);
    assert_eq!(fields, table);
}

#[test]
fn every_key_has_a_comment_and_every_example_is_allowed() {
    for documented in documented_keys() {
        assert!(documented.comment.len() > 15, "{documented:?}");
        let value: Value = format!("it = {}", documented.value).parse::<toml::Table>().unwrap()["it"].clone();
        assert_eq!(keys::find(&documented.path).unwrap().check(&value), Ok(()), "{documented:?}");
    }
}

#[test]
fn the_whole_document_with_its_examples_is_a_configuration() {
    let all: String = DEFAULTS
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let file = file(&all);

    let config = load(Some(file.path()), &[]).unwrap();

    for role in [Role::Up, Role::Serve, Role::Work, Role::Schedule, Role::Migrate, Role::Operate, Role::Token] {
        assert_eq!(config.require_for(role), Ok(()));
    }
    assert!(!config.redacted().contains("is not set"));
}

/// A file of settings, and beside it `secrets` with these files.
fn beside_secrets(files: &[(&str, &str)]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("berth.toml");
    std::fs::write(&file, "[stripe]\nsecret_key = \"sk_test_of_the_file\"\n").unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join("secrets").join(name), text).unwrap();
    }
    (folder, file)
}

#[test]
fn files_of_secrets_are_stronger_than_the_file_and_weaker_than_variables() {
    let (folder, file) = beside_secrets(&[
        ("stripe.secret_key", "sk_test_of_its_own_file\n"),
        ("auth.jwt_secret", ""),
        ("README", "whatever"),
        ("notes.txt", "whatever"),
    ]);
    let key = |config: &Config| config.stripe.secret_key.as_ref().unwrap().expose_secret().to_owned();

    let config = load(Some(&file), &[]).unwrap();
    let told = load(Some(&file), &[("BERTH_STRIPE__SECRET_KEY", "sk_test_of_a_variable")]).unwrap();

    assert_eq!(key(&config), "sk_test_of_its_own_file");
    assert!(config.auth.jwt_secret.is_none(), "an empty file is no value");
    assert_eq!(config.secret_files(), [folder.path().join("secrets/stripe.secret_key")]);
    assert_eq!(key(&told), "sk_test_of_a_variable");
}

#[test]
fn the_files_that_systemd_hands_over_count_in_place_of_those_beside() {
    let (_folder, file) = beside_secrets(&[("stripe.secret_key", "sk_test_of_its_own_file")]);
    let handed_over = tempfile::tempdir().unwrap();
    std::fs::write(handed_over.path().join("berth_stripe.secret_key"), "sk_test_handed_over").unwrap();

    let variable = ("CREDENTIALS_DIRECTORY", handed_over.path().to_str().unwrap());
    let config = load(Some(&file), &[variable]).unwrap();

    assert_eq!(config.stripe.secret_key.unwrap().expose_secret(), "sk_test_handed_over");
}

#[test]
fn a_file_of_secrets_that_is_misspelt_or_wrong_is_told_without_what_it_holds() {
    let (_folder, file) =
        beside_secrets(&[("stripe.secretkey", "sk_test_hunter2"), ("database.url", "hunter2://db/berth")]);

    let error = load(Some(&file), &[]).unwrap_err().to_string();

    assert!(error.contains("stripe.secretkey: no such key; did you mean stripe.secret_key?"), "{error}");
    assert!(error.contains("database.url from") && !error.contains("hunter2"), "{error}");
}
