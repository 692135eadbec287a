//! `EngineDeviceConfig`: what an engine is told about its devices, as one typed value with two text forms.
//!
//! Made from a target, written before the superblock and made anew at start (R150, R151). The forms live in `json`
//! (contract 5.3) and `ini`, the durable file in `file`. Must not look at devices.

mod file;
mod ini;
mod json;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::{BdevTarget, TierDevices};
use crate::{BdevError, FileOwner, PciAddress, Roles};

pub use file::{read, temporary_name, write};

/// Name of the file below the SCM mount or the engine's control metadata directory.
pub const CONFIG_FILE_NAME: &str = "daos_nvme.conf";

/// The longest device name an engine takes, in characters (contract 5.3).
pub const MAX_NAME: usize = 256;

/// Text form of the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigForm {
    /// What DAOS 2.8 engines read.
    #[default]
    Json,
    /// What the seed's SPDK reads: one tier, no roles, no options.
    Ini,
}

impl fmt::Display for ConfigForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ConfigForm {
    /// `JSON` or `INI`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Ini => "INI",
        }
    }
}

/// Where and how a device configuration is written; its mode is 0664.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// The file, mostly `<scm_mount>/daos_nvme.conf`.
    pub path: PathBuf,
    /// Text form.
    pub form: ConfigForm,
    /// Owner.
    pub owner: FileOwner,
}

/// Everything an engine is told about its devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineDeviceConfig {
    /// Host name, part of every device name.
    pub host: String,
    /// Tiers with at least one device, in ascending order.
    pub tiers: Vec<ConfigTier>,
    /// Everything else.
    pub options: EngineOptions,
}

/// One tier as the engine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigTier {
    /// Tier number, from 1.
    pub tier: u32,
    /// Roles.
    pub roles: Roles,
    /// Devices.
    pub devices: ConfigDevices,
}

/// Devices of one tier as the engine sees them: sizes of files and devices are their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigDevices {
    /// NVMe controllers.
    Nvme(Vec<PciAddress>),
    /// Files, blocks of 4096 bytes.
    File(Vec<String>),
    /// Block devices of the kernel, with their own block size.
    Kdev(Vec<String>),
    /// Memory.
    Malloc {
        /// How many.
        count: u32,
        /// Size of each, GiB.
        size_gib: u64,
    },
}

impl ConfigDevices {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Nvme(addresses) => addresses.len(),
            Self::File(paths) | Self::Kdev(paths) => paths.len(),
            Self::Malloc { count, .. } => *count as usize,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What an engine is told besides its devices. The default switches everything off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// Watch for NVMe devices on these buses.
    pub hotplug: Option<BusIdRange>,
    /// Use volume management devices.
    pub vmd: bool,
    /// Sizes of SPDK's buffer pools.
    pub io_buffers: Option<IoBuffers>,
    /// Offload of moves and checksums.
    pub acceleration: Option<Acceleration>,
    /// SPDK's RPC server.
    pub spdk_rpc_server: Option<SpdkRpcServer>,
    /// Automatic eviction of failing devices.
    pub auto_faulty: Option<AutoFaulty>,
}

/// PCI bus numbers, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusIdRange {
    /// First bus.
    pub begin: u8,
    /// Last bus.
    pub end: u8,
}

impl BusIdRange {
    /// The range when none is configured (contract 5.3, sample).
    pub const DEFAULT: Self = Self { begin: 0, end: 7 };
}

/// SPDK's buffer pools; 0 keeps SPDK's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoBuffers {
    /// Small buffers.
    pub small_pool_count: u32,
    /// Large buffers.
    pub large_pool_count: u32,
}

/// Offload of moves and checksums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acceleration {
    /// Library: `spdk` or `dml`.
    #[serde(rename = "accel_engine")]
    pub engine: String,
    /// Moves 1, checksums 2, both 3.
    #[serde(rename = "accel_opts")]
    pub options: u16,
}

/// SPDK's RPC server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpdkRpcServer {
    /// Whether it runs.
    pub enable: bool,
    /// UNIX socket it listens on.
    pub sock_addr: String,
}

/// Automatic eviction of failing devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoFaulty {
    /// Whether it is on.
    pub enable: bool,
    /// I/O errors tolerated.
    pub max_io_errs: u32,
    /// Checksum errors tolerated.
    pub max_csum_errs: u32,
}

impl EngineDeviceConfig {
    /// The configuration for a target.
    ///
    /// # Errors
    /// [`BdevTarget::check`], or [`BdevError::ConfigInexpressible`] for a path that is not UTF-8.
    pub fn from_target(target: &BdevTarget, options: EngineOptions) -> Result<Self, BdevError> {
        target.check()?;
        let tiers = target.tiers.iter().map(|tier| {
            let devices = match &tier.devices {
                TierDevices::Nvme { addresses } => ConfigDevices::Nvme(addresses.clone()),
                TierDevices::File { paths, .. } => ConfigDevices::File(texts(paths)?),
                TierDevices::Kdev { paths } => ConfigDevices::Kdev(texts(paths)?),
                TierDevices::Malloc { count, size_gib } => {
                    ConfigDevices::Malloc { count: *count, size_gib: *size_gib }
                }
            };
            Ok(ConfigTier { tier: tier.tier, roles: tier.roles, devices })
        });
        let tiers: Vec<ConfigTier> = tiers.collect::<Result<_, BdevError>>()?;
        let tiers = tiers.into_iter().filter(|tier| !tier.devices.is_empty()).collect();
        Ok(Self { host: target.host.clone(), tiers, options })
    }

    /// Whether the engine has no block devices, and gets no file (R61).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tiers.is_empty()
    }

    /// The text of the file.
    ///
    /// # Errors
    /// [`BdevError::ConfigInexpressible`] when the form has no words for it.
    pub fn render(&self, form: ConfigForm) -> Result<String, BdevError> {
        match form {
            ConfigForm::Json => json::render(self),
            ConfigForm::Ini => ini::render(self),
        }
    }

    /// Reads the text back, strictly: an unknown field, method or line is an error.
    ///
    /// # Errors
    /// [`BdevError::ConfigInvalid`] naming `path` and what is wrong.
    pub fn parse(text: &str, form: ConfigForm, path: &Path) -> Result<Self, BdevError> {
        let parsed = match form {
            ConfigForm::Json => json::parse(text),
            ConfigForm::Ini => ini::parse(text),
        };
        parsed.map_err(|detail| BdevError::ConfigInvalid { path: path.to_owned(), detail })
    }
}

fn texts(paths: &[PathBuf]) -> Result<Vec<String>, BdevError> {
    let text = |path: &PathBuf| {
        path.to_str().map(str::to_owned).ok_or_else(|| BdevError::ConfigInexpressible {
            form: "text",
            detail: format!("{} is not UTF-8", path.display()),
        })
    };
    paths.iter().map(text).collect()
}

/// `<host>_<index in tier>_<tier>_<role bits>`: from this the engine learns tier and roles.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DeviceName {
    host: String,
    index: u32,
    tier: u32,
    roles: Roles,
}

impl DeviceName {
    /// The part after `Nvme_`, `AIO_` or `Malloc_`. Host names may hold underscores, so it is read from behind.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(4, '_');
        let roles = Roles::try_from(parts.next()?.parse::<u8>().ok()?).ok()?;
        let tier = parts.next()?.parse().ok()?;
        let index = parts.next()?.parse().ok()?;
        let host = parts.next()?.to_owned();
        let name = Self { host, index, tier, roles };
        // Only the canonical spelling: `01` is no index.
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}_{}", self.host, self.index, self.tier, self.roles.bits())
    }
}
