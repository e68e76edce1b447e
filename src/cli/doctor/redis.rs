//! Redis or Valkey: new enough, keeps what it is given, and where it is away what that means.

use std::collections::BTreeMap;

use super::{
    super::checks::{self, KEEPS_ALL, RedisState, redis_state},
    check::{Check, broken, ok, warning},
};
use crate::{app::redis_of, config::Config, error::chain};

pub(super) async fn look(config: &Config) -> Vec<Check> {
    let url = checks::shown(config.redis.url.as_ref());
    let redis = match redis_of(config) {
        Ok(redis) => redis,
        Err(error) => return vec![broken("Redis", chain(&error), "set redis.url (REDIS_URL)")],
    };
    match redis_state(&redis).await {
        RedisState::Usable { policy } => {
            let mut checks = vec![ok("Redis", format!("answers at {url}")), of_policy(&policy)];
            checks.push(match redis.info().await {
                Ok(info) => of_info(&info, config.inbox.enabled),
                Err(error) => warning("Redis persistence", chain(&error), "let its user run INFO"),
            });
            checks
        }
        RedisState::Away(error) => {
            let fix = "start it; until then jobs wait in the ledger, and none is lost";
            vec![broken("Redis", format!("{url}: {}", chain(&error)), fix)]
        }
        RedisState::Unusable(error) => {
            let fix = "it must be Redis 7.0 or later, or Valkey, and let us in";
            vec![broken("Redis", format!("{url}: {}", chain(&error)), fix)]
        }
    }
}

fn of_policy(policy: &str) -> Check {
    if policy == KEEPS_ALL {
        return ok("Redis memory", format!("{KEEPS_ALL}: it drops nothing"));
    }
    let fix = format!("set `maxmemory-policy {KEEPS_ALL}` in its configuration");
    broken("Redis memory", format!("its policy is {policy}: when it is full it drops ids, whose jobs then wait"), fix)
}

/// Which server it is, and what is left of it after a restart. What lies in its inbox is the only copy until it is stored.
fn of_info(info: &BTreeMap<String, String>, has_inbox: bool) -> Check {
    const NAME: &str = "Redis persistence";
    let field = |name: &str| info.get(name).map_or("", String::as_str);
    let server = match (field("valkey_version"), field("redis_version")) {
        ("", redis) => format!("Redis {redis}"),
        (valkey, _) => format!("Valkey {valkey}"),
    };
    if field("role") == "slave" {
        return broken(NAME, format!("{server} is a replica and takes no writes"), "let redis.url name the primary");
    }
    // What is left of the memory that it may use.
    let (used, most) = (number(field("used_memory")), number(field("maxmemory")));
    if most > 0 && used.saturating_mul(10) > most.saturating_mul(9) {
        let fix = "raise its maxmemory, or look for who else fills it";
        return warning(NAME, format!("{server} uses {used} of the {most} bytes that it may"), fix);
    }
    if field("aof_last_write_status") == "err" || field("rdb_last_bgsave_status") == "err" {
        let fix =
            "look at its log: mostly its disk is full. With `stop-writes-on-bgsave-error` it takes no ids until then";
        return warning(NAME, format!("{server} could not write its file"), fix);
    }
    if field("aof_enabled") == "1" {
        return ok(NAME, format!("{server} keeps an append-only file"));
    }
    if has_inbox {
        let detail = format!(
            "{server} keeps no append-only file: entries of the inbox that nobody has stored yet are lost with it"
        );
        return warning(
            NAME,
            detail,
            "set `appendonly yes`, or have senders ask whether their jobs came (GET /v1/jobs?key=…)",
        );
    }
    ok(NAME, format!("{server} keeps no append-only file: after a restart it is filled from the ledger within seconds"))
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{super::check::Verdict, *};

    fn info(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
        let usual = [("redis_version", "7.2.4"), ("role", "master"), ("aof_enabled", "0")];
        let all = usual.iter().chain(fields);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_redis_that_may_drop_ids_fails() {
        assert_eq!(of_policy("noeviction").verdict, Verdict::Ok);
        assert_eq!(of_policy("allkeys-lru").verdict, Verdict::Broken);
    }

    #[test]
    fn a_redis_without_a_file_passes_and_says_what_that_means() {
        let check = of_info(&info(&[]), false);

        assert_eq!(check.verdict, Verdict::Ok);
        assert!(check.detail.contains("Redis 7.2.4 keeps no append-only file"), "{check:?}");
        assert!(
            of_info(&info(&[("valkey_version", "8.0.1"), ("aof_enabled", "1")]), false)
                .detail
                .contains("Valkey 8.0.1 keeps an")
        );
    }

    #[test]
    fn a_replica_fails_and_one_that_is_full_or_cannot_write_is_warned_of() {
        assert_eq!(of_info(&info(&[("role", "slave")]), false).verdict, Verdict::Broken);
        assert_eq!(of_info(&info(&[("used_memory", "95"), ("maxmemory", "100")]), false).verdict, Verdict::Warning);
        assert_eq!(of_info(&info(&[("used_memory", "50"), ("maxmemory", "100")]), false).verdict, Verdict::Ok);
        assert_eq!(of_info(&info(&[("rdb_last_bgsave_status", "err")]), false).verdict, Verdict::Warning);
    }

    #[test]
    fn an_inbox_in_a_redis_that_keeps_no_file_is_warned_of() {
        assert_eq!(of_info(&info(&[]), true).verdict, Verdict::Warning);
        assert_eq!(of_info(&info(&[("aof_enabled", "1")]), true).verdict, Verdict::Ok);
    }
}
