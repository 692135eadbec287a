//! Gives controllers and huge pages to engines in user space, and takes them back (R72-R87, R175): look, decide, record, change,
//! read back.
//!
//! Called by `LinuxNvme`. `decide` is pure; `bind`, `hugepages`, `own` and `leftovers` each change one kind of thing and read it back.
//! `loan` takes a controller back for the time of a format.
//! What is changed is in the record before it is changed, so that a reset after a crash finds it.

mod bind;
mod decide;
mod hugepages;
mod leftovers;
pub(super) mod loan;
mod own;

use std::path::Path;
use std::sync::Arc;

use daos_blockdev::ExclusiveClaim;

use self::decide::{Decision, HostFacts};
use self::own::Owner;
use super::discover::{self, KERNEL_DRIVER};
use super::pci::{self, PciFunction, Roots};
use super::record::{PrepareRecord, RecordLock, RecordedController, RecordedPages};
use crate::model::NvmeState;
use crate::{BdevError, PciAddress, PrepareOutcome, PrepareRequest, ResetOutcome, ResetRequest};

type Controllers = Vec<(PciAddress, Result<String, Arc<BdevError>>)>;

/// One host being prepared or reset.
#[derive(Debug)]
pub(super) struct Preparation<'a> {
    roots: &'a Roots,
    state_dir: &'a Path,
    record: PrepareRecord,
    _lock: RecordLock,
}

impl<'a> Preparation<'a> {
    pub(super) fn begin(roots: &'a Roots, state_dir: &'a Path) -> Result<Self, BdevError> {
        std::fs::create_dir_all(state_dir).map_err(|source| {
            BdevError::from_io(&state_dir.display().to_string(), "make the state directory", source)
        })?;
        let lock = PrepareRecord::lock(state_dir)?;
        let record = PrepareRecord::load(state_dir)?;
        Ok(Self { roots, state_dir, record, _lock: lock })
    }

    /// Makes ready what the request asks for. A controller that cannot be had keeps no other from being bound.
    pub(super) fn prepare(mut self, request: &PrepareRequest) -> Result<PrepareOutcome, BdevError> {
        let sudo = std::env::var(own::SUDO_USER).ok();
        let owner = Owner::look_up(own::target_user(request.user.as_deref(), sudo.as_deref()))?;
        let mut notices = leftovers::remove()?;
        let hugepages = self.set_hugepages(request)?;
        let mut controllers = Controllers::new();
        for (function, state) in self.look()? {
            let host = HostFacts {
                iommu: function.iommu_group.is_some() || own::unsafe_no_iommu(self.roots),
                root: owner.is_root(),
            };
            let result = match decide::prepare(request, host, &state) {
                Decision::Leave => continue,
                Decision::Refuse(error) => Err(error),
                Decision::Keep(driver) => Ok(driver),
                Decision::Bind(driver) => self.take(&function, &state, driver),
            };
            let result = result.and_then(|driver| {
                self.give_to(&owner, &function, &driver)?;
                self.end_loan(function.address)?;
                Ok(driver)
            });
            controllers.push((function.address, result.map_err(Arc::new)));
        }
        if !request.hugepages.is_empty() {
            self.give_hugepages(&owner)?;
        }
        notices.extend(own::memlock_notice(&owner));
        Ok(PrepareOutcome { hugepages, controllers, notices })
    }

    /// Restores what was changed: exactly the named controllers, or everything.
    pub(super) fn reset(mut self, request: &ResetRequest) -> Result<ResetOutcome, BdevError> {
        let everything = request.include.is_none() && request.exclude.is_empty();
        let mut controllers = Controllers::new();
        let mut notices = leftovers::remove()?;
        for (function, state) in self.look()? {
            let recorded = self.record.controller(function.address).cloned();
            if !decide::reset(request, &state, recorded.is_some()) {
                continue;
            }
            let result = self.give_back(&function, recorded.as_ref());
            controllers.push((function.address, result.map_err(Arc::new)));
        }
        if everything && controllers.iter().all(|(_, result)| result.is_ok()) {
            // A controller that is gone has nothing to give back.
            self.record.controllers.clear();
            notices.extend(self.restore_the_rest()?);
        }
        Ok(ResetOutcome { controllers, notices })
    }

    fn look(&self) -> Result<Vec<(PciFunction, NvmeState)>, BdevError> {
        let functions = pci::nvme_functions(self.roots)?;
        let look = |function: PciFunction| {
            let inspect = daos_blockdev::inspect;
            let state = discover::controller(self.roots, &function, &self.record, inspect);
            (function, state)
        };
        Ok(functions.into_iter().map(look).collect())
    }

    fn save(&mut self) -> Result<(), BdevError> {
        self.record.save(self.state_dir)
    }

