//! The simulated host: its script, and what a scan shows through the router.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daos_storage_nvme::provider::{NodeHugepages, PrepareRequest, ResetRequest};
use daos_storage_nvme::sim::{Script, SimBdev, SimPoint, World, blank_namespaces, controller};
use daos_storage_nvme::{
    BdevClass, BdevProvider, BdevTarget, BdevTier, ByClass, ConfigFile, ConfigForm, DeviceState,
    EngineDeviceConfig, EngineOptions, FileOwner, Intent, Roles, ScanRequest, SilentObserver,
    TierDevices, plan,
};

const GIB: u64 = 1 << 30;
const ADDRESS: &str = "0000:81:00.0";

fn world() -> World {
    let mut world = World::default();
    let state = blank_namespaces(controller(ADDRESS.parse().expect("address"), 2, GIB));
    world.put(ADDRESS, DeviceState::Nvme(state));
    world
}

fn target(devices: TierDevices) -> BdevTarget {
    BdevTarget {
        engine: 0,
        host: "n1".to_owned(),
        owner: FileOwner::current(),
        tiers: vec![BdevTier { tier: 1, roles: Roles::NONE, devices }],
    }
}

fn files() -> BdevTarget {
    target(TierDevices::File { paths: vec![PathBuf::from("/a"), PathBuf::from("/b")], size_gib: 1 })
}

/// R141, R142
#[tokio::test]
async fn a_scan_shows_every_field_of_a_controller() {
    let sim = SimBdev::new(world(), Script::default());
    let request = ScanRequest { targets: Vec::new(), health: true };
    let found = sim.scan(&request).await.expect("scan");
    let json = serde_json::to_value(&found.controllers[0]).expect("serialisable");
    for field in ["address", "model", "serial", "firmware", "vendor_id", "socket", "driver"] {
        assert!(!json[field].is_null(), "{field}");
    }
    for namespace in json["namespaces"].as_array().expect("namespaces") {
        assert!(namespace["id"].as_u64() >= Some(1) && namespace["size_bytes"] == GIB);
    }
    let health = json["health"].as_object().expect("health");
    for field in [
        "temperature_k",
        "warning_minutes",
        "critical_minutes",
        "busy_minutes",
        "power_cycles",
        "power_on_hours",
        "unsafe_shutdowns",
        "media_errors",
        "error_log_entries",
    ] {
        assert!(health[field].is_u64(), "{field}");
    }
    assert_eq!(health["warnings"].as_object().map(serde_json::Map::len), Some(5));
    assert_eq!(found.controllers[0].capacity_bytes(), 2 * GIB);

    let without = ScanRequest::default();
    assert_eq!(sim.scan(&without).await.expect("scan").controllers[0].health, None);
}

/// R92, E24
#[tokio::test]
async fn a_class_that_cannot_be_scanned_hides_no_other() {
    let sim = SimBdev::new(world(), Script::default().fail("", SimPoint::Scan));
    let router = ByClass::emulated().with(BdevClass::Nvme, Arc::new(sim));
    let malloc = target(TierDevices::Malloc { count: 2, size_gib: 4 });
    let request = ScanRequest { targets: vec![malloc], health: false };
    let found = router.scan(&request).await.expect("scan");
    assert_eq!(found.emulated.len(), 2);
    assert_eq!(found.emulated[0].size_bytes, Some(4 * GIB));
    let [problem] = found.problems.as_slice() else { panic!("{:?}", found.problems) };
    assert_eq!((problem.class, problem.code), (BdevClass::Nvme, 302));
}

#[tokio::test]
async fn prepare_and_reset_go_to_the_nvme_body_alone() {
    let request = PrepareRequest {
        hugepages: vec![NodeHugepages { node: 0, pages: 512 }],
        ..PrepareRequest::default()
    };
    let error = ByClass::emulated().prepare(&request).await.expect_err("no hardware");
    assert_eq!(error.code(), 1231);

    let sim = SimBdev::new(world(), Script::default());
    let router = ByClass::emulated().with(BdevClass::Nvme, Arc::new(sim.clone()));
    let done = router.prepare(&request).await.expect("prepare");
    assert_eq!(done.hugepages, request.hugepages);
    let driver = |sim: SimBdev| async move {
        sim.scan(&ScanRequest::default()).await.expect("scan").controllers[0].driver.clone()
    };
    assert_eq!(driver(sim.clone()).await.as_deref(), Some("vfio-pci"));
    router.reset(&ResetRequest::default()).await.expect("reset");
    assert_eq!(driver(sim).await.as_deref(), Some("nvme"));
}

#[tokio::test(start_paused = true)]
async fn the_script_decides_what_fails_and_how_long_it_takes() {
    let minutes = Duration::from_secs(300);
    let script = Script::default()
        .delay("/a", SimPoint::Step(0), minutes)
        .fail("/b", SimPoint::Step(0))
        .fail("", SimPoint::WriteConfig);
    let sim = SimBdev::new(World::default(), script);
    let target = files();
    let observed = sim.observe(&target).await;
    let plan = plan(&target, &observed, Intent::Plain).expect("a valid target");
    let digest = plan.digest();
    let before = tokio::time::Instant::now();
    let outcomes = sim.format(plan.accept(&digest).expect("its digest"), &SilentObserver).await;
    assert!(before.elapsed() >= minutes);
    assert!(outcomes[0].result.error().is_none());
    assert_eq!(outcomes[1].result.error().map(|error| error.code()), Some(302));

    let config = EngineDeviceConfig::from_target(&target, EngineOptions::default()).expect("valid");
    let file = ConfigFile {
        path: "/scm/daos_nvme.conf".into(),
        form: ConfigForm::Json,
        owner: FileOwner::current(),
    };
    let failed = sim.write_config(&file, &config, &SilentObserver).await;
    assert_eq!(failed.expect_err("scripted").code(), 302);
    assert_eq!(sim.config_text(&file.path), None);
}
