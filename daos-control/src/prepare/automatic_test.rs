//! What a start does to a simulated host, with controllers and memory of its own.

use std::collections::BTreeMap;
use std::sync::Mutex;

use daos_storage_nvme::DeviceState;
use daos_storage_nvme::blockdev::DeviceUse;
use daos_storage_nvme::sim::{self, Script, SimBdev, SimPoint, World};

use super::*;
use crate::config::testing::config;
use crate::config::{HostMemory, ServerConfig};
use crate::network::Network;
use crate::preflight::Modules;
use crate::scan::memory::NodeMemory;

const LISTED: &str = "0000:81:00.0";
const OTHER: &str = "0000:82:00.0";

/// One engine with one controller. It needs no huge pages, which only the model can say.
fn one_engine(keys: &str) -> ServerConfig {
    let mut config = config(&format!(
        "data_plane: engine\nprovider: ofi+tcp\nfabric_iface: lo\n{keys}engines:\n- {{targets: 1, fabric_iface_port: 31416, \
         storage: [{{class: dcpm, scm_mount: /mnt/d, scm_list: [/dev/pmem0]}}, {{class: nvme, bdev_list: [\"{LISTED}\"]}}]}}\n"
    ));
    config.hugepages.disabled = true;
    config
}

fn host(is_root: bool) -> HostFacts {
    let network = Network { interfaces: Vec::new(), numa_nodes: 1, cores_per_numa: 4 };
    let memory = HostMemory { hugepage: 2 << 20, ..HostMemory::default() };
    let devices = Default::default();
    HostFacts {
        memory,
        cores: 4,
        is_root,
        user: "root".to_owned(),
        transparent_hugepages: String::new(),
        iommu: vec!["dmar0".to_owned()],
        no_iommu_allowed: false,
        modules: Modules::default(),
        memlock: None,
        network,
        devices,
    }
}

/// Two controllers with the kernel.
fn two_controllers() -> Arc<SimBdev> {
    let mut world = World::default();
    for address in [LISTED, OTHER] {
        let mut controller = sim::controller(address.parse().unwrap(), 1, 1 << 30);
        controller.driver = Some("nvme".to_owned());
        world.put(address, DeviceState::Nvme(sim::blank_namespaces(controller)));
    }
    Arc::new(SimBdev::new(world, Script::default()))
}

async fn begin(
    config: &ServerConfig,
    host: &HostFacts,
    bdev: Arc<SimBdev>,
) -> Result<(AutomaticPrepare, SystemMemory), Fault> {
    AutomaticPrepare::begin(config, host, bdev, Pages::of(&[0]).look()).await
}

/// Huge pages of each node, as somebody else may change them.
#[derive(Clone)]
struct Pages(Arc<Mutex<Vec<u64>>>);

impl Pages {
    fn of(pages: &[u64]) -> Self {
        Self(Arc::new(Mutex::new(pages.to_vec())))
    }

    fn set(&self, pages: &[u64]) {
        *self.0.lock().unwrap() = pages.to_vec();
    }

    fn look(&self) -> LookAtMemory {
        let pages = self.clone();
        LookAtMemory::new(move || {
            let pages = pages.0.lock().unwrap().clone();
            let node = |(node, pages): (u32, &u64)| NodeMemory {
                node,
                hugepages_total: *pages,
                hugepages_free: *pages,
                total_kib: 1 << 20,
                ..NodeMemory::default()
            };
            let nodes = (0..).zip(&pages).map(node).collect();
            Ok(SystemMemory {
                hugepages_total: pages.iter().sum(),
                nodes,
                ..SystemMemory::default()
            })
        })
    }
}

/// The huge pages of each prepare that was asked for, by node.
fn asked(bdev: &SimBdev) -> Vec<Vec<(u32, u64)>> {
    let pages = |request: PrepareRequest| {
        request.hugepages.iter().map(|node| (node.node, node.pages)).collect()
    };
    bdev.prepares().into_iter().map(pages).collect()
}

/// An engine on node 1 that needs 1024 pages of 2 MiB.
fn with_pages() -> ServerConfig {
    let mut config = one_engine("");
    config.hugepages.disabled = false;
    config.engines[0].pinned_numa_node = Some(1);
    config
}

#[tokio::test]
async fn a_start_sets_the_huge_pages_that_are_missing_and_takes_none() {
    for (there, set) in [([7, 5], 1024), ([7, 1024], 1024), ([7, 9000], 9000)] {
        let (bdev, pages) = (two_controllers(), Pages::of(&there));
        let (_, memory) =
            AutomaticPrepare::begin(&with_pages(), &host(true), bdev.clone(), pages.look())
                .await
                .unwrap();
        assert_eq!(asked(&bdev), [[(1, set)]], "node 0 has no engine");
        assert_eq!(memory.hugepages_of(1), Some(there[1]));
    }
}

