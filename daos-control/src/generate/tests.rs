//! Cases by hand; `tests/generate.rs` makes up hosts and loads what comes out.

use super::engine::streams;
use super::{FabricPort, HostFacts, NetClass, Options, Pmem, ScmProposal, Ssd, propose};

fn port(provider: &str, interface: &str, node: u32, class: u32, priority: u32) -> FabricPort {
    FabricPort { provider: provider.into(), interface: interface.into(), node, class, priority }
}

fn ssd(address: &str, node: u32, gib: u64) -> Ssd {
    Ssd { address: address.into(), node, bytes: gib << 30, obstacle: None }
}

/// Two nodes, each with verbs, tcp, one namespace and two SSDs.
fn host(name: &str) -> HostFacts {
    let both = |node: u32| {
        [
            port("ofi+verbs;ofi_rxm", &format!("ib{node}"), node, 32, 3),
            port("ofi+tcp", &format!("ib{node}"), node, 32, 5),
            port("ofi+tcp", &format!("eth{node}"), node, 1, 5),
        ]
    };
    HostFacts {
        name: name.into(),
        cores_per_node: 16,
        ports: (0..2).flat_map(both).collect(),
        pmem: (0..2)
            .map(|node| Pmem {
                device: format!("/dev/pmem{node}"),
                node,
                bytes: 1 << 40,
                obstacle: None,
            })
            .collect(),
        ssds: (0..4).map(|n| ssd(&format!("0000:8{n}:00.0"), n / 2, 1000)).collect(),
        problems: Vec::new(),
    }
}

fn notes(proposal: &super::Proposal) -> String {
    proposal.notes.iter().map(|note| format!("{note}\n")).collect()
}

#[test]
fn t8_equal_hosts_share_one_file_with_an_engine_for_each_node() {
    let hosts = ["n1", "n2", "n3", "n4"].map(host);
    let proposal = propose(&hosts, &Options::default()).expect("a proposal");
    assert_eq!((proposal.configs.len(), proposal.refused.len()), (1, 0));
    let yaml = proposal.configs[0].yaml();
    assert_eq!(
        yaml,
        "# For n1, n2, n3, n4.\nname: \"daos_server\"\nport: 10001\nmgmt_svc_replicas: [\"n1\", \"n2\", \"n3\"]\n\
         provider: \"ofi+verbs;ofi_rxm\"\nengines:\n\
         - pinned_numa_node: 0\n  targets: 12\n  nr_xs_helpers: 3\n  fabric_iface: \"ib0\"\n  fabric_iface_port: 31316\n  storage:\n  \
         - class: dcpm\n    scm_mount: /mnt/daos0\n    scm_list: [\"/dev/pmem0\"]\n  \
         - class: nvme\n    bdev_list: [\"0000:80:00.0\", \"0000:81:00.0\"]\n\
         - pinned_numa_node: 1\n  targets: 12\n  nr_xs_helpers: 3\n  fabric_iface: \"ib1\"\n  fabric_iface_port: 32316\n  storage:\n  \
         - class: dcpm\n    scm_mount: /mnt/daos1\n    scm_list: [\"/dev/pmem1\"]\n  \
         - class: nvme\n    bdev_list: [\"0000:82:00.0\", \"0000:83:00.0\"]\n"
    );
}

#[test]
fn a_provider_that_serves_more_hosts_wins_over_a_better_one() {
    let mut second = host("n2");
    second.ports.retain(|port| port.class == 1);
    let proposal = propose(&[host("n1"), second], &Options::default()).expect("a proposal");
    assert!(proposal.configs.iter().all(|config| config.yaml().contains("provider: \"ofi+tcp\"")));
    assert_eq!(proposal.configs.len(), 1, "the interfaces have the same names");
    let class = Options { net_class: Some(NetClass::InfiniBand), ..Options::default() };
    let mut second = host("n2");
    second.ports.retain(|port| port.class == 1);
    let proposal = propose(&[host("n1"), second], &class).expect("a proposal");
    assert_eq!(proposal.refused.len(), 1);
    assert!(
        proposal.refused[0].to_string().contains("n2: no NUMA node has all"),
        "{:?}",
        proposal.refused
    );
}

