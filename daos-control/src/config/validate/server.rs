//! Rules of the keys that belong to the server as a whole.

use std::path::PathBuf;

use super::check::{Check, INVALID, text};
use super::{environment, logging};
use crate::config::check_fault_path;
use crate::config::defaults::*;
use crate::config::model::{
    BdevMedia, ControlMetadata, DataPlane, DeviceConfigFormat, EngineRestart, FaultDomainSource,
    Hugepages, NvmeHost, ServerConfig, Transport,
};
use crate::config::raw::{RawConfig, RawDeviceConfigFormat, RawTransport};
use crate::fault::code;

/// Bytes of a UNIX socket's path, its closing zero included.
const SOCKET_PATH_BYTES: usize = 108;
/// The longest name in `socket_dir`: process ids end at 4194304.
const LONGEST_SOCKET_NAME: &str = "/daos_engine_4194304.sock";

pub(super) fn server(
    check: &mut Check<'_>,
    raw: &RawConfig,
    data_plane: DataPlane,
) -> ServerConfig {
    accepted_without_effect(check, raw);
    ServerConfig {
        name: name(check, raw),
        data_plane,
        port: check
            .number("port", raw.port, 1..=65535, code::SERVER_CONFIG_BAD_CONTROL_PORT)
            .unwrap_or(DEFAULT_CONTROL_PORT),
        control_iface: text(raw.control_iface.as_ref()).map(str::to_owned),
        replicas: Vec::new(),
        transport: transport(raw.transport_config.as_ref()),
        socket_dir: socket_dir(check, raw),
        state_dir: path_or(check, "state_dir", raw.state_dir.as_ref(), DEFAULT_STATE_DIR),
        control_log: logging::control(check, raw),
        helper_log_file: text(raw.helper_log_file.as_ref()).map(PathBuf::from),
        firmware_helper_log_file: text(raw.firmware_helper_log_file.as_ref()).map(PathBuf::from),
        fault_domain: fault_domain(check, raw),
        hugepages: hugepages(check, raw),
        nvme: nvme_host(check, raw),
        allow_numa_imbalance: raw.allow_numa_imbalance.unwrap_or(false),
        allow_thp: raw.allow_thp.unwrap_or(false),
        system_ram_reserved_gib: check
            .number(
                "system_ram_reserved",
                raw.system_ram_reserved,
                1..=1 << 20,
                code::SERVER_CONFIG_SYS_RSVD_ZERO,
            )
            .unwrap_or(DEFAULT_SYSTEM_RAM_RESERVED_GIB),
        control_metadata: control_metadata(check, raw),
        device_config_format: device_config_format(check, raw),
        modules: raw.modules.clone().unwrap_or_default(),
        recreate_superblocks: raw.recreate_superblocks.unwrap_or(false),
        telemetry_port: check
            .number(
                "telemetry_port",
                raw.telemetry_port,
                0..=65535,
                code::SERVER_CONFIG_BAD_TELEMETRY_PORT,
            )
            .filter(|port| *port != 0),
        core_dump_filter: check
            .number("core_dump_filter", raw.core_dump_filter, 0..=255, INVALID)
            .unwrap_or(DEFAULT_CORE_DUMP_FILTER),
        client_env_vars: environment::variables(
            check,
            "client_env_vars",
            raw.client_env_vars.as_ref(),
        ),
        engine_restart: engine_restart(check, raw),
        file_transfer_exec: raw
            .support_config
            .as_ref()
            .and_then(|support| text(support.file_transfer_exec.as_ref()))
            .and_then(|path| check.absolute("support_config.file_transfer_exec", path)),
        hyperthreads: raw.hyperthreads.unwrap_or(false),
        engines: Vec::new(),
    }
}

/// Rules between the server's keys and what its engines are made of.
pub(super) fn against_engines(check: &mut Check<'_>, list: &str, config: &ServerConfig) {
    let nvme: Vec<_> = config.engines.iter().filter(|engine| engine.has_nvme()).collect();
    if config.hugepages.disabled && !nvme.is_empty() {
        check.protect(
            "disable_hugepages",
            code::SERVER_CONFIG_HUGEPAGES_DISABLED_WITH_NVME_BDEVS,
            "NVMe controllers need huge pages",
            "remove `disable_hugepages`, or use another class than `nvme`",
        );
    }
    for engine in nvme {
        for media in engine.bdevs.iter().map(|tier| &tier.media) {
            let BdevMedia::Nvme { addresses, .. } = media else { continue };
            for address in addresses.iter().filter(|address| config.nvme.exclude.contains(address))
            {
                check.fault(
                    "bdev_exclude",
                    code::SERVER_CONFIG_BDEV_EXCLUDE_CLASH,
                    format!("{address} is excluded and used by {list}[{}]", engine.index),
                    format!("remove {address} from one of the lists"),
                );
            }
        }
    }
}

