//! What a replica keeps on disk: who it is, its vote, its log and its last snapshot.
//!
//! [`Store`] is the trait and [`RedbStore`] the body with a real file; both bodies pass the suite in
//! `conformance`. To a store an entry is bytes; [`EntryContent`] says what they mean.

pub mod backup;
mod entry;
mod file;
#[cfg(feature = "testing")]
mod mem;
pub mod offline;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

pub use self::entry::EntryContent;
pub use self::file::{RedbStore, STORE_DIR, STORE_FILE};
#[cfg(feature = "testing")]
pub use self::mem::{MemDisk, MemStore};
use crate::error::code;
use crate::replica::{RecordedReplicas, ReplicaId};
use crate::system::SystemIdentity;

/// A place in the log. The first index is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogId {
    /// The term of the leader that wrote it.
    pub term: u64,
    /// Its number, without gaps.
    pub index: u64,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its place.
    pub id: LogId,
    /// Its content, see [`EntryContent`].
    pub payload: Vec<u8>,
}

/// What a replica has promised in elections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Vote {
    /// The term.
    pub term: u64,
    /// The replica it voted for in that term.
    pub voted_for: Option<ReplicaId>,
    /// Whether that replica is known to have won.
    pub committed: bool,
}

/// A stored snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// The last log entry that is part of it.
    pub upto: LogId,
    /// The replicas as of then; `None` in what a replica alone has stored.
    pub replicas: Option<RecordedReplicas>,
    /// Its content.
    pub data: Vec<u8>,
}

/// The last entry that a stored snapshot holds, and the replicas as of then.
pub type SnapshotHead = (LogId, Option<RecordedReplicas>);

/// The bounds of what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogBounds {
    /// The first entry that is there; `None` when the log is empty.
    pub first: Option<LogId>,
    /// The last entry that is there.
    pub last: Option<LogId>,
    /// The last entry that is part of the stored snapshot.
    pub snapshot: Option<LogId>,
    /// The last entry that was dropped because a snapshot holds it.
    pub purged: Option<LogId>,
}

/// Durable storage of one replica. Every change is on disk when its method returns, or has failed.
///
/// A failed change may or may not be on disk: the replica must not go on with this store and opens it anew.
pub trait Store: Send + Sync + fmt::Debug {
    /// The system it belongs to.
    fn identity(&self) -> &SystemIdentity;

    /// Where it is, for messages.
    fn place(&self) -> &Path;

    /// The id of the replica that this store belongs to; `None` until it was given one.
    ///
    /// # Errors
    /// When it cannot be read.
    fn replica(&self) -> Result<Option<ReplicaId>, StoreError>;

    /// Gives the store to a replica, for good.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it belongs to another one; else when it cannot be made durable.
    fn save_replica(&self, replica: ReplicaId) -> Result<(), StoreError>;

    /// What was promised last.
    ///
    /// # Errors
    /// When it cannot be read.
    fn vote(&self) -> Result<Vote, StoreError>;

    /// Promises.
    ///
    /// # Errors
    /// When it cannot be made durable.
    fn save_vote(&self, vote: Vote) -> Result<(), StoreError>;

    /// Where log and snapshot begin and end.
    ///
    /// # Errors
    /// When it cannot be read.
    fn bounds(&self) -> Result<LogBounds, StoreError>;

    /// Adds entries that follow the last one without a gap.
    ///
    /// # Errors
    /// [`StoreError::Gap`] when they do not, and then nothing is added; else when they cannot be made durable.
    fn append(&self, entries: &[LogEntry]) -> Result<(), StoreError>;

    /// Up to `limit` entries from index `from` on.
    ///
    /// # Errors
    /// When they cannot be read.
    fn entries(&self, from: u64, limit: usize) -> Result<Vec<LogEntry>, StoreError>;

    /// Drops the entries from index `from` on, which a new leader has overruled.
    ///
    /// # Errors
    /// When it cannot be made durable.
    fn truncate(&self, from: u64) -> Result<(), StoreError>;

    /// Drops the entries up to and including `upto`, which the snapshot holds. The log may end before that.
    ///
    /// # Errors
    /// [`StoreError::Gap`] when the snapshot does not reach that far; else when it cannot be made durable.
    fn purge(&self, upto: LogId) -> Result<(), StoreError>;

    /// Puts a snapshot in place of the stored one, unless that one reaches further: an older snapshot never replaces a newer
    /// one. Several may be saved at the same time.
    ///
    /// # Errors
    /// When it cannot be made durable.
    fn save_snapshot(&self, snapshot: &StoredSnapshot) -> Result<(), StoreError>;

