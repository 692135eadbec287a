//! Who may join, and as which rank: every row of contract 6.4 and R162.

use std::sync::Arc;

use daos_membership::conformance::samples::{self, admit, command, join_request, member, uuid};
use daos_membership::decide::join::{self, Verdict};
use daos_membership::{
    Change, Incarnation, JoinOutcome, JoinPurpose, JoinRefused, JoinRequest, Member, MemberState,
    Rank, StateUpdate, System, Timestamp, code,
};
use rstest::rstest;

const NOW: Timestamp = Timestamp(42);

fn rank(n: u32) -> Rank {
    Rank::new(n).unwrap()
}

/// A system with these members, ranks as numbered.
fn system_of(members: &[u32]) -> System {
    let mut system = samples::system();
    let mut labels = vec![Change::SetDomainLabels { labels: vec![String::new()] }];
    labels.extend(members.iter().map(|n| admit(*n)));
    assert_eq!(system.apply(&command(labels)).refusal(), None);
    system
}

fn set_state(system: &mut System, n: u32, state: MemberState) {
    let update = StateUpdate { rank: rank(n), state, info: "as told".into() };
    system.apply(&command(vec![Change::UpdateStates { updates: vec![update] }]));
}

fn decide(system: &System, request: &JoinRequest) -> Verdict {
    join::decide(system, &[request], NOW).remove(0)
}

/// Decides one request and applies it.
fn join(system: &mut System, request: &JoinRequest) -> Result<(Rank, JoinOutcome), JoinRefused> {
    match decide(system, request) {
        Verdict::Accepted(acceptance) => {
            let applied = system.apply(&command(acceptance.changes));
            assert_eq!(applied.refusal(), None, "what is decided can be applied");
            Ok((acceptance.rank, acceptance.outcome))
        }
        Verdict::Refused(refused) => Err(refused),
        other => panic!("no decision: {other:?}"),
    }
}

fn refused(system: &System, request: &JoinRequest) -> JoinRefused {
    match decide(system, request) {
        Verdict::Refused(refused) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

fn with(n: u32, change: impl FnOnce(&mut JoinRequest)) -> JoinRequest {
    let mut request = join_request(n);
    change(&mut request);
    request
}

/// What becomes of a join, for the table of R162.
#[derive(Debug, PartialEq)]
enum Outcome {
    New(u32),
    Same(u32),
    Refused(i32),
}

/// Known or unknown engine, with or without a wish, excluded or not. Members are 1 and 2.
#[rstest]
#[case::unknown_gets_the_next(3, None, None, Outcome::New(3))]
#[case::unknown_gets_its_wish(9, Some(7), None, Outcome::New(7))]
#[case::unknown_wishes_a_taken_rank(
    9,
    Some(1),
    None,
    Outcome::Refused(code::JOIN_IDENTITY_CHANGED)
)]
#[case::unknown_wishes_rank_0(9, Some(0), None, Outcome::Refused(code::JOIN_RANK_TAKEN))]
#[case::known_without_wish(1, None, None, Outcome::Same(1))]
#[case::known_with_its_rank(1, Some(1), None, Outcome::Same(1))]
#[case::known_with_a_free_rank(1, Some(7), None, Outcome::Refused(code::JOIN_IDENTITY_CHANGED))]
#[case::known_with_anothers_rank(1, Some(2), None, Outcome::Refused(code::JOIN_IDENTITY_CHANGED))]
#[case::known_and_kept_out(1, None, Some(MemberState::AdminExcluded), Outcome::Refused(622))]
#[case::known_kept_out_with_rank(
    1,
    Some(1),
    Some(MemberState::AdminExcluded),
    Outcome::Refused(622)
)]
#[case::known_and_found_dead(1, Some(1), Some(MemberState::Excluded), Outcome::Same(1))]
fn ranks_are_given_as_r162_says(
    #[case] engine: u32,
    #[case] wish: Option<u32>,
    #[case] state: Option<MemberState>,
    #[case] expected: Outcome,
) {
    let mut system = system_of(&[1, 2]);
    if let Some(state) = state {
        set_state(&mut system, 1, state);
    }
    let before = system.clone();
    let request = with(engine, |request| request.rank = wish.map(rank));
    let outcome = match join(&mut system, &request) {
        Ok((rank, JoinOutcome::Admitted)) => Outcome::New(rank.get()),
        Ok((rank, JoinOutcome::Rejoined)) => Outcome::Same(rank.get()),
        Ok(other) => panic!("{other:?}"),
        Err(refused) => {
            assert_eq!(system, before, "a refusal changes nothing");
            Outcome::Refused(refused.code())
        }
    };
    assert_eq!(outcome, expected);
}

