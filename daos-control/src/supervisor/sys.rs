//! The one thing about starting a process that needs unsafe code: what the child does before it becomes the engine.
#![allow(unsafe_code)]

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};
use tokio::process::Command;

/// Makes the child die by SIGKILL when the thread that spawned it ends (R17).
///
/// The signal is tied to that *thread*, not to the process (W32): the command must be spawned from one that lives as
/// long as its children should, see `spawner`.
pub(super) fn die_with_parent(command: &mut Command) {
    let parent: Pid = getpid();
    // SAFETY: the closure runs in the forked child, where only async-signal-safe calls are allowed: it makes two
    // system calls, allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died before the call above; then nobody would send the signal.
            if getppid() == Some(parent) { Ok(()) } else { Err(io::Error::from(Errno::SRCH)) }
        });
    }
}
