//! Tokens that must open nothing.

use super::*;

#[tokio::test]
async fn tokens_with_wrong_claims_are_refused() {
    let day = 86_400;
    let changed = |changes| hs256(&with(changes));
    let cases = vec![
        ("expired", changed(json!({ "exp": now() - day }))),
        ("expired beyond the leeway", changed(json!({ "exp": now() - 60 }))),
        ("no exp", changed(json!({ "exp": null }))),
        ("exp is a text", changed(json!({ "exp": "9999999999" }))),
        ("exp is negative", changed(json!({ "exp": -1 }))),
        ("exp is 0", changed(json!({ "exp": 0 }))),
        ("not yet valid", changed(json!({ "nbf": now() + day }))),
        ("nbf is a text", changed(json!({ "nbf": "soon" }))),
        ("no sub", changed(json!({ "sub": null }))),
        ("sub is empty", changed(json!({ "sub": "" }))),
        ("sub is no UUID", changed(json!({ "sub": "admin" }))),
        ("sub is SQL", changed(json!({ "sub": format!("{USER}' or '1'='1") }))),
        ("sub is the nil UUID", changed(json!({ "sub": Uuid::nil() }))),
        ("sub is a UUID without hyphens", changed(json!({ "sub": USER.replace('-', "") }))),
        ("sub is a number", changed(json!({ "sub": 1 }))),
        ("no aud", changed(json!({ "aud": null }))),
        ("another aud", changed(json!({ "aud": "other" }))),
        ("no aud in the list", changed(json!({ "aud": [] }))),
        ("aud is a number", changed(json!({ "aud": 1 }))),
        ("aud differs in case", changed(json!({ "aud": "Authenticated" }))),
        ("no iss", changed(json!({ "iss": null }))),
        ("another iss", changed(json!({ "iss": "https://id.example.com.evil.example/auth/v1" }))),
        ("iss with a slash more", changed(json!({ "iss": format!("{ISSUER}/") }))),
        ("service_role", changed(json!({ "role": "service_role" }))),
        ("anon", changed(json!({ "role": "anon" }))),
        (
            "a key of Supabase's API",
            hs256(&json!({ "iss": ISSUER, "aud": AUDIENCE, "role": "anon", "exp": now() + 600 })),
        ),
        ("claims are a list", forged(r#"{"alg":"HS256"}"#, "[]", SECRET.as_bytes())),
        ("sub twice", {
            let twice = claims().to_string().replacen('{', &format!("{{\"sub\":\"{}\",", Uuid::from_u128(1)), 1);
            forged(r#"{"alg":"HS256"}"#, &twice, SECRET.as_bytes())
        }),
    ];

    refused(&only_shared(), cases).await;
}

#[tokio::test]
async fn tokens_with_wrong_signatures_are_refused() {
    let issuer = Issuer::start(published()).await;
    let authenticator = Authenticator::new(&auth(Some(issuer.url.clone())), http());
    let good = hs256(&claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, body) = message.split_once('.').unwrap();
    let with_header = |header: &str, secret: &[u8]| forged(header, &claims().to_string(), secret);
    let none = |name: &str| {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{name}","typ":"JWT"}}"#));
        format!("{header}.{body}.")
    };
    let staff = with(json!({ "app_metadata": { "berth_role": "staff" } })).to_string();
    let published = published();
    let modulus = URL_SAFE_NO_PAD.decode(published["keys"][0]["n"].as_str().unwrap()).unwrap();
    let cases = vec![
        ("alg none", none("none")),
        ("alg None", none("None")),
        ("alg NONE", none("NONE")),
        ("alg none, with a signature", format!("{}{signature}", none("none"))),
        ("alg is empty", with_header(r#"{"alg":""}"#, SECRET.as_bytes())),
        ("no alg", with_header(r#"{"typ":"JWT"}"#, SECRET.as_bytes())),
        ("alg twice", with_header(r#"{"alg":"none","alg":"HS256"}"#, SECRET.as_bytes())),
        ("alg in lower case", with_header(r#"{"alg":"hs256"}"#, SECRET.as_bytes())),
        ("HS384, with the secret", {
            jsonwebtoken::encode(
                &Header::new(Algorithm::HS384),
                &claims(),
                &EncodingKey::from_secret(SECRET.as_bytes()),
            )
            .unwrap()
        }),
        ("HS256 by another secret", with_header(r#"{"alg":"HS256"}"#, b"another-secret-of-the-tests-which-is-long")),
        ("HS256 by an empty secret", with_header(r#"{"alg":"HS256"}"#, b"")),
        ("HS256 by the public key's PEM", with_header(r#"{"alg":"HS256","kid":"rsa"}"#, RSA_PUBLIC)),
        ("HS256 by the public key's modulus", with_header(r#"{"alg":"HS256","kid":"rsa"}"#, &modulus)),
        ("RS256 in name, HS256 by the secret", with_header(r#"{"alg":"RS256","kid":"rsa"}"#, SECRET.as_bytes())),
        ("RS256 by a stranger", signed(Algorithm::RS256, "rsa", &rsa_key(STRANGER))),
        ("RS256 with the id of the EC key", signed(Algorithm::RS256, "ec", &rsa_key(RSA))),
        ("ES256 with the id of the RSA key", signed(Algorithm::ES256, "rsa", &ec_key())),
        ("RS256 by a symmetric key's id", signed(Algorithm::RS256, "oct", &rsa_key(RSA))),
        ("RS256 by a key for encryption", signed(Algorithm::RS256, "encryption", &rsa_key(RSA))),
        ("RS256 by a key for PS256", signed(Algorithm::RS256, "pss", &rsa_key(RSA))),
        ("RS256 by a key of 1024 bits", signed(Algorithm::RS256, "weak", &rsa_key(WEAK))),
        ("RS256 by an unknown key", signed(Algorithm::RS256, "unknown", &rsa_key(STRANGER))),
        (
            "RS256 without a kid",
            jsonwebtoken::encode(&header(Algorithm::RS256, None), &claims(), &rsa_key(RSA)).unwrap(),
        ),
        ("RS512", signed(Algorithm::RS512, "rsa", &rsa_key(RSA))),
        ("PS256", signed(Algorithm::PS256, "rsa", &rsa_key(RSA))),
        ("a key in the header", {
            let key = jwk(&rsa_key(STRANGER), Algorithm::RS256, "rsa");
            let mut own = header(Algorithm::RS256, Some("rsa"));
            own.jwk = Some(serde_json::from_value(key).unwrap());
            own.jku = Some("http://evil.example/jwks.json".to_owned());
            jsonwebtoken::encode(&own, &claims(), &rsa_key(STRANGER)).unwrap()
        }),
        ("crit", with_header(r#"{"alg":"HS256","crit":["exp"]}"#, SECRET.as_bytes())),
        ("kid is a path", signed(Algorithm::RS256, "../../../dev/null", &rsa_key(STRANGER))),
        ("other claims under the signature", format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(staff))),
        ("a signature cut short", format!("{message}.{}", &signature[..20])),
        ("no signature", format!("{message}.")),
        ("two parts", message.to_owned()),
        ("four parts", format!("{good}.{signature}")),
        ("five parts", format!("{good}.{signature}.{signature}")),
        ("nothing", String::new()),
        ("dots", "..".to_owned()),
        ("no base64", "!!!.!!!.!!!".to_owned()),
        ("standard base64 with padding", format!("{good}==")),
        ("9 kB", with_header(&format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "k".repeat(6_700)), SECRET.as_bytes())),
        ("100 kB", with_header(&format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "k".repeat(75_000)), SECRET.as_bytes())),
    ];

    refused(&authenticator, cases).await;

    assert_eq!(issuer.asked(), 1);
    assert!(ask(&authenticator, &good).await.is_ok());
}

#[tokio::test]
async fn a_header_that_is_not_one_bearer_token_is_refused() {
    let authenticator = only_shared();
    let token = hs256(&claims());
    let bearer = format!("Bearer {token}");

    for values in [
        vec![],
        vec![""],
        vec!["Bearer"],
        vec![token.as_str()],
        vec![&format!("Basic {token}")],
        vec![&format!("Bearer {bearer}")],
        vec![bearer.as_str(), bearer.as_str()],
        vec![&format!("{bearer}, {bearer}")],
    ] {
        assert_eq!(ask_with(&authenticator, &values).await, Err(StatusCode::UNAUTHORIZED), "{values:?}");
    }
    assert!(ask_with(&authenticator, &[&format!("bearer  {token}")]).await.is_ok());
}
