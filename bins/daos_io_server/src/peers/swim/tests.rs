//! The detector over a simulated network: time, loss and cuts from a seed, so that every run is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::map::{Member, PeerMap};
use super::super::message::Greeting;
use super::chance::Chance;
use super::{Order, Swim, Times};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const LATENCY: Duration = Duration::from_millis(2);

/// Something that happens at its time.
enum Event {
    Tick(u32),
    Failed {
        rank: u32,
        number: u64,
    },
    /// A question has arrived at `to`.
    Asked {
        from: u32,
        to: u32,
        greeting: Greeting,
        purpose: Purpose,
    },
    /// An answer has arrived at `to`.
    Answered {
        to: u32,
        number: u64,
        greeting: Greeting,
        reached: Option<Option<(u64, u32)>>,
    },
}

#[derive(Clone)]
enum Purpose {
    Ping {
        number: u64,
    },
    Relay {
        number: u64,
        target: u32,
    },
    /// A ping on behalf of `of`, whose order has this number.
    Behalf {
        of: u32,
        number: u64,
    },
}

struct Network {
    now: Duration,
    engines: BTreeMap<u32, Swim>,
    /// Engines that do not act.
    halted: BTreeSet<u32>,
    /// Pairs that do not reach each other.
    cut: BTreeSet<(u32, u32)>,
    /// In a hundred messages.
    loss: usize,
    chance: Chance,
    events: BTreeMap<(Duration, u64), Event>,
    number: u64,
    /// Who told what of whom, and when.
    told: Vec<(Duration, u32, u32, bool)>,
    /// Engines whose tick is in the queue, and for when.
    ticks: BTreeMap<u32, Duration>,
}

fn map(version: u32, incarnations: &[u64]) -> PeerMap {
    let members = incarnations.iter().zip(0..).map(|(incarnation, rank)| Member {
        rank,
        incarnation: *incarnation,
        address: Some(([127, 0, 0, 1], 1000 + rank as u16).into()),
    });
    PeerMap::new(version, members.collect())
}

impl Network {
    fn new(size: u32, times: Times, seed: u64) -> Self {
        let incarnations = vec![1; size as usize];
        let map = map(1, &incarnations);
        let engines = (0..size).map(|rank| {
            let mut swim = Swim::new(times, "test", rank, 1, seed * 1000 + u64::from(rank));
            swim.adopt(&map, Duration::ZERO);
            (rank, swim)
        });
        let mut network = Self {
            now: Duration::ZERO,
            engines: engines.collect(),
            halted: BTreeSet::new(),
            cut: BTreeSet::new(),
            loss: 0,
            chance: Chance::new(seed),
            events: BTreeMap::new(),
            number: 0,
            told: Vec::new(),
            ticks: BTreeMap::new(),
        };
        for rank in 0..size {
            network.plan_tick(rank);
        }
        network
    }

    fn put(&mut self, after: Duration, event: Event) {
        self.number += 1;
        self.events.insert((self.now + after, self.number), event);
    }

    fn plan_tick(&mut self, rank: u32) {
        let due = self.engines[&rank].due().max(self.now);
        if self.ticks.get(&rank).is_none_or(|planned| due < *planned) {
            self.ticks.insert(rank, due);
            self.put(due - self.now, Event::Tick(rank));
        }
    }

