//! `dmg`: the administrator's tool. Parses, asks through `daos_control::client`, prints, and sets the exit status.

mod cli;
mod cmd;
mod confirm;
mod json;
mod logging;
mod outcome;
mod print;
mod session;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use cli::Cli;
use outcome::{Failure, Outcome};
use session::Session;

fn main() -> ExitCode {
    let arguments = cli::argv::stock_forms(std::env::args_os().collect());
    let json = cli::argv::asks_for_json(&arguments);
    match Cli::try_parse_from(arguments) {
        Ok(cli) => run(cli).emit(json),
        Err(refused)
            if matches!(refused.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            Outcome::text(refused.to_string()).emit(false)
        }
        Err(refused) => Outcome::failed(Failure::usage(&refused)).emit(json),
    }
}

fn run(cli: Cli) -> Outcome {
    let context = cmd::name(&cli.command);
    let outcome = match Session::new(cli.globals) {
        Ok(session) => attempt(&session, cli.command),
        Err(failure) => Outcome::failed(failure),
    };
    outcome.in_context(context)
}

fn attempt(session: &Session, command: cli::Command) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(cmd::execute(session, command)),
        Err(error) => Outcome::failed(Failure::text(format!("cannot start: {error}"))),
    }
}
