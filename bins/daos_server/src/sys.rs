//! The one setting of the C library's allocator that this program makes. Called first of all by `main`.
#![allow(unsafe_code)]

/// Arenas for all threads together. The default is one for almost every thread, each with its own unused rest; the
/// threads of this program mostly wait.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;

/// Keeps the memory of an idle server small. An allocator that does not know the setting goes on as it is.
pub fn share_memory_between_threads() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes two integers, changes only the allocator's own limits, and no other thread runs yet.
    let _not_known = unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) };
}
