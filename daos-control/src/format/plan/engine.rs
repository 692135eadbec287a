//! The rules for one engine: whether it is formatted at all, and how far its storage may be taken.

use daos_storage_nvme::BdevPlan;
use daos_storage_scm::{PlanFacts, ScmError, ScmPlan};

use super::{DevicePlan, EnginePlan, EngineWork, Verdict, rows};
use crate::fault::Fault;
use crate::format::observe::EngineObserved;
use crate::format::report::StorageMedium;
use crate::format::targets::EngineTarget;
use crate::format::{FormatRequest, Mark, MarkState, MetadataPlan, elsewhere, faults, metadata};
use crate::superblock::{EngineHome, SuperblockState};

pub(super) fn refused(index: u32, fault: Fault) -> EnginePlan {
    EnginePlan { index, verdict: Verdict::Refused(fault), devices: Vec::new(), system_lost: false }
}

pub(super) fn plan_engine(
    target: &EngineTarget,
    seen: &EngineObserved,
    in_use: Option<&String>,
    request: FormatRequest,
) -> EnginePlan {
    let index = target.index();
    if let Some(error) = mounted_instead(target, seen)
        && in_use.is_none()
    {
        return not_formatted(target, &ScmFault::refused(&error));
    }
    if let Some(verdict) = settled(target, seen, in_use, request) {
        return EnginePlan { index, verdict, devices: Vec::new(), system_lost: false };
    }
    let history = History::of(target, seen, request);
    let scm = match plan_scm(target, seen, &history) {
        Ok(scm) => scm,
        Err(error) => return not_formatted(target, &error),
    };
    let bdev = match plan_bdev(target, seen, request) {
        Ok(bdev) => bdev,
        Err(fault) => return refused(index, fault),
    };
    let loses_mount = !scm.destroys().is_empty() && !target.home.is_on_disk();
    let system_lost =
        seen.files.holds_system && (loses_mount || (target.home.is_on_disk() && request.reformat));
    let metadata = match plan_metadata(target, seen, system_lost) {
        Ok(metadata) => metadata,
        Err(fault) => return refused(index, fault),
    };
    let work = EngineWork { scm, bdev, metadata };
    let devices = rows::rows(target, &work);
    let verdict = match keeps_a_whole_engine(index, seen, &devices) {
        Some(fault) => Verdict::Refused(fault),
        None => Verdict::Format(Box::new(work)),
    };
    EnginePlan { index, verdict, devices, system_lost }
}

/// Says in the row of what holds the superblock that an engine of another system would be lost with it.
pub(super) fn naming_the_lost(
    mut plan: EnginePlan,
    seen: &EngineObserved,
    system: &str,
) -> EnginePlan {
    let superblock = seen.files.superblock.readable();
    let lost = superblock.and_then(|superblock| elsewhere::other_system(superblock, system));
    if let (Some(lost), Verdict::Format(_), Some(row)) =
        (lost, &plan.verdict, plan.devices.iter_mut().find(|row| row.destroys()))
    {
        let content = std::mem::take(&mut row.content);
        let and = if content.is_empty() { "" } else { "; " };
        row.content = format!("{content}{and}an engine of {lost}");
    }
    plan
}

/// A superblock on another file system than the configured one does not say that the engine is formatted.
fn mounted_instead(target: &EngineTarget, seen: &EngineObserved) -> Option<ScmError> {
    seen.scm.as_ref().ok()?.mounted_instead(&target.scm)
}

/// What is decided before any plan of a device is made.
fn settled(
    target: &EngineTarget,
    seen: &EngineObserved,
    in_use: Option<&String>,
    request: FormatRequest,
) -> Option<Verdict> {
    let index = target.index();
    let unsettled = is_unsettled(seen);
    match (&seen.files.superblock, in_use) {
        (SuperblockState::Readable(superblock), _) if !request.reformat && !unsettled => {
            let mount = target.scm.mount_point();
            let fault = faults::already_formatted(index, mount, superblock.uuid);
            Some(Verdict::AlreadyFormatted(fault))
        }
        (_, Some(doing)) => Some(Verdict::Refused(faults::running(index, doing))),
        // A superblock that is not the one a marked format ends with proves nothing.
        (SuperblockState::Readable(_), None) if !request.reformat => {
            Some(Verdict::Refused(faults::unknown_state(index)))
        }
        (SuperblockState::Unreadable(error), None) if !request.reformat => {
            Some(Verdict::Refused(error.to_fault(&target.home.superblock())))
        }
        _ => None,
    }
}

/// Whether the journal knows of an operation that did not come to its end.
fn is_unsettled(seen: &EngineObserved) -> bool {
    match &seen.files.mark {
        MarkState::Clear => false,
        MarkState::Unreadable(_) => true,
        MarkState::Marked(mark) => !mark.is_settled_by(seen.files.superblock.readable()),
    }
}

