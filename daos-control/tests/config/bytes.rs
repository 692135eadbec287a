//! Whatever the bytes of a file are, there is an answer and never a panic.

use daos_control::config::raw::{RawConfig, RawEngine};
use daos_control::config::{CommandLine, parse, yaml};
use proptest::prelude::*;

use crate::support::surroundings;

fn answer(bytes: &[u8]) {
    let parsed = parse(bytes, "fuzz.yml".into(), &CommandLine::default(), &surroundings());
    match parsed {
        Ok(loaded) => assert!(!loaded.config.socket_dir.as_os_str().is_empty()),
        Err(error) => assert!(!error.report().is_empty() && error.code() != 0),
    }
}

const WORDS: &[&str] = &[
    "name",
    "port",
    "provider",
    "engines",
    "servers",
    "storage",
    "class",
    "scm_mount",
    "scm_size",
    "scm_class",
    "scm_list",
    "bdev_class",
    "bdev_list",
    "bdev_size",
    "bdev_number",
    "bdev_roles",
    "targets",
    "rank",
    "env_vars",
    "log_mask",
    "fabric_iface",
    "fabric_iface_port",
    "control_metadata",
    "path",
    "transport_config",
    "data_plane",
    "mgmt_svc_replicas",
    "access_points",
    "fault_path",
    "bdev_busid_range",
    "socket_dir",
    "emulated",
    "ram",
    "dcpm",
    "nvme",
    "file",
    "kdev",
    "malloc",
    "wal",
    "meta",
    "data",
    "true",
    "no",
    "null",
    "0",
    "-1",
    "1",
    "4294967296",
    "~",
    "0x10",
    "1e9",
    "/mnt/d",
    "..",
    "a:0",
    "a:b:c",
    "A=B",
    "=",
    "ERR,mgmt=DEBUG",
    "0000:81:00.0",
    "''",
    "\"\\0\"",
    "&a",
    "*a",
    "<<",
    "!!str",
    "|",
    ">",
    "?",
    "é",
    "\u{feff}",
    "\t",
];
const MARKS: &[&str] = &[
    ": ", ":\n", "\n", "\n  ", "\n- ", "\n  - ", "\n    ", ", ", "[", "]", "{", "}", " ", "#",
    "---\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        answer(&bytes);
    }

    #[test]
    fn any_text(text in "\\PC{0,256}") {
        answer(text.as_bytes());
    }

    #[test]
    fn any_arrangement_of_keys_and_values(
        parts in proptest::collection::vec((0..WORDS.len(), 0..MARKS.len()), 0..80),
    ) {
        let text: String = parts.iter().flat_map(|(word, mark)| [WORDS[*word], MARKS[*mark]]).collect();
        answer(text.as_bytes());
    }

    #[test]
    fn r39_whatever_text_a_key_holds_is_saved_and_read_again(
        texts in proptest::collection::vec(
            prop_oneof![
                "(?s:.){0,24}",
                "[ :#&*!|>'\"%@`{},\\[\\]~?\n\t-]{0,8}",
                "no|null|0x10|1e3|~|true|",
            ],
            5,
        ),
    ) {
        let engine = RawEngine {
            env_vars: Some(texts.clone()),
            log_mask: Some(texts[0].clone()),
            ..RawEngine::default()
        };
        let keys = RawConfig {
            name: Some(texts[1].clone()),
            provider: Some(texts[2].clone()),
            mgmt_svc_replicas: Some(texts[3..].to_vec()),
            engines: Some(vec![engine]),
            ..RawConfig::default()
        };
        let text = serde_saphyr::to_string(&keys).unwrap();
        let read = yaml::load::<RawConfig>(text.as_bytes(), "active.yml", &[]);
        prop_assert_eq!(read.map(|file| file.value), Ok(keys), "{}", text);
    }

    #[test]
    fn a_valid_file_with_some_bytes_changed(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = crate::support::read("examples/config/two-engines.yml").into_bytes();
        for (at, byte) in changes {
            let index = at.index(bytes.len());
            bytes[index] = byte;
        }
        answer(&bytes);
    }
}

#[test]
fn deep_nesting_is_answered() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(50_000),
        "- ".repeat(100_000),
        "engines:\n- ".repeat(2_000),
    ] {
        answer(text.as_bytes());
    }
    let mut deep = String::new();
    for depth in 0..700 {
        deep.push_str(&" ".repeat(depth));
        deep.push_str("a:\n");
    }
    answer(deep.as_bytes());
}
