//! The failure detector: who is probed when, who is suspected, who is given up.
//!
//! Pure and deterministic: time is an argument (since any start), chance comes from a seed, what is to be done comes
//! back as orders. Driven by `node` over TCP and by the tests over a simulated network. Knows no socket.
//!
//! Each period one peer is probed, in an order that is shuffled anew for each round. One that does not answer is probed
//! through two others, then suspected; what is suspected is told on with every message, and the suspect contradicts
//! by raising its pulse. When the time of suspicion is over it is probed once more, and only one that does not answer
//! then either is given up: no engine gives up a peer on hearsay.

mod chance;
mod rumors;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::map::PeerMap;
use super::message::{Claim, Greeting, Rumor};
use chance::{Chance, Rotation};
use rumors::Rumors;

/// Peers asked to probe one that did not answer.
const HELPERS: usize = 2;

/// The times of the detector, with the environment variables that real engines read, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// `SWIM_PROTOCOL_PERIOD_LEN`: a peer is probed so often. Default 1 s.
    pub period: Duration,
    /// `SWIM_PING_TIMEOUT`: how long it may take to answer. Default 1.9 s.
    pub ping: Duration,
    /// `SWIM_SUSPECT_TIMEOUT`: how long it is suspected before it is given up. Default 20 s.
    pub suspect: Duration,
}

impl Default for Times {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self { period: ms(1000), ping: ms(1900), suspect: ms(20_000) }
    }
}

/// What the driver is to do. Every numbered order is answered once, by `answered`, `relayed` or `failed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Ask a peer whether it is there.
    Ping {
        /// Number of the order.
        number: u64,
        /// The peer.
        rank: u32,
        /// Where it listens.
        address: SocketAddr,
    },
    /// Ask a peer whether another is there.
    Relay {
        /// Number of the order.
        number: u64,
        /// The peer that is asked.
        helper: u32,
        /// Where it listens.
        address: SocketAddr,
        /// The other.
        target: u32,
    },
    /// A peer was given up, or answered again after that.
    Tell {
        /// The peer.
        rank: u32,
        /// Its start.
        incarnation: u64,
        /// Whether it is given up.
        dead: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Alive,
    /// Until when; `None` while it is probed for the last time.
    Suspect(Option<Duration>),
    Dead,
}

#[derive(Debug)]
struct Peer {
    address: Option<SocketAddr>,
    incarnation: u64,
    pulse: u32,
    health: Health,
    probed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    rank: u32,
    direct: bool,
}

/// The detector of one engine.
#[derive(Debug)]
pub struct Swim {
    times: Times,
    system: String,
    rank: u32,
    incarnation: u64,
    pulse: u32,
    map_version: u32,
    peers: BTreeMap<u32, Peer>,
    rotation: Rotation,
    suspects: Rotation,
    chance: Chance,
    rumors: Rumors,
    /// Orders under way, by number.
    orders: BTreeMap<u64, Probe>,
    /// Relays under way, by the rank they are about.
    relays: BTreeMap<u32, usize>,
    next_number: u64,
    next_period: Duration,
}

impl Swim {
    /// The detector of an engine that knows no peer yet; the same seed gives the same choices.
    pub fn new(times: Times, system: &str, rank: u32, incarnation: u64, seed: u64) -> Self {
        Self {
            times,
            system: system.to_owned(),
            rank,
            incarnation,
            pulse: 0,
            map_version: 0,
            peers: BTreeMap::new(),
            rotation: Rotation::default(),
            suspects: Rotation::default(),
            chance: Chance::new(seed),
            rumors: Rumors::default(),
            orders: BTreeMap::new(),
            relays: BTreeMap::new(),
            next_number: 1,
            next_period: Duration::ZERO,
        }
    }

