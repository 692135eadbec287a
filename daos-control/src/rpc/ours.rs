//! `daosx.v1`: what this control plane adds. A format is shown before it is done, and a host says what it is doing.

use daos_proto::daosx::v1::host_server::Host;
use daos_proto::daosx::v1::storage_server::Storage;
use daos_proto::daosx::v1::{
    ApplyFormatReq, ApplyFormatResp, PlanFormatReq, PlanFormatResp, StateReq, StateResp,
};
use tonic::Request;

use super::gate::{Gate, Reply};
use crate::engine::{EngineState, Engines};
use crate::fault::Fault;
use crate::format::{FormatRequest, FormatService};
use crate::management::Management;
use crate::wire::{WIRE_VERSION, to_proto};

/// Shows and applies formats.
#[derive(Debug, Clone)]
pub(super) struct StorageService {
    pub gate: Gate,
    pub format: FormatService,
}

#[tonic::async_trait]
impl Storage for StorageService {
    async fn plan_format(&self, request: Request<PlanFormatReq>) -> Reply<PlanFormatResp> {
        self.gate
            .serve(request, |call| async move {
                let PlanFormatReq { reformat, replace } = call.message;
                let plan = self.format.plan(FormatRequest { reformat, replace }).await;
                Ok(to_proto::plan_response(&plan.map_err(|error| Fault::from(&error))?))
            })
            .await
    }

    async fn apply_format(&self, request: Request<ApplyFormatReq>) -> Reply<ApplyFormatResp> {
        self.gate
            .serve(request, |call| async move {
                let ApplyFormatReq { reformat, replace, digest } = call.message;
                let request = FormatRequest { reformat, replace };
                let report = self.format.apply(request, Some(&digest)).await;
                Ok(to_proto::apply_response(&report.map_err(|error| Fault::from(&error))?))
            })
            .await
    }
}

/// Says what this host is doing.
#[derive(Debug, Clone)]
pub(super) struct HostService {
    pub gate: Gate,
    pub system: String,
    pub insecure: bool,
    pub engines: Engines,
    pub format: FormatService,
    pub management: Management,
}

#[tonic::async_trait]
impl Host for HostService {
    async fn state(&self, request: Request<StateReq>) -> Reply<StateResp> {
        self.gate.serve(request, |_| async move { Ok(self.now()) }).await
    }
}

impl HostService {
    fn now(&self) -> StateResp {
        let mount_of = |index| {
            let target = self.format.targets().engine(index);
            target.map(|target| target.scm.mount_point().display().to_string()).unwrap_or_default()
        };
        let states = self.engines.states();
        let waits_for = self.management.waits_for();
        StateResp {
            system: self.system.clone(),
            version: WIRE_VERSION.to_string(),
            engines: states
                .iter()
                .map(|status| {
                    let mut engine = to_proto::engine_state(status, mount_of(status.index));
                    // What an engine that joins waits for in truth.
                    let joins = matches!(status.state, EngineState::Joining { .. });
                    if joins && !waits_for.is_empty() {
                        engine.reason =
                            format!("{}; the management service {waits_for}", engine.reason);
                    }
                    engine
                })
                .collect(),
            insecure: self.insecure,
            management: waits_for,
        }
    }
}
