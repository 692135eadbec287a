//! What servers say of their devices beyond the scan of 2.8: driver, origin of the facts, and everything that keeps an engine from
//! using them. Plain values; asked for by scans and proposals.

use std::collections::BTreeMap;

/// The devices of one host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostDevices {
    /// NVMe controllers by PCI address.
    pub controllers: BTreeMap<String, DeviceState>,
    /// Namespaces of persistent memory by block device, e.g. `pmem0`.
    pub namespaces: BTreeMap<String, PmemState>,
    /// What could not be looked at and the scan of 2.8 has no words for.
    pub problems: Vec<String>,
}

/// What is the matter with a controller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceState {
    /// Driver it is bound to; empty for none.
    pub driver: String,
    /// Where model, serial number and namespaces come from, in words.
    pub source: String,
    /// Why its health is not told, in words; empty where it can be read.
    pub health_unreadable: String,
    /// Empty for one that can be used as it is.
    pub obstacles: Vec<Obstacle>,
}

/// What is the matter with a namespace of persistent memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PmemState {
    /// `fsdax`, `devdax`, `sector`, `raw` or `unknown`.
    pub mode: String,
    /// Empty for one that can be used as it is.
    pub obstacles: Vec<Obstacle>,
}

/// A reason why a device cannot be used as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Obstacle {
    /// In words.
    pub text: String,
    /// It ends when the device is listed in a configuration and prepared.
    pub ends_when_configured: bool,
}

impl DeviceState {
    /// Whether it can be used as it is.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.obstacles.is_empty()
    }
}

impl PmemState {
    /// Whether it can be used as it is.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.obstacles.is_empty()
    }
}

/// What keeps a device out of a proposed configuration, in words.
pub(super) fn bars(obstacles: &[Obstacle]) -> Option<String> {
    let lasting = obstacles.iter().filter(|obstacle| !obstacle.ends_when_configured);
    let texts: Vec<&str> = lasting.map(|obstacle| obstacle.text.as_str()).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}
