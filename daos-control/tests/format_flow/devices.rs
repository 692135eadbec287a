//! Block devices that come to an engine after its format, and cards that are exchanged.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use daos_control::fault::Fault;
use daos_control::format::{BroughtUp, FormatParts, FormatService};
use daos_storage_nvme::blockdev::{Content, Signature, SignatureKind};
use daos_storage_nvme::sim::{self, Script, SimBdev, World};
use daos_storage_nvme::{
    BdevTier, DeviceState, EngineDeviceConfig, EngineOptions, Roles, TierDevices,
};

use crate::host::{Form, Host, PLAIN, REFORMAT, use_storage};
use crate::log;

/// A service over today's configuration, in which engine 0 has these devices.
fn service(host: &Host, bdev: Option<&SimBdev>, devices: TierDevices) -> FormatService {
    let (mut parts, _ready) = host.parts();
    let engine = &mut parts.targets.engines[0];
    engine.bdev.tiers = vec![BdevTier { tier: 1, roles: Roles::NONE, devices }];
    engine.device_config =
        EngineDeviceConfig::from_target(&engine.bdev, EngineOptions::default()).unwrap();
    match bdev {
        Some(bdev) => FormatService::new(FormatParts { bdev: Arc::new(bdev.clone()), ..parts }),
        None => FormatService::new(parts),
    }
}

fn files(paths: &[&Path]) -> TierDevices {
    TierDevices::File { paths: paths.iter().map(|path| path.to_path_buf()).collect(), size_gib: 1 }
}

fn cards(names: &[&str]) -> TierDevices {
    TierDevices::Nvme { addresses: names.iter().map(|name| name.parse().unwrap()).collect() }
}

#[track_caller]
fn refused(brought_up: BroughtUp, words: &[&str]) -> Fault {
    let BroughtUp::Refused(fault) = brought_up else { panic!("{brought_up:?}") };
    assert_eq!(fault.code, 1505, "{fault}");
    for word in words {
        assert!(fault.description.contains(word), "{word}: {fault}");
    }
    fault
}

const FIRST: &str = "0000:81:00.0";
const SECOND: &str = "0000:82:00.0";

fn foreign() -> Content {
    let (kind, name) = (SignatureKind::FileSystem, "xfs".to_owned());
    Content::Signatures(vec![Signature { kind, name, label: None, uuid: None }])
}

fn blobstore() -> Content {
    let (kind, name) = (SignatureKind::Blobstore, "SPDK blobstore".to_owned());
    Content::Signatures(vec![Signature { kind, name, label: None, uuid: None }])
}

fn put(bdev: &SimBdev, name: &str, serial: &str, content: Content) {
    let mut state = sim::blank_namespaces(sim::controller(name.parse().unwrap(), 1, 1 << 30));
    state.controller.serial = serial.to_owned();
    state.contents[0].content = Some(content);
    bdev.change(|world| world.put(name, DeviceState::Nvme(state)));
}

#[tokio::test]
async fn a_controller_added_after_the_format_is_given_only_when_it_is_blank() {
    let test = "a_controller_added_after_the_format_is_given_only_when_it_is_blank";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    let bdev = SimBdev::new(World::default(), Script::default());
    put(&bdev, FIRST, "A", Content::Blank);
    put(&bdev, SECOND, "B", foreign());
    let config = host.home(0).device_config();
    service(&host, Some(&bdev), cards(&[FIRST])).apply(PLAIN, None).await.unwrap();
    put(&bdev, FIRST, "A", blobstore());
    let before = bdev.config_text(&config);
    assert_eq!(service(&host, Some(&bdev), cards(&[FIRST])).bring_up(0).await, BroughtUp::Ready);

    let more = service(&host, Some(&bdev), cards(&[FIRST, SECOND]));
    let fault = refused(more.bring_up(0).await, &[SECOND, "serial B", "xfs"]);
    assert!(fault.resolution.contains("bdev_list"), "{fault:?}");
    assert_eq!(bdev.config_text(&config), before, "the engine is told nothing of it");
    let given = host.superblock(0).unwrap().devices;
    assert_eq!((given.len(), given[0].serial.as_deref()), (1, Some("A")));

    put(&bdev, SECOND, "B", Content::Blank);
    assert_eq!(more.bring_up(0).await, BroughtUp::Ready);
    assert!(bdev.config_text(&config).unwrap().contains(SECOND));
    put(&bdev, SECOND, "B", blobstore());
    assert_eq!(more.bring_up(0).await, BroughtUp::Ready, "it is the engine's own now");
    put(&bdev, SECOND, "C", blobstore());
    refused(more.bring_up(0).await, &[SECOND, "serial B", "serial C"]);
}

