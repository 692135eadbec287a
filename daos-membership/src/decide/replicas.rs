//! Which replicas the management service should have: what an administrator may ask for, and the next steps of the
//! leader towards it. Pure; the leader's task observes, asks this and acts.
//!
//! A host becomes a learner first and a voter when it has what the leader has. Several hosts change in one joint
//! change. A replica is known by its id, never by its address: one that was wiped comes back as another replica.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::address::ControlAddress;
use crate::error::code;
use crate::replica::ReplicaId;

/// The most replicas a system may have: more only make every write slower.
pub const MAX_REPLICAS: usize = 7;

/// Whether an even number of replicas was asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Even {
    /// It is refused: one host more or less survives as much.
    Refuse,
    /// It is accepted.
    Accept,
}

/// Why the wanted replicas are not changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplicasRefused {
    /// No host was named.
    #[error("no host is named")]
    NobodyNamed,
    /// The result would be even.
    #[error("{count} replicas: an even number survives no more losses than {}", count - 1)]
    Even {
        /// How many there would be.
        count: usize,
    },
    /// The result would be too large.
    #[error("{count} replicas are more than {MAX_REPLICAS}")]
    TooMany {
        /// How many there would be.
        count: usize,
    },
    /// A host is one already.
    #[error("{address} is a replica already")]
    Already {
        /// The host.
        address: ControlAddress,
    },
    /// A host is none.
    #[error("{address} is no replica of the management service")]
    NotAReplica {
        /// The host.
        address: ControlAddress,
    },
    /// Nobody would be left to decide.
    #[error("{live} of the {left} replicas that would be left answer, which is no majority")]
    NoLiveMajority {
        /// How many there would be.
        left: usize,
        /// How many of them answer.
        live: usize,
    },
}

impl ReplicasRefused {
    /// Stable number.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::NobodyNamed | Self::Already { .. } | Self::NotAReplica { .. } => {
                code::REPLICAS_NAMED
            }
            Self::Even { .. } => code::REPLICAS_EVEN,
            Self::TooMany { .. } => code::REPLICAS_TOO_MANY,
            Self::NoLiveMajority { .. } => code::REPLICAS_NO_MAJORITY,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn resolution(&self) -> &'static str {
        match self {
            Self::NobodyNamed => "name the hosts that are to be added or removed",
            Self::Even { .. } => {
                "add or remove so many hosts that the number is odd, or give --force-even"
            }
            Self::TooMany { .. } => "remove replicas first with 'dmg system ms remove'",
            Self::Already { .. } | Self::NotAReplica { .. } => {
                "look at 'dmg system ms status' and name the hosts as it shows them"
            }
            Self::NoLiveMajority { .. } => {
                "bring hosts back or add others first; when a majority is lost for good, stop the servers and use \
                 'daos_server ms recover'"
            }
        }
    }
}

/// A replica that takes part, as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taking {
    /// Which one.
    pub id: ReplicaId,
    /// Where its host listens.
    pub address: ControlAddress,
    /// Whether it votes; a learner does not.
    pub voter: bool,
    /// Whether it has stored what the leader has, but for what is on its way.
    pub caught_up: bool,
    /// Whether it answered lately. The leader itself always does.
    pub live: bool,
}

/// What the leader knows when it decides.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The hosts that are to have replicas, as replicated.
    pub wanted: Vec<ControlAddress>,
    /// The replicas that take part.
    pub taking_part: Vec<Taking>,
    /// The replica that a host said it has, where it was asked and has one.
    pub enlisted: BTreeMap<ControlAddress, ReplicaId>,
}

/// What to do next. After each step the leader looks again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Bring a replica up to date, without a vote.
    Learn {
        /// Which one.
        id: ReplicaId,
        /// Where it is.
        address: ControlAddress,
    },
    /// Forget a replica that has no vote and is not wanted.
    Drop {
        /// Which one.
        id: ReplicaId,
    },
    /// Let exactly these vote, in one joint change.
    Vote {
        /// All of them.
        voters: BTreeSet<ReplicaId>,
    },
}

