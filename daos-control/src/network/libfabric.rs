//! What libfabric offers on this host, where it is installed; it knows which providers were built and work. Never needed: without it a
//! scan goes by what the kernel shows.

use std::collections::BTreeSet;

use super::ffi;
use super::observe::Network;
use super::provider::Provider;
use super::rows::FabricScan;

/// What the library offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Version of the library, major and minor.
    pub version: (u32, u32),
    /// Provider in the library's words, and the name by which it opens an interface.
    ways: BTreeSet<(String, String)>,
}

impl Offered {
    /// Asks the library; `None` where it is not installed or offers nothing, so that the kernel's word is all there is. May take a
    /// moment the first time: providers look at their hardware.
    #[must_use]
    pub fn observe() -> Option<Self> {
        let answer = ffi::ask()?;
        match answer.ways {
            Ok(ways) if !ways.is_empty() => Some(Self::new(answer.version, ways)),
            Ok(_) => None,
            Err(status) => {
                tracing::warn!(
                    status,
                    "libfabric does not say what it offers; going by what the kernel shows"
                );
                None
            }
        }
    }

    fn new(version: (u32, u32), ways: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { version, ways: ways.into_iter().collect() }
    }

    fn has(&self, provider: &str, domain: &str) -> bool {
        let name = provider.strip_prefix("ofi+").unwrap_or(provider);
        self.ways.iter().any(|(offered, at)| offered == name && at == domain)
    }
}

/// Keeps the rows that libfabric offers as well.
#[must_use]
pub fn offered_only(mut scan: FabricScan, network: &Network, offered: &Offered) -> FabricScan {
    scan.interfaces.retain(|row| {
        let interface = network.interface(&row.device);
        let domain =
            Provider::named(&row.provider).ok().and_then(|provider| provider.domain(interface?));
        domain.is_some_and(|domain| offered.has(&row.provider, domain))
    });
    scan
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::{Offered, offered_only};
    use crate::network::{Interface, NetDevClass, Network, Wanted, rows};

    #[test]
    fn r71_what_libfabric_does_not_offer_is_no_row() {
        let interface = Interface {
            name: "ib0".into(),
            class: NetDevClass::INFINIBAND,
            numa_node: 0,
            up: true,
            addresses: vec![Ipv4Addr::new(10, 0, 0, 1)],
            rdma_device: Some("mlx5_0".into()),
        };
        let network = Network { interfaces: vec![interface], numa_nodes: 1, cores_per_numa: 1 };
        let way = |provider: &str, domain: &str| (provider.to_owned(), domain.to_owned());
        let offered = Offered::new(
            (1, 20),
            [
                way("verbs;ofi_rxm", "mlx5_0"),
                way("tcp", "ib0"),
                way("verbs", "mlx5_1"),
                way("shm", "shm"),
            ],
        );
        let all = rows(&network, &Wanted::All, &[]).expect("known");
        let kept = offered_only(all, &network, &offered);
        let names: Vec<&str> = kept.interfaces.iter().map(|row| row.provider.as_str()).collect();
        assert_eq!(names, ["ofi+verbs;ofi_rxm", "ofi+tcp"]);
    }

    /// Where it is installed, it offers TCP on the loopback interface; where not, nothing fails.
    #[test]
    fn the_installed_library_is_asked() {
        match Offered::observe() {
            Some(offered) => {
                assert!(offered.version >= (1, 5), "{offered:?}");
                assert!(
                    offered.has("ofi+tcp", "lo") || offered.has("ofi+sockets", "lo"),
                    "{offered:?}"
                );
                assert_eq!(Offered::observe(), Some(offered), "a second time");
            }
            None => println!("skipped: needs libfabric"),
        }
    }
}