/// What a stock server, or an earlier one of ours, formatted.
#[tokio::test]
async fn without_a_list_in_the_superblock_the_device_config_tells_what_is_known() {
    let test = "without_a_list_in_the_superblock_the_device_config_tells_what_is_known";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    let old = host.bdev(0);
    let first = service(&host, None, files(&[&old]));
    first.apply(PLAIN, None).await.unwrap();
    let forget = || {
        let mut superblock = host.superblock(0).unwrap();
        superblock.devices.clear();
        daos_control::superblock::store(&host.home(0).superblock(), &superblock).unwrap();
    };
    forget();
    fs::write(&old, vec![7; 8192]).unwrap();
    fs::File::options().write(true).open(&old).unwrap().set_len(1 << 30).unwrap();
    assert_eq!(first.bring_up(0).await, BroughtUp::Ready);
    assert_eq!(host.superblock(0).unwrap().devices.len(), 1, "written down from now on");
    forget();
    fs::write(host.home(0).device_config(), "damaged").unwrap();
    refused(first.bring_up(0).await, &["data without a known signature"]);
}

#[tokio::test]
async fn a_file_added_after_the_format_is_made_or_has_to_be_blank() {
    let test = "a_file_added_after_the_format_is_made_or_has_to_be_blank";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    let (old, new) = (host.bdev(0), host.files.join("added"));
    service(&host, None, files(&[&old])).apply(PLAIN, None).await.unwrap();
    use_storage(&host, 0);
    let both = service(&host, None, files(&[&old, &new]));
    let letters = vec![b'x'; 1 << 20];
    fs::write(&new, &letters).unwrap();
    fs::File::options().write(true).open(&new).unwrap().set_len(1 << 30).unwrap();
    refused(both.bring_up(0).await, &["added", "data without a known signature"]);
    assert!(!fs::read_to_string(host.home(0).device_config()).unwrap().contains("added"));
    assert_eq!(fs::read(&new).unwrap()[..letters.len()], letters);
    fs::remove_file(&new).unwrap();
    assert_eq!(both.bring_up(0).await, BroughtUp::Ready);
    assert_eq!(fs::metadata(&new).unwrap().len(), 1 << 30);
    assert!(fs::read_to_string(host.home(0).device_config()).unwrap().contains("added"));
    assert!(host.mount(0).join("2f1c8ad2-pool/shard").exists());
}

/// Row D6: nobody has seen these devices before either.
#[tokio::test]
async fn an_empty_mount_gets_no_superblock_beside_foreign_devices() {
    let test = "an_empty_mount_gets_no_superblock_beside_foreign_devices";
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    fs::create_dir(host.mount(0)).unwrap();
    let bdev = SimBdev::new(World::default(), Script::default());
    put(&bdev, FIRST, "A", foreign());
    let service = service(&host, Some(&bdev), cards(&[FIRST]));
    refused(service.bring_up(0).await, &[FIRST, "xfs"]);
    assert!(host.superblock(0).is_none());
    put(&bdev, FIRST, "A", Content::Blank);
    assert_eq!(service.bring_up(0).await, BroughtUp::Ready);
    assert_eq!(host.superblock(0).unwrap().devices[0].serial.as_deref(), Some("A"));
}

/// A real block device with a real file system.
#[tokio::test]
async fn a_kernel_device_added_after_the_format_keeps_its_file_system() {
    let test = "a_kernel_device_added_after_the_format_keeps_its_file_system";
    let Some(host) = Host::new(test, Form::Loop, 1).await else { return };
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let image = host.files.join("disk");
    fs::File::create(&image).and_then(|file| file.set_len(64 << 20)).unwrap();
    run("mkfs.ext4", &["-q", "-L", "photos", image.to_str().unwrap()]);
    let device = run("losetup", &["--find", "--show", image.to_str().unwrap()]);
    let devices = TierDevices::Kdev { paths: vec![device.clone().into()] };
    let (parts, _ready) = host.parts();
    let mut without = parts;
    without.targets.engines[0].bdev.tiers.clear();
    without.targets.engines[0].device_config.tiers.clear();
    FormatService::new(without).apply(PLAIN, None).await.unwrap();
    let first = service(&host, None, devices.clone()).bring_up(0).await;
    let label = run("blkid", &["-p", "-o", "value", "-s", "LABEL", &device]);
    run("wipefs", &["--all", &device]);
    run("dd", &["if=/dev/zero", &format!("of={device}"), "bs=1M", "count=64", "status=none"]);
    let second = service(&host, None, devices).bring_up(0).await;
    run("losetup", &["--detach", &device]);
    refused(first, &[&device, "ext4"]);
    assert_eq!(label, "photos");
    assert_eq!(second, BroughtUp::Ready);
}

