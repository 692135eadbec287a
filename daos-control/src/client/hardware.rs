//! What many hosts have, for proposing their configurations: the storage scan and the network scan of each.

use std::collections::BTreeMap;

use super::hosts::Client;
use super::network::HostFabric;
use super::storage::{HostStorage, NvmeController, ScanDetail};
use super::{HostAddr, HostResults};
use crate::generate::{FabricPort, HostFacts, Pmem, Ssd, node_of};

impl Client {
    /// Asks every host for its storage and for all its fabric interfaces. A host counts as failed when either is missing.
    pub async fn hardware(&self) -> HostResults<HostFacts> {
        let (storage, fabrics) = futures_util::join!(
            self.storage_scan(ScanDetail::Full),
            self.network_scan(Some("all"))
        );
        let mut failures = storage.failures;
        for (host, error) in fabrics.failures {
            if !failures.iter().any(|(failed, _)| *failed == host) {
                failures.push((host, error));
            }
        }
        failures.sort_by(|(left, _), (right, _)| left.cmp(right));
        let fabric_of: BTreeMap<HostAddr, HostFabric> = fabrics.answers.into_iter().collect();
        let answers = storage
            .answers
            .into_iter()
            .filter_map(|(host, storage)| {
                let facts = facts(self.name_of(&host), storage, fabric_of.get(&host)?);
                Some((host, facts))
            })
            .collect();
        HostResults { answers, failures }
    }

    fn name_of(&self, host: &HostAddr) -> String {
        match host.port() {
            Some(port) if port != self.default_port() => format!("{}:{port}", host.host()),
            _ => host.host().to_owned(),
        }
    }
}

fn facts(name: String, storage: HostStorage, fabric: &HostFabric) -> HostFacts {
    let ports = fabric.interfaces.iter().map(|row| FabricPort {
        provider: row.provider.clone(),
        interface: row.device.clone(),
        node: row.numa_node,
        class: row.device_class,
        priority: row.priority,
    });
    // RAM that serves as SCM is told as a namespace, too.
    let is_ram = |mount: &super::ScmMount| mount.class == "ram";
    let namespaces = storage.scm_namespaces.into_iter().filter(|namespace| {
        !namespace.mount.as_ref().is_some_and(is_ram) && namespace.block_device.starts_with("pmem")
    });
    HostFacts {
        name,
        cores_per_node: fabric.cores_per_numa,
        ports: ports.collect(),
        pmem: namespaces
            .map(|namespace| Pmem {
                device: format!("/dev/{}", namespace.block_device),
                node: namespace.numa_node,
                bytes: namespace.size,
            })
            .collect(),
        ssds: storage.nvme.iter().filter(|found| is_address(&found.pci_address)).map(ssd).collect(),
        problems: storage.problems,
    }
}

fn ssd(found: &NvmeController) -> Ssd {
    Ssd {
        address: found.pci_address.clone(),
        node: node_of(found.socket),
        bytes: found.capacity(),
        obstacle: None,
    }
}

/// Files and kernel devices that stand in for controllers are told by their path.
fn is_address(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
}
