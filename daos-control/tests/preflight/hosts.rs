//! Made-up hosts and configurations for the rules.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use daos_control::Fault;
use daos_control::config::{CommandLine, HostMemory, Loaded, Surroundings, parse};
use daos_control::format::Foreseen;
use daos_control::network::{Interface, NetDevClass, Network};
use daos_control::preflight::{
    Asked, ClockFacts, ConfigKeys, ControllerFacts, DeviceNames, Facts, Finding, HostFacts,
    LIBIPMCTL, ModuleState, Modules, PlaceFacts, PlacePurpose, PmemFacts, PortFacts, PortPurpose,
    Severity, ToolFacts, check,
};
use daos_control::scan::NodeMemory;

pub const GIB: u64 = 1 << 30;

pub fn interface(name: &str, class: NetDevClass, numa_node: u32) -> Interface {
    Interface {
        name: name.to_owned(),
        class,
        numa_node,
        up: true,
        addresses: vec![Ipv4Addr::new(10, 0, 0, 1)],
        rdma_device: None,
    }
}

fn node(node: u32) -> NodeMemory {
    NodeMemory {
        node,
        hugepages_total: 4096,
        hugepages_free: 4096,
        total_kib: 128 << 20,
        free_kib: 64 << 20,
        ..NodeMemory::default()
    }
}

pub fn controller(address: &str, numa_node: u32) -> ControllerFacts {
    ControllerFacts {
        address: address.to_owned(),
        numa_node: Some(numa_node),
        driver: Some("vfio-pci".to_owned()),
        device: Some((PathBuf::from("/dev/vfio/7"), true)),
        uses: Vec::new(),
    }
}

pub fn place(purpose: PlacePurpose, key: &str, path: &str) -> PlaceFacts {
    PlaceFacts {
        purpose,
        key: key.to_owned(),
        path: path.into(),
        existing: path.into(),
        writable: true,
        searchable: true,
        available: Some(100 * GIB),
        in_memory: false,
    }
}

/// Storage of one engine that a format takes.
pub fn ready(engine: u32) -> Foreseen {
    let scm_mount = format!("/mnt/daos{engine}");
    Foreseen { engine, scm_mount, formatted: false, refusals: Vec::new() }
}

fn tool(name: &'static str) -> ToolFacts {
    let version = (name == LIBIPMCTL).then(|| "03.00.00.0468".to_owned());
    ToolFacts { name, path: Some(PathBuf::from("/usr/bin").join(name)), version, problem: None }
}

/// What a start sees of a host that is ready for everything below, by a plain user.
pub fn host() -> HostFacts {
    let modules = ["vfio_pci", "vfio_iommu_type1", "uio_pci_generic", "nd_pmem", "ext4"];
    HostFacts {
        memory: HostMemory {
            total: 256 * GIB,
            available: 200 * GIB,
            hugepage: 2 << 20,
            ..HostMemory::default()
        },
        cores: 16,
        is_root: false,
        user: "bob".to_owned(),
        transparent_hugepages: "always madvise [never]".to_owned(),
        iommu: vec!["dmar0".to_owned()],
        no_iommu_allowed: false,
        modules: Modules {
            release: "6.1.0".to_owned(),
            states: modules.map(|name| (name, ModuleState::Loaded)).into(),
        },
        memlock: None,
        network: Network {
            interfaces: vec![
                interface("eth0", NetDevClass::ETHER, 0),
                interface("eth1", NetDevClass::ETHER, 1),
            ],
            numa_nodes: 2,
            cores_per_numa: 8,
        },
        devices: DeviceNames::default(),
    }
}

/// The same host as preflight sees it.
pub fn facts() -> Facts {
    Facts {
        host: host(),
        nodes: vec![node(0), node(1)],
        controllers: Ok(vec![controller("0000:81:00.0", 0), controller("0000:82:00.0", 1)]),
        pmem: [0, 1]
            .map(|node| PmemFacts { name: format!("pmem{node}"), numa_node: Some(node) })
            .into(),
        scm_devices: [0, 1].map(|node| (format!("/dev/pmem{node}").into(), true)).into(),
        storage: Ok([0, 1].map(ready).into()),
        engine_program: Some(Ok("/usr/bin/daos_engine".into())),
        tools: ["blkid", "mkfs.ext4", "ndctl", LIBIPMCTL].map(tool).into(),
        places: vec![
            place(PlacePurpose::State, "state_dir", "/var/lib/daos_server"),
            place(PlacePurpose::Sockets, "socket_dir", "/run/daos"),
            place(PlacePurpose::Log, "control_log_file", "/var/log/daos"),
        ],
        clock: Ok(ClockFacts { synchronised: true, max_error_us: 100 }),
        ports: vec![
            PortFacts { port: 10001, purpose: PortPurpose::Control, holder: None },
            PortFacts { port: 31416, purpose: PortPurpose::Fabric(0), holder: None },
        ],
    }
}

