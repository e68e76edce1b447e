//! Carts: compared at the version that was read, under their rows' locks, and written line by line.
//!
//! A group rarely holds more than a few carts, and an edit depends on the one before it, so edits are a statement each.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use std::collections::{BTreeMap, BTreeSet};

use berth_jobs::ids::CustomerId;
use jiff_sqlx::ToSqlx;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Applied, UnitEffects, Why, customers, gather, standing};
use crate::effects::{CartChange, CartEdit, CartLine, Guard, MOST_CART_LINES, MOST_OF_A_LINE};

/// Compares and writes all carts of the group. All of them are locked first, by one statement.
pub(super) async fn write(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let mut changes = standing(units, applied, |e| &e.cart_changes);
    let cleared = standing(units, applied, |e| &e.cleared_carts);
    let guards: Vec<(usize, CustomerId, i32)> = gather(units, |e| &e.guards)
        .into_iter()
        .filter_map(|(unit, guard)| match guard {
            Guard::Cart(customer, version) => Some((unit, *customer, *version)),
            Guard::Order(..) | Guard::Account(..) => None,
        })
        .collect();
    let mut wanted: BTreeSet<Uuid> = guards.iter().map(|(_, customer, _)| customer.0).collect();
    wanted.extend(changes.iter().map(|(_, change)| change.customer.id.0));
    wanted.extend(cleared.iter().map(|(_, (customer, _))| customer.0));
    if wanted.is_empty() {
        return Ok(());
    }
    let versions = lock(db, wanted).await?;
    for (unit, customer, version) in guards {
        if at(&versions, customer) != version {
            applied.refuse(unit, name(customer), Why::CartChanged);
        }
    }
    changes.sort_by_key(|(_, change)| change.customer.id);
    step(db, &versions, &changes, applied).await?;
    for (unit, change) in &changes {
        for edit in &change.edits {
            if applied.is_refused(*unit) {
                break;
            }
            if let Some(why) = make(db, change.customer.id, edit).await? {
                applied.refuse(*unit, name(change.customer.id), why);
            }
        }
    }
    let unchanged = cleared.into_iter().filter(|(_, (customer, version))| at(&versions, *customer) == *version);
    clear(db, unchanged.map(|(_, (customer, _))| customer.0).collect()).await
}

fn name(customer: CustomerId) -> String {
    format!("the cart of {customer}")
}

/// The version that a cart is at; 0 where there is none.
fn at(versions: &BTreeMap<Uuid, i32>, customer: CustomerId) -> i32 {
    versions.get(&customer.0).copied().unwrap_or(0)
}

async fn lock(db: &mut PgConnection, customers: BTreeSet<Uuid>) -> Result<BTreeMap<Uuid, i32>, sqlx::Error> {
    let customers: Vec<Uuid> = customers.into_iter().collect();
    let rows = sqlx::query!(
        "select customer_id, version
         from berth.carts
         where customer_id = any ($1)
         order by customer_id
         for no key update",
        &customers,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.customer_id, row.version)).collect())
}

/// Brings the carts to their next versions. A cart that somebody else makes at the same moment has changed.
async fn step(
    db: &mut PgConnection,
    versions: &BTreeMap<Uuid, i32>,
    changes: &[(usize, &CartChange)],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let (known, new): (Vec<_>, Vec<_>) = changes
        .iter()
        .filter(|(_, change)| at(versions, change.customer.id) == change.version)
        .map(|(_, change)| (change.customer.id.0, change.currency))
        .partition(|(customer, _)| versions.contains_key(customer));
    let mut stepped: BTreeSet<Uuid> = known.iter().map(|(customer, _)| *customer).collect();
    if !known.is_empty() {
        sqlx::query!(
            "update berth.carts set version = version + 1, updated_at = berth.now() where customer_id = any ($1)",
            &known.into_iter().map(|(customer, _)| customer).collect::<Vec<_>>(),
        )
        .execute(&mut *db)
        .await?;
    }
    if !new.is_empty() {
        let made = sqlx::query_scalar!(
            "insert into berth.carts (customer_id, currency, updated_at)
             select n.customer_id, n.currency, berth.now()
             from unnest($1::uuid[], $2::text[]) n (customer_id, currency)
             join berth.customers c on c.id = n.customer_id and c.deleted_at is null
             order by n.customer_id
             on conflict do nothing
             returning customer_id",
            &new.iter().map(|(customer, _)| *customer).collect::<Vec<_>>(),
            &new.iter().map(|(_, currency)| currency.code().to_owned()).collect::<Vec<_>>(),
        )
        .fetch_all(&mut *db)
        .await?;
        stepped.extend(made);
    }
    for (unit, change) in changes {
        let customer = change.customer.id;
        if !stepped.contains(&customer.0) {
            let gone = customers::is_deleted(db, customer).await?;
            applied.refuse(*unit, name(customer), if gone { Why::CustomerDeleted } else { Why::CartChanged });
        }
    }
    Ok(())
}

