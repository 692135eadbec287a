//! Who replicates the system: replicas, their ids, and sets of them.
//!
//! Plain values that the store keeps, the log carries and the replicas tell each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::address::ControlAddress;
use crate::error::ReplicaIdSyntaxError;
use crate::store::LogId;

/// Names one replica for as long as its store lives.
///
/// Made at random together with the store and kept in it; it says nothing about the address. A replica whose
/// store was wiped has another id when it comes back at the same address, so nobody takes it for one that still
/// knows what it promised.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct ReplicaId(pub u64);

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<u64> for ReplicaId {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

impl From<ReplicaId> for String {
    fn from(id: ReplicaId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for ReplicaId {
    type Error = ReplicaIdSyntaxError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for ReplicaId {
    type Err = ReplicaIdSyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = u64::from_str_radix(text, 16);
        id.map(Self).map_err(|_| ReplicaIdSyntaxError { text: text.to_owned() })
    }
}

/// One replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Replica {
    /// Which one.
    pub id: ReplicaId,
    /// Where its host's control server listens.
    pub address: ControlAddress,
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.address, self.id)
    }
}

/// All replicas at one point of the log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReplicaSet {
    /// Who votes. One group; two while a change of voters is under way, and then every decision needs a
    /// majority of each. None at all before the replica was added to a system.
    pub voters: Vec<BTreeSet<ReplicaId>>,
    /// Where all of them are, with those that have no vote (learners).
    pub addresses: BTreeMap<ReplicaId, ControlAddress>,
}

impl ReplicaSet {
    /// The set of one voter.
    #[must_use]
    pub fn alone(me: Replica) -> Self {
        Self {
            voters: vec![BTreeSet::from([me.id])],
            addresses: BTreeMap::from([(me.id, me.address)]),
        }
    }

    /// Whether the replica votes, in any of the groups.
    #[must_use]
    pub fn is_voter(&self, id: ReplicaId) -> bool {
        self.voters.iter().any(|group| group.contains(&id))
    }

    /// Whether the replica is one of them.
    #[must_use]
    pub fn contains(&self, id: ReplicaId) -> bool {
        self.addresses.contains_key(&id)
    }

    /// Whether nobody but this replica votes.
    #[must_use]
    pub fn is_lone_voter(&self, id: ReplicaId) -> bool {
        !self.voters.is_empty() && self.voters.iter().flatten().all(|voter| *voter == id)
    }

    /// Whether these replicas are a majority of each group.
    #[must_use]
    pub fn is_quorum(&self, ids: &BTreeSet<ReplicaId>) -> bool {
        let majority =
            |group: &BTreeSet<ReplicaId>| group.intersection(ids).count() * 2 > group.len();
        !self.voters.is_empty() && self.voters.iter().all(majority)
    }

    /// The replicas that vote, in order of their ids.
    #[must_use]
    pub fn voting(&self) -> Vec<Replica> {
        self.listed(true)
    }

    /// The replicas without a vote, in order of their ids.
    #[must_use]
    pub fn learning(&self) -> Vec<Replica> {
        self.listed(false)
    }

    fn listed(&self, voting: bool) -> Vec<Replica> {
        let all = self.addresses.iter().map(|(id, address)| Replica { id: *id, address: *address });
        all.filter(|replica| self.is_voter(replica.id) == voting).collect()
    }
}

/// A set of replicas with the log entry that made it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecordedReplicas {
    /// The entry; `None` when the log has named no replicas yet.
    pub at: Option<LogId>,
    /// The replicas.
    pub set: ReplicaSet,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(groups: &[&[u64]], learners: &[u64]) -> ReplicaSet {
        let voters: Vec<BTreeSet<ReplicaId>> =
            groups.iter().map(|group| group.iter().copied().map(ReplicaId).collect()).collect();
        let all = voters.iter().flatten().copied().chain(learners.iter().copied().map(ReplicaId));
        let address = "10.0.0.1:10001".parse().unwrap();
        let addresses = all.map(|id| (id, address)).collect();
        ReplicaSet { voters, addresses }
    }

    fn ids(ids: &[u64]) -> BTreeSet<ReplicaId> {
        ids.iter().copied().map(ReplicaId).collect()
    }

    #[test]
    fn a_joint_set_needs_a_majority_of_both_groups() {
        let joint = set(&[&[1, 2, 3], &[3, 4, 5]], &[]);
        assert!(joint.is_quorum(&ids(&[2, 3, 4])));
        assert!(!joint.is_quorum(&ids(&[1, 2, 4])), "one of the second group is too few");
        assert!(!ReplicaSet::default().is_quorum(&ids(&[])), "nobody decides nothing");
        assert!(!set(&[&[1, 2]], &[]).is_quorum(&ids(&[1])), "half is no majority");
    }

    #[test]
    fn learners_do_not_vote() {
        let set = set(&[&[1]], &[2]);
        assert!(set.is_lone_voter(ReplicaId(1)) && !set.is_lone_voter(ReplicaId(2)));
        assert!(set.contains(ReplicaId(2)) && !set.is_voter(ReplicaId(2)));
        assert_eq!(set.learning().len(), 1);
        assert!(!set.is_quorum(&ids(&[2])));
    }

    #[test]
    fn ids_are_written_in_sixteen_digits() {
        let id = ReplicaId(0xAB);
        assert_eq!(id.to_string(), "00000000000000ab");
        assert_eq!(id.to_string().parse::<ReplicaId>().unwrap(), id);
        assert!("wrong".parse::<ReplicaId>().is_err());
    }
}
