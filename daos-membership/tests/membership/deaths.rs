//! Which deaths are believed at once, and what becomes of those that are not.

use std::sync::Arc;
use std::time::Duration;

use daos_membership::conformance::samples::{self, admit, join_request, member};
use daos_membership::decide::damping::{look_again, next_look};
use daos_membership::decide::liveness::{rank_alive, rank_dead};
use daos_membership::{
    Change, Clock, Command, Damping, EventKind, Incarnation, Liveness, MemDisk, Member,
    MemberState, Membership, MembershipOptions, Rank, RankSet, StateMask, StateUpdate, System,
    Timestamp, invariants,
};
use proptest::prelude::*;
use tokio::time::Instant;

use crate::service::local;

const WINDOW: Duration = Duration::from_secs(60);
const QUARTER: Damping = Damping { percent: 25, window: WINDOW };

fn rank(n: u32) -> Rank {
    Rank::new(n).unwrap()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp(1_000_000_000 * (1000 + seconds))
}

/// Ranks 0 to `count - 1`, `per_host` of them on each host.
fn system_of(count: u32, per_host: u32) -> System {
    let mut system = samples::system();
    for n in 0..count {
        let address = member(n / per_host).address;
        let member = Arc::new(Member { address, ..member(n) });
        let change = Change::AdmitMember { member };
        assert_eq!(system.apply(&samples::command(vec![change])).refusal(), None);
    }
    system
}

fn commit(system: &mut System, when: Timestamp, changes: Vec<Change>) {
    let command = Command::new(when, changes);
    let before = system.clone();
    assert_eq!(system.apply(&command).refusal(), None, "{command:?}");
    invariants::check_step(&before, &command, system).unwrap();
    invariants::check(system).unwrap();
}

/// A survivor says that a rank is dead.
fn dies(system: &mut System, n: u32, seconds: u64) -> Liveness {
    let news = rank_dead(system, rank(n), Some(Incarnation(100)), at(seconds), &QUARTER);
    commit(system, at(seconds), news.change().cloned().into_iter().collect());
    news
}

fn looks(system: &mut System, seconds: u64) {
    let changes = look_again(system, at(seconds), &QUARTER);
    commit(system, at(seconds), changes);
}

fn excluded(system: &System) -> Vec<u32> {
    let out = system.members().filter(|member| member.state == MemberState::Excluded);
    out.map(|member| member.rank.get()).collect()
}

fn held(system: &System) -> Vec<u32> {
    system.deaths().held().keys().map(|rank| rank.get()).collect()
}

#[test]
fn a_host_that_dies_is_one_death_however_many_engines_it_has() {
    let mut system = system_of(6, 3);
    for n in 0..3 {
        assert!(matches!(dies(&mut system, n, 1), Liveness::Changes(_)), "rank {n}");
    }
    assert_eq!(excluded(&system), [0, 1, 2]);
    // The other host is one too many.
    assert!(matches!(dies(&mut system, 3, 2), Liveness::Held(_)));
    assert_eq!((excluded(&system), held(&system)), (vec![0, 1, 2], vec![3]));
}

#[test]
fn half_of_a_system_is_not_excluded_at_once_but_window_by_window() {
    let mut system = system_of(8, 1);
    for n in 0..4 {
        dies(&mut system, n, u64::from(n));
    }
    assert_eq!((excluded(&system), held(&system)), (vec![0, 1], vec![2, 3]));
    assert!(system.member(rank(2)).unwrap().is_in_group(), "engines keep it in their map");
    let told = system.events_after(0, usize::MAX).events;
    let held_event = told.iter().find(|event| event.kind == EventKind::DeathsHeld).unwrap();
    assert_eq!(held_event.ranks_text(), "2");
    assert!(held_event.reason.contains("2 of 8 joined members"), "{}", held_event.reason);

    assert_eq!(next_look(&system, at(4), &QUARTER), Some(Duration::from_secs(58)));
    looks(&mut system, 61);
    assert_eq!(held(&system), [2, 3], "neither has waited for a whole window");
    looks(&mut system, 62);
    assert_eq!((excluded(&system), held(&system)), (vec![0, 1, 2], vec![3]));
    // Of the six that were joined when this window began a quarter is one.
    looks(&mut system, 63);
    assert_eq!(held(&system), [3]);
    assert_eq!(next_look(&system, at(63), &QUARTER), Some(Duration::from_secs(59)));
    looks(&mut system, 122);
    assert_eq!((excluded(&system), held(&system)), (vec![0, 1, 2, 3], vec![]));
    assert_eq!(next_look(&system, at(122), &QUARTER), None);
    assert!(system.member(rank(3)).unwrap().info.contains("silent for 119 s"));
}

