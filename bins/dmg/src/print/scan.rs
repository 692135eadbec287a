//! `storage scan` for people.

use daos_control::client::{
    DeviceHealth, HostResults, HostStorage, NvmeController, Roles, ScmModule, ScmNamespace,
    ScmRegion,
};

use super::hosts::{HostNames, group_equal};
use super::table::{Table, banner, one_line};
use super::units::{binary, count, decimal};
use super::usability::usability;

const INDENT: usize = 2;

/// One row for each group of equal hosts (R104).
pub fn storage(results: &HostResults<HostStorage>, names: HostNames) -> String {
    let rows = results
        .answers
        .iter()
        .map(|(host, storage)| (host, [scm_total(storage), nvme_total(storage)]));
    let mut table = Table::new(["Hosts", "SCM Total", "NVMe Total"]);
    for (hosts, [scm, nvme]) in group_equal(rows, |row| row.join("\n")) {
        table.row([names.set(&hosts), scm, nvme]);
    }
    if table.is_empty() { String::new() } else { table.text(0) }
}

fn scm_total(storage: &HostStorage) -> String {
    if storage.scm_namespaces.is_empty() {
        let bytes = storage.scm_modules.iter().fold(0u64, |sum, m| sum.saturating_add(m.capacity));
        return format!("{} ({})", binary(bytes), count(storage.scm_modules.len(), "module"));
    }
    let bytes = storage.scm_namespaces.iter().fold(0u64, |sum, n| sum.saturating_add(n.size));
    format!("{} ({})", decimal(bytes), count(storage.scm_namespaces.len(), "namespace"))
}

fn nvme_total(storage: &HostStorage) -> String {
    let bytes = storage.nvme.iter().fold(0u64, |sum, device| sum.saturating_add(device.capacity()));
    format!("{} ({})", decimal(bytes), count(storage.nvme.len(), "controller"))
}

/// Every device of each group of equal hosts.
pub fn storage_verbose(results: &HostResults<HostStorage>, names: HostNames) -> String {
    let blocks = results.answers.iter().map(|(host, storage)| (host, block(storage)));
    let groups = group_equal(blocks, Clone::clone);
    groups
        .into_iter()
        .map(|(hosts, text)| format!("{}{text}\n", banner(&names.set(&hosts), 0)))
        .collect()
}

fn block(storage: &HostStorage) -> String {
    let mut out = String::new();
    if let Some(memory) = &storage.memory {
        out.push_str(&format!("HugePage Size: {} KB\n\n", memory.hugepage_size_kib));
    }
    if storage.scm_namespaces.is_empty() {
        out.push_str(&modules(&storage.scm_modules));
    } else {
        out.push_str(&namespaces(&storage.scm_namespaces));
    }
    if !storage.scm_regions.is_empty() {
        out.push('\n');
        out.push_str(&regions(&storage.scm_regions));
    }
    for goal in &storage.scm_goals {
        out.push_str(&format!("Goal: {goal}\n"));
    }
    out.push('\n');
    out.push_str(&controllers(&storage.nvme));
    out.push_str(&usability(storage));
    out
}

fn modules(modules: &[ScmModule]) -> String {
    let mut table = Table::new([
        "SCM Module",
        "Socket",
        "Memory Ctrlr",
        "Channel",
        "Channel Slot",
        "Capacity",
        "UID",
        "Part Number",
        "Health",
    ]);
    let mut sorted: Vec<&ScmModule> = modules.iter().collect();
    sorted.sort_by_key(|module| module.physical_id);
    for module in sorted {
        table.row([
            module.physical_id.to_string(),
            module.socket.to_string(),
            module.controller.to_string(),
            module.channel.to_string(),
            module.channel_position.to_string(),
            binary(module.capacity),
            module.uid.clone(),
            module.part_number.clone(),
            module.health.clone(),
        ]);
    }
    or_none(&table, "No SCM modules found")
}

fn namespaces(namespaces: &[ScmNamespace]) -> String {
    let mut table = Table::new(["SCM Namespace", "Socket", "Capacity"]);
    let mut sorted: Vec<&ScmNamespace> = namespaces.iter().collect();
    sorted.sort_by(|left, right| left.block_device.cmp(&right.block_device));
    for space in sorted {
        table.row([space.block_device.clone(), space.numa_node.to_string(), decimal(space.size)]);
    }
    or_none(&table, "No SCM namespaces found")
}

