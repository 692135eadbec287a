//! TLS by the system's OpenSSL (feature `tls-openssl`): 1.3 and 1.2, and for stock 2.8.0 peers also the one suite they
//! speak, AES256-GCM-SHA384 with static RSA, which has no forward secrecy (contract 1.8).
//!
//! One of two bodies with the same functions; `rustls_body` is the other. OpenSSL verifies the chain, and then the same
//! rules as there are applied to it again. Sessions are not resumed.

use std::io;
use std::pin::Pin;

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Verifier};
use openssl::ssl::{
    AlpnError, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslSessionCacheMode,
    SslVerifyMode, SslVersion, select_next_proto,
};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509VerifyResult};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_openssl::SslStream;

use super::certificate::{Certificate, now};
use super::error::TlsError;
use super::trust::{Purpose, Trust, peer_error};

/// What gRPC speaks, as it travels.
const H2: &[u8] = b"\x02h2";
/// Suites of TLS 1.2, the stock peers' last.
const SUITES: &str = "ECDHE+AESGCM:ECDHE+CHACHA20:AES256-GCM-SHA384";

pub(super) type Stream<S> = SslStream<S>;

/// Configurations of both sides.
pub(super) struct Body {
    client: SslContext,
    server: SslContext,
    trust: Trust,
}

impl Body {
    /// Ready to speak; `Err(None)` when the key is not that of the certificate.
    pub fn new(
        chain: &[Certificate],
        key: PrivateKeyDer<'static>,
        authorities: &[Certificate],
        trust: Trust,
    ) -> Result<Self, Option<String>> {
        let told = |error: ErrorStack| Some(error.to_string());
        let key = PKey::private_key_from_der(key.secret_der()).map_err(told)?;
        let read = |certificate: &Certificate| X509::from_der(&certificate.der);
        let chain: Vec<X509> = chain.iter().map(read).collect::<Result<_, _>>().map_err(told)?;
        let leaf = chain.first().ok_or_else(|| Some("no certificate".to_owned()))?;
        if !leaf.public_key().map_err(told)?.public_eq(&key) {
            return Err(None);
        }
        let authorities: Vec<X509> =
            authorities.iter().map(read).collect::<Result<_, _>>().map_err(told)?;
        let context = || -> Result<SslContextBuilder, ErrorStack> {
            let mut context = SslContext::builder(SslMethod::tls())?;
            context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
            context.set_cipher_list(SUITES)?;
            context.set_certificate(leaf)?;
            context.set_private_key(&key)?;
            for between in chain.iter().skip(1) {
                context.add_extra_chain_cert(between.clone())?;
            }
            let mut store = X509StoreBuilder::new()?;
            for authority in &authorities {
                store.add_cert(authority.clone())?;
            }
            store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
            context.set_cert_store(store.build());
            context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
            context.set_session_cache_mode(SslSessionCacheMode::OFF);
            context.set_options(SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION);
            Ok(context)
        };
        let mut client = context().map_err(told)?;
        client.set_alpn_protos(H2).map_err(told)?;
        let mut server = context().map_err(told)?;
        server.set_num_tickets(0).map_err(told)?;
        server.set_session_id_context(b"daos").map_err(told)?;
        server.set_alpn_select_callback(|_, offered| {
            select_next_proto(H2, offered).ok_or(AlpnError::NOACK)
        });
        Ok(Self { client: client.build(), server: server.build(), trust })
    }

