//! How effects become rows: one set-based statement a kind, for all units of a group together.
//!
//! Every transaction locks in this order, rows of a kind by id: jobs, orders, accounts, servers, renewals, customers with their cards, carts, credit,
//! coupons with their redemptions; then come the rows that it inserts, in the order of `apply`; when accounts are looked at
//! next comes late, and the counters of invoices and of credit notes last. Payments that money goes back of are locked after
//! those that are inserted.
//! What is touched out of turn by a later statement is locked in its turn before (`orders::lock_parents`).

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

mod accounts;
mod agenda;
mod alerts;
mod cards;
mod carts;
mod coupons;
mod credit;
mod credit_notes;
mod customers;
mod facts;
mod fuse;
mod jobs;
mod mails;
mod orders;
mod papers;
mod payments;
mod plan_changes;
mod refunds;
mod refusal;
mod renewals;
mod servers;
mod sweeping;

use std::collections::{BTreeMap, BTreeSet};

use berth_jobs::{
    ids::{AccountId, JobId, MailId},
    mail::SendMail,
};
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use orders::Movers;
pub use refusal::{Refusal, Why};

use super::jobs::Dispatch;
use crate::{
    domain::account::AccountMove,
    effects::{Alert, Effects, Guard, NewStripeEvent},
    mail::Mail,
    metrics::MoneyOutcome,
    trace::TraceParent,
};

/// One unit's effects, and the job whose run brought them about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnitEffects<'a> {
    pub(crate) effects: &'a Effects,
    pub(crate) job_id: Option<JobId>,
    /// What the jobs that it enqueues continue.
    pub(crate) trace: Option<TraceParent>,
}

/// What came of a group.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// The units that were refused, by their place in the group. If there are any, the transaction is of no use.
    pub(crate) refused: BTreeMap<usize, Refusal>,
    /// The ids to be given to Redis after the commit.
    pub(crate) dispatches: Vec<Dispatch>,
    /// What became of money, to be counted after the commit.
    pub(crate) money: Vec<MoneyMoved>,
}

/// What became of an amount of money.
#[derive(Debug)]
pub(crate) struct MoneyMoved {
    pub(crate) outcome: MoneyOutcome,
    pub(crate) currency: String,
    pub(crate) amount: Decimal,
}

impl Applied {
    /// The first reason counts: what follows may only follow from it.
    fn refuse(&mut self, unit: usize, row: String, why: Why) {
        self.refused.entry(unit).or_insert(Refusal { row, why });
    }

    fn is_refused(&self, unit: usize) -> bool {
        self.refused.contains_key(&unit)
    }
}

/// Makes the effects of all units true within the transaction that `db` is in.
pub(crate) async fn apply(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    overfull: &[String],
) -> Result<Applied, sqlx::Error> {
    let mut applied = Applied::default();
    servers::release(db, units).await?;
    orders::lock_parents(db, units).await?;
    guard_orders(db, units, &mut applied).await?;
    orders::advance(db, units, &mut applied, Movers::Known).await?;
    orders::next_sessions(db, units, &mut applied).await?;
    accounts::lock(db, units).await?;
    guard_accounts(db, units, &mut applied).await?;
    move_accounts(db, units, &mut applied).await?;
    accounts::edit(db, units, &mut applied).await?;
    servers::reserve(db, units, &mut applied).await?;
    let facts = gather(units, |e| &e.facts);
    facts::note_created(db, &facts).await?;
    accounts::name_backups(db, &facts).await?;
    renewals::advance(db, units, &mut applied).await?;
    customers::write(db, units, &mut applied).await?;
    facts::know_customers(db, &facts).await?;
    cards::change(db, units, &mut applied).await?;
    cards::learn(db, &facts).await?;
    carts::write(db, units, &mut applied).await?;
    orders::insert(db, units, &mut applied).await?;
    orders::advance(db, units, &mut applied, Movers::New).await?;
    plan_changes::insert(db, units, &mut applied).await?;
    plan_changes::step(db, units, &mut applied).await?;
    renewals::issue(db, units, &mut applied).await?;
    renewals::charge(db, units, &mut applied).await?;
    credit::write(db, units, &mut applied).await?;
    coupons::write(db, units, &mut applied).await?;
    payments::insert(db, units, &mut applied).await?;
    refunds::lock_payments(db, units).await?;
    payments::give_back(db, units, &mut applied).await?;
    refunds::request(db, units, &mut applied).await?;
    sweeping::tick(db, units, &mut applied).await?;
    let without_domain = insert_accounts(db, units, &mut applied).await?;
    if !applied.refused.is_empty() {
        return Ok(applied);
    }
    insert_events(db, units).await?;
    mails::withdraw(db, units).await?;
    let mails = insert_mails(db, units).await?;
    fuse::confirm(db, units).await?;
    alerts::end(db, units).await?;
    let mut more = fuse::keep(db, units).await?;
    more.extend(without_domain);
    alerts::insert(db, units, &more).await?;
    papers::insert_audits(db, units).await?;
    papers::insert_tickets(db, units).await?;
    settle_events(db, units).await?;
    sweeping::ask_later(db, units).await?;
    sweeping::know_events(db, units).await?;
    facts::learn(db, &facts).await?;
    servers::learn(db, &facts).await?;
    let failed = refunds::learn(db, &facts, &mut applied.money).await?;
    alerts::insert(db, &[], &failed).await?;
    refunds::follow(db, units).await?;
    renewals::learn_charges(db, &facts, &mut applied.money).await?;
    complete_orders(db, units).await?;
    accounts::sample(db, units).await?;
    sweeping::delete_leftovers(db, units).await?;
    agenda::write(db, units).await?;
    applied.dispatches = jobs::insert(db, units, mails, overfull).await?;
    papers::issue_invoices(db, units).await?;
    credit_notes::issue(db, units).await?;
    Ok(applied)
}

