//! What comes from outside is changed at random, and read: the signature of a webhook, the body of an event, a cart's JSON, and
//! the ids and cursors in addresses. Whatever it is, it is refused in words or means one thing; nothing panics, hangs or opens.
//!
//! `BERTH_TEST_FUZZ_SECONDS` is how long each of them is tried (2 unless it says otherwise; `bin/test` gives 15). A failure
//! names the seed, which `BERTH_TEST_FUZZ_SEED` repeats.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed, and says where")]
#![expect(clippy::disallowed_methods, reason = "tests read variables of their own")]
#![expect(clippy::print_stdout, reason = "a test's figures are for whoever reads its output")]

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use berth::{
    gateways::stripe::{
        event::StripeEvent,
        webhook::{sign, verify},
    },
    http::checkout::CheckoutRequest,
    incoming::effects_of,
};
use berth_jobs::ids::{AccountId, JobId, OrderId};
use bytes::Bytes;
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use secrecy::SecretString;

const SECRET: &str = "whsec_a_secret_that_nobody_guesses";
const NOW: i64 = 1_800_000_000;
const TOLERANCE: u64 = 300;
/// No input takes longer to read, however slow the machine is just then.
const LONGEST: Duration = Duration::from_secs(5);
const LONGEST_INPUT: usize = 64 * 1024;

/// Bytes at which readers stumble.
const TRAPS: [&[u8]; 24] = [
    b"",
    b"\0",
    b"\r\n",
    b",",
    b"=",
    b"t=",
    b"v1=",
    b"v0=",
    b"-1",
    b"99999999999999999999",
    b"1e999",
    b"null",
    b"{}",
    b"[]",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"\xff\xfe",
    b"\xe2\x80\xae",
    b"{\"a\":",
    b"[[[[[[[[",
    b"true",
    b"0.1",
    b"\"id\":\"\"",
];

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// A text that came in once, or is near one that would.
fn changed(rng: &mut StdRng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[rng.random_range(0..corpus.len())].clone();
    for _ in 0..rng.random_range(1..=6) {
        let at = rng.random_range(0..=input.len());
        match rng.random_range(0..8) {
            0 if at < input.len() => input[at] ^= 1 << rng.random_range(0..8),
            1 if at < input.len() => input[at] = rng.random(),
            2 => input.truncate(at),
            3 => {
                let end = (at + rng.random_range(0..32)).min(input.len());
                input.drain(at..end);
            }
            4 => {
                let other = &corpus[rng.random_range(0..corpus.len())];
                let from = rng.random_range(0..=other.len());
                let to = rng.random_range(from..=other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
            5 => {
                let end = (at + rng.random_range(0..64)).min(input.len());
                let part = input[at..end].to_vec();
                for _ in 0..rng.random_range(1..8) {
                    input.splice(at..at, part.iter().copied());
                }
            }
            6 => {
                let mut noise = vec![0; rng.random_range(0..16)];
                rng.fill_bytes(&mut noise);
                input.splice(at..at, noise);
            }
            _ => {
                let trap = TRAPS[rng.random_range(0..TRAPS.len())];
                input.splice(at..at, trap.iter().copied());
            }
        }
    }
    input.truncate(LONGEST_INPUT);
    input
}

/// Reads changed inputs until the time is over.
fn fuzz(name: &str, corpus: &[Vec<u8>], read: impl Fn(&[u8])) {
    let seconds = variable("BERTH_TEST_FUZZ_SECONDS").unwrap_or(2);
    let seed = variable("BERTH_TEST_FUZZ_SEED").unwrap_or_else(|| StdRng::from_os_rng().next_u64());
    let mut rng = StdRng::seed_from_u64(seed);
    let begun = Instant::now();
    let mut inputs: u64 = 0;
    for whole in corpus {
        read(whole);
    }
    while begun.elapsed() < Duration::from_secs(seconds) {
        let input = changed(&mut rng, corpus);
        let at = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&input)));
        let shown = String::from_utf8_lossy(&input);
        assert!(outcome.is_ok(), "{name}, seed {seed}, input {inputs}: it does not stand {shown:?}");
        assert!(
            at.elapsed() < LONGEST,
            "{name}, seed {seed}, input {inputs}: it takes {:?} for {shown:?}",
            at.elapsed()
        );
        inputs += 1;
    }
    println!("{name}: {inputs} inputs in {seconds} s, seed {seed}");
}