/// The wanted hosts after an administrator added some.
///
/// # Errors
/// See [`ReplicasRefused`].
pub fn add(
    wanted: &[ControlAddress],
    hosts: &[ControlAddress],
    even: Even,
) -> Result<Vec<ControlAddress>, ReplicasRefused> {
    let mut result = wanted.to_vec();
    for address in hosts {
        if result.contains(address) {
            return Err(ReplicasRefused::Already { address: *address });
        }
        result.push(*address);
    }
    let count = result.len();
    match count {
        _ if hosts.is_empty() => Err(ReplicasRefused::NobodyNamed),
        _ if count > MAX_REPLICAS => Err(ReplicasRefused::TooMany { count }),
        _ => odd(count, even).map(|()| result),
    }
}

/// The wanted hosts after an administrator removed some.
///
/// # Errors
/// See [`ReplicasRefused`].
pub fn remove(
    seen: &Seen,
    hosts: &[ControlAddress],
    even: Even,
) -> Result<Vec<ControlAddress>, ReplicasRefused> {
    if hosts.is_empty() {
        return Err(ReplicasRefused::NobodyNamed);
    }
    if let Some(address) = hosts.iter().find(|host| !seen.wanted.contains(host)) {
        return Err(ReplicasRefused::NotAReplica { address: *address });
    }
    let stays = |host: &&ControlAddress| !hosts.contains(host);
    let result: Vec<ControlAddress> = seen.wanted.iter().filter(stays).copied().collect();
    let alive = |host: &&ControlAddress| {
        let voters = seen.taking_part.iter().filter(|replica| replica.voter && replica.live);
        voters.into_iter().any(|replica| replica.address == **host)
    };
    let (left, live) = (result.len(), result.iter().filter(alive).count());
    if live * 2 <= left {
        return Err(ReplicasRefused::NoLiveMajority { left, live });
    }
    odd(left, even).map(|()| result)
}

fn odd(count: usize, even: Even) -> Result<(), ReplicasRefused> {
    match even {
        Even::Refuse if count.is_multiple_of(2) => Err(ReplicasRefused::Even { count }),
        _ => Ok(()),
    }
}

/// The wanted hosts that should be asked which replica they have: those that have none that takes part, and those
/// whose replica is silent, since it may have been wiped.
#[must_use]
pub fn to_enlist(seen: &Seen) -> Vec<ControlAddress> {
    let heard = |address: &&ControlAddress| {
        !seen.taking_part.iter().any(|replica| replica.address == **address && replica.live)
    };
    seen.wanted.iter().filter(heard).copied().collect()
}

/// The next steps towards the wanted replicas; none when there is nothing to do, or nothing to do yet.
#[must_use]
pub fn next(seen: &Seen) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (address, id) in &seen.enlisted {
        let known = seen.taking_part.iter().any(|replica| replica.id == *id);
        if seen.wanted.contains(address) && !known {
            steps.push(Step::Learn { id: *id, address: *address });
        }
    }
    let unwanted = |replica: &&Taking| !replica.voter && !seen.may_stay(replica);
    steps.extend(
        seen.taking_part.iter().filter(unwanted).map(|replica| Step::Drop { id: replica.id }),
    );
    steps.extend(seen.voters().map(|voters| Step::Vote { voters }));
    steps
}

impl Seen {
    /// Whether the host is wanted and has no other replica now, by what it said or by which of them answers.
    fn may_stay(&self, replica: &Taking) -> bool {
        let another = |other: &Taking| {
            other.address == replica.address
                && other.id != replica.id
                && other.live
                && !replica.live
        };
        let replaced = self.enlisted.get(&replica.address).is_some_and(|id| *id != replica.id);
        self.wanted.contains(&replica.address) && !replaced && !self.taking_part.iter().any(another)
    }

