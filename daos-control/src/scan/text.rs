//! The lines of `daos_server storage scan` (R88-R92). Pure.

use daos_storage_nvme::model::FactSource;
use daos_storage_nvme::{BdevInventory, NvmeController, NvmeHealth};
use daos_storage_scm::model::{Discovered, NamespaceMode};
use daos_storage_scm::{ScmInventory, ScmModule, ScmNamespace};

use super::host::HostStorage;
use crate::fault::Fault;

/// Both parts, each under its heading, `none` where nothing was found. Errors are printed by [`errors_text`].
#[must_use]
pub fn scan_text(storage: &HostStorage) -> String {
    let mut lines = Vec::new();
    nvme(&mut lines, &storage.nvme);
    if let Ok(found) = &storage.scm {
        scm(&mut lines, found);
    }
    joined(&lines)
}

/// The NVMe part alone.
#[must_use]
pub fn nvme_text(found: &Result<BdevInventory, Fault>) -> String {
    let mut lines = Vec::new();
    nvme(&mut lines, found);
    joined(&lines)
}

fn joined(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |text, line| text + line + "\n")
}

fn nvme(lines: &mut Vec<String>, found: &Result<BdevInventory, Fault>) {
    lines.push("NVMe controllers and namespaces:".to_owned());
    let Ok(found) = found else { return };
    indent(lines, found.controllers.iter().flat_map(controller).collect());
    if !found.emulated.is_empty() {
        lines.push("Configured devices that stand in for NVMe:".to_owned());
        let devices = found.emulated.iter().map(|each| {
            let size = each.size_bytes.map_or("not there yet".to_owned(), gigabytes);
            format!("Device:{} Class:{} Capacity:{size}", each.device.name, each.device.class)
        });
        indent(lines, devices.collect());
    }
}

/// The parts that failed, one a line with its remedy, under one heading (R92); `None` when all went well.
#[must_use]
pub fn errors_text(faults: &[Fault]) -> Option<String> {
    if faults.is_empty() {
        return None;
    }
    let line = |fault: &Fault| format!("\n  {fault}\n  {}", fault.resolution_line());
    Some(format!("scan error(s):{}", faults.iter().map(line).collect::<String>()))
}

fn indent(lines: &mut Vec<String>, rows: Vec<String>) {
    if rows.is_empty() {
        lines.push("\t\tnone".to_owned());
    }
    lines.extend(rows.into_iter().map(|row| format!("\t\t{row}")));
}

/// The seed's line (R89), and beneath it what its form has no room for.
fn controller(found: &NvmeController) -> Vec<String> {
    let mut rows = vec![format!(
        "PCI:{} Model:{} FW:{} Socket:{} Capacity:{}",
        found.address,
        found.model.trim_end(),
        found.firmware.trim_end(),
        found.socket,
        gigabytes(found.capacity_bytes())
    )];
    let driver = found.driver.as_deref().unwrap_or("none");
    let serial = if found.serial.is_empty() { "unknown" } else { found.serial.trim_end() };
    rows.push(format!("  Serial:{serial} Driver:{driver} ({})", found.source));
    for namespace in &found.namespaces {
        let block = match namespace.format.block_bytes {
            0 => String::new(),
            bytes => format!(" Block:{bytes}"),
        };
        rows.push(format!(
            "  Namespace:{} Capacity:{}{block}",
            namespace.id,
            gigabytes(namespace.size_bytes)
        ));
    }
    rows.extend(
        found.obstacles.iter().map(|obstacle| format!("  not usable as it is: {obstacle}")),
    );
    match &found.health {
        Some(health) => {
            rows.push(format!("  Health: {} K, {}", health.temperature_k, warnings(health)))
        }
        None => rows.extend(health_unreadable(found).map(|why| format!("  Health: {why}"))),
    }
    rows
}

/// Why the health of a controller is not told; none where it can be read.
#[must_use]
pub fn health_unreadable(found: &NvmeController) -> Option<&'static str> {
    match (found.source, &found.driver) {
        (FactSource::Controller | FactSource::UserSpace, _) => None,
        (_, Some(_)) => Some("not readable while bound"),
        (_, None) => Some("not readable without a driver"),
    }
}

