//! What can be wrong with a configuration, and where in the file it stands.
//!
//! Built by `load` and `validate`, shown by the programs. Knows how to print itself and nothing else.

use std::fmt;
use std::path::PathBuf;

use super::validate::{DOMAIN, INVALID};
use super::yaml::{Diagnostic, Position};
use crate::fault::{Fault, code};

/// One broken rule, with the key that breaks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// Path of the key, e.g. `engines[0].storage[1].bdev_list`. For a missing key, the path it would have.
    pub key: String,
    /// Where the key, or the nearest enclosing one that is written, stands in the file.
    pub position: Option<Position>,
    /// Number, description and remedy.
    pub fault: Fault,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(at) => write!(f, "{} (line {}): {}", self.key, at.line, self.fault),
            None => write!(f, "{}: {}", self.key, self.fault),
        }
    }
}

/// Something an administrator should know, that does not stop the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Path of the key the notice is about.
    pub key: String,
    /// Where that key stands in the file, if it is written there.
    pub position: Option<Position>,
    /// What is to be known, and what to do about it.
    pub text: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(at) => write!(f, "{} (line {}): {}", self.key, at.line, self.text),
            None => write!(f, "{}: {}", self.key, self.text),
        }
    }
}

/// Why no configuration could be had.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no file at the path, or at none of the default paths (R21-R23).
    #[error("failed to load config: no file at {}", join_paths(.tried))]
    NotFound {
        /// Every path that was looked at, in order.
        tried: Vec<PathBuf>,
    },
    /// The file is there and cannot be read.
    #[error("failed to load config from {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The text is not YAML, a value has the wrong type, or a key is unknown or written twice (R40).
    #[error("failed to parse config {}: {diagnostic}", .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The first fault, with line, column and the lines around it.
        diagnostic: Box<Diagnostic>,
    },
    /// The text is well formed and breaks one or more rules; all of them are listed.
    #[error("{} is not a valid configuration: {} fault(s)", .path.display(), .faults.len())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Every broken rule, in the order of the file's keys.
        faults: Vec<ConfigFault>,
        /// What else was noticed.
        notices: Vec<Notice>,
    },
}

impl ConfigError {
    /// Number of the first fault.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::NotFound { .. } => code::SERVER_NO_CONFIG_PATH,
            Self::Unreadable { .. } => code::CONFIG_UNREADABLE,
            Self::Parse { diagnostic, .. } => diagnostic.problem.code(),
            Self::Invalid { faults, .. } => {
                faults.first().map_or(INVALID, |first| first.fault.code)
            }
        }
    }

    /// What to do about it (R21).
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => {
                "give the path with -o, or start from a file in examples/config"
            }
            Self::Unreadable { .. } => "give a plain file that the server's user may read",
            Self::Parse { .. } => {
                "correct that line; the file may be for another version, see examples/config"
            }
            Self::Invalid { .. } => {
                "correct the keys that are named; see examples/config and docs/config"
            }
        }
    }

    /// Everything about it for a terminal: the lines around a syntax fault, or each broken rule with its
    /// remedy below.
    #[must_use]
    pub fn report(&self) -> String {
        match self {
            Self::NotFound { .. } | Self::Unreadable { .. } => self.to_string(),
            Self::Parse { diagnostic, .. } => diagnostic.rendered.clone(),
            Self::Invalid { path, faults, .. } => {
                let lines = faults.iter().map(|found| {
                    let at = found.position.map_or(String::new(), |at| format!(":{}", at.line));
                    let path = path.display();
                    format!(
                        "{path}{at}: {}: {}\n    {}",
                        found.key,
                        found.fault,
                        found.fault.resolution_line()
                    )
                });
                lines.collect::<Vec<_>>().join("\n")
            }
        }
    }
}

impl From<&ConfigError> for Fault {
    fn from(error: &ConfigError) -> Self {
        let description = match error {
            ConfigError::Parse { diagnostic, .. } => diagnostic.rendered.clone(),
            other => other.to_string(),
        };
        let fault = Self::new(DOMAIN, error.code(), description, error.resolution());
        match error {
            ConfigError::Unreadable { source, .. } => fault.with_reason(source),
            _ => fault,
        }
    }
}

fn join_paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", nor at ")
}
