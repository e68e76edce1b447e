use berth_jobs::ids::{CartItemId, CouponId};
use serde_json::json;

use super::*;
use crate::effects::{CouponAmount, CouponTerms, PriceOverride};

/// The built-in catalogue's plans cost 4.99, 19.99 and 9.99; `tried` costs 8.00 and can be tried.
fn catalogue() -> Catalogue {
    let tried = "\n[[service]]\nid = \"tried\"\nname = \"Tried\"\nservice_type = \"cloud\"\nplan_name = \"starter\"\n\
                 billing_cycle = \"monthly\"\nprices = { USD = \"8.00\" }\npool = \"p\"\npackage = \"p\"\n\
                 max_quantity = 10\ntrial_days = 14\n\
                 [[service]]\nid = \"cheap\"\nname = \"Cheap\"\nservice_type = \"cloud\"\nplan_name = \"starter\"\n\
                 billing_cycle = \"monthly\"\nprices = { USD = \"0.50\" }\npool = \"p\"\npackage = \"p\"\n\
                 max_quantity = 100\n";
    Catalogue::from_toml(&format!("{}{tried}", crate::domain::catalogue::BUILT_IN)).unwrap()
}

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

fn line(service: &str, quantity: u32) -> CartLine {
    CartLine {
        id: CartItemId::new(),
        line_key: String::new(),
        service_id: service.to_owned(),
        quantity,
        addon_ids: Vec::new(),
        configuration: json!({}),
        domain: None,
        price_override: None,
    }
}

fn at(domain: &str) -> CartLine {
    CartLine { domain: Some(domain.to_owned()), ..line("shared-monthly", 1) }
}

fn given(price: &str, currency: Currency, until: &str) -> CartLine {
    let price = Money::parse(price, currency).unwrap();
    let until = until.parse().unwrap();
    let price = PriceOverride { price, by: "staff".to_owned(), reason: "promised".to_owned(), until };
    CartLine { price_override: Some(price), ..line("vps-monthly", 1) }
}

fn ten_per_cent(uses: u32, of_customer: u32, reserved: u32) -> StoredCoupon {
    StoredCoupon {
        id: CouponId::new(),
        code: "TEN".to_owned(),
        terms: CouponTerms {
            amount: CouponAmount::Percentage("10".parse().unwrap()),
            starts_at: None,
            ends_at: None,
            max_uses: Some(2),
            max_uses_per_customer: Some(1),
            minimum_spend: Vec::new(),
            services: Vec::new(),
            cycles: None,
            active: true,
        },
        uses,
        uses_by_customer: of_customer,
        reserved_by_customer: reserved,
        created_by: "staff".to_owned(),
        created_at: now(),
        updated_at: now(),
    }
}

fn priced_with(lines: Vec<CartLine>, coupon: Option<&str>, facts: &Facts) -> Priced {
    let catalogue = catalogue();
    let shop =
        Shop { catalogue: &catalogue, own_domains: ["localhost", "sites.test"], tax: TaxTreatment::none(), now: now() };
    let wanted = Wanted { currency: Currency::Usd, lines, coupon: coupon.map(str::to_owned) };
    shop.price(&wanted.spelt(), facts)
}

fn priced(lines: Vec<CartLine>) -> Priced {
    priced_with(lines, None, &Facts::default())
}

fn slugs(priced: &Priced) -> Vec<&'static str> {
    priced.troubles.iter().map(|trouble| trouble.slug).collect()
}

#[test]
fn what_cannot_be_sold_is_left_out_wherever_it_stands_and_the_rest_keeps_its_places() {
    let lines = vec![
        line("gone", 1),
        line("vps-monthly", 2),
        line("shared-monthly", 11),
        CartLine { addon_ids: vec!["gold".to_owned()], ..line("vps-annual", 1) },
        line("shared-monthly", 10),
        line("shared-annual", 1),
        CartLine { configuration: json!({ "ram_gb": 3 }), ..line("cloud-monthly", 1) },
    ];
    let ids: Vec<CartItemId> = lines.iter().map(|line| line.id).collect();

    let priced = priced(lines);

    assert_eq!(priced.quoted, [None, Some(0), None, None, Some(1), Some(2), None]);
    let blamed: Vec<_> = priced.troubles.iter().map(|trouble| (trouble.slug, trouble.item)).collect();
    assert_eq!(
        blamed,
        [
            ("service-not-sold", Some(ids[0])),
            ("quantity-not-allowed", Some(ids[2])),
            ("addon-not-sold", Some(ids[3])),
            ("configuration-invalid", Some(ids[6])),
        ]
    );
    assert_eq!(priced.quote.total.amount_text(), "139.87");
}

#[test]
fn nothing_costs_nothing_and_is_no_trouble_by_itself() {
    for lines in [vec![], vec![line("gone", 1), line("gone", 2)]] {
        let count = lines.len();

        let priced = priced_with(lines, Some("TEN"), &Facts::default());

        assert!(priced.quote.total.is_zero() && priced.quote.lines.is_empty());
        assert_eq!(slugs(&priced), vec!["service-not-sold"; count], "a coupon waits for something to be taken off");
    }
}