fn accepted_without_effect(check: &mut Check<'_>, raw: &RawConfig) {
    let later = "accepted and without effect for now: there is no separate helper process";
    if text(raw.helper_log_file.as_ref()).is_some() {
        check.notice("helper_log_file", later);
    }
    if text(raw.firmware_helper_log_file.as_ref()).is_some() {
        check.notice("firmware_helper_log_file", later);
    }
    if raw.hyperthreads == Some(true) {
        check
            .notice("hyperthreads", "accepted and without effect: engines place their own threads");
    }
    if raw.bypass_health_chk == Some(true) {
        check.notice("bypass_health_chk", "without effect here; write it in the engine's section");
    }
    if raw.secondary_provider_endpoints.as_ref().is_some_and(|list| !list.is_empty()) {
        one_provider(check, "secondary_provider_endpoints");
    }
}

/// Engines understand one provider; the keys for more are refused.
pub(super) fn one_provider(check: &mut Check<'_>, key: &str) {
    check.fault(
        key,
        INVALID,
        "engines use one provider",
        "name one provider and no further endpoints",
    );
}

fn name(check: &mut Check<'_>, raw: &RawConfig) -> String {
    let name = raw.name.as_deref().unwrap_or(DEFAULT_SYSTEM_NAME);
    let length = name.chars().count();
    if length == 0 || length > MAX_SYSTEM_NAME {
        check.fault(
            "name",
            INVALID,
            format!("the system name `{name}` has {length} characters"),
            format!("give a name of 1 to {MAX_SYSTEM_NAME} characters"),
        );
    } else if name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        check.fault("name", INVALID, "the system name has blanks", "use letters, digits and `_`");
    }
    name.to_owned()
}

fn path_or(check: &mut Check<'_>, key: &str, written: Option<&String>, default: &str) -> PathBuf {
    let path = written.map_or(default, String::as_str);
    check.absolute(key, path).unwrap_or_default()
}

fn socket_dir(check: &mut Check<'_>, raw: &RawConfig) -> PathBuf {
    let directory = path_or(check, "socket_dir", raw.socket_dir.as_ref(), DEFAULT_SOCKET_DIR);
    let longest = SOCKET_PATH_BYTES - 1 - LONGEST_SOCKET_NAME.len();
    let bytes = directory.as_os_str().len();
    if bytes > longest {
        check.fault(
            "socket_dir",
            code::CONFIG_SOCKET_DIR_TOO_LONG,
            format!("{bytes} bytes leave no room for socket names, whose paths end at 108 bytes"),
            format!("give a directory of at most {longest} bytes"),
        );
    }
    directory
}

fn transport(raw: Option<&RawTransport>) -> Transport {
    let none = RawTransport::default();
    let raw = raw.unwrap_or(&none);
    let path = |written: &Option<String>, default: &str| {
        PathBuf::from(text(written.as_ref()).unwrap_or(default))
    };
    Transport {
        allow_insecure: raw.allow_insecure.unwrap_or(false),
        ca_cert: path(&raw.ca_cert, DEFAULT_CA_CERT),
        cert: path(&raw.cert, DEFAULT_CERT),
        key: path(&raw.key, DEFAULT_KEY),
        client_cert_dir: path(&raw.client_cert_dir, DEFAULT_CLIENT_CERT_DIR),
        server_name: text(raw.server_name.as_ref()).unwrap_or(DEFAULT_SERVER_NAME).to_owned(),
    }
}

fn fault_domain(check: &mut Check<'_>, raw: &RawConfig) -> FaultDomainSource {
    match (text(raw.fault_path.as_ref()), text(raw.fault_cb.as_ref())) {
        (Some(_), Some(_)) => {
            check.fault(
                "fault_cb",
                code::SERVER_CONFIG_BOTH_FAULT_PATH_AND_CB,
                "`fault_path` and `fault_cb` both say where the host stands",
                "keep one of `fault_path` and `fault_cb`",
            );
            FaultDomainSource::Hostname
        }
        (Some(path), None) => fault_path(check, path),
        (None, Some(program)) => check
            .absolute("fault_cb", program)
            .map_or(FaultDomainSource::Hostname, FaultDomainSource::Callback),
        (None, None) => FaultDomainSource::Hostname,
    }
}

