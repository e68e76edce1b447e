//! What staff says of a coupon becomes its terms, or is refused.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use berth_jobs::ids::CouponId;
use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::super::{cart::staff::latest, orders::of_store, problem::Problem, reason::Reason};
use crate::{
    app::App,
    domain::{
        coupon::{Coupon, CouponCode, CouponDiscount, end_of_day},
        money::{Currency, Money},
    },
    effects::{CouponAmount, CouponTerms},
    store::coupons::StoredCoupon,
};

/// The highest limit: what the database counts to, and more than any shop sells.
const MOST: u32 = 1_000_000_000;

/// Amounts by currency, as they were sent.
type Amounts = BTreeMap<String, String>;

/// A coupon to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCoupon {
    /// What customers type: 3 to 40 letters, digits, hyphens and underscores. Capitals are the same as small letters.
    #[schema(example = "WELCOME10", min_length = 3, max_length = 40)]
    code: String,
    /// percentage or fixed.
    #[schema(example = "percentage")]
    discount_type: String,
    /// For a percentage: more than 0, at most 100.
    #[schema(example = "10")]
    percentage: Option<String>,
    /// For a fixed one: the amount in each currency that it can be used in.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    fixed: Option<Amounts>,
    /// From when on it can be used; at once when not given.
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<Timestamp>,
    /// The last day on which it can be used, through its end where the shop is.
    #[schema(value_type = Option<String>, format = Date, example = "2026-12-31")]
    expiry_date: Option<Date>,
    /// The first instant at which it cannot be used any more, in place of `expiry_date`.
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Timestamp>,
    /// How many orders it can be used for; without limit when not given.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    max_uses: Option<u32>,
    /// How many orders of one customer; without limit when not given.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    max_uses_per_customer: Option<u32>,
    /// How much must be bought of what it is for, by currency. In a currency that is not named it cannot be used, unless none is.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    minimum_spend: Amounts,
    /// The services that it is for; none: all.
    #[serde(default)]
    #[schema(max_items = 1000)]
    services: Vec<String>,
    /// For the first so many cycles of an account; for all when not given.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    cycles: Option<u32>,
    #[serde(default = "yes")]
    #[schema(default = true)]
    active: bool,
    /// Why it is made.
    #[schema(value_type = String, min_length = 1, max_length = 500, example = "the summer's campaign")]
    reason: Reason,
}

const fn yes() -> bool {
    true
}

/// What to change about a coupon. What is left out stays; null takes a limit away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CouponPatch {
    /// Makes it a percentage of so much.
    percentage: Option<String>,
    /// Makes it a fixed one of these amounts.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    fixed: Option<Amounts>,
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<Option<Timestamp>>,
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>, format = Date)]
    expiry_date: Option<Option<Date>>,
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Option<Timestamp>>,
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000_000)]
    max_uses: Option<Option<u32>>,
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000_000)]
    max_uses_per_customer: Option<Option<u32>>,
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    minimum_spend: Option<Amounts>,
    #[schema(max_items = 1000)]
    services: Option<Vec<String>>,
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000_000)]
    cycles: Option<Option<u32>>,
    /// Whether it can be used: an ended coupon can be brought back.
    active: Option<bool>,
    /// Why it is changed.
    #[schema(value_type = String, min_length = 1, max_length = 500, example = "one week more")]
    reason: Reason,
}

/// Tells a null from what is left out.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl NewCoupon {
    /// The coupon's code and terms, and why it is made.
    pub(super) fn read(self, app: &App) -> Result<(CouponCode, CouponTerms, Reason), Problem> {
        let percentage = self.percentage.as_deref().map(percent).transpose()?;
        let fixed = amounts("fixed", &self.fixed.unwrap_or_default())?;
        let coupon = Coupon {
            id: CouponId::new(),
            code: self.code.parse().map_err(|error| refusal(&error))?,
            discount: CouponDiscount::from_parts(&self.discount_type, percentage, fixed)
                .map_err(|error| refusal(&error))?,
            starts_at: self.starts_at,
            ends_at: end(app, self.expiry_date, self.ends_at)?,
            max_uses: self.max_uses,
            max_uses_per_customer: self.max_uses_per_customer,
            minimum_spend: amounts("minimum_spend", &self.minimum_spend)?,
            services: self.services.into_iter().collect(),
            cycles: self.cycles,
            active: self.active,
        };
        check(app, &coupon)?;
        Ok((coupon.code.clone(), terms_of(coupon), self.reason))
    }
}

