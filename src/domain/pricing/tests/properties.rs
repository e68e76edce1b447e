//! What holds for every purchase.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// How often a purchase is drawn: pricing is fast, and rare roundings are the point.
const CASES: u32 = 1_000;

/// A shop in one currency and a purchase in it.
#[derive(Clone, Debug)]
struct Purchase {
    catalogue: Catalogue,
    request: PricingRequest,
}

/// A service: its price, set-up fee and price of a step of memory in units of the last digit, and whether it is a book.
type Drawn = (i64, i64, i64, bool);

fn amount(units: i64, currency: Currency) -> Money {
    Money::new(Decimal::new(units, currency.scale()), currency).unwrap()
}

fn catalogue(currency: Currency, services: &[Drawn]) -> Catalogue {
    let text = services.iter().zip('a'..).map(|((price, setup_fee, step, is_book), id)| {
        let of = |units: i64| format!("{{ {currency} = \"{}\" }}", amount(units, currency).amount_text());
        format!(
            "[[service]]\nid = \"{id}\"\nname = \"{id}\"\nservice_type = \"vps\"\nplan_name = \"starter\"\n\
             billing_cycle = \"monthly\"\nprices = {}\npool = \"p\"\npackage = \"p\"\nmax_quantity = 100\n\
             setup_fee = {}\ntrial_days = 14\ntax_category = \"{}\"\n\
             [[service.option]]\nid = \"ram_gb\"\nname = \"Memory\"\nminimum = 1\nmaximum = 9\nstep = 1\nincluded = 1\n\
             price = {}\n",
            of(*price),
            of(*setup_fee),
            if *is_book { "books" } else { "hosting" },
            of(*step),
        )
    });
    Catalogue::from_toml(&text.collect::<String>()).unwrap()
}

fn any_line(currency: Currency) -> impl Strategy<Value = LineRequest> {
    let given = prop::option::weighted(0.2, (0_i64..5_000).prop_map(move |units| amount(units, currency)));
    (0_usize..3, 1_u32..=5, 1_u32..=4, given, prop::bool::weighted(0.2)).prop_map(
        |(service, quantity, ram, price_override, trial)| LineRequest {
            configuration: [("ram_gb".to_owned(), json!(ram))].into(),
            price_override,
            trial,
            ..line(["a", "b", "c"][service], quantity)
        },
    )
}

fn any_discount(currency: Currency) -> impl Strategy<Value = Option<Discount>> {
    let share = (1_i64..=10_000).prop_map(|hundredths| Percent::new(Decimal::new(hundredths, 2)).unwrap());
    let taken = prop_oneof![
        share.prop_map(DiscountAmount::Percentage),
        (1_i64..50_000).prop_map(move |units| DiscountAmount::Fixed(amount(units, currency))),
    ];
    let services = prop::sample::subsequence(vec!["a", "b", "c"], 0..=3);
    prop::option::weighted(0.8, (taken, services).prop_map(|(taken, services)| off(taken, &services).unwrap()))
}

fn any_tax() -> impl Strategy<Value = TaxTreatment> {
    (any::<bool>(), 0_i64..=3_000, 0_i64..=3_000, prop::bool::weighted(0.1)).prop_map(
        |(inclusive, rate, of_books, reverse_charge)| {
            let rates = [("*", rate), ("books", of_books)].map(|(name, rate)| (name.to_owned(), Decimal::new(rate, 2)));
            TaxTreatment { inclusive, rates: rates.into(), reverse_charge }
        },
    )
}

fn any_purchase() -> impl Strategy<Value = Purchase> {
    let currency = prop::sample::select(vec![Currency::Usd, Currency::Eur, Currency::Jpy, Currency::Isk]);
    currency.prop_flat_map(|currency| {
        let service = (prop_oneof![Just(0), 50_i64..=50_000], 0_i64..=5_000, 0_i64..=1_000, any::<bool>());
        let services = prop::collection::vec(service, 3);
        let lines = prop::collection::vec(any_line(currency), 1..=6);
        (services, lines, any_discount(currency), any_tax()).prop_map(move |(services, lines, discount, tax)| {
            Purchase {
                catalogue: catalogue(currency, &services),
                request: PricingRequest { currency, lines, discount, tax },
            }
        })
    })
}

