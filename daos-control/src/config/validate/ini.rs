//! What the INI form of the device configuration has no words for.

use super::check::Check;
use crate::config::model::{BdevMedia, DeviceConfigFormat, EngineConfig, ServerConfig};
use crate::fault::code;

/// Refuses early what could not be written when the engine is formatted.
pub(super) fn expressible(check: &mut Check<'_>, list: &str, config: &ServerConfig) {
    if config.device_config_format != DeviceConfigFormat::Ini {
        return;
    }
    let has_nvme = config.engines.iter().any(EngineConfig::has_nvme);
    if has_nvme && config.nvme.hotplug {
        refuse(check, "disable_hotplug", "watching for devices");
    }
    if has_nvme && !config.nvme.disable_vmd {
        refuse(check, "disable_vmd", "volume management devices");
    }
    for engine in config.engines.iter().filter(|engine| engine.has_bdevs()) {
        let key = |name: &str| format!("{list}[{}].{name}", engine.index);
        if engine.bdevs.len() > 1 || engine.has_roles() {
            refuse(check, key("storage"), "roles and several tiers");
        }
        if engine.acceleration.moves || engine.acceleration.crc {
            refuse(check, key("acceleration"), "acceleration");
        }
        for (name, written) in [
            ("spdk_rpc_server", engine.spdk_rpc_server.is_some()),
            ("bdev_auto_faulty", engine.auto_faulty.is_some()),
            ("spdk_iobuf", engine.io_buffers.is_some()),
        ] {
            if written {
                refuse(check, key(name), &format!("`{name}`"));
            }
        }
        if engine.bdevs.iter().any(|tier| !are_words(&tier.media)) {
            let key = check.storage_key(&format!("{list}[{}]", engine.index), "bdev_list");
            refuse(check, key, "paths with blanks or quotes");
        }
    }
}

fn refuse(check: &mut Check<'_>, key: impl Into<String>, what: &str) {
    check.fault(
        key,
        code::CONFIG_NO_INI_FORM,
        format!("the INI form has no words for {what}"),
        "switch it off or remove it, or remove `nvme_conf_format: ini`",
    );
}

fn are_words(media: &BdevMedia) -> bool {
    match media {
        BdevMedia::File { paths, .. } | BdevMedia::Kdev { devices: paths } => {
            paths.iter().all(|path| {
                path.to_str()
                    .is_some_and(|text| !text.contains(|c: char| c.is_whitespace() || c == '"'))
            })
        }
        BdevMedia::Nvme { .. } | BdevMedia::Malloc { .. } => true,
    }
}
