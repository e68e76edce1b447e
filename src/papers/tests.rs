use berth_jobs::ids::OrderId;

use super::*;
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

#[test]
fn show() {
    let out = std::path::Path::new("/tmp/pdfshow");
    std::fs::create_dir_all(out).unwrap();
    let save = |name: &str, paper: &Paper| {
        let t = std::time::Instant::now();
        let pdf = paper.pdf().unwrap();
        let took = t.elapsed();
        println!("{name}: {} bytes, {took:?}, missing {:?}", pdf.bytes.len(), pdf.missing);
        std::fs::write(out.join(format!("{name}.pdf")), pdf.bytes).unwrap();
    };
    save("one", &paper());
    save("two", &paper());
    let mut many = paper();
    many.lines = (1..=60).map(|n| Line { name: format!("Service number {n}"), ..line() }).collect();
    save("many", &many);
    many.lines = (1..=180).map(|n| Line { name: format!("Service number {n}"), ..line() }).collect();
    save("twenty", &many);
    let long = "Verwaltungsgesellschaft für außergewöhnlich lange Firmennamen mit beschränkter Haftung & Co. Kommanditgesellschaft auf Aktien";
    let mut longs = paper();
    longs.kind = Kind::CreditNote { invoice_number: "INV-000041".into(), reason: format!("{long}. {long}. {long}") };
    longs.number = "CN-000007".into();
    longs.seller.names = strings(&[long]);
    longs.buyer.names = strings(&[&"Donaudampfschifffahrtsgesellschaft".repeat(6), "Nguyễn Thị Minh Khai", "Θεόδωρος Αγγελόπουλος", "Пётр Ильич Чайковский", "山田太郎", "محمد بن سلمان", "Zoe\u{308} 👩‍👩‍👧 A\u{301}\u{328}"]);
    longs.lines[0].name = "W".repeat(200);
    longs.lines[1].name = long.into();
    longs.lines[1].details = vec![(0..600).map(|n| format!("site-{n}.example.org")).collect::<Vec<_>>().join(", ")];
    longs.lines[0].unit_price = decimal("92233720368547758.07");
    longs.lines[0].net = decimal("92233720368547758.07");
    longs.lines[0].discount = decimal("92233720368547758.07");
    longs.total = eur("92233720368547758.07");
    longs.tax = eur("92233720368547758.07");
    longs.taxes[0].net = longs.total;
    longs.taxes[0].tax = longs.total;
    save("longs", &longs);
    let mut due = paper();
    due.discount = eur("0");
    due.payment = Payment::Due { by: Some("2027-01-14".parse().unwrap()) };
    due.credit = eur("20");
    save("due", &due);
}
