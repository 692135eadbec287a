//! The state machine itself: what a refused change leaves, versions, snapshots, the group map.

use std::sync::Arc;

use daos_membership::conformance::samples::{self, admit, command, member, uuid};
use daos_membership::{
    Change, ChangeRefused, GroupMap, Member, MemberState, Rank, RankSet, SnapshotError,
    StateUpdate, System, SystemSnapshot,
};

fn rank(n: u32) -> Rank {
    Rank::new(n).unwrap()
}

fn three() -> System {
    let mut system = samples::system();
    system.apply(&command(vec![admit(1), admit(2), admit(3)]));
    system
}

fn admitted(member: Member) -> Change {
    Change::AdmitMember { member: Arc::new(member) }
}

fn rejoined(member: Member) -> Change {
    Change::RejoinMember { member: Arc::new(member) }
}

#[test]
fn changes_that_do_not_fit_leave_no_trace() {
    let uri = |n: u32| member(n).fabric_uri;
    let update =
        |n: u32| StateUpdate { rank: rank(n), state: MemberState::Stopped, info: String::new() };
    let cases = [
        (admit(2), ChangeRefused::RankTaken { rank: rank(2) }),
        (
            admitted(Member { rank: rank(9), ..member(2) }),
            ChangeRefused::UuidTaken { uuid: uuid(2) },
        ),
        (
            admitted(Member { fabric_uri: uri(2), ..member(9) }),
            ChangeRefused::UriTaken { uri: uri(2), rank: rank(2) },
        ),
        (rejoined(member(9)), ChangeRefused::NoSuchRank { rank: rank(9) }),
        (
            rejoined(Member { uuid: uuid(9), ..member(2) }),
            ChangeRefused::OtherUuid { rank: rank(2), known: uuid(2), asked: uuid(9) },
        ),
        (
            rejoined(Member { fabric_uri: uri(1), ..member(2) }),
            ChangeRefused::UriTaken { uri: uri(1), rank: rank(1) },
        ),
        (
            Change::ReplaceMember {
                old_uuid: uuid(2),
                member: Arc::new(Member { uuid: uuid(3), ..member(2) }),
            },
            ChangeRefused::UuidTaken { uuid: uuid(3) },
        ),
        (
            Change::ReplaceMember {
                old_uuid: uuid(1),
                member: Arc::new(Member { uuid: uuid(9), ..member(2) }),
            },
            ChangeRefused::OtherUuid { rank: rank(2), known: uuid(2), asked: uuid(1) },
        ),
        (
            Change::UpdateStates { updates: vec![update(1), update(9)] },
            ChangeRefused::NoSuchRank { rank: rank(9) },
        ),
        (
            Change::RemoveMember { rank: rank(1), uuid: uuid(2) },
            ChangeRefused::OtherUuid { rank: rank(1), known: uuid(1), asked: uuid(2) },
        ),
        (
            Change::ReleaseFabricUri {
                rank: rank(9),
                state: MemberState::Stopped,
                info: String::new(),
            },
            ChangeRefused::NoSuchRank { rank: rank(9) },
        ),
    ];
    for (change, expected) in cases {
        let mut system = three();
        let applied = system.apply(&command(vec![change.clone()]));
        assert_eq!(applied.outcomes, [Err(expected)], "{change:?}");
        assert_eq!(system, three(), "{change:?}");
        assert!(applied.ranks.is_empty());
    }
}

#[test]
fn the_other_changes_of_a_command_are_applied() {
    let mut system = three();
    let applied = system.apply(&command(vec![admit(2), admit(4)]));
    assert!(applied.outcomes[0].is_err() && applied.outcomes[1].is_ok());
    assert_eq!(applied.ranks, "4".parse::<RankSet>().unwrap());
    assert_eq!(system.member_count(), 4);
}

/// Contract 6.2 and appendix C: the first member makes map version 1, its first group map is 2.
#[test]
fn versions_count_as_peers_count() {
    let mut system = samples::system();
    assert_eq!((system.map_version(), system.data_version()), (0, 1));
    system.apply(&command(vec![admit(0)]));
    assert_eq!((system.map_version(), system.data_version()), (1, 2));
    system.apply(&command(vec![Change::BumpMapVersion]));
    assert_eq!((system.map_version(), system.data_version()), (2, 3));
    let values = [("a".to_owned(), "b".to_owned())].into();
    system.apply(&command(vec![Change::SetAttributes { values }]));
    assert_eq!((system.map_version(), system.data_version()), (2, 4));
}

