//! Whatever a paper says, it is a PDF that can be read, and everything on it stands in its place.

use proptest::{collection::vec, option, prelude::*};

use super::{sheets::assert_in_place, *};

/// Texts that people write, and such as nobody should.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[A-Za-zÀ-ž ,.-]{0,60}",
        2 => "\\PC{0,60}",
        2 => any::<String>(),
        1 => "[Wـ山🚢]{150,400}",
        1 => "[\u{0}-\u{20}\u{ad}\u{300}-\u{36f}\u{200b}-\u{2069}\u{d7ff}\u{e000}\u{fe0f}\u{fffe}\u{10ffff}a]{0,40}",
    ]
}

fn texts_of_some() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..4)
}

fn amount() -> impl Strategy<Value = Decimal> {
    prop_oneof![(0..100_000_i64).boxed(), (0..=i64::MAX).boxed()].prop_map(|minor| Decimal::new(minor, 2))
}

fn money() -> impl Strategy<Value = Money> {
    amount().prop_map(|amount| Money::new(amount, Currency::Eur).unwrap())
}

fn party() -> impl Strategy<Value = Party> {
    let parts = (texts_of_some(), texts_of_some(), option::of(text()), option::of(text()));
    parts.prop_map(|(names, lines, vat_id, email)| Party { names, lines, vat_id, email })
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let line = (text(), texts_of_some(), any::<u32>(), amount(), amount(), 0..10_000_i64, amount());
    let line = line.prop_map(|(name, details, quantity, unit_price, discount, rate, net)| Line {
        name,
        details,
        quantity,
        unit_price,
        discount,
        tax_rate: Decimal::new(rate, 3),
        net,
    });
    vec(line, 0..12)
}

fn kind() -> impl Strategy<Value = Kind> {
    let note = (text(), text()).prop_map(|(invoice_number, reason)| Kind::CreditNote { invoice_number, reason });
    prop_oneof![Just(Kind::Invoice), note]
}

fn payment() -> impl Strategy<Value = Payment> {
    let day = option::of(
        (1_i16..=9999, 1_i8..=12, 1_i8..=28).prop_map(|(year, month, day)| jiff::civil::date(year, month, day)),
    );
    prop_oneof![
        Just(Payment::Unsaid),
        day.clone().prop_map(|on| Payment::Paid { on }),
        day.prop_map(|by| Payment::Due { by }),
    ]
}

prop_compose! {
    fn any_paper()(
        kind in kind(),
        (number, order) in (text(), text()),
        (seller, buyer) in (party(), party()),
        lines in lines(),
        (coupons, notes) in (texts_of_some(), texts_of_some()),
        taxes in vec((amount(), money(), money()), 0..4),
        (subtotal, discount, tax) in (money(), money(), money()),
        (total, credit) in (money(), money()),
        payment in payment(),
    ) -> Paper {
        let taxes = taxes.into_iter().map(|(rate, net, tax)| TaxTotal { rate, net, tax }).collect();
        Paper {
            kind, number, order, seller, buyer, lines, coupons, taxes, subtotal, discount, tax, total, credit, payment,
            notes, ..paper()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_it_says_it_is_a_pdf_that_can_be_read(paper in any_paper()) {
        let pdf = paper.pdf().unwrap();

        let document = Document::load_mem(&pdf.bytes).unwrap();
        let texts = texts_of(&document);
        for (at, sheet) in texts.iter().enumerate() {
            let page = format!("Page {} of {}", at + 1, texts.len());
            prop_assert!(sheet.contains(&page), "{page} is not in {sheet:#?}");
        }
        prop_assert!(texts.concat().iter().any(|text| text == "Total"));
        assert_in_place(&paper);
    }
}