#[test]
fn the_texts_are_those_that_peers_log() {
    let mut system = system_of(&[1, 2]);
    let text = |system: &System, request: &JoinRequest| refused(system, request).to_string();
    let (one, two, nine) = (uuid(1), uuid(2), uuid(9));
    assert_eq!(
        text(&system, &with(1, |r| r.rank = Some(rank(7)))),
        format!("can't rejoin member with uuid {one}: rank changed from 1 -> 7")
    );
    assert_eq!(
        text(&system, &with(9, |r| r.rank = Some(rank(2)))),
        format!("can't rejoin member with rank 2: uuid changed from {two} -> {nine}")
    );
    assert_eq!(
        text(&system, &with(1, |r| r.address = "10.9.9.9:10001".parse().unwrap())),
        format!(
            "can't rejoin member {one} (rank 1): control address changed from 10.0.0.1:10001 -> \
             10.9.9.9:10001"
        )
    );
    set_state(&mut system, 1, MemberState::AdminExcluded);
    assert_eq!(
        text(&system, &join_request(1)),
        format!("member {one} (rank 1) has been administratively excluded")
    );
}

#[test]
fn rank_0_goes_to_engine_0_of_the_first_replica() {
    let mut system = samples::system();
    assert_eq!(join(&mut system, &join_request(5)).unwrap().0, rank(1), "others start at 1");
    let bootstrap = with(6, |request| request.bootstrap = true);
    assert_eq!(join(&mut system, &bootstrap).unwrap().0, rank(0));
    assert_eq!(join(&mut system, &bootstrap).unwrap(), (rank(0), JoinOutcome::Rejoined));
    // Stock servers of the first replica ask for rank 0 themselves.
    let mut system = samples::system();
    let asking = with(6, |request| {
        request.bootstrap = true;
        request.rank = Some(Rank::BOOTSTRAP);
    });
    assert_eq!(join(&mut system, &asking).unwrap(), (rank(0), JoinOutcome::Admitted));
    // Formatted anew, it is another engine and rank 0 stays with the one that was lost.
    let anew = with(7, |request| request.bootstrap = true);
    assert_eq!(join(&mut system, &anew).unwrap().0, rank(1));
}

#[test]
fn a_rank_is_never_given_to_another_engine_again() {
    let mut system = system_of(&[1, 2, 3]);
    system.apply(&command(vec![Change::RemoveMember { rank: rank(3), uuid: uuid(3) }]));
    assert_eq!(join(&mut system, &join_request(4)).unwrap().0, rank(4));
    let thief = with(9, |request| request.rank = Some(rank(3)));
    assert_eq!(refused(&system, &thief).code(), code::JOIN_RANK_TAKEN);
    // The engine that had it may come back to it.
    let back = with(3, |request| request.rank = Some(rank(3)));
    assert_eq!(join(&mut system, &back).unwrap(), (rank(3), JoinOutcome::Admitted));
}

#[test]
fn wishes_do_not_use_up_the_ranks_below_them() {
    let mut system = system_of(&[1]);
    for (engine, wish) in [(8, Rank::MAX), (9, rank(3))] {
        join(&mut system, &with(engine, |request| request.rank = Some(wish))).unwrap();
    }
    let given: Vec<u32> =
        (20..23).map(|n| join(&mut system, &join_request(n)).unwrap().0.get()).collect();
    assert_eq!(given, [2, 4, 5], "taken ranks are skipped, free ones are used");
}

