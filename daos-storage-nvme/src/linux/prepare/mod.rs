//! Gives controllers and huge pages to engines in user space, and takes them back (R72-R87, R175): look, decide, record, change,
//! read back.
//!
//! Called by `LinuxNvme`. `decide` is pure; `super::bind`, `hugepages`, `own` and `leftovers` each change one kind of thing and read it
//! back. `controllers` and `rest` are the two halves of the work, over a `Kernel`.
//! What is changed is in the record before it is changed, so that a reset after a crash finds it.

mod controllers;
mod decide;
mod hugepages;
mod leftovers;
pub(super) mod own;
mod rest;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "spdk")]
pub(super) use self::leftovers::remove_locks;

use self::decide::{Decision, HostFacts};
use self::own::Owner;
use super::kernel::Kernel;
use super::pci::{self, PciFunction, Roots};
use super::record::{PrepareRecord, RecordLock};
use super::{discover, loan, nodes};
use crate::model::NvmeState;
use crate::{BdevError, PciAddress, PrepareOutcome, PrepareRequest, ResetOutcome, ResetRequest};

type Controllers = Vec<(PciAddress, Result<String, Arc<BdevError>>)>;

/// One host being prepared or reset.
#[derive(Debug)]
pub(super) struct Preparation<'a> {
    kernel: &'a dyn Kernel,
    state_dir: &'a Path,
    record: PrepareRecord,
    /// What the administrator is to be told in the end.
    notices: Vec<String>,
    _lock: RecordLock,
}

impl<'a> Preparation<'a> {
    pub(super) fn begin(kernel: &'a dyn Kernel, state_dir: &'a Path) -> Result<Self, BdevError> {
        std::fs::create_dir_all(state_dir).map_err(|source| {
            BdevError::from_io(&state_dir.display().to_string(), "make the state directory", source)
        })?;
        let lock = PrepareRecord::lock(state_dir)?;
        let record = PrepareRecord::load(state_dir)?;
        let mut this = Self { kernel, state_dir, record, notices: Vec::new(), _lock: lock };
        if this.record.enter_boot(loan::boot(this.roots())) {
            this.save()?;
            let notice = "the host was restarted since the last prepare, which undid its huge pages, owners and mount: they are \
                          not restored from its record";
            this.notices.push(notice.to_owned());
        }
        Ok(this)
    }

    /// Makes ready what the request asks for. A controller that cannot be had keeps no other from being bound.
    pub(super) fn prepare(self, request: &PrepareRequest) -> Result<PrepareOutcome, BdevError> {
        let sudo = std::env::var(own::SUDO_USER).ok();
        let owner = Owner::look_up(own::target_user(request.user.as_deref(), sudo.as_deref()))?;
        self.prepare_for(&owner, request)
    }

    fn prepare_for(
        mut self,
        owner: &Owner,
        request: &PrepareRequest,
    ) -> Result<PrepareOutcome, BdevError> {
        let nothing = request.hugepages.is_empty() && request.include == Some(Vec::new());
        if !nothing {
            self.notices.extend(leftovers::remove(self.kernel)?);
        }
        let hugepages = self.set_hugepages(&request.hugepages)?;
        let mut controllers = Controllers::new();
        for (function, state) in self.look()? {
            let host = HostFacts {
                iommu: nodes::has_iommu(&function),
                no_iommu_allowed: own::unsafe_no_iommu(self.roots()),
                owner: owner.ids(),
            };
            let result = match decide::prepare(request, host, &state) {
                Decision::Leave => continue,
                Decision::Refuse(error) => Err(error),
                Decision::Keep(driver) => self.hand_over(owner, &function, driver),
                Decision::Bind(driver) => self.take(owner, &function, &state, driver),
            };
            controllers.push((function.address, result.map_err(Arc::new)));
        }
        if !request.hugepages.is_empty() {
            self.give_hugepages(owner)?;
        }
        self.notices.extend(own::memlock_notice(owner));
        Ok(PrepareOutcome { hugepages, controllers, notices: self.notices })
    }

    /// Restores what was changed: exactly the named controllers, or everything.
    pub(super) fn reset(mut self, request: &ResetRequest) -> Result<ResetOutcome, BdevError> {
        let everything = request.include.is_none() && request.exclude.is_empty();
        let mut controllers = Controllers::new();
        self.notices.extend(leftovers::remove(self.kernel)?);
        for (function, state) in self.look()? {
            let recorded = self.record.controller(function.address).is_some();
            if !decide::reset(request, &state, recorded) {
                continue;
            }
            let result = self.give_back(function.address);
            controllers.push((function.address, result.map_err(Arc::new)));
        }
        if everything {
            // A controller that is gone has nothing to give back.
            let failed = |address| {
                controllers.iter().any(|(failed, result)| *failed == address && result.is_err())
            };
            self.record.controllers.retain(|recorded| failed(recorded.address));
            self.restore_the_rest(&controllers)?;
        }
        Ok(ResetOutcome { controllers, notices: self.notices })
    }

    fn look(&self) -> Result<Vec<(PciFunction, NvmeState)>, BdevError> {
        let functions = pci::nvme_functions(self.roots())?;
        let look = |function: PciFunction| {
            let inspect = self.kernel.inspect();
            let state = discover::controller(self.roots(), &function, &self.record, inspect);
            (function, state)
        };
        Ok(functions.into_iter().map(look).collect())
    }

    fn roots(&self) -> &'a Roots {
        self.kernel.roots()
    }

    fn save(&mut self) -> Result<(), BdevError> {
        self.record.save(self.state_dir)
    }
}
