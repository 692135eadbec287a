//! What a start depends on, from configurations and hosts as values.

use daos_storage_nvme::NodeHugepages;
use daos_storage_nvme::sim;

use super::*;
use crate::config::testing::config;
use crate::network::Interface;
use crate::scan::memory::NodeMemory;

const HUGEPAGE_MIB: u32 = 2;

/// Two engines, one on each node, with these keys at the top and this data plane.
fn two_engines(plane: &str, keys: &str) -> ServerConfig {
    let entry = |node: u32, list: &str| {
        format!(
            "- {{targets: 4, pinned_numa_node: {node}, fabric_iface_port: {}, storage: [{{class: dcpm, scm_mount: /mnt/d{node}, \
             scm_list: [/dev/pmem{node}]}}, {{class: nvme, bdev_list: [{list}]}}]}}\n",
            31416 + node
        )
    };
    config(&format!(
        "data_plane: {plane}\nprovider: ofi+tcp\nfabric_iface: lo\n{keys}engines:\n{}{}",
        entry(0, "\"0000:81:00.0\", \"0000:82:00.0\""),
        entry(1, "\"0000:c1:00.0\"")
    ))
}

fn network() -> Network {
    let interface = Interface {
        name: "lo".to_owned(),
        class: crate::network::NetDevClass::LOOPBACK,
        numa_node: 0,
        up: true,
        addresses: Vec::new(),
        rdma_device: None,
    };
    Network { interfaces: vec![interface], numa_nodes: 2, cores_per_numa: 8 }
}

fn needs(config: &ServerConfig) -> StartNeeds {
    StartNeeds::of(config, 16, HUGEPAGE_MIB, &network())
}

fn memory(pages: &[u64]) -> SystemMemory {
    let node = |(node, pages): (u32, &u64)| NodeMemory {
        node,
        hugepages_total: *pages,
        hugepages_free: *pages,
        total_kib: 1 << 20,
        ..NodeMemory::default()
    };
    SystemMemory {
        hugepages_total: pages.iter().sum(),
        nodes: (0..).zip(pages).map(node).collect(),
        ..SystemMemory::default()
    }
}

/// Controllers of the bus with their drivers.
fn bus(drivers: &[(&str, &str)]) -> Vec<NvmeController> {
    let controller = |(address, driver): &(&str, &str)| {
        let mut controller = sim::controller(address.parse().unwrap(), 1, 1 << 30);
        controller.driver = Some((*driver).to_owned());
        controller
    };
    drivers.iter().map(controller).collect()
}

const ALL_WITH_KERNEL: &[(&str, &str)] =
    &[("0000:81:00.0", "nvme"), ("0000:82:00.0", "nvme"), ("0000:c1:00.0", "nvme")];

fn lacking(
    needs: &StartNeeds,
    drivers: &[(&str, &str)],
    pages: &[u64],
    is_root: bool,
) -> Vec<Fault> {
    let (memory, controllers) = (memory(pages), bus(drivers));
    needs.lacking(&HostNow { memory: &memory, controllers: &controllers, is_root })
}

fn pages(list: &[NodeHugepages]) -> Vec<(u32, u64)> {
    list.iter().map(|node| (node.node, node.pages)).collect()
}

#[test]
fn the_stand_in_data_plane_needs_nothing() {
    let none =
        needs(&two_engines("emulated", "nr_hugepages: 512\nbdev_include: [\"0000:81:00.0\"]\n"));
    assert_eq!(none, StartNeeds::default());
    assert_eq!(lacking(&none, &[], &[0, 0], false), []);
}

#[test]
fn contract_5_7_hugepages_are_in_equal_parts_on_the_nodes_of_engines() {
    // 2 x 4 targets x 1 GiB in pages of 2 MiB.
    assert_eq!(pages(&needs(&two_engines("engine", "")).hugepages), [(0, 2048), (1, 2048)]);
    let given = needs(&two_engines("engine", "nr_hugepages: 5000\n"));
    assert_eq!(pages(&given.hugepages), [(0, 2500), (1, 2500)]);
    let one_node = two_engines("engine", "").engines.remove(1);
    let mut one = two_engines("engine", "");
    one.engines = vec![one_node];
    assert_eq!(pages(&needs(&one).hugepages), [(1, 2048)], "a node without engines gets none");
}

#[test]
fn no_block_devices_need_no_hugepages_unless_they_are_asked_for() {
    let scm_only = |keys: &str| {
        config(&format!(
            "provider: ofi+tcp\nfabric_iface: lo\n{keys}engines:\n- {{targets: 1, fabric_iface_port: 31416, \
             storage: [{{class: ram, scm_mount: /mnt/d, scm_size: 4}}]}}\n"
        ))
    };
    assert_eq!(needs(&scm_only("")), StartNeeds::default());
    assert_eq!(needs(&scm_only("disable_hugepages: true\n")).hugepages, []);
    assert_eq!(pages(&needs(&scm_only("nr_hugepages: 64\n")).hugepages), [(0, 64)]);
}

#[test]
fn what_is_there_is_never_made_less() {
    let needs = needs(&two_engines("engine", ""));
    assert_eq!(pages(&needs.hugepages_to_set(&memory(&[2048, 100]))), [(0, 2048), (1, 2048)]);
    assert_eq!(pages(&needs.hugepages_to_set(&memory(&[9000, 0]))), [(0, 9000), (1, 2048)]);
}

