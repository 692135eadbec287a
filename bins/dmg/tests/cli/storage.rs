//! `storage …` and `network scan`.

use std::io::{Read, Write};

use daos_control::Fault;
use daos_control::wire::NotReady;
use daos_proto::daosx::v1 as ours;
use daos_proto::{ctl, mgmt};
use serde_json::json;

use crate::fake::Fake;
use crate::run::Dmg;

const SCAN: &str = "/ctl.CtlSvc/StorageScan";
const DEVICES: &str = "/daosx.v1.Hardware/Devices";
const PMEM: &str = "/daosx.v1.Pmem/Scan";
const STOCK_FORMAT: &str = "/ctl.CtlSvc/StorageFormat";
const PLAN: &str = "/daosx.v1.Storage/PlanFormat";
const APPLY: &str = "/daosx.v1.Storage/ApplyFormat";
const QUERY: &str = "/mgmt.MgmtSvc/SystemQuery";

fn scanned(serial: &str) -> ctl::StorageScanResp {
    let namespace =
        |id| ctl::nvme_controller::Namespace { id, size: 1_500_000_000_000, ..Default::default() };
    let controller = |number: u32| ctl::NvmeController {
        model: "MODEL-A".into(),
        serial: format!("{serial}-{number}"),
        pci_addr: format!("0000:8{number}:00.0"),
        fw_rev: "F1".into(),
        socket_id: 1,
        namespaces: vec![namespace(1)],
        smd_devices: vec![ctl::SmdDevice { rank: 3, role_bits: 7, ..Default::default() }],
        dev_state: ctl::NvmeDevState::Normal.into(),
        health_stats: Some(ctl::BioHealthResp {
            temperature: 300,
            media_errs: 2,
            temp_warn: true,
            ..Default::default()
        }),
        ..Default::default()
    };
    let pmem = |number: u32| ctl::ScmNamespace {
        uuid: format!("{serial}-{number}"),
        blockdev: format!("pmem{number}"),
        size: 3_000_000_000_000,
        numa_node: number,
        ..Default::default()
    };
    ctl::StorageScanResp {
        nvme: Some(ctl::ScanNvmeResp { ctrlrs: vec![controller(2), controller(1)], state: None }),
        scm: Some(ctl::ScanScmResp { namespaces: vec![pmem(1), pmem(0)], ..Default::default() }),
        sys_mem_info: Some(ctl::SysMemInfo { hugepage_size_kb: 2048, ..Default::default() }),
    }
}

/// R104, W33: two equal hosts are one row; the dead one is told and makes the exit status 1.
#[test]
fn equal_hosts_are_grouped_and_a_dead_one_is_told() {
    let (first, second) = Fake::siblings();
    let (first, second) = (first.answers(SCAN, scanned("a")), second.answers(SCAN, scanned("b")));
    let dmg = |line: &str| Dmg::new(first.port(), line).run();
    dmg("storage scan -l 127.0.0.[2-4]").is("storage_scan_partial");
    dmg("-l 127.0.0.[2-3] storage scan").is("storage_scan_grouped");
    let json = dmg("sto scan -j -l 127.0.0.[2-4]").json();
    let group =
        json["response"]["HostStorage"].as_object().unwrap().values().next().unwrap().clone();
    assert_eq!(json["response"]["HostStorage"].as_object().unwrap().len(), 1);
    assert_eq!(group["hosts"], format!("127.0.0.[2-3]:{}", first.port()));
    assert_eq!(group["storage"]["nvme_devices"][0]["pci_addr"], "0000:82:00.0");
    assert_eq!(
        json["response"]["host_errors"]["host refused the connection"],
        format!("127.0.0.4:{}", first.port())
    );
    assert_eq!(json["status"], -1025);
    assert!(second.calls(SCAN)[0].message::<ctl::StorageScanReq>().nvme.unwrap().basic);
}

