//! What stays the same through one run: who is there, the disks, the record. Shared by everything in the run.

use std::sync::Arc;
use std::time::Duration;

use daos_control::client::HostAddr;
use daos_membership::ControlAddress;
use daos_membership::decide::damping::Damping;
use uuid::Uuid;

use super::disk::HostDisk;
use super::message::address_of;
use super::network::HostId;
use super::options::Sabotage;
use super::record::Record;

/// Window of hosts that have a replica: their messages take at least so long.
pub const REPLICA_WINDOW: Duration = Duration::from_millis(2);
/// Window of all other hosts.
pub const OTHER_WINDOW: Duration = Duration::from_millis(10);
/// Hosts beside the configured replicas that may become one.
pub const SPARE_REPLICAS: usize = 2;

/// The setting of one run.
#[derive(Debug)]
pub struct Setting {
    /// From which everything follows.
    pub seed: u64,
    /// Configured replicas; the first hosts.
    pub replicas: usize,
    /// Hosts with engines.
    pub hosts: usize,
    /// Engines of each host.
    pub engines: u32,
    /// The identity the system gets.
    pub system: Uuid,
    /// Their disks.
    pub disks: Vec<HostDisk>,
    /// What has been seen.
    pub record: Arc<Record>,
    /// What is wrong on purpose.
    pub sabotage: Option<Sabotage>,
}

impl Setting {
    /// The disk of a host.
    #[must_use]
    pub fn disk(&self, host: HostId) -> HostDisk {
        self.disks.get(host).cloned().unwrap_or_default()
    }

    /// Whether the configuration names a host as a replica.
    #[must_use]
    pub fn is_listed(&self, host: HostId) -> bool {
        host < self.replicas
    }

    /// Where the configured replicas are.
    #[must_use]
    pub fn replica_addresses(&self) -> Vec<HostAddr> {
        let texts = (0..self.replicas).map(|host| address_of(host).to_string());
        texts.filter_map(|text| HostAddr::parse(&text).ok()).collect()
    }

    /// The same, as the system knows them.
    pub fn listed(&self) -> impl Iterator<Item = ControlAddress> {
        (0..self.replicas).map(|host| ControlAddress::new(address_of(host).into()))
    }

    /// How many deaths are believed at once: as by default, or with a shorter memory so that runs are shorter.
    #[must_use]
    pub fn damping(&self) -> Damping {
        let window = if self.seed.is_multiple_of(5) { 60 } else { 8 };
        Damping { window: Duration::from_secs(window), ..Damping::default() }
    }

    /// A host's fault domain: four hosts in a rack.
    #[must_use]
    pub fn fault_domain(&self, host: HostId) -> String {
        format!("/rack{}/host{host}", host / 4)
    }

    /// The window of a host.
    #[must_use]
    pub fn window(&self, host: HostId) -> Duration {
        if host < self.replicas + SPARE_REPLICAS { REPLICA_WINDOW } else { OTHER_WINDOW }
    }
}
