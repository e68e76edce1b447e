//! What is set of accounts by hand, the names of their backups, and what they use.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::{civil::Date, tz::TimeZone};
use jiff_sqlx::ToSqlx;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Applied, UnitEffects, Why, gather, job_of, standing};
use crate::effects::{Fact, Guard, PasswordStep, UsageSample};

/// Locks the accounts that are guarded, moved or set, in one turn: they are touched by one statement a kind after it.
pub(super) async fn lock(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let edits = gather(units, |e| &e.account_edits);
    if edits.is_empty() {
        return Ok(());
    }
    let mut ids: BTreeSet<Uuid> = edits.into_iter().map(|(_, edit)| edit.account_id.0).collect();
    ids.extend(gather(units, |e| &e.account_moves).into_iter().map(|(_, step)| step.id().0));
    ids.extend(gather(units, |e| &e.guards).into_iter().filter_map(|(_, guard)| match guard {
        Guard::Account(id, _) => Some(id.0),
        Guard::Order(..) | Guard::Cart(..) => None,
    }));
    sqlx::query!(
        "select id from berth.hosting_accounts where id = any ($1) order by id for no key update",
        &ids.into_iter().collect::<Vec<_>>(),
    )
    .fetch_all(db)
    .await?;
    Ok(())
}

/// What happens to passwords, a row an edit.
#[derive(Default)]
struct PasswordColumns {
    steps: Vec<Option<String>>,
    at: Vec<Option<jiff_sqlx::Timestamp>>,
    sealed: Vec<Option<String>>,
}

impl PasswordColumns {
    fn push(&mut self, step: Option<&PasswordStep>) {
        let (name, at, sealed) = match step {
            None => (None, None, None),
            Some(PasswordStep::Asked(at)) => (Some("asked"), Some(at.to_sqlx()), None),
            Some(PasswordStep::Sealed(sealed)) => (Some("sealed"), None, Some(sealed.clone())),
            Some(PasswordStep::Set(at)) => (Some("set"), Some(at.to_sqlx()), None),
            Some(PasswordStep::Dropped) => (Some("dropped"), None, None),
        };
        self.steps.push(name.map(str::to_owned));
        self.at.push(at);
        self.sealed.push(sealed);
    }
}

