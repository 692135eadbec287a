//! The settings of the C library's allocator that this program makes. Called first of all by `main`.
#![allow(unsafe_code)]

/// Arenas for all threads together. The default is one for almost every thread, each with its own unused rest; the
/// threads of this program mostly wait.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;

/// Pieces of memory from this size on go back to the system as soon as they are free, and so does the end of the heap
/// beyond it. Set once, they stay: by default both grow with the largest piece that was ever freed, and what a snapshot or
/// a group map of a large system took would be kept.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 256 << 10;

/// Keeps the memory of an idle server small. An allocator that does not know a setting goes on as it is.
pub fn keep_memory_small() {
    #[cfg(target_env = "gnu")]
    for (setting, value) in [
        (libc::M_ARENA_MAX, ARENAS),
        (libc::M_MMAP_THRESHOLD, LARGE),
        (libc::M_TRIM_THRESHOLD, LARGE),
    ] {
        // SAFETY: takes two integers, changes only the allocator's own limits, and no other thread runs yet.
        let _not_known = unsafe { libc::mallopt(setting, value) };
    }
}
