//! Wire forms of the storage scan.

use daos_proto::ctl;
use daos_proto::ctl::ctl_svc_client::CtlSvcClient;
use daos_proto::daosx::v1 as ours;
use daos_proto::daosx::v1::pmem_client::PmemClient;

use super::super::server::devices;
use super::super::{malformed, rank, stub};
use super::failure;
use crate::client::connect::Connection;
use crate::client::storage::{
    ControllerState, DeviceHealth, HostStorage, MemoryInfo, NumaMemory, NvmeController,
    NvmeNamespace, Roles, ScanDetail, ScmModule, ScmMount, ScmNamespace, ScmRegion, SmdDevice,
};
use crate::wire::CallError;

/// Scans a host. RAM that serves as SCM is told only to those who ask for usage (contract 7.5); asked at once, a host
/// of DAOS 2.8 would tell mounted namespaces instead of all, so only a host without any SCM is asked again.
pub(in crate::client) async fn scan(
    connection: Connection,
    detail: ScanDetail,
) -> Result<HostStorage, CallError> {
    let mut found = ask(connection.clone(), detail, false).await?;
    if found.scm_modules.is_empty() && found.scm_namespaces.is_empty() && found.problems.is_empty()
    {
        let mounted = ask(connection.clone(), ScanDetail::Summary, true).await?;
        found.scm_namespaces = mounted.scm_namespaces;
    }
    if detail != ScanDetail::Summary {
        match devices(connection.clone()).await {
            Ok(devices) => found.devices = devices,
            Err(error) => found.problems.push(format!("whether devices can be used: {error}")),
        }
    }
    if detail == ScanDetail::Full {
        add_regions(connection, &mut found).await;
    }
    Ok(found)
}

/// What the scan of 2.8 has no words for. A server without our service has said all it can.
async fn add_regions(connection: Connection, found: &mut HostStorage) {
    let answer = connection
        .call(ours::PmemScanReq {}, |channel, request| async move {
            stub!(PmemClient, channel).scan(request).await
        })
        .await;
    match answer {
        Ok(answer) => {
            found.scm_regions = answer.regions.into_iter().map(region).collect();
            found.scm_goals = answer.goals.into_iter().map(|goal| goal.text).collect();
        }
        Err(CallError::Unimplemented(_)) => {}
        Err(error) => found.problems.push(format!("regions of persistent memory: {error}")),
    }
}

fn region(message: ours::PmemRegion) -> ScmRegion {
    ScmRegion {
        id: message.id,
        iset_id: message.iset_id,
        socket: message.socket,
        kind: message.kind,
        capacity: message.capacity,
        free_capacity: message.free_capacity,
        health: message.health,
        modules: message.modules,
    }
}

async fn ask(
    connection: Connection,
    detail: ScanDetail,
    usage: bool,
) -> Result<HostStorage, CallError> {
    let host = connection.host().clone();
    let message = ctl::StorageScanReq {
        nvme: Some(ctl::ScanNvmeReq {
            health: detail == ScanDetail::Health,
            basic: detail == ScanDetail::Summary,
            ..ctl::ScanNvmeReq::default()
        }),
        scm: Some(ctl::ScanScmReq { usage }),
    };
    let answer = connection
        .call(message, |channel, request| async move {
            stub!(CtlSvcClient, channel).storage_scan(request).await
        })
        .await?;
    let (Some(nvme), Some(scm)) = (answer.nvme, answer.scm) else {
        return Err(malformed(&host, "the NVMe or the SCM part of the scan is missing"));
    };
    let problems = [failure(scm.state.as_ref()), failure(nvme.state.as_ref())];
    Ok(HostStorage {
        nvme: nvme.ctrlrs.into_iter().map(controller).collect(),
        scm_modules: scm.modules.into_iter().map(module).collect(),
        scm_namespaces: scm.namespaces.into_iter().map(namespace).collect(),
        memory: answer.sys_mem_info.map(memory),
        problems: problems.into_iter().flatten().collect(),
        ..HostStorage::default()
    })
}

fn controller(message: ctl::NvmeController) -> NvmeController {
    NvmeController {
        state: state(message.dev_state()),
        model: message.model,
        serial: message.serial,
        pci_address: message.pci_addr,
        firmware: message.fw_rev,
        socket: message.socket_id,
        vendor: message.vendor_id,
        pci_type: message.pci_dev_type,
        led_state: message.led_state,
        health: message.health_stats.as_ref().map(health),
        namespaces: message
            .namespaces
            .into_iter()
            .map(|space| NvmeNamespace { id: space.id, size: space.size })
            .collect(),
        smd_devices: message.smd_devices.into_iter().map(smd_device).collect(),
    }
}

