//! The double, driven by clients of DirectAdmin that others have written: `directadmin-cli`, which reads url-encoded forms, and
//! `directadmin-client`, which asks for JSON (both on PyPI; they share a package, of different modules).

use serde_json::json;

use super::*;
use crate::conformance::oracle::Python;

const PACKAGES: &[&str] = &["directadmin-cli==0.1.7", "directadmin-client==0.0.1", "requests", "simplejson"];

const FORMS: &str = r"
import json, sys
from directadmin.client import DirectAdminAPIClient
asked = json.load(sys.stdin)
client = DirectAdminAPIClient(asked['url'], asked['user'], asked['key'])
def said(call):
    found = getattr(client, call[0])
    return found(*call[1:]) if callable(found) else found
json.dump([said(call) for call in asked['calls']], sys.stdout)
";

const JSON: &str = r"
import json, sys
from directadmin.api import PrettyAPI, ResponseException, UnauthorizedException
asked = json.load(sys.stdin)
client = PrettyAPI(asked['user'], asked['key'], asked['url'], json=True)
def said(call):
    try:
        return getattr(client, call[0])(**call[1])
    except (ResponseException, UnauthorizedException) as error:
        return {'raised': type(error).__name__, 'message': str(error)}
json.dump([said(call) for call in asked['calls']], sys.stdout)
";

fn asked(world: &World, user: &str, key: &str, calls: &serde_json::Value) -> serde_json::Value {
    json!({"url": format!("http://{}", world.double.address()), "user": user, "key": key, "calls": calls})
}

#[tokio::test]
async fn the_double_is_a_directadmin_server_to_a_client_that_reads_forms() {
    let Some(python) = Python::with("directadmin.client", PACKAGES).await else { return };
    let world = World::new().await;
    let key = world.double.world().key_of("berthres").to_owned();
    let create = json!([
        "create_user_account",
        "oracle",
        "owner@example.org",
        "Xk2mPq9wRt4v",
        "no",
        "192.0.2.7",
        "small",
        "oracle.example"
    ]);

    let calls = json!([
        ["get_all_user_packages"],
        ["get_reseller_ip_list"],
        create,
        create,
        ["suspend_account", "oracle"],
        ["get_user_config", "oracle"],
        ["active_account", "oracle"],
        ["get_user_config", "oracle"]
    ]);
    let said = python.run(FORMS, &asked(&world, "berthres", &key, &calls)).await;
    let account = AccountRef { domain: Some("oracle.example".to_owned()), ..spec("oracle").account };
    let observed = world.panel.observe(&account).await.unwrap();

    assert_eq!(said[0], json!(["default", "small", "large"]));
    assert_eq!(said[1], json!(["192.0.2.9", "192.0.2.7"]));
    assert_eq!((&said[2]["error"], &said[2]["text"]), (&json!(["0"]), &json!(["User oracle created"])));
    assert_eq!((&said[3]["error"], &said[3]["text"]), (&json!(["1"]), &json!(["Cannot Create Account"])));
    assert_eq!(said[3]["details"], json!(["That username already exists on the system"]));
    assert_eq!(said[4]["text"], json!(["User suspended"]));
    assert_eq!((&said[5]["suspended"], &said[5]["creator"]), (&json!(["yes"]), &json!(["berthres"])));
    assert_eq!((&said[7]["suspended"], &said[7]["package"]), (&json!(["no"]), &json!(["small"])));
    assert!(matches!(&observed, Observed::Present { state: RemoteState::Active, package, .. } if package == "small"));
}

#[tokio::test]
async fn the_double_is_a_directadmin_server_to_a_client_that_reads_json() {
    let Some(python) = Python::with("directadmin.api", PACKAGES).await else { return };
    let world = World::new().await;
    let key = world.double.world().key_of("berthres").to_owned();
    let create = json!(["create_user", {"username": "oracle", "password": "Xk2mPq9wRt4v", "email": "owner@example.org",
        "domain": "oracle.example", "package": "small", "ip": "192.0.2.7"}]);
    let config = json!(["cmd_api_show_user_config", {"user": "oracle"}]);

    let calls = json!([["cmd_api_login_test", {}], create, create, ["cmd_api_show_users", {}],
        ["cmd_api_select_users", {"dosuspend": "yes", "reason": "spam", "select0": "oracle"}], config]);
    let said = python.run(JSON, &asked(&world, "berthres", &key, &calls)).await;
    let account = AccountRef { domain: Some("oracle.example".to_owned()), ..spec("oracle").account };
    let observed = world.panel.observe(&account).await.unwrap();
    let remove = json!([["remove_user", {"username": "oracle"}], ["remove_user", {"username": "oracle"}]]);
    let removed = python.run(JSON, &asked(&world, "berthres", &key, &remove)).await;
    let wrong = python.run(JSON, &asked(&world, "berthres", "wrong", &json!([config]))).await;

    assert_eq!(said[0]["success"], "Login OK");
    assert_eq!(said[1]["success"], "User oracle created");
    assert_eq!(said[2]["raised"], "ResponseException");
    assert!(said[2]["message"].as_str().unwrap().contains("that username already exists"), "{said}");
    assert_eq!(said[3], json!(["oracle"]));
    assert_eq!((&said[5]["suspended"], &said[5]["suspended_reason"]), (&json!("yes"), &json!("spam")));
    let state = RemoteState::Suspended { reason: Some("spam".to_owned()), ours: false };
    assert!(matches!(&observed, Observed::Present { state: found, .. } if *found == state), "{observed:?}");
    assert_eq!(removed[0]["success"], "User deleted");
    assert_eq!(removed[1]["raised"], "ResponseException");
    assert_eq!(wrong[0]["raised"], "UnauthorizedException");
    assert!(world.double.world().users.is_empty());
}