    /// Takes a newer map: who is gone is forgotten, who started anew counts as alive.
    pub fn adopt(&mut self, map: &PeerMap, now: Duration) {
        let begins = self.peers.is_empty();
        self.map_version = map.version();
        let mut before = std::mem::take(&mut self.peers);
        for member in map.members().iter().filter(|member| member.rank != self.rank) {
            let known = before.remove(&member.rank);
            let peer = match known.filter(|peer| peer.incarnation == member.incarnation) {
                Some(peer) => Peer { address: member.address, ..peer },
                None => Peer {
                    address: member.address,
                    incarnation: member.incarnation,
                    pulse: 0,
                    health: Health::Alive,
                    probed: false,
                },
            };
            self.peers.insert(member.rank, peer);
        }
        let peers = &self.peers;
        self.rumors.retain(|rumor| {
            let peer = peers.get(&rumor.rank);
            rumor.rank == self.rank
                || peer.is_some_and(|peer| peer.incarnation == rumor.incarnation)
        });
        // What is under way about an earlier start says nothing about the present one.
        self.orders.retain(|_, probe| peers.get(&probe.rank).is_some_and(|peer| peer.probed));
        self.relays.retain(|rank, _| peers.get(rank).is_some_and(|peer| peer.probed));
        let reachable = peers.iter().filter(|(_, peer)| peer.address.is_some());
        self.rotation.set(reachable.map(|(rank, _)| *rank).collect());
        if begins {
            // Engines that learn of each other together do not all probe in the same instant.
            self.next_period = now + self.chance.part_of(self.times.period);
        }
    }

    /// What goes at the head of a message to `to`, which always hears what is held against it.
    pub fn greeting(&mut self, to: Option<u32>) -> Greeting {
        let accused = to.and_then(|rank| Some((rank, self.peers.get(&rank)?)));
        let accused = accused.and_then(|(rank, peer)| {
            let claim = match peer.health {
                Health::Alive => return None,
                Health::Suspect(_) => Claim::Suspect,
                Health::Dead => Claim::Dead,
            };
            Some(Rumor { rank, incarnation: peer.incarnation, pulse: peer.pulse, claim })
        });
        Greeting {
            system: self.system.clone(),
            rank: self.rank,
            incarnation: self.incarnation,
            pulse: self.pulse,
            map_version: self.map_version,
            rumors: self.rumors.some(accused, self.peers.len()),
        }
    }

    /// When [`Swim::tick`] is wanted next.
    pub fn due(&self) -> Duration {
        let over = self.peers.values().filter_map(|peer| match peer.health {
            Health::Suspect(until) if peer.address.is_some() => until,
            _ => None,
        });
        over.min().map_or(self.next_period, |until| until.min(self.next_period))
    }

    /// Time has passed. One who comes much too late was itself halted, and gives everybody that time.
    pub fn tick(&mut self, now: Duration) -> Vec<Order> {
        let late = now.saturating_sub(self.due());
        if late > self.times.period {
            for peer in self.peers.values_mut() {
                if let Health::Suspect(Some(until)) = &mut peer.health {
                    *until += late;
                }
            }
        }
        let mut orders = Vec::new();
        let over = |peer: &Peer| {
            let over = matches!(peer.health, Health::Suspect(Some(until)) if until <= now);
            over && peer.address.is_some()
        };
        let last = self.peers.iter().filter(|(_, peer)| over(peer));
        for rank in last.map(|(rank, _)| *rank).collect::<Vec<_>>() {
            if let Some(peer) = self.peers.get_mut(&rank) {
                peer.health = Health::Suspect(None);
            }
            // One that is under way is as good.
            self.probe(rank, &mut orders);
        }
        if now >= self.next_period {
            self.next_period = now + self.times.period;
            if let Some(rank) = self.rotation.next(&mut self.chance) {
                self.probe(rank, &mut orders);
            }
            let suspects = self.peers.iter().filter(|(_, peer)| {
                matches!(peer.health, Health::Suspect(_)) && peer.address.is_some()
            });
            self.suspects.set(suspects.map(|(rank, _)| *rank).collect());
            if let Some(rank) = self.suspects.next(&mut self.chance) {
                self.probe(rank, &mut orders);
            }
        }
        orders
    }

