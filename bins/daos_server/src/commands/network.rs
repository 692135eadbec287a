//! `daos_server network scan|list` (R71).

use anyhow::Result;
use daos_control::Fault;
use daos_control::network::{FabricScan, Wanted, observe, rows, supported_line, table};

use super::print;
use crate::cli::{Global, Network};

/// Looks at this host; needs no configuration file.
pub fn run(global: &Global, command: &Network) -> Result<()> {
    let wanted = match command {
        Network::List => return print(&format!("{}\n", supported_line())),
        Network::Scan { provider: Some(provider), .. } => Wanted::Named(vec![provider.clone()]),
        Network::Scan { .. } => Wanted::All,
    };
    let found = observe().and_then(|network| rows(&network, &wanted, &[])).map_err(Fault::from)?;
    if global.json { print(&json(&found)) } else { print(&table(&found)) }
}

fn json(scan: &FabricScan) -> String {
    let interfaces: Vec<_> = scan
        .interfaces
        .iter()
        .map(|row| {
            serde_json::json!({
                "fabric_iface": row.device,
                "provider": row.provider,
                "pinned_numa_node": row.numa_node,
                "priority": row.priority,
                "net_dev_class": row.class.0,
            })
        })
        .collect();
    let object = serde_json::json!({
        "interfaces": interfaces,
        "numa_count": scan.numa_nodes,
        "cores_per_numa": scan.cores_per_numa,
    });
    format!("{object:#}\n")
}