    /// The voters there should be, when they differ from those there are and the change can be made.
    fn voters(&self) -> Option<BTreeSet<ReplicaId>> {
        let present: BTreeSet<ReplicaId> = self.ids(|replica| replica.voter);
        let mut voters = self.ids(|replica| replica.voter && self.may_stay(replica));
        let new: Vec<&Taking> = self.ready_learners();
        voters.extend(new.iter().map(|replica| replica.id));
        // A wanted host that is not ready is stood in for, so that a change of hosts never passes through fewer votes:
        // first by its own lost replica, then by one that is to leave.
        let missing: Vec<&ControlAddress> =
            self.wanted.iter().filter(|address| !self.has(&voters, address)).collect();
        let leaves = |replica: &&Taking| replica.voter && !self.may_stay(replica);
        let (lost, leaving): (Vec<&Taking>, Vec<&Taking>) = self
            .taking_part
            .iter()
            .filter(leaves)
            .partition(|replica| missing.contains(&&replica.address));
        let live = leaving.into_iter().filter(|replica| replica.live);
        voters.extend(lost.into_iter().chain(live).take(missing.len()).map(|replica| replica.id));
        self.hold_back(&mut voters, &present, &new);
        let live = self.ids(|replica| replica.live && voters.contains(&replica.id)).len();
        (voters != present && live * 2 > voters.len()).then_some(voters)
    }

    /// While a wanted host is missing, an even number is avoided by leaving one that is ready a learner.
    fn hold_back(
        &self,
        voters: &mut BTreeSet<ReplicaId>,
        present: &BTreeSet<ReplicaId>,
        new: &[&Taking],
    ) {
        let complete = self.wanted.iter().all(|address| self.has(voters, address));
        let grows = voters.len() > present.len();
        if !complete
            && grows
            && voters.len().is_multiple_of(2)
            && let Some(last) = new.last()
        {
            voters.remove(&last.id);
        }
    }

    /// Learners that can vote, in the order in which their hosts are wanted.
    fn ready_learners(&self) -> Vec<&Taking> {
        let at = |address: &ControlAddress| {
            self.taking_part.iter().find(|replica| {
                replica.address == *address
                    && !replica.voter
                    && replica.caught_up
                    && replica.live
                    && self.may_stay(replica)
            })
        };
        self.wanted.iter().filter_map(at).collect()
    }

    fn has(&self, voters: &BTreeSet<ReplicaId>, address: &ControlAddress) -> bool {
        let mut at = self.taking_part.iter().filter(|replica| replica.address == *address);
        at.any(|replica| voters.contains(&replica.id) && self.may_stay(replica))
    }

    fn ids(&self, choose: impl Fn(&Taking) -> bool) -> BTreeSet<ReplicaId> {
        self.taking_part
            .iter()
            .filter(|replica| choose(replica))
            .map(|replica| replica.id)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: u8) -> ControlAddress {
        ControlAddress::new(([10, 0, 0, host], 10001).into())
    }

    fn id(number: u64) -> ReplicaId {
        ReplicaId(number)
    }

    /// A replica on host `host` with the id of the same number, live and up to date.
    fn voter(host: u8) -> Taking {
        Taking { id: id(host.into()), address: at(host), voter: true, caught_up: true, live: true }
    }

    fn learner(host: u8) -> Taking {
        Taking { voter: false, ..voter(host) }
    }

    fn silent(replica: Taking) -> Taking {
        Taking { live: false, ..replica }
    }

    fn behind(replica: Taking) -> Taking {
        Taking { caught_up: false, ..replica }
    }

    fn hosts(hosts: &[u8]) -> Vec<ControlAddress> {
        hosts.iter().map(|host| at(*host)).collect()
    }

    fn seen(wanted: &[u8], taking_part: Vec<Taking>, enlisted: &[(u8, u64)]) -> Seen {
        let enlisted = enlisted.iter().map(|(host, number)| (at(*host), id(*number))).collect();
        Seen { wanted: hosts(wanted), taking_part, enlisted }
    }

    fn vote(numbers: &[u64]) -> Step {
        Step::Vote { voters: numbers.iter().map(|number| id(*number)).collect() }
    }

    fn learn(host: u8, number: u64) -> Step {
        Step::Learn { id: id(number), address: at(host) }
    }

