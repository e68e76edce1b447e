//! What an ID token must be, and who of those whom it names is staff.

use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{
    super::{LEEWAY_SECONDS, MAX_EMAIL_BYTES, Refusal, jwks::Jwks, presentable},
    SignInError,
};
use crate::config;

/// OpenID Connect's limit.
const MAX_SUBJECT_BYTES: usize = 255;
/// A longer token is refused before it is parsed.
const MAX_TOKEN_BYTES: usize = 32 * 1024;
const EMAIL: &str = "email";

/// What is asked of a token.
#[derive(Debug)]
pub(super) struct Rules {
    issuer: String,
    client_id: String,
    algorithms: Vec<Algorithm>,
    claim: String,
    values: Vec<String>,
}

/// Somebody of the staff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Always the same for one person at one provider.
    pub id: Uuid,
    /// E-mail address and subject, as the provider says them.
    pub name: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    aud: Value,
    #[serde(default)]
    azp: Option<String>,
    /// Required of every ID token.
    #[serde(rename = "iat")]
    _issued_at: i64,
    #[serde(default)]
    nonce: String,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Rules {
    pub(super) fn new(issuer: String, client_id: String, settings: &config::Oidc) -> Self {
        Self {
            issuer,
            client_id,
            algorithms: settings.algorithms.iter().filter_map(|name| name.parse().ok()).collect(),
            claim: settings.claim.clone().unwrap_or_default(),
            values: settings.values.clone(),
        }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Whom the token names, if it holds and they are staff.
    pub(super) async fn staff(&self, keys: &Jwks, token: &str, nonce: &str) -> Result<Person, SignInError> {
        let claims = self.claims(keys, token).await?;
        self.hold(&claims, nonce)?;
        let person = self.person(&claims)?;
        if self.is_staff(&claims.others) { Ok(person) } else { Err(SignInError::NotStaff) }
    }

    async fn claims(&self, keys: &Jwks, token: &str) -> Result<Claims, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::Token("it is too long"));
        }
        let header = jsonwebtoken::decode_header(token)?;
        if header.crit.is_some() {
            return Err(Refusal::Token("it demands an extension"));
        }
        // The configuration says how tokens are signed, and a key what it is for; the header only agrees, or is refused.
        if !self.algorithms.contains(&header.alg) {
            return Err(Refusal::Token("its algorithm is not one of console.oidc.algorithms"));
        }
        let kid = header.kid.as_deref().ok_or(Refusal::Token("it does not name its key"))?;
        let (key, algorithm) = keys.key(kid).await?;
        if algorithm != header.alg {
            return Err(Refusal::Token("its key is for another algorithm"));
        }
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_audience(&[&self.client_id]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "sub", "aud", "iss"]);
        Ok(jsonwebtoken::decode::<Claims>(token, &key, &validation)?.claims)
    }

    /// What a signature does not say: that the token was made for us alone, and for this attempt.
    fn hold(&self, claims: &Claims, nonce: &str) -> Result<(), Refusal> {
        let only_ours = match &claims.aud {
            Value::String(audience) => *audience == self.client_id,
            Value::Array(audiences) => audiences.iter().all(|audience| *audience == *self.client_id),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
        };
        if !only_ours {
            return Err(Refusal::Token("it is meant for others as well"));
        }
        if claims.azp.as_ref().is_some_and(|party| *party != self.client_id) {
            return Err(Refusal::Token("it was made for another client"));
        }
        if bool::from(claims.nonce.as_bytes().ct_eq(nonce.as_bytes())) {
            Ok(())
        } else {
            Err(Refusal::Token("its nonce is another sign-in's"))
        }
    }

    fn person(&self, claims: &Claims) -> Result<Person, Refusal> {
        let subject = presentable(&Value::from(claims.sub.as_str()), MAX_SUBJECT_BYTES);
        let subject = subject.ok_or(Refusal::Token("its subject cannot be shown"))?;
        let email = claims.others.get(EMAIL).and_then(|email| presentable(email, MAX_EMAIL_BYTES));
        let mut hash = Sha256::new();
        for part in [self.issuer.as_str(), subject.as_str()] {
            hash.update(part);
            hash.update("\0");
        }
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        // Told apart from the ids that tokens carry by its version.
        let id = uuid::Builder::from_custom_bytes(bytes).into_uuid();
        let name = email.map_or_else(|| subject.clone(), |email| format!("{email} ({subject})"));
        Ok(Person { id, name })
    }

    fn is_staff(&self, claims: &Map<String, Value>) -> bool {
        // An address that nobody has proved to have names nobody.
        if self.claim == EMAIL && claims.get("email_verified") != Some(&Value::Bool(true)) {
            return false;
        }
        let is_one = |value: &Value| value.as_str().is_some_and(|text| self.values.iter().any(|one| one == text));
        match found(claims, &self.claim) {
            Some(Value::Array(values)) => values.iter().any(is_one),
            Some(value) => is_one(value),
            None => false,
        }
    }
}

