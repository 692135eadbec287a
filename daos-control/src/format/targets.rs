//! What may be formatted on this host: the storage of each configured engine, from the validated configuration.
//!
//! Nothing that a client sends ever adds to this list (R146).

use std::path::Path;

use daos_storage_nvme::engine_config::{
    Acceleration, AutoFaulty, BusIdRange, ConfigFile, ConfigForm, EngineDeviceConfig,
    EngineOptions, IoBuffers, SpdkRpcServer,
};
use daos_storage_nvme::{BdevTarget, BdevTier, FileOwner, PciAddress, Role, Roles, TierDevices};
use daos_storage_scm::{RamSpec, ScmParams, ScmTarget};

use crate::config::{
    self, AccelerationEngine, BdevMedia, BdevRole, BdevTier as ConfiguredTier, DataPlane,
    DeviceConfigFormat, EngineConfig, ScmTier, ServerConfig,
};
use crate::fault::Fault;
use crate::start_table::ReplicaRoles;
use crate::superblock::EngineHome;

const GIB: u64 = 1 << 30;

/// The storage of one engine.
#[derive(Debug, Clone)]
pub struct EngineTarget {
    /// Its SCM.
    pub scm: ScmTarget,
    /// Its block devices; no tiers when it has none (R61).
    pub bdev: BdevTarget,
    /// Where its small files lie.
    pub home: EngineHome,
    /// What the engine is told about its block devices.
    pub device_config: EngineDeviceConfig,
    /// Text form of that.
    pub config_form: ConfigForm,
    /// An administrator edits that file by hand: a start leaves it as it is.
    pub keep_device_config: bool,
    /// Its part in the management service, for the log line of a start.
    pub roles: ReplicaRoles,
}

impl EngineTarget {
    /// Index of the engine on this host.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.scm.engine_index()
    }

    /// Where and how the device config is written.
    #[must_use]
    pub fn config_file(&self) -> ConfigFile {
        ConfigFile {
            path: self.home.device_config(),
            form: self.config_form,
            owner: self.bdev.owner,
        }
    }

    /// `control_metadata.path`, when the small files lie on disk.
    #[must_use]
    pub fn metadata_path(&self) -> Option<&Path> {
        match &self.home {
            EngineHome::ScmMount(_) => None,
            EngineHome::ControlMetadata { path, .. } => Some(path),
        }
    }
}

/// The storage of all engines of this host.
#[derive(Debug, Clone)]
pub struct FormatTargets {
    /// Name of the system, written into superblocks.
    pub system: String,
    /// `--recreate-superblocks`.
    pub recreate_superblocks: bool,
    /// RAM disks that do not fit into memory are refused, not only mentioned: with a real engine.
    pub low_memory_refuses: bool,
    /// Engines in the order of their index.
    pub engines: Vec<EngineTarget>,
}

impl FormatTargets {
    /// The targets of a configuration; `host` goes into the names of block devices (contract 5.3), `roles` says
    /// what engine 0 is to the management service.
    ///
    /// # Errors
    /// A fault of the storage library for parameters that cannot be used, or 1252 for control metadata on a
    /// device.
    pub fn from_config(
        config: &ServerConfig,
        host: &str,
        roles: ReplicaRoles,
    ) -> Result<Self, Fault> {
        let metadata = config.control_metadata.as_ref();
        if let Some(device) = metadata.and_then(|metadata| metadata.device.as_ref()) {
            return Err(Fault::new(
                "controlmetadata",
                1252,
                format!("control metadata on device {} is not supported", device.display()),
                "mount the device yourself and set control_metadata.path without device",
            ));
        }
        let path = metadata.map(|metadata| metadata.path.as_path());
        let target = |engine: &EngineConfig| {
            let bdev = bdev_target(engine, host)?;
            let device_config = EngineDeviceConfig::from_target(&bdev, options(config, engine))
                .map_err(|error| super::faults::of_bdev(&error))?;
            Ok(EngineTarget {
                scm: scm_target(engine, config.data_plane)?,
                bdev,
                device_config,
                config_form: match config.device_config_format {
                    DeviceConfigFormat::Json => ConfigForm::Json,
                    DeviceConfigFormat::Ini => ConfigForm::Ini,
                },
                keep_device_config: metadata.is_some_and(|md| md.allow_spdk_conf_override),
                home: EngineHome::of(engine.index, engine.scm.mount(), path),
                roles: if engine.index == 0 { roles } else { ReplicaRoles::default() },
            })
        };
        Ok(Self {
            system: config.name.clone(),
            recreate_superblocks: config.recreate_superblocks,
            low_memory_refuses: config.data_plane == DataPlane::Engine,
            engines: config.engines.iter().map(target).collect::<Result<_, Fault>>()?,
        })
    }