    /// The stored snapshot.
    ///
    /// # Errors
    /// When it cannot be read.
    fn snapshot(&self) -> Result<Option<StoredSnapshot>, StoreError>;

    /// How far the stored snapshot goes, and the replicas as of then, without its content.
    ///
    /// # Errors
    /// When it cannot be read.
    fn snapshot_head(&self) -> Result<Option<SnapshotHead>, StoreError> {
        Ok(self.snapshot()?.map(|snapshot| (snapshot.upto, snapshot.replicas)))
    }

    /// Whether calls wait for a disk. They are then made on a thread that may wait.
    fn blocks(&self) -> bool;
}

fn other_replica(path: &Path, known: ReplicaId) -> StoreError {
    StoreError::Corrupt { path: path.to_owned(), what: format!("it belongs to replica {known}") }
}

/// Why the system database cannot be used. Every text names the file.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is none.
    #[error("no system database at {}", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// There is one already, and it is not overwritten.
    #[error("a system database exists already at {}", path.display())]
    Exists {
        /// Where it is.
        path: PathBuf,
    },
    /// It belongs to another system.
    #[error("system database {} belongs to system {found}, not to {expected}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The system it belongs to.
        found: Uuid,
        /// The system it should belong to.
        expected: Uuid,
    },
    /// A later version wrote it.
    #[error("system database {} has format {found}, newer than {known}, the newest known here", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u16,
        /// The newest format that can be read.
        known: u16,
    },
    /// It is one of several replicas of its system and cannot be used without the others.
    #[error("system database {} is one of {voters} replicas and cannot be used alone", path.display())]
    Shared {
        /// The file.
        path: PathBuf,
        /// How many replicas have a vote.
        voters: usize,
    },
    /// Another process has it open.
    #[error("system database {} is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is damaged.
    #[error("system database {} is damaged: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Entries would leave a hole in the log.
    #[error("log of {} ends at {last}, entry {asked} does not follow", path.display())]
    Gap {
        /// The file.
        path: PathBuf,
        /// The last index that is there.
        last: u64,
        /// The index that was asked for.
        asked: u64,
    },
    /// Reading or writing failed.
    #[error("cannot {doing} system database {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was attempted.
        doing: &'static str,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// The same failure once more, for a second place that has to tell it.
    pub(crate) fn copy(self: &Arc<Self>) -> Self {
        match &**self {
            Self::Missing { path } => Self::Missing { path: path.clone() },
            Self::Exists { path } => Self::Exists { path: path.clone() },
            Self::Foreign { path, found, expected } => {
                Self::Foreign { path: path.clone(), found: *found, expected: *expected }
            }
            Self::Newer { path, found, known } => {
                Self::Newer { path: path.clone(), found: *found, known: *known }
            }
            Self::Shared { path, voters } => Self::Shared { path: path.clone(), voters: *voters },
            Self::InUse { path } => Self::InUse { path: path.clone() },
            Self::Corrupt { path, what } => {
                Self::Corrupt { path: path.clone(), what: what.clone() }
            }
            Self::Gap { path, last, asked } => {
                Self::Gap { path: path.clone(), last: *last, asked: *asked }
            }
            Self::Io { path, doing, .. } => {
                Self::Io { path: path.clone(), doing, source: Box::new(Arc::clone(self)) }
            }
        }
    }

    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Missing { .. } | Self::Exists { .. } => code::STORE_UNREADABLE,
            Self::Foreign { .. } => code::STORE_FOREIGN,
            Self::Newer { .. } => code::STORE_NEWER,
            Self::InUse { .. } => code::STORE_IN_USE,
            Self::Shared { .. } => code::REPLICA_ALONE,
            Self::Corrupt { .. } | Self::Gap { .. } => code::STORE_CORRUPT,
            Self::Io { .. } => code::STORE_UNREADABLE,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "see first that scm_list of each engine names the right device, a reboot may give devices other names; if the database is lost, restore a backup"
            }
            Self::Exists { .. } => "erase the system first if it is to be made anew",
            Self::Foreign { .. } => "put back the storage that belongs to this system",
            Self::Newer { .. } => "start the version of the server that wrote it, or a later one",
            Self::InUse { .. } => "stop the other server",
            Self::Shared { .. } => {
                "start it as a replica among the others, or recover it (daos_server ms recover)"
            }
            Self::Corrupt { .. } | Self::Gap { .. } => {
                "keep the file for analysis and restore a backup; nothing was overwritten"
            }
            Self::Io { .. } => "check permissions, space and health of the storage that holds it",
        }
    }
}
