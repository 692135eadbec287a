//! The configuration against a host, with and without a real engine.

use std::net::Ipv4Addr;

use daos_control::config::HostMemory;
use daos_control::network::{Interface, NetDevClass, Network};
use daos_control::preflight::{
    DeviceNames, HostFacts, HostVerdict, ModuleState, Modules, check_host,
};

use crate::support::load;

const GIB: u64 = 1 << 30;

fn interface(name: &str, class: NetDevClass, numa_node: u32) -> Interface {
    Interface {
        name: name.to_owned(),
        class,
        numa_node,
        up: true,
        addresses: vec![Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 1, 1)],
        rdma_device: None,
    }
}

/// A host that suits every configuration here.
fn facts() -> HostFacts {
    HostFacts {
        memory: HostMemory {
            total: 256 * GIB,
            available: 200 * GIB,
            hugepage: 2 << 20,
            ..HostMemory::default()
        },
        cores: 16,
        is_root: true,
        user: "root".to_owned(),
        transparent_hugepages: "always madvise [never]".to_owned(),
        iommu: vec!["dmar0".to_owned()],
        no_iommu_allowed: false,
        modules: Modules {
            release: "6.1.0".to_owned(),
            states: ["vfio_pci", "vfio_iommu_type1"].map(|name| (name, ModuleState::Loaded)).into(),
        },
        memlock: None,
        network: Network {
            interfaces: vec![
                interface("eth0", NetDevClass::ETHER, 0),
                interface("eth1", NetDevClass::ETHER, 1),
                interface("eth2", NetDevClass::ETHER, 0),
            ],
            numa_nodes: 2,
            cores_per_numa: 8,
        },
        devices: DeviceNames::default(),
    }
}

fn text(top: &str, bdev: &str, interfaces: &[&str]) -> String {
    let mut text = format!("provider: ofi+tcp\n{top}engines:\n");
    for (index, name) in interfaces.iter().enumerate() {
        text.push_str(&format!(
            "- targets: 4\n  fabric_iface: {name}\n  fabric_iface_port: {}\n  storage:\n  - class: ram\n    \
             scm_mount: /mnt/d{index}\n{}",
            31416 + index,
            bdev.replace("INDEX", &index.to_string())
        ));
    }
    text
}

fn verdict(text: &str, facts: &HostFacts) -> HostVerdict {
    check_host(&load(text).unwrap_or_else(|error| panic!("{}", error.report())), facts)
}

const NVME: &str = "  - class: nvme\n    bdev_list: ['0000:81:0INDEX.0']\n";
const FILE: &str = "  - class: file\n    bdev_list: [/tmp/INDEX]\n    bdev_size: 1\n";

/// With a real engine `code` at `key` is the only fault; emulated, it is the only notice of its kind.
#[track_caller]
fn protects(config: &str, facts: &HostFacts, code: i32, key: &str) {
    let real = verdict(config, facts);
    let found: Vec<_> =
        real.faults.iter().map(|found| (found.fault.code, found.key.as_str())).collect();
    assert_eq!(found, [(code, key)], "{real:#?}");
    assert!(real.faults[0].fault.has_resolution());
    let emulated = verdict(&format!("data_plane: emulated\n{config}"), facts);
    assert_eq!(emulated.faults, []);
    let noticed = format!("(fault {code})");
    let count = emulated.notices.iter().filter(|notice| notice.text.contains(&noticed)).count();
    assert_eq!(count, 1, "{emulated:#?}");
}

#[test]
fn a_host_that_suits() {
    let found = verdict(&text("", FILE, &["eth0", "eth1"]), &facts());
    assert_eq!((found.faults, found.notices), (vec![], vec![]));
    assert_eq!(found.ram_tier_gib, Some(91));
}

#[test]
fn contract_5_7_memory_for_ram_tiers() {
    let key = "engines[0].storage[0].scm_size";
    let small = HostFacts { memory: HostMemory { total: 66 * GIB, ..facts().memory }, ..facts() };
    protects(&text("", "", &["eth0"]), &small, 214, key);
    let large = text("", "", &["eth0"]).replace("/mnt/d0\n", "/mnt/d0\n    scm_size: 250\n");
    protects(&large, &facts(), 731, key);
    let fits = text("system_ram_reserved: 1\n", "", &["eth0"]);
    assert!(verdict(&fits, &small).ram_tier_gib.is_some_and(|gib| gib > 50));
    assert_eq!(verdict(&large, &facts()).ram_tier_gib, None, "nothing is left to be computed");
}