    pub async fn connect<S>(&self, stream: S) -> Result<Stream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = speak(&self.client, stream)?;
        let outcome = Pin::new(&mut stream).connect().await;
        self.judged(stream, outcome, Purpose::Server)
    }

    pub async fn accept<S>(&self, stream: S) -> Result<Stream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = speak(&self.server, stream)?;
        let outcome = Pin::new(&mut stream).accept().await;
        self.judged(stream, outcome, Purpose::Client)
    }

    fn judged<S>(
        &self,
        stream: Stream<S>,
        outcome: Result<(), openssl::ssl::Error>,
        purpose: Purpose,
    ) -> Result<Stream<S>, TlsError> {
        let found = stream.ssl().verify_result();
        match (outcome, found) {
            (Ok(()), _) => {
                let chain = peer_chain(&stream);
                self.trust.verify(&chain, purpose, now()).map_err(|error| peer_error(&error))?;
                Ok(stream)
            }
            (Err(error), X509VerifyResult::OK) => Err(match error.into_io_error() {
                Ok(source) => TlsError::Broken { source },
                Err(error) => by_reason(&error),
            }),
            (Err(_), found) => Err(untrusted(found)),
        }
    }
}

fn speak<S>(context: &SslContext, stream: S) -> Result<Stream<S>, TlsError>
where
    S: AsyncRead + AsyncWrite,
{
    let made = Ssl::new(context).and_then(|ssl| SslStream::new(ssl, stream));
    made.map_err(|error| TlsError::Unusable { problem: error.to_string() })
}

/// X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED.
const TIMES: [i32; 2] = [9, 10];

fn untrusted(found: X509VerifyResult) -> TlsError {
    if TIMES.contains(&found.as_raw()) {
        return TlsError::PeerExpired;
    }
    TlsError::PeerUntrusted { problem: found.error_string().to_owned() }
}

/// OpenSSL has only words for it.
fn by_reason(error: &openssl::ssl::Error) -> TlsError {
    let reason = error
        .ssl_error()
        .and_then(|stack| stack.errors().first())
        .and_then(|first| first.reason())
        .unwrap_or_default();
    let says = |part: &str| reason.contains(part);
    if says("wrong version number") || says("http request") || says("packet length too long") {
        return TlsError::NotTls;
    }
    if says("did not return a certificate") {
        return TlsError::PeerUntrusted { problem: "it shows none".to_owned() };
    }
    if reason.is_empty() {
        return TlsError::Broken { source: io::ErrorKind::UnexpectedEof.into() };
    }
    TlsError::RefusedByPeer { problem: reason.to_owned() }
}

/// The verified chain of the peer, leaf first.
pub(super) fn peer_chain<S>(stream: &Stream<S>) -> Vec<CertificateDer<'static>> {
    let ssl = stream.ssl();
    let leaf = ssl.peer_certificate().and_then(|leaf| leaf.to_der().ok());
    let Some(leaf) = leaf else { return Vec::new() };
    let others = ssl.peer_cert_chain().into_iter().flatten();
    // The leaf is in there on one side and not on the other.
    let others = others.filter_map(|each| each.to_der().ok()).filter(|der| *der != leaf);
    let others: Vec<_> = others.map(CertificateDer::from).collect();
    std::iter::once(CertificateDer::from(leaf)).chain(others).collect()
}

/// The stream that carries the bytes.
pub(super) fn beneath<S>(stream: &Stream<S>) -> &S {
    stream.get_ref()
}

/// What a failed first read is called.
pub(super) fn explain(error: io::Error) -> TlsError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<openssl::ssl::Error>());
    match inner {
        Some(error) => by_reason(error),
        None => TlsError::Broken { source: error },
    }
}

/// Whether the holder of the certificate signed the message: RSA-PSS with SHA-512 and a salt of any length.
#[cfg(feature = "server")]
pub(super) fn is_signed(certificate: &Certificate, message: &[u8], signature: &[u8]) -> bool {
    let verified = || -> Result<bool, ErrorStack> {
        let key = X509::from_der(&certificate.der)?.public_key()?;
        let mut verifier = Verifier::new(MessageDigest::sha512(), &key)?;
        verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
        verifier.set_rsa_pss_saltlen(RsaPssSaltlen::custom(-2))?;
        verifier.verify_oneshot(signature, message)
    };
    verified().unwrap_or(false)
}
