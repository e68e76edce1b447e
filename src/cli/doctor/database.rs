//! PostgreSQL: migrated, set up so that what was committed stays, and asked by a role that changes no table.

use jiff::Timestamp;

use super::{
    super::checks::{self, pending_text},
    check::{Check, broken, ok, warning},
};
use crate::{
    config::Config,
    error::chain,
    store::{
        Store,
        diagnosis::{DeadRows, RoleFacts, ServerFacts},
        inspection,
    },
};

/// The oldest version that Berth is tested with.
const OLDEST_VERSION: i32 = 150_000;
/// Beyond its pool, a process holds one for its lease and one for its metrics.
const BESIDES_THE_POOL: i64 = 2;
/// A transaction of Berth's lasts milliseconds; one of so many seconds keeps dead rows from being removed.
const OLD_TRANSACTION_SECONDS: i64 = 300;
const VERY_OLD_TRANSACTION_SECONDS: i64 = 3_600;
/// Autovacuum freezes at two hundred million: with twice as many it cannot keep up.
const MANY_UNFROZEN: i64 = 400_000_000;
const FAR_TOO_MANY_UNFROZEN: i64 = 1_000_000_000;

/// What is said of the database, and whether it can be asked anything more.
pub(super) struct Looked {
    pub(super) checks: Vec<Check>,
    pub(super) usable: bool,
    /// The database's clock.
    pub(super) now: Option<Timestamp>,
}

pub(super) async fn look(store: &Store, config: &Config) -> Looked {
    let url = checks::shown(config.database.url.as_ref());
    let mut checks = Vec::new();
    let unusable = |checks| Looked { checks, usable: false, now: None };
    if let Err(error) = inspection::reach(&config.database).await {
        let fix = "start PostgreSQL, or set database.url (DATABASE_URL) right";
        checks.push(broken("database", format!("{url}: {}", chain(&error)), fix));
        return unusable(checks);
    }
    match store.pending_migrations().await {
        Ok(pending) if pending.is_empty() => checks.push(ok("migrations", "all applied")),
        Ok(pending) => {
            checks.push(broken("migrations", pending_text(&pending), "berth migrate"));
            return unusable(checks);
        }
        Err(error) => {
            checks.push(broken("migrations", chain(&error), "grant its role what `berth migrate` grants berth_app"));
            return unusable(checks);
        }
    }
    let facts = match store.server_facts().await {
        Ok(facts) => facts,
        Err(error) => {
            checks.push(broken("database", format!("{url}: {}", chain(&error)), "see PostgreSQL's log"));
            return unusable(checks);
        }
    };
    checks.insert(0, ok("database", format!("PostgreSQL {} at {url}", facts.version)));
    let workers = store.living_workers().await.map_or(0, |workers| workers.len());
    checks.extend(of_server(&facts));
    checks.push(of_connections(&facts, config.database.max_connections, workers));
    checks.push(match store.role_facts().await {
        Ok(role) => of_role(&role, config.dev.table_owner),
        Err(error) => broken("database role", chain(&error), "see PostgreSQL's log"),
    });
    checks.push(match store.dead_rows().await {
        Ok(tables) => of_dead_rows(&tables),
        Err(error) => broken("dead rows", chain(&error), "see PostgreSQL's log"),
    });
    Looked { checks, usable: true, now: Some(facts.now) }
}

/// What the server's settings do to what was committed.
fn of_server(facts: &ServerFacts) -> Vec<Check> {
    vec![of_version(facts), of_durability(facts), of_vacuum(facts), of_transactions(facts), of_archive(facts)]
}

fn of_version(facts: &ServerFacts) -> Check {
    const NAME: &str = "PostgreSQL";
    if facts.is_standby {
        return broken(NAME, "it is a standby and takes no writes", "let database.url name the primary");
    }
    if facts.version_number < OLDEST_VERSION {
        return broken(NAME, format!("{} is too old", facts.version), "upgrade it to 15 or later");
    }
    if facts.encoding != "UTF8" {
        let fix = "make the database anew: create database berth encoding 'UTF8' template template0";
        return broken(NAME, format!("the database's encoding is {}", facts.encoding), fix);
    }
    let size = facts.bytes.map(|bytes| format!(", {} MB", bytes / 1_000_000)).unwrap_or_default();
    ok(NAME, format!("{}, {}{size}", facts.version, facts.encoding))
}

