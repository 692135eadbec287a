//! What a format or a start would refuse of the storage as it is, told without one: for preflight.
//!
//! Looks as a plan does and asks the very same rules. Nobody holds the storage meanwhile, so that a running engine is not
//! disturbed: of what is formatted only that is told which keeps an engine from starting. Must not know findings.

use daos_storage_nvme::blockdev::DeviceUse;
use daos_storage_nvme::{
    BdevClass, BdevError, BdevProvider, DevicePlan, Intent, Verdict as DeviceVerdict,
};
use daos_storage_scm::{PlanFacts, ScmError, ScmProvider};

use super::observe::{EngineObserved, observe};
use super::plan::{EnginePlan, HostObserved, Verdict, plan};
use super::report::StorageMedium;
use super::targets::{EngineTarget, FormatTargets};
use super::{FormatRequest, Journal, faults};
use crate::fault::{Fault, code};
use crate::superblock::EngineHome;

/// What is to be expected of one engine's storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreseen {
    /// Index of the engine on this host.
    pub engine: u32,
    /// Where its SCM is mounted.
    pub scm_mount: String,
    /// It is formatted.
    pub formatted: bool,
    /// What would be refused, device by device.
    pub refusals: Vec<Refusal>,
}

/// One device that would be refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of storage.
    pub medium: StorageMedium,
    /// Mount point, path or PCI address.
    pub device: String,
    /// Why.
    pub fault: Fault,
    /// `--reformat` would take it and lose what is on it.
    pub until_reformat: bool,
}

/// Looks at every engine of `targets` and tells what a format, or the start of what is formatted, would refuse. Changes nothing.
pub async fn foresee(
    targets: &FormatTargets,
    scm: &dyn ScmProvider,
    bdev: &dyn BdevProvider,
    journal: &Journal,
) -> Vec<Foreseen> {
    let engines: Vec<&EngineTarget> = targets.engines.iter().collect();
    let engines = observe(&engines, scm, bdev, journal).await;
    let host = HostObserved { engines, ..HostObserved::default() };
    let planned = |reformat| {
        let request = FormatRequest { reformat, replace: false };
        plan(targets, &host, request).map(|plan| plan.engines).unwrap_or_default()
    };
    let (plain, reformat) = (planned(false), planned(true));
    let pairs = targets.engines.iter().zip(plain.iter().zip(&reformat));
    pairs
        .filter_map(|(target, plans)| {
            Some(of_engine(target, host.engines.get(&target.index())?, plans))
        })
        .collect()
}

fn of_engine(
    target: &EngineTarget,
    seen: &EngineObserved,
    (plain, reformat): (&EnginePlan, &EnginePlan),
) -> Foreseen {
    let scm_mount = target.scm.mount_point().display().to_string();
    let formatted = matches!(plain.verdict, Verdict::AlreadyFormatted(_));
    let mut refusals = Vec::new();
    if let Verdict::Refused(fault) = &plain.verdict {
        let until_reformat = !matches!(reformat.verdict, Verdict::Refused(_));
        let medium = StorageMedium::Scm;
        let (device, fault) = (scm_mount.clone(), fault.clone());
        refusals.push(Refusal { medium, device, fault, until_reformat });
    }
    if formatted && let Some(fault) = is_not_its_scm(target, seen) {
        let (medium, device) = (StorageMedium::Scm, scm_mount.clone());
        refusals.push(Refusal { medium, device, fault, until_reformat: false });
    }
    refusals.extend(bdev_refusals(target, seen, formatted));
    Foreseen { engine: target.index(), scm_mount, formatted, refusals }
}

/// Something else than the configured SCM is mounted in its place, or it somewhere else.
fn is_not_its_scm(target: &EngineTarget, seen: &EngineObserved) -> Option<Fault> {
    let observed = seen.scm.as_ref().ok()?;
    let facts = PlanFacts {
        superblock_seen: true,
        leftovers: EngineHome::leftovers(),
        ..PlanFacts::default()
    };
    let intent = daos_storage_scm::Intent::Reformat;
    match daos_storage_scm::plan(&target.scm, observed, intent, &facts) {
        Err(
            error @ (ScmError::TargetMounted { .. }
            | ScmError::DeviceMounted { .. }
            | ScmError::NotABlockDevice { .. }),
        ) => Some(faults::of_scm(&error)),
        _ => None,
    }
}

fn bdev_refusals(target: &EngineTarget, seen: &EngineObserved, formatted: bool) -> Vec<Refusal> {
    let planned = |intent| daos_storage_nvme::plan(&target.bdev, &seen.bdev, intent);
    // Without any tier there is nothing to plan.
    let (Ok(plain), Ok(reformat)) = (planned(Intent::Plain), planned(Intent::Reformat)) else {
        return Vec::new();
    };
    let mut refusals = Vec::new();
    for (plain, reformat) in plain.devices().iter().zip(reformat.devices()) {
        let in_the_way = match formatted {
            true => refused(reformat).filter(keeps_from_start),
            false => refused(plain),
        };
        let has_rules = |error: &BdevError| {
            formatted || matches!(error.code(), code::BDEV_NOT_FOUND | code::BDEV_IN_USE)
        };
        // Whether controllers are there, free and open to this user is asked by rules of their own.
        let is_controller = plain.device().class == BdevClass::Nvme;
        let Some(error) = in_the_way.filter(|error| !(is_controller && has_rules(error))) else {
            continue;
        };
        refusals.push(Refusal {
            medium: StorageMedium::Nvme,
            device: plain.device().name.clone(),
            fault: faults::of_bdev(error),
            until_reformat: refused(reformat).is_none(),
        });
    }
    refusals
}

fn refused(plan: &DevicePlan) -> Option<&BdevError> {
    match plan.verdict() {
        DeviceVerdict::Refused(error) => Some(error),
        DeviceVerdict::Proceed { .. } | DeviceVerdict::Skip(_) => None,
    }
}

/// What an engine that is formatted cannot do with. A process that has its device open may be the engine itself.
fn keeps_from_start(error: &&BdevError) -> bool {
    match error {
        BdevError::InUse { uses, .. } => {
            uses.iter().any(|by| !matches!(by, DeviceUse::OpenBy(_) | DeviceUse::BusyExclusive))
        }
        _ => true,
    }
}
