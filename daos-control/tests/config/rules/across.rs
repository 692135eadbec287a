//! Rules between engines and between generations of keys.

use super::{breaks, flat, notes, two};
use crate::support::{refused, valid};

#[test]
fn r46_engines_share_nothing() {
    let file = |path: &str| format!("  - class: file\n    bdev_size: 1\n    bdev_list: [{path}]\n");
    let dcpm = |index: u32, device: &str, mark: &str| {
        format!("  - class: dcpm\n    scm_mount: /mnt/d{index}\n    scm_list: [{device}]{mark}\n")
    };
    let cases: [(String, i32, &str); 5] = [
        (
            two("", ["", ""], ["  fabric_iface: eth0\n  fabric_iface_port: 31416 # <-\n", ""]),
            709,
            "engines[1].fabric_iface_port",
        ),
        (two("", ["", ""], ["  log_file: /tmp/e0.log # <-\n", ""]), 710, "engines[1].log_file"),
        (
            two("", ["", ""], ["", "  - class: ram\n    scm_mount: /mnt/daos0 # <-\n"]),
            711,
            "engines[1].storage[0].scm_mount",
        ),
        (
            two("", ["", &dcpm(0, "/dev/pmem0", "")], ["", &dcpm(1, "/dev/pmem0", " # <-")]),
            712,
            "engines[1].storage[0].scm_list",
        ),
        (
            two("", ["", &file("/tmp/a")], ["", &file("/tmp/a").replace("]", "] # <-")]),
            713,
            "engines[1].storage[1].bdev_list",
        ),
    ];
    for (text, code, key) in &cases {
        breaks(text, &[(*code, key)]);
        let fault = &refused(text)[0].fault;
        assert!(fault.description.contains("engines 1 and 0"), "{fault}");
    }
}

/// Other spellings of one device, and devices that lie in each other.
#[test]
fn r46_other_names_of_one_device_are_found() {
    let nvme = |address: &str, mark: &str| {
        format!("  - class: nvme\n    bdev_list: ['{address}']{mark}\n")
    };
    let file = |path: &str, mark: &str| {
        format!("  - class: file\n    bdev_size: 1\n    bdev_list: [{path}]{mark}\n")
    };
    let ram = |mount: &str, mark: &str| format!("  - class: ram\n    scm_mount: {mount}{mark}\n");
    let dcpm = |index: u32| {
        format!("  - class: dcpm\n    scm_mount: /mnt/d{index}\n    scm_list: [/dev/pmem{index}]\n")
    };
    let kdev = |path: &str, mark: &str| format!("  - class: kdev\n    bdev_list: [{path}]{mark}\n");
    let (list, mount) = ("engines[1].storage[1].bdev_list", "engines[1].storage[0].scm_mount");
    for (first, second, code, key) in [
        (nvme("0000:5D:05.5", ""), nvme("5d0505:01:00.0", " # <-"), 713, list),
        (nvme("0000:8a:00.0", ""), nvme("0000:8A:00.0", " # <-"), 713, list),
        (file("/tmp//a", ""), file("/tmp/./a", " # <-"), 713, list),
        (ram("/mnt/d/", ""), ram("/mnt/d", " # <-"), 711, mount),
        (ram("/mnt/d", ""), ram("/mnt/d/below", " # <-"), 711, mount),
        (
            format!("{}{}", dcpm(0), kdev("/dev/sdc", "")),
            format!("{}{}", dcpm(1), kdev("/dev//pmem0", " # <-")),
            1489,
            list,
        ),
    ] {
        breaks(&two("", ["", &first], ["", &second]), &[(code, key)]);
    }
    // Beside each other is not in each other, and a VMD that nobody lists is nobody's.
    valid(&two("", ["", &ram("/mnt/d", "")], ["", &ram("/mnt/d2", "")]));
    valid(&two("", ["", &nvme("5d0505:01:00.0", "")], ["", &nvme("5d0505:02:00.0", "")]));
}

