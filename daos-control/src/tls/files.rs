//! Certificate files: three paths, the rights they may have, the PEM in them (contract 1.8). Checks no signature.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate::Certificate;
use super::error::TlsError;
use crate::wire::Component;

/// Most a certificate may allow to others.
pub(super) const CERTIFICATE_MODE: u32 = 0o664;
/// No certificate file is larger.
const MAX_BYTES: u64 = 1 << 20;

/// Where the certificates of one component lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// Certificates of the authority, or of several while one replaces another.
    pub ca: PathBuf,
    /// This component's certificate; further ones after it are those between it and the authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl CertificateFiles {
    pub(super) fn paths(&self) -> [&Path; 3] {
        [&self.ca, &self.certificate, &self.key]
    }
}

/// Most a key may allow to others.
pub(super) fn key_mode(component: Component) -> u32 {
    match component {
        Component::Admin => 0o440,
        Component::Server | Component::Agent | Component::Client => 0o400,
    }
}

/// The certificates of a file, in its order; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<Certificate>, TlsError> {
    let bytes = read(path, CERTIFICATE_MODE)?;
    let malformed = |problem: String| TlsError::Malformed { path: path.to_owned(), problem };
    let mut found = Vec::new();
    for der in CertificateDer::pem_slice_iter(&bytes) {
        let der = der.map_err(|error| malformed(format!("not in PEM form ({error})")))?;
        found.push(Certificate::parse(&der).map_err(malformed)?);
    }
    if found.is_empty() {
        return Err(malformed("holds no certificate in PEM form".to_owned()));
    }
    Ok(found)
}

/// The key of a file that only `component` may read.
pub(super) fn key(path: &Path, component: Component) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read(path, key_mode(component))?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| TlsError::Malformed {
        path: path.to_owned(),
        problem: format!("holds no private key in PEM form ({error})"),
    })
}

/// What a file looked like: it was replaced or rewritten when this differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// `None` when nothing can be seen there.
    pub fn of(path: &Path) -> Option<Self> {
        let seen = fs::metadata(path).ok()?;
        Some(Self {
            device: seen.dev(),
            inode: seen.ino(),
            size: seen.size(),
            modified: (seen.mtime(), seen.mtime_nsec()),
            changed: (seen.ctime(), seen.ctime_nsec()),
        })
    }
}

pub(super) fn read(path: &Path, most: u32) -> Result<Vec<u8>, TlsError> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => TlsError::Missing { path: path.to_owned() },
        _ => TlsError::Unreadable { path: path.to_owned(), source },
    };
    // Looked at before it is opened: opening a pipe would wait for its other end.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(TlsError::NotRegular { path: path.to_owned() });
    }
    let file = File::open(path).map_err(failed)?;
    let seen = file.metadata().map_err(failed)?;
    if !seen.is_file() {
        return Err(TlsError::NotRegular { path: path.to_owned() });
    }
    // What the owner may do is the owner's business.
    let mode = seen.permissions().mode() & 0o7777;
    if mode & 0o077 & !most != 0 {
        return Err(TlsError::TooOpen { path: path.to_owned(), mode, most });
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