fn of_durability(facts: &ServerFacts) -> Check {
    const NAME: &str = "durability";
    let off: Vec<&str> = [("fsync", facts.fsync), ("full_page_writes", facts.full_page_writes)]
        .into_iter()
        .filter(|(_, on)| !on)
        .map(|(setting, _)| setting)
        .collect();
    if !off.is_empty() {
        let detail = format!("{} off: a crash of the machine can lose everything", off.join(" and "));
        return broken(NAME, detail, "turn both on in postgresql.conf, and reload");
    }
    if facts.synchronous_commit == "off" {
        let detail = "synchronous_commit is off: what was answered as stored can be lost in a crash";
        return broken(NAME, detail, "alter role berth_app reset synchronous_commit, or turn it on in postgresql.conf");
    }
    ok(NAME, format!("fsync and full_page_writes on, synchronous_commit {}", facts.synchronous_commit))
}

fn of_vacuum(facts: &ServerFacts) -> Check {
    if facts.autovacuum {
        return ok("autovacuum", "on");
    }
    broken("autovacuum", "off: tables grow without end", "turn autovacuum and track_counts on in postgresql.conf")
}

fn of_transactions(facts: &ServerFacts) -> Check {
    const NAME: &str = "old transactions";
    let unfrozen = facts.transactions_unfrozen;
    if unfrozen > MANY_UNFROZEN {
        let detail = format!("{} million transactions since rows were frozen last", unfrozen / 1_000_000);
        let fix = "look for what holds autovacuum up (pg_stat_activity, pg_replication_slots), then vacuum (freeze)";
        return if unfrozen > FAR_TOO_MANY_UNFROZEN { broken(NAME, detail, fix) } else { warning(NAME, detail, fix) };
    }
    let age = facts.oldest_transaction_seconds;
    let detail = format!("the oldest one is {age} s old");
    let fix = "select pid, state, xact_start, query from pg_stat_activity order by xact_start, and end what hangs";
    if age > VERY_OLD_TRANSACTION_SECONDS {
        broken(NAME, detail, fix)
    } else if age > OLD_TRANSACTION_SECONDS {
        warning(NAME, detail, fix)
    } else {
        ok(NAME, detail)
    }
}

fn of_archive(facts: &ServerFacts) -> Check {
    const NAME: &str = "database backups";
    if facts.archiving_fails {
        let fix = "select * from pg_stat_archiver: mend what archive_command says";
        return broken(NAME, "the server could not archive its log, which fills its disk", fix);
    }
    if facts.archives {
        return ok(NAME, "the server archives its log");
    }
    let detail = "the server archives no log; whether somebody runs pg_dump is not to be seen from here";
    warning(NAME, detail, "docs/deploy.md, Backups: set archiving up, or dump each night and try the dump")
}

/// Whether all processes find a connection. `workers` run now; there is one at least, and `serve` takes as many.
fn of_connections(facts: &ServerFacts, of_process: u32, workers: usize) -> Check {
    const NAME: &str = "connections";
    let each = i64::from(of_process) + BESIDES_THE_POOL;
    let available = facts.max_connections - facts.reserved_connections;
    let processes = i64::try_from(workers.max(1)).unwrap_or(i64::MAX);
    let wanted = each.saturating_mul(processes);
    let detail =
        format!("{} of {available} in use; {processes} process(es) that work may take {wanted}", facts.connections);
    let fix = "raise max_connections, lower database.max_connections, or put PgBouncer in between";
    if each > available {
        broken(NAME, format!("one process may take {each}, and there are {available}"), fix)
    } else if wanted > available || facts.connections * 10 > available * 9 {
        warning(NAME, detail, fix)
    } else {
        ok(NAME, detail)
    }
}

fn of_role(role: &RoleFacts, may_own: bool) -> Check {
    const NAME: &str = "database role";
    let objections = role.objections();
    if objections.is_empty() {
        return ok(NAME, format!("{}: reads and writes rows, changes no table", role.name));
    }
    let detail = format!("{} {}", role.name, objections.join(", "));
    let fix = "let database.url name the role berth_app, and database.migrate_url the owner; then `berth migrate`";
    if may_own { warning(NAME, detail, fix) } else { broken(NAME, detail, fix) }
}

fn of_dead_rows(tables: &[DeadRows]) -> Check {
    const NAME: &str = "dead rows";
    if tables.is_empty() {
        return ok(NAME, "few in every table");
    }
    let told: Vec<String> = tables
        .iter()
        .map(|table| {
            let when = table.vacuumed_at.map_or_else(|| "never".to_owned(), |at| at.strftime("%F %T").to_string());
            format!("{}: {} dead, {} live, vacuumed {when}", table.table, table.dead, table.live)
        })
        .collect();
    let fix = "vacuum (analyze) them; if it comes again, lower autovacuum_vacuum_scale_factor for them";
    warning(NAME, told.join("; "), fix)
}

#[cfg(test)]
mod tests {
    use super::{
        super::check::{Verdict, only},
        *,
    };

