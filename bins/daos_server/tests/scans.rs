//! The local scans: no configuration, nothing started, results on standard output (R67, R71, R88, R92, R93).

use std::process::{Command, Output};

fn daos_server(arguments: &[&str]) -> Output {
    let empty = tempfile::tempdir().expect("a directory without a configuration");
    Command::new(env!("CARGO_BIN_EXE_daos_server"))
        .args(arguments)
        .current_dir(empty.path())
        .output()
        .expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn r71_the_providers_are_one_line() {
    let ran = daos_server(&["network", "list"]);
    assert!(ran.status.success(), "{ran:?}");
    let line = text(&ran.stdout);
    assert_eq!(line.lines().count(), 1);
    for provider in ["ofi+tcp", "ofi+sockets", "ofi+verbs", "ofi+psm2", "ofi+gni"] {
        assert!(line.trim_end().split(", ").any(|each| each == provider), "{line}");
    }
    assert!(!daos_server(&["network", "list", "surplus"]).status.success());
}

#[test]
fn r71_the_network_is_listed_with_a_count() {
    let ran = daos_server(&["network", "scan", "-p", "ofi+tcp"]);
    assert!(ran.status.success(), "{ran:?}");
    let listed = text(&ran.stdout);
    let rows = listed.lines().filter(|line| line.starts_with("fabric_iface: ")).count();
    let count = listed.lines().last().expect("a count");
    assert!(count.starts_with(&format!("{rows} interface")), "{listed}");
    assert_eq!(listed.matches("provider: ofi+tcp\n").count(), rows);
    assert_eq!(listed.matches("pinned_numa_node: ").count(), rows);
    assert!(!listed.contains("fabric_iface: lo\n"));

    let ran = daos_server(&["-j", "network", "scan"]);
    let value: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("JSON alone");
    assert!(value["interfaces"].is_array() && value["numa_count"].as_u64() >= Some(1));

    let ran = daos_server(&["network", "scan", "-p", "ofi+pigeon"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(text(&ran.stderr).contains("code = 1360"), "{ran:?}");
    assert!(ran.stdout.is_empty());
}

#[test]
fn r88_storage_is_listed_in_two_parts() {
    let ran = daos_server(&["storage", "scan"]);
    let listed = text(&ran.stdout);
    assert!(listed.starts_with("Scanning locally-attached storage"), "{ran:?}");
    let nvme = listed.find("NVMe controllers and namespaces:\n").expect("the NVMe part");
    let scm = listed.find("SCM ").expect("the SCM part");
    assert!(nvme < scm);
    // A part that cannot be looked at on this host is told last, and by the exit code (R92).
    assert_eq!(ran.status.success(), !text(&ran.stderr).contains("scan error(s):"), "{ran:?}");
}

#[test]
fn r93_structured_output_is_nothing_but_data() {
    let ran = daos_server(&["-j", "storage", "scan"]);
    let value: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("JSON alone");
    assert!(value["NVMe"].is_array() && value["SCM"].is_array(), "{value}");
}

/// R88, R92: the NVMe scan speaks of NVMe alone, also in its JSON and its exit status.
#[test]
fn r88_nvme_is_listed_by_itself() {
    let ran = daos_server(&["nvme", "scan"]);
    let listed = text(&ran.stdout);
    assert!(listed.starts_with("Scanning locally-attached NVMe storage...\nNVMe "), "{ran:?}");
    assert!(!listed.contains("SCM"), "{listed}");
    assert!(!text(&ran.stderr).contains("scm: code"), "{ran:?}");
    let ran = daos_server(&["-j", "nvme", "scan"]);
    let value: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("JSON alone");
    assert!(value["NVMe"].is_array() && value.get("SCM").is_none(), "{value}");
}

/// A scan with a configuration shows what stands in for NVMe in it, and fails with the faults of the configuration.
#[test]
fn a_scan_with_a_configuration_knows_its_devices() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("server.yml");
    let text_of = |class: &str| {
        format!(
            "provider: ofi+tcp\ndata_plane: emulated\nstate_dir: {0}/state\nengines:\n- {{targets: 1, fabric_iface: lo, \
             fabric_iface_port: 31416, storage: [{{class: ram, scm_mount: {0}/scm}}, \
             {{class: {class}, bdev_list: [{0}/disk], bdev_size: 16}}]}}\n",
            dir.path().display()
        )
    };
    std::fs::write(&file, text_of("file")).expect("written");
    let file_name = file.display().to_string();
    for words in [["storage", "scan"], ["nvme", "scan"]] {
        let line = [&["-j", "-o", &file_name][..], &words].concat();
        let value: serde_json::Value =
            serde_json::from_slice(&daos_server(&line).stdout).expect("JSON alone");
        let disk = dir.path().join("disk").display().to_string();
        assert_eq!(value["emulated"][0]["device"], disk, "{words:?} {value}");
        assert!(daos_server(&[&["-j"][..], &words].concat()).stdout.len() > 2);
    }
    std::fs::write(&file, text_of("tape")).expect("written");
    let ran = daos_server(&["-o", &file_name, "nvme", "scan"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(text(&ran.stderr).contains("tape"), "{ran:?}");
}

/// R71: every provider, else the one that is named, else those of the configuration that is named.
#[test]
fn r71_a_configuration_that_is_named_says_which_providers() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("server.yml");
    let text = "provider: ofi+sockets\nengines:\n- {targets: 1, fabric_iface: lo, fabric_iface_port: 31416, \
                storage: [{class: ram, scm_mount: /mnt/d}]}\n";
    std::fs::write(&file, text).expect("written");
    let file = file.display().to_string();
    let providers = |arguments: &[&str]| -> Vec<String> {
        let ran = daos_server(&[&["-j", "network", "scan"], arguments].concat());
        let value: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("JSON alone");
        let rows = value["interfaces"].as_array().expect("rows").clone();
        let mut names: Vec<String> = rows.iter().map(|row| row["provider"].to_string()).collect();
        names.sort();
        names.dedup();
        names
    };
    assert!(providers(&["-o", &file]).iter().all(|name| name == "\"ofi+sockets\""));
    assert!(providers(&["-o", &file, "-p", "ofi+tcp"]).iter().all(|name| name == "\"ofi+tcp\""));
    assert_eq!(providers(&["-o", &file, "-a"]), providers(&["-a"]));
    assert_eq!(providers(&["-p", "all"]), providers(&[]));
}

/// Scans of persistent memory change nothing and need nothing installed; what is none is an empty list (R113, R114).
#[test]
fn r113_persistent_memory_is_listed_by_itself() {
    let ran = daos_server(&["scm", "scan"]);
    assert!(ran.status.success(), "{ran:?}");
    let listed = text(&ran.stdout);
    let parts: Vec<&str> = listed.lines().filter(|line| !line.starts_with('\t')).collect();
    assert_eq!(parts, ["SCM Modules:", "SCM Regions:", "SCM Namespaces:"], "{listed}");
    let ran = daos_server(&["-j", "scm", "scan"]);
    let value: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("JSON alone");
    assert!(value["regions"]["known"].is_array() && value["goals"].is_array(), "{value}");
}

/// A socket that no host has: nothing is changed, whatever the host that runs this test has (E16, R133).
#[test]
fn a_socket_without_modules_is_never_prepared() {
    for command in [
        &["-j", "scm", "prepare", "--socket", "4095", "-S", "2"][..],
        &["-j", "scm", "create-namespaces", "--socket", "4095"],
        &["-j", "scm", "set-interleaved", "--socket", "4095"],
        &["-j", "scm", "reset", "--socket", "4095", "--memory-mode"],
        &["-j", "scm", "remove", "--socket", "4095"],
    ] {
        let ran = daos_server(command);
        if ran.status.success() {
            let value: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("JSON alone");
            assert_eq!(value["verdict"], "no_modules", "{command:?}");
        } else {
            assert!(text(&ran.stderr).contains("code = 211"), "{command:?} {ran:?}");
            let value: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("JSON alone");
            assert_eq!(value["code"], 211, "{command:?}");
        }
    }
    for wrong in [&["scm", "prepare", "-S", "5"][..], &["scm", "prepare", "-S", "0"], &["scm"]] {
        assert!(!daos_server(wrong).status.success(), "{wrong:?}");
    }
}
