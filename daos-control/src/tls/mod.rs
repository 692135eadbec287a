//! Mutual TLS with a private authority: whose certificates these are, and streams on which both sides have shown theirs.
//!
//! Used by `client::connect` and `rpc::serve`, the only two places where connections are made and taken. A peer is
//! verified by authority and role, never by host name (contract 1.8). Knows no request.

#[cfg(feature = "server")]
mod acceptor;
#[cfg(feature = "server")]
pub mod authority;
mod certificate;
mod credentials;
mod error;
mod files;
mod link;
#[cfg(feature = "server")]
mod refuse_plain;
mod store;
mod stream;
mod trust;

#[cfg(not(feature = "tls-openssl"))]
#[path = "rustls_body.rs"]
mod body;
#[cfg(feature = "tls-openssl")]
#[path = "openssl_body.rs"]
mod body;

#[cfg(feature = "server")]
pub use acceptor::{Accepted, Acceptor};
pub use certificate::{Certificate, WARN_DAYS};
pub use credentials::Credentials;
pub use error::TlsError;
pub use files::CertificateFiles;
pub use link::Link;
pub use store::{CredentialStore, Security};
pub use stream::{TlsStream, accept, connect};

/// Whether the holder of the certificate in a file signed a message, in the way agents sign credentials
/// (contract 3.7: RSA-PSS, SHA-512).
///
/// # Errors
/// A certificate that cannot be read.
#[cfg(feature = "server")]
pub fn signed_by(
    certificate: &std::path::Path,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, TlsError> {
    let found = files::certificates(certificate)?;
    Ok(found.first().is_some_and(|leaf| body::is_signed(leaf, message, signature)))
}
