//! The 2.8 form of a configuration: `engines` with `storage` tiers.
//!
//! Called by `daos_server config convert`. Works on the file's own keys, so that defaults stay out of the result.

use super::raw::{
    RawConfig, RawDataPlane, RawDeviceConfigFormat, RawEngine, RawTier, RawTierClass,
};

/// Why a key cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoForm {
    /// Path of the key in the file.
    pub key: String,
    /// Why, and what to do.
    pub why: String,
}

/// A converted configuration and what was left out because it never had an effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Converted {
    /// Keys that DAOS 2.8 knows, and no others.
    pub keys: RawConfig,
    /// Paths of the keys that were left out, with the reason.
    pub left_out: Vec<(String, &'static str)>,
}

/// Converts a configuration that breaks no rule.
///
/// # Errors
/// Every key that DAOS 2.8 has no form for.
pub fn to_tiers(written: &RawConfig) -> Result<Converted, Vec<NoForm>> {
    let mut work = Work { refused: Vec::new(), left_out: Vec::new() };
    let mut keys = written.clone();
    server(&mut work, &mut keys);
    let (list, engines) = match (keys.engines.take(), keys.servers.take()) {
        (Some(engines), _) => ("engines", engines),
        (None, servers) => ("servers", servers.unwrap_or_default()),
    };
    let node = keys.pinned_numa_node.take();
    let engines = engines.into_iter().enumerate().map(|(index, mut entry)| {
        engine(&mut work, &format!("{list}[{index}]"), &mut entry);
        if entry.first_core.is_none() && entry.pinned_numa_node.is_none() {
            entry.pinned_numa_node = node;
        }
        entry
    });
    keys.engines = Some(engines.collect());
    if work.refused.is_empty() {
        return Ok(Converted { keys, left_out: work.left_out });
    }
    Err(work.refused)
}

struct Work {
    refused: Vec<NoForm>,
    left_out: Vec<(String, &'static str)>,
}

impl Work {
    fn refuse(&mut self, key: impl Into<String>, why: &str) {
        self.refused.push(NoForm { key: key.into(), why: why.to_owned() });
    }

    fn leave_out(&mut self, key: impl Into<String>, why: &'static str) {
        self.left_out.push((key.into(), why));
    }
}

const OURS: &str = "DAOS 2.8 has no such key; remove it";
const DEFAULT: &str = "it says what DAOS 2.8 does anyway";

fn server(work: &mut Work, keys: &mut RawConfig) {
    if keys.mgmt_svc_replicas.is_none() {
        keys.mgmt_svc_replicas = keys.access_points.take();
    }
    keys.disable_hotplug =
        keys.disable_hotplug.or(keys.enable_hotplug.take().map(|enabled| !enabled));
    match keys.data_plane.take() {
        Some(RawDataPlane::Emulated) => {
            work.refuse("data_plane", "DAOS 2.8 runs real engines only")
        }
        Some(RawDataPlane::Engine) => work.leave_out("data_plane", DEFAULT),
        None => {}
    }
    match keys.nvme_conf_format.take() {
        Some(RawDeviceConfigFormat::Ini) => {
            work.refuse("nvme_conf_format", "DAOS 2.8 writes JSON only")
        }
        Some(RawDeviceConfigFormat::Json) => work.leave_out("nvme_conf_format", DEFAULT),
        None => {}
    }
    for (key, switch) in [
        ("set_hugepages", keys.set_hugepages.take()),
        ("recreate_superblocks", keys.recreate_superblocks.take()),
    ] {
        match switch {
            Some(true) => work.refuse(key, OURS),
            Some(false) => work.leave_out(key, DEFAULT),
            None => {}
        }
    }
    if keys.state_dir.take().is_some() {
        work.refuse("state_dir", OURS);
    }
    if keys.modules.take().is_some_and(|modules| !modules.is_empty()) {
        work.refuse(
            "modules",
            "DAOS 2.8 takes it on the command line only: `daos_server start -m`",
        );
    }
    if keys.bdev_include.take().is_some_and(|list| !list.is_empty()) {
        work.refuse("bdev_include", "DAOS 2.8 only has `bdev_exclude`");
    }
    let transport = keys.transport_config.as_mut();
    if transport.is_some_and(|transport| transport.server_name.take().is_some()) {
        work.refuse("transport_config.server_name", OURS);
    }
}

fn engine(work: &mut Work, path: &str, entry: &mut RawEngine) {
    let overridden = "the top level's value holds for every engine";
    for (key, value) in [
        ("name", entry.name.take()),
        ("socket_dir", entry.socket_dir.take()),
        ("modules", entry.modules.take()),
    ] {
        if value.is_some() {
            work.leave_out(format!("{path}.{key}"), overridden);
        }
    }
    if entry.rank.take().is_some() {
        work.refuse(format!("{path}.rank"), "DAOS 2.8 gives out ranks itself; remove it");
    }
    if entry.targets.unwrap_or(0) == 0 {
        let why = "DAOS 2.8 needs a number of targets; set it to the number of cores";
        work.refuse(format!("{path}.targets"), why);
    }
    if let Some(tiers) = &entry.storage {
        for (index, tier) in tiers.iter().enumerate() {
            if tier.class == Some(RawTierClass::Malloc) {
                no_malloc(work, &format!("{path}.storage[{index}].class"));
            }
        }
        return;
    }
    let scm = RawTier {
        class: entry.scm_class.take().map(RawTierClass::from),
        scm_mount: entry.scm_mount.take(),
        scm_size: entry.scm_size.take().filter(|size| *size != 0),
        scm_list: entry.scm_list.take().filter(|list| !list.is_empty()),
        ..RawTier::default()
    };
    let bdev = flat_bdev(work, path, entry);
    entry.storage = Some([scm].into_iter().chain(bdev).collect());
}

fn flat_bdev(work: &mut Work, path: &str, entry: &mut RawEngine) -> Option<RawTier> {
    let class = entry.bdev_class.take().map_or(RawTierClass::Nvme, RawTierClass::from);
    let (list, size) = (entry.bdev_list.take(), entry.bdev_size.take());
    let number = entry.bdev_number.take().filter(|number| *number != 0);
    if class == RawTierClass::Malloc {
        if number.is_some() {
            no_malloc(work, &format!("{path}.bdev_class"));
        }
        return None;
    }
    let list = list.filter(|list| !list.is_empty())?;
    let sized = class == RawTierClass::File;
    Some(RawTier {
        class: Some(class),
        bdev_list: Some(list),
        bdev_size: size.filter(|_| sized),
        ..RawTier::default()
    })
}

fn no_malloc(work: &mut Work, key: &str) {
    work.refuse(key, "DAOS 2.8 has no class malloc; use class file");
}
