//! Certificates in a directory, with the names, the layout and the file modes of a stock installation (contract 1.8, 5.1).
//!
//! Nothing is overwritten unless that was asked for, and what was issued is loaded again before it is reported.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{Authority, Pair, Request, Validity};
use crate::durable_file;
use crate::tls::certificate::Certificate;
use crate::tls::credentials::Credentials;
use crate::tls::error::TlsError;
use crate::tls::files::{self, CertificateFiles, key_mode};
use crate::wire::Component;

/// The authority's certificate.
pub const AUTHORITY: &str = "daosCA.crt";
/// The authority's key: it belongs on one safe host only.
pub const AUTHORITY_KEY: &str = "daosCA.key";
/// The agents' certificates, as servers need them.
pub const CLIENTS: &str = "clients";
/// Days that certificates are good for when nobody says.
pub const DEFAULT_DAYS: u32 = 1095;

/// Mode of certificates: everybody may read them, their owner may write.
const PUBLIC: u32 = 0o644;

/// What to issue.
#[derive(Debug, Clone)]
pub struct Issue {
    /// To whom.
    pub component: Component,
    /// Host names and addresses to put in beside the role.
    pub names: Vec<String>,
    /// Days it is good for.
    pub days: u32,
    /// A key that exists already, in PEM form (PKCS #8).
    pub key: Option<PathBuf>,
    /// The authority's key, when it is not in the directory.
    pub authority_key: Option<PathBuf>,
    /// Overwrite what is there.
    pub replace: bool,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The files.
    pub files: Vec<PathBuf>,
    /// The new certificate.
    pub certificate: Certificate,
}

/// Makes an authority in a directory, which is made as well if need be.
///
/// # Errors
/// Fault 1408 when there is one and `replace` is not set; what cannot be read or written.
pub fn init(
    directory: &Path,
    days: u32,
    key: Option<&Path>,
    replace: bool,
) -> Result<Issued, TlsError> {
    let (certificate, key_file) = (directory.join(AUTHORITY), directory.join(AUTHORITY_KEY));
    unless_there([&certificate, &key_file], replace)?;
    let key = key.map(|path| private_text(path, Component::Server)).transpose()?;
    let (authority, pair) = Authority::make(Validity::days(days), key.as_deref())?;
    make_directory(directory)?;
    make_directory(&directory.join(CLIENTS))?;
    // The key first: a certificate whose key was lost would be trusted for nothing.
    write(&key_file, 0o400, &pair.key)?;
    write(&certificate, PUBLIC, &pair.certificate)?;
    Ok(Issued { files: vec![certificate, key_file], certificate: authority.certificate().clone() })
}

/// Issues a certificate with the authority of a directory, into that directory.
///
/// # Errors
/// Fault 901 without an authority, 1408 when there is a certificate and `replace` is not set; what cannot be read or written.
pub fn issue(directory: &Path, asked: &Issue) -> Result<Issued, TlsError> {
    let role = asked.component.as_str();
    let paths = CertificateFiles {
        ca: directory.join(AUTHORITY),
        certificate: directory.join(format!("{role}.crt")),
        key: directory.join(format!("{role}.key")),
    };
    let for_servers = directory.join(CLIENTS).join(format!("{role}.crt"));
    let copied = asked.component == Component::Agent;
    // A key that was brought along may lie in its final place already.
    let in_place = asked.key.as_ref().is_some_and(|key| same_file(key, &paths.key));
    let mut wanted = vec![&paths.certificate];
    wanted.extend((!in_place).then_some(&paths.key));
    wanted.extend(copied.then_some(&for_servers));
    unless_there(wanted, asked.replace)?;

    let authority_key =
        asked.authority_key.clone().unwrap_or_else(|| directory.join(AUTHORITY_KEY));
    let authority = Authority::of(&Pair {
        certificate: text(&paths.ca, files::CERTIFICATE_MODE)?,
        key: private_text(&authority_key, Component::Server)?,
    })?;
    let key = asked.key.as_deref().map(|path| private_text(path, asked.component)).transpose()?;
    let mut request = Request::of(asked.component, Validity::days(asked.days));
    request.alternative_names.push(role.to_owned());
    request.alternative_names.extend(asked.names.iter().cloned());
    let pair = authority.sign(&request, key.as_deref())?;

    let mut written = vec![paths.certificate.clone(), paths.key.clone()];
    if !in_place {
        write(&paths.key, key_mode(asked.component), &pair.key)?;
    }
    write(&paths.certificate, PUBLIC, &pair.certificate)?;
    if copied {
        make_directory(&directory.join(CLIENTS))?;
        write(&for_servers, PUBLIC, &pair.certificate)?;
        written.push(for_servers);
    }
    let loaded = Credentials::load(&paths, asked.component)?;
    let certificate = loaded.certificates().next().cloned();
    let certificate = certificate.ok_or_else(|| TlsError::Malformed {
        path: paths.certificate.clone(),
        problem: "reads back differently".to_owned(),
    })?;
    Ok(Issued { files: written, certificate })
}

/// The certificates in a file, or in all `.crt` files of a directory and its `clients`; each with its file.
///
/// # Errors
/// What cannot be read.
pub fn found(path: &Path) -> Result<Vec<(PathBuf, Certificate)>, TlsError> {
    let mut paths = Vec::new();
    if path.is_dir() {
        for directory in [path.to_owned(), path.join(CLIENTS)] {
            let Ok(entries) = fs::read_dir(&directory) else { continue };
            let files = entries.flatten().map(|entry| entry.path());
            paths.extend(files.filter(|file| file.extension().is_some_and(|kind| kind == "crt")));
        }
        paths.sort();
    } else {
        paths.push(path.to_owned());
    }
    let mut all = Vec::new();
    for file in paths {
        let certificates = files::certificates(&file)?;
        all.extend(certificates.into_iter().map(|certificate| (file.clone(), certificate)));
    }
    Ok(all)
}

fn unless_there<'a>(
    paths: impl IntoIterator<Item = &'a PathBuf>,
    replace: bool,
) -> Result<(), TlsError> {
    let there = paths.into_iter().find(|path| path.symlink_metadata().is_ok());
    match there {
        Some(path) if !replace => Err(TlsError::Exists { path: path.clone() }),
        _ => Ok(()),
    }
}

fn same_file(left: &Path, right: &Path) -> bool {
    matches!((left.canonicalize(), right.canonicalize()), (Ok(left), Ok(right)) if left == right)
}

fn private_text(path: &Path, component: Component) -> Result<String, TlsError> {
    text(path, key_mode(component))
}

fn text(path: &Path, most: u32) -> Result<String, TlsError> {
    String::from_utf8(files::read(path, most)?).map_err(|_| TlsError::Malformed {
        path: path.to_owned(),
        problem: "not in PEM form".to_owned(),
    })
}

fn make_directory(path: &Path) -> Result<(), TlsError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(|source| TlsError::Unwritable { path: path.to_owned(), source })
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), TlsError> {
    durable_file::write(path, mode, text.as_bytes())
        .map_err(|error| TlsError::Unwritable { path: error.path, source: error.source })
}
