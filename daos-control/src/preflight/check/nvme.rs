//! What engines need of the host to use NVMe: an IOMMU, drivers, and locked memory (contract 5.5, R73).

use super::super::facts::{HostFacts, ModuleState};
use super::super::rules::Rule;
use super::{Findings, Problem};
use crate::config::EngineConfig;
use crate::fault::code;
use crate::needs::memlock;

const IOMMU: &str = "/sys/class/iommu";
/// Modules for VFIO, and the one that does without an IOMMU.
const VFIO: [&str; 2] = ["vfio_pci", "vfio_iommu_type1"];
/// Without an IOMMU there is none to manage.
const VFIO_ALONE: [&str; 1] = ["vfio_pci"];
const UIO: [&str; 1] = ["uio_pci_generic"];

/// Whether any engine has NVMe; without a configuration one may.
fn wants_nvme(findings: &Findings<'_>) -> bool {
    findings.asked().is_none_or(|asked| asked.config.engines.iter().any(EngineConfig::has_nvme))
}

fn vfio_is_off(findings: &Findings<'_>) -> bool {
    findings.asked().is_some_and(|asked| asked.config.nvme.disable_vfio)
}

/// The first engine with NVMe: where a limit of the host is told.
fn first_key(findings: &Findings<'_>) -> String {
    findings.asked().map_or(String::new(), |asked| {
        let first = asked.config.engines.iter().find(|engine| engine.has_nvme());
        asked.storage_key(first.map_or(0, |engine| engine.index), "bdev_list")
    })
}

/// A plain user needs an IOMMU and VFIO.
pub(super) fn iommu(findings: &mut Findings<'_>, facts: &HostFacts) {
    if !wants_nvme(findings) {
        return;
    }
    let seen = if facts.has_iommu() { facts.iommu.join(", ") } else { "empty".to_owned() };
    if vfio_is_off(findings) && !facts.is_root {
        findings.protect(
            Problem::new(
                Rule::Iommu,
                code::SERVER_VFIO_DISABLED,
                "NVMe without VFIO needs root",
                "remove `disable_vfio`, or run the server as root",
            )
            .at("disable_vfio")
            .seen("user", &facts.user),
        );
    } else if facts.has_iommu() {
        findings.passed(Rule::Iommu, "", "on", IOMMU, seen);
    } else {
        let fix = "enable the IOMMU (VT-d, AMD-Vi) in firmware and boot with `intel_iommu=on` or `amd_iommu=on`, or \
                   run the server as root";
        let problem = |text: &str| {
            Problem::new(Rule::Iommu, code::SERVER_IOMMU_DISABLED, text, fix)
                .at("disable_vfio")
                .seen(IOMMU, &seen)
        };
        if facts.is_root {
            findings.notice(problem("there is no IOMMU, so only root can run engines with NVMe"));
        } else {
            findings
                .protect(problem("NVMe as a plain user needs an IOMMU, and the host shows none"));
        }
    }
}

/// The drivers through which engines use NVMe.
pub(super) fn modules(findings: &mut Findings<'_>, facts: &HostFacts) {
    if !wants_nvme(findings) {
        return;
    }
    // As prepare chooses the driver.
    let needed: &[&str] = match (facts.is_root, vfio_is_off(findings), facts.has_iommu()) {
        (true, true, _) => &UIO,
        (true, false, false) if facts.no_iommu_allowed => &VFIO_ALONE,
        (true, false, false) => &UIO,
        _ => &VFIO,
    };
    let release = &facts.modules.release;
    for name in needed {
        let source = format!("/sys/module/{name}, /lib/modules/{release}");
        let (text, fix) = match (facts.modules.state(name), facts.is_root) {
            (ModuleState::Loaded, _) | (ModuleState::Loadable, true) => continue,
            (ModuleState::Missing, _) => (
                format!("the kernel has no module {name}"),
                format!(
                    "install the package with the modules of kernel {release}, e.g. linux-modules-extra or \
                     kernel-modules-extra, then as root `modprobe {name}`"
                ),
            ),
            (ModuleState::Loadable, false) => (
                format!("module {name} is not loaded, and only root may load it"),
                format!(
                    "as root `modprobe {name}`, and `echo {name} >> /etc/modules-load.d/daos.conf` for the next boot"
                ),
            ),
        };
        let state = format!("{:?}", facts.modules.state(name)).to_lowercase();
        findings.protect(
            Problem::new(Rule::VfioModules, code::HOST_KERNEL_MODULE, text, fix)
                .about(*name)
                .at(first_key(findings))
                .seen(&source, state),
        );
    }
    let seen = format!("kernel {release}");
    findings.passed_so_far(Rule::VfioModules, needed.join(", "), "/sys/module", seen);
}

/// VFIO locks the memory that it lets a device reach: all that an engine has for DMA.
pub(super) fn locked_memory(findings: &mut Findings<'_>, facts: &HostFacts) {
    if !wants_nvme(findings) || facts.is_root || vfio_is_off(findings) {
        return;
    }
    let need =
        memlock::needed(findings.asked().map(|asked| asked.config), facts.cores, &facts.memory);
    let source = "getrlimit(RLIMIT_MEMLOCK)";
    let Some(limit) = facts.memlock.filter(|limit| *limit < need) else {
        let seen = facts.memlock.map_or("unlimited".to_owned(), |limit| format!("{limit} bytes"));
        return findings.passed(Rule::Memlock, "", "high enough", source, seen);
    };
    let user = &facts.user;
    findings.protect(
        Problem::new(
            Rule::Memlock,
            code::HOST_MEMLOCK,
            format!(
                "user {user} may lock {} MiB of memory, and an engine with NVMe locks up to {} MiB",
                limit >> 20,
                need >> 20
            ),
            format!(
                "set `LimitMEMLOCK=infinity` in the service, or `{user} - memlock unlimited` in \
                 /etc/security/limits.d/daos.conf and log in again"
            ),
        )
        .at(first_key(findings))
        .seen(source, format!("{limit} bytes")),
    );
}
