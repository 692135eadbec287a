//! `storage scan` and `storage format` in JSON: the keys of stock tools, and our own plan.

use std::collections::BTreeMap;

use daos_control::Fault;
use daos_control::client::{
    ControllerState, DeviceHealth, DeviceReport, EnginePlan, EngineVerdict, FormatPlan,
    FormatPreview, FormatPreviews, FormatReport, HostResults, HostSet, HostStorage, Medium,
    MemoryInfo, NumaMemory, NvmeController, Obstacle, ScmMount, ScmNamespace, ScmRegion, SmdDevice,
};
use serde_json::{Map, Value, json};

use super::hosts;
use crate::print::result_text;

/// Number that stands for no rank.
const NIL_RANK: u32 = u32::MAX;

/// Keys in which equal hosts may differ.
const OF_ONE_HOST: [&str; 9] = [
    "serial",
    "uuid",
    "hugepages_total",
    "hugepages_free",
    "hugepages_reserved",
    "hugepages_surplus",
    "mem_free_kb",
    "mem_available_kb",
    "mem_used_kb",
];

pub fn scan(results: &HostResults<HostStorage>, failures: &BTreeMap<String, HostSet>) -> Value {
    let values = results.answers.iter().map(|(host, found)| (host, storage(found)));
    storage_map(values, failures)
}

pub fn format_results(
    results: &HostResults<FormatReport>,
    failures: &BTreeMap<String, HostSet>,
) -> Value {
    let values = results.answers.iter().map(|(host, report)| (host, formatted(report)));
    storage_map(values, failures)
}

fn storage_map<'a>(
    values: impl Iterator<Item = (&'a daos_control::client::HostAddr, Value)>,
    failures: &BTreeMap<String, HostSet>,
) -> Value {
    let entry = |value, set| json!({"storage": value, "hosts": set});
    json!({
        "host_errors": hosts::errors(failures),
        "HostStorage": hosts::groups(values, without_identity, entry),
    })
}

fn without_identity(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(key, _)| !OF_ONE_HOST.contains(&key.as_str()));
            Value::Object(kept.map(|(key, value)| (key, without_identity(value))).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(without_identity).collect()),
        other => other,
    }
}

/// A list, or `null` as stock tools print lists that were never filled.
fn list(values: Vec<Value>) -> Value {
    if values.is_empty() { Value::Null } else { Value::Array(values) }
}

fn storage(found: &HostStorage) -> Value {
    let modules = found.scm_modules.iter().map(|module| {
        json!({
            "ChannelID": module.channel,
            "ChannelPosition": module.channel_position,
            "ControllerID": module.controller,
            "SocketID": module.socket,
            "PhysicalID": module.physical_id,
            "Capacity": module.capacity,
            "UID": module.uid,
            "PartNumber": module.part_number,
            "FirmwareRevision": module.firmware,
            "HealthState": module.health,
        })
    });
    let mut value = json!({
        "nvme_devices": list(found.nvme.iter().map(|device| told_controller(found, device)).collect()),
        "scm_modules": list(modules.collect()),
        "scm_namespaces": list(found.scm_namespaces.iter().map(|space| told_namespace(found, space)).collect()),
        "scm_mount_points": Value::Null,
        "smd_info": Value::Null,
        "reboot_required": false,
        "mem_info": found.memory.as_ref().map(memory),
    });
    // Ours: stock tools have no such rows, so they are there only where there is something in them.
    if let (Some(fields), false) = (value.as_object_mut(), found.scm_regions.is_empty()) {
        let rows = found.scm_regions.iter().map(region).collect();
        fields.insert("scm_regions".to_owned(), Value::Array(rows));
        fields.insert("scm_goals".to_owned(), json!(found.scm_goals));
    }
    value
}

fn region(region: &ScmRegion) -> Value {
    json!({
        "id": region.id,
        "iset_id": region.iset_id,
        "socket": region.socket,
        "type": region.kind,
        "capacity": region.capacity,
        "free_capacity": region.free_capacity,
        "health": region.health,
        "module_ids": region.modules,
    })
}

