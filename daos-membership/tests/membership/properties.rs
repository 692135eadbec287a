//! Random histories against named invariants, checked after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daos_membership::conformance::samples::{self, member};
use daos_membership::decide::join::{self, Verdict};
use daos_membership::decide::{damping, exclude, liveness, record, states};
use daos_membership::{
    Change, Command, ControlAddress, Damping, EventKind, EventNote, ExcludeAction, FaultDomain,
    Incarnation, JoinOutcome, JoinPurpose, JoinRequest, Liveness, MemberResult, MemberState,
    OnFailure, Rank, RankSet, Selection, System, SystemSnapshot, Timestamp, invariants,
};
use proptest::prelude::*;
use uuid::Uuid;

/// Small numbers, so that everything meets everything.
const ENGINES: u32 = 6;
const RANKS: u32 = 8;

#[derive(Debug, Clone)]
enum Step {
    /// Several engines ask to join at once.
    Joins(Vec<Ask>),
    Report {
        rank: u32,
        state: usize,
        errored: bool,
    },
    Dead {
        rank: u32,
        incarnation: Option<u64>,
    },
    Died {
        rank: u32,
        incarnation: Option<u64>,
    },
    Exclude {
        rank: u32,
        clear: bool,
    },
    Remove {
        rank: u32,
    },
    /// Other engines find it alive again.
    Alive {
        rank: u32,
        incarnation: Option<u64>,
    },
    /// Time passes, in seconds, and held deaths are looked at.
    Wait {
        seconds: u64,
    },
    /// An engine says something.
    Note {
        rank: u32,
    },
}

const DAMPING: Damping = Damping { percent: 25, window: Duration::from_secs(60) };

#[derive(Debug, Clone)]
struct Ask {
    engine: u32,
    rank: Option<u32>,
    incarnation: u64,
    host: u32,
    uri: u32,
    replace: bool,
    bootstrap: bool,
    check_mode: bool,
    moved: bool,
    domain: usize,
}

