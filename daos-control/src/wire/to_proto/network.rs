//! Rows of a network scan (contract 2, `ctl/network.proto`).

use daos_proto::ctl::{FabricInterface, NetworkScanResp};

use crate::network::FabricScan;

/// The answer to a network scan.
#[must_use]
pub fn network_scan(scan: FabricScan) -> NetworkScanResp {
    let interfaces = scan.interfaces.into_iter().map(|row| FabricInterface {
        provider: row.provider,
        device: row.device,
        numanode: row.numa_node,
        priority: row.priority,
        netdevclass: row.class.0,
    });
    NetworkScanResp {
        interfaces: interfaces.collect(),
        numacount: scan.numa_nodes.try_into().unwrap_or(i32::MAX),
        corespernuma: scan.cores_per_numa.try_into().unwrap_or(i32::MAX),
    }
}