fn controller(device: &NvmeController) -> Value {
    let spaces = device.namespaces.iter().map(|space| json!({"id": space.id, "size": space.size}));
    json!({
        "info": "",
        "model": device.model,
        "serial": device.serial,
        "pci_addr": device.pci_address,
        "fw_rev": device.firmware,
        "vendor_id": device.vendor,
        "pci_type": device.pci_type,
        "socket_id": device.socket,
        "health_stats": device.health.as_ref().map(health),
        "namespaces": list(spaces.collect()),
        "smd_devices": list(device.smd_devices.iter().map(smd_device).collect()),
        "dev_state": state(device.state),
        "led_state": led(device.led_state),
    })
}

/// The keys of 2.8, and ours behind them where the server told.
fn told_controller(found: &HostStorage, device: &NvmeController) -> Value {
    let mut value = controller(device);
    let state = found.devices.as_ref().and_then(|all| all.controllers.get(&device.pci_address));
    if let (Some(fields), Some(state)) = (value.as_object_mut(), state) {
        fields.insert("driver".to_owned(), json!(state.driver));
        fields.insert("source".to_owned(), json!(state.source));
        fields.insert("health_unreadable".to_owned(), json!(state.health_unreadable));
        fields.insert("usable".to_owned(), json!(state.is_usable()));
        fields.insert("obstacles".to_owned(), obstacles(&state.obstacles));
    }
    value
}

fn told_namespace(found: &HostStorage, space: &ScmNamespace) -> Value {
    let mut value = namespace(space);
    let state = found.devices.as_ref().and_then(|all| all.namespaces.get(&space.block_device));
    if let (Some(fields), Some(state)) = (value.as_object_mut(), state) {
        fields.insert("mode".to_owned(), json!(state.mode));
        fields.insert("usable".to_owned(), json!(state.is_usable()));
        fields.insert("obstacles".to_owned(), obstacles(&state.obstacles));
    }
    value
}

fn obstacles(obstacles: &[Obstacle]) -> Value {
    json!(obstacles.iter().map(|obstacle| obstacle.text.as_str()).collect::<Vec<_>>())
}

fn state(state: ControllerState) -> &'static str {
    match state {
        ControllerState::Unknown => "UNKNOWN",
        ControllerState::Normal => "NORMAL",
        ControllerState::New => "NEW",
        ControllerState::Evicted => "EVICTED",
        ControllerState::Unplugged => "UNPLUGGED",
    }
}

fn led(number: i32) -> &'static str {
    match number {
        1 => "QUICK_BLINK",
        2 => "ON",
        3 => "SLOW_BLINK",
        4 => "OFF",
        _ => "NA",
    }
}

