use axum::{http::header, response::IntoResponse};
use berth_jobs::ids::{CustomerId, InvoiceId, OrderId};

use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use super::{super::paper, *};
use crate::{
    domain::{
        address::Address,
        invoice::{Buyer, Detail, InvoiceLine, Seller, tax_totals},
        money::{Currency, Money},
    },
    store::invoices::Invoice,
};

const EVIL: &str =
    "</style></table><script>alert('x')</script><img src=\"http://evil.test/\" onerror=alert(1)>{{ css }}";

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn sold() -> InvoiceLine {
    InvoiceLine {
        service_id: "vps-monthly".into(),
        name: "VPS Hosting".into(),
        plan_name: "starter".into(),
        billing_cycle: "monthly".into(),
        quantity: 2,
        unit_price: decimal("20.00"),
        setup_fee: decimal("5.00"),
        trial_days: 14,
        details: vec![
            Detail { name: "Memory (GB)".into(), value: Some("8".into()) },
            Detail { name: "Daily backups".into(), value: None },
        ],
        period: None,
        domains: vec!["one.test".into(), "two.test".into()],
        subtotal: decimal("40.00"),
        discount: decimal("4.00"),
        coupon: Some("SPRING".into()),
        tax_rate: decimal("19"),
        tax: decimal("6.84"),
        tax_note: None,
        total: decimal("42.84"),
    }
}

fn invoice(lines: Vec<InvoiceLine>) -> Invoice {
    let sum = |amount: fn(&InvoiceLine) -> Decimal| Money::new(lines.iter().map(amount).sum(), Currency::Eur).unwrap();
    Invoice {
        id: InvoiceId::new(),
        number: "INV-000042".into(),
        order_id: OrderId::new(),
        customer_id: CustomerId(uuid::Uuid::new_v4()),
        subtotal: sum(|line| line.subtotal),
        discount: sum(|line| line.discount),
        tax: sum(|line| line.tax),
        total: sum(|line| line.total),
        seller: Seller {
            name: "Berth Hosting GmbH".into(),
            address: vec!["Am Hafen 1".into(), "20457 Hamburg".into(), "Germany".into()],
            country: Some("DE".into()),
            vat_id: Some("DE123456789".into()),
            email: Some("invoices@example.com".into()),
        },
        buyer: Buyer {
            email: "ada@example.com".into(),
            name: Some("Ada Lovelace".into()),
            company: Some("Analytical Engines Ltd".into()),
            country: Some("GB".into()),
            address: Some(Address {
                line1: "12 St James's Square".into(),
                city: "London".into(),
                ..Address::default()
            }),
            vat_id: None,
        },
        lines,
        issued_at: "2026-12-31T23:30:00Z".parse().unwrap(),
    }
}

fn shown_in(invoice: &Invoice, zone: &str) -> String {
    let taxes = tax_totals(&invoice.lines, Currency::Eur).unwrap();
    let paper = paper::of(invoice, taxes, &TimeZone::get(zone).unwrap());
    of(&paper).unwrap().html().to_owned()
}

fn shown(invoice: &Invoice) -> String {
    shown_in(invoice, "UTC")
}

#[test]
fn an_invoice_says_all_that_it_must() {
    let html = shown(&invoice(vec![sold()]));

    for told in [
        "INV-000042",
        "Berth Hosting GmbH",
        "20457 Hamburg",
        "DE123456789",
        "Ada Lovelace",
        "<strong>Analytical Engines Ltd</strong>",
        "12 St James&#x27;s Square",
        "<p>United Kingdom</p>",
        "31 December 2026",
        "Starter plan, billed monthly",
        "Memory (GB): 8",
        "Daily backups",
        "Trial: the first 14 days are free",
        "Includes a set-up fee of 5.00 each",
        "one.test, two.test",
        "<td class=\"amount\">20.00</td>",
        "−4.00",
        "(SPRING)",
        "<td>19 %</td><td class=\"amount\">36.00</td><td class=\"amount\">6.84</td>",
        "42.84 EUR",
    ] {
        assert!(html.contains(told), "{told} is not in\n{html}");
    }
    assert_eq!(html.matches("<p>Germany</p>").count(), 1, "a country that the address names is not said twice");
}

