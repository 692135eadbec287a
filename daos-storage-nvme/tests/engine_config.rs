//! The engine's device configuration: bytes of every class in both forms, and reading them back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use daos_storage_nvme::engine_config::{
    Acceleration, AutoFaulty, BusIdRange, ConfigDevices, ConfigTier, IoBuffers, SpdkRpcServer,
};
use daos_storage_nvme::{
    BdevTarget, BdevTier, ConfigFile, ConfigForm, EngineDeviceConfig, EngineOptions, FileOwner,
    Role, Roles, TierDevices, engine_config,
};
use proptest::prelude::*;

fn target(tiers: Vec<(Roles, TierDevices)>) -> BdevTarget {
    BdevTarget {
        engine: 0,
        host: "n1".to_owned(),
        owner: FileOwner::current(),
        tiers: tiers
            .into_iter()
            .zip(1..)
            .map(|((roles, devices), tier)| BdevTier { tier, roles, devices })
            .collect(),
    }
}

fn nvme(addresses: &[&str]) -> TierDevices {
    TierDevices::Nvme { addresses: addresses.iter().map(|a| a.parse().expect("address")).collect() }
}

fn files(paths: &[&str]) -> TierDevices {
    TierDevices::File { paths: paths.iter().map(PathBuf::from).collect(), size_gib: 4 }
}

fn kdevs(paths: &[&str]) -> TierDevices {
    TierDevices::Kdev { paths: paths.iter().map(PathBuf::from).collect() }
}

#[track_caller]
fn golden(name: &str, form: ConfigForm, config: &EngineDeviceConfig) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let text = config.render(form).expect("expressible");
    let expected = fs::read_to_string(&path).expect("golden file");
    assert_eq!(text, expected, "{}", path.display());
}

fn config(tiers: Vec<(Roles, TierDevices)>, options: EngineOptions) -> EngineDeviceConfig {
    EngineDeviceConfig::from_target(&target(tiers), options).expect("valid target")
}

fn hotplug() -> EngineOptions {
    EngineOptions { hotplug: Some(BusIdRange::DEFAULT), ..EngineOptions::default() }
}

/// The sample of contract 5.3.
#[test]
fn json_of_one_nvme_with_all_roles_and_hotplug() {
    let all = Roles::from_iter([Role::Data, Role::Meta, Role::Wal]);
    let config = config(vec![(all, nvme(&["0000:81:00.0"]))], hotplug());
    golden("nvme_roles_hotplug.json", ConfigForm::Json, &config);
}

#[test]
fn json_of_every_class() {
    let none = Roles::NONE;
    let plain = EngineOptions::default;
    let nvme = config(vec![(none, nvme(&["0000:81:00.0", "5d0505:01:00.0"]))], plain());
    golden("nvme.json", ConfigForm::Json, &nvme);
    let file = config(vec![(none, files(&["/var/daos/first", "/var/daos/with blank"]))], plain());
    golden("file.json", ConfigForm::Json, &file);
    golden("kdev.json", ConfigForm::Json, &config(vec![(none, kdevs(&["/dev/sdc"]))], plain()));
    let malloc = TierDevices::Malloc { count: 2, size_gib: 4 };
    golden("malloc.json", ConfigForm::Json, &config(vec![(none, malloc)], plain()));
}

#[test]
fn json_of_three_tiers_with_every_option() {
    let options = EngineOptions {
        hotplug: Some(BusIdRange { begin: 0x80, end: 0x8f }),
        vmd: true,
        io_buffers: Some(IoBuffers { small_pool_count: 8192, large_pool_count: 0 }),
        acceleration: Some(Acceleration { engine: "spdk".to_owned(), options: 3 }),
        spdk_rpc_server: Some(SpdkRpcServer {
            enable: true,
            sock_addr: "/tmp/spdk.sock".to_owned(),
        }),
        auto_faulty: Some(AutoFaulty { enable: true, max_io_errs: 100, max_csum_errs: 200 }),
    };
    let tiers = vec![
        (Roles::from_iter([Role::Wal]), nvme(&["0000:81:00.0"])),
        (Roles::from_iter([Role::Meta]), nvme(&["0000:82:00.0"])),
        (Roles::from_iter([Role::Data]), nvme(&["0000:83:00.0", "0000:84:00.0"])),
    ];
    golden("tiers_options.json", ConfigForm::Json, &config(tiers, options));
}

#[test]
fn ini_of_every_class() {
    let none = Roles::NONE;
    let plain = EngineOptions::default;
    let nvme = config(vec![(none, nvme(&["0000:81:00.0", "0000:82:00.0"]))], plain());
    golden("nvme.ini", ConfigForm::Ini, &nvme);
    let file = config(vec![(none, files(&["/var/daos/first", "/var/daos/second"]))], plain());
    golden("file.ini", ConfigForm::Ini, &file);
    golden("kdev.ini", ConfigForm::Ini, &config(vec![(none, kdevs(&["/dev/sdc"]))], plain()));
    let malloc = TierDevices::Malloc { count: 1, size_gib: 4 };
    golden("malloc.ini", ConfigForm::Ini, &config(vec![(none, malloc)], plain()));
}

