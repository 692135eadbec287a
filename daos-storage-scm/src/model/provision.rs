//! Requests and results of preparing persistent memory hardware (R133-R137, seed-behaviour 2.2).
//!
//! Only the shapes: no body of this crate has the hardware yet.

use serde::{Deserialize, Serialize};

use super::ScmNamespace;

/// How many namespaces to make of each socket's region: 1 to 4, equal in size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NamespacesPerSocket(u8);

impl NamespacesPerSocket {
    /// `None` outside 1 to 4.
    #[must_use]
    pub fn new(count: u8) -> Option<Self> {
        (1..=4).contains(&count).then_some(Self(count))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for NamespacesPerSocket {
    fn default() -> Self {
        Self(1)
    }
}

/// Make modules usable as block devices: goals, a reboot, namespaces.
#[derive(Debug, Clone, Default)]
pub struct PrepareRequest {
    /// Only this socket; all when `None`.
    pub socket: Option<u32>,
    /// Namespaces per region.
    pub namespaces: NamespacesPerSocket,
}

/// How far preparation came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrepareOutcome {
    /// The host has no modules; nothing was run (E16).
    NoModules,
    /// Goals are set; they take effect at the next reboot, then prepare again.
    RebootRequired,
    /// Namespaces exist, all of them, whoever made them (R135).
    Ready(Vec<ScmNamespace>),
}

/// Undo preparation: namespaces and regions go.
#[derive(Debug, Clone, Default)]
pub struct ResetRequest {
    /// Only this socket; all when `None`.
    pub socket: Option<u32>,
}

/// How far the reset came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetOutcome {
    /// The host has no modules.
    NoModules,
    /// There were no regions (E19).
    AlreadyReset,
    /// Namespaces are gone; the goals take effect at the next reboot.
    RebootRequired,
}