#[rstest]
fn every_state_but_one_leads_back_to_joined(#[values(false, true)] check_mode: bool) {
    for state in MemberState::ALL {
        let mut system = system_of(&[1, 2]);
        set_state(&mut system, 1, state);
        let request = with(1, |request| request.check_mode = check_mode);
        let done = join(&mut system, &request);
        if state == MemberState::AdminExcluded {
            assert_eq!(done.unwrap_err().code(), 622);
            continue;
        }
        done.unwrap();
        let member = system.member(rank(1)).unwrap();
        let expected = if check_mode { MemberState::CheckerStarted } else { MemberState::Joined };
        assert_eq!(member.state, expected, "from {state}");
        assert_eq!(member.info, "", "what it failed of is over");
        assert_eq!(member.last_update, NOW);
    }
}

#[test]
fn a_new_member_is_joined_even_in_checker_mode() {
    let mut system = samples::system();
    join(&mut system, &with(1, |request| request.check_mode = true)).unwrap();
    assert_eq!(system.member(rank(1)).unwrap().state, MemberState::Joined);
}

#[test]
fn a_rejoin_refreshes_all_that_may_change() {
    let mut system = system_of(&[1, 2]);
    let request = with(1, |request| {
        request.incarnation = Incarnation(500);
        request.fabric_uri = "ofi+tcp://10.0.0.1:20000".into();
        request.secondary_fabric_uris = vec!["ofi+verbs://10.0.1.1:20000".into()];
        request.fabric_contexts = 17;
        request.secondary_fabric_contexts = vec![5];
        request.fault_domain = "/other".parse().unwrap();
    });
    join(&mut system, &request).unwrap();
    let expected = Member {
        incarnation: Incarnation(500),
        fabric_uri: "ofi+tcp://10.0.0.1:20000".into(),
        secondary_fabric_uris: vec!["ofi+verbs://10.0.1.1:20000".into()],
        fabric_contexts: 17,
        secondary_fabric_contexts: vec![5],
        fault_domain: "/other".parse().unwrap(),
        last_update: NOW,
        ..member(1)
    };
    assert_eq!(**system.member(rank(1)).unwrap(), expected);
    assert!(system.member_by_uri("ofi+tcp://10.0.0.1:31416").is_none());
    assert_eq!(system.member_by_uri("ofi+tcp://10.0.0.1:20000").unwrap().rank, rank(1));
}

#[rstest]
#[case::moved(Some(1), 101, Some(false), true)]
#[case::nobody_looked(Some(1), 101, None, false)]
#[case::the_old_host_answers(Some(1), 101, Some(true), false)]
#[case::not_started_anew(Some(1), 100, Some(false), false)]
#[case::without_its_rank(None, 101, Some(false), false)]
fn an_engine_moves_to_another_host_only_when_the_old_one_is_gone(
    #[case] wish: Option<u32>,
    #[case] incarnation: u64,
    #[case] answers: Option<bool>,
    #[case] allowed: bool,
) {
    let mut system = system_of(&[1, 2]);
    let request = with(1, |request| {
        request.rank = wish.map(rank);
        request.incarnation = Incarnation(incarnation);
        request.address = "10.9.9.9:10001".parse().unwrap();
        request.old_address_answers = answers;
    });
    match join(&mut system, &request) {
        Ok(_) => {
            assert!(allowed);
            assert_eq!(system.member(rank(1)).unwrap().address, request.address);
            assert_eq!(system.members_at(member(1).address).count(), 0);
        }
        Err(refused) => {
            assert!(!allowed, "{refused}");
            assert_eq!(refused.code(), code::JOIN_ADDRESS_CHANGED);
        }
    }
}

#[rstest]
#[case::empty("")]
#[case::no_provider("://10.0.0.1:1")]
#[case::no_address("ofi+tcp://")]
#[case::no_separator("10.0.0.1:1")]
fn an_engine_without_fabric_uri_cannot_join(#[case] uri: &str) {
    let request = with(3, |request| request.fabric_uri = uri.into());
    assert_eq!(refused(&system_of(&[1]), &request).code(), code::JOIN_INCOMPLETE);
}

