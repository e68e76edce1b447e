//! What is allowed, and every exception with its reason. A rule is changed here or nowhere.

/// Which parts of the program a part may name. A part that is not here must be given a row.
pub(crate) const MAY_USE: &[(&str, &[&str])] = &[
    ("lib", &[]),
    ("clock", &[]),
    // What is counted, and the text of it.
    ("metrics", &["clock"]),
    ("trace", &["clock", "metrics"]),
    ("observed", &["config", "error", "metrics", "queue", "store"]),
    // What the domain has names for is set by these names.
    ("config", &["domain"]),
    ("domain", &[]),
    ("failpoint", &[]),
    ("supervise", &[]),
    ("mail", &["domain"]),
    // What an invoice shows, and its PDF: values in, bytes out.
    ("papers", &["domain"]),
    ("secrets", &["domain"]),
    ("servers", &["domain", "effects", "gateways", "store"]),
    // What a server has and the database does not know: found by a job, and by the command line.
    ("orphans", &["gateways", "store"]),
    ("comparison", &["domain", "gateways", "orphans", "store"]),
    ("service_manager", &[]),
    ("telemetry", &["config", "trace"]),
    ("watchdog", &["failpoint", "service_manager", "supervise"]),
    ("effects", &["domain", "mail"]),
    ("gateways", &["domain", "failpoint", "metrics", "trace"]),
    ("store", &["config", "domain", "effects", "failpoint", "mail", "metrics", "trace"]),
    ("queue", &["clock", "config", "effects", "error", "failpoint", "metrics", "store", "supervise", "trace"]),
    // The table that classifies every failure.
    ("error", &["domain", "gateways", "mail", "queue", "secrets", "servers", "store", "sweeps"]),
    // What builds every part.
    (
        "app",
        &[
            "clock",
            "config",
            "domain",
            "effects",
            "error",
            "gateways",
            "mail",
            "metrics",
            "observed",
            "queue",
            "secrets",
            "servers",
            "store",
            "supervise",
            "trace",
        ],
    ),
    // What other applications ask for, by a route or by Redis.
    ("ways_in", &["effects", "store"]),
    ("inbox", &["app", "effects", "error", "failpoint", "queue", "secrets", "store", "ways_in"]),
    // What routes and handlers both bring about.
    ("fulfilment", &["app", "domain", "effects", "mail", "store"]),
    // What it takes to renew an account: a sweep's, or a route's.
    ("issuing", &["domain", "effects", "mail", "secrets", "store"]),
    // What jobs do and dry runs show.
    // What an event means, however it came.
    ("incoming", &["effects", "gateways"]),
    // What goes with an account's end, by routes, handlers and sweeps alike.
    ("ending", &["app", "domain", "effects", "mail", "store"]),
    ("plan_change", &["app", "domain", "ending", "mail", "store"]),
    ("timetables", &["app", "domain"]),
    (
        "sweeps",
        &["app", "config", "domain", "effects", "ending", "error", "gateways", "incoming", "issuing", "mail", "store"],
    ),
    (
        "handlers",
        &[
            "app",
            "domain",
            "effects",
            "ending",
            "error",
            "failpoint",
            "fulfilment",
            "gateways",
            "mail",
            "orphans",
            "plan_change",
            "secrets",
            "store",
            "sweeps",
            "timetables",
        ],
    ),
    (
        "http",
        &[
            "app",
            "clock",
            "config",
            "domain",
            "effects",
            "ending",
            "error",
            "failpoint",
            "fulfilment",
            "gateways",
            "issuing",
            "metrics",
            "papers",
            "incoming",
            "queue",
            "secrets",
            "store",
            "supervise",
            "sweeps",
            "telemetry",
            "timetables",
            "trace",
            "ways_in",
        ],
    ),
    (
        "worker",
        &[
            "app",
            "config",
            "effects",
            "error",
            "failpoint",
            "handlers",
            "metrics",
            "inbox",
            "queue",
            "servers",
            "store",
            "supervise",
            "trace",
            "watchdog",
        ],
    ),
    ("schedule", &["app", "effects", "error", "queue", "store", "supervise", "sweeps"]),
    (
        "dev",
        &[
            "app",
            "clock",
            "config",
            "domain",
            "gateways",
            "http",
            "mail",
            "queue",
            "secrets",
            "store",
            "supervise",
            "telemetry",
        ],
    ),
    (
        "cli",
        &[
            "app",
            "clock",
            "comparison",
            "config",
            "dev",
            "domain",
            "effects",
            "error",
            "failpoint",
            "gateways",
            "http",
            "incoming",
            "mail",
            "orphans",
            "queue",
            "schedule",
            "secrets",
            "service_manager",
            "store",
            "supervise",
            "sweeps",
            "telemetry",
            "watchdog",
            "worker",
            "ways_in",
        ],
    ),
    ("main", &["cli"]),
];

/// The crates that the domain may use: none that waits, asks for the time or talks to somebody.
pub(crate) const CRATES_OF_THE_DOMAIN: &[&str] =
    &["std", "core", "alloc", "jiff", "rust_decimal", "thiserror", "serde", "berth_jobs"];
