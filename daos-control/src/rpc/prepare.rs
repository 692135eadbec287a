//! `daosx.v1.Prepare`: storage made ready for engines from afar (R72, R83, R84). The work is that of `prepare`; what is kept here is
//! that nothing is taken from under an engine or a format, and that a server without the right says so.

use std::sync::Arc;

use daos_proto::daosx::v1::prepare_server::Prepare;
use daos_proto::daosx::v1::{
    PrepareNvmeReq, PrepareNvmeResp, PreparedController, PreparedNode, ResetNvmeReq,
};
use daos_storage_nvme::BdevProvider;
use tonic::Request;

use super::gate::{Gate, Reply};
use crate::config::{DataPlane, ServerConfig};
use crate::fault::{Fault, code};
use crate::format::FormatService;
use crate::prepare::{FromAfar, NvmePrepareAsk, NvmePrepared, PagesAsk, kept_of, with_host_rules};
use crate::scan::memory;
use crate::wire::{CallError, to_proto};

/// The user of a server that may prepare, and so of its engines.
const ROOT: &str = "root";

/// Makes storage ready and gives it back.
#[derive(Debug, Clone)]
pub(super) struct PrepareService {
    pub gate: Gate,
    pub config: Arc<ServerConfig>,
    pub bdev: Arc<dyn BdevProvider>,
    pub format: FormatService,
}

#[tonic::async_trait]
impl Prepare for PrepareService {
    async fn prepare_nvme(&self, request: Request<PrepareNvmeReq>) -> Reply<PrepareNvmeResp> {
        self.gate
            .serve(request, |call| async move {
                let PrepareNvmeReq { allow, block, pages, user, disable_vfio } = call.message;
                let ask = NvmePrepareAsk {
                    allow,
                    block,
                    pages: pages.map(PagesAsk::of_number),
                    user: user.filter(|name| !name.is_empty()).or_else(|| Some(ROOT.to_owned())),
                    disable_vfio,
                    keep_hugepages: self.config.data_plane == DataPlane::Emulated,
                    ..NvmePrepareAsk::default()
                };
                let ask = self.accept(ask)?;
                let memory = memory::observe()?;
                let work = FromAfar::prepare(&self.config, &ask, &memory);
                Ok(response(&self.carry_out(work).await?))
            })
            .await
    }

    async fn reset_nvme(&self, request: Request<ResetNvmeReq>) -> Reply<PrepareNvmeResp> {
        self.gate
            .serve(request, |call| async move {
                let ResetNvmeReq { allow, block } = call.message;
                let ask = NvmePrepareAsk { allow, block, ..NvmePrepareAsk::default() };
                let ask = self.accept(ask)?;
                let kept = kept_of(&*self.bdev, &ask).await?;
                let work = FromAfar::reset(&self.config, ask, kept);
                Ok(response(&self.carry_out(work).await?))
            })
            .await
    }
}

impl PrepareService {
    fn accept(&self, ask: NvmePrepareAsk) -> Result<NvmePrepareAsk, CallError> {
        if !rustix::process::geteuid().is_root() {
            return Err(CallError::Fault(not_root()));
        }
        with_host_rules(&self.config, ask).map_err(CallError::Fault)
    }

    async fn carry_out(&self, work: FromAfar) -> Result<NvmePrepared, CallError> {
        let (bdev, engines) = (Arc::clone(&self.bdev), work.engines.clone());
        let done = self.format.reserved(&engines, work.carry_out(bdev)).await;
        Ok(done.map_err(|error| Fault::from(&error))??)
    }
}

fn not_root() -> Fault {
    Fault::new(
        "storage",
        code::PREPARE_NEEDS_ROOT,
        "the server runs as a plain user, who may not prepare or reset NVMe controllers",
        "run 'sudo daos_server storage prepare --nvme-only' on the host",
    )
}

fn response(done: &NvmePrepared) -> PrepareNvmeResp {
    let controllers = done.controllers.iter().map(|(address, result)| PreparedController {
        address: address.to_string(),
        driver: result.as_ref().ok().cloned().unwrap_or_default(),
        fault: result.as_ref().err().map(to_proto::fault),
    });
    let nodes =
        done.hugepages.iter().map(|node| PreparedNode { node: node.node, hugepages: node.pages });
    PrepareNvmeResp {
        controllers: controllers.collect(),
        nodes: nodes.collect(),
        notices: done.notices.clone(),
    }
}
