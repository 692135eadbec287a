//! Rules of storage tiers.

use daos_control::config::{BdevMedia, BdevRole, ScmTier};

use super::{breaks, flat, notes, tiered, two};
use crate::support::{notices, refused, valid};

#[test]
fn r55_w18_an_absent_or_empty_class_means_nvme() {
    for class in ["", "  bdev_class: ''\n", "  bdev_class: nvme\n"] {
        let config = valid(&flat("", &format!("{class}  bdev_list: ['0000:81:00.0']\n")));
        assert!(config.engines[0].has_nvme(), "{class:?}");
    }
}

#[test]
fn r56_nvme_devices() {
    for (entry, code) in [("''", 303), ("/dev/nvme0n1", 303), ("000:2", 303)] {
        let text = flat("", &format!("  bdev_list:\n  - {entry} # <-\n"));
        breaks(&text, &[(code, "servers[0].bdev_list[0]")]);
    }
    let twice = "  bdev_list:\n  - 0000:8A:00.0\n  - 0000:8a:00.0 # <-\n";
    breaks(&flat("", twice), &[(701, "servers[0].bdev_list[1]")]);
    let config = valid(&flat("", "  bdev_list: ['0000:8A:00.0', '5D0505:01:00.0']\n"));
    let BdevMedia::Nvme { addresses, .. } = &config.engines[0].bdevs[0].media else {
        panic!("{config:?}")
    };
    assert_eq!(addresses, &["0000:8a:00.0", "5d0505:01:00.0"], "in lower case");
}

#[test]
fn r57_malloc_is_for_the_emulated_data_plane() {
    let malloc = "  bdev_class: malloc # <-\n  bdev_number: 2\n  bdev_size: 4\n";
    breaks(&flat("", malloc), &[(1317, "servers[0].bdev_class")]);
    let emulated = flat("data_plane: emulated\n", malloc);
    let media = &valid(&emulated).engines[0].bdevs[0].media;
    assert_eq!(*media, BdevMedia::Malloc { count: 2, size_gib: 4 });
    notes(&emulated, "servers[0].bdev_class", "a real engine would refuse this (fault 1317)");
    let none = flat("", "  bdev_class: malloc\n  bdev_number: 0\n");
    assert!(valid(&none).engines[0].bdevs.is_empty(), "no devices, no tier");
    let no_size = flat("data_plane: emulated\n", "  bdev_class: malloc\n  bdev_number: 1\n");
    breaks(&no_size, &[(701, "servers[0].bdev_size")]);
}

#[test]
fn r58_kernel_devices() {
    let config = valid(&flat("", "  bdev_class: kdev\n  bdev_list: [/dev/sdc]\n"));
    let media = &config.engines[0].bdevs[0].media;
    assert_eq!(*media, BdevMedia::Kdev { devices: vec!["/dev/sdc".into()] });
    for entry in ["''", "sdc", "0000:81:00.0"] {
        let text = flat("", &format!("  bdev_class: kdev\n  bdev_list:\n  - {entry} # <-\n"));
        breaks(&text, &[(701, "servers[0].bdev_list[0]")]);
    }
    let sized = flat("", "  bdev_class: kdev\n  bdev_list: [/dev/sdc]\n  bdev_size: 4\n");
    notes(&sized, "servers[0].bdev_size", "without effect for class kdev");
}

#[test]
fn r59_files() {
    let keys = "  bdev_class: file\n  bdev_list: [/tmp/a, /tmp/b]\n  bdev_size: 16\n";
    let media = &valid(&flat("", keys)).engines[0].bdevs[0].media;
    assert_eq!(
        *media,
        BdevMedia::File { paths: vec!["/tmp/a".into(), "/tmp/b".into()], size_gib: 16 }
    );
    let relative = "  bdev_class: file\n  bdev_list:\n  - tmp/a # <-\n  bdev_size: 16\n";
    breaks(&flat("", relative), &[(701, "servers[0].bdev_list[0]")]);
    let no_size = "  bdev_class: file\n  bdev_list: [/tmp/a]\n";
    breaks(&flat("", no_size), &[(701, "servers[0].bdev_size")]);
    let zero = "  bdev_class: file\n  bdev_list: [/tmp/a]\n  bdev_size: 0 # <-\n";
    breaks(&flat("", zero), &[(701, "servers[0].bdev_size")]);
    let twice = "  bdev_class: file\n  bdev_size: 1\n  bdev_list:\n  - /tmp/a\n  - /tmp/a # <-\n";
    breaks(&flat("", twice), &[(701, "servers[0].bdev_list[1]")]);
}

