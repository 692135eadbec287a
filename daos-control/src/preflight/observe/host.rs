//! What every start looks at.

use std::fs;
use std::io;

use super::{Roots, modules, names, text};
use crate::config::HostMemory;
use crate::network;
use crate::preflight::{DeviceNames, HostFacts};

/// The switch with which root may use VFIO without an IOMMU.
const NO_IOMMU: &str = "module/vfio/parameters/enable_unsafe_noiommu_mode";

impl HostFacts {
    /// Looks at this host.
    ///
    /// # Errors
    /// When `/proc/meminfo` or the network cannot be read. What else is missing counts as absent.
    pub fn observe() -> io::Result<Self> {
        Self::observe_at(&Roots::default())
    }

    /// Looks at a host whose kernel shows itself elsewhere; then interfaces have no addresses.
    ///
    /// # Errors
    /// As [`HostFacts::observe`].
    pub fn observe_at(roots: &Roots) -> io::Result<Self> {
        let meminfo = fs::read_to_string(roots.proc.join("meminfo"))?;
        let memory = HostMemory::parse(&meminfo).map_err(io::Error::other)?;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let thp = text(&roots.sys.join("kernel/mm/transparent_hugepage/enabled"));
        let uid = rustix::process::geteuid();
        let network = match roots.sys == Roots::default().sys {
            true => network::observe(),
            false => network::observe_at(&roots.sys),
        };
        Ok(Self {
            memory,
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
            is_root: uid.is_root(),
            user: user_name(uid.as_raw()),
            transparent_hugepages: thp.unwrap_or_default(),
            iommu: names(&roots.sys.join("class/iommu")),
            no_iommu_allowed: text(&roots.sys.join(NO_IOMMU)).is_some_and(|value| value == "Y"),
            modules: modules::find(roots),
            // A start raises its own limit as far as this.
            memlock: rustix::process::getrlimit(rustix::process::Resource::Memlock).maximum,
            network: network.map_err(io::Error::other)?,
            devices: DeviceNames::default(),
        })
    }
}

/// The name of a local user, else the number.
fn user_name(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| uid.to_string())
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
        assert!(!facts.user.is_empty() && !facts.modules.release.is_empty());
        assert!(facts.network.interface("lo").is_some());
    }
}
