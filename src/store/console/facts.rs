//! What may say why an order is not live: read here, decided in `domain/why.rs`.

use berth_jobs::ids::{AccountId, JobId, MailId, OrderId};
use jiff::SignedDuration;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    super::{Store, StoreError},
    At,
};
use crate::domain::{
    account::{AccountPhase, Ending, SuspensionReason},
    order::OrderPhase,
    why::{
        AccountFacts, DeclineFacts, EventFacts, JobFacts, JobState, MailFacts, OrderFacts, PageFacts, Purpose,
        ServerFacts,
    },
};

/// So many of Stripe's events that nothing has acted on are looked through for those about an order.
const MOST_EVENTS: i64 = 2_000;
/// So many of the newest declined cards are looked through for one of an order.
const MOST_DECLINES: i64 = 1_000;

struct Order {
    phase: String,
    is_renewal: bool,
    account: Option<Uuid>,
    expires_at: At,
    paid_at: Option<At>,
    hold_reason: Option<String>,
    failure: Option<String>,
    page: Option<String>,
    units: i64,
    /// What Stripe knows it by.
    known_as: Vec<String>,
}

struct Account {
    id: Uuid,
    phase: String,
    reasons: Vec<String>,
    ending: Option<String>,
    suspended_at: Option<At>,
    failure: Option<String>,
    server: Option<String>,
    server_state: Option<String>,
    broken_since: Option<At>,
    last_failure: Option<String>,
}

struct Job {
    id: Uuid,
    kind: String,
    state: String,
    attempt: i32,
    run_at: At,
    last_error: Option<String>,
    serial: Option<String>,
    once_key: Option<String>,
}

struct Event {
    id: String,
    kind: String,
    seconds: i64,
    outcome: String,
    note: Option<String>,
}

struct Unsent {
    id: Uuid,
    kind: String,
    refused: bool,
    response: Option<String>,
}

