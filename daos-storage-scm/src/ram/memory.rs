//! What the host's memory offers: NUMA nodes, huge pages, and whether RAM disks fit.

use std::fs;
use std::path::Path;

use crate::ScmError;

/// Refuses RAM disks that the available memory does not hold: at least 90 % of their sum must be available
/// before they are mounted (contract 5.7).
///
/// Pure; the caller knows which engines are about to be formatted, and whether the rule applies at all.
///
/// # Errors
/// [`ScmError::LowMemory`] (214).
pub fn check_memory(
    sizes_bytes: impl IntoIterator<Item = u64>,
    available_bytes: u64,
) -> Result<(), ScmError> {
    let wanted = sizes_bytes.into_iter().fold(0u64, u64::saturating_add);
    let needed = wanted - wanted / 10;
    if available_bytes >= needed {
        return Ok(());
    }
    Err(ScmError::LowMemory { wanted, needed, available: available_bytes })
}

/// NUMA nodes with memory; node 0 alone where the kernel does not say.
pub(super) fn numa_nodes() -> Vec<u32> {
    let list = fs::read_to_string("/sys/devices/system/node/has_memory").unwrap_or_default();
    match parse_list(list.trim()) {
        Some(nodes) if !nodes.is_empty() => nodes,
        _ => vec![0],
    }
}

pub(super) fn huge_supported() -> bool {
    Path::new("/sys/kernel/mm/transparent_hugepage/shmem_enabled").exists()
}

/// The kernel's list form, e.g. `0-1,4`.
fn parse_list(text: &str) -> Option<Vec<u32>> {
    let mut nodes = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        // The kernel has at most 1024 nodes.
        nodes.extend(first..=last.min(first.saturating_add(1024)));
    }
    Some(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_tenths_of_the_ram_disks_must_be_available() {
        assert!(check_memory([100, 100], 180).is_ok());
        let refused = check_memory([100, 100], 179).map_err(|error| error.code());
        assert_eq!(refused, Err(214));
        assert!(check_memory([], 0).is_ok());
        assert_eq!(check_memory([u64::MAX, 1], 5).map_err(|error| error.code()), Err(214));
    }

    #[test]
    fn the_kernels_node_list_is_read() {
        assert_eq!(parse_list("0-1,4"), Some(vec![0, 1, 4]));
        assert_eq!(parse_list("0"), Some(vec![0]));
        assert_eq!(parse_list(""), Some(vec![]));
        assert_eq!(parse_list("x"), None);
        assert!(!numa_nodes().is_empty());
    }
}