#[test]
fn r169_only_listed_controllers_are_for_the_server_and_the_switches_say_which() {
    let all = needs(&two_engines("engine", ""));
    assert_eq!(all.automatic(0).len(), 2);
    assert_eq!(all.automatic(1), ["0000:c1:00.0".parse().unwrap()]);
    assert!(all.spares.is_empty());
    let some =
        needs(&two_engines("engine", "bdev_include: [\"0000:81:00.0\", \"0000:99:00.0\"]\n"));
    assert_eq!(some.automatic(0), ["0000:81:00.0".parse().unwrap()]);
    assert_eq!(some.automatic(1), []);
    assert_eq!(some.spares, ["0000:99:00.0".parse().unwrap()], "included without an engine");
}

#[test]
fn e26_a_controller_that_is_not_there_is_named_with_its_engine() {
    let needs = needs(&two_engines("engine", ""));
    assert_eq!(lacking(&needs, ALL_WITH_KERNEL, &[0, 0], true), [], "root mends the rest");
    let faults = lacking(&needs, &ALL_WITH_KERNEL[..2], &[0, 0], true);
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].code, 304);
    assert!(
        faults[0].description.contains("engine 1")
            && faults[0].description.contains("0000:c1:00.0")
    );
}

#[test]
fn a_plain_user_is_told_the_one_command_that_helps() {
    let needs = needs(&two_engines("engine", ""));
    let bound = [("0000:81:00.0", "vfio-pci"), ("0000:82:00.0", "nvme"), ("0000:c1:00.0", "nvme")];
    let faults = lacking(&needs, &bound, &[2048, 7], false);
    let codes: Vec<_> = faults.iter().map(|fault| fault.code).collect();
    assert_eq!(codes, [1450, 1453]);
    let command = &faults[0].resolution;
    assert!(
        command.contains("-w '0000:82:00.0 0000:c1:00.0' -p 0:2048,1:2048 -u USER"),
        "{command}"
    );
    assert!(faults[1].description.contains("node 1 has 7 huge pages, the engines need 2048"));
    let ready =
        [("0000:81:00.0", "vfio-pci"), ("0000:82:00.0", "vfio-pci"), ("0000:c1:00.0", "vfio-pci")];
    assert_eq!(lacking(&needs, &ready, &[2048, 2048], false), []);
}

/// The number that is told, as the program reads it on the host it was told on.
fn follow(command: &str, memory: &SystemMemory) -> Vec<u64> {
    let (_, rest) = command.split_once(" -p ").expect("pages");
    let pages = rest.split(' ').next().map(|text| text.parse().unwrap());
    let (request, _) = NvmePrepareAsk { pages, ..NvmePrepareAsk::default() }.request(memory);
    let now = |node| memory.hugepages_of(node).unwrap();
    let set = |node| request.hugepages.iter().find(|it| it.node == node).map(|it| it.pages);
    memory.nodes.iter().map(|it| set(it.node).unwrap_or(now(it.node))).collect()
}

#[test]
fn the_command_helps_on_a_host_with_more_nodes_than_engines() {
    let mut config = two_engines("engine", "");
    config.engines.remove(0);
    let needs = needs(&config);
    let bound = [("0000:c1:00.0", "vfio-pci")];
    for there in [[0, 0, 0], [9000, 7, 3], [5000, 2047, 0]] {
        let faults = lacking(&needs, &bound, &there, false);
        assert_eq!(faults.len(), 1, "{faults:?}");
        let after = follow(&faults[0].resolution, &memory(&there));
        assert_eq!(lacking(&needs, &bound, &after, false), [], "{}", faults[0].resolution);
        assert!(after.iter().zip(there).all(|(after, before)| *after >= before), "{after:?}");
    }
}

#[test]
fn controllers_that_the_switches_leave_out_have_to_be_ready() {
    let needs =
        needs(&two_engines("engine", "bdev_include: [\"0000:81:00.0\", \"0000:82:00.0\"]\n"));
    let faults = lacking(&needs, ALL_WITH_KERNEL, &[2048, 2048], true);
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].code, 1451);
    assert!(faults[0].description.contains("0000:c1:00.0"), "{}", faults[0]);
    let by_hand =
        [("0000:81:00.0", "nvme"), ("0000:82:00.0", "nvme"), ("0000:c1:00.0", "vfio-pci")];
    assert_eq!(lacking(&needs, &by_hand, &[2048, 2048], true), []);
}

#[test]
fn a_node_that_the_host_does_not_have_is_named() {
    let needs = needs(&two_engines("engine", ""));
    let faults = lacking(&needs, ALL_WITH_KERNEL, &[2048], true);
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].code, 1453);
    assert!(faults[0].description.contains("NUMA node 1"), "{}", faults[0]);
}

#[test]
fn a_command_concerns_the_engines_whose_controllers_it_chooses() {
    let config = two_engines("emulated", "");
    let of = |allow: Option<&str>| {
        engines_of(
            &config,
            &NvmePrepareAsk { allow: allow.map(str::to_owned), ..NvmePrepareAsk::default() },
        )
    };
    assert_eq!(of(None), [0, 1]);
    assert_eq!(of(Some("0000:c1:00.0")), [1]);
    assert!(of(Some("none")).is_empty());
}
