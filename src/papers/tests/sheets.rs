//! Sheets: what stands where, and what goes on overleaf.

use super::{
    super::layout::{LEFT, Role, SHEET_HEIGHT, Table, WIDTH},
    *,
};

fn many(lines: usize) -> Paper {
    let lines = (1..=lines).map(|number| Line { name: format!("Service number {number}"), ..line() }).collect();
    Paper { lines, ..paper() }
}

/// Nothing leaves its column or its sheet.
pub(super) fn assert_in_place(paper: &Paper) {
    look_at(paper, |sheet, placed| {
        let Placed { x, baseline, line, cell } = *placed;
        let told = format!("{line:?} at {x}, {baseline} of sheet {sheet}");
        assert!(x >= LEFT && x + line.width <= LEFT + WIDTH, "{told}");
        assert!(baseline > 0 && baseline < SHEET_HEIGHT, "{told}");
        if let Some(cell) = cell {
            // A single letter has nowhere to be broken.
            assert!(line.width <= cell.width || line.glyphs.len() == 1, "{told} leaves {}", cell.width);
        }
    });
}

#[test]
fn sixty_lines_stand_on_several_sheets_each_once() {
    let texts = texts(&many(60));

    let all = texts.concat();
    for number in 1..=60 {
        let name = format!("Service number {number}");
        assert_eq!(all.iter().filter(|text| **text == name).count(), 1, "{name}");
    }
    assert!(texts.len() > 3);
    for (at, sheet) in texts.iter().enumerate() {
        let told = |text: &str| sheet.iter().filter(|line| *line == text).count();
        assert_eq!(told("Description"), 1, "{sheet:#?}");
        assert_eq!(told("Total"), usize::from(at + 1 == texts.len()), "{sheet:#?}");
        assert_eq!(told(&format!("Page {} of {}", at + 1, texts.len())), 1, "{sheet:#?}");
        assert_eq!(told("Invoice INV-000042 · Berth Hosting GmbH"), 1, "{sheet:#?}");
    }
    assert_in_place(&many(60));
}

#[test]
fn a_line_is_not_broken_over_sheets_that_it_fits_on() {
    let mut sheets_of_line: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); 60];
    look_at(&many(60), |sheet, placed| {
        if let Some(Role::Cell(Table::Lines, row, _)) = placed.cell.map(|cell| cell.role) {
            sheets_of_line[row].insert(sheet);
        }
    });

    assert!(sheets_of_line.iter().all(|sheets| sheets.len() == 1), "{sheets_of_line:?}");
}

#[test]
fn whatever_the_number_of_lines_heads_have_a_line_below_and_sums_are_whole() {
    for lines in 1..=14 {
        let texts = texts(&many(lines));

        for sheet in &texts {
            let head = sheet.iter().position(|text| text == "Net amount");
            let next = head.and_then(|at| sheet.get(at + 1));
            assert!(next.is_none_or(|text| text.starts_with("Service number") || text == "Tax"), "{lines}: {sheet:#?}");
        }
        let last = texts.last().unwrap();
        for told in ["Subtotal", "Paid", "Reverse charge: VAT is to be accounted for by the recipient."] {
            assert!(last.iter().any(|text| text == told), "{told} is not on the last sheet of {lines} lines");
        }
    }
}

#[test]
fn a_line_that_is_higher_than_a_sheet_is_broken_and_loses_nothing() {
    let sites: Vec<String> = (0..900).map(|site| format!("site-{site}.example.org")).collect();
    let paper = Paper { lines: vec![Line { details: vec![sites.join(", ")], ..line() }, line()], ..paper() };

    let texts = texts(&paper);

    let all = texts.concat().join(" ");
    for site in &sites {
        assert_eq!(all.matches(site.as_str()).count(), 1, "{site}");
    }
    let positions: Vec<usize> = sites.iter().map(|site| all.find(site.as_str()).unwrap()).collect();
    assert!(positions.is_sorted());
    assert!(texts.len() > 3);
    assert_in_place(&paper);
}

#[test]
fn names_however_long_stay_in_their_places() {
    let long = "Verwaltungsgesellschaft für außergewöhnlich lange Firmennamen mit beschränkter Haftung & Co. KGaA";
    let word = "W".repeat(200);
    let mut paper = paper();
    paper.kind = Kind::CreditNote { invoice_number: word.clone(), reason: word.clone() };
    paper.number = word.clone();
    paper.seller.names = strings(&[long, &word]);
    paper.seller.email = Some(word.clone());
    paper.buyer.names = strings(&[&word, long]);
    paper.buyer.lines = strings(&[&word, long]);
    paper.lines[0].name = word.clone();
    paper.lines[1].details = strings(&[&word, long]);
    paper.coupons = strings(&[&word]);
    paper.notes = strings(&[&word, long]);

    assert_in_place(&paper);
    let all = texts(&paper).concat();
    let letters: usize = all.iter().map(|text| text.matches('W').count()).sum();
    // Once for each place, and at each sheet's foot as far as there is room.
    assert!(letters >= 11 * 200, "{letters} letters of {}", 11 * 200);
}

#[test]
fn a_party_that_is_higher_than_a_sheet_goes_on_overleaf() {
    let mut paper = paper();
    paper.buyer.lines = (0..200).map(|line| format!("Address line {line}")).collect();

    let all = texts(&paper).concat();

    for line in 0..200 {
        assert_eq!(all.iter().filter(|text| **text == format!("Address line {line}")).count(), 1, "{line}");
    }
    assert_in_place(&paper);
}

#[test]
fn amounts_stand_flush_at_the_right() {
    let mut rights: BTreeSet<i32> = BTreeSet::new();
    let mut seen = 0;
    look_at(&paper(), |_, placed| {
        if ["36.00", "119.88", "159.88", "171.11 EUR", "Net amount"].contains(&placed.line.text.trim()) {
            seen += 1;
            let right = placed.x + placed.line.width;
            if right > LEFT + WIDTH / 2 {
                rights.insert(right);
            }
        }
    });

    assert!(seen >= 6, "{seen}");
    assert!(rights.remove(&(LEFT + WIDTH)), "{rights:?}");
    // The unit price of one line is its net amount as well.
    assert_eq!(rights.len(), 1, "{rights:?}");
}

#[test]
fn the_largest_amounts_there_are_leave_room_for_names() {
    let most = eur("92233720368547758.07");
    let figure = most.amount();
    let huge = Line { quantity: u32::MAX, unit_price: figure, discount: figure, net: figure, ..line() };
    let taxes = vec![TaxTotal { rate: decimal("19.123456"), net: most, tax: most }];
    let paper =
        Paper { lines: vec![huge, line()], taxes, subtotal: most, discount: most, tax: most, total: most, ..paper() };

    assert_in_place(&paper);
    assert_says(&paper, &["92233720368547758.07 EUR", "−92233720368547758.07", "VPS Hosting"]);
}

#[test]
fn a_paper_that_says_next_to_nothing_is_a_paper() {
    let empty = Paper {
        number: String::new(),
        order: String::new(),
        seller: Party::default(),
        buyer: Party::default(),
        lines: Vec::new(),
        coupons: Vec::new(),
        taxes: Vec::new(),
        notes: Vec::new(),
        ..paper()
    };

    assert_says(&empty, &["Invoice", "Total", "Page 1 of 1"]);
}
