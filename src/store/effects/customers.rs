//! Customers: made when they first do something, described by themselves, and forgotten when they ask for it.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use std::collections::BTreeMap;

use berth_jobs::ids::CustomerId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Applied, UnitEffects, Why, gather, standing};
use crate::effects::CustomerContact;

/// Has a row for everybody whom the effects name, and writes what they say of themselves. Rows by id: this is where a
/// transaction locks customers.
pub(super) async fn write(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    know(db, units).await?;
    describe(db, units, applied).await?;
    forget(db, units, applied).await
}

/// The token names the address; the name that it brings is only used until the customer gives one.
async fn know(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let mut contacts: BTreeMap<Uuid, &CustomerContact> = BTreeMap::new();
    contacts
        .extend(gather(units, |e| &e.new_orders).into_iter().map(|(_, order)| (order.customer.id.0, &order.customer)));
    contacts
        .extend(gather(units, |e| &e.cart_changes).into_iter().map(|(_, cart)| (cart.customer.id.0, &cart.customer)));
    contacts.extend(gather(units, |e| &e.profiles).into_iter().map(|(_, it)| (it.customer.id.0, &it.customer)));
    if contacts.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into berth.customers (id, email, name)
         select n.id, n.email, n.name
         from unnest($1::uuid[], $2::text[], $3::text[]) n (id, email, name)
         order by n.id
         on conflict (id) do update
         set email = excluded.email, name = coalesce(customers.name, excluded.name), updated_at = now()
         where customers.deleted_at is null
           and (customers.email, customers.name) is distinct from
               (excluded.email, coalesce(customers.name, excluded.name))",
        &contacts.keys().copied().collect::<Vec<_>>(),
        &contacts.values().map(|contact| contact.email.clone()).collect::<Vec<_>>(),
        &contacts.values().map(|contact| contact.name.clone()).collect::<Vec<_>>() as &[Option<String>],
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn describe(db: &mut PgConnection, units: &[UnitEffects<'_>], applied: &mut Applied) -> Result<(), sqlx::Error> {
    // Their rows are locked already; people describe themselves one at a time.
    for (unit, profile) in standing(units, applied, |e| &e.profiles) {
        let written = sqlx::query!(
            "update berth.customers
             set name = $2, company = $3, country = $4, address = $5, vat_id = $6, updated_at = now()
             where id = $1 and deleted_at is null",
            profile.customer.id.0,
            profile.customer.name,
            profile.company,
            profile.country,
            profile.address,
            profile.vat_id,
        )
        .execute(&mut *db)
        .await?
        .rows_affected();
        if written == 0 {
            applied.refuse(unit, name(profile.customer.id), Why::CustomerDeleted);
        }
    }
    Ok(())
}

/// Their orders were locked before. With the customer's row locked no order of theirs can be made any more, so what the
/// next statement sees stays true.
async fn forget(db: &mut PgConnection, units: &[UnitEffects<'_>], applied: &mut Applied) -> Result<(), sqlx::Error> {
    let customers = standing(units, applied, |e| &e.anonymised);
    if customers.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = customers.iter().map(|(_, id)| id.0).collect();
    sqlx::query!("select id from berth.customers where id = any ($1) order by id for no key update", &ids)
        .fetch_all(&mut *db)
        .await?;
    for (unit, customer) in customers {
        let idle =
            sqlx::query_file_scalar!("src/store/queries/anonymise.sql", customer.0).fetch_optional(&mut *db).await?;
        match idle {
            Some(true) => {}
            Some(false) => applied.refuse(unit, name(*customer), Why::CustomerBusy),
            // Nobody of that id was ever here, or they were forgotten before: as wished.
            None => {}
        }
    }
    Ok(())
}

fn name(customer: CustomerId) -> String {
    format!("customer {customer}")
}

/// Whether the customer was anonymised.
pub(super) async fn is_deleted(db: &mut PgConnection, customer: CustomerId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (
               select from berth.customers where id = $1 and deleted_at is not null
           ) as "deleted!""#,
        customer.0,
    )
    .fetch_one(db)
    .await
}
