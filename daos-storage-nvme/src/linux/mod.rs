//! Class nvme on Linux: controllers of the PCI bus through sysfs and the kernel's NVMe admin ioctls.
//!
//! `LinuxNvme` is the provider. `pci`, `nodes` and `discover` look, `admin` speaks to controllers, `bind` moves them between drivers,
//! `format` carries out accepted plans, `loan` takes a controller from user space for the time of a format, `prepare` gives
//! controllers to user space and back, `record` remembers what those two changed. Held by the server; must not know engines.

mod admin;
mod bind;
mod discover;
#[cfg(test)]
mod fake_kernel;
mod ffi;
mod format;
mod kernel;
mod loan;
mod nodes;
mod pci;
mod prepare;
mod record;
mod sys;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

pub use self::pci::Roots;
use self::prepare::Preparation;
pub use self::record::{
    Loan, PrepareRecord, RECORD_FILE, RecordLock, RecordedController, RecordedFile, RecordedPages,
};
use crate::model::{BdevInventory, BdevTarget, DeviceState, NvmeState, ObservedDevice, Obstacle};
use crate::plan::AcceptedBdevPlan;
use crate::provider::{blocking, unsupported};
use crate::{
    BdevClass, BdevError, BdevProvider, DeviceOutcome, DeviceRef, FormatResult, PciAddress,
    PrepareOutcome, PrepareRequest, Recovered, ResetOutcome, ResetRequest, ScanRequest,
    StepObserver,
};

/// Provider of NVMe controllers.
#[derive(Debug, Clone)]
pub struct LinuxNvme {
    roots: Roots,
    state_dir: PathBuf,
    record_of_root: Option<PathBuf>,
}

impl LinuxNvme {
    /// For this host, with the directory where prepare keeps its record.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self { roots: Roots::default(), state_dir: state_dir.into(), record_of_root: None }
    }

    /// The same for a plain user, who also sees what root's prepare recorded in this directory. It is never written there.
    #[must_use]
    pub fn with_record_of_root(self, state_dir: impl Into<PathBuf>) -> Self {
        Self { record_of_root: Some(state_dir.into()), ..self }
    }

    /// The same with other places for the kernel's files.
    #[must_use]
    pub fn with_roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }

    /// What is known of controllers that the kernel's driver does not have. A record of root's that cannot be read is none.
    fn record(&self) -> Result<PrepareRecord, BdevError> {
        let mut record = PrepareRecord::load(&self.state_dir)?;
        let of_root = self.record_of_root.as_deref().map(PrepareRecord::load);
        for controller in of_root.and_then(Result::ok).unwrap_or_default().controllers {
            if record.controller(controller.address).is_none() {
                record.controllers.push(controller);
            }
        }
        Ok(record)
    }

    /// Every controller of the bus, with what is on it.
    fn look(&self) -> Result<Vec<NvmeState>, BdevError> {
        let record = self.record()?;
        let functions = pci::nvme_functions(&self.roots)?;
        let look =
            |function| discover::controller(&self.roots, function, &record, daos_blockdev::inspect);
        Ok(functions.iter().map(look).collect())
    }

    fn look_at(&self, address: PciAddress) -> Result<NvmeState, BdevError> {
        let record = self.record()?;
        let function = pci::nvme_function_at(&self.roots, address)?;
        Ok(discover::controller(&self.roots, &function, &record, daos_blockdev::inspect))
    }

    /// Removes what SPDK in this process left behind of controllers that it has let go of. What could not be removed, in sentences.
    #[cfg(feature = "spdk")]
    pub(crate) fn remove_locks(&self, addresses: &[PciAddress]) -> Vec<String> {
        prepare::remove_locks(&self.roots, addresses)
    }

    fn inventory(&self, request: &ScanRequest) -> Result<BdevInventory, BdevError> {
        let targets = request.targets.iter().map(|target| target.only(BdevClass::Nvme));
        let listed: Vec<String> =
            targets.flat_map(|target| target.devices()).map(|device| device.name).collect();
        let mut controllers = Vec::new();
        for NvmeState { mut controller, .. } in self.look()? {
            if listed.contains(&controller.address.to_string()) {
                // What an engine lists is where it should be.
                controller.obstacles.retain(|each| !is_prepared(each));
            } else if !request.targets.is_empty() {
                controller.obstacles.push(Obstacle::NotListed);
            }
            if request.health {
                controller.health = discover::health(&self.roots, controller.address);
            }
            controllers.push(controller);
        }
        Ok(BdevInventory { controllers, ..BdevInventory::default() })
    }

    fn address_of(device: &DeviceRef) -> Result<PciAddress, BdevError> {
        if device.class == BdevClass::Nvme {
            device.name.parse()
        } else {
            unsupported("use by the body for NVMe", device.class)
        }
    }
}

