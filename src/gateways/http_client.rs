//! The one maker of clients for outgoing HTTP: timeouts, rustls, no redirects, no proxies from the environment.

use std::time::Duration;

/// Kept below the 60 s or more after which servers close idle connections, so that a pooled one is rarely dead.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Idle connections kept per host: a burst of workers finds warm ones, a quiet process holds few sockets.
const POOL_MAX_IDLE_PER_HOST: usize = 32;

/// How often a silent connection is probed, so that a dead peer is noticed before a request is sent into it.
const KEEPALIVE: Duration = Duration::from_secs(15);

const USER_AGENT: &str = concat!("berth/", env!("CARGO_PKG_VERSION"));

/// The limits of one outgoing request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Name lookup, TCP and TLS handshake.
    pub connect: Duration,
    /// From the first step to the last byte of the body.
    pub total: Duration,
}

/// Makes a client. Redirects are answers, not instructions: a 3xx comes back as it is.
///
/// # Errors
/// When the system's certificate store cannot be read.
pub fn build(timeouts: Timeouts) -> Result<reqwest::Client, reqwest::Error> {
    builder(timeouts).build()
}

/// As [`build`], for who wants a client with something besides.
pub(super) fn builder(timeouts: Timeouts) -> reqwest::ClientBuilder {
    use_ring();
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(timeouts.connect)
        .timeout(timeouts.total)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(POOL_MAX_IDLE_PER_HOST)
        .tcp_keepalive(KEEPALIVE)
        .http2_keep_alive_interval(KEEPALIVE)
        .http2_keep_alive_timeout(timeouts.connect)
        .tls_backend_rustls()
}

/// reqwest is built without a TLS provider and takes the process' default one, so there has to be one.
fn use_ring() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing this race to another caller leaves a provider in place all the same.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn timeouts(total: Duration) -> Timeouts {
        Timeouts { connect: Duration::from_secs(2), total }
    }

    /// Answers one connection with `answer` and gives back the request's head.
    fn answer_once(answer: &'static str) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/start", listener.local_addr().unwrap());
        let head = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut head = vec![0; 4096];
            let read = socket.read(&mut head).unwrap();
            socket.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&head[..read]).into_owned()
        });
        (url, head)
    }

    #[tokio::test]
    async fn a_redirect_is_handed_back_and_not_followed() {
        let (url, head) =
            answer_once("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/elsewhere\r\ncontent-length: 0\r\n\r\n");
        let client = build(timeouts(Duration::from_secs(5))).unwrap();

        let answer = client.get(url).send().await.unwrap();

        assert_eq!(answer.status().as_u16(), 302);
        let head = head.join().unwrap().to_ascii_lowercase();
        assert!(head.contains(concat!("user-agent: berth/", env!("CARGO_PKG_VERSION"))), "{head}");
    }

    #[tokio::test]
    async fn a_silent_server_is_given_up_after_the_total_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = build(timeouts(Duration::from_millis(100))).unwrap();

        let error = client.get(url).send().await.unwrap_err();

        assert!(error.is_timeout(), "{error:?}");
    }
}
