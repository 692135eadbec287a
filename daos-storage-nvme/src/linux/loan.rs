//! A controller that a driver for user space has, lent to the kernel's driver for the time of a format, and given back.
//!
//! Called by `discover`, `format` and, after a crash, by `LinuxNvme::recover`. The loan is in the record before the driver changes
//! and until the owner was read back, so that nothing in between can be forgotten.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use daos_blockdev::{DeviceUse, wait_until};

use super::discover::{self, KERNEL_DRIVER};
use super::kernel::{Claim, Kernel};
use super::pci::{self, PciFunction, Roots, text};
use super::prepare::own;
use super::record::{Loan, PrepareRecord, RecordedController, RecordedFile};
use super::{bind, nodes};
use crate::model::{NvmeState, UserSpace};
use crate::provider::Recovered;
use crate::{BdevError, DeviceRef, FileOwner};

/// How long the kernel may take to show the namespaces of a controller, and others to have had their look at them.
const APPEARS: Duration = Duration::from_secs(20);

/// What a format has to give back, if anything: to the driver that has the controller, or had it before a format of this boot that did
/// not come to its end.
pub(super) fn user_space(
    roots: &Roots,
    function: &PciFunction,
    record: &PrepareRecord,
) -> Option<UserSpace> {
    let may_rebind = may_rebind(roots, function);
    let lent = record.controller(function.address).and_then(|recorded| recorded.lent.as_ref());
    if let Some(Loan { driver, owner, mode, .. }) = lent.filter(|loan| is_of_this_boot(roots, loan))
    {
        let driver = driver.clone();
        return Some(UserSpace { driver, owner: *owner, mode: *mode, may_rebind });
    }
    let driver = function.driver.clone().filter(|driver| nodes::is_user_space(driver))?;
    let file = nodes::files(roots, function, &driver).into_iter().next();
    let file = file.and_then(|file| own::look(&file).ok());
    let (owner, mode) = file.map_or((FileOwner { uid: 0, gid: 0 }, 0o600), |file| {
        (FileOwner { uid: file.uid, gid: file.gid }, file.mode)
    });
    Some(UserSpace { driver, owner, mode, may_rebind })
}

/// Opening what would have to be written tells, and changes nothing.
fn may_rebind(roots: &Roots, function: &PciFunction) -> bool {
    let writable = |file: PathBuf| OpenOptions::new().write(true).open(file).is_ok();
    writable(function.directory.join("driver_override"))
        && writable(roots.sys.join("bus/pci/drivers_probe"))
}

/// The boot id of the kernel, as long as it runs.
pub(super) fn boot(roots: &Roots) -> Option<String> {
    text(&roots.proc.join("sys/kernel/random/boot_id"))
}

fn is_of_this_boot(roots: &Roots, loan: &Loan) -> bool {
    boot(roots).is_some_and(|boot| boot == loan.boot)
}

/// Gives a controller to the kernel's driver, and waits until that shows the serial number that was recorded.
pub(super) fn take(
    kernel: &dyn Kernel,
    state_dir: &Path,
    function: &PciFunction,
    planned: &NvmeState,
) -> Result<(), BdevError> {
    let (roots, address) = (kernel.roots(), function.address);
    let changed = |detail: &str| BdevError::PlanChanged {
        subject: address.to_string(),
        detail: detail.to_owned(),
    };
    let user_space =
        planned.user_space.as_ref().ok_or_else(|| changed("nobody in user space had it"))?;
    nodes::require_closed(roots, function)?;
    let loan = Loan {
        driver: user_space.driver.clone(),
        owner: user_space.owner,
        mode: user_space.mode,
        boot: boot(roots).ok_or_else(|| changed("the kernel does not tell its boot id"))?,
    };
    if !PrepareRecord::set_loan(state_dir, address, Some(loan))? {
        return Err(changed("a reset gave it back meanwhile"));
    }
    bind::release(kernel, function, KERNEL_DRIVER)?;
    bind::require_serial(roots, function, &planned.controller.serial)
}

