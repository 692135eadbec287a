//! The private authority: makes itself, and signs the certificates of administrators, servers and agents.
//!
//! Used by `daos_server cert` and by tests. Keys it makes are ECDSA on P-256; RSA keys can be brought along, which
//! stock 2.8.0 peers need (contract 1.8).

mod directory;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA512, SerialNumber,
};
use x509_parser::prelude::ASN1Time;

use super::certificate::{Certificate, now};
use super::error::TlsError;
use crate::wire::Component;

pub use directory::{
    AUTHORITY, AUTHORITY_KEY, CLIENTS, DEFAULT_DAYS, Issue, Issued, found, init, issue,
};

/// Name of the authority, as stock scripts give it.
const COMMON_NAME: &str = "DAOS CA";
/// Organisation in every subject.
const ORGANIZATION: &str = "DAOS";
/// Certificates begin a little before they are made, for hosts whose clocks are behind.
const BACKDATED: i64 = 60 * 60;
const DAY: i64 = 24 * 60 * 60;

/// A certificate and its key, both in PEM form.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// From when to when, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub from: i64,
    /// Last second.
    pub to: i64,
}

impl Validity {
    /// From now on, for so many days.
    #[must_use]
    pub fn days(days: u32) -> Self {
        let now = now();
        Self { from: now - BACKDATED, to: now.saturating_add(i64::from(days) * DAY) }
    }
}

/// What is to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The common name: the role.
    pub common_name: String,
    /// Names and addresses beside it.
    pub alternative_names: Vec<String>,
    /// Good for being called.
    pub for_servers: bool,
    /// Good for calling.
    pub for_clients: bool,
    /// Its time.
    pub validity: Validity,
}

impl Request {
    /// As stock scripts make it for this role: servers may call and be called, others may call. Nobody else gets one.
    #[must_use]
    pub fn of(component: Component, validity: Validity) -> Self {
        let for_servers = component == Component::Server;
        Self {
            common_name: component.as_str().to_owned(),
            alternative_names: Vec::new(),
            for_servers,
            for_clients: true,
            validity,
        }
    }
}

/// An authority that can sign.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
    pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("subject", &self.certificate.subject)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// A new authority; its key is made unless one is given (PEM, PKCS #8). The pair is what has to be kept.
    ///
    /// # Errors
    /// A key that cannot be used.
    pub fn make(validity: Validity, key: Option<&str>) -> Result<(Self, Pair), TlsError> {
        let key = own_or_new(key)?;
        let mut params = params(COMMON_NAME, validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        let pem = params.self_signed(&key).map_err(|error| unusable(&error))?.pem();
        let pair = Pair { certificate: pem, key: key.serialize_pem() };
        Ok((Self::of(&pair)?, pair))
    }

    /// An authority that was made before, here or elsewhere.
    ///
    /// # Errors
    /// What is wrong with the pair.
    pub fn of(pair: &Pair) -> Result<Self, TlsError> {
        let key = own_or_new(Some(&pair.key))?;
        let der = pem_to_der(&pair.certificate)?;
        let certificate =
            Certificate::parse(&der).map_err(|problem| TlsError::Unusable { problem })?;
        if !certificate.is_authority {
            let problem = format!("{} is no certificate of an authority", certificate.subject);
            return Err(TlsError::Unusable { problem });
        }
        let issuer =
            Issuer::from_ca_cert_pem(&pair.certificate, key).map_err(|error| unusable(&error))?;
        Ok(Self { issuer, certificate, pem: pair.certificate.clone() })
    }

    /// What its own certificate says.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Its own certificate, in PEM form.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Signs a certificate; its key is made unless one is given (PEM, PKCS #8). It ends with the authority at the latest.
    ///
    /// # Errors
    /// A key or a name that cannot be used.
    pub fn sign(&self, request: &Request, key: Option<&str>) -> Result<Pair, TlsError> {
        let key = own_or_new(key)?;
        let mut validity = request.validity;
        validity.to = validity.to.min(self.certificate.not_after);
        let mut params = params(&request.common_name, validity)?;
        let names = CertificateParams::new(request.alternative_names.clone());
        params.subject_alt_names = names.map_err(|error| unusable(&error))?.subject_alt_names;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if key.is_compatible(&PKCS_RSA_SHA512) || key.algorithm().eq(&rcgen::PKCS_RSA_SHA256) {
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        let usages = [
            (request.for_servers, ExtendedKeyUsagePurpose::ServerAuth),
            (request.for_clients, ExtendedKeyUsagePurpose::ClientAuth),
        ];
        params.extended_key_usages =
            usages.into_iter().filter(|(wanted, _)| *wanted).map(|(_, usage)| usage).collect();
        let signed = params.signed_by(&key, &self.issuer).map_err(|error| unusable(&error))?;
        Ok(Pair { certificate: signed.pem(), key: key.serialize_pem() })
    }
}

fn params(common_name: &str, validity: Validity) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::default();
    let moment = |seconds| {
        let moment = ASN1Time::from_timestamp(seconds).map(|time| time.to_datetime());
        moment.map_err(|error| TlsError::Unusable { problem: error.to_string() })
    };
    params.not_before = moment(validity.from)?;
    params.not_after = moment(validity.to)?;
    // Two certificates of one key must differ: a peer may remember serial numbers.
    params.serial_number = Some(SerialNumber::from_slice(uuid::Uuid::new_v4().as_bytes()));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
    params.distinguished_name.push(DnType::CommonName, common_name);
    Ok(params)
}

fn own_or_new(key: Option<&str>) -> Result<KeyPair, TlsError> {
    match key {
        Some(pem) => KeyPair::from_pem(pem).map_err(|error| TlsError::Unusable {
            problem: format!(
                "the key is not in the form PKCS #8 (openssl pkcs8 -topk8 -nocrypt makes it so): {error}"
            ),
        }),
        None => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| unusable(&error)),
    }
}

fn pem_to_der(pem: &str) -> Result<Vec<u8>, TlsError> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map(|der| der.to_vec())
        .map_err(|error| TlsError::Unusable { problem: error.to_string() })
}

fn unusable(error: &rcgen::Error) -> TlsError {
    TlsError::Unusable { problem: error.to_string() }
}
