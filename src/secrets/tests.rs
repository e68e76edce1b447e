use std::collections::HashSet;

use super::*;

fn keys(texts: &[&SecretString]) -> SecretKeys {
    let texts: Vec<&str> = texts.iter().map(|text| text.expose_secret()).collect();
    SecretKeys::parse(&SecretString::from(texts.join(","))).unwrap()
}

fn place() -> Place {
    Place { table: "accounts", row: Uuid::from_u128(1), column: "password" }
}

fn refusal(text: &str) -> SecretError {
    SecretKeys::parse(&SecretString::from(text)).unwrap_err()
}

/// Thirty-two zero bytes.
const ZEROS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[test]
fn a_sealed_secret_opens_in_its_place() {
    let keys = keys(&[&generate_key_text().unwrap()]);

    for secret in ["", "hunter2", "päßwörd 🔑", &"x".repeat(MAX_PLAINTEXT_LEN)] {
        let sealed = keys.seal(&place(), &SecretString::from(secret)).unwrap();

        assert_eq!(keys.open(&place(), sealed.as_str()).unwrap().expose_secret(), secret);
        assert!(secret.is_empty() || !sealed.as_str().contains(secret));
    }
}

#[test]
fn a_value_moved_elsewhere_does_not_open() {
    let keys = keys(&[&generate_key_text().unwrap()]);
    let sealed = keys.seal(&place(), &SecretString::from("hunter2")).unwrap();

    for elsewhere in [
        Place { row: Uuid::from_u128(2), ..place() },
        Place { column: "api_token", ..place() },
        Place { table: "servers", ..place() },
    ] {
        let outcome = keys.open(&elsewhere, sealed.as_str());
        assert_eq!(outcome.unwrap_err(), SecretError::DoesNotOpen { place: elsewhere });
    }
}

#[test]
fn every_altered_character_is_noticed() {
    let keys = keys(&[&generate_key_text().unwrap()]);
    let sealed = keys.seal(&place(), &SecretString::from("hunter2")).unwrap().into_string();

    for at in 0..sealed.len() {
        let other = if sealed.as_bytes()[at] == b'B' { "C" } else { "B" };
        let mut altered = sealed.clone();
        altered.replace_range(at..=at, other);
        assert!(keys.open(&place(), &altered).is_err(), "{altered}");
    }
}

#[test]
fn sealing_twice_gives_two_texts() {
    let keys = keys(&[&generate_key_text().unwrap()]);
    let secret = SecretString::from("hunter2");

    let texts: HashSet<String> = (0..100).map(|_| keys.seal(&place(), &secret).unwrap().into_string()).collect();

    assert_eq!(texts.len(), 100);
}

#[test]
fn a_rotated_key_opens_what_the_old_one_sealed() {
    let (old, new) = (generate_key_text().unwrap(), generate_key_text().unwrap());
    let sealed = keys(&[&old]).seal(&place(), &SecretString::from("hunter2")).unwrap();
    let rotated = keys(&[&new, &old]);

    let opened = rotated.open(&place(), sealed.as_str()).unwrap();
    let again = rotated.seal(&place(), &opened).unwrap();

    assert_eq!(opened.expose_secret(), "hunter2");
    assert_eq!(rotated.is_current(sealed.as_str()), Ok(false));
    assert_eq!(rotated.is_current(again.as_str()), Ok(true));
    assert_eq!(keys(&[&new]).open(&place(), again.as_str()).unwrap().expose_secret(), "hunter2");
}

#[test]
fn a_key_that_is_gone_is_named() {
    let sealed =
        keys(&[&SecretString::from(format!("spring:{ZEROS}"))]).seal(&place(), &SecretString::from("hunter2")).unwrap();

    let refused = keys(&[&generate_key_text().unwrap()]).open(&place(), sealed.as_str()).unwrap_err();

    assert_eq!(refused.to_string(), "the value was sealed with the key \"spring\", which is not among the secret keys");
}

#[test]
fn another_key_of_the_same_id_does_not_open() {
    let sealed =
        keys(&[&SecretString::from(format!("k:{ZEROS}"))]).seal(&place(), &SecretString::from("hunter2")).unwrap();
    let other = keys(&[&SecretString::from(format!("k:{}", ZEROS.replacen('A', "B", 1)))]);

    let outcome = other.open(&place(), sealed.as_str());

    assert_eq!(outcome.unwrap_err(), SecretError::DoesNotOpen { place: place() });
}

