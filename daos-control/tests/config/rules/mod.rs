//! One case per rule: its number, the path of its key, its line, and a remedy.
//!
//! The line that a fault must point at carries the mark `# <-`.

mod across;
mod engine;
mod server;
mod storage;

use crate::support::{notices, refused};

/// A valid server with one engine of the seed's form; `top` and `engine` are more lines.
pub fn flat(top: &str, engine: &str) -> String {
    let scm = if engine.contains("scm_") || engine.contains("storage:") {
        ""
    } else {
        "  scm_class: ram\n  scm_mount: /mnt/daos\n  scm_size: 4\n"
    };
    format!(
        "provider: ofi+tcp\n{top}servers:\n- fabric_iface: eth0\n  fabric_iface_port: 31416\n  \
         log_file: /tmp/e0.log\n{scm}{engine}"
    )
}

/// A valid server with one engine of the 2.8 form; `storage` are more tiers.
pub fn tiered(top: &str, engine: &str, storage: &str) -> String {
    let tiers = if storage.starts_with("  - class: dcpm") || engine.contains("storage:") {
        ""
    } else {
        "  - class: ram\n    scm_mount: /mnt/daos\n"
    };
    let head = if engine.contains("storage:") { "" } else { "  storage:\n" };
    format!(
        "provider: ofi+tcp\n{top}engines:\n- targets: 4\n  fabric_iface: eth0\n  \
         fabric_iface_port: 31416\n  log_file: /tmp/e0.log\n{engine}{head}{tiers}{storage}"
    )
}

/// Two valid engines of the 2.8 form, each with more keys and tiers.
pub fn two(top: &str, first: [&str; 2], second: [&str; 2]) -> String {
    let entry = |index: usize, keys: &str, storage: &str| {
        let base = [
            ("targets:", "  targets: 4\n".to_owned()),
            ("fabric_iface:", format!("  fabric_iface: eth{index}\n")),
            ("fabric_iface_port:", "  fabric_iface_port: 31416\n".to_owned()),
            ("log_file:", format!("  log_file: /tmp/e{index}.log\n")),
        ];
        let base: String = base
            .iter()
            .filter(|(key, _)| !keys.contains(key))
            .map(|(_, line)| line.as_str())
            .collect();
        let scm = if storage.contains("scm_mount") {
            String::new()
        } else {
            format!("  - class: ram\n    scm_mount: /mnt/daos{index}\n")
        };
        format!("-\n{base}{keys}  storage:\n{scm}{storage}")
    };
    format!(
        "provider: ofi+tcp\n{top}engines:\n{}{}",
        entry(0, first[0], first[1]),
        entry(1, second[0], second[1])
    )
}

/// The text breaks exactly these rules, given as number and key; the marked line is where the first one is.
#[track_caller]
pub fn breaks(text: &str, expected: &[(i32, &str)]) {
    let faults = refused(text);
    let found: Vec<(i32, &str)> =
        faults.iter().map(|found| (found.fault.code, found.key.as_str())).collect();
    assert_eq!(found, expected, "\n{text}\n{faults:#?}");
    let marked = text.lines().position(|line| line.contains("# <-")).map(|index| index + 1);
    if marked.is_some() {
        let line = faults[0].position.map(|at| at.line);
        assert_eq!(line, marked, "\n{text}\n{faults:#?}");
    }
    for found in &faults {
        assert!(found.fault.has_resolution(), "{found:?} has no remedy");
        assert!(!found.fault.description.is_empty(), "{found:?}");
    }
}

#[track_caller]
pub fn notes(text: &str, key: &str, words: &str) {
    let notices = notices(text);
    assert!(
        notices.iter().any(|notice| notice.key == key && notice.text.contains(words)),
        "no notice at {key} with {words:?} in {notices:#?}\n{text}"
    );
}
