//! The lines of `daos_server network scan`, in words of the configuration file (R71). Pure.

use std::fmt::Write;

use super::rows::FabricScan;

/// One block per row, each line a key of the configuration, and a last line with their number.
#[must_use]
pub fn table(scan: &FabricScan) -> String {
    let mut text = String::new();
    for row in &scan.interfaces {
        // Writing to a String cannot fail.
        let _infallible = write!(
            text,
            "fabric_iface: {}\nprovider: {}\npinned_numa_node: {}\n\n",
            row.device, row.provider, row.numa_node
        );
    }
    let count = scan.interfaces.len();
    let noun = if count == 1 { "interface and provider" } else { "interfaces and providers" };
    let _infallible = writeln!(text, "{count} {noun} found");
    text
}

#[cfg(test)]
mod tests {
    use crate::network::{FabricInterface, FabricScan, NetDevClass, supported_line, table};

    #[test]
    fn prints_triples_and_a_count() {
        let row = FabricInterface {
            provider: "ofi+tcp".into(),
            device: "eth0".into(),
            numa_node: 1,
            priority: 5,
            class: NetDevClass::ETHER,
        };
        let scan = FabricScan { interfaces: vec![row], numa_nodes: 2, cores_per_numa: 4 };
        assert_eq!(
            table(&scan),
            "fabric_iface: eth0\nprovider: ofi+tcp\npinned_numa_node: 1\n\n1 interface and provider found\n"
        );
        let none = FabricScan { interfaces: Vec::new(), numa_nodes: 1, cores_per_numa: 0 };
        assert_eq!(table(&none), "0 interfaces and providers found\n");
    }

    #[test]
    fn the_list_of_providers_is_one_line() {
        let line = supported_line();
        assert!(!line.contains('\n'));
        for name in
            ["ofi+gni", "ofi+psm2", "ofi+tcp", "ofi+sockets", "ofi+verbs", "ofi+tcp;ofi_rxm"]
        {
            assert!(line.split(", ").any(|each| each == name), "{name}");
        }
    }
}