#[test]
fn versions_never_wrap() {
    let text = String::from_utf8(three().snapshot().encode()).unwrap();
    let text = text.replace("\"map_version\":3", &format!("\"map_version\":{}", u32::MAX));
    let snapshot = SystemSnapshot::decode(text.as_bytes()).unwrap();
    let mut system = System::from_snapshot(snapshot).unwrap();
    let before = system.clone();
    let applied = system.apply(&command(vec![Change::BumpMapVersion]));
    assert_eq!(applied.outcomes, [Err(ChangeRefused::VersionsUsedUp)]);
    assert_eq!(system, before);
}

#[test]
fn members_are_found_every_way() {
    let mut system = three();
    let second = Member { address: member(1).address, ..member(4) };
    system.apply(&command(vec![admitted(second)]));
    assert_eq!(system.member_by_uuid(uuid(2)).unwrap().rank, rank(2));
    assert_eq!(system.member_by_uri(&member(3).fabric_uri).unwrap().rank, rank(3));
    let there: Vec<_> = system.members_at(member(1).address).map(|member| member.rank).collect();
    assert_eq!(there, [rank(1), rank(4)]);
    assert_eq!(system.count_in_state(MemberState::Joined), 4);
    system.apply(&command(vec![Change::RemoveMember { rank: rank(1), uuid: uuid(1) }]));
    assert!(system.member_by_uuid(uuid(1)).is_none());
    assert!(system.member_by_uri(&member(1).fabric_uri).is_none());
    assert_eq!(system.members_at(member(1).address).count(), 1);
    assert_eq!(system.count_in_state(MemberState::Joined), 3);
    assert_eq!(system.retired(rank(1)), Some(uuid(1)));
}

#[test]
fn a_snapshot_is_the_whole_state() {
    let mut system = three();
    let values = || [("a".to_owned(), "b".to_owned())].into();
    system.apply(&command(vec![
        Change::RemoveMember { rank: rank(2), uuid: uuid(2) },
        Change::SetAttributes { values: values() },
        Change::SetProperties { values: [("self_heal".to_owned(), "none".to_owned())].into() },
        Change::PauseGroupUpdate { paused: true },
        Change::SetDomainLabels { labels: vec!["host".into()] },
        Change::SetCheckerEnabled { enabled: true },
        Change::ReleaseFabricUri {
            rank: rank(3),
            state: MemberState::Unresponsive,
            info: "gone".into(),
        },
    ]));
    let bytes = system.snapshot().encode();
    let restored = System::from_snapshot(SystemSnapshot::decode(&bytes).unwrap()).unwrap();
    assert_eq!(restored, system);
    assert_eq!(restored.snapshot().encode(), bytes, "equal states have equal snapshots");
}

#[test]
fn a_snapshot_that_contradicts_itself_is_refused() {
    let text = String::from_utf8(three().snapshot().encode()).unwrap();
    let twice = |from: String, to: String| {
        assert!(text.contains(&from), "{from}");
        let snapshot = SystemSnapshot::decode(text.replace(&from, &to).as_bytes()).unwrap();
        System::from_snapshot(snapshot).unwrap_err()
    };
    let cases = [
        twice(uuid(2).to_string(), uuid(1).to_string()),
        twice(member(2).fabric_uri, member(1).fabric_uri),
        twice("{\"rank\":2,".into(), "{\"rank\":1,".into()),
    ];
    for error in cases {
        assert!(matches!(error, SnapshotError::Inconsistent(_)), "{error}");
    }
}

#[test]
fn the_group_map_leaves_out_who_does_not_belong() {
    for state in MemberState::ALL {
        let mut system = three();
        let update = StateUpdate { rank: rank(2), state, info: String::new() };
        system.apply(&command(vec![Change::UpdateStates { updates: vec![update] }]));
        let map = GroupMap::of(&system);
        let left_out = matches!(
            state,
            MemberState::AwaitFormat | MemberState::Excluded | MemberState::AdminExcluded
        );
        assert_eq!(map.engine(rank(2)).is_none(), left_out, "{state}");
        assert_eq!(map.len(), if left_out { 2 } else { 3 });
        assert_eq!(map.engines().count(), map.len());
        assert_eq!(map.version(), system.map_version());
    }
}

#[test]
fn the_group_map_is_sorted_and_complete_however_large() {
    let mut system = samples::system();
    let ranks: Vec<u32> = (0..1000).map(|n| n * 7919 % 5003).collect();
    system.apply(&command(ranks.iter().map(|n| admit(*n)).collect()));
    let map = GroupMap::of(&system);
    let mut expected = ranks;
    expected.sort_unstable();
    let found: Vec<u32> = map.engines().map(|engine| engine.rank.get()).collect();
    assert_eq!(found, expected);
    let engine = map.engine(rank(7919 % 5003)).unwrap();
    assert_eq!(&*engine.uri, member(7919 % 5003).fabric_uri);
    assert_eq!(engine.incarnation, member(0).incarnation);
    assert!(map.engine(Rank::MAX).is_none());
    assert!(GroupMap::default().is_empty());
}
