//! What a renewal of one account costs: as the catalogue says on the day, or what it was sold at.

use std::cmp::Ordering;

use rust_decimal::Decimal;

use super::{Discount, LineRequest, PricingError, discount, lines, taxed_amounts};
use crate::domain::{
    catalogue::{Catalogue, ServiceId},
    money::{Currency, Money, MoneyError},
    tax::TaxTreatment,
};

/// An account whose next period is to be priced.
#[derive(Clone, Debug)]
pub struct RenewalRequest<'a> {
    /// The currency that it is paid in.
    pub currency: Currency,
    /// What it is, with its options and add-ons; one of it.
    pub line: LineRequest,
    /// The name at the time of the sale, should the catalogue no longer know it.
    pub sold_as: &'a str,
    /// What the tax rates called it at the time of the sale.
    pub tax_category: Option<&'a str>,
    /// What it was sold at for each period, as the catalogue showed it; `None`: the catalogue's price of the day.
    pub locked: Option<Money>,
    /// What its coupon takes off this period.
    pub discount: Option<&'a Discount>,
    /// Which tax is due where its customer lives now.
    pub tax: &'a TaxTreatment,
}

/// What one period costs: `total = subtotal − discount + tax`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalQuote {
    /// What it is called.
    pub name: String,
    /// Before discount and tax.
    pub subtotal: Money,
    /// What is taken off.
    pub discount: Money,
    /// What is added.
    pub tax: Money,
    /// The rate of it, in hundredths.
    pub tax_rate: Decimal,
    /// By which the rate was found.
    pub tax_category: String,
    /// Why the tax is what it is.
    pub tax_note: Option<&'static str>,
    /// What is to be paid; zero, or an amount that Stripe charges.
    pub total: Money,
}

/// Prices a period. There is no set-up fee in it, and no trial.
///
/// A discount that leaves less than Stripe charges takes off all of it: what cannot be charged is not asked for.
///
/// # Errors
/// When the catalogue has no price for it and none was agreed.
pub fn renewal(catalogue: &Catalogue, asked: &RenewalRequest<'_>) -> Result<RenewalQuote, PricingError> {
    let currency = asked.currency;
    let line = LineRequest { price_override: asked.locked, quantity: 1, ..asked.line.clone() };
    let service = catalogue.service(&line.service_id);
    let price = match (lines::price(catalogue, currency, 0, &line), asked.locked) {
        (Ok(priced), _) => priced.unit_price,
        // The catalogue has changed since the sale; what was agreed holds.
        (Err(_), Some(locked)) if locked.currency() == currency => locked,
        (Err(error), _) => return Err(error),
    };
    let sold_category = asked.tax_category.unwrap_or(crate::domain::catalogue::DEFAULT_TAX_CATEGORY);
    let tax_category = service.map_or(sold_category, |service| service.tax_category());
    let rate = asked.tax.rate(tax_category);
    let amounts = |off| taxed_amounts(price, off, rate, asked.tax.inclusive);
    let off = off(asked.discount, &line.service_id, price)?;
    let mut found = amounts(off)?;
    if !found.total.is_zero() && is_less(found.total, currency.minimum_charge())? && !off.is_zero() {
        found = amounts(price)?;
    }
    Ok(RenewalQuote {
        name: service.map_or(asked.sold_as, |service| service.name()).to_owned(),
        subtotal: found.line_total,
        discount: found.discount,
        tax: found.tax,
        tax_rate: rate,
        tax_category: tax_category.to_owned(),
        tax_note: asked.tax.note(),
        total: found.total,
    })
}

/// How much of a total is paid from so much credit: as much as there is, but what is left to be charged is nothing, or an
/// amount that Stripe charges.
///
/// # Errors
/// When they are of two currencies.
pub fn credit_for(total: Money, balance: Money) -> Result<Money, MoneyError> {
    if balance.checked_cmp(total)? != Ordering::Less {
        return Ok(total);
    }
    let minimum = total.currency().minimum_charge();
    if !is_less(total.checked_sub(balance)?, minimum)? {
        return Ok(balance);
    }
    if is_less(total, minimum)? { Ok(Money::zero(total.currency())) } else { total.checked_sub(minimum) }
}

fn off(discount: Option<&Discount>, service_id: &str, price: Money) -> Result<Money, MoneyError> {
    let eligible = |discount: &&Discount| {
        service_id.parse::<ServiceId>().is_ok_and(|id| discount::is_eligible(&discount.services, &id))
    };
    match discount.filter(eligible) {
        Some(discount) => discount::amount_off(discount.amount, price),
        None => Ok(Money::zero(price.currency())),
    }
}

fn is_less(left: Money, right: Money) -> Result<bool, MoneyError> {
    Ok(left.checked_cmp(right)? == Ordering::Less)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pricing::DiscountAmount;

    fn usd(text: &str) -> Money {
        Money::parse(text, Currency::Usd).unwrap()
    }

    fn quote(service: &str, locked: Option<&str>, off: Option<DiscountAmount>) -> Result<RenewalQuote, PricingError> {
        let catalogue = Catalogue::built_in().unwrap();
        let discount = off.map(|amount| Discount { amount, services: std::collections::BTreeSet::new() });
        renewal(
            &catalogue,
            &RenewalRequest {
                currency: Currency::Usd,
                line: LineRequest::new(service, 1),
                sold_as: "Old Hosting",
                tax_category: None,
                locked: locked.map(usd),
                discount: discount.as_ref(),
                tax: &TaxTreatment::none(),
            },
        )
    }

    #[test]
    fn what_was_agreed_holds_whatever_the_catalogue_says() {
        let today = quote("shared-monthly", None, None).unwrap();
        assert_eq!((today.total, today.name.as_str()), (usd("4.99"), "Shared Hosting - Monthly"));
        assert_eq!(quote("shared-monthly", Some("3.50"), None).unwrap().total, usd("3.50"));

        let gone = quote("gone-monthly", Some("3.50"), None).unwrap();

        assert_eq!((gone.total, gone.name.as_str()), (usd("3.50"), "Old Hosting"));
        assert!(matches!(quote("gone-monthly", None, None), Err(PricingError::UnknownService { .. })));
    }

    #[test]
    fn a_coupon_takes_its_part_off_and_what_cannot_be_charged_is_not_asked_for() {
        let fixed = |text| Some(DiscountAmount::Fixed(usd(text)));

        let part = quote("shared-monthly", None, fixed("2.00")).unwrap();
        assert_eq!((part.subtotal, part.discount, part.total), (usd("4.99"), usd("2.00"), usd("2.99")));
        let rest = quote("shared-monthly", None, fixed("4.70")).unwrap();
        assert_eq!((rest.subtotal, rest.discount, rest.total), (usd("4.99"), usd("4.99"), usd("0.00")));
    }

    #[test]
    fn credit_pays_first_and_leaves_nothing_or_what_can_be_charged() {
        for (total, balance, credit) in [
            ("4.99", "0.00", "0.00"),
            ("4.99", "2.00", "2.00"),
            ("4.99", "4.80", "4.49"), // 0.19 cannot be charged
            ("4.99", "4.99", "4.99"),
            ("4.99", "80.00", "4.99"),
            ("0.00", "80.00", "0.00"),
        ] {
            assert_eq!(credit_for(usd(total), usd(balance)), Ok(usd(credit)), "{balance} of {total}");
        }
        assert!(credit_for(usd("4.99"), Money::zero(Currency::Eur)).is_err());
    }
}
