//! The marks that say "this engine's storage is being changed": written before the first destructive step,
//! removed after the superblock is durable.
//!
//! A mark that survives a crash turns the engine's state into *unknown*, never into *formatted*. Used by
//! `execute` (writes), `observe` and the start table (read). Knows neither providers nor plans. Blocking.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::durable_file::{self, ReadError, WriteError};
use crate::fault::Fault;
use crate::superblock::Superblock;

/// No mark comes near this size, in bytes, even with hundreds of devices.
const LARGEST: u64 = 1024 * 1024;
const VERSION: u32 = 1;

/// One thing that a format changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkTarget {
    /// `scm`, `nvme` or `metadata`.
    pub medium: String,
    /// Mount point, device path, file or PCI address.
    pub device: String,
    /// What names the physical thing, as the plan shows it; may be empty.
    pub identity: String,
    /// What is on it is lost.
    pub destroys: bool,
}

/// The mark of one engine whose format is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Format of this file: 1.
    pub version: u32,
    /// Index of the engine on this host.
    pub engine: u32,
    /// Digest of the plan that is carried out.
    pub plan: String,
    /// Uuid of the superblock that ends the format. When it is found, the format had come to its end.
    pub superblock: Uuid,
    /// Everything that is changed.
    pub targets: Vec<MarkTarget>,
    /// When it began, in seconds since 1970 by this host's clock; for people only.
    pub started: u64,
}

impl Mark {
    /// A mark for a format of `engine` that will end with the superblock `superblock`.
    #[must_use]
    pub fn new(engine: u32, plan: &str, superblock: Uuid, targets: Vec<MarkTarget>) -> Self {
        Self {
            version: VERSION,
            engine,
            plan: plan.to_owned(),
            superblock,
            targets,
            started: now(),
        }
    }

    /// Whether `found` shows that the marked format came to its end: the superblock is the last thing it writes.
    #[must_use]
    pub fn is_settled_by(&self, found: Option<&Superblock>) -> bool {
        found.is_some_and(|superblock| superblock.uuid == self.superblock)
    }
}

/// What the journal says about one engine.
#[derive(Debug)]
pub enum MarkState {
    /// No format was under way.
    Clear,
    /// A format began and did not end, or is running now.
    Marked(Mark),
    /// There is a mark that cannot be read: as unknown as a readable one.
    Unreadable(JournalError),
}

impl MarkState {
    /// Whether the storage is in an unknown state for all that the journal says.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !matches!(self, Self::Clear)
    }
}

/// A journal that cannot do its duty. No format runs then.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The mark could not be made durable.
    #[error("cannot make the format mark of engine {engine} durable")]
    Write {
        /// Index of the engine.
        engine: u32,
        /// What failed.
        #[source]
        source: WriteError,
    },
    /// The mark could not be read.
    #[error("cannot read the format mark of engine {engine}")]
    Read {
        /// Index of the engine.
        engine: u32,
        /// What failed.
        #[source]
        source: ReadError,
    },
    /// The mark is damaged or of another version.
    #[error("the format mark {} is not readable: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl JournalError {
    /// Fault number: 1242 cannot be written, 1243 state unknown.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::Write { .. } => 1242,
            Self::Read { .. } | Self::Corrupt { .. } => 1243,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::Write { source, .. } if source.is_full() => {
                "make room on the file system that holds state_dir and try again"
            }
            Self::Write { .. } => "see that the server may write to state_dir and try again",
            Self::Read { .. } => "see that the server may read state_dir",
            Self::Corrupt { .. } => {
                "the state of the storage is unknown: run dmg storage format --reformat"
            }
        }
    }
}

impl From<&JournalError> for Fault {
    fn from(error: &JournalError) -> Self {
        Fault::new("storage", error.code(), error.to_string(), error.resolution())
            .with_causes_of(error)
    }
}

/// The marks of all engines of this host, in `<state_dir>/format`.
#[derive(Debug, Clone)]
pub struct Journal {
    directory: PathBuf,
}