/// R92: a failing part does not hide the other, and both are told.
#[test]
fn a_failing_part_does_not_hide_the_other() {
    let mut answer = scanned("a");
    answer.nvme = Some(ctl::ScanNvmeResp {
        ctrlrs: Vec::new(),
        state: Some(ctl::ResponseState {
            status: -2,
            error: "no hugepages".into(),
            info: String::new(),
        }),
    });
    let server = Fake::on("127.0.0.2").answers(SCAN, answer);
    Dmg::new(server.port(), "storage scan").run().is("storage_scan_half");
}

#[test]
fn every_device_and_its_health_are_shown() {
    let server = Fake::on("127.0.0.2").answers(SCAN, scanned("a"));
    Dmg::new(server.port(), "storage scan --verbose").run().is("storage_scan_verbose");
    Dmg::new(server.port(), "storage scan -n").run().is("storage_scan_health");
    let calls: Vec<ctl::StorageScanReq> =
        server.calls(SCAN).iter().map(|call| call.message()).collect();
    let nvme: Vec<(bool, bool)> =
        calls.iter().map(|call| call.nvme.unwrap()).map(|n| (n.basic, n.health)).collect();
    assert_eq!(nvme, [(false, false), (false, true)]);
}

/// Whether a device can be used, every reason why not, and where the facts come from; in JSON in fields of our own.
#[test]
fn usability_and_its_reasons_are_shown() {
    let obstacle = |text: &str| ours::Obstacle { text: text.into(), ends_when_configured: false };
    let devices = ours::DevicesResp {
        controllers: vec![
            ours::Controller {
                address: "0000:81:00.0".into(),
                driver: "nvme".into(),
                source: "read from the controller".into(),
                ..Default::default()
            },
            ours::Controller {
                address: "0000:82:00.0".into(),
                driver: "vfio-pci".into(),
                source: "recorded at prepare".into(),
                health_unreadable: "not readable while bound".into(),
                obstacles: vec![
                    obstacle("bound to vfio-pci"),
                    obstacle("not in the bdev_list of any engine"),
                ],
            },
        ],
        namespaces: vec![
            ours::PmemNamespace { device: "pmem0".into(), mode: "fsdax".into(), obstacles: vec![] },
            ours::PmemNamespace {
                device: "pmem1".into(),
                mode: "raw".into(),
                obstacles: vec![obstacle("in mode raw, and engines need fsdax")],
            },
        ],
        problems: Vec::new(),
    };
    let mut found = scanned("a");
    found.nvme.as_mut().unwrap().ctrlrs[0].health_stats = None;
    let server = Fake::on("127.0.0.2").answers(SCAN, found).answers(DEVICES, devices);
    Dmg::new(server.port(), "storage scan --verbose").run().is("storage_scan_usability");
    Dmg::new(server.port(), "storage scan -n").run().is("storage_scan_health_bound");
    let json = Dmg::new(server.port(), "storage scan -v -j").run().json();
    let groups = json["response"]["HostStorage"].as_object().unwrap();
    let storage = &groups.values().next().unwrap()["storage"];
    let bound = &storage["nvme_devices"][0];
    assert_eq!(
        (&bound["pci_addr"], &bound["driver"]),
        (&json!("0000:82:00.0"), &json!("vfio-pci"))
    );
    assert_eq!(bound["source"], "recorded at prepare");
    assert_eq!(bound["usable"], false);
    assert_eq!(bound["obstacles"][1], "not in the bdev_list of any engine");
    assert_eq!(storage["nvme_devices"][1]["usable"], true);
    assert_eq!(storage["scm_namespaces"][0]["mode"], "raw");
    assert_eq!(server.calls(DEVICES).len(), 3);
    assert_eq!(Dmg::new(server.port(), "storage scan").run().status(), 0);
    assert!(server.calls(DEVICES).is_empty(), "a summary does not ask");
}

