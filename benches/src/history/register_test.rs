//! Hand-made histories, good and bad: a checker that cannot fail checks nothing.

use super::{Action, Operation, Violation, check};
use crate::history::Moment;

fn write(value: u64, invoked: u64, returned: u64) -> Operation {
    Operation::acknowledged(Action::Write(value), Moment(invoked), Moment(returned))
}

fn read(value: impl Into<Option<u64>>, invoked: u64, returned: u64) -> Operation {
    Operation::acknowledged(Action::Read(value.into()), Moment(invoked), Moment(returned))
}

fn unknown(value: u64, invoked: u64) -> Operation {
    Operation::unknown(value, Moment(invoked))
}

#[track_caller]
fn good(history: &[Operation]) {
    assert_eq!(check(None, history), Ok(()));
}

#[track_caller]
fn bad(history: &[Operation]) {
    let violation = check(None, history).unwrap_err();
    assert!(matches!(violation, Violation::NoOrder { .. }), "{violation}");
}

#[test]
fn one_after_the_other_is_a_register() {
    good(&[]);
    good(&[read(None, 0, 1), write(1, 2, 3), read(1, 4, 5), write(2, 6, 7), read(2, 8, 9)]);
    assert_eq!(check(Some(5), &[read(5, 0, 1)]), Ok(()));
}

#[test]
fn an_acknowledged_write_that_is_gone_is_found() {
    bad(&[write(1, 0, 1), read(None, 2, 3)]);
    bad(&[write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)]);
    bad(&[write(1, 0, 1), read(1, 2, 3), read(None, 4, 5)]);
    assert!(check(Some(5), &[read(None, 0, 1)]).is_err());
}

#[test]
fn a_value_nobody_wrote_is_found() {
    bad(&[write(1, 0, 1), read(9, 2, 3)]);
    // A write cannot be read before it is asked for.
    bad(&[read(1, 0, 1), write(1, 2, 3)]);
}

#[test]
fn writes_side_by_side_may_take_any_order_but_one() {
    let both = [write(1, 0, 10), write(2, 0, 10)];
    good(&[both[0].clone(), both[1].clone(), read(1, 11, 12)]);
    good(&[both[0].clone(), both[1].clone(), read(2, 11, 12)]);
    // Two readers after both writes must agree on the order.
    bad(&[both[0].clone(), both[1].clone(), read(1, 11, 12), read(2, 13, 14)]);
    bad(&[both[0].clone(), both[1].clone(), read(None, 11, 12)]);
}

#[test]
fn a_read_during_a_write_may_see_either_but_not_go_back() {
    let slow = write(2, 5, 20);
    good(&[write(1, 0, 1), slow.clone(), read(1, 6, 7), read(2, 8, 9)]);
    bad(&[write(1, 0, 1), slow.clone(), read(2, 6, 7), read(1, 8, 9)]);
    // Readers that overlap each other may see it the other way round.
    good(&[write(1, 0, 1), slow, read(2, 6, 9), read(1, 8, 10)]);
}

#[test]
fn an_unknown_write_may_happen_late_or_never() {
    good(&[write(1, 0, 1), unknown(2, 2), read(1, 3, 4), write(3, 5, 6), read(2, 7, 8)]);
    good(&[write(1, 0, 1), unknown(2, 2), read(1, 3, 4)]);
    good(&[unknown(2, 2), read(2, 1, 3)]);
}

#[test]
fn an_unknown_write_happens_once_and_not_before_it_was_asked() {
    bad(&[unknown(1, 0), read(1, 1, 2), write(2, 3, 4), read(2, 5, 6), read(1, 7, 8)]);
    bad(&[read(2, 0, 1), unknown(2, 2)]);
    // It was seen, so it does not vanish.
    bad(&[unknown(1, 0), read(1, 1, 2), read(None, 3, 4)]);
}

#[test]
fn a_replica_may_lag_but_not_go_back() {
    let writes = [write(1, 0, 1), write(2, 2, 3)];
    let with = |reads: &[Operation]| [&writes[..], reads].concat();
    good(&with(&[read(1, 4, 5).in_session(1), read(2, 6, 7).in_session(1)]));
    good(&with(&[read(None, 4, 5).in_session(1), read(2, 6, 7)]));
    // Two replicas lag by different lengths.
    good(&with(&[read(2, 4, 5).in_session(1), read(1, 6, 7).in_session(2)]));
    bad(&with(&[read(2, 4, 5).in_session(1), read(1, 6, 7).in_session(1)]));
    bad(&with(&[read(1, 4, 5).in_session(1), read(None, 6, 7).in_session(1)]));
    // Answers of one replica that overlap may have been made in either order.
    good(&with(&[read(2, 4, 7).in_session(1), read(1, 5, 6).in_session(1)]));
    // Nobody knows a value before it is asked for.
    bad(&[read(1, 0, 1).in_session(1), write(1, 2, 3)]);
    // A lagging replica agrees with the others on the order of two writes side by side.
    let both = [write(1, 0, 10), write(2, 0, 10), read(2, 11, 12)];
    let lagging = [read(2, 13, 14).in_session(1), read(1, 15, 16).in_session(1)];
    bad(&[&both[..], &lagging[..]].concat());
}

#[test]
fn many_unknown_writes_that_nobody_saw_cost_nothing() {
    let mut history: Vec<Operation> = (0..200).map(|value| unknown(1000 + value, value)).collect();
    history.extend((0..200).map(|value| write(value, 2 * value, 2 * value + 1)));
    history.push(read(199, 500, 501));
    good(&history);
    history.push(read(198, 502, 503));
    bad(&history);
}

#[test]
fn several_clients_for_a_while_are_decided() {
    // Four writers and a reader, each overlapping the others, two hundred times.
    let mut history = Vec::new();
    for round in 0..200_u64 {
        let began = round * 100;
        history.extend((0..4).map(|client| write(round * 4 + client, began + client, began + 50)));
        history.push(read(round * 4 + round % 4, began + 60, began + 70));
    }
    good(&history);
    history.push(read(1, 30_000, 30_001));
    bad(&history);
}

#[test]
fn a_history_that_says_nothing_is_refused() {
    let twice = [write(1, 0, 1), write(1, 2, 3)];
    assert_eq!(check(None, &twice), Err(Violation::NotUnique(1)));
}

#[test]
fn the_evidence_names_the_operation() {
    let text = check(None, &[write(1, 0, 1), read(None, 2, 3_000_000)]).unwrap_err().to_string();
    assert!(text.contains("after 1 of them the value is 1"), "{text}");
    assert!(text.contains("read nothing, asked at 0.000002, answered at 3.000000"), "{text}");
}
