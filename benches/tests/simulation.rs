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

/// With a defect on purpose some of these seeds must break a rule; what the rule says is part of the finding.
fn is_found(sabotage: &str, replicas: &str, seeds: std::ops::Range<u32>) -> Vec<String> {
    let mut found = Vec::new();
    for seed in seeds.map(|seed| seed.to_string()) {
        let run = |more: &[&str]| {
            let usual =
                ["--seed", &seed, "--replicas", replicas, "--ranks=12", "--virtual-time=25"];
            simulate(&[&usual[..], more].concat())
        };
        let sabotaged = run(&["--sabotage", sabotage]);
        if !sabotaged.status.success() {
            let said = text(&sabotaged.stdout);
            found.extend(said.lines().filter(|line| line.contains(" broken: ")).map(str::to_owned));
            let honest = run(&[]);
            assert!(
                honest.status.success(),
                "seed {seed} fails without it: {}",
                text(&honest.stdout)
            );
        }
    }
    found
}

#[test]
fn disks_that_acknowledge_before_they_sync_are_found() {
    let found = is_found("lying-disks", "1", 2..5);
    assert!(
        found.iter().any(|rule| rule.contains("is lost") || rule.contains("was acknowledged")),
        "{found:?}"
    );
}

#[test]
fn votes_that_nobody_gave_are_found() {
    let found = is_found("generous-votes", "3", 2..6);
    assert!(!found.is_empty(), "no rule was broken");
}

#[test]
fn reads_that_ask_nobody_are_found() {
    let found = is_found("stale-reads", "3", 2..3);
    assert!(found.iter().any(|rule| rule.contains("was acknowledged")), "{found:?}");
}