/// A stock server does not tell; that is said, is no error, and adds nothing to its JSON.
#[test]
fn a_stock_server_does_not_tell_what_can_be_used() {
    let server = Fake::on("127.0.0.2").answers(SCAN, scanned("a"));
    let run = Dmg::new(server.port(), "storage scan -v").run();
    assert_eq!(run.status(), 0);
    assert!(run.stdout().contains("Whether devices can be used is not told"), "{}", run.stdout());
    let json = Dmg::new(server.port(), "storage scan -v -j").run().json();
    let groups = json["response"]["HostStorage"].as_object().unwrap();
    let storage = &groups.values().next().unwrap()["storage"];
    for (list, key) in [("nvme_devices", "usable"), ("scm_namespaces", "mode")] {
        assert!(storage[list][0].get(key).is_none(), "{storage:#}");
    }
}

/// R114, T4: what stock servers have no words for is asked of our own service, in a full scan only.
#[test]
fn regions_of_persistent_memory_are_shown() {
    let regions = ours::PmemScanResp {
        regions: vec![ours::PmemRegion {
            id: 0,
            iset_id: 0x2aba,
            socket: 1,
            kind: "AppDirect".into(),
            capacity: 768 << 30,
            free_capacity: 384 << 30,
            health: "Normal".into(),
            modules: vec![28, 40],
        }],
        goals: vec![ours::PmemGoal {
            socket: 0,
            module: "8089-a2-1748-00000001".into(),
            text: "socket 0 module 8089-a2-1748-00000001: interleaved AppDirect at the next reboot"
                .into(),
        }],
    };
    let server = Fake::on("127.0.0.2").answers(SCAN, scanned("a")).answers(PMEM, regions);
    Dmg::new(server.port(), "storage scan --verbose").run().is("storage_scan_regions");
    let json = Dmg::new(server.port(), "storage scan --verbose -j").run().json();
    let groups = json["response"]["HostStorage"].as_object().unwrap();
    let storage = &groups.values().next().unwrap()["storage"];
    assert_eq!(storage["scm_regions"][0]["iset_id"], 0x2aba);
    assert_eq!(server.calls(PMEM).len(), 2);
    assert_eq!(Dmg::new(server.port(), "storage scan").run().status(), 0);
    assert!(server.calls(PMEM).is_empty(), "a summary does not ask");
}

/// Contract 7.5: RAM shows only to those who ask for usage, which is asked of hosts that show no SCM at all.
#[test]
fn hosts_without_scm_are_asked_for_usage() {
    let without = ctl::StorageScanResp { scm: Some(ctl::ScanScmResp::default()), ..scanned("a") };
    let server = Fake::on("127.0.0.2").answers(SCAN, without);
    Dmg::new(server.port(), "storage scan").run().is("storage_scan_no_scm");
    let pmem = Fake::on("127.0.0.3").answers(SCAN, scanned("a"));
    assert_eq!(Dmg::new(pmem.port(), "storage scan -l 127.0.0.3").run().status(), 0);
    let usage = |fake: &Fake| -> Vec<bool> {
        let calls = fake.calls(SCAN);
        calls.iter().map(|call| call.message::<ctl::StorageScanReq>().scm.unwrap().usage).collect()
    };
    assert_eq!((usage(&server), usage(&pmem)), (vec![false, true], vec![false]));
}

/// E37: a part of the answer that is missing is an error of that host.
#[test]
fn half_an_answer_is_an_error() {
    let server = Fake::on("127.0.0.2").answers(SCAN, ctl::StorageScanResp::default());
    Dmg::new(server.port(), "storage scan").run().is("storage_scan_malformed");
}

fn device(content: &str) -> ours::DevicePlan {
    ours::DevicePlan {
        medium: "scm".into(),
        device: "/mnt/daos0".into(),
        identity: "tmpfs 0:42".into(),
        content: content.into(),
        steps: vec!["mount tmpfs of 4 GiB".into(), "write superblock".into()],
        destroys: !content.is_empty(),
        refused: None,
    }
}