/// Looks until the kernel shows all namespaces of the plan and everybody had his glance at them; what is so in the end is the caller's
/// to judge.
pub(super) fn settle(
    look: impl Fn() -> Result<NvmeState, BdevError>,
    planned: &NvmeState,
) -> Result<NvmeState, BdevError> {
    let ids = |state: &NvmeState| state.contents.iter().map(|space| space.id).collect::<Vec<_>>();
    let settled = |now: &NvmeState| {
        let seen = now.contents.iter().all(|namespace| namespace.identity.is_some());
        ids(now) == ids(planned) && seen && now.controller.uses().is_empty()
    };
    let found = wait_until(APPEARS, || match look() {
        Ok(now) if !settled(&now) => None,
        answer => Some(answer),
    });
    found.unwrap_or_else(look)
}

/// What came to the kernel's driver is what prepare took from it.
pub(super) fn require_recorded(
    device: &DeviceRef,
    planned: &NvmeState,
    now: &NvmeState,
) -> Result<(), BdevError> {
    let facts = |state: &NvmeState| {
        let sizes = state.controller.namespaces.iter().map(|space| (space.id, space.size_bytes));
        (state.controller.model.clone(), state.controller.serial.clone(), sizes.collect::<Vec<_>>())
    };
    let (was, is) = (facts(planned), facts(now));
    if was != is {
        let detail = format!("recorded at prepare was {was:?}, is {is:?}");
        return Err(BdevError::changed(device, detail));
    }
    if planned.ability != now.ability {
        return Err(BdevError::changed(device, "what the controller can format"));
    }
    Ok(())
}

/// Gives a controller back to whom it was lent from: driver, owner, and the end of the loan in the record. Without a loan there is
/// nothing to do: a reset ended it.
pub(super) fn give_back(
    kernel: &dyn Kernel,
    state_dir: &Path,
    function: &PciFunction,
) -> Result<(), BdevError> {
    let record = PrepareRecord::load(state_dir)?;
    let lent = record.controller(function.address).and_then(|recorded| recorded.lent.clone());
    let Some(loan) = lent else { return Ok(()) };
    if function.driver.as_deref() != Some(loan.driver.as_str()) {
        let claims = claim_all(kernel, function, &record)?;
        let bound = bind::bind(kernel, function, &loan.driver);
        drop(claims);
        if let Err(error) = bound {
            // Not left without any driver. The loan stays in the record, so that the next start tries again.
            bind::release(kernel, function, KERNEL_DRIVER)?;
            return Err(error);
        }
    }
    let path = nodes::handed_over(kernel.roots(), function, &loan.driver)?;
    let FileOwner { uid, gid } = loan.owner;
    own::restore(&RecordedFile { path, uid, gid, mode: loan.mode })?;
    PrepareRecord::set_loan(state_dir, function.address, None).map(drop)
}

/// Nobody uses a namespace, and nobody can mount one from here until the driver is gone.
fn claim_all(
    kernel: &dyn Kernel,
    function: &PciFunction,
    record: &PrepareRecord,
) -> Result<Vec<Claim>, BdevError> {
    let look = || discover::controller(kernel.roots(), function, record, kernel.inspect());
    let before = look();
    if let Some(unknown) = discover::unknown_use(&before) {
        return Err(unknown);
    }
    let identities = before.contents.iter().filter_map(|namespace| namespace.identity.as_ref());
    let claims = identities.map(|identity| kernel.claim(identity)).collect::<Result<_, _>>()?;
    // Looked at under the claims, which themselves look from outside like a use. An open without a claim is one, too.
    let now = look();
    let uses = now.controller.uses().into_iter().filter(|by| **by != DeviceUse::BusyExclusive);
    let uses: Vec<_> = uses.cloned().collect();
    if uses.is_empty() {
        Ok(claims)
    } else {
        Err(BdevError::InUse { device: function.address.to_string(), uses })
    }
}

/// Ends every loan that a format left behind.
pub(super) fn recover(kernel: &dyn Kernel, state_dir: &Path) -> Result<Vec<Recovered>, BdevError> {
    let record = PrepareRecord::load(state_dir)?;
    let mut recovered = Vec::new();
    for recorded in record.controllers.iter().filter(|recorded| recorded.lent.is_some()) {
        let result = end(kernel, state_dir, recorded).map_err(Arc::new);
        recovered.push(Recovered { device: recorded.address.to_string(), result });
    }
    Ok(recovered)
}

