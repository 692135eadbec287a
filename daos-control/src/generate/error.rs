//! Why there is no proposal (faults 1485 to 1489).

use std::path::PathBuf;

use super::choose::Refusal;
use crate::fault::{Fault, code};

/// No proposal, and why.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// A wish that no host could fulfil, or two that cannot be together.
    #[error("{option}: {problem}")]
    BadOption {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// No host has an interface of the kind asked for.
    #[error("no host has a fabric interface {wanted}; there are {found}")]
    NoInterface {
        /// What was asked for, in words.
        wanted: String,
        /// What there is, in words.
        found: String,
    },
    /// No host can have an engine.
    #[error("no host can have an engine: {}", .reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoEngine {
        /// Why, for each host.
        reasons: Vec<Refusal>,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
}

impl GenerateError {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::BadOption { .. } => code::GENERATE_BAD_OPTION,
            Self::NoInterface { .. } => code::GENERATE_NO_INTERFACE,
            Self::NoEngine { .. } => code::GENERATE_NO_ENGINE,
            Self::Unwritable { .. } | Self::Exists { .. } => code::GENERATE_UNWRITABLE,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::BadOption { .. } => "change the option that is named",
            Self::NoInterface { .. } => {
                "see 'network scan --all' for what there is, or change --net-class, --net-provider or --net-ifaces"
            }
            Self::NoEngine { .. } => {
                "give the NUMA node what it lacks, or ask for less: --use-tmpfs-scm, --scm-only, --min-ssds, --num-engines"
            }
            Self::Unwritable { .. } => "name a directory that you may write to",
            Self::Exists { .. } => "name an empty directory, or remove the file",
        }
    }
}

impl From<&GenerateError> for Fault {
    fn from(error: &GenerateError) -> Self {
        Self::new("config", error.code(), error.to_string(), error.resolution())
            .with_causes_of(error)
    }
}
