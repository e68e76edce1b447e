//! Renewals: issued, moved and charged; and what customers are told of their accounts.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use std::collections::BTreeSet;

use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Applied, MoneyMoved, UnitEffects, Why, gather, job_of, standing};
use crate::{
    domain::money::Money,
    effects::{ChargeNews, Fact, NewOrderItem, NewRenewal},
    metrics::MoneyOutcome,
};

/// Moves renewals. Their accounts are locked before, where they move as well.
pub(super) async fn advance(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let mut moves = standing(units, applied, |e| &e.renewal_moves);
    if moves.is_empty() {
        return Ok(());
    }
    moves.sort_by_key(|(_, step)| step.order_id());
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let moved: BTreeSet<Uuid> = sqlx::query_file_scalar!(
        "src/store/queries/move_renewals.sql",
        &moves.iter().map(|(_, step)| step.order_id().0).collect::<Vec<_>>(),
        &moves.iter().map(|(_, step)| step.version()).collect::<Vec<_>>(),
        &moves.iter().map(|(_, step)| step.from().to_string()).collect::<Vec<_>>(),
        &moves.iter().map(|(_, step)| step.to().to_string()).collect::<Vec<_>>(),
        &moves.iter().map(|(_, step)| step.reason().to_owned()).collect::<Vec<_>>(),
        &moves.iter().map(|(unit, _)| job_of(units, *unit)).collect::<Vec<_>>() as &[Option<Uuid>],
        &moves.iter().map(|(_, step)| count(step.attempts())).collect::<Vec<_>>(),
        &moves.iter().map(|(_, step)| step.called_off()).collect::<Vec<_>>(),
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .collect();
    for (unit, step) in moves {
        if !moved.contains(&step.order_id().0) {
            applied.refuse(unit, format!("the renewal {}", step.order_id()), Why::RowChanged);
        }
    }
    Ok(())
}

/// Issues renewals, all in one statement. One whose period has a renewal is refused.
pub(super) async fn issue(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    // What a renewal consists of is its one item.
    let mut new: Vec<(usize, &NewRenewal, &NewOrderItem)> = standing(units, applied, |e| &e.new_renewals)
        .into_iter()
        .filter_map(|(unit, renewal)| Some((unit, renewal, renewal.order.items.first()?)))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    new.sort_by_key(|(_, renewal, _)| renewal.account_id);
    let ids = |f: fn(&NewRenewal) -> Uuid| new.iter().map(|(_, it, _)| f(it)).collect::<Vec<_>>();
    let sums = |f: fn(&NewRenewal) -> Money| new.iter().map(|(_, it, _)| f(it).amount()).collect::<Vec<Decimal>>();
    let times =
        |f: fn(&NewRenewal) -> jiff::Timestamp| new.iter().map(|(_, it, _)| f(it).to_sqlx()).collect::<Vec<_>>();
    let issued: BTreeSet<Uuid> = sqlx::query_file_scalar!(
        "src/store/queries/insert_renewals.sql",
        &ids(|it| it.order.id.0),
        &ids(|it| it.account_id.0),
        &ids(|it| it.order.customer.id.0),
        &new.iter().map(|(_, it, _)| it.order.total.currency().code().to_owned()).collect::<Vec<_>>(),
        &sums(|it| it.order.subtotal),
        &sums(|it| it.order.discount),
        &sums(|it| it.order.tax),
        &sums(|it| it.order.total),
        &sums(|it| it.credit),
        &times(|it| it.order.created_at),
        &times(|it| it.period_start),
        &times(|it| it.period_end),
        &new.iter().map(|(_, it, _)| it.order.terms.customer_snapshot.clone()).collect::<Vec<_>>()
            as &[Option<Value>],
        &new.iter().map(|(_, it, _)| it.order.terms.tax_note.clone()).collect::<Vec<_>>() as &[Option<String>],
        &ids(|it| it.invoice_mail_id.0),
        &new.iter().map(|(_, _, item)| item.id.0).collect::<Vec<_>>(),
        &new.iter().map(|(_, _, item)| item.service_id.clone()).collect::<Vec<_>>(),
        &new.iter().map(|(_, _, item)| item.name.clone()).collect::<Vec<_>>(),
        &new.iter().map(|(_, _, item)| item.terms.tax_rate).collect::<Vec<_>>(),
        &new.iter().map(|(_, _, item)| item.terms.tax_category.clone()).collect::<Vec<_>>() as &[Option<String>],
        &new.iter().map(|(unit, _, _)| job_of(units, *unit)).collect::<Vec<_>>() as &[Option<Uuid>],
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .collect();
    for (unit, renewal, _) in new {
        if !issued.contains(&renewal.order.id.0) {
            let row = format!("the renewal of {} from {}", renewal.account_id, renewal.period_start);
            applied.refuse(unit, row, Why::AlreadyThere);
        }
    }
    Ok(())
}

/// Writes attempts to charge down before they are sent.
pub(super) async fn charge(
    db: &mut PgConnection,
    units: &[UnitEffects<'_>],
    applied: &mut Applied,
) -> Result<(), sqlx::Error> {
    let mut new = standing(units, applied, |e| &e.new_charges);
    if new.is_empty() {
        return Ok(());
    }
    new.sort_by_key(|(_, charge)| charge.order_id);
    let inserted: BTreeSet<Uuid> = sqlx::query_scalar!(
        "insert into berth.charges (id, order_id, attempt, card_id, state, currency, amount, sent_at)
         select n.id, n.order_id, n.attempt, n.card_id, 'sent', n.currency, n.amount, n.sent_at
         from unnest(
                 $1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::numeric[], $7::timestamptz[]
             ) n (id, order_id, attempt, card_id, currency, amount, sent_at)
         order by n.order_id
         on conflict do nothing
         returning id",
        &new.iter().map(|(_, charge)| charge.id.0).collect::<Vec<_>>(),
        &new.iter().map(|(_, charge)| charge.order_id.0).collect::<Vec<_>>(),
        &new.iter().map(|(_, charge)| i32::try_from(charge.attempt).unwrap_or(i32::MAX)).collect::<Vec<_>>(),
        &new.iter().map(|(_, charge)| charge.card_id.clone()).collect::<Vec<_>>(),
        &new.iter().map(|(_, charge)| charge.amount.currency().code().to_owned()).collect::<Vec<_>>(),
        &new.iter().map(|(_, charge)| charge.amount.amount()).collect::<Vec<_>>(),
        &new.iter().map(|(_, charge)| charge.sent_at.to_sqlx()).collect::<Vec<_>>(),
    )
    .fetch_all(db)
    .await?
    .into_iter()
    .collect();
    for (unit, charge) in new {
        if !inserted.contains(&charge.id.0) {
            applied.refuse(unit, format!("a charge of {}", charge.order_id), Why::AlreadyThere);
        }
    }
    Ok(())
}

/// Writes what became of charges. An answer is final; that there was none is written where there is none.
pub(super) async fn learn_charges(
    db: &mut PgConnection,
    facts: &[(usize, &Fact)],
    money: &mut Vec<MoneyMoved>,
) -> Result<(), sqlx::Error> {
    let mut news: Vec<&ChargeNews> = Vec::new();
    for (_, fact) in facts {
        if let Fact::Charge(it) = fact {
            news.push(it);
        }
    }
    if news.is_empty() {
        return Ok(());
    }
    news.sort_by_key(|it| it.charge_id);
    let decline = |f: fn(&crate::effects::ChargeDecline) -> Option<String>| {
        news.iter().map(|it| it.state.decline().and_then(f)).collect::<Vec<_>>()
    };
    let told = sqlx::query!(
        r#"with f as materialized (
             select *
             from unnest(
                 $1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[]
             ) f (id, state, intent, at, decline_class, code, decline_code, advice_code)
         ),
         told as (
             update berth.charges c
             set state = f.state,
                 stripe_payment_intent_id = coalesce(f.intent, c.stripe_payment_intent_id),
                 answered_at = case when f.state <> 'in_doubt' then f.at end,
                 lookups = c.lookups + case when c.state = 'in_doubt' then 1 else 0 end,
                 decline_class = f.decline_class,
                 code = f.code,
                 decline_code = f.decline_code,
                 advice_code = f.advice_code
             from f
             where c.id = f.id and c.state in ('sent', 'in_doubt')
             returning c.order_id, f.intent, c.decline_class, c.currency, c.amount
         ),
         known as (
             update berth.renewals r
             set stripe_payment_intent_id = told.intent
             from told
             where r.order_id = told.order_id and told.intent is not null
         )
         select decline_class, currency as "currency!: String", amount as "amount!" from told"#,
        &news.iter().map(|it| it.charge_id.0).collect::<Vec<_>>(),
        &news.iter().map(|it| it.state.as_str().to_owned()).collect::<Vec<_>>(),
        &news.iter().map(|it| it.intent.clone()).collect::<Vec<_>>() as &[Option<String>],
        &news.iter().map(|it| it.at.to_sqlx()).collect::<Vec<_>>(),
        &decline(|it| Some(it.class.as_str().to_owned())) as &[Option<String>],
        &decline(|it| it.code.clone()) as &[Option<String>],
        &decline(|it| it.decline_code.clone()) as &[Option<String>],
        &decline(|it| it.advice_code.clone()) as &[Option<String>],
    )
    .fetch_all(db)
    .await?;
    for charge in told {
        let outcome = match charge.decline_class.as_deref() {
            Some("hard") => MoneyOutcome::DeclinedHard,
            Some("soft") => MoneyOutcome::DeclinedSoft,
            Some(_) => MoneyOutcome::DeclinedNeedsCustomer,
            None => continue,
        };
        money.push(MoneyMoved { outcome, currency: charge.currency, amount: charge.amount });
    }
    Ok(())
}

/// Writes what customers are told; their mails follow with their own keys.
pub(super) async fn notify(db: &mut PgConnection, units: &[UnitEffects<'_>]) -> Result<(), sqlx::Error> {
    let mut notices = gather(units, |e| &e.notices);
    if notices.is_empty() {
        return Ok(());
    }
    notices.sort_by_key(|(_, notice)| notice.account_id);
    sqlx::query!(
        "insert into berth.notices (account_id, due_at, step, mail_id, at)
         select n.account_id, n.due_at, n.step, n.mail_id, c.now
         from (select berth.now() as now) c,
             unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::uuid[]) n (account_id, due_at, step, mail_id)
         on conflict do nothing",
        &notices.iter().map(|(_, notice)| notice.account_id.0).collect::<Vec<_>>(),
        &notices.iter().map(|(_, notice)| notice.due_at.to_sqlx()).collect::<Vec<_>>(),
        &notices.iter().map(|(_, notice)| notice.notice.to_string()).collect::<Vec<_>>(),
        &notices.iter().map(|(_, notice)| notice.mail_id.0).collect::<Vec<_>>(),
    )
    .execute(db)
    .await?;
    Ok(())
}
