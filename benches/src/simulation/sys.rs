//! The process's only source of randomness, made repeatable: `getrandom` as the C library has it.
//!
//! The standard library (keys of hash maps), tokio (order of `select!`) and uuid v4 all ask for it. A thread that
//! was given a seed gets numbers made from it; every other thread gets those of the kernel. Knows nothing else.

#![allow(unsafe_code)]

use std::cell::Cell;

thread_local! {
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From now on this thread's randomness follows from `seed`. To be called before anything asked for any.
pub fn seed_this_thread(seed: u64) {
    STATE.set(Some(seed));
}

/// SplitMix64: every state is good, and one addition is the whole of it.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Takes the place of the C library's function of this name in every program that this library is linked into.
///
/// # Safety
/// As `getrandom(2)`: `buffer` must be valid for writes of `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(
    buffer: *mut libc::c_void,
    length: libc::size_t,
    flags: libc::c_uint,
) -> libc::ssize_t {
    let Some(mut state) = STATE.get() else {
        // SAFETY: the caller's promise is the kernel's.
        let got = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
        return got as libc::ssize_t;
    };
    for at in 0..length {
        // SAFETY: `at` is below `length`, for which the caller vouches.
        unsafe { buffer.cast::<u8>().add(at).write(next(&mut state) as u8) };
    }
    STATE.set(Some(state));
    length as libc::ssize_t
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::seed_this_thread;

    fn seen(seed: Option<u64>) -> (uuid::Uuid, u64) {
        let look = move || {
            if let Some(seed) = seed {
                seed_this_thread(seed);
            }
            (uuid::Uuid::new_v4(), RandomState::new().hash_one(7))
        };
        std::thread::spawn(look).join().expect("a thread")
    }

    #[test]
    fn a_seeded_thread_repeats_what_it_did_and_others_do_not() {
        assert_eq!(seen(Some(5)), seen(Some(5)));
        assert_ne!(seen(Some(5)).0, seen(Some(6)).0);
        assert_ne!(seen(None).0, seen(None).0);
    }
}
