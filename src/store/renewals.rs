//! Renewals and their charges, as they are read.

use std::collections::HashMap;

use berth_jobs::ids::{AccountId, ChargeId, CustomerId, MailId, OrderId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::{
    domain::{
        decline::DeclineClass,
        money::{Currency, Money},
        order::{OrderPhase, OrderState},
        outdated::DeclinedCharge,
        proration::PaidPeriod,
        renewal::{RenewalPhase, RenewalState},
    },
    effects::NewCharge,
};

/// A renewal: one period of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Which, where it stands, and at which version.
    pub state: RenewalState,
    /// The account that it renews.
    pub account_id: AccountId,
    /// Whose.
    pub customer_id: CustomerId,
    /// The beginning of its period.
    pub period_start: Timestamp,
    /// The end of its period.
    pub period_end: Timestamp,
    /// Stripe's intent that all its charges confirm, once there is one.
    pub intent: Option<String>,
    /// The mail that brought its invoice.
    pub invoice_mail_id: MailId,
    /// When it was invoiced.
    pub issued_at: Timestamp,
}

/// A renewal that is not settled, with its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRenewal {
    /// Which, where it stands, and at which version.
    pub state: RenewalState,
    /// Its order, where that stands, and at which version.
    pub order: OrderState,
    /// The account that it renews.
    pub account_id: AccountId,
    /// Whose.
    pub customer_id: CustomerId,
    /// The beginning of its period.
    pub period_start: Timestamp,
    /// The end of its period.
    pub period_end: Timestamp,
    /// How much of its total is paid from the customer's credit.
    pub credit: Money,
    /// What is to be paid besides.
    pub due: Money,
    /// Whether it was ever to be paid on a page.
    pub has_page: bool,
}

/// An attempt to charge a saved card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Its id.
    pub id: ChargeId,
    /// The renewal's order.
    pub order_id: OrderId,
    /// Its number among the renewal's, from 1.
    pub attempt: u32,
    /// Stripe's id of the card.
    pub card_id: String,
    /// How it stands: `sent`, `in_doubt`, `succeeded`, `declined`, `needs_customer` or `not_made`.
    pub state: String,
    /// What was charged.
    pub amount: Money,
    /// Stripe's intent, once it is known.
    pub intent: Option<String>,
    /// How it was declined.
    pub decline: Option<DeclineClass>,
    /// Why, as Stripe's codes say.
    pub codes: DeclineCodes,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// How often Stripe was asked what became of it.
    pub lookups: u32,
}

/// Why a charge was declined, in Stripe's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeclineCodes {
    /// Mostly `card_declined`.
    pub code: Option<String>,
    /// The issuer's reason.
    pub decline_code: Option<String>,
    /// The card scheme's advice.
    pub advice_code: Option<String>,
}

impl Charge {
    /// Whether it may still be under way.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.answered_at.is_none()
    }
}

impl From<&NewCharge> for Charge {
    /// The charge as it is read once it is written.
    fn from(new: &NewCharge) -> Self {
        Self {
            id: new.id,
            order_id: new.order_id,
            attempt: new.attempt,
            card_id: new.card_id.clone(),
            state: "sent".to_owned(),
            amount: new.amount,
            intent: None,
            decline: None,
            codes: DeclineCodes::default(),
            sent_at: new.sent_at,
            answered_at: None,
            lookups: 0,
        }
    }
}

struct RenewalRow {
    order_id: Uuid,
    account_id: Uuid,
    customer_id: Uuid,
    period_start: jiff_sqlx::Timestamp,
    period_end: jiff_sqlx::Timestamp,
    phase: String,
    version: i32,
    attempts: i32,
    called_off: bool,
    stripe_payment_intent_id: Option<String>,
    invoice_mail_id: Uuid,
    issued_at: jiff_sqlx::Timestamp,
}

