//! `ctl.CtlSvc`: what is asked of this one host. Handlers only; the work is in `scan`, `format`, `network`, `engine`.

use daos_membership::Rank;
use daos_proto::ctl;
use daos_proto::ctl::ctl_svc_server::CtlSvc;
use daos_proto::ctl::{
    NetworkScanReq, NetworkScanResp, RanksReq, RanksResp, SetLogMasksReq, SetLogMasksResp,
    StorageFormatReq, StorageFormatResp, StorageScanReq, StorageScanResp,
};
use tonic::Request;

use super::absent::absent;
use super::gate::{Gate, Reply};
use super::log_masks::{LogSettings, masks_for};
use crate::drpc::LogMasks;
use crate::engine::Engines;
use crate::fault::{Fault, code};
use crate::format::{FormatRequest, FormatService};
use crate::network::{self, Wanted};
use crate::scan::Scanner;
use crate::wire::{CallError, from_proto, to_proto};

/// Serves one host.
#[derive(Debug, Clone)]
pub(super) struct CtlService {
    pub gate: Gate,
    pub scanner: Scanner,
    pub format: FormatService,
    pub engines: Engines,
    pub providers: Vec<String>,
    pub log_settings: Vec<LogSettings>,
}

impl CtlService {
    fn rank_of(&self, engine: u32) -> Option<Rank> {
        self.engines.states().into_iter().find(|status| status.index == engine)?.rank
    }

    /// The host itself, and what engines tell of the devices that they have for themselves. Where hosts are to look alike nobody
    /// is asked.
    async fn scan(&self, message: &StorageScanReq) -> StorageScanResp {
        let options = from_proto::scan_options(message);
        let health = options.health || from_proto::wants_meta(message);
        let (found, engines) = tokio::join!(self.scanner.scan(options), async {
            match options.basic {
                true => Vec::new(),
                false => self.engines.devices(health).await,
            }
        });
        let rank_of = |engine| self.rank_of(engine);
        let mut answer = to_proto::storage_scan(&found, &self.scanner, rank_of);
        if let Some(part) = &mut answer.nvme {
            to_proto::add_engine_devices(part, &engines);
        }
        answer
    }

    async fn network(&self, message: NetworkScanReq) -> Result<NetworkScanResp, Fault> {
        let wanted = Wanted::from_request(&message.provider, &self.providers);
        let scan = move || {
            let excluded: Vec<&str> = message.excludeinterfaces.split(',').map(str::trim).collect();
            network::scan(&wanted, &excluded)
        };
        // Libfabric's providers look at hardware, which no other request should wait for.
        let scanned = tokio::task::spawn_blocking(scan).await.map_err(|broken| {
            Fault::new("network", code::UNKNOWN, "the network scan broke off", "report this")
                .with_reason(broken)
        })??;
        Ok(to_proto::network_scan(scanned.found))
    }

    async fn set_masks(&self, request: &SetLogMasksReq) -> Result<Vec<String>, Fault> {
        let masks = masks_for(&self.log_settings, request)?;
        let masks_of = |index| {
            let own = masks.iter().find(|(engine, _)| *engine == index);
            own.map_or_else(LogMasks::default, |(_, masks)| masks.clone())
        };
        Ok(self.engines.set_log_masks(masks_of).await)
    }
}

#[tonic::async_trait]
impl CtlSvc for CtlService {
    async fn storage_scan(&self, request: Request<StorageScanReq>) -> Reply<StorageScanResp> {
        self.gate.serve(request, |call| async move { Ok(self.scan(&call.message).await) }).await
    }

    async fn storage_format(&self, request: Request<StorageFormatReq>) -> Reply<StorageFormatResp> {
        let format = |request: FormatRequest| async move {
            let report =
                self.format.apply(request, None).await.map_err(|error| Fault::from(&error))?;
            Ok(to_proto::format_response(&report)?)
        };
        self.gate
            .serve(request, |call| {
                let StorageFormatReq { reformat, replace, .. } = call.message;
                format(FormatRequest { reformat, replace })
            })
            .await
    }

    async fn network_scan(&self, request: Request<NetworkScanReq>) -> Reply<NetworkScanResp> {
        self.gate.serve(request, |call| async move { Ok(self.network(call.message).await?) }).await
    }

    async fn set_engine_log_masks(
        &self,
        request: Request<SetLogMasksReq>,
    ) -> Reply<SetLogMasksResp> {
        self.gate
            .serve(request, |call| async move {
                Ok(SetLogMasksResp { status: 0, errors: self.set_masks(&call.message).await? })
            })
            .await
    }

    async fn prep_shutdown_ranks(&self, request: Request<RanksReq>) -> Reply<RanksResp> {
        self.gate
            .serve(request, |call| async move {
                let ranks = from_proto::ranks(call.message.ranks)?;
                Ok(to_proto::ranks_response(self.engines.prepare_shutdown(&ranks).await))
            })
            .await
    }

    async fn stop_ranks(&self, request: Request<RanksReq>) -> Reply<RanksResp> {
        self.gate
            .serve(request, |call| async move {
                let ranks = from_proto::ranks(call.message.ranks)?;
                Ok(to_proto::ranks_response(self.engines.stop(&ranks, call.message.force).await))
            })
            .await
    }

    async fn reset_format_ranks(&self, request: Request<RanksReq>) -> Reply<RanksResp> {
        self.gate
            .serve(request, |call| async move {
                let ranks = from_proto::ranks(call.message.ranks)?;
                Ok(to_proto::ranks_response(self.engines.reset_format(&ranks).await))
            })
            .await
    }

    async fn start_ranks(&self, request: Request<RanksReq>) -> Reply<RanksResp> {
        self.gate
            .serve(request, |call| async move {
                let ranks = from_proto::ranks(call.message.ranks)?;
                if call.message.check_mode {
                    return Err(CallError::Unimplemented(
                        "engines have no checker mode here".into(),
                    ));
                }
                Ok(to_proto::ranks_response(self.engines.start(&ranks).await))
            })
            .await
    }

    absent! {
        storage_nvme_rebind(ctl::NvmeRebindReq) -> ctl::NvmeRebindResp;
        storage_nvme_add_device(ctl::NvmeAddDeviceReq) -> ctl::NvmeAddDeviceResp;
        firmware_query(ctl::FirmwareQueryReq) -> ctl::FirmwareQueryResp;
        firmware_update(ctl::FirmwareUpdateReq) -> ctl::FirmwareUpdateResp;
        smd_query(ctl::SmdQueryReq) -> ctl::SmdQueryResp;
        smd_manage(ctl::SmdManageReq) -> ctl::SmdManageResp;
        collect_log(ctl::CollectLogReq) -> ctl::CollectLogResp;
        check_engine_repair(ctl::CheckEngineActReq) -> ctl::CheckEngineActResp;
    }
}
