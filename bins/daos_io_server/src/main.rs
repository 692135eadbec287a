//! `daos_io_server`: a stand-in for `daos_engine` on machines without its hardware.
//!
//! Takes `daos_engine`'s arguments and environment, speaks its dRPC, keeps its identity on the SCM mount and its
//! mark on the block devices, passes group maps on to its peers and notices which of them are gone. It serves management, not I/O. This file only reads the command line and says how
//! it ended; the life of the engine is in `life`.

mod arguments;
mod devices;
mod environment;
mod events;
mod fabric;
mod identity;
mod life;
mod logging;
mod peers;
mod service;
mod storage;
mod sys;
#[cfg(test)]
mod turn;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = match arguments::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(answer) => {
            let is_error = answer.use_stderr();
            // There is nobody left to tell when the terminal is gone.
            drop(answer.print());
            return if is_error { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match life::run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ERROR: engine {}: {error:#}", arguments.index);
            ExitCode::FAILURE
        }
    }
}
