//! Rules of the SCM tier (R62-R64, contract 5.5).

use std::path::{Path, PathBuf};

use super::check::{Check, INVALID, text};
use super::tiers::Written;
use crate::config::defaults::DEFAULT_SCM_HUGEPAGES_DISABLED;
use crate::config::model::ScmTier;
use crate::config::raw::RawTierClass;
use crate::config::sizing::MIN_RAM_TIER_GIB;
use crate::fault::code;

/// Larger than any host's memory, GiB.
const MAX_RAM_GIB: i64 = 1 << 20;

pub(super) fn tier(check: &mut Check<'_>, written: &Written<'_>) -> Option<ScmTier> {
    let mount_key = written.key("scm_mount");
    let mount = match text(written.tier.scm_mount.as_ref()) {
        Some(mount) => {
            check.absolute(&mount_key, mount).filter(|mount| not_root(check, &mount_key, mount))
        }
        None => {
            check.fault(
                mount_key,
                INVALID,
                "the SCM tier has no mount point",
                "set `scm_mount` to the directory it is mounted at, e.g. `/mnt/daos`",
            );
            None
        }
    };
    match written.tier.class {
        Some(RawTierClass::Ram) => {
            let size_gib = ram_size(check, written);
            no_device(check, written);
            let hugepages_disabled =
                written.tier.scm_hugepages_disabled.unwrap_or(DEFAULT_SCM_HUGEPAGES_DISABLED);
            Some(ScmTier::Ram { mount: mount?, size_gib: size_gib?, hugepages_disabled })
        }
        Some(_) => {
            no_size(check, written);
            let device = device(check, written);
            Some(ScmTier::Dcpm { mount: mount?, device: device? })
        }
        None => {
            check.fault(
                written.class_path(),
                INVALID,
                "the class of the SCM tier is missing",
                format!("set `{}` to ram or dcpm", written.class_key),
            );
            None
        }
    }
}

/// Refuses SCM keys on a tier of block devices.
pub(super) fn refuse_keys(check: &mut Check<'_>, written: &Written<'_>, class: RawTierClass) {
    let keys = [
        ("scm_mount", written.tier.scm_mount.is_some()),
        ("scm_size", written.tier.scm_size.is_some()),
        ("scm_list", written.tier.scm_list.is_some()),
        ("scm_hugepages_disabled", written.tier.scm_hugepages_disabled.is_some()),
    ];
    for (key, _) in keys.iter().filter(|(_, is_written)| *is_written) {
        misplaced(check, written, key, class);
    }
}

/// A key on a tier whose class has no use for it.
pub(super) fn misplaced(
    check: &mut Check<'_>,
    written: &Written<'_>,
    key: &str,
    class: RawTierClass,
) {
    check.fault(
        written.key(key),
        INVALID,
        format!("`{key}` has no meaning for class {}", class.name()),
        format!("remove `{key}` from this tier"),
    );
}

fn not_root(check: &mut Check<'_>, key: &str, mount: &Path) -> bool {
    let named = mount.file_name().is_some();
    if !named {
        check.fault(
            key,
            INVALID,
            "`/` cannot be an SCM mount point",
            "give a directory of its own",
        );
    }
    named
}

fn ram_size(check: &mut Check<'_>, written: &Written<'_>) -> Option<u32> {
    let key = written.key("scm_size");
    let size = written.tier.scm_size;
    if written.flat && size.unwrap_or(0) == 0 {
        let remedy = "set `scm_size` to the size of the RAM tier in GiB";
        check.fault(key, INVALID, "class ram has no size", remedy);
        return None;
    }
    let gib: u32 = match size {
        None => 0,
        Some(_) => check.number(&key, size, 0..=MAX_RAM_GIB, INVALID)?,
    };
    if gib != 0 && u64::from(gib) < MIN_RAM_TIER_GIB {
        check.protect(
            key,
            code::SERVER_CONFIG_RAMDISK_UNDER_MIN_MEM,
            format!("a RAM tier of {gib} GiB is smaller than {MIN_RAM_TIER_GIB} GiB"),
            format!("set `scm_size` to at least {MIN_RAM_TIER_GIB}"),
        );
    }
    Some(gib)
}

fn no_size(check: &mut Check<'_>, written: &Written<'_>) {
    if written.tier.scm_size.is_some_and(|size| size != 0) {
        check.fault(
            written.key("scm_size"),
            INVALID,
            "class dcpm takes its size from the device",
            "remove `scm_size`",
        );
    }
    if written.tier.scm_hugepages_disabled.is_some() {
        misplaced(check, written, "scm_hugepages_disabled", RawTierClass::Dcpm);
    }
}

fn no_device(check: &mut Check<'_>, written: &Written<'_>) {
    if written.tier.scm_list.as_ref().is_some_and(|list| !list.is_empty()) {
        check.fault(
            written.key("scm_list"),
            INVALID,
            "class ram has no device",
            "remove `scm_list`, or use class dcpm",
        );
    }
}

fn device(check: &mut Check<'_>, written: &Written<'_>) -> Option<PathBuf> {
    let key = written.key("scm_list");
    match written.tier.scm_list.as_deref().unwrap_or_default() {
        [device] => check.absolute(&format!("{key}[0]"), device),
        devices => {
            let text = match devices.len() {
                0 => "class dcpm has no device".to_owned(),
                count => format!("class dcpm has {count} devices"),
            };
            check.fault(
                key,
                INVALID,
                text,
                "name exactly one device in `scm_list`, e.g. `/dev/pmem0`",
            );
            None
        }
    }
}