/// Bound for an engine: where a controller that an engine lists should be.
fn is_prepared(obstacle: &Obstacle) -> bool {
    matches!(obstacle, Obstacle::BoundTo { driver } if nodes::is_user_space(driver))
}

#[async_trait]
impl BdevProvider for LinuxNvme {
    async fn scan(&self, request: &ScanRequest) -> Result<BdevInventory, BdevError> {
        let (this, request) = (self.clone(), request.clone());
        blocking("scan of NVMe controllers", move || this.inventory(&request)).await
    }

    async fn prepare(&self, request: &PrepareRequest) -> Result<PrepareOutcome, BdevError> {
        let (this, request) = (self.clone(), request.clone());
        let work = move || Preparation::begin(&this.roots, &this.state_dir)?.prepare(&request);
        blocking("prepare of NVMe controllers", work).await
    }

    async fn reset(&self, request: &ResetRequest) -> Result<ResetOutcome, BdevError> {
        let (this, request) = (self.clone(), request.clone());
        let work = move || Preparation::begin(&this.roots, &this.state_dir)?.reset(&request);
        blocking("reset of NVMe controllers", work).await
    }

    async fn recover(&self) -> Result<Vec<Recovered>, BdevError> {
        let this = self.clone();
        let work = move || loan::recover(&this.roots, &this.state_dir);
        blocking("recovery of NVMe controllers", work).await
    }

    async fn observe(&self, target: &BdevTarget) -> Vec<ObservedDevice> {
        let mut observed = Vec::new();
        for device in target.devices() {
            let this = self.clone();
            let address = Self::address_of(&device);
            let state = match address {
                Ok(address) => blocking(&device.name, move || this.look_at(address)).await,
                Err(error) => Err(error),
            };
            let state = state.map(DeviceState::Nvme).map_err(Arc::new);
            observed.push(ObservedDevice { device, state });
        }
        observed
    }

    async fn format(&self, plan: AcceptedBdevPlan, steps: &dyn StepObserver) -> Vec<DeviceOutcome> {
        let mut outcomes = Vec::new();
        for device in plan.devices() {
            let result = format::device(self, device, steps).await;
            let result = result.unwrap_or_else(|error| FormatResult::Failed(Arc::new(error)));
            let (device, roles) = (device.device().clone(), device.roles());
            outcomes.push(DeviceOutcome { device, roles, result });
        }
        outcomes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FormatAbility;

    fn recorded(address: &str, serial: &str) -> RecordedController {
        RecordedController {
            address: address.parse().unwrap(),
            model: "m".to_owned(),
            serial: serial.to_owned(),
            firmware: "f".to_owned(),
            namespaces: vec![(1, 1 << 30)],
            driver: Some("nvme".to_owned()),
            bound_to: "vfio-pci".to_owned(),
            ability: FormatAbility::EachNamespace,
            lent: None,
        }
    }

    fn save(directory: &std::path::Path, controllers: Vec<RecordedController>) {
        let mut record = PrepareRecord::default();
        record.controllers = controllers;
        record.save(directory).unwrap();
    }

    #[test]
    fn a_plain_user_sees_what_root_recorded_and_his_own_first() {
        let (own, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (first, second) = ("0000:81:00.0", "0000:82:00.0");
        save(own.path(), vec![recorded(first, "own")]);
        save(root.path(), vec![recorded(first, "root"), recorded(second, "root")]);
        let serial = |nvme: &LinuxNvme, address: &str| {
            let record = nvme.record().unwrap();
            record.controller(address.parse().unwrap()).map(|it| it.serial.clone())
        };
        let alone = LinuxNvme::new(own.path());
        assert_eq!(serial(&alone, second), None);
        let both = alone.with_record_of_root(root.path());
        assert_eq!(serial(&both, first).as_deref(), Some("own"));
        assert_eq!(serial(&both, second).as_deref(), Some("root"));
        std::fs::write(root.path().join(RECORD_FILE), "nonsense").unwrap();
        assert_eq!(serial(&both, second), None);
        assert_eq!(serial(&both, first).as_deref(), Some("own"));
    }
}