    /// Somebody spoke, in a question or in an answer.
    pub fn heard(&mut self, from: &Greeting) -> Vec<Order> {
        let mut orders = Vec::new();
        self.lives(from.rank, from.incarnation, from.pulse, &mut orders);
        for rumor in &from.rumors {
            self.take(*rumor, &mut orders);
        }
        orders
    }

    /// The peer of a ping answered. Whether it is the one that was meant is for this to see.
    pub fn answered(&mut self, number: u64, from: &Greeting) -> Vec<Order> {
        let Some(Probe { rank, .. }) = self.orders.get(&number).copied() else {
            return self.heard(from);
        };
        let expected = self.peers.get(&rank).map(|peer| peer.incarnation);
        // A newer start lives as well; the map that names it is on its way.
        if from.rank != rank || expected.is_some_and(|oldest| from.incarnation < oldest) {
            return self.failed(number);
        }
        self.orders.remove(&number);
        self.settle(rank);
        let mut orders = Vec::new();
        self.lives(rank, expected.unwrap_or(from.incarnation), from.pulse, &mut orders);
        orders.extend(self.heard(from));
        orders
    }

    /// The helper answered: start and pulse of the target, if that answered the helper.
    pub fn relayed(
        &mut self,
        number: u64,
        from: &Greeting,
        reached: Option<(u64, u32)>,
    ) -> Vec<Order> {
        let mut orders = self.heard(from);
        let rank = self.orders.get(&number).map(|probe| probe.rank);
        let oldest = rank.and_then(|rank| self.peers.get(&rank)).map(|peer| peer.incarnation);
        match (rank, oldest, reached) {
            (Some(rank), Some(oldest), Some((incarnation, pulse))) if incarnation >= oldest => {
                self.orders.remove(&number);
                self.settle(rank);
                self.lives(rank, oldest, pulse, &mut orders);
            }
            _ => orders.extend(self.failed(number)),
        }
        orders
    }

    /// There was no answer in time, or none that counts.
    pub fn failed(&mut self, number: u64) -> Vec<Order> {
        let mut orders = Vec::new();
        let Some(Probe { rank, direct }) = self.orders.remove(&number) else { return orders };
        if direct {
            if self.peers.get(&rank).is_some_and(|peer| peer.health != Health::Dead) {
                self.ask_others(rank, &mut orders);
            }
            if orders.is_empty() {
                self.silent(rank, &mut orders);
            }
            return orders;
        }
        let left = self.relays.get_mut(&rank).map_or(0, |left| {
            *left = left.saturating_sub(1);
            *left
        });
        if left == 0 && self.relays.remove(&rank).is_some() {
            self.silent(rank, &mut orders);
        }
        orders
    }

    /// The rank of this engine.
    pub fn rank(&self) -> u32 {
        self.rank
    }

    /// Where a peer listens.
    pub fn address(&self, rank: u32) -> Option<SocketAddr> {
        self.peers.get(&rank)?.address
    }
}

/// The inner rules.
impl Swim {
    fn probe(&mut self, rank: u32, orders: &mut Vec<Order>) {
        let Some(peer) = self.peers.get_mut(&rank) else { return };
        let Some(address) = peer.address.filter(|_| !peer.probed) else { return };
        peer.probed = true;
        let number = self.number(Probe { rank, direct: true });
        orders.push(Order::Ping { number, rank, address });
    }

