//! Changes of what accounts are, as they are read.

use berth_jobs::ids::{AccountId, OrderId, PlanChangeId};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::{
    account::NewPackage,
    money::{Currency, Money},
};

/// A change of what an account is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanChange {
    /// Which.
    pub id: PlanChangeId,
    /// Of which account.
    pub account_id: AccountId,
    /// What pays for it; `None` where nothing is to be paid.
    pub order_id: Option<OrderId>,
    /// When it was agreed.
    pub agreed_at: Timestamp,
    /// The service that the account was.
    pub from_service_id: String,
    /// What it is to become.
    pub to: NewPackage,
    /// The end of the period that it was agreed for.
    pub period_until: Timestamp,
    /// What the days left cost from then on.
    pub cost: Money,
    /// What they were worth before.
    pub worth: Money,
    /// Whether the account was changed by another one since it was agreed.
    pub overtaken: bool,
}

struct Row {
    id: Uuid,
    account_id: Uuid,
    order_id: Option<Uuid>,
    agreed_at: jiff_sqlx::Timestamp,
    from_service_id: String,
    service_id: String,
    service_name: String,
    plan_name: String,
    package: String,
    configuration: Value,
    addons: Value,
    renewal_price: Option<Decimal>,
    period_until: jiff_sqlx::Timestamp,
    currency: String,
    cost: Decimal,
    worth: Decimal,
    overtaken: bool,
}

impl Row {
    fn read(self) -> Result<PlanChange, StoreError> {
        let id = PlanChangeId(self.id);
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(id.to_string(), why);
        let currency: Currency = self.currency.parse().map_err(|error| unreadable(&error))?;
        let money = |amount| Money::new(amount, currency).map_err(|error| unreadable(&error));
        Ok(PlanChange {
            id,
            account_id: AccountId(self.account_id),
            order_id: self.order_id.map(OrderId),
            agreed_at: self.agreed_at.to_jiff(),
            from_service_id: self.from_service_id,
            to: NewPackage {
                service_id: self.service_id,
                service_name: self.service_name,
                plan_name: self.plan_name,
                package: self.package,
                configuration: self.configuration,
                addons: self.addons,
                renewal_price: self.renewal_price,
            },
            period_until: self.period_until.to_jiff(),
            cost: money(self.cost)?,
            worth: money(self.worth)?,
            overtaken: self.overtaken,
        })
    }
}

impl Store {
    /// The change of an account that is to be made now: the one that was begun, or else the one that is paid or costs nothing,
    /// the earliest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn change_to_make(&self, account: AccountId) -> Result<Option<PlanChange>, StoreError> {
        let row = sqlx::query_file_as!(Row, "src/store/queries/plan_changes.sql", account.0, true, None::<Uuid>)
            .fetch_optional(&self.pool)
            .await?;
        row.map(Row::read).transpose()
    }

    /// The change of an account that is open: agreed, and neither made nor given up.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn open_change(&self, account: AccountId) -> Result<Option<PlanChange>, StoreError> {
        let row = sqlx::query_file_as!(Row, "src/store/queries/plan_changes.sql", account.0, false, None::<Uuid>)
            .fetch_optional(&self.pool)
            .await?;
        row.map(Row::read).transpose()
    }

    /// The change that an order pays for, whatever has become of it.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn change_of_order(&self, account: AccountId, order: OrderId) -> Result<PlanChange, StoreError> {
        let row = sqlx::query_file_as!(Row, "src/store/queries/plan_changes.sql", account.0, false, Some(order.0))
            .fetch_optional(&self.pool)
            .await?;
        row.ok_or_else(|| StoreError::Missing(format!("change of {order}")))?.read()
    }
}