/// How far the SCM of an engine may be taken, and what is known of what is on it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct History {
    intent: daos_storage_scm::Intent,
    /// What is in the mount point is our own, as far as this server knows.
    known_to_be_ours: bool,
}

impl History {
    fn of(target: &EngineTarget, seen: &EngineObserved, request: FormatRequest) -> Self {
        // A reset set only the superblock aside: what is beside it is our own, which a plain request may take. Files
        // on disk prove nothing about what is at the mount point today.
        let on_mount = !target.home.is_on_disk();
        let was_reset = on_mount && seen.files.was_reset;
        let superblock = on_mount && !matches!(seen.files.superblock, SuperblockState::Missing);
        let given_up = match &seen.files.mark {
            MarkState::Marked(mark) => request.reformat && gave_up(mark, target),
            MarkState::Clear | MarkState::Unreadable(_) => false,
        };
        let intent = match request.reformat || was_reset {
            true => daos_storage_scm::Intent::Reformat,
            false => daos_storage_scm::Intent::Plain,
        };
        Self { intent, known_to_be_ours: superblock || was_reset || given_up }
    }
}

/// Whether an accepted format was about to destroy what is at this engine's mount point.
fn gave_up(mark: &Mark, target: &EngineTarget) -> bool {
    let mount = target.scm.mount_point().display().to_string();
    mark.targets.iter().any(|known| {
        known.destroys && known.medium == StorageMedium::Scm.name() && known.device == mount
    })
}

fn plan_scm(
    target: &EngineTarget,
    seen: &EngineObserved,
    history: &History,
) -> Result<ScmPlan, ScmFault> {
    let observed = seen.scm.as_ref().map_err(ScmFault::refused)?;
    let facts = PlanFacts {
        engine_running: false,
        superblock_seen: history.known_to_be_ours,
        leftovers: EngineHome::leftovers(),
    };
    daos_storage_scm::plan(&target.scm, observed, history.intent, &facts).map_err(|error| {
        match error {
            ScmError::AlreadyFormatted { .. } if is_unsettled(seen) => {
                let fault = faults::unknown_state(target.index()).with_reason(&error);
                ScmFault { already_formatted: false, fault }
            }
            ScmError::AlreadyFormatted { .. } => ScmFault::already_formatted(&error),
            _ => ScmFault::refused(&error),
        }
    })
}

/// An SCM that is not formatted.
struct ScmFault {
    already_formatted: bool,
    fault: Fault,
}

impl ScmFault {
    fn refused(error: &ScmError) -> Self {
        Self { already_formatted: false, fault: faults::of_scm(error) }
    }

    fn already_formatted(error: &ScmError) -> Self {
        Self { already_formatted: true, fault: faults::of_scm(error) }
    }
}

fn not_formatted(target: &EngineTarget, error: &ScmFault) -> EnginePlan {
    let fault = error.fault.clone();
    let row = DevicePlan {
        medium: StorageMedium::Scm,
        device: target.scm.mount_point().display().to_string(),
        identity: String::new(),
        content: String::new(),
        steps: Vec::new(),
        losses: Vec::new(),
        refused: Some(fault.clone()),
        role_bits: 0,
    };
    let verdict = match error.already_formatted {
        true => Verdict::AlreadyFormatted(fault),
        false => Verdict::Refused(fault),
    };
    EnginePlan { index: target.index(), verdict, devices: vec![row], system_lost: false }
}

fn plan_bdev(
    target: &EngineTarget,
    seen: &EngineObserved,
    request: FormatRequest,
) -> Result<Option<BdevPlan>, Fault> {
    if target.bdev.tiers.is_empty() {
        return Ok(None);
    }
    let intent = match request.reformat {
        true => daos_storage_nvme::Intent::Reformat,
        false => daos_storage_nvme::Intent::Plain,
    };
    daos_storage_nvme::plan(&target.bdev, &seen.bdev, intent)
        .map(Some)
        .map_err(|error| faults::of_bdev(&error))
}

fn plan_metadata(
    target: &EngineTarget,
    seen: &EngineObserved,
    system_lost: bool,
) -> Result<Option<MetadataPlan>, Fault> {
    let Some(observed) = &seen.files.metadata else { return Ok(None) };
    metadata::plan(&target.home, observed, system_lost).map(Some).map_err(|error| (&error).into())
}

/// A formatted engine is not given up for a format which the plan already knows cannot be completed.
fn keeps_a_whole_engine(
    index: u32,
    seen: &EngineObserved,
    devices: &[DevicePlan],
) -> Option<Fault> {
    seen.files.superblock.readable().filter(|_| !is_unsettled(seen))?;
    let bad = devices.iter().find_map(|row| row.refused.as_ref().map(|fault| (row, fault)))?;
    Some(faults::would_not_complete(index, &bad.0.device, bad.1))
}

#[cfg(test)]
#[path = "engine_test.rs"]
mod tests;
