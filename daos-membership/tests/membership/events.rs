//! The event log: what is an event, what is one event, and what a reader learns who comes late.

use std::sync::Arc;
use std::time::Duration;

use daos_membership::conformance::samples::{self, admit, command, member};
use daos_membership::decide::record::record;
use daos_membership::{
    Change, Command, EVENT_BYTES_KEPT, EVENTS_KEPT, Event, EventKind, EventNote, Incarnation,
    Member, MemberState, Rank, RankSet, StateUpdate, System, SystemSnapshot, Timestamp, invariants,
};
use uuid::Uuid;

fn rank(n: u32) -> Rank {
    Rank::new(n).unwrap()
}

fn note(text: &str) -> Change {
    Change::RecordEvent { event: EventNote::new(EventKind::Engine, RankSet::new(), text) }
}

fn becomes(n: u32, state: MemberState, info: &str) -> StateUpdate {
    StateUpdate { rank: rank(n), state, info: info.to_owned() }
}

/// The events of one more command.
fn events_of(system: &mut System, command: Command) -> Vec<Arc<Event>> {
    let last = system.last_event();
    let before = system.clone();
    assert_eq!(system.apply(&command).refusal(), None);
    invariants::check_step(&before, &command, system).unwrap();
    system.events_after(last, usize::MAX).events
}

#[test]
fn a_storm_of_joins_is_one_event_and_takes_no_room() {
    let mut system = samples::system();
    let told = events_of(&mut system, command((1..=10_000).map(admit).collect()));
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].kind, told[0].ranks_text()), (EventKind::Joined, "1-10000"));
    assert_eq!((told[0].from, told[0].to), (None, Some(MemberState::Joined)));
    assert_eq!(told[0].host, None, "they are on many hosts");
    assert_eq!(told[0].ranks().len(), 10_000);
}

#[test]
fn whoever_changes_alike_shares_an_event() {
    let mut system = samples::system();
    system.apply(&command((1..=4).map(admit).collect()));
    let updates = vec![
        becomes(1, MemberState::Stopped, ""),
        becomes(2, MemberState::Errored, "killed"),
        becomes(3, MemberState::Stopped, ""),
        becomes(4, MemberState::Joined, ""),
    ];
    let changes = vec![Change::UpdateStates { updates }, Change::BumpMapVersion];
    let told = events_of(&mut system, command(changes).by("administrator at 10.0.0.9"));
    let seen: Vec<_> =
        told.iter().map(|each| (each.ranks_text(), each.to, &*each.reason)).collect();
    let (stopped, errored) = (Some(MemberState::Stopped), Some(MemberState::Errored));
    assert_eq!(seen, [("1,3", stopped, ""), ("2", errored, "killed")], "rank 4 did not change");
    assert!(told.iter().all(|each| &*each.by == "administrator at 10.0.0.9"));
    assert_eq!(told[1].host, Some(member(2).address));
}

#[test]
fn every_change_is_called_what_it_is() {
    let mut system = samples::system();
    let again = Arc::new(Member { incarnation: Incarnation(101), ..member(1) });
    let other = Arc::new(Member { uuid: Uuid::from_u128(7), ..member(1) });
    let state = |state| Change::UpdateStates { updates: vec![becomes(1, state, "")] };
    let values = || [("self_heal".to_owned(), "none".to_owned())].into();
    let cases = [
        (admit(1), EventKind::Joined),
        (state(MemberState::Unresponsive), EventKind::State),
        (Change::RejoinMember { member: again }, EventKind::Rejoined),
        (state(MemberState::Excluded), EventKind::Excluded),
        (state(MemberState::AdminExcluded), EventKind::AdminExcluded),
        (state(MemberState::Excluded), EventKind::ExclusionCleared),
        (Change::ReplaceMember { old_uuid: samples::uuid(1), member: other }, EventKind::Replaced),
        (
            Change::ReleaseFabricUri {
                rank: rank(1),
                state: MemberState::Unresponsive,
                info: "gone".into(),
            },
            EventKind::Displaced,
        ),
        (Change::RemoveMember { rank: rank(1), uuid: Uuid::from_u128(7) }, EventKind::Removed),
        (Change::SetProperties { values: values() }, EventKind::Properties),
        (Change::SetAttributes { values: values() }, EventKind::Attributes),
        (Change::PauseGroupUpdate { paused: true }, EventKind::Settings),
        (Change::SetFabricProviders { providers: vec!["a".into()] }, EventKind::Settings),
        (Change::SetCheckerEnabled { enabled: true }, EventKind::Settings),
        (note("said"), EventKind::Engine),
    ];
    for (change, kind) in cases {
        let told = events_of(&mut system, command(vec![change.clone()]));
        assert_eq!(told.iter().map(|each| each.kind).collect::<Vec<_>>(), [kind], "{change:?}");
    }
    assert!(events_of(&mut system, command(vec![Change::BumpMapVersion])).is_empty());
}

