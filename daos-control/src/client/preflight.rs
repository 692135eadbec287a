//! Whether hosts are ready: each looks at itself and answers with every check.

use super::hosts::{Client, DEFAULT_TIMEOUT};
use super::{ClientError, HostResults, wire};
use crate::preflight::Report;
use crate::wire::CallError;

impl Client {
    /// Asks every host to check itself against the configuration that its server runs with. Servers without such a service, as
    /// stock ones, are failures that say so.
    pub async fn preflight(&self) -> HostResults<Report> {
        let mut results = self
            .ask_hosts(DEFAULT_TIMEOUT, |connection| {
                wire::preflight::check(connection, self.system())
            })
            .await;
        for (_, error) in &mut results.failures {
            if matches!(error.call(), Some(CallError::Unimplemented(_))) {
                *error = ClientError::NoPreflightService;
            }
        }
        results
    }
}
