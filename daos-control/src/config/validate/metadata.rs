//! Rules of roles and of metadata on a disk (contract 5.4, 5.5).

use super::check::Check;
use crate::config::model::{BdevRole, EngineConfig, ScmTier, ServerConfig};
use crate::fault::code;

/// Most tiers that can have roles: one for each.
const MAX_ROLE_TIERS: usize = 3;

pub(super) fn roles_and_path(check: &mut Check<'_>, list: &str, config: &ServerConfig) {
    let sound = |check: &Check<'_>, engine: &EngineConfig| {
        check.storage_is_sound(&format!("{list}[{}]", engine.index))
    };
    let all_sound = config.engines.iter().all(|engine| sound(check, engine));
    for engine in &config.engines {
        if !sound(check, engine) {
            continue;
        }
        let path = format!("{list}[{}]", engine.index);
        media_mix(check, &path, engine);
        roles(check, &path, engine);
        if engine.has_roles() && config.control_metadata.is_none() {
            check.fault(
                format!("{path}.storage"),
                code::BDEV_CONFIG_ROLES_NO_CONTROL_METADATA,
                "tiers have roles and there is no place for the metadata",
                "set `control_metadata.path`, or remove `bdev_roles`",
            );
        }
    }
    inside_scm(check, config);
    if !all_sound {
        return;
    }
    meta_role(check, config);
    if let Some(first) = config.engines.first() {
        for engine in config.engines.iter().filter(|engine| engine.has_roles() != first.has_roles())
        {
            check.fault(
                format!("{list}[{}].storage", engine.index),
                code::SERVER_CONFIG_ENGINE_BDEV_ROLES_MISMATCH,
                format!("engines 0 and {}: only one of them has tiers with roles", engine.index),
                "give roles to the tiers of every engine or of none",
            );
        }
    }
}

fn meta_role(check: &mut Check<'_>, config: &ServerConfig) {
    if config.control_metadata.is_none() {
        return;
    }
    let is_meta = |engine: &EngineConfig| {
        engine.bdevs.iter().any(|tier| tier.roles.contains(&BdevRole::Meta))
    };
    if !config.engines.is_empty() && !config.engines.iter().any(is_meta) {
        check.fault(
            "control_metadata.path",
            code::BDEV_CONFIG_CONTROL_METADATA_NO_ROLES,
            "metadata lies on a disk and no tier has the role meta",
            "set `bdev_roles` of the block device tiers, or remove `control_metadata`",
        );
    }
}

fn inside_scm(check: &mut Check<'_>, config: &ServerConfig) {
    let Some(metadata) = &config.control_metadata else { return };
    for engine in &config.engines {
        let mount = engine.scm.mount();
        if mount.is_absolute() && metadata.path.starts_with(mount) {
            check.fault(
                "control_metadata.path",
                code::CONFIG_METADATA_IN_SCM,
                format!(
                    "{} lies in engine {}'s SCM mount {}, and would be lost with it",
                    metadata.path.display(),
                    engine.index,
                    mount.display()
                ),
                "choose a directory on a disk",
            );
        }
    }
}

fn media_mix(check: &mut Check<'_>, path: &str, engine: &EngineConfig) {
    let is_nvme = |real: bool| engine.bdevs.iter().any(|tier| tier.media.is_nvme() == real);
    if is_nvme(true) && is_nvme(false) {
        check.fault(
            format!("{path}.storage"),
            code::BDEV_CONFIG_TIER_TYPE_MISMATCH,
            "NVMe and emulated block devices are mixed",
            "use one class in all block device tiers of the engine",
        );
    }
}

fn roles(check: &mut Check<'_>, path: &str, engine: &EngineConfig) {
    let key = format!("{path}.storage");
    let with_roles = engine.bdevs.iter().filter(|tier| !tier.roles.is_empty()).count();
    if with_roles == 0 {
        if engine.bdevs.len() > 1 {
            let text = format!("{} block device tiers have no roles", engine.bdevs.len());
            check.fault(
                key,
                code::BDEV_CONFIG_MULTI_TIER_WITHOUT_ROLES,
                text,
                "set `bdev_roles`, or use one block device tier",
            );
        }
        return;
    }
    if matches!(engine.scm, ScmTier::Dcpm { .. }) {
        let remedy = "remove `bdev_roles`, or use class ram";
        check.fault(
            &key,
            code::BDEV_CONFIG_ROLES_WITH_DCPM,
            "roles have no meaning with class dcpm",
            remedy,
        );
    }
    if with_roles != engine.bdevs.len() {
        let remedy = "set `bdev_roles` of every block device tier";
        check.fault(
            &key,
            code::BDEV_CONFIG_ROLES_MISSING,
            "only some block device tiers have roles",
            remedy,
        );
    }
    if with_roles > MAX_ROLE_TIERS {
        let text = format!("{with_roles} tiers have roles");
        check.fault(
            &key,
            code::BDEV_CONFIG_BAD_NR_TIERS_WITH_ROLES,
            text,
            format!("use at most {MAX_ROLE_TIERS}"),
        );
    }
    for tier in &engine.bdevs {
        if tier.roles == [BdevRole::Data, BdevRole::Wal] {
            check.fault(
                format!("{key}[{}].bdev_roles", tier.tier),
                code::BDEV_CONFIG_ROLES_WAL_DATA_NO_META,
                "a tier has wal and data without meta",
                "use wal and meta+data, or wal, meta and data",
            );
        }
    }
    for (role, name) in [(BdevRole::Wal, "wal"), (BdevRole::Meta, "meta"), (BdevRole::Data, "data")]
    {
        let count = engine.bdevs.iter().filter(|tier| tier.roles.contains(&role)).count();
        if count != 1 {
            let text = format!("{count} tiers have the role {name}");
            check.fault(
                &key,
                code::BDEV_CONFIG_ROLES_BAD_NR,
                text,
                "give each of wal, meta and data to exactly one tier",
            );
        }
    }
}