fn end(
    kernel: &dyn Kernel,
    state_dir: &Path,
    recorded: &RecordedController,
) -> Result<String, BdevError> {
    let Some(loan) = &recorded.lent else { return Ok(String::new()) };
    let (roots, address) = (kernel.roots(), recorded.address);
    if !is_of_this_boot(roots, loan) {
        PrepareRecord::set_loan(state_dir, address, None)?;
        return Ok("a format was cut off by a reboot, which also undid its prepare".to_owned());
    }
    let mut function = pci::nvme_function_at(roots, address)?;
    if !may_rebind(roots, &function) {
        let (device, driver) = (address.to_string(), loan.driver.clone());
        return Err(BdevError::MayNotRebind { device, driver });
    }
    if function.driver.as_deref() != Some(loan.driver.as_str()) {
        bind::release(kernel, &function, KERNEL_DRIVER)?;
        bind::require_serial(roots, &function, &recorded.serial)?;
        function = pci::nvme_function_at(roots, address)?;
    }
    give_back(kernel, state_dir, &function)?;
    Ok(format!("a format was cut off; given to {} again", loan.driver))
}

#[cfg(test)]
mod tests {
    use super::super::fake_kernel::FakeKernel;
    use super::nodes::VFIO;
    use super::nodes::tests::{ADDRESS, Holder, host};
    use super::*;
    use crate::model::FormatAbility;
    use crate::sim;
    use crate::{BdevClass, PciAddress};

    fn recorded(boot: &str) -> RecordedController {
        RecordedController {
            address: ADDRESS.parse().unwrap(),
            model: "m".to_owned(),
            serial: "s".to_owned(),
            firmware: "f".to_owned(),
            namespaces: vec![(1, 1 << 30)],
            driver: Some(KERNEL_DRIVER.to_owned()),
            bound_to: VFIO.to_owned(),
            ability: FormatAbility::EachNamespace,
            lent: Some(Loan {
                driver: VFIO.to_owned(),
                owner: FileOwner { uid: 77, gid: 78 },
                mode: 0o640,
                boot: boot.to_owned(),
            }),
        }
    }

    fn record(boot: &str) -> PrepareRecord {
        let mut record = PrepareRecord::default();
        record.controllers.push(recorded(boot));
        record
    }

    #[test]
    fn whoever_has_it_now_is_whom_it_goes_back_to() {
        let (_directory, roots, function) = host(Some(VFIO), "7");
        let found = user_space(&roots, &function, &PrepareRecord::default()).unwrap();
        assert_eq!((&*found.driver, found.owner), (VFIO, FileOwner::current()));
        assert!(found.may_rebind);
        std::fs::remove_file(roots.sys.join("bus/pci/drivers_probe")).unwrap();
        let found = user_space(&roots, &function, &PrepareRecord::default()).unwrap();
        assert!(!found.may_rebind);
    }

    #[test]
    fn a_loan_of_this_boot_is_remembered_and_one_of_an_earlier_boot_is_not() {
        let (_directory, roots, function) = host(Some(KERNEL_DRIVER), "7");
        let found = user_space(&roots, &function, &record("this")).unwrap();
        assert_eq!((found.owner, found.mode), (FileOwner { uid: 77, gid: 78 }, 0o640));
        assert_eq!(user_space(&roots, &function, &record("earlier")), None);
        assert_eq!(user_space(&roots, &function, &PrepareRecord::default()), None);
    }

    #[test]
    fn a_reboot_ends_a_loan() {
        let (directory, roots, _function) = host(Some(KERNEL_DRIVER), "7");
        let state_dir = directory.path().join("state");
        std::fs::create_dir(&state_dir).unwrap();
        record("earlier").save(&state_dir).unwrap();
        let recovered = recover(&roots, &state_dir).unwrap();
        assert_eq!(recovered.len(), 1);
        assert!(recovered[0].result.as_ref().unwrap().contains("reboot"));
        assert_eq!(PrepareRecord::load(&state_dir).unwrap().controllers[0].lent, None);
        assert!(recover(&roots, &state_dir).unwrap().is_empty());
    }

    #[test]
    fn a_loan_whose_controller_is_gone_stays_and_says_so() {
        let (directory, roots, _function) = host(Some(KERNEL_DRIVER), "7");
        let state_dir = directory.path().join("state");
        std::fs::create_dir(&state_dir).unwrap();
        record("this").save(&state_dir).unwrap();
        let recovered = recover(&roots, &state_dir).unwrap();
        assert_eq!(recovered[0].result.as_ref().unwrap_err().code(), 304);
        assert!(PrepareRecord::load(&state_dir).unwrap().controllers[0].lent.is_some());
    }