    fn number(&mut self, probe: Probe) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.orders.insert(number, probe);
        number
    }

    fn ask_others(&mut self, target: u32, orders: &mut Vec<Order>) {
        let able = self.peers.iter().filter_map(|(rank, peer)| {
            let able = *rank != target && peer.health == Health::Alive;
            able.then_some((*rank, peer.address?))
        });
        let helpers = self.chance.some(able.collect(), HELPERS);
        if !helpers.is_empty() {
            self.relays.insert(target, helpers.len());
        }
        for (helper, address) in helpers {
            let number = self.number(Probe { rank: target, direct: false });
            orders.push(Order::Relay { number, helper, address, target });
        }
    }

    /// A probe of this peer has ended well: what is still under way about it counts no more.
    fn settle(&mut self, rank: u32) {
        self.relays.remove(&rank);
        self.orders.retain(|_, probe| probe.rank != rank);
        if let Some(peer) = self.peers.get_mut(&rank) {
            peer.probed = false;
        }
    }

    /// There is evidence that a peer lived with this pulse.
    fn lives(&mut self, rank: u32, incarnation: u64, pulse: u32, orders: &mut Vec<Order>) {
        let Some(peer) = self.peers.get_mut(&rank) else { return };
        if peer.incarnation != incarnation {
            return;
        }
        peer.pulse = peer.pulse.max(pulse);
        let before = std::mem::replace(&mut peer.health, Health::Alive);
        if before != Health::Alive {
            let pulse = peer.pulse;
            self.rumors.add(Rumor { rank, incarnation, pulse, claim: Claim::Alive });
        }
        if before == Health::Dead {
            orders.push(Order::Tell { rank, incarnation, dead: false });
        }
    }

    /// A probe of this peer has ended without an answer on any way.
    fn silent(&mut self, rank: u32, orders: &mut Vec<Order>) {
        let Some(peer) = self.peers.get_mut(&rank) else { return };
        peer.probed = false;
        let (incarnation, pulse) = (peer.incarnation, peer.pulse);
        let claim = match peer.health {
            Health::Alive => {
                // The whole time, and at most one period more.
                peer.health = Health::Suspect(Some(self.next_period + self.times.suspect));
                Claim::Suspect
            }
            Health::Suspect(None) => {
                peer.health = Health::Dead;
                orders.push(Order::Tell { rank, incarnation, dead: true });
                Claim::Dead
            }
            Health::Suspect(Some(_)) | Health::Dead => return,
        };
        self.rumors.add(Rumor { rank, incarnation, pulse, claim });
    }

    fn take(&mut self, rumor: Rumor, orders: &mut Vec<Order>) {
        if rumor.rank == self.rank {
            self.contradict(rumor);
            return;
        }
        let (next_period, suspect) = (self.next_period, self.times.suspect);
        let Some(peer) = self.peers.get_mut(&rumor.rank) else { return };
        let newer = rumor.pulse > peer.pulse;
        // Whom nobody can probe nobody can suspect either.
        let absurd = rumor.claim != Claim::Alive && peer.address.is_none();
        if peer.incarnation != rumor.incarnation || rumor.pulse < peer.pulse || absurd {
            return;
        }
        match (rumor.claim, peer.health) {
            (Claim::Alive, _) if newer => {
                self.lives(rumor.rank, rumor.incarnation, rumor.pulse, orders);
                self.rumors.add(rumor);
            }
            (Claim::Suspect, Health::Alive) => {
                peer.pulse = rumor.pulse;
                peer.health = Health::Suspect(Some(next_period + suspect));
                self.rumors.add(rumor);
            }
            // Somebody gave it up: time to see for oneself.
            (Claim::Dead, Health::Alive | Health::Suspect(Some(_))) => {
                peer.pulse = rumor.pulse;
                peer.health = Health::Suspect(Some(Duration::ZERO));
            }
            _ => {}
        }
    }

    /// What is said against this very engine is contradicted.
    fn contradict(&mut self, rumor: Rumor) {
        let about_me = rumor.incarnation == self.incarnation && rumor.claim != Claim::Alive;
        if about_me && rumor.pulse >= self.pulse {
            self.pulse = rumor.pulse.saturating_add(1);
            let (rank, incarnation, pulse) = (self.rank, self.incarnation, self.pulse);
            self.rumors.add(Rumor { rank, incarnation, pulse, claim: Claim::Alive });
        }
    }
}

#[cfg(test)]
mod tests;