#[test]
fn the_provider_must_be_the_systems() {
    let request = with(3, |request| request.fabric_uri = "ofi+verbs://10.0.0.3:1".into());
    let refused = refused(&system_of(&[1]), &request);
    assert_eq!(refused.code(), code::JOIN_WRONG_PROVIDER);
    let text = refused.to_string();
    assert!(text.contains("ofi+verbs") && text.contains("ofi+tcp"), "{text}");
    let system = System::new(samples::identity());
    assert_eq!(decide(&system, &join_request(1)), Verdict::NotYet, "no provider is known yet");
}

#[rstest]
#[case::other_labels("/rack=r1/node=h1")]
#[case::no_labels("/r1/h1")]
#[case::fewer("/host=h1")]
fn labels_are_those_of_the_first_member(#[case] domain: &str) {
    let mut system = samples::system();
    join(&mut system, &with(1, |r| r.fault_domain = "/rack=r1/host=h1".parse().unwrap())).unwrap();
    assert_eq!(system.management().domain_labels.as_deref().unwrap(), ["rack", "host"]);
    let request = with(2, |request| request.fault_domain = domain.parse().unwrap());
    assert_eq!(refused(&system, &request).code(), 620);
    let request = with(2, |request| request.fault_domain = "/rack=r2/host=h2".parse().unwrap());
    join(&mut system, &request).unwrap();
}

#[test]
fn a_refused_first_join_leaves_no_labels_behind() {
    let mut system = samples::system();
    let request = with(1, |request| request.rank = Some(Rank::BOOTSTRAP));
    assert_eq!(join(&mut system, &request).unwrap_err().code(), code::JOIN_RANK_TAKEN);
    assert_eq!(system.management().domain_labels, None);
}

#[test]
fn all_fault_domains_have_the_same_depth() {
    // Members from before labels were recorded.
    let mut system = samples::system();
    system.apply(&command(vec![admit(1), admit(2)]));
    let deeper = |n| with(n, |request| request.fault_domain = "/r/h".parse().unwrap());
    let refusal = refused(&system, &deeper(3));
    assert_eq!(refusal.code(), 401);
    assert!(refusal.to_string().contains("2 levels"), "{refusal}");
    assert_eq!(refused(&system, &deeper(1)).code(), 401, "a rejoin is checked against the others");
    // The only member may change its own.
    system.apply(&command(vec![Change::RemoveMember { rank: rank(2), uuid: uuid(2) }]));
    join(&mut system, &deeper(1)).unwrap();
}

fn replace(n: u32, of: u32) -> JoinRequest {
    JoinRequest {
        uuid: uuid(n),
        incarnation: Incarnation(700),
        purpose: JoinPurpose::Replace { enabled_in_pool: false },
        ..join_request(of)
    }
}

#[test]
fn a_replacement_takes_over_the_rank() {
    let mut system = system_of(&[1, 2]);
    set_state(&mut system, 1, MemberState::Errored);
    let request = replace(9, 1);
    assert_eq!(join::replaced(&system, &request).unwrap().rank, rank(1));
    assert_eq!(join(&mut system, &request).unwrap(), (rank(1), JoinOutcome::Replaced(uuid(1))));
    let expected =
        Member { uuid: uuid(9), incarnation: Incarnation(700), last_update: NOW, ..member(1) };
    assert_eq!(**system.member(rank(1)).unwrap(), expected);
    assert!(system.member_by_uuid(uuid(1)).is_none());
    // The lost engine cannot come back to its rank.
    let back = with(1, |request| request.rank = Some(rank(1)));
    assert_eq!(refused(&system, &back).code(), code::JOIN_IDENTITY_CHANGED);
}

