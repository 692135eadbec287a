//! The other decisions: liveness, exclusion, reports, selections, properties, attributes, providers.

use std::collections::BTreeMap;

use daos_membership::conformance::samples::{self, admit, command, member, uuid};
use daos_membership::decide::{exclude, liveness, properties, providers, resolve, states};
use daos_membership::{
    AdminExcludedRanks, AttributeError, Change, Damping, ExcludeAction, Incarnation, Liveness,
    MemberResult, MemberState, MembershipError, NamedHost, OnFailure, PropertyError, Rank, RankSet,
    ReportOutcome, Selection, SelectionError, StateMask, StateUpdate, System, Timestamp, code,
};
use rstest::rstest;

fn rank(n: u32) -> Rank {
    Rank::new(n).unwrap()
}

fn ranks(text: &str) -> RankSet {
    text.parse().unwrap()
}

fn system_of(members: &[(u32, MemberState)]) -> System {
    let mut system = samples::system();
    for (n, state) in members {
        let update = StateUpdate { rank: rank(*n), state: *state, info: String::new() };
        let applied =
            system.apply(&command(vec![admit(*n), Change::UpdateStates { updates: vec![update] }]));
        assert_eq!(applied.refusal(), None);
    }
    system
}

fn apply(system: &mut System, change: Change) {
    assert_eq!(system.apply(&command(vec![change])).refusal(), None);
}

/// A death that is believed at once.
fn rank_dead(system: &System, rank: Rank, incarnation: Option<Incarnation>) -> Liveness {
    liveness::rank_dead(system, rank, incarnation, Timestamp(0), &Damping::OFF)
}

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Contract 6.7: who leaves the group when other engines find it dead.
#[test]
fn death_excludes_from_the_states_of_the_table_only() {
    for state in MemberState::ALL {
        let mut system = system_of(&[(1, state)]);
        let news = rank_dead(&system, rank(1), Some(Incarnation(100)));
        match news {
            Liveness::Changes(change) => {
                assert!(state.may_become(MemberState::Excluded), "from {state}");
                apply(&mut system, change);
                assert_eq!(system.member(rank(1)).unwrap().state, MemberState::Excluded);
            }
            Liveness::AlreadyExcluded => assert_eq!(state, MemberState::Excluded),
            Liveness::NotFrom(from) => {
                assert_eq!(from, state);
                assert!(!state.may_become(MemberState::Excluded), "from {state}");
            }
            other => panic!("from {state}: {other:?}"),
        }
    }
}

/// Samples joined with incarnation 100.
#[rstest]
#[case::of_the_one_that_joined(Some(100), false)]
#[case::of_a_later_one(Some(101), false)]
#[case::of_an_earlier_one(Some(99), true)]
#[case::of_an_unknown_one(None, false)]
fn stale_news_change_nothing(#[case] incarnation: Option<u64>, #[case] stale: bool) {
    let system = system_of(&[(1, MemberState::Joined)]);
    let incarnation = incarnation.map(Incarnation);
    let dead = rank_dead(&system, rank(1), incarnation);
    let died = liveness::engine_died(&system, rank(1), incarnation, "signal 9");
    let expected = Liveness::Stale { known: Incarnation(100) };
    assert_eq!(dead == expected, stale, "{dead:?}");
    assert_eq!(died == expected, stale, "{died:?}");
    assert_eq!(rank_dead(&system, rank(2), incarnation), Liveness::UnknownRank);
}

#[test]
fn an_engine_that_died_is_errored_and_says_why() {
    for state in MemberState::ALL {
        let mut system = system_of(&[(1, state)]);
        match liveness::engine_died(&system, rank(1), None, "signal 9") {
            Liveness::Changes(change) => {
                apply(&mut system, change);
                let member = system.member(rank(1)).unwrap();
                assert_eq!(
                    (member.state, member.info.as_str()),
                    (MemberState::Errored, "signal 9")
                );
            }
            Liveness::NotFrom(from) => assert!(!from.may_become(MemberState::Errored)),
            other => panic!("from {state}: {other:?}"),
        }
    }
    let excluded = system_of(&[(1, MemberState::Excluded), (2, MemberState::AdminExcluded)]);
    for n in 1..=2 {
        let news = liveness::engine_died(&excluded, rank(n), None, "");
        assert!(matches!(news, Liveness::NotFrom(_)), "{news:?}");
    }
}

