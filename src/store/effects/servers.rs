//! Places on servers, and what was learnt of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use berth_jobs::ids::AccountId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Applied, UnitEffects, Why, gather};
use crate::effects::Fact;

/// So many failures within a minute break a server.
const BREAKS_AFTER: i32 = 5;

/// Refuses those that come to a server which they would make hold more than it may. Its row is locked until the commit, so
/// that no two transactions take the last place.
pub(super) async fn reserve(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let mut coming: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (unit, step) in gather(units, |e| &e.account_moves) {
        if let Some(intent) = step.change().intent() {
            coming.entry(&intent.server).or_default().push(unit);
        }
    }
    if coming.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = coming.keys().map(|name| (*name).to_owned()).collect();
    let limited = sqlx::query!(
        r#"select name, capacity as "capacity!" from berth.servers
           where name = any ($1) and capacity is not null order by name for no key update"#,
        &names,
    )
    .fetch_all(&mut *db)
    .await?;
    for server in limited {
        let placed = sqlx::query_scalar!(
            r#"select count(*) as "placed!" from berth.hosting_accounts where server = $1 and phase <> 'terminated'"#,
            server.name,
        )
        .fetch_one(&mut *db)
        .await?;
        let above = usize::try_from(placed - i64::from(server.capacity)).unwrap_or_default();
        let units = coming.get(server.name.as_str()).into_iter().flatten().rev();
        for unit in units.take(above) {
            applied.refuse(*unit, format!("the server {}", server.name), Why::ServerFull);
        }
    }
    Ok(())
}

/// Has the jobs run now that wait for these servers to answer again.
pub(super) async fn release(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let servers: BTreeSet<&String> =
        gather(units, |e| &e.released_servers).into_iter().map(|(_, server)| server).collect();
    if servers.is_empty() {
        return Ok(());
    }
    let waiting = sqlx::query!(
        r#"select id, serial as "serial!" from berth.jobs
           where state = 'queued' and queue = 'provisioning' and run_at > berth.now() and serial is not null
             -- One that has failed waits for its backoff.
             and snooze_deadline is not null"#
    )
    .fetch_all(&mut *db)
    .await?;
    let account_of = |serial: &str| AccountId::from_str(serial.strip_prefix("account:")?).ok().map(|id| id.0);
    let (jobs, accounts): (Vec<Uuid>, Vec<Uuid>) =
        waiting.iter().filter_map(|job| Some((job.id, account_of(&job.serial)?))).unzip();
    sqlx::query!(
        "with freed as (
             select j.id
             from unnest($1::uuid[], $2::uuid[]) w (id, account_id)
             join berth.hosting_accounts a on a.id = w.account_id and a.server = any ($3)
             join berth.jobs j on j.id = w.id and j.state = 'queued'
             order by j.id
             for no key update of j skip locked
         )
         update berth.jobs j
         set run_at = berth.now(), dispatched_at = null
         from freed
         where j.id = freed.id",
        &jobs,
        &accounts,
        &servers.into_iter().cloned().collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes what was learnt of servers: failures, which break a server when there are too many; that it is full; and that it
/// answers, which ends both.
pub(super) async fn learn(db: &mut PgConnection, facts: &[(usize, &Fact)]) -> Result<(), sqlx::Error> {
    let mut failed: BTreeMap<&str, (i32, &str, bool)> = BTreeMap::new();
    let (mut full, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for (_, fact) in facts {
        match fact {
            Fact::ServerFailed { server, why, for_good } => {
                let entry = failed.entry(server).or_insert((0, why, false));
                entry.0 += 1;
                entry.2 |= for_good;
            }
            Fact::ServerFull { server } => {
                full.insert(server.clone());
            }
            Fact::ServerAnswered { server } => {
                answered.insert(server.clone());
            }
            Fact::CustomerKnown { .. }
            | Fact::Session(_)
            | Fact::Charge(_)
            | Fact::Refund(_)
            | Fact::Dispute(_)
            | Fact::CardsKnown(_)
            | Fact::AccountCreated { .. }
            | Fact::BackupNamed { .. }
            | Fact::MailAttempted { .. }
            | Fact::MailAccepted { .. }
            | Fact::MailRefused { .. } => {}
        }
    }
    if !failed.is_empty() {
        note_failures(&mut *db, &failed).await?;
    }
    if !full.is_empty() {
        sqlx::query!(
            "update berth.servers set full_until = now() + interval '10 minutes' where name = any ($1)",
            &full.into_iter().collect::<Vec<_>>(),
        )
        .execute(&mut *db)
        .await?;
    }
    if !answered.is_empty() {
        note_answers(db, &answered.into_iter().collect::<Vec<_>>()).await?;
    }
    Ok(())
}

/// What a person was told of their failing is over as well.
async fn note_answers(db: &mut PgConnection, answered: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update berth.servers
             set failures = 0, failing_since = null, broken_since = null
             where name = any ($1) and failures > 0",
        answered,
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "update berth.alerts
             set resolved_at = now()
             where kind = 'server_broken' and subject = any ($1) and resolved_at is null",
        answered,
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn note_failures(db: &mut PgConnection, failed: &BTreeMap<&str, (i32, &str, bool)>) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "with f as (
             select f.*, s.failing_since > now() - interval '1 minute' as goes_on
             from unnest($1::text[], $2::int[], $3::text[], $4::bool[]) f (name, times, why, for_good)
             join berth.servers s on s.name = f.name
             order by s.name
             for no key update of s
         )
         update berth.servers s
         set failures = case when f.goes_on or s.broken_since is not null then s.failures + f.times else f.times end,
             failing_since = case when f.goes_on then s.failing_since else now() end,
             last_failure = f.why,
             broken_since = case
                 when s.broken_since is not null then s.broken_since
                 when f.for_good or f.times + case when f.goes_on then s.failures else 0 end >= $5 then now()
             end
         from f
         where s.name = f.name",
        &failed.keys().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
        &failed.values().map(|(times, ..)| *times).collect::<Vec<_>>(),
        &failed.values().map(|(_, why, _)| (*why).to_owned()).collect::<Vec<_>>(),
        &failed.values().map(|(.., for_good)| *for_good).collect::<Vec<_>>(),
        BREAKS_AFTER,
    )
    .execute(db)
    .await?;
    Ok(())
}