    #[test]
    fn what_is_as_wanted_stays() {
        assert_eq!(next(&seen(&[1], vec![voter(1)], &[])), []);
        let three = vec![voter(1), voter(2), voter(3)];
        assert_eq!(next(&seen(&[1, 2, 3], three.clone(), &[(2, 2)])), []);
        // A voter that is silent keeps its vote: it may come back.
        let one_down = vec![voter(1), voter(2), silent(voter(3))];
        assert_eq!(next(&seen(&[1, 2, 3], one_down, &[])), []);
    }

    #[test]
    fn hosts_that_said_which_replica_they_have_learn_first() {
        let found = seen(&[1, 2, 3], vec![voter(1)], &[(2, 2), (3, 3)]);
        assert_eq!(next(&found), [learn(2, 2), learn(3, 3)]);
        let learning = vec![voter(1), behind(learner(2)), behind(learner(3))];
        assert_eq!(next(&seen(&[1, 2, 3], learning, &[(2, 2), (3, 3)])), []);
    }

    #[test]
    fn several_hosts_begin_to_vote_in_one_change() {
        let ready = vec![voter(1), learner(2), learner(3)];
        assert_eq!(next(&seen(&[1, 2, 3], ready, &[])), [vote(&[1, 2, 3])]);
    }

    #[test]
    fn an_even_number_is_not_passed_through() {
        // One of two hosts is not there yet: two voters would survive less than one.
        let one_ready = vec![voter(1), learner(2)];
        assert_eq!(next(&seen(&[1, 2, 3], one_ready, &[])), []);
        let four = vec![voter(1), voter(2), voter(3), learner(4), behind(learner(5))];
        assert_eq!(next(&seen(&[1, 2, 3, 4, 5], four, &[])), []);
        let three_of_five = vec![voter(1), learner(2), learner(3), behind(learner(4))];
        assert_eq!(next(&seen(&[1, 2, 3, 4, 5], three_of_five, &[])), [vote(&[1, 2, 3])]);
        let four_of_five = vec![voter(1), learner(2), learner(3), learner(4)];
        assert_eq!(next(&seen(&[1, 2, 3, 4, 5], four_of_five, &[])), [vote(&[1, 2, 3])]);
        // It was asked for by name.
        let forced = vec![voter(1), voter(2), voter(3), learner(4)];
        assert_eq!(next(&seen(&[1, 2, 3, 4], forced, &[])), [vote(&[1, 2, 3, 4])]);
    }

    /// A leader that was elected in the middle of a replacement has heard of neither from the host.
    #[test]
    fn of_two_replicas_of_a_host_the_one_that_answers_stays() {
        let new = Taking { id: id(33), ..learner(3) };
        let all = vec![voter(1), voter(2), silent(voter(3)), new.clone()];
        assert_eq!(next(&seen(&[1, 2, 3], all, &[])), [vote(&[1, 2, 33])]);
        let both = vec![voter(1), voter(2), silent(voter(3)), Taking { voter: true, ..new }];
        assert_eq!(next(&seen(&[1, 2, 3], both, &[])), [vote(&[1, 2, 33])]);
    }

    #[test]
    fn a_wiped_replica_is_replaced_by_the_new_one_of_its_host() {
        let wiped = vec![voter(1), voter(2), silent(voter(3))];
        assert_eq!(to_enlist(&seen(&[1, 2, 3], wiped.clone(), &[])), hosts(&[3]));
        let found = seen(&[1, 2, 3], wiped.clone(), &[(3, 33)]);
        assert_eq!(next(&found), [learn(3, 33)]);
        let new = Taking { id: id(33), ..learner(3) };
        let learning = [wiped.clone(), vec![behind(new.clone())]].concat();
        assert_eq!(next(&seen(&[1, 2, 3], learning, &[(3, 33)])), []);
        let learned = [wiped, vec![new]].concat();
        assert_eq!(next(&seen(&[1, 2, 3], learned, &[(3, 33)])), [vote(&[1, 2, 33])]);
    }