/// Makes one edit; answers why it cannot be made.
async fn make(db: &mut PgConnection, customer: CustomerId, edit: &CartEdit) -> Result<Option<Why>, sqlx::Error> {
    match edit {
        CartEdit::Add(line) => add(db, customer, line).await,
        CartEdit::Put(line) => put(db, customer, line).await,
        CartEdit::Remove(line) => {
            sqlx::query!("delete from berth.cart_items where customer_id = $1 and id = $2", customer.0, line.0)
                .execute(db)
                .await?;
            Ok(None)
        }
        CartEdit::SetCoupon(code) => {
            let code = code.as_ref().map(|code| code.to_uppercase());
            sqlx::query!("update berth.carts set coupon_code = $2 where customer_id = $1", customer.0, code)
                .execute(db)
                .await?;
            Ok(None)
        }
        CartEdit::SetCurrency(currency) => {
            sqlx::query!("update berth.carts set currency = $2 where customer_id = $1", customer.0, currency.code())
                .execute(db)
                .await?;
            Ok(None)
        }
        CartEdit::Clear => {
            empty(db, &[customer.0]).await?;
            Ok(None)
        }
    }
}

fn quantity_of(line: &CartLine) -> i32 {
    // More than fits is more than is allowed, which the statement says.
    i32::try_from(line.quantity).unwrap_or(i32::MAX)
}

fn most(bound: u32) -> i32 {
    i32::try_from(bound).unwrap_or(i32::MAX)
}

async fn add(db: &mut PgConnection, customer: CustomerId, line: &CartLine) -> Result<Option<Why>, sqlx::Error> {
    let price = line.price_override.as_ref();
    let written = sqlx::query_file!(
        "src/store/queries/add_cart_item.sql",
        line.id.0,
        customer.0,
        line.line_key,
        line.service_id,
        quantity_of(line),
        &line.addon_ids,
        line.configuration,
        line.domain,
        price.map(|o| o.price.amount()),
        price.map(|o| o.price.currency().code()),
        price.map(|o| o.by.clone()),
        price.map(|o| o.reason.clone()),
        price.map(|o| o.until.to_sqlx()) as Option<jiff_sqlx::Timestamp>,
        most(MOST_OF_A_LINE),
        i64::from(MOST_CART_LINES),
    )
    .execute(db)
    .await?
    .rows_affected();
    Ok((written == 0).then_some(Why::CartFull))
}

async fn put(db: &mut PgConnection, customer: CustomerId, line: &CartLine) -> Result<Option<Why>, sqlx::Error> {
    if line.quantity > MOST_OF_A_LINE {
        return Ok(Some(Why::CartFull));
    }
    let price = line.price_override.as_ref();
    let written = sqlx::query_file!(
        "src/store/queries/put_cart_item.sql",
        line.id.0,
        customer.0,
        line.line_key,
        line.service_id,
        quantity_of(line),
        &line.addon_ids,
        line.configuration,
        line.domain,
        price.map(|o| o.price.amount()),
        price.map(|o| o.price.currency().code()),
        price.map(|o| o.by.clone()),
        price.map(|o| o.reason.clone()),
        price.map(|o| o.until.to_sqlx()) as Option<jiff_sqlx::Timestamp>,
    )
    .execute(db)
    .await?
    .rows_affected();
    Ok((written == 0).then_some(Why::CartChanged))
}

/// Empties carts that are where their orders were made from.
async fn clear(db: &mut PgConnection, customers: Vec<Uuid>) -> Result<(), sqlx::Error> {
    if customers.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update berth.carts set version = version + 1, updated_at = berth.now() where customer_id = any ($1)",
        &customers,
    )
    .execute(&mut *db)
    .await?;
    empty(db, &customers).await
}

async fn empty(db: &mut PgConnection, customers: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from berth.cart_items where customer_id = any ($1)", customers).execute(&mut *db).await?;
    sqlx::query!("update berth.carts set coupon_code = null where customer_id = any ($1)", customers)
        .execute(db)
        .await?;
    Ok(())
}
