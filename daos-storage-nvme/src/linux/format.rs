//! Carries out the steps of an accepted plan on one controller (R145): claim, look again on the open descriptor, format, read back.
//!
//! Called by `LinuxNvme`. Decides nothing: the plan did. A controller that a driver for user space has is taken from it before and
//! given back after, also when a step fails.

use std::os::fd::AsFd;
use std::sync::Arc;

use daos_blockdev::{Content, DeviceIdentity, DeviceUse, ExclusiveClaim};

use super::pci::{self, PciFunction};
use super::{LinuxNvme, admin, loan};
use crate::model::{DeviceState, NamespaceState, NvmeState};
use crate::plan::{DevicePlan, DeviceStep, Verdict, require_ours, require_unused};
use crate::provider::{blocking, unsupported};
use crate::{BdevError, DeviceRef, FormatResult, PciAddress, StepObserver};

pub(super) async fn device(
    provider: &LinuxNvme,
    plan: &DevicePlan,
    observer: &dyn StepObserver,
) -> Result<FormatResult, BdevError> {
    let device = plan.device();
    let (steps, planned) = match (plan.verdict(), plan.state()) {
        (Verdict::Proceed { steps, .. }, Some(DeviceState::Nvme(planned))) => (steps, planned),
        (Verdict::Skip(why), _) => return Ok(FormatResult::Skipped((*why).to_owned())),
        (Verdict::Refused(error), _) => return Ok(FormatResult::Failed(Arc::clone(error))),
        (Verdict::Proceed { .. }, _) => {
            return unsupported("format by the body for NVMe", device.class);
        }
    };
    let address = LinuxNvme::address_of(device)?;
    let this = provider.clone();
    let now = blocking(&device.name, move || this.look_at(address)).await?;
    require_planned(device, planned, &now)?;
    if steps.is_empty() {
        return Ok(FormatResult::AlreadyFormatted);
    }
    let mut job = Job { provider, device, address, planned: planned.clone() };
    let done = job.run(steps, observer).await;
    let lent = planned.user_space.is_some();
    match done {
        Err(error) if lent => Err(job.undo(error, observer).await),
        done => done.map(|()| FormatResult::Formatted),
    }
}

/// One controller being formatted.
struct Job<'a> {
    provider: &'a LinuxNvme,
    device: &'a DeviceRef,
    address: PciAddress,
    /// What was shown, and after a change of drivers what the kernel's driver shows instead of the record.
    planned: NvmeState,
}

impl Job<'_> {
    async fn run(
        &mut self,
        steps: &[DeviceStep],
        observer: &dyn StepObserver,
    ) -> Result<(), BdevError> {
        for step in steps {
            observer.step(&format!("{}: {step}", self.device));
            let (this, device, address) =
                (self.provider.clone(), self.device.clone(), self.address);
            let (step, planned) = (step.clone(), self.planned.clone());
            let work = move || act(&this, &device, address, &planned, &step);
            if let Some(now) = blocking(&self.device.name, work).await? {
                self.planned = now;
            }
        }
        Ok(())
    }

    /// A controller that was taken from user space goes back there, whatever failed. What could not be given back stays in the record,
    /// for the next format, start or reset.
    async fn undo(&self, error: BdevError, observer: &dyn StepObserver) -> BdevError {
        observer.step(&format!("{}: give it back after a failure", self.device));
        let (this, address) = (self.provider.clone(), self.address);
        let work = move || {
            let function = pci::nvme_function_at(&this.roots, address)?;
            loan::give_back(&this.roots, &this.state_dir, &function)
        };
        match blocking(&self.device.name, work).await {
            Ok(()) => error,
            Err(also) => BdevError::NotGivenBack {
                device: self.device.name.clone(),
                detail: also.to_string(),
                source: Box::new(error),
            },
        }
    }
}

/// Takes one step. The state that later steps are to be compared with, where this one changed it.
fn act(
    provider: &LinuxNvme,
    device: &DeviceRef,
    address: PciAddress,
    planned: &NvmeState,
    step: &DeviceStep,
) -> Result<Option<NvmeState>, BdevError> {
    let LinuxNvme { roots, state_dir, record_of_root: _ } = provider;
    let function = pci::nvme_function_at(roots, address)?;
    match step {
        DeviceStep::LendToKernel { only_ours, .. } => {
            loan::take(roots, state_dir, &function, planned)?;
            let now = loan::settle(|| provider.look_at(address), planned)?;
            loan::require_recorded(device, planned, &now)?;
            require_unused(device, &now)?;
            if *only_ours {
                require_ours(device, &now)?;
            }
            Ok(Some(now))
        }
        DeviceStep::ReturnToUserSpace { .. } => {
            loan::give_back(roots, state_dir, &function).map(|()| None)
        }
        step => take(&function, device, planned, step).map(|()| None),
    }
}