#[test]
fn a_given_price_holds_while_its_time_lasts_and_in_its_currency() {
    let of = |line: CartLine| priced(vec![line]);

    assert_eq!(of(given("7.00", Currency::Usd, "2026-11-25T12:00:01Z")).quote.total.amount_text(), "7.00");
    assert_eq!(of(given("7.00", Currency::Usd, "2026-11-25T12:00:00Z")).quote.total.amount_text(), "19.99");
    assert_eq!(of(given("7.00", Currency::Eur, "2026-11-25T12:00:00Z")).quote.total.amount_text(), "19.99");
    assert_eq!(slugs(&of(given("7.00", Currency::Eur, "2027-01-01T00:00:00Z"))), ["price-in-other-currency"]);
}

#[test]
fn two_items_that_have_become_the_same_stay_two() {
    let over = || given("7.00", Currency::Usd, "2026-01-01T00:00:00Z");

    let priced = priced(vec![line("vps-monthly", 1), over(), over()]);

    assert_eq!(priced.quoted, [Some(0), Some(1), Some(2)]);
    assert_eq!((priced.quote.lines.len(), priced.quote.total.amount_text().as_str()), (3, "59.97"));
}

#[test]
fn a_customer_tries_one_account_of_what_they_never_had() {
    let days = |lines: Vec<CartLine>, bought: &[&str]| {
        let bought = bought.iter().map(|service| (*service).to_owned()).collect();
        let priced = priced_with(lines, None, &Facts { bought, ..Facts::default() });
        priced.quote.lines.iter().map(|line| line.trial_days).collect::<Vec<_>>()
    };

    assert_eq!(days(vec![line("tried", 1)], &[]), [14]);
    assert_eq!(days(vec![line("tried", 1)], &["tried"]), [0]);
    assert_eq!(days(vec![line("tried", 2)], &[]), [0]);
    let priced_otherwise = || CartLine {
        price_override: given("1", Currency::Usd, "2027-01-01T00:00:00Z").price_override,
        ..line("tried", 1)
    };
    assert_eq!(days(vec![line("tried", 1), priced_otherwise()], &[]), [14, 0]);
    assert_eq!(days(vec![line("vps-monthly", 1)], &[]), [0]);
}

#[test]
fn a_domain_is_one_accounts_and_nobody_elses() {
    let taken = |lines: Vec<CartLine>| {
        let taken = ["taken.example".to_owned()].into();
        slugs(&priced_with(lines, None, &Facts { taken, ..Facts::default() }))
    };

    assert!(taken(vec![at("zoe.example"), at("shop.zoe.example"), line("shared-monthly", 3)]).is_empty());
    assert_eq!(taken(vec![at("Taken.Example.")]), ["domain-taken"]);
    assert_eq!(
        taken(vec![at("zoe.example"), CartLine { domain: at("ZOE.example").domain, ..line("wordpress-monthly", 1) }]),
        ["domain-taken"]
    );
    assert_eq!(taken(vec![CartLine { quantity: 2, ..at("zoe.example") }]), ["domain-for-one"]);
    assert_eq!(taken(vec![at("localhost")]), ["domain-invalid"]);
    assert_eq!(taken(vec![at("a\0.example")]), ["domain-invalid"]);
    assert_eq!(taken(vec![at("bh42.localhost"), at("x.sites.test")]), ["domain-reserved"; 2]);
    assert_eq!(
        taken(vec![CartLine { domain: at("zoe.example").domain, ..line("vps-monthly", 1) }]),
        ["domain-not-needed"]
    );
}

#[test]
fn a_coupon_is_the_last_trouble_and_what_its_customer_has_reserved_is_theirs() {
    let with = |coupon: Option<StoredCoupon>| {
        priced_with(vec![line("vps-monthly", 1), line("gone", 1)], Some("ten"), &Facts { coupon, ..Facts::default() })
    };

    let held = with(Some(ten_per_cent(2, 1, 1)));
    assert_eq!((held.quote.discount.amount_text().as_str(), held.discount.is_some()), ("2.00", true));
    assert_eq!(slugs(&held), ["service-not-sold"]);
    for used_up in [ten_per_cent(2, 0, 0), ten_per_cent(1, 1, 0)] {
        let refused = with(Some(used_up));
        assert_eq!(slugs(&refused), ["service-not-sold", "coupon-used-up"]);
        assert!(refused.discount.is_none() && refused.quote.discount.is_zero());
    }
    assert_eq!(slugs(&with(None)), ["service-not-sold", "coupon-invalid"]);
}

#[test]
fn a_total_that_cannot_be_charged_is_told_while_the_cart_fills() {
    let coupon = ten_per_cent(0, 0, 0);
    let facts = Facts { coupon: Some(coupon), ..Facts::default() };

    let little = priced_with(vec![line("cheap", 1)], Some("TEN"), &facts);

    assert_eq!((slugs(&little), little.quote.total.amount_text().as_str()), (vec!["total-below-minimum"], "0.45"));
    assert!(slugs(&priced_with(vec![line("cheap", 2)], Some("TEN"), &facts)).is_empty());
    let much = CartLine { quantity: 10, ..given("900000", Currency::Usd, "2027-01-01T00:00:00Z") };
    assert_eq!(slugs(&priced(vec![much])), ["total-above-maximum"]);
    let many = (0..2).map(|at| CartLine {
        price_override: given(&format!("{}", at + 1), Currency::Usd, "2027-01-01T00:00:00Z").price_override,
        ..line("cheap", 100)
    });
    assert_eq!(slugs(&priced(many.collect())), ["quantity-not-allowed"]);
}