#[test]
fn uneven_hosts_get_files_of_their_own_and_the_reasons() {
    let mut small = host("n2");
    small.ssds.remove(3);
    small.cores_per_node = 8;
    let mut half = host("n3");
    half.ports.retain(|port| port.node == 0);
    let proposal = propose(&[host("n1"), small, half], &Options::default()).expect("a proposal");
    assert_eq!(proposal.configs.len(), 3);
    let engines: Vec<usize> = proposal.configs.iter().map(|config| config.engines.len()).collect();
    assert_eq!(engines, [2, 2, 1]);
    // The second host has one SSD at node 1, so its other engine gets one as well.
    assert!(proposal.configs[1].engines.iter().all(|engine| engine.ssds().count() == 1));
    let targets: Vec<u32> =
        proposal.configs.iter().flat_map(|c| &c.engines).map(|engine| engine.targets).collect();
    assert!(targets.iter().all(|each| *each == targets[0]), "{targets:?}");
    let told = notes(&proposal);
    for words in [
        "n2: 0000:81:00.0 at NUMA node 0 left out: all engines of a host have the same number of SSDs",
        "n3: no engine there: NUMA node 1 has 1 persistent memory namespace, 2 SSDs and no interface",
        "the hosts differ and need 3 configurations: n1 with 2 engines (2 SSDs at NUMA node 0, 2 SSDs at NUMA node 1); n2",
        "n1,n3: 5 targets for each engine",
    ] {
        assert!(told.contains(words), "{words}\n{told}");
    }
}

#[test]
fn wishes_are_kept() {
    let propose_with = |options: &Options| propose(&[host("n1")], options).expect("a proposal");
    let one = Options {
        engines: Some(1),
        provider: Some("ofi+tcp".into()),
        interfaces: vec!["eth0".into(), "eth1".into()],
        fabric_ports: vec![40000],
        replicas: vec!["a".into(), "b:10002".into(), "10.0.0.1".into()],
        ..Options::default()
    };
    let proposal = propose_with(&one);
    let engine = &proposal.configs[0].engines[0];
    assert_eq!((engine.interface.as_str(), engine.port, engine.node), ("eth0", 40000, 0));
    assert!(
        proposal.configs[0]
            .yaml()
            .contains("mgmt_svc_replicas: [\"a\", \"b:10002\", \"10.0.0.1\"]")
    );
    assert!(notes(&proposal).contains("NUMA node 1 is left out as one engine was asked for"));
    let scm_only = propose_with(&Options { min_ssds: 0, ..Options::default() });
    assert!(scm_only.configs[0].engines.iter().all(|engine| engine.tiers.is_empty()));
    assert_eq!(scm_only.configs[0].engines[1].scm, ScmProposal::Pmem("/dev/pmem1".into()));
}