/// The controller is the one of the plan and nobody came meanwhile. Which namespaces hold what is compared again under the claim.
fn require_planned(
    device: &DeviceRef,
    planned: &NvmeState,
    now: &NvmeState,
) -> Result<(), BdevError> {
    require_unused(device, now)?;
    let (was, is) = (&planned.controller, &now.controller);
    if (&was.model, &was.serial) != (&is.model, &is.serial) {
        let detail = format!("serial was {}, is {}", was.serial, is.serial);
        return Err(BdevError::changed(device, detail));
    }
    if (was.source, &was.driver, &planned.user_space) != (is.source, &is.driver, &now.user_space) {
        return Err(BdevError::changed(device, "its driver, or the owner of its device file"));
    }
    if planned.ability != now.ability {
        return Err(BdevError::changed(device, "what the controller can format"));
    }
    if planned.contents != now.contents {
        return Err(BdevError::changed(device, "its namespaces or what is on them"));
    }
    Ok(())
}

fn take(
    function: &PciFunction,
    device: &DeviceRef,
    planned: &NvmeState,
    step: &DeviceStep,
) -> Result<(), BdevError> {
    match step {
        DeviceStep::FormatNamespace { id } => {
            let claim = claim(function, device, planned, namespace(device, planned, *id)?)?;
            let format = |claim: &ExclusiveClaim, lba| admin::format(claim.as_fd(), Some(*id), lba);
            run_format(device, &claim, *id, format)?;
            prove(&claim)
        }
        DeviceStep::FormatAllNamespaces => {
            let claims =
                planned.contents.iter().map(|state| claim(function, device, planned, state));
            let claims = claims.collect::<Result<Vec<_>, _>>()?;
            let (Some(first), Some(state)) = (claims.first(), planned.contents.first()) else {
                return Err(BdevError::changed(device, "it has no namespace"));
            };
            let facts = admin::identify_controller(first.as_fd())
                .map_err(|error| unproven(device, error))?;
            // Where all of them cannot be named, naming one reaches all the same.
            let id = (!facts.formats_by_broadcast).then_some(state.id);
            let format = |claim: &ExclusiveClaim, lba| admin::format(claim.as_fd(), id, lba);
            run_format(device, first, state.id, format)?;
            claims.iter().try_for_each(prove)
        }
        DeviceStep::EraseNamespace { id } => {
            Ok(claim(function, device, planned, namespace(device, planned, *id)?)?.erase()?)
        }
        other => {
            let detail = format!("{device}: no step for an NVMe controller: {other}");
            Err(BdevError::BadTarget { detail })
        }
    }
}

fn namespace<'a>(
    device: &DeviceRef,
    planned: &'a NvmeState,
    id: u32,
) -> Result<&'a NamespaceState, BdevError> {
    let found = planned.contents.iter().find(|state| state.id == id);
    found.ok_or_else(|| BdevError::changed(device, format!("namespace {id} is not in the plan")))
}

/// Claims a namespace, and proves on the claimed descriptor that it is the planned one: the kernel's device, the serial number that
/// the controller itself tells, its address, and what is on it.
fn claim(
    function: &PciFunction,
    device: &DeviceRef,
    planned: &NvmeState,
    state: &NamespaceState,
) -> Result<ExclusiveClaim, BdevError> {
    let unseen = || BdevError::changed(device, format!("namespace {} was not seen", state.id));
    let identity = state.identity.as_ref().ok_or_else(unseen)?;
    let claim = match ExclusiveClaim::take(identity) {
        Err(error @ daos_blockdev::BlockdevError::IdentityChanged { .. }) => {
            return Err(BdevError::changed(device, error.to_string()));
        }
        other => other?,
    };
    let asked = admin::identify_controller(claim.as_fd());
    let asked = asked.map_err(|error| unproven(device, error))?;
    let (uses, content) = match daos_blockdev::inspect(&identity.path) {
        Ok(facts) => (facts.uses, Some(facts.content)),
        // It could not be read when the plan was made either, and the plan said so.
        Err(_) if state.content.is_none() => (daos_blockdev::inspect_uses(&identity.path)?.1, None),
        Err(error) => return Err(error.into()),
    };
    let found =
        Claimed { serial: asked.serial, is_there: is_at(identity, function), uses, content };
    require_claimed(device, planned, state, found)?;
    Ok(claim)
}

/// What was found under the claim on a namespace.
#[derive(Debug, Clone)]
struct Claimed {
    /// What the controller itself said on the claimed descriptor.
    serial: String,
    /// The kernel has it at the address of the plan.
    is_there: bool,
    uses: Vec<DeviceUse>,
    content: Option<Content>,
}