/// Why an engine ended is not forgotten when its peers miss it some seconds later.
#[test]
fn how_an_engine_ended_stays_known_when_it_is_excluded() {
    let mut system = system_of(&[(1, MemberState::Joined), (2, MemberState::Joined)]);
    let died = liveness::engine_died(&system, rank(1), None, "engine 0 killed by SIGKILL");
    apply(&mut system, died.change().unwrap().clone());
    for (n, info) in [
        (1, "engine 0 killed by SIGKILL; then seen dead by its peers"),
        (2, "seen dead by its peers"),
    ] {
        let dead = rank_dead(&system, rank(n), None);
        apply(&mut system, dead.change().unwrap().clone());
        let member = system.member(rank(n)).unwrap();
        assert_eq!((member.state, member.info.as_str()), (MemberState::Excluded, info));
    }
}

/// Contract 6.3, 6.9: who only did not answer goes back to what its join made of it; everybody else has to join.
#[test]
fn a_member_that_runs_is_brought_back_from_unresponsive_only() {
    for state in MemberState::ALL {
        let mut system = system_of(&[(1, state)]);
        let change = states::found_running(&system, &ranks("1,7"));
        assert_eq!(change.is_some(), state == MemberState::Unresponsive, "from {state}");
        if let Some(change) = change {
            apply(&mut system, change);
            let member = system.member(rank(1)).unwrap();
            assert_eq!((member.state, member.info.as_str()), (MemberState::Joined, ""));
            assert_eq!(member.incarnation, Incarnation(100), "the start that joined");
        }
    }
    let mut displaced = system_of(&[(1, MemberState::Joined)]);
    let (state, info) = (MemberState::Unresponsive, "its URI is another's".to_owned());
    apply(&mut displaced, Change::ReleaseFabricUri { rank: rank(1), state, info });
    assert_eq!(states::found_running(&displaced, &ranks("1")), None);
}

#[test]
fn death_excludes_only_if_self_heal_says_so() {
    let mut system = system_of(&[(1, MemberState::Joined)]);
    for (value, off) in [("none", true), ("pool_exclude;pool_rebuild", true), ("exclude", false)] {
        apply(&mut system, properties::set_properties(&values(&[("self_heal", value)])).unwrap());
        let news = rank_dead(&system, rank(1), None);
        assert_eq!(news == Liveness::SelfHealOff, off, "{value}: {news:?}");
    }
}

#[test]
fn an_administrator_excludes_from_any_state_and_clears_only_that() {
    for state in MemberState::ALL {
        let mut system = system_of(&[(1, state)]);
        let plan = exclude::exclude(&system, &Selection::All, ExcludeAction::Exclude).unwrap();
        assert_eq!(plan.results[0].changed, state != MemberState::AdminExcluded);
        assert_eq!(plan.results[0].state, MemberState::AdminExcluded);
        let clear = exclude::exclude(&system, &Selection::All, ExcludeAction::Clear).unwrap();
        if state != MemberState::AdminExcluded {
            assert_eq!(clear.change, None, "{state} was not excluded by an administrator");
            assert_eq!(clear.results[0].state, state);
            apply(&mut system, plan.change.unwrap());
        }
        let clear = exclude::exclude(&system, &Selection::All, ExcludeAction::Clear).unwrap();
        apply(&mut system, clear.change.unwrap());
        assert_eq!(system.member(rank(1)).unwrap().state, MemberState::Excluded);
    }
}

#[test]
fn exclusion_names_what_is_not_there() {
    let system = system_of(&[(1, MemberState::Joined)]);
    let selection = Selection::Ranks(ranks("1,4-5"));
    let error = exclude::exclude(&system, &selection, ExcludeAction::Exclude).unwrap_err();
    assert_eq!(error.code(), code::UNKNOWN_MEMBERS);
    assert_eq!(error.to_string(), "not in the system: ranks 4-5");
}

#[test]
fn only_members_that_are_down_can_be_removed() {
    for state in MemberState::ALL {
        let system = system_of(&[(1, state)]);
        match exclude::remove(&system, &ranks("1")) {
            Ok(changes) => {
                assert!(!StateMask::AVAILABLE.contains(state), "{state}");
                assert_eq!(changes, [Change::RemoveMember { rank: rank(1), uuid: uuid(1) }]);
            }
            Err(error) => {
                assert!(StateMask::AVAILABLE.contains(state), "{state}: {error}");
                assert_eq!(error.code(), code::MEMBER_IN_USE);
            }
        }
    }
    let system = system_of(&[(1, MemberState::Stopped)]);
    let error = exclude::remove(&system, &ranks("1-2")).unwrap_err();
    assert_eq!(error.code(), code::UNKNOWN_MEMBERS, "one that is missing keeps the others");
    let mut removed = system;
    apply(&mut removed, Change::RemoveMember { rank: rank(1), uuid: uuid(1) });
    assert_eq!(exclude::remove(&removed, &ranks("1")).unwrap(), [], "it can be repeated");
}