#[test]
fn metadata_on_a_disk_gives_roles_to_the_smallest_first() {
    let mut big = host("n1");
    big.ssds = (0..6).map(|n| ssd(&format!("0000:8{n}:00.0"), 0, 1000)).collect();
    big.ssds[4].bytes = 1 << 30;
    let options = Options {
        tmpfs: true,
        control_metadata: Some("/var/lib/daos_metadata".into()),
        ..Options::default()
    };
    let roles = |ssds: usize| {
        let mut host = big.clone();
        host.ssds.drain(..6 - ssds);
        let proposal = propose(&[host], &options).expect("a proposal");
        let tiers = proposal.configs[0].engines[0].tiers.clone();
        tiers
            .iter()
            .map(|tier| format!("{}:{}", tier.roles.join("+"), tier.ssds.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(roles(1), ["wal+meta+data:1"]);
    assert_eq!(roles(2), ["wal:1", "meta+data:1"]);
    assert_eq!(roles(6), ["wal:2", "meta+data:4"]);
    let proposal = propose(&[big], &options).expect("a proposal");
    assert_eq!(proposal.configs[0].engines[0].tiers[0].ssds, ["0000:80:00.0", "0000:84:00.0"]);
    assert_eq!(proposal.configs[0].engines[0].scm, ScmProposal::Ram);
}

#[test]
fn devices_in_use_are_left_out_with_the_reason() {
    let mut busy = host("n1");
    busy.ssds[0].obstacle = Some("namespace 1 is mounted on /".into());
    let proposal = propose(&[busy], &Options::default()).expect("a proposal");
    assert!(!proposal.configs[0].yaml().contains("0000:80:00.0"));
    assert!(
        notes(&proposal).contains("n1: SSD 0000:80:00.0 is left out: namespace 1 is mounted on /")
    );
}

#[test]
fn what_cannot_be_says_why() {
    let code = |hosts: &[HostFacts], options: &Options| {
        let error = propose(hosts, options).expect_err("refused");
        (error.code(), error.to_string())
    };
    let bare = HostFacts { pmem: Vec::new(), ..host("n1") };
    let (number, text) = code(std::slice::from_ref(&bare), &Options::default());
    assert!(number == 1487 && text.contains("2 SSDs and no persistent memory namespace"), "{text}");
    assert!(propose(&[bare], &Options { tmpfs: true, ..Options::default() }).is_ok());
    let (number, text) = code(&[host("n1")], &Options { engines: Some(3), ..Options::default() });
    assert!(
        number == 1487 && text.contains("3 engines asked for, and 2 NUMA nodes can carry one"),
        "{text}"
    );
    let (number, text) =
        code(&[host("n1")], &Options { provider: Some("ofi+cxi".into()), ..Options::default() });
    assert!(number == 1486 && text.contains("ofi+tcp on eth0"), "{text}");
    let (number, _) = code(&[host("n1")], &Options { fabric_ports: vec![1], ..Options::default() });
    assert_eq!(number, 1487);
    for bad in [
        Options { engines: Some(0), ..Options::default() },
        Options { replicas: vec!["a".into(), "b".into()], ..Options::default() },
        Options { replicas: vec!["a".into(), "a".into(), "b".into()], ..Options::default() },
        Options { replicas: vec!["a b".into()], ..Options::default() },
        Options { replicas: vec!["1.2.3".into()], ..Options::default() },
        Options { control_metadata: Some("/x".into()), ..Options::default() },
        Options { control_metadata: Some("x".into()), tmpfs: true, ..Options::default() },
        Options {
            control_metadata: Some("/mnt/daos1/x".into()),
            tmpfs: true,
            ..Options::default()
        },
        Options {
            control_metadata: Some("/x".into()),
            tmpfs: true,
            scm_only: true,
            ..Options::default()
        },
        Options { fabric_ports: vec![0], ..Options::default() },
        Options { system: String::new(), ..Options::default() },
    ] {
        assert_eq!(code(&[host("n1")], &bad).0, 1485, "{bad:?}");
    }
}

#[test]
fn targets_leave_room_for_helpers_and_are_shared_by_ssds() {
    let cases = [
        (0, 0, (1, 0)),
        (1, 4, (1, 0)),
        (2, 1, (1, 0)),
        (8, 2, (4, 1)),
        (16, 0, (12, 3)),
        (24, 4, (16, 4)),
        (24, 5, (15, 3)),
    ];
    for (cores, ssds, wanted) in cases {
        assert_eq!(streams(cores, ssds), wanted, "{cores} cores, {ssds} SSDs");
    }
}

/// As SSDs: what an engine cannot use is left out, and why is told, also when nothing is left.
#[test]
fn persistent_memory_that_cannot_be_used_is_left_out() {
    let mut first = host("n1");
    first.pmem[0].obstacle = Some("mounted on /data".into());
    let spare = Pmem { device: "/dev/pmem2".into(), node: 0, bytes: 1 << 40, obstacle: None };
    first.pmem.push(spare);
    let proposal = propose(&[first.clone()], &Options::default()).expect("a proposal");
    let scm = |engine: usize| proposal.configs[0].engines[engine].scm.clone();
    assert_eq!(scm(0), ScmProposal::Pmem("/dev/pmem2".into()));
    assert_eq!(scm(1), ScmProposal::Pmem("/dev/pmem1".into()));
    assert!(notes(&proposal).contains("n1: /dev/pmem0 is left out: mounted on /data"));

    for pmem in &mut first.pmem {
        pmem.obstacle = Some("in mode raw, and engines need fsdax".into());
    }
    let refused = propose(&[first.clone()], &Options::default()).expect_err("nothing is left");
    let text = refused.to_string();
    assert!(text.contains("/dev/pmem1 is left out: in mode raw, and engines need fsdax"), "{text}");
    let tmpfs = Options { tmpfs: true, ..Options::default() };
    let proposal = propose(&[first], &tmpfs).expect("RAM needs none");
    assert!(!notes(&proposal).contains("pmem"), "{}", notes(&proposal));
}

#[test]
fn a_server_gets_the_port_by_which_it_was_asked() {
    let hosts = ["n1", "n2:20032", "n3:20032"].map(host);
    let proposal = propose(&hosts, &Options::default()).expect("a proposal");
    let keys = |config: &super::HostConfig| (config.hosts.join(" "), config.yaml());
    let files: Vec<_> = proposal.configs.iter().map(keys).collect();
    let [(first, at_default), (others, at_their_own)] = files.as_slice() else {
        panic!("{files:?}");
    };
    assert_eq!((first.as_str(), others.as_str()), ("n1", "n2:20032 n3:20032"));
    let replicas = "mgmt_svc_replicas: [\"n1\", \"n2:20032\", \"n3:20032\"]";
    assert!(at_default.contains("port: 10001\n") && at_default.contains(replicas), "{at_default}");
    let replicas = "mgmt_svc_replicas: [\"n1:10001\", \"n2:20032\", \"n3:20032\"]";
    assert!(at_their_own.contains("port: 20032\n"), "{at_their_own}");
    assert!(at_their_own.contains(replicas), "{at_their_own}");
}
