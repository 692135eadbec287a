//! A storage scan from the providers to the wire (R88-R92, contract 7.5).
#![cfg(feature = "server")]

use std::sync::Arc;

use daos_control::Fault;
use daos_control::scan::{ScanOptions, ScanTarget, Scanner, ScmMountFacts, errors_text};
use daos_control::wire::to_proto;
use daos_membership::Rank;
use daos_storage_nvme::model::ScanProblem;
use daos_storage_nvme::sim::{Script, SimBdev, World, blank_namespaces, controller};
use daos_storage_nvme::{BdevClass, BdevTarget, DeviceState, FileOwner};
use daos_storage_scm::model::Discovered;
use daos_storage_scm::sim::SimScm;
use daos_storage_scm::{
    Intent, PlanFacts, RamSpec, ScmInventory, ScmModule, ScmNamespace, ScmParams, ScmProvider,
    ScmTarget, SilentObserver,
};

const MOUNT: &str = "/mnt/daos1";

fn target() -> ScanTarget {
    let scm = ScmTarget::from_params(ScmParams {
        engine_index: 1,
        mount_point: MOUNT.into(),
        ram: Some(RamSpec { size_bytes: Some(4 << 30), ..RamSpec::default() }),
        ..ScmParams::default()
    })
    .unwrap();
    let owner = FileOwner { uid: 0, gid: 0 };
    ScanTarget {
        engine: 1,
        scm,
        bdevs: BdevTarget { engine: 1, host: "n1".into(), owner, tiers: Vec::new() },
        mount: ScmMountFacts {
            path: MOUNT.into(),
            class: "ram".into(),
            devices: Vec::new(),
            metadata_cap_mib: Some(512),
            holds_control_metadata: true,
        },
    }
}

fn two_controllers() -> SimBdev {
    let mut world = World::default();
    for address in ["0000:82:00.0", "0000:81:00.0"] {
        let found = controller(address.parse().unwrap(), 1, 375_000_000_000);
        world.put(address, DeviceState::Nvme(blank_namespaces(found)));
    }
    SimBdev::new(world, Script::default())
}

async fn mounted() -> SimScm {
    let scm = SimScm::new();
    let target = target().scm;
    let observed = scm.observe(&target).await.unwrap();
    let plan =
        daos_storage_scm::plan(&target, &observed, Intent::Plain, &PlanFacts::default()).unwrap();
    let digest = plan.digest().clone();
    scm.format(plan.accept(&digest).unwrap(), &SilentObserver).await.unwrap();
    scm
}

fn rank_of(engine: u32) -> Option<Rank> {
    (engine == 1).then(|| Rank::new(7).unwrap())
}

#[tokio::test]
async fn controllers_come_with_health_only_when_asked_and_without_serials_for_grouping() {
    let scanner = Scanner::new(Arc::new(SimScm::new()), Arc::new(two_controllers()), vec![]);
    let ask = async |options| {
        to_proto::storage_scan(&scanner.scan(options).await, &scanner, rank_of).nvme.unwrap()
    };
    let found = ask(ScanOptions { health: true, ..ScanOptions::default() }).await;
    let addresses: Vec<_> = found.ctrlrs.iter().map(|each| each.pci_addr.as_str()).collect();
    assert_eq!(addresses, ["0000:81:00.0", "0000:82:00.0"]);
    let one = &found.ctrlrs[0];
    assert_eq!((one.model.as_str(), one.fw_rev.as_str()), ("simulated SSD", "1.0"));
    assert_eq!((one.serial.as_str(), one.vendor_id.as_str()), ("SIM0000:81:00.0", "0x8086"));
    assert_eq!(one.health_stats.as_ref().unwrap().temperature, 300);
    assert_eq!((one.namespaces[0].id, one.namespaces[0].size), (1, 375_000_000_000));
    let plain = ask(ScanOptions::default()).await;
    assert!(plain.ctrlrs.iter().all(|each| each.health_stats.is_none()));
    let basic = ask(ScanOptions { basic: true, health: true, ..ScanOptions::default() }).await;
    assert!(basic.ctrlrs.iter().all(|each| each.serial.is_empty() && each.health_stats.is_none()));
}