#[rstest]
#[case::asks_for_a_rank(|r: &mut JoinRequest| r.rank = Some(Rank::BOOTSTRAP), code::JOIN_RANK_TAKEN)]
#[case::is_that_member(|r: &mut JoinRequest| r.uuid = uuid(1), code::JOIN_RANK_TAKEN)]
#[case::is_another_member(|r: &mut JoinRequest| r.uuid = uuid(2), code::JOIN_RANK_TAKEN)]
#[case::another_address(|r: &mut JoinRequest| r.address = member(3).address, 403)]
#[case::another_uri(|r: &mut JoinRequest| r.fabric_uri = member(3).fabric_uri, 403)]
#[case::more_uris(|r: &mut JoinRequest| r.secondary_fabric_uris = vec!["a://b".into()], 403)]
#[case::other_contexts(|r: &mut JoinRequest| r.fabric_contexts = 4, 403)]
#[case::more_contexts(|r: &mut JoinRequest| r.secondary_fabric_contexts = vec![1], 403)]
#[case::another_domain(|r: &mut JoinRequest| r.fault_domain = member(3).fault_domain, 403)]
#[case::rank_in_a_pool(
    |r: &mut JoinRequest| r.purpose = JoinPurpose::Replace { enabled_in_pool: true },
    621
)]
fn a_replacement_must_be_like_what_it_replaces(
    #[case] change: fn(&mut JoinRequest),
    #[case] expected: i32,
) {
    let system = system_of(&[1, 2]);
    let mut request = replace(9, 1);
    change(&mut request);
    assert_eq!(refused(&system, &request).code(), expected);
}

/// Engine 9, formatted anew, is up at the URI of member 1.
fn at_the_uri_of_member_1(address: u32) -> JoinRequest {
    with(9, |request| {
        request.fabric_uri = member(1).fabric_uri;
        request.address = member(address).address;
    })
}

#[test]
fn nobody_else_is_up_at_the_uri_of_a_joining_engine() {
    let mut system = system_of(&[1, 2]);
    // Another host says so, and the member is up: refused.
    let refusal = refused(&system, &at_the_uri_of_member_1(9));
    assert_eq!(refusal.code(), code::JOIN_URI_IN_USE);
    assert!(refusal.to_string().contains("rank 1, joined"), "{refusal}");
    // Its own host says so: its host knows best.
    let (new, _) = join(&mut system, &at_the_uri_of_member_1(1)).unwrap();
    let old = system.member(rank(1)).unwrap();
    assert_eq!((old.fabric_uri.as_str(), old.state), ("", MemberState::Unresponsive));
    assert!(old.info.contains("rank 3"), "{}", old.info);
    assert!(!old.is_in_group());
    assert_eq!(system.member_by_uri(&member(1).fabric_uri).unwrap().rank, new);
    // The old one can come back where it now is.
    let back = with(1, |request| request.fabric_uri = "ofi+tcp://10.0.0.1:9".into());
    join(&mut system, &back).unwrap();
    assert_eq!(system.member(rank(1)).unwrap().state, MemberState::Joined);
}

#[test]
fn a_member_that_is_down_leaves_its_uri_to_whoever_is_there() {
    for state in [MemberState::Excluded, MemberState::AdminExcluded, MemberState::Stopped] {
        let mut system = system_of(&[1, 2]);
        set_state(&mut system, 1, state);
        join(&mut system, &at_the_uri_of_member_1(9)).unwrap();
        let old = system.member(rank(1)).unwrap();
        assert_eq!((old.fabric_uri.as_str(), old.state), ("", state), "its state stays");
    }
}

#[test]
fn two_engines_of_a_host_can_swap_their_uris() {
    let mut system = system_of(&[1]);
    let second = Member { address: member(1).address, ..member(2) };
    system.apply(&command(vec![Change::AdmitMember { member: Arc::new(second) }]));
    let swapped = |n: u32, other: u32| {
        with(n, |request| {
            request.address = member(1).address;
            request.fabric_uri = member(other).fabric_uri;
        })
    };
    join(&mut system, &swapped(1, 2)).unwrap();
    join(&mut system, &swapped(2, 1)).unwrap();
    assert_eq!(system.member_by_uri(&member(2).fabric_uri).unwrap().rank, rank(1));
    assert_eq!(system.member_by_uri(&member(1).fabric_uri).unwrap().rank, rank(2));
    assert_eq!(system.count_in_state(MemberState::Joined), 2);
}