#[tokio::test]
async fn an_engine_gets_huge_pages_again_that_a_reset_took() {
    let (bdev, pages) = (two_controllers(), Pages::of(&[0, 1024]));
    let (prepare, _) =
        AutomaticPrepare::begin(&with_pages(), &host(true), bdev.clone(), pages.look())
            .await
            .unwrap();
    prepare.give_to(0).await.unwrap();
    assert_eq!(asked(&bdev).last().unwrap(), &[], "all there");
    pages.set(&[0, 0]);
    bdev.reset(&Default::default()).await.unwrap();
    prepare.give_to(0).await.unwrap();
    assert_eq!(asked(&bdev).last().unwrap(), &[(1, 1024)]);
    assert_eq!(drivers(&bdev).await[LISTED], "vfio-pci");
}

async fn drivers(bdev: &SimBdev) -> BTreeMap<String, String> {
    let found = bdev.scan(&ScanRequest::default()).await.unwrap().controllers;
    let driver = |it: NvmeController| (it.address.to_string(), it.driver.unwrap_or_default());
    found.into_iter().map(driver).collect()
}

#[tokio::test]
async fn r169_an_engine_gets_its_controllers_when_it_starts_and_no_other_is_touched() {
    let bdev = two_controllers();
    let (prepare, _) = begin(&one_engine(""), &host(true), bdev.clone()).await.unwrap();
    assert!(
        drivers(&bdev).await.values().all(|driver| driver == "nvme"),
        "a format still sees them"
    );
    prepare.give_to(0).await.unwrap();
    prepare.give_to(1).await.unwrap();
    let drivers = drivers(&bdev).await;
    assert_eq!((drivers[LISTED].as_str(), drivers[OTHER].as_str()), ("vfio-pci", "nvme"));
}

#[tokio::test]
async fn the_switch_for_vfio_is_kept() {
    let bdev = two_controllers();
    let config = one_engine("disable_vfio: true\n");
    let (prepare, _) = begin(&config, &host(true), bdev.clone()).await.unwrap();
    prepare.give_to(0).await.unwrap();
    assert_eq!(drivers(&bdev).await[LISTED], "uio_pci_generic");
}

#[tokio::test]
async fn a_controller_that_cannot_be_had_stops_its_engine_with_the_reason() {
    let bdev = two_controllers();
    let (prepare, _) = begin(&one_engine(""), &host(true), bdev.clone()).await.unwrap();
    bdev.change(|world| {
        let Some(DeviceState::Nvme(state)) = world.get_mut(LISTED) else { panic!("not there") };
        state.controller.namespaces[0].uses = vec![DeviceUse::Swap];
    });
    let refused = prepare.give_to(0).await.unwrap_err();
    assert_eq!(refused.code, 1225, "{refused}");
    assert_eq!(drivers(&bdev).await[LISTED], "nvme");
}

#[tokio::test]
async fn a_controller_that_went_away_stops_its_engine() {
    let bdev = two_controllers();
    let (prepare, _) = begin(&one_engine(""), &host(true), bdev.clone()).await.unwrap();
    bdev.change(|world| world.remove(LISTED));
    assert_eq!(prepare.give_to(0).await.unwrap_err().code, 304);
}

#[tokio::test]
async fn a_plain_user_is_refused_before_anything_is_done() {
    let bdev = two_controllers();
    let config = one_engine("");
    let refused = begin(&config, &host(false), bdev.clone()).await.unwrap_err();
    assert_eq!(refused.code, 1450, "{refused}");
    assert!(refused.description.contains(LISTED) && !refused.description.contains(OTHER));
    bdev.prepare(&PrepareRequest::default()).await.unwrap();
    let (prepare, _) = begin(&config, &host(false), bdev).await.unwrap();
    prepare.give_to(0).await.unwrap();
}

#[tokio::test]
async fn spare_controllers_are_made_ready_at_once_and_are_nobodys_loss() {
    let bdev = two_controllers();
    let keys = format!("bdev_include: [\"{LISTED}\", \"{OTHER}\", \"0000:99:00.0\"]\n");
    begin(&one_engine(&keys), &host(true), bdev.clone()).await.unwrap();
    let drivers = drivers(&bdev).await;
    assert_eq!((drivers[LISTED].as_str(), drivers[OTHER].as_str()), ("nvme", "vfio-pci"));
}

#[tokio::test]
async fn a_scan_that_fails_refuses_the_start() {
    let bdev = two_controllers();
    bdev.rewrite(|script| *script = Script::default().fail("", SimPoint::Scan));
    let refused = begin(&one_engine(""), &host(true), bdev).await.unwrap_err();
    assert_eq!(refused.code, 302, "{refused}");
}

#[tokio::test]
async fn the_stand_in_data_plane_leaves_everything_alone() {
    let bdev = two_controllers();
    let mut config = one_engine("");
    config.data_plane = DataPlane::Emulated;
    let (prepare, _) = begin(&config, &host(true), bdev.clone()).await.unwrap();
    prepare.give_to(0).await.unwrap();
    assert!(drivers(&bdev).await.values().all(|driver| driver == "nvme"));
}
