//! `config generate` (T8): scans of many hosts over gRPC become files; the files are loaded where configurations are tested.

use daos_proto::ctl;
use daos_proto::daosx::v1 as ours;

use crate::fake::Fake;
use crate::run::Dmg;

const SCAN: &str = "/ctl.CtlSvc/StorageScan";
const NETWORK: &str = "/ctl.CtlSvc/NetworkScan";
const DEVICES: &str = "/daosx.v1.Hardware/Devices";

/// A host with `ssds` at each of two NUMA nodes.
fn storage(ssds: u32) -> ctl::StorageScanResp {
    let controller = |socket: i32, number: u32| ctl::NvmeController {
        pci_addr: format!("0000:{}{number}:00.0", 8 + socket),
        socket_id: socket,
        serial: format!("S{socket}{number}"),
        namespaces: vec![ctl::nvme_controller::Namespace {
            id: 1,
            size: 1 << 40,
            ..Default::default()
        }],
        ..Default::default()
    };
    let pmem = |number: u32| ctl::ScmNamespace {
        blockdev: format!("pmem{number}"),
        size: 1 << 40,
        numa_node: number,
        ..Default::default()
    };
    ctl::StorageScanResp {
        nvme: Some(ctl::ScanNvmeResp {
            ctrlrs: (0..2).flat_map(|node| (0..ssds).map(move |n| controller(node, n))).collect(),
            state: None,
        }),
        scm: Some(ctl::ScanScmResp { namespaces: vec![pmem(1), pmem(0)], ..Default::default() }),
        sys_mem_info: None,
    }
}

fn network(interfaces: &[&str]) -> ctl::NetworkScanResp {
    let interface = |node: u32, name: &str| ctl::FabricInterface {
        provider: "ofi+tcp".into(),
        device: name.into(),
        numanode: node,
        priority: 5,
        netdevclass: 1,
    };
    ctl::NetworkScanResp {
        interfaces: (0..).zip(interfaces).map(|(node, name)| interface(node, name)).collect(),
        numacount: 2,
        corespernuma: 16,
    }
}

/// The equal answers of two hosts are one file for both.
#[test]
fn t8_equal_hosts_get_one_file() {
    let (first, second) = Fake::siblings();
    let hosts = [first, second]
        .map(|fake| fake.answers(SCAN, storage(2)).answers(NETWORK, network(&["eth0", "eth1"])));
    let dmg = |line: &str| Dmg::new(hosts[0].port(), line).run();
    dmg("config generate -l 127.0.0.[2-3]").is("config_generate");
    dmg("cfg gen -l 127.0.0.[2-3] --use-tmpfs-scm -m /var/lib/daos -e 1 -r 127.0.0.2")
        .is("config_generate_tmpfs");
    let asked: ctl::NetworkScanReq = hosts[1].calls(NETWORK)[0].message();
    assert_eq!(asked.provider, "all");
}

/// Hosts that differ get a file each, those that cannot have an engine and those that are dead are told, exit status 1.
#[test]
fn t8_uneven_and_dead_hosts_are_told() {
    let (first, second) = Fake::siblings();
    let first = first.answers(SCAN, storage(2)).answers(NETWORK, network(&["eth0", "eth1"]));
    let second = second.answers(SCAN, storage(1)).answers(NETWORK, network(&["eth0"]));
    let dmg = |line: &str| Dmg::new(first.port(), line).run();
    dmg("config generate -l 127.0.0.[2-4]").is("config_generate_uneven");
    dmg("config generate -l 127.0.0.[2-3] --min-ssds 2").is("config_generate_refused");
    let json = dmg("config generate -j -l 127.0.0.[2-3]").json();
    let configs = json["response"]["configs"].as_array().unwrap();
    assert_eq!(configs.len(), 2);
    assert!(configs[1]["config"].as_str().unwrap().starts_with("# For 127.0.0.3.\n"), "{json:#}");

    let mut run = Dmg::new(second.port(), "config generate -l 127.0.0.[2-3]");
    let place = run.home().join("files");
    run.command().arg("--directory").arg(&place);
    let run = run.run();
    assert_eq!(
        (run.status(), run.stdout().as_str()),
        (0, "HOME/files/127.0.0.2.yml\nHOME/files/127.0.0.3.yml\n")
    );
    drop(first);
    let alone = Dmg::new(second.port(), "config generate -l 127.0.0.2").run();
    assert_eq!((alone.status(), alone.stdout().as_str()), (1, ""), "{}", alone.stderr());
}

