//! Decides what a format does to each engine of this host. Pure: observations in, plan out.
//!
//! Called by `service`; carried out by `execute`, which takes only a plan that was accepted. The rules of single
//! devices are those of the storage libraries; here are the rules that span them.

use std::collections::BTreeMap;

use daos_storage_nvme::{BdevPlan, Verdict as DeviceVerdict};
use daos_storage_scm::{PlanFacts, ScmError, ScmPlan};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::observe::{EngineObserved, LEFTOVERS};
use super::report::StorageMedium;
use super::targets::{EngineTarget, FormatTargets};
use super::{
    FormatError, FormatRequest, Mark, MarkKind, MarkState, MetadataPlan, faults, metadata,
};
use crate::fault::Fault;
use crate::superblock::SuperblockState;

/// What a format of this host would do.
#[derive(Debug)]
pub struct FormatPlan {
    /// What was asked for.
    pub request: FormatRequest,
    /// One entry per engine, in the order of their index.
    pub engines: Vec<EnginePlan>,
    digest: String,
}

/// What a format would do to one engine.
#[derive(Debug)]
pub struct EnginePlan {
    /// Index of the engine on this host.
    pub index: u32,
    /// Whether it is formatted.
    pub verdict: Verdict,
    /// Its storage, row by row, for people.
    pub devices: Vec<DevicePlan>,
    /// The system database lies on this engine's storage and goes with it.
    pub system_lost: bool,
}

/// Whether an engine is formatted.
#[derive(Debug)]
pub enum Verdict {
    /// It is; single block devices may still be refused, see [`EnginePlan::devices`].
    Format(Box<EngineWork>),
    /// It was formatted before and stays as it is (fault 101).
    AlreadyFormatted(Fault),
    /// It is not, and nothing of it is touched.
    Refused(Fault),
}

impl Verdict {
    /// Stable lower-case name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Format(_) => "format",
            Self::AlreadyFormatted(_) => "already_formatted",
            Self::Refused(_) => "refused",
        }
    }

    /// Why it is not formatted.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Format(_) => None,
            Self::AlreadyFormatted(fault) | Self::Refused(fault) => Some(fault),
        }
    }
}

/// The plans that make up the format of one engine.
#[derive(Debug)]
pub struct EngineWork {
    /// Its SCM.
    pub scm: ScmPlan,
    /// Its block devices; `None` when it has none.
    pub bdev: Option<BdevPlan>,
    /// Its control metadata; `None` when the configuration has none.
    pub metadata: Option<MetadataPlan>,
}

/// One row of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePlan {
    /// What kind of storage it is.
    pub medium: StorageMedium,
    /// Mount point, directory, device path, file or PCI address.
    pub device: String,
    /// What names the physical thing.
    pub identity: String,
    /// What is on it now, in words; empty when nothing is known to be.
    pub content: String,
    /// What will happen, in order; empty when nothing does.
    pub steps: Vec<String>,
    /// What will be lost, in words; empty when nothing is.
    pub losses: Vec<String>,
    /// Why this row is left alone while others of the engine are not.
    pub refused: Option<Fault>,
    /// Roles of a block device; 0 for everything else.
    pub role_bits: u8,
}

impl DevicePlan {
    /// Whether anything that exists is lost.
    #[must_use]
    pub fn destroys(&self) -> bool {
        !self.losses.is_empty()
    }
}

impl FormatPlan {
    /// SHA-256 over everything that would be done and what it was decided on, in hexadecimal; empty when there is
    /// nothing to do. Equal plans have equal digests.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether applying it loses anything: a signature, a format of our own, a non-empty file, the system.
    #[must_use]
    pub fn destroys(&self) -> bool {
        self.engines.iter().any(|engine| {
            engine.system_lost
                || (matches!(engine.verdict, Verdict::Format(_))
                    && engine.devices.iter().any(DevicePlan::destroys))
        })
    }

