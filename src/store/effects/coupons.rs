//! Coupons and their uses. Uses are counted by the committer under the coupon's lock, never by who asks for one.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use std::collections::{BTreeMap, BTreeSet};

use jiff_sqlx::ToSqlx;
use serde_json::{Map, Value};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Applied, UnitEffects, Why, standing};
use crate::{
    domain::money::Money,
    effects::{CouponAmount, CouponChange, CouponReservation, CouponTerms, CouponUse},
};

/// A coupon as it stands under its lock, and how its count changes.
struct Counted {
    code: String,
    usable: bool,
    uses: i32,
    max_uses: Option<i32>,
    max_uses_per_customer: Option<i32>,
    change: i32,
}

impl Counted {
    fn is_used_up(&self) -> bool {
        self.max_uses.is_some_and(|most| self.uses.saturating_add(self.change) >= most)
    }
}

/// Changes coupons, and gives, settles and takes back their uses.
pub(super) async fn write(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let mut changes = standing(units, applied, |e| &e.coupon_changes);
    changes.sort_by_key(|(_, change)| change.id());
    for (unit, change) in changes {
        // Staff changes one at a time.
        if let Some(why) = make(db, change).await? {
            applied.refuse(unit, change.id().to_string(), why);
        }
    }
    let reservations = standing(units, applied, |e| &e.reservations);
    let uses = standing(units, applied, |e| &e.coupon_uses);
    let orders_that =
        |wanted| uses.iter().filter(|(_, (_, how))| *how == wanted).map(|(_, (id, _))| id.0).collect::<Vec<_>>();
    let (committed, released) = (orders_that(CouponUse::Commit), orders_that(CouponUse::Release));
    // An order that nothing is due for is made and paid in one unit: its use is committed once it is there.
    let (at_once, committed): (Vec<Uuid>, Vec<Uuid>) =
        committed.into_iter().partition(|order| reservations.iter().any(|(_, made)| made.order_id.0 == *order));
    let late = commit(db, &committed).await?;
    if reservations.is_empty() && released.is_empty() && late.is_empty() {
        return Ok(());
    }
    let ids: BTreeSet<Uuid> = reservations.iter().map(|(_, reservation)| reservation.coupon_id.0).collect();
    let mut coupons = lock(db, ids, &[released.as_slice(), late.as_slice()].concat()).await?;
    release(db, &released, &mut coupons).await?;
    commit_late(db, &late, &mut coupons).await?;
    reserve(db, reservations, &mut coupons, applied).await?;
    commit(db, &at_once).await?;
    count(db, &coupons).await
}

async fn make(db: &mut PgConnection, change: &CouponChange) -> Result<Option<Why>, sqlx::Error> {
    match change {
        CouponChange::Create { id, code, terms, by } => {
            let columns = TermColumns::of(terms);
            let made = sqlx::query_file!(
                "src/store/queries/insert_coupon.sql",
                id.0,
                code,
                columns.discount_type,
                columns.percentage,
                columns.fixed,
                columns.starts_at as Option<jiff_sqlx::Timestamp>,
                columns.ends_at as Option<jiff_sqlx::Timestamp>,
                columns.max_uses,
                columns.max_uses_per_customer,
                columns.minimum_spend,
                &terms.services,
                columns.cycles,
                terms.active,
                by,
            )
            .execute(db)
            .await?
            .rows_affected();
            Ok((made == 0).then_some(Why::CodeTaken))
        }
        CouponChange::Change { id, terms } => {
            let columns = TermColumns::of(terms);
            let known = sqlx::query_file_scalar!(
                "src/store/queries/change_coupon.sql",
                id.0,
                columns.discount_type,
                columns.percentage,
                columns.fixed,
                columns.starts_at as Option<jiff_sqlx::Timestamp>,
                columns.ends_at as Option<jiff_sqlx::Timestamp>,
                columns.max_uses,
                columns.max_uses_per_customer,
                columns.minimum_spend,
                &terms.services,
                columns.cycles,
                terms.active,
            )
            .fetch_optional(db)
            .await?;
            Ok(match known {
                None => Some(Why::RowChanged),
                Some(changed) => (!changed).then_some(Why::LimitBelowUses),
            })
        }
        CouponChange::End(id) => {
            let ended =
                sqlx::query!("update berth.coupons set active = false, updated_at = berth.now() where id = $1", id.0)
                    .execute(db)
                    .await?
                    .rows_affected();
            Ok((ended == 0).then_some(Why::RowChanged))
        }
    }
}

