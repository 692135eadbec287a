//! The 2.8 form, the schema, and what the `config` commands say.

use std::fs;
use std::path::PathBuf;

use daos_control::config::raw::RawConfig;
use daos_control::config::{ConfigError, ServerConfig, commands};

use crate::support::{read, valid};

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("daos_server.yml");
    fs::write(&path, text).unwrap();
    (directory, path)
}

const SEED_FORM: &str = "\
name: sys
access_points: ['a:10001', b, c]
provider: ofi+tcp
enable_hotplug: true
pinned_numa_node: 1
servers:
- targets: 8
  nr_xs_helpers: 2
  fabric_iface: eth0
  fabric_iface_port: 31416
  log_mask: ERR,mgmt=DEBUG
  env_vars: ['CRT_TIMEOUT=30', 'A=no', 'B=a: b #c']
  scm_mount: /mnt/d0
  scm_class: dcpm
  scm_list: [/dev/pmem0]
  bdev_list: ['0000:81:00.0']
- targets: 8
  nr_xs_helpers: 2
  name: ignored
  first_core: 8
  fabric_iface: eth1
  fabric_iface_port: 31416
  scm_mount: /mnt/d1
  scm_class: dcpm
  scm_list: [/dev/pmem1]
  bdev_class: nvme
  bdev_list: ['0000:82:00.0']
";

#[test]
fn convert_gives_the_2_8_form_of_the_same_configuration() {
    let (_directory, path) = written(SEED_FORM);
    let told = commands::convert(&path).unwrap();
    let keys: RawConfig = serde_saphyr::from_str(&told.text).unwrap();
    assert!(
        keys.servers.is_none() && keys.access_points.is_none() && keys.pinned_numa_node.is_none()
    );
    let engines = keys.engines.unwrap();
    assert!(engines.iter().all(|engine| engine.scm_mount.is_none() && engine.storage.is_some()));
    let same = |mut config: ServerConfig| {
        config.state_dir = PathBuf::new();
        config
    };
    assert_eq!(same(valid(&told.text)), same(valid(SEED_FORM)));
    assert!(
        told.notices.iter().any(|notice| notice.contains("servers[1].name")),
        "{:?}",
        told.notices
    );
}

#[test]
fn convert_keeps_what_is_in_the_2_8_form_already() {
    let (_directory, path) = written(SEED_FORM);
    let once = commands::convert(&path).unwrap().text;
    let (_directory, path) = written(&once);
    assert_eq!(commands::convert(&path).unwrap().text, once);
}

#[test]
fn convert_names_every_key_without_a_2_8_form() {
    let text = "data_plane: emulated\nnvme_conf_format: ini\nset_hugepages: true\nrecreate_superblocks: true\n\
                state_dir: /var/lib/x\nmodules: vos\nbdev_include: ['0000:81:00.0']\nprovider: ofi+tcp\n\
                transport_config: {server_name: s}\nservers:\n- rank: 3\n  fabric_iface: lo\n  \
                fabric_iface_port: 31416\n  scm_class: ram\n  scm_mount: /mnt/d\n  scm_size: 4\n  \
                bdev_class: malloc\n  bdev_number: 1\n  bdev_size: 1\n";
    let (_directory, path) = written(text);
    let Err(ConfigError::Invalid { faults, .. }) = commands::convert(&path) else { panic!() };
    let mut keys: Vec<&str> = faults.iter().map(|found| found.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "bdev_include",
            "data_plane",
            "modules",
            "nvme_conf_format",
            "recreate_superblocks",
            "servers[0].bdev_class",
            "servers[0].rank",
            "servers[0].targets",
            "set_hugepages",
            "state_dir",
            "transport_config.server_name",
        ]
    );
    assert!(faults.iter().all(|found| found.fault.code == 1320 && found.position.is_some()));
}

#[test]
fn check_says_what_a_file_means() {
    let (_directory, path) = written(SEED_FORM);
    let told = commands::check(&path).unwrap();
    assert!(told.text.contains("is valid: system sys, port 10001, data plane engine, 2 engine(s)"));
    assert!(told.text.contains("engine 1: ofi+tcp on eth1, SCM dcpm at /mnt/d1, 1 x nvme"));
    assert!(told.notices.iter().any(|notice| notice.starts_with("enable_hotplug (line 4)")));
}

#[test]
fn check_reports_faults_with_file_line_key_number_and_remedy() {
    let (_directory, path) = written("port: 0\nengines: []\n");
    let report = commands::check(&path).unwrap_err().report();
    let expected = format!(
        "{}:1: port: serverconfig: code = 703 description = \"0 is out of range\"\n    serverconfig: code = 703 \
         resolution = \"give a number from 1 to 65535\"",
        path.display()
    );
    assert_eq!(report, expected);
    let (_directory, path) = written("prot: 0\n");
    let report = commands::check(&path).unwrap_err().report();
    assert!(report.contains("did you mean `port`?") && report.contains("1 | prot: 0"), "{report}");
}

#[test]
fn r54_w20_keys_of_other_versions_get_a_hint() {
    for (text, words) in [
        ("servers:\n- nvme_list: []\n", "use `bdev_list`"),
        ("servers:\n- scm_mount_path: /x\n", "use `scm_mount`"),
        ("fabric_ifaces: [x]\n", "`fabric_iface`"),
        ("format_override: true\n", "was removed"),
        ("user_name: bob\n", "was removed"),
        ("path: /etc/x.yml\n", "remove it"),
        ("engines:\n- storage:\n  - bdev_lists: []\n", "did you mean `bdev_list`"),
    ] {
        let (_directory, path) = written(text);
        let error = commands::check(&path).unwrap_err();
        assert_eq!(error.code(), 1312, "{text}");
        assert!(error.report().contains(words), "{}", error.report());
    }
}

#[test]
fn the_schema_is_the_one_in_the_documents() {
    let schema = commands::schema();
    if std::env::var_os("UPDATE_CONFIG_SCHEMA").is_some() {
        let path = crate::support::workspace().join("docs/config/daos_server.schema.json");
        fs::write(path, &schema).unwrap();
    }
    assert!(
        read("docs/config/daos_server.schema.json") == schema,
        "docs/config/daos_server.schema.json is stale: run with UPDATE_CONFIG_SCHEMA=1"
    );
}

#[test]
fn the_schema_knows_and_explains_every_key() {
    let schema: serde_json::Value = serde_json::from_str(&commands::schema()).unwrap();
    let explained = |object: &serde_json::Value| {
        let keys = object["properties"].as_object().unwrap();
        for (key, about) in keys {
            assert!(
                about["description"].is_string() || about["$ref"].is_string(),
                "{key}: {about}"
            );
        }
        assert_eq!(object["additionalProperties"], false);
        keys.len()
    };
    assert!(explained(&schema) > 45);
    let parts = schema["$defs"].as_object().unwrap();
    assert!(
        parts.values().filter(|part| part["properties"].is_object()).map(explained).sum::<usize>()
            > 50
    );
}