#[test]
fn r61_e13_no_devices_is_a_server_with_scm_only() {
    for keys in ["", "  bdev_list: []\n", "  bdev_class: file\n  bdev_list: []\n"] {
        assert!(!valid(&flat("", keys)).engines[0].has_bdevs(), "{keys:?}");
    }
    let tier = tiered("", "", "  - class: nvme\n    bdev_list: []\n");
    assert!(!valid(&tier).engines[0].has_bdevs());
    notes(&tier, "engines[0].storage[1].bdev_list", "SCM only");
}

#[test]
fn r62_r63_scm_keys_of_both_classes() {
    let ram =
        valid(&flat("", "  scm_class: ram\n  scm_mount: /mnt/d\n  scm_size: 8\n  scm_list: []\n"));
    assert_eq!(
        ram.engines[0].scm,
        ScmTier::Ram { mount: "/mnt/d".into(), size_gib: 8, hugepages_disabled: true }
    );
    let dcpm =
        valid(&flat("", "  scm_class: dcpm\n  scm_mount: /mnt/d\n  scm_list: [/dev/pmem0]\n"));
    assert_eq!(
        dcpm.engines[0].scm,
        ScmTier::Dcpm { mount: "/mnt/d".into(), device: "/dev/pmem0".into() }
    );
}

#[test]
fn r64_scm_faults() {
    let mount = "  scm_mount: /mnt/d\n";
    for (keys, key) in [
        ("  scm_class: ram\n  scm_size: 4\n".to_owned(), "scm_mount"),
        (format!("{mount}  scm_size: 4\n"), "scm_class"),
        (
            format!("{mount}  scm_class: dcpm\n  scm_size: 4 # <-\n  scm_list: [/dev/pmem0]\n"),
            "scm_size",
        ),
        (format!("{mount}  scm_class: dcpm\n"), "scm_list"),
        (format!("{mount}  scm_class: ram\n"), "scm_size"),
        (
            format!("{mount}  scm_class: ram\n  scm_size: 4\n  scm_list: [/dev/pmem0] # <-\n"),
            "scm_list",
        ),
        (
            format!("{mount}  scm_class: dcpm\n  scm_list: [/dev/pmem0, /dev/pmem1] # <-\n"),
            "scm_list",
        ),
        ("  scm_class: ram\n  scm_size: 4\n  scm_mount: mnt # <-\n".to_owned(), "scm_mount"),
        ("  scm_class: ram\n  scm_size: 4\n  scm_mount: / # <-\n".to_owned(), "scm_mount"),
        (format!("{mount}  scm_class: ram\n  scm_size: 0 # <-\n"), "scm_size"),
        (format!("{mount}  scm_class: ram\n  scm_size: -4 # <-\n"), "scm_size"),
        (format!("{mount}  scm_class: dcpm\n  scm_list:\n  - pmem0 # <-\n"), "scm_list[0]"),
    ] {
        breaks(&flat("", &keys), &[(701, &format!("servers[0].{key}"))]);
    }
    let none =
        "provider: ofi+tcp\nservers:\n- fabric_iface: eth0\n  fabric_iface_port: 1\n  targets: 1\n";
    breaks(none, &[(216, "servers[0].storage")]);
}

#[test]
fn contract_5_5_order_and_keys_of_tiers() {
    let engine = |storage: &str| tiered("", &format!("  storage:{storage}\n"), "");
    breaks(&engine(" [] # <-"), &[(216, "engines[0].storage")]);
    breaks(
        &engine("\n  - class: file # <-\n    bdev_list: [/tmp/a]\n    bdev_size: 1"),
        &[(216, "engines[0].storage[0].class")],
    );
    for (tier, key) in [
        ("  - class: ram # <-\n    scm_mount: /mnt/e\n", "storage[1].class"),
        ("  - bdev_list: [/dev/sdc] # <-\n", "storage[1].class"),
        (
            "  - class: kdev\n    bdev_list: [/dev/sdc]\n    scm_mount: /x # <-\n",
            "storage[1].scm_mount",
        ),
        (
            "  - class: kdev\n    bdev_list: [/dev/sdc]\n    scm_size: 1 # <-\n",
            "storage[1].scm_size",
        ),
        (
            "  - class: nvme\n    bdev_list: ['0000:81:00.0']\n    bdev_busid_range: 0x9-0x8 # <-\n",
            "storage[1].bdev_busid_range",
        ),
        (
            "  - class: nvme\n    bdev_list: ['0000:81:00.0']\n    bdev_busid_range: all # <-\n",
            "storage[1].bdev_busid_range",
        ),
    ] {
        breaks(&tiered("", "", tier), &[(701, &format!("engines[0].{key}"))]);
    }
    let on_scm = "\n  - class: ram\n    scm_mount: /mnt/d\n    bdev_list: [/dev/sdc] # <-";
    breaks(&engine(on_scm), &[(701, "engines[0].storage[0].bdev_list")]);
    let dcpm = "  - class: dcpm\n    scm_mount: /mnt/d\n    scm_list: [/dev/pmem0]\n    scm_hugepages_disabled: true # <-\n";
    breaks(&tiered("", "", dcpm), &[(701, "engines[0].storage[0].scm_hugepages_disabled")]);
}

