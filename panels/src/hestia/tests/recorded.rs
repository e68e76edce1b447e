//! The double, held against what HestiaCP 1.9.4 answered: `recorded.json` has the exchanges with its own scripts and `web/api`
//! on a Debian 12 machine without DNS, mail and a shell `nologin`, one after the other, asked by `http.client`. There is no
//! client of Hestia among Python's packages that could be asked instead.

use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::*;
use crate::{
    hestia::account::User,
    http::{Effect, Http, HttpConfig},
};

const RECORDED: &str = include_str!("recorded.json");
/// Whose values differ from server to server.
const OWN_VALUES: &[&str] = &["TIME", "DATE", "RKEY"];

#[derive(Debug, Deserialize)]
struct Exchange {
    command: String,
    args: Vec<String>,
    /// How the key and the arguments are sent, where not as a form's fields.
    how: Option<String>,
    /// Another key than the right one.
    key: Option<String>,
    secret: Option<String>,
    returncode: Option<String>,
    status: u16,
    code: u16,
    kind: String,
    /// JSON, or the text; `{key}` stands for the access key.
    body: Value,
}

fn exchanges() -> Vec<Exchange> {
    serde_json::from_str(RECORDED).unwrap()
}

impl Exchange {
    fn request(&self, http: &Http, double: &Double) -> RequestBuilder {
        let request = http.request(Method::POST, ["api", ""]);
        let how = self.how.as_deref().unwrap_or("form");
        let world = double.world();
        let key = self.key.as_ref().unwrap_or(&world.access_key);
        let secret = self.secret.as_ref().unwrap_or(&world.secret_key);
        let mut fields = Map::new();
        let mut add = |name: &str, value: &str| fields.insert(name.to_owned(), json!(value)).is_some();
        add("cmd", &self.command);
        add("returncode", self.returncode.as_deref().unwrap_or("no"));
        for (nth, arg) in (1..).zip(&self.args) {
            add(&format!("arg{nth}"), arg);
        }
        if how == "hash" {
            add("hash", &format!("{key}:{secret}"));
        } else {
            add("access_key", key);
            add("secret_key", secret);
        }
        match how {
            "empty" => request,
            "json" => request.json(&fields),
            _ => request.form(&fields),
        }
    }
}

/// That the double says nothing that the server did not say: of objects it may leave something out.
fn check(double: &Value, server: &Value, whose: &str) {
    let (Value::Object(double), Value::Object(server)) = (double, server) else {
        assert_eq!(double, server, "{whose}");
        return;
    };
    for (name, value) in double.iter().filter(|(name, _)| !OWN_VALUES.contains(&name.as_str())) {
        let said = server.get(name).unwrap_or_else(|| panic!("{whose}: the server has no {name}"));
        check(value, said, &format!("{whose}: {name}"));
    }
}

#[tokio::test]
async fn the_double_answers_as_a_server_did() {
    let double = Double::new().await;
    let endpoint = format!("http://{}", double.address()).parse().unwrap();
    let http = Http::new(HttpConfig { private: true, ..HttpConfig::new(endpoint) }).unwrap();
    (double.world().has_dns, double.world().has_mail) = (false, false);
    // The key of the recording was not let list all users.
    double.world().permissions.retain(|command| command != "v-list-users");

    for exchange in exchanges() {
        let answer = http.send(Effect::Read, exchange.request(&http, &double)).await.unwrap();

        let header = |name| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert_eq!(answer.status.as_u16(), exchange.status, "{exchange:?}");
        assert_eq!(header("hestia-exit-code"), exchange.code.to_string(), "{exchange:?}");
        assert_eq!(header("content-type").split(';').next(), Some(exchange.kind.as_str()), "{exchange:?}");
        let text = String::from_utf8_lossy(&answer.body).replace(&double.world().access_key, "{key}");
        let body = if exchange.body.is_object() { serde_json::from_str(&text).unwrap() } else { json!(text) };
        check(&body, &exchange.body, &format!("{exchange:?}"));
        if let (Value::Object(double), Value::Object(server)) = (&body, &exchange.body) {
            assert!(double.keys().eq(server.keys()), "the same users, domains or notifications: {exchange:?}");
        }
    }
    assert_eq!(double.world().customers(), 0);
}

#[test]
fn a_servers_own_record_of_a_user_is_read() {
    let account = AccountRef {
        account_id: "acc_01k9z3m6sne5y8r7q2w4x6t8va".parse().unwrap(),
        username: "svcapi".to_owned(),
        remote_id: None,
        domain: None,
    };
    let records =
        exchanges().into_iter().filter(|exchange| exchange.command == "v-list-user" && exchange.status == 200);
    let users = records.filter_map(|exchange| serde_json::from_value::<BTreeMap<String, User>>(exchange.body).ok());
    let mut users: Vec<_> = users.map(|mut users| users.remove("svcapi").unwrap()).collect();
    users.iter_mut().for_each(|user| account.username.clone_into(&mut user.username));

    let [made, suspended] = &users[..] else { panic!("{users:?}") };
    assert!(made.is_ours(&account) && !made.is_suspended());
    assert!(suspended.is_ours(&account) && suspended.is_suspended());
    assert_eq!((made.package.as_str(), suspended.package.as_str()), ("small", "large"));
    assert_eq!(made.remote_id(), suspended.remote_id(), "a change of the package keeps when the user was made");
    assert_eq!((made.disk_bytes(), made.traffic_bytes()), (Some(0), Some(0)));
}
