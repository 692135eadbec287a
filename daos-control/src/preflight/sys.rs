//! The one system call that tells whether the clock is kept right.
#![allow(unsafe_code)] // adjtimex has no safe wrapper among our dependencies

use std::io;

use super::facts::ClockFacts;

/// Asks the kernel for the state of its clock; sets nothing.
pub(super) fn clock() -> io::Result<ClockFacts> {
    // SAFETY: `timex` is plain numbers, for which all zeros are valid; `modes` 0 means that nothing is set.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `state` is a valid `timex` for the kernel to write to, and outlives the call.
    let answer = unsafe { libc::adjtimex(&raw mut state) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    let unsynchronised = state.status & libc::STA_UNSYNC != 0 || answer == libc::TIME_ERROR;
    let max_error_us = u64::try_from(state.maxerror).unwrap_or(0);
    Ok(ClockFacts { synchronised: !unsynchronised, max_error_us })
}