fn plan(content: &str, system_lost: bool) -> ours::PlanFormatResp {
    let engine = ours::EnginePlan {
        index: 0,
        verdict: "format".into(),
        fault: None,
        devices: vec![
            device(content),
            ours::DevicePlan {
                medium: "nvme".into(),
                device: "/var/tmp/nvme0".into(),
                steps: vec!["create file of 1 GiB".into()],
                ..Default::default()
            },
        ],
        system_lost,
    };
    let destroys = !content.is_empty() || system_lost;
    ours::PlanFormatResp { digest: "d1".into(), engines: vec![engine], destroys }
}

fn applied() -> ours::ApplyFormatResp {
    let result = |medium: &str, device: &str, role_bits| ours::DeviceResult {
        medium: medium.into(),
        device: device.into(),
        outcome: "formatted".into(),
        role_bits,
        ..Default::default()
    };
    ours::ApplyFormatResp {
        results: vec![result("scm", "/mnt/daos0", 0), result("nvme", "/var/tmp/nvme0", 7)],
    }
}

fn fault(fault: Fault) -> ours::Fault {
    ours::Fault {
        domain: fault.domain.into(),
        code: fault.code,
        description: fault.description,
        reason: fault.reason,
        resolution: fault.resolution,
    }
}

/// The dry run prints the plan and stops.
#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let server = Fake::on("127.0.0.2").answers(PLAN, plan("ext4 \"home\"", true));
    Dmg::new(server.port(), "storage format --dry-run --reformat").run().is("format_dry_run");
    assert!(server.calls(PLAN)[0].message::<ours::PlanFormatReq>().reformat);
    assert!(server.calls(APPLY).is_empty() && server.calls(STOCK_FORMAT).is_empty());
    let json = Dmg::new(server.port(), "storage format --dry-run -j").run().json();
    let plan =
        json["response"]["plans"].as_object().unwrap().values().next().unwrap()["plan"].clone();
    assert_eq!(plan["digest"], "d1");
    assert_eq!(plan["engines"][0]["devices"][0]["content"], "ext4 \"home\"");
}

/// Blank devices are formatted without asking, with the digest that was planned.
#[test]
fn blank_devices_are_formatted_without_asking() {
    let server = Fake::on("127.0.0.2").answers(PLAN, plan("", false)).answers(APPLY, applied());
    Dmg::new(server.port(), "storage format").run().is("format_blank");
    assert_eq!(server.calls(APPLY)[0].message::<ours::ApplyFormatReq>().digest, "d1");
    Dmg::new(server.port(), "storage format -v").run().is("format_blank_verbose");
}

/// A dry run that finds a device it cannot format fails as the format would (R131).
#[test]
fn a_dry_run_tells_devices_that_are_refused() {
    let mut answer = plan("", false);
    answer.engines[0].devices[1].refused = Some(ours::Fault {
        domain: "bdev".into(),
        code: 1226,
        description: "/var/tmp/nvme0: not blank: ext4 file system, label \"home\"".into(),
        resolution: "make sure that the data is not needed, then format again with --reformat, or choose another device".into(),
        ..Default::default()
    });
    let server = Fake::on("127.0.0.2").answers(PLAN, answer);
    Dmg::new(server.port(), "storage format --dry-run").run().is("format_refused_dry_run");
}

/// What is destroyed must be agreed to; neither --force nor --reformat agrees, nor a word on standard input.
#[test]
fn a_loss_needs_the_word_of_an_administrator() {
    let server =
        Fake::on("127.0.0.2").answers(PLAN, plan("ext4 \"home\"", true)).answers(APPLY, applied());
    Dmg::new(server.port(), "storage format --force").run().is("format_not_confirmed");
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"yes\n").unwrap();
    drop(writer);
    assert_eq!(
        Dmg::new(server.port(), "storage format --reformat").stdin(reader).run().status(),
        1
    );
    assert!(server.calls(APPLY).is_empty());
    let agreed = Dmg::new(server.port(), "storage format --reformat --yes").run();
    assert_eq!((agreed.status(), server.calls(APPLY).len()), (0, 1));
}

