//! Saved cards: those that Stripe says there are, and which of them is charged. Rare: a few statements each.
//!
//! Whoever writes a customer's cards locks the customer first, so that one card at a time becomes the one that is charged.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Applied, UnitEffects, Why, standing};
use crate::effects::{CardChoice, CardsNews, Fact};

/// Writes what was learnt of cards, where a transaction locks customers.
pub(super) async fn learn(db: &mut PgConnection, facts: &[(usize, &Fact)]) -> Result<(), sqlx::Error> {
    for (_, fact) in facts {
        let Fact::CardsKnown(news) = fact else { continue };
        if !is_here(db, news.customer_id.0).await? {
            continue;
        }
        replace(db, news).await?;
        choose(db, news.customer_id.0, news.chosen.as_deref(), news.at).await?;
    }
    Ok(())
}

/// Writes what customers do to their cards.
pub(super) async fn change(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    for (unit, change) in standing(units, applied, |e| &e.card_changes) {
        let customer = change.customer_id.0;
        let possible = is_here(db, customer).await?
            && match change.choice {
                CardChoice::Charged => has(db, customer, &change.card_id).await?,
                CardChoice::Removed => remove(db, customer, &change.card_id, change.at).await?,
            };
        if !possible {
            applied.refuse(unit, format!("the card {}", change.card_id), Why::RowChanged);
            continue;
        }
        let chosen = match change.choice {
            CardChoice::Charged => Some(change.card_id.as_str()),
            CardChoice::Removed => None,
        };
        choose(db, customer, chosen, change.at).await?;
    }
    Ok(())
}

/// Locks the customer; false for one who was forgotten.
async fn is_here(db: &mut PgConnection, customer: Uuid) -> Result<bool, sqlx::Error> {
    let found = sqlx::query_scalar!(
        r#"select deleted_at is null as "here!" from berth.customers where id = $1 for no key update"#,
        customer,
    )
    .fetch_optional(db)
    .await?;
    Ok(found == Some(true))
}

/// A card whose data have changed is as good as a new one. One that was removed never comes back: Stripe gives no card that
/// was taken away to anybody again.
async fn replace(db: &mut PgConnection, news: &CardsNews) -> Result<(), sqlx::Error> {
    let cards = &news.cards;
    sqlx::query!(
        "with known as materialized (
             select *
             from unnest(
                 $2::text[], $3::text[], $4::text[], $5::smallint[], $6::smallint[], $7::timestamptz[], $8::timestamptz[]
             ) k (id, brand, last4, exp_month, exp_year, expires_at, saved_at)
         ),
         gone as (
             update berth.cards c
             set removed_at = $9, default_since = null
             where c.customer_id = $1 and c.removed_at is null
               and not exists (select from known k where k.id = c.id)
         )
         insert into berth.cards (id, customer_id, brand, last4, exp_month, exp_year, expires_at, saved_at)
         select k.id, $1, k.brand, k.last4, k.exp_month, k.exp_year, k.expires_at, k.saved_at
         from known k
         order by k.id
         on conflict (id) do update
         set brand = excluded.brand, last4 = excluded.last4, exp_month = excluded.exp_month,
             exp_year = excluded.exp_year, expires_at = excluded.expires_at,
             default_since = case
                 when cards.default_since is null then null
                 when (cards.last4, cards.expires_at) is distinct from (excluded.last4, excluded.expires_at) then $9
                 else cards.default_since
             end
         where cards.customer_id = excluded.customer_id and cards.removed_at is null",
        news.customer_id.0,
        &cards.iter().map(|card| card.id.clone()).collect::<Vec<_>>(),
        &cards.iter().map(|card| card.brand.clone()).collect::<Vec<_>>() as &[Option<String>],
        &cards.iter().map(|card| card.last4.clone()).collect::<Vec<_>>() as &[Option<String>],
        &cards.iter().map(|card| card.exp_month).collect::<Vec<_>>() as &[Option<i16>],
        &cards.iter().map(|card| card.exp_year).collect::<Vec<_>>() as &[Option<i16>],
        &cards.iter().map(|card| card.expires_at.to_sqlx()).collect::<Vec<_>>(),
        &cards.iter().map(|card| card.saved_at.to_sqlx()).collect::<Vec<_>>(),
        news.at.to_sqlx() as jiff_sqlx::Timestamp,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Which card is charged: the chosen one, or the one that is; where there is none, or it has expired, the one saved last.
async fn choose(db: &mut PgConnection, customer: Uuid, chosen: Option<&str>, at: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update berth.cards c
         set default_since = null
         where c.customer_id = $1 and c.default_since is not null
           and exists (
               select
               from berth.cards o
               where o.customer_id = $1 and o.removed_at is null and o.id <> c.id
                 and (o.id = $2 or c.expires_at <= $3 and o.expires_at > $3)
           )",
        customer,
        chosen,
        at.to_sqlx() as jiff_sqlx::Timestamp,
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "update berth.cards
         set default_since = $3
         where id = (
                 select id
                 from berth.cards
                 where customer_id = $1 and removed_at is null
                 order by id is not distinct from $2 desc, expires_at > $3 desc, saved_at desc, id
                 limit 1
             )
           and not exists (select from berth.cards where customer_id = $1 and default_since is not null)",
        customer,
        chosen,
        at.to_sqlx() as jiff_sqlx::Timestamp,
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn has(db: &mut PgConnection, customer: Uuid, card: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (
               select from berth.cards where id = $2 and customer_id = $1 and removed_at is null
           ) as "has!""#,
        customer,
        card,
    )
    .fetch_one(db)
    .await
}

async fn remove(db: &mut PgConnection, customer: Uuid, card: &str, at: Timestamp) -> Result<bool, sqlx::Error> {
    let removed = sqlx::query!(
        "update berth.cards
         set removed_at = $3, default_since = null
         where id = $2 and customer_id = $1 and removed_at is null",
        customer,
        card,
        at.to_sqlx() as jiff_sqlx::Timestamp,
    )
    .execute(db)
    .await?;
    Ok(removed.rows_affected() > 0)
}
