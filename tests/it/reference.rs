//! `/openapi.json` and its reader at `/docs`.

use std::collections::BTreeSet;

use berth::http::problem::TYPES;
use reqwest::header;
use serde_json::Value;

use super::support::Stack;

/// Every value of an attribute.
fn values<'a>(html: &'a str, attribute: &str) -> BTreeSet<&'a str> {
    let marker = format!(" {attribute}=\"");
    html.split(marker.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reader_shows_all_of_the_description_and_asks_nobody_else() {
    let stack = Stack::new().await;
    let running = stack.start_with(&[]).await;
    let description: Value =
        stack.client.get(format!("{}/openapi.json", stack.base())).send().await.unwrap().json().await.unwrap();

    let answer = stack.client.get(format!("{}/docs", stack.base())).send().await.unwrap();

    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let html = answer.text().await.unwrap();
    let shown = html.replace("&#x2f;", "/");
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() > 8, "{paths:?}");
    for (path, operations) in paths {
        for method in operations.as_object().unwrap().keys() {
            let call = format!(">{0}</span> <span class=\"path\">{path}</span>", method.to_uppercase());
            assert!(shown.contains(&call), "{method} {path}");
        }
    }
    let ids = values(&html, "id");
    for name in description["components"]["schemas"].as_object().unwrap().keys() {
        assert!(ids.contains(format!("schema-{name}").as_str()), "{name}");
    }
    for of in TYPES {
        assert!(ids.contains(format!("problem-{}", of.slug).as_str()), "{}", of.slug);
    }
    for link in values(&html, "href") {
        let inside = link.strip_prefix('#').is_some_and(|anchor| ids.contains(anchor));
        assert!(inside || link == "/openapi.json", "{link} leads nowhere");
    }
    for foreign in ["<script", "<link", "<img", "<iframe", " src=", "url(", "@import", " style="] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    running.stop().await;
}

#[test]
fn the_description_that_the_command_prints_is_the_servers() {
    let printed = serde_json::to_value(berth::http::description()).unwrap();
    let operations: Vec<&Value> =
        printed["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values()).collect();

    let ids: BTreeSet<&str> = operations.iter().map(|of| of["operationId"].as_str().unwrap()).collect();

    assert_eq!(ids.len(), operations.len(), "an operation's id is its own");
    assert!(printed["openapi"].as_str().unwrap().starts_with("3.1"), "{}", printed["openapi"]);
}