#[test]
fn the_cipher_is_xchacha20_poly1305() {
    // Sealed by libsodium's crypto_aead_xchacha20poly1305_ietf_encrypt: what another implementation made opens.
    let keys = keys(&[&SecretString::from(format!("k:{ZEROS}"))]);

    let opened = keys.open(&place(), "v1.k.AAECAwQFBgcICQoLDA0ODxAREhMUFRYX.1aKMJpVDU_RZbApymjsw35N-BmXyj-0").unwrap();

    assert_eq!(opened.expose_secret(), "hunter2");
}

#[test]
fn texts_that_are_not_sealed_are_refused() {
    let keys = keys(&[&SecretString::from(format!("k:{ZEROS}"))]);

    for text in ["", "hunter2", "v1.k", "v1.k.AA.AA", "v2.k.AA.AA", "v1.k.!.AA", "v1.k.AA.AA.AA"] {
        assert_eq!(keys.open(&place(), text).unwrap_err(), SecretError::Malformed, "{text}");
    }
    let huge = SecretString::from("x".repeat(MAX_PLAINTEXT_LEN + 1));
    assert_eq!(keys.seal(&place(), &huge), Err(SecretError::TooLong));
}

#[test]
fn keys_that_cannot_be_used_are_refused_without_being_shown() {
    assert_eq!(refusal(""), SecretError::NumberOfKeys { found: 0 });
    assert_eq!(refusal(&format!("a:{ZEROS},a:{ZEROS}")), SecretError::DuplicateKey { key_id: "a".to_owned() });
    assert_eq!(refusal(&format!("a:{ZEROS},")), SecretError::InvalidKey { number: 2 });
    assert_eq!(refusal(&vec!["k"; 17].join(",")), SecretError::NumberOfKeys { found: 17 });
    let short = &ZEROS[4..];
    let long_id = "k".repeat(33);
    for text in [
        ZEROS.to_owned(),
        format!(":{ZEROS}"),
        format!("K:{ZEROS}"),
        format!("a.b:{ZEROS}"),
        format!("k:{short}"),
        format!("{long_id}:{ZEROS}"),
    ] {
        assert_eq!(refusal(&text), SecretError::InvalidKey { number: 1 }, "{text}");
        assert!(!refusal(&text).to_string().contains("AAAA"));
    }
    // As an operator's editor might leave it.
    assert!(SecretKeys::parse(&SecretString::from(format!(" a:{ZEROS} ,\n b:{ZEROS}\n"))).is_ok());
}

#[test]
fn secrets_are_not_shown_by_debug() {
    let keys = keys(&[&SecretString::from(format!("now:{ZEROS}")), &SecretString::from(format!("then:{ZEROS}"))]);
    let sealed = keys.seal(&place(), &SecretString::from("hunter2")).unwrap();

    assert_eq!(format!("{keys:?}"), "SecretKeys { first: \"now\", older: [\"then\"] }");
    assert_eq!(format!("{sealed:?}"), "Sealed(…)");
    assert_eq!(format!("{:?}", keys.username_key()), "UsernameKey(…)");
    assert!(!format!("{:?}", generate_key_text().unwrap()).contains(':'));
}

#[test]
fn the_username_key_follows_the_first_key() {
    let name = |keys: &SecretKeys| {
        let account = berth_jobs::ids::AccountId(Uuid::from_u128(1));
        crate::domain::username::username(&"bt".parse().unwrap(), &keys.username_key(), account, 0)
    };
    let (one, two) = (generate_key_text().unwrap(), generate_key_text().unwrap());

    assert_eq!(name(&keys(&[&one])), name(&keys(&[&one, &two])));
    assert_ne!(name(&keys(&[&one])), name(&keys(&[&two])));
}

#[test]
fn tokens_are_long_random_and_stored_as_their_hash() {
    let tokens: HashSet<String> = (0..100).map(|_| generate_token().unwrap().expose_secret().to_owned()).collect();

    assert_eq!(tokens.len(), 100);
    assert!(tokens.iter().all(|token| token.len() == 43));
    // SHA-256 of "abc", from FIPS 180-2.
    assert_eq!(hex::encode(hash_token("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