fn engine(index: usize, scm: &str) -> String {
    format!(
        "- targets: 2\n  fabric_iface: eth{index}\n  fabric_iface_port: {}\n  storage:\n  - {scm}\n  \
         - {{class: nvme, bdev_list: ['0000:8{}:00.0']}}\n",
        31416 + index,
        index + 1
    )
}

/// Two engines with RAM and NVMe, one at each node.
pub fn ram_and_nvme(top: &str) -> String {
    let tier = |index| engine(index, &format!("{{class: ram, scm_mount: /mnt/d{index}}}"));
    format!("provider: ofi+tcp\n{top}engines:\n{}{}", tier(0), tier(1))
}

/// Two engines with persistent memory and NVMe.
pub fn pmem_and_nvme(top: &str) -> String {
    let tier = |index| {
        let scm =
            format!("{{class: dcpm, scm_mount: /mnt/d{index}, scm_list: [/dev/pmem{index}]}}");
        engine(index, &scm)
    };
    format!("provider: ofi+tcp\n{top}engines:\n{}{}", tier(0), tier(1))
}

pub fn load(text: &str) -> Loaded {
    let surroundings = Surroundings {
        current_dir: "/".into(),
        executable: "/opt/daos/bin/daos_server".into(),
        default_state_dir: "/var/lib/daos_server".into(),
    };
    parse(text.as_bytes(), "daos_server.yml".into(), &CommandLine::default(), &surroundings)
        .unwrap_or_else(|error| panic!("{}\n{text}", error.report()))
}

/// Everything that is found against a configuration.
pub fn findings(text: &str, facts: &Facts) -> Vec<Finding> {
    let loaded = load(text);
    let keys = ConfigKeys::of(&loaded);
    check(Some(Asked { config: &loaded.config, keys: &keys }), facts)
}

/// What is not well.
pub fn problems(found: Vec<Finding>) -> Vec<Finding> {
    found.into_iter().filter(|finding| finding.severity > Severity::Ok).collect()
}

/// Rule, severity, fault and subject of everything that is not well.
pub fn told(text: &str, facts: &Facts) -> Vec<(String, Severity, i32, String)> {
    let problems = problems(findings(text, facts));
    problems.into_iter().map(|each| (each.rule, each.severity, each.code, each.subject)).collect()
}

/// With a real engine that rule is the only one that is broken; the emulated data plane makes one notice of it. The finding.
#[track_caller]
pub fn protects(text: &str, facts: &Facts, rule: &str, code: i32) -> Finding {
    let real = problems(findings(text, facts));
    assert!(!real.is_empty(), "nothing found");
    for finding in &real {
        let is = (finding.rule.as_str(), finding.severity, finding.code);
        assert_eq!(is, (rule, Severity::Error, code), "{real:#?}");
        assert!(!finding.fix.is_empty() && !finding.evidence.is_empty(), "{finding:#?}");
    }
    let emulated = problems(findings(&format!("data_plane: emulated\n{text}"), facts));
    let noticed: Vec<_> = emulated.iter().filter(|each| each.code == code).collect();
    assert_eq!(noticed.len(), 1, "{emulated:#?}");
    assert_eq!(noticed[0].severity, Severity::Notice);
    assert!(noticed[0].text.contains(&format!("(fault {code})")), "{noticed:#?}");
    real.into_iter().next().expect("one")
}

/// A host on which nothing is right.
pub fn bad() -> Facts {
    let mut bad = facts();
    let host = &mut bad.host;
    host.memory.total = 70 * GIB;
    host.transparent_hugepages = "[always] madvise never".to_owned();
    host.iommu.clear();
    host.modules.states.clear();
    host.memlock = Some(64 << 10);
    host.network.interfaces[1].class = NetDevClass::INFINIBAND;
    for node in &mut bad.nodes {
        (node.hugepages_total, node.free_kib) = (0, 1 << 10);
    }
    bad.controllers = Ok(vec![controller("0000:81:00.0", 1)]);
    for found in bad.controllers.iter_mut().flatten() {
        (found.driver, found.device) = (Some("nvme".to_owned()), None);
        found.uses = vec!["mounted on /home".to_owned()];
    }
    for (_, there) in &mut bad.scm_devices {
        *there = false;
    }
    bad.engine_program =
        Some(Err(Fault::new("server", 1266, "daos_engine is missing", "install it")));
    for tool in &mut bad.tools {
        (tool.path, tool.version) = (None, None);
    }
    for place in &mut bad.places {
        (place.writable, place.available, place.in_memory) = (false, Some(1 << 20), true);
    }
    bad.clock = Ok(ClockFacts { synchronised: false, max_error_us: 16_000_000 });
    for port in &mut bad.ports {
        port.holder = Some(daos_control::preflight::PortHolder {
            process: "pid 7 (nginx)".to_owned(),
            ours: false,
        });
    }
    bad
}
