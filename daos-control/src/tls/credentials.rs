//! Credentials: a certificate, its key and the authority, checked before anything is done with them.
//!
//! Made by `store`, used by `stream`. Whoever holds one may rely on it: read with the right file modes, one pair,
//! valid at that time, signed by the authority, made out to the expected component.

use std::fmt;
use std::time::SystemTime;

use super::body::Body;
use super::certificate::{Certificate, WARN_DAYS, now, seconds};
use super::error::TlsError;
use super::files::{self, CertificateFiles};
use super::trust::{Purpose, Trust, words};
use crate::wire::Component;

/// What one component shows and whom it trusts.
pub struct Credentials {
    component: Component,
    /// The own chain, leaf first.
    chain: Vec<Certificate>,
    authorities: Vec<Certificate>,
    pub(super) body: Body,
}

impl Credentials {
    /// Reads and checks the files.
    ///
    /// # Errors
    /// 901 for a missing file, 902 for one that is no regular file, unreadable or open to others, 903 for one that is
    /// malformed, expired or not valid yet, from 1400 when the files do not fit each other or the component.
    pub fn load(files: &CertificateFiles, component: Component) -> Result<Self, TlsError> {
        Self::load_at(files, component, now())
    }

    /// As [`Credentials::load`], judging validity at a moment (seconds since 1970).
    ///
    /// # Errors
    /// As [`Credentials::load`].
    pub fn load_at(
        files: &CertificateFiles,
        component: Component,
        now: i64,
    ) -> Result<Self, TlsError> {
        let authorities = files::certificates(&files.ca)?;
        let chain = files::certificates(&files.certificate)?;
        let key = files::key(&files.key, component)?;
        let leaf = check_times(files, &authorities, &chain, now)?;
        if leaf.component() != Some(component) {
            return Err(TlsError::WrongRole {
                path: files.certificate.clone(),
                found: leaf.common_name.clone().unwrap_or_else(|| leaf.subject.clone()),
                expected: component,
            });
        }
        let trust = Trust::new(&authorities).map_err(|problem| TlsError::Malformed {
            path: files.ca.clone(),
            problem: format!("no certificate of an authority ({problem})"),
        })?;
        check_chain(files, &trust, &chain, component, now)?;
        let body = Body::new(&chain, key, &authorities, trust).map_err(|error| match error {
            None => TlsError::KeyMismatch {
                certificate: files.certificate.clone(),
                key: files.key.clone(),
            },
            Some(problem) => TlsError::Unusable { problem },
        })?;
        Ok(Self { component, chain, authorities, body })
    }

    /// Whose credentials these are.
    #[must_use]
    pub fn component(&self) -> Component {
        self.component
    }

    /// The certificates these rely on: the own chain, then the authority's.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.chain.iter().chain(&self.authorities)
    }

    /// The end of what ends first, in seconds since 1970.
    #[must_use]
    pub fn valid_until(&self) -> i64 {
        self.certificates().map(|certificate| certificate.not_after).min().unwrap_or(i64::MAX)
    }

    /// What is to be said about certificates that end soon; empty while there is time.
    #[must_use]
    pub fn ending_soon(&self, now: SystemTime) -> Vec<String> {
        let now = seconds(now);
        let soon = self.certificates().filter(|certificate| certificate.days_left(now) < WARN_DAYS);
        soon.map(|certificate| {
            let (subject, end) = (&certificate.subject, certificate.ends());
            match certificate.days_left(now) {
                days if days < 0 => format!("certificate {subject} has expired on {end}"),
                days => format!("certificate {subject} ends in {days} days, on {end}"),
            }
        })
        .collect()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("component", &self.component)
            .field("valid_until", &self.valid_until())
            .finish_non_exhaustive()
    }
}

/// The leaf, when everything is valid now. Said before the chain is verified, since it is the usual trouble and has
/// the plainer words.
fn check_times<'a>(
    files: &CertificateFiles,
    authorities: &[Certificate],
    chain: &'a [Certificate],
    now: i64,
) -> Result<&'a Certificate, TlsError> {
    // Of several authorities one may be over: it is being replaced.
    let usable = authorities.iter().find(|ca| ca.not_before <= now && now <= ca.not_after);
    let of_authority = authorities.first().filter(|_| usable.is_none());
    let all = of_authority.map(|ca| (&files.ca, ca)).into_iter();
    for (path, certificate) in all.chain(chain.iter().map(|each| (&files.certificate, each))) {
        if now > certificate.not_after {
            return Err(TlsError::Expired { path: path.clone(), since: certificate.ends() });
        }
        if now < certificate.not_before {
            return Err(TlsError::NotYetValid { path: path.clone(), from: certificate.begins() });
        }
    }
    chain.first().ok_or_else(|| TlsError::Malformed {
        path: files.certificate.clone(),
        problem: "holds no certificate".to_owned(),
    })
}

fn check_chain(
    files: &CertificateFiles,
    trust: &Trust,
    chain: &[Certificate],
    component: Component,
    now: i64,
) -> Result<(), TlsError> {
    let ders: Vec<_> = chain.iter().map(Certificate::as_der).collect();
    // Servers call each other, so theirs must be good for both.
    let purposes: &[Purpose] = match component {
        Component::Server => &[Purpose::Server, Purpose::Client],
        Component::Admin | Component::Agent | Component::Client => &[Purpose::Client],
    };
    for purpose in purposes {
        trust.verify(&ders, *purpose, now).map_err(|error| TlsError::ForeignAuthority {
            certificate: files.certificate.clone(),
            ca: files.ca.clone(),
            problem: match &error {
                rustls::Error::InvalidCertificate(problem) => words(problem),
                other => other.to_string(),
            },
        })?;
    }
    Ok(())
}
