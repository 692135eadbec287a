//! What engines ask of their server (contract 3.6). There are no pools yet, and the trait says so by itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use crate::client::{Client, ClientError};
use crate::config::Transport;
use crate::supervisor::{
    Credential, EngineUpcalls, Token, UpcallError, check_credential, check_credential_insecure,
};
use crate::wire::CallError;

/// Bound of one question to the management service.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers engines through the management service, wherever it is.
#[derive(Debug)]
pub struct Upcalls {
    client: Client,
    /// Where agents' certificates lie; `None` in insecure mode.
    agents: Option<PathBuf>,
}

impl Upcalls {
    /// Asks the replicas this client names.
    pub fn new(client: &Client, transport: &Transport) -> Self {
        let agents = (!transport.allow_insecure).then(|| transport.client_cert_dir.clone());
        Self { client: client.clone().with_timeout(PATIENCE), agents }
    }
}

#[async_trait]
impl EngineUpcalls for Upcalls {
    async fn system_properties(
        &self,
        keys: &[String],
    ) -> Result<BTreeMap<String, String>, UpcallError> {
        self.client.properties(keys).await.map_err(|refused| reason(&refused))
    }

    async fn validate_credential(&self, credential: Credential) -> Result<Token, UpcallError> {
        match &self.agents {
            None => check_credential_insecure(&credential),
            Some(directory) => check_credential(&credential, directory),
        }
    }
}

/// What an engine is told instead of an answer.
fn reason(refused: &ClientError) -> UpcallError {
    match refused {
        ClientError::Call(CallError::Fault(_) | CallError::Other { .. }) => {
            UpcallError::Failed(refused.to_string())
        }
        ClientError::NoManagementService { .. } => UpcallError::Unreachable,
        _ => UpcallError::TryAgain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    #[test]
    fn a_refusal_is_final_and_a_missing_leader_is_not() {
        let wrong = Fault::new("system", 1306, "no such property", "name another");
        let refused = reason(&ClientError::Call(CallError::Fault(wrong)));
        assert!(matches!(&refused, UpcallError::Failed(why) if why.contains("no such property")));
        let elsewhere = CallError::NotReplica { replicas: Vec::new() };
        assert_eq!(reason(&ClientError::Call(elsewhere)), UpcallError::TryAgain);
        let late = || CallError::DeadlineExceeded("late".to_owned());
        assert_eq!(reason(&ClientError::Call(late())), UpcallError::TryAgain);
        let nobody = ClientError::NoManagementService { last: late() };
        assert_eq!(reason(&nobody), UpcallError::Unreachable);
    }
}
