use proptest::prelude::*;
use serde_json::json;

use super::*;

fn usd(text: &str) -> Money {
    Money::parse(text, Currency::Usd).unwrap()
}

/// A line of one unit: what it costs, what is taken off and which tax comes on top.
fn line(subtotal: &str, discount: &str, tax: &str) -> InvoiceLine {
    let total = usd(subtotal).checked_sub(usd(discount)).unwrap().checked_add(usd(tax)).unwrap();
    serde_json::from_value(json!({
        "service_id": "shared-monthly", "name": "Shared Hosting", "billing_cycle": "monthly", "quantity": 1,
        "unit_price": subtotal, "subtotal": subtotal, "discount": discount, "tax_rate": "19", "tax": tax,
        "total": total.amount_text(),
    }))
    .unwrap()
}

#[test]
fn a_refund_of_everything_takes_back_net_and_tax_of_every_line() {
    let invoice = [line("10.00", "1.00", "1.71"), line("5.00", "0.00", "0.95"), line("3.00", "3.00", "0.00")];

    let credit = credit(&invoice, &[], usd("16.66")).unwrap();

    assert_eq!((credit.subtotal, credit.tax, credit.total), (usd("14.00"), usd("2.66"), usd("16.66")));
    let lines: Vec<(usize, String)> = credit.lines.iter().map(|it| (it.line, it.total.to_string())).collect();
    assert_eq!(lines, [(0, "10.71".to_owned()), (1, "5.95".to_owned())], "what was free is not on it");
}

#[test]
fn a_part_takes_its_share_of_the_tax() {
    let credit = credit(&[line("10.00", "0.00", "1.90")], &[], usd("5.95")).unwrap();

    assert_eq!((credit.subtotal, credit.tax), (usd("5.00"), usd("0.95")));
}

#[test]
fn what_is_not_left_is_not_given() {
    let invoice = [line("10.00", "0.00", "1.90")];
    let first = credit(&invoice, &[], usd("11.00")).unwrap();

    assert_eq!(credit(&invoice, &first.lines, usd("0.91")).unwrap_err(), MoneyError::Negative);
    assert!(credit(&invoice, &first.lines, usd("0.90")).is_ok());
}

#[test]
fn news_lead_down_and_never_back() {
    use RefundState as S;
    for known in S::ALL {
        for told in S::ALL {
            let expected = match known {
                S::Requested => told != S::Requested,
                S::Pending => matches!(told, S::Succeeded | S::Failed | S::Cancelled),
                S::Succeeded => matches!(told, S::Failed | S::Cancelled),
                S::Failed | S::Cancelled => false,
            };
            assert_eq!(told.is_after(known), expected, "{told} after {known}");
        }
    }
}

proptest! {
    #[test]
    fn parts_that_sum_to_an_invoice_take_back_exactly_it(
        lines in prop::collection::vec((1_u32..5_000, 0_u32..5_000, 0_u32..30), 1..5),
        cuts in prop::collection::vec(1_u32..2_000, 0..8),
    ) {
        let cents = |minor: u32| Money::from_minor(i64::from(minor), Currency::Usd).unwrap().amount_text();
        let invoice: Vec<InvoiceLine> = lines
            .iter()
            .map(|(subtotal, off, rate)| {
                let off = off % (subtotal + 1);
                line(&cents(*subtotal), &cents(off), &cents((subtotal - off) * rate / 100))
            })
            .collect();
        let whole = Money::sum(Currency::Usd, invoice.iter().map(|it| Money::new(it.total, Currency::Usd).unwrap())).unwrap();
        prop_assume!(!whole.is_zero());

        let (mut noted, mut left, mut tax) = (Vec::new(), whole, Money::zero(Currency::Usd));
        for cut in cuts.into_iter().map(Some).chain([None]) {
            let part = cut.map_or(left, |cut| Money::from_minor(i64::from(cut), Currency::Usd).unwrap());
            let Ok(rest) = left.checked_sub(part) else { continue };
            if part.is_zero() {
                continue;
            }
            let note = credit(&invoice, &noted, part).unwrap();
            prop_assert_eq!(note.subtotal.checked_add(note.tax).unwrap(), part);
            tax = tax.checked_add(note.tax).unwrap();
            noted.extend(note.lines);
            left = rest;
        }

        let owed = Money::sum(Currency::Usd, invoice.iter().map(|it| Money::new(it.tax, Currency::Usd).unwrap())).unwrap();
        prop_assert!(left.is_zero());
        prop_assert_eq!(tax, owed);
        for (at, line) in invoice.iter().enumerate() {
            let back: Decimal = noted.iter().filter(|note| note.line == at).map(|note| note.total).sum();
            prop_assert_eq!(back, line.total);
        }
    }
}
