//! Which controllers a prepare binds, and to what: pure rules over what was seen (R72-R80, R83).

use crate::model::{FactSource, NvmeState};
use crate::{BdevError, PciAddress, PrepareRequest, ResetRequest};

/// Driver for an IOMMU that is on.
pub(super) const VFIO: &str = "vfio-pci";
/// Driver without one, for root alone.
pub(super) const UIO: &str = "uio_pci_generic";

/// What of the host decides about the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostFacts {
    /// The IOMMU is on for this function, or the administrator has allowed to go without.
    pub(super) iommu: bool,
    /// The engines will run as root.
    pub(super) root: bool,
}

/// What happens with one controller.
#[derive(Debug)]
pub(super) enum Decision {
    /// Not asked for.
    Leave,
    /// It has the driver it should have.
    Keep(String),
    /// Take it from the kernel and bind it to this driver.
    Bind(&'static str),
    /// Asked for, but it must not or cannot be had.
    Refuse(BdevError),
}

pub(super) fn prepare(request: &PrepareRequest, host: HostFacts, state: &NvmeState) -> Decision {
    let controller = &state.controller;
    let address = controller.address;
    let behind_vmd = request.disable_vmd && address.vmd().is_some();
    if behind_vmd || !chosen(request.include.as_deref(), &request.exclude, address) {
        return Decision::Leave;
    }
    let driver = match driver_for(request, host, address) {
        Ok(driver) => driver,
        Err(error) => return Decision::Refuse(error),
    };
    if controller.driver.as_deref() == Some(driver) {
        return Decision::Keep(driver.to_owned());
    }
    let uses: Vec<_> = controller.uses().into_iter().cloned().collect();
    if !uses.is_empty() {
        return Decision::Refuse(BdevError::InUse { device: address.to_string(), uses });
    }
    // What holds a controller that could not be looked at is not known: it may be mounted.
    let unseen = state.contents.iter().find(|namespace| namespace.identity.is_none());
    if let (FactSource::Controller, Some(namespace)) = (controller.source, unseen) {
        let namespace = namespace.id;
        return Decision::Refuse(BdevError::Unseen { device: address.to_string(), namespace });
    }
    Decision::Bind(driver)
}

/// Whether a reset gives this controller back: a named one, or one that a prepare took.
pub(super) fn reset(request: &ResetRequest, state: &NvmeState, recorded: bool) -> bool {
    let address = state.controller.address;
    let named = request.include.as_ref().is_some_and(|named| named.contains(&address));
    let user_space = state.controller.driver.as_deref().is_some_and(is_user_space);
    !request.exclude.contains(&address)
        && (named || request.include.is_none())
        && (recorded || (named && user_space))
}

/// Whether a driver hands a controller to programs.
pub(super) fn is_user_space(driver: &str) -> bool {
    matches!(driver, VFIO | UIO | "igb_uio")
}

fn chosen(include: Option<&[PciAddress]>, exclude: &[PciAddress], address: PciAddress) -> bool {
    !exclude.contains(&address) && include.is_none_or(|named| named.contains(&address))
}

fn driver_for(
    request: &PrepareRequest,
    host: HostFacts,
    address: PciAddress,
) -> Result<&'static str, BdevError> {
    match (host.iommu && !request.disable_vfio, host.root) {
        (true, _) => Ok(VFIO),
        (false, true) => Ok(UIO),
        (false, false) => {
            let why = if request.disable_vfio { "VFIO is switched off" } else { "no IOMMU is on" };
            Err(BdevError::NoUserSpaceDriver { device: address.to_string(), why })
        }
    }
}

#[cfg(test)]
mod tests {
    use daos_blockdev::DeviceUse;

    use super::*;
    use crate::sim;

    const ROOT: HostFacts = HostFacts { iommu: true, root: true };

    fn state() -> NvmeState {
        let mut state =
            sim::blank_namespaces(sim::controller("0000:81:00.0".parse().unwrap(), 1, 1 << 30));
        let device = sim::kernel_device("/dev/nvme0n1", 1, 1 << 30);
        state.contents[0].identity = Some(device.identity);
        state
    }

    fn request(include: Option<&[&str]>, exclude: &[&str]) -> PrepareRequest {
        let parse = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        PrepareRequest {
            include: include.map(parse),
            exclude: parse(exclude),
            ..PrepareRequest::default()
        }
    }

    #[test]
    fn only_what_was_asked_for_is_bound() {
        let decide = |request: &PrepareRequest| prepare(request, ROOT, &state());
        assert!(matches!(decide(&request(None, &[])), Decision::Bind(VFIO)));
        assert!(matches!(decide(&request(Some(&["0000:81:00.0"]), &[])), Decision::Bind(VFIO)));
        assert!(matches!(decide(&request(Some(&["0000:82:00.0"]), &[])), Decision::Leave));
        assert!(matches!(decide(&request(Some(&[]), &[])), Decision::Leave), "R80");
        assert!(matches!(decide(&request(None, &["0000:81:00.0"])), Decision::Leave));
    }

    #[test]
    fn what_is_behind_a_vmd_is_left_alone_when_told_so() {
        let mut behind = state();
        behind.controller.address = "5d0505:01:00.0".parse().unwrap();
        let off = PrepareRequest { disable_vmd: true, ..request(None, &[]) };
        assert!(matches!(prepare(&off, ROOT, &behind), Decision::Leave));
        assert!(matches!(prepare(&off, ROOT, &state()), Decision::Bind(VFIO)));
        assert!(matches!(prepare(&request(None, &[]), ROOT, &behind), Decision::Bind(VFIO)));
    }

    #[test]
    fn refuses_a_controller_with_a_mounted_namespace() {
        let mut used = state();
        used.controller.namespaces[0].uses = vec![DeviceUse::Swap];
        let decision = prepare(&request(None, &[]), ROOT, &used);
        assert!(matches!(decision, Decision::Refuse(BdevError::InUse { .. })));
    }

    #[test]
    fn refuses_a_namespace_that_could_not_be_looked_at() {
        let mut unseen = state();
        unseen.contents[0].identity = None;
        let decision = prepare(&request(None, &[]), ROOT, &unseen);
        assert!(matches!(decision, Decision::Refuse(BdevError::Unseen { .. })));
    }

    #[test]
    fn without_an_iommu_only_root_gets_a_controller() {
        let without = |root| HostFacts { iommu: false, root };
        let decide = |host| prepare(&request(None, &[]), host, &state());
        assert!(matches!(decide(without(true)), Decision::Bind(UIO)));
        assert!(matches!(
            decide(without(false)),
            Decision::Refuse(BdevError::NoUserSpaceDriver { .. })
        ));
        let off = PrepareRequest { disable_vfio: true, ..request(None, &[]) };
        assert!(matches!(prepare(&off, ROOT, &state()), Decision::Bind(UIO)));
    }

    #[test]
    fn a_reset_gives_back_what_was_taken_and_what_was_named() {
        let mut bound = state();
        bound.controller.driver = Some(VFIO.to_owned());
        let all = ResetRequest::default();
        assert!(reset(&all, &bound, true));
        assert!(!reset(&all, &bound, false), "somebody else bound it");
        let named = ResetRequest { include: Some(vec![bound.controller.address]), ..all.clone() };
        assert!(reset(&named, &bound, false));
        let spared = ResetRequest { exclude: vec![bound.controller.address], ..all };
        assert!(!reset(&spared, &bound, true));
    }
}
