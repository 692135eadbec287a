//! Making the NVMe of many hosts ready for engines, and giving it back (R72-R87).
//!
//! Our own service: a stock server lacks it, and its host then has a fault that says so.

use crate::Fault;
use crate::client::fanout::HostResults;
use crate::client::wire;
use crate::client::{Client, DEFAULT_TIMEOUT};

/// What to make ready on every host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NvmePrepare {
    /// Which controllers.
    pub lists: NvmeReset,
    /// Huge pages over all NUMA nodes of a host; `None`, zero and less are the default (R76).
    pub pages: Option<i64>,
    /// User that will run the engines; `None` for the user of the server.
    pub user: Option<String>,
    /// Bind to uio although VFIO would work.
    pub disable_vfio: bool,
}

/// Which controllers of every host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NvmeReset {
    /// Addresses separated by blanks; `None` for all, and for none when no word is an address (R78-R80).
    pub allow: Option<String>,
    /// Addresses that are left alone.
    pub block: Option<String>,
}

/// What became of one host's NVMe.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreparedNvme {
    /// Controllers in the order of their addresses.
    pub controllers: Vec<PreparedController>,
    /// Huge pages, where they were asked for.
    pub nodes: Vec<PreparedNode>,
    /// What an administrator should know besides, in sentences.
    pub notices: Vec<String>,
}

/// What became of one controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedController {
    /// PCI address.
    pub address: String,
    /// The driver it has now, or why it was not made ready; it is as it was then, unless the fault says otherwise.
    pub driver: Result<String, Fault>,
}

/// Huge pages of one NUMA node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreparedNode {
    /// Number of the node.
    pub node: u32,
    /// Pages of the default size it has now.
    pub hugepages: u64,
}

impl PreparedNvme {
    /// The controllers that were not made ready.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &Fault)> {
        self.controllers.iter().filter_map(|controller| match &controller.driver {
            Ok(_) => None,
            Err(fault) => Some((controller.address.as_str(), fault)),
        })
    }
}

impl Client {
    /// Makes controllers and huge pages of every host ready.
    pub async fn prepare_nvme(&self, ask: &NvmePrepare) -> HostResults<PreparedNvme> {
        self.ask_hosts(DEFAULT_TIMEOUT, |connection| {
            wire::storage::prepare_nvme(connection, ask.clone())
        })
        .await
    }

    /// Gives controllers of every host back to the kernel, and huge pages to the host.
    pub async fn reset_nvme(&self, ask: &NvmeReset) -> HostResults<PreparedNvme> {
        self.ask_hosts(DEFAULT_TIMEOUT, |connection| {
            wire::storage::reset_nvme(connection, ask.clone())
        })
        .await
    }
}
