//! From what was seen to the rows of a network scan. Pure.

use super::error::NetworkError;
use super::observe::{NetDevClass, Network};
use super::provider::{PROVIDERS, Provider};

/// Which providers a scan is about (contract 7.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Every one that works here.
    All,
    /// These, by name.
    Named(Vec<String>),
}

impl Wanted {
    /// What the text of a request means: `all`, one provider, or, when empty, the configured ones. Without any
    /// configured an empty text means all.
    #[must_use]
    pub fn from_request(text: &str, configured: &[String]) -> Self {
        match text.trim() {
            "all" => Self::All,
            "" if configured.is_empty() => Self::All,
            "" => Self::Named(configured.to_vec()),
            one => Self::Named(vec![one.to_owned()]),
        }
    }
}

/// One interface with one provider that works on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FabricInterface {
    /// Provider, e.g. `ofi+tcp`.
    pub provider: String,
    /// Name of the interface.
    pub device: String,
    /// NUMA node.
    pub numa_node: u32,
    /// Lower is better.
    pub priority: u32,
    /// Kind of link.
    pub class: NetDevClass,
}

/// What a scan answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FabricScan {
    /// Rows by NUMA node, priority and name.
    pub interfaces: Vec<FabricInterface>,
    /// Number of NUMA nodes.
    pub numa_nodes: u32,
    /// Physical cores of a node.
    pub cores_per_numa: u32,
}

/// The rows for `wanted` without the interfaces in `excluded`. The loopback interface is never a row.
///
/// # Errors
/// [`NetworkError::UnknownProvider`] for a name that is none.
pub fn rows(
    network: &Network,
    wanted: &Wanted,
    excluded: &[&str],
) -> Result<FabricScan, NetworkError> {
    let providers = match wanted {
        Wanted::All => PROVIDERS.to_vec(),
        Wanted::Named(names) => {
            names.iter().map(|name| Provider::named(name)).collect::<Result<_, _>>()?
        }
    };
    let mut interfaces: Vec<FabricInterface> = network
        .interfaces
        .iter()
        .filter(|interface| interface.class != NetDevClass::LOOPBACK)
        .filter(|interface| !excluded.contains(&interface.name.as_str()))
        .flat_map(|interface| {
            providers.iter().filter(|provider| provider.domain(interface).is_some()).map(
                |provider| FabricInterface {
                    provider: provider.name.to_owned(),
                    device: interface.name.clone(),
                    numa_node: interface.numa_node,
                    priority: provider.priority(),
                    class: interface.class,
                },
            )
        })
        .collect();
    interfaces.sort_by(|a, b| {
        (a.numa_node, a.priority, &a.device).cmp(&(b.numa_node, b.priority, &b.device))
    });
    Ok(FabricScan {
        interfaces,
        numa_nodes: network.numa_nodes,
        cores_per_numa: network.cores_per_numa,
    })
}

/// The name by which an engine opens `interface` with `provider` (`D_DOMAIN`); also for the loopback interface.
/// `None` when there is no such interface or the provider does not work on it.
///
/// # Errors
/// [`NetworkError::UnknownProvider`].
pub fn domain_of(
    network: &Network,
    interface: &str,
    provider: &str,
) -> Result<Option<String>, NetworkError> {
    let provider = Provider::named(provider)?;
    let found = network.interface(interface).and_then(|interface| provider.domain(interface));
    Ok(found.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::{Wanted, domain_of, rows};
    use crate::network::{Interface, NetDevClass, Network};

    fn interface(name: &str, class: NetDevClass, numa_node: u32, rdma: Option<&str>) -> Interface {
        Interface {
            name: name.into(),
            class,
            numa_node,
            up: true,
            addresses: vec![Ipv4Addr::new(10, 0, 0, 1)],
            rdma_device: rdma.map(str::to_owned),
        }
    }

    fn network() -> Network {
        let mut down = interface("eth9", NetDevClass::ETHER, 0, None);
        down.up = false;
        let mut bare = interface("eth8", NetDevClass::ETHER, 0, None);
        bare.addresses.clear();
        Network {
            interfaces: vec![
                interface("eth0", NetDevClass::ETHER, 0, None),
                bare,
                down,
                interface("ib0", NetDevClass::INFINIBAND, 1, Some("mlx5_0")),
                interface("lo", NetDevClass::LOOPBACK, 0, None),
            ],
            numa_nodes: 2,
            cores_per_numa: 4,
        }
    }

    fn names(wanted: &Wanted, excluded: &[&str]) -> Vec<String> {
        let scan = rows(&network(), wanted, excluded).expect("known providers");
        scan.interfaces.iter().map(|row| format!("{}/{}", row.device, row.provider)).collect()
    }

    #[test]
    fn one_row_per_interface_and_provider_without_loopback() {
        let tcp = Wanted::Named(vec!["ofi+tcp".into()]);
        assert_eq!(names(&tcp, &[]), ["eth0/ofi+tcp", "ib0/ofi+tcp"]);
        assert_eq!(names(&tcp, &["eth0"]), ["ib0/ofi+tcp"]);
        let verbs = Wanted::Named(vec!["ofi+verbs;ofi_rxm".into()]);
        assert_eq!(names(&verbs, &[]), ["ib0/ofi+verbs;ofi_rxm"]);
        let all = names(&Wanted::All, &[]);
        assert_eq!(all.first().map(String::as_str), Some("eth0/ofi+tcp"));
        assert_eq!(all.len(), 3 + 5);
    }

    #[test]
    fn an_empty_request_means_what_is_configured() {
        let configured = ["ofi+tcp".to_owned()];
        assert_eq!(Wanted::from_request("", &configured), Wanted::Named(configured.to_vec()));
        assert_eq!(Wanted::from_request("", &[]), Wanted::All);
        assert_eq!(Wanted::from_request(" all ", &configured), Wanted::All);
        assert_eq!(Wanted::from_request("x", &configured), Wanted::Named(vec!["x".into()]));
    }

    #[test]
    fn an_unknown_provider_is_refused_with_the_known_ones() {
        let error =
            rows(&network(), &Wanted::Named(vec!["z".repeat(1000)]), &[]).expect_err("none");
        assert_eq!(error.code(), 1360);
        assert!(error.to_string().len() < 200);
        assert!(error.resolution().contains("ofi+tcp;ofi_rxm"));
    }

    #[test]
    fn engines_open_interfaces_by_their_domain_also_loopback() {
        let domain =
            |interface, provider| domain_of(&network(), interface, provider).expect("known");
        assert_eq!(domain("lo", "ofi+tcp").as_deref(), Some("lo"));
        assert_eq!(domain("ib0", "ofi+verbs;ofi_rxm").as_deref(), Some("mlx5_0"));
        assert_eq!(domain("ib0", "ofi+tcp").as_deref(), Some("ib0"));
        assert_eq!(domain("eth0", "ofi+verbs"), None);
        assert_eq!(domain("nope", "ofi+tcp"), None);
        assert!(domain_of(&network(), "lo", "carrier-pigeon").is_err());
    }
}