#[tokio::test]
async fn ram_is_a_namespace_with_its_mount_when_usage_is_asked_for() {
    let scanner =
        Scanner::new(Arc::new(mounted().await), Arc::new(SimBdev::default()), vec![target()]);
    let ask = async |usage| {
        let found = scanner.scan(ScanOptions { usage, ..ScanOptions::default() }).await;
        to_proto::storage_scan(&found, &scanner, rank_of).scm.unwrap()
    };
    assert!(ask(false).await.namespaces.is_empty());
    let answer = ask(true).await;
    let [namespace] = answer.namespaces.as_slice() else { panic!("{answer:?}") };
    assert_eq!((namespace.blockdev.as_str(), namespace.size), ("ramdisk", 4 << 30));
    let mount = namespace.mount.as_ref().expect("it is mounted");
    assert_eq!((mount.path.as_str(), mount.class.as_str(), mount.rank), (MOUNT, "ram", 7));
    assert_eq!(mount.total_bytes, 4 << 30);
    assert_eq!(mount.usable_bytes, mount.avail_bytes - (512 << 20) - (17 << 20));
}

#[tokio::test]
async fn namespaces_are_answered_instead_of_modules() {
    let scm = SimScm::new();
    let module = ScmModule { physical_id: 28, capacity: 539_661_172_736, ..ScmModule::default() };
    let mut inventory =
        ScmInventory { modules: Discovered::Known(vec![module]), ..ScmInventory::default() };
    scm.set_inventory(inventory.clone());
    let scanner = Scanner::new(Arc::new(scm.clone()), Arc::new(SimBdev::default()), vec![]);
    let ask = async || {
        let found = scanner.scan(ScanOptions::default()).await;
        to_proto::storage_scan(&found, &scanner, rank_of).scm.unwrap()
    };
    let answer = ask().await;
    assert_eq!((answer.modules.len(), answer.namespaces.len()), (1, 0));
    assert_eq!((answer.modules[0].physicalid, answer.modules[0].capacity), (28, 539_661_172_736));
    let namespace =
        ScmNamespace { blockdev: "pmem0".into(), size: 1 << 40, ..ScmNamespace::default() };
    inventory.namespaces = Discovered::Known(vec![namespace]);
    scm.set_inventory(inventory);
    let answer = ask().await;
    assert_eq!((answer.modules.len(), answer.namespaces.len()), (0, 1));
    assert!(answer.namespaces[0].mount.is_none());
}

#[tokio::test]
async fn a_host_without_devices_is_no_error() {
    let scanner = Scanner::new(Arc::new(SimScm::new()), Arc::new(SimBdev::default()), vec![]);
    let found = scanner.scan(ScanOptions::default()).await;
    assert_eq!(errors_text(&found.faults()), None);
    let answer = to_proto::storage_scan(&found, &scanner, rank_of);
    assert_eq!(answer.scm.unwrap().state.unwrap().status, 0);
    assert_eq!(answer.nvme.unwrap().state.unwrap().status, 0);
    let memory = answer.sys_mem_info.expect("this host has memory");
    assert!(memory.mem_total_kb >= memory.mem_available_kb);
}

#[tokio::test]
async fn r92_a_part_that_fails_says_so_in_its_own_state() {
    let scanner = Scanner::new(Arc::new(SimScm::new()), Arc::new(two_controllers()), vec![]);
    let mut found = scanner.scan(ScanOptions::default()).await;
    found.scm = Err(Fault::new("scm", 208, "no answer from the modules", "look at ipmctl"));
    let answer = to_proto::storage_scan(&found, &scanner, rank_of);
    let state = answer.scm.unwrap().state.unwrap();
    assert_eq!((state.status, state.info.as_str()), (-3, "look at ipmctl"));
    assert!(state.error.contains("code = 208"));
    assert_eq!(answer.nvme.as_ref().unwrap().ctrlrs.len(), 2);

    found.nvme.as_mut().unwrap().problems.push(ScanProblem {
        class: BdevClass::Kdev,
        code: 1217,
        text: "no access".into(),
        resolution: "run as root".into(),
    });
    let nvme = to_proto::storage_scan(&found, &scanner, rank_of).nvme.unwrap();
    assert_eq!((nvme.ctrlrs.len(), nvme.state.unwrap().status), (2, -2));
}