    fn arrives(&mut self, from: u32, to: u32) -> bool {
        let lost = self.chance.below(100) < self.loss;
        !lost
            && !self.halted.contains(&to)
            && !self.cut.contains(&(from, to))
            && !self.cut.contains(&(to, from))
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > end {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            self.now = at;
            self.happen(event);
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        let (rank, orders) = match event {
            Event::Tick(rank) => {
                self.ticks.remove(&rank);
                if self.halted.contains(&rank) {
                    return;
                }
                let now = self.now;
                let swim = self.engines.get_mut(&rank).unwrap();
                (rank, if swim.due() <= now { swim.tick(now) } else { Vec::new() })
            }
            Event::Failed { rank, number } => {
                if self.halted.contains(&rank) {
                    return;
                }
                (rank, self.engines.get_mut(&rank).unwrap().failed(number))
            }
            Event::Asked { from, to, greeting, purpose } => {
                let swim = self.engines.get_mut(&to).unwrap();
                let orders = swim.heard(&greeting);
                match purpose {
                    Purpose::Ping { number } => {
                        let greeting = swim.greeting(Some(from));
                        if self.arrives(to, from) {
                            let answer =
                                Event::Answered { to: from, number, greeting, reached: None };
                            self.put(LATENCY, answer);
                        }
                    }
                    Purpose::Relay { number, target } => {
                        let greeting = swim.greeting(Some(target));
                        if self.arrives(to, target) {
                            let purpose = Purpose::Behalf { of: from, number };
                            let event = Event::Asked { from: to, to: target, greeting, purpose };
                            self.put(LATENCY, event);
                        }
                    }
                    Purpose::Behalf { of, number } => {
                        let (answer, incarnation) = (swim.greeting(Some(from)), swim.incarnation);
                        let reached = Some(Some((incarnation, answer.pulse)));
                        if self.arrives(to, from) && self.arrives(from, of) {
                            let helper = self.engines.get_mut(&from).unwrap();
                            let heard = helper.heard(&answer);
                            let greeting = helper.greeting(Some(of));
                            self.carry_out(from, heard);
                            let answer = Event::Answered { to: of, number, greeting, reached };
                            self.put(LATENCY * 2, answer);
                        }
                    }
                }
                (to, orders)
            }
            Event::Answered { to, number, greeting, reached } => {
                if self.halted.contains(&to) {
                    return;
                }
                let swim = self.engines.get_mut(&to).unwrap();
                let orders = match reached {
                    None => swim.answered(number, &greeting),
                    Some(reached) => swim.relayed(number, &greeting, reached),
                };
                (to, orders)
            }
        };
        self.carry_out(rank, orders);
        self.plan_tick(rank);
    }

    fn carry_out(&mut self, from: u32, orders: Vec<Order>) {
        for order in orders {
            let times = self.engines[&from].times;
            let (to, number, purpose, limit) = match order {
                Order::Ping { number, rank, .. } => {
                    (rank, number, Purpose::Ping { number }, times.ping)
                }
                Order::Relay { number, helper, target, .. } => {
                    (helper, number, Purpose::Relay { number, target }, times.ping * 2)
                }
                Order::Tell { rank, dead, .. } => {
                    self.told.push((self.now, from, rank, dead));
                    continue;
                }
            };
            let greeting = self.engines.get_mut(&from).unwrap().greeting(Some(to));
            if self.arrives(from, to) {
                self.put(LATENCY, Event::Asked { from, to, greeting, purpose });
            }
            // An answer that came before makes this mean nothing.
            self.put(limit, Event::Failed { rank: from, number });
        }
    }

    fn halt(&mut self, rank: u32) {
        self.halted.insert(rank);
    }

    fn resume(&mut self, rank: u32) {
        self.halted.remove(&rank);
        self.ticks.remove(&rank);
        self.plan_tick(rank);
    }
}

/// How long after `since` each survivor gave `dead` up.
fn deaths(network: &Network, dead: u32, since: Duration) -> BTreeMap<u32, Duration> {
    let mut found = BTreeMap::new();
    for (at, by, about, is_dead) in &network.told {
        assert_eq!((*about, *is_dead), (dead, true), "told by {by}");
        assert_eq!(found.insert(*by, *at - since), None, "{by} told it twice");
    }
    found
}

#[test]
fn a_silent_peer_is_given_up_by_everybody_within_its_time() {
    for (size, seed) in [(2, 1), (3, 2), (3, 3), (8, 4), (64, 5)] {
        let mut network = Network::new(size, Times::default(), seed);
        network.run(s(100));
        network.halt(1);
        let since = network.now;
        network.run(s(120));
        let found = deaths(&network, 1, since);
        assert_eq!(found.len() as u32, size - 1, "of {size}");
        for time in found.values() {
            // Never before its time is over; then two rounds among few, one probe and its relays, twice.
            assert!(*time >= s(20) && *time <= s(36), "{time:?} of {size}");
        }
    }
}

/// Real engines with these times took 6.1 s.
#[test]
fn short_times_make_it_quick() {
    let ms = Duration::from_millis;
    let times = Times { period: ms(500), ping: ms(600), suspect: ms(4000) };
    let mut network = Network::new(3, times, 9);
    network.run(s(10));
    network.halt(2);
    let since = network.now;
    network.run(s(20));
    let found = deaths(&network, 2, since);
    assert_eq!(found.len(), 2);
    assert!(found.values().all(|time| *time > s(4) && *time < s(9)), "{found:?}");
}

#[test]
fn nobody_is_given_up_while_a_fifth_of_all_messages_is_lost() {
    for (size, seed) in [(2, 11), (5, 12), (12, 13), (40, 14)] {
        let mut network = Network::new(size, Times::default(), seed);
        network.loss = 20;
        network.run(s(2 * 3600 / u64::from(size)));
        assert_eq!(network.told, [], "of {size}");
        let suspected = network.engines.values().any(|swim| swim.next_number > 100);
        assert!(suspected, "nothing happened");
    }
}

#[test]
fn a_cut_between_two_is_bridged_by_the_others() {
    let mut network = Network::new(4, Times::default(), 21);
    network.cut.insert((0, 1));
    network.run(s(600));
    assert_eq!(network.told, []);
}

#[test]
fn one_that_was_halted_accuses_nobody_and_is_alive_again() {
    let mut network = Network::new(6, Times::default(), 31);
    network.run(s(50));
    network.halt(3);
    network.run(s(15));
    network.resume(3);
    network.run(s(100));
    assert_eq!(network.told, [], "back before its time was over");
    network.halt(3);
    let since = network.now;
    network.run(s(60));
    assert_eq!(deaths(&network, 3, since).len(), 5);
    network.told.clear();
    network.resume(3);
    network.run(s(60));
    let alive: BTreeSet<u32> = network.told.iter().map(|(_, by, ..)| *by).collect();
    assert!(network.told.iter().all(|(_, _, about, dead)| (*about, *dead) == (3, false)));
    assert_eq!((alive.len(), network.told.len()), (5, 5));
}

#[test]
fn a_new_start_and_a_map_without_a_rank_end_what_was_held_against_it() {
    let mut network = Network::new(3, Times::default(), 41);
    network.run(s(10));
    network.halt(2);
    network.run(s(15));
    // It started again with a newer incarnation, and rank 1 left the group.
    let mut engines: Vec<Member> = map(2, &[1, 1, 5]).members().to_vec();
    engines.remove(1);
    let next = PeerMap::new(2, engines);
    let now = network.now;
    network.engines.get_mut(&0).unwrap().adopt(&next, now);
    let mut again = Swim::new(Times::default(), "test", 2, 5, 7);
    again.adopt(&next, now);
    network.engines.insert(2, again);
    network.engines.remove(&1);
    network.events.clear();
    network.ticks.clear();
    network.halted.clear();
    for rank in [0, 2] {
        network.plan_tick(rank);
    }
    network.run(s(100));
    assert_eq!(network.told, []);
    assert_eq!(network.engines[&0].peers.len(), 1);
}

#[test]
fn who_is_accused_raises_its_pulse() {
    let times = Times::default();
    let both = map(1, &[1, 1]);
    let mut accused = Swim::new(times, "test", 0, 1, 1);
    let mut accuser = Swim::new(times, "test", 1, 1, 2);
    accused.adopt(&both, s(0));
    accuser.adopt(&both, s(0));
    let orders = accuser.tick(s(5));
    let [Order::Ping { number, rank: 0, .. }] = orders[..] else { panic!("{orders:?}") };
    assert_eq!(accuser.failed(number), []);
    let greeting = accuser.greeting(Some(0));
    assert_eq!(greeting.rumors.len(), 1, "the suspect hears it");
    accused.heard(&greeting);
    let answer = accused.greeting(Some(1));
    assert_eq!((answer.pulse, answer.rumors.len()), (1, 1));
    assert_eq!(accuser.heard(&answer), []);
    assert_eq!(accuser.greeting(Some(0)).rumors[0].pulse, 1);
    // What is older than the contradiction is not believed any more.
    accuser.heard(&Greeting { rumors: greeting.rumors, rank: 7, ..answer });
    let claims: Vec<_> = accuser.greeting(Some(0)).rumors;
    assert!(claims.iter().all(|rumor| rumor.pulse == 1), "{claims:?}");
}

#[test]
fn peers_without_an_address_are_left_alone() {
    let mut engines = map(1, &[1, 1, 1]).members().to_vec();
    engines[1].address = None;
    let mut swim = Swim::new(Times::default(), "test", 0, 1, 1);
    swim.adopt(&PeerMap::new(1, engines), s(0));
    let mut now = s(1);
    for _ in 0..50 {
        for order in swim.tick(now) {
            let Order::Ping { number, rank, .. } = order else { continue };
            assert_eq!(rank, 2);
            assert_eq!(swim.failed(number), []);
        }
        assert!(swim.due() >= now, "it would spin");
        now += Duration::from_millis(100);
    }
}
