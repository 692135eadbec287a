//! The scan itself: both providers and the host's memory, side by side.

use std::path::PathBuf;
use std::sync::Arc;

use daos_storage_nvme::{BdevInventory, BdevProvider, BdevTarget};
use daos_storage_scm::{Discovered, ScmInventory, ScmProvider, ScmTarget};

use super::memory::{self, SystemMemory};
use crate::config::{EngineConfig, ScmTier, ServerConfig};
use crate::fault::Fault;
use crate::format::{EngineTarget, FormatTargets};
use crate::start_table::ReplicaRoles;

/// What a file system keeps for itself, in bytes (contract 7.5).
const FILE_SYSTEM_OVERHEAD: u64 = 1 << 20;
/// What control metadata needs where it lies on the SCM mount, in bytes (contract 7.5).
const CONTROL_METADATA: u64 = 16 << 20;
/// What pool metadata needs by default, in bytes (contract 4.3, `DAOS_MD_CAP`).
const DEFAULT_POOL_METADATA: u64 = 1 << 30;

/// What to look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// Also the mounts of the configured engines and how full they are.
    pub usage: bool,
    /// Also the health of NVMe controllers, which takes longer.
    pub health: bool,
    /// Leave out what differs between otherwise equal hosts: serial numbers and health.
    pub basic: bool,
}

/// One configured engine, as far as a scan is concerned.
#[derive(Debug, Clone)]
pub struct ScanTarget {
    /// Index of the engine on this host.
    pub engine: u32,
    /// Its SCM.
    pub scm: ScmTarget,
    /// Its block devices.
    pub bdevs: BdevTarget,
    /// What to tell about its mount.
    pub mount: ScmMountFacts,
}

impl ScanTarget {
    /// The targets of every engine of a configuration.
    ///
    /// # Errors
    /// As [`FormatTargets::from_config`].
    pub fn of_config(config: &ServerConfig) -> Result<Vec<Self>, Fault> {
        // Neither the host's name nor its part in the management service says anything about a device.
        let targets = FormatTargets::from_config(config, "", ReplicaRoles::default())?;
        let engines = config.engines.iter();
        let target = |engine: &EngineConfig| Some(Self::of(engine, targets.engine(engine.index)?));
        Ok(engines.filter_map(target).collect())
    }

    /// The target of one configured engine.
    #[must_use]
    pub fn of(engine: &EngineConfig, target: &EngineTarget) -> Self {
        let cap = engine.env_vars.iter().find(|variable| variable.name == "DAOS_MD_CAP");
        let devices = match &engine.scm {
            ScmTier::Ram { .. } => Vec::new(),
            ScmTier::Dcpm { device, .. } => vec![device.display().to_string()],
        };
        Self {
            engine: engine.index,
            scm: target.scm.clone(),
            bdevs: target.bdev.clone(),
            mount: ScmMountFacts {
                path: engine.scm.mount().to_owned(),
                class: engine.scm.class_name().to_owned(),
                devices,
                metadata_cap_mib: cap.and_then(|variable| variable.value.parse().ok()),
                holds_control_metadata: !target.home.is_on_disk(),
            },
        }
    }
}

/// What is known about an engine's SCM mount from its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScmMountFacts {
    /// Mount point.
    pub path: PathBuf,
    /// Class: `ram` or `dcpm`.
    pub class: String,
    /// Configured devices.
    pub devices: Vec<String>,
    /// `DAOS_MD_CAP` of the engine in MiB, when it is set.
    pub metadata_cap_mib: Option<u64>,
    /// Control metadata lies on this mount, not on a disk of its own.
    pub holds_control_metadata: bool,
}

impl ScmMountFacts {
    /// The bytes that pools can use of `available` ones (contract 7.5).
    #[must_use]
    pub fn usable_bytes(&self, available: u64) -> u64 {
        let pools = match self.metadata_cap_mib {
            Some(mib) => mib.saturating_mul(1 << 20),
            None => DEFAULT_POOL_METADATA,
        };
        let control = if self.holds_control_metadata { CONTROL_METADATA } else { 0 };
        available.saturating_sub(pools).saturating_sub(control).saturating_sub(FILE_SYSTEM_OVERHEAD)
    }
}

/// What was found; each part by itself.
#[derive(Debug, Clone)]
pub struct HostStorage {
    /// Persistent memory, and RAM that stands in for it.
    pub scm: Result<ScmInventory, Fault>,
    /// NVMe controllers, and what stands in for them.
    pub nvme: Result<BdevInventory, Fault>,
    /// Memory of the host.
    pub memory: Result<SystemMemory, Fault>,
}

