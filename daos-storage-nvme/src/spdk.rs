//! Class nvme over an installed SPDK (feature `spdk`): as `LinuxNvme`, and a scan also shows controllers that are bound to a driver
//! for user space as they are now, with their health, instead of as they were recorded at prepare.
//!
//! Prepare, reset and format are those of `LinuxNvme`: a format borrows a bound controller from its driver, where the kernel's claims
//! protect what is in use. A controller that a running engine has cannot be attached, and stays as recorded. Held by the server.

use async_trait::async_trait;

use crate::linux::LinuxNvme;
use crate::model::{
    BdevInventory, BdevTarget, FactSource, NamespaceFormat, NvmeController, NvmeHealth,
    NvmeNamespace, NvmeWarnings, ObservedDevice,
};
use crate::plan::AcceptedBdevPlan;
use crate::provider::blocking;
use crate::{
    BdevError, BdevProvider, DeviceOutcome, PrepareOutcome, PrepareRequest, Recovered,
    ResetOutcome, ResetRequest, ScanRequest, StepObserver,
};

/// Provider of NVMe controllers that sees through drivers for user space.
#[derive(Debug, Clone)]
pub struct SpdkNvme {
    linux: LinuxNvme,
}

impl SpdkNvme {
    /// Over the provider that looks at the bus and changes things.
    #[must_use]
    pub fn new(linux: LinuxNvme) -> Self {
        Self { linux }
    }
}

/// Whether the kernel shows nothing of it, and another driver has it.
fn is_hidden(controller: &NvmeController) -> bool {
    controller.driver.is_some() && controller.source != FactSource::Controller
}

/// Looks at the hidden ones. One that cannot be attached stays as it is: who has it is not told by SPDK. The locks that SPDK leaves of
/// those that it attached would keep the engine of a plain user from them (R94).
fn look(linux: &LinuxNvme, mut inventory: BdevInventory, health: bool) -> BdevInventory {
    let mut attached = Vec::new();
    for controller in inventory.controllers.iter_mut().filter(|it| is_hidden(it)) {
        match daos_spdk::look(&controller.address.to_string(), health) {
            Ok(found) => {
                attached.push(controller.address);
                fill(controller, found);
            }
            Err(why) => tracing::debug!("{}: {why}", controller.address),
        }
    }
    linux.remove_locks(&attached).into_iter().for_each(|notice| tracing::warn!("{notice}"));
    inventory
}

fn fill(controller: &mut NvmeController, found: daos_spdk::Controller) {
    controller.source = FactSource::UserSpace;
    controller.model = found.model;
    controller.serial = found.serial;
    controller.firmware = found.firmware;
    controller.namespaces = found.namespaces.iter().map(namespace).collect();
    controller.health = found.health.as_ref().map(health);
}

fn namespace(found: &daos_spdk::Namespace) -> NvmeNamespace {
    let format = NamespaceFormat { block_bytes: found.block_bytes, ..NamespaceFormat::default() };
    NvmeNamespace { id: found.id, size_bytes: found.bytes, node: None, uses: Vec::new(), format }
}

fn health(found: &daos_spdk::Health) -> NvmeHealth {
    let warns = |bit: u8| found.warnings & (1 << bit) != 0;
    NvmeHealth {
        temperature_k: u32::from(found.temperature_kelvin),
        warning_minutes: found.warning_minutes,
        critical_minutes: found.critical_minutes,
        busy_minutes: found.busy_minutes,
        power_cycles: found.power_cycles,
        power_on_hours: found.power_on_hours,
        unsafe_shutdowns: found.unsafe_shutdowns,
        media_errors: found.media_errors,
        error_log_entries: found.error_log_entries,
        warnings: NvmeWarnings {
            spare: warns(0),
            temperature: warns(1),
            reliability: warns(2),
            read_only: warns(3),
            volatile_memory: warns(4),
        },
    }
}

#[async_trait]
impl BdevProvider for SpdkNvme {
    async fn scan(&self, request: &ScanRequest) -> Result<BdevInventory, BdevError> {
        let (inventory, health) = (self.linux.scan(request).await?, request.health);
        let linux = self.linux.clone();
        blocking("scan through SPDK", move || Ok(look(&linux, inventory, health))).await
    }

    async fn prepare(&self, request: &PrepareRequest) -> Result<PrepareOutcome, BdevError> {
        self.linux.prepare(request).await
    }

    async fn reset(&self, request: &ResetRequest) -> Result<ResetOutcome, BdevError> {
        self.linux.reset(request).await
    }

    async fn recover(&self) -> Result<Vec<Recovered>, BdevError> {
        self.linux.recover().await
    }

    async fn observe(&self, target: &BdevTarget) -> Vec<ObservedDevice> {
        self.linux.observe(target).await
    }

    async fn format(&self, plan: AcceptedBdevPlan, steps: &dyn StepObserver) -> Vec<DeviceOutcome> {
        self.linux.format(plan, steps).await
    }
}
