//! Reads, writes and removes superblock files. Blocking; the engine's task is the only writer of its file.

use std::io;
use std::path::{Path, PathBuf};

use super::{Superblock, SuperblockError};
use crate::durable_file::{self, ReadError};

/// Added to the name of a superblock that was set aside.
const ASIDE: &str = ".reset";
/// No superblock comes near this size, in bytes.
const LARGEST: u64 = 64 * 1024;
/// Mode of the file (contract 5.1).
const MODE: u32 = 0o660;

/// What lies where the superblock should be.
#[derive(Debug)]
pub enum SuperblockState {
    /// Nothing: not formatted, or not mounted.
    Missing,
    /// A superblock.
    Readable(Superblock),
    /// Something that is not a usable superblock. It is kept (W13).
    Unreadable(SuperblockError),
}

impl SuperblockState {
    /// The superblock, if it is readable.
    #[must_use]
    pub fn readable(&self) -> Option<&Superblock> {
        match self {
            Self::Readable(superblock) => Some(superblock),
            _ => None,
        }
    }
}

/// Looks at `path`, usually [`EngineHome::superblock`](super::EngineHome::superblock). Never fails: what is
/// wrong is part of the answer.
#[must_use]
pub fn load(path: &Path) -> SuperblockState {
    let bytes = match durable_file::read(path, LARGEST) {
        Ok(None) => return SuperblockState::Missing,
        Ok(Some(bytes)) => bytes,
        // What stands where the mount point should be is told by the look at the SCM.
        Err(ReadError::Io { source, .. }) if source.kind() == io::ErrorKind::NotADirectory => {
            return SuperblockState::Missing;
        }
        Err(error) => return SuperblockState::Unreadable(error.into()),
    };
    match Superblock::from_yaml(&bytes) {
        Ok(superblock) => SuperblockState::Readable(superblock),
        Err(error) => SuperblockState::Unreadable(error),
    }
}

/// Writes the superblock durably and reads it back (E5). One that was set aside is gone then.
///
/// # Errors
/// [`SuperblockError::Write`], [`SuperblockError::RankOutOfRange`]; after an error the earlier file, or none, is
/// in place.
pub fn store(path: &Path, superblock: &Superblock) -> Result<(), SuperblockError> {
    durable_file::write(path, MODE, superblock.to_yaml()?.as_bytes())?;
    let aside = aside(path);
    if aside.exists() {
        durable_file::remove(&aside)?;
    }
    Ok(())
}

/// Sets the superblock aside, durably: from then on the storage is not formatted, and what is on it is known to
/// be our own (reset of the format, system erase). Returns whether there was one.
///
/// # Errors
/// [`SuperblockError::Write`]; the superblock is then still in place.
pub fn set_aside(path: &Path) -> Result<bool, SuperblockError> {
    Ok(durable_file::rename(path, &aside(path))?)
}

/// Whether the storage carries a superblock that was set aside, and none in its place.
#[must_use]
pub fn was_set_aside(path: &Path) -> bool {
    matches!(load(path), SuperblockState::Missing) && load(&aside(path)).readable().is_some()
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ASIDE);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use uuid::Uuid;

    use super::*;
    use crate::durable_file::ReadError;

    #[test]
    fn stored_superblock_is_read_again_with_mode_0660() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("superblock");
        assert!(matches!(load(&path), SuperblockState::Missing));
        let value = Superblock::new(Uuid::from_u128(1), "daos_server");
        store(&path, &value).unwrap();
        assert_eq!(load(&path).readable(), Some(&value));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(!was_set_aside(&path));
        assert!(set_aside(&path).unwrap());
        assert!(!set_aside(&path).unwrap());
        assert!(matches!(load(&path), SuperblockState::Missing));
        assert!(was_set_aside(&path));
        store(&path, &value).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the one set aside is gone");
    }

    #[test]
    fn missing_and_unreadable_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("superblock");
        for bytes in [&b""[..], b"version: 1", b"\xff\xfe\n", b"version: 1\n", b"- a\n- b\n"] {
            fs::write(&path, bytes).unwrap();
            let state = load(&path);
            assert!(matches!(state, SuperblockState::Unreadable(_)), "{bytes:?}: {state:?}");
        }
        fs::write(&path, vec![b'a'; LARGEST as usize + 1]).unwrap();
        assert!(matches!(
            load(&path),
            SuperblockState::Unreadable(SuperblockError::Read(ReadError::TooLarge { .. }))
        ));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let SuperblockState::Unreadable(error) = load(&path) else { panic!("a directory") };
        assert!(matches!(error, SuperblockError::Read(ReadError::NotRegular { .. })));
        assert_eq!(error.to_fault(&path).code, 1244);
    }

    #[test]
    fn write_to_a_missing_directory_fails_cleanly() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gone/superblock");
        let error = store(&path, &Superblock::new(Uuid::nil(), "x")).unwrap_err();
        assert_eq!(error.code(), 1245);
        assert!(matches!(load(&path), SuperblockState::Missing));
    }
}
