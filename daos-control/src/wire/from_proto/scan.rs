//! What a storage scan is to look at (contract 2 `StorageScanReq`). Nonsense in sizes and ratios is not looked at.

use daos_proto::ctl::StorageScanReq;

use crate::scan::ScanOptions;

/// Whether sizes within devices are asked for, which engines tell with the health.
#[must_use]
pub fn wants_meta(message: &StorageScanReq) -> bool {
    message.nvme.is_some_and(|nvme| nvme.meta)
}

/// The options of a scan request; both of its parts may be left out.
#[must_use]
pub fn scan_options(message: &StorageScanReq) -> ScanOptions {
    let nvme = message.nvme.unwrap_or_default();
    ScanOptions {
        usage: message.scm.is_some_and(|scm| scm.usage),
        health: nvme.health,
        basic: nvme.basic,
    }
}
