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
    issuable(days, &[])?;
    let key = key.map(|path| named_key(path, Component::Server)).transpose()?;
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
    issuable(asked.days, &asked.names)?;

    let authority_key =
        asked.authority_key.clone().unwrap_or_else(|| directory.join(AUTHORITY_KEY));
    let no_authority = |error| match error {
        TlsError::Missing { path } => TlsError::NoAuthority { directory: directory.into(), path },
        other => other,
    };
    let authority = Authority::of(&Pair {
        certificate: text(&paths.ca, files::CERTIFICATE_MODE).map_err(no_authority)?,
        key: private_text(&authority_key, Component::Server).map_err(no_authority)?,
    })?;
    let key = asked.key.as_deref().map(|path| named_key(path, asked.component)).transpose()?;
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
        let certificates = files::certificates(&file).map_err(named)?;
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

/// Longest host name, and longest part of one between dots (RFC 1035).
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// Whether there can be a certificate for so long and with these names.
fn issuable(days: u32, names: &[String]) -> Result<(), TlsError> {
    let refused = |problem| Err(TlsError::NotIssuable { problem });
    if days == 0 {
        return refused("it would end when it begins".to_owned());
    }
    match names.iter().find(|name| !is_address(name) && !is_host_name(name)) {
        Some(name) => refused(format!("{name:?} is neither a host name nor an address")),
        None => Ok(()),
    }
}

fn is_address(name: &str) -> bool {
    name.parse::<std::net::IpAddr>().is_ok()
}

/// Host names in use have underscores as well; a star may stand for the first part.
fn is_host_name(name: &str) -> bool {
    let label = |part: &str| {
        let sound = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        sound && (1..=LONGEST_LABEL).contains(&part.len())
    };
    name.len() <= LONGEST_NAME && name.strip_prefix("*.").unwrap_or(name).split('.').all(label)
}

/// A file that somebody named is not there: no installation lacks it.
fn named(error: TlsError) -> TlsError {
    match error {
        TlsError::Missing { path } => TlsError::NoFile { path },
        other => other,
    }
}

fn named_key(path: &Path, component: Component) -> Result<String, TlsError> {
    private_text(path, component).map_err(named)
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