impl HostStorage {
    /// Everything that could not be looked at.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let scm = self.scm.as_ref().err().cloned();
        let memory = self.memory.as_ref().err().cloned();
        let modules = self.scm.iter().filter_map(modules_fault);
        scm.into_iter().chain(memory).chain(modules).chain(nvme_faults(&self.nvme)).collect()
    }
}

/// Everything of the NVMe part that could not be looked at.
#[must_use]
pub fn nvme_faults(found: &Result<BdevInventory, Fault>) -> Vec<Fault> {
    match found {
        Ok(found) => class_faults(found),
        Err(fault) => vec![fault.clone()],
    }
}

/// Modules that are there and cannot be described: a tool is missing, which is not the same as none (R113).
#[must_use]
pub fn modules_fault(found: &ScmInventory) -> Option<Fault> {
    match &found.modules {
        Discovered::Known(_) => None,
        Discovered::Unknown { code, why, resolution } => {
            Some(Fault::new("scm", *code, why.clone(), resolution.clone()))
        }
    }
}

/// The classes of block device that could not be scanned while others could.
#[must_use]
pub fn class_faults(found: &BdevInventory) -> Vec<Fault> {
    let fault = |problem: &daos_storage_nvme::model::ScanProblem| {
        let text = format!("class {}: {}", problem.class, problem.text);
        Fault::new("bdev", problem.code, text, problem.resolution.clone())
    };
    found.problems.iter().map(fault).collect()
}

/// Looks at this host's storage; cheap to clone.
#[derive(Debug, Clone)]
pub struct Scanner {
    scm: Arc<dyn ScmProvider>,
    bdevs: Arc<dyn BdevProvider>,
    targets: Arc<[ScanTarget]>,
}

impl Scanner {
    /// A scanner over these providers for these engines; no engines is fine.
    #[must_use]
    pub fn new(
        scm: Arc<dyn ScmProvider>,
        bdevs: Arc<dyn BdevProvider>,
        targets: Vec<ScanTarget>,
    ) -> Self {
        Self { scm, bdevs, targets: targets.into() }
    }

    /// The configured engine whose SCM is mounted there.
    #[must_use]
    pub fn target_at(&self, mount: &std::path::Path) -> Option<&ScanTarget> {
        self.targets.iter().find(|target| target.mount.path == mount)
    }

    /// Looks at everything. Never fails as a whole.
    pub async fn scan(&self, options: ScanOptions) -> HostStorage {
        let (scm, nvme) = tokio::join!(self.scan_scm(options), self.scan_bdevs(options));
        HostStorage { scm, nvme, memory: memory::observe() }
    }

    /// Looks at persistent memory alone, without mounts.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub async fn scan_pmem(&self) -> Result<ScmInventory, Fault> {
        Ok(self.scm.scan(&daos_storage_scm::ScanRequest::default()).await?)
    }

    async fn scan_scm(&self, options: ScanOptions) -> Result<ScmInventory, Fault> {
        let targets = if options.usage {
            self.targets.iter().map(|target| target.scm.clone()).collect()
        } else {
            Vec::new()
        };
        let request = daos_storage_scm::ScanRequest { targets };
        Ok(self.scm.scan(&request).await?)
    }

    /// Looks at block devices alone.
    ///
    /// # Errors
    /// When none of them can be looked at.
    pub async fn scan_bdevs(&self, options: ScanOptions) -> Result<BdevInventory, Fault> {
        let request = daos_storage_nvme::ScanRequest {
            targets: self.targets.iter().map(|target| target.bdevs.clone()).collect(),
            health: options.health && !options.basic,
        };
        let mut found = self.bdevs.scan(&request).await?;
        if options.basic {
            for controller in &mut found.controllers {
                controller.serial.clear();
                controller.health = None;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::ScmMountFacts;

    #[test]
    fn usable_space_leaves_room_for_metadata_and_never_wraps() {
        let mut mount = ScmMountFacts {
            path: "/mnt/d0".into(),
            class: "ram".into(),
            devices: Vec::new(),
            metadata_cap_mib: None,
            holds_control_metadata: true,
        };
        assert_eq!(mount.usable_bytes(2 << 30), (1 << 30) - (17 << 20));
        assert_eq!(mount.usable_bytes(1 << 30), 0);
        mount.holds_control_metadata = false;
        mount.metadata_cap_mib = Some(128);
        assert_eq!(mount.usable_bytes(1 << 30), (1 << 30) - (129 << 20));
        mount.metadata_cap_mib = Some(u64::MAX);
        assert_eq!(mount.usable_bytes(u64::MAX), 0);
    }
}