    #[test]
    fn a_host_is_removed_and_a_learner_forgotten() {
        let three = vec![voter(1), voter(2), voter(3)];
        assert_eq!(next(&seen(&[1], three.clone(), &[])), [vote(&[1])]);
        // The leader itself may be the one that goes.
        assert_eq!(next(&seen(&[2, 3], three, &[])), [vote(&[2, 3])]);
        let learning = vec![voter(1), learner(2)];
        assert_eq!(next(&seen(&[1], learning, &[])), [Step::Drop { id: id(2) }]);
    }

    #[test]
    fn who_leaves_stands_in_until_the_others_are_there() {
        let three = vec![voter(1), voter(2), voter(3)];
        assert_eq!(next(&seen(&[1, 2, 4], three.clone(), &[])), []);
        let arrived = [three.clone(), vec![learner(4)]].concat();
        assert_eq!(next(&seen(&[1, 2, 4], arrived, &[])), [vote(&[1, 2, 4])]);
        // All hosts change, and one of the new ones is there.
        let begun = [three, vec![learner(4)]].concat();
        assert_eq!(next(&seen(&[4, 5, 6], begun, &[])), [vote(&[1, 2, 4])]);
    }

    #[test]
    fn no_change_leaves_the_silent_a_majority() {
        let down = vec![voter(1), silent(voter(2)), silent(voter(3)), voter(4), voter(5)];
        assert_eq!(next(&seen(&[1, 2, 3], down, &[])), []);
    }

    #[test]
    fn only_silent_and_missing_hosts_are_asked() {
        let some = vec![voter(1), silent(voter(2)), learner(3)];
        assert_eq!(to_enlist(&seen(&[1, 2, 3, 4], some, &[])), hosts(&[2, 4]));
    }

    #[test]
    fn more_replicas_are_odd_and_at_most_seven() {
        let wanted = hosts(&[1]);
        assert_eq!(add(&wanted, &hosts(&[2, 3]), Even::Refuse), Ok(hosts(&[1, 2, 3])));
        assert_eq!(
            add(&wanted, &hosts(&[2]), Even::Refuse),
            Err(ReplicasRefused::Even { count: 2 })
        );
        assert_eq!(add(&wanted, &hosts(&[2]), Even::Accept), Ok(hosts(&[1, 2])));
        let already = ReplicasRefused::Already { address: at(1) };
        assert_eq!(add(&wanted, &hosts(&[2, 1]), Even::Refuse), Err(already));
        assert_eq!(add(&wanted, &[], Even::Accept), Err(ReplicasRefused::NobodyNamed));
        let eight = add(&hosts(&[1, 2, 3, 4, 5, 6, 7]), &hosts(&[8]), Even::Accept);
        assert_eq!(eight, Err(ReplicasRefused::TooMany { count: 8 }));
    }

    #[test]
    fn a_removal_leaves_an_odd_live_majority() {
        let all = || vec![voter(1), voter(2), voter(3), silent(voter(4)), silent(voter(5))];
        let now = seen(&[1, 2, 3, 4, 5], all(), &[]);
        assert_eq!(remove(&now, &hosts(&[4, 5]), Even::Refuse), Ok(hosts(&[1, 2, 3])));
        assert_eq!(
            remove(&now, &hosts(&[4]), Even::Refuse),
            Err(ReplicasRefused::Even { count: 4 })
        );
        assert_eq!(remove(&now, &hosts(&[4]), Even::Accept), Ok(hosts(&[1, 2, 3, 5])));
        let refused = remove(&now, &hosts(&[2, 3]), Even::Refuse);
        assert_eq!(refused, Err(ReplicasRefused::NoLiveMajority { left: 3, live: 1 }));
        let none = remove(&now, &hosts(&[1, 2, 3, 4, 5]), Even::Accept);
        assert_eq!(none, Err(ReplicasRefused::NoLiveMajority { left: 0, live: 0 }));
        let stranger = remove(&now, &hosts(&[6]), Even::Refuse);
        assert_eq!(stranger, Err(ReplicasRefused::NotAReplica { address: at(6) }));
    }
}