/// What a reboot does that gives devices other names, or an editor that exchanged two lines.
#[tokio::test]
async fn devices_of_two_engines_that_changed_places_are_named_and_kept() {
    let test = "devices_of_two_engines_that_changed_places_are_named_and_kept";
    let Some(host) = Host::new(test, Form::Directory, 2).await else { return };
    host.service().apply(PLAIN, None).await.unwrap();
    for index in 0..2 {
        use_storage(&host, index);
    }
    let superblocks = [host.superblock(0), host.superblock(1)];
    let (mut parts, _ready) = host.parts();
    let tiers = parts.targets.engines.iter().map(|engine| engine.bdev.tiers.clone());
    let tiers: Vec<_> = tiers.collect();
    for (engine, tiers) in parts.targets.engines.iter_mut().zip(tiers.into_iter().rev()) {
        engine.bdev.tiers = tiers;
        engine.device_config =
            EngineDeviceConfig::from_target(&engine.bdev, EngineOptions::default()).unwrap();
    }
    let exchanged = FormatService::new(parts);
    for (index, other) in [(0, 1), (1, 0)] {
        let BroughtUp::Refused(fault) = exchanged.bring_up(index).await else { panic!("started") };
        assert_eq!(fault.code, 1516, "{fault}");
        let told = fault.description.clone();
        for word in [format!("engine {index} "), format!("engine {other}")] {
            assert!(told.contains(&word), "{word}: {told}");
        }
        assert!(told.contains(&host.bdev(index).display().to_string()), "{told}");
        assert!(fault.resolution.contains("bdev_list"), "{fault:?}");
        assert!(!fault.resolution.contains("wipefs"), "{fault:?}");
    }
    assert_eq!([host.superblock(0), host.superblock(1)], superblocks);
    for index in 0..2 {
        assert_eq!(host.service().bring_up(index).await, BroughtUp::Ready);
    }
}

#[tokio::test]
async fn a_blank_device_in_the_place_of_one_with_data_is_told_loudly() {
    let test = "a_blank_device_in_the_place_of_one_with_data_is_told_loudly";
    log::collect();
    let Some(host) = Host::new(test, Form::Directory, 1).await else { return };
    let service = host.service();
    service.apply(PLAIN, None).await.unwrap();
    let name = host.bdev(0).display().to_string();
    let told =
        || log::lines().iter().any(|line| line.contains(&name) && line.contains("blank now"));
    assert_eq!(service.bring_up(0).await, BroughtUp::Ready);
    assert!(!told(), "no engine has used it yet");
    let mut superblock = host.superblock(0).unwrap();
    superblock.incarnation = 7;
    daos_control::superblock::store(&host.home(0).superblock(), &superblock).unwrap();
    use_storage(&host, 0);
    assert_eq!(service.bring_up(0).await, BroughtUp::Ready);
    assert!(!told(), "the engine's data is there");
    fs::remove_file(host.bdev(0)).unwrap();
    fs::File::create(host.bdev(0)).and_then(|file| file.set_len(1 << 30)).unwrap();
    assert_eq!(service.bring_up(0).await, BroughtUp::Ready);
    assert!(told(), "{:?}", log::lines());
}

#[tokio::test]
async fn storage_of_another_system_is_refused_untouched_and_named_in_the_plan() {
    let test = "storage_of_another_system_is_refused_untouched_and_named_in_the_plan";
    let Some(host) = Host::new(test, Form::Loop, 1).await else { return };
    host.service().apply(PLAIN, None).await.unwrap();
    host.reboot();
    let (mut parts, _ready) = host.parts();
    parts.targets.system = "other".into();
    // It would be made, and the device config written anew, if this were the engine's storage.
    let config = {
        let engine = &mut parts.targets.engines[0];
        let added = vec![host.bdev(0), host.files.join("added")];
        let devices = TierDevices::File { paths: added, size_gib: 1 };
        engine.bdev.tiers = vec![BdevTier { tier: 1, roles: Roles::NONE, devices }];
        engine.home.device_config()
    };
    let other = FormatService::new(parts);
    let BroughtUp::Refused(fault) = other.bring_up(0).await else { panic!("it started") };
    assert_eq!(fault.code, 603, "{fault}");
    let mount = host.mount(0).display().to_string();
    for word in ["'daos_server'", "'other'", "stays mounted", &mount] {
        assert!(fault.description.contains(word), "{word}: {fault}");
    }
    assert!(!host.files.join("added").exists());
    assert!(!fs::read_to_string(config).unwrap().contains("added"));
    let plan = other.plan(REFORMAT).await.unwrap();
    let rows = &plan.engines[0].devices;
    assert!(rows[0].content.contains("an engine of system 'daos_server'"), "{rows:?}");
    assert!(rows[0].destroys(), "{rows:?}");
    other.apply(REFORMAT, None).await.unwrap();
    assert_eq!(host.superblock(0).unwrap().system, "other");
    assert_eq!(other.bring_up(0).await, BroughtUp::Ready);
}
