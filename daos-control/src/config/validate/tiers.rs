//! Which generation an engine's storage keys are of, and the order of its tiers.

use std::path::PathBuf;

use super::check::{Check, INVALID};
use super::{bdev, scm};
use crate::config::defaults::DEFAULT_SCM_HUGEPAGES_DISABLED;
use crate::config::model::{BdevTier, ScmTier};
use crate::config::raw::{RawEngine, RawTier, RawTierClass};
use crate::fault::code;

/// Checked storage of an engine. Meaningless once a fault is recorded.
pub(super) struct Storage {
    pub(super) scm: ScmTier,
    pub(super) bdevs: Vec<BdevTier>,
}

/// One tier as it is written, in either generation.
pub(super) struct Written<'a> {
    pub(super) tier: &'a RawTier,
    /// Path of the section the keys stand in.
    pub(super) path: String,
    /// Name of its class key.
    pub(super) class_key: &'static str,
    /// Whether these are the seed's keys.
    pub(super) flat: bool,
}

impl Written<'_> {
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    pub(super) fn class_path(&self) -> String {
        self.key(self.class_key)
    }
}

pub(super) fn tiers(check: &mut Check<'_>, entry: &RawEngine, path: &str) -> Storage {
    let flat_keys = entry.flat_storage_keys();
    match (&entry.storage, flat_keys.first()) {
        (Some(_), Some(first)) => {
            check.fault(
                format!("{path}.{first}"),
                code::CONFIG_MIXED_GENERATIONS,
                format!(
                    "`{}` and `storage` both describe this engine's storage",
                    flat_keys.join("`, `")
                ),
                format!(
                    "keep `storage` and move `{first}` into one of its tiers, or keep the flat keys"
                ),
            );
            tiered(check, entry.storage.as_deref().unwrap_or_default(), path)
        }
        (Some(storage), None) => tiered(check, storage, path),
        (None, Some(_)) => flat(check, entry, path),
        (None, None) => {
            no_scm(check, format!("{path}.storage"));
            nothing()
        }
    }
}

fn nothing() -> Storage {
    let scm = ScmTier::Ram {
        mount: PathBuf::new(),
        size_gib: 0,
        hugepages_disabled: DEFAULT_SCM_HUGEPAGES_DISABLED,
    };
    Storage { scm, bdevs: Vec::new() }
}

fn no_scm(check: &mut Check<'_>, key: String) {
    check.fault(
        key,
        code::SCM_CONFIG_TIER_MISSING,
        "the engine has no SCM tier",
        "add a tier of class ram or dcpm, or the keys `scm_class` and `scm_mount`",
    );
}

fn tiered(check: &mut Check<'_>, storage: &[RawTier], path: &str) -> Storage {
    let written = |index: usize, tier| Written {
        tier,
        path: format!("{path}.storage[{index}]"),
        class_key: "class",
        flat: false,
    };
    let mut result = nothing();
    if storage.is_empty() {
        no_scm(check, format!("{path}.storage"));
    }
    for (index, tier) in storage.iter().enumerate() {
        let written = written(index, tier);
        match tier.class {
            None => check.fault(
                written.class_path(),
                INVALID,
                "the tier has no class",
                "set `class` to ram, dcpm, nvme, file, kdev or malloc",
            ),
            Some(class) if class.is_scm() && index == 0 => {
                bdev::refuse_keys(check, &written, class);
                result.scm = scm::tier(check, &written).unwrap_or(result.scm);
            }
            Some(class) if class.is_scm() => check.fault(
                written.class_path(),
                INVALID,
                format!("tier {index} is of class {}", class.name()),
                "put one ram or dcpm tier first and block devices after it",
            ),
            Some(class) => {
                if index == 0 {
                    no_scm(check, written.class_path());
                }
                scm::refuse_keys(check, &written, class);
                result.bdevs.extend(bdev::tier(check, &written, class, index));
            }
        }
    }
    result
}

fn flat(check: &mut Check<'_>, entry: &RawEngine, path: &str) -> Storage {
    let mut result = nothing();
    let scm = RawTier {
        class: entry.scm_class.map(RawTierClass::from),
        scm_mount: entry.scm_mount.clone(),
        scm_size: entry.scm_size,
        scm_list: entry.scm_list.clone(),
        ..RawTier::default()
    };
    let written = Written { tier: &scm, path: path.to_owned(), class_key: "scm_class", flat: true };
    result.scm = scm::tier(check, &written).unwrap_or(result.scm);

    // An absent or empty class means NVMe, for every use of it (R55, W18).
    let class = entry.bdev_class.map_or(RawTierClass::Nvme, RawTierClass::from);
    let bdev = RawTier {
        class: Some(class),
        bdev_list: entry.bdev_list.clone(),
        bdev_number: entry.bdev_number,
        bdev_size: entry.bdev_size,
        ..RawTier::default()
    };
    let written =
        Written { tier: &bdev, path: path.to_owned(), class_key: "bdev_class", flat: true };
    result.bdevs.extend(bdev::tier(check, &written, class, 1));
    result
}
