//! What a storage scan found (contract 2 `ctl/storage*.proto`, 7.5).

use daos_membership::Rank;
use daos_proto::ctl;
use daos_proto::ctl::ResponseStatus::{CtlErrNvme, CtlErrScm};
use daos_storage_nvme::{NvmeController, NvmeHealth};
use daos_storage_scm::{ScmInventory, ScmModule, ScmNamespace};

use super::state::{failed, succeeded};
use crate::scan::{HostStorage, Scanner, SystemMemory, class_faults, modules_fault};

/// The answer to a scan; each part carries its own outcome. `rank_of` knows the rank of an engine by its index.
#[must_use]
pub fn storage_scan(
    storage: &HostStorage,
    scanner: &Scanner,
    rank_of: impl Fn(u32) -> Option<Rank>,
) -> ctl::StorageScanResp {
    let scm = match &storage.scm {
        Ok(found) => scm_part(found, scanner, rank_of),
        Err(fault) => {
            ctl::ScanScmResp { state: Some(failed(CtlErrScm, fault)), ..Default::default() }
        }
    };
    let nvme = match &storage.nvme {
        Ok(found) => ctl::ScanNvmeResp {
            ctrlrs: found.controllers.iter().map(controller).collect(),
            state: Some(match class_faults(found).first() {
                None => succeeded(""),
                Some(fault) => failed(CtlErrNvme, fault),
            }),
        },
        Err(fault) => {
            ctl::ScanNvmeResp { state: Some(failed(CtlErrNvme, fault)), ..Default::default() }
        }
    };
    ctl::StorageScanResp {
        nvme: Some(nvme),
        scm: Some(scm),
        sys_mem_info: storage.memory.as_ref().ok().map(memory),
    }
}

/// Namespaces if there are any, else modules (R91).
fn scm_part(
    found: &ScmInventory,
    scanner: &Scanner,
    rank_of: impl Fn(u32) -> Option<Rank>,
) -> ctl::ScanScmResp {
    let namespaces = found.namespaces.known();
    let modules = if namespaces.is_empty() { found.modules.known() } else { &[] };
    ctl::ScanScmResp {
        modules: modules.iter().map(module).collect(),
        namespaces: namespaces.iter().map(|each| namespace(each, scanner, &rank_of)).collect(),
        state: Some(match modules_fault(found).filter(|_| namespaces.is_empty()) {
            None => succeeded(""),
            Some(fault) => failed(CtlErrScm, &fault),
        }),
    }
}

fn module(found: &ScmModule) -> ctl::ScmModule {
    ctl::ScmModule {
        channelid: found.channel,
        channelposition: found.channel_position,
        controllerid: found.controller,
        socketid: found.socket,
        physicalid: found.physical_id,
        capacity: found.capacity,
        uid: found.uid.clone(),
        part_number: found.part_number.clone(),
        firmware_revision: found.firmware_revision.clone(),
        health_state: found.health.clone(),
    }
}

fn namespace(
    found: &ScmNamespace,
    scanner: &Scanner,
    rank_of: impl Fn(u32) -> Option<Rank>,
) -> ctl::ScmNamespace {
    let mount = found.mount.as_ref().map(|usage| {
        let target = scanner.target_at(&usage.path);
        ctl::scm_namespace::Mount {
            path: usage.path.display().to_string(),
            total_bytes: usage.total_bytes,
            avail_bytes: usage.avail_bytes,
            device_list: target.map(|target| target.mount.devices.clone()).unwrap_or_default(),
            class: target.map(|target| target.mount.class.clone()).unwrap_or_default(),
            rank: target.and_then(|target| rank_of(target.engine)).map_or(Rank::NIL, Rank::get),
            usable_bytes: target
                .map_or(usage.avail_bytes, |target| target.mount.usable_bytes(usage.avail_bytes)),
        }
    });
    ctl::ScmNamespace {
        uuid: found.uuid.clone(),
        blockdev: found.blockdev.clone(),
        dev: found.dev.clone(),
        numa_node: found.numa_node,
        size: found.size,
        mount,
    }
}

fn controller(found: &NvmeController) -> ctl::NvmeController {
    let address = found.address.to_string();
    let namespaces = found.namespaces.iter().map(|namespace| ctl::nvme_controller::Namespace {
        id: namespace.id,
        size: namespace.size_bytes,
        ctrlr_pci_addr: address.clone(),
    });
    ctl::NvmeController {
        model: found.model.clone(),
        serial: found.serial.clone(),
        fw_rev: found.firmware.clone(),
        socket_id: found.socket,
        health_stats: found.health.as_ref().map(health),
        namespaces: namespaces.collect(),
        dev_state: ctl::NvmeDevState::Normal.into(),
        vendor_id: found.vendor_id.clone().unwrap_or_default(),
        pci_addr: address,
        ..Default::default()
    }
}

fn health(found: &NvmeHealth) -> ctl::BioHealthResp {
    ctl::BioHealthResp {
        warn_temp_time: found.warning_minutes,
        crit_temp_time: found.critical_minutes,
        ctrl_busy_time: found.busy_minutes,
        power_cycles: found.power_cycles,
        power_on_hours: found.power_on_hours,
        unsafe_shutdowns: found.unsafe_shutdowns,
        media_errs: found.media_errors,
        err_log_entries: found.error_log_entries,
        temperature: found.temperature_k,
        temp_warn: found.warnings.temperature,
        avail_spare_warn: found.warnings.spare,
        dev_reliability_warn: found.warnings.reliability,
        read_only_warn: found.warnings.read_only,
        volatile_mem_warn: found.warnings.volatile_memory,
        ..Default::default()
    }
}

fn memory(found: &SystemMemory) -> ctl::SysMemInfo {
    let nodes = found.nodes.iter().map(|node| ctl::MemInfo {
        numa_node_index: node.node,
        hugepages_total: node.hugepages_total,
        hugepages_free: node.hugepages_free,
        hugepages_surplus: node.hugepages_surplus,
        mem_total_kb: node.total_kib,
        mem_free_kb: node.free_kib,
        mem_used_kb: node.used_kib,
    });
    ctl::SysMemInfo {
        hugepages_total: found.hugepages_total,
        hugepages_free: found.hugepages_free,
        hugepages_reserved: found.hugepages_reserved,
        hugepages_surplus: found.hugepages_surplus,
        hugepage_size_kb: found.hugepage_size_kib,
        mem_total_kb: found.total_kib,
        mem_free_kb: found.free_kib,
        mem_available_kb: found.available_kib,
        numa_nodes: nodes.collect(),
    }
}