fn state(message: ctl::NvmeDevState) -> ControllerState {
    match message {
        ctl::NvmeDevState::Unknown => ControllerState::Unknown,
        ctl::NvmeDevState::Normal => ControllerState::Normal,
        ctl::NvmeDevState::New => ControllerState::New,
        ctl::NvmeDevState::Evicted => ControllerState::Evicted,
        ctl::NvmeDevState::Unplugged => ControllerState::Unplugged,
    }
}

fn smd_device(message: ctl::SmdDevice) -> SmdDevice {
    SmdDevice {
        uuid: message.uuid,
        targets: message.tgt_ids,
        rank: rank(message.rank),
        roles: Roles(message.role_bits),
        total_bytes: message.total_bytes,
        available_bytes: message.avail_bytes,
        usable_bytes: message.usable_bytes,
        cluster_size: message.cluster_size,
        meta_size: message.meta_size,
        meta_wal_size: message.meta_wal_size,
        rdb_size: message.rdb_size,
        rdb_wal_size: message.rdb_wal_size,
        namespace: message.ctrlr_namespace_id,
    }
}

fn health(message: &ctl::BioHealthResp) -> DeviceHealth {
    DeviceHealth {
        timestamp: message.timestamp,
        temperature: message.temperature,
        counters: counters(message),
        warnings: vec![
            ("temp_warn", message.temp_warn),
            ("avail_spare_warn", message.avail_spare_warn),
            ("dev_reliability_warn", message.dev_reliability_warn),
            ("read_only_warn", message.read_only_warn),
            ("volatile_mem_warn", message.volatile_mem_warn),
        ],
        link_speeds: vec![
            ("link_max_speed", message.link_max_speed),
            ("link_neg_speed", message.link_neg_speed),
        ],
    }
}

fn counters(message: &ctl::BioHealthResp) -> Vec<(&'static str, u64)> {
    macro_rules! named {
        ($($field:ident)*) => { vec![$((stringify!($field), u64::from(message.$field))),*] };
    }
    named![
        warn_temp_time crit_temp_time ctrl_busy_time power_cycles power_on_hours unsafe_shutdowns
        media_errs err_log_entries bio_read_errs bio_write_errs bio_unmap_errs checksum_errs
        program_fail_cnt_norm program_fail_cnt_raw erase_fail_cnt_norm erase_fail_cnt_raw
        wear_leveling_cnt_norm wear_leveling_cnt_min wear_leveling_cnt_max wear_leveling_cnt_avg
        endtoend_err_cnt_raw crc_err_cnt_raw media_wear_raw host_reads_raw workload_timer_raw
        thermal_throttle_status thermal_throttle_event_cnt retry_buffer_overflow_cnt
        pll_lock_loss_cnt nand_bytes_written host_bytes_written cluster_size meta_wal_size
        rdb_wal_size link_port_id link_max_width link_neg_width
    ]
}

fn module(message: ctl::ScmModule) -> ScmModule {
    ScmModule {
        physical_id: message.physicalid,
        channel: message.channelid,
        channel_position: message.channelposition,
        controller: message.controllerid,
        socket: message.socketid,
        capacity: message.capacity,
        uid: message.uid,
        part_number: message.part_number,
        firmware: message.firmware_revision,
        health: message.health_state,
    }
}

fn namespace(message: ctl::ScmNamespace) -> ScmNamespace {
    ScmNamespace {
        uuid: message.uuid,
        block_device: message.blockdev,
        name: message.dev,
        numa_node: message.numa_node,
        size: message.size,
        mount: message.mount.map(|mount| ScmMount {
            path: mount.path,
            class: mount.class,
            devices: mount.device_list,
            rank: rank(mount.rank),
            total_bytes: mount.total_bytes,
            available_bytes: mount.avail_bytes,
            usable_bytes: mount.usable_bytes,
        }),
    }
}

fn memory(message: ctl::SysMemInfo) -> MemoryInfo {
    let used_kib = message.mem_total_kb.saturating_sub(message.mem_free_kb);
    MemoryInfo {
        total: NumaMemory {
            node: 0,
            hugepages_total: message.hugepages_total,
            hugepages_free: message.hugepages_free,
            hugepages_surplus: message.hugepages_surplus,
            total_kib: message.mem_total_kb,
            free_kib: message.mem_free_kb,
            used_kib,
        },
        hugepages_reserved: message.hugepages_reserved,
        hugepage_size_kib: message.hugepage_size_kb,
        available_kib: message.mem_available_kb,
        numa_nodes: message.numa_nodes.into_iter().map(numa_node).collect(),
    }
}

fn numa_node(message: ctl::MemInfo) -> NumaMemory {
    NumaMemory {
        node: message.numa_node_index,
        hugepages_total: message.hugepages_total,
        hugepages_free: message.hugepages_free,
        hugepages_surplus: message.hugepages_surplus,
        total_kib: message.mem_total_kb,
        free_kib: message.mem_free_kb,
        used_kib: message.mem_used_kb,
    }
}
