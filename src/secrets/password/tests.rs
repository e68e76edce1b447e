use std::collections::HashSet;

use secrecy::ExposeSecret;

use super::*;

#[test]
fn ten_thousand_passwords_meet_the_rules() {
    let username: Username = "btbcdfgh".parse().unwrap();
    let mut seen = HashSet::new();
    let mut counts = [0_u32; 128];

    for _ in 0..10_000 {
        let password = generate_password(&username).unwrap();
        let password = password.expose_secret();
        let has = |class: &[u8]| password.bytes().any(|byte| class.contains(&byte));
        assert_eq!(password.len(), 20, "{password}");
        assert!(password.bytes().all(|byte| byte.is_ascii_alphanumeric() || MARKS.contains(&byte)), "{password}");
        assert!(!password.contains(['I', 'O', 'l', '0', '1']), "{password}");
        assert!(has(UPPER) && has(LOWER) && has(DIGITS), "{password}");
        assert_eq!(password.bytes().filter(|byte| MARKS.contains(byte)).count(), 1, "{password}");
        assert!(!password.starts_with(['-', '_']) && !password.ends_with(['-', '_']), "{password}");
        for byte in password.bytes() {
            counts[usize::from(byte)] += 1;
        }
        assert!(seen.insert(password.to_owned()));
    }

    // 190,000 letters and digits of 57 kinds: 3,333 of each letter, and 3,550 of each digit, which some draws are refused for lacking.
    // Bounds are wider than six standard deviations; a biased remainder of a byte would give 28 of them 3,711 and more.
    for byte in UPPER.iter().chain(LOWER) {
        assert!((2_900..=3_700).contains(&counts[usize::from(*byte)]), "{}: {counts:?}", char::from(*byte));
    }
    for byte in DIGITS {
        assert!((3_150..=3_950).contains(&counts[usize::from(*byte)]), "{}: {counts:?}", char::from(*byte));
    }
    for byte in MARKS {
        assert!((4_700..=5_300).contains(&counts[usize::from(*byte)]), "{}: {counts:?}", char::from(*byte));
    }
}

#[test]
fn passwords_that_break_a_rule_are_drawn_again() {
    let username: Username = "btbcdfgh".parse().unwrap();

    for (password, allowed) in [
        ("ABCDEFGHJK-mnpqrst23", true),
        ("ABCDEFGHJK-MNPQRST23", false),
        ("abcdefghjk-mnpqrst23", false),
        ("ABCDEFGHJK-mnpqrstuv", false),
        ("A2-btbcdfghkmnpqrstu", false),
        ("A2-BTbcDFghkmnpqrstu", false),
    ] {
        assert_eq!(meets_the_rules(password, &username), allowed, "{password}");
    }
}

#[test]
fn every_side_of_the_dice_comes_up_equally_often() {
    let mut dice = Dice::new();
    let mut counts = [0_u32; 57];

    for _ in 0..57_000 {
        counts[dice.roll(57).unwrap()] += 1;
    }

    // 1,000 of each. Taking remainders of whole bytes would give 28 sides 1,113 and 29 sides 891: a chi-squared of about 700.
    let squares: u32 = counts.iter().map(|count| count.abs_diff(1_000).pow(2)).sum();
    assert!(squares / 1_000 < 140, "chi-squared with 56 degrees of freedom: {}", squares / 1_000);
}