/// Contract 6.7: every survivor sends the same death.
#[test]
fn the_same_death_from_every_survivor_is_one_change() {
    let mut system = system_of(4, 1);
    dies(&mut system, 0, 0);
    assert_eq!(dies(&mut system, 0, 1), Liveness::AlreadyExcluded);
    dies(&mut system, 1, 1);
    let version = system.data_version();
    for seconds in 2..5 {
        assert_eq!(dies(&mut system, 1, seconds), Liveness::AlreadyHeld);
    }
    assert_eq!(system.data_version(), version);
}

#[test]
fn a_held_death_is_dropped_when_the_engine_is_there_after_all() {
    let mut system = system_of(4, 1);
    for n in 0..4 {
        dies(&mut system, n, 0);
    }
    assert_eq!(held(&system), [1, 2, 3]);
    // Others hear it again; of an earlier start that says nothing.
    assert_eq!(rank_alive(&system, rank(1), Some(Incarnation(99))), Liveness::NothingNew);
    let alive = rank_alive(&system, rank(1), Some(Incarnation(100)));
    commit(&mut system, at(1), alive.change().cloned().into_iter().collect());
    // It was started anew and joined.
    let again = Arc::new(Member { incarnation: Incarnation(101), ..member(2) });
    commit(&mut system, at(2), vec![Change::RejoinMember { member: again }]);
    // An administrator has taken it out.
    let state = MemberState::AdminExcluded;
    let out = StateUpdate { rank: rank(3), state, info: String::new() };
    commit(&mut system, at(3), vec![Change::UpdateStates { updates: vec![out] }]);
    assert_eq!((held(&system), excluded(&system)), (vec![], vec![0]));
    assert_eq!(rank_alive(&system, rank(9), None), Liveness::UnknownRank);
    assert!(look_again(&system, at(500), &QUARTER).is_empty());
}

/// An engine that was errored meanwhile is still excluded; one that joined anew by a road of its own is not.
#[test]
fn what_became_of_a_held_member_is_looked_at_again() {
    let mut system = system_of(4, 1);
    for n in 0..2 {
        dies(&mut system, n, 0);
    }
    let died = daos_membership::decide::liveness::engine_died(&system, rank(1), None, "killed");
    commit(&mut system, at(1), died.change().cloned().into_iter().collect());
    assert_eq!(held(&system), [1]);
    looks(&mut system, 60);
    assert_eq!(excluded(&system), [0, 1]);
}

#[test]
fn self_heal_and_stale_news_come_before_damping() {
    let mut system = system_of(2, 1);
    let old = rank_dead(&system, rank(0), Some(Incarnation(99)), at(0), &QUARTER);
    assert_eq!(old, Liveness::Stale { known: Incarnation(100) });
    let values = [("self_heal".to_owned(), "pool_rebuild".to_owned())].into();
    commit(&mut system, at(0), vec![Change::SetProperties { values }]);
    assert_eq!(dies(&mut system, 0, 1), Liveness::SelfHealOff);
}

/// The next leader's clock may be another one: nobody waits for it to catch up, and a small difference changes nothing.
#[test]
fn clocks_of_two_leaders_may_differ() {
    let mut system = system_of(8, 1);
    for n in 0..3 {
        dies(&mut system, n, 1000);
    }
    assert_eq!(held(&system), [2]);
    assert_eq!(next_look(&system, at(990), &QUARTER), Some(WINDOW), "ten seconds behind");
    assert!(look_again(&system, at(990), &QUARTER).is_empty());
    assert_eq!(next_look(&system, at(0), &QUARTER), Some(Duration::ZERO), "far behind");
    looks(&mut system, 0);
    assert_eq!(excluded(&system), [0, 1, 2]);
}