#[test]
fn ini_has_no_words_for_roles_tiers_options_and_blanks() {
    let none = Roles::NONE;
    let plain = EngineOptions::default;
    for config in [
        config(vec![(Roles::from_iter([Role::Data]), files(&["/f"]))], plain()),
        config(vec![(none, files(&["/f"])), (none, files(&["/g"]))], plain()),
        config(vec![(none, files(&["/f"]))], hotplug()),
        config(vec![(none, files(&["/a b"]))], plain()),
        config(vec![(none, files(&["/a\"b"]))], plain()),
        config(vec![(none, kdevs(&["/a\nAIO /etc/shadow x"]))], plain()),
    ] {
        assert_eq!(config.render(ConfigForm::Ini).expect_err("inexpressible").code(), 1233);
    }
}

#[test]
fn a_device_name_that_engines_would_cut_is_refused() {
    let mut long = target(vec![(Roles::NONE, files(&["/f"]))]);
    // AIO_<host>_0_1_0 takes ten characters besides the host name.
    long.host = "h".repeat(246);
    let fits = EngineDeviceConfig::from_target(&long, EngineOptions::default()).expect("valid");
    fits.render(ConfigForm::Json).expect("256 characters");
    long.host.push('h');
    let config = EngineDeviceConfig::from_target(&long, EngineOptions::default()).expect("valid");
    assert_eq!(config.render(ConfigForm::Json).expect_err("257 characters").code(), 1233);
}

#[test]
fn json_is_read_strictly() {
    let config = config(vec![(Roles::NONE, files(&["/f", "/g"]))], EngineOptions::default());
    let good = config.render(ConfigForm::Json).expect("text");
    let parse = |text: &str| EngineDeviceConfig::parse(text, ConfigForm::Json, Path::new("/c"));
    assert_eq!(parse(&good).expect("what was written"), config);
    for (from, to) in [
        ("\"daos_data\"", "\"extra\": 1, \"daos_data\""),
        ("bdev_aio_create", "bdev_uring_create"),
        ("\"block_size\": 4096", "\"block_size\": 512"),
        ("\"block_size\": 4096", "\"block_size\": 4096, \"readonly\": true"),
        ("AIO_n1_1_1_0", "AIO_n1_2_1_0"),
        ("AIO_n1_1_1_0", "AIO_n1_1_1_9"),
        ("AIO_n1_1_1_0", "AIO_n1_01_1_0"),
        ("AIO_n1_1_1_0", "AIO_n2_1_1_0"),
        ("\"transport_retry_count\": 4", "\"transport_retry_count\": 5"),
        ("\"enable\": false", "\"enable\": true"),
        ("bdev_nvme_set_hotplug", "bdev_set_options"),
        ("\"subsystem\": \"bdev\"", "\"subsystem\": \"nvmf\""),
        ("}", ""),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from} occurs");
        let error = parse(&bad).expect_err(to);
        assert_eq!(error.code(), 804, "{to}");
        assert!(error.to_string().starts_with("/c: not a device configuration: "), "{error}");
    }
}

/// R150, W11
#[test]
fn the_file_is_replaced_whole_with_its_mode_and_leaves_no_other() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join(engine_config::CONFIG_FILE_NAME);
    let file =
        ConfigFile { path: path.clone(), form: ConfigForm::Json, owner: FileOwner::current() };
    let one = config(vec![(Roles::NONE, files(&["/f"]))], EngineOptions::default());
    let two = config(vec![(Roles::NONE, files(&["/g"]))], EngineOptions::default());
    // What a crash in the middle of an earlier write left over is in nobody's way.
    fs::write(directory.path().join(".daos_nvme.conf.new"), "half").expect("left-over");
    for config in [&one, &two] {
        engine_config::write(&file, config).expect("write");
        let read = engine_config::read(&path, ConfigForm::Json).expect("read");
        assert_eq!(read.as_ref(), Some(config));
    }
    assert_eq!(fs::metadata(&path).expect("file").permissions().mode() & 0o7777, 0o664);
    assert_eq!(fs::read_dir(directory.path()).expect("list").count(), 1);

    fs::write(&path, "{").expect("damage");
    assert_eq!(engine_config::read(&path, ConfigForm::Json).expect_err("damaged").code(), 804);
    fs::write(&path, [0xff]).expect("damage");
    assert_eq!(engine_config::read(&path, ConfigForm::Json).expect_err("damaged").code(), 804);
}

#[test]
fn a_write_that_fails_leaves_the_old_file() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join(engine_config::CONFIG_FILE_NAME);
    let file =
        ConfigFile { path: path.clone(), form: ConfigForm::Json, owner: FileOwner::current() };
    let one = config(vec![(Roles::NONE, files(&["/f"]))], EngineOptions::default());
    engine_config::write(&file, &one).expect("write");
    // A directory in the way of the temporary name cannot be removed as a file.
    fs::create_dir(directory.path().join(".daos_nvme.conf.new")).expect("directory");
    let two = config(vec![(Roles::NONE, files(&["/g"]))], EngineOptions::default());
    assert_eq!(engine_config::write(&file, &two).expect_err("in the way").code(), 1232);
    assert_eq!(engine_config::read(&path, ConfigForm::Json).expect("read"), Some(one));

    let nowhere = ConfigFile { path: directory.path().join("absent/daos_nvme.conf"), ..file };
    assert_eq!(engine_config::write(&nowhere, &two).expect_err("no directory").code(), 1232);
}

