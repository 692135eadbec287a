//! Why certificates cannot be used, and why a connection was not made secure.
//!
//! Owns the words and numbers: 901-903 of contract 10.2 for files, ours from 1400 for the rest. Made by every part of
//! `tls`; knows no host name, the caller adds it.

use std::io;
use std::path::PathBuf;

use crate::fault::{Fault, code};
use crate::wire::Component;

/// A certificate, a key or a handshake that is not right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file is not there.
    #[error("certificate file {} does not exist", path.display())]
    Missing {
        /// Path of the file.
        path: PathBuf,
    },
    /// A file that was named on the command line is not there.
    #[error("{} does not exist", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// The directory with the certificates of agents is not there.
    #[error("client certificate directory {} does not exist", path.display())]
    NoClients {
        /// Path of the directory.
        path: PathBuf,
    },
    /// Nothing can be issued where there is no authority.
    #[error("there is no authority in {}: {} does not exist", directory.display(), path.display())]
    NoAuthority {
        /// The directory.
        directory: PathBuf,
        /// The file of the authority that is not there.
        path: PathBuf,
    },
    /// A certificate was asked for that cannot be.
    #[error("no such certificate can be issued: {problem}")]
    NotIssuable {
        /// What is wrong with what was asked for.
        problem: String,
    },
    /// A path is a directory, a pipe or a device.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// A file may not be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may do more with a file than they should (contract 1.8).
    #[error("{} has mode {mode:04o}, at most {most:04o} is allowed", path.display())]
    TooOpen {
        /// Path of the file.
        path: PathBuf,
        /// The mode it has.
        mode: u32,
        /// The mode it may have.
        most: u32,
    },
    /// A file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Malformed {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The time of a certificate is over.
    #[error("the certificate in {} has expired on {since}", path.display())]
    Expired {
        /// Path of the file.
        path: PathBuf,
        /// Its last moment.
        since: String,
    },
    /// The time of a certificate has not begun.
    #[error("the certificate in {} is not valid before {from}", path.display())]
    NotYetValid {
        /// Path of the file.
        path: PathBuf,
        /// Its first moment.
        from: String,
    },
    /// Key and certificate are of different pairs.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    KeyMismatch {
        /// Path of the certificate.
        certificate: PathBuf,
        /// Path of the key.
        key: PathBuf,
    },
    /// The authority did not sign the certificate, or not for this use.
    #[error("the certificate in {} is not one of the authority in {}: {problem}", certificate.display(), ca.display())]
    ForeignAuthority {
        /// Path of the certificate.
        certificate: PathBuf,
        /// Path of the authority's certificate.
        ca: PathBuf,
        /// What the check found.
        problem: String,
    },
    /// The certificate is made out to somebody else.
    #[error("the certificate in {} is made out to {found:?}, not to {expected:?}", path.display())]
    WrongRole {
        /// Path of the certificate.
        path: PathBuf,
        /// Its common name.
        found: String,
        /// The common name it must have.
        expected: Component,
    },
    /// The peer's certificate has expired.
    #[error("the peer's certificate has expired or is not valid yet")]
    PeerExpired,
    /// The peer's certificate is not one of our authority.
    #[error("the peer's certificate is not trusted: {problem}")]
    PeerUntrusted {
        /// What the check found.
        problem: String,
    },
    /// The peer is somebody, but not whom we wanted.
    #[error("the peer's certificate is made out to {found:?}, not to {expected:?}")]
    PeerRole {
        /// Its common name.
        found: String,
        /// The common name it must have.
        expected: Component,
    },
    /// The peer did not accept us.
    #[error("the peer ended the handshake: {problem}")]
    RefusedByPeer {
        /// What it said.
        problem: String,
    },
    /// The peer speaks something else.
    #[error("the peer does not speak TLS")]
    NotTls,
    /// The peer was too slow.
    #[error("the peer did not finish the handshake in time")]
    Late,
    /// The connection broke.
    #[error("the connection ended during the handshake")]
    Broken {
        /// How.
        #[source]
        source: io::Error,
    },
    /// The library refuses what it was given.
    #[error("certificates cannot be used: {problem}")]
    Unusable {
        /// What it said.
        problem: String,
    },
    /// A certificate or key is there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// Path of the file.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Unwritable {
        /// Path of the file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl TlsError {
    /// Its number.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Missing { .. }
            | Self::NoFile { .. }
            | Self::NoClients { .. }
            | Self::NoAuthority { .. } => code::SECURITY_MISSING_CERT_FILE,
            Self::NotRegular { .. } | Self::Unreadable { .. } | Self::TooOpen { .. } => {
                code::SECURITY_UNREADABLE_CERT_FILE
            }
            Self::Malformed { .. }
            | Self::Expired { .. }
            | Self::NotYetValid { .. }
            | Self::PeerExpired => code::SECURITY_INVALID_CERT,
            Self::KeyMismatch { .. } => code::SECURITY_KEY_MISMATCH,
            Self::ForeignAuthority { .. } => code::SECURITY_FOREIGN_AUTHORITY,
            Self::WrongRole { .. } => code::SECURITY_WRONG_ROLE,
            Self::PeerUntrusted { .. } => code::SECURITY_PEER_UNTRUSTED,
            Self::PeerRole { .. } => code::SECURITY_PEER_ROLE,
            Self::RefusedByPeer { .. } => code::SECURITY_REFUSED_BY_PEER,
            Self::NotTls => code::SECURITY_NOT_TLS,
            Self::Late => code::CLIENT_CONNECTION_TIMED_OUT,
            Self::Broken { .. } => code::CLIENT_CONNECTION_CLOSED,
            Self::Unusable { .. } | Self::NotIssuable { .. } => code::SECURITY_UNUSABLE,
            Self::Exists { .. } => code::SECURITY_FILE_EXISTS,
            Self::Unwritable { .. } => code::SECURITY_FILE_UNWRITABLE,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "install the certificates (daos_server cert makes them) and name them in transport_config; insecure mode must be asked for with -i or allow_insecure"
            }
            Self::NoFile { .. } => "name a file that is there",
            Self::NoClients { .. } => {
                "make the directory and put the agents' certificates there (daos_server cert init and issue do), or correct client_cert_dir in transport_config"
            }
            Self::NoAuthority { .. } => {
                "make an authority with 'daos_server cert init --dir', or name its directory with --dir and its key with --ca-key"
            }
            Self::NotIssuable { .. } => {
                "give --days of 1 or more, and with each --san one host name or one address"
            }
            Self::NotRegular { .. } => "put a file there",
            Self::Unreadable { .. } => "give the user of this program the right to read the file",
            Self::TooOpen { .. } => {
                "take the further rights away with chmod: keys 0400 (admin 0440), certificates 0664 at most"
            }
            Self::Malformed { .. } => "install the file again, in PEM form",
            Self::Expired { .. } => "issue a new certificate (daos_server cert issue)",
            Self::NotYetValid { .. } => {
                "check the clock of this host, else issue a new certificate"
            }
            Self::KeyMismatch { .. } => {
                "install certificate and key of one pair; both are replaced when a new one is issued"
            }
            Self::ForeignAuthority { .. } => {
                "install the certificate of the authority that issued it, or issue one with this authority"
            }
            Self::WrongRole { .. } => "name the certificate of the right role in transport_config",
            Self::PeerExpired => {
                "issue a new certificate for the peer, and check the clocks of both hosts"
            }
            Self::PeerUntrusted { .. } => {
                "check that both hosts have certificates of the same authority"
            }
            Self::PeerRole { .. } => "check that the address is that of a server",
            Self::RefusedByPeer { .. } => {
                "check that this side's certificate is valid and of the peer's authority; a stock DAOS 2.8 peer needs a build with tls-openssl and RSA certificates"
            }
            Self::NotTls => {
                "the peer may run in insecure mode: use -i or allow_insecure on both sides, or on neither"
            }
            Self::Late => "check that the host is up and not overloaded",
            Self::Broken { .. } => {
                "check that both sides use certificates or neither does, and the server's log"
            }
            Self::Unusable { .. } => {
                "use RSA keys of 2048 bits or more, or ECDSA keys on P-256 or P-384"
            }
            Self::Exists { .. } => {
                "choose another directory, or say --replace to lose the present one"
            }
            Self::Unwritable { .. } => "check the directory, its rights and its space",
        }
    }
}

impl From<&TlsError> for Fault {
    fn from(error: &TlsError) -> Self {
        Self::of(error, error.code(), error.resolution())
    }
}

impl From<TlsError> for Fault {
    fn from(error: TlsError) -> Self {
        Self::from(&error)
    }
}
