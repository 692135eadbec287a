//! What many hosts have, for proposing their configurations: the storage scan, the network scan and the state of the devices of each.

use std::collections::BTreeMap;

use super::devices::{HostDevices, bars};
use super::error::ClientError;
use super::hosts::{Client, DEFAULT_TIMEOUT};
use super::network::HostFabric;
use super::storage::{HostStorage, NvmeController, ScanDetail};
use super::{HostAddr, HostResults, wire};
use crate::generate::{FabricPort, HostFacts, Pmem, Ssd, node_of};

/// What is not known of a host with a stock server.
const UNKNOWN_USE: &str =
    "whether SSDs and persistent memory are in use; the server has no service that tells";
/// What came or went between two looks is not proposed.
const UNTOLD: &str = "the server did not say whether it is in use";

impl Client {
    /// Asks every host for its storage, for all its fabric interfaces, and which devices are in use. A host counts as failed when any of these
    /// does; a stock server that does not say what is in use has a problem in its facts.
    pub async fn hardware(&self) -> HostResults<HostFacts> {
        let (storage, fabrics, devices) = futures_util::join!(
            self.storage_scan(ScanDetail::Full),
            self.network_scan(Some("all")),
            self.ask_hosts(DEFAULT_TIMEOUT, wire::server::devices),
        );
        let mut failures: BTreeMap<HostAddr, ClientError> = BTreeMap::new();
        for (host, error) in
            storage.failures.into_iter().chain(fabrics.failures).chain(devices.failures)
        {
            failures.entry(host).or_insert(error);
        }
        let fabric_of: BTreeMap<HostAddr, HostFabric> = fabrics.answers.into_iter().collect();
        let devices_of: BTreeMap<HostAddr, _> = devices.answers.into_iter().collect();
        let answers = storage.answers.into_iter().filter_map(|(host, storage)| {
            let (fabric, devices) = (fabric_of.get(&host)?, devices_of.get(&host)?);
            let mut facts = facts(self.name_of(&host), storage, fabric);
            match devices {
                None => facts.problems.push(UNKNOWN_USE.to_owned()),
                Some(devices) => add_obstacles(&mut facts, devices),
            }
            Some((host, facts))
        });
        HostResults { answers: answers.collect(), failures: failures.into_iter().collect() }
    }

    fn name_of(&self, host: &HostAddr) -> String {
        match host.port() {
            Some(port) if port != self.default_port() => format!("{}:{port}", host.host()),
            _ => host.host().to_owned(),
        }
    }
}

fn add_obstacles(facts: &mut HostFacts, devices: &HostDevices) {
    let untold = || Some(UNTOLD.to_owned());
    for ssd in &mut facts.ssds {
        let state = devices.controllers.get(&ssd.address);
        ssd.obstacle = state.map_or_else(untold, |state| bars(&state.obstacles));
    }
    for pmem in &mut facts.pmem {
        let state = devices.namespaces.get(pmem.device.trim_start_matches("/dev/"));
        pmem.obstacle = state.map_or_else(untold, |state| bars(&state.obstacles));
    }
    facts.problems.extend(devices.problems.iter().cloned());
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
                obstacle: None,
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
