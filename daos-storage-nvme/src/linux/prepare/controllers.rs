//! One controller of a prepare or a reset: taken from the kernel and handed to its user, or given back.
//!
//! Called by `Preparation`. Whether it may be taken was decided before; here that is held by claims until the driver is gone. What the
//! kernel's own drivers have is never taken from them in order to give it back.

use super::super::discover::KERNEL_DRIVER;
use super::super::pci::{self, PciFunction};
use super::super::record::RecordedController;
use super::super::{bind, nodes};
use super::Preparation;
use super::own::Owner;
use crate::model::NvmeState;
use crate::{BdevError, PciAddress};

impl Preparation<'_> {
    /// Takes a controller from the kernel and hands it over. The claims on its namespaces last from the check until the driver is
    /// gone, so that nobody can mount one in between. What fails afterwards gives it back.
    pub(super) fn take(
        &mut self,
        owner: &Owner,
        function: &PciFunction,
        state: &NvmeState,
        driver: &'static str,
    ) -> Result<String, BdevError> {
        nodes::require_closed(self.roots(), function)?;
        let identities = state.contents.iter().filter_map(|namespace| namespace.identity.as_ref());
        let claim = |identity| self.kernel.claim(identity);
        let claims = identities.map(claim).collect::<Result<Vec<_>, _>>()?;
        self.remember(function, state, driver);
        self.save()?;
        let bound = bind::bind(self.kernel, function, driver);
        drop(claims);
        let taken = bound.and_then(|driver| self.hand_over(owner, function, driver));
        taken.map_err(|error| self.undo(function, error))
    }

    /// A controller that has its driver goes to the user of the engines. A format that was cut off has nothing to give back any more.
    pub(super) fn hand_over(
        &mut self,
        owner: &Owner,
        function: &PciFunction,
        driver: String,
    ) -> Result<String, BdevError> {
        let file = nodes::handed_over(self.roots(), function, &driver)?;
        if driver == nodes::VFIO {
            bind::require_viable(self.kernel, function, &file)?;
        }
        self.own(owner, &file)?;
        self.end_loan(function.address)?;
        Ok(driver)
    }

    /// The kernel's driver gets back what could not be made ready; the record goes only when that is certain. The error tells when the
    /// controller is not as it was.
    fn undo(&mut self, function: &PciFunction, error: BdevError) -> BdevError {
        let back = self.give_back(function.address);
        let now = bind::current(function);
        if back.is_ok() && now == function.driver {
            return error;
        }
        let driver =
            now.map_or_else(|| "no driver".to_owned(), |driver| format!("driver {driver}"));
        let device = function.address.to_string();
        BdevError::NotAsItWas { device, driver, source: Box::new(error) }
    }

    /// What is remembered is what was before the first take: a driver for user space was not the kernel's choice.
    fn remember(&mut self, function: &PciFunction, state: &NvmeState, driver: &str) {
        let controller = &state.controller;
        let sizes = controller.namespaces.iter().map(|space| (space.id, space.size_bytes));
        let earlier = self.record.controller(function.address);
        let before = earlier.map_or(&function.driver, |earlier| &earlier.driver);
        let recorded = RecordedController {
            address: function.address,
            model: controller.model.clone(),
            serial: controller.serial.clone(),
            firmware: controller.firmware.clone(),
            namespaces: sizes.collect(),
            driver: before.clone().filter(|driver| !nodes::is_user_space(driver)),
            bound_to: driver.to_owned(),
            ability: state.ability,
            lent: None,
        };
        self.forget(function.address);
        self.record.controllers.push(recorded);
    }

    fn forget(&mut self, address: PciAddress) {
        self.record.controllers.retain(|recorded| recorded.address != address);
    }

    fn end_loan(&mut self, address: PciAddress) -> Result<(), BdevError> {
        let lent = |recorded: &&mut RecordedController| {
            recorded.address == address && recorded.lent.is_some()
        };
        let Some(recorded) = self.record.controllers.iter_mut().find(lent) else { return Ok(()) };
        recorded.lent = None;
        self.save()
    }

    /// Gives a controller to the kernel's driver, and forgets it as soon as that has it: whatever it is like then, there is nothing more
    /// to restore. Its driver now.
    pub(super) fn give_back(&mut self, address: PciAddress) -> Result<String, BdevError> {
        let function = pci::nvme_function_at(self.roots(), address)?;
        let recorded = self.record.controller(address).cloned();
        let driver = match function.driver.clone() {
            Some(driver) if !nodes::is_user_space(&driver) => {
                bind::clear_override(self.kernel, &function)?;
                driver
            }
            _ => self.release(&function, recorded.as_ref())?,
        };
        if let (KERNEL_DRIVER, Some(recorded)) = (driver.as_str(), &recorded) {
            self.compare(&function, recorded);
        }
        self.forget(address);
        // Its device file went with the driver. The next one of that name may be somebody else's.
        self.record.files.retain(|recorded| recorded.path.exists());
        self.save()?;
        Ok(driver)
    }

    /// Whatever driver of the kernel takes it is right; which one that is is the kernel's choice.
    fn release(
        &mut self,
        function: &PciFunction,
        recorded: Option<&RecordedController>,
    ) -> Result<String, BdevError> {
        nodes::require_closed(self.roots(), function)?;
        let before = recorded.and_then(|recorded| recorded.driver.as_deref());
        let before = before.filter(|driver| !nodes::is_user_space(driver)).unwrap_or(KERNEL_DRIVER);
        let released = bind::release(self.kernel, function, before);
        let now = bind::current(function).filter(|driver| !nodes::is_user_space(driver));
        let (Err(_), Some(driver)) = (&released, now) else { return released };
        self.notices.push(format!(
            "{}: the kernel gave it to {driver}; before the prepare {before} had it",
            function.address
        ));
        Ok(driver)
    }

    /// Tells when what is there now is not what a prepare took.
    fn compare(&mut self, function: &PciFunction, recorded: &RecordedController) {
        let address = function.address;
        let notice = match (recorded.serial.as_str(), bind::serial_of(self.roots(), function)) {
            (_, Err(error)) => format!("{address}: the kernel has it again, but: {error}"),
            (was, Ok(is)) if was == is => return,
            ("", Ok(is)) => format!(
                "{address}: the kernel has it again; which one was taken is not known, this is the one with serial {is}"
            ),
            (was, Ok(is)) => format!(
                "{address}: the kernel has it again, but it is another one: its serial was {was} and is {is}"
            ),
        };
        self.notices.push(notice);
    }
}