/// A coupon's terms as columns.
struct TermColumns {
    discount_type: &'static str,
    percentage: Option<rust_decimal::Decimal>,
    fixed: Option<Value>,
    starts_at: Option<jiff_sqlx::Timestamp>,
    ends_at: Option<jiff_sqlx::Timestamp>,
    max_uses: Option<i32>,
    max_uses_per_customer: Option<i32>,
    minimum_spend: Value,
    cycles: Option<i32>,
}

impl TermColumns {
    fn of(terms: &CouponTerms) -> Self {
        // More than a column holds is as good as without limit, but says that there is one.
        let count = |limit: Option<u32>| limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX));
        let (discount_type, percentage, fixed) = match &terms.amount {
            CouponAmount::Percentage(percentage) => ("percentage", Some(*percentage), None),
            CouponAmount::Fixed(amounts) => ("fixed", None, Some(by_currency(amounts))),
        };
        Self {
            discount_type,
            percentage,
            fixed,
            starts_at: terms.starts_at.map(ToSqlx::to_sqlx),
            ends_at: terms.ends_at.map(ToSqlx::to_sqlx),
            max_uses: count(terms.max_uses),
            max_uses_per_customer: count(terms.max_uses_per_customer),
            minimum_spend: by_currency(&terms.minimum_spend),
            cycles: count(terms.cycles),
        }
    }
}

fn by_currency(amounts: &[Money]) -> Value {
    let entry = |amount: &Money| (amount.currency().code().to_owned(), Value::String(amount.amount_text()));
    Value::Object(amounts.iter().map(entry).collect::<Map<_, _>>())
}

/// Commits what is reserved, for which no count changes; answers the orders whose use had been given back.
async fn commit(db: &mut PgConnection, orders: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query!(
        "update berth.coupon_redemptions
         set state = 'committed', settled_at = berth.now()
         where order_id = any ($1) and state = 'reserved'",
        orders,
    )
    .execute(&mut *db)
    .await?;
    sqlx::query_scalar!(
        "select order_id from berth.coupon_redemptions where order_id = any ($1) and state = 'released' order by order_id",
        orders,
    )
    .fetch_all(db)
    .await
}

/// Locks these coupons and those that these orders have redeemed.
async fn lock(
    db: &mut PgConnection,
    ids: BTreeSet<Uuid>,
    orders: &[Uuid],
) -> Result<BTreeMap<Uuid, Counted>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select c.id, c.code, c.uses, c.max_uses, c.max_uses_per_customer,
                  c.active and coalesce(c.starts_at <= berth.now(), true) and coalesce(c.ends_at > berth.now(), true)
                      as "usable!"
           from berth.coupons c
           where c.id = any ($1)
              or c.id in (select r.coupon_id from berth.coupon_redemptions r where r.order_id = any ($2))
           order by c.id
           for no key update"#,
        &ids.into_iter().collect::<Vec<_>>(),
        orders,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let counted = Counted {
                code: row.code,
                usable: row.usable,
                uses: row.uses,
                max_uses: row.max_uses,
                max_uses_per_customer: row.max_uses_per_customer,
                change: 0,
            };
            (row.id, counted)
        })
        .collect())
}

async fn release(
    db: &mut PgConnection,
    orders: &[Uuid],
    coupons: &mut BTreeMap<Uuid, Counted>,
) -> Result<(), sqlx::Error> {
    if orders.is_empty() {
        return Ok(());
    }
    let freed = sqlx::query_scalar!(
        "update berth.coupon_redemptions
         set state = 'released', settled_at = berth.now()
         where order_id = any ($1) and state = 'reserved'
         returning coupon_id",
        orders,
    )
    .fetch_all(db)
    .await?;
    for coupon in freed {
        if let Some(coupon) = coupons.get_mut(&coupon) {
            coupon.change -= 1;
        }
    }
    Ok(())
}