/// What single files of the domain may use beside, and why.
pub(crate) const CRATES_OF_ONE_FILE: &[(&str, &str, &str)] = &[
    ("src/domain/catalogue/file.rs", "toml", "reads the catalogue's text: text in, values out"),
    (
        "src/domain/configuration.rs",
        "serde_json",
        "a configuration is a map of JSON's numbers and texts, as carts keep it",
    ),
    (
        "src/domain/account/moves.rs",
        "serde_json",
        "what was chosen with a package is kept as JSON's maps and lists, as orders keep it",
    ),
    ("src/domain/pricing/line_key.rs", "sha2", "a line is known by a hash over what makes it another line"),
    ("src/domain/username.rs", "hmac", "a name is drawn from a keyed hash of the account's id"),
    ("src/domain/username.rs", "sha2", "a name is drawn from a keyed hash of the account's id"),
];

/// What its client may use besides, which is a feature.
pub(crate) const CRATES_OF_THE_CLIENT: &[&str] = &["reqwest", "sqlx"];

/// The crates that `berth-jobs` asks of the applications that use it.
pub(crate) const CRATES_OF_THE_JOBS: &[&str] = &["std", "core", "alloc", "schemars", "serde", "serde_json", "uuid"];

/// Where a library is spoken to; elsewhere a type of our own stands for it.
pub(crate) const PLACES: &[(&str, &[&str])] = &[
    ("sqlx", &["src/store/", "src/queue/committer.rs", "src/queue/committer/settling.rs", "src/dev/", "src/cli/"]),
    ("jiff_sqlx", &["src/store/"]),
    (
        "redis",
        &[
            "src/queue/redis.rs",
            "src/queue/relay.rs",
            "src/queue/backend.rs",
            "src/queue/inbox.rs",
            "src/app.rs",
            "src/dev/",
            "src/cli/",
        ],
    ),
    ("apalis", &["src/worker.rs"]),
    ("apalis_core", &["src/queue/backend.rs"]),
    ("axum", &["src/http/", "src/dev/", "src/cli/"]),
    (
        "reqwest",
        &[
            "panels/src/",
            "src/gateways/",
            "src/http/mod.rs",
            "src/http/auth.rs",
            "src/http/auth/",
            "src/dev/",
            "src/cli/",
        ],
    ),
    ("stripe_checkout", &["src/gateways/stripe/"]),
    ("stripe_client_core", &["src/gateways/stripe/"]),
    ("stripe_core", &["src/gateways/stripe/"]),
    ("stripe_shared", &["src/gateways/stripe/"]),
    ("stripe_types", &["src/gateways/stripe/"]),
    ("lettre", &["src/gateways/smtp", "src/config/"]),
    ("minijinja", &["src/mail/", "src/dev/", "src/http/pages.rs", "src/http/console/"]),
    ("mrml", &["src/mail/"]),
    ("krilla", &["src/papers/draw"]),
    ("harfrust", &["src/papers/typeface.rs"]),
    ("chacha20poly1305", &["src/secrets"]),
    ("croner", &["src/schedule.rs"]),
    ("metrics", &["src/metrics.rs", "src/metrics/"]),
    ("metrics_exporter_prometheus", &["src/metrics.rs"]),
    ("opentelemetry_proto", &["src/gateways/otlp.rs"]),
    ("prost", &["src/gateways/otlp.rs"]),
    ("tar", &["panels/src/site/archive", "host/src/backups"]),
    ("flate2", &["panels/src/site/archive", "host/src/backups"]),
    ("clap", &["src/cli/", "src/main.rs", "src/dev/stripe_sim/command.rs"]),
    ("clap_complete", &["src/cli/manual.rs"]),
    ("clap_mangen", &["src/cli/manual.rs"]),
    ("sd_notify", &["src/service_manager.rs"]),
    ("x509_parser", &["src/gateways/certificate.rs"]),
];

/// Who may start a task or thread that nobody waits for, and why.
pub(crate) const SPAWNERS: &[(&str, &str)] = &[
    ("src/supervise.rs", "the one place that spawns"),
    ("src/watchdog.rs", "looks at the runtime from outside, on a thread of its own"),
    ("src/cli/stripe_sim.rs", "a read of standard input cannot be interrupted: the process ends without it"),
    ("src/dev/mailbox.rs", "a tool of development: its end is its token"),
];

/// Words by which a handler would do itself what the committer and the worker do for it.
pub(crate) const NOT_A_HANDLERS: &[&str] = &["committer", "lease", "pool", "redis", "transaction", "sqlx"];

pub(crate) const MOST_LINES_OF_A_FILE: usize = 400;
pub(crate) const MOST_LINES_OF_A_FUNCTION: usize = 70;
/// Files that are longer, how long they may be, and why they hold one idea all the same.
pub(crate) const LONGER_FILES: &[(&str, usize, &str)] = &[
    ("src/effects.rs", 560, "the closed list of what can become true, and how each is built"),
    ("src/store/effects.rs", 550, "one statement a kind of effect: the closed list is read as one"),
    ("src/mail/sample.rs", 440, "a sample of every mail, which is read as one list"),
    ("src/store/jobs.rs", 590, "the ledger's statements, which share its states and keys"),
    ("src/queue/committer.rs", 600, "one group's way from gathering to outcome"),
];
