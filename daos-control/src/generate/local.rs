//! Facts of this host, from its own scans.

use daos_storage_nvme::NvmeController;
use daos_storage_nvme::model::Obstacle;
use daos_storage_scm::model::Discovered;

use super::facts::{FabricPort, HostFacts, Pmem, Ssd, node_of};
use super::pmem::pmem_obstacles;
use crate::network::FabricScan;
use crate::scan::HostStorage;

/// What a proposal needs of the scans of this host. Persistent memory that could not be looked at is a problem, not its absence.
#[must_use]
pub fn host_facts(name: &str, storage: &HostStorage, network: &FabricScan) -> HostFacts {
    let mut problems: Vec<String> = Vec::new();
    let mut pmem = Vec::new();
    match &storage.scm {
        Ok(found) => {
            if let Discovered::Unknown { why, .. } = &found.namespaces {
                problems.push(why.clone());
            }
            pmem.extend(found.namespaces.known().iter().map(|namespace| Pmem {
                device: format!("/dev/{}", namespace.blockdev),
                node: namespace.numa_node,
                bytes: namespace.size,
                obstacle: in_words(&pmem_obstacles(namespace)),
            }));
        }
        Err(fault) => problems.push(fault.to_string()),
    }
    let mut ssds = Vec::new();
    match &storage.nvme {
        Ok(found) => {
            problems.extend(found.problems.iter().map(|problem| problem.text.clone()));
            ssds.extend(found.controllers.iter().map(ssd));
        }
        Err(fault) => problems.push(fault.to_string()),
    }
    let ports = network.interfaces.iter().map(|row| FabricPort {
        provider: row.provider.clone(),
        interface: row.device.clone(),
        node: row.numa_node,
        class: row.class.0,
        priority: row.priority,
    });
    HostFacts {
        name: name.to_owned(),
        cores_per_node: network.cores_per_numa,
        ports: ports.collect(),
        pmem,
        ssds,
        problems,
    }
}

fn ssd(found: &NvmeController) -> Ssd {
    let obstacles = found.obstacles.iter().filter(|each| keeps_out(each));
    let obstacles: Vec<String> = obstacles.map(ToString::to_string).collect();
    Ssd {
        address: found.address.to_string(),
        node: node_of(found.socket),
        bytes: found.capacity_bytes(),
        obstacle: in_words(&obstacles),
    }
}

fn in_words(obstacles: &[String]) -> Option<String> {
    (!obstacles.is_empty()).then(|| obstacles.join(", "))
}

/// Being prepared for engines, or listed for none yet, is what a proposal is for.
pub(crate) fn keeps_out(obstacle: &Obstacle) -> bool {
    !matches!(obstacle, Obstacle::BoundTo { .. } | Obstacle::Unbound | Obstacle::NotListed)
}

#[cfg(test)]
mod tests {
    use daos_storage_nvme::blockdev::{DeviceUse, ProcessRef};
    use daos_storage_nvme::sim;

    use super::*;

    #[test]
    fn a_controller_that_a_virtual_machine_has_is_left_out_with_the_reason() {
        let mut prepared = sim::controller("0000:81:00.0".parse().unwrap(), 1, 1 << 40);
        prepared.obstacles = vec![Obstacle::BoundTo { driver: "vfio-pci".to_owned() }];
        assert_eq!(ssd(&prepared).obstacle, None, "prepared for engines");
        let by = DeviceUse::OpenBy(ProcessRef { pid: 7, name: "qemu".to_owned() });
        for (why, text) in [
            (Obstacle::Open { by }, "open in qemu (pid 7)"),
            (Obstacle::NotRecorded, "no record of a prepare says what it is"),
            (
                Obstacle::UseUnknown { detail: "denied".to_owned() },
                "who has it open cannot be told: denied",
            ),
        ] {
            let mut other = prepared.clone();
            other.obstacles.push(why);
            assert_eq!(ssd(&other).obstacle.as_deref(), Some(text));
        }
    }
}
