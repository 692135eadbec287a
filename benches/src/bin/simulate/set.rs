//! A set of seeds, each in a process of its own, as many at a time as there are processors. Some run twice, to see
//! that they do the same twice.

use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use daos_benches::simulation::Options;

/// One run of so many is repeated.
const REPEATED: usize = 8;

/// What came of a set.
#[derive(Debug, Default)]
struct Tally {
    done: usize,
    repeated: usize,
    failures: Vec<String>,
}

/// Runs them until none is left or `budget` is used up.
///
/// # Errors
/// When a run broke a rule or differed from its repetition, or too few could be run.
pub fn run(runs: &[Options], budget: Option<Duration>, at_least: usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let work = || -> anyhow::Result<()> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let in_time = budget.is_none_or(|budget| begun.elapsed() < budget);
            let Some(options) = runs.get(at).filter(|_| in_time) else { return Ok(()) };
            let output = start(options)?;
            let mut failure = failed(options, &output);
            let repeat = at.is_multiple_of(REPEATED) && failure.is_none();
            if repeat && start(options)?.stdout != output.stdout {
                failure =
                    Some(format!("{}: did something else when it was run again", name(options)));
            }
            print!("{}", String::from_utf8_lossy(&output.stdout));
            let mut tally = tally.lock().map_err(|_| anyhow::anyhow!("a worker broke off"))?;
            tally.done += 1;
            tally.repeated += usize::from(repeat);
            tally.failures.extend(failure);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let broken = || Err(anyhow::anyhow!("a worker broke off"));
        let ended = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| broken()));
        ended.fold(Ok(()), anyhow::Result::and)
    })
    .and_then(|()| {
        let tally = tally.into_inner().map_err(|_| anyhow::anyhow!("a worker broke off"))?;
        report(&tally, begun.elapsed(), at_least)
    })
}

fn report(tally: &Tally, took: Duration, at_least: usize) -> anyhow::Result<()> {
    let Tally { done, repeated, failures } = tally;
    println!("{done} runs in {:.0} s, {repeated} of them twice", took.as_secs_f64());
    for failure in failures {
        println!("FAILED {failure}");
    }
    ensure!(failures.is_empty(), "{} of {done} runs failed", failures.len());
    ensure!(*done >= at_least, "only {done} runs in time, {at_least} were wanted");
    Ok(())
}

/// The arguments that repeat a run.
fn arguments(options: &Options) -> Vec<String> {
    let Options { seed, replicas, ranks, faults, .. } = options;
    let faults = faults.as_secs();
    let mut arguments = vec![
        format!("--seed={seed}"),
        format!("--replicas={replicas}"),
        format!("--ranks={ranks}"),
        format!("--virtual-time={faults}"),
    ];
    arguments.extend(options.sabotage.map(|sabotage| format!("--sabotage={sabotage}")));
    arguments
}

fn name(options: &Options) -> String {
    format!("simulate {}", arguments(options).join(" "))
}

fn start(options: &Options) -> anyhow::Result<Output> {
    let program = std::env::current_exe().context("where is this program?")?;
    let output = Command::new(&program).args(arguments(options)).output();
    output.with_context(|| format!("cannot start {}", program.display()))
}

fn failed(options: &Options, output: &Output) -> Option<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = said.lines().rev().take(12).collect();
    let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n    ");
    (!output.status.success()).then(|| format!("{}: {}\n    {tail}", name(options), output.status))
}
