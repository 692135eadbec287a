//! `daosx.v1.Hardware`: what keeps devices of this host from being used, for scans and for those who propose configurations.

use daos_proto::daosx::v1 as ours;
use daos_proto::daosx::v1::hardware_server::Hardware;
use daos_proto::daosx::v1::{DevicesReq, DevicesResp};
use daos_storage_nvme::NvmeController;
use daos_storage_scm::ScmNamespace;
use daos_storage_scm::model::Discovered;
use tonic::Request;

use super::gate::{Gate, Reply};
use crate::generate::{keeps_out, pmem_obstacles};
use crate::scan::{HostStorage, ScanOptions, Scanner, health_unreadable};

/// Looks at the hardware of this host.
#[derive(Debug, Clone)]
pub(super) struct HardwareService {
    pub gate: Gate,
    pub scanner: Scanner,
}

#[tonic::async_trait]
impl Hardware for HardwareService {
    async fn devices(&self, request: Request<DevicesReq>) -> Reply<DevicesResp> {
        let look = || async { Ok(response(&self.scanner.scan(ScanOptions::default()).await)) };
        self.gate.serve(request, |_| look()).await
    }
}

fn response(found: &HostStorage) -> DevicesResp {
    let controllers = found.nvme.iter().flat_map(|found| &found.controllers);
    let namespaces = found.scm.iter().flat_map(|found| found.namespaces.known());
    let unknown = found.scm.iter().filter_map(|found| match &found.namespaces {
        Discovered::Known(_) => None,
        Discovered::Unknown { why, .. } => Some(why.clone()),
    });
    DevicesResp {
        controllers: controllers.map(controller).collect(),
        namespaces: namespaces.map(namespace).collect(),
        problems: unknown.collect(),
    }
}

fn controller(found: &NvmeController) -> ours::Controller {
    let obstacles = found.obstacles.iter();
    ours::Controller {
        address: found.address.to_string(),
        driver: found.driver.clone().unwrap_or_default(),
        source: found.source.to_string(),
        health_unreadable: health_unreadable(found).unwrap_or_default().to_owned(),
        obstacles: obstacles
            .map(|obstacle| ours::Obstacle {
                text: obstacle.to_string(),
                ends_when_configured: !keeps_out(obstacle),
            })
            .collect(),
    }
}

fn namespace(found: &ScmNamespace) -> ours::PmemNamespace {
    let obstacle = |text| ours::Obstacle { text, ends_when_configured: false };
    ours::PmemNamespace {
        device: found.blockdev.clone(),
        mode: found.mode.to_string(),
        obstacles: pmem_obstacles(found).into_iter().map(obstacle).collect(),
    }
}