/// The claim of that name, or else the one within others that its points lead to, such as `realm_access.roles`.
fn found<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        rest.split('.').try_fold(claims.get(first)?, |value, part| value.get(part))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(claim: &str, values: &[&str]) -> Rules {
        Rules {
            issuer: "https://id.example.com".to_owned(),
            client_id: "berth".to_owned(),
            algorithms: vec![Algorithm::RS256],
            claim: claim.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        }
    }

    fn claims(more: Value) -> Claims {
        let mut all = json!({ "sub": "u-1", "aud": "berth", "iat": 1, "nonce": "n" });
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn staff_is_who_has_one_of_the_values_in_the_claim_and_nobody_else() {
        let groups = rules("groups", &["staff", "admins"]);
        for (more, is_staff) in [
            (json!({ "groups": ["users", "staff"] }), true),
            (json!({ "groups": "admins" }), true),
            (json!({ "groups": ["Staff"] }), false),
            (json!({ "groups": ["staff-of-others"] }), false),
            (json!({ "groups": [["staff"]] }), false),
            (json!({ "groups": { "staff": true } }), false),
            (json!({ "groups": true }), false),
            (json!({ "roles": ["staff"] }), false),
            (json!({}), false),
        ] {
            assert_eq!(groups.is_staff(&claims(more.clone()).others), is_staff, "{more}");
        }
    }

    #[test]
    fn a_claim_within_others_is_found_by_its_points_and_one_with_points_in_its_name_as_well() {
        let keycloak = rules("realm_access.roles", &["staff"]);
        let auth0 = rules("https://shop.example/roles", &["staff"]);

        assert!(keycloak.is_staff(&claims(json!({ "realm_access": { "roles": ["staff"] } })).others));
        assert!(!keycloak.is_staff(&claims(json!({ "realm_access": ["staff"] })).others));
        assert!(!keycloak.is_staff(&claims(json!({ "roles": ["staff"] })).others));
        assert!(auth0.is_staff(&claims(json!({ "https://shop.example/roles": ["staff"] })).others));
    }

    #[test]
    fn an_address_makes_one_staff_only_when_it_is_proved() {
        let by_address = rules("email", &["ada@shop.example"]);
        for (verified, is_staff) in
            [(json!(true), true), (json!(false), false), (json!("true"), false), (json!(null), false)]
        {
            let claims = claims(json!({ "email": "ada@shop.example", "email_verified": verified }));

            assert_eq!(by_address.is_staff(&claims.others), is_staff, "{verified}");
        }
        assert!(!by_address.is_staff(&claims(json!({ "email": "ada@shop.example" })).others));
    }

    #[test]
    fn a_token_for_others_for_another_client_or_of_another_attempt_does_not_hold() {
        let rules = rules("groups", &["staff"]);
        assert!(rules.hold(&claims(json!({})), "n").is_ok());
        assert!(rules.hold(&claims(json!({ "aud": ["berth"], "azp": "berth" })), "n").is_ok());
        for wrong in [
            json!({ "aud": ["berth", "other"] }),
            json!({ "aud": "other" }),
            json!({ "aud": 1 }),
            json!({ "azp": "other" }),
            json!({ "nonce": "m" }),
            json!({ "nonce": "" }),
        ] {
            assert!(rules.hold(&claims(wrong.clone()), "n").is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_person_is_named_by_address_and_subject_and_known_by_provider_and_subject() {
        let ours = rules("groups", &["staff"]);
        let other = Rules { issuer: "https://other.example.com".to_owned(), ..rules("groups", &["staff"]) };
        let person = |rules: &Rules, more: Value| rules.person(&claims(more)).unwrap();

        let ada = person(&ours, json!({ "email": "ada@shop.example" }));

        assert_eq!(ada.name, "ada@shop.example (u-1)");
        assert_eq!(person(&ours, json!({ "email": "x\r\ny" })).name, "u-1");
        assert_eq!(person(&ours, json!({})).id, ada.id, "whatever their address is");
        assert_ne!(person(&other, json!({})).id, ada.id);
        assert_ne!(person(&ours, json!({ "sub": "u-2" })).id, ada.id);
        assert_eq!(ada.id.get_version_num(), 8);
        assert!(ours.person(&claims(json!({ "sub": " " }))).is_err());
    }
}
