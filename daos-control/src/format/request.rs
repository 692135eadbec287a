//! What is asked of a format, and why it may not be done at all.

use crate::fault::Fault;

/// What a client asks for. Nothing here is a permission: what is in use stays refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FormatRequest {
    /// Format every engine, also one that is formatted or holds something else (`--reformat`, `--force`, R130).
    /// Without it only blank storage and unfinished formats of our own are taken.
    pub reformat: bool,
    /// The engines that are formatted take the place of members that were lost (contract 6.4). Only valid when
    /// at least one engine needs a format.
    pub replace: bool,
}

/// Sent to an engine's task when it should look at its storage again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageReady {
    /// Index of the engine on this host.
    pub index: u32,
    /// As asked for in the request; only ever true with `formatted`.
    pub replace: bool,
    /// Whether its storage was formatted just now. False when it was found formatted already: an engine that
    /// waits goes on, one that was stopped stays stopped.
    pub formatted: bool,
}

/// Why no engine at all was planned or formatted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Another format runs on this host (W2, W4).
    #[error("another storage format is running on this host")]
    Busy,
    /// What would be done now is not what was shown.
    #[error("the storage of this host changed since the plan was made")]
    PlanChanged {
        /// Digest of the plan that was shown.
        shown: String,
        /// Digest of the plan as it would be now.
        now: String,
    },
    /// `replace` without an engine that needs a format (contract 7.4).
    #[error("no engine needs a format, so none can replace a lost member")]
    NothingToReplace,
    /// An engine has the storage that something else than a format is to be done with.
    #[error("engine {engine} has its storage: it is {doing}")]
    EngineBusy {
        /// Its index.
        engine: u32,
        /// What it does, e.g. `running`.
        doing: String,
    },
    /// The format ended without saying how: a defect of ours.
    #[error("the storage format broke off: {what}")]
    Broken {
        /// What is known.
        what: String,
    },
}

impl FormatError {
    /// Fault number.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Busy => 1240,
            Self::PlanChanged { .. } => 1241,
            Self::NothingToReplace => 1250,
            Self::Broken { .. } => 1254,
            Self::EngineBusy { .. } => 1455,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::Busy => "wait until it has ended, then ask again",
            Self::PlanChanged { .. } => "look at the new plan and apply that",
            Self::NothingToReplace => "format without --replace",
            Self::EngineBusy { .. } => "stop its rank with 'dmg system stop', then ask again",
            Self::Broken { .. } => "read the server's log, then format again",
        }
    }
}

impl From<&FormatError> for Fault {
    fn from(error: &FormatError) -> Self {
        let fault = Self::new("storage", error.code(), error.to_string(), error.resolution());
        match error {
            FormatError::PlanChanged { shown, now } => {
                fault.with_reason(format!("digest {shown} was shown, it would be {now} now"))
            }
            _ => fault,
        }
    }
}
