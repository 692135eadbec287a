//! Whom to trust: chain to the authority, fit for the use, valid now, made out to the right component; no host name
//! (contract 1.8). One set of rules for both bodies and for our own certificate.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, RootCertStore};

use super::certificate::Certificate;
use super::error::TlsError;
use crate::wire::Component;

/// What a certificate is shown for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// By the one who was called.
    Server,
    /// By the one who calls.
    Client,
}

/// The authority's certificates, ready to verify with.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    pub roots: Arc<RootCertStore>,
    pub callers: Arc<dyn ClientCertVerifier>,
}

/// The cryptography of this process. Named wherever it is used: a process default could be set by somebody else.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

pub(super) fn algorithms() -> WebPkiSupportedAlgorithms {
    ring::default_provider().signature_verification_algorithms
}

impl Trust {
    /// Trusts what these certificates signed.
    pub fn new(authorities: &[Certificate]) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority.as_der()).map_err(|error| error.to_string())?;
        }
        let roots = Arc::new(roots);
        let callers =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider()).build();
        Ok(Self { roots, callers: callers.map_err(|error| error.to_string())? })
    }

    /// Verifies a chain, leaf first.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        purpose: Purpose,
        now: i64,
    ) -> Result<(), rustls::Error> {
        let (leaf, between) = chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
        let since = Duration::from_secs(u64::try_from(now).unwrap_or(0));
        let now = UnixTime::since_unix_epoch(since);
        match purpose {
            Purpose::Client => self.callers.verify_client_cert(leaf, between, now).map(drop),
            Purpose::Server => verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(leaf)?,
                &self.roots,
                between,
                now,
                algorithms().all,
            ),
        }
    }
}

/// The component of a verified leaf; `None` for a name that is no component.
pub(super) fn component_of(leaf: &[u8]) -> Option<Component> {
    Certificate::parse(leaf).ok().and_then(|certificate| certificate.component())
}

/// Refuses a verified peer that is not whom we wanted.
pub(super) fn expect(leaf: &[u8], expected: Component) -> Result<(), TlsError> {
    let certificate =
        Certificate::parse(leaf).map_err(|problem| TlsError::PeerUntrusted { problem })?;
    if certificate.component() == Some(expected) {
        return Ok(());
    }
    let found = certificate.common_name.unwrap_or(certificate.subject);
    Err(TlsError::PeerRole { found, expected })
}

/// What a failed verification of a peer is called.
pub(super) fn peer_error(error: &rustls::Error) -> TlsError {
    use rustls::Error as E;
    match error {
        E::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => TlsError::PeerExpired,
        E::InvalidCertificate(problem) => TlsError::PeerUntrusted { problem: words(problem) },
        E::NoCertificatesPresented => {
            TlsError::PeerUntrusted { problem: "it shows none".to_owned() }
        }
        E::AlertReceived(alert) => TlsError::RefusedByPeer { problem: format!("{alert:?}") },
        E::InvalidMessage(_) => TlsError::NotTls,
        E::PeerIncompatible(problem) => TlsError::RefusedByPeer {
            problem: format!("no common version or cipher suite ({problem:?})"),
        },
        other => TlsError::RefusedByPeer { problem: other.to_string() },
    }
}

/// The reason in an administrator's words.
pub(super) fn words(problem: &CertificateError) -> String {
    match problem {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "another authority signed it, or nobody".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not made for this use (extended key usage)".to_owned()
        }
        other => other.to_string(),
    }
}