#[test]
fn damping_can_be_turned_off() {
    let system = system_of(2, 1);
    let off = |n| rank_dead(&system, rank(n), None, at(0), &Damping::OFF);
    assert!(matches!((off(0), off(1)), (Liveness::Changes(_), Liveness::Changes(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// However deaths arrive: no window sees more exclusions than its share, a snapshot in between changes nothing, and
    /// in the end whoever is dead is out.
    #[test]
    fn exclusions_keep_to_their_rate_and_none_is_forgotten(
        deaths in prop::collection::vec((0..20_u32, 0..50_u64), 1..40),
    ) {
        let mut system = system_of(20, 1);
        let (mut now, mut exclusions): (u64, Vec<u64>) = (0, vec![]);
        let note = |system: &System, now: u64, exclusions: &mut Vec<u64>| {
            exclusions.resize(excluded(system).len(), now);
        };
        for (n, wait) in &deaths {
            now += wait;
            looks(&mut system, now);
            note(&system, now, &mut exclusions);
            dies(&mut system, *n, now);
            note(&system, now, &mut exclusions);
        }
        let snapshot = daos_membership::SystemSnapshot::decode(&system.snapshot().encode()).unwrap();
        system = System::from_snapshot(snapshot).unwrap();
        while let Some(wait) = next_look(&system, at(now), &QUARTER) {
            now += wait.as_secs().max(1);
            looks(&mut system, now);
            note(&system, now, &mut exclusions);
        }
        let dead: RankSet = deaths.iter().map(|(n, _)| rank(*n)).collect();
        prop_assert_eq!(excluded(&system).len(), dead.len());
        for from in &exclusions {
            let within = exclusions.iter().filter(|when| (*from..from + 60).contains(*when)).count();
            prop_assert!(within <= 5, "{} of 20 within a minute: {:?}", within, exclusions);
        }
    }
}

/// The time of tokio, which tests can stop.
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_000_000_000_000 + u64::try_from(self.0.elapsed().as_nanos()).unwrap())
    }
}

/// The service itself looks again when the time has come, also after another start.
#[tokio::test(start_paused = true)]
async fn the_leader_excludes_held_members_when_their_window_is_over() {
    let disk = MemDisk::default();
    let start = || async {
        let replica = local(disk.open(samples::identity())).await;
        let options = MembershipOptions { damping: QUARTER, ..crate::service::options() };
        Membership::start(replica, Arc::new(TokioClock(Instant::now())), options)
    };
    let service = start().await;
    let handle = service.handle();
    for n in 0..4 {
        handle.join(join_request(n)).await.unwrap();
    }
    let dead = |n| handle.mark_rank_dead(rank(n), Some(Incarnation(100)));
    assert!(matches!(dead(1).await.unwrap(), Liveness::Changes(_)));
    assert!(matches!(dead(2).await.unwrap(), Liveness::Held(_)));
    assert_eq!(handle.view().read(excluded), [1]);
    assert!(service.shutdown(Duration::from_secs(5)).await);

    let service = start().await;
    let handle = service.handle();
    let mut changes = handle.changes();
    let begun = Instant::now();
    while handle.view().read(excluded) != [1, 2] {
        changes.changed().await.unwrap();
    }
    assert!(begun.elapsed() <= WINDOW + Duration::from_secs(1), "{:?}", begun.elapsed());
    let found = handle.query(&daos_membership::Selection::All, StateMask::ALL).unwrap();
    assert_eq!(found.members.len(), 4);
    assert!(service.shutdown(Duration::from_secs(5)).await);
}

#[test]
fn the_samples_are_what_the_tests_take_them_for() {
    let Change::AdmitMember { member } = admit(1) else { panic!("an admission") };
    assert_eq!(member.incarnation, Incarnation(100));
}
