//! `daos_server`: parse the command line, build a configuration, run, say how it ended (R19).
//!
//! Everything it does is in `daos-control`; here are words, log lines and exit codes.

mod cli;
mod commands;
mod logging;
mod sys;

use std::process::ExitCode;

use clap::Parser;
use daos_control::Fault;

use cli::Cli;

fn main() -> ExitCode {
    sys::keep_memory_small();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            // Help is an answer on standard output; everything else is an error (R19, R69).
            let failed = told.use_stderr();
            let _closed_pipe = told.print();
            return if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<commands::Told>() {
            Some(told) => ExitCode::from(told.0),
            None => {
                report(&error);
                ExitCode::FAILURE
            }
        },
    }
}

/// The error on standard error, and what to do about it on a second line (R19, R48).
fn report(error: &anyhow::Error) {
    let faults = error.downcast_ref::<commands::Faults>();
    let single = error.downcast_ref::<Fault>();
    let all: Vec<&Fault> = match (faults, single) {
        (Some(faults), _) => faults.0.iter().collect(),
        (None, Some(fault)) => vec![fault],
        (None, None) => {
            eprintln!("ERROR: daos_server: {error:#}");
            return;
        }
    };
    for fault in all {
        eprintln!("ERROR: {}", fault.in_full());
        if fault.has_resolution() {
            eprintln!("ERROR: {}", fault.resolution_line());
        }
    }
}
