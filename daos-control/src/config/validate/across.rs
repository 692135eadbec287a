//! Rules between engines of one host (R46, contract 5.5).

use std::collections::BTreeMap;

use super::check::{Check, INVALID};
use crate::config::model::{BdevMedia, EngineConfig, ScmTier};

/// What two engines must not share, with the key it stands under, its number and its name in a message.
struct Exclusive {
    key: &'static str,
    code: i32,
    what: &'static str,
}

pub(super) fn engines(check: &mut Check<'_>, list: &str, engines: &[EngineConfig]) {
    unique(
        check,
        list,
        engines,
        &Exclusive { key: "fabric_iface_port", code: 709, what: "provider, interface and port" },
        |engine| {
            let fabric = &engine.fabric;
            if fabric.interface.is_empty() || fabric.port == 0 {
                return Vec::new();
            }
            vec![format!("{} {} {}", fabric.provider, fabric.interface, fabric.port)]
        },
    );
    unique(
        check,
        list,
        engines,
        &Exclusive { key: "log_file", code: 710, what: "log file" },
        |engine| engine.log_file.iter().map(|file| file.display().to_string()).collect(),
    );
    unique(
        check,
        list,
        engines,
        &Exclusive { key: "scm_mount", code: 711, what: "SCM mount point" },
        |engine| {
            let mount = engine.scm.mount().display().to_string();
            if mount.is_empty() { Vec::new() } else { vec![mount] }
        },
    );
    unique(
        check,
        list,
        engines,
        &Exclusive { key: "scm_list", code: 712, what: "SCM device" },
        |engine| match &engine.scm {
            ScmTier::Dcpm { device, .. } => vec![device.display().to_string()],
            ScmTier::Ram { .. } => Vec::new(),
        },
    );
    unique(
        check,
        list,
        engines,
        &Exclusive { key: "bdev_list", code: 713, what: "block device" },
        devices,
    );
    alike(check, list, engines);
}

fn devices(engine: &EngineConfig) -> Vec<String> {
    let mut devices = Vec::new();
    for tier in &engine.bdevs {
        match &tier.media {
            BdevMedia::Nvme { addresses, .. } => devices.extend(addresses.iter().cloned()),
            BdevMedia::File { paths, .. } | BdevMedia::Kdev { devices: paths } => {
                devices.extend(paths.iter().map(|path| path.display().to_string()));
            }
            BdevMedia::Malloc { .. } => {}
        }
    }
    devices
}

/// A value that occurs twice, also within one engine, is a fault that names both engines.
fn unique(
    check: &mut Check<'_>,
    list: &str,
    engines: &[EngineConfig],
    rule: &Exclusive,
    values: impl Fn(&EngineConfig) -> Vec<String>,
) {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for engine in engines {
        for value in values(engine) {
            let Some(first) = seen.get(&value) else {
                seen.insert(value, engine.index);
                continue;
            };
            let here = engine.index;
            let key = key_of(check, list, here, rule.key);
            let (code, text) = if *first == here {
                (INVALID, format!("{} `{value}` is used twice by engine {here}", rule.what))
            } else {
                (
                    rule.code,
                    format!("{} `{value}` is used by engines {here} and {first}", rule.what),
                )
            };
            check.fault(key, code, text, format!("use each {} once", rule.what));
        }
    }
}

/// The path of a key of an engine, in whichever tier it is written.
fn key_of(check: &Check<'_>, list: &str, index: u32, key: &str) -> String {
    let engine = format!("{list}[{index}]");
    let in_tier = (0..4).map(|tier| format!("{engine}.storage[{tier}].{key}"));
    in_tier.into_iter().find(|path| check.is_written(path)).unwrap_or(format!("{engine}.{key}"))
}

/// What all engines must have alike, compared with the first.
fn alike(check: &mut Check<'_>, list: &str, engines: &[EngineConfig]) {
    let Some((first, others)) = engines.split_first() else { return };
    let first_has_targets = !check.has_fault_at(&format!("{list}[0].targets"));
    for other in others {
        let key = |name: &str| format!("{list}[{}].{name}", other.index);
        let both = format!("engines 0 and {}", other.index);
        if first_has_targets
            && first.targets != other.targets
            && !check.has_fault_at(&key("targets"))
        {
            let text = format!("{both} have {} and {} targets", first.targets, other.targets);
            check.fault(key("targets"), 715, text, "give all engines the same `targets`");
        }
        if first.helper_streams != other.helper_streams {
            let text = format!(
                "{both} have {} and {} helper streams",
                first.helper_streams, other.helper_streams
            );
            check.fault(
                key("nr_xs_helpers"),
                716,
                text,
                "give all engines the same `nr_xs_helpers`",
            );
        }
        let sound =
            [0, other.index].map(|index| check.storage_is_sound(&format!("{list}[{index}]")));
        if sound != [true, true] {
            continue;
        }
        scm_alike(check, list, &both, first, other);
        let counts = [first, other].map(|engine| devices(engine).len());
        if counts[0] != counts[1] {
            let text = format!("{both} have {} and {} block devices", counts[0], counts[1]);
            check.notice(key("storage"), format!("{text}; engines work best alike (fault 714)"));
        }
    }
}

fn scm_alike(
    check: &mut Check<'_>,
    list: &str,
    both: &str,
    first: &EngineConfig,
    other: &EngineConfig,
) {
    match (&first.scm, &other.scm) {
        (
            ScmTier::Ram { hugepages_disabled: here, .. },
            ScmTier::Ram { hugepages_disabled: there, .. },
        ) if here != there => check.fault(
            key_of(check, list, other.index, "scm_hugepages_disabled"),
            738,
            format!("{both} differ in `scm_hugepages_disabled`"),
            "give all engines the same `scm_hugepages_disabled`",
        ),
        (here, there) if here.class_name() != there.class_name() => {
            let class = if check.is_written(&format!("{list}[{}].scm_class", other.index)) {
                format!("{list}[{}].scm_class", other.index)
            } else {
                format!("{list}[{}].storage[0].class", other.index)
            };
            let text = format!(
                "{both} have SCM of class {} and {}",
                here.class_name(),
                there.class_name()
            );
            check.fault(class, 732, text, "use one SCM class on all engines");
        }
        _ => {}
    }
}
