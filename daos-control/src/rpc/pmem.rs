//! `daosx.v1.Pmem`: regions and goals of persistent memory, which the scan of 2.8 has no words for (R114, T4).

use daos_proto::daosx::v1::pmem_server::Pmem;
use daos_proto::daosx::v1::{PmemGoal, PmemRegion, PmemScanReq, PmemScanResp};
use daos_storage_scm::ScmInventory;
use tonic::Request;

use super::gate::{Gate, Reply};
use crate::scan::Scanner;

/// Shows persistent memory.
#[derive(Debug, Clone)]
pub(super) struct PmemService {
    pub gate: Gate,
    pub scanner: Scanner,
}

#[tonic::async_trait]
impl Pmem for PmemService {
    async fn scan(&self, request: Request<PmemScanReq>) -> Reply<PmemScanResp> {
        self.gate
            .serve(request, |_| async move { Ok(response(&self.scanner.scan_pmem().await?)) })
            .await
    }
}

fn response(found: &ScmInventory) -> PmemScanResp {
    let region = |region: &daos_storage_scm::AppDirectRegion| PmemRegion {
        id: region.id,
        iset_id: region.iset_id,
        socket: region.socket,
        kind: region.kind.to_string(),
        capacity: region.capacity,
        free_capacity: region.free_capacity,
        health: region.health.to_string(),
        modules: region.module_ids.clone(),
    };
    let goal = |goal: &daos_storage_scm::model::PendingGoal| PmemGoal {
        socket: goal.socket,
        module: goal.module.clone(),
        text: goal.to_string(),
    };
    PmemScanResp {
        regions: found.regions.known().iter().map(region).collect(),
        goals: found.goals.iter().map(goal).collect(),
    }
}
