//! From where a request came, as far as that can be believed.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRef, FromRequestParts},
    http::{HeaderMap, request::Parts},
};

use crate::app::App;

/// The client's address: the peer's, or what a trusted proxy says that it was. None only where there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub(super) Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for ClientAddress
where
    App: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let app = App::from_ref(state);
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical());
        Ok(Self(peer.map(|peer| client(peer, &parts.headers, &app.config.http.trusted_proxies))))
    }
}

/// The address before the first one, seen from here, that is no proxy of ours. What stands before it anybody can write.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let mut client = peer;
    let mut said: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    while trusted.contains(&client) {
        let Some(before) = said.pop().and_then(|text| text.parse::<IpAddr>().ok()) else { break };
        client = before.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<IpAddr> = trusted.iter().map(|address| address.parse().unwrap()).collect();
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let proxy = &["10.0.0.7", "10.0.0.8"];

        assert_eq!(seen("192.0.2.9", &["203.0.113.5"], &[]), "192.0.2.9");
        assert_eq!(seen("192.0.2.9", &["203.0.113.5"], proxy), "192.0.2.9");
        assert_eq!(seen("10.0.0.7", &["203.0.113.5"], proxy), "203.0.113.5");
    }

    #[test]
    fn what_a_client_writes_before_the_proxy_is_not_believed() {
        let proxy = &["10.0.0.7", "10.0.0.8"];

        assert_eq!(seen("10.0.0.7", &["127.0.0.1, 203.0.113.5"], proxy), "203.0.113.5");
        assert_eq!(seen("10.0.0.7", &["1.1.1.1", "203.0.113.5, 10.0.0.8"], proxy), "203.0.113.5");
        assert_eq!(seen("10.0.0.7", &["203.0.113.5, nonsense"], proxy), "10.0.0.7");
        assert_eq!(seen("10.0.0.7", &[], proxy), "10.0.0.7");
    }
}