/// Bodies of events, as Stripe sends them.
fn events() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stripe/events");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let events: Vec<Vec<u8>> = files.filter(|path| path.is_file()).map(|path| fs::read(path).unwrap()).collect();
    assert!(events.len() > 5, "{} events", events.len());
    events
}

#[test]
fn no_signature_that_was_changed_opens_the_webhook() {
    let payload = br#"{"id":"evt_1","object":"event"}"#;
    let secrets = [SecretString::from(SECRET)];
    let good = sign(payload, &secrets[0], NOW);
    let genuine = good.split(',').find(|part| part.starts_with("v1=")).unwrap().to_owned();
    let old = sign(payload, &secrets[0], NOW - 301);
    let corpus: Vec<Vec<u8>> =
        [good.clone(), old, format!("{good},v1=00"), format!("v0=1,{good}"), "t=1,v1=".to_owned()]
            .map(String::into_bytes)
            .into();
    let is_genuine = |header: &[u8]| {
        let parts: Vec<&[u8]> = header.split(|byte| *byte == b',').collect();
        let times: Vec<&&[u8]> = parts.iter().filter(|part| part.starts_with(b"t=")).collect();
        let signed = parts.iter().any(|part| part.eq_ignore_ascii_case(genuine.as_bytes()));
        signed && times.len() == 1 && *times[0] == format!("t={NOW}").as_bytes()
    };

    fuzz("signature", &corpus, |header| {
        let verdict = verify(payload, Some(header), &secrets, NOW, TOLERANCE);

        // What is left of a genuine one may still be whole, with something beside it that means nothing.
        assert!(verdict.is_err() || is_genuine(header), "it opened");
        assert!(verify(payload, Some(header), &[SecretString::from("another")], NOW, TOLERANCE).is_err());
    });
}

#[test]
fn an_event_that_was_changed_is_refused_or_means_what_it_says() {
    fuzz("event", &events(), |body| {
        let Ok(event) = StripeEvent::parse(body) else { return };
        let again = StripeEvent::parse(body).unwrap();
        assert_eq!((&event.id, &event.kind), (&again.id, &again.kind));
        assert!(!event.id.is_empty(), "an event without an id would be every event without one");

        let (effects, stored) = effects_of(&event, Bytes::copy_from_slice(body), false);

        assert_eq!(stored.payload.as_ref(), body);
        let _ = (format!("{effects:?}"), event.checkout_session(), event.payment_intent(), event.charge());
        let _ = (event.setup_intent(), event.refund(), event.dispute(), event.payment_method(), event.customer());
    });
}

#[test]
fn a_cart_that_was_changed_is_refused_or_says_the_same_when_it_is_written_again() {
    let corpus: Vec<Vec<u8>> = [
        r#"{"items":[{"service_id":"shared-monthly","quantity":2,"domain":"zoe.example"}],"currency":"USD"}"#,
        r#"{"items":[{"service_id":"vps-monthly","configuration":{"ram_gb":4},"addon_ids":["daily-backups"]}],"coupon":"SPRING"}"#,
        r#"{"cart_version":7}"#,
        "{}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();

    fuzz("cart", &corpus, |body| {
        let Ok(request) = serde_json::from_slice::<CheckoutRequest>(body) else { return };

        let written = serde_json::to_string(&request).unwrap();
        let read = serde_json::from_str::<CheckoutRequest>(&written).unwrap();

        assert_eq!(written, serde_json::to_string(&read).unwrap());
    });
}

#[test]
fn a_cursor_that_was_changed_is_none_or_is_written_as_it_was_read() {
    let corpus: Vec<Vec<u8>> =
        [OrderId::new().to_string(), AccountId::new().to_string(), JobId::new().to_string(), "ord_".to_owned()]
            .map(String::into_bytes)
            .into();

    fuzz("cursor", &corpus, |text| {
        let Ok(text) = std::str::from_utf8(text) else { return };
        if let Ok(order) = text.parse::<OrderId>() {
            assert_eq!(order.to_string(), text);
            assert!(text.parse::<AccountId>().is_err());
        }
        if let Ok(job) = text.parse::<JobId>() {
            assert_eq!(job.to_string(), text);
        }
    });
}

#[test]
fn what_does_not_stand_its_input_is_found() {
    let caught = catch_unwind(|| fuzz("trap", &[b"{\"a\":1}".to_vec()], |input| assert!(!input.contains(&b'['))));

    let why = caught.unwrap_err().downcast::<String>().unwrap();
    assert!(why.starts_with("trap, seed "), "{why}");
}
