//! Accounts as their timetables see them: those whose turn to be looked at has come, with all that says what is due.

use berth_jobs::ids::{AccountId, CustomerId, OrderId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Store, StoreError, accounts::standing_from, sweeps::Cursor};
use crate::{
    domain::{
        account::AccountState,
        money::{Currency, Money},
        renewal::RenewalState,
        timetable::{AccountFacts, CardFacts, LastCharge, RenewalFacts, TimetableChanges, Told},
    },
    effects::CustomerContact,
};

/// An account whose turn has come.
#[derive(Clone, Debug)]
pub struct AgendaEntry {
    /// Which, where it stands, and at which version.
    pub state: AccountState,
    /// Whose it is.
    pub customer: CustomerContact,
    /// The catalogue's id of the service.
    pub service_id: String,
    /// The name at the time of the sale.
    pub service_name: String,
    /// The name of its site, where it has one of its own.
    pub domain: Option<String>,
    /// Its login on the panel.
    pub username: Option<String>,
    /// What its periods count from.
    pub anchor: Timestamp,
    /// What its timetable has otherwise than its plan's.
    pub timetable: TimetableChanges,
    /// What says what is due.
    pub facts: AccountFacts,
    /// The renewal of the period that begins with the end of what is paid for, if there is one.
    pub renewal: Option<AgendaRenewal>,
    /// The card that is charged, if one is saved.
    pub card: Option<AgendaCard>,
    /// When it is looked at.
    pub look_at: Timestamp,
    /// Raised by everything that happens to it.
    pub turn: i64,
}

/// A renewal, as far as its customer is told of it.
#[derive(Clone, Debug)]
pub struct AgendaRenewal {
    /// Its order, where it stands, and at which version.
    pub state: RenewalState,
    /// What it costs.
    pub total: Money,
    /// How much of that is paid from the credit.
    pub credit: Money,
    /// Until when the account is paid for by it.
    pub period_end: Timestamp,
}

/// A card, as far as its customer is told of it.
#[derive(Clone, Debug)]
pub struct AgendaCard {
    /// Stripe's id.
    pub id: String,
    /// `visa` …
    pub brand: Option<String>,
    /// The last four digits.
    pub last4: Option<String>,
}

struct Row {
    id: Uuid,
    version: i32,
    phase: String,
    suspension_reasons: Vec<String>,
    ending: Option<String>,
    cancel_at: Option<jiff_sqlx::Timestamp>,
    billing_cycle: String,
    auto_renew: bool,
    exempt: bool,
    kept: bool,
    spared_until: Option<jiff_sqlx::Timestamp>,
    expires_at: jiff_sqlx::Timestamp,
    billing_anchor: jiff_sqlx::Timestamp,
    suspended_at: Option<jiff_sqlx::Timestamp>,
    terminated_at: Option<jiff_sqlx::Timestamp>,
    purged: bool,
    service_id: String,
    service_name: String,
    domain: Option<String>,
    username: Option<String>,
    timetable: Value,
    customer_id: Uuid,
    email: String,
    customer_name: Option<String>,
    trial_days: i32,
    frozen: bool,
    look_at: jiff_sqlx::Timestamp,
    turn: i64,
    order_id: Option<Uuid>,
    renewal_phase: Option<String>,
    renewal_version: Option<i32>,
    called_off: Option<bool>,
    issued_at: Option<jiff_sqlx::Timestamp>,
    attempts: Option<i32>,
    total: Option<Decimal>,
    credit: Option<Decimal>,
    currency: Option<String>,
    period_end: Option<jiff_sqlx::Timestamp>,
    invoice_accepted_at: Option<jiff_sqlx::Timestamp>,
    card_id: Option<String>,
    card_since: Option<jiff_sqlx::Timestamp>,
    card_expires_at: Option<jiff_sqlx::Timestamp>,
    card_brand: Option<String>,
    card_last4: Option<String>,
    last_charge_at: Option<jiff_sqlx::Timestamp>,
    last_charge_class: Option<String>,
    attempts_on_card: i64,
    told: Option<Vec<String>>,
    told_at: Option<Vec<Option<jiff_sqlx::Timestamp>>>,
}

