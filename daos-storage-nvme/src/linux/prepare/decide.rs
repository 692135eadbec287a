//! Which controllers a prepare binds, and to what: pure rules over what was seen (R72-R80, R83).

use super::super::discover::unknown_use;
use super::super::nodes::{UIO, VFIO, is_user_space};
use crate::model::{FactSource, NvmeState};
use crate::{BdevError, FileOwner, PciAddress, PrepareRequest, ResetRequest};

/// What of the host decides about the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostFacts {
    /// The IOMMU is on for this function.
    pub(super) iommu: bool,
    /// The administrator has allowed VFIO without one, which the kernel gives to root alone.
    pub(super) no_iommu_allowed: bool,
    /// The user that will run the engines.
    pub(super) owner: FileOwner,
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
    let device = || address.to_string();
    if let Some(untold) = controller.untold() {
        let detail = untold.to_string();
        return Decision::Refuse(BdevError::NotTold { device: device(), detail });
    }
    let uses: Vec<_> = controller.uses().into_iter().cloned().collect();
    if controller.driver.as_deref() == Some(driver) && (uses.is_empty() || is_his(host, state)) {
        return Decision::Keep(driver.to_owned());
    }
    if !uses.is_empty() {
        return Decision::Refuse(BdevError::InUse { device: device(), uses });
    }
    match unknown_use(state) {
        Some(error) => Decision::Refuse(error),
        None => Decision::Bind(driver),
    }
}

/// A prepare gave the controller to this very user, whose engine may have it open: then nothing is changed at all.
fn is_his(host: HostFacts, state: &NvmeState) -> bool {
    let recorded = state.controller.source == FactSource::RecordedAtPrepare;
    recorded && state.user_space.as_ref().is_some_and(|user_space| user_space.owner == host.owner)
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

fn chosen(include: Option<&[PciAddress]>, exclude: &[PciAddress], address: PciAddress) -> bool {
    !exclude.contains(&address) && include.is_none_or(|named| named.contains(&address))
}

fn driver_for(
    request: &PrepareRequest,
    host: HostFacts,
    address: PciAddress,
) -> Result<&'static str, BdevError> {
    let root = host.owner.uid == 0;
    match (request.disable_vfio, root) {
        (false, _) if host.iommu => Ok(VFIO),
        (false, true) if host.no_iommu_allowed => Ok(VFIO),
        (_, true) => Ok(UIO),
        (disabled, false) => {
            let why = if disabled { "VFIO is switched off" } else { "no IOMMU is on" };
            Err(BdevError::NoUserSpaceDriver { device: address.to_string(), why })
        }
    }
}

#[cfg(test)]
mod tests {
    use daos_blockdev::{DeviceUse, ProcessRef};

    use super::super::super::discover::KERNEL_DRIVER;
    use super::*;
    use crate::model::{Obstacle, UserSpace};
    use crate::sim;

    const BOB: FileOwner = FileOwner { uid: 1000, gid: 1000 };
    const ROOT: HostFacts =
        HostFacts { iommu: true, no_iommu_allowed: false, owner: FileOwner { uid: 0, gid: 0 } };

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
        let owner = |root| if root { ROOT.owner } else { BOB };
        let without = |root| HostFacts { iommu: false, owner: owner(root), ..ROOT };
        let decide = |host| prepare(&request(None, &[]), host, &state());
        assert!(matches!(decide(without(true)), Decision::Bind(UIO)));
        assert!(matches!(
            decide(without(false)),
            Decision::Refuse(BdevError::NoUserSpaceDriver { .. })
        ));
        let off = PrepareRequest { disable_vfio: true, ..request(None, &[]) };
        assert!(matches!(prepare(&off, ROOT, &state()), Decision::Bind(UIO)));
        let allowed = |root| HostFacts { no_iommu_allowed: true, ..without(root) };
        assert!(matches!(decide(allowed(true)), Decision::Bind(VFIO)));
        assert!(matches!(prepare(&off, allowed(true), &state()), Decision::Bind(UIO)));
        let refused = decide(allowed(false));
        assert!(
            matches!(refused, Decision::Refuse(BdevError::NoUserSpaceDriver { .. })),
            "the kernel lets only root open such a group: {refused:?}"
        );
    }

    /// Bound to a driver, as a scan shows it; open in a program of somebody.
    fn bound(driver: &str, source: FactSource, open: bool) -> NvmeState {
        let mut state = state();
        state.controller.driver = Some(driver.to_owned());
        state.controller.source = source;
        state.contents.iter_mut().for_each(|namespace| namespace.identity = None);
        if source == FactSource::BusOnly {
            state.controller.namespaces.clear();
            state.contents.clear();
        }
        let (driver, may_rebind) = (driver.to_owned(), true);
        state.user_space = Some(UserSpace { driver, owner: BOB, mode: 0o600, may_rebind });
        if open {
            let process = ProcessRef { pid: 7, name: "qemu".to_owned() };
            state.controller.openers = vec![DeviceUse::OpenBy(process)];
        }
        state
    }

    #[test]
    fn a_controller_that_somebody_has_open_is_neither_moved_nor_handed_over() {
        let uio = PrepareRequest { disable_vfio: true, ..request(None, &[]) };
        for source in [FactSource::BusOnly, FactSource::RecordedAtPrepare] {
            let open = bound(VFIO, source, true);
            for asked in [&request(None, &[]), &uio] {
                let decision = prepare(asked, ROOT, &open);
                assert!(
                    matches!(decision, Decision::Refuse(BdevError::InUse { .. })),
                    "{source}: {decision:?}"
                );
            }
            let closed = bound(VFIO, source, false);
            assert!(matches!(prepare(&request(None, &[]), ROOT, &closed), Decision::Keep(_)));
            assert!(matches!(prepare(&uio, ROOT, &closed), Decision::Bind(UIO)));
        }
    }

    #[test]
    fn an_engine_that_runs_keeps_the_controller_that_was_prepared_for_its_user() {
        let bob = HostFacts { owner: BOB, ..ROOT };
        let own = bound(VFIO, FactSource::RecordedAtPrepare, true);
        assert!(matches!(prepare(&request(None, &[]), bob, &own), Decision::Keep(_)));
        // The same without a record is a program of his that nobody knows.
        let other = bound(VFIO, FactSource::BusOnly, true);
        let decision = prepare(&request(None, &[]), bob, &other);
        assert!(matches!(decision, Decision::Refuse(BdevError::InUse { .. })), "{decision:?}");
    }

    #[test]
    fn what_cannot_be_told_is_not_taken_for_unused() {
        let refused = |state: &NvmeState| match prepare(&request(None, &[]), ROOT, state) {
            Decision::Refuse(error) => error.code(),
            other => panic!("{other:?}"),
        };
        let mut untold = bound(VFIO, FactSource::RecordedAtPrepare, false);
        untold.controller.obstacles.push(Obstacle::UseUnknown { detail: "no /proc".to_owned() });
        assert_eq!(refused(&untold), 1495);
        assert_eq!(refused(&bound(KERNEL_DRIVER, FactSource::BusOnly, false)), 1495);
        assert_eq!(refused(&bound(KERNEL_DRIVER, FactSource::RecordedAtPrepare, false)), 1495);
        assert_eq!(refused(&bound("pciback", FactSource::BusOnly, false)), 1496);
        let mut unbound = bound(VFIO, FactSource::BusOnly, false);
        unbound.controller.driver = None;
        assert!(matches!(prepare(&request(None, &[]), ROOT, &unbound), Decision::Bind(VFIO)));
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
