//! `daosx.v1.Preflight`: whether this host is ready for the configuration it runs with. Handler only; the work is in `preflight`.

use std::sync::Arc;

use daos_proto::daosx::v1::preflight_server::Preflight as Service;
use daos_proto::daosx::v1::{PreflightReq, PreflightResp};
use tonic::Request;

use super::gate::{Gate, Reply};
use crate::config::ServerConfig;
use crate::preflight::{Asked, ConfigKeys, Preflight};
use crate::wire::to_proto;

/// Looks at one host.
#[derive(Debug, Clone)]
pub(super) struct PreflightService {
    pub gate: Gate,
    pub preflight: Preflight,
    pub config: Arc<ServerConfig>,
    pub keys: Arc<ConfigKeys>,
}

#[tonic::async_trait]
impl Service for PreflightService {
    async fn check(&self, request: Request<PreflightReq>) -> Reply<PreflightResp> {
        self.gate
            .serve(request, |_| async move {
                let asked = Asked { config: &self.config, keys: &self.keys };
                Ok(to_proto::preflight(self.preflight.report(Some(asked)).await?))
            })
            .await
    }
}
