//! Saved cards, as they are read.

use berth_jobs::ids::CustomerId;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;

use super::{Store, StoreError, sweeps::Cursor};
use crate::{domain::card, effects::CustomerContact};

/// A card that a customer has saved at Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedCard {
    /// Stripe's id: `pm_…`.
    pub id: String,
    /// Whose.
    pub customer_id: CustomerId,
    /// `visa` …
    pub brand: Option<String>,
    /// The last four digits.
    pub last4: Option<String>,
    /// 1 to 12.
    pub exp_month: Option<i16>,
    /// Four digits.
    pub exp_year: Option<i16>,
    /// The end of its last month.
    pub expires_at: Timestamp,
    /// When it was saved.
    pub saved_at: Timestamp,
    /// Since when it is the one that is charged; `None` where another one is.
    pub default_since: Option<Timestamp>,
}

/// A card that is charged and that expires.
#[derive(Clone, Debug)]
pub struct ExpiringCard {
    /// Which.
    pub card: SavedCard,
    /// Whose.
    pub customer: CustomerContact,
    /// What they were told of cards before, by the keys of those mails.
    pub told: Vec<String>,
}

impl SavedCard {
    /// As its holder knows it: `Visa ending in 4242`.
    #[must_use]
    pub fn shown(&self) -> String {
        card::shown(self.brand.as_deref(), self.last4.as_deref())
    }
}

impl Store {
    /// A customer's cards, the one that is charged first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cards_of(&self, customer: CustomerId) -> Result<Vec<SavedCard>, StoreError> {
        let rows = sqlx::query!(
            "select id, brand, last4, exp_month, exp_year, expires_at, saved_at, default_since
             from berth.cards
             where customer_id = $1 and removed_at is null
             order by default_since nulls last, saved_at desc, id",
            customer.0,
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.into_iter().map(|row| SavedCard {
            id: row.id,
            customer_id: customer,
            brand: row.brand,
            last4: row.last4,
            exp_month: row.exp_month,
            exp_year: row.exp_year,
            expires_at: row.expires_at.to_jiff(),
            saved_at: row.saved_at.to_jiff(),
            default_since: row.default_since.map(|at| at.to_jiff()),
        });
        Ok(read.collect())
    }

    /// The card that is charged for a customer.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn card_to_charge(&self, customer: CustomerId) -> Result<Option<SavedCard>, StoreError> {
        Ok(self.cards_of(customer).await?.into_iter().find(|card| card.default_since.is_some()))
    }

    /// As [`card_to_charge`](Self::card_to_charge), where something is renewed by itself that it may be charged for.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn card_that_renews(&self, customer: CustomerId) -> Result<Option<SavedCard>, StoreError> {
        let renews = sqlx::query_scalar!(
            r#"select exists (
                   select
                   from berth.hosting_accounts a
                   where a.customer_id = $1 and a.auto_renew and a.cancel_at is null and a.ending is null
                     and a.phase in ('active', 'grace', 'suspending', 'suspended', 'unsuspending', 'changing')
               ) as "renews!""#,
            customer.0,
        )
        .fetch_one(&self.pool)
        .await?;
        if renews { self.card_to_charge(customer).await } else { Ok(None) }
    }

    /// Whose a card is, or was before it was removed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn owner_of_card(&self, card: &str) -> Result<Option<CustomerId>, StoreError> {
        let owner = sqlx::query_scalar!("select customer_id from berth.cards where id = $1", card)
            .fetch_optional(&self.pool)
            .await?;
        Ok(owner.map(CustomerId))
    }

    /// Whether a card is known and was not removed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn has_card(&self, card: &str) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"select exists (select from berth.cards where id = $1 and removed_at is null) as "has!""#,
            card,
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// The customer whom Stripe knows under that id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer_at_stripe(&self, stripe_id: &str) -> Result<Option<CustomerId>, StoreError> {
        let id = sqlx::query_scalar!("select id from berth.customers where stripe_customer_id = $1", stripe_id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(id.map(CustomerId))
    }

    /// Cards that are charged for something that is renewed by itself and that expire after `from` and by `until`, with
    /// what was told of each; by when they expire and by customer, after a cursor.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn expiring_cards(
        &self,
        from: Timestamp,
        until: Timestamp,
        after: Cursor,
        limit: i64,
    ) -> Result<Vec<ExpiringCard>, StoreError> {
        let rows = sqlx::query!(
            r#"select k.id, k.customer_id, k.brand, k.last4, k.exp_month, k.exp_year, k.expires_at, k.saved_at,
                      k.default_since, c.email, c.name,
                      array(
                          select m.dedupe_key
                          from berth.mails m
                          where m.about = k.customer_id and m.kind = 'card_expiring'
                      ) as "told!"
               from berth.cards k
               join berth.customers c on c.id = k.customer_id
               where k.default_since is not null and k.expires_at > $1 and k.expires_at <= $2
                 and (k.expires_at, k.customer_id) > ($3, $4)
                 and exists (
                     select
                     from berth.hosting_accounts a
                     where a.customer_id = k.customer_id and a.auto_renew and a.cancel_at is null and a.ending is null
                       and a.phase in ('active', 'grace', 'suspending', 'suspended', 'unsuspending', 'changing')
                 )
               order by k.expires_at, k.customer_id
               limit $5"#,
            from.to_sqlx(),
            until.to_sqlx(),
            after.at.to_sqlx(),
            after.id,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.into_iter().map(|row| {
            let id = CustomerId(row.customer_id);
            ExpiringCard {
                card: SavedCard {
                    id: row.id,
                    customer_id: id,
                    brand: row.brand,
                    last4: row.last4,
                    exp_month: row.exp_month,
                    exp_year: row.exp_year,
                    expires_at: row.expires_at.to_jiff(),
                    saved_at: row.saved_at.to_jiff(),
                    default_since: row.default_since.map(|at| at.to_jiff()),
                },
                customer: CustomerContact { id, email: row.email, name: row.name },
                told: row.told,
            }
        });
        Ok(read.collect())
    }

    /// How many live accounts of a customer are renewed by themselves.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn renewed_by_themselves(&self, customer: CustomerId) -> Result<i64, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"select count(*) as "accounts!"
               from berth.hosting_accounts
               where customer_id = $1 and auto_renew and cancel_at is null and ending is null
                 and phase in ('active', 'grace', 'suspending', 'suspended', 'unsuspending', 'changing')"#,
            customer.0,
        )
        .fetch_one(&self.pool)
        .await?)
    }
}
