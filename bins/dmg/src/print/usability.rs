//! Whether the devices of a host can be used, and every reason why not. Ours: the scan of 2.8 has no words for it.

use daos_control::client::{HostDevices, HostStorage, Obstacle};

use super::table::{Table, WIDTH, one_line, wrapped};

const INDENT: usize = 2;

/// Two tables with the reasons below them; a sentence for a server that cannot tell; nothing without devices.
pub fn usability(storage: &HostStorage) -> String {
    if storage.nvme.is_empty() && storage.scm_namespaces.is_empty() {
        return String::new();
    }
    match &storage.devices {
        Some(devices) => format!("{}{}", controllers(devices), namespaces(devices)),
        None => {
            "\nWhether devices can be used is not told: no such service (stock servers have none)\n"
                .to_owned()
        }
    }
}

fn controllers(devices: &HostDevices) -> String {
    let mut table = Table::new(["NVMe PCI", "Driver", "Usable", "Facts"]);
    let mut reasons = String::new();
    for (address, state) in &devices.controllers {
        let driver = if state.driver.is_empty() { "none" } else { &state.driver };
        table.row([address.as_str(), driver, yes_no(state.is_usable()), &state.source]);
        reasons.push_str(&lines(address, &state.obstacles));
    }
    below(&table, &reasons)
}

fn namespaces(devices: &HostDevices) -> String {
    let mut table = Table::new(["SCM Namespace", "Mode", "Usable"]);
    let mut reasons = String::new();
    for (name, state) in &devices.namespaces {
        table.row([name.as_str(), &state.mode, yes_no(state.is_usable())]);
        reasons.push_str(&lines(name, &state.obstacles));
    }
    below(&table, &reasons)
}

fn below(table: &Table, reasons: &str) -> String {
    if table.is_empty() { String::new() } else { format!("\n{}{reasons}", table.text(0)) }
}

fn yes_no(usable: bool) -> &'static str {
    if usable { "yes" } else { "no" }
}

fn lines(device: &str, obstacles: &[Obstacle]) -> String {
    let head = format!("{:INDENT$}{}: ", "", one_line(device));
    let line = |obstacle: &Obstacle| wrapped(&head, &obstacle.text, head.len(), WIDTH);
    obstacles.iter().map(line).collect()
}
