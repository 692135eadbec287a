//! What prepare changed and what it saw before: a file in the state directory, so that reset restores exactly that and a scan can
//! still name what no kernel driver shows any more.
//!
//! Called by `prepare`, `reset`, `discover` and `format`. Knows no sysfs. Survives a crash: written before each change.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable::sync_directory_of;
use crate::{BdevError, PciAddress};

/// Name of the file below the state directory.
pub const RECORD_FILE: &str = "nvme_prepared.json";
/// The version of the form that is written.
const VERSION: u32 = 1;

/// What prepare changed on this host since the last complete reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepareRecord {
    version: u32,
    /// Controllers taken from the kernel's driver, or about to be.
    pub controllers: Vec<RecordedController>,
    /// Huge pages of each node before the first change.
    pub hugepages: Vec<RecordedPages>,
    /// Owners and modes of files before they were changed.
    pub files: Vec<RecordedFile>,
    /// Mount point of a huge page file system that prepare made.
    pub mounted: Option<PathBuf>,
}

/// A controller as the kernel's driver last showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedController {
    /// Where.
    pub address: PciAddress,
    /// Model.
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// Firmware revision.
    pub firmware: String,
    /// Namespaces: id and bytes.
    pub namespaces: Vec<(u32, u64)>,
    /// Driver it had, to be given back.
    pub driver: Option<String>,
    /// Driver it is to have, or has.
    pub bound_to: String,
}

/// Huge pages of one node before prepare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedPages {
    /// NUMA node.
    pub node: u32,
    /// Pages.
    pub pages: u64,
}

/// Owner and mode of a file before prepare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedFile {
    /// The file.
    pub path: PathBuf,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl PrepareRecord {
    /// Reads the record below a state directory; an empty one when there is none.
    ///
    /// # Errors
    /// [`BdevError::ConfigFile`] when it cannot be read, [`BdevError::ConfigInvalid`] when it is not understood: what was changed
    /// is then not known, and nothing may be changed on top.
    pub fn load(state_dir: &Path) -> Result<Self, BdevError> {
        let path = state_dir.join(RECORD_FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(BdevError::ConfigFile { path, action: "read", source }),
        };
        let record: Self = serde_json::from_slice(&bytes).map_err(|error| {
            BdevError::ConfigInvalid { path: path.clone(), detail: error.to_string() }
        })?;
        if record.version > VERSION {
            let detail = format!("version {} is newer than {VERSION}", record.version);
            return Err(BdevError::ConfigInvalid { path, detail });
        }
        Ok(record)
    }

    /// Makes the record durable, or removes the file when nothing is left to remember.
    ///
    /// # Errors
    /// [`BdevError::ConfigFile`].
    pub fn save(&mut self, state_dir: &Path) -> Result<(), BdevError> {
        let path = state_dir.join(RECORD_FILE);
        self.version = VERSION;
        let written = if self.is_empty() { remove(&path) } else { self.write(&path) };
        written.map_err(|source| BdevError::ConfigFile { path, action: "write", source })
    }

    /// Whether there is nothing to restore.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { version: _, controllers, hugepages, files, mounted } = self;
        controllers.is_empty() && hugepages.is_empty() && files.is_empty() && mounted.is_none()
    }

    /// What is remembered of a controller.
    #[must_use]
    pub fn controller(&self, address: PciAddress) -> Option<&RecordedController> {
        self.controllers.iter().find(|recorded| recorded.address == address)
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let temporary = path.with_extension("new");
        let bytes = serde_json::to_vec_pretty(self)?;
        let mut file = File::create(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_directory_of(path)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_directory_of(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_an_empty_one_leaves_no_file() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(PrepareRecord::load(state.path()).unwrap(), PrepareRecord::default());
        let mut record = PrepareRecord {
            hugepages: vec![RecordedPages { node: 0, pages: 7 }],
            ..PrepareRecord::default()
        };
        record.save(state.path()).unwrap();
        assert_eq!(PrepareRecord::load(state.path()).unwrap(), record);
        record.hugepages.clear();
        record.save(state.path()).unwrap();
        assert!(!state.path().join(RECORD_FILE).exists());
    }

    #[test]
    fn a_record_that_is_not_understood_is_an_error_and_not_empty() {
        let state = tempfile::tempdir().unwrap();
        for text in
            ["{", r#"{"version":9,"controllers":[],"hugepages":[],"files":[],"mounted":null}"#]
        {
            fs::write(state.path().join(RECORD_FILE), text).unwrap();
            let refused = PrepareRecord::load(state.path()).unwrap_err();
            assert!(matches!(refused, BdevError::ConfigInvalid { .. }), "{refused}");
        }
    }
}