impl RenewalRow {
    fn read(self) -> Result<Renewal, StoreError> {
        let order_id = OrderId(self.order_id);
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("the renewal {order_id}"), why);
        let phase: RenewalPhase = self.phase.parse().map_err(|error| unreadable(&error))?;
        let attempts = u32::try_from(self.attempts).map_err(|error| unreadable(&error))?;
        Ok(Renewal {
            state: RenewalState { order_id, phase, version: self.version, attempts, called_off: self.called_off },
            account_id: AccountId(self.account_id),
            customer_id: CustomerId(self.customer_id),
            period_start: self.period_start.to_jiff(),
            period_end: self.period_end.to_jiff(),
            intent: self.stripe_payment_intent_id,
            invoice_mail_id: MailId(self.invoice_mail_id),
            issued_at: self.issued_at.to_jiff(),
        })
    }
}

struct ChargeRow {
    id: Uuid,
    order_id: Uuid,
    attempt: i32,
    card_id: String,
    state: String,
    currency: String,
    amount: Decimal,
    stripe_payment_intent_id: Option<String>,
    decline_class: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    advice_code: Option<String>,
    sent_at: jiff_sqlx::Timestamp,
    answered_at: Option<jiff_sqlx::Timestamp>,
    lookups: i32,
}

impl ChargeRow {
    fn read(self) -> Result<Charge, StoreError> {
        let id = ChargeId(self.id);
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("charge {id}"), why);
        let currency: Currency = self.currency.parse().map_err(|error| unreadable(&error))?;
        Ok(Charge {
            id,
            order_id: OrderId(self.order_id),
            attempt: u32::try_from(self.attempt).map_err(|error| unreadable(&error))?,
            card_id: self.card_id,
            state: self.state,
            amount: Money::new(self.amount, currency).map_err(|error| unreadable(&error))?,
            intent: self.stripe_payment_intent_id,
            decline: self.decline_class.as_deref().map(str::parse).transpose().map_err(|error| unreadable(&error))?,
            codes: DeclineCodes { code: self.code, decline_code: self.decline_code, advice_code: self.advice_code },
            sent_at: self.sent_at.to_jiff(),
            answered_at: self.answered_at.map(|at| at.to_jiff()),
            lookups: u32::try_from(self.lookups).map_err(|error| unreadable(&error))?,
        })
    }
}

struct OpenRow {
    account_id: Uuid,
    customer_id: Uuid,
    period_start: jiff_sqlx::Timestamp,
    period_end: jiff_sqlx::Timestamp,
    order_id: Uuid,
    phase: String,
    version: i32,
    attempts: i32,
    called_off: bool,
    order_phase: String,
    order_version: i32,
    currency: String,
    total: Decimal,
    credit: Decimal,
    has_page: bool,
}

impl OpenRow {
    fn read(self) -> Result<OpenRenewal, StoreError> {
        let order_id = OrderId(self.order_id);
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("the renewal {order_id}"), why);
        let phase: RenewalPhase = self.phase.parse().map_err(|error| unreadable(&error))?;
        let order_phase: OrderPhase = self.order_phase.parse().map_err(|error| unreadable(&error))?;
        let attempts = u32::try_from(self.attempts).map_err(|error| unreadable(&error))?;
        let currency: Currency = self.currency.parse().map_err(|error| unreadable(&error))?;
        let money = |amount| Money::new(amount, currency).map_err(|error| unreadable(&error));
        let (credit, total) = (money(self.credit)?, money(self.total)?);
        Ok(OpenRenewal {
            state: RenewalState { order_id, phase, version: self.version, attempts, called_off: self.called_off },
            order: OrderState { id: order_id, phase: order_phase, version: self.order_version },
            account_id: AccountId(self.account_id),
            customer_id: CustomerId(self.customer_id),
            period_start: self.period_start.to_jiff(),
            period_end: self.period_end.to_jiff(),
            credit,
            due: total.checked_sub(credit).map_err(|error| unreadable(&error))?,
            has_page: self.has_page,
        })
    }
}