    /// The target of one engine.
    #[must_use]
    pub fn engine(&self, index: u32) -> Option<&EngineTarget> {
        self.engines.iter().find(|target| target.index() == index)
    }
}

fn scm_target(engine: &EngineConfig, data_plane: DataPlane) -> Result<ScmTarget, Fault> {
    let mut params = ScmParams { engine_index: engine.index, ..ScmParams::default() };
    match &engine.scm {
        ScmTier::Ram { mount, size_gib, hugepages_disabled } => {
            params.mount_point = mount.clone();
            params.ram = Some(RamSpec {
                size_bytes: (*size_gib > 0).then(|| u64::from(*size_gib) * GIB),
                numa: engine.pinned_numa_node,
                // The stand-in data plane never asks for huge pages.
                hugepages: !hugepages_disabled && data_plane == DataPlane::Engine,
                ..RamSpec::default()
            });
        }
        ScmTier::Dcpm { mount, device } => {
            params.mount_point = mount.clone();
            params.devices = Some(vec![device.clone()]);
        }
    }
    ScmTarget::from_params(params).map_err(|error| super::faults::of_scm(&error))
}

fn options(config: &ServerConfig, engine: &EngineConfig) -> EngineOptions {
    let bus_ids = engine.bdevs.iter().find_map(|tier| match &tier.media {
        BdevMedia::Nvme { bus_ids, .. } => *bus_ids,
        _ => None,
    });
    let range = bus_ids
        .map_or(BusIdRange::DEFAULT, |range| BusIdRange { begin: range.first, end: range.last });
    let nvme = engine.has_nvme();
    EngineOptions {
        hotplug: (config.nvme.hotplug && nvme).then_some(range),
        vmd: nvme && !config.nvme.disable_vmd,
        io_buffers: engine.io_buffers.map(|buffers| IoBuffers {
            small_pool_count: buffers.small_pool_count,
            large_pool_count: buffers.large_pool_count,
        }),
        acceleration: acceleration(&engine.acceleration),
        spdk_rpc_server: engine.spdk_rpc_server.as_ref().map(|server| SpdkRpcServer {
            enable: server.enable,
            sock_addr: server.sock_addr.clone(),
        }),
        auto_faulty: engine.auto_faulty.map(|faulty| AutoFaulty {
            enable: faulty.enable,
            max_io_errs: faulty.max_io_errs,
            max_csum_errs: faulty.max_csum_errs,
        }),
    }
}

/// Told to the engine only when there is something to offload (contract 5.3).
fn acceleration(wanted: &config::Acceleration) -> Option<Acceleration> {
    let engine = match wanted.engine {
        AccelerationEngine::None => return None,
        AccelerationEngine::Spdk => "spdk",
        AccelerationEngine::Dml => "dml",
    };
    let options = u16::from(wanted.moves) | (u16::from(wanted.crc) << 1);
    (options != 0).then(|| Acceleration { engine: engine.to_owned(), options })
}

fn bdev_target(engine: &EngineConfig, host: &str) -> Result<BdevTarget, Fault> {
    let tiers: Result<Vec<BdevTier>, Fault> = engine.bdevs.iter().map(bdev_tier).collect();
    let target = BdevTarget {
        engine: engine.index,
        host: host.to_owned(),
        owner: FileOwner::current(),
        tiers: tiers?,
    };
    target.check().map_err(|error| super::faults::of_bdev(&error))?;
    Ok(target)
}

fn bdev_tier(tier: &ConfiguredTier) -> Result<BdevTier, Fault> {
    let role = |role: &BdevRole| match role {
        BdevRole::Data => Role::Data,
        BdevRole::Meta => Role::Meta,
        BdevRole::Wal => Role::Wal,
    };
    let devices = match &tier.media {
        BdevMedia::Nvme { addresses, .. } => TierDevices::Nvme {
            addresses: addresses
                .iter()
                .map(|text| text.parse::<PciAddress>())
                .collect::<Result<_, _>>()
                .map_err(|error| super::faults::of_bdev(&error))?,
        },
        BdevMedia::File { paths, size_gib } => {
            TierDevices::File { paths: paths.clone(), size_gib: u64::from(*size_gib) }
        }
        BdevMedia::Kdev { devices } => TierDevices::Kdev { paths: devices.clone() },
        BdevMedia::Malloc { count, size_gib } => {
            TierDevices::Malloc { count: *count, size_gib: u64::from(*size_gib) }
        }
    };
    Ok(BdevTier { tier: tier.tier, roles: tier.roles.iter().map(role).collect::<Roles>(), devices })
}