/// Decides requests as one batch, and what was put off in the next ones; ranks in order of the requests.
fn batched(system: &mut System, requests: &[JoinRequest]) -> (Vec<Rank>, usize) {
    let mut waiting: Vec<usize> = (0..requests.len()).collect();
    let mut ranks = vec![Rank::BOOTSTRAP; requests.len()];
    let mut batches = 0;
    while !waiting.is_empty() {
        let batch: Vec<&JoinRequest> = waiting.iter().map(|at| &requests[*at]).collect();
        let mut changes = Vec::new();
        let (mut later, mut decided) = (Vec::new(), 0);
        for (at, verdict) in waiting.iter().zip(join::decide(system, &batch, NOW)) {
            match verdict {
                Verdict::Accepted(acceptance) => {
                    ranks[*at] = acceptance.rank;
                    changes.extend(acceptance.changes);
                    decided += 1;
                }
                Verdict::Later => later.push(*at),
                other => panic!("{other:?}"),
            }
        }
        assert!(decided > 0, "a batch always gets on");
        assert_eq!(system.apply(&command(changes)).refusal(), None);
        waiting = later;
        batches += 1;
    }
    (ranks, batches)
}

#[test]
fn a_batch_gives_each_engine_its_own_rank() {
    let mut system = samples::system();
    let mut requests: Vec<JoinRequest> = (10..30).map(join_request).collect();
    requests[4].bootstrap = true;
    requests[7].rank = Some(rank(12));
    let (ranks, batches) = batched(&mut system, &requests);
    assert_eq!(batches, 1, "engines that have nothing in common share a batch");
    assert_eq!(ranks[4], Rank::BOOTSTRAP);
    assert_eq!(ranks[7], rank(12));
    let mut all: Vec<u32> = ranks.iter().map(|rank| rank.get()).collect();
    assert!(all[..4].windows(2).all(|pair| pair[0] < pair[1]), "ranks in order of arrival");
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_repeated_request_waits_for_the_first_and_gets_the_same_rank() {
    let mut system = samples::system();
    let (ranks, batches) = batched(&mut system, &vec![join_request(10); 5]);
    assert_eq!(ranks, [rank(1); 5]);
    assert_eq!(batches, 5);
    assert_eq!(system.member_count(), 1);
}

#[test]
fn requests_about_the_same_thing_never_share_a_batch() {
    let same_uri = with(11, |request| {
        request.fabric_uri = member(10).fabric_uri;
        request.address = member(10).address;
    });
    let same_wish = |n| with(n, |request| request.rank = Some(rank(5)));
    let moves_away = with(1, |request| request.fabric_uri = "ofi+tcp://10.0.0.1:9".into());
    let moves_in = with(12, |request| {
        request.fabric_uri = member(1).fabric_uri;
        request.address = member(1).address;
    });
    for pair in [
        [join_request(10), same_uri],
        [same_wish(10), same_wish(11)],
        [moves_away.clone(), moves_in.clone()],
        [moves_in, moves_away],
    ] {
        let verdicts = join::decide(&system_of(&[1]), &[&pair[0], &pair[1]], NOW);
        assert_eq!(verdicts[1], Verdict::Later, "{pair:#?}");
    }
}

#[test]
fn the_first_joins_of_all_agree_on_labels_and_depth() {
    let labelled = with(2, |request| request.fault_domain = "/host=h2".parse().unwrap());
    let requests = [&join_request(1), &labelled, &join_request(3)];
    let verdicts = join::decide(&samples::system(), &requests, NOW);
    assert!(matches!(&verdicts[0], Verdict::Accepted(_)));
    assert!(matches!(&verdicts[1], Verdict::Refused(refused) if refused.code() == 620));
    assert!(matches!(&verdicts[2], Verdict::Accepted(_)));
}