#[test]
fn no_name_can_leave_its_place() {
    let evil = || Some(EVIL.to_owned());
    let mut invoice = invoice(vec![InvoiceLine {
        name: EVIL.into(),
        plan_name: EVIL.into(),
        billing_cycle: EVIL.into(),
        details: vec![Detail { name: EVIL.into(), value: evil() }],
        domains: vec![EVIL.into()],
        coupon: evil(),
        tax_note: evil(),
        ..sold()
    }]);
    invoice.number = format!("INV-1\"}} body {{ background: url(http://evil.test/) }}{EVIL}");
    invoice.seller =
        Seller { name: EVIL.into(), address: vec![EVIL.into()], country: evil(), vat_id: evil(), email: evil() };
    let address = Address { line1: EVIL.into(), line2: evil(), city: EVIL.into(), postal_code: evil(), region: evil() };
    invoice.buyer = Buyer {
        email: EVIL.into(),
        name: evil(),
        company: evil(),
        country: evil(),
        address: Some(address),
        vat_id: evil(),
    };

    let html = shown(&invoice);

    // Only the page's own tags are there, each as often as on a harmless invoice of the same shape.
    assert!(html.matches("&lt;script&gt;").count() >= 20, "{html}");
    for tag in ["<script", "<img", "onerror=alert(1)>", "src=\""] {
        assert!(!html.contains(tag), "{tag}: {html}");
    }
    assert_eq!((html.matches("<style").count(), html.matches("</style").count()), (1, 1));
    let style = html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    assert!(!style.contains("evil") && !style.contains("url("), "{style}");
    assert!(html.contains("{{ css }}"), "what looks like a template's tag is text");
}

#[test]
fn nothing_is_loaded_and_nothing_runs() {
    let invoice = invoice(vec![sold()]);
    let taxes = tax_totals(&invoice.lines, Currency::Eur).unwrap();

    let response = of(&paper::of(&invoice, taxes, &TimeZone::UTC)).unwrap().into_response();

    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("script") && !policy.contains("unsafe"), "{policy}");
    let html = shown(&invoice);
    for foreign in ["http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link", "style="] {
        assert!(!html.contains(foreign), "{foreign}");
    }
}

#[test]
fn the_date_is_that_of_the_shops_time_zone() {
    let invoice = invoice(vec![sold()]);

    assert!(shown_in(&invoice, "UTC").contains("31 December 2026"));
    assert!(shown_in(&invoice, "Europe/Berlin").contains("<dd>1 January 2027</dd>"));
    assert!(shown_in(&invoice, "America/New_York").contains("31 December 2026"));
}

#[test]
fn taxes_stand_by_rate_and_their_note_once() {
    let note = "Reverse charge: VAT is to be accounted for by the recipient.";
    let of_rate = |rate: &str, tax: &str, total: &str| InvoiceLine {
        tax_rate: decimal(rate),
        tax: decimal(tax),
        total: decimal(total),
        tax_note: Some(note.to_owned()),
        ..sold()
    };

    let html = shown(&invoice(vec![of_rate("0", "0.00", "36.00"), of_rate("7", "2.52", "38.52")]));

    assert!(html.find("<td>7 %</td>").unwrap() < html.find("<td>0 %</td>").unwrap());
    assert_eq!(html.matches(note).count(), 1);
}

#[test]
fn without_a_discount_there_is_no_column_for_one() {
    let plain = InvoiceLine {
        discount: decimal("0.00"),
        coupon: None,
        tax: decimal("7.60"),
        total: decimal("47.60"),
        ..sold()
    };

    assert!(!shown(&invoice(vec![plain])).contains("Discount"));
}

#[test]
fn a_buyer_who_said_nothing_is_their_address_for_mail() {
    let mut invoice = invoice(vec![sold()]);
    invoice.buyer = Buyer { email: "ada@example.com".into(), ..Buyer::default() };

    let html = shown(&invoice);

    assert_eq!(html.matches("ada@example.com").count(), 1);
    assert!(html.contains("<strong>ada@example.com</strong>"));
}
