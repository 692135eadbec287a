//! What engines ask of their server, in plain words (contract 3.6, 3.7).
//!
//! The trait is implemented by the server assembly over its membership and, later, its pool database; what it does not
//! override answers as a system without pools does. Must not know the wire (see `upcall_wire`).

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

use async_trait::async_trait;
use daos_membership::Rank;
use sha2::{Digest, Sha512};
use thiserror::Error;
use uuid::Uuid;

use super::upcall_wire::token_bytes;

/// Answers what engines ask.
#[async_trait]
pub trait EngineUpcalls: Send + Sync + Debug {
    /// Values of these system properties, or of all when none is named.
    ///
    /// # Errors
    /// A key that does not exist is [`UpcallError::Failed`].
    async fn system_properties(
        &self,
        keys: &[String],
    ) -> Result<BTreeMap<String, String>, UpcallError>;

    /// Ranks that serve a pool which is ready.
    async fn pool_service(&self, _pool: Uuid) -> Result<Vec<Rank>, UpcallError> {
        Err(UpcallError::Nonexistent)
    }

    /// The pool of that label, if it is ready.
    async fn find_pool(&self, _label: &str) -> Result<PoolRecord, UpcallError> {
        Err(UpcallError::Nonexistent)
    }

    /// All pools; also those that are not ready if `include_all`.
    async fn list_pools(&self, _include_all: bool) -> Result<Vec<PoolRecord>, UpcallError> {
        Ok(Vec::new())
    }

    /// Checker: all pools on record.
    async fn check_list_pools(&self) -> Result<Vec<PoolRecord>, UpcallError> {
        Ok(Vec::new())
    }

    /// Checker: put a pool on record. Label and service are not empty.
    async fn check_register_pool(&self, _pool: PoolRecord) -> Result<(), UpcallError> {
        Err(UpcallError::NotApplicable)
    }

    /// Checker: strike a pool from the record.
    async fn check_deregister_pool(&self, _pool: Uuid) -> Result<(), UpcallError> {
        Err(UpcallError::Nonexistent)
    }

    /// Checker: a finding.
    async fn check_report(&self, _report: CheckReport) -> Result<(), UpcallError> {
        Err(UpcallError::NotApplicable)
    }

    /// Whether a client is who it says; its token if so.
    async fn validate_credential(&self, credential: Credential) -> Result<Token, UpcallError> {
        check_credential_insecure(&credential)
    }
}

/// Why an upcall has no better answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UpcallError {
    /// There is no such thing.
    #[error("does not exist")]
    Nonexistent,
    /// The request makes no sense.
    #[error("malformed request")]
    Invalid,
    /// It is taken.
    #[error("exists already")]
    Exists,
    /// The proof is wrong.
    #[error("not permitted")]
    NotPermitted,
    /// The certificate for the proof is missing.
    #[error("no certificate")]
    NoCertificate,
    /// Not now: the management service has no leader.
    #[error("try again")]
    TryAgain,
    /// The management service cannot be reached.
    #[error("management service unreachable")]
    Unreachable,
    /// Not in this state of the system.
    #[error("does not apply")]
    NotApplicable,
    /// Something else.
    #[error("{0}")]
    Misc(String),
    /// The request itself failed; the engine sees a failed call, not a status.
    #[error("{0}")]
    Failed(String),
}

/// A pool as the management service has it on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolRecord {
    /// Its identity.
    pub uuid: Uuid,
    /// Its label.
    pub label: String,
    /// The ranks that serve it.
    pub replicas: Vec<Rank>,
}

/// A finding of the checker, as it will be passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// Number of the finding.
    pub sequence: u64,
    /// What was found.
    pub message: String,
    /// The whole report (`chk.CheckReport`), encoded.
    pub encoded: Vec<u8>,
}

/// Bytes of one kind, opaque here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Kind: 1 is a UNIX identity.
    pub flavor: i32,
    /// The bytes.
    pub data: Vec<u8>,
}

/// Who a client says it is, the proof, and who made the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Who.
    pub token: Option<Token>,
    /// The proof.
    pub verifier: Option<Token>,
    /// Name of the certificate behind the proof; `agent` in practice.
    pub origin: String,
}

/// Checks a credential of a system without certificates: the proof is the SHA-512 of the token (contract 3.7).
pub fn check_credential_insecure(credential: &Credential) -> Result<Token, UpcallError> {
    let (Some(token), Some(verifier)) = (&credential.token, &credential.verifier) else {
        return Err(UpcallError::Invalid);
    };
    if Sha512::digest(token_bytes(token)).as_slice() != verifier.data {
        return Err(UpcallError::NotPermitted);
    }
    Ok(token.clone())
}

/// Checks a credential of a system with certificates: the proof is the agent's signature of the token, RSA-PSS with
/// SHA-512, and its certificate lies in `directory` (contract 3.7).
///
/// Its salt is as long as the key allows, which only OpenSSL verifies; and an agent that makes such proofs reaches a
/// server only over the same feature, `tls-openssl`. Without it nobody is believed.
pub fn check_credential(credential: &Credential, directory: &Path) -> Result<Token, UpcallError> {
    let (Some(token), Some(verifier)) = (&credential.token, &credential.verifier) else {
        return Err(UpcallError::Invalid);
    };
    // The name is the peer's word: no path may hide in it.
    let plain = |name: char| name.is_ascii_alphanumeric() || matches!(name, '-' | '_');
    if credential.origin.is_empty() || !credential.origin.chars().all(plain) {
        return Err(UpcallError::NoCertificate);
    }
    let certificate = directory.join(format!("{}.crt", credential.origin));
    match crate::tls::signed_by(&certificate, &token_bytes(token), &verifier.data) {
        Ok(true) => Ok(token.clone()),
        Ok(false) => Err(UpcallError::NotPermitted),
        Err(_unusable) => Err(UpcallError::NoCertificate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential() -> Credential {
        let token = Token { flavor: 1, data: vec![1, 2, 3] };
        // Fields in order: flavor 1, then the data.
        let proof = Sha512::digest([0x08, 1, 0x12, 3, 1, 2, 3]).to_vec();
        Credential {
            token: Some(token),
            verifier: Some(Token { flavor: 1, data: proof }),
            origin: "agent".into(),
        }
    }

    #[test]
    fn a_genuine_credential_gives_its_token() {
        let credential = credential();
        assert_eq!(check_credential_insecure(&credential).ok(), credential.token);
    }

    #[test]
    fn a_changed_token_or_proof_is_denied() {
        let mut forged = credential();
        forged.token = Some(Token { flavor: 1, data: vec![9] });
        assert_eq!(check_credential_insecure(&forged), Err(UpcallError::NotPermitted));
        let mut forged = credential();
        forged.verifier = Some(Token { flavor: 1, data: Vec::new() });
        assert_eq!(check_credential_insecure(&forged), Err(UpcallError::NotPermitted));
    }

    #[test]
    fn a_credential_without_token_or_proof_is_malformed() {
        let without_token = Credential { token: None, ..credential() };
        let without_proof = Credential { verifier: None, ..credential() };
        for credential in [without_token, without_proof] {
            assert_eq!(check_credential_insecure(&credential), Err(UpcallError::Invalid));
        }
    }
}