impl Journal {
    /// A journal below `state_dir`. Touches nothing yet.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self { directory: state_dir.join("format") }
    }

    /// Where the mark of `engine` lies.
    #[must_use]
    pub fn path(&self, engine: u32) -> PathBuf {
        self.directory.join(format!("engine{engine}.json"))
    }

    /// Writes the mark durably. Only after this may anything be destroyed.
    ///
    /// # Errors
    /// [`JournalError::Write`] when it cannot be made durable; nothing may be formatted then.
    pub fn begin(&self, mark: &Mark) -> Result<(), JournalError> {
        let failed = |source| JournalError::Write { engine: mark.engine, source };
        durable_file::create_directories(&self.directory, 0o750).map_err(failed)?;
        let mut text = serde_json::to_vec_pretty(mark).map_err(|error| JournalError::Corrupt {
            path: self.path(mark.engine),
            reason: error.to_string(),
        })?;
        text.push(b'\n');
        durable_file::write(&self.path(mark.engine), 0o640, &text).map_err(failed)
    }

    /// Removes the mark durably; without one, does nothing.
    ///
    /// # Errors
    /// [`JournalError::Write`]: the mark may come back after a crash, which is safe.
    pub fn clear(&self, engine: u32) -> Result<(), JournalError> {
        durable_file::remove(&self.path(engine))
            .map(|_| ())
            .map_err(|source| JournalError::Write { engine, source })
    }

    /// Reads the mark of `engine`. Never fails: what is wrong is part of the answer.
    #[must_use]
    pub fn load(&self, engine: u32) -> MarkState {
        let path = self.path(engine);
        match durable_file::read(&path, LARGEST) {
            Ok(None) => MarkState::Clear,
            Ok(Some(bytes)) => match parse(&bytes, engine) {
                Ok(mark) => MarkState::Marked(mark),
                Err(reason) => MarkState::Unreadable(JournalError::Corrupt { path, reason }),
            },
            Err(source) => MarkState::Unreadable(JournalError::Read { engine, source }),
        }
    }
}

fn parse(bytes: &[u8], engine: u32) -> Result<Mark, String> {
    let mark: Mark = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if mark.version != VERSION {
        return Err(format!("version {} instead of {VERSION}", mark.version));
    }
    if mark.engine != engine {
        return Err(format!("it is of engine {}, not {engine}", mark.engine));
    }
    Ok(mark)
}

fn now() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn mark(engine: u32) -> Mark {
        let target = MarkTarget {
            medium: "scm".into(),
            device: "/mnt/daos".into(),
            identity: "tmpfs".into(),
            destroys: false,
        };
        Mark::new(engine, "abc", Uuid::from_u128(5), vec![target])
    }

    #[test]
    fn mark_is_there_between_begin_and_clear_and_only_for_its_engine() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(&dir.path().join("state"));
        assert!(matches!(journal.load(1), MarkState::Clear));
        let written = mark(1);
        journal.begin(&written).unwrap();
        let MarkState::Marked(found) = journal.load(1) else { panic!("no mark") };
        assert_eq!(found, written);
        assert!(matches!(journal.load(0), MarkState::Clear));
        journal.clear(1).unwrap();
        journal.clear(1).unwrap();
        assert!(matches!(journal.load(1), MarkState::Clear));
    }

    #[test]
    fn unreadable_mark_is_not_a_clear_one() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::new(dir.path());
        journal.begin(&mark(0)).unwrap();
        for bytes in [&b""[..], b"{}", b"\0\0\0", b"[1]"] {
            fs::write(journal.path(0), bytes).unwrap();
            assert!(matches!(journal.load(0), MarkState::Unreadable(_)), "{bytes:?}");
        }
        fs::copy(journal.path(0), journal.path(1)).unwrap();
        assert!(journal.load(1).is_set());
        journal.begin(&mark(0)).unwrap();
        fs::copy(journal.path(0), journal.path(1)).unwrap();
        let MarkState::Unreadable(error) = journal.load(1) else { panic!("of another engine") };
        assert_eq!(error.code(), 1243);
    }

    #[test]
    fn state_directory_that_cannot_be_written_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("state"), b"a file").unwrap();
        let error = Journal::new(&dir.path().join("state")).begin(&mark(0)).unwrap_err();
        assert_eq!(error.code(), 1242);
    }

    #[test]
    fn only_its_own_superblock_settles_a_format() {
        let own = Superblock::new(Uuid::from_u128(5), "x");
        let other = Superblock::new(Uuid::from_u128(6), "x");
        assert!(mark(0).is_settled_by(Some(&own)));
        assert!(!mark(0).is_settled_by(Some(&other)));
        assert!(!mark(0).is_settled_by(None));
    }

    proptest! {
        #[test]
        fn arbitrary_mark_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes, 0);
        }
    }
}