fn result(n: u32, errored: bool, state: MemberState) -> MemberResult {
    MemberResult { rank: rank(n), errored, message: "said so".into(), state }
}

/// Every pair of states: what is not in the table is not recorded (contract 6.3).
#[test]
fn reports_follow_the_table() {
    for from in MemberState::ALL {
        for to in MemberState::ALL {
            let mut system = system_of(&[(1, from)]);
            let plan = states::update(&system, &[result(1, false, to)], OnFailure::Keep).unwrap();
            let expected = match () {
                () if from == to => ReportOutcome::Unchanged,
                () if from.may_become(to) => ReportOutcome::Recorded,
                () => ReportOutcome::Illegal { from },
            };
            assert_eq!(plan.outcomes, [(rank(1), expected)], "{from} to {to}");
            assert_eq!(plan.change.is_some(), expected == ReportOutcome::Recorded);
            if let Some(change) = plan.change {
                apply(&mut system, change);
                let member = system.member(rank(1)).unwrap();
                assert_eq!((member.state, member.info.as_str()), (to, "said so"));
            }
        }
    }
}

#[test]
fn failures_are_recorded_only_when_asked_for() {
    let system = system_of(&[(1, MemberState::Joined)]);
    let failed = [result(1, true, MemberState::Errored)];
    let kept = states::update(&system, &failed, OnFailure::Keep).unwrap();
    assert_eq!((kept.change, kept.outcomes[0].1), (None, ReportOutcome::FailureKept));
    let recorded = states::update(&system, &failed, OnFailure::Record).unwrap();
    assert_eq!(recorded.outcomes[0].1, ReportOutcome::Recorded);
    for state in MemberState::ALL {
        let report = states::update(&system, &[result(1, true, state)], OnFailure::Record);
        let fits = matches!(state, MemberState::Errored | MemberState::Unresponsive);
        assert_eq!(report.is_ok(), fits, "failed and {state}");
    }
}

#[test]
fn a_report_about_an_unknown_rank_records_nothing() {
    let system = system_of(&[(1, MemberState::Joined)]);
    let results = [result(1, false, MemberState::Stopped), result(7, false, MemberState::Stopped)];
    let error = states::update(&system, &results, OnFailure::Record).unwrap_err();
    assert_eq!(error.code(), code::UNKNOWN_MEMBERS);
    assert!(error.to_string().contains("ranks 7"), "{error}");
}

#[test]
fn two_reports_about_a_rank_are_taken_one_after_the_other() {
    let system = system_of(&[(1, MemberState::Joined)]);
    let results = [
        result(1, true, MemberState::Errored),
        result(1, false, MemberState::Ready),
        result(1, false, MemberState::Stopped),
    ];
    let plan = states::update(&system, &results, OnFailure::Record).unwrap();
    let outcomes: Vec<_> = plan.outcomes.iter().map(|(_, outcome)| *outcome).collect();
    let illegal = ReportOutcome::Illegal { from: MemberState::Errored };
    assert_eq!(outcomes, [ReportOutcome::Recorded, illegal, ReportOutcome::Recorded]);
}

fn host(name: &str, address: Option<&str>) -> NamedHost {
    let address = address.map(|address| address.parse().unwrap());
    NamedHost { name: name.to_owned(), address }
}

#[test]
fn selections_are_matched_with_the_members() {
    let mut system = system_of(&[(1, MemberState::Joined), (2, MemberState::Stopped)]);
    let mut second = member(3);
    second.address = member(1).address;
    apply(&mut system, Change::AdmitMember { member: second.into() });

    let all = resolve::resolve(&system, &Selection::All);
    assert_eq!((all.ranks, all.absent_ranks.len()), (ranks("1-3"), 0));
    let some = resolve::resolve(&system, &Selection::Ranks(ranks("2-5")));
    assert_eq!((some.ranks, some.absent_ranks), (ranks("2-3"), ranks("4-5")));
    let hosts = vec![
        host("node1", Some("10.0.0.1:10001")),
        host("node9", Some("10.0.0.9:10001")),
        host("typo", None),
        host("typo", None),
    ];
    let by_host = resolve::resolve(&system, &Selection::Hosts(hosts));
    assert_eq!(by_host.ranks, ranks("1,3"), "all engines of a host");
    assert_eq!(by_host.absent_hosts, ["node9", "typo"]);
}

