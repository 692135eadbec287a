//! What came of a format: one outcome per SCM mount, block device and metadata directory (R132, R147).

use std::fmt;

use crate::fault::Fault;

/// The kind of storage that a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StorageMedium {
    /// Control metadata on disk.
    Metadata,
    /// The SCM mount.
    Scm,
    /// A block device.
    Nvme,
}

impl StorageMedium {
    /// Stable lower-case name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Scm => "scm",
            Self::Nvme => "nvme",
        }
    }
}

impl fmt::Display for StorageMedium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why something was left alone. Its text is the info of the row (contract 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The engine's SCM could not be formatted.
    ScmFailed {
        /// Index of the engine.
        engine: u32,
    },
    /// The engine's SCM was formatted before.
    ScmNotFormatted {
        /// Index of the engine.
        engine: u32,
    },
    /// The engine's control metadata could not be formatted.
    MetadataFailed {
        /// Index of the engine.
        engine: u32,
    },
    /// The engine was refused as a whole, because of another row.
    EngineRefused {
        /// Index of the engine.
        engine: u32,
    },
    /// This kind of device has nothing to format; that is success.
    NothingToDo,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScmFailed { engine } => {
                write!(f, "NVMe format skipped on instance {engine}, SCM format failed")
            }
            Self::ScmNotFormatted { engine } => {
                write!(f, "NVMe format skipped on instance {engine}, SCM was not formatted")
            }
            Self::MetadataFailed { engine } => {
                write!(f, "format skipped on instance {engine}, control metadata format failed")
            }
            Self::EngineRefused { engine } => {
                write!(f, "format skipped on instance {engine}, other storage of it was refused")
            }
            Self::NothingToDo => f.write_str("nothing to format on this class of device"),
        }
    }
}

/// What became of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceOutcome {
    /// It was formatted, or adopted as it was.
    Formatted,
    /// It was formatted before and was left alone (fault 101).
    AlreadyFormatted(Fault),
    /// It was left alone.
    Skipped(Skip),
    /// It was refused or failed.
    Failed(Fault),
}

impl DeviceOutcome {
    /// Stable lower-case name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Formatted => "formatted",
            Self::AlreadyFormatted(_) => "already_formatted",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
        }
    }

    /// The info text of the row, as 2.8 words it (contract 7.4): why it was left alone, or what to do.
    #[must_use]
    pub fn info(&self) -> String {
        match self {
            Self::Formatted => String::new(),
            Self::AlreadyFormatted(_) => "SCM is already formatted".to_owned(),
            Self::Skipped(skip) => skip.to_string(),
            Self::Failed(fault) => fault.resolution.clone(),
        }
    }

    /// The fault of a row that has one.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::AlreadyFormatted(fault) | Self::Failed(fault) => Some(fault),
            Self::Formatted | Self::Skipped(_) => None,
        }
    }
}

/// One row of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceReport {
    /// Index of the engine on this host.
    pub engine: u32,
    /// What kind of storage it is.
    pub medium: StorageMedium,
    /// Mount point, directory, device path, file or PCI address; `<nil>` for a row that stands for all block
    /// devices of an engine, as 2.8 has it.
    pub device: String,
    /// Roles of a block device: data 1, meta 2, wal 4 (contract 5.3); 0 for everything else.
    pub role_bits: u8,
    /// What became of it.
    pub outcome: DeviceOutcome,
}

/// The device text of a row that stands for all block devices of an engine (contract 7.4).
pub const NO_DEVICE: &str = "<nil>";

/// What came of one engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineReport {
    /// Index of the engine on this host.
    pub index: u32,
    /// Its rows: metadata, SCM, then block devices in the order of the configuration.
    pub devices: Vec<DeviceReport>,
    /// It was formatted completely, superblock included, and may start.
    pub formatted: bool,
}

impl EngineReport {
    /// Whether any row failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.devices.iter().any(|row| matches!(row.outcome, DeviceOutcome::Failed(_)))
    }
}

/// What came of a format of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatReport {
    /// One entry per engine, in the order of their index.
    pub engines: Vec<EngineReport>,
}

impl FormatReport {
    /// All rows of all engines.
    pub fn rows(&self) -> impl Iterator<Item = &DeviceReport> {
        self.engines.iter().flat_map(|engine| &engine.devices)
    }

    /// Whether any engine has a failed row.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.engines.iter().any(EngineReport::has_failed)
    }

    /// Indices of the engines that may start now.
    #[must_use]
    pub fn ready(&self) -> Vec<u32> {
        self.engines.iter().filter(|engine| engine.formatted).map(|engine| engine.index).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_texts_are_those_of_the_contract() {
        assert_eq!(
            Skip::ScmFailed { engine: 1 }.to_string(),
            "NVMe format skipped on instance 1, SCM format failed"
        );
        assert_eq!(
            Skip::ScmNotFormatted { engine: 0 }.to_string(),
            "NVMe format skipped on instance 0, SCM was not formatted"
        );
        let already = DeviceOutcome::AlreadyFormatted(Fault::new("scm", 101, "", ""));
        assert_eq!(already.info(), "SCM is already formatted");
        assert_eq!(already.fault().map(|fault| fault.code), Some(101));
    }
}