/// Sets what is said of accounts, after their moves.
pub(super) async fn edit(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let mut edits = standing(units, applied, |e| &e.account_edits);
    if edits.is_empty() {
        return Ok(());
    }
    edits.sort_by_key(|(_, edit)| edit.account_id);
    let mut timetables: Vec<Option<Value>> = Vec::with_capacity(edits.len());
    for (_, edit) in &edits {
        let timetable = edit.settings.timetable.as_ref().map(serde_json::to_value).transpose();
        timetables.push(timetable.map_err(|error| sqlx::Error::Encode(Box::new(error)))?);
    }
    let mut passwords = PasswordColumns::default();
    edits.iter().for_each(|(_, edit)| passwords.push(edit.settings.password.as_ref()));
    let edited: BTreeSet<Uuid> = sqlx::query_file_scalar!(
        "src/store/queries/edit_accounts.sql",
        &edits.iter().map(|(_, edit)| edit.account_id.0).collect::<Vec<_>>(),
        &edits.iter().map(|(_, edit)| edit.version).collect::<Vec<_>>(),
        &edits.iter().map(|(_, edit)| edit.reason.to_owned()).collect::<Vec<_>>(),
        &edits.iter().map(|(unit, _)| job_of(units, *unit)).collect::<Vec<_>>() as &[Option<Uuid>],
        &edits.iter().map(|(_, edit)| edit.settings.auto_renew).collect::<Vec<_>>() as &[Option<bool>],
        &edits.iter().map(|(_, edit)| edit.settings.exempt).collect::<Vec<_>>() as &[Option<bool>],
        &edits.iter().map(|(_, edit)| edit.settings.kept).collect::<Vec<_>>() as &[Option<bool>],
        &timetables as &[Option<Value>],
        &edits.iter().map(|(_, edit)| edit.settings.spared_until.map(ToSqlx::to_sqlx)).collect::<Vec<_>>()
            as &[Option<jiff_sqlx::Timestamp>],
        &edits.iter().map(|(_, edit)| edit.settings.backup_waived).collect::<Vec<_>>() as &[Option<bool>],
        &edits.iter().map(|(_, edit)| edit.settings.purged_at.map(ToSqlx::to_sqlx)).collect::<Vec<_>>()
            as &[Option<jiff_sqlx::Timestamp>],
        &passwords.steps as &[Option<String>],
        &passwords.at as &[Option<jiff_sqlx::Timestamp>],
        &passwords.sealed as &[Option<String>],
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .collect();
    for (unit, edit) in edits {
        if !edited.contains(&edit.account_id.0) {
            applied.refuse(unit, edit.account_id.to_string(), Why::RowChanged);
        }
    }
    Ok(())
}

/// Writes what accounts use, the latest look of a day.
pub(super) async fn sample(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let mut samples: BTreeMap<(Uuid, Date), &UsageSample> = BTreeMap::new();
    for (_, sample) in gather(units, |e| &e.usage) {
        let day = sample.at.to_zoned(TimeZone::UTC).date();
        let latest = samples.entry((sample.account_id.0, day)).or_insert(sample);
        if latest.at < sample.at {
            *latest = sample;
        }
    }
    if samples.is_empty() {
        return Ok(());
    }
    // More than eight exabytes are as good as that many.
    let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query!(
        "insert into berth.usage_samples (account_id, day, disk_bytes, inodes, traffic_bytes, at)
         select n.account_id, n.day, n.disk_bytes, n.inodes, n.traffic_bytes, n.at
         from unnest($1::uuid[], $2::date[], $3::bigint[], $4::bigint[], $5::bigint[], $6::timestamptz[])
             n (account_id, day, disk_bytes, inodes, traffic_bytes, at)
         order by n.account_id, n.day
         on conflict (account_id, day) do update
         set disk_bytes = excluded.disk_bytes, inodes = excluded.inodes, traffic_bytes = excluded.traffic_bytes,
             at = excluded.at
         where usage_samples.at < excluded.at",
        &samples.keys().map(|(account, _)| *account).collect::<Vec<_>>(),
        &samples.keys().map(|(_, day)| day.to_sqlx()).collect::<Vec<_>>() as &[jiff_sqlx::Date],
        &samples.values().map(|sample| bytes(sample.disk_bytes)).collect::<Vec<_>>(),
        &samples.values().map(|sample| sample.inodes.map(bytes)).collect::<Vec<_>>() as &[Option<i64>],
        &samples.values().map(|sample| sample.traffic_bytes.map(bytes)).collect::<Vec<_>>() as &[Option<i64>],
        &samples.values().map(|sample| sample.at.to_sqlx()).collect::<Vec<_>>() as &[jiff_sqlx::Timestamp],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Writes what backups are called, before they are made. One name an account: a later run makes the same backup.
pub(super) async fn name_backups(db: &mut PgConnection, facts: &[(usize, &Fact)]) -> Result<(), sqlx::Error> {
    let mut named: BTreeMap<Uuid, &str> = BTreeMap::new();
    for (_, fact) in facts {
        if let Fact::BackupNamed { account_id, reference } = fact {
            named.entry(account_id.0).or_insert(reference);
        }
    }
    if named.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update berth.hosting_accounts a
         set backup_reference = f.reference
         from unnest($1::uuid[], $2::text[]) f (id, reference)
         where a.id = f.id and a.backup_reference is null and a.purged_at is null",
        &named.keys().copied().collect::<Vec<_>>(),
        &named.values().map(|reference| (*reference).to_owned()).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}
