//! What the handlers work with: the rest of the server, by handle. Filled in by `server`.

use std::sync::Arc;

use daos_storage_nvme::BdevProvider;
use daos_storage_scm::ScmProvider;

use crate::config::ServerConfig;
use crate::engine::Engines;
use crate::format::FormatService;
use crate::management::{Management, ManagementKeeper};
use crate::network::Network;
use crate::preflight::ConfigKeys;
use crate::system_ops::SystemOps;

/// Everything a handler may call; cheap to clone.
#[derive(Debug, Clone)]
pub struct Node {
    /// The validated configuration.
    pub config: Arc<ServerConfig>,
    /// Where its keys stand.
    pub keys: Arc<ConfigKeys>,
    /// Interfaces of this host, as at the start.
    pub network: Network,
    /// Storage class memory.
    pub scm: Arc<dyn ScmProvider>,
    /// Block devices.
    pub bdev: Arc<dyn BdevProvider>,
    /// Formats of this host.
    pub format: FormatService,
    /// Engines of this host.
    pub engines: Engines,
    /// The management service, as far as it is here.
    pub management: Management,
    /// Its life: for erase.
    pub keeper: ManagementKeeper,
    /// Operations on the ranks of the system; drained when the server ends.
    pub operations: SystemOps,
}
