//! One system call that no safe wrapper here offers: the end of a child together with what it used.
#![allow(unsafe_code)]

use std::io;

/// Waits for a child; whether it exited with 0, and its peak resident memory in KiB.
pub fn wait_with_peak(pid: u32) -> io::Result<(bool, f64)> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to live, writable memory of the right type; an all-zero rusage is a valid value.
    let ended = unsafe { libc::wait4(pid.cast_signed(), &mut status, 0, usage.as_mut_ptr()) };
    if ended < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed above, and the kernel has filled it in.
    let usage = unsafe { usage.assume_init() };
    Ok((libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, usage.ru_maxrss as f64))
}
