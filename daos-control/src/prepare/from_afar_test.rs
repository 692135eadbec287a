//! What comes over the network and what the host has to say in it, on a simulated host.

use daos_storage_nvme::DeviceState;
use daos_storage_nvme::sim::{self, Script, SimBdev, World};

use super::*;
use crate::config::testing::config;
use crate::prepare::PagesAsk;
use crate::scan::memory::NodeMemory;

const LISTED: &str = "0000:81:00.0";
const SCRATCH: &str = "0000:05:00.0";

/// Engine 0 with a controller, engine 1 with a file.
fn host(keys: &str) -> ServerConfig {
    let entry = |index: u32, storage: &str| {
        format!(
            "- {{targets: 1, fabric_iface_port: {}, storage: [{{class: dcpm, scm_mount: /mnt/d{index}, scm_list: \
             [/dev/pmem{index}]}}, {storage}]}}\n",
            31416 + index
        )
    };
    config(&format!(
        "provider: ofi+tcp\nfabric_iface: lo\n{keys}engines:\n{}{}",
        entry(0, &format!("{{class: nvme, bdev_list: [\"{LISTED}\"]}}")),
        entry(1, "{class: file, bdev_list: [/srv/b], bdev_size: 4}")
    ))
}

fn memory(pages: u64) -> SystemMemory {
    let node = |node| NodeMemory {
        node,
        hugepages_total: pages,
        total_kib: 1 << 20,
        ..NodeMemory::default()
    };
    SystemMemory { nodes: vec![node(0), node(1)], ..SystemMemory::default() }
}

fn ask(allow: Option<&str>, pages: Option<&str>) -> NvmePrepareAsk {
    NvmePrepareAsk {
        allow: allow.map(str::to_owned),
        pages: pages.map(|text| text.parse::<PagesAsk>().unwrap()),
        ..NvmePrepareAsk::default()
    }
}

fn two_controllers() -> Arc<SimBdev> {
    let mut world = World::default();
    for address in [LISTED, SCRATCH] {
        let controller = sim::controller(address.parse().unwrap(), 1, 1 << 30);
        world.put(address, DeviceState::Nvme(sim::blank_namespaces(controller)));
    }
    Arc::new(SimBdev::new(world, Script::default()))
}

async fn driver(bdev: &SimBdev, address: &str) -> String {
    let found = bdev.scan(&ScanRequest::default()).await.unwrap().controllers;
    let it = found.into_iter().find(|it| it.address.to_string() == address).unwrap();
    it.driver.unwrap_or_default()
}

#[tokio::test]
async fn what_the_host_excludes_is_neither_taken_nor_given_back_and_cannot_be_named() {
    let config = host(&format!("bdev_exclude: [\"{SCRATCH}\"]\n"));
    let bdev = two_controllers();
    let all = with_host_rules(&config, ask(None, None)).unwrap();
    let done = FromAfar::prepare(&config, &all, &memory(0)).carry_out(bdev.clone()).await.unwrap();
    assert_eq!(driver(&bdev, LISTED).await, "vfio-pci");
    assert_eq!(driver(&bdev, SCRATCH).await, "nvme");
    assert!(done.notices.iter().any(|text| text.contains(SCRATCH)), "{:?}", done.notices);
    let refused = with_host_rules(&config, ask(Some(SCRATCH), None)).unwrap_err();
    assert_eq!(refused.code, 1506);
    assert!(refused.description.contains(SCRATCH) && refused.resolution.contains("bdev_exclude"));

    // Made ready by hand, for somebody else.
    let by_hand = NvmePlanned::of(&ask(Some(SCRATCH), None), &memory(0));
    by_hand.carry_out(&*bdev).await.unwrap();
    let kept = kept_of(&*bdev, &all).await.unwrap();
    FromAfar::reset(&config, all, kept).carry_out(bdev.clone()).await.unwrap();
    assert_eq!(driver(&bdev, LISTED).await, "nvme");
    assert_eq!(driver(&bdev, SCRATCH).await, "vfio-pci");
}

#[tokio::test]
async fn disable_vmd_of_the_host_holds_from_afar_too() {
    let config = host("disable_vmd: true\n");
    let behind = "5d0505:01:00.0";
    assert_eq!(with_host_rules(&config, ask(Some(behind), None)).unwrap_err().code, 1506);
    let all = with_host_rules(&config, ask(None, None)).unwrap();
    assert!(all.request(&memory(0)).0.disable_vmd);
    assert!(!all.chooses(behind.parse().unwrap()));
}

#[test]
fn nobody_runs_while_huge_pages_become_fewer() {
    let config = host("data_plane: engine\n");
    let held =
        |ask: NvmePrepareAsk, now: u64| FromAfar::prepare(&config, &ask, &memory(now)).engines;
    // Without a number there never are fewer.
    assert!(held(ask(Some("none"), None), 8192).is_empty());
    assert_eq!(held(ask(Some(LISTED), None), 8192), [0]);
    assert_eq!(held(ask(Some("none"), Some("512")), 8192), [0, 1]);
    assert_eq!(held(ask(Some("none"), Some("1:8191")), 8192), [0, 1]);
    assert!(held(ask(Some("none"), Some("1:8193")), 8192).is_empty());
    let reset = |ask| FromAfar::reset(&config, ask, Vec::new()).engines;
    assert_eq!(reset(ask(None, None)), [0, 1], "pages go back to what they were");
    assert_eq!(reset(ask(Some(LISTED), None)), [0]);
    // Stand-in engines use none.
    let config = host("data_plane: emulated\n");
    assert!(
        FromAfar::prepare(&config, &ask(Some("none"), Some("8")), &memory(64)).engines.is_empty()
    );
    assert_eq!(FromAfar::reset(&config, ask(None, None), Vec::new()).engines, [0]);
}
