mod letters;
mod properties;
mod sheets;

use berth_jobs::ids::OrderId;
use lopdf::{Dictionary, Document, Object};

use super::{layout::Placed, *};
use crate::domain::money::Currency;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn eur(text: &str) -> Money {
    Money::parse(text, Currency::Eur).unwrap()
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn line() -> Line {
    Line {
        name: "VPS Hosting".into(),
        details: strings(&[
            "Starter plan, billed monthly",
            "Memory (GB): 8 · Region: Frankfurt · Daily backups",
            "Trial: the first 14 days are free · Includes a set-up fee of 5.00 each",
            "one.test, two.test",
        ]),
        quantity: 2,
        unit_price: decimal("20.00"),
        discount: decimal("4.00"),
        tax_rate: decimal("19"),
        net: decimal("36.00"),
    }
}

fn paper() -> Paper {
    Paper {
        kind: Kind::Invoice,
        number: "INV-000042".into(),
        order: OrderId("01995f3c-6a40-7c11-9d55-0123456789ab".parse().unwrap()).to_string(),
        issued_on: "2026-12-31".parse().unwrap(),
        seller: Party {
            names: strings(&["Berth Hosting GmbH"]),
            lines: strings(&["Am Hafen 1", "20457 Hamburg", "Germany"]),
            vat_id: Some("DE123456789".into()),
            email: Some("invoices@example.com".into()),
        },
        buyer: Party {
            names: strings(&["Analytical Engines Ltd", "Ada Lovelace"]),
            lines: strings(&["12 St James's Square", "London SW1Y 4JH", "United Kingdom"]),
            vat_id: Some("GB123456789".into()),
            email: Some("ada@example.com".into()),
        },
        lines: vec![
            line(),
            Line {
                name: "Shared Hosting".into(),
                details: strings(&["Professional plan, billed annually", "example.org"]),
                quantity: 1,
                unit_price: decimal("119.88"),
                discount: decimal("0.00"),
                tax_rate: decimal("7"),
                net: decimal("119.88"),
            },
        ],
        coupons: strings(&["SPRING"]),
        taxes: vec![
            TaxTotal { rate: decimal("19"), net: eur("36.00"), tax: eur("6.84") },
            TaxTotal { rate: decimal("7"), net: eur("119.88"), tax: eur("8.39") },
        ],
        subtotal: eur("159.88"),
        discount: eur("4.00"),
        tax: eur("15.23"),
        total: eur("171.11"),
        credit: eur("0"),
        payment: Payment::Paid { on: Some("2026-12-31".parse().unwrap()) },
        notes: strings(&["Reverse charge: VAT is to be accounted for by the recipient."]),
    }
}

fn read(paper: &Paper) -> Document {
    Document::load_mem(&paper.pdf().unwrap().bytes).unwrap()
}

/// The texts of each sheet, a line of the sheet each, as they are read out of the file.
fn texts_of(document: &Document) -> Vec<Vec<String>> {
    let texts = |page: &u32| {
        let text = document.extract_text(&[*page]).unwrap();
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
    };
    document.get_pages().keys().map(texts).collect()
}

fn texts(paper: &Paper) -> Vec<Vec<String>> {
    texts_of(&read(paper))
}

fn assert_says(paper: &Paper, told: &[&str]) {
    let texts: Vec<String> = texts(paper).concat();
    for told in told {
        assert!(texts.iter().any(|text| text == told), "{told:?} is not in {texts:#?}");
    }
}

/// Calls `check` with every line in its place, sheet by sheet.
fn look_at(paper: &Paper, mut check: impl FnMut(usize, &Placed<'_>)) {
    let mut typesetter = text::Typesetter::new().unwrap();
    let content = content::of(paper, &mut typesetter);
    for (number, sheet) in layout::sheets(&content).iter().enumerate() {
        for placed in &sheet.lines {
            check(number, placed);
        }
    }
}

fn catalog(document: &Document) -> &Dictionary {
    document.catalog().unwrap()
}

#[test]
fn an_invoice_says_all_that_it_must() {
    let told = [
        "Invoice",
        "INV-000042",
        "Berth Hosting GmbH",
        "20457 Hamburg",
        "VAT ID DE123456789",
        "invoices@example.com",
        "Analytical Engines Ltd",
        "Ada Lovelace",
        "12 St James's Square",
        "VAT ID GB123456789",
        "Invoice date",
        "31 December 2026",
        "ord_01k5fkrtj0fg8stn814d2pf2db",
        "VPS Hosting",
        "Starter plan, billed monthly",
        "Memory (GB): 8 · Region: Frankfurt · Daily backups",
        "Trial: the first 14 days are free · Includes a set-up fee of 5.00 each",
        "one.test, two.test",
        "20.00",
        "119.88",
        "19 %",
        "36.00",
        "6.84",
        "8.39",
        "Discount (SPRING)",
        "−4.00",
        "Total",
        "171.11 EUR",
        "Paid",
        "Reverse charge: VAT is to be accounted for by the recipient.",
        "All amounts are in EUR. This invoice has been paid in full; nothing is due.",
        "Page 1 of 1",
    ];

    assert_says(&paper(), &told);
}

#[test]
fn a_credit_note_names_its_invoice_and_its_reason() {
    let kind =
        Kind::CreditNote { invoice_number: "INV-000041".into(), reason: "The server was away for a week.".into() };
    let note = Paper { kind, number: "CN-000007".into(), ..paper() };

    assert_says(
        &note,
        &["Credit note", "CN-000007", "CREDITED TO", "For invoice", "INV-000041", "The server was away for a week."],
    );
    assert_says(&note, &["Refunded on", "Refunded", "All amounts are in EUR."]);
    let texts = texts(&note).concat();
    assert!(!texts.iter().any(|text| text.starts_with("Paid") || text.contains("paid in full")), "{texts:#?}");
}

#[test]
fn what_is_left_to_pay_is_told_with_its_day() {
    let by = Some("2027-01-14".parse().unwrap());
    let due = Paper { payment: Payment::Due { by }, credit: eur("21.11"), ..paper() };

    assert_says(&due, &["Due on", "14 January 2027", "Paid from credit", "−21.11 EUR", "To be paid", "150.00 EUR"]);
    assert_says(&due, &["All amounts are in EUR. Please pay by 14 January 2027."]);
}

#[test]
fn nothing_is_said_of_a_payment_that_nobody_knows_of() {
    let texts = texts(&Paper { payment: Payment::Unsaid, ..paper() }).concat();

    assert!(!texts.iter().any(|text| text.to_lowercase().contains("paid")), "{texts:#?}");
}

#[test]
fn without_a_discount_there_is_no_column_for_one() {
    let mut plain = paper();
    plain.discount = eur("0");

    let texts = texts(&plain).concat();

    assert!(!texts.iter().any(|text| text.contains("Discount") || text.contains("SPRING")), "{texts:#?}");
}

#[test]
fn amounts_have_the_decimals_of_their_currency() {
    let yen = |text: &str| Money::parse(text, Currency::Jpy).unwrap();
    let line = Line { unit_price: decimal("1200"), discount: decimal("0"), net: decimal("2400"), ..line() };
    let taxes = vec![TaxTotal { rate: decimal("8.875"), net: yen("2400"), tax: yen("213") }];
    let (subtotal, tax, total) = (yen("2400"), yen("213"), yen("2613"));
    let (discount, credit) = (yen("0"), yen("0"));
    let paper = Paper { lines: vec![line], taxes, subtotal, discount, tax, total, credit, ..paper() };

    assert_says(&paper, &["1200", "2400", "8.875 %", "213", "2613 JPY"]);
}

#[test]
fn a_paper_is_the_same_file_each_time_and_bears_its_own_date() {
    let first = paper().pdf().unwrap();

    for _ in 0..3 {
        assert_eq!(paper().pdf().unwrap().bytes, first.bytes);
    }
    let document = read(&paper());
    let info = document.trailer.get(b"Info").and_then(|info| document.dereference(info)).unwrap().1;
    let date = info.as_dict().unwrap().get(b"CreationDate").unwrap();
    assert_eq!(date.as_str().unwrap(), b"D:20261231000000Z");
}

#[test]
fn a_file_says_what_it_is_and_can_be_read_aloud() {
    let document = read(&paper());

    let catalog = catalog(&document);
    assert_eq!(catalog.get(b"Lang").unwrap().as_str().unwrap(), b"en");
    let marked = catalog.get(b"MarkInfo").and_then(Object::as_dict).and_then(|info| info.get(b"Marked"));
    assert!(marked.unwrap().as_bool().unwrap());
    assert!(catalog.has(b"StructTreeRoot") && catalog.has(b"OutputIntents"));
    let metadata = document.dereference(catalog.get(b"Metadata").unwrap()).unwrap().1.as_stream().unwrap();
    let metadata = String::from_utf8_lossy(&metadata.content);
    for told in
        ["Invoice INV-000042", "Berth Hosting GmbH", "<pdfaid:part>2</pdfaid:part>", "<pdfuaid:part>1</pdfuaid:part>"]
    {
        assert!(metadata.contains(told), "{told} is not in {metadata}");
    }
}

#[test]
fn a_file_carries_its_typefaces() {
    let document = read(&paper());

    let mut fonts = 0;
    for object in document.objects.values() {
        let Ok(descriptor) = object.as_dict() else { continue };
        if descriptor.has_type(b"FontDescriptor") {
            fonts += 1;
            assert!(descriptor.has(b"FontFile3"), "{descriptor:?}");
        }
    }
    assert_eq!(fonts, 2);
}

#[test]
fn the_name_of_a_file_is_made_of_plain_letters() {
    let named = |number: &str| Paper { number: number.into(), ..paper() }.file_name();

    assert_eq!(named("INV-000042"), "INV-000042.pdf");
    assert_eq!(named("../../etc/\"passwd\"\r\nX: 1"), "etcpasswdX1.pdf");
    assert_eq!(named("№ ١"), "invoice.pdf");
    assert_eq!(named(&"9".repeat(500)).len(), 68);
}
