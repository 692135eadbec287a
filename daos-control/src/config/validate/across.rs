//! Rules between engines of one host (R46, contract 5.5).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::bdev::vmd_of;
use super::check::{Check, INVALID};
use crate::config::model::{BdevMedia, EngineConfig, ScmTier, ServerConfig};
use crate::fault::code;

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
        &Exclusive {
            key: "fabric_iface_port",
            code: code::SERVER_CONFIG_DUPLICATE_FABRIC,
            what: "provider, interface and port",
        },
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
        &Exclusive {
            key: "log_file",
            code: code::SERVER_CONFIG_DUPLICATE_LOG_FILE,
            what: "log file",
        },
        |engine| engine.log_file.iter().map(|file| file.display().to_string()).collect(),
    );
    unique(
        check,
        list,
        engines,
        &Exclusive {
            key: "scm_mount",
            code: code::SERVER_CONFIG_DUPLICATE_SCM_MOUNT,
            what: "SCM mount point",
        },
        |engine| {
            let mount = plain(engine.scm.mount());
            if mount.is_empty() { Vec::new() } else { vec![mount] }
        },
    );
    unique(
        check,
        list,
        engines,
        &Exclusive {
            key: "scm_list",
            code: code::SERVER_CONFIG_DUPLICATE_SCM_DEVICE_LIST,
            what: "SCM device",
        },
        |engine| match &engine.scm {
            ScmTier::Dcpm { device, .. } => vec![plain(device)],
            ScmTier::Ram { .. } => Vec::new(),
        },
    );
    unique(
        check,
        list,
        engines,
        &Exclusive {
            key: "bdev_list",
            code: code::SERVER_CONFIG_OVERLAPPING_BDEV_DEVICE_LIST,
            what: "block device",
        },
        devices,
    );
    behind_vmd(check, list, engines);
    mounts_apart(check, list, engines);
    files_beside_mounts(check, list, engines);
    kinds_apart(check, list, engines);
    alike(check, list, engines);
}

/// A path in one spelling: without doubled or closing slashes and without `.`.
fn plain(path: &Path) -> String {
    path.components().collect::<PathBuf>().display().to_string()
}

/// Who lists a VMD has every device behind it.
fn behind_vmd(check: &mut Check<'_>, list: &str, engines: &[EngineConfig]) {
    let listed: Vec<(u32, String)> = engines
        .iter()
        .flat_map(|engine| devices(engine).into_iter().map(|device| (engine.index, device)))
        .collect();
    for (engine, address) in &listed {
        let Some(vmd) = vmd_of(address) else { continue };
        for (other, _) in listed.iter().filter(|(_, device)| *device == vmd) {
            check.fault(
                check.storage_key(&format!("{list}[{engine}]"), "bdev_list"),
                code::SERVER_CONFIG_OVERLAPPING_BDEV_DEVICE_LIST,
                format!(
                    "`{address}` of engine {engine} is behind the VMD `{vmd}` of engine {other}"
                ),
                "list the VMD, or devices behind it, not both",
            );
        }
    }
}

/// A mount inside another engine's is lost with it.
fn mounts_apart(check: &mut Check<'_>, list: &str, engines: &[EngineConfig]) {
    for engine in engines {
        let mount = engine.scm.mount();
        let inside = |other: &&EngineConfig| {
            let outer = other.scm.mount();
            outer.is_absolute() && mount != outer && mount.starts_with(outer)
        };
        for other in engines.iter().filter(inside) {
            let (here, there) = (engine.index, other.index);
            check.fault(
                check.storage_key(&format!("{list}[{here}]"), "scm_mount"),
                code::SERVER_CONFIG_DUPLICATE_SCM_MOUNT,
                format!(
                    "the SCM mount {} of engine {here} lies in {} of engine {there}",
                    mount.display(),
                    other.scm.mount().display()
                ),
                "use directories that do not lie in each other",
            );
        }
    }
}

/// A file of block devices in an SCM mount is hidden by it, or lost with it.
fn files_beside_mounts(check: &mut Check<'_>, list: &str, engines: &[EngineConfig]) {
    for engine in engines {
        for tier in &engine.bdevs {
            let BdevMedia::File { paths, .. } = &tier.media else { continue };
            for path in paths {
                let holds = |other: &&EngineConfig| {
                    let mount = other.scm.mount();
                    mount.is_absolute() && path.starts_with(mount)
                };
                let Some(holder) = engines.iter().find(holds) else { continue };
                check.fault(
                    check.storage_key(&format!("{list}[{}]", engine.index), "bdev_list"),
                    INVALID,
                    format!(
                        "{} of engine {} lies in the SCM mount {} of engine {}",
                        path.display(),
                        engine.index,
                        holder.scm.mount().display(),
                        holder.index
                    ),
                    "choose a file on a disk",
                );
            }
        }
    }
}

/// The sockets of a server are made before SCM is mounted: a mount over them hides them.
pub(super) fn sockets(check: &mut Check<'_>, list: &str, config: &ServerConfig) {
    let directory = &config.socket_dir;
    let over = |engine: &&EngineConfig| {
        let mount = engine.scm.mount();
        mount.is_absolute() && directory.starts_with(mount)
    };
    for engine in config.engines.iter().filter(over) {
        check.fault(
            check.storage_key(&format!("{list}[{}]", engine.index), "scm_mount"),
            INVALID,
            format!(
                "the SCM mount {} of engine {} lies over the socket directory {}",
                engine.scm.mount().display(),
                engine.index,
                directory.display()
            ),
            "use a mount point, or a `socket_dir`, that does not lie in the other",
        );
    }
}

/// A device is persistent memory or a block device, not both.
fn kinds_apart(check: &mut Check<'_>, list: &str, engines: &[EngineConfig]) {
    for engine in engines {
        let ScmTier::Dcpm { device, .. } = &engine.scm else { continue };
        let scm = plain(device);
        for other in engines.iter().filter(|other| devices(other).contains(&scm)) {
            let (here, there) = (engine.index, other.index);
            check.fault(
                check.storage_key(&format!("{list}[{there}]"), "bdev_list"),
                code::CONFIG_SAME_DEVICE,
                format!("`{scm}` is SCM of engine {here} and a block device of engine {there}"),
                "use the device for one of both",
            );
        }
    }
}

fn devices(engine: &EngineConfig) -> Vec<String> {
    let mut devices = Vec::new();
    for tier in &engine.bdevs {
        match &tier.media {
            BdevMedia::Nvme { addresses, .. } => devices.extend(addresses.iter().cloned()),
            BdevMedia::File { paths, .. } | BdevMedia::Kdev { devices: paths } => {
                devices.extend(paths.iter().map(|path| plain(path)));
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
            let key = check.storage_key(&format!("{list}[{here}]"), rule.key);
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
            check.fault(
                key("targets"),
                code::SERVER_CONFIG_TARGET_COUNT_MISMATCH,
                text,
                "give all engines the same `targets`",
            );
        }
        if first.helper_streams != other.helper_streams {
            let text = format!(
                "{both} have {} and {} helper streams",
                first.helper_streams, other.helper_streams
            );
            check.fault(
                key("nr_xs_helpers"),
                code::SERVER_CONFIG_HELPER_STREAM_COUNT_MISMATCH,
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
            check.storage_key(&format!("{list}[{}]", other.index), "scm_hugepages_disabled"),
            code::SERVER_CONFIG_SCM_HUGE_ENABLED,
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
            check.fault(
                class,
                code::SERVER_CONFIG_SCM_DIFF_CLASS,
                text,
                "use one SCM class on all engines",
            );
        }
        _ => {}
    }
}
