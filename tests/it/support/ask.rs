//! Requests of any method, by anybody, and all of what is answered.

use std::time::Duration;

use berth::{clock::Clock, http::auth::development_token};
use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use super::Stack;

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Value,
}

impl Answer {
    /// The status, and the last part of the problem's type.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        let kind = self.body["type"].as_str().unwrap_or_default();
        (self.status, kind.rsplit('/').next().unwrap_or_default())
    }

    /// What a request that succeeded has answered.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        self.body
    }
}

impl Stack {
    /// The token of somebody of staff.
    pub(crate) fn staff(&self) -> String {
        let (auth, now) = (self.config().auth, Clock::machine());
        development_token(&auth, Uuid::new_v4(), Some("staff@shop.test"), true, now, Duration::from_secs(3600)).unwrap()
    }

    /// Asks Berth with a token; without a body for null.
    pub(crate) async fn ask(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        self.ask_if(token, method, path, body, None).await
    }

    /// As `ask`, for a version.
    pub(crate) async fn ask_if(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: &Value,
        if_match: Option<&str>,
    ) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.base())).bearer_auth(token);
        if !body.is_null() {
            request = request.json(body);
        }
        if let Some(version) = if_match {
            request = request.header("If-Match", version);
        }
        let response = request.send().await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, etag, retry_after) = (response.status().as_u16(), header("etag"), header("retry-after"));
        let text = response.text().await.unwrap();
        Answer {
            status,
            etag,
            retry_after: retry_after.map(|seconds| seconds.parse().unwrap()),
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        }
    }

    /// Lets business time pass, and Berth know of it at once.
    pub(crate) async fn pass_for(&self, app: &berth::app::App, seconds: f64) {
        self.pass(seconds).await;
        app.clock.set(app.store.now().await.unwrap());
    }
}
