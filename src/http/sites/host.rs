//! Whose site a request's host names.

use axum::{extract::Request, http::header};

/// More than one Host header: which one a proxy in front looked at is anybody's guess (RFC 9112, section 3.2).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TwoHosts;

/// The part of the host before `.<domain>`, in lower case; `None` for every host that is not below the domain.
pub(super) fn label(request: &Request, domain: &str) -> Result<Option<String>, TwoHosts> {
    let mut headers = request.headers().get_all(header::HOST).iter();
    let first = headers.next();
    if headers.next().is_some() {
        return Err(TwoHosts);
    }
    // An absolute request target overrides the header.
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => first.and_then(|host| host.to_str().ok()),
    };
    Ok(host.and_then(|host| below(&normal(host), domain)))
}

/// Lower case, without the port and without the root's dot.
pub(super) fn normal(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn below(host: &str, domain: &str) -> Option<String> {
    if domain.is_empty() {
        return None;
    }
    host.strip_suffix(domain)?.strip_suffix('.').map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn label_of(host: &str) -> Option<String> {
        let request = Request::builder().uri("/").header("host", host).body(Body::empty()).unwrap();
        label(&request, "localhost").unwrap()
    }

    #[test]
    fn a_host_names_its_site_however_it_is_written() {
        for host in
            ["alice.localhost", "ALICE.LocalHost", "alice.localhost:8080", "alice.localhost.", "alice.localhost.:80"]
        {
            assert_eq!(label_of(host).as_deref(), Some("alice"), "{host}");
        }
    }

    #[test]
    fn a_host_that_is_not_below_the_domain_names_no_site() {
        for host in [
            "localhost",
            "localhost:8080",
            "localhost.",
            "127.0.0.1:80",
            "[::1]:80",
            "alicelocalhost",
            "localhost.evil",
            "",
        ] {
            assert_eq!(label_of(host), None, "{host}");
        }
    }

    #[test]
    fn an_absolute_target_overrides_the_header() {
        let request = Request::builder()
            .uri("http://alice.localhost:8080/")
            .header("host", "bob.localhost")
            .body(Body::empty())
            .unwrap();

        assert_eq!(label(&request, "localhost"), Ok(Some("alice".to_owned())));
    }

    #[test]
    fn two_hosts_are_refused() {
        let request = Request::builder()
            .uri("/")
            .header("host", "alice.localhost")
            .header("host", "localhost")
            .body(Body::empty())
            .unwrap();

        assert_eq!(label(&request, "localhost"), Err(TwoHosts));
    }
}
