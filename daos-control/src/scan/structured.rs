//! The scan as data with the names of the seed's sample (R89, R90, R93), for YAML and JSON.

use daos_storage_nvme::model::{EmulatedDevice, NamespaceFormat};
use daos_storage_nvme::{BdevInventory, NvmeController, NvmeHealth};
use daos_storage_scm::model::{Discovered, NamespaceMode};
use daos_storage_scm::{AppDirectRegion, ScmInventory, ScmModule, ScmNamespace};
use serde::Serialize;

use super::host::{HostStorage, nvme_faults};
use crate::fault::Fault;

/// The NVMe part of a scan. Prints as `NVMe:` and, where something failed, `errors:`.
#[derive(Debug, Serialize)]
pub struct StructuredNvme {
    /// Controllers.
    #[serde(rename = "NVMe")]
    nvme: Vec<Controller>,
    /// Devices of the configuration that stand in for NVMe.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    emulated: Vec<Emulated>,
    /// What could not be looked at, and why (R92).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
}

/// A whole scan. Prints as `NVMe:`, `SCM:` and, where something failed, `errors:`.
#[derive(Debug, Serialize)]
pub struct StructuredScan {
    /// Controllers.
    #[serde(rename = "NVMe")]
    nvme: Vec<Controller>,
    /// Modules, or namespaces where there are any (R91).
    #[serde(rename = "SCM")]
    scm: Vec<Scm>,
    /// Regions of persistent memory (R114).
    #[serde(rename = "SCMRegions", skip_serializing_if = "Vec::is_empty")]
    regions: Vec<AppDirectRegion>,
    /// Devices of the configuration that stand in for NVMe.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    emulated: Vec<Emulated>,
    /// What could not be looked at, and why (R92).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Controller {
    id: u32,
    model: String,
    serial: String,
    pciaddr: String,
    fwrev: String,
    socket: i32,
    namespace: Vec<Namespace>,
    /// Driver it is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    driver: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iommu_group: Option<u32>,
    /// Where the facts come from, in words.
    source: String,
    /// Nothing keeps it from being used as it is.
    usable: bool,
    /// Everything that does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    obstacles: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<NvmeHealth>,
}

#[derive(Debug, Serialize)]
struct Namespace {
    id: u32,
    /// In GB of 10^9 bytes.
    capacity: u64,
    bytes: u64,
    #[serde(flatten)]
    format: NamespaceFormat,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Scm {
    Module {
        physicalid: u32,
        channel: u32,
        channelpos: u32,
        memctrlr: u32,
        socket: u32,
        capacity: u64,
    },
    Namespace {
        blockdev: String,
        socket: u32,
        capacity: u64,
        #[serde(skip_serializing_if = "is_unknown")]
        mode: NamespaceMode,
    },
}

fn is_unknown(mode: &NamespaceMode) -> bool {
    *mode == NamespaceMode::Unknown
}

#[derive(Debug, Serialize)]
struct Emulated {
    class: &'static str,
    device: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity: Option<u64>,
}

impl StructuredNvme {
    /// The data form of what was found.
    #[must_use]
    pub fn of(found: &Result<BdevInventory, Fault>) -> Self {
        let known = found.as_ref().ok();
        let emulated = |device: &EmulatedDevice| Emulated {
            class: device.device.class.name(),
            device: device.device.name.clone(),
            capacity: device.size_bytes,
        };
        Self {
            nvme: known.into_iter().flat_map(|found| &found.controllers).map(controller).collect(),
            emulated: known.into_iter().flat_map(|found| &found.emulated).map(emulated).collect(),
            errors: nvme_faults(found).iter().map(ToString::to_string).collect(),
        }
    }
}

impl StructuredScan {
    /// The data form of what was found.
    #[must_use]
    pub fn of(storage: &HostStorage) -> Self {
        let StructuredNvme { nvme, emulated, .. } = StructuredNvme::of(&storage.nvme);
        let scm = storage.scm.as_ref().ok();
        Self {
            nvme,
            scm: scm
                .into_iter()
                .flat_map(|found| scm_rows(&found.modules, &found.namespaces))
                .collect(),
            regions: scm.map(|found| found.regions.known().to_vec()).unwrap_or_default(),
            emulated,
            errors: storage.faults().iter().map(ToString::to_string).collect(),
        }
    }
}

fn controller(found: &NvmeController) -> Controller {
    Controller {
        id: 0, // as in the sample; controllers are told apart by their address
        model: found.model.clone(),
        serial: found.serial.clone(),
        pciaddr: found.address.to_string(),
        fwrev: found.firmware.clone(),
        socket: found.socket,
        namespace: found
            .namespaces
            .iter()
            .map(|namespace| Namespace {
                id: namespace.id,
                capacity: namespace.size_bytes / 1_000_000_000,
                bytes: namespace.size_bytes,
                format: namespace.format.clone(),
            })
            .collect(),
        driver: found.driver.clone(),
        iommu_group: found.iommu_group,
        source: found.source.to_string(),
        usable: found.obstacles.is_empty(),
        obstacles: found.obstacles.iter().map(ToString::to_string).collect(),
        health: found.health,
    }
}

/// All of persistent memory, with every field: modules, regions, namespaces, goals; `unknown` with its reason where
/// something could not be told (R93, R113, R114).
#[must_use]
pub fn scm_data(found: &ScmInventory) -> serde_json::Value {
    serde_json::json!({
        "modules": found.modules,
        "regions": found.regions,
        "namespaces": found.namespaces,
        "goals": found.goals,
    })
}

fn scm_rows(modules: &Discovered<ScmModule>, namespaces: &Discovered<ScmNamespace>) -> Vec<Scm> {
    if namespaces.known().is_empty() {
        let mut modules: Vec<&ScmModule> = modules.known().iter().collect();
        modules.sort_by_key(|module| module.physical_id);
        return modules.into_iter().map(module).collect();
    }
    let mut namespaces: Vec<&ScmNamespace> = namespaces.known().iter().collect();
    namespaces.sort_by(|a, b| a.blockdev.cmp(&b.blockdev));
    namespaces
        .into_iter()
        .map(|namespace| Scm::Namespace {
            blockdev: namespace.blockdev.clone(),
            socket: namespace.numa_node,
            capacity: namespace.size,
            mode: namespace.mode,
        })
        .collect()
}

fn module(found: &ScmModule) -> Scm {
    Scm::Module {
        physicalid: found.physical_id,
        channel: found.channel,
        channelpos: found.channel_position,
        memctrlr: found.controller,
        socket: found.socket,
        capacity: found.capacity,
    }
}
