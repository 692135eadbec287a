//! The mark at the head of every block device: 4 KiB that say whose it is.
//!
//! Pure: bytes to value and back. Layout, little endian: magic 8, version 4, position 4, engine 16, checksum 8, zeros.

use anyhow::{bail, ensure};
use uuid::Uuid;

/// Length of the mark.
pub const MARK_BYTES: usize = 4096;
const MAGIC: [u8; 8] = *b"DAOSIOBD";
const VERSION: u32 = 1;
const CHECKED_BYTES: usize = 32;

/// Whose device it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The engine.
    pub engine: Uuid,
    /// Its position among the engine's devices, from 0.
    pub position: u32,
}

impl Mark {
    /// The bytes on the device.
    pub fn to_bytes(self) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.position.to_le_bytes());
        bytes[16..CHECKED_BYTES].copy_from_slice(self.engine.as_bytes());
        let sum = checksum(&bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..CHECKED_BYTES + 8].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a mark; anything else, and a damaged one, is an error.
    pub fn read(bytes: &[u8; MARK_BYTES]) -> anyhow::Result<Self> {
        ensure!(
            bytes.starts_with(&MAGIC),
            "is neither blank nor marked by an engine; see that bdev_list names the right device"
        );
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let mark =
            Self { engine: Uuid::from_slice(&bytes[16..CHECKED_BYTES])?, position: word(12) };
        match word(8) {
            VERSION if mark.to_bytes() == *bytes => Ok(mark),
            VERSION => {
                bail!("has a damaged mark of an engine; see that bdev_list names the right device")
            }
            other => bail!("has a mark of unknown version {other}"),
        }
    }
}

/// FNV-1a, 64 bits: enough against a torn write.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { engine: Uuid::from_u128(0x1234), position: 2 };

    #[test]
    fn survives_the_way_to_the_device() {
        assert_eq!(Mark::read(&MARK.to_bytes()).unwrap(), MARK);
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let good = MARK.to_bytes();
        for at in (0..48).chain([100, MARK_BYTES - 1]) {
            let mut bytes = good;
            bytes[at] ^= 1;
            assert!(Mark::read(&bytes).is_err(), "byte {at}");
        }
    }
}