    /// A format was cut off, and the kernel's driver has the controller still.
    fn cut_off() -> FakeKernel {
        let kernel = FakeKernel::new();
        kernel.plug(ADDRESS, 7, "s");
        std::fs::write(kernel.roots().sys.join("bus/pci/drivers_probe"), "").unwrap();
        std::fs::create_dir(kernel.state_dir()).unwrap();
        let mut record = record("first");
        let me = FileOwner::current();
        record.controllers[0].lent.as_mut().unwrap().owner = me;
        record.save(&kernel.state_dir()).unwrap();
        kernel
    }

    fn is_lent(kernel: &FakeKernel) -> bool {
        PrepareRecord::load(&kernel.state_dir()).unwrap().controllers[0].lent.is_some()
    }

    #[test]
    fn what_somebody_has_open_since_a_crash_is_not_given_back_to_user_space() {
        let kernel = cut_off();
        // As by a virtual machine that was given the namespace, which takes no claim.
        kernel.open_namespace(ADDRESS);
        let recovered = recover(&kernel, &kernel.state_dir()).unwrap();
        let refused = recovered[0].result.as_ref().unwrap_err();
        assert!(matches!(**refused, BdevError::InUse { .. }), "{refused}");
        assert_eq!(kernel.driver(ADDRESS).as_deref(), Some(KERNEL_DRIVER));
        assert!(is_lent(&kernel), "the next start tries again");

        kernel.use_namespace(ADDRESS, false);
        let recovered = recover(&kernel, &kernel.state_dir()).unwrap();
        recovered[0].result.as_ref().unwrap();
        assert_eq!(kernel.driver(ADDRESS).as_deref(), Some(VFIO));
        assert!(!is_lent(&kernel));
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_given_back_to_user_space() {
        let kernel = cut_off();
        kernel.hide_namespace(ADDRESS);
        let recovered = recover(&kernel, &kernel.state_dir()).unwrap();
        let refused = recovered[0].result.as_ref().unwrap_err();
        assert!(matches!(**refused, BdevError::Unseen { namespace: 1, .. }), "{refused}");
        assert_eq!(kernel.driver(ADDRESS).as_deref(), Some(KERNEL_DRIVER));
        assert!(is_lent(&kernel));
    }

    #[test]
    fn a_controller_that_a_program_has_open_is_not_taken() {
        let (directory, roots, function) = host(Some(VFIO), "7");
        let state_dir = directory.path().join("state");
        std::fs::create_dir(&state_dir).unwrap();
        let mut not_lent = record("this");
        not_lent.controllers[0].lent = None;
        not_lent.save(&state_dir).unwrap();
        let holder = Holder::of(&roots.dev.join("vfio/7"));
        let mut planned =
            sim::blank_namespaces(sim::controller(ADDRESS.parse().unwrap(), 1, 1 << 30));
        planned.user_space = user_space(&roots, &function, &not_lent);
        let refused = take(&roots, &state_dir, &function, &planned);
        drop(holder);
        assert!(matches!(refused, Err(BdevError::InUse { .. })), "{refused:?}");
        assert_eq!(PrepareRecord::load(&state_dir).unwrap(), not_lent, "nothing was begun");
    }

    #[test]
    fn another_controller_than_the_recorded_one_is_told_apart() {
        let address: PciAddress = ADDRESS.parse().unwrap();
        let device =
            DeviceRef { tier: 1, index: 0, class: BdevClass::Nvme, name: ADDRESS.to_owned() };
        let planned = sim::blank_namespaces(sim::controller(address, 2, 1 << 30));
        require_recorded(&device, &planned, &planned).unwrap();
        let mut serial = planned.clone();
        serial.controller.serial = "other".to_owned();
        let mut size = planned.clone();
        size.controller.namespaces[1].size_bytes = 5;
        let mut ability = planned.clone();
        ability.ability = FormatAbility::AllTogether;
        for other in [serial, size, ability] {
            let refused = require_recorded(&device, &planned, &other).unwrap_err();
            assert!(matches!(refused, BdevError::PlanChanged { .. }), "{refused}");
        }
    }
}