#[test]
fn the_seeds_keys_are_named_where_they_are_written() {
    let text = "provider: ofi+tcp\nservers:\n- fabric_iface: eth0\n  fabric_iface_port: 31416\n  targets: 4\n  \
                scm_class: ram\n  scm_mount: /mnt/d\n  scm_size: 250\n";
    protects(text, &facts(), 731, "servers[0].scm_size");
    let position = verdict(text, &facts()).faults[0].position;
    assert_eq!(position.map(|at| at.line), Some(8));
}

#[test]
fn transparent_hugepages_are_refused_unless_allowed() {
    let thp = HostFacts { transparent_hugepages: "always [madvise] never".into(), ..facts() };
    protects(&text("", "", &["eth0"]), &thp, 623, "allow_thp");
    assert_eq!(verdict(&text("allow_thp: true\n", "", &["eth0"]), &thp).faults, []);
    assert_eq!(verdict("engines: []\n", &thp).faults, []);
}

#[test]
fn nvme_as_a_plain_user_needs_vfio_and_an_iommu() {
    let user = HostFacts { is_root: false, ..facts() };
    let bare = HostFacts { iommu: Vec::new(), ..user.clone() };
    protects(&text("disable_vfio: true\n", NVME, &["eth0"]), &user, 614, "disable_vfio");
    protects(&text("", NVME, &["eth0"]), &bare, 602, "disable_vfio");
    assert_eq!(verdict(&text("", FILE, &["eth0"]), &bare).faults, []);
}

#[test]
fn r47_the_interface_must_exist_with_an_address_and_carry_the_provider() {
    let key = "engines[0].fabric_iface";
    protects(&text("", "", &["eth7"]), &facts(), 701, key);
    let mut bare = facts();
    bare.network.interfaces[0].addresses.clear();
    protects(&text("", "", &["eth0"]), &bare, 701, key);
    let verbs = text("", "", &["eth0"]).replace("ofi+tcp", "ofi+verbs;ofi_rxm");
    protects(&verbs, &facts(), 701, key);
}

#[test]
fn r47_a_pin_that_differs_from_the_interface_is_noticed() {
    let pinned = text("", "", &["eth1"]).replace("targets: 4", "targets: 4\n  pinned_numa_node: 0");
    let found = verdict(&pinned, &facts());
    assert_eq!(found.faults, []);
    assert!(
        found.notices.iter().any(|notice| notice.text.contains("pinned to node 0")),
        "{found:?}"
    );
}

#[test]
fn interfaces_of_all_engines_are_of_one_kind() {
    let mut mixed = facts();
    mixed.network.interfaces[1].class = NetDevClass::INFINIBAND;
    protects(&text("", "", &["eth0", "eth1"]), &mixed, 613, "engines[1].fabric_iface");
}

#[test]
fn engines_are_spread_evenly_over_numa_nodes() {
    let uneven = ["eth0", "eth1", "eth2"];
    protects(&text("", FILE, &uneven), &facts(), 728, "engines");
    assert_eq!(verdict(&text("allow_numa_imbalance: true\n", FILE, &uneven), &facts()).faults, []);
    assert_eq!(verdict(&text("", "", &uneven), &facts()).faults, [], "no block devices");
}

#[test]
fn control_iface_must_have_an_address_with_either_data_plane() {
    let found = verdict(&text("control_iface: eth1\n", "", &["eth0"]), &facts());
    assert_eq!(found.control_address, Some(Ipv4Addr::new(10, 0, 0, 1)), "the lowest");
    for top in ["control_iface: eth7\n", "data_plane: emulated\ncontrol_iface: eth7\n"] {
        let found = verdict(&text(top, "", &["eth0"]), &facts());
        assert_eq!((found.faults[0].fault.code, found.control_address), (739, None));
    }
}

#[test]
fn a_replica_listens_where_it_is_listed() {
    let listed = |address: &str| {
        let top = format!("control_iface: eth1\nmgmt_svc_replicas: ['{address}']\n");
        verdict(&text(&top, "", &["eth0"]), &facts()).faults
    };
    assert_eq!(listed("10.0.1.1")[0].fault.code, 740, "another address of this host");
    assert_eq!(listed("10.0.0.1"), [], "the address it listens on");
    assert_eq!(listed("10.9.9.9"), [], "another host");
}

#[test]
fn too_few_hugepages_are_noticed() {
    let found = verdict(&text("nr_hugepages: 5\n", FILE, &["eth0"]), &facts());
    assert!(found.notices.iter().any(|notice| notice.key == "nr_hugepages"), "{found:?}");
}