impl CouponPatch {
    /// The coupon's terms after it, and why it is changed.
    pub(super) fn read(self, app: &App, stored: &StoredCoupon) -> Result<(CouponTerms, Reason), Problem> {
        let mut coupon = stored.coupon().map_err(of_store)?;
        if self.percentage.is_some() || self.fixed.is_some() {
            let percentage = self.percentage.as_deref().map(percent).transpose()?;
            let type_name = if percentage.is_some() { "percentage" } else { "fixed" };
            let fixed = amounts("fixed", &self.fixed.unwrap_or_default())?;
            coupon.discount =
                CouponDiscount::from_parts(type_name, percentage, fixed).map_err(|error| refusal(&error))?;
        }
        coupon.starts_at = self.starts_at.unwrap_or(coupon.starts_at);
        if self.expiry_date.is_some() || self.ends_at.is_some() {
            coupon.ends_at = end(app, self.expiry_date.flatten(), self.ends_at.flatten())?;
        }
        coupon.max_uses = self.max_uses.unwrap_or(coupon.max_uses);
        coupon.max_uses_per_customer = self.max_uses_per_customer.unwrap_or(coupon.max_uses_per_customer);
        if let Some(minimum) = self.minimum_spend {
            coupon.minimum_spend = amounts("minimum_spend", &minimum)?;
        }
        // What was sold once and is not sold any more may stay, but not come anew.
        let known = coupon.services.clone();
        if let Some(services) = self.services {
            coupon.services = services.into_iter().collect();
        }
        coupon.cycles = self.cycles.unwrap_or(coupon.cycles);
        coupon.active = self.active.unwrap_or(coupon.active);
        check_new(app, &coupon, &known)?;
        Ok((terms_of(coupon), self.reason))
    }
}

fn refusal(why: &dyn std::fmt::Display) -> Problem {
    Problem::unprocessable("coupon-terms", format!("Such a coupon cannot be: {why}."))
}

fn percent(text: &str) -> Result<Decimal, Problem> {
    Decimal::from_str_exact(text).map_err(|_| refusal(&"the percentage is a number such as \"12.5\""))
}

fn amounts(field: &str, sent: &Amounts) -> Result<BTreeMap<Currency, Money>, Problem> {
    let refuse = || refusal(&format!("{field} has an amount such as \"5.00\" by currency, such as \"USD\""));
    sent.iter()
        .map(|(currency, amount)| {
            let currency: Currency = currency.parse().map_err(|_| refuse())?;
            let amount = Money::parse(amount, currency).map_err(|_| refuse())?;
            // More than can be charged is never met, and more than a table keeps.
            let kept = amount.checked_cmp(currency.maximum_charge()).is_ok_and(Ordering::is_le);
            if kept { Ok((currency, amount)) } else { Err(refuse()) }
        })
        .collect()
}

fn end(app: &App, day: Option<Date>, instant: Option<Timestamp>) -> Result<Option<Timestamp>, Problem> {
    match (day, instant) {
        (Some(_), Some(_)) => Err(refusal(&"it ends either with expiry_date or at ends_at")),
        (Some(day), None) => Ok(Some(end_of_day(day, &app.time_zone))),
        (None, instant) => Ok(instant),
    }
}

fn check(app: &App, coupon: &Coupon) -> Result<(), Problem> {
    check_new(app, coupon, &BTreeSet::new())
}

/// What the domain refuses, and what this shop cannot keep.
fn check_new(app: &App, coupon: &Coupon, known: &BTreeSet<String>) -> Result<(), Problem> {
    coupon.validate().map_err(|error| refusal(&error))?;
    let mut unknown = coupon.services.iter().filter(|id| !known.contains(*id) && app.catalogue.service(id).is_none());
    if let Some(id) = unknown.next() {
        let id: String = id.chars().take(60).collect();
        return Err(refusal(&format!("there is no service {id:?}")));
    }
    let limits = [coupon.max_uses, coupon.max_uses_per_customer, coupon.cycles];
    if limits.into_iter().flatten().any(|limit| limit > MOST) {
        return Err(refusal(&format!("a limit is at most {MOST}")));
    }
    let times = [coupon.starts_at, coupon.ends_at];
    if times.into_iter().flatten().any(|at| at < Timestamp::UNIX_EPOCH || at > latest()) {
        return Err(refusal(&"it begins and ends between the years 1970 and 3000"));
    }
    Ok(())
}

fn terms_of(coupon: Coupon) -> CouponTerms {
    CouponTerms {
        amount: match coupon.discount {
            CouponDiscount::Percentage(percent) => CouponAmount::Percentage(percent.get()),
            CouponDiscount::Fixed(amounts) => CouponAmount::Fixed(amounts.into_values().collect()),
        },
        starts_at: coupon.starts_at,
        ends_at: coupon.ends_at,
        max_uses: coupon.max_uses,
        max_uses_per_customer: coupon.max_uses_per_customer,
        minimum_spend: coupon.minimum_spend.into_values().collect(),
        services: coupon.services.into_iter().collect(),
        cycles: coupon.cycles,
        active: coupon.active,
    }
}