/// Hosts that did not answer are named also when nothing can be proposed for the others, and when nobody answered.
#[test]
fn t8_dead_hosts_are_told_without_a_proposal() {
    let host = Fake::on("127.0.0.2").answers(SCAN, storage(0)).answers(NETWORK, network(&["eth0"]));
    let dmg = |line: &str| Dmg::new(host.port(), line).run();
    let run = dmg("config generate -l 127.0.0.[2,4]");
    assert_eq!((run.status(), run.stdout().as_str()), (1, ""));
    assert!(run.stderr().contains("127.0.0.4 host refused the connection"), "{}", run.stderr());
    assert!(run.stderr().contains("no host can have an engine"), "{}", run.stderr());
    for line in ["config generate -j -l 127.0.0.[2,4]", "config generate -j -l 127.0.0.4"] {
        let json = dmg(line).json();
        let dead = format!("127.0.0.4:{}", host.port());
        assert_eq!(json["response"]["host_errors"]["host refused the connection"], dead, "{line}");
        assert_eq!(json["response"]["configs"], serde_json::json!([]), "{line}");
        assert_eq!(json["status"], -1025, "{line}");
    }
    // A directory that cannot be written to.
    let good = Fake::on("127.0.0.2").answers(SCAN, storage(1)).answers(NETWORK, network(&["eth0"]));
    let line = "config generate -j -l 127.0.0.[2,4] --directory /proc/none";
    let json = Dmg::new(good.port(), line).run().json();
    assert_eq!(json["response"]["host_errors"].as_object().map(serde_json::Map::len), Some(1));
    assert!(json["error"].as_str().unwrap().contains("code = 1488"), "{json:#}");
}

#[test]
fn t8_no_proposal_is_an_error_with_a_remedy() {
    let host = Fake::on("127.0.0.2").answers(SCAN, storage(1)).answers(NETWORK, network(&["eth0"]));
    Dmg::new(host.port(), "config generate --num-engines 2").run().is("config_generate_none");
}

fn obstacle(text: &str, ends_when_configured: bool) -> ours::Obstacle {
    ours::Obstacle { text: text.into(), ends_when_configured }
}

/// What a host's own server says cannot be used is left out, and why; a stock server does not say, which is told.
#[test]
fn t8_devices_in_use_are_left_out() {
    let controller = |number: u32, obstacles| ours::Controller {
        address: format!("0000:8{number}:00.0"),
        obstacles,
        ..Default::default()
    };
    let namespace = |number: u32, mode: &str, obstacles| ours::PmemNamespace {
        device: format!("pmem{number}"),
        mode: mode.into(),
        obstacles,
    };
    let devices = ours::DevicesResp {
        controllers: vec![
            controller(0, vec![obstacle("namespace 1 is mounted on /", false)]),
            controller(1, vec![obstacle("bound to vfio-pci", true)]),
        ],
        namespaces: vec![
            namespace(0, "raw", vec![obstacle("in mode raw, and engines need fsdax", false)]),
            namespace(2, "fsdax", Vec::new()),
        ],
        problems: Vec::new(),
    };
    let mut found = storage(2);
    let namespaces = &mut found.scm.as_mut().unwrap().namespaces;
    namespaces.push(ctl::ScmNamespace { blockdev: "pmem2".into(), ..namespaces[1].clone() });
    let host = Fake::on("127.0.0.2")
        .answers(SCAN, found.clone())
        .answers(NETWORK, network(&["eth0"]))
        .answers(DEVICES, devices);
    let run = Dmg::new(host.port(), "config generate").run();
    assert!(run.stdout().contains("bdev_list: [\"0000:81:00.0\"]"), "{}", run.stdout());
    assert!(run.stdout().contains("scm_list: [\"/dev/pmem2\"]"), "{}", run.stdout());
    for told in [
        "127.0.0.2: SSD 0000:80:00.0 is left out: namespace 1 is mounted on /",
        "127.0.0.2: SSD 0000:90:00.0 is left out: the server did not say whether it is in use",
        "127.0.0.2: /dev/pmem0 is left out: in mode raw, and engines need fsdax",
        "127.0.0.2: /dev/pmem1 is left out: the server did not say whether it is in use",
    ] {
        assert!(run.stderr().contains(told), "{told}\n{}", run.stderr());
    }
    let stock =
        Fake::on("127.0.0.2").answers(SCAN, storage(2)).answers(NETWORK, network(&["eth0"]));
    let run = Dmg::new(stock.port(), "config generate").run();
    let told = "missing: whether SSDs and persistent memory are in use";
    assert!(run.stderr().contains(told), "{}", run.stderr());
}