impl Store {
    /// What may say why an order is not live.
    ///
    /// # Errors
    /// When there is no such order, its rows cannot be read, or the database does not answer.
    pub async fn order_facts(&self, id: OrderId) -> Result<OrderFacts, StoreError> {
        let order = self.order_of_facts(id).await?;
        let accounts = self.accounts_of_facts(id, order.account).await?;
        let events = self.unheard_events(&order.known_as).await?;
        let unsent = self.unsent_mails(id, &accounts).await?;
        let jobs = self.unfinished_jobs(id, &accounts, &events, &unsent).await?;
        let declined = if order.paid_at.is_none() { self.declined(id).await? } else { None };
        let purpose = match (order.is_renewal, order.account) {
            (true, _) => Purpose::Renewal,
            (false, Some(_)) => Purpose::Change,
            (false, None) => Purpose::Purchase,
        };
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("order {id}"), why);
        let phase: OrderPhase = order.phase.parse().map_err(|error| unreadable(&error))?;
        Ok(OrderFacts {
            id,
            phase,
            purpose,
            expires_at: order.expires_at.into(),
            paid_at: order.paid_at.map(Into::into),
            hold_reason: order.hold_reason,
            failure: order.failure,
            page: match order.page.as_deref() {
                Some("open") => PageFacts::Open,
                Some("paid") => PageFacts::Paid,
                Some(_) => PageFacts::Expired,
                None => PageFacts::None,
            },
            declined,
            unheard: events.into_iter().map(|event| event.told(&jobs)).collect(),
            jobs: jobs.iter().filter(|job| job.is_the_orders()).filter_map(Job::told).collect(),
            units: usize::try_from(order.units).unwrap_or_default(),
            accounts: accounts.into_iter().map(|account| account.told(&jobs)).collect::<Result<_, _>>()?,
            unsent: unsent.into_iter().map(|mail| mail.told(&jobs)).collect(),
        })
    }

    async fn order_of_facts(&self, id: OrderId) -> Result<Order, StoreError> {
        sqlx::query_as!(
            Order,
            r#"select o.phase, o.is_renewal, coalesce(o.renewal_of_hosting_id, o.changes_account_id) as account,
                   o.expires_at as "expires_at: At", o.paid_at as "paid_at: At", o.hold_reason, o.failure,
                   (
                       select s.state from berth.checkout_sessions s
                       where s.order_id = o.id
                       order by s.state = 'paid' desc, s.version desc
                       limit 1
                   ) as page,
                   (select count(*) from berth.order_items i where i.order_id = o.id) as "units!",
                   array_remove(
                       array(select s.id from berth.checkout_sessions s where s.order_id = o.id)
                           || array(select r.stripe_payment_intent_id from berth.renewals r where r.order_id = o.id)
                           || array[o.stripe_session_id, berth.show_id('ord_', o.id)],
                       null
                   ) as "known_as!"
               from berth.orders o
               where o.id = $1"#,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?
        .ok_or_else(|| StoreError::Missing(format!("order {id}")))
    }

    async fn accounts_of_facts(&self, id: OrderId, other: Option<Uuid>) -> Result<Vec<Account>, StoreError> {
        Ok(sqlx::query_as!(
            Account,
            r#"select a.id, a.phase, a.suspension_reasons as reasons, a.ending, a.suspended_at as "suspended_at: At",
                   a.failure, a.server, s.state as "server_state?", s.broken_since as "broken_since: At",
                   s.last_failure as "last_failure?"
               from berth.hosting_accounts a
               left join berth.servers s on s.name = a.server
               where a.order_id = $1 or a.id = $2
               order by a.id"#,
            id.0,
            other,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    async fn unheard_events(&self, known_as: &[String]) -> Result<Vec<Event>, StoreError> {
        Ok(sqlx::query_as!(
            Event,
            r#"with unheard as materialized (
                   select id, type, payload, received_at, outcome, note
                   from berth.stripe_events
                   where outcome in ('pending', 'parked')
                   order by received_at desc
                   limit $2
               )
               select id as "id!", type as "kind!", extract(epoch from now() - received_at)::int8 as "seconds!",
                   outcome as "outcome!", note
               from unheard e
               where exists (
                   select from unnest($1::text[]) known (name) where position(convert_to(name, 'UTF8') in e.payload) > 0
               )
               order by received_at desc"#,
            known_as,
            MOST_EVENTS,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// The card that was declined last: as Stripe told of it, or else as the charge of a renewal ended.
    async fn declined(&self, id: OrderId) -> Result<Option<DeclineFacts>, StoreError> {
        let told = sqlx::query!(
            r#"with declined as materialized (
                   select received_at, payload
                   from berth.stripe_events
                   where type = 'payment_intent.payment_failed' and emptied_at is null
                   order by received_at desc
                   limit $2
               )
               select extract(epoch from now() - received_at)::int8 as "seconds!", payload as "payload!"
               from declined
               where position(convert_to($1, 'UTF8') in payload) > 0
               order by received_at desc
               limit 1"#,
            id.to_string(),
            MOST_DECLINES,
        )
        .fetch_optional(&self.pool)
        .await?;
        if let Some(told) = told {
            let why = serde_json::from_slice(&told.payload).map(Decline::why).unwrap_or_default();
            return Ok(Some(a_decline(told.seconds, why)));
        }
        let charge = sqlx::query!(
            r#"select extract(epoch from berth.now() - answered_at)::int8 as "seconds!", decline_code, code
               from berth.charges
               where order_id = $1 and state in ('declined', 'needs_customer')
               order by attempt desc
               limit 1"#,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(charge.map(|charge| a_decline(charge.seconds, charge.decline_code.or(charge.code))))
    }

    async fn unsent_mails(&self, id: OrderId, accounts: &[Account]) -> Result<Vec<Unsent>, StoreError> {
        let about: Vec<Uuid> = std::iter::once(id.0).chain(accounts.iter().map(|account| account.id)).collect();
        Ok(sqlx::query_as!(
            Unsent,
            r#"select id, kind, refused_at is not null as "refused!", response
               from berth.mails
               where about = any ($1) and accepted_at is null and withdrawn_at is null and emptied_at is null
               order by id
               limit 20"#,
            &about,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    async fn unfinished_jobs(
        &self,
        id: OrderId,
        accounts: &[Account],
        events: &[Event],
        unsent: &[Unsent],
    ) -> Result<Vec<Job>, StoreError> {
        let serials: Vec<String> = accounts.iter().map(Account::serial).collect();
        let mut once_keys: Vec<String> = events.iter().map(Event::once_key).collect();
        once_keys.extend(unsent.iter().map(Unsent::once_key));
        Ok(sqlx::query_file_as!(
            Job,
            "src/store/queries/console_unfinished_jobs.sql",
            id.to_string(),
            &serials,
            &once_keys,
        )
        .fetch_all(&self.pool)
        .await?)
    }
}

/// Of the event `payment_intent.payment_failed`, what says why.
#[derive(Deserialize)]
struct Decline {
    data: Object,
}

#[derive(Deserialize)]
struct Object {
    object: Intent,
}

#[derive(Deserialize)]
struct Intent {
    last_payment_error: Option<PaymentError>,
}

#[derive(Deserialize)]
struct PaymentError {
    message: Option<String>,
    decline_code: Option<String>,
    code: Option<String>,
}

impl Decline {
    /// Such as `insufficient_funds: Your card has insufficient funds`.
    fn why(self) -> Option<String> {
        let PaymentError { message, decline_code, code } = self.data.object.last_payment_error?;
        match (message, decline_code.or(code)) {
            (Some(message), Some(code)) => Some(format!("{code}: {}", message.trim_end_matches('.'))),
            (Some(one), None) | (None, Some(one)) => Some(one),
            (None, None) => None,
        }
    }
}

fn a_decline(seconds: i64, why: Option<String>) -> DeclineFacts {
    let why = why.unwrap_or_else(|| "Stripe did not say why".to_owned());
    DeclineFacts { age: SignedDuration::from_secs(seconds), why }
}

impl Account {
    fn serial(&self) -> String {
        format!("account:{}", AccountId(self.id))
    }

    fn told(self, jobs: &[Job]) -> Result<AccountFacts, StoreError> {
        let id = AccountId(self.id);
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("account {id}"), why);
        let phase: AccountPhase = self.phase.parse().map_err(|error| unreadable(&error))?;
        let reasons: Result<Vec<SuspensionReason>, _> = self.reasons.iter().map(|reason| reason.parse()).collect();
        let ending: Option<Ending> =
            self.ending.as_deref().map(str::parse).transpose().map_err(|error| unreadable(&error))?;
        let serial = self.serial();
        let broken = self.broken_since.map(|at| {
            let why = self.last_failure.clone().unwrap_or_else(|| "no reason is known".to_owned());
            (at.into(), why)
        });
        let disabled = self.server_state.as_deref() == Some("disabled");
        Ok(AccountFacts {
            id,
            phase,
            reasons: reasons.map_err(|error| unreadable(&error))?,
            ending,
            suspended_at: self.suspended_at.map(Into::into),
            failure: self.failure,
            server: self.server.map(|name| ServerFacts { name, broken, disabled }),
            job: jobs.iter().find(|job| job.serial.as_deref() == Some(&serial)).and_then(Job::told),
        })
    }
}

impl Event {
    fn once_key(&self) -> String {
        format!("stripe_event:{}", self.id)
    }

    fn told(self, jobs: &[Job]) -> EventFacts {
        let job = Job::under(jobs, &self.once_key());
        let parked = (self.outcome == "parked").then(|| self.note.unwrap_or_else(|| "no reason is known".to_owned()));
        EventFacts { id: self.id, kind: self.kind, age: SignedDuration::from_secs(self.seconds), parked, job }
    }
}

impl Unsent {
    fn once_key(&self) -> String {
        format!("mail:{}", MailId(self.id))
    }

    fn told(self, jobs: &[Job]) -> MailFacts {
        let job = Job::under(jobs, &self.once_key());
        let refused = self.refused.then(|| self.response.unwrap_or_else(|| "it did not say why".to_owned()));
        MailFacts { id: MailId(self.id), kind: self.kind, refused, job }
    }
}

impl Job {
    fn under(jobs: &[Self], once_key: &str) -> Option<JobFacts> {
        jobs.iter().find(|job| job.once_key.as_deref() == Some(once_key)).and_then(Self::told)
    }

    /// Whether it is about the order itself, and not an account, an event or a mail of its.
    fn is_the_orders(&self) -> bool {
        let about_others = |key: &str| key.starts_with("mail:") || key.starts_with("stripe_event:");
        self.serial.as_deref().is_none_or(|serial| !serial.starts_with("account:"))
            && self.once_key.as_deref().is_none_or(|key| !about_others(key))
    }

    fn told(&self) -> Option<JobFacts> {
        let state = match self.state.as_str() {
            "queued" => JobState::Queued,
            "running" => JobState::Running,
            "dead" => JobState::Dead,
            "cancelled" => JobState::Cancelled,
            _ => return None,
        };
        Some(JobFacts {
            id: JobId(self.id),
            kind: self.kind.clone(),
            state,
            attempts: u32::try_from(self.attempt).unwrap_or_default(),
            run_at: self.run_at.into(),
            last_error: self.last_error.clone(),
        })
    }
}