impl Store {
    /// The accounts whose turn comes by `as_of`, after a cursor.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn agenda(&self, as_of: Timestamp, after: Cursor, limit: i64) -> Result<Vec<AgendaEntry>, StoreError> {
        let mut db = self.pool.begin_by_index().await?;
        let ids = sqlx::query_scalar!(
            "select account_id
             from berth.agenda
             where look_at <= $1 and (look_at, account_id) > ($2, $3)
             order by look_at, account_id
             limit $4",
            as_of.to_sqlx(),
            after.at.to_sqlx(),
            after.id,
            limit,
        )
        .fetch_all(&mut *db)
        .await?;
        let entries = entries(&mut db, &ids).await?;
        db.commit().await?;
        Ok(entries)
    }

    /// How many accounts' turns come by `as_of`, counted up to `most`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn agenda_size(&self, as_of: Timestamp, most: i64) -> Result<u64, StoreError> {
        let rows = sqlx::query_scalar!(
            r#"select count(*) as "rows!" from (select from berth.agenda where look_at <= $1 limit $2) a"#,
            as_of.to_sqlx(),
            most,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(u64::try_from(rows).unwrap_or_default())
    }

    /// One account as its timetable sees it; `None` before it was active.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn agenda_entry(&self, account: AccountId) -> Result<Option<AgendaEntry>, StoreError> {
        let read = async |ids: Vec<Uuid>| {
            let entries = self.agenda_of(&ids).await?;
            Ok(entries.into_iter().map(|entry| (entry.state.id.0, entry)).collect())
        };
        self.reads.agenda.load(account.0, read).await
    }

    /// Accounts as their timetables see them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn agenda_entries(&self, accounts: &[AccountId]) -> Result<Vec<AgendaEntry>, StoreError> {
        self.agenda_of(&accounts.iter().map(|id| id.0).collect::<Vec<_>>()).await
    }

    async fn agenda_of(&self, ids: &[Uuid]) -> Result<Vec<AgendaEntry>, StoreError> {
        let mut db = self.pool.begin_by_index().await?;
        let entries = entries(&mut db, ids).await?;
        db.commit().await?;
        Ok(entries)
    }
}

async fn entries(db: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<AgendaEntry>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_file_as!(Row, "src/store/queries/agenda.sql", ids).fetch_all(db).await?;
    rows.into_iter().map(Row::read).collect()
}

