//! TLS by rustls: 1.3 and 1.2, forward secrecy always. Sessions are not resumed, so every connection shows its
//! certificates anew, also after an authority was replaced.
//!
//! One of two bodies with the same five functions; `openssl_body` is the other. Called by `stream` and `credentials`.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, DigitallySignedStruct, InconsistentKeys, ServerConfig, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::certificate::Certificate;
use super::error::TlsError;
use super::trust::{Purpose, Trust, algorithms, peer_error, provider};

/// What gRPC speaks.
const H2: &[u8] = b"h2";

pub(super) type Stream<S> = tokio_rustls::TlsStream<S>;

/// Configurations of both sides.
pub(super) struct Body {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Body {
    /// Ready to speak; `Err(None)` when the key is not that of the certificate.
    pub fn new(
        chain: &[Certificate],
        key: PrivateKeyDer<'static>,
        _authorities: &[Certificate],
        trust: Trust,
    ) -> Result<Self, Option<String>> {
        let told = |error: rustls::Error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => None,
            other => Some(other.to_string()),
        };
        let ders: Vec<_> = chain.iter().map(Certificate::as_der).collect();
        let own = CertifiedKey::from_der(ders, key, &provider()).map_err(told)?;
        let own = Arc::new(rustls::sign::SingleCertAndKey::from(own));

        let mut client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(told)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ByAuthority { trust: trust.clone() }))
            .with_client_cert_resolver(Arc::clone(&own) as _);
        client.alpn_protocols = vec![H2.to_vec()];
        client.resumption = Resumption::disabled();
        client.enable_sni = false;

        let mut server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(told)?
            .with_client_cert_verifier(trust.callers)
            .with_cert_resolver(own);
        server.alpn_protocols = vec![H2.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        Ok(Self { client: Arc::new(client), server: Arc::new(server) })
    }

    pub async fn connect<S>(&self, stream: S) -> Result<Stream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // Never compared with anything: see `ByAuthority`.
        let name = ServerName::IpAddress(Ipv4Addr::UNSPECIFIED.into());
        let connector = TlsConnector::from(Arc::clone(&self.client));
        connector.connect(name, stream).await.map(Into::into).map_err(explain)
    }

    pub async fn accept<S>(&self, stream: S) -> Result<Stream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.server));
        acceptor.accept(stream).await.map(Into::into).map_err(explain)
    }
}

/// The verified chain of the peer, leaf first.
pub(super) fn peer_chain<S>(stream: &Stream<S>) -> Vec<CertificateDer<'static>> {
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    chain.iter().map(|der| der.clone().into_owned()).collect()
}

/// The stream that carries the bytes.
pub(super) fn beneath<S>(stream: &Stream<S>) -> &S {
    stream.get_ref().0
}

/// What a failed handshake, or a first read, is called.
pub(super) fn explain(error: io::Error) -> TlsError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(error) => peer_error(error),
        None => TlsError::Broken { source: error },
    }
}

/// Whether the holder of the certificate signed the message: RSA-PSS with SHA-512 and a salt as long as the digest,
/// the only one that is verified here.
#[cfg(feature = "server")]
pub(super) fn is_signed(certificate: &Certificate, message: &[u8], signature: &[u8]) -> bool {
    let mapping = algorithms().mapping;
    let scheme = mapping.iter().find(|(scheme, _)| *scheme == SignatureScheme::RSA_PSS_SHA512);
    let algorithm = scheme.and_then(|(_, algorithms)| algorithms.first());
    let key = certificate.public_key();
    match (algorithm, key) {
        (Some(algorithm), Some(key)) => {
            algorithm.verify_signature(&key, message, signature).is_ok()
        }
        _ => false,
    }
}

/// Verifies servers by their authority. rustls's own verifier would demand a host name in the certificate, and
/// stock certificates have none.
#[derive(Debug)]
struct ByAuthority {
    trust: Trust,
}

impl ServerCertVerifier for ByAuthority {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain: Vec<_> = std::iter::once(leaf).chain(between).cloned().collect();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        self.trust.verify(&chain, Purpose::Server, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}
