//! The group map as peers exchange it: who belongs to the group, in which start, and where it listens.
//!
//! Pure. Made from what the server tells (`from_update`) or from what a peer sent (`message`).

use std::net::SocketAddr;

use daos_control::drpc::GroupUpdate;

/// One engine of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its rank.
    pub rank: u32,
    /// Which start of it is meant.
    pub incarnation: u64,
    /// Where it listens; `None` when its URI names no IP address and port.
    pub address: Option<SocketAddr>,
}

/// All engines of the group at one version, in order of their ranks, each rank once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerMap {
    version: u32,
    members: Vec<Member>,
}

impl PeerMap {
    /// A map; of a rank that is named twice the last entry counts.
    pub fn new(version: u32, mut members: Vec<Member>) -> Self {
        members.reverse();
        members.sort_by_key(|member| member.rank);
        members.dedup_by_key(|member| member.rank);
        members.shrink_to_fit();
        Self { version, members }
    }

    /// What the server told.
    pub fn from_update(update: &GroupUpdate) -> Self {
        let members = update.members.iter().map(|member| Member {
            rank: member.rank,
            incarnation: member.incarnation,
            address: address_of(&member.uri),
        });
        Self::new(update.map_version, members.collect())
    }

    /// Its version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The engines in order of their ranks.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The engine with this rank.
    pub fn member(&self, rank: u32) -> Option<&Member> {
        self.members.get(self.position(rank)?)
    }

    /// Where in the order of ranks this one stands.
    pub fn position(&self, rank: u32) -> Option<usize> {
        self.members.binary_search_by_key(&rank, |member| member.rank).ok()
    }
}

/// The socket address in `<provider>://<address>:<port>`.
fn address_of(uri: &str) -> Option<SocketAddr> {
    let (_, place) = uri.split_once("://")?;
    let address: SocketAddr = place.parse().ok()?;
    (address.port() != 0 && !address.ip().is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_uris_of_providers() {
        for (uri, address) in [
            ("ofi+tcp://127.0.0.1:31416", Some("127.0.0.1:31416")),
            ("ofi+verbs;ofi_rxm://10.0.0.1:20000", Some("10.0.0.1:20000")),
            ("ofi+tcp://[fd00::1]:5", Some("[fd00::1]:5")),
            ("ofi+tcp://127.0.0.1:0", None),
            ("ofi+tcp://0.0.0.0:5", None),
            ("u0", None),
            ("ofi+tcp://host:5", None),
        ] {
            assert_eq!(address_of(uri), address.map(|text| text.parse().unwrap()), "{uri}");
        }
    }

    #[test]
    fn members_stand_in_the_order_of_ranks_and_each_once() {
        let member = |rank, incarnation| Member { rank, incarnation, address: None };
        let map = PeerMap::new(3, vec![member(7, 1), member(2, 1), member(7, 5)]);
        assert_eq!(map.members(), [member(2, 1), member(7, 5)]);
        assert_eq!((map.position(7), map.position(3)), (Some(1), None));
        assert_eq!(map.member(7), Some(&member(7, 5)));
    }
}