impl Row {
    fn read(self) -> Result<AgendaEntry, StoreError> {
        let id = AccountId(self.id);
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("the agenda of {id}"), why);
        let renewal = self.renewal(&unreadable)?;
        let facts = self.facts(&unreadable)?;
        let trial_days = u32::try_from(self.trial_days).map_err(|error| unreadable(&error))?;
        let (phase, cycle, standing) = (facts.phase, facts.cycle, facts.standing.clone());
        Ok(AgendaEntry {
            state: AccountState { id, phase, version: self.version, cycle, trial_days, standing },
            customer: CustomerContact { id: CustomerId(self.customer_id), email: self.email, name: self.customer_name },
            service_id: self.service_id,
            service_name: self.service_name,
            domain: self.domain,
            username: self.username,
            anchor: self.billing_anchor.to_jiff(),
            timetable: serde_json::from_value(self.timetable).map_err(|error| unreadable(&error))?,
            facts,
            renewal,
            card: self.card_id.map(|id| AgendaCard { id, brand: self.card_brand, last4: self.card_last4 }),
            look_at: self.look_at.to_jiff(),
            turn: self.turn,
        })
    }

    fn facts(&self, unreadable: &impl Fn(&dyn std::fmt::Display) -> StoreError) -> Result<AccountFacts, StoreError> {
        Ok(AccountFacts {
            phase: self.phase.parse().map_err(|error| unreadable(&error))?,
            standing: standing_from(&self.suspension_reasons, self.ending.as_deref(), self.cancel_at)
                .map_err(|error| unreadable(&error))?,
            cycle: self.billing_cycle.parse().map_err(|error| unreadable(&error))?,
            due_at: self.expires_at.to_jiff(),
            auto_renew: self.auto_renew,
            exempt: self.exempt,
            kept: self.kept,
            spared_until: self.spared_until.map(|at| at.to_jiff()),
            frozen: self.frozen,
            suspended_at: self.suspended_at.map(|at| at.to_jiff()),
            terminated_at: self.terminated_at.map(|at| at.to_jiff()),
            purged: self.purged,
            renewal: self.renewal_facts(unreadable)?,
            card: self
                .card_since
                .zip(self.card_expires_at)
                .map(|(since, expires_at)| CardFacts { since: since.to_jiff(), expires_at: expires_at.to_jiff() }),
            told: self.told(unreadable)?,
        })
    }

    fn renewal_facts(
        &self,
        unreadable: &impl Fn(&dyn std::fmt::Display) -> StoreError,
    ) -> Result<Option<RenewalFacts>, StoreError> {
        let (Some(phase), Some(issued_at), Some(attempts)) = (&self.renewal_phase, self.issued_at, self.attempts)
        else {
            return Ok(None);
        };
        let class =
            self.last_charge_class.as_deref().map(str::parse).transpose().map_err(|error| unreadable(&error))?;
        Ok(Some(RenewalFacts {
            phase: phase.parse().map_err(|error| unreadable(&error))?,
            issued_at: issued_at.to_jiff(),
            delivered_at: self.invoice_accepted_at.map(|at| at.to_jiff()),
            attempts: u32::try_from(attempts).map_err(|error| unreadable(&error))?,
            attempts_on_card: u32::try_from(self.attempts_on_card).map_err(|error| unreadable(&error))?,
            last_charge: self.last_charge_at.zip(class).map(|(at, class)| LastCharge { at: at.to_jiff(), class }),
        }))
    }

    fn told(&self, unreadable: &impl Fn(&dyn std::fmt::Display) -> StoreError) -> Result<Vec<Told>, StoreError> {
        let steps = self.told.iter().flatten();
        let delivered = self.told_at.iter().flatten();
        steps
            .zip(delivered)
            .map(|(step, at)| {
                let notice = step.parse().map_err(|error| unreadable(&error))?;
                Ok(Told { notice, delivered_at: at.map(|at| at.to_jiff()) })
            })
            .collect()
    }

    fn renewal(
        &self,
        unreadable: &impl Fn(&dyn std::fmt::Display) -> StoreError,
    ) -> Result<Option<AgendaRenewal>, StoreError> {
        let (Some(order_id), Some(phase), Some(version), Some(attempts), Some(called_off)) =
            (self.order_id, &self.renewal_phase, self.renewal_version, self.attempts, self.called_off)
        else {
            return Ok(None);
        };
        let (Some(total), Some(credit), Some(currency), Some(period_end)) =
            (self.total, self.credit, &self.currency, self.period_end)
        else {
            return Ok(None);
        };
        let currency: Currency = currency.parse().map_err(|error| unreadable(&error))?;
        let money = |amount| Money::new(amount, currency).map_err(|error| unreadable(&error));
        Ok(Some(AgendaRenewal {
            state: RenewalState {
                order_id: OrderId(order_id),
                phase: phase.parse().map_err(|error| unreadable(&error))?,
                version,
                attempts: u32::try_from(attempts).map_err(|error| unreadable(&error))?,
                called_off,
            },
            total: money(total)?,
            credit: money(credit)?,
            period_end: period_end.to_jiff(),
        }))
    }
}