/// The items of one kind in all units, each with the place of its unit.
fn gather<'a, T>(units: &[UnitEffects<'a>], kind: impl Fn(&'a Effects) -> &'a [T]) -> Vec<(usize, &'a T)> {
    units.iter().enumerate().flat_map(|(at, unit)| kind(unit.effects).iter().map(move |item| (at, item))).collect()
}

/// As [`gather`], without the units that are refused: what they wanted may lean on what was not written.
fn standing<'a, T>(
    units: &[UnitEffects<'a>],
    applied: &Applied,
    kind: impl Fn(&'a Effects) -> &'a [T],
) -> Vec<(usize, &'a T)> {
    gather(units, kind).into_iter().filter(|(unit, _)| !applied.is_refused(*unit)).collect()
}

fn trace_of(units: &[UnitEffects<'_>], at: usize) -> Option<TraceParent> {
    units.get(at).and_then(|unit| unit.trace)
}

fn job_of(units: &[UnitEffects<'_>], at: usize) -> Option<Uuid> {
    units.get(at).and_then(|unit| unit.job_id).map(|id| id.0)
}

async fn guard_orders(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let guards = gather(units, |e| &e.guards).into_iter().filter_map(|(unit, guard)| match guard {
        Guard::Order(id, version) => Some((unit, id.0, *version, id.to_string())),
        Guard::Account(..) | Guard::Cart(..) => None,
    });
    let guards: Vec<_> = guards.collect();
    if guards.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = guards.iter().map(|(_, id, _, _)| *id).collect();
    let rows =
        sqlx::query!("select id, version from berth.orders where id = any ($1) order by id for no key update", &ids)
            .fetch_all(db)
            .await?;
    compare(guards, &rows.into_iter().map(|row| (row.id, row.version)).collect(), applied);
    Ok(())
}

async fn guard_accounts(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let guards = gather(units, |e| &e.guards).into_iter().filter_map(|(unit, guard)| match guard {
        Guard::Account(id, version) => Some((unit, id.0, *version, id.to_string())),
        Guard::Order(..) | Guard::Cart(..) => None,
    });
    let guards: Vec<_> = guards.collect();
    if guards.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = guards.iter().map(|(_, id, _, _)| *id).collect();
    let rows = sqlx::query!(
        "select id, version from berth.hosting_accounts where id = any ($1) order by id for no key update",
        &ids
    )
    .fetch_all(db)
    .await?;
    compare(guards, &rows.into_iter().map(|row| (row.id, row.version)).collect(), applied);
    Ok(())
}

fn compare(guards: Vec<(usize, Uuid, i32, String)>, versions: &BTreeMap<Uuid, i32>, applied: &mut Applied) {
    for (unit, id, version, name) in guards {
        if versions.get(&id) != Some(&version) {
            applied.refuse(unit, name, Why::RowChanged);
        }
    }
}

/// The columns of account moves. Arrays of one row a move.
#[derive(Default)]
struct AccountColumns {
    ids: Vec<Uuid>,
    versions: Vec<i32>,
    from: Vec<String>,
    to: Vec<String>,
    reasons: Vec<String>,
    by: Vec<Option<Uuid>>,
    servers: Vec<Option<String>>,
    usernames: Vec<Option<String>>,
    salts: Vec<Option<i32>>,
    passwords: Vec<Option<String>>,
    intended_at: Vec<Option<jiff_sqlx::Timestamp>>,
    activated_at: Vec<Option<jiff_sqlx::Timestamp>>,
    anchors: Vec<Option<jiff_sqlx::Timestamp>>,
    expires_at: Vec<Option<jiff_sqlx::Timestamp>>,
    failures: Vec<Option<String>>,
    // PostgreSQL has no arrays of arrays of different lengths, so an account's reasons travel as one text.
    suspended_for: Vec<String>,
    endings: Vec<Option<String>>,
    cancel_at: Vec<Option<jiff_sqlx::Timestamp>>,
    suspended_at: Vec<Option<jiff_sqlx::Timestamp>>,
    terminated_at: Vec<Option<jiff_sqlx::Timestamp>>,
    intended_services: Vec<Option<String>>,
    intended_packages: Vec<Option<String>>,
    // What a change writes is many columns of few rows: it travels as one object.
    became: Vec<Option<Value>>,
}

impl AccountColumns {
    fn push(&mut self, step: &AccountMove, by: Option<Uuid>) {
        self.ids.push(step.id().0);
        self.versions.push(step.version());
        self.from.push(step.from().to_string());
        self.to.push(step.to().to_string());
        self.reasons.push(step.reason().to_owned());
        self.by.push(by);
        let change = step.change();
        let intent = change.intent();
        self.servers.push(intent.map(|i| i.server.clone()));
        self.usernames.push(intent.map(|i| i.username.to_string()));
        self.salts.push(intent.map(|i| i.username_salt));
        self.passwords.push(intent.map(|i| i.sealed_password.clone()));
        self.intended_at.push(intent.map(|i| i.intended_at.to_sqlx()));
        self.activated_at.push(change.activation().map(|(at, _)| at.to_sqlx()));
        self.anchors.push(change.activation().map(|(_, anchor)| anchor.to_sqlx()));
        self.expires_at.push(change.expires_at().map(|until| until.to_sqlx()));
        self.failures.push(change.failure().map(str::to_owned));
        let standing = step.standing();
        self.suspended_for.push(standing.reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(","));
        self.endings.push(standing.ending.map(|ending| ending.as_str().to_owned()));
        self.cancel_at.push(standing.cancel_at.map(ToSqlx::to_sqlx));
        self.suspended_at.push(change.suspended_at().map(ToSqlx::to_sqlx));
        self.terminated_at.push(change.terminated_at().map(ToSqlx::to_sqlx));
        self.intended_services.push(change.intended_package().map(|to| to.service_id.clone()));
        self.intended_packages.push(change.intended_package().map(|to| to.package.clone()));
        self.became.push(change.new_package().map(plan_changes::columns));
    }
}

/// Moves accounts. One that its unit moves twice, since a wish is acted upon once its panel has answered, moves in turn.
async fn move_accounts(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let mut moves = gather(units, |e| &e.account_moves);
    moves.sort_by_key(|(_, step)| (step.id(), step.version()));
    while !moves.is_empty() {
        let mut later = Vec::new();
        let mut turn: Vec<(usize, &AccountMove)> = Vec::with_capacity(moves.len());
        for (unit, step) in moves {
            let is_next = turn.last().is_none_or(|(_, before)| before.id() != step.id());
            if is_next { &mut turn } else { &mut later }.push((unit, step));
        }
        move_accounts_once(db, units, applied, turn).await?;
        moves = later;
    }
    Ok(())
}

/// Moves each of these accounts once.
async fn move_accounts_once(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
    moves: Vec<(usize, &AccountMove)>,
) -> Result<(), sqlx::Error> {
    let mut c = AccountColumns::default();
    for (unit, step) in &moves {
        c.push(step, job_of(units, *unit));
    }
    let moved: BTreeSet<Uuid> = sqlx::query_file_scalar!(
        "src/store/queries/move_accounts.sql",
        &c.ids,
        &c.versions,
        &c.from,
        &c.to,
        &c.reasons,
        &c.by as &[Option<Uuid>],
        &c.servers as &[Option<String>],
        &c.usernames as &[Option<String>],
        &c.salts as &[Option<i32>],
        &c.passwords as &[Option<String>],
        &c.intended_at as &[Option<jiff_sqlx::Timestamp>],
        &c.activated_at as &[Option<jiff_sqlx::Timestamp>],
        &c.anchors as &[Option<jiff_sqlx::Timestamp>],
        &c.expires_at as &[Option<jiff_sqlx::Timestamp>],
        &c.failures as &[Option<String>],
        &c.suspended_for,
        &c.endings as &[Option<String>],
        &c.cancel_at as &[Option<jiff_sqlx::Timestamp>],
        &c.suspended_at as &[Option<jiff_sqlx::Timestamp>],
        &c.terminated_at as &[Option<jiff_sqlx::Timestamp>],
        &c.intended_services as &[Option<String>],
        &c.intended_packages as &[Option<String>],
        &c.became as &[Option<Value>],
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .collect();
    for (unit, step) in moves {
        if !moved.contains(&step.id().0) {
            applied.refuse(unit, step.id().to_string(), Why::RowChanged);
        }
    }
    Ok(())
}

/// Inserts accounts; tells of those whose domain is another one's.
async fn insert_accounts(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<Vec<Alert>, sqlx::Error> {
    let mut accounts = gather(units, |e| &e.new_accounts);
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    accounts.sort_by_key(|(_, account)| account.order_item_id);
    let inserted = sqlx::query_file!(
        "src/store/queries/insert_accounts.sql",
        &accounts.iter().map(|(_, account)| account.id.0).collect::<Vec<_>>(),
        &accounts.iter().map(|(_, account)| account.order_item_id.0).collect::<Vec<_>>(),
        &accounts.iter().map(|(_, account)| account.created_at.to_sqlx()).collect::<Vec<_>>(),
        &accounts.iter().map(|(unit, _)| job_of(units, *unit)).collect::<Vec<_>>() as &[Option<Uuid>],
    )
    .fetch_all(db)
    .await?;
    let ids: BTreeSet<Uuid> = inserted.iter().map(|row| row.id).collect();
    for (unit, account) in accounts {
        if !ids.contains(&account.id.0) {
            applied.refuse(unit, format!("the account of {}", account.order_item_id), Why::AlreadyThere);
        }
    }
    let without_domain = inserted.into_iter().filter_map(|row| Some((row.id, row.taken_domain?)));
    Ok(without_domain
        .map(|(id, domain)| Alert {
            kind: "domain_taken",
            subject: AccountId(id).to_string(),
            detail: format!("it was bought for {domain}, which another account has: ask its customer for a name."),
        })
        .collect())
}

async fn insert_events(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let came = gather(units, |e| &e.new_events).into_iter().map(|(_, event)| (event, false));
    let found = gather(units, |e| &e.found_events).into_iter().map(|(_, event)| (event, true));
    let mut events: Vec<(&NewStripeEvent, bool)> = came.chain(found).collect();
    if events.is_empty() {
        return Ok(());
    }
    // Of one that came while it was found, that it came is kept.
    events.sort_by_key(|(event, was_found)| (&event.id, *was_found));
    let payloads: Vec<&[u8]> = events.iter().map(|(event, _)| event.payload.as_ref()).collect();
    sqlx::query!(
        "insert into berth.stripe_events (id, type, payload, outcome, found_at)
         select n.id, n.type, n.payload, n.outcome, case when n.was_found then berth.now() end
         from unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bool[])
             n (id, type, payload, outcome, was_found)
         on conflict (id) do nothing",
        &events.iter().map(|(event, _)| event.id.0.clone()).collect::<Vec<_>>(),
        &events.iter().map(|(event, _)| event.kind.clone()).collect::<Vec<_>>(),
        &payloads as &[&[u8]],
        &events.iter().map(|(event, _)| event.outcome.as_str().to_owned()).collect::<Vec<_>>(),
        &events.iter().map(|(_, was_found)| *was_found).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A mail's row.
struct MailColumns<'a> {
    unit: usize,
    id: Uuid,
    about: Option<Uuid>,
    customer_id: Option<Uuid>,
    recipient: Option<String>,
    mail: &'a Mail,
}

/// Inserts mails that were not said before, and of which steps they are; answers those, each with the place of its unit.
async fn insert_mails(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<Vec<(usize, SendMail)>, sqlx::Error> {
    renewals::notify(db, units).await?;
    let of_customers = gather(units, |e| &e.new_mails).into_iter().map(|(unit, mail)| MailColumns {
        unit,
        id: mail.id.0,
        about: mail.mail.about(),
        customer_id: Some(mail.customer_id.0),
        recipient: None,
        mail: &mail.mail,
    });
    let of_the_shop = gather(units, |e| &e.shop_mails).into_iter().map(|(unit, mail)| MailColumns {
        unit,
        id: mail.id.0,
        about: None,
        customer_id: None,
        recipient: Some(mail.to.clone()),
        mail: &mail.mail,
    });
    let mut mails: Vec<MailColumns<'_>> = of_customers.chain(of_the_shop).collect();
    if mails.is_empty() {
        return Ok(Vec::new());
    }
    let mut contexts = Vec::with_capacity(mails.len());
    mails.sort_by_key(|mail| mail.mail.dedupe_key());
    for mail in &mails {
        contexts.push(serde_json::to_value(mail.mail).map_err(|error| sqlx::Error::Encode(Box::new(error)))?);
    }
    let ids = sqlx::query_scalar!(
        "insert into berth.mails (id, dedupe_key, kind, about, customer_id, context, recipient)
         select n.id, n.dedupe_key, n.kind, n.about, n.customer_id, n.context, n.recipient
         from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::jsonb[], $7::text[])
             n (id, dedupe_key, kind, about, customer_id, context, recipient)
         on conflict (dedupe_key) do nothing
         returning id",
        &mails.iter().map(|mail| mail.id).collect::<Vec<_>>(),
        &mails.iter().map(|mail| mail.mail.dedupe_key()).collect::<Vec<_>>(),
        &mails.iter().map(|mail| mail.mail.kind().to_owned()).collect::<Vec<_>>(),
        &mails.iter().map(|mail| mail.about).collect::<Vec<_>>() as &[Option<Uuid>],
        &mails.iter().map(|mail| mail.customer_id).collect::<Vec<_>>() as &[Option<Uuid>],
        &contexts,
        &mails.iter().map(|mail| mail.recipient.clone()).collect::<Vec<_>>() as &[Option<String>],
    )
    .fetch_all(db)
    .await?;
    let ids: BTreeSet<Uuid> = ids.into_iter().collect();
    let inserted = mails.iter().filter(|mail| ids.contains(&mail.id));
    Ok(inserted.map(|mail| (mail.unit, SendMail { mail_id: MailId(mail.id) })).collect())
}

async fn complete_orders(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let ids: BTreeSet<Uuid> = gather(units, |e| &e.maybe_complete).into_iter().map(|(_, id)| id.0).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = ids.into_iter().collect();
    sqlx::query_file!("src/store/queries/complete_orders.sql", &ids).execute(db).await?;
    Ok(())
}

async fn settle_events(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let mut events = gather(units, |e| &e.settled_events);
    if events.is_empty() {
        return Ok(());
    }
    events.sort_by(|(_, a), (_, b)| a.event_id.cmp(&b.event_id));
    sqlx::query!(
        "update berth.stripe_events e
         set outcome = f.outcome, note = f.note
         from unnest($1::text[], $2::text[], $3::text[]) f (id, outcome, note)
         where e.id = f.id and e.outcome = 'pending'",
        &events.iter().map(|(_, event)| event.event_id.0.clone()).collect::<Vec<_>>(),
        &events.iter().map(|(_, event)| event.outcome.as_str().to_owned()).collect::<Vec<_>>(),
        &events.iter().map(|(_, event)| event.note.clone()).collect::<Vec<_>>() as &[Option<String>],
    )
    .execute(db)
    .await?;
    Ok(())
}
