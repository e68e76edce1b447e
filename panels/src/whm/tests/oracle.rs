//! The double, driven by a client of WHM that others have written (`cpanel-client`, on PyPI).

use serde_json::json;

use super::*;
use crate::conformance::oracle::Python;

const SCRIPT: &str = r"
import json, sys
from cpanel.cpanel import ServerAPI
asked = json.load(sys.stdin)
server = ServerAPI(asked['user'], asked['token'], asked['url'], asked['port'])
json.dump([getattr(server, call[0])(*call[1:]) for call in asked['calls']], sys.stdout)
";

#[tokio::test]
async fn the_double_is_a_whm_server_to_another_client() {
    let Some(python) = Python::with("cpanel.cpanel", &["cpanel-client==1.0.0", "requests"]).await else { return };
    let world = World::new().await;
    let (token, port) = (world.double.world().token_of("berthres").to_owned(), world.double.address().port());
    let ask = async |calls: serde_json::Value| {
        let asked =
            json!({"user": "berthres", "token": token, "url": "http://127.0.0.1", "port": port, "calls": calls});
        python.run(SCRIPT, &asked).await
    };
    let create = json!(["create_account", "owner@example.org", "oracle.example", "small"]);

    let made = ask(json!([create, create, ["suspend_account", "oracleexample"]])).await;
    let seen = AccountRef { domain: Some("oracle.example".to_owned()), ..spec("oracleexample").account };
    let observed = world.panel.observe(&seen).await.unwrap();
    let is_made = world.double.world().accounts.contains_key("oracleexample");
    let removed = ask(json!([["terminate_account", "oracleexample"], ["terminate_account", "oracleexample"]])).await;

    assert!(is_made);
    assert_eq!(made[0]["success"], 1);
    assert!(made[0]["data"].as_str().unwrap().contains("| PassWord: "), "{made}");
    assert_eq!(made[1]["success"], 0);
    assert!(made[1]["message"].as_str().unwrap().contains("already has an account named"), "{made}");
    assert_eq!(made[2], json!({"success": 1, "message": "OK"}));
    let state = RemoteState::Suspended { reason: Some("No Payment".to_owned()), ours: false };
    assert!(matches!(&observed, Observed::Present { state: found, .. } if *found == state), "{observed:?}");
    assert_eq!(removed[0]["success"], 1);
    assert_eq!(removed[1]["success"], 0);
    assert!(world.double.world().accounts.is_empty());
}
