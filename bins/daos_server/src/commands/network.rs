//! `daos_server network scan|list` (R71).

use anyhow::Result;
use daos_control::Fault;
use daos_control::config::{CommandLine, Surroundings, load};
use daos_control::network::{Scanned, Wanted, scan, supported_line, table};

use super::config::explained;
use super::print;
use crate::cli::{Global, Network};

/// Looks at this host. Providers: all, else the one that is named, else those of the configuration that is named, else all (R71).
pub fn run(global: &Global, command: &Network) -> Result<()> {
    let wanted = match command {
        Network::List if global.json => {
            let line = supported_line();
            let object = serde_json::json!({"providers": line.split(", ").collect::<Vec<_>>()});
            return print(&format!("{object:#}\n"));
        }
        Network::List => return print(&format!("{}\n", supported_line())),
        Network::Scan { all: true, .. } => Wanted::All,
        Network::Scan { provider: Some(provider), .. } => Wanted::from_request(provider, &[]),
        Network::Scan { .. } => Wanted::from_request("", &configured(global)?),
    };
    let scanned = scan(&wanted, &[]).map_err(Fault::from)?;
    if global.json {
        return print(&json(&scanned));
    }
    if scanned.libfabric.is_none() {
        eprintln!("NOTICE: libfabric is not installed; the list goes by what the kernel shows");
    }
    print(&table(&scanned.found))
}

/// The providers of the configuration that was named; none without one (R71).
fn configured(global: &Global) -> Result<Vec<String>> {
    let Some(file) = &global.config else { return Ok(Vec::new()) };
    let surroundings = Surroundings::of_this_process()?;
    let loaded = load(Some(file), &CommandLine::default(), &surroundings).map_err(explained)?;
    let engines = loaded.config.engines.iter().map(|engine| engine.fabric.provider.clone());
    let mut providers: Vec<String> = engines.collect();
    providers.sort();
    providers.dedup();
    Ok(providers)
}

fn json(scanned: &Scanned) -> String {
    let scan = &scanned.found;
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
        "libfabric": scanned.libfabric.map(|(major, minor)| format!("{major}.{minor}")),
    });
    format!("{object:#}\n")
}
