//! Made-up hosts: whatever is proposed can be loaded, uses every device once and only those of the engine's NUMA node.
#![cfg(feature = "server")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use daos_control::config::{BdevMedia, CommandLine, ScmTier, Surroundings, parse};
use daos_control::generate::{
    FabricPort, HostConfig, HostFacts, NetClass, Options, Pmem, Ssd, propose, write_files,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn surroundings() -> Surroundings {
    Surroundings {
        current_dir: PathBuf::from("/"),
        executable: PathBuf::from("/opt/daos/bin/daos_server"),
        default_state_dir: PathBuf::from("/var/lib/daos_server"),
    }
}

/// Loads a file as the server would; panics with every broken rule.
fn load(config: &HostConfig) -> daos_control::config::ServerConfig {
    let yaml = config.yaml();
    let path = PathBuf::from("generated.yml");
    match parse(yaml.as_bytes(), path, &CommandLine::default(), &surroundings()) {
        Ok(loaded) => loaded.config,
        Err(error) => panic!("{}\n{yaml}", error.report()),
    }
}

fn ports() -> impl Strategy<Value = Vec<FabricPort>> {
    let providers =
        prop_oneof![Just(("ofi+verbs;ofi_rxm", 3)), Just(("ofi+tcp", 5)), Just(("ofi+sockets", 7))];
    let one = (providers, 0..6u32, 0..3u32, prop_oneof![Just(1u32), Just(32)]);
    // An interface is at one node and of one kind, whatever its providers.
    vec(one, 0..10).prop_map(|rows| {
        let mut places = BTreeMap::new();
        rows.into_iter()
            .map(|((provider, priority), number, node, class)| {
                let (node, class) = *places.entry(number).or_insert((node, class));
                FabricPort {
                    provider: provider.to_owned(),
                    interface: format!("if{number}: #x"),
                    node,
                    class,
                    priority,
                }
            })
            .collect()
    })
}

fn host() -> impl Strategy<Value = HostFacts> {
    let pmem = vec((0..4u32, 1..1u64 << 40), 0..4).prop_map(|list| {
        let device = |(number, (node, bytes))| Pmem {
            device: format!("/dev/pmem{number}"),
            node,
            bytes,
            obstacle: None,
        };
        (0..).zip(list).map(|(number, entry): (u32, _)| device((number, entry))).collect::<Vec<_>>()
    });
    let ssds = vec((0..4u32, 0..1u64 << 50, any::<bool>(), 0..8u8), 0..12).prop_map(|list| {
        let ssd = |number: u32, (node, bytes, vmd, obstacle): (u32, u64, bool, u8)| Ssd {
            address: match vmd {
                true => format!("5d0505:{number:02x}:00.0"),
                false => format!("0000:{number:02x}:00.0"),
            },
            node,
            bytes,
            obstacle: (obstacle == 0).then(|| "mounted".to_owned()),
        };
        (0..).zip(list).map(|(number, entry)| ssd(number, entry)).collect::<Vec<_>>()
    });
    (0..200u32, ports(), pmem, ssds).prop_map(|(cores_per_node, ports, pmem, ssds)| HostFacts {
        name: String::new(),
        cores_per_node,
        ports,
        pmem,
        ssds,
        problems: Vec::new(),
    })
}

fn hosts() -> impl Strategy<Value = Vec<HostFacts>> {
    vec(host(), 1..6).prop_map(|mut hosts| {
        for (number, host) in hosts.iter_mut().enumerate() {
            host.name = format!("node{number}");
        }
        hosts
    })
}

fn options() -> impl Strategy<Value = Options> {
    let class = prop_oneof![
        3 => Just(None),
        1 => Just(Some(NetClass::Ethernet)),
        1 => Just(Some(NetClass::InfiniBand)),
    ];
    (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        0..4u32,
        prop::option::weighted(0.2, 1..4u32),
        class,
    )
        .prop_map(|(tmpfs, on_disk, insecure, min_ssds, engines, net_class)| Options {
            tmpfs,
            control_metadata: (tmpfs && on_disk && min_ssds > 0).then(|| "/var/lib/m".to_owned()),
            insecure,
            min_ssds,
            engines,
            net_class,
            ..Options::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    #[test]
    fn t8_whatever_is_proposed_loads_and_uses_each_device_once_at_its_node(
        hosts in hosts(), options in options(),
    ) {
        let Ok(proposal) = propose(&hosts, &options) else { return Ok(()) };
        prop_assert_eq!(&propose(&hosts, &options).expect("the same again"), &proposal);
        let placed: Vec<&String> = proposal.configs.iter().flat_map(|config| &config.hosts).collect();
        prop_assert_eq!(placed.len() + proposal.refused.len(), hosts.len(), "each host is told about once");
        let mut streams = BTreeSet::new();
        for config in &proposal.configs {
            let loaded = load(config);
            prop_assert_eq!(loaded.engines.len(), config.engines.len());
            for name in &config.hosts {
                let facts = hosts.iter().find(|host| host.name == *name).expect("a host that was given");
                let mut used = BTreeSet::new();
                for engine in &loaded.engines {
                    let node = engine.pinned_numa_node.expect("pinned");
                    streams.insert((engine.targets, engine.helper_streams));
                    let interface = &engine.fabric.interface;
                    prop_assert!(used.insert(interface.clone()), "{} twice", interface);
                    prop_assert!(facts.ports.iter().any(|port| port.interface == *interface
                        && port.provider == engine.fabric.provider && port.node == node));
                    if let ScmTier::Dcpm { device, .. } = &engine.scm {
                        let device = device.display().to_string();
                        prop_assert!(facts.pmem.iter().any(|pmem| pmem.device == device && pmem.node == node));
                        prop_assert!(used.insert(device));
                    }
                    prop_assert_eq!(matches!(engine.scm, ScmTier::Ram { .. }), options.tmpfs);
                    let mut ssds = 0;
                    for tier in &engine.bdevs {
                        let BdevMedia::Nvme { addresses, .. } = &tier.media else { panic!("SSDs alone") };
                        for address in addresses {
                            ssds += 1;
                            prop_assert!(facts.ssds.iter().any(|ssd| ssd.address == *address
                                && ssd.node == node && ssd.obstacle.is_none()));
                            prop_assert!(used.insert(address.clone()), "{} twice", address);
                        }
                    }
                    prop_assert!(ssds >= options.min_ssds && (options.min_ssds > 0 || ssds == 0));
                    prop_assert_eq!(engine.has_roles(), options.control_metadata.is_some());
                }
            }
        }
        prop_assert_eq!(streams.len(), 1, "all engines of a system have the same targets and helpers");
    }
}

#[test]
fn files_are_written_for_each_host_and_never_over_others() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().join("new");
    let host = |name: &str| HostFacts {
        name: name.to_owned(),
        cores_per_node: 4,
        ports: vec![FabricPort {
            provider: "ofi+tcp".into(),
            interface: "eth0".into(),
            node: 0,
            class: 1,
            priority: 5,
        }],
        pmem: vec![Pmem { device: "/dev/pmem0".into(), node: 0, bytes: 1 << 30, obstacle: None }],
        ssds: Vec::new(),
        problems: Vec::new(),
    };
    let options = Options { scm_only: true, ..Options::default() };
    let proposal = propose(&[host("n1"), host("n2:10002")], &options).expect("a proposal");
    let files = write_files(&place, &proposal).expect("written");
    assert_eq!(files, [place.join("n1.yml"), place.join("n2_10002.yml")]);
    // Each with the port by which its host was asked.
    assert_eq!(proposal.configs.len(), 2);
    for (file, config) in files.iter().zip(&proposal.configs) {
        assert_eq!(std::fs::read_to_string(file).expect("there"), config.yaml());
    }
    std::fs::remove_file(&files[0]).expect("removed");
    let error = write_files(&place, &proposal).expect_err("refused");
    assert_eq!(error.code(), 1488);
    assert!(error.to_string().contains("n2_10002.yml exists already") && !files[0].exists());
}