fn fault_path(check: &mut Check<'_>, path: &str) -> FaultDomainSource {
    if let Err(error) = check_fault_path(path) {
        check.fault("fault_path", error.code(), error.to_string(), error.resolution());
    }
    FaultDomainSource::Path(path.to_owned())
}

fn hugepages(check: &mut Check<'_>, raw: &RawConfig) -> Hugepages {
    let count = check.number(
        "nr_hugepages",
        raw.nr_hugepages,
        0..=i64::from(i32::MAX),
        code::SERVER_CONFIG_NR_HUGEPAGES_OUT_OF_RANGE,
    );
    let disabled = raw.disable_hugepages.unwrap_or(false);
    if disabled && raw.nr_hugepages.is_some_and(|count| count != 0) {
        check.protect(
            "disable_hugepages",
            code::SERVER_CONFIG_HUGEPAGES_DISABLED_WITH_NR_SET,
            "huge pages are disabled and counted",
            "remove one of `disable_hugepages` and `nr_hugepages`",
        );
    }
    Hugepages {
        count: count.unwrap_or(0),
        disabled,
        share_free: raw.set_hugepages.unwrap_or(false),
    }
}

fn nvme_host(check: &mut Check<'_>, raw: &RawConfig) -> NvmeHost {
    if raw.enable_hotplug.is_some() && raw.disable_hotplug.is_some() {
        check.fault(
            "enable_hotplug",
            code::SERVER_CONFIG_ENABLE_HOTPLUG_DEPRECATED,
            "`enable_hotplug` and `disable_hotplug` are both given",
            "keep `disable_hotplug`",
        );
    } else if raw.enable_hotplug.is_some() {
        check.notice(
            "enable_hotplug",
            "deprecated: write `disable_hotplug`, which means the opposite",
        );
    }
    let hotplug = match (raw.disable_hotplug, raw.enable_hotplug) {
        (Some(disabled), _) => !disabled,
        (None, enabled) => enabled.unwrap_or(!is_ini(raw)),
    };
    NvmeHost {
        include: super::bdev::addresses(check, "bdev_include", raw.bdev_include.as_ref()),
        exclude: super::bdev::addresses(check, "bdev_exclude", raw.bdev_exclude.as_ref()),
        disable_vfio: raw.disable_vfio.unwrap_or(false),
        disable_vmd: raw.disable_vmd.unwrap_or(is_ini(raw)),
        hotplug,
    }
}

fn control_metadata(check: &mut Check<'_>, raw: &RawConfig) -> Option<ControlMetadata> {
    let raw = raw.control_metadata.as_ref()?;
    let device = text(raw.device.as_ref());
    let Some(path) = text(raw.path.as_ref()) else {
        if device.is_some() {
            check.fault(
                "control_metadata.device",
                code::SERVER_CONFIG_CONTROL_METADATA_NO_PATH,
                "`device` is given without `path`",
                "give `control_metadata.path`, where the device is mounted",
            );
        }
        return None;
    };
    Some(ControlMetadata {
        path: check.absolute("control_metadata.path", path)?,
        device: match device {
            Some(device) => Some(check.absolute("control_metadata.device", device)?),
            None => None,
        },
        allow_spdk_conf_override: raw.allow_spdk_conf_override.unwrap_or(false),
    })
}

fn is_ini(raw: &RawConfig) -> bool {
    raw.nvme_conf_format == Some(RawDeviceConfigFormat::Ini)
}

fn device_config_format(check: &mut Check<'_>, raw: &RawConfig) -> DeviceConfigFormat {
    if !is_ini(raw) {
        return DeviceConfigFormat::Json;
    }
    check.protect(
        "nvme_conf_format",
        code::CONFIG_INI_WITH_REAL_ENGINE,
        "DAOS 2.8 engines read JSON only",
        "remove `nvme_conf_format: ini`, or set `data_plane: emulated`",
    );
    DeviceConfigFormat::Ini
}

fn engine_restart(check: &mut Check<'_>, raw: &RawConfig) -> EngineRestart {
    let key = "engine_auto_restart_min_delay";
    let delay =
        check.number(key, raw.engine_auto_restart_min_delay, 0..=i64::from(u32::MAX), INVALID);
    EngineRestart {
        enabled: !raw.disable_engine_auto_restart.unwrap_or(false),
        min_delay_s: delay.filter(|delay| *delay != 0).unwrap_or(DEFAULT_ENGINE_RESTART_DELAY_S),
    }
}
