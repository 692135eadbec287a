//! What may be done to one engine's SCM, and in which steps: pure rules over what was observed.
//!
//! Owns every refusal that can be decided without touching the host. [`plan`] takes values and returns a
//! value; an [`AcceptedScmPlan`] is the only thing a provider's `format` takes, and only [`ScmPlan::accept`]
//! makes one.

mod dcpm;
mod digest;
mod place;
mod provision;
mod ram;
mod readiness;
mod standing;
mod step;

pub(crate) use dcpm::has_dax;
pub use digest::{AcceptedScmPlan, PlanDigest, ScmPlan};
pub(crate) use provision::require_unused_device;
pub use provision::{
    AcceptedProvision, ProvisionDraft, ProvisionPlan, plan_provision, socket_state,
};
pub(crate) use ram::whole_pages;
pub(crate) use readiness::{mounted_instead, ram_readiness, readiness};
pub(crate) use standing::{remount, unmountable};
pub use step::ScmStep;

use serde::Serialize;

use crate::ScmError;
use crate::model::{Medium, ScmClass, ScmForm, ScmObserved, ScmTarget};

/// Name of the file an engine's identity is kept in (contract 5.2). An erase removes it first, so that
/// what is left of an interrupted one is never taken for formatted.
pub const SUPERBLOCK_NAME: &str = "superblock";

/// Name of the mark that an erase leaves in a directory until it is done.
pub const ERASE_MARK: &str = ".daos_scm_erase";

/// Label of the ext4 that a format makes (contract 7.3).
pub const LABEL: &str = "daos";

/// Data options of an ext4 mount on persistent memory (R125).
pub const DAX_OPTIONS: &str = "dax,nodelalloc";

/// The same on a loop device, which has no direct access.
pub const NO_DAX_OPTIONS: &str = "nodelalloc";

/// How far the one who asked wants to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Only what is blank, or mounted and empty.
    Plain,
    /// Also what holds data; never what is in use.
    Reformat,
}

/// What only the caller knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PlanFacts {
    /// The engine of this SCM runs.
    pub engine_running: bool,
    /// The caller found its superblock, readable or not, in the mount point.
    pub superblock_seen: bool,
    /// Names that count as nothing: what the caller itself wrote in a format that did not end. They stay
    /// where they are when the rest is adopted.
    pub leftovers: Vec<String>,
}

/// Decides what a format of `target` would do.
///
/// The caller first mounts what [`crate::ScmReadiness::Mountable`] says can be mounted, so that a device
/// which an interrupted format left empty is adopted instead of refused (W46).
///
/// # Errors
/// Every refusal, with the number of contract 10.2 where it has one; in the order of R127 and R128: the mount
/// point, the device, its uses, its content, what this process may do.
pub fn plan(
    target: &ScmTarget,
    observed: &ScmObserved,
    intent: Intent,
    facts: &PlanFacts,
) -> Result<ScmPlan, ScmError> {
    place::usable(&observed.at, target)?;
    let wish = Wish { target, intent, facts };
    let draft = match (target.class(), &observed.medium) {
        (ScmClass::Ram(spec), Medium::Ram(ram)) => ram::decide(wish, spec, &observed.at, ram)?,
        (ScmClass::Dcpm(spec), Medium::Dcpm(state)) => {
            dcpm::decide(wish, &spec.device, &observed.at, state)?
        }
        (ScmClass::Ram(_), Medium::Dcpm(_)) | (ScmClass::Dcpm(_), Medium::Ram(_)) => {
            let what = "observation and target are of different classes".to_owned();
            return Err(ScmError::Internal { what });
        }
    };
    ScmPlan::new(wish, observed, draft)
}

/// What is asked for; handed through the rules.
#[derive(Debug, Clone, Copy)]
struct Wish<'a> {
    target: &'a ScmTarget,
    intent: Intent,
    facts: &'a PlanFacts,
}

impl Wish<'_> {
    fn already_formatted(self, what: impl Into<String>) -> ScmError {
        ScmError::AlreadyFormatted {
            engine: self.target.engine_index(),
            mount_point: self.target.mount_point().to_owned(),
            what: what.into(),
        }
    }

    fn refuse_running(self) -> Result<(), ScmError> {
        if !self.facts.engine_running {
            return Ok(());
        }
        Err(ScmError::EngineRunning {
            engine: self.target.engine_index(),
            mount_point: self.target.mount_point().to_owned(),
        })
    }

    fn create_directory(self) -> ScmStep {
        ScmStep::CreateDirectory { path: self.target.mount_point().to_owned() }
    }

    fn own_and_verify(self) -> [ScmStep; 2] {
        let path = self.target.mount_point().to_owned();
        [
            ScmStep::SetOwner { path: path.clone(), owner: self.target.owner() },
            ScmStep::Verify { mount_point: path },
        ]
    }
}

/// What the rules of one class decided.
#[derive(Debug)]
struct Draft {
    form: ScmForm,
    identity: String,
    content: String,
    steps: Vec<ScmStep>,
    destroys: Vec<String>,
    notices: Vec<String>,
}