    /// Turns the plan into what `execute` takes. `shown` is the digest that an administrator decided on; `None`
    /// stands for a plain request of a client that sees no plans, which takes the plan as the server makes it.
    ///
    /// # Errors
    /// [`FormatError::PlanChanged`].
    pub fn accept(self, shown: Option<&str>) -> Result<AcceptedFormat, FormatError> {
        match shown {
            Some(shown) if shown != self.digest => {
                Err(FormatError::PlanChanged { shown: shown.to_owned(), now: self.digest })
            }
            _ => Ok(AcceptedFormat { plan: self }),
        }
    }
}

/// A plan that was accepted. Holding one is the proof that this format was decided on.
#[derive(Debug)]
pub struct AcceptedFormat {
    plan: FormatPlan,
}

impl AcceptedFormat {
    pub(super) fn into_plan(self) -> FormatPlan {
        self.plan
    }
}

/// Decides for each engine of this host.
///
/// `in_use` has the engines whose storage could not be taken, each with what it is doing.
///
/// # Errors
/// [`FormatError::NothingToReplace`].
pub fn plan(
    targets: &FormatTargets,
    observed: &BTreeMap<u32, EngineObserved>,
    in_use: &BTreeMap<u32, String>,
    request: FormatRequest,
) -> Result<FormatPlan, FormatError> {
    let engines: Vec<EnginePlan> = targets
        .engines
        .iter()
        .map(|target| match observed.get(&target.index()) {
            Some(seen) => plan_engine(target, seen, in_use.get(&target.index()), request),
            None => refused(target.index(), faults::broken("the engine was not looked at")),
        })
        .collect();
    let unformatted = |engine: &EnginePlan| !matches!(engine.verdict, Verdict::AlreadyFormatted(_));
    if request.replace && !engines.iter().any(unformatted) {
        return Err(FormatError::NothingToReplace);
    }
    let digest = digest(request, &engines);
    Ok(FormatPlan { request, engines, digest })
}

fn refused(index: u32, fault: Fault) -> EnginePlan {
    EnginePlan { index, verdict: Verdict::Refused(fault), devices: Vec::new(), system_lost: false }
}

fn plan_engine(
    target: &EngineTarget,
    seen: &EngineObserved,
    in_use: Option<&String>,
    request: FormatRequest,
) -> EnginePlan {
    let index = target.index();
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
    let devices = rows(target, &work);
    let verdict = match keeps_a_whole_engine(index, seen, &devices) {
        Some(fault) => Verdict::Refused(fault),
        None => Verdict::Format(Box::new(work)),
    };
    EnginePlan { index, verdict, devices, system_lost }
}

