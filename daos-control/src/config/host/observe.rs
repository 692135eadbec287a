//! Gathers what the rules look at. Changes nothing.

use std::fs;
use std::io;

use super::{DeviceNames, HostFacts, HostMemory};
use crate::config::ServerConfig;
use crate::network;

impl HostFacts {
    /// Looks at this host.
    ///
    /// # Errors
    /// When `/proc/meminfo` or the network cannot be read. What else is missing counts as absent.
    pub fn observe() -> io::Result<Self> {
        let meminfo = fs::read_to_string("/proc/meminfo")?;
        let memory = HostMemory::parse(&meminfo).map_err(io::Error::other)?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let thp = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
        let iommu = fs::read_dir("/sys/class/iommu");
        Ok(Self {
            memory,
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
            is_root: rustix::process::geteuid().is_root(),
            transparent_hugepages: thp.is_ok_and(|text| !text.contains("[never]")),
            iommu: iommu.is_ok_and(|mut entries| entries.next().is_some()),
            network: network::observe().map_err(io::Error::other)?,
            devices: DeviceNames::default(),
        })
    }

    /// The same host, with a look at where the paths of `config` lead.
    #[must_use]
    pub fn with_devices_of(self, config: &ServerConfig) -> Self {
        Self { devices: DeviceNames::observe(config), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::HostFacts;

    #[test]
    fn looks_at_this_host() {
        let facts = HostFacts::observe().unwrap();
        assert!(facts.cores >= 1);
        assert!(facts.memory.total > 0);
        assert_eq!(facts.is_root, rustix::process::geteuid().is_root());
    }
}
