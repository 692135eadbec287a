//! What a storage scan is to look at (contract 2 `StorageScanReq`). Nonsense in sizes and ratios is not looked at.

use daos_proto::ctl::StorageScanReq;

use crate::scan::ScanOptions;

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