#[test]
fn a_ram_tier_of_the_2_8_form_may_leave_its_size_to_the_server() {
    let config = valid(&tiered("", "", ""));
    assert!(matches!(config.engines[0].scm, ScmTier::Ram { size_gib: 0, .. }));
}

const KDEV: &str = "  - class: kdev\n    bdev_list: [/dev/sdX]\n    bdev_roles: ROLES\n";

fn roles(lists: &[&str]) -> String {
    lists
        .iter()
        .enumerate()
        .map(|(index, list)| {
            let tier = KDEV.replace("sdX", &format!("sd{index}"));
            if list.is_empty() {
                tier.replace("    bdev_roles: ROLES\n", "")
            } else {
                tier.replace("ROLES", list)
            }
        })
        .collect()
}

#[test]
fn contract_5_5_roles_and_metadata() {
    let metadata = "control_metadata: {path: /var/daos}\n";
    for lists in
        [&["[wal, meta, data]"][..], &["[wal]", "[meta, data]"], &["[wal]", "[meta]", "[data]"]]
    {
        let config = valid(&tiered(metadata, "", &roles(lists)));
        let bits: Vec<u8> = config.engines[0].bdevs.iter().map(|tier| tier.role_bits()).collect();
        assert_eq!(bits.iter().sum::<u8>(), 7, "{lists:?}");
        assert!(
            config.engines[0].bdevs.iter().enumerate().all(|(n, tier)| tier.tier as usize == n + 1)
        );
    }
    let storage = "engines[0].storage";
    let metadata_key = "control_metadata.path";
    for (top, lists, expected) in [
        ("", &["[wal, meta, data]"][..], vec![(318, storage)]),
        (metadata, &[""], vec![(317, metadata_key)]),
        (metadata, &[], vec![(317, metadata_key)]),
        (metadata, &["[wal, meta, data]", ""], vec![(314, storage)]),
        (metadata, &["[wal, data]", "[meta]"], vec![(319, "engines[0].storage[1].bdev_roles")]),
        (metadata, &["[wal]", "[data]"], vec![(317, metadata_key), (313, storage)]),
        (metadata, &["[wal]", "[meta]", "[data]", "[data]"], vec![(316, storage), (313, storage)]),
        ("", &["", ""], vec![(315, storage)]),
        (metadata, &["[wal, meta, log]"], vec![(308, "engines[0].storage[1].bdev_roles[2]")]),
    ] {
        breaks(&tiered(top, "", &roles(lists)), &expected);
    }
    assert_eq!([BdevRole::Data.bit(), BdevRole::Meta.bit(), BdevRole::Wal.bit()], [1, 2, 4]);
}