/// What a refused change would have brought about did not happen.
#[test]
fn a_refused_change_is_no_event() {
    let mut system = samples::system();
    let last = system.last_event();
    let refused = Change::UpdateStates { updates: vec![becomes(9, MemberState::Errored, "")] };
    assert!(system.apply(&command(vec![refused])).refusal().is_some());
    assert_eq!(system.last_event(), last);
}

#[test]
fn numbers_go_on_when_old_events_go_and_late_readers_learn_how_many() {
    let mut system = samples::system();
    let total = EVENTS_KEPT as u64 + 100;
    while system.last_event() < total {
        let text = system.last_event().to_string();
        system.apply(&command(vec![note(&text)]));
    }
    invariants::check(&system).unwrap();
    let page = system.events_after(0, 10);
    assert_eq!((page.missed, page.last, page.events.len()), (100, total, 10));
    assert_eq!(page.events[0].number, 101);
    let page = system.events_after(110, 10);
    assert_eq!((page.missed, page.events[0].number), (0, 111));
    let newest = system.events_after(total - 1, 10);
    assert_eq!(newest.events.iter().map(|each| each.number).collect::<Vec<_>>(), [total]);
    for after in [total, total + 1, u64::MAX] {
        let none = system.events_after(after, 10);
        assert_eq!((none.missed, none.events.len(), none.last), (0, 0, total));
    }
    let stored = SystemSnapshot::decode(&system.snapshot().encode()).unwrap();
    assert_eq!(System::from_snapshot(stored).unwrap(), system);
}

/// Lists of scattered ranks are long; they make room for themselves.
#[test]
fn long_events_do_not_make_the_log_large() {
    let mut system = samples::system();
    let scattered: RankSet = (0..20_000).step_by(2).map(rank).collect();
    let note = EventNote::new(EventKind::Engine, scattered, "");
    for _ in 0..200 {
        system.apply(&command(vec![Change::RecordEvent { event: note.clone() }]));
    }
    let page = system.events_after(0, usize::MAX);
    let bytes: usize = page.events.iter().map(|each| each.ranks_text().len()).sum();
    assert!(bytes <= EVENT_BYTES_KEPT, "{bytes}");
    assert!(page.missed > 0 && page.events.len() > 10);
    invariants::check(&system).unwrap();
}

/// As the first release wrote them, before there was an event log.
#[test]
fn a_snapshot_without_events_is_read() {
    let mut system = samples::system();
    system.apply(&command(vec![admit(1)]));
    let mut old: serde_json::Value = serde_json::from_slice(&system.snapshot().encode()).unwrap();
    let fields = old.as_object_mut().unwrap();
    assert!(fields.remove("events").is_some() && fields.remove("deaths").is_some());
    let read = SystemSnapshot::decode(&serde_json::to_vec(&old).unwrap()).unwrap();
    let mut read = System::from_snapshot(read).unwrap();
    assert_eq!((read.last_event(), read.member_count()), (0, 1));
    assert_eq!(events_of(&mut read, command(vec![note("first")]))[0].number, 1);
}

/// An engine that may not join asks every few seconds.
#[test]
fn the_same_news_is_kept_once_in_a_while() {
    let mut system = samples::system();
    let at = |seconds: u64| Timestamp(Duration::from_secs(seconds).as_nanos() as u64);
    let news =
        |text: &str| EventNote::new(EventKind::JoinRefused, [rank(1)].into_iter().collect(), text);
    let first = record(&system, news("excluded"), at(0)).unwrap();
    system.apply(&Command::new(at(0), vec![first]));
    assert_eq!(record(&system, news("excluded"), at(599)), None);
    assert!(record(&system, news("another reason"), at(1)).is_some());
    assert!(record(&system, news("excluded").on(member(2).address), at(1)).is_some());
    assert!(record(&system, news("excluded"), at(600)).is_some());
}
