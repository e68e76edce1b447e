//! Whom a client believes, and to whom it shows who it is.

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

use super::*;

/// An authority and a certificate of its making for `localhost`.
struct Made {
    authority: String,
    server: rcgen::Certificate,
    server_key: KeyPair,
    client: ClientIdentity,
}

fn made() -> Made {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let issue = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &issuer).unwrap(), key)
    };
    let (server, server_key) = issue("localhost");
    let (client, client_key) = issue("berth");
    let client = ClientIdentity { certificates: client.pem().into_bytes(), key: client_key.serialize_pem().into() };
    Made { authority, server, server_key, client }
}

/// A server over TLS that answers every request with `{}`.
async fn tls_server(made: &Made, asks_for_certificate: bool) -> Says {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = if asks_for_certificate {
        let mut roots = RootCertStore::empty();
        for certificate in tls::certificates(made.authority.as_bytes()).unwrap() {
            roots.add(certificate).unwrap();
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.server_key.serialize_der()));
    let config = builder.with_single_cert(vec![made.server.der().clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            if let Ok(mut socket) = acceptor.accept(socket).await {
                read_head(&mut socket).await;
                drop(socket.write_all(with_body("200 OK", "{}").as_bytes()).await);
                drop(socket.shutdown().await);
            }
        }
    });
    Says { url, _serving: serving }
}

async fn ask_trusting(server: &Says, trust: Trust, identity: Option<ClientIdentity>) -> Result<Answer, PanelError> {
    let http = Http::new(HttpConfig { trust, identity, ..private(server.url.clone()) }).unwrap();
    ask(&http, Effect::Mutation).await
}

#[tokio::test]
async fn a_server_is_known_by_its_authority_or_its_certificate() {
    let made = made();
    let server = tls_server(&made, false).await;
    let colons = Fingerprint::of(made.server.der()).to_string().to_uppercase();
    let colons: Vec<_> = colons.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap()).collect();

    for trust in [
        Trust::Authority(made.authority.clone().into_bytes()),
        Trust::Certificate(Fingerprint::of(made.server.der())),
        Trust::Certificate(colons.join(":").parse().unwrap()),
    ] {
        assert_eq!(ask_trusting(&server, trust, None).await.unwrap().body, b"{}");
    }
}

#[tokio::test]
async fn a_server_that_proves_nothing_is_refused() {
    let (theirs, others) = (made(), made());
    let server = tls_server(&theirs, false).await;

    for trust in [
        Trust::System,
        Trust::Authority(others.authority.into_bytes()),
        Trust::Certificate(Fingerprint::of(others.server.der())),
    ] {
        is_misconfigured(ask_trusting(&server, trust, None).await);
    }
}

#[tokio::test]
async fn a_copied_certificate_without_its_key_is_refused() {
    let (theirs, others) = (made(), made());
    let fingerprint = Fingerprint::of(theirs.server.der());
    let copied = Made { server: theirs.server, ..others };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(copied.server_key.serialize_der()));
    let signer = ring::sign::any_supported_type(&key).unwrap();
    let certified = rustls::sign::CertifiedKey::new(vec![copied.server.der().clone()], signer);
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url: Url = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let http = Http::new(HttpConfig { trust: Trust::Certificate(fingerprint), ..private(url) }).unwrap();

    let accept = async { acceptor.accept(listener.accept().await.unwrap().0).await.map(drop) };
    let (accepted, answer) = tokio::join!(accept, ask(&http, Effect::Mutation));

    assert!(accepted.is_err());
    is_misconfigured(answer);
}

#[tokio::test]
async fn a_server_that_asks_for_our_certificate_is_shown_it() {
    let (theirs, others) = (made(), made());
    let server = tls_server(&theirs, true).await;
    let trust = || Trust::Authority(theirs.authority.clone().into_bytes());

    assert_eq!(ask_trusting(&server, trust(), Some(theirs.client.clone())).await.unwrap().body, b"{}");
    is_misconfigured(ask_trusting(&server, trust(), None).await);
    is_misconfigured(ask_trusting(&server, trust(), Some(others.client)).await);
}

#[test]
fn certificates_and_keys_that_cannot_be_read_are_for_the_operator() {
    let url: Url = "https://panel.example.net".parse().unwrap();
    let made = made();
    let wrong_key = ClientIdentity { key: "planted-secret".to_owned().into(), ..made.client.clone() };
    let no_certificate = ClientIdentity { certificates: Vec::new(), ..made.client };

    for trust in [Trust::Authority(Vec::new()), Trust::Authority(b"-----BEGIN CERTIFICATE-----\nx".to_vec())] {
        is_misconfigured(Http::new(HttpConfig { trust, ..HttpConfig::new(url.clone()) }));
    }
    for identity in [wrong_key, no_certificate] {
        let refused = Http::new(HttpConfig { identity: Some(identity), ..HttpConfig::new(url.clone()) }).unwrap_err();
        assert!(!format!("{refused:?}").contains("planted-secret"), "{refused:?}");
    }
    for text in ["", "aa", "zz".repeat(32).as_str(), "aa".repeat(33).as_str()] {
        assert!(text.parse::<Fingerprint>().is_err(), "{text}");
    }
}