/// On a terminal the question is asked and the whole word counts.
#[test]
fn a_terminal_is_asked() {
    let server =
        Fake::on("127.0.0.2").answers(PLAN, plan("ext4 \"home\"", false)).answers(APPLY, applied());
    for (typed, status, applications) in [("yes\n", 0, 1), ("y\nno\n", 1, 0), ("\u{4}", 1, 0)] {
        let (mut terminal, other_end) = terminal();
        terminal.write_all(typed.as_bytes()).unwrap();
        let run = Dmg::new(server.port(), "storage format --reformat").stdin(other_end).run();
        assert!(run.stderr().contains("Type yes to go on"), "{}", run.stderr());
        assert_eq!((run.status(), server.calls(APPLY).len()), (status, applications), "{typed:?}");
    }
}

/// A pseudo terminal: the end that types and the end that a program reads.
fn terminal() -> (std::fs::File, std::fs::File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let typing = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&typing).unwrap();
    unlockpt(&typing).unwrap();
    let name = ptsname(&typing, Vec::new()).unwrap();
    let reading =
        std::fs::OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (typing.into(), reading)
}

/// A server whose storage changed since the plan refuses, and its fault is shown with its remedy.
#[test]
fn a_changed_plan_is_refused_by_the_server() {
    let changed =
        Fault::new("storage", 1241, "the storage changed since the plan was shown", "look again");
    let server = Fake::on("127.0.0.2").answers(PLAN, plan("", false)).refuses(APPLY, changed);
    Dmg::new(server.port(), "storage format").run().is("format_plan_changed");
}

/// R5, R130: nothing to do is told with the fault, and nothing is applied.
#[test]
fn a_second_format_says_already_formatted() {
    let already =
        Fault::new("scm", 101, "storage is formatted already", "use --reformat to format it again");
    let engine = ours::EnginePlan {
        verdict: "already_formatted".into(),
        fault: Some(fault(already)),
        devices: vec![device("")],
        ..Default::default()
    };
    let idle = ours::PlanFormatResp { engines: vec![engine], ..Default::default() };
    let server = Fake::on("127.0.0.2").answers(PLAN, idle);
    Dmg::new(server.port(), "storage format").run().is("format_already");
    assert!(server.calls(APPLY).is_empty());
    Dmg::new(server.port(), "storage format --dry-run").run().is("format_already_dry_run");
}

/// R131, R132: one bad device is told, the others are formatted, the exit status is 1.
#[test]
fn a_failed_device_is_told_beside_the_others() {
    let mut result = applied();
    result.results[1].outcome = "failed".into();
    result.results[1].fault =
        Some(fault(Fault::new("bdev", 302, "no space left", "free some space")));
    let server = Fake::on("127.0.0.2").answers(PLAN, plan("", false)).answers(APPLY, result);
    Dmg::new(server.port(), "storage format").run().is("format_failed_device");
}

/// R131: SCM that failed leaves the block devices alone, and the row that stands for them says so.
#[test]
fn what_was_left_out_is_told_with_the_reason() {
    let mut result = applied();
    result.results[0].outcome = "failed".into();
    result.results[0].fault = Some(fault(Fault::new("scm", 1205, "may not mount", "")));
    result.results[1].device = "<nil>".into();
    result.results[1].outcome = "skipped".into();
    result.results[1].info = "SCM of engine 0 failed".into();
    result.results[1].role_bits = 0;
    let server = Fake::on("127.0.0.2").answers(PLAN, plan("", false)).answers(APPLY, result);
    Dmg::new(server.port(), "storage format").run().is("format_skipped");
    let json = Dmg::new(server.port(), "storage format -j").run().json();
    let storage =
        json["response"]["HostStorage"].as_object().unwrap().values().next().unwrap()["storage"]
            .clone();
    assert_eq!(storage["nvme_devices"][0]["pci_addr"], "<nil>");
    assert_eq!(storage["nvme_devices"][0]["info"], "SCM of engine 0 failed");
    assert_eq!(storage["scm_mount_points"][0]["info"], "error: may not mount");
}

