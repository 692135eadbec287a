//! What a port meets in bad company: half-open handshakes, garbage, plain text, and callers with any certificate or none.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daos_control::tls::{Acceptor, CertificateFiles, connect};
use daos_control::wire::Component;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::fixture::{Certs, LONG, Served};

/// What a caller shows that takes no care of itself.
#[derive(Clone, Copy)]
pub enum Shown<'a> {
    Nothing,
    Files(&'a CertificateFiles),
}

/// Believes every server.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A handshake with whatever the caller shows; it may seem to succeed although the other side refuses.
pub async fn raw_handshake<S>(shown: Shown<'_>, stream: S) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible));
    let mut config = match shown {
        Shown::Nothing => config.with_no_client_auth(),
        Shown::Files(files) => {
            let chain = CertificateDer::pem_file_iter(&files.certificate)
                .map_err(io::Error::other)?
                .collect::<Result<Vec<_>, _>>()
                .map_err(io::Error::other)?;
            let key = PrivateKeyDer::from_pem_file(&files.key).map_err(io::Error::other)?;
            config.with_client_auth_cert(chain, key).map_err(io::Error::other)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("server").map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// The same over TCP.
pub async fn raw_client(
    files: &CertificateFiles,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    raw_handshake(Shown::Files(files), stream).await
}

async fn dial(served: &Served) -> TcpStream {
    TcpStream::connect(served.listening.address()).await.expect("listening")
}

/// An honest caller still gets through, at once.
async fn serves(served: &Served, certs: &Certs) {
    let admin = certs.credentials(Component::Admin);
    let before = served.reached.count();
    let stream = timeout(LONG, connect(dial(served).await, &admin, Component::Server)).await;
    let stream = stream.expect("in time").expect("let in");
    assert!(crate::paths::ask(stream, "/ctl.CtlSvc/StorageScan").await);
    assert_eq!(served.reached.count(), before + 1);
}

#[tokio::test]
async fn garbage_and_sudden_ends_do_not_end_the_port() {
    let certs = Certs::new();
    let served = Served::with(certs.security(Component::Server)).await;
    let shouts: [&[u8]; 7] = [
        b"",
        b"\0",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-x\r\n",
        &[22, 3, 1, 255, 255, 1, 0],
        &[22, 3, 1, 0, 4, 1, 0, 0, 0],
    ];
    for _ in 0..10 {
        for shout in shouts {
            let mut stream = dial(&served).await;
            stream.write_all(shout).await.expect("written");
        }
    }
    serves(&served, &certs).await;
    served.end().await;
}

/// A caller that begins a handshake and goes silent is dropped in time.
#[tokio::test]
async fn a_slow_handshake_is_dropped_when_its_time_is_over() {
    let certs = Certs::new();
    let limit = Duration::from_millis(300);
    let acceptor = Acceptor::new(certs.security(Component::Server)).with_limit(limit);
    let served = Served::accepting(acceptor).await;
    let began = Instant::now();
    let mut silent = dial(&served).await;
    let mut slow = dial(&served).await;
    slow.write_all(&[22, 3, 1, 2, 0, 1]).await.expect("written");
    for stream in [&mut silent, &mut slow] {
        let rest = timeout(LONG, stream.read_to_end(&mut Vec::new())).await.expect("dropped");
        assert!(matches!(rest, Ok(_) | Err(_)));
        assert!(began.elapsed() >= limit);
    }
    serves(&served, &certs).await;
    served.end().await;
}

/// More half-open handshakes than are kept: the oldest give way, an honest caller does not wait for any of them.
#[tokio::test]
async fn many_half_open_handshakes_do_not_keep_others_out() {
    let certs = Certs::new();
    let served = Served::with(certs.security(Component::Server)).await;
    let mut held = Vec::new();
    for _ in 0..300 {
        held.push(dial(&served).await);
    }
    let began = Instant::now();
    serves(&served, &certs).await;
    assert!(began.elapsed() < Duration::from_secs(9), "nobody's time limit was waited for");
    // The first ones were given up for the last ones.
    let mut first = held.remove(0);
    timeout(LONG, first.read_to_end(&mut Vec::new())).await.expect("dropped").ok();
    served.end().await;
}
