//! A coupon as staff sees it.

use std::collections::BTreeMap;

use berth_jobs::ids::CouponId;
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::{
        coupon::{CouponCode, end_of_day},
        money::Money,
    },
    effects::{CouponAmount, CouponTerms},
    store::coupons::StoredCoupon,
};

/// Amounts by currency, such as `{"USD": "5.00"}`.
type Amounts = BTreeMap<&'static str, String>;

/// A coupon.
#[derive(Debug, Serialize, ToSchema)]
pub struct CouponJson {
    #[schema(value_type = String, example = "cpn_01k9z3m6sne5y8r7q2w4x6t8va")]
    id: CouponId,
    #[serde(flatten)]
    terms: TermsJson,
    /// How many orders use it: paid, or waiting to be paid.
    current_uses: u32,
    /// Who made it.
    created_by: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// What a coupon grants.
#[derive(Debug, Serialize, ToSchema)]
struct TermsJson {
    #[schema(example = "WELCOME10")]
    code: String,
    /// percentage or fixed.
    discount_type: &'static str,
    /// In hundredths; null for a fixed one.
    #[schema(example = "10")]
    percentage: Option<String>,
    /// By currency; null for a percentage.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    fixed: Option<Amounts>,
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<Timestamp>,
    /// The first instant at which it cannot be used any more.
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Timestamp>,
    /// The last day on which it can be used, where it ends with a day of the shop's.
    #[schema(value_type = Option<String>, format = Date)]
    expiry_date: Option<Date>,
    max_uses: Option<u32>,
    max_uses_per_customer: Option<u32>,
    /// From which sum on, by currency.
    #[schema(value_type = BTreeMap<String, String>)]
    minimum_spend: Amounts,
    /// The services that it is for; none: all.
    services: Vec<String>,
    /// For the first so many cycles of an account; null: for all.
    cycles: Option<u32>,
    active: bool,
}

impl CouponJson {
    pub(super) fn of(app: &App, coupon: &StoredCoupon) -> Self {
        Self {
            id: coupon.id,
            terms: TermsJson::of(&coupon.code, &coupon.terms, &app.time_zone),
            current_uses: coupon.uses,
            created_by: coupon.created_by.clone(),
            created_at: coupon.created_at,
            updated_at: coupon.updated_at,
        }
    }
}

/// What a coupon grants, to be written down.
pub(super) fn terms(app: &App, code: &CouponCode, terms: &CouponTerms) -> Value {
    serde_json::to_value(TermsJson::of(code.as_str(), terms, &app.time_zone)).unwrap_or_default()
}

impl TermsJson {
    fn of(code: &str, terms: &CouponTerms, zone: &TimeZone) -> Self {
        let (discount_type, percentage, fixed) = match &terms.amount {
            CouponAmount::Percentage(percent) => ("percentage", Some(percent.normalize().to_string()), None),
            CouponAmount::Fixed(amounts) => ("fixed", None, Some(by_currency(amounts))),
        };
        Self {
            code: code.to_owned(),
            discount_type,
            percentage,
            fixed,
            starts_at: terms.starts_at,
            ends_at: terms.ends_at,
            expiry_date: terms.ends_at.and_then(|ends| last_day(ends, zone)),
            max_uses: terms.max_uses,
            max_uses_per_customer: terms.max_uses_per_customer,
            minimum_spend: by_currency(&terms.minimum_spend),
            services: terms.services.clone(),
            cycles: terms.cycles,
            active: terms.active,
        }
    }
}

fn by_currency(amounts: &[Money]) -> Amounts {
    amounts.iter().map(|amount| (amount.currency().code(), amount.amount_text())).collect()
}

/// The day that an instant ends, if it ends one.
fn last_day(ends: Timestamp, zone: &TimeZone) -> Option<Date> {
    let day = ends.checked_sub(1.nanosecond()).ok()?.to_zoned(zone.clone()).date();
    (end_of_day(day, zone) == ends).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_told_where_the_coupon_ends_with_one() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let instant = |text: &str| text.parse::<Timestamp>().unwrap();

        assert_eq!(last_day(instant("2026-12-31T23:00:00Z"), &zone), Some(Date::constant(2026, 12, 31)));
        assert_eq!(last_day(instant("2026-07-31T22:00:00Z"), &zone), Some(Date::constant(2026, 7, 31)));
        assert_eq!(last_day(instant("2026-12-31T22:00:00Z"), &zone), None);
    }
}