impl Store {
    /// The renewals of accounts that are not settled, each with its order, the earliest period first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unsettled_renewals(&self, accounts: &[AccountId]) -> Result<Vec<OpenRenewal>, StoreError> {
        let rows = sqlx::query_as!(
            OpenRow,
            r#"select r.account_id, r.customer_id, r.period_start, r.period_end, r.order_id, r.phase, r.version,
                      r.attempts, r.called_off, o.phase as order_phase, o.version as order_version,
                      o.currency as "currency!: String", o.total, o.credit,
                      o.stripe_session_id is not null as "has_page!"
               from berth.renewals r
               join berth.orders o on o.id = r.order_id
               where r.account_id = any ($1) and r.settled_at is null
               order by r.account_id, r.period_start, r.order_id"#,
            &accounts.iter().map(|id| id.0).collect::<Vec<_>>(),
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(OpenRow::read).collect()
    }

    /// The period that an account is paid for and that is not over, with what was paid for it; `None` where there is none.
    /// What was paid once, for the set-up, is no part of it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn paid_period(&self, account: AccountId) -> Result<Option<PaidPeriod>, StoreError> {
        let row = sqlx::query_file!("src/store/queries/paid_period.sql", account.0).fetch_optional(&self.pool).await?;
        let unreadable =
            |why: &dyn std::fmt::Display| StoreError::unreadable(format!("the paid period of {account}"), why);
        let Some(row) = row else { return Ok(None) };
        let currency: Currency = row.currency.parse().map_err(|error| unreadable(&error))?;
        let paid =
            Money::new(row.paid.trunc_with_scale(currency.scale()), currency).map_err(|error| unreadable(&error))?;
        Ok(Some(PaidPeriod { from: row.from_at.to_jiff(), until: row.until_at.to_jiff(), paid }))
    }

    /// A renewal, by its order.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn renewal(&self, order: OrderId) -> Result<Renewal, StoreError> {
        let row = sqlx::query_as!(
            RenewalRow,
            "select order_id, account_id, customer_id, period_start, period_end, phase, version, attempts, called_off,
                    stripe_payment_intent_id, invoice_mail_id, issued_at
             from berth.renewals
             where order_id = $1",
            order.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        row.ok_or_else(|| StoreError::Missing(format!("renewal {order}")))?.read()
    }

    /// The renewal of an account from that time on: the one that is paid or can be, else the latest that was called off. `None` where
    /// the period was never issued.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn renewal_of_period(
        &self,
        account: AccountId,
        period_start: Timestamp,
    ) -> Result<Option<OrderId>, StoreError> {
        let order = sqlx::query_scalar!(
            "select order_id
             from berth.renewals
             where account_id = $1 and period_start = $2
             order by phase in ('void', 'abandoned', 'returned'), issued_at desc
             limit 1",
            account.0,
            period_start.to_sqlx(),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(order.map(OrderId))
    }

    /// A charge that was declined, and what came after it.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn declined_charge(&self, charge: ChargeId) -> Result<DeclinedCharge, StoreError> {
        let row = self.reads.declines.load(charge.0, |ids| self.declined_charges(ids)).await?;
        row.ok_or_else(|| StoreError::Missing(format!("charge {charge}")))
    }

    async fn declined_charges(&self, ids: Vec<Uuid>) -> Result<HashMap<Uuid, DeclinedCharge>, StoreError> {
        let rows = sqlx::query!(
            r#"select c.id, r.phase, r.called_off,
                      exists (
                          select
                          from berth.charges l
                          where l.order_id = c.order_id and l.attempt > c.attempt and l.decline_class is not null
                      ) as "tried_again!"
               from berth.charges c
               join berth.renewals r on r.order_id = c.order_id
               where c.id = any ($1)"#,
            &ids,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let phase = row.phase.parse();
                let renewal = phase.map_err(|error| StoreError::unreadable(format!("charge {}", row.id), error))?;
                Ok((row.id, DeclinedCharge { renewal, called_off: row.called_off, tried_again: row.tried_again }))
            })
            .collect()
    }

    /// A renewal's charges, the first one first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn charges_of(&self, order: OrderId) -> Result<Vec<Charge>, StoreError> {
        let rows = sqlx::query_as!(
            ChargeRow,
            r#"select id, order_id, attempt, card_id, state, currency as "currency!: String", amount,
                      stripe_payment_intent_id, decline_class, code, decline_code, advice_code, sent_at, answered_at,
                      lookups
               from berth.charges
               where order_id = $1
               order by attempt"#,
            order.0,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(ChargeRow::read).collect()
    }
}