/// Ours: stock tools show no regions (T4).
fn regions(regions: &[ScmRegion]) -> String {
    let titles =
        ["SCM Region", "Socket", "Type", "Capacity", "Free", "Health", "ISet ID", "Modules"];
    let mut table = Table::new(titles);
    for region in regions {
        let modules: Vec<String> = region.modules.iter().map(ToString::to_string).collect();
        table.row([
            region.id.to_string(),
            region.socket.to_string(),
            region.kind.clone(),
            binary(region.capacity),
            binary(region.free_capacity),
            region.health.clone(),
            format!("{:#x}", region.iset_id),
            modules.join(","),
        ]);
    }
    table.text(0)
}

fn controllers(controllers: &[NvmeController]) -> String {
    let titles = ["NVMe PCI", "Model", "FW Revision", "Socket", "Capacity", "Role(s)", "Rank"];
    let mut table = Table::new(titles);
    for device in by_address(controllers) {
        table.row([
            device.pci_address.clone(),
            device.model.clone(),
            device.firmware.clone(),
            device.socket.to_string(),
            decimal(device.capacity()),
            roles(device.roles()),
            device.rank().map_or_else(|| "None".to_owned(), |rank| rank.to_string()),
        ]);
    }
    or_none(&table, "No NVMe devices found")
}

/// The roles of a device, `NA` without any.
pub fn roles(roles: Roles) -> String {
    roles.to_string()
}

fn by_address(controllers: &[NvmeController]) -> Vec<&NvmeController> {
    let mut sorted: Vec<&NvmeController> = controllers.iter().collect();
    sorted.sort_by(|left, right| left.pci_address.cmp(&right.pci_address));
    sorted
}

fn or_none(table: &Table, nothing: &str) -> String {
    if table.is_empty() { format!("{:INDENT$}{nothing}\n", "") } else { table.text(0) }
}

/// Health counters of every NVMe device.
pub fn health(results: &HostResults<HostStorage>, names: HostNames) -> String {
    let blocks = results.answers.iter().map(|(host, storage)| (host, health_block(storage)));
    let groups = group_equal(blocks, Clone::clone);
    groups
        .into_iter()
        .map(|(hosts, text)| format!("{}{text}", banner(&names.set(&hosts), 0)))
        .collect()
}

fn health_block(storage: &HostStorage) -> String {
    if storage.nvme.is_empty() {
        return format!("{:INDENT$}No NVMe devices detected\n", "");
    }
    let mut out = String::new();
    for device in by_address(&storage.nvme) {
        out.push_str(&format!(
            "PCI:{} Model:{} FW:{} Socket:{} Capacity:{}\n",
            device.pci_address,
            device.model,
            device.firmware,
            device.socket,
            decimal(device.capacity())
        ));
        match &device.health {
            None => out.push_str(&format!(
                "{:INDENT$}Health Stats Unavailable{}\n",
                "",
                why(storage, device)
            )),
            Some(health) => out.push_str(&counters(health)),
        }
        out.push('\n');
    }
    out
}

/// Why there is no health, where the server says so.
fn why(storage: &HostStorage, device: &NvmeController) -> String {
    let state = storage.devices.as_ref().and_then(|all| all.controllers.get(&device.pci_address));
    match state {
        Some(state) if !state.health_unreadable.is_empty() => {
            one_line(&format!(": {} ({})", state.health_unreadable, state.driver))
        }
        _ => String::new(),
    }
}

fn counters(health: &DeviceHealth) -> String {
    let celsius = f64::from(health.temperature) - 273.15;
    let mut table = Table::new(["Health Stat", "Value"]);
    table.row(["temperature".to_owned(), format!("{}K ({celsius:.2}C)", health.temperature)]);
    for (name, value) in &health.counters {
        table.row([(*name).to_owned(), value.to_string()]);
    }
    for (name, warns) in &health.warnings {
        table
            .row([(*name).to_owned(), if *warns { "WARNING".to_owned() } else { "OK".to_owned() }]);
    }
    table.text(INDENT)
}