fn ask() -> impl Strategy<Value = Ask> {
    let rank = prop_oneof![2 => Just(None), 1 => (0..RANKS).prop_map(Some)];
    let flags = (
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        any::<bool>(),
    );
    // Mostly engine n comes from host n with URI n and in its own fault domain.
    (0..ENGINES, rank, 1..5_u64, any::<u32>(), any::<u32>(), flags, 0..10_usize).prop_map(
        |(engine, rank, incarnation, host, uri, flags, domain)| {
            let (replace, bootstrap, check_mode, moved) = flags;
            let stray = |by: u32| if by.is_multiple_of(4) { by / 4 % ENGINES } else { engine };
            let (host, uri) = (stray(host), stray(uri));
            Ask {
                engine,
                rank,
                incarnation,
                host,
                uri,
                replace,
                bootstrap,
                check_mode,
                moved,
                domain,
            }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let incarnation = || prop::option::of(0..6_u64);
    prop_oneof![
        6 => prop::collection::vec(ask(), 1..5).prop_map(Step::Joins),
        3 => (0..RANKS, 0..MemberState::ALL.len(), any::<bool>())
            .prop_map(|(rank, state, errored)| Step::Report { rank, state, errored }),
        1 => (0..RANKS, incarnation())
            .prop_map(|(rank, incarnation)| Step::Alive { rank, incarnation }),
        2 => (0..90_u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => (0..RANKS).prop_map(|rank| Step::Note { rank }),
        3 => (0..RANKS, incarnation())
            .prop_map(|(rank, incarnation)| Step::Dead { rank, incarnation }),
        1 => (0..RANKS, incarnation())
            .prop_map(|(rank, incarnation)| Step::Died { rank, incarnation }),
        1 => (0..RANKS, any::<bool>()).prop_map(|(rank, clear)| Step::Exclude { rank, clear }),
        1 => (0..RANKS).prop_map(|rank| Step::Remove { rank }),
    ]
}

fn request(ask: &Ask) -> JoinRequest {
    let domain: FaultDomain = match ask.domain {
        0 => "/r/h".parse().unwrap(),
        1 => "/host=x".parse().unwrap(),
        n => FaultDomain::of_host(&format!("h{n}")).unwrap(),
    };
    // Engines 2n and 2n+1 live on one host.
    let address: ControlAddress = member(ask.host / 2).address;
    let enabled_in_pool = false;
    JoinRequest {
        rank: ask.rank.and_then(Rank::new),
        incarnation: Incarnation(ask.incarnation),
        address,
        fabric_uri: member(ask.uri).fabric_uri,
        fault_domain: domain,
        check_mode: ask.check_mode,
        bootstrap: ask.bootstrap,
        purpose: match ask.replace {
            true => JoinPurpose::Replace { enabled_in_pool },
            false => JoinPurpose::Join,
        },
        old_address_answers: ask.moved.then_some(false),
        ..samples::join_request(ask.engine)
    }
}

/// A system with the log of all that happened to it and what can be known of that from outside.
struct World {
    system: System,
    log: Vec<Command>,
    /// Whose each rank is, by what joins were told.
    owners: BTreeMap<Rank, Uuid>,
    /// Engines that asked to join and were told they did.
    accepted: BTreeSet<Uuid>,
    /// Clock, in nanoseconds.
    now: u64,
}

const SECOND: u64 = 1_000_000_000;

impl World {
    fn new() -> Self {
        let system = samples::system();
        let log = vec![];
        let (owners, accepted) = (BTreeMap::new(), BTreeSet::new());
        Self { system, log, owners, accepted, now: 10_000 * SECOND }
    }

    fn commit(&mut self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        // The clock goes backwards at times.
        self.now = if self.log.len() % 7 == 3 { self.now - 30 * SECOND } else { self.now + SECOND };
        let command = Command::new(Timestamp(self.now), changes).by("somebody");
        let before = self.system.clone();
        let applied = self.system.apply(&command);
        assert_eq!(applied.refusal(), None, "what was decided fits: {command:?}");
        assert!(applied.data_version > before.data_version(), "data versions rise");
        invariants::check_step(&before, &command, &self.system).unwrap();
        self.log.push(command);
    }

    fn joins(&mut self, asks: &[Ask]) {
        let mut waiting: Vec<JoinRequest> = asks.iter().map(request).collect();
        while !waiting.is_empty() {
            let batch: Vec<&JoinRequest> = waiting.iter().collect();
            let verdicts = join::decide(&self.system, &batch, Timestamp(self.now));
            let (mut changes, mut later) = (Vec::new(), Vec::new());
            let before = waiting.len();
            for (request, verdict) in waiting.into_iter().zip(verdicts) {
                match verdict {
                    Verdict::Accepted(acceptance) => {
                        self.told(&request, acceptance.rank, acceptance.outcome);
                        changes.extend(acceptance.changes);
                    }
                    Verdict::Later => later.push(request),
                    Verdict::Refused(_) => {}
                    Verdict::NotYet => panic!("a provider is known"),
                }
            }
            assert!(later.len() < before, "a batch always gets on");
            self.commit(changes);
            waiting = later;
        }
    }

    /// Invariant: a rank never changes its engine except by replacing it.
    fn told(&mut self, request: &JoinRequest, rank: Rank, outcome: JoinOutcome) {
        let former = self.owners.insert(rank, request.uuid);
        match outcome {
            JoinOutcome::Replaced(old) => assert_eq!(former, Some(old), "rank {rank}"),
            _ => assert!(former.is_none_or(|former| former == request.uuid), "rank {rank}"),
        }
        let bootstrap = rank != Rank::BOOTSTRAP || former.is_some() || request.bootstrap;
        assert!(bootstrap, "invariant: rank 0 goes to engine 0 of the first replica");
        self.accepted.insert(request.uuid);
    }

    fn step(&mut self, step: &Step) {
        let rank = |n: u32| Rank::new(n).unwrap();
        let news = |liveness: Liveness| liveness.change().cloned().into_iter().collect();
        let at = Timestamp(self.now);
        match step {
            Step::Joins(asks) => self.joins(asks),
            Step::Report { rank: n, state, errored } => {
                let state = MemberState::ALL[*state];
                // A report that a member has joined is no join of the engine.
                if state == MemberState::Joined {
                    return;
                }
                let (rank, message) = (rank(*n), String::new());
                let report = MemberResult { rank, errored: *errored, message, state };
                if let Ok(plan) = states::update(&self.system, &[report], OnFailure::Record) {
                    self.commit(plan.change.into_iter().collect());
                }
            }
            Step::Dead { rank: n, incarnation } => {
                let incarnation = incarnation.map(Incarnation);
                let dead = liveness::rank_dead(&self.system, rank(*n), incarnation, at, &DAMPING);
                self.commit(news(dead));
            }
            Step::Alive { rank: n, incarnation } => {
                let incarnation = incarnation.map(Incarnation);
                self.commit(news(liveness::rank_alive(&self.system, rank(*n), incarnation)));
            }
            Step::Wait { seconds } => {
                self.now += seconds * SECOND;
                let at = Timestamp(self.now);
                self.commit(damping::look_again(&self.system, at, &DAMPING));
                let due = damping::next_look(&self.system, at, &DAMPING);
                assert_eq!(due.is_some(), !self.system.deaths().held().is_empty());
                assert!(due.is_none_or(|due| due <= DAMPING.window));
            }
            Step::Note { rank: n } => {
                let ranks = RankSet::from_iter([rank(*n)]);
                let note = EventNote::new(EventKind::Engine, ranks, "said something");
                self.commit(record::record(&self.system, note, at).into_iter().collect());
            }
            Step::Died { rank: n, incarnation } => {
                let incarnation = incarnation.map(Incarnation);
                self.commit(news(liveness::engine_died(&self.system, rank(*n), incarnation, "")));
            }
            Step::Exclude { rank: n, clear } => {
                let action = if *clear { ExcludeAction::Clear } else { ExcludeAction::Exclude };
                let selection = Selection::Ranks([rank(*n)].into_iter().collect());
                if let Ok(plan) = exclude::exclude(&self.system, &selection, action) {
                    self.commit(plan.change.into_iter().collect());
                }
            }
            Step::Remove { rank: n } => {
                let ranks: RankSet = [rank(*n)].into_iter().collect();
                if let Ok(changes) = exclude::remove(&self.system, &ranks) {
                    self.commit(changes);
                }
            }
        }
        self.check();
    }

    fn check(&self) {
        invariants::check(&self.system).unwrap();
        members_are_who_was_told(self);
        let ranks: RankSet = self.system.members().map(|member| member.rank).collect();
        assert_eq!(ranks_in_tree(&self.system, &ranks), self.system.member_count());
    }
}

fn members_are_who_was_told(world: &World) {
    for member in world.system.members() {
        assert_eq!(world.owners.get(&member.rank), Some(&member.uuid), "rank {}", member.rank);
        assert!(world.accepted.contains(&member.uuid), "rank {}", member.rank);
    }
    if let Some(next) = world.system.next_rank() {
        assert!(!world.owners.contains_key(&next), "rank {next} was given before");
    }
}

/// How many ranks there are in the compressed tree of fault domains, by the counts of its nodes.
fn ranks_in_tree(system: &System, ranks: &RankSet) -> usize {
    let tree = system.fault_domains().compressed(ranks).unwrap();
    let (mut nodes, mut at) = (1, 1);
    for level in (1..=tree[1]).rev() {
        let row = &tree[at..at + 3 * nodes];
        assert!(row.chunks(3).all(|node| node[0] == level), "{tree:?}");
        at += row.len();
        nodes = row.chunks(3).map(|node| node[2] as usize).sum();
    }
    assert_eq!(tree.len(), at + nodes, "{tree:?}");
    nodes
}

/// Replaying the log, from the beginning or from a snapshot anywhere in it, gives the equal system.
fn replay_gives_the_equal_system(world: &World, cut: usize) {
    let mut replayed = samples::system();
    let cut = cut % (world.log.len() + 1);
    for (at, command) in world.log.iter().enumerate() {
        if at == cut {
            let snapshot = SystemSnapshot::decode(&replayed.snapshot().encode()).unwrap();
            replayed = System::from_snapshot(snapshot).unwrap();
        }
        replayed.apply(&Command::decode(&command.encode()).unwrap());
    }
    assert_eq!(replayed, world.system);
    assert_eq!(replayed.snapshot().encode(), world.system.snapshot().encode());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_in_every_history(
        steps in prop::collection::vec(step(), 1..60),
        cut in any::<usize>(),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        replay_gives_the_equal_system(&world, cut);
    }

    #[test]
    fn rank_lists_are_read_back(numbers in prop::collection::btree_set(0..300_u32, 0..80)) {
        let set: RankSet = numbers.iter().copied().filter_map(Rank::new).collect();
        prop_assert_eq!(set.to_string().parse::<RankSet>().unwrap(), set);
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC{0,40}") {
        let _ = text.parse::<RankSet>();
        if let Ok(domain) = text.parse::<FaultDomain>() {
            prop_assert_eq!(domain.to_string().parse::<FaultDomain>().unwrap(), domain);
        }
        let _ = text.parse::<ControlAddress>();
        let _ = Command::decode(text.as_bytes());
        let _ = SystemSnapshot::decode(text.as_bytes());
    }
}