    fn facts() -> ServerFacts {
        ServerFacts {
            version: "16.4".to_owned(),
            version_number: 160_004,
            fsync: true,
            full_page_writes: true,
            synchronous_commit: "on".to_owned(),
            autovacuum: true,
            encoding: "UTF8".to_owned(),
            is_standby: false,
            archives: true,
            archiving_fails: false,
            max_connections: 100,
            reserved_connections: 3,
            connections: 12,
            bytes: Some(40_000_000),
            oldest_transaction_seconds: 0,
            transactions_unfrozen: 1_000,
            now: "2026-11-26T12:00:00Z".parse().unwrap(),
        }
    }

    #[track_caller]
    fn says(facts: &ServerFacts, name: &str, verdict: Verdict, words: &str) {
        let checks = of_server(facts);
        let check = only(&checks, name);
        assert_eq!(check.verdict, verdict, "{check:?}");
        assert!(check.detail.contains(words), "{check:?}");
        assert_eq!(check.fix.is_none(), verdict == Verdict::Ok, "{check:?}");
    }

    #[test]
    fn a_server_that_is_set_up_well_passes() {
        for check in of_server(&facts()) {
            assert_eq!(check.verdict, Verdict::Ok, "{check:?}");
        }
    }

    #[test]
    fn a_server_that_may_lose_what_was_committed_fails() {
        says(&ServerFacts { fsync: false, ..facts() }, "durability", Verdict::Broken, "fsync off");
        says(&ServerFacts { full_page_writes: false, ..facts() }, "durability", Verdict::Broken, "full_page_writes");
        let loose = ServerFacts { synchronous_commit: "off".to_owned(), ..facts() };
        says(&loose, "durability", Verdict::Broken, "synchronous_commit");
    }

    #[test]
    fn a_server_that_is_too_old_stands_by_or_has_another_encoding_fails() {
        says(&ServerFacts { version_number: 140_012, ..facts() }, "PostgreSQL", Verdict::Broken, "too old");
        says(&ServerFacts { is_standby: true, ..facts() }, "PostgreSQL", Verdict::Broken, "standby");
        says(&ServerFacts { encoding: "SQL_ASCII".to_owned(), ..facts() }, "PostgreSQL", Verdict::Broken, "SQL_ASCII");
    }

    #[test]
    fn what_keeps_dead_rows_is_told() {
        says(&ServerFacts { autovacuum: false, ..facts() }, "autovacuum", Verdict::Broken, "off");
        let old = |seconds| ServerFacts { oldest_transaction_seconds: seconds, ..facts() };
        says(&old(299), "old transactions", Verdict::Ok, "299 s");
        says(&old(301), "old transactions", Verdict::Warning, "301 s");
        says(&old(3_601), "old transactions", Verdict::Broken, "3601 s");
        let unfrozen = |count| ServerFacts { transactions_unfrozen: count, ..facts() };
        says(&unfrozen(500_000_000), "old transactions", Verdict::Warning, "500 million");
        says(&unfrozen(1_500_000_000), "old transactions", Verdict::Broken, "1500 million");
        let dead = [DeadRows { table: "jobs".to_owned(), dead: 90_000, live: 100, vacuumed_at: None }];
        assert_eq!(of_dead_rows(&dead).verdict, Verdict::Warning);
        assert_eq!(of_dead_rows(&[]).verdict, Verdict::Ok);
    }

    #[test]
    fn a_server_without_an_archive_is_warned_of_and_one_whose_archive_fails_fails() {
        says(&ServerFacts { archives: false, ..facts() }, "database backups", Verdict::Warning, "archives no log");
        says(&ServerFacts { archiving_fails: true, ..facts() }, "database backups", Verdict::Broken, "could not");
    }

    #[test]
    fn processes_that_want_more_connections_than_there_are_are_told() {
        assert_eq!(of_connections(&facts(), 10, 3).verdict, Verdict::Ok);
        assert_eq!(of_connections(&facts(), 10, 9).verdict, Verdict::Warning);
        assert_eq!(of_connections(&facts(), 97, 1).verdict, Verdict::Broken);
        let full = ServerFacts { connections: 92, ..facts() };
        assert_eq!(of_connections(&full, 10, 1).verdict, Verdict::Warning);
    }

    #[test]
    fn a_role_that_could_change_tables_fails_but_where_that_is_allowed() {
        let app = RoleFacts { name: "berth_app".to_owned(), ..RoleFacts::default() };
        let owner = RoleFacts { owns_tables: true, ..app.clone() };

        assert_eq!(of_role(&app, false).verdict, Verdict::Ok);
        assert_eq!(of_role(&owner, false).verdict, Verdict::Broken);
        assert_eq!(of_role(&owner, true).verdict, Verdict::Warning);
    }
}
