//! What a format does to each engine of this host, as a value: shown, digested, accepted.
//!
//! Called by `service`; carried out by `execute`, which takes only a plan that was accepted. The rules of single
//! devices are those of the storage libraries; `engine` has the rules that span them, `memory` those that span
//! engines, `rows` and `digest` what people and machines compare. All of it is pure: observations in, plan out.

mod digest;
mod engine;
mod memory;
mod rows;

use std::collections::BTreeMap;

use daos_storage_nvme::BdevPlan;
use daos_storage_scm::ScmPlan;

use super::observe::EngineObserved;
use super::report::StorageMedium;
use super::targets::FormatTargets;
use super::{FormatError, FormatRequest, MetadataPlan, faults};
use crate::fault::Fault;

/// What a format of this host would do.
#[derive(Debug)]
pub struct FormatPlan {
    /// What was asked for.
    pub request: FormatRequest,
    /// One entry per engine, in the order of their index.
    pub engines: Vec<EnginePlan>,
    /// What an administrator should know besides.
    pub notices: Vec<String>,
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
    pub(in crate::format) fn into_plan(self) -> FormatPlan {
        self.plan
    }
}

/// What was seen of the host as a whole.
#[derive(Debug, Default)]
pub struct HostObserved {
    /// Every engine's storage.
    pub engines: BTreeMap<u32, EngineObserved>,
    /// Engines whose storage could not be taken, each with what it is doing.
    pub in_use: BTreeMap<u32, String>,
    /// Memory available to new RAM disks, in bytes; `None` when it cannot be told.
    pub available_memory: Option<u64>,
}

/// Decides for each engine of this host.
///
/// # Errors
/// [`FormatError::NothingToReplace`].
pub fn plan(
    targets: &FormatTargets,
    host: &HostObserved,
    request: FormatRequest,
) -> Result<FormatPlan, FormatError> {
    let mut engines: Vec<EnginePlan> = targets
        .engines
        .iter()
        .map(|target| match host.engines.get(&target.index()) {
            Some(seen) => {
                let in_use = host.in_use.get(&target.index());
                let plan = engine::plan_engine(target, seen, in_use, request);
                engine::naming_the_lost(plan, seen, &targets.system)
            }
            None => engine::refused(target.index(), faults::broken("the engine was not looked at")),
        })
        .collect();
    let notices = memory::check(&mut engines, host.available_memory, targets.low_memory_refuses);
    let unformatted = |engine: &EnginePlan| !matches!(engine.verdict, Verdict::AlreadyFormatted(_));
    if request.replace && !engines.iter().any(unformatted) {
        return Err(FormatError::NothingToReplace);
    }
    let digest = digest::digest(request, &engines);
    Ok(FormatPlan { request, engines, notices, digest })
}
