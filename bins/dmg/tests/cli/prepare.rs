//! `storage prepare`: our own service, which stock servers lack.

use daos_proto::daosx::v1 as ours;

use crate::fake::Fake;
use crate::run::Dmg;

const PREPARE: &str = "/daosx.v1.Prepare/PrepareNvme";
const RESET: &str = "/daosx.v1.Prepare/ResetNvme";

fn prepared(driver: &str) -> ours::PrepareNvmeResp {
    let controller = |number: u32| ours::PreparedController {
        address: format!("0000:8{number}:00.0"),
        driver: driver.into(),
        fault: None,
    };
    ours::PrepareNvmeResp {
        controllers: vec![controller(1), controller(2)],
        nodes: vec![
            ours::PreparedNode { node: 0, hugepages: 2048 },
            ours::PreparedNode { node: 1, hugepages: 2048 },
        ],
        notices: vec!["'000:2' is not a full PCI address and was passed over".into()],
    }
}

/// R72, R74, R76, R104: what was typed reaches every host; equal hosts are one group; a dead one is told.
#[test]
fn r72_hosts_are_prepared_side_by_side() {
    let (first, second) = Fake::siblings();
    let (first, second) = (
        first.answers(PREPARE, prepared("vfio-pci")),
        second.answers(PREPARE, prepared("vfio-pci")),
    );
    let line = "storage prepare --nvme-only -p 4096 -u bob -l 127.0.0.[2-4]";
    let dmg = || Dmg::new(first.port(), line).arg("-w").arg("0000:81:00.0 000:2 0000:82:00.0");
    dmg().run().is("storage_prepare_partial");
    let json = dmg().arg("-j").run().json();
    let group =
        json["response"]["HostPrepared"].as_object().unwrap().values().next().unwrap().clone();
    assert_eq!(group["hosts"], format!("127.0.0.[2-3]:{}", first.port()));
    assert_eq!(group["prepared"]["controllers"][1]["driver"], "vfio-pci");
    assert_eq!(group["prepared"]["hugepages"][1], serde_json::json!({"node": 1, "pages": 2048}));
    let asked: ours::PrepareNvmeReq = second.calls(PREPARE)[0].message();
    assert_eq!(asked.allow.as_deref(), Some("0000:81:00.0 000:2 0000:82:00.0"));
    assert_eq!((asked.pages, asked.user.as_deref()), (Some(4096), Some("bob")));
    assert_eq!((asked.block, asked.disable_vfio), (None, false));
}

/// A controller that was not had is told beside the others, with the remedy.
#[test]
fn a_controller_in_use_is_told_beside_the_others() {
    let mut answer = prepared("vfio-pci");
    answer.notices.clear();
    answer.controllers[1].driver.clear();
    answer.controllers[1].fault = Some(ours::Fault {
        domain: "bdev".into(),
        code: 1225,
        description: "0000:82:00.0: in use: mounted on /data".into(),
        resolution: "unmount it".into(),
        ..Default::default()
    });
    let server = Fake::on("127.0.0.2").answers(PREPARE, answer);
    Dmg::new(server.port(), "storage p -n").run().is("storage_prepare_in_use");
    // The keys of `daos_server -j nvme prepare`; a program can tell faults apart by their number.
    let json = Dmg::new(server.port(), "storage p -n -j").run().json();
    let hosts = json["response"]["HostPrepared"].as_object().unwrap();
    let told = &hosts.values().next().unwrap()["prepared"]["controllers"][1];
    let expected = serde_json::json!({
        "address": "0000:82:00.0", "error": "0000:82:00.0: in use: mounted on /data", "code": 1225,
        "resolution": "unmount it",
    });
    assert_eq!(*told, expected);
}

/// R84, R85: a reset is another call; without `-n` it is said that persistent memory is not meant.
#[test]
fn r84_a_reset_gives_back_and_persistent_memory_is_spoken_of() {
    let mut answer = prepared("nvme");
    (answer.nodes, answer.notices) = (Vec::new(), Vec::new());
    let server = Fake::on("127.0.0.2").answers(RESET, answer);
    Dmg::new(server.port(), "storage prepare --reset").run().is("storage_prepare_reset");
    assert_eq!(
        server.calls(RESET)[0].message::<ours::ResetNvmeReq>(),
        ours::ResetNvmeReq::default()
    );
    Dmg::new(server.port(), "storage prepare -s").run().is("storage_prepare_scm");
    let both = Dmg::new(server.port(), "storage prepare -n -s").run();
    assert_eq!((both.status(), both.stdout().as_str()), (1, ""));
    assert!(both.stderr().contains("cannot be used with"), "{}", both.stderr());
}

/// A stock server is named, and so is what to do instead.
#[test]
fn a_stock_server_cannot_be_asked() {
    let server = Fake::on("127.0.0.2");
    Dmg::new(server.port(), "storage prepare -n -f").run().is("storage_prepare_stock");
}

#[test]
fn half_an_answer_is_an_error() {
    let mut answer = prepared("vfio-pci");
    answer.controllers[0].driver.clear();
    let server = Fake::on("127.0.0.2").answers(PREPARE, answer);
    let run = Dmg::new(server.port(), "storage prepare -n").run();
    assert_eq!(run.status(), 1);
    assert!(run.stderr().contains("neither driver nor reason"), "{}", run.stderr());
}
