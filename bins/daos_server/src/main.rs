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
use serde_json::{Value, json};

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
    let json = cli.global.json;
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<commands::Told>() {
            Some(told) => ExitCode::from(told.0),
            None => {
                // A program that asked for data gets some, also where a command ends before it has any.
                if json && !commands::has_printed() {
                    let _closed_pipe = commands::print(&format!("{:#}\n", data(&error)));
                }
                report(&error);
                ExitCode::FAILURE
            }
        },
    }
}

/// The error on standard error, and what to do about it on a second line (R19, R48).
fn report(error: &anyhow::Error) {
    let all = faults(error);
    if all.is_empty() {
        eprintln!("ERROR: daos_server: {error:#}");
    }
    for fault in all {
        eprintln!("ERROR: {}", fault.in_full());
        if fault.has_resolution() {
            eprintln!("ERROR: {}", fault.resolution_line());
        }
    }
}

/// The faults that an error is made of; none when it has no number.
fn faults(error: &anyhow::Error) -> Vec<&Fault> {
    if let Some(faults) = error.downcast_ref::<commands::Faults>() {
        return faults.0.iter().collect();
    }
    error.downcast_ref::<Fault>().into_iter().collect()
}

/// The first fault in the form that scans and prepares give theirs, and all of them where there are several.
fn data(error: &anyhow::Error) -> Value {
    let told = |fault: &Fault| {
        let reason = match fault.reason.is_empty() {
            true => String::new(),
            false => format!(": {}", fault.reason),
        };
        let error = format!("{}{reason}", fault.description);
        json!({"error": error, "code": fault.code, "resolution": fault.resolution})
    };
    let all: Vec<Value> = faults(error).into_iter().map(told).collect();
    match all.as_slice() {
        [] => json!({"error": format!("{error:#}")}),
        [one] => one.clone(),
        [first, ..] => {
            let mut object = first.clone();
            if let Some(object) = object.as_object_mut() {
                object.insert("errors".to_owned(), all.into());
            }
            object
        }
    }
}
