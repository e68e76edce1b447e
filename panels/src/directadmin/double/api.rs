//! The newer API.

use axum::{
    Json,
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Caller, World};

impl World {
    pub(super) fn api(&mut self, caller: &Caller, method: &Method, path: &str, body: &[u8]) -> Response {
        let segments: Vec<_> = path.split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["info"]) => {
                Json(json!({"hostname": "web1.example.net", "languages": ["en"], "allowPasswordReset": false,
                "OTPTrustDays": 30, "time": "2026-11-26T16:00:00Z", "license": {"valid": true}}))
                .into_response()
            }
            ("GET", ["session", "user-config"]) => {
                let role = match caller.user.as_str() {
                    "admin" => "admin",
                    "berthres" | "otherres" => "reseller",
                    _ => "user",
                };
                Json(json!({"username": caller.user, "userType": role, "ns1": "ns1.example.net", "ns2": "ns2.example.net",
                    "suspended": false, "creator": "admin"}))
                .into_response()
            }
            ("GET", ["users", name, "usage"]) => self.usage(caller, name),
            ("POST", ["login-keys", "urls"]) => self.login_url(caller, body),
            _ => refused(StatusCode::NOT_FOUND, "NOT_FOUND"),
        }
    }

    fn usage(&self, caller: &Caller, name: &str) -> Response {
        let Some(user) = self.users.get(name) else { return refused(StatusCode::NOT_FOUND, "NOT_FOUND") };
        if user.creator != caller.user && caller.user != "admin" {
            return refused(StatusCode::FORBIDDEN, "ACCESS_DENIED");
        }
        let of = |usage: u64| json!({"limit": -1, "unlimited": true, "usage": usage});
        Json(json!({"quotaBytes": of(user.disk_bytes), "bandwidthBytes": of(user.sent_bytes), "inode": of(321),
            "dbQuotaBytes": 0}))
        .into_response()
    }

    fn login_url(&mut self, caller: &Caller, body: &[u8]) -> Response {
        let wanted: Value = serde_json::from_slice(body).unwrap_or_default();
        if !wanted["allowNetworks"].is_array() || !self.users.contains_key(&caller.user) {
            return refused(StatusCode::BAD_REQUEST, "BAD_REQUEST");
        }
        let id = self.next_id();
        let url = format!("https://web1.example.net:2222/api/login/url?key=LINKSECRET{id}JZX7CCWZD7QRJILT");
        self.links.insert(url.clone(), caller.user.clone());
        Json(json!({"allowNetworks": [], "created": "2026-11-26T16:00:00Z", "createdBy": caller.user, "id": format!("HASHURL{id}"),
            "expires": wanted["expires"], "url": url}))
        .into_response()
    }
}

fn refused(status: StatusCode, what: &str) -> Response {
    (status, Json(json!({"type": what}))).into_response()
}
