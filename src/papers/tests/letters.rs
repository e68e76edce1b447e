//! Letters: which are printed, and what becomes of those that are not.

use super::{
    super::{
        text::{Colour, Line, Style, Typesetter},
        typeface::{ASCENT, DESCENT, UNITS_PER_EM, Weight},
    },
    *,
};

const STYLE: Style = Style::new(Weight::Regular, 190, 275, Colour::Ink);

fn wrapped(text: &str, width: i32) -> Vec<Line> {
    Typesetter::new().unwrap().wrap(text, STYLE, width)
}

fn shown(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

fn named(name: &str) -> Paper {
    Paper { buyer: Party { names: strings(&[name]), ..Party::default() }, ..paper() }
}

#[test]
fn names_of_european_and_vietnamese_letters_are_printed() {
    for name in [
        "Björn Ångström-Łuczak Ñuñez Þór İşık",
        "Nguyễn Thị Minh Khai",
        "Θεόδωρος Ἀγγελόπουλος",
        "Пётр Ильич Чайковский · Їжак · Ђорђе",
        "€ £ ¥ ₺ ₹ № § ™ « » „ “ ’ – — … − ×",
    ] {
        let pdf = named(name).pdf().unwrap();

        assert_eq!(pdf.missing, BTreeSet::new(), "{name}");
        assert_says(&named(name), &[name]);
    }
}

#[test]
fn letters_that_the_typeface_lacks_are_shown_as_boxes_and_kept_as_they_were_written() {
    for (name, boxes) in [("山田太郎", "□□□□"), ("Ada محمد", "Ada □□□□"), ("שלום 🚢", "□□□□ □"), ("\u{e000}x", "□x")]
    {
        let pdf = named(name).pdf().unwrap();

        assert!(!pdf.missing.is_empty(), "{name}");
        assert_says(&named(name), &[boxes]);
    }
    let lines = wrapped("Ada محمد", 2000);
    assert_eq!((shown(&lines), lines[0].written.as_deref()), (vec!["Ada □□□□"], Some("Ada محمد")));
    assert_eq!(named("山田太郎").pdf().unwrap().missing, BTreeSet::from(['山', '田', '太', '郎']));
}

#[test]
fn accents_that_stand_apart_are_set_upon_their_letters() {
    let together = wrapped("Zoë", 2000);
    let apart = wrapped("Zoe\u{308}", 2000);

    assert_eq!(apart[0].width, together[0].width);
    assert_eq!(apart[0].written, None);
}

#[test]
fn a_letter_that_bore_an_accent_once_is_read_without_it_elsewhere() {
    // No letter of Unicode is an a with such a mark: it is drawn as two.
    assert_says(&named("a\u{30d}"), &["a\u{30d}", "Invoice date", "Total"]);
    assert_eq!(shown(&wrapped("a\u{30d}a\u{30d}", 1)), ["a\u{30d}", "a\u{30d}"]);
}

#[test]
fn what_only_steers_others_is_not_printed() {
    // A mark of direction would show "gpj.exe" as "exe.jpg".
    let lines = wrapped("a\u{202e}b\u{200b}c\u{feff}\u{ad}d\0e\u{7}\tf\r\ng", 2000);

    assert_eq!(shown(&lines), ["abcd e f g"]);
}

#[test]
fn no_letters_are_made_of_others() {
    let lines = wrapped("-> 1x2 fi (c)", 3000);

    assert_eq!(lines[0].glyphs.len(), "-> 1x2 fi (c)".len());
    assert_says(&named("-> 1x2 fi (c) <b>&amp;</b>"), &["-> 1x2 fi (c) <b>&amp;</b>"]);
}

#[test]
fn lines_end_at_spaces_and_long_words_anywhere() {
    let lines = wrapped("one two three fourfivesixseveneightnineten", 900);

    assert!(lines.iter().all(|line| line.width <= 900), "{lines:?}");
    assert_eq!(shown(&lines)[0], "one two ");
    assert_eq!(shown(&lines).concat(), "one two three fourfivesixseveneightnineten");
    assert_eq!(shown(&wrapped("one two", 1)), ["o", "n", "e ", "t", "w", "o"]);
    assert_eq!(shown(&wrapped("1\u{a0}000 EUR", 700)), ["1\u{a0}000 ", "EUR"]);
}

#[test]
fn figures_of_columns_are_of_one_width() {
    let mut typesetter = Typesetter::new().unwrap();
    let widths: BTreeSet<i32> =
        ('0'..='9').map(|digit| typesetter.line(&digit.to_string(), STYLE.tabular()).unwrap().width).collect();

    assert_eq!(widths.len(), 1);
}

#[test]
fn marks_heaped_upon_a_letter_are_no_reason_to_fail() {
    named(&format!("Z{}", "\u{301}".repeat(20_000))).pdf().unwrap();
    named(&"山\u{301}".repeat(3_000)).pdf().unwrap();
}

#[test]
fn the_measures_are_those_of_both_files() {
    for weight in [Weight::Regular, Weight::SemiBold] {
        let file = weight.file();
        let table = |tag: &[u8; 4]| {
            let entry = file[12..].chunks(16).find(|entry| entry[..4] == tag[..]).unwrap();
            usize::try_from(u32::from_be_bytes(entry[8..12].try_into().unwrap())).unwrap()
        };
        let number = |at: usize| i64::from(i16::from_be_bytes(file[at..at + 2].try_into().unwrap()));

        assert_eq!(number(table(b"head") + 18), i64::from(UNITS_PER_EM));
        assert_eq!((number(table(b"hhea") + 4), number(table(b"hhea") + 6)), (ASCENT, -DESCENT));
    }
}
