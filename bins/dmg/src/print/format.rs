//! `storage format` for people (R132, contract 8.5).

use daos_control::Fault;
use daos_control::client::{DeviceOutcome, DeviceReport, FormatReport, HostResults, Medium};

use super::hosts::{HostNames, group_equal};
use super::scan::roles;
use super::table::{Table, WIDTH, banner, wrapped};

const INDENT: usize = 2;
/// The word for a device that went well, as stock tools print it.
pub const SUCCESS: &str = "CTL_SUCCESS";

/// One row for each group of hosts; every device when `verbose` or when anything failed.
pub fn format_results(
    results: &HostResults<FormatReport>,
    verbose: bool,
    names: HostNames,
) -> String {
    if results.answers.is_empty() {
        return String::new();
    }
    let any_failed = results.answers.iter().any(|(_, report)| report.failures().next().is_some());
    if verbose || any_failed { devices(results, names) } else { summary(results, names) }
}

fn summary(results: &HostResults<FormatReport>, names: HostNames) -> String {
    let rows = results.answers.iter().map(|(host, report)| {
        let count = |medium| formatted(report, medium).count().to_string();
        (host, [count(Medium::Scm), count(Medium::Nvme)])
    });
    let mut table = Table::new(["Hosts", "SCM Devices", "NVMe Devices"]);
    for (hosts, [scm, nvme]) in group_equal(rows, |row| row.join(" ")) {
        table.row([names.set(&hosts), scm, nvme]);
    }
    format!("Format Summary:\n{}", table.text(INDENT))
}

fn formatted(report: &FormatReport, medium: Medium) -> impl Iterator<Item = &DeviceReport> {
    let done = move |device: &&DeviceReport| {
        device.medium == medium && device.outcome == DeviceOutcome::Formatted
    };
    report.devices.iter().filter(done)
}

fn devices(results: &HostResults<FormatReport>, names: HostNames) -> String {
    let blocks = results.answers.iter().map(|(host, report)| (host, block(report)));
    let groups = group_equal(blocks, Clone::clone);
    groups
        .into_iter()
        .map(|(hosts, text)| format!("{}{text}\n", banner(&names.set(&hosts), 0)))
        .collect()
}

fn block(report: &FormatReport) -> String {
    let mut mounts = Table::new(["SCM Mount", "Format Result"]);
    for device in sorted(report, Medium::Metadata).into_iter().chain(sorted(report, Medium::Scm)) {
        mounts.row([named(device), cell(&device.outcome)]);
    }
    let mut nvme = Table::new(["NVMe PCI", "Format Result", "Role(s)"]);
    for device in sorted(report, Medium::Nvme) {
        nvme.row([named(device), cell(&device.outcome), roles(device.roles)]);
    }
    let or = |table: &Table, nothing: &str| {
        if table.is_empty() { format!("{:INDENT$}{nothing}\n", "") } else { table.text(0) }
    };
    format!(
        "{}\n{}{}",
        or(&mounts, "No SCM mount results"),
        or(&nvme, "No NVMe devices were formatted"),
        failures(report)
    )
}

/// What the table has no room for: why a device failed, and what to do.
fn failures(report: &FormatReport) -> String {
    let mut out = String::new();
    for (device, fault) in report.failures() {
        let why = of_device(&device.device, &with_reason(fault));
        out.push_str(&format!("\n{}", wrapped("", &why, INDENT, WIDTH)));
        if fault.has_resolution() {
            out.push_str(&wrapped("  Remedy: ", &fault.resolution, INDENT + 8, WIDTH));
        }
    }
    out
}

/// What happened, and the cause beneath it where there is one.
pub fn with_reason(fault: &Fault) -> String {
    let Fault { description, reason, .. } = fault;
    if reason.is_empty() || description.contains(reason.as_str()) {
        return description.clone();
    }
    format!("{description} ({reason})")
}

/// A text about a device, which is named unless the text starts with its name.
pub fn of_device(device: &str, text: &str) -> String {
    let named = text.strip_prefix(device).is_some_and(|rest| rest.starts_with([':', ' ']));
    if device.is_empty() || named { text.to_owned() } else { format!("{device}: {text}") }
}

fn cell(outcome: &DeviceOutcome) -> String {
    match outcome {
        DeviceOutcome::Failed(_) => "error".to_owned(),
        other => result_text(other),
    }
}

fn sorted(report: &FormatReport, medium: Medium) -> Vec<&DeviceReport> {
    let mut devices: Vec<&DeviceReport> =
        report.devices.iter().filter(|d| d.medium == medium).collect();
    devices.sort_by(|left, right| left.device.cmp(&right.device));
    devices
}

fn named(device: &DeviceReport) -> String {
    if device.device.is_empty() { "None".to_owned() } else { device.device.clone() }
}

/// What became of a device, in words.
pub fn result_text(outcome: &DeviceOutcome) -> String {
    match outcome {
        DeviceOutcome::Formatted => SUCCESS.to_owned(),
        DeviceOutcome::AlreadyFormatted(_) => "already formatted".to_owned(),
        DeviceOutcome::Skipped(why) => why.clone(),
        DeviceOutcome::Failed(fault) if fault.has_resolution() => {
            format!("error: {} ({})", fault.description, fault.resolution)
        }
        DeviceOutcome::Failed(fault) => format!("error: {}", fault.description),
    }
}