#[test]
fn ranks_and_hosts_exclude_each_other() {
    let hosts = || vec![host("a", None)];
    assert_eq!(Selection::of(ranks(""), vec![]), Ok(Selection::All));
    assert_eq!(Selection::of(ranks("1"), vec![]), Ok(Selection::Ranks(ranks("1"))));
    assert_eq!(Selection::of(ranks(""), hosts()), Ok(Selection::Hosts(hosts())));
    let both = Selection::of(ranks("1"), hosts()).unwrap_err();
    assert_eq!((both.code(), both), (code::BAD_SELECTION, SelectionError::RanksAndHosts));
}

/// Contract 6.9: members that an administrator keeps out, in a stop or start.
#[rstest]
#[case::all_leaves_them_out(Selection::All, AdminExcludedRanks::Refuse, Ok("1"))]
#[case::by_name_is_refused(
    Selection::Ranks("1-2".parse().unwrap()), AdminExcludedRanks::Refuse, Err(622))]
#[case::by_name_ignored(
    Selection::Ranks("1-2".parse().unwrap()), AdminExcludedRanks::Ignore, Ok("1"))]
#[case::none_left(
    Selection::Ranks("2".parse().unwrap()), AdminExcludedRanks::Ignore, Err(622))]
#[case::others_are_not_touched(
    Selection::Ranks("1".parse().unwrap()), AdminExcludedRanks::Refuse, Ok("1"))]
fn kept_out_members_are_not_stopped_or_started(
    #[case] selection: Selection,
    #[case] excluded: AdminExcludedRanks,
    #[case] expected: Result<&str, i32>,
) {
    let system = system_of(&[(1, MemberState::Joined), (2, MemberState::AdminExcluded)]);
    let usable = resolve::usable(&system, &selection, excluded);
    let usable = usable.map(|resolved| resolved.ranks.to_string());
    assert_eq!(usable.map_err(|error| error.code()), expected.map(str::to_owned));
}

#[test]
fn a_system_of_kept_out_members_only_has_nothing_to_stop() {
    let system = system_of(&[(1, MemberState::AdminExcluded)]);
    let error = resolve::usable(&system, &Selection::All, AdminExcludedRanks::Refuse).unwrap_err();
    assert_eq!(error, SelectionError::AllAdminExcluded { ranks: ranks("1") });
}

#[test]
fn queries_filter_by_state_and_name_what_is_absent() {
    let states = [(1, MemberState::Joined), (2, MemberState::Stopped), (3, MemberState::Errored)];
    let system = system_of(&states);
    let found = |selection: &Selection, mask| {
        let result = resolve::query(&system, selection, mask);
        let found: RankSet = result.members.iter().map(|member| member.rank).collect();
        (found.to_string(), result.absent_ranks.to_string())
    };
    let answer = |found: &str, absent: &str| (found.to_owned(), absent.to_owned());
    assert_eq!(found(&Selection::All, StateMask::ALL), answer("1-3", ""));
    let down = [MemberState::Stopped, MemberState::Errored].into_iter().collect();
    assert_eq!(found(&Selection::All, down), answer("2-3", ""));
    assert_eq!(found(&Selection::Ranks(ranks("1-2,9")), down), answer("2", "9"));
    let result = resolve::query(&system, &Selection::All, StateMask::ALL);
    assert_eq!(result.data_version, system.data_version());
    assert_eq!(result.fabric_providers, ["ofi+tcp"]);
}

#[test]
fn properties_have_defaults_and_computed_values() {
    let mut system = samples::system();
    let expected = values(&[
        ("daos_system", "daos_server"),
        ("daos_version", "2.8.0"),
        ("pool_scrub_mode", "off"),
        ("pool_scrub_thresh", "0"),
        ("self_heal", "exclude;pool_exclude;pool_rebuild"),
    ]);
    assert_eq!(properties::get_properties(&system, &[]).unwrap(), expected);
    let set = values(&[("pool_scrub_mode", "timed"), ("self_heal", "none")]);
    apply(&mut system, properties::set_properties(&set).unwrap());
    let keys = ["self_heal".to_owned(), "pool_scrub_mode".to_owned()];
    assert_eq!(properties::get_properties(&system, &keys).unwrap(), set);
    let error = properties::get_properties(&system, &["nonsense".to_owned()]).unwrap_err();
    assert_eq!(error, PropertyError::Unknown { key: "nonsense".into() });
}

