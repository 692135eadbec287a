//! The fabric providers that are known, and on which interfaces each can work. Pure.

use super::error::NetworkError;
use super::observe::{Interface, NetDevClass};

/// A fabric provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provider {
    /// Name in the configuration.
    pub name: &'static str,
    needs: Needs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// An interface with an IP address.
    Address,
    /// An RDMA device.
    Rdma,
    /// An RDMA device whose name begins like this.
    RdmaNamed(&'static str),
    /// Hardware that the kernel shows nowhere; never found by a scan.
    Unseen,
}

/// All of them, the one to prefer first (R71, contract 4.3).
pub const PROVIDERS: &[Provider] = &[
    Provider { name: "ofi+gni", needs: Needs::Unseen },
    Provider { name: "ofi+cxi", needs: Needs::RdmaNamed("cxi") },
    Provider { name: "ofi+psm2", needs: Needs::RdmaNamed("hfi1") },
    Provider { name: "ofi+verbs;ofi_rxm", needs: Needs::Rdma },
    Provider { name: "ofi+verbs", needs: Needs::Rdma },
    Provider { name: "ofi+tcp", needs: Needs::Address },
    Provider { name: "ofi+tcp;ofi_rxm", needs: Needs::Address },
    Provider { name: "ofi+sockets", needs: Needs::Address },
];

impl Provider {
    /// The provider of that name.
    ///
    /// # Errors
    /// [`NetworkError::UnknownProvider`].
    pub fn named(name: &str) -> Result<Self, NetworkError> {
        PROVIDERS
            .iter()
            .find(|provider| provider.name == name)
            .copied()
            .ok_or_else(|| NetworkError::UnknownProvider { name: name.chars().take(64).collect() })
    }

    /// Lower is better.
    #[must_use]
    pub fn priority(self) -> u32 {
        let position = PROVIDERS.iter().position(|provider| provider.name == self.name);
        position.and_then(|position| u32::try_from(position).ok()).unwrap_or(u32::MAX)
    }

    /// The name by which the provider opens the interface (`D_DOMAIN`), or `None` where it does not work on it.
    #[must_use]
    pub fn domain(self, interface: &Interface) -> Option<&str> {
        let rdma = interface.rdma_device.as_deref();
        match self.needs {
            Needs::Address => {
                let reachable =
                    interface.class == NetDevClass::LOOPBACK || !interface.addresses.is_empty();
                (interface.up && reachable).then_some(interface.name.as_str())
            }
            Needs::Rdma => rdma,
            Needs::RdmaNamed(start) => rdma.filter(|device| device.starts_with(start)),
            Needs::Unseen => None,
        }
    }
}

/// All names in one line, comma separated (R71).
#[must_use]
pub fn supported_line() -> String {
    PROVIDERS.iter().map(|provider| provider.name).collect::<Vec<_>>().join(", ")
}
