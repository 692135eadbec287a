//! What can be wrong with a superblock, each told apart, with its fault number and remedy.

use crate::durable_file::{ReadError, WriteError};
use crate::fault::Fault;

/// A superblock that cannot be used, or could not be written.
///
/// The path is added by whoever knows it, see [`SuperblockError::to_fault`].
#[derive(Debug, thiserror::Error)]
pub enum SuperblockError {
    /// The file ends in the middle.
    #[error("the superblock is cut short")]
    Truncated,
    /// The file is not a superblock, or was changed.
    #[error("the superblock is corrupt: {reason}")]
    Corrupt {
        /// What the parser says.
        reason: String,
    },
    /// Written by a newer server.
    #[error("the superblock has version {version}, this server knows 0 and 1")]
    WrongVersion {
        /// The version found.
        version: u64,
    },
    /// A rank outside 0 to 2^32-2 (E8).
    #[error("the superblock holds a rank outside 0 to 4294967294")]
    RankOutOfRange,
    /// Not a plain file, too large, or not readable.
    #[error("the superblock cannot be read")]
    Read(#[from] ReadError),
    /// It could not be written or removed durably.
    #[error("the superblock cannot be written")]
    Write(#[from] WriteError),
}

impl SuperblockError {
    /// Fault number: 1244 unreadable, 1245 not writable.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Write(_) => 1245,
            _ => 1244,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::Write(error) if error.is_full() => {
                "make room on the file system that holds the superblock and try again"
            }
            Self::Write(_) => "see that the server may write to that directory and try again",
            Self::WrongVersion { .. } => "start the newer server that wrote it",
            Self::Read(ReadError::Io { .. }) => "see that the server may read the file",
            _ => {
                "restore the file from a copy, or give its contents up with dmg storage format \
                 --reformat; it is never overwritten otherwise"
            }
        }
    }

    /// The fault for the superblock at `path`.
    #[must_use]
    pub fn to_fault(&self, path: &std::path::Path) -> Fault {
        let description = format!("{}: {self}", path.display());
        Fault::new("storage", self.code(), description, self.resolution()).with_causes_of(self)
    }
}
