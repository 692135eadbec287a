//! What engines ask of their server (contract 3.6). There are no pools yet, and the trait says so by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use crate::client::{Client, ClientError};
use crate::supervisor::{EngineUpcalls, UpcallError};
use crate::wire::CallError;

/// Bound of one question to the management service.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers engines through the management service, wherever it is.
#[derive(Debug)]
pub struct Upcalls {
    client: Client,
}

impl Upcalls {
    /// Asks the replicas this client names.
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone().with_timeout(PATIENCE) }
    }
}

#[async_trait]
impl EngineUpcalls for Upcalls {
    async fn system_properties(
        &self,
        keys: &[String],
    ) -> Result<BTreeMap<String, String>, UpcallError> {
        self.client.properties(keys).await.map_err(|refused| match &refused {
            ClientError::Call(CallError::Fault(_) | CallError::Other { .. }) => {
                UpcallError::Failed(refused.to_string())
            }
            ClientError::NoManagementService { .. } => UpcallError::Unreachable,
            _ => UpcallError::TryAgain,
        })
    }
}
