use daos_storage_nvme::model::{
    EmulatedDevice, FactSource, NamespaceFormat, NvmeNamespace, ScanProblem,
};
use daos_storage_nvme::{BdevClass, BdevInventory, DeviceRef, NvmeController};
use daos_storage_scm::model::{Discovered, MemoryGoal, PendingGoal, RegionHealth, RegionKind};
use daos_storage_scm::{AppDirectRegion, ScmInventory, ScmModule, ScmNamespace};

use super::{
    HostStorage, StructuredScan, SystemMemory, errors_text, scan_text, scm_data, scm_text,
};
use crate::fault::Fault;

/// The values of the seed's sample (R89, R90).
fn sample() -> HostStorage {
    let controller = NvmeController {
        address: "0000:81:00.0".parse().expect("an address"),
        model: "INTEL SSDPED1K375GA".into(),
        serial: "PHKS7335006W375AGN".into(),
        firmware: "E2010435".into(),
        vendor_id: None,
        socket: 1,
        driver: None,
        iommu_group: None,
        source: FactSource::default(),
        obstacles: Vec::new(),
        device_files: Vec::new(),
        openers: Vec::new(),
        namespaces: vec![NvmeNamespace {
            id: 1,
            size_bytes: 375_083_606_016,
            node: None,
            uses: Vec::new(),
            format: NamespaceFormat::default(),
        }],
        health: None,
    };
    let module = |physical_id, channel| ScmModule {
        physical_id,
        channel,
        channel_position: 1,
        capacity: 539_661_172_736,
        ..ScmModule::default()
    };
    let scm = ScmInventory {
        modules: Discovered::Known(vec![module(40, 1), module(28, 0)]),
        ..ScmInventory::default()
    };
    HostStorage {
        scm: Ok(scm),
        nvme: Ok(BdevInventory { controllers: vec![controller], ..BdevInventory::default() }),
        memory: Ok(SystemMemory::default()),
    }
}

#[test]
fn a_scan_prints_both_parts() {
    assert_eq!(
        scan_text(&sample()),
        "NVMe controllers and namespaces:\n\
         \t\tPCI:0000:81:00.0 Model:INTEL SSDPED1K375GA FW:E2010435 Socket:1 Capacity:375.0 GB\n\
         \t\t  Serial:PHKS7335006W375AGN Driver:none (read from the controller)\n\
         \t\t  Namespace:1 Capacity:375.0 GB\n\
         SCM Modules:\n\
         \t\tPhysicalID:28 Capacity:539.6 GB Location:(socket:0 memctrlr:0 chan:0 pos:1)\n\
         \t\tPhysicalID:40 Capacity:539.6 GB Location:(socket:0 memctrlr:0 chan:1 pos:1)\n"
    );
    assert_eq!(errors_text(&sample().faults()), None);
}

#[test]
fn nothing_found_says_none_and_what_cannot_be_known_says_why() {
    let mut storage = sample();
    storage.nvme = Ok(BdevInventory::default());
    storage.scm = Ok(ScmInventory::default());
    let none = "NVMe controllers and namespaces:\n\t\tnone\nSCM Modules:\n\t\tnone\n";
    assert_eq!(scan_text(&storage), none);
    let unknown = Discovered::Unknown {
        code: 1,
        why: "no libipmctl".into(),
        resolution: "install it".into(),
    };
    storage.scm = Ok(ScmInventory { modules: unknown, ..ScmInventory::default() });
    assert!(
        scan_text(&storage).ends_with("SCM Modules:\n\t\tunknown: no libipmctl (install it)\n")
    );
    // None is an answer; a tool that is missing is an error with a remedy (R113).
    let errors = errors_text(&storage.faults()).expect("one");
    assert!(errors.contains("code = 1 description = \"no libipmctl\""), "{errors}");
    assert!(errors.contains("resolution = \"install it\""), "{errors}");
}

#[test]
fn namespaces_are_shown_instead_of_modules() {
    let mut storage = sample();
    let namespace = |blockdev: &str| ScmNamespace {
        blockdev: blockdev.into(),
        numa_node: 1,
        size: 3_000_000_000,
        ..ScmNamespace::default()
    };
    let scm = storage.scm.as_mut().expect("found");
    scm.namespaces = Discovered::Known(vec![namespace("pmem1"), namespace("pmem0")]);
    let text = scan_text(&storage);
    assert!(!text.contains("PhysicalID"));
    let rows = "SCM Namespaces:\n\t\tDevice:pmem0 Socket:1 Capacity:3.0 GB\n\t\tDevice:pmem1 Socket:1 Capacity:3.0 GB\n";
    assert!(text.ends_with(rows), "{text}");
}

