//! Pages for people: templates of `config/pages/`, built in, filled in with escaped values, and sent under a policy that lets a
//! browser load and run nothing.

use std::sync::LazyLock;

use axum::{
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior, Value, context, value::Serde};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::error::chain;

/// The pages there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Invoice,
    Pay,
    Reference,
}

/// A page that is filled in.
#[derive(Clone, Debug)]
pub(super) struct Filled {
    html: String,
    policy: HeaderValue,
}

impl Page {
    const ALL: [Self; 3] = [Self::Invoice, Self::Pay, Self::Reference];

    const fn name(self) -> &'static str {
        match self {
            Self::Invoice => "invoice.html",
            Self::Pay => "pay.html",
            Self::Reference => "reference.html",
        }
    }

    const fn template(self) -> &'static str {
        match self {
            Self::Invoice => include_str!("../../config/pages/invoice.html.j2"),
            Self::Pay => include_str!("../../config/pages/pay.html.j2"),
            Self::Reference => include_str!("../../config/pages/reference.html.j2"),
        }
    }

    const fn style(self) -> &'static str {
        match self {
            Self::Invoice => include_str!("../../config/pages/invoice.css"),
            Self::Pay => include_str!("../../config/pages/pay.css"),
            Self::Reference => include_str!("../../config/pages/reference.css"),
        }
    }

    /// Fills the page in. `more_style` is CSS of the program's own, with nobody's words in it.
    pub(super) fn fill(self, values: impl Serialize, more_style: &str) -> Result<Filled, Problem> {
        let style = format!("{}{more_style}", self.style());
        let filled = TEMPLATES.as_ref().map_err(|error| format!("the templates cannot be used: {error:#}")).and_then(
            |templates| {
                let css = Value::from_safe_string(style.clone());
                let template = templates.get_template(self.name()).map_err(|error| chain(&error))?;
                template.render(context! { css, ..Value::from(Serde(&values)) }).map_err(|error| chain(&error))
            },
        );
        filled.map(|html| Filled { html, policy: policy_of(&style) }).map_err(|error| {
            let id = uuid::Uuid::now_v7().to_string();
            tracing::error!(error, id, page = self.name(), "a page could not be filled in");
            Problem::internal(id)
        })
    }
}

static TEMPLATES: LazyLock<Result<Environment<'static>, Error>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    // What it would leave unescaped is nobody's business.
    templates.remove_filter("safe");
    for page in Page::ALL {
        templates.add_template(page.name(), page.template())?;
    }
    Ok(templates)
});

/// Nothing may be loaded, run, framed or sent anywhere; the page's own style is known by its hash.
fn policy_of(style: &str) -> HeaderValue {
    let hash = STANDARD.encode(Sha256::digest(style));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

impl Filled {
    #[cfg(test)]
    pub(super) fn html(&self) -> &str {
        &self.html
    }
}

impl IntoResponse for Filled {
    fn into_response(self) -> Response {
        let mut response = Html(self.html).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }
}
