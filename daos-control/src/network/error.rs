//! What can go wrong while looking at the network (fault 1360, contract 707).

use std::io;
use std::path::PathBuf;

use crate::fault::Fault;

/// Why the network could not be described.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The kernel's directory could not be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The directory or file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The addresses could not be listed.
    #[error("cannot list the addresses of this host")]
    Addresses {
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// No provider of that name is known.
    #[error("fabric provider {name:?} is not known")]
    UnknownProvider {
        /// The name asked for, shortened.
        name: String,
    },
}

impl NetworkError {
    /// Stable fault number.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::UnknownProvider { .. } => 1360,
            Self::Unreadable { .. } | Self::Addresses { .. } => 1363,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> String {
        match self {
            Self::UnknownProvider { .. } => {
                format!("use one of {}, or all", super::provider::supported_line())
            }
            Self::Unreadable { .. } | Self::Addresses { .. } => {
                "see that /sys is mounted and readable for the user of daos_server".to_owned()
            }
        }
    }
}

impl From<NetworkError> for Fault {
    fn from(error: NetworkError) -> Self {
        let reason = std::error::Error::source(&error).map(ToString::to_string);
        let fault = Fault::new("network", error.code(), error.to_string(), error.resolution());
        match reason {
            Some(reason) => fault.with_reason(reason),
            None => fault,
        }
    }
}
