//! The simulation repeats itself, and finds the defects that are built into it on purpose.

use std::process::{Command, Output};

fn simulate(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_simulate");
    Command::new(program).args(arguments).output().expect("the simulation starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Everything that happens in a run follows from its seed, down to the last line of its trace.
#[test]
fn a_seed_does_the_same_twice_and_another_seed_does_not() {
    let run = |seed| simulate(&["--seed", seed, "--ranks=12", "--virtual-time=8", "--trace"]);
    let (first, second, other) = (run("4"), run("4"), run("5"));
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert!(first.stdout.len() > 10_000, "a trace says what happened");
    assert!(first.stdout == second.stdout, "the same seed did something else");
    assert!(first.stdout != other.stdout, "another seed did the same");
}

/// With a defect on purpose one of these seeds must break a rule, and without it must not; the rule that it broke.
///
/// Which seed it is changes with the code, so there are more of them than it takes.
fn found(sabotage: &str, replicas: &str) -> String {
    for seed in (2..16).map(|seed| seed.to_string()) {
        let usual = ["--seed", &seed, "--replicas", replicas, "--ranks=12", "--virtual-time=25"];
        let sabotaged = simulate(&[&usual[..], &["--sabotage", sabotage]].concat());
        let said = text(&sabotaged.stdout);
        let rules = said.lines().find(|line| line.contains(" broken: "));
        // That a system does not become whole may have other causes; a broken rule of safety has not.
        if let Some(rule) = rules.filter(|rule| !rule.contains("not whole")) {
            let honest = simulate(&usual);
            assert!(honest.status.success(), "fails without it as well: {}", text(&honest.stdout));
            return rule.to_owned();
        }
    }
    panic!("{sabotage} was not found");
}

#[test]
fn disks_that_acknowledge_before_they_sync_are_found() {
    let rule = found("lying-disks", "1");
    assert!(
        ["lost", "acknowledged", "committed", "version"].iter().any(|word| rule.contains(word)),
        "{rule}"
    );
}

#[test]
fn votes_that_nobody_gave_are_found() {
    let rule = found("generous-votes", "3");
    assert!(["term", "lost", "committed"].iter().any(|word| rule.contains(word)), "{rule}");
}

#[test]
fn reads_that_ask_nobody_are_found() {
    let rule = found("stale-reads", "3");
    assert!(rule.contains("acknowledged"), "{rule}");
}
