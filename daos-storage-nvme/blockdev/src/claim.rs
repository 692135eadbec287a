//! `ExclusiveClaim`: the one way to write to a device. Called by the storage crates for a plan that was accepted.
//!
//! The claim is taken before the last check and held until the last write, so nobody can mount or take the
//! device in between (W9). It can only be had with the identity that the plan showed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use crate::{BlockdevError, DeviceIdentity, content, facts, wait_until};

/// A device opened for writing with `O_EXCL`: while it lives, no mount, swap, RAID or device-mapper target and
/// no other claim can take the device, and it could not be had while one of them had it.
///
/// Programs such as `mkfs.ext4` take the same claim for themselves; drop this one before starting them.
#[derive(Debug)]
pub struct ExclusiveClaim {
    device: File,
    identity: DeviceIdentity,
}

impl ExclusiveClaim {
    /// Claims the device and checks that it is the expected one.
    ///
    /// # Errors
    /// `Busy` when somebody has it, `IdentityChanged` when it is another device, or the system's error.
    pub fn take(expected: &DeviceIdentity) -> Result<Self, BlockdevError> {
        let path = &expected.path;
        // Looked at before it is opened: opening a tape or a FIFO would have effects.
        expected.require_same(&facts::identify(path)?)?;
        let device = open_exclusively(path, true)?;
        let claim = Self { device, identity: expected.clone() };
        claim.recheck_identity(expected)?;
        Ok(claim)
    }

    /// The identity it was claimed with.
    #[must_use]
    pub fn identity(&self) -> &DeviceIdentity {
        &self.identity
    }

    /// Checks the open descriptor, not the path: device number, size, serial and the rest.
    ///
    /// # Errors
    /// `IdentityChanged` naming what differs.
    pub fn recheck_identity(&self, expected: &DeviceIdentity) -> Result<(), BlockdevError> {
        let path = &expected.path;
        let metadata = self
            .device
            .metadata()
            .map_err(|source| BlockdevError::from_io(path, "look at the open device", source))?;
        let mut found = facts::identity_of(path, facts::number_from(&metadata, path)?)?;
        found.size_bytes = content::size_of(&self.device, path)?;
        expected.require_same(&found)
    }

    /// What is on the device now, read through the claimed descriptor.
    ///
    /// # Errors
    /// As [`crate::probe`].
    pub fn content(&self) -> Result<content::Content, BlockdevError> {
        content::probe(&self.device, &self.identity.path)
    }

    /// What is on the device itself now, past everything this host remembers of it.
    ///
    /// # Errors
    /// As [`crate::probe`].
    pub fn content_on_medium(&self) -> Result<content::Content, BlockdevError> {
        self.forget_cached()?;
        self.content()
    }

    /// Erases every signature: checks the identity once more, zeroes [`content::EDGE_BYTES`] at both ends, makes
    /// that durable, reads it back from the device and lets `blkid` find nothing.
    ///
    /// # Errors
    /// `IdentityChanged` before anything is written; `Io` or `EraseNotProven` afterwards.
    pub fn erase(&self) -> Result<(), BlockdevError> {
        self.recheck_identity(&self.identity)?;
        let path = &self.identity.path;
        let (head, tail) = content::edges(self.identity.size_bytes);
        for (start, end) in [head, tail] {
            self.zero(start, end)?;
        }
        self.device
            .sync_all()
            .map_err(|source| BlockdevError::from_io(path, "make the erase durable", source))?;
        match self.content_on_medium()? {
            content::Content::Blank => Ok(()),
            left => Err(BlockdevError::EraseNotProven {
                path: path.clone(),
                found: format!("{left} was read back"),
            }),
        }
    }

    fn zero(&self, start: u64, end: u64) -> Result<(), BlockdevError> {
        const CHUNK: u64 = 1 << 20;
        let zeros = vec![0u8; CHUNK as usize];
        let mut at = start;
        while at < end {
            let length = (end - at).min(CHUNK);
            self.device.write_all_at(&zeros[..length as usize], at).map_err(|source| {
                BlockdevError::from_io(&self.identity.path, "write zeros", source)
            })?;
            at += length;
        }
        Ok(())
    }

    /// Drops the pages just written, so that reading back asks the device and not the memory.
    fn forget_cached(&self) -> Result<(), BlockdevError> {
        rustix::fs::fadvise(&self.device, 0, None, rustix::fs::Advice::DontNeed).map_err(|error| {
            let source = std::io::Error::from(error);
            BlockdevError::from_io(&self.identity.path, "drop cached pages", source)
        })
    }
}

/// Opens a device with `O_EXCL`.
///
/// A claim that was let go lives on for a moment in any child process that was being started meanwhile, until it
/// executes its program. The kernel tells nobody when that is over, so a refusal is believed only after it has
/// lasted a tenth of a second.
pub(crate) fn open_exclusively(path: &Path, write: bool) -> Result<File, BlockdevError> {
    const LASTS: Duration = Duration::from_millis(100);
    #[allow(clippy::cast_possible_wrap)] // the flag is bit 7
    let flags = rustix::fs::OFlags::EXCL.bits() as i32;
    let open = || OpenOptions::new().read(true).write(write).custom_flags(flags).open(path);
    let free = wait_until(LASTS, || match open() {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => None,
        other => Some(other),
    });
    free.unwrap_or_else(open)
        .map_err(|source| BlockdevError::from_io(path, "claim the device", source))
}

impl AsFd for ExclusiveClaim {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}