fn stock_formatted() -> ctl::StorageFormatResp {
    ctl::StorageFormatResp {
        mrets: vec![ctl::ScmMountResult { mntpoint: "/mnt/daos0".into(), ..Default::default() }],
        crets: vec![ctl::NvmeControllerResult {
            pci_addr: "<nil>".into(),
            state: Some(ctl::ResponseState {
                info: "NVMe format skipped".into(),
                ..Default::default()
            }),
            role_bits: 0,
        }],
    }
}

/// A stock server has no plan service: the dry run says so and formats nothing.
#[test]
fn a_stock_server_cannot_show_a_plan() {
    let server = Fake::on("127.0.0.2").answers(STOCK_FORMAT, stock_formatted());
    Dmg::new(server.port(), "storage format --dry-run").run().is("format_stock_dry_run");
    Dmg::new(server.port(), "storage format").run().is("format_stock_not_confirmed");
    assert!(server.calls(STOCK_FORMAT).is_empty());
}

/// Contract 1.9: a stock system that answers is not formatted (509); one that is uninitialised is.
#[test]
fn a_stock_system_is_formatted_only_when_it_does_not_run() {
    let running = Fake::on("127.0.0.2")
        .answers(QUERY, mgmt::SystemQueryResp::default())
        .answers(STOCK_FORMAT, stock_formatted());
    Dmg::new(running.port(), "storage format --yes").run().is("format_stock_running");
    assert!(running.calls(STOCK_FORMAT).is_empty());

    let waiting = Fake::on("127.0.0.2")
        .refuses(QUERY, NotReady::Uninitialized)
        .answers(STOCK_FORMAT, stock_formatted());
    Dmg::new(waiting.port(), "storage format --yes -v").run().is("format_stock_done");
    let request: ctl::StorageFormatReq = waiting.calls(STOCK_FORMAT)[0].message();
    assert!(request.nvme.is_some() && request.scm.is_some() && !request.reformat);
}

#[test]
fn replace_is_for_one_host() {
    let run = Dmg::new(10001, "storage format --replace -l 127.0.0.[2-3]").run();
    assert_eq!((run.status(), run.stderr().contains("exactly one host")), (1, true));
    assert_eq!(Dmg::new(10001, "storage format --replace --reformat").run().status(), 1);
}

#[test]
fn fabrics_are_grouped_by_socket() {
    let interface = |provider: &str, device: &str, numanode, priority| ctl::FabricInterface {
        provider: provider.into(),
        device: device.into(),
        numanode,
        priority,
        netdevclass: 1,
    };
    let answer = ctl::NetworkScanResp {
        interfaces: vec![
            interface("ofi+tcp", "eth1", 0, 1),
            interface("ofi+tcp", "eth0", 0, 0),
            interface("ofi+verbs", "ib0", 1, 0),
        ],
        numacount: 2,
        corespernuma: 8,
    };
    let server = Fake::on("127.0.0.2").answers("/ctl.CtlSvc/NetworkScan", answer);
    Dmg::new(server.port(), "network scan -p all").run().is("network_scan");
    let json = Dmg::new(server.port(), "net scan --all -j").run();
    let fabric = json.json()["response"]["HostFabrics"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap()
        .clone();
    assert_eq!(fabric["HostFabric"]["Providers"], serde_json::json!(["ofi+tcp", "ofi+verbs"]));
    let providers: Vec<String> = server
        .calls("/ctl.CtlSvc/NetworkScan")
        .iter()
        .map(|call| call.message::<ctl::NetworkScanReq>().provider)
        .collect();
    assert_eq!(providers, ["all", "all"]);
}

/// The end of a pipe is no reason to fail loudly.
#[test]
fn a_reader_that_leaves_is_no_failure() {
    let server = Fake::on("127.0.0.2").answers(SCAN, scanned("a"));
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut dmg = Dmg::new(server.port(), "storage scan -v");
    let mut child =
        dmg.command().stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
    dmg.command().stdout(std::process::Stdio::null());
    let mut one = [0];
    reader.read_exact(&mut one).unwrap();
    drop(reader);
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!((child.wait().unwrap().code(), complaint.as_str()), (Some(0), ""));
}