/// Orders that were paid after all: each takes a use again, or goes beyond the limit where none is left.
async fn commit_late(
    db: &mut PgConnection,
    orders: &[Uuid],
    coupons: &mut BTreeMap<Uuid, Counted>,
) -> Result<(), sqlx::Error> {
    if orders.is_empty() {
        return Ok(());
    }
    // Read under the coupons' locks.
    let released = sqlx::query!(
        "select order_id, coupon_id
         from berth.coupon_redemptions
         where order_id = any ($1) and state = 'released'
         order by order_id
         for no key update",
        orders,
    )
    .fetch_all(&mut *db)
    .await?;
    let mut beyond = Vec::with_capacity(released.len());
    for row in &released {
        let coupon = coupons.get_mut(&row.coupon_id).filter(|coupon| !coupon.is_used_up());
        beyond.push(coupon.is_none());
        if let Some(coupon) = coupon {
            coupon.change += 1;
        }
    }
    sqlx::query!(
        "update berth.coupon_redemptions r
         set state = 'committed', settled_at = berth.now(), beyond_limit = n.beyond
         from unnest($1::uuid[], $2::bool[]) n (order_id, beyond)
         where r.order_id = n.order_id",
        &released.iter().map(|row| row.order_id).collect::<Vec<_>>(),
        &beyond,
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn reserve(
    db: &mut PgConnection,
    reservations: Vec<(usize, &CouponReservation)>,
    coupons: &mut BTreeMap<Uuid, Counted>,
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    if reservations.is_empty() {
        return Ok(());
    }
    let mut own = uses_by_customer(db, &reservations).await?;
    let mut granted = Vec::with_capacity(reservations.len());
    for (unit, reservation) in reservations {
        let key = (reservation.coupon_id.0, reservation.customer_id.0);
        let by_customer = own.get(&key).copied().unwrap_or(0);
        let coupon = coupons.get_mut(&reservation.coupon_id.0);
        let name = coupon.as_ref().map_or_else(|| reservation.coupon_id.to_string(), |c| format!("coupon {}", c.code));
        let refused = match &coupon {
            None => Some(Why::CouponEnded),
            Some(coupon) if !coupon.usable => Some(Why::CouponEnded),
            Some(coupon) if coupon.max_uses_per_customer.is_some_and(|most| by_customer >= i64::from(most)) => {
                Some(Why::CouponUsedUpByCustomer)
            }
            Some(coupon) if coupon.is_used_up() => Some(Why::CouponUsedUp),
            Some(_) => None,
        };
        match (refused, coupon) {
            (None, Some(coupon)) => {
                coupon.change += 1;
                own.insert(key, by_customer.saturating_add(1));
                granted.push((unit, reservation));
            }
            (why, _) => applied.refuse(unit, name, why.unwrap_or(Why::CouponEnded)),
        }
    }
    insert(db, granted, applied).await
}

/// How often each of these customers uses each of these coupons.
async fn uses_by_customer(
    db: &mut PgConnection,
    reservations: &[(usize, &CouponReservation)],
) -> Result<BTreeMap<(Uuid, Uuid), i64>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select r.coupon_id, r.customer_id, count(*) as "uses!"
           from berth.coupon_redemptions r
           join (select distinct * from unnest($1::uuid[], $2::uuid[])) n (coupon_id, customer_id)
               on n.coupon_id = r.coupon_id and n.customer_id = r.customer_id
           where r.state <> 'released'
           group by r.coupon_id, r.customer_id"#,
        &reservations.iter().map(|(_, r)| r.coupon_id.0).collect::<Vec<_>>(),
        &reservations.iter().map(|(_, r)| r.customer_id.0).collect::<Vec<_>>(),
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.coupon_id, row.customer_id), row.uses)).collect())
}

async fn insert(
    db: &mut PgConnection,
    granted: Vec<(usize, &CouponReservation)>,
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let currencies: Vec<String> = granted.iter().map(|(_, r)| r.amount.currency().code().to_owned()).collect();
    let inserted: BTreeSet<Uuid> = sqlx::query_scalar!(
        "insert into berth.coupon_redemptions
             (order_id, coupon_id, customer_id, state, amount, currency, reserved_at)
         select n.order_id, n.coupon_id, n.customer_id, 'reserved', n.amount, n.currency, berth.now()
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::numeric[], $5::text[])
             n (order_id, coupon_id, customer_id, amount, currency)
         order by n.order_id
         on conflict do nothing
         returning order_id",
        &granted.iter().map(|(_, r)| r.order_id.0).collect::<Vec<_>>(),
        &granted.iter().map(|(_, r)| r.coupon_id.0).collect::<Vec<_>>(),
        &granted.iter().map(|(_, r)| r.customer_id.0).collect::<Vec<_>>(),
        &granted.iter().map(|(_, r)| r.amount.amount()).collect::<Vec<_>>(),
        &currencies,
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .collect();
    for (unit, reservation) in granted {
        if !inserted.contains(&reservation.order_id.0) {
            applied.refuse(unit, format!("the redemption of {}", reservation.order_id), Why::AlreadyThere);
        }
    }
    Ok(())
}

async fn count(db: &mut PgConnection, coupons: &BTreeMap<Uuid, Counted>) -> Result<(), sqlx::Error> {
    let changed: Vec<(Uuid, i32)> =
        coupons.iter().filter(|(_, coupon)| coupon.change != 0).map(|(id, coupon)| (*id, coupon.change)).collect();
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update berth.coupons c
         set uses = c.uses + n.change
         from unnest($1::uuid[], $2::int[]) n (id, change)
         where c.id = n.id",
        &changed.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        &changed.iter().map(|(_, change)| *change).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}
