//! The SMART log page in the units of R141 (NVMe base specification, SMART / Health Information).

use super::AdminError;
use crate::model::{NvmeHealth, NvmeWarnings};

/// Bytes of the page.
pub(super) const BYTES: usize = 512;

pub(super) fn health(page: &[u8]) -> Result<NvmeHealth, AdminError> {
    let [warnings] = array(page, 0)?;
    Ok(NvmeHealth {
        warnings: NvmeWarnings {
            spare: warnings & 1 != 0,
            temperature: warnings & 1 << 1 != 0,
            reliability: warnings & 1 << 2 != 0,
            read_only: warnings & 1 << 3 != 0,
            volatile_memory: warnings & 1 << 4 != 0,
        },
        temperature_k: u32::from(u16::from_le_bytes(array(page, 1)?)),
        busy_minutes: counter(page, 96)?,
        power_cycles: counter(page, 112)?,
        power_on_hours: counter(page, 128)?,
        unsafe_shutdowns: counter(page, 144)?,
        media_errors: counter(page, 160)?,
        error_log_entries: counter(page, 176)?,
        warning_minutes: u32::from_le_bytes(array(page, 192)?),
        critical_minutes: u32::from_le_bytes(array(page, 196)?),
    })
}

/// A 16-byte counter; what does not fit into 64 bits stays at the largest value.
fn counter(page: &[u8], at: usize) -> Result<u64, AdminError> {
    Ok(u64::try_from(u128::from_le_bytes(array(page, at)?)).unwrap_or(u64::MAX))
}

fn array<const N: usize>(page: &[u8], at: usize) -> Result<[u8; N], AdminError> {
    let bytes = page.get(at..at + N).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(AdminError::Answer { command: "Get Log Page (SMART)", detail: "too short" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_read_from_its_place() {
        let mut page = vec![0; BYTES];
        page[0] = 0b0_0110;
        page[1..3].copy_from_slice(&308u16.to_le_bytes());
        for (number, at) in [96, 112, 128, 144, 160, 176].into_iter().enumerate() {
            page[at] = u8::try_from(number).unwrap() + 1;
        }
        page[160 + 15] = 1; // beyond 64 bits
        page[192] = 7;
        page[196] = 8;
        let health = health(&page).unwrap();
        assert_eq!(health.temperature_k, 308);
        assert!(health.warnings.temperature && health.warnings.reliability);
        assert!(!health.warnings.spare && !health.warnings.read_only);
        assert_eq!((health.busy_minutes, health.power_cycles, health.power_on_hours), (1, 2, 3));
        assert_eq!((health.unsafe_shutdowns, health.error_log_entries), (4, 6));
        assert_eq!(health.media_errors, u64::MAX);
        assert_eq!((health.warning_minutes, health.critical_minutes), (7, 8));
        assert!(super::health(&page[..100]).is_err());
    }
}