#[rstest]
#[case::mode("pool_scrub_mode", "lazy", true)]
#[case::mode_unknown("pool_scrub_mode", "fast", false)]
#[case::number("pool_scrub_thresh", "18446744073709551615", true)]
#[case::number_too_big("pool_scrub_thresh", "18446744073709551616", false)]
#[case::number_signed("pool_scrub_thresh", "+1", false)]
#[case::number_empty("pool_scrub_thresh", "", false)]
#[case::all("self_heal", "exclude;pool_exclude;pool_rebuild", true)]
#[case::subset("self_heal", "exclude;pool_rebuild", true)]
#[case::none("self_heal", "none", true)]
#[case::wrong_order("self_heal", "pool_exclude;exclude", false)]
#[case::twice("self_heal", "exclude;exclude", false)]
#[case::none_and_more("self_heal", "none;exclude", false)]
#[case::empty("self_heal", "", false)]
fn property_values_are_checked(#[case] key: &str, #[case] value: &str, #[case] valid: bool) {
    match properties::set_properties(&values(&[(key, value)])) {
        Ok(_) => assert!(valid),
        Err(error) => {
            assert!(!valid, "{error}");
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}

#[test]
fn properties_that_cannot_be_set() {
    let set = |key: &str| properties::set_properties(&values(&[(key, "1")])).unwrap_err();
    assert!(matches!(set("daos_version"), PropertyError::ReadOnly { .. }));
    assert!(matches!(set("daos_system"), PropertyError::ReadOnly { .. }));
    assert!(matches!(set("color"), PropertyError::Unknown { .. }));
    assert_eq!(properties::set_properties(&values(&[])), Err(PropertyError::NoneGiven));
    let mixed = values(&[("pool_scrub_thresh", "1"), ("pool_scrub_mode", "never")]);
    assert!(properties::set_properties(&mixed).is_err(), "one bad value keeps all from being set");
}

#[test]
fn attributes_are_the_administrators_own() {
    let mut system = samples::system();
    apply(&mut system, properties::set_attributes(&values(&[("a", "1"), ("b", "2")])).unwrap());
    apply(&mut system, properties::set_attributes(&values(&[("a", ""), ("never", "")])).unwrap());
    let left = values(&[("b", "2")]);
    assert_eq!(properties::get_attributes(&system, &[]).unwrap(), left, "empty values delete");
    assert_eq!(properties::get_attributes(&system, &["b".into()]).unwrap(), left);
    let missing = properties::get_attributes(&system, &["a".into()]).unwrap_err();
    assert_eq!(missing, AttributeError::NotFound { key: "a".into() });
}

#[rstest]
#[case::internal("mgmt.fabric_providers")]
#[case::property("prop.self_heal")]
#[case::empty("")]
fn reserved_attribute_names_are_refused(#[case] key: &str) {
    assert!(properties::set_attributes(&values(&[(key, "x")])).is_err());
    assert!(properties::get_attributes(&samples::system(), &[key.to_owned()]).is_err());
}

#[test]
fn the_provider_changes_only_while_nobody_is_joined() {
    let wanted = vec!["ofi+verbs".to_owned()];
    let joined = system_of(&[(1, MemberState::Joined), (2, MemberState::Stopped)]);
    let refused = providers::adopt(&joined, &wanted).unwrap_err();
    assert_eq!(MembershipError::from(refused.clone()).code(), code::PROVIDER_CHANGE);
    assert_eq!((refused.known.as_str(), refused.joined), ("ofi+tcp", 1));

    let mut stopped = system_of(&[(1, MemberState::Stopped), (2, MemberState::AdminExcluded)]);
    let unchanged = providers::adopt(&stopped, &["ofi+tcp".to_owned()]).unwrap();
    assert_eq!(unchanged, [], "nothing to do when nothing changes");
    for change in providers::adopt(&stopped, &wanted).unwrap() {
        apply(&mut stopped, change);
    }
    assert!(stopped.management().group_update_paused);
    assert!(!providers::may_resume(&stopped), "rank 1 has not joined with the new provider");
    let update = StateUpdate { rank: rank(1), state: MemberState::Joined, info: String::new() };
    apply(&mut stopped, Change::UpdateStates { updates: vec![update] });
    assert!(providers::may_resume(&stopped));
}
