//! What is done with one engine, and the log line that says so.

use std::fmt;
use std::path::Path;

use super::StartFacts;
use crate::fault::{Fault, code};
use crate::format::Mark;

/// What to do with one engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartDecision {
    /// Start the engine: its storage is formatted.
    Start {
        /// The journal still holds the mark of a format that came to its end: remove it first.
        clear_mark: bool,
    },
    /// Mount, gather the facts again and decide again. A mount that fails is a fact of its own:
    /// [`ScmAtStart::Unknown`](super::ScmAtStart::Unknown).
    MountThenDecide(Mountable),
    /// Write a new superblock, then start the engine.
    CreateSuperblockThenStart,
    /// Wait until a format is asked for. Clients can see this state and its reason.
    WaitForFormat {
        /// Why.
        why: WaitReason,
    },
    /// This engine does not start and does not wait.
    Refuse {
        /// What to tell the administrator.
        fault: Fault,
    },
}

/// What can be mounted without destroying anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mountable {
    /// The file system that is on the device (C6).
    Device,
    /// A fresh tmpfs: what counts is on disk (contract 7.3).
    FreshRam,
    /// A fresh directory that stands for a tmpfs; likewise.
    FreshDirectory,
}

/// Why an engine waits for a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitReason {
    /// Nothing is mounted and nothing can be.
    NotMounted,
    /// The device holds something that is not ours.
    DeviceForeign {
        /// What, in words.
        found: String,
    },
    /// The device does not exist.
    DeviceMissing,
    /// Mounted, empty, no superblock: a plain format adopts it.
    NoSuperblock,
    /// Mounted, not empty, no superblock: only reformat takes it.
    ContentsWithoutSuperblock {
        /// Some of the names found.
        entries: Vec<String>,
    },
    /// There is a superblock that cannot be read; it is kept (W13).
    SuperblockUnreadable {
        /// What is wrong.
        fault: Fault,
    },
    /// Control metadata has to be made.
    MetadataMissing {
        /// What is missing.
        why: String,
    },
    /// An earlier format did not come to its end: the state of the storage is unknown.
    Interrupted {
        /// Its mark, when that can be read.
        mark: Option<Mark>,
    },
    /// The system was erased, or the format reset: what is there is our own.
    Reset,
    /// The state could not be found out.
    CheckFailed {
        /// Why not.
        why: String,
    },
}

impl WaitReason {
    /// What has to be formatted, as events name it (contract 7.3).
    #[must_use]
    pub fn medium(&self) -> &'static str {
        match self {
            Self::NotMounted
            | Self::DeviceForeign { .. }
            | Self::DeviceMissing
            | Self::CheckFailed { .. }
            | Self::Interrupted { .. } => "SCM",
            Self::NoSuperblock
            | Self::ContentsWithoutSuperblock { .. }
            | Self::SuperblockUnreadable { .. }
            | Self::MetadataMissing { .. }
            | Self::Reset => "Metadata",
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMounted => f.write_str("SCM is not mounted"),
            Self::DeviceForeign { found } => write!(f, "the SCM device holds {found}"),
            Self::DeviceMissing => f.write_str("the SCM device does not exist"),
            Self::NoSuperblock => f.write_str("SCM is mounted, empty, and has no superblock"),
            Self::ContentsWithoutSuperblock { entries } => {
                write!(f, "SCM is mounted without a superblock and holds {}", entries.join(", "))
            }
            Self::SuperblockUnreadable { fault } => write!(f, "{}", fault.description),
            Self::MetadataMissing { why } => write!(f, "control metadata is not formatted: {why}"),
            Self::Interrupted { mark: Some(_) } => f.write_str(
                "the state of the storage is unknown, because a format did not come to its end",
            ),
            Self::Interrupted { mark: None } => f.write_str(
                "the state of the storage is unknown, because the format mark is unreadable",
            ),
            Self::Reset => f.write_str("the format was reset"),
            Self::CheckFailed { why } => write!(f, "SCM could not be checked: {why}"),
        }
    }
}

impl StartDecision {
    /// The line for the log, with the key words of the older design (R148).
    #[must_use]
    pub fn log_line(&self, facts: &StartFacts) -> String {
        let index = facts.index;
        let mount = facts.scm_mount.display();
        match self {
            Self::Start { .. } => format!("server {index} has already been formatted"),
            Self::MountThenDecide(Mountable::Device) => {
                format!("mounting SCM of server {index} at {mount}")
            }
            Self::MountThenDecide(Mountable::FreshRam | Mountable::FreshDirectory) => {
                format!(
                    "making RAM-backed SCM of server {index} anew at {mount}, metadata is on disk"
                )
            }
            Self::CreateSuperblockThenStart => format!(
                "format server {mount} (createMS={} bootstrapMS={})",
                facts.roles.create, facts.roles.bootstrap
            ),
            Self::WaitForFormat { why } => waiting_line(index, why),
            Self::Refuse { fault } => fault.description.clone(),
        }
    }
}

/// The line that says that an engine waits (R119), for the log and for standard output.
#[must_use]
pub fn waiting_line(index: u32, why: &WaitReason) -> String {
    format!("waiting for storage format on server {index}: {why}")
}

/// D5: nothing is mounted and this process may not mount.
pub(super) fn not_mounted(index: u32, mount: &Path, detail: &str) -> StartDecision {
    StartDecision::Refuse {
        fault: Fault::new(
            "storage",
            1247,
            format!("server {index} scm mount path {} not mounted{detail}", mount.display()),
            "mount a tmpfs there, or choose a path in a tmpfs whose directory is absent or empty, or start \
             the server with the right to mount",
        ),
    }
}

/// The mount is not what the configuration names: its superblock says nothing about what is configured.
pub(super) fn other_mounted(index: u32, found: &str) -> StartDecision {
    StartDecision::Refuse {
        fault: Fault::new(
            "storage",
            code::SCM_NOT_AS_CONFIGURED,
            format!("engine {index} is not started: {found}"),
            "correct class, scm_list or scm_mount in the configuration; if the configuration is right, unmount what is there; then \
             restart the server. Format nothing before the right device is known",
        ),
    }
}

/// A directory that should stand for a tmpfs but holds something else.
pub(super) fn holds_something_else(index: u32, mount: &Path, entries: &[String]) -> StartDecision {
    StartDecision::Refuse {
        fault: Fault::new(
            "storage",
            1248,
            format!(
                "server {index} scm mount path {} has no superblock and is not empty, it holds {}",
                mount.display(),
                entries.join(", ")
            ),
            "empty it or choose another scm_mount; --recreate-superblocks takes what is mounted as it is",
        ),
    }
}

/// C12: superblocks are to be made anew, but there is nothing mounted to write them to.
pub(super) fn nothing_to_recreate_on(index: u32, mount: &Path) -> StartDecision {
    StartDecision::Refuse {
        fault: Fault::new(
            "server",
            601,
            format!("server {index} SCM mount point {} is unavailable", mount.display()),
            "start without --recreate-superblocks and format the storage",
        ),
    }
}