fn warnings(health: &NvmeHealth) -> String {
    let warned = &health.warnings;
    let named = [
        (warned.temperature, "temperature"),
        (warned.spare, "spare space"),
        (warned.reliability, "reliability"),
        (warned.read_only, "read-only"),
        (warned.volatile_memory, "volatile memory backup"),
    ];
    let raised: Vec<_> =
        named.iter().filter(|(raised, _)| *raised).map(|(_, name)| *name).collect();
    if raised.is_empty() {
        "no warning".to_owned()
    } else {
        format!("WARNING: {}", raised.join(", "))
    }
}

/// Persistent memory alone: modules, regions, namespaces and goals (R90, R91, R114, R136).
#[must_use]
pub fn scm_text(found: &ScmInventory) -> String {
    let mut lines = Vec::new();
    modules(&mut lines, found);
    regions(&mut lines, found);
    namespaces(&mut lines, found);
    joined(&lines)
}

/// Namespaces if there are any, else modules (R91); regions where there are any. What could not be looked at says why.
fn scm(lines: &mut Vec<String>, found: &ScmInventory) {
    if found.namespaces.known().is_empty() {
        modules(lines, found);
    } else {
        namespaces(lines, found);
    }
    if !found.regions.known().is_empty() || !found.goals.is_empty() {
        regions(lines, found);
    }
}

fn modules(lines: &mut Vec<String>, found: &ScmInventory) {
    lines.push("SCM Modules:".to_owned());
    let mut modules: Vec<&ScmModule> = found.modules.known().iter().collect();
    modules.sort_by_key(|module| module.physical_id);
    match unknown(&found.modules).or_else(|| unknown(&found.namespaces)) {
        Some(why) if modules.is_empty() => lines.push(format!("\t\tunknown: {why}")),
        _ => indent(lines, modules.into_iter().map(module).collect()),
    }
}

fn namespaces(lines: &mut Vec<String>, found: &ScmInventory) {
    lines.push("SCM Namespaces:".to_owned());
    let mut namespaces: Vec<&ScmNamespace> = found.namespaces.known().iter().collect();
    namespaces.sort_by(|a, b| a.blockdev.cmp(&b.blockdev));
    let rows = namespaces.into_iter().map(|namespace| {
        let ScmNamespace { blockdev, numa_node, size, mode, .. } = namespace;
        let mode = match mode {
            NamespaceMode::Unknown => String::new(),
            mode => format!(" Mode:{mode}"),
        };
        format!("Device:{blockdev} Socket:{numa_node} Capacity:{}{mode}", gigabytes(*size))
    });
    indent(lines, rows.collect());
}

fn regions(lines: &mut Vec<String>, found: &ScmInventory) {
    lines.push("SCM Regions:".to_owned());
    let rows = found.regions.known().iter().map(|region| {
        let ids: Vec<String> = region.module_ids.iter().map(ToString::to_string).collect();
        format!(
            "Region:{} Socket:{} Type:{} Capacity:{} Free:{} Health:{} ISetID:{:#x} Modules:{}",
            region.id,
            region.socket,
            region.kind,
            gigabytes(region.capacity),
            gigabytes(region.free_capacity),
            region.health,
            region.iset_id,
            ids.join(",")
        )
    });
    indent(lines, rows.collect());
    lines.extend(found.goals.iter().map(|goal| format!("\t\tGoal: {goal}")));
}

fn unknown<T>(found: &Discovered<T>) -> Option<String> {
    match found {
        Discovered::Known(_) => None,
        Discovered::Unknown { why, resolution, .. } => Some(format!("{why} ({resolution})")),
    }
}

fn module(found: &ScmModule) -> String {
    format!(
        "PhysicalID:{} Capacity:{} Location:(socket:{} memctrlr:{} chan:{} pos:{})",
        found.physical_id,
        gigabytes(found.capacity),
        found.socket,
        found.controller,
        found.channel,
        found.channel_position
    )
}

/// Bytes in GB of 10^9, one decimal.
fn gigabytes(bytes: u64) -> String {
    let tenths = u128::from(bytes) * 10 / 1_000_000_000;
    format!("{}.{} GB", tenths / 10, tenths % 10)
}
