//! `config generate` (T8): scans of many hosts over gRPC become files; the files are loaded where configurations are tested.

use daos_proto::ctl;
use daos_proto::daosx::v1 as ours;

use crate::fake::Fake;
use crate::run::Dmg;

const SCAN: &str = "/ctl.CtlSvc/StorageScan";
const NETWORK: &str = "/ctl.CtlSvc/NetworkScan";
const OBSTACLES: &str = "/daosx.v1.Hardware/Obstacles";

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

#[test]
fn t8_no_proposal_is_an_error_with_a_remedy() {
    let host = Fake::on("127.0.0.2").answers(SCAN, storage(1)).answers(NETWORK, network(&["eth0"]));
    Dmg::new(host.port(), "config generate --num-engines 2").run().is("config_generate_none");
}

/// An SSD that a host's own server says is in use is left out; a stock server does not say, which is told.
#[test]
fn t8_ssds_in_use_are_left_out() {
    let taken = ours::Obstacle {
        address: "0000:80:00.0".into(),
        reasons: vec!["namespace 1 is mounted on /".into()],
    };
    let host = Fake::on("127.0.0.2")
        .answers(SCAN, storage(2))
        .answers(NETWORK, network(&["eth0"]))
        .answers(OBSTACLES, ours::ObstaclesResp { controllers: vec![taken] });
    let run = Dmg::new(host.port(), "config generate").run();
    assert!(run.stdout().contains("bdev_list: [\"0000:81:00.0\"]"), "{}", run.stdout());
    let told = "127.0.0.2: SSD 0000:80:00.0 is left out: namespace 1 is mounted on /";
    assert!(run.stderr().contains(told), "{}", run.stderr());
    let stock =
        Fake::on("127.0.0.2").answers(SCAN, storage(2)).answers(NETWORK, network(&["eth0"]));
    let run = Dmg::new(stock.port(), "config generate").run();
    assert!(run.stderr().contains("missing: whether SSDs are in use"), "{}", run.stderr());
}