/// R46: what an SCM mount would hide or take with it does not lie in it.
#[test]
fn r46_nothing_of_the_server_lies_in_an_scm_mount() {
    let file = |path: &str, mark: &str| {
        format!("  - class: file\n    bdev_size: 1\n    bdev_list: [{path}]{mark}\n")
    };
    let ram = |mount: &str, mark: &str| format!("  - class: ram\n    scm_mount: {mount}{mark}\n");
    let (list, mount) = ("engines[1].storage[1].bdev_list", "engines[1].storage[0].scm_mount");
    for holder in ["/mnt/daos0/bdev", "/mnt/daos1/bdev"] {
        let text = two("", ["", &file("/tmp/a", "")], ["", &file(holder, " # <-")]);
        breaks(&text, &[(701, list)]);
    }
    for over in ["/run", "/run/daos"] {
        let text = two("socket_dir: /run/daos\n", ["", ""], ["", &ram(over, " # <-")]);
        breaks(&text, &[(701, mount)]);
    }
    valid(&two("socket_dir: /run/daos\n", ["", ""], ["", &ram("/run/daos2", "")]));
    valid(&two("", ["", &file("/tmp/a", "")], ["", &file("/mnt/daos10/bdev", "")]));
}

#[test]
fn r46_engines_may_share_an_interface_with_ports_of_their_own() {
    let text = two("", ["", ""], ["  fabric_iface: eth0\n  fabric_iface_port: 31516\n", ""]);
    assert_eq!(valid(&text).engines.len(), 2);
}

#[test]
fn contract_5_5_engines_are_alike() {
    let dcpm = "  - class: dcpm # <-\n    scm_mount: /mnt/d1\n    scm_list: [/dev/pmem0]\n";
    let huge = "  - class: ram\n    scm_mount: /mnt/d1\n    scm_hugepages_disabled: false # <-\n";
    for (text, code, key) in [
        (two("", ["", ""], ["  targets: 2 # <-\n", ""]), 715, "engines[1].targets"),
        (two("", ["", ""], ["  nr_xs_helpers: 2 # <-\n", ""]), 716, "engines[1].nr_xs_helpers"),
        (two("", ["", ""], ["", dcpm]), 732, "engines[1].storage[0].class"),
        (two("", ["", ""], ["", huge]), 738, "engines[1].storage[0].scm_hugepages_disabled"),
    ] {
        breaks(&text, &[(code, key)]);
    }
    let uneven = two("", ["", ""], ["", "  - class: kdev\n    bdev_list: [/dev/sdc]\n"]);
    notes(&uneven, "engines[1].storage", "0 and 1 block devices");
}

#[test]
fn r18_more_than_two_engines_are_taken() {
    let third = "- targets: 4\n  fabric_iface: eth2\n  fabric_iface_port: 31416\n  storage:\n  \
                 - {class: ram, scm_mount: /mnt/daos2}\n";
    let text = two("", ["", ""], ["", ""]) + third;
    let indices: Vec<u32> = valid(&text).engines.iter().map(|engine| engine.index).collect();
    assert_eq!(indices, [0, 1, 2]);
}

#[test]
fn generations_are_not_mixed_within_an_engine() {
    let text = flat(
        "",
        "  storage: [{class: ram, scm_mount: /mnt/d}]\n  bdev_class: kdev # <-\n  bdev_list: [/dev/sdc]\n",
    );
    breaks(&text, &[(1315, "servers[0].bdev_class")]);
    let description = &refused(&text)[0].fault.description;
    assert!(description.contains("`bdev_class`, `bdev_list` and `storage`"), "{description}");
}

#[test]
fn one_file_may_hold_engines_of_either_form() {
    let text = two("", ["", ""], ["", ""]);
    let flat_second = text.replace(
        "  storage:\n  - class: ram\n    scm_mount: /mnt/daos1\n",
        "  scm_class: ram\n  scm_mount: /mnt/daos1\n  scm_size: 8\n",
    );
    assert_ne!(text, flat_second);
    assert_eq!(valid(&flat_second).engines[1].scm.mount().to_str(), Some("/mnt/daos1"));
}
