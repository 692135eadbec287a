//! What a certificate says: to whom it is made out, by whom, for how long. Pure; checks no signature.
//!
//! Read by `credentials` and `trust`, and shown by `daos_server cert show`.

use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::wire::Component;

/// A certificate that ends within this many days is warned about.
pub const WARN_DAYS: i64 = 30;
const DAY: i64 = 24 * 60 * 60;

/// One certificate, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The bytes themselves (DER).
    pub der: Vec<u8>,
    /// To whom it is made out, e.g. `O=DAOS, CN=server`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The common name, when there is exactly one.
    pub common_name: Option<String>,
    /// Names and addresses of the subject alternative name.
    pub alternative_names: Vec<String>,
    /// First second of its time, in seconds since 1970.
    pub not_before: i64,
    /// Last second of its time, in seconds since 1970.
    pub not_after: i64,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// Kind of its key, e.g. `RSA 3072`.
    pub key: String,
    /// Serial number in hexadecimal digits.
    pub serial: String,
}

impl Certificate {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn parse(der: &[u8]) -> Result<Self, String> {
        let (rest, parsed) = X509Certificate::from_der(der)
            .map_err(|error| format!("not an X.509 certificate ({error})"))?;
        if !rest.is_empty() {
            return Err("bytes follow the certificate".to_owned());
        }
        Ok(Self {
            der: der.to_vec(),
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            common_name: common_name(&parsed),
            alternative_names: alternative_names(&parsed),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            is_authority: parsed.is_ca(),
            key: key_kind(&parsed),
            serial: parsed.raw_serial_as_string(),
        })
    }

    /// The component it is made out to; any other name has no rights (contract 1.8).
    #[must_use]
    pub fn component(&self) -> Option<Component> {
        match self.common_name.as_deref() {
            Some("admin") => Some(Component::Admin),
            Some("agent") => Some(Component::Agent),
            Some("server") => Some(Component::Server),
            _ => None,
        }
    }

    /// Whole days until it ends; negative once it has.
    #[must_use]
    pub fn days_left(&self, now: i64) -> i64 {
        (self.not_after - now).div_euclid(DAY)
    }

    /// When its time begins, for people.
    #[must_use]
    pub fn begins(&self) -> String {
        moment(self.not_before)
    }

    /// When its time ends, for people.
    #[must_use]
    pub fn ends(&self) -> String {
        moment(self.not_after)
    }

    /// SHA-256 of the whole certificate, as pairs of hexadecimal digits.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn fingerprint(&self) -> String {
        use sha2::{Digest, Sha256};
        let digits: Vec<String> =
            Sha256::digest(&self.der).iter().map(|byte| format!("{byte:02X}")).collect();
        digits.join(":")
    }

    /// The bits of its key, without their description.
    #[cfg(feature = "server")]
    #[cfg_attr(
        feature = "tls-openssl",
        allow(dead_code, reason = "the other body reads it itself")
    )]
    pub(super) fn public_key(&self) -> Option<Vec<u8>> {
        let (_, parsed) = X509Certificate::from_der(&self.der).ok()?;
        Some(parsed.public_key().subject_public_key.data.to_vec())
    }

    pub(super) fn as_der(&self) -> CertificateDer<'static> {
        CertificateDer::from(self.der.clone())
    }
}

/// Seconds since 1970.
#[must_use]
pub(super) fn now() -> i64 {
    seconds(SystemTime::now())
}

/// A moment in seconds since 1970.
pub(super) fn seconds(moment: SystemTime) -> i64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn moment(seconds: i64) -> String {
    ASN1Time::from_timestamp(seconds).map_or_else(
        |_| format!("{seconds} seconds since 1970"),
        |time| {
            let time = time.to_datetime();
            format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                time.year(),
                u8::from(time.month()),
                time.day(),
                time.hour(),
                time.minute(),
                time.second()
            )
        },
    )
}

/// A name given twice could be read differently by two programs, so it counts as none.
fn common_name(parsed: &X509Certificate<'_>) -> Option<String> {
    let mut names = parsed.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?.to_owned();
    names.next().is_none().then_some(name)
}

fn alternative_names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = parsed.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter();
    names
        .map(|name| match name {
            GeneralName::DNSName(name) => format!("DNS:{name}"),
            GeneralName::URI(name) => format!("URI:{name}"),
            GeneralName::IPAddress(bytes) => address(bytes),
            other => other.to_string(),
        })
        .collect()
}

fn address(bytes: &[u8]) -> String {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return format!("IP:{}", std::net::Ipv4Addr::from(four));
    }
    if let Ok(sixteen) = <[u8; 16]>::try_from(bytes) {
        return format!("IP:{}", std::net::Ipv6Addr::from(sixteen));
    }
    "IP:unreadable".to_owned()
}

fn key_kind(parsed: &X509Certificate<'_>) -> String {
    match parsed.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("ECDSA {}", point.key_size()),
        _ => "other".to_owned(),
    }
}
