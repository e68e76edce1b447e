//! The operators' console: who gets in, what its pages say, and what is done by its forms.

mod chromium;
mod doing;
mod oidc;
mod pages;
mod sessions;
mod stuck;

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Method, StatusCode, header};
use uuid::Uuid;

use super::support::Stack;

/// A browser without scripts: one cookie, and the forms of the page that it looks at.
struct Browser<'a> {
    stack: &'a Stack,
    cookie: Option<String>,
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: header::HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Where it leads.
    fn to(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        self.header("location")
    }

    /// What a reader of the page sees, in one line.
    fn text(&self) -> String {
        let mut text = String::new();
        let mut inside = false;
        for letter in self.body.chars() {
            match letter {
                '<' => inside = true,
                '>' => {
                    inside = false;
                    text.push(' ');
                }
                _ if !inside => text.push(letter),
                _ => {}
            }
        }
        let text = text.replace("&#x2f;", "/").replace("&#x27;", "'").replace("&#39;", "'").replace("&nbsp;", " ");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The token that its forms carry.
    fn csrf(&self) -> String {
        let rest = self.body.split("name=\"csrf\" value=\"").nth(1).expect("a page with a form");
        rest.split('"').next().unwrap().to_owned()
    }

    /// Where its links lead that are ours.
    fn links(&self) -> Vec<String> {
        let links = self.body.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        let links = links.map(|link| link.replace("&#x2f;", "/").replace("&amp;", "&"));
        let mut links: Vec<String> = links.filter(|link| link.starts_with("/console")).collect();
        links.sort();
        links.dedup();
        links
    }
}

impl<'a> Browser<'a> {
    fn new(stack: &'a Stack) -> Self {
        Self { stack, cookie: None }
    }

    /// Somebody of the staff, signed in.
    async fn signed_in(stack: &'a Stack) -> Self {
        let mut browser = Self::new(stack);
        let answer = browser.sign_in(&staff_token(stack, Uuid::new_v4(), true)).await;
        assert_eq!(answer.to(), "/console");
        browser
    }

    async fn sign_in(&mut self, token: &str) -> Answer {
        let answer = self.send(Method::POST, "/console/login", &[("token", token)], &[HERE]).await;
        if let Some(cookie) = answer.headers.get(header::SET_COOKIE) {
            self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        answer
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], &[]).await
    }

    /// A page that must be there.
    async fn page(&self, path: &str) -> Answer {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer
    }

    /// Fills in a form of a page, and sends it.
    async fn submit(&self, page: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        let shown = self.page(page).await;
        assert!(
            shown.body.contains(&format!("action=\"{}\"", action.replace('/', "&#x2f;")))
                || shown.body.contains(action),
            "{page} has no form to {action}"
        );
        let csrf = shown.csrf();
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("csrf", csrf.as_str())]).collect();
        self.send(Method::POST, action, &fields, &[HERE]).await
    }

    async fn send(&self, method: Method, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let mut request = self.stack.client.request(method.clone(), format!("{}{path}", self.stack.base()));
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if method == Method::POST {
            let form: BTreeMap<_, _> = fields.iter().copied().collect();
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, body: response.text().await.unwrap() }
    }
}

/// What a browser says of a form that a page of the same site sends.
const HERE: (&str, &str) = ("sec-fetch-site", "same-origin");

fn staff_token(stack: &Stack, user: Uuid, staff: bool) -> String {
    let (auth, now) = (stack.config().auth, berth::clock::Clock::machine());
    let hour = Duration::from_secs(3_600);
    berth::http::auth::development_token(&auth, user, Some("ops@shop.test"), staff, now, hour).unwrap()
}