/// It is the namespace of the plan, and nobody uses it: the last word before it is written.
fn require_claimed(
    device: &DeviceRef,
    planned: &NvmeState,
    state: &NamespaceState,
    found: Claimed,
) -> Result<(), BdevError> {
    if found.serial != planned.controller.serial {
        let detail = format!("serial was {}, is {}", planned.controller.serial, found.serial);
        return Err(BdevError::changed(device, detail));
    }
    if !found.is_there {
        let detail = format!("namespace {} is elsewhere now", state.id);
        return Err(BdevError::changed(device, detail));
    }
    // The claim itself looks from outside like a use.
    let others = found.uses.into_iter().filter(|by| *by != DeviceUse::BusyExclusive);
    let others: Vec<_> = others.collect();
    if !others.is_empty() {
        return Err(BdevError::InUse { device: device.name.clone(), uses: others });
    }
    if found.content != state.content {
        return Err(BdevError::changed(device, format!("what is on namespace {}", state.id)));
    }
    Ok(())
}

/// A controller that did not say who it is has not changed: it could not be asked.
fn unproven(device: &DeviceRef, error: admin::AdminError) -> BdevError {
    let (device, step) = (device.name.clone(), "ask the controller who it is".to_owned());
    match error {
        admin::AdminError::Kernel { source, .. } => BdevError::from_io(&device, step, source),
        other => BdevError::StepFailed { device, step, source: std::io::Error::other(other) },
    }
}

/// Whether the kernel has this device number below that function of the bus.
fn is_at(identity: &DeviceIdentity, function: &PciFunction) -> bool {
    let link = format!("/sys/dev/block/{}", identity.number);
    let Ok(place) = std::fs::canonicalize(link) else { return false };
    // A namespace that several controllers share hangs below its subsystem; its serial number has proven it.
    let subsystem = place.to_string_lossy().contains("/nvme-subsystem/");
    subsystem || place.starts_with(&function.directory)
}

fn run_format(
    device: &DeviceRef,
    claim: &ExclusiveClaim,
    id: u32,
    format: impl Fn(&ExclusiveClaim, u8) -> Result<(), admin::AdminError>,
) -> Result<(), BdevError> {
    let failed = |error: admin::AdminError| BdevError::StepFailed {
        device: device.name.clone(),
        // The command names itself.
        step: format!("namespace {id}"),
        source: std::io::Error::other(error),
    };
    let facts = admin::identify_namespace(claim.as_fd(), id).map_err(failed)?;
    format(claim, facts.lba_format).map_err(failed)
}

/// A format may leave any pattern in place of the data. What is not blank afterwards is erased, and that is read back.
fn prove(claim: &ExclusiveClaim) -> Result<(), BdevError> {
    match claim.content_on_medium()? {
        Content::Blank => Ok(()),
        _ => Ok(claim.erase()?),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;
    use crate::BdevClass;

    #[test]
    fn whatever_differs_under_the_claim_is_refused_before_anything_is_written() {
        let address: PciAddress = "0000:81:00.0".parse().unwrap();
        let planned = crate::sim::blank_namespaces(crate::sim::controller(address, 2, 1 << 30));
        let device =
            DeviceRef { tier: 1, index: 0, class: BdevClass::Nvme, name: address.to_string() };
        let state = &planned.contents[1];
        let same = Claimed {
            serial: planned.controller.serial.clone(),
            is_there: true,
            uses: vec![DeviceUse::BusyExclusive],
            content: Some(Content::Blank),
        };
        let code = |found: &Claimed| {
            let refused = require_claimed(&device, &planned, state, found.clone());
            refused.err().map(|error| error.code())
        };
        assert_eq!(code(&same), None);
        assert_eq!(code(&Claimed { serial: "other".to_owned(), ..same.clone() }), Some(1230));
        assert_eq!(code(&Claimed { is_there: false, ..same.clone() }), Some(1230));
        assert_eq!(code(&Claimed { uses: vec![DeviceUse::Swap], ..same.clone() }), Some(1225));
        let data = Content::Unrecognised { first_data: 0 };
        assert_eq!(code(&Claimed { content: Some(data), ..same.clone() }), Some(1230));
        assert_eq!(code(&Claimed { content: None, ..same.clone() }), Some(1230));
    }

    #[test]
    fn a_controller_that_could_not_be_asked_is_not_called_another_one() {
        let name = "0000:81:00.0".to_owned();
        let device = DeviceRef { tier: 1, index: 0, class: BdevClass::Nvme, name };
        let kernel = |kind: std::io::ErrorKind| {
            unproven(
                &device,
                admin::AdminError::Kernel { command: "Identify", source: kind.into() },
            )
        };
        let denied = kernel(std::io::ErrorKind::PermissionDenied);
        assert!(matches!(denied, BdevError::AccessDenied { .. }), "{denied}");
        assert!(denied.source().is_some());
        let lost = kernel(std::io::ErrorKind::Other);
        assert!(matches!(lost, BdevError::StepFailed { .. }), "{lost}");
        let status = admin::AdminError::Status { command: "Identify", status: 0x4002 };
        let status = unproven(&device, status);
        assert!(matches!(status, BdevError::StepFailed { .. }), "{status}");
        assert!(status.to_string().contains("0x4002"), "{status}");
    }
}