    /// Takes a controller from the kernel. The claims on its namespaces last from the check until the driver is gone, so that nobody
    /// can mount one in between.
    fn take(
        &mut self,
        function: &PciFunction,
        state: &NvmeState,
        driver: &'static str,
    ) -> Result<String, BdevError> {
        let identities = state.contents.iter().filter_map(|namespace| namespace.identity.as_ref());
        let claims = identities.map(ExclusiveClaim::take).collect::<Result<Vec<_>, _>>()?;
        self.remember(function, state, driver);
        self.save()?;
        let bound = bind::bind(self.roots, function, driver);
        drop(claims);
        if bound.is_err() {
            // The kernel's driver gets it back; the record goes only when that is certain.
            let recorded = self.record.controller(function.address).cloned();
            self.give_back(function, recorded.as_ref())?;
        }
        bound
    }

    fn remember(&mut self, function: &PciFunction, state: &NvmeState, driver: &str) {
        let controller = &state.controller;
        let sizes = controller.namespaces.iter().map(|space| (space.id, space.size_bytes));
        let recorded = RecordedController {
            address: function.address,
            model: controller.model.clone(),
            serial: controller.serial.clone(),
            firmware: controller.firmware.clone(),
            namespaces: sizes.collect(),
            driver: function.driver.clone(),
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

    /// A format that was cut off has nothing to give back any more: the controller has its driver and its owner.
    fn end_loan(&mut self, address: PciAddress) -> Result<(), BdevError> {
        let lent = |recorded: &&mut RecordedController| {
            recorded.address == address && recorded.lent.is_some()
        };
        let Some(recorded) = self.record.controllers.iter_mut().find(lent) else { return Ok(()) };
        recorded.lent = None;
        self.save()
    }

    fn give_back(
        &mut self,
        function: &PciFunction,
        recorded: Option<&RecordedController>,
    ) -> Result<String, BdevError> {
        loan::require_closed(self.roots, function)?;
        let driver = recorded.and_then(|recorded| recorded.driver.as_deref());
        let driver = bind::release(self.roots, function, driver.unwrap_or(KERNEL_DRIVER))?;
        if let Some(recorded) = recorded {
            bind::require_serial(self.roots, function, &recorded.serial)?;
        }
        self.forget(function.address);
        self.save()?;
        Ok(driver)
    }

    fn set_hugepages(
        &mut self,
        request: &PrepareRequest,
    ) -> Result<Vec<crate::provider::NodeHugepages>, BdevError> {
        for wanted in &request.hugepages {
            if !self.record.hugepages.iter().any(|before| before.node == wanted.node) {
                let pages = hugepages::read(self.roots, wanted.node)?;
                self.record.hugepages.push(RecordedPages { node: wanted.node, pages });
            }
        }
        self.save()?;
        let set = |wanted: &crate::provider::NodeHugepages| hugepages::set(self.roots, *wanted);
        request.hugepages.iter().map(set).collect()
    }

    fn give_to(
        &mut self,
        owner: &Owner,
        function: &PciFunction,
        driver: &str,
    ) -> Result<(), BdevError> {
        for path in own::files_of(self.roots, function, driver)? {
            self.own(owner, &path)?;
        }
        Ok(())
    }

    fn give_hugepages(&mut self, owner: &Owner) -> Result<(), BdevError> {
        let mut mounts = own::hugepage_mounts()?;
        if mounts.is_empty() {
            let at = own::default_hugepage_mount(self.roots);
            self.record.mounted = Some(at.clone());
            self.save()?;
            own::mount_hugepages(&at)?;
            mounts.push(at);
        }
        mounts.iter().try_for_each(|path| self.own(owner, path))
    }

    fn own(&mut self, owner: &Owner, path: &Path) -> Result<(), BdevError> {
        let before = own::look(path)?;
        if before.uid == owner.uid && before.gid == owner.gid {
            return Ok(());
        }
        if !self.record.files.iter().any(|recorded| recorded.path == path) {
            self.record.files.push(before);
            self.save()?;
        }
        own::set(path, owner)
    }

    /// Huge pages, owners and the mount as they were. Device nodes that went with their driver have nothing to restore.
    fn restore_the_rest(&mut self) -> Result<Vec<String>, BdevError> {
        let mut notices = Vec::new();
        for before in std::mem::take(&mut self.record.files) {
            own::restore(&before)?;
        }
        if let Some(at) = self.record.mounted.take()
            && let Err(busy) = own::unmount_hugepages(&at)
        {
            notices.push(format!("{busy}; it stays mounted"));
        }
        for before in std::mem::take(&mut self.record.hugepages) {
            let pages = crate::provider::NodeHugepages { node: before.node, pages: before.pages };
            hugepages::set(self.roots, pages)?;
        }
        self.save()?;
        Ok(notices)
    }
}
