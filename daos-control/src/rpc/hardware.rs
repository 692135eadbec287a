//! `daosx.v1.Hardware`: why controllers of this host must not be given to an engine, for those who propose configurations.

use daos_proto::daosx::v1::hardware_server::Hardware;
use daos_proto::daosx::v1::{Obstacle, ObstaclesReq, ObstaclesResp};
use tonic::Request;

use super::gate::{Gate, Reply};
use crate::generate::obstacles;
use crate::scan::{ScanOptions, Scanner};

/// Looks at the hardware of this host.
#[derive(Debug, Clone)]
pub(super) struct HardwareService {
    pub gate: Gate,
    pub scanner: Scanner,
}

#[tonic::async_trait]
impl Hardware for HardwareService {
    async fn obstacles(&self, request: Request<ObstaclesReq>) -> Reply<ObstaclesResp> {
        let look = || async {
            let found = self.scanner.scan(ScanOptions::default()).await.nvme?;
            let controllers = found.controllers.iter().filter_map(|controller| {
                let reasons = obstacles(controller);
                let address = controller.address.to_string();
                (!reasons.is_empty()).then_some(Obstacle { address, reasons })
            });
            Ok(ObstaclesResp { controllers: controllers.collect() })
        };
        self.gate.serve(request, |_| look()).await
    }
}
