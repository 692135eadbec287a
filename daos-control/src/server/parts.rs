//! The bodies behind the traits. The usual ones for a configuration, or others a caller brings along.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use daos_storage_nvme::linux::LinuxNvme;
pub use daos_storage_nvme::linux::RECORD_FILE;
use daos_storage_nvme::{BdevClass, BdevProvider};
use daos_storage_scm::ScmProvider;

use crate::config::{DEFAULT_STATE_DIR, ServerConfig};
use crate::fault::Fault;
use crate::supervisor::{EngineUpcalls, ProcessOptions, ProcessSupervisor, Supervisor};

/// Makes the supervisor once it is known who answers the engines.
type MakeSupervisor =
    Box<dyn FnOnce(Arc<dyn EngineUpcalls>) -> Result<Arc<dyn Supervisor>, Fault> + Send>;

/// What a server is built on.
pub struct Parts {
    /// Storage class memory.
    pub scm: Arc<dyn ScmProvider>,
    /// Block devices.
    pub bdev: Arc<dyn BdevProvider>,
    pub(super) supervisor: MakeSupervisor,
    /// Whether engines are programs of this host, so that one must be there.
    pub(super) runs_programs: bool,
}

impl Parts {
    /// Real RAM, files and devices, and engines as child processes.
    #[must_use]
    pub fn of_this_host(config: &ServerConfig) -> Self {
        let options = ProcessOptions::new(
            &config.socket_dir,
            u32::try_from(config.engines.len()).unwrap_or(u32::MAX),
        );
        let (scm, bdev) = providers_of_this_host(&config.state_dir);
        Self {
            scm,
            bdev,
            supervisor: Box::new(move |upcalls| {
                let supervisor = ProcessSupervisor::new(options, upcalls).map_err(Fault::from)?;
                Ok(Arc::new(supervisor))
            }),
            runs_programs: true,
        }
    }

    /// The same with another supervisor, e.g. `SimSupervisor`. No engine program has to be installed then.
    #[must_use]
    pub fn with_supervisor(mut self, supervisor: Arc<dyn Supervisor>) -> Self {
        self.supervisor = Box::new(move |_upcalls| Ok(supervisor));
        self.runs_programs = false;
        self
    }
}

/// The storage of this host: RAM, existing PMem block devices, NVMe controllers, files and kernel block devices. What a prepare
/// changed is remembered in the state directory. A plain user's process also sees what root's prepare remembered at the usual place.
#[must_use]
pub fn providers_of_this_host(state_dir: &Path) -> (Arc<dyn ScmProvider>, Arc<dyn BdevProvider>) {
    let scm = daos_storage_scm::ByClass::new(
        Arc::new(daos_storage_scm::ram::RamScm::new()),
        Arc::new(daos_storage_scm::linux::LinuxScm::new()),
    );
    let nvme = LinuxNvme::new(state_dir);
    let nvme = match rustix::process::geteuid().is_root() {
        true => nvme,
        false => nvme.with_record_of_root(DEFAULT_STATE_DIR),
    };
    #[cfg(feature = "spdk")]
    let nvme = daos_storage_nvme::spdk::SpdkNvme::new(nvme);
    let nvme = Arc::new(nvme);
    (Arc::new(scm), Arc::new(daos_storage_nvme::ByClass::emulated().with(BdevClass::Nvme, nvme)))
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("scm", &self.scm)
            .field("bdev", &self.bdev)
            .finish_non_exhaustive()
    }
}