impl Purchase {
    fn quote(&self) -> Quote {
        unchecked(&self.catalogue, &self.request).unwrap()
    }

    fn with_tax(&self, tax: TaxTreatment) -> Quote {
        let request = PricingRequest { tax, ..self.request.clone() };
        unchecked(&self.catalogue, &request).unwrap()
    }
}

fn sum(currency: Currency, amounts: impl Iterator<Item = Money>) -> Money {
    Money::sum(currency, amounts).unwrap()
}

fn total_of(price: Money, discount: Money, tax: Money) -> Result<Money, MoneyError> {
    price.checked_sub(discount)?.checked_add(tax)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn lines_sum_to_the_purchase_and_units_to_their_line(purchase in any_purchase()) {
        let quote = purchase.quote();
        let of_lines = |amount: fn(&QuotedLine) -> Money| sum(quote.currency, quote.lines.iter().map(amount));

        prop_assert_eq!(of_lines(|line| line.list_total), quote.list_total);
        prop_assert_eq!(of_lines(|line| line.line_total), quote.subtotal);
        prop_assert_eq!(of_lines(|line| line.discount), quote.discount);
        prop_assert_eq!(of_lines(|line| line.tax), quote.tax);
        prop_assert_eq!(of_lines(|line| line.total), quote.total);
        for (index, line) in quote.lines.iter().enumerate() {
            let units: Vec<&QuotedUnit> = quote.units.iter().filter(|unit| unit.line == index).collect();
            let of_units = |amount: fn(&QuotedUnit) -> Money| {
                sum(quote.currency, units.iter().map(|unit| amount(unit)))
            };
            prop_assert_eq!(u32::try_from(units.len()), Ok(line.quantity));
            prop_assert_eq!(of_units(|unit| unit.price), line.line_total);
            prop_assert_eq!(of_units(|unit| unit.discount), line.discount);
            prop_assert_eq!(of_units(|unit| unit.tax), line.tax);
            prop_assert_eq!(of_units(|unit| unit.total), line.total);
        }
        let asked: u32 = purchase.request.lines.iter().map(|line| line.quantity).sum();
        prop_assert_eq!(u32::try_from(quote.units.len()), Ok(asked));
    }

    #[test]
    fn a_total_is_the_price_less_the_discount_with_the_tax(purchase in any_purchase()) {
        let quote = purchase.quote();

        prop_assert_eq!(total_of(quote.subtotal, quote.discount, quote.tax), Ok(quote.total));
        for line in &quote.lines {
            prop_assert_eq!(total_of(line.line_total, line.discount, line.tax), Ok(line.total));
        }
        for unit in &quote.units {
            prop_assert_eq!(total_of(unit.price, unit.discount, unit.tax), Ok(unit.total));
            prop_assert!(unit.price.checked_sub(unit.setup_fee).is_ok(), "{:?}", unit);
            prop_assert_eq!(quote.lines[unit.line].service.id(), &unit.service_id);
        }
    }

    #[test]
    fn a_discount_is_rounded_once_and_never_more_than_what_it_is_taken_off(purchase in any_purchase()) {
        let quote = purchase.with_tax(TaxTreatment::none());
        let services = purchase.request.discount.as_ref().map(|discount| discount.services.clone()).unwrap_or_default();
        let eligible = eligible_total(&quote, &services).unwrap_or(Money::zero(quote.currency));

        let expected = match purchase.request.discount.map(|discount| discount.amount) {
            None => Money::zero(quote.currency),
            Some(DiscountAmount::Percentage(percent)) => eligible.percentage(percent.get()).unwrap(),
            Some(DiscountAmount::Fixed(amount)) if amount.checked_cmp(eligible).unwrap().is_lt() => amount,
            Some(DiscountAmount::Fixed(_)) => eligible,
        };

        prop_assert_eq!(quote.discount, expected);
        prop_assert!(quote.subtotal.checked_sub(quote.discount).is_ok());
        for line in quote.lines.iter().filter(|line| !services.is_empty() && !services.contains(line.service.id().as_str())) {
            prop_assert!(line.discount.is_zero());
        }
    }

    #[test]
    fn the_order_of_the_lines_changes_nothing_but_their_order(
        (purchase, shuffled) in any_purchase().prop_flat_map(|purchase| {
            let lines = Just(purchase.request.lines.clone()).prop_shuffle();
            (Just(purchase), lines)
        }),
    ) {
        let other = PricingRequest { lines: shuffled, ..purchase.request.clone() };

        let (one, two) = (purchase.quote(), unchecked(&purchase.catalogue, &other).unwrap());

        let totals = |quote: &Quote| [quote.list_total, quote.subtotal, quote.discount, quote.tax, quote.total];
        prop_assert_eq!(totals(&one), totals(&two));
        let by_key = |quote: &Quote| -> BTreeMap<LineKey, (QuotedLine, Vec<[Money; 5]>)> {
            let units = |index: usize| {
                let of_line = quote.units.iter().filter(move |unit| unit.line == index);
                of_line.map(|unit| [unit.price, unit.setup_fee, unit.discount, unit.tax, unit.total]).collect()
            };
            quote.lines.iter().enumerate().map(|(at, line)| (line.key.clone(), (line.clone(), units(at)))).collect()
        };
        prop_assert_eq!(by_key(&one), by_key(&two));
    }

    #[test]
    fn added_tax_is_rounded_once_a_line(purchase in any_purchase()) {
        let quote = purchase.with_tax(TaxTreatment { inclusive: false, ..purchase.request.tax.clone() });
        let untaxed = purchase.with_tax(TaxTreatment::none());

        prop_assert_eq!((quote.subtotal, quote.discount), (untaxed.subtotal, untaxed.discount));
        for line in &quote.lines {
            let due = line.line_total.checked_sub(line.discount).unwrap();
            prop_assert_eq!(Ok(line.tax), due.percentage(line.tax_rate));
        }
    }

    #[test]
    fn included_tax_changes_nothing_that_is_paid_and_agrees_with_added_tax(purchase in any_purchase()) {
        let quote = purchase.with_tax(TaxTreatment { inclusive: true, ..purchase.request.tax.clone() });
        let untaxed = purchase.with_tax(TaxTreatment::none());

        prop_assert_eq!((quote.total, quote.list_total), (untaxed.total, untaxed.list_total));
        for line in &quote.lines {
            prop_assert_eq!(Ok(line.tax), line.total.contained_percentage(line.tax_rate));
            // The same tax is due on the price without it, but for the rounding of that price.
            let added = line.line_total.checked_sub(line.discount).unwrap().percentage(line.tax_rate).unwrap();
            let unit = amount(1, quote.currency).amount();
            prop_assert!((added.amount() - line.tax.amount()).abs() <= unit, "{} and {}", added, line.tax);
        }
    }

    #[test]
    fn a_buyer_who_owes_the_tax_pays_none(purchase in any_purchase()) {
        let quote = purchase.with_tax(TaxTreatment { reverse_charge: true, ..purchase.request.tax.clone() });

        prop_assert!(quote.tax.is_zero() && quote.tax_note.is_some());
        prop_assert_eq!(quote.total, purchase.with_tax(TaxTreatment::none()).total);
    }

    #[test]
    fn a_total_is_nothing_or_chargeable_or_refused_in_words(purchase in any_purchase()) {
        let total = purchase.quote().total;
        let (minimum, maximum) = (total.currency().minimum_charge(), total.currency().maximum_charge());
        let (too_little, too_much) =
            (total.checked_cmp(minimum).unwrap().is_lt(), total.checked_cmp(maximum).unwrap().is_gt());

        let expected = match (total.is_zero(), too_little, too_much) {
            (true, _, _) | (false, false, false) => Ok(total),
            (false, true, _) => Err(PricingError::BelowMinimum { total, minimum }),
            (false, false, true) => Err(PricingError::AboveMaximum { total, maximum }),
        };

        prop_assert_eq!(quote(&purchase.catalogue, &purchase.request).map(|quote| quote.total), expected);
    }
}