#[test]
fn contract_5_5_more_faults_of_tiers() {
    let metadata = "control_metadata: {path: /var/daos}\n";
    let dcpm = "  - class: dcpm\n    scm_mount: /mnt/d\n    scm_list: [/dev/pmem0]\n";
    let text = tiered(metadata, "", &format!("{dcpm}{}", roles(&["[wal, meta, data]"])));
    breaks(&text, &[(312, "engines[0].storage")]);
    let mixed = "  - class: nvme\n    bdev_list: ['0000:81:00.0']\n    bdev_roles: [wal]\n";
    let text = tiered(metadata, "", &format!("{mixed}{}", roles(&["[meta, data]"])));
    breaks(&text, &[(309, "engines[0].storage")]);
    let some = two(
        metadata,
        ["", &roles(&["[wal, meta, data]"])],
        ["", &roles(&[""]).replace("sd0", "sd9")],
    );
    breaks(&some, &[(733, "engines[1].storage")]);
    let empty = "  - class: kdev\n    bdev_list: [] # <-\n    bdev_roles: [wal, meta, data]\n";
    breaks(&tiered(metadata, "", empty), &[(701, "engines[0].storage[1].bdev_list")]);
    let inside = "control_metadata:\n  path: /mnt/daos/meta # <-\n";
    breaks(&tiered(inside, "", &roles(&["[wal, meta, data]"])), &[(1319, "control_metadata.path")]);
    let repeated = "  - class: kdev\n    bdev_list: [/dev/sda]\n    bdev_roles: [wal]\n  - class: kdev\n    \
                    bdev_list: [/dev/sda] # <-\n    bdev_roles: [meta, data]\n";
    let found = refused(&tiered(metadata, "", repeated));
    assert_eq!(found[0].fault.code, 701);
    assert!(found[0].fault.description.contains("used twice by engine 0"), "{found:?}");
}

#[test]
fn nvme_needs_what_the_server_does_not_switch_off() {
    let nvme = "  bdev_list: ['0000:81:00.0']\n";
    let excluded = "bdev_exclude: ['0000:81:00.0'] # <-\n";
    breaks(&flat(excluded, nvme), &[(736, "bdev_exclude")]);
    breaks(&flat("disable_hugepages: true # <-\n", nvme), &[(726, "disable_hugepages")]);
    let counted = "nr_hugepages: 5\ndisable_hugepages: true # <-\n";
    breaks(&flat(counted, ""), &[(737, "disable_hugepages")]);
}

#[test]
fn rules_that_protect_a_real_engine_are_one_notice_each_when_it_is_emulated() {
    let small = "  scm_class: ram\n  scm_mount: /mnt/d\n  scm_size: 1 # <-\n";
    breaks(&flat("", small), &[(730, "servers[0].scm_size")]);
    let top =
        "data_plane: emulated\nnvme_conf_format: ini\ndisable_hugepages: true\nnr_hugepages: 5\n";
    let text = two(
        top,
        ["", "  - class: ram\n    scm_mount: /mnt/d0\n    scm_size: 1\n"],
        ["", "  - class: ram\n    scm_mount: /mnt/d1\n    scm_size: 1\n"],
    );
    let relaxed: Vec<_> =
        notices(&text).into_iter().filter(|notice| notice.text.contains("a real engine")).collect();
    for code in ["(fault 730)", "(fault 737)", "(fault 1316)"] {
        let count = relaxed.iter().filter(|notice| notice.text.contains(code)).count();
        assert_eq!(count, 1, "{code} in {relaxed:#?}");
    }
    assert_eq!(relaxed.len(), 3);
}

#[test]
fn what_the_ini_form_has_no_words_for_is_refused_before_any_format() {
    let ini = "data_plane: emulated\nnvme_conf_format: ini\n";
    let nvme = "  bdev_list: ['0000:81:00.0']\n";
    let config = valid(&flat(ini, nvme));
    assert!(!config.nvme.hotplug && config.nvme.disable_vmd, "off unless they are asked for");
    for (top, engine, key) in [
        ("disable_hotplug: false # <-\n", nvme, "disable_hotplug"),
        ("enable_hotplug: true # <-\n", nvme, "disable_hotplug"),
        ("disable_vmd: false # <-\n", nvme, "disable_vmd"),
        (
            "",
            "  bdev_list: ['0000:81:00.0']\n  spdk_iobuf: {small_pool_count: 1} # <-\n",
            "servers[0].spdk_iobuf",
        ),
        (
            "",
            "  bdev_list: ['0000:81:00.0']\n  acceleration: {engine: spdk} # <-\n",
            "servers[0].acceleration",
        ),
        ("", "  bdev_class: kdev\n  bdev_list: ['/dev/a b'] # <-\n", "servers[0].bdev_list"),
    ] {
        let text = flat(&format!("{ini}{top}"), engine);
        if top.starts_with("enable") {
            assert_eq!(refused(&text)[0].fault.code, 1321);
        } else {
            breaks(&text, &[(1321, key)]);
        }
    }
    let metadata = format!("{ini}control_metadata: {{path: /var/daos}}\n");
    breaks(&tiered(&metadata, "", &roles(&["[wal, meta, data]"])), &[(1321, "engines[0].storage")]);
}