fn health(health: &DeviceHealth) -> Value {
    let mut map = Map::new();
    map.insert("timestamp".to_owned(), json!(health.timestamp));
    map.insert("temperature".to_owned(), json!(health.temperature));
    map.extend(health.counters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    map.extend(health.warnings.iter().map(|(name, warns)| ((*name).to_owned(), json!(warns))));
    map.extend(health.link_speeds.iter().map(|(name, speed)| ((*name).to_owned(), json!(speed))));
    Value::Object(map)
}

fn smd_device(device: &SmdDevice) -> Value {
    json!({
        "role_bits": device.roles.0,
        "uuid": device.uuid,
        "tgt_ids": device.targets,
        "rank": device.rank.unwrap_or(NIL_RANK),
        "total_bytes": device.total_bytes,
        "avail_bytes": device.available_bytes,
        "usable_bytes": device.usable_bytes,
        "cluster_size": device.cluster_size,
        "meta_size": device.meta_size,
        "meta_wal_size": device.meta_wal_size,
        "rdb_size": device.rdb_size,
        "rdb_wal_size": device.rdb_wal_size,
        "ctrlr_namespace_id": device.namespace,
    })
}

fn namespace(space: &ScmNamespace) -> Value {
    json!({
        "uuid": space.uuid,
        "blockdev": space.block_device,
        "dev": space.name,
        "numa_node": space.numa_node,
        "size": space.size,
        "mount": space.mount.as_ref().map(mount),
    })
}

fn mount(mount: &ScmMount) -> Value {
    json!({
        "class": mount.class,
        "device_list": mount.devices,
        "info": "",
        "path": mount.path,
        "rank": mount.rank.unwrap_or(NIL_RANK),
        "total_bytes": mount.total_bytes,
        "avail_bytes": mount.available_bytes,
        "usable_bytes": mount.usable_bytes,
    })
}

fn memory(memory: &MemoryInfo) -> Value {
    let mut whole = match numa_memory(&memory.total) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    whole.insert("hugepages_reserved".to_owned(), json!(memory.hugepages_reserved));
    whole.insert("hugepage_size_kb".to_owned(), json!(memory.hugepage_size_kib));
    whole.insert("mem_available_kb".to_owned(), json!(memory.available_kib));
    let nodes = memory.numa_nodes.iter().map(numa_memory);
    whole.insert("numa_nodes".to_owned(), list(nodes.collect()));
    Value::Object(whole)
}

fn numa_memory(node: &NumaMemory) -> Value {
    json!({
        "numa_node_index": node.node,
        "hugepages_total": node.hugepages_total,
        "hugepages_free": node.hugepages_free,
        "hugepages_reserved": 0,
        "hugepages_surplus": node.hugepages_surplus,
        "hugepage_size_kb": 0,
        "mem_total_kb": node.total_kib,
        "mem_free_kb": node.free_kib,
        "mem_available_kb": 0,
        "mem_used_kb": node.used_kib,
    })
}

/// Results of a format in the shape of a scan: mounts and controllers carry `info`.
fn formatted(report: &FormatReport) -> Value {
    let of = |medium| report.devices.iter().filter(move |device| device.medium == medium);
    let mounts = of(Medium::Metadata).chain(of(Medium::Scm)).map(|device| {
        json!({
            "class": "",
            "device_list": Value::Null,
            "info": result_text(&device.outcome),
            "path": device.device,
            "rank": 0,
            "total_bytes": 0,
            "avail_bytes": 0,
            "usable_bytes": 0,
        })
    });
    json!({
        "nvme_devices": list(of(Medium::Nvme).map(formatted_controller).collect()),
        "scm_modules": Value::Null,
        "scm_namespaces": Value::Null,
        "scm_mount_points": list(mounts.collect()),
        "smd_info": Value::Null,
        "reboot_required": false,
        "mem_info": Value::Null,
    })
}

fn formatted_controller(device: &DeviceReport) -> Value {
    let address = if device.device.is_empty() { "<nil>" } else { &device.device };
    let smd = SmdDevice { roles: device.roles, ..SmdDevice::default() };
    let mut value = controller(&NvmeController {
        pci_address: address.to_owned(),
        smd_devices: vec![smd],
        ..NvmeController::default()
    });
    if let Some(info) = value.get_mut("info") {
        *info = json!(result_text(&device.outcome));
    }
    value
}

/// The dry run: what each group of hosts would do.
pub fn plans(previews: &FormatPreviews, failures: &BTreeMap<String, HostSet>) -> Value {
    let values = previews.hosts.answers.iter().filter_map(|(host, preview)| match preview {
        FormatPreview::Plan(found) => Some((host, plan(found))),
        FormatPreview::Unplanned => None,
    });
    let entry = |value, set| json!({"plan": value, "hosts": set});
    json!({
        "host_errors": hosts::errors(failures),
        "plans": hosts::groups(values, |value| value, entry),
    })
}

fn plan(plan: &FormatPlan) -> Value {
    json!({
        "digest": plan.digest,
        "destroys": plan.destroys,
        "engines": plan.engines.iter().map(engine).collect::<Vec<_>>(),
    })
}

fn engine(engine: &EnginePlan) -> Value {
    let (verdict, reason) = match &engine.verdict {
        EngineVerdict::Format => ("format", None),
        EngineVerdict::AlreadyFormatted(reason) => ("already_formatted", reason.as_ref()),
        EngineVerdict::Refused(reason) => ("refused", Some(reason)),
    };
    let devices = engine.devices.iter().map(|device| {
        json!({
            "medium": device.medium.as_str().to_lowercase(),
            "device": device.device,
            "identity": device.identity,
            "content": device.content,
            "steps": device.steps,
            "destroys": device.destroys,
            "refused": device.refused.as_ref().map(fault),
        })
    });
    json!({
        "index": engine.index,
        "verdict": verdict,
        "fault": reason.map(fault),
        "devices": devices.collect::<Vec<_>>(),
        "system_lost": engine.system_lost,
    })
}

fn fault(fault: &Fault) -> Value {
    json!({
        "domain": fault.domain,
        "code": fault.code,
        "description": fault.description,
        "reason": fault.reason,
        "resolution": fault.resolution,
    })
}