/// R61
#[test]
fn an_engine_without_devices_has_no_file() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join(engine_config::CONFIG_FILE_NAME);
    let file =
        ConfigFile { path: path.clone(), form: ConfigForm::Json, owner: FileOwner::current() };
    let none = config(vec![(Roles::NONE, files(&[]))], EngineOptions::default());
    assert!(none.is_empty());
    engine_config::write(&file, &none).expect("nothing to write");
    assert!(!path.exists());
    fs::write(&path, "stale").expect("stale file");
    engine_config::write(&file, &none).expect("remove");
    assert!(!path.exists());
}

fn host() -> impl Strategy<Value = String> {
    "[a-z0-9._-]{1,20}"
}

fn devices() -> impl Strategy<Value = ConfigDevices> {
    let address = (any::<u16>(), any::<u8>(), 0u8..32, 0u8..8).prop_map(|(d, b, dev, f)| {
        format!("{d:04x}:{b:02x}:{dev:02x}.{f:x}").parse().expect("address")
    });
    let path = || proptest::collection::vec("/[ -~é]{0,20}", 1..4);
    prop_oneof![
        proptest::collection::vec(address, 1..4).prop_map(ConfigDevices::Nvme),
        path().prop_map(ConfigDevices::File),
        path().prop_map(ConfigDevices::Kdev),
        (1u32..4, 1u64..100_000)
            .prop_map(|(count, size_gib)| ConfigDevices::Malloc { count, size_gib }),
    ]
}

prop_compose! {
    fn options()(
        hotplug in proptest::option::of((any::<u8>(), any::<u8>())),
        vmd: bool,
        buffers in proptest::option::of((any::<u32>(), any::<u32>())),
        acceleration in proptest::option::of(("spdk|dml", 1u16..4)),
        rpc in proptest::option::of((any::<bool>(), "[ -~]{0,20}")),
        faulty in proptest::option::of((any::<bool>(), any::<u32>(), any::<u32>())),
    ) -> EngineOptions {
        EngineOptions {
            hotplug: hotplug.map(|(begin, end)| BusIdRange { begin, end }),
            vmd,
            io_buffers: buffers.map(|(small_pool_count, large_pool_count)| {
                IoBuffers { small_pool_count, large_pool_count }
            }),
            acceleration: acceleration.map(|(engine, options)| Acceleration { engine, options }),
            spdk_rpc_server: rpc.map(|(enable, sock_addr)| SpdkRpcServer { enable, sock_addr }),
            auto_faulty: faulty.map(|(enable, max_io_errs, max_csum_errs)| {
                AutoFaulty { enable, max_io_errs, max_csum_errs }
            }),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_as_json_is_read_back(
        host in host(),
        tiers in proptest::collection::vec((0u8..8, devices()), 1..4),
        options in options(),
    ) {
        let tiers: Vec<ConfigTier> = tiers
            .into_iter()
            .zip(1..)
            .map(|((roles, devices), tier)| {
                ConfigTier { tier, roles: Roles::try_from(roles).expect("three bits"), devices }
            })
            .collect();
        let nvme = tiers.iter().any(|tier| matches!(tier.devices, ConfigDevices::Nvme(_)));
        // Volume management devices are only spoken of together with NVMe devices.
        let options = EngineOptions { vmd: options.vmd && nvme, ..options };
        let config = EngineDeviceConfig { host, tiers, options };
        let text = config.render(ConfigForm::Json).expect("expressible");
        let read = EngineDeviceConfig::parse(&text, ConfigForm::Json, Path::new("/c"));
        prop_assert_eq!(read.expect("what was written"), config);
    }

    #[test]
    fn what_can_be_written_as_ini_is_read_back(host in host(), devices in devices()) {
        let is_malloc = matches!(devices, ConfigDevices::Malloc { .. });
        let tiers = vec![ConfigTier { tier: 1, roles: Roles::NONE, devices }];
        let config = EngineDeviceConfig { host, tiers, options: EngineOptions::default() };
        if let Ok(text) = config.render(ConfigForm::Ini) {
            let read = EngineDeviceConfig::parse(&text, ConfigForm::Ini, Path::new("/c"));
            let read = read.expect("what was written");
            prop_assert_eq!(&read.tiers, &config.tiers);
            // Class malloc names no host.
            prop_assert!(read.host == config.host || is_malloc);
        }
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in "\\PC{0,80}", ini: bool) {
        let form = if ini { ConfigForm::Ini } else { ConfigForm::Json };
        let _ = EngineDeviceConfig::parse(&text, form, Path::new("/c"));
    }
}