/// T4: regions are told in lines and as data, also beside namespaces; goals with them.
#[test]
fn regions_and_goals_are_told_r114() {
    let mut storage = sample();
    let scm = storage.scm.as_mut().expect("found");
    scm.regions = Discovered::Known(vec![AppDirectRegion {
        id: 0,
        iset_id: 0x2aba,
        socket: 1,
        kind: RegionKind::AppDirect,
        capacity: 3_000_000_000,
        free_capacity: 1_000_000_000,
        health: RegionHealth::Normal,
        module_ids: vec![28, 40],
    }]);
    scm.goals = vec![PendingGoal {
        socket: 0,
        module: "8089-a2-1748-00000001".into(),
        goal: Some(MemoryGoal::AppDirectInterleaved),
        refused: None,
    }];
    let expected = "SCM Regions:\n\t\tRegion:0 Socket:1 Type:AppDirect Capacity:3.0 GB Free:1.0 GB Health:Normal \
         ISetID:0x2aba Modules:28,40\n\t\tGoal: socket 0 module 8089-a2-1748-00000001: interleaved AppDirect at the \
         next reboot\n";
    assert!(scan_text(&storage).ends_with(expected), "{}", scan_text(&storage));
    let found = storage.scm.as_ref().expect("found");
    assert!(scm_text(found).starts_with("SCM Modules:\n") && scm_text(found).contains(expected));
    let value = serde_json::to_value(StructuredScan::of(&storage)).expect("data");
    assert_eq!(value["SCMRegions"][0]["iset_id"], 0x2aba);
    assert_eq!(value["SCMRegions"][0]["module_ids"], serde_json::json!([28, 40]));
    let data = scm_data(found);
    assert_eq!(data["regions"]["known"][0]["kind"], "app_direct");
    assert_eq!(data["goals"][0]["goal"], "app_direct_interleaved");
}

#[test]
fn a_part_that_fails_hides_no_other() {
    let mut storage = sample();
    storage.nvme = Err(Fault::new("bdev", 300, "no access", "run as root"));
    let text = scan_text(&storage);
    assert!(
        text.contains("PhysicalID:28") && text.starts_with("NVMe controllers and namespaces:\n")
    );
    assert_eq!(
        errors_text(&storage.faults()).as_deref(),
        Some(
            "scan error(s):\n  bdev: code = 300 description = \"no access\"\n  \
             bdev: code = 300 resolution = \"run as root\""
        )
    );
    let value = serde_json::to_value(StructuredScan::of(&storage)).expect("data");
    assert_eq!(value["SCM"].as_array().map(Vec::len), Some(2));
    assert_eq!(value["errors"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_class_that_fails_hides_no_other_class() {
    let mut storage = sample();
    let found = storage.nvme.as_mut().expect("found");
    found.problems.push(ScanProblem {
        class: BdevClass::Kdev,
        code: 1217,
        text: "no access".into(),
        resolution: "run as root".into(),
    });
    assert!(scan_text(&storage).contains("PCI:0000:81:00.0"));
    let errors = errors_text(&storage.faults()).expect("one");
    assert!(errors.contains("code = 1217 description = \"class kdev: no access\""), "{errors}");
}

#[test]
fn data_has_the_names_of_the_sample() {
    let mut storage = sample();
    let device = DeviceRef { tier: 1, index: 0, class: BdevClass::File, name: "/f".into() };
    let found = storage.nvme.as_mut().expect("found");
    found.emulated.push(EmulatedDevice { device, size_bytes: Some(1 << 30) });
    let value = serde_json::to_value(StructuredScan::of(&storage)).expect("data");
    let expected = serde_json::json!({
        "NVMe": [{
            "id": 0, "model": "INTEL SSDPED1K375GA", "serial": "PHKS7335006W375AGN",
            "pciaddr": "0000:81:00.0", "fwrev": "E2010435", "socket": 1,
            "namespace": [{
                "id": 1, "capacity": 375, "bytes": 375_083_606_016_u64, "block_bytes": 0,
                "metadata_bytes": 0, "lba_format": null, "eui64": null, "nguid": null, "uuid": null
            }],
            "source": "read from the controller", "usable": true
        }],
        "SCM": [
            {"physicalid": 28, "channel": 0, "channelpos": 1, "memctrlr": 0, "socket": 0, "capacity": 539_661_172_736_u64},
            {"physicalid": 40, "channel": 1, "channelpos": 1, "memctrlr": 0, "socket": 0, "capacity": 539_661_172_736_u64}
        ],
        "emulated": [{"class": "file", "device": "/f", "capacity": 1_073_741_824}]
    });
    assert_eq!(value, expected);
    let yaml = serde_saphyr::to_string(&StructuredScan::of(&storage)).expect("YAML");
    assert!(yaml.contains("NVMe:") && yaml.contains("physicalid: 28"), "{yaml}");
}