/// What is decided before any plan of a device is made.
fn settled(
    target: &EngineTarget,
    seen: &EngineObserved,
    in_use: Option<&String>,
    request: FormatRequest,
) -> Option<Verdict> {
    let index = target.index();
    let path = target.home.superblock();
    match &seen.files.superblock {
        SuperblockState::Readable(superblock) if !request.reformat && !is_unsettled(seen) => {
            return Some(Verdict::AlreadyFormatted(faults::already_formatted(
                index,
                target.scm.mount_point(),
                superblock.uuid,
            )));
        }
        // In use comes first: what is wrong with its files is then not ours to judge.
        _ if in_use.is_some() => {}
        SuperblockState::Unreadable(error) if !request.reformat => {
            return Some(Verdict::Refused(error.to_fault(&path)));
        }
        _ => {}
    }
    in_use.map(|doing| Verdict::Refused(faults::running(index, doing)))
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
        let mark = match &seen.files.mark {
            MarkState::Marked(mark) => Some(mark),
            MarkState::Clear | MarkState::Unreadable(_) => None,
        };
        let was_reset = mark.is_some_and(|mark| mark.kind == MarkKind::Reset);
        // A reset took only the superblock away: what is left is our own format, which a plain request may take.
        let intent = if request.reformat || was_reset {
            daos_storage_scm::Intent::Reformat
        } else {
            daos_storage_scm::Intent::Plain
        };
        let superblock = !matches!(seen.files.superblock, SuperblockState::Missing);
        let given_up = mark.is_some_and(|mark| gave_up(mark, target));
        let reformat = intent == daos_storage_scm::Intent::Reformat;
        Self { intent, known_to_be_ours: superblock || (reformat && (was_reset || given_up)) }
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
    let observed = seen.scm.as_ref().map_err(|error| ScmFault::refused(error))?;
    let facts = PlanFacts {
        engine_running: false,
        superblock_seen: history.known_to_be_ours,
        leftovers: LEFTOVERS.map(str::to_owned).to_vec(),
    };
    daos_storage_scm::plan(&target.scm, observed, history.intent, &facts).map_err(|error| {
        match error {
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

fn rows(target: &EngineTarget, work: &EngineWork) -> Vec<DevicePlan> {
    let mut rows = Vec::new();
    if let Some(metadata) = &work.metadata {
        rows.push(metadata_row(metadata));
    }
    rows.push(scm_row(target, &work.scm));
    if let Some(bdev) = &work.bdev {
        rows.extend(bdev.devices().iter().map(bdev_row));
    }
    rows
}

fn metadata_row(plan: &MetadataPlan) -> DevicePlan {
    let removed = plan.remove_files.iter().chain(&plan.remove_system);
    DevicePlan {
        medium: StorageMedium::Metadata,
        device: plan.directory.display().to_string(),
        identity: String::new(),
        content: plan.content.join(", "),
        steps: plan.steps(),
        losses: removed.map(|path| path.display().to_string()).collect(),
        refused: None,
        role_bits: 0,
    }
}

fn scm_row(target: &EngineTarget, plan: &ScmPlan) -> DevicePlan {
    DevicePlan {
        medium: StorageMedium::Scm,
        device: target.scm.mount_point().display().to_string(),
        identity: plan.identity().to_owned(),
        content: plan.content().to_owned(),
        steps: plan.steps().iter().map(ToString::to_string).collect(),
        losses: plan.destroys().to_vec(),
        refused: None,
        role_bits: 0,
    }
}

fn bdev_row(plan: &daos_storage_nvme::DevicePlan) -> DevicePlan {
    let row = plan.row();
    let refused = match plan.verdict() {
        DeviceVerdict::Refused(error) => Some(faults::of_bdev(error)),
        DeviceVerdict::Proceed { .. } | DeviceVerdict::Skip(_) => None,
    };
    let losses = match row.destroys {
        true => vec![format!("content of {}: {}", row.device, row.content)],
        false => Vec::new(),
    };
    DevicePlan {
        medium: StorageMedium::Nvme,
        device: row.device,
        identity: row.identity,
        content: row.content,
        steps: row.steps,
        losses,
        refused,
        role_bits: row.role_bits,
    }
}

/// What the digest covers: the request and, for each engine that is formatted, the plans of its storage.
#[derive(Serialize)]
struct Canonical<'a> {
    schema: &'static str,
    reformat: bool,
    replace: bool,
    engines: Vec<CanonicalEngine<'a>>,
}

#[derive(Serialize)]
struct CanonicalEngine<'a> {
    index: u32,
    scm: &'a str,
    bdev: Option<String>,
    metadata: Option<&'a MetadataPlan>,
    system_lost: bool,
}

fn digest(request: FormatRequest, engines: &[EnginePlan]) -> String {
    let engines: Vec<CanonicalEngine<'_>> = engines
        .iter()
        .filter_map(|engine| match &engine.verdict {
            Verdict::Format(work) => Some(CanonicalEngine {
                index: engine.index,
                scm: work.scm.digest().as_str(),
                bdev: work.bdev.as_ref().map(|plan| plan.digest().as_str().to_owned()),
                metadata: work.metadata.as_ref(),
                system_lost: engine.system_lost,
            }),
            Verdict::AlreadyFormatted(_) | Verdict::Refused(_) => None,
        })
        .collect();
    if engines.is_empty() {
        return String::new();
    }
    let canonical = Canonical {
        schema: "daos-format-plan/1",
        reformat: request.reformat,
        replace: request.replace,
        engines,
    };
    let mut hasher = Sha256::new();
    match serde_json::to_vec(&canonical) {
        Ok(bytes) => hasher.update(bytes),
        // Only paths that are not UTF-8 cannot be serialised; their debug form tells them apart as well.
        Err(_) => canonical.engines.iter().for_each(|engine| {
            hasher.update(format!("{:?} {:?} {:?}", engine.scm, engine.bdev, engine.metadata));
        }),
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
