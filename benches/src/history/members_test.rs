//! Hand-made histories of joins, good and bad.

use uuid::Uuid;

use super::{Join, Outcome, Version, View, Violation, check};
use crate::history::Moment;

fn engine(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn joined(number: u128, rank: u32, map_version: u32, invoked: u64, returned: u64) -> Join {
    let outcome = Outcome::Joined { rank, map_version };
    Join { uuid: engine(number), invoked: Moment(invoked), returned: Moment(returned), outcome }
}

fn ended(number: u128, outcome: Outcome, invoked: u64) -> Join {
    Join { uuid: engine(number), invoked: Moment(invoked), returned: Moment(invoked + 1), outcome }
}

fn view(invoked: u64, members: &[(u32, u128)]) -> View {
    View {
        shown_by: "s1".to_owned(),
        invoked: Moment(invoked),
        returned: Moment(invoked + 1),
        members: members.iter().map(|(rank, number)| (*rank, engine(*number))).collect(),
        current: true,
    }
}

fn version(shown_by: &str, invoked: u64, version: u64) -> Version {
    let (invoked, returned) = (Moment(invoked), Moment(invoked + 5));
    Version { shown_by: shown_by.to_owned(), invoked, returned, version }
}

#[test]
fn a_system_that_forgets_nobody() {
    let joins = [
        joined(1, 0, 1, 0, 1),
        joined(2, 1, 2, 2, 3),
        // Asked again, the same rank.
        joined(1, 0, 3, 4, 5),
        ended(3, Outcome::Unknown, 6),
        ended(4, Outcome::Unknown, 6),
        ended(5, Outcome::Refused, 6),
    ];
    let views = [view(10, &[(0, 1), (1, 2), (2, 3)])];
    let versions = [version("s1", 0, 1), version("s2", 1, 9), version("s1", 10, 4)];
    assert_eq!(check(&joins, &views, &versions), []);
}

#[test]
fn a_rank_given_twice_is_found() {
    let found = check(&[joined(1, 7, 1, 0, 1), joined(2, 7, 2, 2, 3)], &[], &[]);
    assert!(matches!(found[..], [Violation::RankTwice { rank: 7, .. }]), "{found:?}");
    let found = check(&[joined(1, 7, 1, 0, 1)], &[view(2, &[(7, 9), (8, 1)])], &[]);
    assert!(found.iter().any(|one| matches!(one, Violation::RankTwice { rank: 7, .. })));
    assert!(found.iter().any(|one| matches!(one, Violation::TwoRanks { ranks: [7, 8], .. })));
}

#[test]
fn a_rank_that_changes_its_engine_between_views_is_found() {
    let found = check(&[], &[view(0, &[(3, 1)]), view(5, &[(3, 2)])], &[]);
    assert!(matches!(found[..], [Violation::RankTwice { rank: 3, .. }]), "{found:?}");
}

#[test]
fn a_lost_join_is_found_and_a_stale_view_is_not_blamed() {
    let joins = [joined(1, 0, 1, 0, 1)];
    let found = check(&joins, &[view(5, &[])], &[]);
    assert!(matches!(found[..], [Violation::Lost { rank: 0, .. }]), "{found:?}");
    assert_eq!(check(&joins, &[View { current: false, ..view(5, &[]) }], &[]), []);
    // A view that was asked for before the answer may lack it.
    assert_eq!(check(&joins, &[view(1, &[])], &[]), []);
}

#[test]
fn a_refused_engine_that_is_a_member_is_found() {
    let refused = ended(1, Outcome::Refused, 0);
    let views = [view(5, &[(0, 1)])];
    let found = check(std::slice::from_ref(&refused), &views, &[]);
    assert!(matches!(found[..], [Violation::RefusedJoined { .. }]), "{found:?}");
    assert_eq!(check(&[refused, ended(1, Outcome::Unknown, 2)], &views, &[]), []);
}

#[test]
fn maps_and_versions_that_go_back_are_found() {
    let found = check(&[joined(1, 0, 5, 0, 1), joined(2, 1, 4, 2, 3)], &[], &[]);
    assert!(matches!(found[..], [Violation::MapWentBack { versions: [5, 4], .. }]), "{found:?}");
    assert_eq!(check(&[joined(1, 0, 5, 0, 3), joined(2, 1, 4, 2, 4)], &[], &[]), []);

    let back = [version("s1", 0, 8), version("s1", 10, 7), version("s2", 10, 1)];
    let found = check(&[], &[], &back);
    assert!(
        matches!(&found[..], [Violation::VersionWentBack { shown_by, versions: [8, 7], .. }] if shown_by == "s1"),
        "{found:?}"
    );
    // Answers that overlap may have been made in either order.
    assert_eq!(check(&[], &[], &[version("s1", 0, 8), version("s1", 3, 7)]), []);
}
